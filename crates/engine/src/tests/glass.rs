//! The controller comes back after people broke the glass in the region that was left: it takes over what they did.

use model::{DatabaseState, Epoch, GlassReport};

use super::world::*;
use crate::writer::glass::STEP;
use crate::{Record, Request};

pub fn broken(epoch: &Epoch) -> GlassReport {
    GlassReport {
        attempt: 1,
        epoch: epoch.clone(),
        by: vec![person("ada"), person("bob")],
        why: vec!["the north burns".into(), "so it does".into()],
        loss: "lose everything after 2026-11-21T03:00:00Z".into(),
        adopted: false,
    }
}

/// A and the witness were lost; at B people took an epoch, and B serves. Now the witness is back, and its controller.
fn after_the_glass() -> World {
    let mut world = World::established(topology());
    let epoch = Epoch { number: world.epoch.number + STEP, site: site(B) };
    world.kill(A);
    world.epoch = epoch.clone();
    let served = world.place(B).zone.clone().expect("an established zone");
    let place = world.place(B);
    place.database = writing(&epoch);
    place.written = epoch.clone();
    place.instances = 4;
    place.zone = Some(crate::routing::only(&served, &site(B), &epoch));
    place.glass = Some(broken(&epoch));
    world.restart();
    world
}

#[test]
fn the_controller_takes_over_what_people_did_and_undoes_nothing() {
    let mut world = after_the_glass();
    let epoch = world.epoch.clone();
    world.run_for(ms(5_000));
    assert_eq!(world.state.epoch(), epoch);
    assert_eq!(world.state.glass[&site(B)].by, [person("ada"), person("bob")], "who did it is in its own journal");
    let text = world.transcript();
    assert!(text.contains("ada and bob") && text.contains("the north burns"), "{text}");
    let zone = world.state.zone.clone().unwrap();
    assert_eq!((zone.epoch, crate::routing::enabled(world.state.zone.as_ref().unwrap())), (epoch, vec![B.to_owned()]));
    for name in [B, W] {
        assert_eq!(world.places[&site(name)].zone, world.state.zone, "{name} serves it");
    }
    assert!(world.state.run.is_none() && world.epoch == world.state.epoch(), "nobody moved anything: {text}");
    assert!(!world.acts().iter().any(|act| act.starts_with("promote") || act.starts_with("fence")), "{text}");
}

#[test]
fn a_zone_that_no_glass_explains_is_not_taken_over() {
    let mut world = after_the_glass();
    world.place(B).glass = None;
    let before = world.state.zone.clone();
    world.run_for(ms(5_000));
    assert_eq!(world.state.zone, before);
}

#[test]
fn closed_glass_is_forgotten_and_the_way_home_is_open() {
    let mut world = after_the_glass();
    world.run_for(ms(2_000));
    world.place(B).glass = None;
    world.run_for(ms(1_000));
    assert!(world.state.glass.is_empty());
    assert!(world.journal.iter().any(|record| matches!(record, Record::GlassBroken { glass: None, .. })));
    world.revive(A);
    world.run_for(ms(15_000));
    world.ask(Request::Failback, "ada");
    world.approve("ada", false);
    world.approve("bob", false);
    world.settle();
    assert_eq!(world.last_end().as_deref(), Some("succeeded"), "{}", world.transcript());
    assert!(matches!(world.place(A).database, DatabaseState::Writing { .. }));
}
