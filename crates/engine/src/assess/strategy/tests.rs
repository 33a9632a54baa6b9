//! The seeds' own designs, and what must hold of every design.

use std::time::Duration;

use model::{SiteId, Value};

use super::*;

/// A debug build draws some hundred losses a second.
const FEW: Effort = Effort { samples: 40, seed: 1 };
/// Where only costs and reasons are looked at.
const FEWEST: Effort = Effort { samples: 2, seed: 1 };

fn example(name: &str) -> Design {
    let text = match name {
        "xyz-webserver" => include_str!("../../../../../examples/xyz-webserver/antipode.yaml"),
        "storefront" => include_str!("../../../../../examples/storefront/antipode.yaml"),
        "regulated-cases" => include_str!("../../../../../examples/regulated-cases/antipode.yaml"),
        "ha-webapp" => include_str!("../../../../../examples/ha-webapp/antipode.yaml"),
        "twenty-mistakes" => include_str!("../../../../../examples/twenty-mistakes/antipode.yaml"),
        other => panic!("no example {other}"),
    };
    model::spec::design(text).unwrap_or_else(|problems| panic!("{name}: {problems:#?}"))
}

const EXAMPLES: [&str; 5] = ["xyz-webserver", "storefront", "regulated-cases", "ha-webapp", "twenty-mistakes"];

fn of(design: &Design) -> StrategyAssessment {
    with(design, FEW)
}

fn with(design: &Design, effort: Effort) -> StrategyAssessment {
    strategies(design, model::rates::bundled(), &History::default(), effort)
}

fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

fn misses(assessed: &StrategyAssessment, strategy: Strategy) -> String {
    let found = assessed.choice.rejected.iter().find(|rejected| rejected.strategy == strategy);
    found.map_or_else(String::new, |rejected| rejected.why.clone())
}

#[test]
fn seed_001_misses_its_own_objectives() {
    let forecast = as_declared(&example("xyz-webserver"), &History::default(), FEW).unwrap();
    assert!(forecast.phases[0].p50.0 >= minutes(10), "two periods of five minutes: {:?}", forecast.phases[0]);
    assert!(forecast.rto.p50.unwrap().0 > minutes(10), "and not five");
    assert!(forecast.rpo.p95.unwrap().0 > minutes(15), "snapshots are taken once a day");
    let assessed = of(&example("xyz-webserver"));
    assert!(
        misses(&assessed, Strategy::BackupRestore).contains("> 15m"),
        "{}",
        misses(&assessed, Strategy::BackupRestore)
    );
}

#[test]
fn seed_004_is_not_recovered_in_two_minutes_and_traffic_promotes_nothing() {
    let forecast = as_declared(&example("ha-webapp"), &History::default(), FEW).unwrap();
    assert!(forecast.rto.p50.unwrap().0 > minutes(10), "{:?}", forecast.rto);
    let by_people = |cited: &crate::forecast::Cited| cited.act == "promote · db" && cited.source.contains("by hand");
    assert!(forecast.sources.iter().any(by_people), "{:#?}", forecast.sources);
    assert!(forecast.rpo.p95.unwrap().0 > minutes(60), "files are backed up once a day");
}

#[test]
fn an_image_that_is_in_the_other_region_is_not_copied_in_a_recovery() {
    let copies = |design: &Design| {
        let forecast = as_declared(design, &History::default(), FEWEST).unwrap();
        forecast.sources.iter().any(|cited| cited.act.ends_with("· ami"))
    };
    let mut design = example("ha-webapp");
    assert!(!copies(&design));
    let ami = design.components.iter_mut().find(|part| part.id.as_str() == "ami").unwrap();
    ami.values.set("image.sites", Value::List(vec![Value::Text("ap-south-1".to_owned())]));
    assert!(copies(&design));
}

#[test]
fn no_strategy_costs_less_than_a_simpler_one() {
    for name in EXAMPLES {
        let assessed = with(&example(name), FEWEST);
        let months: Vec<_> = assessed.considered.iter().map(|one| one.cost.month).collect();
        assert!(months.is_sorted(), "{name}: {months:?}");
        assert_eq!(assessed.considered.len(), 6);
        assert!(assessed.choice.rejected.iter().all(|rejected| !rejected.why.is_empty()));
    }
}

#[test]
fn a_looser_objective_of_a_design_never_makes_it_dearer() {
    let price = |design: &Design| {
        let assessed = of(design);
        let chosen = assessed.choice.chosen?;
        let found = assessed.considered.iter().find(|one| one.candidate.strategy == chosen)?;
        Some((found.cost.month, chosen))
    };
    let mut design = example("regulated-cases");
    design.objectives.rpo = None;
    design.objectives.budget = None;
    design.objectives.availability = None;
    let mut before = None;
    for rto in [1, 15, 30, 60, 240, 10_000] {
        design.objectives.rto = Some(minutes(rto));
        let now = price(&design);
        if let (Some((dear, complex)), Some((month, chosen))) = (before, now) {
            assert!(month <= dear && chosen <= complex, "{rto}: {now:?} after {before:?}");
        }
        assert!(before.is_none() || now.is_some(), "{rto}: what was met is met");
        before = now;
    }
    assert!(before.is_some(), "a week is enough for something");
}

#[test]
fn a_region_that_is_not_approved_takes_nobody_in() {
    let mut design = example("regulated-cases");
    let home = design.preferred().unwrap().id.clone();
    design.residency.insert("enforcement-records".into(), vec![home, SiteId::new("elsewhere")]);
    let assessed = with(&design, FEWEST);
    for strategy in &Strategy::ALL[1..] {
        assert!(misses(&assessed, *strategy).contains("is not approved for enforcement-records data"), "{strategy:?}");
    }
    assert_eq!(assessed.choice.chosen, None);
}

#[test]
fn a_stronger_strategy_is_never_slower_where_it_does_the_same() {
    for name in ["regulated-cases", "ha-webapp"] {
        let assessed = of(&example(name));
        let rto = |strategy: Strategy| {
            let found = assessed.considered.iter().find(|one| one.candidate.strategy == strategy);
            found.and_then(|one| one.candidate.rto).expect("it recovers")
        };
        let ladder = [Strategy::BackupRestore, Strategy::PilotLight, Strategy::WarmStandby, Strategy::HotStandby];
        let times = ladder.map(rto);
        assert!(times.is_sorted_by(|weaker, stronger| weaker >= stronger), "{name}: {times:?}");
    }
}

#[test]
fn the_blueprint_of_seed_003_is_warm_standby() {
    let mut design = example("regulated-cases");
    // Evidence is copied within a quarter of an hour, as its service promises; that is an objective of its own.
    let documents = design.components.iter_mut().find(|part| part.id.as_str() == "documents").unwrap();
    documents.values.set("objectives.rpo", model::Value::Duration(minutes(15)));
    let assessed = of(&design);
    assert_eq!(assessed.choice.chosen, Some(Strategy::WarmStandby), "{}: {:#?}", assessed.verdict, assessed.choice);
    assert!(
        misses(&assessed, Strategy::BackupRestore).contains("> 30m"),
        "{}",
        misses(&assessed, Strategy::BackupRestore)
    );
    assert!(misses(&assessed, Strategy::ActiveActive).contains("conflicting writes"));
    // Most of it has no price there: below the budget is what is known of the sum, not the sum.
    assert!(assessed.verdict.ends_with("; its budget is not judged, for something that it needs has no price"));
    design.objectives.budget = None;
    assert!(!of(&design).verdict.contains("budget"));
}

#[test]
fn seed_002_writes_in_every_region_and_says_nothing_of_conflicts() {
    let assessed = with(&example("storefront"), FEWEST);
    assert!(misses(&assessed, Strategy::ActiveActive).contains("no conflict strategy is declared"));
    assert!(misses(&assessed, Strategy::HotStandby).contains("writes must be taken in every region"));
    assert_eq!((assessed.choice.chosen, assessed.choice.nearest), (None, Some(Strategy::ActiveActive)));
}

#[test]
fn only_a_zone_to_survive_is_survived_in_one_region() {
    let mut design = example("ha-webapp");
    design.objectives.survives = Some(Survives::Zone);
    design.objectives.budget = None;
    let assessed = of(&design);
    assert_eq!(assessed.choice.chosen, Some(Strategy::SingleRegion), "{}", assessed.verdict);
}

#[test]
fn a_component_with_its_own_recovery_point_is_held_against_that() {
    let mut design = example("ha-webapp");
    let files = design.components.iter_mut().find(|part| part.id.as_str() == "files").unwrap();
    files.values.set("objectives.rpo", model::Value::Duration(minutes(60)));
    let assessed = with(&design, FEWEST);
    let warm = misses(&assessed, Strategy::BackupRestore);
    assert!(warm.contains("files: forecast RPO p95"), "{warm}");
}

/// Orders that lapsed sooner than their act can end were given again for ever: promotions of minutes, requests with cold
/// caches.
#[test]
fn no_forecast_of_an_example_turns_in_a_circle() {
    for name in EXAMPLES {
        let design = example(name);
        let assessed = with(&design, Effort { samples: 20, seed: 1 });
        let declared = as_declared(&design, &History::default(), FEW);
        let made = assessed.considered.iter().filter_map(|one| one.forecast.as_ref()).chain(&declared);
        for forecast in made {
            assert_eq!(forecast.circling, 0, "{name}: {forecast:#?}");
            assert!(forecast.decisions < 60, "{name}: {}", forecast.decisions);
        }
    }
}

#[test]
fn what_is_to_be_relaxed_has_the_number_that_is_reached_and_what_makes_it_so() {
    let assessed = of(&example("ha-webapp"));
    let relax = |objective| assessed.choice.relax.iter().find(|relax| relax.objective == objective).unwrap();
    let rpo = relax(Objective::Rpo);
    assert_eq!(rpo.from, "10s");
    assert!(rpo.because.as_deref().unwrap().starts_with("files loses 15m"), "{rpo:?}");
    // Whoever takes the loss beforehand is not asked during the failover.
    let rto = relax(Objective::Rto);
    assert!(rto.because.as_deref().unwrap().starts_with("with the loss accepted beforehand"), "{rto:?}");
    let asked = misses(&assessed, assessed.choice.nearest.unwrap());
    assert!(!asked.contains(&format!("RTO p95 {} >", rto.to)), "{asked} and {rto:?}");
    assert_eq!(rto.says(), format!("RTO from 2m to {}", rto.to));
}

#[test]
fn changes_of_the_design_are_told_with_what_they_bring_and_none_is_idle() {
    let assessed = of(&example("xyz-webserver"));
    let mended = assessed.mended.expect("snapshots once a day and two alarms of five minutes can be bettered");
    assert!(mended.changes[0].write == "kind: aws.drs", "{mended:#?}");
    assert_eq!(mended.samples, FEW.samples, "searched with fewer, told with as many as the strategies beside it");
    assert!(mended.changes.iter().any(|change| change.write.starts_with("check.every: 10s")), "{mended:#?}");
    let rto: Vec<_> = mended.changes.iter().map(|change| change.rto.unwrap().0).collect();
    assert!(rto.is_sorted_by(|before, after| before >= after), "{rto:?}");
    assert!(mended.relax.iter().all(|relax| relax.objective == Objective::Rto), "{:?}", mended.relax);
}

#[test]
fn an_objective_that_a_change_of_the_design_meets_needs_no_relaxing() {
    let mut design = example("xyz-webserver");
    design.objectives.rto = Some(minutes(40));
    design.objectives.availability = None;
    let assessed = of(&design);
    assert_eq!(assessed.choice.chosen, None, "a disk that is restored takes an hour and more");
    let mended = assessed.mended.expect("a copy that stands there takes minutes");
    assert_eq!(mended.relax, [], "{mended:#?}");
    assert!(mended.strategy >= Strategy::PilotLight);
    design.objectives.rto = Some(minutes(10_000));
    design.objectives.rpo = Some(minutes(10_000));
    let assessed = of(&design);
    assert!(assessed.choice.chosen.is_some() && assessed.mended.is_none(), "nothing is to be changed");
}

#[test]
fn who_stays_is_told_what_the_loss_of_the_region_takes_along() {
    let stays = |design: &Design| with(design, FEWEST).considered[0].clone();
    let shop = stays(&example("storefront"));
    assert_eq!(shop.candidate.rpo, None);
    let says = shop.lost_for_good.unwrap();
    assert_eq!(
        says,
        "not recoverable if us-east-1 is lost for good: no copy in another region of orders, sessions, stock, images"
    );
    let page = stays(&example("xyz-webserver"));
    assert_eq!(
        page.candidate.rpo,
        Some(minutes(24 * 60 * 95 / 100)),
        "a backup every day is copied to the other region"
    );
    let mut logged = example("xyz-webserver");
    for part in logged.components.iter_mut().filter(|part| is_record(part)) {
        part.values.set("backup.point_in_time", Value::Bool(true));
    }
    assert_eq!(stays(&logged).candidate.rpo, Some(Duration::from_secs(285)), "the log is kept in the other region too");
    let mut zone = example("storefront");
    zone.objectives.survives = Some(Survives::Zone);
    assert_eq!(stays(&zone).candidate.rpo, Some(Duration::ZERO), "the region is not asked about");
}
