//! The simplest strategy that meets every objective, and for each other one what rejects it.
//!
//! Intuition: strategies are in the order of seed 003 section 6, each keeps what the one before it has, and so none costs
//! less than a simpler one. Then the simplest that meets the objectives is also the cheapest that does, and a looser
//! objective can only let a simpler one in.

use std::time::Duration;

use model::design::Strategy;
use model::time::human;
use model::{ComponentId, Usd};
use serde::{Deserialize, Serialize, Serializer};

use super::matrix::title;
use crate::forecast::Secs;

/// What the business can bear; what it has not said asks for nothing.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Wanted {
    pub rto: Option<Duration>,
    pub rpo: Option<Duration>,
    /// Percent.
    pub availability: Option<f64>,
    pub added_latency: Option<Duration>,
    /// How long a request may take.
    pub latency: Option<Duration>,
    /// Per month.
    pub budget: Option<Usd>,
}

/// One strategy for this workload, forecast and priced.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Candidate {
    pub strategy: Strategy,
    /// The 95th percentile; `None`: more than one in twenty losses is never recovered from.
    #[serde(serialize_with = "seconds")]
    pub rto: Option<Duration>,
    /// The 95th percentile of what is lost; `None`: everything, for nothing of it is anywhere else.
    #[serde(serialize_with = "seconds")]
    pub rpo: Option<Duration>,
    /// Of components with a recovery point objective of their own: the 95th percentile of what is lost, and the objective.
    #[serde(serialize_with = "of_components")]
    pub own: Vec<(ComponentId, Duration, Duration)>,
    /// Percent, in a year.
    pub availability: f64,
    /// What requests take longer in the region that takes over; `None` when nobody has said how far it is.
    #[serde(serialize_with = "seconds")]
    pub added_latency: Option<Duration>,
    /// What a request takes from where it takes longest, when all is well.
    #[serde(serialize_with = "seconds")]
    pub latency: Option<Duration>,
    pub month: Usd,
    /// Whether everything that it needs had a price.
    pub priced: bool,
    /// What forbids it, whatever the figures.
    pub forbidden: Vec<Forbidden>,
}

fn seconds<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    time.map(Secs).serialize(to)
}

fn of_components<S: Serializer>(own: &[(ComponentId, Duration, Duration)], to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Own<'a> {
        component: &'a ComponentId,
        rpo: Secs,
        allowed: Secs,
    }
    to.collect_seq(own.iter().map(|(component, rpo, allowed)| Own {
        component,
        rpo: Secs(*rpo),
        allowed: Secs(*allowed),
    }))
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Forbidden {
    pub objective: Objective,
    pub why: String,
    /// What the spec asks for, and what it would have to ask for instead; empty where nothing has to give.
    pub needed: String,
    pub relaxed: String,
    /// A decision of the design would mend it; no objective has to give.
    pub mends: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    Rto,
    Rpo,
    Latency,
    Residency,
    Availability,
    Budget,
    /// What is to be survived, and what the data lets be done.
    Design,
}

impl Objective {
    pub fn name(self) -> &'static str {
        match self {
            Objective::Rto => "RTO",
            Objective::Rpo => "RPO",
            Objective::Latency => "latency",
            Objective::Residency => "residency",
            Objective::Availability => "availability",
            Objective::Budget => "budget",
            Objective::Design => "design",
        }
    }
}

/// One objective that a strategy misses.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Miss {
    pub objective: Objective,
    /// Whose objective it is, where it is not the workload's.
    pub component: Option<ComponentId>,
    pub needed: String,
    pub forecast: String,
    /// `forecast RTO p95 41m > 30m`.
    pub why: String,
    /// How far it is off: 1 is twice the objective. `None` where no figure can be relaxed.
    #[serde(skip)]
    pub excess: Option<f64>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Rejected {
    pub strategy: Strategy,
    /// Objectives that it misses; empty where a simpler one meets them all.
    pub misses: Vec<Miss>,
    pub why: String,
}

/// What would have to give, if the design stays as it is.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Relax {
    pub objective: Objective,
    pub component: Option<ComponentId>,
    /// What is needed now; empty where the design has to say something first.
    pub from: String,
    /// What the nearest strategy reaches.
    pub to: String,
    pub why: String,
    /// What makes it so: the longest parts of the recovery, or what is the furthest behind.
    pub because: Option<String>,
}

impl Relax {
    /// `RTO from 5m to 12m`, or what is to be decided.
    pub fn says(&self) -> String {
        let Self { from, to, why, .. } = self;
        let of = self.component.as_ref().map_or(String::new(), |component| format!(" of {component}"));
        let name = format!("{}{of}", self.objective.name());
        match (from.is_empty(), self.objective, to.as_str()) {
            (true, ..) => format!("{name}: {why}; declare one"),
            (false, Objective::Design, _) => format!("{name}: {why}; it would have to be `{to}`, not `{from}`"),
            (false, Objective::Residency, _) => format!("{name}: {why}; {to}"),
            (false, Objective::Rto, "never") | (false, Objective::Rpo, EVERYTHING) => {
                format!("{name}: {why}; no number would do")
            }
            (false, ..) => format!("{name} from {from} to {to}"),
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Choice {
    /// `None`: no strategy meets every objective.
    pub chosen: Option<Strategy>,
    /// The one that misses least, when none meets all.
    pub nearest: Option<Strategy>,
    pub rejected: Vec<Rejected>,
    /// For the nearest.
    pub relax: Vec<Relax>,
}

impl Candidate {
    /// Every objective that it misses.
    pub fn misses(&self, wanted: &Wanted) -> Vec<Miss> {
        let mut misses = Vec::new();
        if let Some(needed) = wanted.rto {
            match self.rto {
                Some(rto) if rto <= needed => {}
                Some(rto) => misses.push(longer(Objective::Rto, "forecast RTO p95", rto, needed)),
                None => misses.push(Miss {
                    objective: Objective::Rto,
                    component: None,
                    needed: human(needed),
                    forecast: "never".to_owned(),
                    why: format!("forecast RTO p95 never > {}", human(needed)),
                    excess: None,
                }),
            }
        }
        match (wanted.rpo, self.rpo) {
            (Some(needed), Some(rpo)) if rpo > needed => {
                misses.push(longer(Objective::Rpo, "forecast RPO p95", rpo, needed));
            }
            (Some(needed), None) => misses.push(Miss {
                objective: Objective::Rpo,
                component: None,
                needed: human(needed),
                forecast: EVERYTHING.to_owned(),
                why: format!("forecast RPO p95 {EVERYTHING} > {}", human(needed)),
                excess: None,
            }),
            _ => {}
        }
        for (component, lost, allowed) in self.own.iter().filter(|(_, lost, allowed)| lost > allowed) {
            let miss = longer(Objective::Rpo, &format!("{component}: forecast RPO p95"), *lost, *allowed);
            misses.push(Miss { component: Some(component.clone()), ..miss });
        }
        if let (Some(needed), Some(added)) = (wanted.added_latency, self.added_latency)
            && added > needed
        {
            misses.push(longer(Objective::Latency, "added latency", added, needed));
        }
        if let (Some(needed), Some(takes)) = (wanted.latency, self.latency)
            && takes > needed
        {
            misses.push(longer(Objective::Latency, "latency", takes, needed));
        }
        if let Some(needed) = wanted.availability.filter(|needed| self.availability < *needed) {
            misses.push(Miss {
                objective: Objective::Availability,
                component: None,
                needed: format!("{needed}%"),
                forecast: format!("{}%", self.availability),
                why: format!("forecast availability {}% < {needed}%", self.availability),
                excess: Some((100.0 - self.availability) / (100.0 - needed).max(1e-6) - 1.0),
            });
        }
        if let Some(needed) = wanted.budget.filter(|needed| self.month > *needed) {
            misses.push(Miss {
                objective: Objective::Budget,
                component: None,
                needed: format!("{needed}/month"),
                forecast: format!("{}/month", self.month.cents()),
                why: format!("{}/month > {needed}/month", self.month.cents()),
                excess: ratio(self.month, needed),
            });
        }
        let forbidden = self.forbidden.iter().map(|forbidden| Miss {
            objective: forbidden.objective,
            component: None,
            needed: forbidden.needed.clone(),
            forecast: forbidden.relaxed.clone(),
            why: forbidden.why.clone(),
            excess: forbidden.mends.then_some(0.0),
        });
        misses.extend(forbidden);
        misses
    }
}

/// What is lost where no copy and no backup is anywhere else.
pub const EVERYTHING: &str = "everything";

fn longer(objective: Objective, what: &str, forecast: Duration, needed: Duration) -> Miss {
    Miss {
        objective,
        component: None,
        needed: human(needed),
        forecast: human(forecast),
        why: format!("{what} {} > {}", human(forecast), human(needed)),
        excess: Some(forecast.as_secs_f64() / needed.as_secs_f64().max(1e-3) - 1.0),
    }
}

fn ratio(month: Usd, needed: Usd) -> Option<f64> {
    use rust_decimal::prelude::ToPrimitive;
    let needed = needed.0.max(rust_decimal::Decimal::new(1, 2));
    month.0.checked_div(needed)?.to_f64().map(|ratio| ratio - 1.0)
}

/// `candidates` in ascending order; a strategy that is not among them was not looked at.
pub fn choose(candidates: &[Candidate], wanted: &Wanted) -> Choice {
    let missed: Vec<(&Candidate, Vec<Miss>)> =
        candidates.iter().map(|candidate| (candidate, candidate.misses(wanted))).collect();
    let chosen = missed.iter().find(|(_, misses)| misses.is_empty()).map(|(candidate, _)| candidate.strategy);
    let nearest = match chosen {
        Some(_) => None,
        None => nearest(&missed),
    };
    let relax = nearest.map_or_else(Vec::new, |(_, misses)| misses.iter().map(Miss::relax).collect());
    let rejected =
        missed.iter().filter(|(candidate, _)| Some(candidate.strategy) != chosen).map(|(candidate, misses)| {
            let reasons: Vec<&str> = misses.iter().map(|miss| miss.why.as_str()).collect();
            let why = match (reasons.is_empty(), chosen) {
                (true, Some(chosen)) => format!("{} meets every objective and is simpler", title(chosen)),
                _ => reasons.join("; "),
            };
            Rejected { strategy: candidate.strategy, misses: misses.clone(), why }
        });
    Choice { chosen, nearest: nearest.map(|(candidate, _)| candidate.strategy), rejected: rejected.collect(), relax }
}

/// The fewest objectives that cannot be relaxed, then the least off in all; of equals the simplest.
fn nearest<'a>(missed: &'a [(&'a Candidate, Vec<Miss>)]) -> Option<(&'a Candidate, &'a [Miss])> {
    // The first of equals is the simplest.
    let best = missed.iter().min_by(|(_, one), (_, other)| {
        let (one, other) = (off(one), off(other));
        one.0.cmp(&other.0).then(one.1.total_cmp(&other.1))
    });
    best.map(|(candidate, misses)| (*candidate, misses.as_slice()))
}

/// How far off in all: how many misses neither a relaxed objective nor a change of the design mends, and how far the others
/// are.
pub(super) fn off(misses: &[Miss]) -> (usize, f64) {
    let hard = misses.iter().filter(|miss| miss.excess.is_none()).count();
    // Twice one objective is as far off as four thirds of three: logarithms of the ratios add up.
    let soft: f64 = misses.iter().filter_map(|miss| miss.excess).map(f64::ln_1p).sum();
    (hard, soft)
}

/// Whether the one is further off than the other, by more than chance.
pub(super) fn worse(one: &[Miss], other: &[Miss]) -> bool {
    const CHANCE: f64 = 0.02;
    let (a, b) = (off(one), off(other));
    match a.0.cmp(&b.0) {
        std::cmp::Ordering::Equal => a.1 > b.1 + CHANCE || (a.1 > b.1 - CHANCE && one.len() > other.len()),
        by_number => by_number.is_gt(),
    }
}

impl Miss {
    pub(super) fn relax(&self) -> Relax {
        Relax {
            objective: self.objective,
            component: self.component.clone(),
            from: self.needed.clone(),
            to: self.forecast.clone(),
            why: self.why.clone(),
            because: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use model::design::Strategy;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use proptest::strategy::Strategy as Chance;
    use rust_decimal::Decimal;

    use super::*;

    fn minutes(n: u64) -> Duration {
        Duration::from_secs(n * 60)
    }

    fn usd(n: i64) -> Usd {
        Usd(Decimal::from(n))
    }

    /// A workload as seed 003 section 6 has it: each stronger strategy is quicker and dearer.
    fn ladder() -> Vec<Candidate> {
        let rungs = [(900, 0, 100), (300, 1_440, 130), (41, 1, 300), (12, 1, 700), (4, 1, 1_200), (1, 0, 2_000)];
        let make = |(strategy, (rto, rpo, cost)): (Strategy, (u64, u64, i64))| Candidate {
            strategy,
            rto: Some(minutes(rto)),
            rpo: Some(minutes(rpo)),
            own: Vec::new(),
            availability: 99.9 + 0.09 * f64::from(strategy as u8) / 5.0,
            added_latency: Some(Duration::from_millis(40)),
            latency: None,
            month: usd(cost),
            priced: true,
            forbidden: Vec::new(),
        };
        Strategy::ALL.into_iter().zip(rungs).map(make).collect()
    }

    fn why(choice: &Choice, of: Strategy) -> String {
        choice.rejected.iter().find(|rejected| rejected.strategy == of).unwrap().why.clone()
    }

    #[test]
    fn the_simplest_that_meets_all_is_chosen_and_the_others_say_why_not() {
        let wanted = Wanted { rto: Some(minutes(30)), rpo: Some(minutes(1)), ..Wanted::default() };
        let choice = choose(&ladder(), &wanted);
        assert_eq!((choice.chosen, choice.nearest), (Some(Strategy::WarmStandby), None));
        assert_eq!(why(&choice, Strategy::PilotLight), "forecast RTO p95 41m > 30m");
        assert_eq!(why(&choice, Strategy::BackupRestore), "forecast RTO p95 5h > 30m; forecast RPO p95 24h > 1m");
        assert_eq!(why(&choice, Strategy::ActiveActive), "warm standby meets every objective and is simpler");
        assert!(choice.relax.is_empty());
    }

    #[test]
    fn no_objective_chooses_the_simplest() {
        assert_eq!(choose(&ladder(), &Wanted::default()).chosen, Some(Strategy::SingleRegion));
    }

    #[test]
    fn an_objective_is_met_at_its_very_border() {
        let at = |rto| choose(&ladder(), &Wanted { rto: Some(rto), ..Wanted::default() }).chosen;
        assert_eq!(at(minutes(41)), Some(Strategy::PilotLight));
        assert_eq!(at(minutes(41) - Duration::from_millis(1)), Some(Strategy::WarmStandby));
    }

    #[test]
    fn objectives_that_none_meets_get_the_nearest_and_what_to_relax() {
        let wanted = Wanted { rto: Some(minutes(5)), budget: Some(usd(1_000)), ..Wanted::default() };
        let choice = choose(&ladder(), &wanted);
        assert_eq!((choice.chosen, choice.nearest), (None, Some(Strategy::HotStandby)));
        let relax: Vec<_> =
            choice.relax.iter().map(|relax| (relax.objective, relax.from.as_str(), relax.to.as_str())).collect();
        assert_eq!(relax, [(Objective::Budget, "1000 USD/month", "1200 USD/month")]);
    }

    #[test]
    fn what_is_forbidden_is_no_matter_of_figures() {
        let mut ladder = ladder();
        for candidate in &mut ladder[1..] {
            let why = "us-west-2 is not approved for regulated data".into();
            let (needed, relaxed) = ("us-east-1".into(), "us-west-2 too".into());
            candidate.forbidden.push(Forbidden { objective: Objective::Residency, why, needed, relaxed, mends: false });
        }
        let wanted = Wanted { rto: Some(minutes(60)), ..Wanted::default() };
        let choice = choose(&ladder, &wanted);
        assert_eq!((choice.chosen, choice.nearest), (None, Some(Strategy::SingleRegion)), "only an RTO can be relaxed");
    }

    fn no() -> Forbidden {
        let (needed, relaxed) = ("a".into(), "b".into());
        Forbidden { objective: Objective::Design, why: "no".into(), needed, relaxed, mends: false }
    }

    fn candidates() -> impl Chance<Value = Vec<Candidate>> {
        let rung = (1u64..2_000, 0u64..2_000, 0.0f64..0.2, 0u64..300, 0i64..500, any::<bool>());
        proptest::collection::vec(rung, 6).prop_map(|rungs| {
            let mut month = 0;
            let make =
                |(strategy, (rto, rpo, less, far, more, allowed)): (Strategy, (u64, u64, f64, u64, i64, bool))| {
                    // Each keeps what the one before it has.
                    month += more;
                    let never = rto > 1_900;
                    Candidate {
                        strategy,
                        rto: (!never).then(|| minutes(rto)),
                        rpo: Some(minutes(rpo)),
                        own: Vec::new(),
                        availability: 100.0 - less,
                        added_latency: Some(Duration::from_millis(far)),
                        latency: None,
                        month: usd(month),
                        priced: true,
                        forbidden: if allowed { Vec::new() } else { vec![no()] },
                    }
                };
            Strategy::ALL.into_iter().zip(rungs).map(make).collect::<Vec<_>>()
        })
    }

    fn cost(candidates: &[Candidate], choice: &Choice) -> Option<Usd> {
        let chosen = choice.chosen?;
        candidates.iter().find(|candidate| candidate.strategy == chosen).map(|candidate| candidate.month)
    }

    proptest! {
        #[test]
        fn a_looser_objective_never_makes_the_design_dearer(
            candidates in candidates(),
            (rto, rpo, latency, budget) in (1u64..2_000, 0u64..2_000, 0u64..300, 0i64..3_000),
            availability in 99.0f64..100.0,
            (which, more) in (0u8..5, 0u64..2_000),
        ) {
            let tight = Wanted {
                rto: Some(minutes(rto)),
                rpo: Some(minutes(rpo)),
                availability: Some(availability),
                added_latency: Some(Duration::from_millis(latency)),
                latency: None,
                budget: Some(usd(budget)),
            };
            let mut loose = tight.clone();
            match which {
                0 => loose.rto = Some(minutes(rto + more)),
                1 => loose.rpo = Some(minutes(rpo + more)),
                2 => loose.availability = Some(availability - more as f64 / 1_000.0),
                3 => loose.added_latency = None,
                _ => loose.budget = Some(usd(budget + more as i64)),
            }
            let (before, after) = (choose(&candidates, &tight), choose(&candidates, &loose));
            if let Some(dear) = cost(&candidates, &before) {
                let now = cost(&candidates, &after);
                prop_assert!(now.is_some_and(|now| now <= dear), "{before:?} {after:?}");
                prop_assert!(after.chosen <= before.chosen, "nor more complex");
            }
        }

        #[test]
        fn what_is_chosen_misses_nothing_and_every_other_has_a_reason(candidates in candidates(), rto in 1u64..2_000) {
            let wanted = Wanted { rto: Some(minutes(rto)), ..Wanted::default() };
            let choice = choose(&candidates, &wanted);
            prop_assert_eq!(choice.rejected.len() + usize::from(choice.chosen.is_some()), candidates.len());
            prop_assert!(choice.rejected.iter().all(|rejected| !rejected.why.is_empty()));
            prop_assert_eq!(choice.chosen.is_none(), choice.nearest.is_some());
            for candidate in &candidates {
                if Some(candidate.strategy) == choice.chosen {
                    prop_assert!(candidate.misses(&wanted).is_empty());
                }
            }
        }
    }
}
