//! The engine's recovery as a text for people, and as an automation of Systems Manager.
//!
//! ```text
//! engine: calls of a recovery, in their order ─► Recovery ─► Runbook ─┬─► Markdown
//!                              an ARC Region switch plan ─► (import) ─┘   └─► AWS::SSM::Document in the region moved to
//! ```
//!
//! What is called, in which order, and what is wrong with it, is the engine's word; here it gets its exact commands, the
//! checks between, and the names that things have. Nothing that the runbook needs is in the region that is left: what is
//! tried there is tried, and never waited for.

mod automation;
mod commands;
mod held;
mod made;
mod markdown;
mod names;

use model::catalogue::{ActName, CallPlane};
use model::{ComponentId, SiteId};

use crate::File;
use crate::sheet::Sheet;
use crate::value::Map;

pub use markdown::text;

/// A recovery as the engine orders it, for a workload that writes in `from`.
#[derive(Clone, PartialEq, Debug)]
pub struct Recovery {
    pub from: SiteId,
    pub to: SiteId,
    pub calls: Vec<Call>,
}

/// One call of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    pub component: ComponentId,
    pub act: ActName,
    /// As the service names it, such as `rds:PromoteReadReplica`.
    pub call: String,
    pub plane: CallPlane,
    /// The region that has to answer; `None` when it is spread over many.
    pub region: Option<String>,
    pub standing: Standing,
    /// What to do instead, where something is wrong with it.
    pub instead: Option<String>,
}

/// Whether a recovery can rely on a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Whoever answers it is there when the other region is lost; or it is said in `instead` how to do without.
    Holds,
    /// Tried at the region that is left, and never waited for.
    BestEffort,
    /// Needs what may be lost: the region that is left, or the one home of a control plane.
    Refused,
}

/// What a runbook is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// The region is lost.
    Failover,
    /// The planned return; both regions answer.
    Failback,
    /// What a plan of another system says.
    Imported,
}

/// Everything that a person needs in order to do it, and an automation too.
#[derive(Clone, PartialEq, Debug)]
pub struct Runbook {
    /// `leave-us-east-1-for-us-west-2`.
    pub name: String,
    pub title: String,
    pub purpose: Purpose,
    pub from: Option<String>,
    /// The region of AWS that is moved to, and where the automation runs.
    pub to: String,
    pub objectives: Vec<(String, String)>,
    pub criteria: Vec<String>,
    pub approval: Approval,
    pub abort: Vec<String>,
    pub before: Vec<Check>,
    /// What the commands call by a name: variable, and the command or value that gives it.
    pub names: Vec<names::Named>,
    pub steps: Vec<Step>,
    pub after: Vec<String>,
    /// What it cannot do, and what to do instead.
    pub gaps: Vec<(String, String)>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Approval {
    pub people: u32,
    pub approvers: Vec<String>,
    pub commander: Option<String>,
    pub scribe: Option<String>,
    pub stakeholders: Option<String>,
    pub template: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    pub says: String,
    pub command: Option<String>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// A name that an automation can have.
    pub id: String,
    pub says: String,
    /// Why it stands here, or what it relies on.
    pub why: String,
    pub commands: Vec<String>,
    /// The query that shows that it worked.
    pub validate: Option<String>,
    pub work: Work,
    /// Tried, and never waited for.
    pub best_effort: bool,
    /// From here on it goes only forward.
    pub commits: bool,
}

/// What an automation does for a step.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Work {
    /// Waits until somebody has done or looked at it.
    #[default]
    Person,
    /// Calls a service in the region where it runs.
    Call {
        service: &'static str,
        api: &'static str,
        inputs: Map,
        until: Option<Until>,
    },
    /// Tries something in the region that is left, gives up soon, and never fails: a program, and what it calls.
    Tried {
        region: String,
        script: &'static str,
        needs: &'static [&'static str],
        inputs: Map,
    },
    Nothing,
}

/// A property that has to have one of these values before the next step.
#[derive(Clone, PartialEq, Debug)]
pub struct Until {
    pub service: &'static str,
    pub api: &'static str,
    pub inputs: Map,
    pub selector: &'static str,
    pub wanted: &'static [&'static str],
}

/// Makes the runbooks of every recovery, and puts the automations of each region into its stack.
pub fn write(sheet: &mut Sheet<'_>, recoveries: &[Recovery]) -> Vec<File> {
    let mut files = Vec::new();
    for recovery in recoveries {
        for purpose in [Purpose::Failover, Purpose::Failback] {
            let runbook = made::make(sheet, recovery, purpose);
            let automations = automation::write(sheet, &runbook, &recovery.to);
            files.push(File::new(format!("runbooks/{}.md", runbook.name), markdown::page(&runbook, automations.len())));
            files.extend(automations);
        }
    }
    files
}
