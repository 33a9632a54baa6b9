//! What would save, and how much: ways of buying, what is kept too long, what is too large (seed 001, Cost Optimization
//! Strategies; seed 003 section 17.2).

use model::catalogue::Category;
use model::rates::Rates;
use model::{ComponentId, Design, Usd};
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use serde::Serialize;

use super::Cost;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    Reserved,
    Spot,
    SnapshotLifecycle,
    RightSizing,
    Partitioning,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Saving {
    pub way: Way,
    pub components: Vec<ComponentId>,
    /// Per month; `None` where a rate or a figure is missing.
    pub month: Option<Usd>,
    pub says: String,
    /// What it asks for, or risks.
    pub but: String,
    pub source: String,
}

/// Below this use an instance is taken for too large: half of it would still be below the usual target of a fleet that
/// scales by itself.
const IDLE: f64 = 40.0;

/// Everything that would save something here.
pub fn savings(design: &Design, cost: &Cost, rates: &Rates) -> Vec<Saving> {
    let all = [
        reserved(design, cost, rates),
        spot(design, cost),
        snapshots(design, cost),
        sizes(design, cost, rates),
        cells(design, cost),
    ];
    all.into_iter().flatten().collect()
}

fn share(percent: f64) -> Decimal {
    Decimal::from_f64(percent / 100.0).unwrap_or_default().clamp(Decimal::ZERO, Decimal::ONE)
}

/// Capacity that runs all the time and is not paid in advance yet.
fn reserved(design: &Design, cost: &Cost, rates: &Rates) -> Option<Saving> {
    let way = rates.savings.get("reserved")?;
    let mut components: Vec<ComponentId> = Vec::new();
    let mut month = Usd::ZERO;
    for line in cost.months().filter(|line| way.covers(&line.item)) {
        let part = design.part(&line.component)?;
        let already =
            share(part.percent("usage.reserved").unwrap_or(0.0)) + share(part.percent("usage.spot").unwrap_or(0.0));
        month += line.usd * (way.share * (Decimal::ONE - already).max(Decimal::ZERO));
        components.push(line.component.clone());
    }
    components.sort();
    components.dedup();
    (month > Usd::ZERO).then(|| Saving {
        way: Way::Reserved,
        components,
        month: Some(month),
        says: format!(
            "capacity that runs all the time, reserved: {}% less",
            (way.share * Decimal::ONE_HUNDRED).normalize()
        ),
        but: "it is paid for whether it is used or not, for as long as the term is".to_owned(),
        source: way.source.clone(),
    })
}

/// Standby capacity that a recovery can wait for. No rate is in the file: its price changes by the hour.
fn spot(design: &Design, cost: &Cost) -> Option<Saving> {
    let standby = cost.months().filter(|line| line.standby && line.category == Category::Compute);
    let mut components: Vec<ComponentId> = standby.map(|line| line.component.clone()).collect();
    components.retain(|id| design.part(id).is_none_or(|part| part.percent("usage.spot").is_none()));
    components.dedup();
    (!components.is_empty()).then(|| Saving {
        way: Way::Spot,
        components,
        month: None,
        says: "standby capacity that nothing rests on, on spot instances: no figure, for their price changes by the hour and \
               no source has one that holds"
            .to_owned(),
        but: "in a regional loss everybody wants them: never what the objectives rest on".to_owned(),
        source: "seed-001".to_owned(),
    })
}

/// More snapshots than their interval and their keeping time call for.
fn snapshots(design: &Design, cost: &Cost) -> Option<Saving> {
    let mut components = Vec::new();
    let mut month = Usd::ZERO;
    for part in &design.components {
        let (Some(every), Some(keep)) = (part.duration("backup.every"), part.duration("backup.keep")) else { continue };
        let Some(kept) = part.count("usage.snapshots").filter(|kept| *kept > 0) else { continue };
        let wanted = keep.as_secs().div_ceil(every.as_secs().max(1)) + 1;
        if kept <= wanted {
            continue;
        }
        let spare = Decimal::from(kept - wanted) / Decimal::from(kept);
        let paid: Usd = cost
            .months()
            .filter(|line| line.component == part.id && line.category == Category::Backup)
            .map(|line| line.usd)
            .sum();
        month += paid * spare;
        components.push(part.id.clone());
    }
    (!components.is_empty()).then(|| Saving {
        way: Way::SnapshotLifecycle,
        components,
        month: Some(month),
        says: "snapshots older than `backup.keep` deleted by a lifecycle policy".to_owned(),
        but: "an immutable copy must outlive a mistake that is found late".to_owned(),
        source: "seed-001".to_owned(),
    })
}

/// Classes in their order: the next one down has half of the power.
const LADDER: [&str; 9] = ["nano", "micro", "small", "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge"];

fn smaller(class: &str) -> Option<String> {
    let (family, size) = class.rsplit_once('.')?;
    let at = LADDER.iter().position(|known| *known == size)?;
    Some(format!("{family}.{}", LADDER.get(at.checked_sub(1)?)?))
}

/// Instances that are mostly idle, one class smaller.
fn sizes(design: &Design, cost: &Cost, rates: &Rates) -> Option<Saving> {
    let mut components = Vec::new();
    let mut month = Some(Usd::ZERO);
    for part in &design.components {
        let Some(class) = part.text("usage.class") else { continue };
        let Some(smaller) = part.percent("usage.utilisation").filter(|used| *used < IDLE).and_then(|_| smaller(class))
        else {
            continue;
        };
        for line in cost.months().filter(|line| line.component == part.id && line.item.ends_with(class)) {
            let item = format!("{}{smaller}", line.item.strip_suffix(class).unwrap_or_default());
            let place = line.region.as_deref().unwrap_or("global");
            let less = rates.find(&item, place).and_then(|rate| rates.price(rate, line.quantity, line.unit));
            month = month.zip(less).map(|(sum, less)| sum + line.usd - less);
        }
        components.push(part.id.clone());
    }
    (!components.is_empty()).then(|| Saving {
        way: Way::RightSizing,
        components,
        month,
        says: format!("one class smaller: less than {IDLE}% of it is used"),
        but: "a standby must still take the whole peak".to_owned(),
        source: "seed-001".to_owned(),
    })
}

/// Tenants or cells that live in one region each are not replicated in both directions.
fn cells(design: &Design, cost: &Cost) -> Option<Saving> {
    let doubled = |line: &&super::Priced| {
        matches!(line.category, Category::ReplicationTransfer | Category::RegionTransfer)
            && design.part(&line.component).is_some_and(|part| part.word("writers") == Some("every"))
    };
    let lines: Vec<_> = cost.months().filter(doubled).collect();
    let month: Usd = lines.iter().map(|line| line.usd).sum();
    let mut components: Vec<ComponentId> = lines.iter().map(|line| line.component.clone()).collect();
    components.dedup();
    (!components.is_empty()).then(|| Saving {
        way: Way::Partitioning,
        components,
        month: Some(Usd(month.0 / Decimal::TWO)),
        says: "each tenant or cell in one region at a time: what it writes goes one way, and there are no conflicts"
            .to_owned(),
        but: "moving a tenant is a workflow of its own".to_owned(),
        source: "seed 003 section 17.2".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_class_down_is_one_rung_of_the_ladder() {
        assert_eq!(smaller("t3.medium").as_deref(), Some("t3.small"));
        assert_eq!(smaller("db.r6g.2xlarge").as_deref(), Some("db.r6g.xlarge"));
        assert_eq!([smaller("t3.nano"), smaller("huge"), smaller("t3.odd")], [None, None, None]);
    }
}
