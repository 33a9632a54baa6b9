//! The controller dies at every point of every kind of run, and the run still ends in a permitted state.

use model::topology::FailoverMode;

use super::world::*;
use crate::runbook::run::Pause;
use crate::{Record, Request, Workload};

/// Run `scenario` with a restart once the journal has `at` records more than at its start.
fn with_restart_at(scenario: fn(&mut World), at: usize) -> World {
    let mut topology = topology();
    topology.failover = FailoverMode::Automatic;
    let mut world = World::established(topology);
    world.run_for(ms(12_000));
    let start = world.journal.len();
    scenario(&mut world);
    let mut restarted = false;
    for _ in 0..400 {
        if !restarted && world.journal.len() >= start + at {
            world.restart();
            restarted = true;
        }
        if restarted && world.state.run.is_none() && world.state.last.as_ref().is_some_and(|run| run.id.0 > 1) {
            break;
        }
        world.run_for(ms(250));
        if matches!(&world.state.run, Some(run) if matches!(run.pause, Some(Pause::AcceptLoss { .. }))) {
            // The controller forgot how far the standby was before it could start a run: people must decide.
            let nth = |found: fn(&Record) -> bool| world.journal.iter().rposition(found);
            let restart = nth(|record| matches!(record, Record::Restarted { .. }));
            assert!(restart < nth(|record| matches!(record, Record::RunStarted { .. })), "{}", world.transcript());
            world.approve("ada", true);
            world.approve("bob", true);
        }
    }
    world
}

fn ends_well(scenario: fn(&mut World), writer: &str) {
    for at in 0..60 {
        let world = with_restart_at(scenario, at);
        assert_eq!(world.last_end().as_deref(), Some("succeeded"), "crash at {at}:\n{}", world.transcript());
        assert_eq!(world.state.writer.as_ref().map(|w| w.site.clone()), Some(site(writer)), "crash at {at}");
        let folded: Workload = world.refold();
        assert_eq!(folded, world.state, "crash at {at}: the fold of the journal is the state");
    }
}

#[test]
fn a_failover_survives_a_crash_at_any_record() {
    ends_well(|world| world.kill(A), B);
}

#[test]
fn a_switchover_survives_a_crash_at_any_record() {
    ends_well(
        |world| {
            world.ask(Request::Switchover { to: None }, "ada");
        },
        B,
    );
}

/// An order whose answer the dying controller never heard is asked after, never blindly repeated.
#[test]
fn unanswered_orders_are_inquired_first() {
    let mut world = World::established(topology());
    world.script("promote", B, Script::Silence);
    world.ask(Request::Switchover { to: None }, "ada");
    world.run_for(ms(1000));
    world.forget();
    world.restart();
    let first =
        world.effects.iter().find(|effect| matches!(effect, crate::Effect::Act { .. } | crate::Effect::Inquire { .. }));
    assert!(matches!(first, Some(crate::Effect::Inquire { .. })), "{first:?}");
}
