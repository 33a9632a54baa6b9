//! One view of everything for `antipode status`, the API and the console. They show this and derive nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use model::observe::{DatabaseState, Readiness};
use model::topology::{Replication, SiteRole, WhenAlone};
use model::{ComponentId, Epoch, Person, RunId, SiteId, SiteReport, Time};
use serde::{Deserialize, Serialize};

use crate::outlook::{Outlook, outlook};
use crate::restorable::{Restorable, restorable};
use crate::runbook::run::{End, Mode, Pause, Progress, Run};
use crate::runbook::{Need, Phase};
use crate::watch::loss::{estimate, sync_record};
use crate::watch::verdict::{fresh, judge};
use crate::watch::{LossEstimate, Verdict};
use crate::workload::Workload;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    pub workload: String,
    pub artifact: String,
    pub sites: Vec<SiteStatus>,
    pub writer: Option<WriterStatus>,
    /// What a failover would meet now.
    pub failover: Outlook,
    /// What a failover to each other region would lose now; `None` when that is unknown.
    pub estimated_loss: BTreeMap<SiteId, Option<LossEstimate>>,
    /// Regions recorded to hold every acknowledged write; `None` when fewer than a majority of voters told.
    pub in_sync: Option<Vec<SiteId>>,
    /// Regions that traffic goes to, and the version of the zone that says so.
    pub routing: Option<RoutingStatus>,
    pub frozen: Option<RunId>,
    pub run: Option<RunStatus>,
    pub last_run: Option<RunStatus>,
    pub replication: Replication,
    /// What a writer that is left alone does, by the spec (asynchronous writers never wait); and what it does now.
    pub when_alone: WhenAlone,
    pub alone: Option<String>,
    /// `None` when no backups are declared.
    #[serde(default)]
    pub backup: Option<Restorable>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SiteStatus {
    pub site: SiteId,
    /// `region` or `witness`.
    pub role: String,
    pub preferred: bool,
    pub verdict: Verdict,
    pub why: Vec<String>,
    pub ready: Readiness,
    /// Age of its last report.
    pub reported: Option<Duration>,
    /// Its database in a word or two; the last known one, also when the report is stale.
    pub database: Option<String>,
    pub upstream: Option<SiteId>,
    pub lag: Option<Duration>,
    pub lag_bytes: Option<u64>,
    pub fleets: BTreeMap<ComponentId, FleetStatus>,
    /// Version of the zone it serves, and whether with TTL zero.
    pub zone: Option<(Epoch, u64)>,
    pub suspect: bool,
    pub promise_remaining: Option<Duration>,
    /// What makes it less safe than the spec says, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FleetStatus {
    pub wanted: u32,
    pub alive: u32,
    pub ready: u32,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WriterStatus {
    pub site: SiteId,
    pub epoch: Epoch,
    /// Whether its last report is fresh and says that it writes, gate open.
    pub confirmed: bool,
    /// Until the holder's own deadline, as of its last report.
    pub lease_remaining: Option<Duration>,
    pub lowest_margin: Option<Duration>,
    pub gone: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RoutingStatus {
    pub to: Vec<String>,
    pub epoch: Epoch,
    pub serial: u64,
    /// Sites whose server is known to serve an older zone.
    pub behind: Vec<SiteId>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RunStatus {
    pub run: RunId,
    pub kind: String,
    pub from: Option<SiteId>,
    pub to: SiteId,
    pub by: Option<Person>,
    pub cause: String,
    pub running_for: Duration,
    pub mode: Mode,
    pub pause: Option<Pause>,
    /// The pause in words.
    pub waits_for: Option<String>,
    pub approvals_needed: u32,
    pub approvals: Vec<Person>,
    pub loss_accepted: Vec<Person>,
    pub committed: Option<Epoch>,
    pub steps: Vec<StepStatus>,
    pub end: Option<End>,
    pub summary: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StepStatus {
    pub number: u32,
    pub group: u32,
    pub phase: Phase,
    pub title: String,
    pub what: String,
    /// `waiting`, `checking`, `running`, `in doubt`, `retrying`, `done` or `failed`.
    pub state: String,
    pub need: Need,
    pub commit_point: bool,
    pub tries: u32,
    pub note: String,
}

/// Everything known about the workload, for people.
pub fn status(state: &Workload, now: Time) -> Status {
    let home = state.writer.as_ref().map(|writer| &writer.site);
    let losses = state
        .topology
        .regions()
        .map(|s| &s.id)
        .filter(|site| Some(*site) != home)
        .filter_map(|site| home.map(|home| (site.clone(), estimate(state, home, site, now))));
    let (_, postgres) = state.topology.database();
    let alone = home.and_then(|home| fresh(state, home, now)).and_then(|r| r.database.as_ref()?.alone.as_ref());
    Status {
        workload: state.topology.workload.clone(),
        artifact: state.topology.artifact.clone(),
        sites: state.topology.sites.iter().map(|s| site_status(state, &s.id, &s.role, now)).collect(),
        writer: writer_status(state, now),
        failover: outlook(state, now),
        estimated_loss: losses.collect(),
        in_sync: sync_record(state, now).map(|record| record.in_sync),
        routing: routing_status(state),
        frozen: state.frozen,
        run: state.run.as_ref().map(|run| run_status(run, now)),
        last_run: state.last.as_ref().map(|run| run_status(run, now)),
        replication: postgres.replication,
        when_alone: postgres.when_alone,
        alone: alone.map(|alone| alone.says.clone()),
        backup: restorable(state, now),
    }
}

fn site_status(state: &Workload, site: &SiteId, role: &SiteRole, now: Time) -> SiteStatus {
    let (verdict, why) = judge(state, site, now);
    let seen = state.watch.sites.get(site);
    let report = seen.and_then(|seen| seen.report.as_deref());
    let database = report.and_then(|r| r.database.as_ref());
    let (upstream, mut lag) = match database.map(|d| &d.state) {
        Some(DatabaseState::Standby { upstream, lag, .. }) => (Some(upstream.clone()), Some(*lag)),
        _ => (None, None),
    };
    let above = upstream.as_ref().and_then(|up| fresh(state, up, now)).and_then(|r| r.database.as_ref());
    let standby = above.and_then(|d| d.standbys.iter().find(|s| s.site == *site));
    lag = lag.max(standby.map(|s| s.lag));
    let zone = report.and_then(|r| r.zones.get(state.topology.dns().0));
    let fleets = report.iter().flat_map(|r| &r.fleets).map(|(id, fleet)| {
        (id.clone(), FleetStatus { wanted: fleet.wanted, alive: fleet.alive(), ready: fleet.ready() })
    });
    SiteStatus {
        site: site.clone(),
        role: if *role == SiteRole::Witness { "witness" } else { "region" }.to_owned(),
        preferred: matches!(role, SiteRole::Region { preferred: true, .. }),
        verdict,
        why,
        ready: state.readiness.get(site).cloned().unwrap_or_default(),
        reported: seen.filter(|seen| seen.report.is_some()).map(|seen| now.since(seen.at)),
        database: database.map(|d| database_text(&d.state)),
        upstream,
        lag,
        lag_bytes: standby.map(|s| s.lag_bytes),
        fleets: fleets.collect(),
        zone: zone.map(|z| (z.epoch.clone(), z.serial)),
        suspect: zone.is_some_and(|z| z.suspect),
        promise_remaining: report.map(|r| r.voter.promise_remaining),
        findings: report.map(findings).unwrap_or_default(),
    }
}

fn findings(report: &SiteReport) -> Vec<String> {
    let lacks: Vec<_> = report.voter.lacks.iter().map(SiteId::as_str).collect();
    let voter = (!lacks.is_empty()).then(|| {
        format!("its voter lost its storage and grants nothing until it has heard from {}", lacks.join(" and "))
    });
    let glass = report.glass.as_ref().map(|glass| {
        format!(
            "{}; close it with `antipode failover --break-glass --to {} --close {}`",
            glass.text(),
            report.site,
            glass.attempt
        )
    });
    voter.into_iter().chain(glass).chain(report.database.iter().flat_map(|d| d.findings.iter().cloned())).collect()
}

fn database_text(state: &DatabaseState) -> String {
    match state {
        DatabaseState::Absent => "absent".to_owned(),
        DatabaseState::Starting => "starting".to_owned(),
        DatabaseState::Standby { receiving: true, .. } => "standby, receiving".to_owned(),
        DatabaseState::Standby { .. } => "standby, receiving nothing".to_owned(),
        DatabaseState::Writing { gate: true, .. } => "writing".to_owned(),
        DatabaseState::Writing { .. } => "writing, gate shut".to_owned(),
        DatabaseState::Busy { doing } => doing.clone(),
        DatabaseState::Fenced { why, .. } => format!("fenced: {why}"),
        DatabaseState::Failed { why, .. } => format!("failed: {why}"),
    }
}

fn writer_status(state: &Workload, now: Time) -> Option<WriterStatus> {
    let writer = state.writer.as_ref()?;
    let report = fresh(state, &writer.site, now).and_then(|r| r.database.as_ref());
    let (confirmed, lease, margin) = match report.map(|d| &d.state) {
        Some(DatabaseState::Writing { gate, remaining, lowest_margin, .. }) => {
            (*gate, Some(*remaining), Some(*lowest_margin))
        }
        _ => (false, None, None),
    };
    Some(WriterStatus {
        site: writer.site.clone(),
        epoch: writer.epoch.clone(),
        confirmed,
        lease_remaining: lease,
        lowest_margin: margin,
        gone: state.gone.as_ref().map(|(_, why)| why.clone()),
    })
}

fn routing_status(state: &Workload) -> Option<RoutingStatus> {
    let zone = state.zone.as_ref()?;
    let dns = state.topology.dns().0;
    let behind = state.watch.sites.iter().filter(|(_, seen)| {
        let served = seen.report.as_ref().and_then(|r| r.zones.get(dns));
        served.is_some_and(|served| (&served.epoch, served.serial) < zone.version())
    });
    Some(RoutingStatus {
        to: crate::routing::enabled(zone),
        epoch: zone.epoch.clone(),
        serial: zone.serial,
        behind: behind.map(|(site, _)| site.clone()).collect(),
    })
}

fn run_status(run: &Run, now: Time) -> RunStatus {
    RunStatus {
        run: run.id,
        kind: run.runbook.request.name().to_owned(),
        from: run.runbook.from.clone(),
        to: run.runbook.to.clone(),
        by: run.by.clone(),
        cause: run.cause.clone(),
        running_for: run.end.as_ref().map_or(now, |end| end.at).since(run.started),
        mode: run.mode.clone(),
        pause: run.pause.clone(),
        waits_for: run.pause.as_ref().map(|pause| pause.to_string()),
        approvals_needed: run.runbook.approvals,
        approvals: run.approvals.iter().cloned().collect(),
        loss_accepted: run.loss_accepted.iter().cloned().collect(),
        committed: run.committed.clone(),
        steps: (0..run.steps.len()).map(|number| step_status(run, number)).collect(),
        end: run.end.as_ref().map(|end| end.end),
        summary: run.end.as_ref().map(|end| end.summary.clone()),
    }
}

fn step_status(run: &Run, number: usize) -> StepStatus {
    let (step, state) = (run.step(number), &run.steps[number]);
    let word = match &state.progress {
        Progress::Waiting => "waiting",
        Progress::Checking => "checking",
        Progress::Out { inquire_at: None, .. } => "running",
        Progress::Out { .. } => "in doubt",
        Progress::RetryAt(_) => "retrying",
        Progress::Done => "done",
        Progress::Failed => "failed",
    };
    StepStatus {
        number: number as u32,
        group: step.group,
        phase: step.phase,
        title: step.title.clone(),
        what: step.work.text(),
        state: word.to_owned(),
        need: step.need,
        commit_point: step.commit_point,
        tries: state.tries,
        note: state.note.clone(),
    }
}
