//! The controller dies at every point of every kind of run, and the agent at every order: the run still ends in a permitted
//! state, and the invariants hold after every record.

use model::observe::DatabaseState;
use model::topology::FailoverMode;

use super::world::*;
use crate::runbook::run::Pause;
use crate::{Request, Workload};

/// One kind of run, and how it may end.
struct Story {
    name: &'static str,
    /// Where it begins.
    world: fn() -> World,
    /// What begins it, and what people want until it has ended.
    begins: fn(&mut World),
    wants: Option<Request>,
    /// Who may write at its end.
    writers: &'static [&'static str],
    ends: &'static [&'static str],
}

fn at_home() -> World {
    let mut topology = topology();
    topology.failover = FailoverMode::Automatic;
    let mut world = World::established(topology);
    world.run_for(ms(12_000));
    world
}

/// B writes, A has come back and is well.
fn away() -> World {
    let mut world = at_home();
    world.ask(Request::Switchover { to: None }, "ada");
    world.settle();
    assert_eq!(world.last_end().as_deref(), Some("succeeded"), "{}", world.transcript());
    world.run_for(ms(12_000));
    world
}

fn undone() -> World {
    let mut world = at_home();
    world.script("promote", B, Script::Ends(model::Outcome::Failed(model::ActError::Permanent("disk is gone".into()))));
    world
}

fn lost_and_returned() -> World {
    let mut world = at_home();
    world.kill(A);
    world.run_for(ms(6_000));
    world.settle();
    assert_eq!(world.state.writer.as_ref().map(|writer| writer.site.clone()), Some(site(B)));
    assert_eq!(world.last_end().as_deref(), Some("succeeded"), "{}", world.transcript());
    world.revive(A);
    world.run_for(ms(12_000));
    world
}

fn nothing(_: &mut World) {}

const SWITCHOVER: Option<Request> = Some(Request::Switchover { to: None });

fn stories() -> Vec<Story> {
    let done = &["succeeded"][..];
    let story = |name, world, begins, wants, writers, ends| Story { name, world, begins, wants, writers, ends };
    vec![
        story("establish", || World::new(topology()), nothing, Some(Request::Establish), &[A], done),
        story("failover", at_home, |world| world.kill(A), None, &[B], done),
        story("switchover", at_home, nothing, SWITCHOVER, &[B], done),
        story("failback", away, nothing, Some(Request::Failback), &[A], done),
        story("failback after a loss", lost_and_returned, nothing, Some(Request::Failback), &[A], done),
        story("undone switchover", undone, nothing, SWITCHOVER, &[A, B], &["succeeded", "failed"]),
    ]
}

impl Story {
    fn run(&self, beginning: &World, prepare: impl FnOnce(&mut World)) -> World {
        let mut world = beginning.clone();
        let before = world.state.past.len();
        prepare(&mut world);
        (self.begins)(&mut world);
        let over = |world: &World| !world.dead && world.state.run.is_none() && world.state.past.len() > before;
        for _ in 0..600 {
            world.run_for(ms(250));
            if over(&world) {
                break;
            }
            if world.dead {
                world.restart();
            }
            self.people(&mut world, before);
        }
        // What is done outside any run.
        world.run_for(ms(4_000));
        world
    }

    /// They ask until it is heard, and approve what waits for them.
    fn people(&self, world: &mut World, before: usize) {
        let pause = world.state.run.as_ref().map(|run| run.pause.clone());
        match (pause, &self.wants) {
            (None, Some(request)) if world.state.past.len() == before => drop(world.ask(request.clone(), "ada")),
            // The controller forgot how far the standby was before it could start a run: people must decide.
            (Some(Some(Pause::AcceptLoss { .. })), _) => {
                world.approve("ada", true);
                world.approve("bob", true);
            }
            (Some(Some(_)), _) => {
                world.approve("ada", false);
                world.approve("bob", false);
            }
            _ => {}
        }
    }

    fn ends_well(&self, world: &World, how: &str) {
        let (end, said) = (world.last_end().unwrap_or_default(), || format!("{how}:\n{}", world.transcript()));
        assert!(self.ends.contains(&end.as_str()), "{}, {end}, {}", self.name, said());
        let writer = world.state.writer.as_ref().map(|writer| writer.site.clone()).expect("a writer");
        assert!(self.writers.iter().any(|name| site(name) == writer), "{writer} writes, {}", said());
        let writing = |name: &str| {
            let place = &world.places[&site(name)];
            place.alive && matches!(place.database, DatabaseState::Writing { .. })
        };
        let writers: Vec<&str> = [A, B].into_iter().filter(|name| writing(name)).collect();
        assert_eq!(writers, [writer.as_str()], "{}, {}", self.name, said());
        let zone = world.state.zone.as_ref().expect("a zone");
        assert_eq!(crate::routing::enabled(zone), [writer.to_string()], "{}, {}", self.name, said());
        for (name, place) in world.places.iter().filter(|(_, place)| place.alive) {
            assert_eq!(place.zone.as_ref(), Some(zone), "{name} serves the zone, {}", said());
        }
        assert_eq!(world.state.frozen, None, "deployments are free again, {}", said());
        let folded: Workload = world.refold();
        assert_eq!(folded, world.state, "the fold of the journal is the state, {}", said());
    }
}

/// Before and after the records of each decision, and after each effect, until the run has ended before the point comes.
#[test]
fn every_runbook_survives_a_crash_of_the_controller_at_any_record_and_effect() {
    for story in stories() {
        let (mut points, beginning) = (0, (story.world)());
        loop {
            let mut world = story.run(&beginning, |world| world.dies_in = Some(points));
            let came = world.dies_in.is_none();
            world.dies_in = None;
            if world.dead {
                // After the end, in the housekeeping.
                world.restart();
                world.run_for(ms(8_000));
            }
            story.ends_well(&world, &format!("the controller dies at point {points}"));
            if !came {
                break;
            }
            points += 1;
        }
        assert!(points > 20, "{} has only {points} points", story.name);
    }
}

/// Before the order is carried out, after it, and when only the answer is lost.
#[test]
fn every_runbook_survives_a_crash_of_the_agent_at_any_order() {
    for story in stories() {
        for script in [Script::DiesBefore, Script::DiesAfter, Script::AnswerLost] {
            let (mut orders, beginning) = (0, (story.world)());
            loop {
                let world = story.run(&beginning, |world| world.nth_order = Some((orders, script.clone())));
                story.ends_well(&world, &format!("{script:?} at order {orders}"));
                if world.nth_order.is_some() {
                    break;
                }
                orders += 1;
            }
            assert!(orders > 4, "{} has only {orders} orders", story.name);
        }
    }
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
