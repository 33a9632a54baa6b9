//! The writer's lease: what is asked of a voter, what it answers, and the receipt of a fenced writer.
//!
//! How these are used, and why they are safe, is in `engine::lease` and `engine::writer`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Epoch, Lsn, SiteId};

/// What a would-be or present writer asks of one voter. The asker is the site of `epoch`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "ask")]
pub enum LeaseRequest {
    /// Would you grant this epoch? Nothing is promised: a candidate that cannot win must not raise epochs,
    /// because a voter that has promised it can no longer renew the healthy writer.
    Sound { epoch: Epoch, receipts: Vec<Receipt> },
    /// Promise this epoch to me, durably, and nobody else until it lapses.
    Acquire { epoch: Epoch, receipts: Vec<Receipt> },
    /// Extend the promise of an epoch that I hold.
    Renew { epoch: Epoch },
    /// I am fenced: forget the promise to me, so that a successor need not wait for it to lapse.
    Release { receipt: Receipt },
    /// Compare-and-set of the in-sync standbys under my epoch: `record.version` must be one above the stored one.
    RecordSync { epoch: Epoch, record: SyncRecord },
    /// Two people gave me the right to write in this epoch: every other site is dead, they say. Promise it to me, whatever
    /// you promised to them, and take over my in-sync record (SAFETY.md item 14).
    BreakGlass { epoch: Epoch, record: SyncRecord },
    /// What do you know? Asked by a voter that lost its storage; nothing is promised.
    Recall,
}

/// A voter's answer. `highest` and `sync` always tell what the voter durably knows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeaseReply {
    pub highest: Epoch,
    pub sync: SyncRecord,
    /// `None` when granted.
    pub refused: Option<Refusal>,
}

impl LeaseReply {
    pub fn granted(&self) -> bool {
        self.refused.is_none()
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "because")]
pub enum Refusal {
    #[error("the lease is promised to {to} for another {}", crate::time::human(*.remaining))]
    Promised { to: Epoch, remaining: Duration },
    #[error("the voter restarted and waits another {} before it grants a new epoch", crate::time::human(*.remaining))]
    Quiet { remaining: Duration },
    #[error("a newer epoch {highest} exists")]
    OldEpoch { highest: Epoch },
    #[error("two people gave the right to write to {} in epoch {}", .epoch.site, .epoch.number)]
    GlassBroken { epoch: Epoch },
    #[error("the in-sync record moved on to version {version}")]
    SyncMoved { version: u64 },
    #[error("the voter lost its storage and has yet to hear from {}", listed(.lacks))]
    Amnesiac { lacks: Vec<SiteId> },
}

fn listed(sites: &[SiteId]) -> String {
    sites.iter().map(SiteId::as_str).collect::<Vec<_>>().join(" and ")
}

/// Which standbys hold every acknowledged write. Only these may be promoted without an override when the
/// workload's RPO is zero (SAFETY.md item 8).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SyncRecord {
    pub version: u64,
    pub in_sync: Vec<SiteId>,
}

/// A statement by the old writer's agent that it can no longer write in any epoch up to `epoch`: the epoch is
/// durably raised, the gate is shut and every process of the data directory is gone (SAFETY.md item 5).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Receipt {
    pub workload: String,
    pub site: SiteId,
    pub epoch: Epoch,
    /// Where the write-ahead log ended, when the server was stopped cleanly and this is known.
    pub end: Option<Lsn>,
    /// Ed25519 over [`Receipt::signed_text`], in hexadecimal.
    pub signature: String,
}

impl Receipt {
    /// The text that the signature covers.
    pub fn signed_text(&self) -> String {
        let end = self.end.map(|lsn| lsn.to_string()).unwrap_or_default();
        format!(
            "antipode fence receipt v1\n{}\n{}\n{}\n{}\n{end}",
            self.workload, self.site, self.epoch.number, self.epoch.site
        )
    }
    /// Whether this releases a promise made to `epoch`.
    pub fn covers(&self, epoch: &Epoch) -> bool {
        self.site == epoch.site && *epoch <= self.epoch
    }
}
