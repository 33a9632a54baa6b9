//! What a link does to the bytes on it, and what each fault has hit.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::SiteId;
use serde::{Deserialize, Serialize};

/// Everything that `from` opens towards `to`. A site pair has two links, one for each side that opens connections.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Link {
    pub from: SiteId,
    pub to: SiteId,
}

impl Link {
    pub fn new(from: &SiteId, to: &SiteId) -> Self {
        Self { from: from.clone(), to: to.clone() }
    }
    /// Both links of a pair of sites.
    pub fn between(a: &SiteId, b: &SiteId) -> [Self; 2] {
        [Self::new(a, b), Self::new(b, a)]
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}→{}", self.from, self.to)
    }
}

/// Where bytes go, seen from the side that opened the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the opener to the target: requests.
    There,
    /// From the target to the opener: answers.
    Back,
}

/// What happens to one direction of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum Fault {
    #[default]
    Pass,
    /// Everything arrives `delay` later, plus up to `jitter`. Streams keep their order, datagrams may not.
    Latency { delay: Duration, jitter: Duration },
    /// At most this many bytes a second for each connection; at least 1.
    Slow { bytes_per_second: u64 },
    /// Nothing arrives, and nobody is told.
    Blackhole,
}

/// What a link does now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Conditions {
    pub there: Fault,
    pub back: Fault,
}

impl Conditions {
    pub const PASS: Self = Self { there: Fault::Pass, back: Fault::Pass };
    /// Silent both ways.
    pub const CUT: Self = Self { there: Fault::Blackhole, back: Fault::Blackhole };

    /// The same fault both ways.
    pub fn both(fault: Fault) -> Self {
        Self { there: fault, back: fault }
    }
    pub fn of(&self, direction: Direction) -> Fault {
        match direction {
            Direction::There => self.there,
            Direction::Back => self.back,
        }
    }
    pub(super) fn silent_somewhere(&self) -> bool {
        self.there == Fault::Blackhole || self.back == Fault::Blackhole
    }
}

/// What a fault has hit so far. All zero means that the fault proved nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Hits {
    /// Connections that were open when the fault began.
    pub connections: u64,
    /// Connections that were opened into a blackhole and never answered.
    pub unanswered: u64,
    /// Bytes that were dropped.
    pub bytes_dropped: u64,
    /// Datagrams that were dropped.
    pub packets_dropped: u64,
    /// Bytes that were delayed or slowed down.
    pub bytes_delayed: u64,
}

impl Hits {
    /// Whether the fault did anything to anybody: bytes or datagrams dropped or delayed, or a connection refused an
    /// answer. An idle connection that went silent unnoticed does not count.
    pub fn any(&self) -> bool {
        self.unanswered + self.bytes_dropped + self.packets_dropped + self.bytes_delayed > 0
    }
}

#[derive(Default, Debug)]
pub(super) struct Counters {
    connections: AtomicU64,
    unanswered: AtomicU64,
    bytes_dropped: AtomicU64,
    packets_dropped: AtomicU64,
    bytes_delayed: AtomicU64,
}

impl Counters {
    pub fn unanswered(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }
    pub fn dropped(&self, bytes: usize) {
        self.bytes_dropped.fetch_add(bytes as u64, Ordering::Relaxed);
    }
    pub fn dropped_packet(&self, bytes: usize) {
        self.packets_dropped.fetch_add(1, Ordering::Relaxed);
        self.dropped(bytes);
    }
    pub fn delayed(&self, bytes: usize) {
        self.bytes_delayed.fetch_add(bytes as u64, Ordering::Relaxed);
    }
    fn hits(&self) -> Hits {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Hits {
            connections: get(&self.connections),
            unanswered: get(&self.unanswered),
            bytes_dropped: get(&self.bytes_dropped),
            packets_dropped: get(&self.packets_dropped),
            bytes_delayed: get(&self.bytes_delayed),
        }
    }
}

/// One change of the network, and what it has hit since. Counts go on until the links are changed again, and stay
/// readable after that.
#[derive(Clone, Debug)]
pub struct Injection {
    pub(super) counters: Arc<Counters>,
}

impl Injection {
    pub(super) fn new(connections: u64) -> Self {
        let counters = Counters { connections: AtomicU64::new(connections), ..Counters::default() };
        Self { counters: Arc::new(counters) }
    }
    pub fn hits(&self) -> Hits {
        self.counters.hits()
    }
}
