//! Commits wait for whom the record names: ordered, seen, and never merely believed.

use super::*;

/// A writer at `a` whose record names `b`, with an open gate.
fn recorded(when_alone: WhenAlone) -> World {
    let mut world = World::new(true);
    for writer in world.writers.values_mut() {
        writer.rules.sync = Some(SyncRules { when_alone, lost_after: 2_000 * MS });
    }
    world.promote("a", 1);
    world.advance(1_000 * MS);
    for _ in 0..4 {
        look(&mut world, true, 200);
    }
    assert!(world.writers[&site("a")].in_sync().contains(&site("b")) && world.serving(&site("a")));
    world
}

/// One look of the writer at its standby, and whether clients are let in afterwards.
fn look(world: &mut World, synchronous: bool, flushed: u64) -> bool {
    let stream = Stream { site: site("b"), streaming: true, synchronous, flushed: Lsn(flushed) };
    world.send("a", Event::Standbys { streams: vec![stream], position: Lsn(200) });
    world.advance(100 * MS);
    world.serving(&site("a"))
}

fn crash_and_restart(world: &mut World) {
    world.send("a", Event::ServerExited { why: "signal 9".into() });
    assert_eq!(world.writers[&site("a")].mode(), &Mode::Writing);
    assert!(!world.serving(&site("a")));
}

#[test]
fn after_a_restart_clients_stay_out_until_commits_were_twice_seen_to_wait_for_the_recorded_standby() {
    for when_alone in [WhenAlone::Block, WhenAlone::Degrade] {
        let mut world = recorded(when_alone);
        crash_and_restart(&mut world);
        assert_eq!(world.waits[&site("a")], Some(site("b")));
        assert!(!look(&mut world, false, 200), "the standby has everything, and commits do not wait for it");
        assert!(!look(&mut world, true, 200), "seen once");
        assert!(!look(&mut world, false, 200), "not any more");
        assert!(!look(&mut world, true, 200), "seen once again");
        assert!(look(&mut world, true, 200), "seen twice in a row");
    }
}

#[test]
fn an_order_to_wait_that_is_not_seen_in_effect_is_given_again() {
    let mut world = recorded(WhenAlone::Block);
    crash_and_restart(&mut world);
    world.waits.clear();
    let mut looks_until_repeated = 0;
    while world.waits.is_empty() {
        assert!(!look(&mut world, false, 200));
        looks_until_repeated += 1;
        assert!(looks_until_repeated < 100, "never ordered again");
    }
    assert_eq!(world.waits[&site("a")], Some(site("b")));
    assert!(looks_until_repeated >= 20, "not at every look: {looks_until_repeated}");
    assert!(world.voters[&site("w")].promises().sync.in_sync.contains(&site("b")), "the record stands");
}

#[test]
fn a_writer_whose_commits_are_seen_not_to_wait_lets_nobody_in_until_they_do() {
    let mut world = recorded(WhenAlone::Block);
    assert!(look(&mut world, false, 200), "one look may be at a connection that has just begun");
    assert!(look(&mut world, true, 200));
    assert!(look(&mut world, false, 200));
    world.waits.clear();
    assert!(!look(&mut world, false, 200), "two in a row are no accident");
    assert_eq!(world.waits[&site("a")], Some(site("b")), "ordered again at once");
    for _ in 0..50 {
        assert!(!look(&mut world, false, 200));
    }
    assert!(!look(&mut world, true, 199) && !look(&mut world, true, 199), "it lacks what did not wait");
    assert!(look(&mut world, true, 200));
}

#[test]
fn a_writer_that_may_degrade_records_a_standby_out_that_it_cannot_be_made_to_wait_for() {
    let mut world = recorded(WhenAlone::Degrade);
    let mut shut = 0;
    for _ in 0..40 {
        shut += u32::from(!look(&mut world, false, 200));
    }
    assert!((10..30).contains(&shut), "shut from the second look until the standby counted as lost: {shut}");
    assert!(world.serving(&site("a")));
    assert!(world.voters[&site("w")].promises().sync.in_sync.is_empty());
    for _ in 0..3 {
        assert!(look(&mut world, true, 200), "once commits wait again it is recorded again, with an open gate");
    }
    assert!(world.voters[&site("w")].promises().sync.in_sync.contains(&site("b")));
}

#[test]
fn a_server_is_started_with_the_wait_that_the_record_asks_for() {
    let mut world = recorded(WhenAlone::Degrade);
    assert_eq!(world.writers[&site("a")].opens_waiting_for(), Some(site("b")));
    let attempt = world.attempt(2);
    world.send("a", Event::Fence { attempt, clean: true });
    world.promote("b", 3);
    world.advance(1_000 * MS);
    assert!(world.done(3));
    assert_eq!(world.writers[&site("b")].opens_waiting_for(), None, "the record names itself only");
    let mut world = recorded(WhenAlone::Block);
    let attempt = world.attempt(2);
    world.send("a", Event::Fence { attempt, clean: true });
    world.promote("b", 3);
    world.advance(1_000 * MS);
    assert_eq!(world.writers[&site("b")].opens_waiting_for(), Some(site("a")), "it may not go on alone");
}
