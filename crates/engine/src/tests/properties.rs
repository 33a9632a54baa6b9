//! Random lives: whatever happens in whatever order, the invariants hold after every record.

use model::action::Outcome;
use model::topology::FailoverMode;
use model::{ActError, Verb};
use proptest::prelude::*;

use super::world::*;
use crate::runbook::Check;
use crate::runbook::run::Progress;
use crate::{Effect, Event, Record, Request, Workload};

/// DESIGN.md's list, as far as the engine alone can see it; after every record of every test.
pub fn invariants(state: &Workload, record: &Record) {
    invariant_traffic_after_verification(state, record);
    invariant_never_zero_regions(record);
    invariant_only_forward_after_commit(state);
    invariant_promotion_only_where_approved(state, record);
    invariant_gated_steps_have_approvals(state, record);
    invariant_one_run_at_a_time(state, record);
}

/// Invariant 4, without the guard that enforces it.
fn invariant_traffic_after_verification(state: &Workload, record: &Record) {
    let Record::AttemptStarted { attempt, action, .. } = record else { return };
    let (Verb::Route { zone }, Some(run)) = (&action.verb, &state.run) else { return };
    assert_eq!(attempt.run, run.id);
    let to = &run.runbook.to;
    assert_eq!(crate::routing::enabled(zone), [to.to_string()]);
    assert_eq!(Some(&zone.epoch), run.committed.as_ref(), "traffic before the commit point");
    let commit = run.commit_step().expect("a run that routes promotes");
    for check in [
        Check::Writing { site: to.clone() },
        Check::CapacityReady { site: to.clone() },
        Check::Secrets { site: to.clone() },
    ] {
        let steps = run.runbook.steps.iter().zip(&run.steps).skip(commit + 1);
        let mut passed =
            steps.into_iter().filter(|(step, state)| step.check() == Some(&check) && state.progress == Progress::Done);
        assert!(passed.next().is_some(), "traffic moves before {check:?}");
    }
}

fn invariant_never_zero_regions(record: &Record) {
    if let Record::ZoneChosen { zone } = record {
        assert!(!zone.names.is_empty());
        for name in zone.names.values() {
            assert!(name.targets.iter().any(|target| target.enabled && !target.addresses.is_empty()));
        }
    }
}

fn invariant_only_forward_after_commit(state: &Workload) {
    if let Some(run) = state.run.as_ref().filter(|run| run.committed.is_some()) {
        let before_forward = matches!(run.mode, crate::runbook::run::Mode::Undoing { .. });
        let undoing = run.steps[run.runbook.steps.len()..]
            .iter()
            .any(|s| matches!(s.progress, Progress::Waiting | Progress::Done));
        assert!(!(before_forward && undoing && run.undo.is_empty()), "a committed run goes back");
    }
}

/// Invariant 3: residency, and the objective or two people.
fn invariant_promotion_only_where_approved(state: &Workload, record: &Record) {
    let Record::AttemptStarted { attempt, action, .. } = record else { return };
    let (Verb::Promote { accept_loss, .. }, Some(run)) = (&action.verb, &state.run) else { return };
    assert!(state.topology.approved(&action.site));
    let accepted = accept_loss.as_ref().is_some_and(|loss| loss.by.len() >= 2);
    let unplanned = matches!(run.runbook.request, Request::Failover { .. }) && run.runbook.from.is_some();
    if unplanned && run.runbook.steps.get(attempt.step as usize).is_some_and(|s| s.commit_point) && !accepted {
        let checked = run
            .runbook
            .steps
            .iter()
            .zip(&run.steps)
            .find(|(step, _)| matches!(step.check(), Some(Check::WithinRpo { .. })));
        assert!(checked.is_some_and(|(_, state)| state.progress == Progress::Done), "promoted past the objective");
    }
}

fn invariant_gated_steps_have_approvals(state: &Workload, record: &Record) {
    let Record::AttemptStarted { attempt, .. } = record else { return };
    let Some(run) = state.run.as_ref().filter(|run| run.id == attempt.run) else { return };
    if run.runbook.steps.get(attempt.step as usize).is_some_and(|step| step.gated) {
        assert!(run.approvals.len() >= run.runbook.approvals as usize);
        assert!(run.approvals.iter().all(|person| state.topology.approvals.approvers.contains(person)));
    }
}

fn invariant_one_run_at_a_time(state: &Workload, record: &Record) {
    if let Record::RunStarted { run, .. } = record {
        assert_eq!(state.run.as_ref().map(|active| active.id), Some(*run));
        assert!(state.past.iter().all(|past| past.id < *run), "run numbers grow");
    }
}

#[derive(Clone, Debug)]
enum Happening {
    Time(u64),
    Kill(usize),
    Revive(usize),
    Cut(usize, usize),
    Heal,
    Ask(u8),
    Approve(usize, bool),
    Abort(usize),
    Restart,
    Script(usize, usize, u8),
    /// An event that already came comes again.
    Again(usize),
    LoseSecret(bool),
}

const SITES: [&str; 3] = [A, B, W];
const PEOPLE: [&str; 4] = ["ada", "bob", "cyd", "mallory"];
const VERBS: [&str; 6] = ["fence", "promote", "follow", "scale", "route", "exercise"];

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        1 => Just(Happening::Ask(5)),
        6 => (250u64..4000).prop_map(Happening::Time),
        2 => (0usize..3).prop_map(Happening::Kill),
        3 => (0usize..3).prop_map(Happening::Revive),
        1 => ((0usize..3), (0usize..3)).prop_map(|(from, to)| Happening::Cut(from, to)),
        1 => Just(Happening::Heal),
        3 => (0u8..5).prop_map(Happening::Ask),
        3 => ((0usize..4), any::<bool>()).prop_map(|(who, loss)| Happening::Approve(who, loss)),
        1 => (0usize..4).prop_map(Happening::Abort),
        1 => Just(Happening::Restart),
        3 => ((0usize..6), (0usize..2), (0u8..6)).prop_map(|(verb, at, how)| Happening::Script(verb, at, how)),
        3 => any::<prop::sample::Index>().prop_map(|index| Happening::Again(index.index(1000))),
        1 => any::<bool>().prop_map(Happening::LoseSecret),
    ]
}

fn script(how: u8) -> Script {
    Script::Ends(match how {
        0 => return Script::Silence,
        1 | 2 => Outcome::Failed(ActError::Transient("busy".into())),
        3 => Outcome::Failed(ActError::Permanent("broken".into())),
        4 => Outcome::Failed(ActError::Unknown("connection lost".into())),
        _ => Outcome::Refused { why: "an old order".into() },
    })
}

fn happen(world: &mut World, happening: &Happening) {
    match happening {
        Happening::Time(millis) => world.run_for(ms(*millis)),
        Happening::Kill(at) => world.kill(SITES[*at]),
        Happening::Revive(at) if !world.places[&site(SITES[*at])].alive => world.revive(SITES[*at]),
        Happening::Revive(_) => {}
        Happening::Cut(from, to) => {
            world.cut.insert((site(SITES[*from]), site(SITES[*to])));
        }
        Happening::Heal => world.cut.clear(),
        Happening::Ask(what) => {
            let request = match what {
                0 => Request::Failover { to: None, accept_loss: false },
                1 => Request::Failover { to: Some(site(B)), accept_loss: true },
                2 => Request::Switchover { to: None },
                3 => Request::Failback,
                5 => Request::Failover { to: Some(site(A)), accept_loss: false },
                _ => Request::Establish,
            };
            world.ask(request, "ada");
        }
        Happening::Approve(who, loss) => {
            world.approve(PEOPLE[*who], *loss);
        }
        Happening::Abort(who) => {
            world.abort(PEOPLE[*who]);
        }
        Happening::Restart => world.restart(),
        Happening::Script(verb, at, how) => world.script(VERBS[*verb], SITES[*at], script(*how)),
        Happening::Again(which) => again(world, *which),
        Happening::LoseSecret(lost) => world.place(B).secret = (!lost).then(|| "digest".to_owned()),
    }
}

fn again(world: &mut World, which: usize) {
    let ends: Vec<_> = world
        .journal
        .iter()
        .filter_map(|record| match record {
            Record::AttemptEnded { attempt, outcome, .. } => Some((*attempt, outcome.clone())),
            _ => None,
        })
        .collect();
    if let Some((attempt, outcome)) = ends.get(which % ends.len().max(1)).cloned() {
        world.send(&Event::Tick);
        let (before, acts) = (world.state.clone(), world.acts().len());
        world.send(&Event::Ended { attempt, outcome });
        assert_eq!(
            world.state.run.as_ref().map(|r| &r.steps),
            before.run.as_ref().map(|r| &r.steps),
            "a repeated end is harmless"
        );
        assert_eq!(world.acts().len(), acts);
    }
}

/// Repair everything, and see that the active run ends, or waits for people.
fn heal_and_settle(world: &mut World) {
    world.cut.clear();
    world.scripts.clear();
    world.place(B).secret = Some("digest".into());
    for name in SITES {
        if !world.places[&site(name)].alive {
            world.revive(name);
        }
    }
    world.run_for(ms(2000));
    world.settle();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens(mode in any::<bool>(), life in prop::collection::vec(happening(), 1..25)) {
        let mut topology = topology();
        topology.failover = if mode { FailoverMode::Automatic } else { FailoverMode::Ask };
        let mut world = World::established(topology);
        for happening in &life {
            happen(&mut world, happening);
        }
        heal_and_settle(&mut world);
        prop_assert_eq!(&world.refold(), &world.state, "the fold of the journal is the state");
        let stuck = world.transcript().contains("nothing is left that could move");
        prop_assert!(!stuck, "a run got stuck:\n{}", world.transcript());
        let numbers: Vec<_> = world.effects.iter().filter_map(|effect| match effect {
            Effect::Act { attempt, .. } => Some(attempt.id),
            _ => None,
        }).collect();
        let distinct: std::collections::BTreeSet<_> = numbers.iter().collect();
        prop_assert_eq!(numbers.len(), distinct.len(), "an attempt's number is used once");
    }
}
