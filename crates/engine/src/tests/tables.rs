//! What happens, then what the engine does: the scenarios of an on-call engineer's life.

use std::time::Duration;

use model::action::{Evidence, Outcome};
use model::observe::DatabaseState;
use model::topology::FailoverMode;
use model::{ActError, AttemptId, Time};

use super::world::*;
use crate::runbook::run::{Mode, Pause, Progress};
use crate::{Effect, Event, Inquiry, Record, Request};

fn failover(accept_loss: bool) -> Request {
    Request::Failover { to: None, accept_loss }
}

fn asking() -> World {
    let mut topology = topology();
    topology.failover = FailoverMode::Ask;
    World::established(topology)
}

fn transient() -> Script {
    Script::Ends(Outcome::Failed(ActError::Transient("busy".into())))
}

fn permanent() -> Script {
    Script::Ends(Outcome::Failed(ActError::Permanent("disk is gone".into())))
}

fn unknown() -> Script {
    Script::Ends(Outcome::Failed(ActError::Unknown("connection lost".into())))
}

fn ended(world: &World, how: &str) {
    assert_eq!(world.last_end().as_deref(), Some(how), "{}", world.transcript());
}

#[test]
fn a_lost_region_is_left_and_won_back() {
    let mut world = World::established(topology());
    world.kill(A);
    world.run_for(ms(4000));
    ended(&world, "succeeded");
    assert_eq!(world.state.writer.as_ref().map(|w| w.site.clone()), Some(site(B)));
    assert_eq!(crate::routing::enabled(world.state.zone.as_ref().expect("a zone")), [B]);
    assert_eq!(world.state.frozen, None, "deployments are free again");
    world.revive(A);
    world.run_for(ms(1500));
    let zone = world.place(A).zone.clone().expect("a zone");
    assert_eq!(crate::routing::enabled(&zone), [B], "the returning DNS server is brought up to date");
    world.run_for(ms(11_000));
    assert_eq!(world.ask(Request::Failback, "ada"), None);
    world.run_for(ms(500));
    assert!(matches!(world.run().pause, Some(Pause::Approval { need: 2 })));
    assert_eq!(world.approve("bob", false), None);
    world.settle();
    ended(&world, "succeeded");
    assert_eq!(world.state.writer.as_ref().map(|w| w.site.clone()), Some(site(A)));
    assert_eq!((world.place(A).instances, world.place(B).instances), (4, 2), "the first topology's capacity");
    assert!(matches!(&world.place(B).database, DatabaseState::Standby { upstream, .. } if *upstream == site(A)));
}

#[test]
fn nothing_that_can_go_in_parallel_waits() {
    let mut world = World::established(topology());
    world.script("promote", B, Script::Silence);
    world.kill(A);
    while world.state.run.is_none() {
        world.run_for(ms(250));
    }
    let first = ["scale to 4 · api at south", "fence · cases at north", "promote · cases at south"];
    assert_eq!(world.acts()[..3], first, "all in one decision:\n{}", world.transcript());
    let run = world.run();
    let promote = AttemptId { run: run.id, step: run.commit_step().expect("a promotion") as u32, number: 1 };
    let epoch = world.epoch.next(&site(B));
    world.epoch = epoch.clone();
    world.place(B).database = writing(&epoch);
    let before = world.now;
    let evidence = Evidence { epoch: Some(epoch), ..Evidence::default() };
    world.send(&Event::Ended { attempt: promote, outcome: Outcome::Done(evidence) });
    world.drain();
    ended(&world, "succeeded");
    assert!(world.now.since(before) < ms(50), "from promotion to traffic without waiting for any poll");
}

#[test]
fn a_region_that_is_only_cut_from_its_peer_is_left_alone() {
    let mut world = World::established(topology());
    world.cut.insert((site(B), site(A)));
    world.cut.insert((site(A), site(B)));
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.acts(), Vec::<String>::new());
}

#[test]
fn an_order_refused_for_an_epoch_that_was_not_known_here_is_given_again() {
    let mut world = World::established(topology());
    let refused = Outcome::Refused { why: "the order was given in an old epoch".into() };
    world.script("follow", A, Script::Ends(refused));
    assert_eq!(world.ask(Request::Switchover { to: None }, "ada"), None);
    world.settle();
    assert!(matches!(world.run().pause, Some(Pause::Trouble { .. })), "{}", world.transcript());
    let raised = world.epoch.next(&site(B));
    world.epoch = raised.clone();
    world.place(B).database = writing(&raised);
    world.run_for(ms(1000));
    world.settle();
    ended(&world, "succeeded");
}

#[test]
fn asking_mode_prepares_and_waits() {
    let mut world = asking();
    world.kill(A);
    world.run_for(ms(4000));
    assert_eq!(world.run().pause, Some(Pause::Approval { need: 1 }));
    assert_eq!(world.acts(), ["scale to 4 · api at south"], "only what costs money at most");
    assert_eq!(world.approve("mallory", false).map(|r| r.code), Some("not-an-approver"));
    assert_eq!(world.approve("ada", false), None);
    world.run_for(ms(250));
    world.settle();
    ended(&world, "succeeded");
}

#[test]
fn a_proposal_is_withdrawn_when_the_region_is_well_again() {
    let mut world = asking();
    world.kill(A);
    world.run_for(ms(4000));
    let epoch = world.epoch.clone();
    world.revive(A);
    world.place(A).database = writing(&epoch);
    world.place(A).instances = 4;
    world.run_for(ms(1000));
    ended(&world, "withdrawn");
    assert_eq!(world.place(B).instances, 2, "what was prepared is taken back");
    world.kill(A);
    world.run_for(ms(4000));
    assert!(world.state.run.is_some(), "and proposed again at the next loss");
}

#[test]
fn loss_beyond_the_objective_needs_two_people() {
    let mut topology = topology();
    topology.objectives.rpo = ms(10);
    let mut world = World::established(topology);
    world.state.watch.sites.get_mut(&site(W)).expect("seen").promised_until = None;
    world.kill(A);
    world.run_for(ms(4000));
    let told = |world: &World| matches!(world.run().pause, Some(Pause::AcceptLoss { need: 2, .. }));
    assert!(told(&world), "{}", world.transcript());
    assert_eq!(world.approve("ada", true), None);
    world.run_for(ms(500));
    assert!(told(&world), "one is not enough");
    assert_eq!(world.approve("ada", true).map(|r| r.code), Some("nothing-to-approve"), "twice the same is one");
    assert_eq!(world.approve("bob", true), None);
    world.run_for(ms(250));
    world.settle();
    ended(&world, "succeeded");
    let accepted = world.effects.iter().find_map(|effect| match effect {
        Effect::Act { action, .. } => match &action.verb {
            model::Verb::Promote { accept_loss, .. } => accept_loss.clone(),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(accepted.map(|a| a.by), Some(vec![person("ada"), person("bob")]));
}

#[test]
fn with_no_loss_allowed_only_a_recorded_standby_is_promoted() {
    for recorded in [true, false] {
        let mut topology = topology();
        topology.objectives.rpo = Duration::ZERO;
        let mut world = World::established(topology);
        let in_sync = if recorded { vec![site(B)] } else { vec![] };
        for name in [A, B, W] {
            world.place(name).sync = model::SyncRecord { version: 1, in_sync: in_sync.clone() };
        }
        world.run_for(ms(500));
        world.kill(A);
        world.run_for(ms(5000));
        match recorded {
            true => ended(&world, "succeeded"),
            false => assert!(matches!(world.run().pause, Some(Pause::AcceptLoss { .. }))),
        }
    }
}

#[test]
fn leaving_a_region_that_looks_well_needs_two_people() {
    let mut world = World::established(topology());
    world.ask(failover(true), "ada");
    world.run_for(ms(500));
    assert!(matches!(world.run().pause, Some(Pause::AcceptLoss { .. })), "{}", world.transcript());
    assert_eq!(world.acts(), Vec::<String>::new());
    world.approve("bob", true);
    world.run_for(ms(250));
    world.settle();
    ended(&world, "succeeded");
}

#[test]
fn a_missing_secret_blocks_before_anything_is_done() {
    let mut world = World::established(topology());
    world.place(B).secret = None;
    world.kill(A);
    world.run_for(ms(4000));
    world.settle();
    assert!(matches!(world.run().pause, Some(Pause::Trouble { .. })), "{}", world.transcript());
    assert_eq!(world.acts(), Vec::<String>::new());
    world.place(B).secret = Some("digest".into());
    world.run_for(ms(1000));
    ended(&world, "succeeded");
}

#[test]
fn a_switchover_moves_everything_and_loses_nothing() {
    let mut world = World::established(topology());
    assert_eq!(world.ask(Request::Switchover { to: None }, "ada"), None);
    world.settle();
    ended(&world, "succeeded");
    let acts = world.acts();
    let at =
        |text: &str| acts.iter().position(|act| act.starts_with(text)).unwrap_or_else(|| panic!("{text} in {acts:?}"));
    assert!(at("scale to 4 · api at south") < at("fence cleanly"));
    assert!(at("fence cleanly") < at("promote"));
    assert!(at("promote") < at("exercise a write"));
    assert!(at("exercise a write") < at("route to south"));
    assert!(at("route to south") < at("follow south"));
    let bound = world.effects.iter().any(|effect| {
        matches!(effect, Effect::Act { action, .. }
        if matches!(&action.verb, model::Verb::Promote { receipts, at_least: Some(_), .. } if receipts.len() == 1))
    });
    assert!(bound, "the promotion has the receipt and the end of the old log");
}

#[test]
fn a_failure_before_the_commit_point_is_undone() {
    let mut world = World::established(topology());
    world.script("promote", B, permanent());
    world.ask(Request::Switchover { to: None }, "ada");
    world.settle();
    ended(&world, "failed");
    assert!(matches!(world.place(A).database, DatabaseState::Writing { .. }), "the old writer is back");
    assert_eq!(world.place(B).instances, 2);
    assert_eq!(world.state.writer.as_ref().map(|w| w.site.clone()), Some(site(A)));
}

#[test]
fn a_failure_after_the_commit_point_waits_for_people() {
    let mut world = World::established(topology());
    world.script("follow", A, permanent());
    world.ask(Request::Switchover { to: None }, "ada");
    world.settle();
    assert!(matches!(world.run().pause, Some(Pause::Trouble { .. })));
    assert_eq!(world.abort("ada").map(|r| r.code), Some("past-commit-point"));
    assert_eq!(world.approve("bob", false), None);
    world.run_for(ms(250));
    world.settle();
    ended(&world, "succeeded");
}

#[test]
fn what_failed_for_now_is_tried_again() {
    let mut world = World::established(topology());
    for verb in ["scale", "promote", "exercise", "route"] {
        world.script(verb, B, transient());
        world.script(verb, B, transient());
    }
    world.ask(Request::Switchover { to: None }, "ada");
    world.settle();
    ended(&world, "succeeded");
}

#[test]
fn an_unknown_end_is_inquired_before_it_is_tried_again() {
    let mut world = World::established(topology());
    world.script("promote", B, Script::Silence);
    world.ask(Request::Switchover { to: None }, "ada");
    world.run_for(ms(1000));
    let run = world.run();
    let step = run.commit_step().expect("a promotion");
    let id = AttemptId { run: run.id, step: step as u32, number: 1 };
    world.forget();
    world.send(&Event::Ended { attempt: id, outcome: Outcome::Failed(ActError::Unknown("lost".into())) });
    assert!(world.effects.contains(&Effect::Inquire { attempt: id, site: site(B) }), "{:?}", world.effects);
    assert_eq!(world.acts(), Vec::<String>::new());
    world.send(&Event::Inquired { attempt: id, answer: Inquiry::Running });
    assert_eq!(world.acts(), Vec::<String>::new());
    world.drain();
    world.run_for(ms(500));
    world.settle();
    ended(&world, "succeeded");
    let promotions = world.acts().iter().filter(|act| act.starts_with("promote")).count();
    assert_eq!(promotions, 1, "the agent had never seen the first");
}

#[test]
fn an_abort_before_the_commit_point_takes_everything_back() {
    let mut world = World::established(topology());
    world.script("promote", B, Script::Silence);
    world.ask(Request::Switchover { to: None }, "ada");
    world.run_for(ms(1000));
    assert_eq!(world.abort("mallory").map(|r| r.code), Some("not-an-approver"));
    assert_eq!(world.abort("bob"), None);
    world.settle();
    ended(&world, "aborted");
    assert_eq!(world.cancelled.len(), 1);
    assert!(matches!(world.place(A).database, DatabaseState::Writing { .. }));
}

/// Found by the simulator (3550, 16652, 29227): the voters had granted the target's epoch before the abort, and every
/// order to take the run back was refused as one of an older epoch, for ever.
#[test]
fn what_is_taken_back_goes_by_the_epoch_that_its_target_bid_for_in_vain() {
    let mut world = bid_in_vain();
    assert_eq!(world.abort("bob"), None);
    world.settle();
    ended(&world, "aborted");
    assert!(matches!(world.place(A).database, DatabaseState::Writing { .. }));
}

#[test]
fn an_epoch_that_people_gave_or_that_is_anothers_is_no_bid_in_vain() {
    type Befalls = fn(&mut World);
    let given: Befalls = |world| world.place(B).glass = Some(super::glass::broken(&world.epoch.clone()));
    let anothers: Befalls = |world| world.epoch = world.epoch.next(&site(W));
    for befalls in [given, anothers] {
        let mut world = bid_in_vain();
        befalls(&mut world);
        world.run_for(ms(500));
        assert_eq!(world.abort("bob"), None);
        world.run_for(Duration::from_secs(60));
        assert!(matches!(world.run().pause, Some(Pause::Trouble { .. })), "{}", world.transcript());
        assert!(!matches!(world.place(A).database, DatabaseState::Writing { .. }));
    }
}

fn bid_in_vain() -> World {
    let mut world = World::established(topology());
    world.script("promote", B, Script::Silence);
    world.ask(Request::Switchover { to: None }, "ada");
    world.run_for(ms(1000));
    world.epoch = world.epoch.next(&site(B));
    world
}

#[test]
fn an_abort_that_comes_too_late_goes_forward() {
    let mut world = World::established(topology());
    world.script("promote", B, Script::Silence);
    world.ask(Request::Switchover { to: None }, "ada");
    world.run_for(ms(1000));
    let run = world.run();
    let id = AttemptId { run: run.id, step: run.commit_step().expect("a promotion") as u32, number: 1 };
    let epoch = world.epoch.next(&site(B));
    world.epoch = epoch.clone();
    let place = world.place(B);
    (place.database, place.written) = (writing(&epoch), epoch.clone());
    place.log.insert(id, Outcome::Done(Evidence { epoch: Some(epoch), ..Evidence::default() }));
    assert_eq!(world.abort("ada"), None);
    assert_eq!(world.run().mode, Mode::Forward, "{}", world.transcript());
    world.settle();
    ended(&world, "succeeded");
}

#[test]
fn a_promotion_whose_end_nobody_knows_is_never_given_up() {
    let mut world = World::established(topology());
    world.script("promote", B, unknown());
    world.ask(Request::Switchover { to: None }, "ada");
    world.place(B).database = DatabaseState::Busy { doing: "promoting".into() };
    world.run_for(ms(1000));
    world.settle();
    assert!(matches!(world.run().pause, Some(Pause::Trouble { .. })), "{}", world.transcript());
    let step = world.run().commit_step().expect("a promotion");
    assert!(matches!(world.run().steps[step].progress, Progress::Out { .. }));
    let epoch = world.epoch.next(&site(B));
    world.epoch = epoch.clone();
    world.place(B).database = writing(&epoch);
    world.run_for(ms(1000));
    world.settle();
    ended(&world, "succeeded");
}

#[test]
fn one_run_at_a_time() {
    let mut world = World::established(topology());
    world.script("promote", B, Script::Silence);
    world.script("fence", A, Script::Silence);
    world.ask(Request::Switchover { to: None }, "ada");
    world.run_for(ms(500));
    assert_eq!(world.ask(Request::Switchover { to: None }, "bob").map(|r| r.code), Some("run-active"));
    let first = world.run().id;
    assert_eq!(world.ask(failover(false), "bob"), None, "a failover may take its place when somebody says so");
    assert_ne!(world.run().id, first);
    assert_eq!(world.state.past.last().map(|p| p.ended.end.to_string()).as_deref(), Some("superseded"));
    let stale = Event::Approved { run: first, by: person("ada"), accept_loss: false };
    assert_eq!(world.send(&stale).refused.map(|r| r.code), Some("no-such-run"));
}

#[test]
fn a_promotion_under_way_is_not_superseded() {
    let mut world = World::established(topology());
    world.script("promote", B, Script::Silence);
    world.ask(Request::Switchover { to: None }, "ada");
    world.run_for(ms(500));
    assert_eq!(world.ask(failover(false), "bob").map(|r| r.code), Some("run-active"));
}

#[test]
fn a_dns_server_that_is_down_is_not_waited_for() {
    let mut world = World::established(topology());
    world.kill(W);
    world.run_for(ms(4000));
    world.ask(Request::Switchover { to: None }, "ada");
    world.settle();
    ended(&world, "succeeded");
    world.revive(W);
    world.run_for(ms(1500));
    let zone = world.place(W).zone.clone().expect("a zone");
    assert_eq!(crate::routing::enabled(&zone), [B]);
}

#[test]
fn a_dns_server_that_returns_during_the_run_gets_the_zone_and_nobody_is_asked() {
    let mut world = World::established(topology());
    world.script("follow", A, Script::Silence);
    world.ask(Request::Switchover { to: None }, "ada");
    world.kill(W);
    let failed = |world: &World| world.run().steps.iter().any(|step| step.progress == Progress::Failed);
    for _ in 0..600 {
        if failed(&world) {
            break;
        }
        world.run_for(ms(100));
    }
    assert!(failed(&world), "{}", world.transcript());
    world.revive(W);
    world.run_for(ms(3000));
    assert_eq!(world.run().pause, None, "{}", world.transcript());
    assert!(!failed(&world), "{}", world.transcript());
    let zone = world.place(W).zone.clone().expect("a zone");
    assert_eq!(crate::routing::enabled(&zone), [B]);
}

#[test]
fn failback_waits_until_the_region_has_been_well_for_long() {
    let mut world = World::established(topology());
    world.kill(A);
    world.run_for(ms(4000));
    ended(&world, "succeeded");
    let mut slow = world;
    slow.revive(A);
    slow.run_for(ms(1000));
    slow.ask(Request::Failback, "ada");
    slow.approve("bob", false);
    slow.run_for(ms(2000));
    assert_eq!(slow.acts().iter().filter(|act| act.starts_with("follow south")).count(), 0);
    slow.settle();
    ended(&slow, "succeeded");
}

#[test]
fn failback_of_a_well_region_waits_for_every_approval() {
    let mut world = World::established(topology());
    world.kill(A);
    world.run_for(ms(4000));
    ended(&world, "succeeded");
    world.revive(A);
    world.run_for(ms(12_000));
    let follows = |world: &World| world.acts().iter().filter(|act| act.starts_with("follow south")).count();
    world.ask(Request::Failback, "ada");
    world.run_for(ms(60_000));
    assert_eq!((follows(&world), world.run().runbook.approvals), (0, 2), "who asked is one of two");
    world.approve("ada", false);
    world.run_for(ms(10_000));
    assert_eq!(follows(&world), 0, "one person does not count twice");
    world.approve("bob", false);
    world.settle();
    ended(&world, "succeeded");
    assert_eq!(follows(&world), 1);
}

#[test]
fn durations_begin_anew_after_a_reboot() {
    let mut world = World::established(topology());
    world.script("promote", B, Script::Silence);
    world.ask(Request::Switchover { to: None }, "ada");
    world.run_for(ms(1000));
    let step = world.run().commit_step().expect("a promotion");
    world.now = Time(5);
    world.send(&Event::Started { generation: 2, rebooted: true });
    assert_eq!(world.run().steps[step].since, Some(Time(5)));
    assert_eq!(world.state.generation, 2);
}

#[test]
fn status_tells_what_people_ask() {
    let mut world = asking();
    world.kill(A);
    world.run_for(ms(4000));
    let status = crate::status(&world.state, world.now);
    let json = serde_json::to_string(&status).expect("status is JSON");
    assert_eq!(serde_json::from_str::<crate::Status>(&json).expect("and back"), status);
    assert_eq!(status.sites[0].verdict, crate::watch::Verdict::Unreachable);
    assert!(status.run.expect("a run").waits_for.is_some());
}

#[test]
fn the_journal_survives_its_own_encoding() {
    let mut world = World::established(topology());
    world.kill(A);
    world.run_for(ms(4000));
    for record in &world.journal {
        let json = serde_json::to_string(record).expect("a record is JSON");
        assert_eq!(serde_json::from_str::<Record>(&json).expect("and back"), *record);
    }
}

#[test]
fn asking_for_what_is_proposed_is_an_approval() {
    let mut world = asking();
    world.kill(A);
    world.run_for(ms(4000));
    let proposed = world.run().id;
    assert_eq!(world.ask(failover(false), "ada"), None);
    world.run_for(ms(250));
    world.settle();
    ended(&world, "succeeded");
    assert_eq!(world.state.last.as_ref().map(|run| run.id), Some(proposed));
}

#[test]
fn a_fenced_region_writes_again_when_the_other_is_lost() {
    let mut world = World::established(topology());
    world.kill(B);
    world.run_for(ms(4000));
    let receipt = receipt(&site(A), &world.epoch);
    world.place(A).database = DatabaseState::Fenced { why: "its lease lapsed".into(), receipt: Some(receipt) };
    world.run_for(ms(1000));
    assert!(world.state.run.is_none(), "nothing is proposed: there is nowhere to go");
    let here = Request::Failover { to: Some(site(A)), accept_loss: false };
    assert_eq!(world.ask(here.clone(), "ada"), None);
    world.run_for(ms(250));
    world.settle();
    ended(&world, "succeeded");
    assert_eq!(world.state.epoch().number, 2);
    assert_eq!(world.ask(here, "ada").map(|r| r.code), Some("already-there"), "a writer is left alone");
}

#[test]
fn a_dead_region_is_not_hammered() {
    let mut world = World::established(topology());
    world.script("promote", B, Script::Silence);
    world.kill(A);
    world.run_for(ms(5000));
    let fences = world.acts().iter().filter(|act| act.starts_with("fence")).count();
    assert!((1..=3).contains(&fences), "{fences}");
}
