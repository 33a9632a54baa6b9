//! The witness and the writing region are lost together, and two people say so.

use model::Person;

use super::*;
use crate::writer::glass::STEP;

/// `b` has not heard from anybody; `a` and `w` still have each other, or are dead, for all that `b` can know.
fn bereft() -> World {
    let mut world = World::started();
    world.advance(1_000 * MS);
    world.cut(&[("a", "b"), ("b", "w")]);
    world
}

fn break_glass(world: &mut World, who: &str, number: u32) {
    let epoch = world.voters[&site(who)].promises().granted.clone();
    let attempt = Attempt { epoch, ..world.attempt(number) };
    let people = ["ada", "bob"].map(Person::new).to_vec();
    let accept_loss = AcceptLoss { by: people, estimate: "everything since the last word".into() };
    world.send(who, Event::BreakGlass { attempt, received: Lsn(100), accept_loss });
}

fn kill(world: &mut World, name: &str) {
    let writer = &world.writers[&site(name)];
    let (rules, durable) = (writer.rules.clone(), writer.durable().clone());
    world.writers.insert(site(name), Writer::new(rules, durable));
    world.gates.insert(site(name), false);
}

#[test]
fn the_region_that_is_left_writes_by_two_peoples_word_once_its_own_promise_is_over() {
    let mut world = bereft();
    kill(&mut world, "a");
    break_glass(&mut world, "b", 2);
    world.advance(3_000 * MS);
    assert!(!world.serving(&site("b")), "its own voter has promised the lease to a");
    world.advance(3_000 * MS);
    assert!(world.serving(&site("b")) && world.done(2));
    assert!(world.writers[&site("b")].epoch().unwrap().number > STEP);
    world.advance(30_000 * MS);
    assert!(world.serving(&site("b")) && world.writers[&site("b")].by_decree(), "for as long as it is alone");
    world.cut(&[]);
    world.send("a", Event::Restarted { standby: false });
    world.advance(1_000 * MS);
    assert!(world.serving(&site("b")) && !world.writers[&site("b")].by_decree(), "the ordinary rules hold again");
    assert!(matches!(world.writers[&site("a")].mode(), Mode::Fenced { .. }));
    world.cut(&[("a", "b"), ("b", "w")]);
    world.advance(10_000 * MS);
    assert!(!world.serving(&site("b")), "and without a majority it stops");
}

#[test]
fn nobody_breaks_the_glass_while_another_voter_answers() {
    for alive in ["a", "w"] {
        let mut world = bereft();
        kill(&mut world, "a");
        world.cut(&[("b", if alive == "w" { "a" } else { "w" }), ("a", "w")]);
        break_glass(&mut world, "b", 2);
        world.advance(10_000 * MS);
        assert!(!world.serving(&site("b")), "{alive} answers");
        let refused = |(id, outcome): &(AttemptId, Outcome)| id.step == 2 && matches!(outcome, Outcome::Refused { .. });
        assert!(world.answers.iter().any(refused));
    }
}

/// The people were wrong: a and w live, and serve. Both write, until the first word between them.
#[test]
fn an_old_writer_that_was_declared_dead_fences_itself_at_the_first_word() {
    for meets in ["a", "w"] {
        let mut world = bereft();
        world.two_by_decree = true;
        break_glass(&mut world, "b", 2);
        world.advance(10_000 * MS);
        assert!(world.serving(&site("a")) && world.serving(&site("b")), "what the people took upon themselves");
        world.cut(&[("b", if meets == "w" { "a" } else { "w" })]);
        world.advance(1_100 * MS);
        assert!(!world.serving(&site("a")), "met through {meets}, within two renewals");
        assert!(matches!(world.writers[&site("a")].mode(), Mode::Fenced { .. }));
        world.two_by_decree = false;
        world.advance(20_000 * MS);
        assert!(world.serving(&site("b")));
        let newest = world.writers[&site("b")].epoch().cloned();
        assert_eq!(newest.as_ref(), Some(&world.voters[&site(meets)].promises().granted));
    }
}

#[test]
fn the_in_sync_record_of_the_lost_does_not_outlive_the_glass() {
    let mut world = World::in_sync();
    world.cut(&[("a", "b"), ("b", "w")]);
    kill(&mut world, "a");
    break_glass(&mut world, "b", 2);
    world.advance(6_000 * MS);
    assert!(world.serving(&site("b")));
    world.cut(&[]);
    world.advance(2_000 * MS);
    for name in ["a", "b", "w"] {
        assert_eq!(world.voters[&site(name)].promises().sync.in_sync, vec![site("b")], "{name}");
    }
}
