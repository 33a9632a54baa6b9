//! Should this be multi-region at all, and how: each strategy forecast and priced for this design, and the simplest one
//! that meets every objective (seed 003 sections 5, 6 and 20).

mod choose;
mod matrix;
mod mend;
#[cfg(test)]
mod tests;

use std::time::Duration;

use model::design::{Strategy, Survives, Writes};
use model::time::human;
use model::value::Rate;
use model::{ComponentId, Design, Rates, SiteId, Usd};
use serde::Serialize;

pub use choose::{Candidate, Choice, EVERYTHING, Forbidden, Miss, Objective, Rejected, Relax, Wanted, choose};
pub use matrix::{Answer, row, title};
pub use mend::{Change, Mended};

use crate::cost::{BreakEven, Cost, Losses, bill, break_even, price};
use crate::forecast::availability::{self, Availability, Yearly, sooner};
use crate::forecast::{
    Forecast, History, Secs, Sourced, Variant, forecast, is_record, losses_of_records, model_of, own_losses,
    stays as left_behind,
};

/// How each strategy would do.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Considered {
    pub candidate: Candidate,
    /// `None` where nothing moves.
    pub forecast: Option<Forecast>,
    pub availability: Availability,
    pub cost: Cost,
    /// What losses of a region cost in a year, by the spec's own figures.
    pub losses_a_year: Option<Usd>,
    /// What each record without an objective of its own loses, at the 95th percentile.
    #[serde(skip)]
    pub behind: Vec<(ComponentId, Secs)>,
    /// What the loss of the region for good takes along; only of the strategy that stays.
    pub lost_for_good: Option<String>,
    /// Against the strategy before it.
    pub break_even: Option<BreakEven>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct StrategyAssessment {
    pub declared: Option<Strategy>,
    #[serde(flatten)]
    pub choice: Choice,
    /// What there is to say about the declared one beside the choice.
    pub verdict: String,
    /// Where the time goes in the one that was chosen, or is the nearest: `of 34m, decide takes 20m and detect 11m`.
    pub slowest: Option<String>,
    /// Where no strategy meets every objective: the changes of the design that would let one, or come nearer.
    pub mended: Option<Mended>,
    pub considered: Vec<Considered>,
    /// The questions of seed 003 section 20, from the spec.
    pub answers: Vec<Answer>,
}

/// How much is simulated, from which seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effort {
    /// Losses of the region for each strategy.
    pub samples: u32,
    pub seed: u64,
}

/// Every strategy for this design, beside each other.
pub fn strategies(design: &Design, rates: &Rates, history: &History, effort: Effort) -> StrategyAssessment {
    let wanted = wanted(design);
    let mut considered: Vec<Considered> = Vec::new();
    for strategy in Strategy::ALL {
        let mut next = consider(design, strategy, rates, history, effort);
        let of_one = |one: &Considered| loss(design, one.forecast.as_ref());
        if let (Some(before), Some(loss)) = (considered.last(), of_one(&next)) {
            let weaker = of_one(before).map(|weaker| (before.cost.month, weaker));
            let even = weaker.map(|weaker| break_even(weaker, (next.cost.month, loss)));
            // As long as prices are missing, nobody knows that it costs no more.
            let whole = before.cost.is_whole() && next.cost.is_whole();
            next.break_even = even.filter(|even| whole || *even != BreakEven::Always);
        }
        considered.push(next);
    }
    let candidates: Vec<Candidate> = considered.iter().map(|one| one.candidate.clone()).collect();
    let mut choice = choose(&candidates, &wanted);
    let from = mend::From { rates, history, effort };
    let mut mended = None;
    if let Some(nearest) = choice.nearest {
        let reached = mend::Reached::of(design, nearest, &wanted, &from);
        choice.relax = reached.misses.iter().map(|miss| reached.relax(miss, &wanted)).collect();
        mended = mend::mended(design, &wanted, reached, &considered, &from);
    }
    let verdict = verdict(design.strategy, &choice, &candidates, &wanted);
    let best = choice.chosen.or(choice.nearest);
    let forecast =
        considered.iter().find(|one| Some(one.candidate.strategy) == best).and_then(|one| one.forecast.as_ref());
    let slowest = forecast.and_then(slowest);
    let answers = matrix::answers(design);
    StrategyAssessment { declared: design.strategy, choice, verdict, slowest, mended, considered, answers }
}

/// As many as one sentence bears, and how many more there are: `a, b, c, d and 3 more`.
pub fn few<T: ToString>(named: &[T]) -> String {
    const FEW: usize = 4;
    let first: Vec<String> = named.iter().take(FEW).map(T::to_string).collect();
    match named.len().saturating_sub(FEW) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// The two longest parts of a recovery at the 95th percentile.
fn slowest(forecast: &Forecast) -> Option<String> {
    let whole = forecast.rto.p95?;
    let mut parts: Vec<_> = forecast.phases.iter().collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.at_p95));
    let [first, second, ..] = parts[..] else { return None };
    Some(format!(
        "of {whole} at the 95th percentile, {} takes {} and {} {}",
        first.phase, first.at_p95, second.phase, second.at_p95
    ))
}

/// The forecast of the design as it is declared; `None` when it has one region only.
pub fn as_declared(design: &Design, history: &History, effort: Effort) -> Option<Forecast> {
    let variant = Variant::new(design, None)?;
    Some(forecast(&model_of(&variant, history), effort.samples, effort.seed))
}

/// A year of the design as it is declared, with its forecast.
pub fn availability_of(design: &Design, forecast: Option<&Forecast>) -> Availability {
    yearly(design, away(forecast))
}

/// How long service is away in one loss, on average.
fn away(forecast: Option<&Forecast>) -> Duration {
    let outage = Sourced::stated("region.outage").spread;
    sooner(forecast.and_then(|forecast| forecast.rto.mean).map(|mean: Secs| mean.0), &outage)
}

/// What the spec's own figures say a disaster costs.
pub fn losses(design: &Design) -> Losses {
    let per = |rate: Option<Rate>, time| rate.map(|rate: Rate| Usd(rate.during(time)));
    Losses {
        downtime_per_hour: per(design.losses.downtime, Duration::from_secs(3_600)),
        data_per_minute: per(design.losses.data, Duration::from_secs(60)),
        inconsistency: design.losses.inconsistency,
    }
}

fn wanted(design: &Design) -> Wanted {
    let objectives = &design.objectives;
    Wanted {
        rto: objectives.rto,
        rpo: objectives.rpo,
        availability: objectives.availability,
        added_latency: objectives.added_latency,
        latency: objectives.latency,
        budget: objectives.budget,
    }
}

/// What one loss of the region costs with the recovery of this forecast.
fn loss(design: &Design, forecast: Option<&Forecast>) -> Option<Usd> {
    let lost = forecast.and_then(|forecast| forecast.rpo.mean).unwrap_or_default();
    losses(design).of_one(away(forecast), lost.0)
}

fn consider(design: &Design, strategy: Strategy, rates: &Rates, history: &History, effort: Effort) -> Considered {
    let variant = Variant::new(design, Some(strategy));
    let moves = strategy != Strategy::SingleRegion;
    let forecast = variant
        .as_ref()
        .filter(|_| moves)
        .map(|variant| forecast(&model_of(variant, history), effort.samples, effort.seed));
    let cost = price(&bill(design, Some(strategy)), rates);
    let (rto, rpo) = match &forecast {
        Some(forecast) => (forecast.rto.p95, Some(forecast.rpo.p95.unwrap_or_default().0)),
        None => (Some(Secs(stays(design))), at_home(design)),
    };
    let availability = yearly(design, away(forecast.as_ref()));
    let a_year = rust_decimal::Decimal::try_from(availability.losses_a_year).unwrap_or_default();
    Considered {
        candidate: Candidate {
            strategy,
            rto: rto.map(|secs| secs.0),
            rpo,
            own: variant.as_ref().filter(|_| moves).map_or_else(Vec::new, |variant| own_losses(variant, history)),
            availability: availability.percent,
            added_latency: variant.as_ref().and_then(added_latency),
            latency: latency(design, strategy),
            month: cost.month,
            priced: cost.is_whole(),
            forbidden: forbidden(design, strategy, variant.as_ref()),
        },
        behind: variant.as_ref().filter(|_| moves).map_or_else(Vec::new, |variant| losses_of_records(variant, history)),
        lost_for_good: (!moves).then(|| lost_for_good(design)),
        losses_a_year: loss(design, forecast.as_ref()).map(|loss| loss * a_year),
        forecast,
        availability,
        cost,
        break_even: None,
    }
}

/// How long a workload that stays is away: a zone's failover where only zones must be survived, else the outage itself.
fn stays(design: &Design) -> Duration {
    let what = if design.objectives.survives == Some(Survives::Zone) { "zone.failover" } else { "region.outage" };
    Sourced::stated(what).spread.p95()
}

/// What a workload that stays loses: nothing with a zone; with its region whatever is nowhere else.
fn at_home(design: &Design) -> Option<Duration> {
    if design.objectives.survives == Some(Survives::Zone) { Some(Duration::ZERO) } else { left_behind(design).0 }
}

/// The same in words.
fn lost_for_good(design: &Design) -> String {
    let home = design.preferred().map_or("the region", |home| home.id.as_str());
    let (lost, alone) = left_behind(design);
    match (lost, alone.as_slice()) {
        (Some(lost), _) if lost.is_zero() => "there is no data to lose".to_owned(),
        (Some(lost), _) => format!(
            "the loss of {home} for good loses everything since the last backup elsewhere, {} at the 95th percentile",
            human(lost)
        ),
        (None, alone) => {
            format!("not recoverable if {home} is lost for good: no copy in another region of {}", few(alone))
        }
    }
}

/// A year with this recovery. In one zone, its loss is a loss of everything.
fn yearly(design: &Design, away: Duration) -> Availability {
    let number = |name| model::priors::number(name).value;
    let zones = design.preferred().map_or(1, |site| site.zones.len());
    let in_zone = if zones > 1 { Sourced::stated("zone.failover").spread.mean() } else { away };
    let losses = |a_year, away| availability::Losses { a_year, away };
    let region = losses(number("region.losses-a-year"), away);
    let zone = losses(number("zone.losses-a-year"), in_zone);
    Yearly { region, zone, promised: promised(design, zones) }.availability()
}

/// What providers promise of the kinds that a request needs, one of each kind: their components fail together more than
/// apart.
fn promised(design: &Design, zones: usize) -> Vec<f64> {
    let mut kinds: Vec<&str> = Vec::new();
    let mut promised = Vec::new();
    let needed =
        |part: &&model::Part| part.plane() != model::topology::Plane::Control && part.bool("critical") != Some(false);
    for part in design.components.iter().filter(needed) {
        if kinds.contains(&part.kind.name.as_str()) {
            continue;
        }
        kinds.push(&part.kind.name);
        let several = zones > 1 && part.bool("zones_spread") != Some(false);
        let wanted = if several { model::catalogue::Zones::Several } else { model::catalogue::Zones::One };
        let found = part.kind.availability.iter().find(|promise| promise.zones == wanted);
        promised.extend(found.or(part.kind.availability.first()).map(|promise| promise.percent / 100.0));
    }
    promised
}

/// How much longer a request takes from the place that is worst off; `None` when the spec names no distances.
fn added_latency(variant: &Variant<'_>) -> Option<Duration> {
    let (home, away) = (&variant.home.latency, &variant.away.latency);
    let added = home.iter().filter_map(|(place, near)| Some(away.get(place)?.saturating_sub(*near)));
    added.max()
}

/// How long a request takes from the place that is worst off, when all is well.
fn latency(design: &Design, strategy: Strategy) -> Option<Duration> {
    let home = design.preferred()?;
    let serving: Vec<_> = match strategy {
        Strategy::ActiveActive => design.regions().collect(),
        _ => vec![home],
    };
    let nearest = |place: &String| serving.iter().filter_map(|site| site.latency.get(place)).min().copied();
    home.latency.keys().filter_map(nearest).max()
}

fn forbidden(design: &Design, strategy: Strategy, variant: Option<&Variant<'_>>) -> Vec<Forbidden> {
    let mut why = Vec::new();
    let mut no = |objective, text: String, needed: &str, relaxed: &str| {
        let (needed, relaxed) = (needed.to_owned(), relaxed.to_owned());
        why.push(Forbidden { objective, why: text, needed, relaxed, mends: false });
    };
    if strategy == Strategy::SingleRegion {
        if matrix::survives_region(design) {
            no(
                Objective::Design,
                "the loss of a region is to be survived".to_owned(),
                "survives: region",
                "survives: zone",
            );
        }
    } else if let (Some(variant), Some(class)) = (variant, design.objectives.data_class.as_deref())
        && !design.approved(class, &variant.away.id)
    {
        let approved = design.residency.get(class).into_iter().flatten().map(SiteId::as_str).collect::<Vec<_>>();
        no(
            Objective::Residency,
            format!("{} is not approved for {class} data", variant.away.id),
            &format!(
                "{class} data in {}",
                if approved.is_empty() { "no region".to_owned() } else { approved.join(", ") }
            ),
            "approve it, or recover in another region that is",
        );
    }
    if strategy != Strategy::ActiveActive {
        if design.objectives.writes == Some(Writes::EveryRegion) {
            no(
                Objective::Design,
                "writes must be taken in every region".to_owned(),
                "writes: every-region",
                "writes: one-region",
            );
        }
        return why;
    }
    if design.objectives.conflicts == Some(false) {
        no(
            Objective::Design,
            "the business cannot live with conflicting writes".to_owned(),
            "conflicts: false",
            "conflicts: true",
        );
    }
    if design.practice.word("team.maturity") == Some("new") {
        no(
            Objective::Design,
            "the team is new to operating even one region".to_owned(),
            "team.maturity: new",
            "team.maturity: mature",
        );
    }
    let open = design.components.iter().filter(|part| is_record(part) && mend::conflicts_open(part));
    let open: Vec<&str> = open.map(|part| part.id.as_str()).collect();
    if !open.is_empty() {
        let text = format!("several regions would write {}, and no conflict strategy is declared", open.join(", "));
        let (needed, relaxed) = (String::new(), String::new());
        why.push(Forbidden { objective: Objective::Design, why: text, needed, relaxed, mends: true });
    }
    why
}

/// What is chosen, and why; with a word of what could not be judged.
fn verdict(declared: Option<Strategy>, choice: &Choice, candidates: &[Candidate], wanted: &Wanted) -> String {
    let mut verdict = beside_declared(declared, choice, candidates, wanted);
    let best = choice.chosen.or(choice.nearest);
    let best = candidates.iter().find(|candidate| Some(candidate.strategy) == best);
    if wanted.budget.is_some_and(|budget| best.is_some_and(|best| !best.priced && best.month <= budget)) {
        verdict += "; its budget is not judged, for something that it needs has no price";
    }
    verdict
}

fn beside_declared(declared: Option<Strategy>, choice: &Choice, candidates: &[Candidate], wanted: &Wanted) -> String {
    let best = choice.chosen.or(choice.nearest);
    let misses = |strategy: Strategy| {
        let candidate = candidates.iter().find(|candidate| candidate.strategy == strategy);
        candidate.map_or_else(Vec::new, |candidate| candidate.misses(wanted))
    };
    match (declared, choice.chosen, best) {
        (None, Some(chosen), _) => {
            format!("no strategy is declared; {} is the simplest that meets every objective", title(chosen))
        }
        (Some(declared), Some(chosen), _) if declared == chosen => {
            format!("{}, as declared, is the simplest that meets every objective", title(chosen))
        }
        (Some(declared), Some(chosen), _) if misses(declared).is_empty() => {
            format!("{} is declared; {} meets every objective too, and is simpler", title(declared), title(chosen))
        }
        (Some(declared), Some(chosen), _) => {
            let why: Vec<String> = misses(declared).into_iter().map(|miss| miss.why).collect();
            format!(
                "{} is declared and misses its objectives ({}); {} meets them",
                title(declared),
                why.join("; "),
                title(chosen)
            )
        }
        (_, None, Some(nearest)) => format!("no strategy meets every objective; {} is the nearest", title(nearest)),
        (_, None, None) => "there is no strategy to choose from".to_owned(),
    }
}
