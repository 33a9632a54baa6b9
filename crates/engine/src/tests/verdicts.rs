//! Unknown is not down, suspicion is not proof, and a majority of vantage points is.

use std::time::Duration;

use model::observe::DatabaseState;
use model::{Epoch, Lsn};

use super::world::*;
use crate::watch::Verdict;
use crate::watch::loss::estimate;
use crate::watch::verdict::{is_majority, judge};
use crate::{Event, Record, observe};

fn verdict(world: &World, name: &str) -> Verdict {
    judge(&world.state, &site(name), world.now).0
}

fn cut(world: &mut World, from: &str, to: &str) {
    world.cut.insert((site(from), site(to)));
}

#[test]
fn nothing_seen_is_unknown() {
    let world = World::new(topology());
    assert_eq!([A, B, W].map(|name| verdict(&world, name)), [Verdict::Unknown; 3]);
}

#[test]
fn a_controller_that_hears_nobody_knows_nothing() {
    let mut world = World::established(topology());
    for _ in 0..40 {
        world.now = world.now + ms(250);
        for name in [A, B, W] {
            world.send(&Event::Unanswered { site: site(name), why: "no route".into() });
        }
    }
    assert_eq!([A, B, W].map(|name| verdict(&world, name)), [Verdict::Unknown; 3]);
    assert!(world.state.run.is_none(), "silence never starts a failover");
}

#[test]
fn a_dead_region_is_suspected_then_unreachable() {
    let mut world = World::established(topology());
    world.state.held = Some(site(A));
    world.kill(A);
    world.run_for(ms(800));
    assert_eq!(verdict(&world, A), Verdict::Up, "too early to say");
    world.run_for(ms(700));
    assert_eq!(verdict(&world, A), Verdict::Suspected);
    world.run_for(ms(1000));
    assert_eq!(verdict(&world, A), Verdict::Unreachable);
    assert_eq!([B, W].map(|name| verdict(&world, name)), [Verdict::Up; 2]);
}

#[test]
fn a_cut_between_the_regions_alone_is_only_suspicion() {
    let mut world = World::established(topology());
    cut(&mut world, A, B);
    cut(&mut world, B, A);
    world.run_for(ms(10_000));
    assert_eq!([A, B, W].map(|name| verdict(&world, name)), [Verdict::Suspected, Verdict::Suspected, Verdict::Up]);
    assert!(world.state.run.is_none(), "{}", world.transcript());
    assert!(world.places.values().all(|place| place.suspect), "TTL zero is served meanwhile");
    world.cut.clear();
    world.run_for(ms(1000));
    assert!(world.places.values().all(|place| !place.suspect), "and no longer");
}

#[test]
fn a_site_that_reports_is_not_unreachable_whatever_the_others_say() {
    let mut world = World::established(topology());
    cut(&mut world, B, A);
    cut(&mut world, W, A);
    world.run_for(ms(10_000));
    assert_eq!(verdict(&world, A), Verdict::Suspected);
    assert!(world.state.run.is_none());
}

#[test]
fn a_stale_vantage_point_has_no_say() {
    let mut world = World::established(topology());
    world.kill(A);
    // Only the witness goes on reporting: one vantage point is no majority.
    for _ in 0..40 {
        world.now = world.now + ms(250);
        let report = world.report(&site(W)).into();
        world.send(&Event::Reported { report });
    }
    assert_eq!(verdict(&world, A), Verdict::Suspected);
    assert!(world.state.run.is_none());
}

/// What `from` says of its tries at A: that they fail for so long, or that it answers.
fn says(world: &mut World, from: &str, failing_for: Option<Duration>) {
    let mut report = world.report(&site(from));
    let probe = report.probes.get_mut(&site(A)).expect("a probe of it");
    (probe.failures, probe.failing_for) = failing_for.map_or((0, Duration::ZERO), |long| (40, long));
    probe.answered = Some(failing_for.unwrap_or_default());
    world.send(&Event::Reported { report: report.into() });
}

#[test]
fn one_vantage_point_decides_nothing_although_the_site_itself_is_silent() {
    let mut world = World::established(topology());
    world.now = world.now + Duration::from_secs(10);
    says(&mut world, W, None);
    says(&mut world, B, Some(Duration::from_secs(9)));
    assert_eq!(verdict(&world, A), Verdict::Suspected);
    says(&mut world, W, Some(Duration::from_secs(9)));
    assert_eq!(verdict(&world, A), Verdict::Unreachable);
}

#[test]
fn what_a_vantage_point_said_before_it_fell_silent_counts_no_more() {
    let mut world = World::established(topology());
    world.state.held = Some(site(A));
    world.now = world.now + Duration::from_secs(10);
    says(&mut world, B, Some(Duration::from_secs(9)));
    world.now = world.now + world.state.topology.timing.stale_after + ms(1);
    says(&mut world, W, Some(Duration::from_secs(9)));
    assert_eq!(verdict(&world, A), Verdict::Suspected, "B may reach it again by now");
}

#[test]
fn a_vantage_point_counts_only_after_trying_for_long_enough() {
    for (millis, expected) in
        [(900, Verdict::Up), (1000, Verdict::Suspected), (1999, Verdict::Suspected), (2000, Verdict::Unreachable)]
    {
        let mut world = World::established(topology());
        world.state.held = Some(site(A));
        world.now = world.now + Duration::from_secs(10);
        for name in [B, W] {
            let mut report = world.report(&site(name));
            let probe = report.probes.get_mut(&site(A)).expect("a probe of it");
            (probe.failing_for, probe.failures, probe.answered) = (ms(millis), 3, Some(ms(millis)));
            if millis < 1000 {
                probe.answered = None;
            }
            observe(&mut world.state, world.now, &Event::Reported { report: report.into() });
        }
        let said = verdict(&world, A);
        let expected = if expected == Verdict::Up { Verdict::Unknown } else { expected };
        assert_eq!(said, expected, "after {millis} ms");
    }
}

#[test]
fn a_majority_is_more_than_half_of_all_sites() {
    let topology = topology();
    assert_eq!([0, 1, 2, 3].map(|n| is_majority(n, &topology)), [false, false, true, true]);
}

#[test]
fn the_loss_includes_the_silence_since_the_last_report() {
    let mut world = World::established(topology());
    world.place(B).lag = ms(40);
    world.run_for(ms(250));
    let loss = |world: &World| estimate(&world.state, &site(A), &site(B), world.now).expect("an estimate");
    assert_eq!(loss(&world).lag, Duration::ZERO, "all bytes are there");
    let seen = world.state.watch.sites.get_mut(&site(A)).expect("seen");
    seen.wrote.as_mut().expect("wrote").position = Lsn(150);
    let voter = world.state.watch.sites.get_mut(&site(W)).expect("seen");
    voter.promised_until = Some(world.now + ms(3000));
    let loss = loss(&world);
    assert_eq!((loss.lag_bytes, loss.lag), (50, ms(40)));
    assert!(loss.silent >= ms(3000), "{loss:?}");
    assert_eq!(loss.total, loss.lag + loss.silent);
}

/// As after a restore in place that the other region has not followed yet: its log goes further, and is another history.
#[test]
fn nothing_is_estimated_for_a_server_that_the_writer_does_not_name_among_its_standbys() {
    let mut world = World::established(topology());
    world.run_for(ms(250));
    let loss = |world: &World| estimate(&world.state, &site(A), &site(B), world.now);
    assert!(loss(&world).is_some());
    let seen = world.state.watch.sites.get_mut(&site(A)).expect("seen");
    seen.wrote.as_mut().expect("wrote").lag.clear();
    assert_eq!(loss(&world), None, "although it has more than the writer ever said");

    let gone = Some(receipt(&site(A), &Epoch { number: 1, site: site(A) }));
    world.place(A).database = DatabaseState::Fenced { why: "as ordered".into(), receipt: gone };
    world.run_for(ms(250));
    assert_eq!(loss(&world), None, "nor does the end of the writer's log say anything about it");
}

/// The connections of a server that dies end first, so that its last report names nobody (a drill of `database-crash` waited
/// for people because of it).
#[test]
fn a_standby_that_the_writer_named_in_its_epoch_is_not_forgotten_when_its_connection_ends() {
    let mut world = World::established(topology());
    world.run_for(ms(250));
    let named = world.state.watch.sites[&site(A)].wrote.as_ref().expect("it wrote").lag[&site(B)];
    let mut report = world.report(&site(A));
    let database = report.database.as_mut().expect("a database");
    database.standbys.clear();
    let DatabaseState::Writing { position, .. } = &mut database.state else { panic!("it writes") };
    *position = Lsn(150);
    world.now = world.now + ms(100);
    world.send(&Event::Reported { report: report.clone().into() });
    let loss = estimate(&world.state, &site(A), &site(B), world.now).expect("it was named");
    assert_eq!(
        (loss.lag_bytes, loss.lag),
        (50, named.time + world.now.since(named.at)),
        "nothing is known of what it got since"
    );

    let next = world.epoch.next(&site(A));
    let Some(DatabaseState::Writing { epoch, .. }) = report.database.as_mut().map(|d| &mut d.state) else { panic!() };
    *epoch = next;
    world.send(&Event::Reported { report: report.into() });
    assert_eq!(estimate(&world.state, &site(A), &site(B), world.now), None, "of another epoch it was not named");
}

#[test]
fn a_voter_not_heard_may_have_renewed_just_now() {
    let mut world = World::established(topology());
    world.kill(W);
    world.run_for(ms(4000));
    let loss = estimate(&world.state, &site(A), &site(B), world.now).expect("an estimate");
    assert!(loss.silent >= world.state.topology.timing.lease);
}

#[test]
fn transitions_are_recorded_once() {
    let mut world = World::established(topology());
    let before = world.journal.len();
    world.run_for(ms(5000));
    assert_eq!(world.journal.len(), before, "samples are not journaled:\n{}", world.transcript());
}

#[test]
fn the_writers_own_word_is_evidence_only_with_a_receipt_for_its_epoch() {
    let cases = [(Some(1), true), (Some(0), false), (None, false)];
    for (epoch, proposes) in cases {
        let mut world = World::established(topology());
        let receipt = epoch.map(|number| receipt(&site(A), &Epoch { number, site: site(A) }));
        world.place(A).database = DatabaseState::Fenced { why: "its lease lapsed".into(), receipt };
        world.run_for(ms(250));
        let started = world.journal.iter().rev().any(|r| matches!(r, Record::RunStarted { by: None, .. }));
        assert_eq!(started, proposes, "receipt of epoch {epoch:?}");
    }
}

#[test]
fn the_outlook_is_what_a_failover_would_meet() {
    let mut world = World::established(topology());
    let outlook = |world: &World| crate::status(&world.state, world.now).failover;
    assert!(outlook(&world).works(), "{:?}", outlook(&world));
    assert_eq!(outlook(&world).to, Some(site(B)));

    world.kill(B);
    world.run_for(Duration::from_secs(6));
    let lost = outlook(&world);
    assert!(!lost.works() && lost.to.is_none(), "{lost:?}");
    assert!(lost.obstacles[0].contains("unreachable"), "{lost:?}");
    assert!(outlook(&World::new(topology())).obstacles[0].contains("no region has written"));
}
