//! What can be done, and how it ends.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backup::RestoreTo;
use crate::{AttemptId, ComponentId, Epoch, Lsn, Receipt, RunId, SiteId, ZoneTable};

/// An act on one component, carried out by the agent of `site`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Action {
    pub site: SiteId,
    pub component: ComponentId,
    pub verb: Verb,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Verb {
    /// Database: create an empty data directory where there is none.
    Initialise,
    /// Database: stop the writer and prove it. `clean` waits for clients' transactions and for the standby to have
    /// all of the write-ahead log (switchover); otherwise everything is killed at once. Done carries a receipt.
    Fence { clean: bool },
    /// Database: acquire the next epoch from a majority of voters, promote, open the gate. The acquisition is the
    /// commit point. `receipts` release the old writer's promise early; `at_least` is the old writer's end of log
    /// (switchover: nothing may be missing). Done carries the epoch.
    Promote { receipts: Vec<Receipt>, at_least: Option<Lsn>, accept_loss: Option<AcceptLoss> },
    /// Database: become a standby of `upstream`: rewind, or copy anew where rewind cannot serve. Rows only this
    /// side has are exported first.
    Follow { upstream: SiteId },
    /// Database: bring the archive up to now: a commit of our own marks the end, and everything before it is in the
    /// vault when this is done. Done carries the position.
    Archive,
    /// Database: make a new data directory from the vault, as the database was at `to`, and put the present one aside as
    /// `before-restore-<run>`. It ends stopped, on a timeline of its own, and writes only once it is promoted.
    Restore { run: RunId, to: RestoreTo },
    /// Database: undo of `Restore`: the directory that was put aside is in its place again.
    PutBack { run: RunId },
    /// Fleet: run this many instances, spread over the zones.
    Scale { instances: u32 },
    /// DNS: swap the whole zone, unless it is older than the one served.
    Route { zone: ZoneTable },
    /// DNS: serve TTL zero while a fault is suspected.
    Suspect { on: bool },
    /// Fleet: send a real request through the regional load balancer. `write` proves the writer too.
    Exercise { write: bool },
}

impl Verb {
    /// The verb as it stands in plans and journals.
    pub fn name(&self) -> &'static str {
        match self {
            Verb::Initialise => "initialise",
            Verb::Fence { .. } => "fence",
            Verb::Promote { .. } => "promote",
            Verb::Follow { .. } => "follow",
            Verb::Archive => "archive",
            Verb::Restore { .. } => "restore",
            Verb::PutBack { .. } => "put back",
            Verb::Scale { .. } => "scale",
            Verb::Route { .. } => "route",
            Verb::Suspect { .. } => "suspect",
            Verb::Exercise { .. } => "exercise",
        }
    }
}

/// The recorded override of two people who accept that acknowledged writes may be lost (DESIGN.md, invariants 1 and 3).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AcceptLoss {
    pub by: Vec<crate::Person>,
    pub estimate: String,
}

/// What an agent needs to refuse an order that comes late: after an abort, from an old controller, or twice.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    pub id: AttemptId,
    /// The highest epoch that the controller knew when it gave the order. An agent that knows a newer one refuses.
    pub epoch: Epoch,
    /// Grows with each start of a controller. An agent refuses a lower one than it has seen.
    pub generation: u64,
    /// How long the agent may take, from receipt.
    pub deadline: Duration,
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "end")]
pub enum Outcome {
    Done(Evidence),
    /// The world was already as asked.
    AlreadyDone(Evidence),
    /// The agent will not, and nothing was changed.
    Refused {
        why: String,
    },
    Failed(ActError),
}

impl Outcome {
    pub fn evidence(&self) -> Option<&Evidence> {
        match self {
            Outcome::Done(evidence) | Outcome::AlreadyDone(evidence) => Some(evidence),
            _ => None,
        }
    }
}

/// What an act leaves to be recorded; each verb fills what it has.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Box<Receipt>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Lsn>,
    /// Named parts of the act and how long each took, in the order they happened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<(String, Duration)>,
    /// Of an old writer that follows: what only it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<Box<Export>>,
}

/// What only an old writer had, on its site's disk before it was given up (SAFETY.md item 13).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Export {
    /// A folder at that site.
    pub place: String,
    /// Transactions that committed only there; `None` when its log could not be read.
    pub transactions: Option<u64>,
    /// `None` when rows could not be compared: then the whole data directory is at `place`.
    pub rows: Option<ExportedRows>,
}

/// Rows that an old writer wrote after the divergence, by what the new writer has in their place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ExportedRows {
    /// Written here, and its key is missing there.
    pub only_here: u64,
    /// Written here, and there under the same key with another content.
    pub differs: u64,
    /// Deleted here, and still there.
    pub gone_here: u64,
    /// Written here, and the same there: not exported.
    pub same: u64,
}

impl ExportedRows {
    /// Lines of `rows.jsonl`.
    pub fn exported(&self) -> u64 {
        self.only_here + self.differs + self.gone_here
    }
}

impl std::ops::AddAssign for ExportedRows {
    fn add_assign(&mut self, other: Self) {
        self.only_here += other.only_here;
        self.differs += other.differs;
        self.gone_here += other.gone_here;
        self.same += other.same;
    }
}

impl std::fmt::Display for ExportedRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { only_here, differs, gone_here, .. } = self;
        write!(f, "{only_here} rows only there, {differs} that differ, {gone_here} deleted there")
    }
}

impl Evidence {
    pub fn note(note: impl Into<String>) -> Self {
        Self { note: note.into(), ..Self::default() }
    }
}

/// What went wrong with an act.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "kind", content = "why")]
pub enum ActError {
    /// Did not happen; the same try may succeed later.
    #[error("{0}")]
    Transient(String),
    /// Did not happen, and will not by trying again.
    #[error("{0}")]
    Permanent(String),
    /// May have happened: observe before trying again.
    #[error("{0}")]
    Unknown(String),
}
