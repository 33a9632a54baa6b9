//! What becomes of orders, told one event at a time.

use model::action::Evidence;
use model::observe::DatabaseState;
use model::{ActError, AttemptId, Epoch, Outcome, Verb};

use super::world::*;
use crate::runbook::run::{Pause, Progress};
use crate::{Event, Inquiry, Record, Request};

fn unknown() -> Outcome {
    Outcome::Failed(ActError::Unknown("no answer in time".into()))
}

/// A switchover whose order of this kind is out, and has not been answered.
fn out(verb: &'static str, at: &str) -> (World, AttemptId) {
    let mut world = World::established(topology());
    world.script(verb, at, Script::Silence);
    world.ask(Request::Switchover { to: None }, "ada");
    world.run_for(ms(500));
    let named = |step: usize| world.run().step(step).action().is_some_and(|action| action.verb.name() == verb);
    let attempt = world.run().out().find(|(step, ..)| named(*step)).map(|(_, attempt, _)| attempt);
    let attempt = attempt.unwrap_or_else(|| panic!("no {verb} is out: {}", world.transcript()));
    (world, attempt)
}

fn progress(world: &World, attempt: AttemptId) -> &Progress {
    &world.run().steps[attempt.step as usize].progress
}

fn is_out(world: &World, attempt: AttemptId) -> bool {
    matches!(progress(world, attempt), Progress::Out { attempt: out, .. } if *out == attempt)
}

#[test]
fn a_promotion_that_names_no_epoch_is_in_doubt() {
    let (mut world, attempt) = out("promote", B);
    world.send(&Event::Ended { attempt, outcome: Outcome::Done(Evidence::note("done, it says")) });
    assert!(is_out(&world, attempt), "{:?}", progress(&world, attempt));
    assert_eq!(world.run().committed, None);
}

#[test]
fn only_a_later_report_shows_that_a_promotion_did_not_happen() {
    let (mut world, attempt) = out("promote", B);
    world.send(&Event::Ended { attempt, outcome: unknown() });
    let asked = Event::Inquired { attempt, answer: Inquiry::Ended(unknown()) };
    world.send(&asked);
    assert!(is_out(&world, attempt), "what B reported before the order says nothing of it");

    world.now = world.now + world.state.topology.timing.probe_every * 2;
    let report = world.report(&site(B)).into();
    world.send(&Event::Reported { report });
    world.send(&asked);
    assert!(!is_out(&world, attempt), "B stands by: {:?}", progress(&world, attempt));
}

/// Found by the simulator (261745): an agent that was restarted after it had won knew nothing of the order.
#[test]
fn what_a_restarted_agent_never_saw_is_not_undone_before_its_reports_say_so() {
    let (mut world, attempt) = out("promote", B);
    let before = world.epoch.clone();
    let fenced = || DatabaseState::Fenced { why: "its agent ended".into(), receipt: None };
    let heard = |world: &mut World, written: &Epoch| {
        world.now = world.now + world.state.topology.timing.probe_every * 2;
        (world.place(B).database, world.place(B).written) = (fenced(), written.clone());
        let report = world.report(&site(B)).into();
        world.send(&Event::Reported { report });
        world.send(&Event::Inquired { attempt, answer: Inquiry::NeverSeen });
    };
    world.abort("ada");
    heard(&mut world, &before.next(&site(B)));
    assert!(is_out(&world, attempt), "it won an epoch: {:?}", progress(&world, attempt));
    heard(&mut world, &before);
    assert!(!is_out(&world, attempt), "it never did: {:?}", progress(&world, attempt));
}

#[test]
fn an_order_on_its_way_is_not_taken_for_lost() {
    let (mut world, attempt) = out("fence", A);
    world.send(&Event::Inquired { attempt, answer: Inquiry::NeverSeen });
    assert!(is_out(&world, attempt), "nobody doubted it: {:?}", progress(&world, attempt));
}

#[test]
fn an_answer_ends_its_own_order_only() {
    let (mut world, attempt) = out("fence", A);
    let (earlier, another) = (AttemptId { number: 9, ..attempt }, AttemptId { run: model::RunId(1), ..attempt });
    for other in [earlier, another] {
        let evidence = Evidence { receipt: Some(receipt(&site(A), &world.epoch).into()), ..Evidence::default() };
        world.send(&Event::Ended { attempt: other, outcome: Outcome::Done(evidence) });
        assert!(is_out(&world, attempt), "{other} was another order");
        assert_eq!(world.run().receipts, []);
    }
}

#[test]
fn what_its_agent_does_not_know_may_have_happened_and_is_undone() {
    let (mut world, attempt) = out("fence", A);
    world.place(A).log.insert(attempt, unknown());
    world.abort("ada");
    world.drain();
    let undone = world.journal.iter().rev().find_map(|record| match record {
        Record::UndoPlanned { steps, .. } => Some(steps),
        _ => None,
    });
    let promotes = |step: &crate::runbook::Step| {
        step.action().is_some_and(|action| action.site == site(A) && matches!(action.verb, Verb::Promote { .. }))
    };
    assert!(undone.is_some_and(|steps| steps.iter().any(promotes)), "{}", world.transcript());
}

/// Found by the simulator (792): the writer had started anew in a higher epoch just before, unseen, and refused what
/// came after its fence.
#[test]
fn a_receipt_tells_the_epoch_of_the_writer_that_was_fenced() {
    let (mut world, attempt) = out("fence", A);
    let raised = world.epoch.next(&site(A));
    let evidence = Evidence { receipt: Some(receipt(&site(A), &raised).into()), ..Evidence::default() };
    world.send(&Event::Ended { attempt, outcome: Outcome::Done(evidence) });
    assert_eq!(world.state.epoch(), raised);
}

/// A switchover of which the first requests that prove the new writer hang until they are given up; and how many were sent.
fn exercise_hangs(times: usize) -> (World, usize) {
    let mut world = World::established(topology());
    (0..times).for_each(|_| world.script("exercise", B, Script::Silence));
    world.ask(Request::Switchover { to: None }, "ada");
    world.run_for(ms(500));
    let mut tries = 0;
    while let Some(Record::AttemptStarted { attempt, action, deadline, .. }) =
        world.journal.iter().rev().find(|record| matches!(record, Record::AttemptStarted { .. })).cloned()
        && matches!(action.verb, Verb::Exercise { .. })
        && world.state.run.is_some()
        && is_out(&world, attempt)
    {
        tries += 1;
        world.run_for(deadline.saturating_sub(ms(1)));
        let failed = Outcome::Failed(ActError::Transient("no reply".into()));
        world.send(&Event::Ended { attempt, outcome: failed });
        world.run_for(ms(500));
    }
    world.settle();
    (world, tries)
}

/// As on a busy machine, just after a promotion: past the commit point people are asked only when time is up.
#[test]
fn a_request_that_hangs_is_sent_again_until_the_deadline_and_then_people_are_asked() {
    let (world, tries) = exercise_hangs(3);
    assert_eq!((world.last_end().as_deref(), tries), (Some("succeeded"), 3), "{}", world.transcript());

    let (world, tries) = exercise_hangs(100);
    let timing = &world.state.topology.timing;
    let most = timing.step_deadlines.exercise.as_millis().div_ceil(timing.request_timeout.as_millis());
    assert!((3..=most as usize).contains(&tries), "{tries} of {most}");
    let pause = &world.run().pause;
    assert!(matches!(pause, Some(Pause::Trouble { why, .. }) if why.contains("no reply")), "{pause:?}");
}

#[test]
fn a_stopping_run_orders_nothing_anew() {
    let (mut world, attempt) = out("fence", A);
    world.abort("ada");
    let failed = Outcome::Failed(ActError::Transient("it is busy".into()));
    world.send(&Event::Ended { attempt, outcome: failed });
    let ended = world.state.last.as_ref().expect("nothing was done, so nothing is undone");
    assert_eq!(ended.steps[attempt.step as usize].progress, Progress::Failed);
}

#[test]
fn nothing_is_undone_while_the_end_of_an_order_is_not_known() {
    let (mut world, attempt) = out("promote", B);
    world.abort("ada");
    assert!(is_out(&world, attempt));
    world.run_for(world.state.topology.timing.probe_every);
    let planned = |world: &World| world.journal.iter().any(|record| matches!(record, Record::UndoPlanned { .. }));
    let mode = &world.run().mode;
    assert!(is_out(&world, attempt) && !planned(&world), "{mode:?}: {}", world.transcript());
    world.settle();
    assert!(planned(&world), "B stands by, and says so");
}
