//! The forecast against what is known of it: the engine's own timing, measured drills, and what must not matter.

use std::sync::Arc;
use std::time::Duration;

use model::Topology;
use model::topology::FailoverMode;

use super::world::{Pace, Sample, World, calm};
use super::*;

fn example(name: &str) -> Arc<Topology> {
    let text = match name {
        "fast" => include_str!("../../../../examples/case-api/antipode-fast.yaml"),
        _ => include_str!("../../../../examples/case-api/antipode.yaml"),
    };
    let checked = model::spec::parse(text);
    Arc::new(checked.expect("the example is a spec"))
}

fn of(topology: Topology) -> Model {
    Model::of(&Arc::new(topology), &History::default())
}

fn secs(quantile: Option<Secs>) -> f64 {
    quantile.expect("it recovers").0.as_secs_f64()
}

fn run(model: &Model, number: u32, pace: Pace) -> Sample {
    World::new(model, &calm(model), dice::Dice::of(1, number), pace).run()
}

/// RTO of `standard async, killed` and `fast async, killed` as docs/benchmarks.md has them.
#[test]
fn the_measured_drills_of_both_profiles_lie_in_the_band() {
    for (profile, measured) in [("standard", [4.84, 4.96, 5.08]), ("fast", [1.12, 1.14, 1.15])] {
        let model = Model::of(&example(profile), &History::default());
        let forecast = forecast(&model, 1_000, 1);
        assert_eq!(forecast.recovered, 1_000, "{forecast:#?}");
        for rto in measured {
            let seen = Duration::from_secs_f64(rto);
            assert!(forecast.expects(seen), "{profile}: {rto} is not in {:?}", forecast.rto);
        }
        let width = secs(forecast.rto.p95) - secs(forecast.rto.p5);
        assert!(width < 0.7, "a band that holds anything says nothing: {width}");
    }
}

#[test]
fn the_phases_of_every_sample_add_up_to_its_rto() {
    for profile in ["standard", "fast"] {
        let model = Model::of(&example(profile), &History::default());
        for number in 0..200 {
            let sample = run(&model, number, Pace::Changes);
            let sum: Duration = sample.phases.iter().sum();
            assert_eq!(Some(sum), sample.rto, "{profile} {number}: {sample:?}");
        }
    }
}

#[test]
fn leaving_out_polls_that_change_nothing_changes_nothing() {
    let cases = [
        ("standard", FailoverMode::Automatic, 20),
        ("fast", FailoverMode::Automatic, 20),
        // Minutes of polls every 75 ms, while people think.
        ("fast", FailoverMode::Ask, 3),
    ];
    for (profile, mode, samples) in cases {
        let mut topology = (*example(profile)).clone();
        topology.failover = mode;
        let model = of(topology);
        // A look may come one look sooner or later.
        let grain = model.topology.timing.check_every + Duration::from_millis(10);
        for number in 0..samples {
            let (few, all) = (run(&model, number, Pace::Changes), run(&model, number, Pace::Every));
            let (quick, slow) = (few.rto.expect("it recovers"), all.rto.expect("it recovers"));
            assert!(quick.abs_diff(slow) <= grain, "{profile} {number}: {quick:?} and {slow:?}");
            assert_eq!(few.phases[0], all.phases[0], "{profile} {number}: detected at the same poll");
            assert!(few.decisions < all.decisions, "{} and {}", few.decisions, all.decisions);
        }
    }
}

#[test]
fn the_same_seed_is_the_same_forecast_and_another_one_is_not() {
    let model = Model::of(&example("standard"), &History::default());
    let (one, same, other) = (forecast(&model, 300, 5), forecast(&model, 300, 5), forecast(&model, 300, 6));
    assert_eq!(one, same);
    assert_ne!(one.rto, other.rto);
    // What a sample is does not depend on how many there are.
    let calm = calm(&model);
    let third = |_: u32| World::new(&model, &calm, dice::Dice::of(5, 3), Pace::Changes).run();
    assert_eq!(third(10), third(1_000));
}

#[test]
fn people_who_are_asked_take_their_time_and_it_is_called_decide() {
    let mut topology = (*example("standard")).clone();
    let automatic = forecast(&of(topology.clone()), 500, 1);
    topology.failover = FailoverMode::Ask;
    let asked = forecast(&of(topology), 500, 1);
    let decide = |forecast: &Forecast| forecast.phases[1].p50.0;
    assert!(decide(&automatic) < Duration::from_millis(10), "{:?}", decide(&automatic));
    assert!(decide(&asked) > Duration::from_secs(60), "{:?}", decide(&asked));
    assert!(asked.sources.iter().any(|cited| cited.act == "decide"), "it cites how long people take");
    // While they think, the promise lapses: nobody waits for it any more.
    assert!(asked.phases[2].p95.0 < Duration::from_secs(1), "{:?}", asked.phases[2]);
}

#[test]
fn a_loss_beyond_the_objective_waits_for_two_people() {
    let model = Model::of(&example("standard"), &History::default());
    let forecast_with = |lag: Duration| {
        let mut model = model.clone();
        model.loss.lag = Together::one("cases", Sourced::known(Spread::Always(lag), "a slow link"));
        forecast(&model, 200, 1)
    };
    let (near, far) = (forecast_with(Duration::from_secs(1)), forecast_with(Duration::from_secs(120)));
    assert_eq!((near.asked, far.asked), (0, 200), "the objective is a minute");
    assert!(secs(far.rto.p50) > secs(near.rto.p50) + 60.0);
    assert_eq!(far.rpo.p50, Some(Secs(Duration::from_secs(120))));
}

#[test]
fn a_looser_recovery_point_never_makes_it_slower() {
    let mut before = Duration::MAX;
    for minutes in [1u64, 2, 3, 10] {
        let mut topology = (*example("standard")).clone();
        topology.objectives.rpo = Duration::from_secs(minutes * 60);
        let mut model = of(topology);
        let lag = Spread::prior(Duration::from_secs(60), Duration::from_secs(300));
        model.loss.lag = Together::one("cases", Sourced::known(lag, "far away"));
        let rto = forecast(&model, 300, 1).rto.p95.expect("it recovers").0;
        assert!(rto <= before, "{minutes}: {rto:?} after {before:?}");
        before = rto;
    }
}

#[test]
fn a_target_that_may_not_hold_the_data_never_takes_over() {
    let mut topology = (*example("standard")).clone();
    let home = topology.preferred().clone();
    topology.residency.insert("regulated".into(), vec![home]);
    let forecast = forecast(&of(topology), 20, 1);
    assert_eq!((forecast.recovered, forecast.rto.p50), (0, None));
}

/// An agent waits for its epoch as long as the order says; what it was granted in time it carries out to its end. An order
/// that is given on an estimate lapses after about a lease, and a promotion that takes minutes is no reason to give it again.
#[test]
fn a_slow_promotion_is_ordered_once_however_short_the_order_holds() {
    for takes in [1u64, 10, 60, 600] {
        let mut model = Model::of(&example("standard"), &History::default());
        let slow = Sourced::known(Spread::Always(Duration::from_secs(takes)), "a large database");
        model.acts.promote = Together::one("cases", slow);
        let forecast = forecast(&model, 50, 1);
        assert_eq!((forecast.recovered, forecast.did_not_end()), (50, None), "{takes}");
        assert_eq!(forecast.phases[3].p50, Secs(Duration::from_secs(takes)), "{takes}: {:?}", forecast.phases);
        assert!(forecast.decisions < 40, "{takes}: {}", forecast.decisions);
    }
}

#[test]
fn a_request_that_hung_is_sent_anew() {
    let mut model = Model::of(&example("standard"), &History::default());
    let often = model.topology.timing.request_timeout * 2;
    model.acts.exercise = Sourced::known(Spread::even(Duration::ZERO, often), "half of them hang");
    let forecast = forecast(&model, 100, 1);
    assert_eq!(forecast.did_not_end(), None);
    // A step gives up after four that hung in a row: one recovery of sixteen.
    assert!((85..100).contains(&forecast.recovered), "{}", forecast.recovered);
}

#[test]
fn what_takes_longer_than_virtual_time_lasts_did_not_end() {
    let mut model = Model::of(&example("standard"), &History::default());
    let never = Sourced::known(Spread::Always(HORIZON), "it has neither a copy nor a backup");
    model.acts.promote = Together::one("cases", never);
    let forecast = forecast(&model, 20, 1);
    assert_eq!((forecast.recovered, forecast.unended, forecast.circling, forecast.rto.p50), (0, 20, 0, None));
    assert_eq!(forecast.did_not_end().as_deref(), Some("20 of 20 losses had not ended after 720h of virtual time"));
}

/// A request that always hangs, and is sent again for as long as its step may take.
#[test]
fn an_order_that_lapses_for_ever_ends_as_a_circle() {
    let mut topology = (*example("standard")).clone();
    topology.timing.step_deadlines.exercise = Duration::from_secs(365 * 86_400);
    let mut model = of(topology);
    let hangs = model.topology.timing.request_timeout * 2;
    model.acts.exercise = Sourced::known(Spread::Always(hangs), "an instance that never answers");
    let forecast = forecast(&model, 1_000, 1);
    assert_eq!((forecast.samples, forecast.circling, forecast.recovered), (3, 3, 0));
    assert!(forecast.did_not_end().is_some_and(|why| why.contains("3 of 3 losses went round in a circle")));
    assert!(forecast.decisions <= 5_000, "{}", forecast.decisions);
}

#[test]
fn ten_thousand_failovers_need_few_decisions_each() {
    let model = Model::of(&example("standard"), &History::default());
    let forecast = forecast(&model, 1_000, 1);
    assert!(forecast.decisions < 30, "{}", forecast.decisions);
}
