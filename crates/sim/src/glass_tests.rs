//! Glass is broken in the modelled world: for good reason, for none, and with the agent dying on the way.

use std::time::Duration;

use crate::rng::Rng;
use crate::scenario::{Fault, Scenario, WITNESS};
use crate::spec::Shape;
use crate::world::World;
use crate::{Kind, Weakness, kind, run_with};

const S: Duration = Duration::from_secs(1);

fn live(shape: Shape, faults: &[(Duration, Fault)], healed: Duration, prepare: impl FnOnce(&mut World)) -> World {
    let mut world = World::established(shape, false, 0, Weakness::default(), false);
    world.befall(Scenario::told(shape, faults, healed), Rng::new(7));
    prepare(&mut world);
    world.run();
    world
}

/// The writing region and the witness die; people at the other region break the glass, twice if they must; all come back.
fn left_alone() -> Vec<(Duration, Fault)> {
    let word = |at: u32, by| (at * S, Fault::Word(1, by));
    vec![
        (S, Fault::Kill(0)),
        (S, Fault::Kill(WITNESS)),
        word(6, "ada"),
        word(8, "bob"),
        word(25, "bob"),
        word(27, "ada"),
    ]
}

#[test]
fn the_region_that_is_left_serves_and_all_goes_home_when_the_others_are_back() {
    for shape in [Shape::Automatic, Shape::Ask, Shape::Degrade] {
        let world = live(shape, &left_alone(), 45 * S, |_| ());
        assert!(world.judge.violations.is_empty(), "{shape:?}: {:?}", world.judge.violations);
        let broken = world.sites[1].disk.glass.broken.as_ref().expect("broken");
        assert_eq!((broken.attempt, broken.adopted), (1, true), "{shape:?}");
        assert!(world.judge.promotions >= 3, "{shape:?}: at the beginning, by the glass, and home");
        assert!(world.serves(0), "{shape:?}: home again");
        assert_eq!(world.control.state.glass.len(), 1, "{shape:?}: the controller knows who did it");
    }
}

/// The agent dies before each line of its journal, and just after it. Whatever it was, people who give their words again are
/// heard, and nothing is ever broken by halves.
#[test]
fn the_agent_may_die_at_any_line_of_its_journal() {
    for after in [false, true] {
        for line in 0.. {
            let mut dead = false;
            let world = live(Shape::Automatic, &left_alone(), 45 * S, |world| world.glass_dies = Some((line, after)));
            dead |= world.glass_dies.is_none();
            assert!(world.judge.violations.is_empty(), "line {line}, {after}: {:?}", world.judge.violations);
            assert!(world.serves(0), "line {line}, {after}: home again");
            if !dead {
                assert!(line >= 4, "only {line} lines");
                break;
            }
            assert!(world.sites[1].disk.glass.last >= 1);
        }
    }
}

/// The others live, and have each other. Both regions write, until the first word between them; what the old region was told
/// meanwhile is all found again.
#[test]
fn a_false_word_parts_the_data_and_all_of_it_is_found() {
    let word = |at: u32, by| (at * S, Fault::Word(1, by));
    let faults = [(S, Fault::Isolate(1)), word(6, "ada"), word(8, "bob"), (25 * S, Fault::Rejoin(1))];
    let world = live(Shape::Automatic, &faults, 30 * S, |_| ());
    assert!(world.judge.violations.is_empty(), "{:?}", world.judge.violations);
    assert!(!world.judge.glass.diverged.is_empty(), "both wrote");
    assert!(world.sites[1].disk.glass.broken.is_some() && world.serves(0));
}

/// A writer that is cut off just before the last word still has its lease then. The wait is for it.
#[test]
fn an_epoch_that_is_taken_without_the_wait_is_found() {
    let weakness = Weakness { glass_in_a_hurry: true, ..Weakness::default() };
    let seeds = (1..=4_000).filter(|seed| kind(*seed) == Kind::BreakGlass);
    let found = seeds.map(|seed| run_with(seed, weakness, false)).find(|report| {
        let holder = |violation: &crate::Violation| violation.invariant == "invariant_one_holder";
        report.violations.iter().any(holder)
    });
    assert!(found.is_some(), "nothing is found");
}

#[test]
fn many_broken_glasses_break_no_invariant() {
    let count = if cfg!(debug_assertions) { 2_000 } else { 16_000 };
    let mut broken = 0;
    for seed in (1..=count).filter(|seed| kind(*seed) == Kind::BreakGlass) {
        let report = crate::run(seed);
        assert!(report.violations.is_empty(), "{report:#?}");
        broken += u32::from(report.promotions > 1);
    }
    assert!(broken > 20, "only {broken} promotions");
}
