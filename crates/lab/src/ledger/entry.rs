//! One line of the ledger.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use model::{SiteId, Time};
use serde::{Deserialize, Serialize};

/// The first line: who writes, and how it behaves. Published with the results, since an RTO means little without it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Header {
    pub drill: String,
    pub clients: Vec<ClientPlan>,
}

/// How a client treats names and connections.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// Asks again when an answer's time to live has passed.
    TtlHonouring,
    /// Keeps answers longer than it may, as old Java runtimes do.
    TtlStretching,
    /// Resolves once and keeps that address for ever. May have no RTO.
    Pinned,
}

impl ClientKind {
    pub const ALL: [ClientKind; 3] = [ClientKind::TtlHonouring, ClientKind::TtlStretching, ClientKind::Pinned];

    pub fn name(self) -> &'static str {
        match self {
            ClientKind::TtlHonouring => "ttl_honouring",
            ClientKind::TtlStretching => "ttl_stretching",
            ClientKind::Pinned => "pinned",
        }
    }
}

/// From where a client sees the workload.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    Outside,
    /// In a region: still served there when the region is cut off.
    Inside(SiteId),
}

/// One open-loop client: every `every` it sends one write, whatever became of the ones before.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ClientPlan {
    /// Unique in the drill, 1 to 40 of `a-z0-9_-`: it becomes part of keys and rows.
    pub name: String,
    pub kind: ClientKind,
    pub place: Place,
    /// DNS servers, tried in turn from the one that answered last.
    pub dns: Vec<SocketAddr>,
    /// The name that is resolved, and the port that is called at its addresses.
    pub host: String,
    pub port: u16,
    /// Where an answered address is reached from this client's place, when not at itself.
    pub address_map: BTreeMap<Ipv4Addr, Ipv4Addr>,
    pub habits: Habits,
}

/// The behaviour of a plausible client application: these are not the workload's timings, which are in its spec.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Habits {
    /// Time between two sends.
    pub every: Duration,
    /// Longest that one attempt may take.
    pub request_timeout: Duration,
    /// Longest that one DNS server may take.
    pub dns_timeout: Duration,
    /// A failed write is tried again with the same key after this long, then twice as long, up to eight times it.
    pub retry_after: Duration,
    /// No further attempt this long after the write was first sent.
    pub give_up: Duration,
    /// The stretching client keeps an answer at least this long.
    pub stretch: Duration,
    /// A write that would make more than this many outstanding is refused by the client itself, and logged so.
    pub max_in_flight: usize,
    /// Of so many writes one moves a case of the client's own on instead of opening one; 0 for none.
    #[serde(default)]
    pub moves: u64,
    /// With each so many writes the client also reads a case of its own; 0 for none.
    #[serde(default)]
    pub reads: u64,
}

impl Default for Habits {
    /// 25 writes/s, one second per attempt, ten seconds of retries: long enough that writes caught by a fault are
    /// tried again across a failover. Thirty seconds of stretching is a Java runtime's default.
    fn default() -> Self {
        Self {
            every: Duration::from_millis(40),
            request_timeout: Duration::from_secs(1),
            dns_timeout: Duration::from_millis(300),
            retry_after: Duration::from_millis(200),
            give_up: Duration::from_secs(10),
            stretch: Duration::from_secs(30),
            max_in_flight: 512,
            moves: 0,
            reads: 0,
        }
    }
}

/// One numbered write of one client.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct WriteId {
    pub client: Arc<str>,
    pub seq: u64,
}

impl WriteId {
    pub fn new(client: &str, seq: u64) -> Self {
        Self { client: client.into(), seq }
    }

    /// As [`Display`](fmt::Display) writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let (client, seq) = text.rsplit_once('-')?;
        Some(Self::new(client, seq.parse().ok()?))
    }
}

/// Also the write's Idempotency-Key.
impl fmt::Display for WriteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.client, self.seq)
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// When it happened, by the ledger's clock ([`super::now`]).
    pub at: Time,
    #[serde(flatten)]
    pub write: WriteId,
    #[serde(flatten)]
    pub event: Event,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Event {
    /// A case is to be opened.
    Sent,
    /// A case of the client's own is to be moved on: a write as well.
    Moving(Move),
    /// No write: an answer about a case of the client's own. A read that failed saw nothing, and is not noted.
    Read(Read),
    /// No write, if all is well: a move of a case that the client had moved on before, under a key that no write has.
    Stale(Stale),
    /// One attempt failed; others may follow.
    Failed(Attempt),
    /// The last word on this write: it took effect.
    Acknowledged(Acknowledgement),
    /// The last word: no attempt took effect.
    Refused { why: String },
    /// The last word: some attempt may have taken effect.
    Unknown { why: String },
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Move {
    pub case: String,
    /// It takes effect only on this version of the case, and makes the next one.
    pub expected: u64,
    /// The state that it asks for, in the service's words.
    pub to: String,
}

/// A case as a client saw it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seen {
    pub version: u64,
    pub state: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Read {
    pub started: Time,
    pub case: String,
    /// Of the writer that answered.
    pub writer_epoch: u64,
    /// `None`: there is no such case.
    pub seen: Option<Seen>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stale {
    pub started: Time,
    #[serde(flatten)]
    pub asked: Move,
    /// Of the writer that answered.
    pub writer_epoch: u64,
    /// Whether it took effect, which it must not.
    pub accepted: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    pub started: Time,
    /// Where it went; `None` when the name did not resolve.
    pub address: Option<SocketAddr>,
    /// Whether it may have taken effect.
    pub unknown: bool,
    pub why: String,
}

/// What the service said of a write that took effect.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Number of the attempt that was acknowledged, from 1.
    pub attempt: u32,
    /// When that attempt started.
    pub started: Time,
    pub address: SocketAddr,
    /// Region of the instance that answered.
    pub site: String,
    pub case: String,
    /// Of the row: the writer's epoch when the write took effect.
    pub epoch: u64,
    /// The writer's epoch when it answered; above `epoch` when a stored answer was given again after a failover.
    pub writer_epoch: u64,
    pub lsn: String,
    /// The answer had been stored by an earlier attempt.
    pub replayed: bool,
    /// What the service says that it made of the case.
    #[serde(flatten)]
    pub seen: Seen,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_flat_and_reads_back() {
        let entry = Entry { at: Time(7), write: WriteId::new("pinned", 3), event: Event::Refused { why: "no".into() } };
        let line = serde_json::to_string(&entry).unwrap();
        assert_eq!(line, r#"{"at":7,"client":"pinned","seq":3,"is":"refused","why":"no"}"#);
        assert_eq!(serde_json::from_str::<Entry>(&line).unwrap(), entry);
    }
}
