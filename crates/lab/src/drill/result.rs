//! From what happened to the result: phases, curves, checks, evidence and the page.

use std::sync::Arc;
use std::time::Duration;

use controller::journal::Line;
use engine::Record;
use model::observe::Readiness;
use model::{ActError, AttemptId, Outcome, RunId, Time, Verb};
use serde_json::json;

use super::story::Story;
use super::watcher::Watcher;
use super::{Course, DrillError, Plan, checks, exports, open_evidence, wound};
use crate::evidence::Kind;
use crate::ledger::{self, Fault, History, Measurement, Recovery};
use crate::report::{
    Audit, Client, DrillResult, FaultMark, JournalLine, LagSample, Objectives, Percent, Phases, Rto, Seconds, StepBar,
    StepEnd, Timeline, Verdict, Writes, html, since_fault,
};

/// Width of a bar in the report's chart of writes.
const BUCKET: Duration = Duration::from_millis(250);
/// What an availability is a share of.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

pub fn assemble(
    plan: &Plan,
    story: Story,
    watched: Arc<Watcher>,
    began: Time,
    wall: String,
) -> Result<DrillResult, DrillError> {
    let history = ledger::read(&plan.out.join("ledger.jsonl"))?;
    let fault_at = story.fault_at.unwrap_or_else(ledger::now);
    let until = story.until.unwrap_or_else(ledger::now);
    let recovery = match plan.drill.course() {
        Course::Failover | Course::Move => Recovery::NewEpoch { above: story.old_epoch },
        Course::Stay => Recovery::SameWriter,
    };
    let over = story.healed_at.filter(|_| plan.drill.course() == Course::Stay);
    let measured = ledger::measure(&history, &Fault { at: fault_at, until, recovery, over });
    let clients: Vec<Client> = measured.clients.iter().map(Client::from).collect();
    let writes = Writes::new(
        &clients,
        story.after_failover.as_ref().map(Audit::from),
        story.after_failback.as_ref().map(Audit::from),
    );
    let objectives = objectives(plan, &story, &history, &measured, fault_at);
    let lines = watched.lines();
    let exported = exports::read(&plan.out.join("exports"), &history, &story, &lines);
    let mut checks = checks::all(plan, &story, &history, &measured, &objectives);
    checks.extend(checks::exported(plan, &exports::lost(&story), &exported));
    checks.push(checks::history(plan, &story, &history, &lines));
    let passed = checks.iter().all(|check| check.passed);
    let rto = Rto::from(&measured);
    let (_, postgres) = plan.topology.database();
    let mut result = DrillResult {
        drill: plan.drill.name().into(),
        verdict: if passed { Verdict::Passed } else { Verdict::Failed },
        reasons: checks::reasons(&checks, &objectives, writes.lost),
        workload: plan.topology.workload.clone(),
        profile: plan.topology.timing.profile.clone(),
        replication: word(&postgres.replication),
        antipode: env!("CARGO_PKG_VERSION").into(),
        began: wall,
        took_seconds: ledger::now().since(began).into(),
        phases_seconds: phases(&lines, story.failover, fault_at, &rto),
        rto_seconds: rto,
        writes,
        exports: exported.unwrap_or_default(),
        objectives,
        clients,
        smallest_lease_margin_seconds: watched.margin().map(Seconds::from),
        checks,
        evidence: plan.out.join("evidence.jsonl").display().to_string(),
        seal: None,
        timeline: timeline(plan, &story, &history, &watched, fault_at),
        journal: lines.iter().map(|(line, record)| journal_line(line, record, fault_at)).collect(),
    };
    result.seal = Some(write_evidence(plan, &story, &measured, &lines, &result)?);
    write(plan, "report.html", &html(&result)?)?;
    write(plan, "result.json", &serde_json::to_string_pretty(&result).expect("a result is JSON"))?;
    Ok(result)
}

pub(super) fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn write(plan: &Plan, name: &str, text: &str) -> Result<(), DrillError> {
    let path = plan.out.join(name);
    std::fs::write(&path, text).map_err(|source| DrillError::File { doing: "write", path, source })
}

fn objectives(plan: &Plan, story: &Story, history: &History, measured: &Measurement, fault_at: Time) -> Objectives {
    let asked = &plan.topology.objectives;
    let rto = measured.rto.get(&ledger::ClientKind::TtlHonouring).copied().flatten();
    let rpo = story.after_failover.as_ref().map(|audit| checks::recovery_point(history, &audit.lost, fault_at));
    let honouring = measured
        .clients
        .iter()
        .find(|client| client.kind == ledger::ClientKind::TtlHonouring && client.place == ledger::Place::Outside);
    let service = honouring.map(|client| client.service).filter(|service| service.due > 0);
    let unserved_allowed = asked.availability.map(|percent| MONTH.mul_f64((100.0 - percent).clamp(0.0, 100.0) / 100.0));
    // Every client outside that saw the recovery; without the one for which it is promised, nothing is met.
    let outside = measured.clients.iter().filter(|client| client.place == ledger::Place::Outside);
    let added = outside.filter_map(ledger::ClientResult::added_latency).reduce(f64::max);
    let added = honouring.and_then(ledger::ClientResult::added_latency).and(added);
    Objectives {
        availability_asked_percent: asked.availability,
        availability_measured_percent: service.and_then(|service| service.availability()).map(Percent::of_share),
        unserved_allowed_seconds: unserved_allowed.map(Seconds::from),
        unserved_measured_seconds: service.map(|service| service.unserved().into()),
        availability_met: unserved_allowed.map(|allowed| service.is_some_and(|service| service.unserved() <= allowed)),
        added_latency_asked_seconds: asked.added_latency.into(),
        added_latency_measured_seconds: added.map(Seconds::new),
        added_latency_met: added.is_some_and(|added| added < asked.added_latency.as_secs_f64()),
        rto_asked_seconds: asked.rto.into(),
        rto_measured_seconds: rto.map(Seconds::from),
        rto_met: rto.is_some_and(|rto| rto <= asked.rto),
        rpo_asked_seconds: asked.rpo.into(),
        rpo_measured_seconds: rpo.map(Seconds::from),
        rpo_met: rpo.is_some_and(|rpo| rpo <= asked.rpo),
    }
}

/// How the failover went, from the journal of the controller; all on the machine's one clock.
fn phases(lines: &[(Line, Record)], run: Option<RunId>, fault: Time, rto: &Rto) -> Phases {
    let at = |found: &dyn Fn(&Record) -> bool| {
        lines.iter().find(|(line, record)| line.at >= fault && found(record)).map(|(line, _)| line.at)
    };
    let detected = at(&|record| {
        matches!(record, Record::VerdictChanged { verdict: engine::watch::Verdict::Unreachable, .. })
            || matches!(
                record,
                Record::WriterGone { why: Some(_), .. } | Record::ServiceChanged { unready: Some(_), .. }
            )
    });
    let decided = at(&|record| matches!(record, Record::RunStarted { run: started, .. } if Some(*started) == run));
    let promote = promotion(lines, run);
    let part = |name: &str| {
        promote.as_ref().and_then(|phases| phases.iter().find(|(n, _)| n == name)).map(|(_, took)| (*took).into())
    };
    Phases {
        detect: detected.map(|at| since_fault(at, fault)),
        decide: decided.map(|at| at.since(detected.unwrap_or(fault)).into()),
        fence: part("lease"),
        promote: part("promotion"),
        route: routed(lines, run),
        client_observed: rto.ttl_honouring,
    }
}

/// The parts of the promotion that made the new epoch.
fn promotion(lines: &[(Line, Record)], run: Option<RunId>) -> Option<Vec<(String, Duration)>> {
    lines.iter().find_map(|(_, record)| match record {
        Record::AttemptEnded { attempt, outcome, .. } if Some(attempt.run) == run => {
            outcome.evidence().filter(|evidence| evidence.epoch.is_some()).map(|evidence| evidence.phases.clone())
        }
        _ => None,
    })
}

/// From the first order to route until the last server that acknowledged.
fn routed(lines: &[(Line, Record)], run: Option<RunId>) -> Option<Seconds> {
    let mut open: Vec<(AttemptId, Time)> = Vec::new();
    let mut last = None;
    for (line, record) in lines {
        match record {
            Record::AttemptStarted { attempt, action, .. }
                if Some(attempt.run) == run && matches!(action.verb, Verb::Route { .. }) =>
            {
                open.push((*attempt, line.at));
            }
            Record::AttemptEnded { attempt, outcome, .. }
                if outcome.evidence().is_some() && open.iter().any(|(id, _)| id == attempt) =>
            {
                last = Some(line.at);
            }
            _ => {}
        }
    }
    let first = open.iter().map(|(_, at)| *at).min()?;
    Some(last?.since(first).into())
}

fn timeline(plan: &Plan, story: &Story, history: &History, watched: &Watcher, fault: Time) -> Timeline {
    let regions: Vec<_> = plan.topology.regions().map(|site| site.id.clone()).collect();
    let mut timeline = Timeline::of_writes(&ledger::series(history, BUCKET), fault, &regions);
    timeline.lag = watched
        .lags()
        .into_iter()
        .map(|lag| LagSample {
            at: since_fault(lag.at, fault),
            site: lag.site,
            lag: lag.lag.map(Seconds::from),
            bytes: lag.bytes,
        })
        .collect();
    if story.fault_at.is_some() {
        let healed = story.healed_at.map(|at| since_fault(at, fault));
        timeline.faults.push(FaultMark { at: Seconds::new(0.0), healed, name: plan.drill.name().into() });
    }
    timeline.steps = steps(&watched.lines(), fault);
    timeline
}

/// Every attempt as a bar; checks are instants and stay in the journal.
fn steps(lines: &[(Line, Record)], fault: Time) -> Vec<StepBar> {
    let mut bars: Vec<(AttemptId, StepBar)> = Vec::new();
    for (line, record) in lines {
        match record {
            Record::AttemptStarted { attempt, action, .. } if attempt.run.0 > 0 => bars.push((
                *attempt,
                StepBar {
                    run: attempt.run.to_string(),
                    name: action.verb.name().into(),
                    site: action.site.clone(),
                    from: since_fault(line.at, fault),
                    to: None,
                    end: StepEnd::Running,
                    commit_point: matches!(action.verb, Verb::Promote { .. }),
                    note: String::new(),
                },
            )),
            Record::AttemptEnded { attempt, outcome, .. } => {
                if let Some((_, bar)) = bars.iter_mut().find(|(id, _)| id == attempt) {
                    bar.to = Some(since_fault(line.at, fault));
                    (bar.end, bar.note) = end_of(outcome);
                }
            }
            // What a run did not wait for ends with it, as far as the run is concerned.
            Record::RunEnded { run, .. } => {
                for (_, bar) in bars.iter_mut().filter(|(id, bar)| id.run == *run && bar.to.is_none()) {
                    (bar.to, bar.end) = (Some(since_fault(line.at, fault)), StepEnd::Skipped);
                }
            }
            _ => {}
        }
    }
    bars.into_iter().map(|(_, bar)| bar).collect()
}

fn end_of(outcome: &Outcome) -> (StepEnd, String) {
    match outcome {
        Outcome::Done(evidence) | Outcome::AlreadyDone(evidence) => (StepEnd::Done, evidence.note.clone()),
        Outcome::Refused { why } => (StepEnd::Failed, why.clone()),
        Outcome::Failed(ActError::Transient(why) | ActError::Permanent(why) | ActError::Unknown(why)) => {
            (StepEnd::Failed, why.clone())
        }
    }
}

fn journal_line(line: &Line, record: &Record, fault: Time) -> JournalLine {
    let why = match record {
        Record::VerdictChanged { why, .. } => why.join("; "),
        Record::RunStarted { cause, .. } => cause.clone(),
        Record::CheckEnded { why, .. } | Record::Resumed { why, .. } => why.clone(),
        Record::ReadinessChanged { ready: Readiness::NotReady { why }, .. } => why.clone(),
        _ => String::new(),
    };
    JournalLine { at: since_fault(line.at, fault), what: record.text(), why }
}

/// Everything in one chained file: an auditor needs nothing else to check what is claimed.
fn write_evidence(
    plan: &Plan,
    story: &Story,
    measured: &Measurement,
    lines: &[(Line, Record)],
    result: &DrillResult,
) -> Result<crate::evidence::Seal, DrillError> {
    let mut writer = open_evidence(plan)?;
    writer.append(Kind::Fault, &wound::describe(plan.drill, &story.hit))?;
    writer.append_all(Kind::Record, lines.iter().map(|(line, _)| line))?;
    writer
        .append(Kind::Ledger, &json!({ "measured": measured, "writes": result.writes, "exports": result.exports }))?;
    writer
        .append(Kind::Phases, &json!({ "rto_seconds": result.rto_seconds, "phases_seconds": result.phases_seconds }))?;
    writer.append(Kind::Cleanup, &json!({ "left": story.leftovers }))?;
    writer.append(
        Kind::Verdict,
        &json!({ "verdict": result.verdict, "reasons": result.reasons, "checks": result.checks }),
    )?;
    Ok(writer.finish()?)
}
