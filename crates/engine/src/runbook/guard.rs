//! The invariants of DESIGN.md as guards, one small function each. Plans are written so that none of these ever
//! stops a run; they are here so that a wrong plan, or a wrong executor, cannot do harm.

use std::collections::BTreeSet;
use std::time::Duration;

use model::time::human;
use model::topology::Replication;
use model::{Person, SiteId, Time, Topology, Verb, ZoneTable};

use super::check::{Finding, within_rpo};
use super::run::{Progress, Run};
use super::{Check, Depends, DependsOn, Runbook, Step, restore};
use crate::protocol::{Refused, Request};
use crate::watch::{Verdict, loss};
use crate::workload::Workload;

/// Whether a step may start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Gate {
    Open,
    Wait(String),
    /// People must accept this first.
    Ask(String),
    Shut(String),
    /// The step has failed by it: before the commit point the run is taken back.
    Failed(String),
}

/// Static stability: a failover requires nothing that is homed in the region being left.
pub fn needs_nothing_lost(runbook: &Runbook, lost: &SiteId) -> Result<(), Refused> {
    let needed = runbook.steps.iter().find_map(|step| step_needs(step, lost));
    let Some(needed) = needed else { return Ok(()) };
    Err(Refused::new(
        "requires-lost-region",
        format!("the plan requires {} in {lost}, the region being left", needed.what),
        "only best-effort steps may touch the region being left",
    ))
}

/// What a step cannot do without in `lost`. Asked of the plan, and again of each step before it starts.
pub fn step_needs<'a>(step: &'a Step, lost: &SiteId) -> Option<&'a Depends> {
    step.depends.iter().filter(|depends| depends.required).find(|depends| depends.on == DependsOn::Site(lost.clone()))
}

/// One active run for each workload. Only a failover that somebody asks for may take the place of another run.
pub fn one_run(state: &Workload, request: &Request) -> Result<(), Refused> {
    let Some(run) = &state.run else { return Ok(()) };
    let explicit = matches!(request, Request::Failover { .. });
    let other_kind = matches!(run.runbook.request, Request::Switchover { .. } | Request::Failback);
    if explicit && ((other_kind && before_commit(run)) || target_lost_while_paused(state, run)) {
        return Ok(());
    }
    let hint = match before_commit(run) {
        true => format!("wait for it, or `antipode abort {} --why REASON` first", run.id),
        false => "it has passed its commit point and goes only forward; see `antipode status`".to_owned(),
    };
    Err(Refused::new("run-active", format!("{} ({}) is active", run.id, run.runbook.request), hint))
}

/// The commit point has neither passed nor may have passed unseen.
pub fn before_commit(run: &Run) -> bool {
    run.committed.is_none() && !run.commit_in_flight()
}

/// A run past its commit point whose target is lost too cannot go on; going forward then means a new failover.
fn target_lost_while_paused(state: &Workload, run: &Run) -> bool {
    run.pause.is_some() && run.committed.is_some() && state.verdict(&run.runbook.to) == Verdict::Unreachable
}

/// Different people who may decide have accepted the loss, as many as the spec asks, and never fewer than two.
pub fn loss_accepted(topology: &Topology, run: &Run) -> bool {
    let allowed: BTreeSet<&Person> = topology.approvals.approvers.iter().collect();
    let accepted = run.loss_accepted.iter().filter(|person| allowed.contains(person)).count();
    accepted >= loss_approvals(topology) as usize
}

pub fn loss_approvals(topology: &Topology) -> u32 {
    topology.approvals.accept_loss.max(2)
}

/// Invariants 1 and 3: the target may hold the data; a planned move has the old writer's receipt; an unplanned one
/// is within the objective, or people have accepted the loss.
pub fn may_promote(state: &Workload, run: &Run, now: Time) -> Gate {
    let to = &run.runbook.to;
    if !state.topology.approved(to) {
        return Gate::Shut(format!("{to} is not approved for this class of data"));
    }
    if !run.approved() {
        return Gate::Shut("the approvals are missing".to_owned());
    }
    let Some(from) = &run.runbook.from else { return Gate::Open };
    if let Request::Restore { .. } = run.runbook.request {
        return restore::may_promote(state, run, from);
    }
    if !matches!(run.runbook.request, Request::Failover { .. }) {
        return match run.receipts.iter().find(|receipt| receipt.site == *from) {
            None => Gate::Shut(format!("{from} has given no fence receipt")),
            Some(receipt) if receipt.end.is_none() => {
                Gate::Failed(format!("{from} did not stop cleanly, so that {to} may lack what it acknowledged last"))
            }
            Some(_) => Gate::Open,
        };
    }
    match within_rpo(state, run, from, to, now) {
        Finding::Pass(_) => Gate::Open,
        Finding::NotYet(why) => Gate::Wait(why),
        Finding::NeedsOverride(why) => Gate::Ask(why),
        Finding::Never(why) => Gate::Shut(why),
    }
}

/// How long an order to promote may wait for its epoch, where what it loses was only estimated. The estimate holds while the
/// old writer does not renew; were it to renew after the order, no majority could grant the epoch for another lease. So
/// an order that lapses before then cannot win what nobody has estimated, and the next one is given on new evidence. It
/// needs the time of one answer after the last promise ends, by which it may outlive the lease (`renew_timeout`).
/// `None` where nothing more can be acknowledged, or people accepted what is lost, or the voters' record decides.
pub fn promotion_holds_for(state: &Workload, run: &Run, now: Time) -> Option<Duration> {
    let Request::Failover { .. } = run.runbook.request else { return None };
    let from = run.runbook.from.as_ref()?;
    let (topology, timing) = (&state.topology, &state.topology.timing);
    let stopped = run.receipts.iter().any(|receipt| receipt.site == *from) || loss::receipt(state, from).is_some();
    if stopped || loss_accepted(topology, run) || topology.database().1.replication == Replication::Synchronous {
        return None;
    }
    let wait = loss::may_acknowledge_until(state, from, now).since(now);
    Some((wait + timing.lease / 2).min(timing.lease).max(wait + timing.renew_timeout))
}

/// Invariant 6: nothing stops a healthy writer but a move that people approved, or that a majority's evidence or the
/// writer's own word justifies.
pub fn may_fence(state: &Workload, run: &Run, now: Time) -> Gate {
    if !run.approved() {
        return Gate::Shut("the approvals are missing".to_owned());
    }
    let Some(from) = &run.runbook.from else { return Gate::Shut("there is no writer to stop".to_owned()) };
    if run.by.is_some() || justifies(state, run, from, now).is_some() {
        return Gate::Open;
    }
    Gate::Wait(format!("nothing proves now that {from} must be left"))
}

/// What justifies leaving a region unasked: unreachable by majority, or its writer's own word. Never suspicion, and
/// never silence.
pub fn proposes_failover(state: &Workload, site: &SiteId) -> Option<String> {
    if let Some((_, why)) = state.gone.as_ref().filter(|(gone, _)| gone == site) {
        return Some(format!("the writer at {site} is gone: {why}"));
    }
    let judged = state.verdicts.get(site).filter(|judged| judged.verdict == Verdict::Unreachable)?;
    Some(format!("{site} is unreachable: {}", judged.why.join("; ")))
}

/// What still justifies a run that nobody asked for.
pub fn justifies(state: &Workload, run: &Run, from: &SiteId, now: Time) -> Option<String> {
    match run.runbook.request {
        Request::Switchover { .. } => proposes_move(state, from, now),
        _ => proposes_failover(state, from),
    }
}

/// What justifies moving the writer as planned, unasked: its region has served nobody for as long as the timing says, by
/// its own word, and is the preferred one. A return to the preferred region is for people to ask for: so it cannot go
/// to and fro between two regions that both serve nobody.
pub fn proposes_move(state: &Workload, site: &SiteId, now: Time) -> Option<String> {
    let unready =
        state.unready.as_ref().filter(|unready| unready.site == *site && site == state.topology.preferred())?;
    let lasts = now.since(unready.since);
    let long = lasts >= state.topology.timing.unready_after;
    long.then(|| format!("{site} has served nobody for {}: {}", human(lasts), unready.why))
}

/// Invariant 4: traffic moves only to the new writer, and only after writer, capacity and secrets are verified there.
pub fn may_route(run: &Run, zone: &ZoneTable) -> Result<(), String> {
    let to = &run.runbook.to;
    let epoch = run.committed.as_ref().ok_or("no new writer holds an epoch")?;
    if zone.epoch != *epoch {
        return Err(format!("the zone belongs to epoch {}, the writer to {epoch}", zone.epoch));
    }
    let wanted = [
        ("the writer", Check::Writing { site: to.clone() }),
        ("capacity", Check::CapacityReady { site: to.clone() }),
        ("secrets", Check::Secrets { site: to.clone() }),
    ];
    for (what, check) in wanted {
        if !verified_since_commit(run, &check) {
            return Err(format!("{what} at {to} is not verified"));
        }
    }
    leaves_a_region(zone)
}

/// The last such check after the promotion has passed.
fn verified_since_commit(run: &Run, check: &Check) -> bool {
    let after = run.commit_step().map_or(0, |commit| commit + 1);
    let steps = run.runbook.steps.iter().zip(&run.steps).skip(after);
    steps.into_iter().any(|(step, state)| step.check() == Some(check) && state.progress == Progress::Done)
}

/// Invariant 4: every name keeps at least one region that answers.
pub fn leaves_a_region(zone: &ZoneTable) -> Result<(), String> {
    let empty = zone.names.iter().find(|(_, name)| !name.targets.iter().any(|t| t.enabled && !t.addresses.is_empty()));
    empty.map_or(Ok(()), |(name, _)| Err(format!("{name} would lead nowhere")))
}

/// Before the commit point a failure undoes; after it the run goes only forward.
pub fn may_undo(run: &Run) -> bool {
    run.committed.is_none()
}

/// Invariant 7: the region that becomes a standby again follows, which exports what only it has, before it is given
/// the writer.
pub fn followed_before_return(run: &Run) -> Result<(), String> {
    if run.runbook.request != Request::Failback {
        return Ok(());
    }
    let before = run.commit_step().unwrap_or(0);
    let mut steps = run.runbook.steps.iter().zip(&run.steps).take(before);
    let followed = steps.any(|(step, state)| {
        let follow = step.action().is_some_and(|a| a.site == run.runbook.to && matches!(a.verb, Verb::Follow { .. }));
        follow && state.progress == Progress::Done
    });
    if followed {
        Ok(())
    } else {
        Err(format!("{} has not followed, so what only it has is not exported", run.runbook.to))
    }
}

/// Invariant 5: a run that neither works nor waits for people would never end.
pub fn is_stuck(run: &Run) -> bool {
    let busy = |state: &super::run::StepState| {
        matches!(state.progress, Progress::Checking | Progress::Out { .. } | Progress::RetryAt(_))
    };
    run.pause.is_none() && !run.steps.iter().any(busy)
}
