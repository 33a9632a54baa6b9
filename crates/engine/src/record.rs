//! Every change of state, as it stands in the journal. State is the fold of these (see [`crate::apply`]).
//!
//! Watch transitions are records, samples are not. Times are on the controller's boot-time clock.

use std::sync::Arc;
use std::time::Duration;

use model::observe::Readiness;
use model::time::human;
use model::{ActError, Action, AttemptId, Epoch, GlassReport, Outcome, Person, RunId, SiteId, Time, Verb, ZoneTable};
use serde::{Deserialize, Serialize};

use crate::runbook::run::{End, Mode, Pause};
use crate::runbook::{Runbook, Step};
use crate::watch::{LossEstimate, Verdict};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "record")]
pub enum Record {
    /// A controller took over the journal.
    Restarted {
        generation: u64,
        rebooted: bool,
        at: Time,
    },
    VerdictChanged {
        site: SiteId,
        verdict: Verdict,
        why: Vec<String>,
        at: Time,
    },
    ReadinessChanged {
        site: SiteId,
        ready: Readiness,
        at: Time,
    },
    /// A site writes in a newer epoch than any known before.
    WriterSeen {
        site: SiteId,
        epoch: Epoch,
        at: Time,
    },
    /// People broke the glass in a region that was left alone, by its report; or (`None`) closed it.
    GlassBroken {
        site: SiteId,
        glass: Option<GlassReport>,
        at: Time,
    },
    /// The writer's own report says that it is gone for good, or (`None`) no longer says so.
    WriterGone {
        site: SiteId,
        why: Option<String>,
        at: Time,
    },
    /// The writer's region serves nobody, by its own report, or (`None`) serves again.
    ServiceChanged {
        site: SiteId,
        unready: Option<String>,
        at: Time,
    },
    RunStarted {
        run: RunId,
        runbook: Arc<Runbook>,
        by: Option<Person>,
        cause: String,
        base: Epoch,
        estimate: Option<LossEstimate>,
        receipts: Vec<model::Receipt>,
        at: Time,
    },
    /// Deployments are frozen for a run, or (`None`) free again.
    Frozen {
        run: Option<RunId>,
    },
    Approved {
        run: RunId,
        by: Person,
        accept_loss: bool,
    },
    Paused {
        run: RunId,
        pause: Pause,
        at: Time,
    },
    Resumed {
        run: RunId,
        why: String,
        at: Time,
    },
    /// A check began to be evaluated.
    CheckStarted {
        run: RunId,
        step: u32,
        at: Time,
    },
    CheckEnded {
        run: RunId,
        step: u32,
        passed: bool,
        why: String,
        at: Time,
    },
    /// An order goes out. `deadline` is what the agent may take.
    AttemptStarted {
        attempt: AttemptId,
        action: Action,
        deadline: Duration,
        at: Time,
    },
    /// Nobody knows how an attempt ended; its agent is asked at `inquire_at`.
    AttemptDoubted {
        attempt: AttemptId,
        why: String,
        inquire_at: Time,
    },
    /// The agent said something on the way.
    AttemptNoted {
        attempt: AttemptId,
        note: String,
    },
    /// `retry_at` is there when the step will be tried again.
    AttemptEnded {
        attempt: AttemptId,
        outcome: Outcome,
        retry_at: Option<Time>,
        at: Time,
    },
    /// The agent never received this attempt; the step starts again with a new one at `retry_at`.
    AttemptLost {
        attempt: AttemptId,
        retry_at: Option<Time>,
        at: Time,
    },
    /// A paused step is to be tried again from the beginning.
    StepReset {
        run: RunId,
        step: u32,
        at: Time,
    },
    /// The target holds the new epoch: from here the run goes only forward.
    Committed {
        run: RunId,
        epoch: Epoch,
        at: Time,
    },
    /// The zone that every DNS server shall serve from now on.
    ZoneChosen {
        zone: ZoneTable,
    },
    ModeChanged {
        run: RunId,
        mode: Mode,
        at: Time,
    },
    UndoPlanned {
        run: RunId,
        steps: Vec<Step>,
    },
    RunEnded {
        run: RunId,
        end: End,
        summary: String,
        at: Time,
    },
    /// Housekeeping outside any run: a DNS server is brought up to date.
    ChoreStarted {
        attempt: AttemptId,
        action: Action,
        at: Time,
    },
    ChoreEnded {
        attempt: AttemptId,
        outcome: Outcome,
        at: Time,
    },
}

impl Record {
    /// One line for people.
    pub fn text(&self) -> String {
        match self {
            Record::Restarted { generation, rebooted, .. } => {
                let how = if *rebooted { " after a reboot; durations begin anew" } else { "" };
                format!("controller started, generation {generation}{how}")
            }
            Record::VerdictChanged { site, verdict, why, .. } => format!("{site} is {verdict}: {}", why.join("; ")),
            Record::ReadinessChanged { site, ready, .. } => match ready {
                Readiness::Ready => format!("{site} is ready for traffic"),
                Readiness::NotReady { why } => format!("{site} is not ready for traffic: {why}"),
                Readiness::Unknown => format!("whether {site} is ready for traffic is unknown"),
            },
            Record::WriterSeen { site, epoch, .. } => format!("{site} writes in epoch {epoch}"),
            Record::GlassBroken { site, glass: Some(glass), .. } => {
                let why = glass.why.join("; ");
                format!("{site}: {}; they said: {why}; they accepted to {}", glass.text(), glass.loss)
            }
            Record::GlassBroken { site, glass: None, .. } => format!("the glass at {site} is closed"),
            Record::WriterGone { site, why: Some(why), .. } => format!("the writer at {site} is gone: {why}"),
            Record::WriterGone { site, why: None, .. } => {
                format!("the writer at {site} no longer says that it is gone")
            }
            Record::ServiceChanged { site, unready: Some(why), .. } => format!("{site} serves nobody: {why}"),
            Record::ServiceChanged { site, unready: None, .. } => format!("{site} serves again"),
            Record::Frozen { run: Some(run) } => format!("deployments are frozen for {run}"),
            Record::Frozen { run: None } => "deployments are free again".to_owned(),
            Record::ZoneChosen { zone } => {
                format!("traffic shall go to {}", crate::routing::enabled(zone).join(", "))
            }
            Record::ChoreStarted { attempt, action, .. } => format!("{attempt}: {}", action_text(action)),
            Record::ChoreEnded { attempt, outcome, .. } => format!("{attempt}: {}", outcome_text(outcome)),
            other => other.run_text(),
        }
    }

    fn run_text(&self) -> String {
        match self {
            Record::RunStarted { run, runbook, by, cause, .. } => {
                let way = runbook.from.as_ref().map_or(String::new(), |from| format!(" from {from}"));
                let why = if by.is_some() { cause.clone() } else { format!("proposed by the controller: {cause}") };
                format!("{run}: {}{way} to {}, {why}", runbook.request, runbook.to)
            }
            Record::Approved { run, by, accept_loss: false } => format!("{run}: approved by {by}"),
            Record::Approved { run, by, accept_loss: true } => format!("{run}: {by} accepts the loss"),
            Record::Paused { run, pause, .. } => format!("{run}: paused: {pause}"),
            Record::Resumed { run, why, .. } => format!("{run}: goes on: {why}"),
            Record::Committed { run, epoch, .. } => {
                format!("{run}: commit point: {} writes in epoch {epoch}; from here only forward", epoch.site)
            }
            Record::ModeChanged { run, mode: Mode::Forward, .. } => format!("{run}: goes forward"),
            Record::ModeChanged { run, mode: Mode::Stopping { why, .. }, .. } => format!("{run}: stopping: {why}"),
            Record::ModeChanged { run, mode: Mode::Undoing { why, .. }, .. } => format!("{run}: undoing: {why}"),
            Record::UndoPlanned { run, steps } if steps.is_empty() => format!("{run}: nothing to undo"),
            Record::UndoPlanned { run, steps } => {
                let titles: Vec<_> = steps.iter().map(|s| s.title.as_str()).collect();
                format!("{run}: to undo: {}", titles.join("; "))
            }
            Record::RunEnded { run, end, summary, .. } => format!("{run}: {end}: {summary}"),
            other => other.step_text(),
        }
    }

    fn step_text(&self) -> String {
        match self {
            Record::CheckStarted { run, step, .. } => format!("{run}: step {step}: checking"),
            Record::CheckEnded { run, step, passed, why, .. } => {
                format!("{run}: step {step}: {}: {why}", if *passed { "passed" } else { "failed" })
            }
            Record::AttemptStarted { attempt, action, deadline, .. } => {
                format!("{attempt}: {}, within {}", action_text(action), human(*deadline))
            }
            Record::AttemptDoubted { attempt, why, .. } => {
                format!("{attempt}: its end is unknown: {why}; asking the agent")
            }
            Record::AttemptNoted { attempt, note } => format!("{attempt}: {note}"),
            Record::AttemptEnded { attempt, outcome, retry_at, .. } => {
                let then = if retry_at.is_some() { "; will be tried again" } else { "" };
                format!("{attempt}: {}{then}", outcome_text(outcome))
            }
            Record::AttemptLost { attempt, .. } => format!("{attempt}: never reached its agent"),
            Record::StepReset { run, step, .. } => format!("{run}: step {step}: from the beginning"),
            _ => String::new(),
        }
    }
}

/// An act as it stands in plans and journals.
pub fn action_text(action: &Action) -> String {
    let what = match &action.verb {
        Verb::Fence { clean: true } => "fence cleanly".to_owned(),
        Verb::Follow { upstream } => format!("follow {upstream}"),
        Verb::Restore { to, .. } => format!("restore to {to}"),
        Verb::Scale { instances } => format!("scale to {instances}"),
        Verb::Route { zone } => format!("route to {}", crate::routing::enabled(zone).join(", ")),
        Verb::Suspect { on } => format!("suspect {}", if *on { "on" } else { "off" }),
        Verb::Exercise { write: true } => "exercise a write".to_owned(),
        verb => verb.name().to_owned(),
    };
    format!("{what} · {} at {}", action.component, action.site)
}

fn outcome_text(outcome: &Outcome) -> String {
    let with = |word: &str, note: &str| if note.is_empty() { word.to_owned() } else { format!("{word}: {note}") };
    match outcome {
        Outcome::Done(evidence) => with("done", &evidence.note),
        Outcome::AlreadyDone(evidence) => with("already so", &evidence.note),
        Outcome::Refused { why } => with("refused", why),
        Outcome::Failed(ActError::Transient(why)) => with("failed for now", why),
        Outcome::Failed(ActError::Permanent(why)) => with("failed", why),
        Outcome::Failed(ActError::Unknown(why)) => with("may have happened", why),
    }
}
