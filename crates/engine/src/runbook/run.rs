//! The state of one execution of a runbook, as folded from the journal.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use model::{AttemptId, Epoch, Lsn, Person, Receipt, RunId, SiteId, Time, Verb};
use serde::{Deserialize, Serialize};

use super::{Runbook, Step};
use crate::watch::LossEstimate;

#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    pub id: RunId,
    pub runbook: Arc<Runbook>,
    /// Who asked; `None` when the engine proposed it.
    pub by: Option<Person>,
    pub cause: String,
    pub started: Time,
    /// The highest epoch known when the run started.
    pub base: Epoch,
    pub approvals: BTreeSet<Person>,
    pub loss_accepted: BTreeSet<Person>,
    pub mode: Mode,
    pub pause: Option<Pause>,
    /// The runbook's steps, then the undo steps.
    pub steps: Vec<StepState>,
    pub undo: Vec<Step>,
    /// The new writer's epoch, once the commit point has passed.
    pub committed: Option<Epoch>,
    pub receipts: Vec<Receipt>,
    /// Where the old writer's log ended, from a clean fence.
    pub position: Option<Lsn>,
    /// What was known of the loss when the run started; serves when a restart has forgotten the observations.
    pub estimate: Option<LossEstimate>,
    pub end: Option<Ended>,
}

/// Which way a run goes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Forward,
    /// Attempts are cancelled and inquired after, until each one's end is known.
    Stopping {
        as_end: End,
        why: String,
    },
    Undoing {
        as_end: End,
        why: String,
    },
}

/// Why a run waits for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "for")]
pub enum Pause {
    Approval {
        need: u32,
    },
    /// What may be lost is more than the objective allows, or the old writer is not known to be gone.
    AcceptLoss {
        need: u32,
        estimate: String,
    },
    /// A step failed and cannot be taken back; an approval tries it again.
    Trouble {
        step: u32,
        why: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Succeeded,
    Failed,
    Aborted,
    /// Proposed by the engine, and no longer needed.
    Withdrawn,
    Superseded,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ended {
    pub end: End,
    pub at: Time,
    pub summary: String,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct StepState {
    pub progress: Progress,
    /// When the deadline began to count.
    pub since: Option<Time>,
    pub tries: u32,
    pub note: String,
    /// The last try ended without anybody knowing whether it happened.
    pub doubtful: bool,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub enum Progress {
    #[default]
    Waiting,
    Checking,
    /// An order is out. With `inquire_at` its end is in doubt, and the agent is asked at that time.
    Out {
        attempt: AttemptId,
        site: SiteId,
        inquire_at: Option<Time>,
    },
    RetryAt(Time),
    Done,
    Failed,
}

impl Run {
    /// The steps that the present mode works on, by number.
    pub fn track(&self) -> Range<usize> {
        let forward = self.runbook.steps.len();
        if matches!(self.mode, Mode::Undoing { .. }) { forward..self.steps.len() } else { 0..forward }
    }

    pub fn step(&self, number: usize) -> &Step {
        let forward = &self.runbook.steps;
        forward.get(number).unwrap_or_else(|| &self.undo[number - forward.len()])
    }

    /// The promotion: its number and state.
    pub fn commit_step(&self) -> Option<usize> {
        self.runbook.steps.iter().position(|step| step.commit_point)
    }

    /// An order to promote is out, so that the commit point may have passed without our knowing.
    pub fn commit_in_flight(&self) -> bool {
        let state = self.commit_step().map(|number| &self.steps[number].progress);
        self.committed.is_none() && matches!(state, Some(Progress::Out { .. }))
    }

    /// The undo has ordered the old writer of `site` to write again. Where a restore's target is that very site, an epoch
    /// won there is the old writer's from then on: nothing of the run itself was out any more when its undo was planned.
    pub fn brings_back(&self, site: &SiteId) -> bool {
        let undo = self.undo.iter().zip(&self.steps[self.runbook.steps.len()..]);
        let promotes = |step: &Step| {
            step.action().is_some_and(|action| action.site == *site && matches!(action.verb, Verb::Promote { .. }))
        };
        undo.into_iter().any(|(step, state)| state.tries > 0 && promotes(step))
    }

    pub fn approved(&self) -> bool {
        self.approvals.len() >= self.runbook.approvals as usize
    }

    /// Orders that are out, on either track.
    pub fn out(&self) -> impl Iterator<Item = (usize, AttemptId, &SiteId)> {
        self.steps.iter().enumerate().filter_map(|(number, state)| match &state.progress {
            Progress::Out { attempt, site, .. } => Some((number, *attempt, site)),
            _ => None,
        })
    }

    /// Whether anything that needs approval has begun.
    pub fn gate_passed(&self) -> bool {
        let steps = self.runbook.steps.iter().zip(&self.steps);
        steps.into_iter().any(|(step, state)| step.gated && state.since.is_some())
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            End::Succeeded => "succeeded",
            End::Failed => "failed",
            End::Aborted => "aborted",
            End::Withdrawn => "withdrawn",
            End::Superseded => "superseded",
        })
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pause::Approval { need } => write!(f, "waits for {need} approval(s)"),
            Pause::AcceptLoss { need, estimate } => {
                write!(f, "waits for {need} different people to accept the loss: {estimate}")
            }
            Pause::Trouble { step, why } => write!(f, "step {step}: {why}; an approval tries it again"),
        }
    }
}
