//! Runbooks: immutable plans, how they are made, and how they are carried out.
//!
//! Steps run in sequence with parallel groups. A step is an act of an agent, or a check that the engine evaluates
//! on observations until it passes or its deadline ends.

use std::time::Duration;

use model::backup::RestoreTo;
use model::depends::{Dependency, DependencyPlane, Home};
use model::topology::StepDeadlines;
use model::{Action, SiteId, Verb};
use serde::{Deserialize, Serialize};

use crate::protocol::Request;

mod advance;
mod ask;
mod attempt;
pub mod check;
pub mod guard;
pub mod plan;
mod restore;
pub mod run;
mod steps;
mod stop;

/// One immutable plan.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Runbook {
    pub request: Request,
    /// The region being left; `None` on the first start.
    pub from: Option<SiteId>,
    pub to: SiteId,
    /// How many different people must agree before the first gated step.
    pub approvals: u32,
    pub steps: Vec<Step>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    pub title: String,
    pub phase: Phase,
    /// Steps of one group run in parallel; groups run in ascending order.
    pub group: u32,
    pub work: Work,
    pub need: Need,
    /// After this step the run goes only forward.
    pub commit_point: bool,
    /// Starts only with the approvals.
    pub gated: bool,
    pub depends: Vec<Depends>,
    /// From its first start, all tries together.
    pub deadline: Duration,
    /// Takes the step back, before the commit point.
    pub undo: Option<Action>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    PreCheck,
    Step,
    PostCheck,
    Undo,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    Act(Action),
    Check(Check),
}

/// Whether the run waits for a step, and fails with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    Required,
    /// Required for as long as the site's verdict is up; otherwise reported, and reconciled when the site returns.
    WhileUp,
    /// Tried and recorded, never waited for.
    BestEffort,
}

/// What the engine verifies on its observations.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "check")]
pub enum Check {
    /// The region being left is unreachable by majority, or its own report says that its writer is gone.
    IncidentScope { site: SiteId },
    /// The region may hold this class of data.
    Residency { site: SiteId },
    /// The region answers, and its database is a standby.
    Standby { site: SiteId },
    /// What would be lost is within the recovery point objective.
    WithinRpo { from: SiteId, to: SiteId },
    /// Every secret is present, and equal to what other regions have.
    Secrets { site: SiteId },
    /// The region runs the declared artifact.
    Artifact { site: SiteId },
    /// Deployments are frozen for this run.
    Frozen,
    /// The region is up and reports.
    Healthy { site: SiteId },
    /// The region has been up for as long as a failback asks.
    HealthyFor { site: SiteId },
    /// The region's database writes, gate open.
    Writing { site: SiteId },
    /// The region's standby streams from `upstream` with little lag.
    Streaming { site: SiteId, upstream: SiteId },
    /// Enough instances run to take the peak, ready or not.
    CapacityAlive { site: SiteId },
    /// Enough instances are ready to take the peak.
    CapacityReady { site: SiteId },
    /// No site reports that it writes in an older epoch.
    NoOldWriter { site: SiteId },
    /// No site writes, and none holds data of an earlier writer.
    Unwritten,
    /// A backup can be taken to that moment; what the archive does not have yet, the writer can still give it.
    Covered { to: RestoreTo, writer: SiteId },
    /// People accept that everything after that moment is taken back.
    LossOf { to: RestoreTo },
}

/// What a step needs to be alive (static stability).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Depends {
    pub on: DependsOn,
    /// `control` or `data`.
    pub plane: String,
    pub required: bool,
    pub what: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DependsOn {
    Site(SiteId),
    VoterMajority,
    /// The site that keeps the backups.
    Vault,
}

impl From<Dependency> for Depends {
    fn from(from: Dependency) -> Self {
        let on = match from.on {
            Home::Site(site) => DependsOn::Site(site),
            Home::VoterMajority => DependsOn::VoterMajority,
            Home::Vault => DependsOn::Vault,
        };
        let plane = match from.plane {
            DependencyPlane::Control => "control",
            DependencyPlane::Data => "data",
        };
        Depends { on, plane: plane.to_owned(), required: from.required, what: from.what.to_owned() }
    }
}

impl Work {
    /// How long this kind of work may take, all tries together.
    pub fn deadline(&self, deadlines: &StepDeadlines) -> Duration {
        let Work::Act(action) = self else { return deadlines.check };
        match &action.verb {
            Verb::Initialise | Verb::Follow { .. } => deadlines.follow,
            // Each copies as much as a standby that is made anew.
            Verb::Archive | Verb::Restore { .. } => deadlines.follow,
            Verb::Fence { .. } | Verb::PutBack { .. } => deadlines.fence,
            Verb::Promote { .. } => deadlines.promote,
            Verb::Scale { .. } => deadlines.scale,
            Verb::Route { .. } | Verb::Suspect { .. } => deadlines.route,
            Verb::Exercise { .. } => deadlines.exercise,
        }
    }
}

impl Work {
    /// What it does, as people read it.
    pub fn text(&self) -> String {
        match self {
            Work::Act(action) => crate::record::action_text(action),
            Work::Check(check) => check.text(),
        }
    }
}

impl Step {
    pub fn action(&self) -> Option<&Action> {
        match &self.work {
            Work::Act(action) => Some(action),
            Work::Check(_) => None,
        }
    }

    pub fn check(&self) -> Option<&Check> {
        match &self.work {
            Work::Check(check) => Some(check),
            Work::Act(_) => None,
        }
    }

    /// The site that the step is about.
    pub fn site(&self) -> Option<&SiteId> {
        match &self.work {
            Work::Act(action) => Some(&action.site),
            Work::Check(check) => check.site(),
        }
    }
}
