//! What must hold for a drill to prove anything, and to have gone well.

use std::collections::BTreeSet;
use std::time::Duration;

use controller::journal::Line;
use engine::{Record, Request};
use model::time::human;

use super::story::Story;
use super::{Course, Drill, Plan};
use crate::ledger::{Audit, End, History, Measurement, WriteId, anomaly};
use crate::report::{Check, Exported, Objectives};

fn check(name: &str, passed: bool, why: impl Into<String>) -> Check {
    Check { name: name.into(), passed, why: why.into() }
}

/// Within the objective, or within what people were told and agreed to.
fn recovery_point_kept(story: &Story, objectives: &Objectives) -> Check {
    let measured = objectives.rpo_measured_seconds.map(|seconds| Duration::from_secs_f64(seconds.get().max(0.0)));
    match (story.accepted_loss, measured) {
        (Some(accepted), Some(measured)) => {
            let why = format!("{} was lost; two people had agreed to {}", human(measured), human(accepted));
            check("recovery point", measured <= accepted, why)
        }
        _ if objectives.rpo_met => check("recovery point", true, "within the objective"),
        _ => check("recovery point", false, "not within the objective"),
    }
}

/// All checks, in the order of the drill.
pub fn all(
    plan: &Plan,
    story: &Story,
    history: &History,
    measured: &Measurement,
    objectives: &Objectives,
) -> Vec<Check> {
    let mut checks = vec![ran(story), hit(story), in_flight(measured)];
    checks.extend(seen(plan, history, measured, story));
    checks.push(one_writer(history));
    checks.extend([audited("after failover", &story.after_failover), audited("after failback", &story.after_failback)]);
    checks.extend(nothing_lost(plan, story));
    let met = if objectives.rto_met { "within the objective" } else { "not within the objective" };
    checks.push(check("recovery time", objectives.rto_met, met));
    checks.push(recovery_point_kept(story, objectives));
    checks.extend(availability(objectives));
    checks.extend(added_latency(objectives));
    checks.extend(story.own_checks.iter().cloned());
    checks.push(match &story.back_home {
        Some(Ok(())) => check("first topology", true, "writer, standby, fleets and traffic are as before"),
        Some(Err(why)) => check("first topology", false, why.clone()),
        None => check("first topology", false, "the drill did not get that far"),
    });
    let left =
        if story.leftovers.is_empty() { "no process and no file is left".into() } else { story.leftovers.join("; ") };
    checks.push(check("clean-up", story.leftovers.is_empty(), left));
    checks
}

/// One such disaster must leave a month within the objective; nothing is asked of a drill when the spec asks nothing.
fn availability(objectives: &Objectives) -> Option<Check> {
    let (percent, met) = (objectives.availability_asked_percent?, objectives.availability_met?);
    let why = match (objectives.unserved_measured_seconds, objectives.unserved_allowed_seconds) {
        (Some(unserved), Some(allowed)) => {
            format!("{unserved} without service; {percent}% leaves {allowed} in 30 days")
        }
        _ => "no write was sent long enough before the end".into(),
    };
    Some(check("availability", met, why))
}

/// None when it could not be measured: that service came back at all is checked by the recovery time.
fn added_latency(objectives: &Objectives) -> Option<Check> {
    let (added, bound) = (objectives.added_latency_measured_seconds?, objectives.added_latency_asked_seconds);
    let why = format!("{added} more for the median write after the recovery; below {bound} is asked");
    Some(check("added latency", objectives.added_latency_met, why))
}

fn ran(story: &Story) -> Check {
    match &story.stopped {
        None => check("ran to its end", true, "fault, failover, failback"),
        Some(why) => check("ran to its end", false, why.clone()),
    }
}

fn hit(story: &Story) -> Check {
    match &story.hit {
        Some((hit, what)) => check("the fault hit something", *hit, what.clone()),
        None => check("the fault hit something", false, "it was not looked at"),
    }
}

fn in_flight(measured: &Measurement) -> Check {
    let count = measured.in_flight_at_fault;
    check("writes under way at the fault", count > 0, format!("{count} were outstanding"))
}

/// A planned move may be too quick for a client to notice: then writes acknowledged in the new epoch show it. A fault
/// that the region deals with may not reach a client at all: then the drill's own checks must show it.
fn seen(plan: &Plan, history: &History, measured: &Measurement, story: &Story) -> Option<Check> {
    let name = "clients saw it";
    let (passed, why) = match plan.drill.course() {
        Course::Stay => return None,
        Course::Move => {
            let newer = |write: &crate::ledger::Write| {
                write.acknowledged().is_some_and(|(_, said)| said.writer_epoch > story.old_epoch)
            };
            match history.writes.values().any(newer) {
                true => (true, "writes were acknowledged in the new epoch".to_owned()),
                false => (false, "no write reached the new writer".to_owned()),
            }
        }
        Course::Failover => {
            let saw: Vec<&str> = measured.clients.iter().filter(|c| c.saw_outage).map(|c| c.client.as_str()).collect();
            let why = if saw.is_empty() { "no client saw an outage".into() } else { saw.join(", ") };
            (measured.anyone_saw_outage, why)
        }
    };
    Some(check(name, passed, why))
}

/// No write is acknowledged in an epoch after one was acknowledged in a newer epoch: all clients share one clock.
fn one_writer(history: &History) -> Check {
    let mut acknowledged: Vec<_> = history
        .writes
        .iter()
        .filter_map(|(id, write)| match &write.end {
            Some((at, End::Acknowledged(said))) => Some((*at, said.writer_epoch, id)),
            _ => None,
        })
        .collect();
    acknowledged.sort();
    let mut newest = 0;
    for (at, epoch, id) in &acknowledged {
        if *epoch < newest {
            let why = format!("{id} was acknowledged in epoch {epoch} at {at}, after epoch {newest} had begun");
            return check("one writer at a time", false, why);
        }
        newest = newest.max(*epoch);
    }
    check(
        "one writer at a time",
        newest > 0,
        format!("{} acknowledgements, epochs never went back", acknowledged.len()),
    )
}

fn audited(when: &str, audit: &Option<Audit>) -> Check {
    let name = format!("audit {when}");
    match audit {
        None => check(&name, false, "the ledger was not compared with the database"),
        Some(audit) => {
            let why = format!(
                "{} acknowledged, {} lost, {} twice, {} refused but there",
                audit.acknowledged,
                audit.lost.len(),
                audit.duplicates.len(),
                audit.refused_present.len()
            );
            check(&name, audit.is_consistent(), why)
        }
    }
}

/// A planned move, and synchronous replication, promise that nothing acknowledged is lost; a failback always does.
fn nothing_lost(plan: &Plan, story: &Story) -> Option<Check> {
    let (_, postgres) = plan.topology.database();
    let strict =
        plan.drill.course() != Course::Failover || postgres.replication == model::topology::Replication::Synchronous;
    let (failover, failback) = (story.after_failover.as_ref()?, story.after_failback.as_ref()?);
    let new: Vec<String> =
        failback.lost.iter().filter(|id| !failover.lost.contains(id)).map(ToString::to_string).collect();
    if !new.is_empty() {
        return Some(check("nothing lost in the failback", false, format!("lost: {}", new.join(", "))));
    }
    let lost = failover.lost.len();
    let passed = !strict || lost == 0;
    let promise = if strict { "nothing acknowledged may be lost" } else { "asynchronous: only the failover may lose" };
    Some(check(
        "no loss beyond the promise",
        passed,
        format!("{promise}; lost in the failover: {lost}, in the failback: 0"),
    ))
}

/// What was lost is exactly what the old writer exported before it gave it up (SAFETY.md item 13).
pub fn exported(plan: &Plan, lost: &BTreeSet<WriteId>, exports: &Result<Vec<Exported>, String>) -> Option<Check> {
    let name = "exported what was lost";
    if plan.drill == Drill::Rebuild {
        // The disks are gone, and with them all that only they had.
        return None;
    }
    let exports = match exports {
        Ok(exports) => exports,
        Err(why) => return Some(check(name, false, why.clone())),
    };
    let synchronous = plan.topology.database().1.replication == model::topology::Replication::Synchronous;
    let must = plan.drill == Drill::RegionPartition && !synchronous;
    if lost.is_empty() && exports.is_empty() && !must {
        return None;
    }
    let (passed, why) = exported_all(lost, exports, must);
    Some(check(name, passed, why))
}

fn exported_all(lost: &BTreeSet<WriteId>, exports: &[Exported], must: bool) -> (bool, String) {
    if let Some(whole) = exports.iter().find(|export| export.rows.is_none()) {
        let why = format!("the rows could not be compared; {} kept its whole data directory", whole.site);
        return (!must, why);
    }
    let lost: BTreeSet<String> = lost.iter().map(ToString::to_string).collect();
    let of = |ids: fn(&Exported) -> &Vec<String>| exports.iter().flat_map(|e| ids(e).iter().cloned()).collect();
    let found: BTreeSet<String> = of(|export| &export.lost_ids);
    let wrong: BTreeSet<String> = of(|export| &export.wrong_ids);
    let some = |ids: &mut dyn Iterator<Item = &String>| ids.take(5).cloned().collect::<Vec<_>>().join(", ");
    if found != lost {
        return (false, format!("lost and not exported: {}", some(&mut lost.difference(&found))));
    }
    if !wrong.is_empty() {
        return (false, format!("exported, and nobody may have written them: {}", some(&mut wrong.iter())));
    }
    let unacknowledged: BTreeSet<String> = of(|export| &export.unacknowledged_ids);
    let why = format!("all {} lost writes, by id; {} more were never acknowledged", found.len(), unacknowledged.len());
    (!must || !found.is_empty(), why)
}

/// No client saw what no right execution could have shown it: [`anomaly`](crate::ledger::anomaly).
pub fn history(plan: &Plan, story: &Story, history: &History, lines: &[(Line, Record)]) -> Check {
    let name = "history";
    let Some(end) = &story.at_the_end else {
        return check(name, false, "the clients' histories were not compared with the cases");
    };
    let verdict = anomaly::check(history, &end.rows, &end.cases, &losing(plan, lines));
    let anomaly::Verdict { found, writes, moves, reads, stale, within_loss } = &verdict;
    let looked = format!(
        "{writes} writes, {moves} of them transitions, {reads} reads, {stale} stale transitions refused; {within_loss} \
         answers missed what the failover had lost"
    );
    match found.as_slice() {
        [] => check(name, *writes > *moves && *moves > 0 && *reads > 0 && *stale > 0, looked),
        [first, rest @ ..] => check(name, false, format!("{first}; and {} more anomalies ({looked})", rest.len())),
    }
}

/// The epochs that began with a run which may lose what older writers acknowledged: under asynchronous replication a
/// failover, and whatever two people accepted.
fn losing(plan: &Plan, lines: &[(Line, Record)]) -> anomaly::Losing {
    let synchronous = plan.topology.database().1.replication == model::topology::Replication::Synchronous;
    let mut may_lose = BTreeSet::new();
    let mut losing = anomaly::Losing::new();
    for (_, record) in lines {
        match record {
            Record::RunStarted { run, runbook, .. } => {
                let loses = match &runbook.request {
                    Request::Failover { accept_loss, .. } => !synchronous || *accept_loss,
                    Request::Restore { .. } => true,
                    _ => false,
                };
                if loses {
                    may_lose.insert(*run);
                }
            }
            Record::Committed { run, epoch, .. } if may_lose.contains(run) => {
                losing.insert(epoch.number);
            }
            _ => {}
        }
    }
    losing
}

/// Time by which the oldest lost write was older than the end of what the old writer acknowledged and lost, or than the
/// fault.
pub fn recovery_point(history: &History, lost: &[crate::ledger::WriteId], fault: model::Time) -> Duration {
    let times = lost.iter().filter_map(|id| history.writes.get(id)?.acknowledged()).map(|(at, _)| at);
    let (first, last) = times.fold((None, fault), |(first, last), at| {
        (Some(first.map_or(at, |first: model::Time| first.min(at))), last.max(at))
    });
    first.map_or(Duration::ZERO, |first| last.since(first))
}

/// Why the verdict is what it is, for the first screen.
pub fn reasons(checks: &[Check], objectives: &Objectives, lost: Option<u64>) -> Vec<String> {
    let failed: Vec<String> = checks.iter().filter(|c| !c.passed).map(|c| format!("{}: {}", c.name, c.why)).collect();
    if !failed.is_empty() {
        return failed;
    }
    let rto =
        objectives.rto_measured_seconds.map_or("unknown".into(), |s| human(Duration::from_secs_f64(s.get().max(0.0))));
    let lost = match lost {
        Some(0) => "no acknowledged write was lost".to_string(),
        Some(lost) => format!("{lost} acknowledged writes were lost, within the recovery point objective"),
        None => "losses were not counted".to_string(),
    };
    vec![format!("service was back at the client after {rto}; {lost}")]
}
