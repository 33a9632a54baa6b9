//! What readiness costs each month, what a drill costs, and what being without it costs.
//!
//! ```text
//! Design ─► Line (item, quantity, unit, region, category) ─┬─ Rates ─► Priced ─► Cost { by category, by region, total }
//!                                                          └─ no rate ─► Missing: said, and in no sum
//! ```
//! Money is decimal and is rounded only where it is shown. A quantity that the spec does not give is missing too.

mod bill;
pub mod loss;
pub mod quantity;
mod save;

use std::collections::BTreeMap;

use model::catalogue::{Category, Unit};
use model::rates::Rates;
use model::{ComponentId, Usd};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use bill::bill;
pub use loss::{BreakEven, Losses, break_even};
pub use save::{Saving, Way, savings};

/// How often a cost comes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    #[default]
    Month,
    Drill,
}

/// Something that costs, before anybody has said how much.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Line {
    pub component: ComponentId,
    pub item: String,
    /// `None` for what belongs to no region.
    pub region: Option<String>,
    /// Why there is none: keys that the spec leaves open.
    pub quantity: Result<Decimal, String>,
    pub unit: Unit,
    pub category: Category,
    pub when: When,
    /// Only there for the recovery: without a second region it would not be paid.
    pub standby: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Priced {
    pub component: ComponentId,
    pub item: String,
    pub region: Option<String>,
    pub quantity: Decimal,
    pub unit: Unit,
    pub category: Category,
    pub when: When,
    pub standby: bool,
    pub usd: Usd,
    /// Where the rate is from.
    pub source: String,
}

/// What has no price, and why.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Missing {
    pub item: String,
    pub region: Option<String>,
    pub components: Vec<ComponentId>,
    pub why: String,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Cost {
    /// Per month, of all that has a price.
    pub month: Usd,
    /// Of that, what is only there for the recovery.
    pub standby: Usd,
    pub by_category: BTreeMap<Category, Usd>,
    /// What belongs to no region is under `global`.
    pub by_region: BTreeMap<String, Usd>,
    /// Each drill.
    pub drill: Usd,
    pub lines: Vec<Priced>,
    /// What is in none of the sums. Empty: the sums are whole.
    pub missing: Vec<Missing>,
}

impl Cost {
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }
    /// What is paid each month.
    pub fn months(&self) -> impl Iterator<Item = &Priced> {
        self.lines.iter().filter(|line| line.when == When::Month)
    }

    /// Categories of which nothing is priced: nothing is known of them, which is not the same as nothing.
    pub fn unpriced(&self) -> Vec<Category> {
        Category::ALL.into_iter().filter(|category| !self.by_category.contains_key(category)).collect()
    }
}

const GLOBAL: &str = "global";

/// Prices each line. Lines of the same item in the same place that lack a rate are one entry of `missing`.
pub fn price(lines: &[Line], rates: &Rates) -> Cost {
    let mut cost = Cost::default();
    let mut missing: BTreeMap<(String, Option<String>, String), Vec<ComponentId>> = BTreeMap::new();
    for line in lines {
        match priced(line, rates) {
            Ok(priced) => cost.take(priced),
            Err(why) => {
                let of = missing.entry((line.item.clone(), line.region.clone(), why)).or_default();
                of.push(line.component.clone());
            }
        }
    }
    let entry = |((item, region, why), components)| Missing { item, region, components, why };
    cost.missing = missing.into_iter().map(entry).collect();
    cost
}

fn priced(line: &Line, rates: &Rates) -> Result<Priced, String> {
    let quantity = line.quantity.clone()?;
    let place = line.region.as_deref().unwrap_or(GLOBAL);
    let rate = match rates.find(&line.item, place) {
        Some(rate) => rate,
        None if rates.knows(&line.item) => return Err(format!("the rates of {} have none for {place}", rates.as_of)),
        None => return Err(format!("the rates of {} have none", rates.as_of)),
    };
    let cannot = || format!("it is counted in {}, and its rate is per {}", line.unit, rate.per);
    let usd = rates.price(rate, quantity, line.unit).ok_or_else(cannot)?;
    Ok(Priced {
        component: line.component.clone(),
        item: line.item.clone(),
        region: line.region.clone(),
        quantity,
        unit: line.unit,
        category: line.category,
        when: line.when,
        standby: line.standby,
        usd,
        source: rate.source.clone(),
    })
}

impl Cost {
    fn take(&mut self, priced: Priced) {
        match priced.when {
            When::Drill => self.drill += priced.usd,
            When::Month => {
                self.month += priced.usd;
                if priced.standby {
                    self.standby += priced.usd;
                }
                let region = priced.region.clone().unwrap_or_else(|| GLOBAL.to_owned());
                *self.by_region.entry(region).or_default() += priced.usd;
                *self.by_category.entry(priced.category).or_default() += priced.usd;
            }
        }
        self.lines.push(priced);
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    fn usd(text: &str) -> Usd {
        Usd(Decimal::from_str(text).unwrap())
    }

    fn line(item: &str, region: &str, quantity: i64, unit: Unit, category: Category) -> Line {
        Line {
            component: ComponentId::new("web"),
            item: item.into(),
            region: Some(region.into()),
            quantity: Ok(Decimal::from(quantity)),
            unit,
            category,
            when: When::Month,
            standby: region == "us-west-2",
        }
    }

    /// The workload of seed 001: two t3.micro with 20 GB each, ten gigabytes out, five between the regions.
    fn seed_001() -> Vec<Line> {
        let mut lines = Vec::new();
        for region in ["us-east-1", "us-west-2"] {
            lines.push(line("ec2.t3.micro", region, 1, Unit::Month, Category::Compute));
            lines.push(line("ebs.gp3", region, 20, Unit::GbMonth, Category::Storage));
        }
        lines.push(line("transfer.out", "us-east-1", 10, Unit::Gb, Category::RegionTransfer));
        lines.push(line("transfer.between", "us-east-1", 5, Unit::Gb, Category::ReplicationTransfer));
        lines
    }

    #[test]
    fn the_table_of_seed_001_adds_up_to_the_cent() {
        let cost = price(&seed_001(), model::rates::bundled());
        assert!(cost.is_whole(), "{:?}", cost.missing);
        assert_eq!(cost.month, usd("21.20"), "2 × 8.50 + 2 × 20 × 0.08 + 10 × 0.09 + 5 × 0.02");
        assert_eq!(cost.standby, usd("10.10"));
        assert_eq!(cost.by_region["us-east-1"], usd("11.10"));
        assert_eq!(cost.by_category[&Category::Compute], usd("17.00"));
        let (regions, categories): (Usd, Usd) =
            (cost.by_region.values().copied().sum(), cost.by_category.values().copied().sum());
        assert_eq!((regions, categories), (cost.month, cost.month));
    }

    #[test]
    fn a_rate_that_is_missing_is_said_and_never_guessed() {
        let mut lines = seed_001();
        lines.push(line("ec2.t3.micro", "ap-south-1", 3, Unit::Month, Category::Compute));
        lines.push(line("arc.cluster", "us-east-1", 1, Unit::Month, Category::RoutingControl));
        lines.push(line("ebs.gp3", "us-east-1", 1, Unit::Hour, Category::Storage));
        lines.push(Line { quantity: Err("`usage.storage` is not in the spec".into()), ..seed_001().remove(1) });
        let cost = price(&lines, model::rates::bundled());
        assert_eq!(cost.month, usd("21.20"), "it is in no sum");
        let why: Vec<_> = cost.missing.iter().map(|missing| missing.why.as_str()).collect();
        assert_eq!(
            why,
            [
                "the rates of 2026-11-22 have none",
                "`usage.storage` is not in the spec",
                "it is counted in hour, and its rate is per GB-month",
                "the rates of 2026-11-22 have none for ap-south-1",
            ]
        );
    }

    #[test]
    fn a_drill_is_in_no_month() {
        let drill = Line { when: When::Drill, ..line("ec2.t3.micro", "us-east-1", 2, Unit::Hour, Category::Drills) };
        let cost = price(&[drill], model::rates::bundled());
        assert_eq!((cost.month, cost.by_region.len()), (Usd::ZERO, 0));
        assert_eq!(cost.drill.cents(), usd("0.02"));
    }
}
