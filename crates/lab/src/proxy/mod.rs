//! The network between the lab's sites: every cross-site byte passes through here and can be made to fail.
//!
//! A [`Network`] holds listeners; each belongs to a [`Link`] and forwards to one target. What a link does is set while
//! bytes flow, for many links in one step. All of it is user space: no privileges, and the same on every machine.
//!
//! What differs from a real network, because the kernel at each end talks to us and not to the other end:
//! - a connection is accepted before the target is asked; a target that refuses shows as a reset at once;
//! - a silent peer's kernel still acknowledges segments and keepalives, so only time-outs of the application
//!   (`wal_receiver_timeout`, a client's own) find a blackhole;
//! - a one-way cut delivers the other direction for ever, where real TCP would starve of acknowledgements. That is the
//!   harder case: orders arrive whose answers are lost.

mod crew;
mod fault;
mod pipe;
mod table;
mod tcp;
mod udp;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use model::SiteId;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;

use crew::Crew;
pub use fault::{Conditions, Direction, Fault, Hits, Injection, Link};
use table::{Table, View};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    Tcp,
    Udp,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {at} for {link}")]
pub struct ListenError {
    pub at: SocketAddr,
    pub link: Link,
    #[source]
    pub source: io::Error,
}

/// Totals of a link since its first listener, both faulty and healthy times.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// TCP connections open now.
    pub open: u64,
    /// Bytes delivered to the target.
    pub there: u64,
    /// Bytes delivered to the opener.
    pub back: u64,
}

/// All links of one lab. Dropping it closes every listener and resets every connection.
pub struct Network {
    table: watch::Sender<Table>,
    crew: Crew,
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Network {
    pub fn new() -> Self {
        Self { table: watch::Sender::new(Table::default()), crew: Crew::default() }
    }

    /// Listens at `at` and forwards to `target`; returns the address bound (port 0 picks a free one).
    /// Must be called inside a tokio runtime.
    pub async fn listen(
        &self,
        link: &Link,
        protocol: Protocol,
        at: SocketAddr,
        target: SocketAddr,
    ) -> Result<SocketAddr, ListenError> {
        let error = |source| ListenError { at, link: link.clone(), source };
        let view = self.view(link);
        match protocol {
            Protocol::Tcp => {
                let listener = TcpListener::bind(at).await.map_err(error)?;
                let bound = listener.local_addr().map_err(error)?;
                self.crew.spawn(tcp::serve(listener, target, view, self.crew.clone()));
                Ok(bound)
            }
            Protocol::Udp => {
                let socket = UdpSocket::bind(at).await.map_err(error)?;
                let bound = socket.local_addr().map_err(error)?;
                self.crew.spawn(udp::serve(socket, target, view, self.crew.clone()));
                Ok(bound)
            }
        }
    }

    /// Changes all these links in one step. The returned injection counts what the change hits.
    pub fn set(&self, changes: &[(Link, Conditions)]) -> Injection {
        let mut injection = None;
        self.table.send_modify(|table| injection = Some(table.change(changes)));
        injection.expect("send_modify runs its closure")
    }
    /// Silences these links both ways: open connections neither carry nor end, new ones are never answered.
    pub fn cut(&self, links: &[Link]) -> Injection {
        self.set(&all(links, Conditions::CUT))
    }
    /// Loses whatever `from` sends to `to`, on connections opened by either; the other way still works.
    pub fn cut_one_way(&self, from: &SiteId, to: &SiteId) -> Injection {
        let [out, back] = Link::between(from, to);
        let keep = |link: &Link| self.conditions(link);
        self.set(&[
            (out.clone(), Conditions { there: Fault::Blackhole, ..keep(&out) }),
            (back.clone(), Conditions { back: Fault::Blackhole, ..keep(&back) }),
        ])
    }
    /// Lets these links pass again. Connections that lived through a blackhole are reset.
    pub fn heal(&self, links: &[Link]) {
        self.set(&all(links, Conditions::PASS));
    }
    pub fn heal_all(&self) {
        let links = self.table.borrow().links();
        self.heal(&links);
    }

    pub fn conditions(&self, link: &Link) -> Conditions {
        self.table.borrow().conditions(link)
    }
    pub fn traffic(&self, link: &Link) -> Traffic {
        let table = self.table.borrow();
        table.gauges(link).map_or_else(Traffic::default, |gauges| Traffic {
            open: gauges.open.load(Ordering::Relaxed),
            there: gauges.there.load(Ordering::Relaxed),
            back: gauges.back.load(Ordering::Relaxed),
        })
    }

    /// Closes everything and returns when the last socket is gone.
    pub async fn close(self) {
        self.crew.stop();
        self.crew.gone().await;
    }

    fn view(&self, link: &Link) -> View {
        let mut place = 0;
        self.table.send_modify(|table| place = table.index(link));
        View::new(self.table.subscribe(), place)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.crew.stop();
    }
}

fn all(links: &[Link], conditions: Conditions) -> Vec<(Link, Conditions)> {
    links.iter().map(|link| (link.clone(), conditions)).collect()
}
