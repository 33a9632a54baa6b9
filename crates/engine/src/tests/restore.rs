//! Back to a moment of the past: who must agree, what is done in which order, and what a failure leaves.

use std::time::Duration;

use model::action::Outcome;
use model::backup::{BackupReport, BaseReport, Mark, RestoreTo, VaultReport, WallTime};
use model::observe::DatabaseState;
use model::topology::{Backup, ComponentKind};
use model::{ActError, Lsn, Topology, Verb};

use super::world::*;
use crate::runbook::run::Pause;
use crate::{Effect, Refused, Request, plan};

const MINUTE: i64 = 60_000_000;

/// Before the archive's end, at minute 20.
fn to(minute: i64) -> RestoreTo {
    RestoreTo::Time(WallTime(minute * MINUTE))
}

fn restore(minute: i64, at: Option<&str>, accept_loss: bool) -> Request {
    Request::Restore { to: to(minute), site: at.map(site), accept_loss }
}

fn backed_up() -> Topology {
    let mut topology = topology();
    for component in &mut topology.components {
        if let ComponentKind::Postgres(postgres) = &mut component.kind {
            let minutes = |n: u64| Duration::from_secs(n * 60);
            postgres.backup = Some(Backup {
                every: minutes(60),
                keep: minutes(600),
                archive_every: minutes(5),
                restore_within: minutes(30),
            });
        }
    }
    topology
}

/// A writes; the vault reaches from minute 10 to minute 20.
fn world() -> World {
    let mut world = World::established(backed_up());
    let mark = |lsn, minute| Mark { timeline: 1, lsn: Lsn(lsn), at: WallTime(minute * MINUTE) };
    let base = BaseReport {
        name: "base-1".into(),
        taken_at: site(A),
        from: mark(10, 10),
        until: Some(mark(20, 20)),
        gap: None,
        bytes: 1,
    };
    let vault = VaultReport { bases: vec![base], segments: 1, bytes: 2 };
    world.place(W).backup = BackupReport { vault: Some(vault), ..BackupReport::default() };
    world.run_for(ms(600));
    world.forget();
    world
}

fn ended(world: &World, how: &str) {
    assert_eq!(world.last_end().as_deref(), Some(how), "{}", world.transcript());
}

/// Asked by one, seconded by another.
fn agreed(world: &mut World, request: Request) {
    assert_eq!(world.ask(request, "ada"), None);
    world.run_for(ms(300));
    assert_eq!(world.approve("bob", true), None);
    world.settle();
}

fn refused(world: &World, request: &Request) -> &'static str {
    let Refused { code, why, hint } = plan(&world.state, request, world.now).expect_err("a refusal");
    assert!(!why.is_empty() && !hint.is_empty());
    code
}

#[test]
fn it_reads_well() {
    let world = world();
    insta::assert_snapshot!(plan(&world.state, &restore(15, None, false), world.now).expect("a plan").text());
}

#[test]
fn two_people_take_everything_back_in_a_new_epoch() {
    for at in [A, B] {
        let mut world = world();
        let before = world.epoch.clone();
        agreed(&mut world, restore(15, Some(at), true));
        ended(&world, "succeeded");
        let acts = world.acts();
        let order = ["archive", "fence cleanly", "restore to 1970-01-01T00:15", "promote", "route to", "follow"];
        let found: Vec<_> = order
            .iter()
            .map(|act| acts.iter().position(|a| a.starts_with(act)).unwrap_or_else(|| panic!("{act} in {acts:?}")))
            .collect();
        assert!(found.is_sorted(), "{acts:?}");
        let writer = world.state.writer.clone().expect("a writer");
        assert!(writer.site == site(at) && writer.epoch > before, "{writer:?}");
        let promoted = world.effects.iter().find_map(|effect| match effect {
            Effect::Act { action, .. } => match &action.verb {
                Verb::Promote { at_least, accept_loss, receipts } => {
                    Some((*at_least, accept_loss.clone(), receipts.len()))
                }
                _ => None,
            },
            _ => None,
        });
        let (at_least, accepted, receipts) = promoted.expect("a promotion");
        assert_eq!((at_least, receipts), (None, 1), "what came after the moment is meant to be missing");
        assert_eq!(accepted.expect("a recorded override").by, [person("ada"), person("bob")]);
    }
}

#[test]
fn one_person_does_not_take_back_what_was_acknowledged() {
    let mut world = world();
    assert_eq!(world.ask(restore(15, None, true), "ada"), None);
    world.run_for(ms(3000));
    assert!(matches!(world.run().pause, Some(Pause::AcceptLoss { need: 2, .. })), "{}", world.transcript());
    assert!(world.acts().is_empty(), "nothing was touched: {:?}", world.acts());
    // An approval that does not say so is no consent to the loss.
    assert_eq!(world.approve("bob", false), None);
    world.run_for(ms(3000));
    assert!(matches!(world.run().pause, Some(Pause::AcceptLoss { .. })), "{}", world.transcript());
    assert!(world.acts().is_empty());
}

#[test]
fn what_no_backup_covers_is_refused() {
    assert_eq!(refused(&World::established(topology()), &restore(15, None, false)), "no-backups");
    let mut world = world();
    assert_eq!(refused(&world, &restore(9, None, false)), "backup-does-not-cover");
    assert_eq!(refused(&world, &restore(15, Some(W), false)), "no-such-site");
    assert!(plan(&world.state, &restore(25, None, false), world.now).is_ok(), "the writer adds what the archive lacks");
    world.place(A).database = DatabaseState::Fenced { why: "a test".into(), receipt: None };
    let mut stopped = backed_up();
    stopped.failover = model::topology::FailoverMode::Ask;
    world.state.topology = std::sync::Arc::new(stopped);
    world.run_for(ms(600));
    assert_eq!(refused(&world, &restore(25, None, false)), "backup-does-not-cover", "nobody can add to it");
    assert!(plan(&world.state, &restore(15, None, false), world.now).is_ok());
}

#[test]
fn a_restore_that_fails_in_any_way_puts_the_old_data_back_before_the_old_writer_opens_it() {
    let ways = [
        ActError::Permanent("the recovery ended early".into()),
        ActError::Transient("the vault does not answer".into()),
        ActError::Unknown("the connection broke".into()),
    ];
    for error in ways {
        let mut world = world();
        for _ in 0..1_000 {
            world.script("restore", A, Script::Ends(Outcome::Failed(error.clone())));
        }
        agreed(&mut world, restore(15, None, true));
        world.run_for(Duration::from_secs(120));
        world.settle();
        ended(&world, "failed");
        let acts = world.acts();
        let at = |act: &str| acts.iter().rposition(|a| a.starts_with(act));
        let (back, promoted) = (at("put back").expect("put back"), at("promote").expect("the old writer returns"));
        assert!(back < promoted, "{error:?}: {acts:?}");
        assert!(matches!(world.place(A).database, DatabaseState::Writing { .. }));
    }
}

/// Found by the simulator: the epoch in which the old writer returned was taken for the restore's own, so that the run
/// went forward again over live data, and never ended.
#[test]
fn the_old_writers_return_is_not_taken_for_the_restore() {
    let mut world = world();
    world.script("promote", A, Script::Silence);
    agreed(&mut world, restore(15, None, true));
    world.run_for(Duration::from_secs(120));
    ended(&world, "failed");
    assert!(matches!(world.place(A).database, DatabaseState::Writing { .. }), "{}", world.transcript());
    assert!(world.acts().iter().filter(|act| act.starts_with("restore")).count() == 1, "{:?}", world.acts());
}

/// The data are restored in place, and the order to promote them is out.
fn restored() -> World {
    let mut world = world();
    world.script("promote", A, Script::Silence);
    assert_eq!(world.ask(restore(15, None, true), "ada"), None);
    world.run_for(ms(300));
    assert_eq!(world.approve("bob", true), None);
    world.run_for(ms(300));
    assert!(world.acts().iter().any(|act| act.starts_with("promote")), "{}", world.transcript());
    world
}

/// The old writer's next epoch is at the very site that the run was going to promote: it is not the run's commit point.
#[test]
fn a_restore_that_is_aborted_at_its_promotion_puts_the_old_data_back_and_ends() {
    let mut world = restored();
    let before = world.epoch.clone();
    assert_eq!(world.abort("ada"), None);
    world.run_for(Duration::from_secs(60));
    world.settle();
    ended(&world, "aborted");
    let acts = world.acts();
    assert_eq!(acts.iter().filter(|act| act.starts_with("restore")).count(), 1, "{acts:?}");
    let at = |act: &str| acts.iter().rposition(|a| a.starts_with(act));
    assert!(at("put back").expect("put back") < at("promote").expect("the old writer returns"), "{acts:?}");
    let writer = world.state.writer.clone().expect("a writer");
    assert!(writer.site == site(A) && writer.epoch > before, "{writer:?}");
    assert_eq!(world.refold(), world.state);
}

/// It had been promoted after all: what was restored is live, and is not restored again over what was written since.
#[test]
fn a_restore_whose_abort_comes_too_late_is_not_done_twice() {
    let mut world = restored();
    assert_eq!(world.abort("ada"), None);
    let epoch = world.epoch.next(&site(A));
    world.epoch = epoch.clone();
    (world.place(A).database, world.place(A).written) = (writing(&epoch), epoch);
    world.run_for(Duration::from_secs(60));
    world.settle();
    ended(&world, "succeeded");
    let acts = world.acts();
    assert_eq!(acts.iter().filter(|act| act.starts_with("restore")).count(), 1, "{acts:?}");
    assert!(!acts.iter().any(|act| act.starts_with("put back")), "{acts:?}");
}

#[test]
fn nothing_is_promoted_that_was_not_restored() {
    let world = restored();
    let mut run = world.run().clone();
    assert_eq!(crate::runbook::guard::may_promote(&world.state, &run, world.now), crate::runbook::guard::Gate::Open);
    let step =
        run.runbook.steps.iter().position(|s| s.action().is_some_and(|a| matches!(a.verb, Verb::Restore { .. })));
    let gate = |run: &_| crate::runbook::guard::may_promote(&world.state, run, world.now);
    run.steps[step.expect("a restore")].progress = crate::runbook::run::Progress::Failed;
    assert!(matches!(gate(&run), crate::runbook::guard::Gate::Shut(_)));
    let alone = crate::runbook::run::Run { loss_accepted: [person("ada")].into(), ..world.run().clone() };
    assert!(matches!(gate(&alone), crate::runbook::guard::Gate::Ask(_)));
    let running = crate::runbook::run::Run { receipts: vec![], ..world.run().clone() };
    assert!(matches!(gate(&running), crate::runbook::guard::Gate::Shut(_)));
}

#[test]
fn a_restore_survives_a_crash_at_any_record() {
    for (at, crash) in [A, B].into_iter().flat_map(|at| (0..60).map(move |crash| (at, crash))) {
        let mut world = world();
        let start = world.journal.len();
        assert_eq!(world.ask(restore(15, Some(at), true), "ada"), None);
        let mut restarted = false;
        for _ in 0..600 {
            if !restarted && world.journal.len() >= start + crash {
                world.restart();
                restarted = true;
            }
            if world.state.run.as_ref().is_some_and(|run| !run.loss_accepted.contains(&person("bob"))) {
                world.approve("bob", true);
            }
            if restarted && world.state.run.is_none() {
                break;
            }
            world.run_for(ms(100));
        }
        ended(&world, "succeeded");
        assert_eq!(world.state.writer.as_ref().map(|w| w.site.clone()), Some(site(at)), "crash at {crash}");
        assert_eq!(world.refold(), world.state, "crash at {crash}: the fold of the journal is the state");
        let restored = world.acts().iter().filter(|act| act.starts_with("restore")).count();
        assert!(restored >= 1 && world.acts().iter().any(|act| act.starts_with("promote")), "crash at {crash}");
    }
}
