//! The lines of a design's bill, as it is or as it would be with another strategy.
//!
//! Intuition: each stronger strategy keeps what the weaker one has and adds to it. So the share of a line that is paid in
//! the other region only grows from one strategy to the next, and so does the bill, whichever rates are known.

use model::catalogue::{Category, Charged, Price, Unit};
use model::design::{Site, Strategy};
use model::value::{GB, Value};
use model::{Design, Part, SiteId};
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use super::quantity::{self, NoValue};
use super::{Line, When};
use crate::forecast::Variant;

/// The lines of every component, in every place where it is paid for.
pub fn bill(design: &Design, strategy: Option<Strategy>) -> Vec<Line> {
    let variant = Variant::new(design, strategy);
    let mut lines = Vec::new();
    for part in &design.components {
        for price in part.kind.prices.iter().filter(|price| price.when.as_deref().is_none_or(|when| part.holds(when))) {
            lines.extend(of(design, variant.as_ref(), part, price));
        }
    }
    if let Some(variant) = &variant {
        lines.extend(drills(variant, &lines));
    }
    lines
}

fn of(design: &Design, variant: Option<&Variant<'_>>, part: &Part, price: &Price) -> Vec<Line> {
    let home = design.preferred();
    if price.charged == Charged::Once {
        let standby = only_for_recovery(price.category);
        let share = if standby { once(variant) } else { Decimal::ONE };
        return (!share.is_zero()).then(|| line(design, part, price, home, None, share, standby)).into_iter().collect();
    }
    let everywhere: Vec<SiteId> = match part.sites.is_empty() {
        true => design.regions().map(|site| site.id.clone()).collect(),
        false => part.sites.clone(),
    };
    let mut places: Vec<&Site> = everywhere.iter().filter_map(|id| design.site(id)).collect();
    // Another strategy may need it where it is not yet.
    if let Some(variant) = variant.filter(|variant| variant.strategy.is_some())
        && !places.iter().any(|site| site.id == variant.away.id)
    {
        places.push(&variant.away);
    }
    let mut lines = Vec::new();
    for site in places {
        let at_home = home.is_some_and(|home| home.id == site.id);
        if at_home && price.charged == Charged::EachStandby {
            continue;
        }
        let share = if at_home { Decimal::ONE } else { away(variant, part, price) };
        // With another strategy the other region mirrors the first.
        let asked = if variant.is_some_and(|variant| variant.strategy.is_some()) { home } else { Some(site) };
        if !share.is_zero() {
            lines.push(line(design, part, price, asked, Some(site), share, !at_home));
        }
    }
    lines
}

/// Categories of which nothing would be there without a second region.
fn only_for_recovery(category: Category) -> bool {
    matches!(
        category,
        Category::ReplicationTransfer
            | Category::RegionTransfer
            | Category::RoutingControl
            | Category::Drills
            | Category::Training
            | Category::Evidence
    )
}

fn once(variant: Option<&Variant<'_>>) -> Decimal {
    match variant.and_then(|variant| variant.strategy) {
        Some(Strategy::SingleRegion) => Decimal::ZERO,
        // What is written in one region is sent to the other, and the other way round.
        Some(Strategy::ActiveActive) => Decimal::TWO,
        _ => Decimal::ONE,
    }
}

/// How much of a line is paid in the other region.
fn away(variant: Option<&Variant<'_>>, part: &Part, price: &Price) -> Decimal {
    let Some(variant) = variant else { return Decimal::ONE };
    let Some(strategy) = variant.strategy else {
        // As it is declared: instances by what stands there, everything else whole.
        return if counts_standing(part, price) { standing(variant, part) } else { Decimal::ONE };
    };
    let from = |first: Strategy| if strategy >= first { Decimal::ONE } else { Decimal::ZERO };
    match price.category {
        Category::Compute => standing(variant, part),
        // Who stays may keep backups elsewhere all the same.
        Category::Backup if part.sites("backup.sites").is_some_and(|sites| sites.contains(&variant.away.id)) => {
            Decimal::ONE
        }
        Category::Backup | Category::Security | Category::Drills | Category::Training | Category::Evidence => {
            from(Strategy::BackupRestore)
        }
        Category::Database | Category::Storage => from(Strategy::PilotLight),
        Category::ReplicationTransfer | Category::RegionTransfer if strategy == Strategy::ActiveActive => Decimal::TWO,
        Category::ReplicationTransfer | Category::RegionTransfer => from(Strategy::PilotLight),
        Category::Endpoints | Category::Monitoring => from(Strategy::WarmStandby),
        Category::HealthChecks | Category::RoutingControl | Category::Engineering => from(Strategy::PilotLight),
    }
}

/// Instances that nobody counted by region stand by in the share that the region has.
fn counts_standing(part: &Part, price: &Price) -> bool {
    // Per site: without a site there is no answer.
    price.category == Category::Compute
        && !(part.answered("usage.instances") && part.count("usage.instances").is_none())
}

fn standing(variant: &Variant<'_>, part: &Part) -> Decimal {
    Decimal::from_f64(variant.standing(part)).unwrap_or(Decimal::ONE).round_dp(4)
}

fn line(
    design: &Design,
    part: &Part,
    price: &Price,
    asked: Option<&Site>,
    paid: Option<&Site>,
    share: Decimal,
    standby: bool,
) -> Line {
    let quantity = item_of(design, part, price, asked);
    Line {
        component: part.id.clone(),
        item: named(&price.item, part, asked).unwrap_or_else(|| price.item.clone()),
        region: paid.map(|site| site.region.clone().unwrap_or_else(|| site.id.to_string())),
        quantity: quantity.map(|quantity| quantity * share).map_err(|error| error.to_string()),
        // The catalogue names what a rate is for; a rate of the spec counts one by one.
        unit: match price.unit {
            Unit::Thousand | Unit::Million => Unit::Each,
            unit => unit,
        },
        category: price.category,
        when: When::Month,
        standby,
    }
}

/// `ec2.{usage.class}` with the class of the component; `None` when it is open.
fn named(item: &str, part: &Part, site: Option<&Site>) -> Option<String> {
    let (before, rest) = match item.split_once('{') {
        Some(parts) => parts,
        None => return Some(item.to_owned()),
    };
    let (key, after) = rest.split_once('}')?;
    let word = site.and_then(|site| part.at(&site.id).text(key)).or_else(|| part.text(key))?;
    named(&format!("{before}{word}{after}"), part, site)
}

fn item_of(design: &Design, part: &Part, price: &Price, site: Option<&Site>) -> Result<Decimal, NoValue> {
    if named(&price.item, part, site).is_none() {
        let key = price.item.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(key, _)| key);
        return Err(NoValue::Open(vec![key.to_owned()]));
    }
    quantity::value(&price.quantity, &|key| number(design, part, site, key))
}

/// What a key counts: a size in GB, a flow in GB a month, a rate in what comes in a month, a duration in
/// seconds, a share as a part of one.
fn number(design: &Design, part: &Part, site: Option<&Site>, key: &str) -> Option<Decimal> {
    if key == "regions" {
        let regions = if part.sites.is_empty() { design.regions().count() } else { part.sites.len() };
        return Some(Decimal::from(regions));
    }
    let value = match site {
        Some(site) => part.at(&site.id).get(key),
        None => part.get(key),
    };
    match value {
        Some(Value::Count(count)) => Some(Decimal::from(*count)),
        Some(Value::Size(bytes)) => Some(Decimal::from(*bytes) / Decimal::from(GB)),
        Some(Value::Flow(rate)) => Some(rate.monthly() / Decimal::from(GB)),
        Some(Value::Rate(rate)) => Some(rate.monthly()),
        Some(Value::Percent(percent)) => Decimal::from_f64(*percent).map(|percent| percent / Decimal::ONE_HUNDRED),
        Some(Value::Duration(duration)) => Decimal::from_f64(duration.as_secs_f64()),
        Some(_) => None,
        None => match key {
            // What the spec says elsewhere.
            "usage.storage" => number(design, part, site, "size"),
            "usage.instances" => number(design, part, site, "peak"),
            _ => None,
        },
    }
}

/// One drill: the other region at its full size for as long as a drill lasts; and what the schedule makes of it in a month.
fn drills(variant: &Variant<'_>, lines: &[Line]) -> Vec<Line> {
    let hours = Decimal::from_f64(model::priors::number("drill.hours").value).unwrap_or_default();
    let month = Decimal::from(30 * 24);
    let mut made = Vec::new();
    if variant.strategy == Some(Strategy::SingleRegion) {
        return made;
    }
    let a_month: Decimal = variant
        .design
        .drills
        .iter()
        .filter(|drill| drill.fault != "corrupted-data")
        .filter_map(|drill| month.checked_div(Decimal::from(drill.every.as_secs().max(3_600) / 3_600)))
        .sum();
    let home = variant.design.preferred().map(|site| site.region.clone().unwrap_or_else(|| site.id.to_string()));
    for line in lines.iter().filter(|line| line.category == Category::Compute && line.region == home) {
        let Some(part) = variant.design.part(&line.component) else { continue };
        let missing = Decimal::ONE - standing(variant, part);
        let Ok(quantity) = &line.quantity else { continue };
        let per_hour = match line.unit {
            Unit::Hour => quantity / Decimal::from(730),
            _ => continue,
        };
        let drill = Line {
            region: Some(variant.away.region.clone().unwrap_or_else(|| variant.away.id.to_string())),
            quantity: Ok(per_hour * missing * hours),
            category: Category::Drills,
            when: When::Drill,
            standby: true,
            ..line.clone()
        };
        let monthly = Line { quantity: Ok(per_hour * missing * hours * a_month), when: When::Month, ..drill.clone() };
        made.extend([drill, monthly]);
    }
    made
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use model::Usd;
    use model::rates::bundled;

    use super::*;
    use crate::cost::{Way, price, savings};

    fn xyz() -> Design {
        let text = include_str!("../../../../examples/xyz-webserver/antipode.yaml");
        model::spec::design(text).unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    fn usd(text: &str) -> Usd {
        Usd(Decimal::from_str(text).unwrap())
    }

    #[test]
    fn every_price_line_of_the_catalogue_is_an_expression() {
        for kind in model::catalogue::catalogue().kinds() {
            for price in &kind.prices {
                let value = quantity::value(&price.quantity, &|_| Some(Decimal::ONE));
                assert!(value.is_ok(), "{}: {value:?}", kind.name);
            }
        }
    }

    #[test]
    fn a_server_that_is_stopped_costs_its_disk_alone() {
        let cost = price(&bill(&xyz(), None), bundled());
        assert_eq!(cost.by_category[&Category::Compute], usd("8.50"), "one t3.micro runs: {:#?}", cost.lines);
        assert!(cost.by_category[&Category::Storage] >= usd("3.20"), "twenty gigabytes at 0.08 in each region");
        assert_eq!(cost.by_region.values().copied().sum::<Usd>(), cost.month);
    }

    #[test]
    fn strategies_differ_in_what_stands_in_the_other_region() {
        let compute = |strategy| {
            let cost = price(&bill(&xyz(), Some(strategy)), bundled());
            cost.by_category.get(&Category::Compute).copied().unwrap_or_default()
        };
        assert_eq!(compute(Strategy::SingleRegion), usd("8.50"));
        assert_eq!(compute(Strategy::PilotLight), usd("8.50"));
        assert_eq!(compute(Strategy::WarmStandby).cents(), usd("10.63"), "a quarter of one more");
        assert_eq!(compute(Strategy::HotStandby), usd("17.00"));
    }

    #[test]
    fn what_would_save_names_its_figure_and_its_price() {
        let design = xyz();
        let cost = price(&bill(&design, Some(Strategy::HotStandby)), bundled());
        let found = savings(&design, &cost, bundled());
        let reserved = found.iter().find(|saving| saving.way == Way::Reserved).expect("instances run all the time");
        assert_eq!(reserved.month, Some(usd("5.10")), "30 % of 17.00 (seed 001)");
        let spot = found.iter().find(|saving| saving.way == Way::Spot).expect("one stands by");
        assert_eq!(spot.month, None, "no rate is known, and none is guessed");
    }
}
