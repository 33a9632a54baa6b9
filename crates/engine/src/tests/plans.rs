//! Golden texts of the runbooks, and the refusals of planning.

use model::action::Action;
use model::observe::DatabaseState;
use model::{ComponentId, Verb};

use super::world::*;
use crate::runbook::guard::needs_nothing_lost;
use crate::runbook::{Depends, DependsOn, Need, Work};
use crate::{Refused, Request, plan};

fn failover() -> Request {
    Request::Failover { to: None, accept_loss: false }
}

fn text(world: &World, request: &Request) -> String {
    plan(&world.state, request, world.now).expect("a plan").text()
}

fn refused(world: &World, request: &Request) -> &'static str {
    let Refused { code, why, hint } = plan(&world.state, request, world.now).expect_err("a refusal");
    assert!(!why.is_empty() && !hint.is_empty());
    code
}

#[test]
fn establish_reads_well() {
    let mut world = World::new(topology());
    world.run_for(ms(300));
    insta::assert_snapshot!(text(&world, &Request::Establish));
}

#[test]
fn failover_reads_well() {
    insta::assert_snapshot!(text(&World::established(topology()), &failover()));
}

#[test]
fn switchover_reads_well() {
    insta::assert_snapshot!(text(&World::established(topology()), &Request::Switchover { to: None }));
}

#[test]
fn failback_reads_well() {
    let mut world = World::established(topology());
    world.ask(Request::Switchover { to: None }, "ada");
    world.settle();
    insta::assert_snapshot!(text(&world, &Request::Failback));
}

#[test]
fn refusals_have_stable_codes() {
    let mut world = World::new(topology());
    assert_eq!(refused(&world, &failover()), "not-established");
    assert_eq!(refused(&world, &Request::Failback), "not-established");
    world = World::established(topology());
    let to = |name: &str| Request::Switchover { to: Some(site(name)) };
    assert_eq!(refused(&world, &Request::Establish), "already-there");
    assert_eq!(refused(&world, &Request::Failback), "already-there");
    assert_eq!(refused(&world, &to(A)), "already-there");
    assert_eq!(refused(&world, &to(W)), "no-such-site");
    assert_eq!(refused(&world, &to("atlantis")), "no-such-site");
    world.place(B).database = DatabaseState::Absent;
    world.run_for(ms(250));
    assert_eq!(refused(&world, &failover()), "target-not-standby");
    world.kill(B);
    world.run_for(ms(4000));
    assert_eq!(refused(&world, &failover()), "target-unreachable");
}

#[test]
fn a_region_that_may_not_hold_the_data_is_refused() {
    let mut topology = topology();
    topology.residency.insert("regulated".into(), vec![site(A)]);
    let world = World::established(topology);
    for request in [failover(), Request::Switchover { to: Some(site(B)) }] {
        assert_eq!(refused(&world, &request), "not-approved-for-data-class");
    }
}

#[test]
fn failback_needs_the_old_region() {
    let mut world = World::established(topology());
    world.kill(A);
    world.run_for(ms(4000));
    world.settle();
    assert_eq!(world.last_end().as_deref(), Some("succeeded"), "{}", world.transcript());
    assert_eq!(refused(&world, &Request::Failback), "old-region-unreachable");
}

#[test]
fn planning_changes_nothing() {
    let world = World::established(topology());
    let before = world.state.clone();
    text(&world, &failover());
    assert_eq!(world.state, before);
}

#[test]
fn a_failover_that_requires_the_lost_region_is_refused() {
    let world = World::established(topology());
    let sound = plan(&world.state, &failover(), world.now).expect("a plan");
    assert_eq!(needs_nothing_lost(&sound, &site(A)), Ok(()));
    let mut on_the_lost = sound.clone();
    let fence = on_the_lost.steps.iter_mut().find(|s| s.need == Need::BestEffort).expect("the fence");
    fence.need = Need::Required;
    fence.depends.iter_mut().for_each(|depends| depends.required = true);
    assert_eq!(needs_nothing_lost(&on_the_lost, &site(A)).map_err(|r| r.code), Err("requires-lost-region"));
    let mut through_the_lost = sound;
    let step = &mut through_the_lost.steps[0];
    let verb = Verb::Follow { upstream: site(A) };
    step.work = Work::Act(Action { site: site(B), component: ComponentId::new("cases"), verb });
    step.depends = step.action().map(model::depends::depends_on).into_iter().flatten().map(Depends::from).collect();
    assert!(step.depends.iter().any(|d| d.on == DependsOn::Site(site(A))));
    assert!(needs_nothing_lost(&through_the_lost, &site(A)).is_err());
}
