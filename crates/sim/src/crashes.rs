//! The controller dies at every decision of every runbook, and the agent at every order: in the modelled world, with the
//! voters, gates and databases that the engine's own tests leave out.

use std::time::Duration;

use engine::Request;
use model::backup::RestoreTo;
use model::{Lsn, SiteId};

use crate::Weakness;
use crate::control::Death;
use crate::rng::Rng;
use crate::scenario::{Fault, Scenario};
use crate::spec::Shape;
use crate::world::World;

const S: Duration = Duration::from_secs(1);

/// What breaks, and how long after the beginning.
type Faults = Vec<(Duration, Fault)>;

/// A failover (or a switchover) and then the failback; and a switchover whose target dies, which is undone.
/// And a restore: where it is, in the other region, and one that is taken back.
fn stories() -> [(&'static str, Shape, Faults); 7] {
    let restore = |site: Option<&str>| {
        let (to, site) = (RestoreTo::Lsn(Lsn(20)), site.map(SiteId::new));
        (S, Fault::Ask(Request::Restore { to, site, accept_loss: true }))
    };
    let switchover = || Fault::Ask(Request::Switchover { to: None });
    [
        ("region loss", Shape::Automatic, vec![(S, Fault::Kill(0)), (12 * S, Fault::Return(0))]),
        ("region loss, nothing may be lost", Shape::Degrade, vec![(S, Fault::Kill(0)), (12 * S, Fault::Return(0))]),
        ("switchover", Shape::Block, vec![(S, switchover())]),
        ("undone switchover", Shape::Automatic, vec![(S, switchover()), (S + S, Fault::Kill(1))]),
        ("restore", Shape::BackedUp, vec![restore(None)]),
        ("restore elsewhere", Shape::BackedUp, vec![restore(Some("south"))]),
        ("undone restore", Shape::BackedUp, vec![restore(None), (4 * S, Fault::Abort)]),
    ]
}

/// Unoptimised code tries every third point, each kind of death in turn: a landing shall not wait for all of them.
fn stride() -> usize {
    if cfg!(debug_assertions) { 3 } else { 1 }
}

fn live(shape: Shape, faults: &[(Duration, Fault)], prepare: impl FnOnce(&mut World)) -> World {
    let mut world = World::established(shape, false, 0, Weakness::default(), false);
    world.befall(Scenario::told(shape, faults, 14 * S), Rng::new(7));
    prepare(&mut world);
    world.run();
    world
}

fn ends_well(world: &World, how: &str) {
    assert!(world.judge.violations.is_empty(), "{how}: {:?}", world.judge.violations);
    assert!(world.serves(0), "{how}: nobody serves at home");
}

#[test]
fn the_controller_may_die_at_any_decision() {
    let deaths = [Death::BeforeRecords, Death::BeforeEffects, Death::Among(1), Death::Among(2)];
    for (name, shape, faults) in stories() {
        let mut decisions = 0;
        loop {
            let mut over = false;
            let turn = decisions / stride() % deaths.len();
            for death in if stride() > 1 { deaths[turn..=turn].to_vec() } else { deaths.to_vec() } {
                let world = live(shape, &faults, |world| world.control.dies_in = Some((decisions, death)));
                ends_well(&world, &format!("{name}, {death:?} at decision {decisions}"));
                over = world.control.dies_in.is_some();
            }
            if over {
                break;
            }
            decisions += stride();
        }
        assert!(decisions > 6, "{name} has only {decisions} decisions");
    }
}

#[test]
fn the_agent_may_die_at_any_order() {
    for (name, shape, faults) in stories() {
        for done in [false, true] {
            let mut orders = 0;
            loop {
                let world = live(shape, &faults, |world| world.agent_dies = Some((orders, done)));
                ends_well(&world, &format!("{name}, order {orders}, done: {done}"));
                if world.agent_dies.is_some() {
                    break;
                }
                orders += stride();
            }
            assert!(orders > 0, "{name} has only {orders} orders");
        }
    }
}
