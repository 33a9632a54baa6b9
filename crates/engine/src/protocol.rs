//! What the shells (controller, simulator) say to the engine, and what it answers.
//!
//! The shell's loop, for each event: [`observe`](crate::observe) it, [`step`](crate::step), persist the records,
//! [`apply`](crate::apply) each, then perform the effects. `step` changes nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use model::backup::RestoreTo;
use model::{Action, Attempt, AttemptId, Outcome, Person, RunId, SiteId, SiteReport, Time};
use serde::{Deserialize, Serialize};

pub use crate::record::Record;

/// Each region's load balancer as clients see it: what the zone's names resolve to.
pub type RoutingAddresses = BTreeMap<SiteId, Vec<Ipv4Addr>>;

/// Something that happened. Events may come late, twice or reordered: the engine ignores what it no longer awaits.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// Time passed: [`Decision::wake_at`] came, or the shell's own beat.
    Tick,
    /// The shell started. `generation` grows with each start; `rebooted` means that the clock began anew, so that
    /// every stored duration restarts whole.
    Started {
        generation: u64,
        rebooted: bool,
    },
    Reported {
        report: Arc<SiteReport>,
    },
    /// A poll of the site's agent failed.
    Unanswered {
        site: SiteId,
        why: String,
    },
    Requested {
        request: Request,
        by: Person,
    },
    /// Agreement to what the run waits for: its start, its loss (`accept_loss`), or another try of what failed.
    Approved {
        run: RunId,
        by: Person,
        accept_loss: bool,
    },
    Aborted {
        run: RunId,
        by: Person,
        why: String,
    },
    Progress {
        attempt: AttemptId,
        note: String,
    },
    Ended {
        attempt: AttemptId,
        outcome: Outcome,
    },
    Inquired {
        attempt: AttemptId,
        answer: Inquiry,
    },
}

/// What an agent knows of an attempt.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "outcome")]
pub enum Inquiry {
    NeverSeen,
    Running,
    Ended(Outcome),
}

/// What somebody may ask for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "request")]
pub enum Request {
    /// The first start of a workload.
    Establish,
    /// Unplanned. `to` defaults to the best other region. `accept_loss` is the requester's own consent to lose
    /// acknowledged writes; others must give theirs.
    Failover { to: Option<SiteId>, accept_loss: bool },
    /// Planned, nothing lost.
    Switchover { to: Option<SiteId> },
    /// The planned return to the preferred region.
    Failback,
    /// The database as it was at a moment of its past, from a backup, in `site` or where it is now. Everything written
    /// since is taken back, which two people must accept; `accept_loss` is the requester's own consent.
    Restore {
        to: RestoreTo,
        #[serde(default)]
        site: Option<SiteId>,
        #[serde(default)]
        accept_loss: bool,
    },
}

impl Request {
    pub fn name(&self) -> &'static str {
        match self {
            Request::Establish => "establish",
            Request::Failover { .. } => "failover",
            Request::Switchover { .. } => "switchover",
            Request::Failback => "failback",
            Request::Restore { .. } => "restore",
        }
    }
    /// Whether it may take back acknowledged writes, which people must accept.
    pub fn may_lose(&self) -> bool {
        matches!(self, Request::Failover { .. } | Request::Restore { .. })
    }
    /// Whether the requester accepts that.
    pub fn accepts_loss(&self) -> bool {
        matches!(self, Request::Failover { accept_loss: true, .. } | Request::Restore { accept_loss: true, .. })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Restore { to, .. } => write!(f, "restore of {to}"),
            other => f.write_str(other.name()),
        }
    }
}

/// What the engine decided upon one event.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Decision {
    /// Persist and apply these, in order, before any effect.
    pub records: Vec<Record>,
    pub effects: Vec<Effect>,
    /// Send a `Tick` at this time at the latest.
    pub wake_at: Option<Time>,
    /// The reasons, for people.
    pub why: Vec<String>,
    /// The event was a request that cannot be granted; nothing changed on its account.
    pub refused: Option<Refused>,
}

/// Why a request, approval or abort cannot be granted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// Stable; names the page in docs/errors/ and the exit code.
    pub code: &'static str,
    pub why: String,
    pub hint: String,
}

impl Refused {
    pub fn new(code: &'static str, why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, why: why.into(), hint: hint.into() }
    }
}

/// What the shell must do. Effects may be lost in a crash; [`resume`](crate::resume) finds out what became of them.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "effect")]
pub enum Effect {
    /// Order the agent of `action.site`; its answer comes back as [`Event::Ended`]. An agent that cannot be reached
    /// ends the attempt with `Transient` when the order surely never left, and with `Unknown` otherwise.
    Act { attempt: Attempt, action: Action },
    /// Ask the agent what became of an attempt. No answer needs no event: the engine asks again.
    Inquire { attempt: AttemptId, site: SiteId },
    /// Ask the agent to give an attempt up if it still can.
    Cancel { attempt: AttemptId, site: SiteId },
    /// Fetch the site's report now instead of at the next poll; a run waits for it.
    Observe { site: SiteId },
    /// Tell people.
    Notify { text: String },
}
