//! UDP listeners: one onward socket for each opener, so that answers find their way back.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::crew::Crew;
use super::fault::{Direction, Fault};
use super::pipe::time_for;
use super::table::View;

/// How long an opener's onward socket lives without an answer; longer than any resolver waits. Not much longer: a
/// resolver opens from a new port for each question, and while TTLs are zero a full table would silence name servers that
/// answer, for an outage that nobody ordered.
const IDLE: Duration = Duration::from_secs(5);
/// Openers remembered at a time; above it datagrams of new ones are dropped, as by a full address-translation table.
const OPENERS: usize = 1024;
/// The largest datagram there is.
const DATAGRAM: usize = 65_536;

/// An opener's way to the target, alive while answers are carried back.
struct Opener {
    onward: Arc<UdpSocket>,
    answers: AbortHandle,
}

pub(super) async fn serve(socket: UdpSocket, target: SocketAddr, view: View, crew: Crew) {
    let socket = Arc::new(socket);
    let mut openers: HashMap<SocketAddr, Opener> = HashMap::new();
    let mut buffer = vec![0; DATAGRAM];
    loop {
        // an error here is an earlier answer's unreachable opener, never the end of the listener
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        openers.retain(|_, opener| !opener.answers.is_finished());
        if !openers.contains_key(&from) && openers.len() < OPENERS {
            let Ok(onward) = onward_socket(target).await else { continue };
            let back = Way::Back(socket.clone(), from);
            let answers = crew.spawn(answers(onward.clone(), back, view.clone(), crew.clone()));
            openers.insert(from, Opener { onward, answers });
        }
        if let Some(opener) = openers.get(&from) {
            Way::There(opener.onward.clone()).deliver(&buffer[..length], &view, &crew).await;
        }
    }
}

async fn onward_socket(target: SocketAddr) -> std::io::Result<Arc<UdpSocket>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(target).await?;
    Ok(Arc::new(socket))
}

/// Carries answers to one opener until none has come for a while.
async fn answers(onward: Arc<UdpSocket>, back: Way, view: View, crew: Crew) {
    let mut buffer = vec![0; DATAGRAM];
    while let Ok(received) = timeout(IDLE, onward.recv(&mut buffer)).await {
        // nobody listens at the target: like a dropped datagram, the opener's own time-out tells
        let Ok(length) = received else { continue };
        back.deliver(&buffer[..length], &view, &crew).await;
    }
}

#[derive(Clone)]
enum Way {
    There(Arc<UdpSocket>),
    Back(Arc<UdpSocket>, SocketAddr),
}

impl Way {
    fn direction(&self) -> Direction {
        match self {
            Way::There(_) => Direction::There,
            Way::Back(..) => Direction::Back,
        }
    }

    /// Sends a datagram as the link's conditions say, and asks them again after any delay.
    async fn deliver(&self, packet: &[u8], view: &View, crew: &Crew) {
        let wait = match view.conditions().of(self.direction()) {
            Fault::Pass | Fault::Blackhole => return self.send(packet, view).await,
            Fault::Latency { delay, jitter } => delay + jitter.mul_f64(rand::random()),
            Fault::Slow { bytes_per_second } => time_for(packet.len(), bytes_per_second),
        };
        view.counters().delayed(packet.len());
        let (way, packet, view) = (self.clone(), packet.to_vec(), view.clone());
        crew.spawn(async move {
            sleep(wait).await;
            way.send(&packet, &view).await;
        });
    }

    async fn send(&self, packet: &[u8], view: &View) {
        if view.conditions().of(self.direction()) == Fault::Blackhole {
            return view.counters().dropped_packet(packet.len());
        }
        let (sent, gauge) = match self {
            Way::There(socket) => (socket.send(packet).await, &view.gauges.there),
            Way::Back(socket, opener) => (socket.send_to(packet, *opener).await, &view.gauges.back),
        };
        if let Ok(n) = sent {
            gauge.fetch_add(n as u64, Ordering::Relaxed);
        }
    }
}
