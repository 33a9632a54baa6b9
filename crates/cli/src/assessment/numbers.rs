//! The figures of an assessment as people read them: strategies beside each other, how long a failover takes and what it
//! loses, what readiness costs.

use std::sync::Arc;
use std::time::Duration;

use engine::assess::strategy::{
    Change, Considered, EVERYTHING, Effort, Mended, Relax, StrategyAssessment, as_declared, availability_of, few,
    losses, strategies, title,
};
use engine::cost::{BreakEven, Cost, Losses, Saving, bill, price, savings};
use engine::forecast::availability::allowed;
use engine::forecast::{self, Availability, Forecast, History, Model, Quantiles, Secs};
use model::time::human;
use model::{Design, Rates, Topology, Usd};
use serde::Serialize;

use super::picture::{Point, Tone, svg, thousands};
use crate::prose::{Ink, Prose};
use crate::table;

/// Everything that is a figure.
#[derive(Debug, Serialize)]
pub struct Numbers {
    pub strategy: StrategyAssessment,
    /// Of the design as it is declared; `None` when it has one region.
    pub forecast: Option<Forecast>,
    /// In a year, of the design as it is declared.
    pub availability: Availability,
    /// Percent, by the objectives.
    #[serde(skip)]
    pub available: Option<f64>,
    pub cost: Bill,
}

/// One strategy as a line of a table.
pub struct Row {
    pub chosen: bool,
    pub title: &'static str,
    pub p50: String,
    pub p95: String,
    pub rpo: String,
    pub availability: String,
    pub month: String,
    /// Of the one that stays, also what the loss of its region takes along.
    pub why: String,
    pub even: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Bill {
    #[serde(flatten)]
    pub cost: Cost,
    /// Of the file of rates.
    pub rates: String,
    pub losses: Losses,
    pub savings: Vec<Saving>,
}

/// The forecast of the design as it is declared. With the `topology` of a spec that can be run it is that of the drills' own
/// workload. `None` when there is one region only.
pub fn declared(design: &Design, topology: Option<&Topology>, history: &History, effort: Effort) -> Option<Forecast> {
    match topology {
        Some(topology) => {
            let model = Model::of(&Arc::new(topology.clone()), history);
            Some(forecast::forecast(&model, effort.samples, effort.seed))
        }
        None => as_declared(design, history, effort),
    }
}

impl Numbers {
    /// With the `topology` of a spec that can be run: its forecast is that of the drills' own workload.
    pub fn of(design: &Design, topology: Option<&Topology>, rates: &Rates, history: &History, effort: Effort) -> Self {
        let cost = price(&bill(design, None), rates);
        let forecast = declared(design, topology, history, effort);
        Self {
            strategy: strategies(design, rates, history, effort),
            availability: availability_of(design, forecast.as_ref()),
            available: design.objectives.availability,
            forecast,
            cost: Bill {
                savings: savings(design, &cost, rates),
                cost,
                rates: format!("{} ({})", rates.name, rates.as_of),
                losses: losses(design),
            },
        }
    }

    /// The strategies as the picture draws them.
    pub fn picture(&self, rto: Option<Duration>, budget: Option<Usd>) -> Option<String> {
        let considered = &self.strategy.considered;
        let points: Vec<Point> = considered.iter().map(|one| self.point(one)).collect();
        svg(&points, rto, budget.map(dollars))
    }

    fn point(&self, one: &Considered) -> Point {
        let candidate = &one.candidate;
        let missed = self.strategy.choice.rejected.iter().find(|rejected| rejected.strategy == candidate.strategy);
        let tone = match missed {
            None => Tone::Chosen,
            Some(rejected) if rejected.misses.is_empty() => Tone::Meets,
            Some(_) => Tone::Misses,
        };
        Point {
            name: title(candidate.strategy).to_owned(),
            rto: candidate.rto,
            month: dollars(candidate.month),
            whole: candidate.priced,
            tone,
        }
    }

    /// Every strategy, the simplest first.
    pub fn rows(&self) -> Vec<Row> {
        self.strategy.considered.iter().map(|one| self.row(one)).collect()
    }

    fn row(&self, one: &Considered) -> Row {
        let candidate = &one.candidate;
        let rejected = self.strategy.choice.rejected.iter().find(|rejected| rejected.strategy == candidate.strategy);
        let even = match &one.break_even {
            Some(BreakEven::From { losses_a_year }) => {
                // What has no price only adds to what the stronger one costs more.
                let least = if candidate.priced { "" } else { "at least " };
                Some(format!(
                    "pays from {least}{losses_a_year} losses of the region a year on, beside the one before it"
                ))
            }
            Some(BreakEven::Always | BreakEven::Never) | None => None,
        };
        let why = rejected.map_or("the simplest that meets every objective", |rejected| rejected.why.as_str());
        let never = || "never".to_owned();
        let median = one.forecast.as_ref().map(|forecast| forecast.rto.p50.map_or_else(never, |secs| secs.to_string()));
        Row {
            chosen: rejected.is_none(),
            title: title(candidate.strategy),
            p50: median.unwrap_or_else(|| "–".to_owned()),
            p95: candidate.rto.map_or_else(never, human),
            rpo: candidate.rpo.map_or_else(|| EVERYTHING.to_owned(), human),
            availability: format!("{}%", candidate.availability),
            month: usd(candidate.month, candidate.priced),
            why: one.lost_for_good.as_ref().map_or(why.to_owned(), |lost| format!("{why}; {lost}")),
            even,
        }
    }

    pub fn strategies(&self, prose: Prose) -> String {
        let all = &self.strategy;
        let mut out = prose.heading("Strategy");
        out += &prose.hanging(2, "", &all.verdict);
        out.push('\n');
        let header = ["", "strategy", "RTO p95", "RPO p95", "availability", "USD a month", ""];
        let cells = |row: Row| {
            let mark = if row.chosen { "*" } else { "" };
            [mark.to_owned(), row.title.to_owned(), row.p95, row.rpo, row.availability, row.month, row.why]
        };
        out += &indented(&table::draw(header, self.rows().into_iter().map(cells)));
        if all.considered.iter().any(|one| !one.candidate.priced) {
            out += &prose.hanging(5, "  ≥", "a lower bound: something that it needs has no price (see Cost)");
        }
        for relax in &all.choice.relax {
            let because = relax.because.as_ref().map_or(String::new(), |because| format!(": {because}"));
            out += &prose.marked(9, Ink::Soft, "  relax", &format!("{}{because}", relax.says()));
        }
        if let Some(mended) = &all.mended {
            out += &prose.marked(9, Ink::Green, "  or", &lead(mended));
            for change in &mended.changes {
                out += &prose.hanging(
                    11,
                    "         -",
                    &format!("{} ({}); then {}", change.says, change.write, then(change)),
                );
            }
            out += &prose.hanging(9, "", &outcome(mended));
        }
        out
    }

    pub fn rto(&self) -> String {
        self.forecast.as_ref().map_or_else(String::new, |forecast| quantiles(&forecast.rto))
    }
    pub fn year(&self) -> String {
        year(&self.availability, self.available)
    }
    pub fn yearly(&self, prose: Prose) -> String {
        yearly(&self.availability, self.available, prose)
    }
    /// Of a forecast with samples that did not end.
    pub fn did_not_end(&self) -> Option<String> {
        self.forecast.as_ref().and_then(Forecast::did_not_end)
    }
    pub fn rpo(&self) -> String {
        self.forecast.as_ref().map_or_else(String::new, |forecast| quantiles(&forecast.rpo))
    }
    /// What the forecast rests on: the act, its median and 95th percentile, the source.
    pub fn cited(&self) -> Vec<(String, String, String, String)> {
        self.forecast.as_ref().map_or_else(Vec::new, cited)
    }
    pub fn month(&self) -> String {
        usd(self.cost.cost.month, self.cost.cost.is_whole())
    }
    pub fn standby(&self) -> String {
        usd(self.cost.cost.standby, self.cost.cost.is_whole())
    }
    /// By category, then by region.
    pub fn sums(&self) -> Vec<(String, String)> {
        let cost = &self.cost.cost;
        let categories = cost.by_category.iter().map(|(category, sum)| (category.title().to_owned(), amount(*sum)));
        let regions = cost.by_region.iter().map(|(region, sum)| (region.clone(), amount(*sum)));
        categories.chain(regions).collect()
    }
    /// What does not come every month.
    pub fn each(&self) -> [(&'static str, String); 3] {
        let Bill { cost, losses, .. } = &self.cost;
        let said = |sum: Option<Usd>| sum.map_or("nobody said".to_owned(), |sum| format!("{} USD", amount(sum)));
        [
            ("a drill", format!("{} USD", usd(cost.drill, cost.is_whole()))),
            ("an hour without service", said(losses.downtime_per_hour)),
            ("a minute of lost data", said(losses.data_per_minute)),
        ]
    }

    pub fn cost(&self, prose: Prose, all: bool) -> String {
        let Bill { rates, savings, .. } = &self.cost;
        let mut out = prose.heading(&format!("Cost: {} USD a month", self.month()));
        let standby = format!("{} USD are for the recovery alone; rates: {rates}", self.standby());
        out += &prose.hanging(2, "", &standby);
        out +=
            &indented(&table::draw(["of that", "USD a month"], self.sums().into_iter().map(|(name, sum)| [name, sum])));
        for (what, said) in self.each() {
            out += &prose.hanging(30, &format!("  {what}"), &said);
        }
        for row in self.rows() {
            out += &row.even.map_or_else(String::new, |even| prose.hanging(30, &format!("  {}", row.title), &even));
        }
        for saving in savings {
            out += &prose.marked(8, Ink::Green, "  save", &self::saving(saving));
        }
        out + &self.missing(prose, all)
    }

    fn missing(&self, prose: Prose, all: bool) -> String {
        const FEW: usize = 6;
        let missing = &self.cost.cost.missing;
        let shown = if all { missing.len() } else { missing.len().min(FEW) };
        let mut out = String::new();
        for one in &missing[..shown] {
            let place = one.region.as_ref().map_or(String::new(), |region| format!(" in {region}"));
            out += &prose.marked(12, Ink::Yellow, "  no price", &format!("{}{place}: {}", one.item, one.why));
        }
        if shown < missing.len() {
            out += &format!("  … and {} more without a price: --all\n", missing.len() - shown);
        }
        out
    }
}

/// What a saving comes to in a month, what it asks for, and who says so.
pub fn saving(saving: &Saving) -> String {
    let month = saving.month.map_or(String::new(), |month| format!(", {} USD a month", amount(month)));
    format!("{} ({}){month}; but {} [{}]", saving.says, few(&saving.components), saving.but, saving.source)
}

/// What the changes of a design are for.
pub fn lead(mended: &Mended) -> String {
    let less = if mended.relax.is_empty() { "relax nothing" } else { "relax less" };
    format!("change the design and {less}, with {}", title(mended.strategy))
}

/// The forecast with a change and those before it.
pub fn then(change: &Change) -> String {
    let or = |secs: Option<Secs>, never: &str| secs.map_or(never.to_owned(), |secs| secs.to_string());
    format!("RTO p95 {}, RPO p95 {}", or(change.rto, "never"), or(change.rpo, EVERYTHING))
}

/// What the changes come to.
pub fn outcome(mended: &Mended) -> String {
    let month = format!("{} USD a month", usd(mended.month, mended.priced));
    if mended.relax.is_empty() {
        return format!("it meets every objective then, for {month}");
    }
    let relax: Vec<String> = mended.relax.iter().map(Relax::says).collect();
    format!("what is left to relax: {}; it costs {month}", relax.join("; "))
}

/// In a year, beside the objective.
pub fn year(availability: &Availability, wanted: Option<f64>) -> String {
    let Availability { percent, unserved, by_region, by_zone, losses_a_year, .. } = availability;
    let says = format!(
        "{percent}% of a year: {unserved} without service ({by_region} in {losses_a_year} losses of the region, {by_zone} in losses of a zone)"
    );
    match wanted {
        Some(wanted) if *percent < wanted => {
            format!("{says}; {wanted}% is wanted, which leaves {}", human(allowed(wanted)))
        }
        Some(wanted) => format!("{says}; {wanted}% is wanted"),
        None => says,
    }
}

/// The same as a line of the terminal, red where it is less than wanted.
pub fn yearly(availability: &Availability, wanted: Option<f64>, prose: Prose) -> String {
    let met = wanted.is_none_or(|wanted| availability.percent >= wanted);
    let ink = if met { Ink::Soft } else { Ink::Red };
    prose.marked(16, ink, "  availability", &year(availability, wanted))
}

/// How long a failover takes, part by part, and what it loses.
pub fn failover(forecast: &Forecast, prose: Prose) -> String {
    let title = format!("Forecast of a failover ({} losses of the region, seed {})", forecast.samples, forecast.seed);
    let mut out = prose.heading(&title);
    out += &prose.hanging(7, "  RTO", &quantiles(&forecast.rto));
    let writes =
        forecast.lost_writes.map_or(String::new(), |[p50, p95, p99]| format!(" (writes: {p50}, {p95}, {p99})"));
    out += &prose.hanging(7, "  RPO", &format!("{}{writes}", quantiles(&forecast.rpo)));
    if let Some(why) = forecast.did_not_end() {
        out += &prose.marked(9, Ink::Red, "  error", &why);
    }
    let never = forecast.samples - forecast.recovered - forecast.unended - forecast.circling;
    if never > 0 {
        out += &prose.hanging(2, "", &format!("{never} of {} losses were never recovered from", forecast.samples));
    }
    if forecast.asked > 0 {
        out += &prose.hanging(2, "", &format!("in {} people had to accept the loss first", forecast.asked));
    }
    out.push('\n');
    let longest = forecast.phases.iter().map(|phase| phase.at_p95.0).max().unwrap_or_default();
    let rows = forecast.phases.iter().map(|phase| {
        let [p50, p95, p99] = [phase.p50, phase.p95, phase.p99].map(|secs| secs.to_string());
        [phase.phase.to_owned(), p50, p95, p99, phase.at_p95.to_string(), bar(phase.at_p95.0, longest)]
    });
    out += &indented(&table::draw(["part", "p50", "p95", "p99", "of the RTO's p95", ""], rows));
    for slowest in forecast.slowest.iter().filter(|slowest| slowest.share >= 0.05) {
        let said = format!("{} was the slowest in {:.0}%", slowest.of, slowest.share * 100.0);
        out += &prose.marked(11, Ink::Soft, &format!("  {}", slowest.phase), &said);
    }
    out
}

fn cited(forecast: &Forecast) -> Vec<(String, String, String, String)> {
    let each = forecast.sources.iter().map(|cited| {
        let from = match cited.samples {
            0 => cited.source.clone(),
            n => format!("{} ({n} measurements)", cited.source),
        };
        (cited.act.clone(), human(cited.takes.p50()), human(cited.takes.p95()), from)
    });
    each.collect()
}

/// What the figures rest on.
pub fn sources(forecast: &Forecast, prose: Prose) -> String {
    let each = cited(forecast).into_iter();
    let lines = each.map(|(act, p50, p95, from)| prose.hanging(4, "  ", &format!("{act}: {p50} to {p95}; {from}")));
    prose.heading("What it rests on") + &lines.collect::<String>()
}

fn quantiles(quantiles: &Quantiles) -> String {
    let at = |secs: Option<Secs>| secs.map_or("never".to_owned(), |secs| secs.to_string());
    format!("p50 {}, p95 {}, p99 {}", at(quantiles.p50), at(quantiles.p95), at(quantiles.p99))
}

/// In proportion to the longest part, at most 24 characters.
fn bar(length: Duration, longest: Duration) -> String {
    let share = length.as_secs_f64() / longest.as_secs_f64().max(1e-9);
    "█".repeat((share * 24.0).round() as usize)
}

fn dollars(usd: Usd) -> f64 {
    usd.0.to_string().parse().unwrap_or(0.0)
}

fn amount(usd: Usd) -> String {
    thousands(dollars(usd))
}

/// A sum beside which something has no price is a lower bound.
fn usd(sum: Usd, whole: bool) -> String {
    format!("{}{}", if whole { "" } else { "≥ " }, amount(sum))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
