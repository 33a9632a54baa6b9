//! How the workload stands: the engine's state, with ages in place of clock readings. Nothing is concluded here.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::runbook::run::{Ended, Mode, Pause, Progress, Run};
use engine::watch::{LossEstimate, Verdict};
use engine::{Runbook, Workload};
use model::observe::Readiness;
use model::{Epoch, Person, RunId, SiteId, SiteReport, Time, ZoneTable};
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    pub workload: String,
    pub artifact: String,
    /// Which start of the controller answers.
    pub generation: u64,
    /// `None` until the workload is established.
    pub writer: Option<WriterStatus>,
    pub sites: BTreeMap<SiteId, SiteStatus>,
    pub zone: Option<ZoneTable>,
    /// The run for which deployments are frozen.
    pub frozen: Option<RunId>,
    pub run: Option<RunStatus>,
    /// The run that ended last.
    pub last: Option<RunStatus>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WriterStatus {
    pub site: SiteId,
    pub epoch: Epoch,
    pub since: Duration,
    /// The writer's own word that it is gone for good.
    pub gone: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SiteStatus {
    pub verdict: Verdict,
    pub why: Vec<String>,
    /// How long the verdict has stood.
    pub since: Option<Duration>,
    pub ready: Readiness,
    pub report: Option<SiteReport>,
    /// Age of the report.
    pub age: Option<Duration>,
    /// For how long, and why, the controller's own polls have failed. No vantage point: shown only.
    pub unanswered: Option<(Duration, String)>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RunStatus {
    pub id: RunId,
    pub runbook: Runbook,
    /// `None` when the engine proposed it.
    pub by: Option<Person>,
    pub cause: String,
    pub since: Duration,
    pub approved: Vec<Person>,
    pub loss_accepted: Vec<Person>,
    pub estimate: Option<LossEstimate>,
    pub mode: Mode,
    pub pause: Option<Pause>,
    /// The runbook's steps, then the steps that take it back.
    pub steps: Vec<StepStatus>,
    pub committed: Option<Epoch>,
    pub end: Option<Ended>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StepStatus {
    pub title: String,
    /// `waiting`, `checking`, `running`, `doubtful`, `retrying`, `done` or `failed`.
    pub progress: String,
    pub tries: u32,
    pub note: String,
}

impl Status {
    pub fn of(state: &Workload, now: Time) -> Status {
        let writer = state.writer.as_ref().map(|writer| WriterStatus {
            site: writer.site.clone(),
            epoch: writer.epoch.clone(),
            since: now.since(writer.since),
            gone: state.gone.as_ref().map(|(_, why)| why.clone()),
        });
        let sites = state.topology.sites.iter().map(|site| (site.id.clone(), site_status(state, &site.id, now)));
        Status {
            workload: state.topology.workload.clone(),
            artifact: state.topology.artifact.clone(),
            generation: state.generation,
            writer,
            sites: sites.collect(),
            zone: state.zone.clone(),
            frozen: state.frozen,
            run: state.run.as_ref().map(|run| run_status(run, now)),
            last: state.last.as_ref().map(|run| run_status(run, now)),
        }
    }
}

fn site_status(state: &Workload, site: &SiteId, now: Time) -> SiteStatus {
    let judged = state.verdicts.get(site);
    let seen = state.watch.sites.get(site);
    let report = seen.and_then(|seen| seen.report.as_deref());
    SiteStatus {
        verdict: state.verdict(site),
        why: judged.map(|judged| judged.why.clone()).unwrap_or_default(),
        since: judged.map(|judged| now.since(judged.since)),
        ready: state.readiness.get(site).cloned().unwrap_or_default(),
        report: report.cloned(),
        age: seen.filter(|_| report.is_some()).map(|seen| now.since(seen.at)),
        unanswered: seen.and_then(|s| s.unanswered.as_ref()).map(|(since, why)| (now.since(*since), why.clone())),
    }
}

fn run_status(run: &Run, now: Time) -> RunStatus {
    let titles = run.runbook.steps.iter().chain(&run.undo).map(|step| step.title.clone());
    let steps = titles.zip(&run.steps).map(|(title, step)| StepStatus {
        title,
        progress: progress(&step.progress).to_string(),
        tries: step.tries,
        note: step.note.clone(),
    });
    RunStatus {
        id: run.id,
        runbook: run.runbook.as_ref().clone(),
        by: run.by.clone(),
        cause: run.cause.clone(),
        since: now.since(run.started),
        approved: run.approvals.iter().cloned().collect(),
        loss_accepted: run.loss_accepted.iter().cloned().collect(),
        estimate: run.estimate.clone(),
        mode: run.mode.clone(),
        pause: run.pause.clone(),
        steps: steps.collect(),
        committed: run.committed.clone(),
        end: run.end.clone(),
    }
}

fn progress(progress: &Progress) -> &'static str {
    match progress {
        Progress::Waiting => "waiting",
        Progress::Checking => "checking",
        Progress::Out { inquire_at: None, .. } => "running",
        Progress::Out { inquire_at: Some(_), .. } => "doubtful",
        Progress::RetryAt(_) => "retrying",
        Progress::Done => "done",
        Progress::Failed => "failed",
    }
}
