//! A region that writes and serves nobody: the writer is moved as planned, unasked, and nothing is lost by it.

use std::time::Duration;

use model::Time;
use model::topology::FailoverMode;

use super::world::*;
use crate::Request;
use crate::runbook::run::Pause;

const LONG: Duration = Duration::from_secs(11);
/// Every instance there is.
const ALL: u32 = 99;

fn writer(world: &World) -> String {
    world.state.writer.as_ref().map(|writer| writer.site.to_string()).unwrap_or_default()
}

fn ends(world: &World) -> Vec<String> {
    world.state.past.iter().map(|run| format!("{} {}", run.request, run.ended.end)).collect()
}

#[test]
fn an_application_that_stays_down_moves_the_writer_as_planned() {
    let mut world = World::established(topology());
    world.place(A).broken = ALL;
    world.run_for(LONG);
    world.settle();
    assert_eq!(writer(&world), B, "{}", world.transcript());
    assert_eq!(ends(&world).last().map(String::as_str), Some("switchover succeeded"));
    let fenced = world.acts().iter().position(|act| act.starts_with("fence")).expect("a fence");
    let promoted = world.acts().iter().position(|act| act.starts_with("promote · cases at south")).expect("it");
    assert!(fenced < promoted, "the old writer stops first, so nothing is lost");
}

#[test]
fn a_full_disk_moves_the_writer_as_planned_and_says_why() {
    let mut world = World::established(topology());
    world.place(A).full = Some("the database's disk is full".into());
    world.run_for(LONG);
    world.settle();
    assert_eq!(writer(&world), B, "{}", world.transcript());
    assert!(world.transcript().contains("north serves nobody: the database's disk is full"), "{}", world.transcript());
}

#[test]
fn an_application_that_starts_anew_moves_nobody() {
    let mut world = World::established(topology());
    for _ in 0..5 {
        world.place(A).broken = ALL;
        world.run_for(ms(9000));
        world.place(A).broken = 1;
        world.run_for(ms(1000));
    }
    assert_eq!((writer(&world), world.acts().len()), (A.to_owned(), 0), "{}", world.transcript());
}

#[test]
fn asking_mode_asks_before_it_moves_and_goes_home_when_the_service_is_back() {
    let mut topology = topology();
    topology.failover = FailoverMode::Ask;
    let mut world = World::established(topology);
    world.place(A).broken = ALL;
    world.run_for(LONG);
    assert!(matches!(world.run().pause, Some(Pause::Approval { need: 1 })), "{}", world.transcript());
    assert_eq!(world.acts(), Vec::<String>::new());
    world.place(A).broken = 0;
    world.run_for(ms(1000));
    assert_eq!(ends(&world).last().map(String::as_str), Some("switchover withdrawn"));
    assert_eq!(writer(&world), A);
}

#[test]
fn a_request_for_a_failover_is_no_approval_of_a_move() {
    let mut topology = topology();
    topology.failover = FailoverMode::Ask;
    let mut world = World::established(topology);
    world.place(A).broken = ALL;
    world.run_for(LONG);
    world.ask(Request::Failover { to: None, accept_loss: true }, "ada");
    assert_eq!(ends(&world).last().map(String::as_str), Some("switchover superseded"), "{}", world.transcript());
    assert!(matches!(world.run().runbook.request, Request::Failover { .. }));
}

#[test]
fn nobody_is_moved_to_a_region_that_cannot_serve_either() {
    let mut world = World::established(topology());
    world.place(A).broken = ALL;
    world.place(B).secret = None;
    world.run_for(Duration::from_secs(60));
    world.settle();
    assert_eq!(writer(&world), A, "{}", world.transcript());
    assert!(!world.acts().iter().any(|act| act.starts_with("fence")), "the writer was never stopped");
    assert_eq!(ends(&world), ["establish succeeded", "switchover failed"], "one try, and then people decide");
    world.place(B).secret = Some("s1".into());
    world.place(B).secret = world.place(A).secret.clone();
    world.kill(A);
    world.run_for(ms(8000));
    world.settle();
    assert_eq!(writer(&world), B, "a lost region is still left: {}", world.transcript());
}

#[test]
fn nobody_returns_to_the_preferred_region_unasked() {
    let mut world = World::established(topology());
    world.place(A).broken = ALL;
    world.run_for(LONG);
    world.settle();
    assert_eq!(writer(&world), B);
    world.place(B).broken = ALL;
    world.run_for(Duration::from_secs(60));
    assert_eq!(writer(&world), B, "{}", world.transcript());
    assert!(world.now > Time::ZERO);
}
