//! TCP listeners: accept, ask the target, carry both directions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::crew::Crew;
use super::fault::{Direction, Fault};
use super::pipe::{End, broken, carry, swallow};
use super::table::View;

/// Connections of one listener at a time. Above it new ones wait in the kernel's queue, as at a busy server.
const CONNECTIONS: usize = 512;

pub(super) async fn serve(listener: TcpListener, target: SocketAddr, view: View, crew: Crew) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await.expect("never closed");
        let Ok((mut client, _)) = listener.accept().await else {
            // out of descriptors, or the opener gave up in the queue: neither ends the listener
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let (view, crew_too) = (view.renewed(), crew.clone());
        crew.spawn_to_end(async move {
            let _place = place;
            let _open = Open::new(&view);
            let done = crew_too.until_stop(connection(&mut client, target, view)).await;
            if done != Some(End::Finished) {
                let _ = client.set_zero_linger();
            }
        });
    }
}

/// Counts a connection as open while it lives.
struct Open(View);

impl Open {
    fn new(view: &View) -> Self {
        view.gauges.open.fetch_add(1, Ordering::Relaxed);
        Self(view.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.gauges.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connection(client: &mut TcpStream, target: SocketAddr, view: View) -> End {
    let _ = client.set_nodelay(true);
    let Some(mut server) = dial(target, view.clone()).await else { return unanswered(client, view).await };
    let _ = server.set_nodelay(true);
    let end = both(client, &mut server, &view).await;
    if end == End::Broken {
        let _ = server.set_zero_linger();
    }
    end
}

/// Asks the target, after the round trip that a real handshake would take. A silent link never delivers the question.
async fn dial(target: SocketAddr, view: View) -> Option<TcpStream> {
    let delay = |fault| match fault {
        Fault::Latency { delay, .. } => delay,
        _ => Duration::ZERO,
    };
    let now = view.conditions();
    let round_trip = delay(now.there) + delay(now.back);
    if !round_trip.is_zero() {
        tokio::time::sleep(round_trip).await;
    }
    if view.conditions().there == Fault::Blackhole {
        view.counters().unanswered();
        return None;
    }
    TcpStream::connect(target).await.ok()
}

/// Holds a connection that has no other end until the link is no longer silent, or until the client gives up: probes
/// that time out again and again must not use up the listener's places. (A client that only half-closes counts as gone.)
async fn unanswered(client: &mut TcpStream, view: View) -> End {
    let counters = view.counters();
    tokio::select! {
        biased;
        end = broken(view) => end,
        () = swallow(client, &counters) => End::Broken,
    }
}

/// Both directions at once; the first that breaks ends both.
async fn both(client: &mut TcpStream, server: &mut TcpStream, view: &View) -> End {
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    let there = carry(from_client, to_server, view.clone(), Direction::There, &view.gauges.there);
    let back = carry(from_server, to_client, view.clone(), Direction::Back, &view.gauges.back);
    let (mut there, mut back) = (std::pin::pin!(there), std::pin::pin!(back));
    tokio::select! {
        end = &mut there => if end == End::Finished { back.await } else { end },
        end = &mut back => if end == End::Finished { there.await } else { end },
    }
}
