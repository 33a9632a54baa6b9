//! What is seen of the sites, and what may be concluded from it.
//!
//! Intuition: a controller that cannot hear a site knows nothing of it. Three vantage points that tried and failed
//! know something, and only their majority is called *unreachable*. Rejected: the controller's own polls as a vantage
//! point (it sits at one site, whose links would count twice); failure of the last try alone (a single lost packet);
//! the age of the last answer (a vantage point that stopped trying would accuse everybody).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::{Epoch, Lsn, SiteId, SiteReport, Time};
use serde::{Deserialize, Serialize};

pub mod loss;
mod see;
pub mod verdict;

pub(crate) use see::transitions;

/// Whether a site can be reached at all (shallow).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing fresh is known. Never the same as down.
    #[default]
    Unknown,
    Up,
    /// Some vantage point has failed for a while.
    Suspected,
    /// A majority of vantage points tried and failed for as long as the timing says.
    Unreachable,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Unknown => "unknown",
            Verdict::Up => "up",
            Verdict::Suspected => "suspected",
            Verdict::Unreachable => "unreachable",
        })
    }
}

/// The volatile part of the state: the last report of each site and when it came. Empty after a restart.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Watch {
    pub sites: BTreeMap<SiteId, Sighting>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Sighting {
    pub report: Option<Arc<SiteReport>>,
    /// When the report arrived.
    pub at: Time,
    /// The controller's own polls have failed since then; shown, never a vantage point.
    pub unanswered: Option<(Time, String)>,
    /// The last time the site said that it writes.
    pub wrote: Option<Wrote>,
    /// Since when its reports have said, with a receipt, that its writer is stopped.
    pub stopped: Option<Time>,
    /// The latest time until which this site's voter may still be bound to the present writer.
    pub promised_until: Option<Time>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Wrote {
    pub at: Time,
    pub epoch: Epoch,
    pub position: Lsn,
    /// The standbys that it has named in this epoch. Until another epoch they follow its history and no other; the last
    /// report of a server that dies names none, because their connections end first.
    pub lag: BTreeMap<SiteId, Lag>,
}

/// How far a standby was behind when the writer last named it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lag {
    pub at: Time,
    pub time: Duration,
}

/// How much acknowledged data a failover may lose (SAFETY.md item 9).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LossEstimate {
    /// Write-ahead log that the target had not received when the writer last reported.
    pub lag_bytes: u64,
    pub lag: Duration,
    /// From the writer's last report until it can no longer have acknowledged anything.
    pub silent: Duration,
    /// The two together: what is held against the recovery point objective.
    pub total: Duration,
    pub why: String,
}
