//! Each guard, seen to refuse. Plans never get there: these take a sound run and spoil it.

use std::collections::BTreeSet;

use model::{Epoch, Time, Verb};

use super::world::*;
use crate::routing::zone_to;
use crate::runbook::guard::{self, Gate};
use crate::runbook::run::{Pause, Progress, Run};
use crate::runbook::{Check, Need, Runbook, Step};
use crate::watch::Verdict;
use crate::{Record, Request, Workload};

/// A failover in which everything before traffic has passed.
fn verified() -> (Workload, Run) {
    let mut world = World::established(topology());
    world.script("route", B, Script::Silence);
    world.kill(A);
    world.run_for(ms(3500));
    let run = world.run().clone();
    assert!(run.committed.is_some());
    (world.state, run)
}

fn spoil(run: &Run, check: &Check) -> Run {
    let mut spoilt = run.clone();
    let steps = run.runbook.steps.iter().enumerate().filter(|(_, step)| step.check() == Some(check));
    steps.for_each(|(number, _)| spoilt.steps[number].progress = Progress::Checking);
    spoilt
}

#[test]
fn traffic_moves_only_to_what_is_verified() {
    let (state, run) = verified();
    let epoch = run.committed.clone().expect("committed");
    let zone = zone_to(&state, &site(B), epoch.clone());
    assert_eq!(guard::may_route(&run, &zone), Ok(()));
    let site = site(B);
    for check in [
        Check::Writing { site: site.clone() },
        Check::CapacityReady { site: site.clone() },
        Check::Secrets { site: site.clone() },
    ] {
        assert!(guard::may_route(&spoil(&run, &check), &zone).is_err(), "{check:?}");
    }
    let uncommitted = Run { committed: None, ..run.clone() };
    assert!(guard::may_route(&uncommitted, &zone).is_err());
    let old = zone_to(&state, &site, Epoch::none());
    assert!(guard::may_route(&run, &old).is_err());
}

#[test]
fn a_secret_checked_before_the_promotion_does_not_count_after_it() {
    let (state, run) = verified();
    let zone = zone_to(&state, &site(B), run.committed.clone().expect("committed"));
    let mut spoilt = run.clone();
    let last = run.runbook.steps.iter().rposition(|s| s.check() == Some(&Check::Secrets { site: site(B) }));
    spoilt.steps[last.expect("a later check")].progress = Progress::Failed;
    assert!(guard::may_route(&spoilt, &zone).is_err());
}

#[test]
fn no_name_leads_nowhere() {
    let (state, run) = verified();
    let mut zone = zone_to(&state, &site(B), run.committed.clone().expect("committed"));
    assert_eq!(guard::leaves_a_region(&zone), Ok(()));
    for name in zone.names.values_mut() {
        name.targets.iter_mut().for_each(|target| target.enabled = false);
    }
    assert!(guard::leaves_a_region(&zone).is_err());
    assert!(guard::may_route(&run, &zone).is_err());
    let mut no_address = zone_to(&state, &site(B), run.committed.clone().expect("committed"));
    no_address.names.values_mut().flat_map(|n| &mut n.targets).for_each(|t| t.addresses.clear());
    assert!(guard::leaves_a_region(&no_address).is_err());
}

#[test]
fn promotion_needs_residency_approval_and_an_acceptable_loss() {
    let (mut state, run) = verified();
    let now = state.watch.sites[&site(B)].at;
    assert_eq!(guard::may_promote(&state, &run, now), Gate::Open);
    let mut unapproved = run.clone();
    std::sync::Arc::make_mut(&mut unapproved.runbook).approvals = 1;
    assert!(matches!(guard::may_promote(&state, &unapproved, now), Gate::Shut(_)));
    let mut strict = state.clone();
    std::sync::Arc::make_mut(&mut strict.topology).objectives.rpo = ms(1);
    assert!(matches!(guard::may_promote(&strict, &run, now), Gate::Ask(_)));
    let mut unheard = state.clone();
    std::sync::Arc::make_mut(&mut unheard.topology).objectives.rpo = ms(0);
    unheard.watch.sites.values_mut().for_each(|seen| seen.at = Time::ZERO);
    assert!(matches!(guard::may_promote(&unheard, &run, now), Gate::Wait(_)), "no voter has told who is in sync");
    let mut accepted = run.clone();
    accepted.loss_accepted = BTreeSet::from([person("ada"), person("mallory")]);
    assert!(matches!(guard::may_promote(&strict, &accepted, now), Gate::Ask(_)), "only approvers count");
    accepted.loss_accepted.insert(person("bob"));
    assert_eq!(guard::may_promote(&strict, &accepted, now), Gate::Open);
    std::sync::Arc::make_mut(&mut state.topology).residency.insert("regulated".into(), vec![site(A)]);
    assert!(matches!(guard::may_promote(&state, &accepted, now), Gate::Shut(_)));
}

#[test]
fn a_committed_run_gives_way_only_where_it_waits_and_its_target_is_lost() {
    let (mut state, run) = verified();
    let waiting = Run { pause: Some(Pause::Trouble { step: 0, why: "a test".into() }), ..run.clone() };
    let again = Request::Failover { to: None, accept_loss: false };
    for (run, verdict, gives_way) in [
        (&waiting, Verdict::Unreachable, true),
        (&waiting, Verdict::Suspected, false),
        (&run, Verdict::Unreachable, false),
    ] {
        state.run = Some(std::sync::Arc::new(run.clone()));
        state.verdicts.entry(site(B)).or_default().verdict = verdict;
        assert_eq!(guard::one_run(&state, &again).is_ok(), gives_way, "{verdict}, {:?}", run.pause);
    }
}

#[test]
fn one_person_never_accepts_a_loss_alone() {
    let (state, run) = verified();
    let mut topology = state.topology.as_ref().clone();
    topology.approvals.accept_loss = 0;
    let mut one = run;
    one.loss_accepted = BTreeSet::from([person("ada")]);
    assert!(!guard::loss_accepted(&topology, &one));
    one.loss_accepted.insert(person("mallory"));
    assert!(!guard::loss_accepted(&topology, &one), "who is no approver, or no longer, has no say");
    one.loss_accepted.insert(person("bob"));
    assert!(guard::loss_accepted(&topology, &one));
    topology.approvals.accept_loss = 3;
    assert!(!guard::loss_accepted(&topology, &one));
}

#[test]
fn a_planned_move_needs_the_receipt() {
    let mut world = World::established(topology());
    world.script("promote", B, Script::Silence);
    world.ask(Request::Switchover { to: None }, "ada");
    world.run_for(ms(500));
    let run = world.run().clone();
    assert_eq!(guard::may_promote(&world.state, &run, world.now), Gate::Open);
    let without = Run { receipts: vec![], ..run.clone() };
    assert!(matches!(guard::may_promote(&world.state, &without, world.now), Gate::Shut(_)));
    let mut anothers = run.clone();
    anothers.receipts.iter_mut().for_each(|receipt| receipt.site = site(B));
    assert!(matches!(guard::may_promote(&world.state, &anothers, world.now), Gate::Shut(_)));
    // It lapsed instead of stopping cleanly: its last writes may be nowhere else.
    let mut unclean = run;
    unclean.receipts.iter_mut().for_each(|receipt| receipt.end = None);
    assert!(matches!(guard::may_promote(&world.state, &unclean, world.now), Gate::Failed(_)));
}

#[test]
fn nothing_stops_a_healthy_writer_unasked() {
    let (mut state, run) = verified();
    assert!(run.by.is_none());
    state.verdicts.get_mut(&site(A)).expect("judged").verdict = Verdict::Unreachable;
    assert_eq!(guard::may_fence(&state, &run, Time::ZERO), Gate::Open);
    for verdict in [Verdict::Up, Verdict::Suspected, Verdict::Unknown] {
        state.verdicts.get_mut(&site(A)).expect("judged").verdict = verdict;
        assert_ne!(guard::may_fence(&state, &run, Time::ZERO), Gate::Open, "{verdict}");
        assert_eq!(guard::proposes_failover(&state, &site(A)), None, "{verdict}");
    }
    let mut unapproved = Run { by: Some(person("ada")), ..run };
    assert_eq!(guard::may_fence(&state, &unapproved, Time::ZERO), Gate::Open);
    std::sync::Arc::make_mut(&mut unapproved.runbook).approvals = 1;
    assert_ne!(guard::may_fence(&state, &unapproved, Time::ZERO), Gate::Open);
}

/// Start a run whose plan somebody spoiled: the executor must not carry it out.
fn with_spoilt_plan(spoil: impl Fn(&mut Runbook)) -> World {
    spoilt(World::established(topology()), Request::Switchover { to: None }, spoil)
}

fn spoilt(mut world: World, request: Request, spoil: impl Fn(&mut Runbook)) -> World {
    let mut runbook = crate::plan(&world.state, &request, world.now).expect("a plan");
    spoil(&mut runbook);
    let record = Record::RunStarted {
        run: world.state.next_run(),
        runbook: std::sync::Arc::new(runbook),
        by: Some(person("ada")),
        cause: "a test".into(),
        base: world.state.epoch(),
        estimate: None,
        receipts: vec![],
        at: world.now,
    };
    let run = world.state.next_run();
    let approved = Record::Approved { run, by: person("ada"), accept_loss: false };
    for record in [record, Record::Frozen { run: Some(run) }, approved] {
        crate::apply(&mut world.state, &record);
    }
    world.run_for(ms(4000));
    world.settle();
    world
}

fn without(runbook: &mut Runbook, unwanted: impl Fn(&Step) -> bool) {
    runbook.steps.retain(|step| !unwanted(step));
}

#[test]
fn the_executor_carries_a_sound_plan_out() {
    let world = with_spoilt_plan(|_| {});
    assert_eq!(world.last_end().as_deref(), Some("succeeded"), "{}", world.transcript());
}

#[test]
fn the_executor_does_not_move_traffic_without_each_check() {
    let to = site(B);
    for check in [
        Check::Writing { site: to.clone() },
        Check::CapacityReady { site: to.clone() },
        Check::Secrets { site: to.clone() },
    ] {
        let world = with_spoilt_plan(|runbook| without(runbook, |step| step.check() == Some(&check)));
        assert!(matches!(world.run().pause, Some(Pause::Trouble { .. })), "{check:?}: {}", world.transcript());
        assert!(!world.acts().iter().any(|act| act.starts_with("route")), "{check:?}");
    }
}

#[test]
fn the_executor_does_not_promote_without_a_receipt() {
    let fence = |step: &Step| step.action().is_some_and(|a| matches!(a.verb, Verb::Fence { .. }));
    let world = with_spoilt_plan(|runbook| without(runbook, fence));
    assert!(matches!(world.run().pause, Some(Pause::Trouble { .. })), "{}", world.transcript());
    assert!(!world.acts().iter().any(|act| act.starts_with("promote")));
}

#[test]
fn the_executor_does_not_promote_where_the_data_may_not_be() {
    let mut world = World::established(topology());
    world.script("fence", A, Script::Silence);
    world.ask(Request::Switchover { to: None }, "ada");
    world.run_for(ms(500));
    std::sync::Arc::make_mut(&mut world.state.topology).residency.insert("regulated".into(), vec![site(A)]);
    let (step, ..) = world.run().out().next().expect("the fence is out");
    let attempt = model::AttemptId { run: world.run().id, step: step as u32, number: 1 };
    let receipt = receipt(&site(A), &world.epoch);
    let evidence = model::action::Evidence { receipt: Some(receipt.into()), ..Default::default() };
    world.send(&crate::Event::Ended { attempt, outcome: model::Outcome::Done(evidence) });
    assert!(matches!(world.run().pause, Some(Pause::Trouble { .. })), "{}", world.transcript());
    assert!(!world.acts().iter().any(|act| act.starts_with("promote")));
}

#[test]
fn the_executor_does_not_return_without_following() {
    let follow = |step: &Step| step.action().is_some_and(|a| matches!(a.verb, Verb::Follow { .. }));
    let world = with_spoilt_plan(|runbook| {
        without(runbook, follow);
        runbook.request = Request::Failback;
    });
    assert!(matches!(world.run().pause, Some(Pause::Trouble { .. })), "{}", world.transcript());
    assert!(!world.acts().iter().any(|act| act.starts_with("promote")));
}

#[test]
fn the_executor_does_not_require_the_lost_region() {
    let failover = Request::Failover { to: None, accept_loss: false };
    let fence = |step: &Step| step.action().is_some_and(|a| matches!(a.verb, Verb::Fence { .. }));
    for required in [false, true] {
        let mut world = World::established(topology());
        world.kill(A);
        let world = spoilt(world, failover.clone(), |runbook| {
            let step = runbook.steps.iter_mut().find(|step| fence(step)).expect("a fence");
            if required {
                step.need = Need::Required;
                step.depends.iter_mut().for_each(|depends| depends.required = true);
            }
        });
        assert_eq!(!world.acts().iter().any(|act| act.starts_with("fence")), required, "{}", world.transcript());
    }
}

#[test]
fn nothing_stops_a_run_past_its_commit_point() {
    let (state, run) = verified();
    let mut turn = crate::turn::Turn::new(&state, run.started);
    turn.begin_stop(crate::runbook::run::End::Failed, "a test".into());
    assert_eq!(turn.decided(), 0);
}

#[test]
fn a_proposal_that_failed_is_not_made_again_by_itself() {
    let mut world = World::established(topology());
    let broken = model::Outcome::Failed(model::ActError::Permanent("disk is gone".into()));
    world.script("promote", B, Script::Ends(broken));
    world.kill(A);
    world.run_for(ms(60_000));
    let proposals = world.journal.iter().filter(|r| matches!(r, Record::RunStarted { by: None, .. })).count();
    assert_eq!(proposals, 1, "{}", world.transcript());
    assert_eq!(world.last_end().as_deref(), Some("failed"));
}

#[test]
fn the_executor_does_not_fence_unapproved() {
    let world = with_spoilt_plan(|runbook| {
        runbook.approvals = 2;
        runbook.steps.iter_mut().for_each(|step| step.gated = false);
    });
    assert!(matches!(world.run().pause, Some(Pause::Trouble { .. })), "{}", world.transcript());
    assert!(!world.acts().iter().any(|act| act.starts_with("fence")));
}

#[test]
fn after_the_commit_point_only_forward() {
    let (_, run) = verified();
    assert!(!guard::may_undo(&run));
    assert!(!guard::before_commit(&run));
    assert!(guard::may_undo(&Run { committed: None, ..run }));
}

#[test]
fn a_return_follows_first() {
    let mut world = World::established(topology());
    world.ask(Request::Switchover { to: None }, "ada");
    world.settle();
    world.run_for(ms(11_000));
    world.script("promote", A, Script::Silence);
    world.ask(Request::Failback, "ada");
    world.approve("bob", false);
    world.run_for(ms(1000));
    let run = world.run().clone();
    assert_eq!(guard::followed_before_return(&run), Ok(()), "{}", world.transcript());
    let mut skipped = run.clone();
    let follow =
        run.runbook.steps.iter().position(|s| s.action().is_some_and(|a| matches!(a.verb, Verb::Follow { .. })));
    skipped.steps[follow.expect("it follows")].progress = Progress::Waiting;
    assert!(guard::followed_before_return(&skipped).is_err());
}

#[test]
fn a_run_that_neither_works_nor_waits_is_noticed() {
    let (_, run) = verified();
    assert!(!guard::is_stuck(&run));
    let mut stuck = run;
    for step in &mut stuck.steps {
        step.progress = Progress::Waiting;
    }
    assert!(guard::is_stuck(&stuck));
    stuck.pause = Some(Pause::Approval { need: 1 });
    assert!(!guard::is_stuck(&stuck));
}

/// Found by the simulator (675856): the order waited while the old writer renewed and wrote on, cut off from its standby,
/// and won when it was lost again, with far more lost than had been estimated.
#[test]
fn a_promotion_on_an_estimate_lapses_before_a_renewed_writer_could_be_followed() {
    let mut world = World::established(topology());
    world.script("promote", B, Script::Silence);
    world.kill(A);
    world.run_for(ms(4_000));
    let ordered = world.effects.iter().find_map(|effect| match effect {
        crate::Effect::Act { attempt, action } if matches!(action.verb, model::Verb::Promote { .. }) => {
            Some(attempt.deadline)
        }
        _ => None,
    });
    let timing = world.state.topology.timing.clone();
    assert!(ordered.is_some_and(|deadline| deadline <= timing.lease), "{ordered:?}");

    let run = world.run().clone();
    let holds = |state: &Workload, run: &Run| guard::promotion_holds_for(state, run, world.now);
    let until = crate::watch::loss::may_acknowledge_until(&world.state, &site(A), world.now);
    let lapses = holds(&world.state, &run).expect("an estimate");
    assert!(world.now + lapses > until, "the promises lapse first");
    let accepted = Run { loss_accepted: BTreeSet::from([person("ada"), person("bob")]), ..run.clone() };
    assert_eq!(holds(&world.state, &accepted), None);
    let stopped = Run { receipts: vec![receipt(&site(A), &world.epoch)], ..run.clone() };
    assert_eq!(holds(&world.state, &stopped), None);
}
