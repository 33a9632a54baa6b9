//! What things cost, and who says so: a dated file in which each rate names its source and the regions where it holds.
//!
//! A rate that is not there is not guessed: [`Rates::find`] answers `None`, and whoever asked says what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::Usd;

/// A whole file of rates.
#[derive(Clone, PartialEq, Debug)]
pub struct Rates {
    pub name: String,
    /// The day on which the file was made, `2026-11-21`.
    pub as_of: String,
    /// How many hours a month has where an hour's rate and a month's meet.
    pub hours_per_month: Decimal,
    pub sources: BTreeMap<String, Source>,
    /// By what they save on, such as `reserved`.
    pub savings: BTreeMap<String, Saving>,
    /// By item.
    rates: BTreeMap<String, Vec<Rate>>,
}

/// Where a rate was read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// As of when the source gives it.
    pub date: String,
    /// When it was read there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<String>,
}

/// The price of one unit of one item.
#[derive(Clone, PartialEq, Debug)]
pub struct Rate {
    pub usd: Usd,
    pub per: Unit,
    pub regions: Scope,
    /// A key of [`Rates::sources`].
    pub source: String,
    pub about: String,
}

/// What a quantity counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Hours of running in a month.
    Hour,
    /// Months of running: one for what runs all the time.
    Month,
    /// Gigabytes kept for a month.
    GbMonth,
    /// Gigabytes moved.
    Gb,
    Thousand,
    Million,
    Each,
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Unit::Hour => "hour",
            Unit::Month => "month",
            Unit::GbMonth => "GB-month",
            Unit::Gb => "GB",
            Unit::Thousand => "thousand",
            Unit::Million => "million",
            Unit::Each => "each",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where a rate holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    Any,
    Regions(BTreeSet<String>),
}

impl Scope {
    fn holds(&self, region: &str) -> bool {
        match self {
            Scope::Any => true,
            Scope::Regions(regions) => regions.contains(region),
        }
    }
    fn meets(&self, other: &Scope) -> bool {
        match (self, other) {
            (Scope::Regions(a), Scope::Regions(b)) => !a.is_disjoint(b),
            _ => true,
        }
    }
}

/// A way of buying that costs less.
#[derive(Clone, PartialEq, Debug)]
pub struct Saving {
    /// Of the price, 0 to 1.
    pub share: Decimal,
    /// First words of the items that it is for, such as `ec2`.
    pub on: Vec<String>,
    pub source: String,
    pub about: String,
}

impl Saving {
    pub fn covers(&self, item: &str) -> bool {
        self.on.iter().any(|on| item.split('.').next() == Some(on))
    }
}

/// Why a file of rates cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RatesError {
    #[error("the rates cannot be read: {0}")]
    Yaml(String),
    #[error("the rates are in {0}, not in USD")]
    Currency(String),
    #[error("`{item}`: `{text}` is not an amount of zero or more")]
    Amount { item: String, text: String },
    #[error("`{item}`: `{text}` is not a share from 0% to 100%")]
    Share { item: String, text: String },
    #[error("`{item}` is from `{source_name}`, which is not among the sources")]
    Source { item: String, source_name: String },
    #[error("`{0}` has two rates for the same region")]
    Twice(String),
    #[error("`{what}`: `{text}` is not a date such as 2026-11-21")]
    Date { what: String, text: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    as_of: String,
    currency: String,
    hours_per_month: String,
    sources: BTreeMap<String, Source>,
    #[serde(default)]
    savings: BTreeMap<String, SavingRow>,
    rates: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    item: String,
    usd: String,
    per: Unit,
    regions: Places,
    source: String,
    #[serde(default)]
    about: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SavingRow {
    share: String,
    on: Vec<String>,
    source: String,
    #[serde(default)]
    about: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Places {
    Named(Vec<String>),
    Word(Anywhere),
}

#[derive(Deserialize)]
enum Anywhere {
    #[serde(rename = "any")]
    Any,
}

/// The rates that come with Antipode.
pub fn bundled() -> &'static Rates {
    static BUNDLED: LazyLock<Rates> =
        LazyLock::new(|| read(include_str!("../data/rates.yaml")).expect("a test reads the bundled rates"));
    &BUNDLED
}

/// Reads a file of rates.
///
/// # Errors
/// What is not YAML of this shape; an amount below zero; a source that is not listed; two rates for one item and region.
pub fn read(text: &str) -> Result<Rates, RatesError> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| RatesError::Yaml(error.to_string()))?;
    if file.currency != "USD" {
        return Err(RatesError::Currency(file.currency));
    }
    date("as_of", &file.as_of)?;
    for (name, source) in &file.sources {
        date(name, &source.date)?;
        source.read.as_deref().map_or(Ok(()), |read| date(name, read))?;
    }
    let hours_per_month = amount("hours_per_month", &file.hours_per_month)?;
    let mut rates = Rates {
        name: file.name,
        as_of: file.as_of,
        hours_per_month,
        sources: file.sources,
        savings: BTreeMap::new(),
        rates: BTreeMap::new(),
    };
    for (name, row) in file.savings {
        rates.known(&name, &row.source)?;
        let share = percent(&name, &row.share)?;
        rates.savings.insert(name, Saving { share, on: row.on, source: row.source, about: row.about });
    }
    for row in file.rates {
        rates.take(row)?;
    }
    Ok(rates)
}

fn amount(item: &str, text: &str) -> Result<Decimal, RatesError> {
    let value = Decimal::from_str(text).ok().filter(|value| !value.is_sign_negative());
    value.ok_or_else(|| RatesError::Amount { item: item.to_owned(), text: text.to_owned() })
}

fn percent(item: &str, text: &str) -> Result<Decimal, RatesError> {
    let number = text.strip_suffix('%').and_then(|number| Decimal::from_str(number.trim()).ok());
    let share = number.map(|number| number / Decimal::ONE_HUNDRED);
    let share = share.filter(|share| (Decimal::ZERO..=Decimal::ONE).contains(share));
    share.ok_or_else(|| RatesError::Share { item: item.to_owned(), text: text.to_owned() })
}

/// Year, month and day, each in its range.
fn date(what: &str, text: &str) -> Result<(), RatesError> {
    let parts: Vec<&str> = text.split('-').collect();
    let number =
        |part: &str, digits, most| part.len() == digits && part.parse().is_ok_and(|n: u32| (1..=most).contains(&n));
    match parts[..] {
        [year, month, day] if number(year, 4, 9999) && number(month, 2, 12) && number(day, 2, 31) => Ok(()),
        _ => Err(RatesError::Date { what: what.to_owned(), text: text.to_owned() }),
    }
}

impl Rates {
    fn known(&self, item: &str, source: &str) -> Result<(), RatesError> {
        if self.sources.contains_key(source) {
            return Ok(());
        }
        Err(RatesError::Source { item: item.to_owned(), source_name: source.to_owned() })
    }

    fn take(&mut self, row: Row) -> Result<(), RatesError> {
        self.known(&row.item, &row.source)?;
        let regions = match row.regions {
            Places::Word(Anywhere::Any) => Scope::Any,
            Places::Named(names) => Scope::Regions(names.into_iter().collect()),
        };
        let usd = Usd(amount(&row.item, &row.usd)?);
        let rates = self.rates.entry(row.item.clone()).or_default();
        if rates.iter().any(|known| known.regions.meets(&regions)) {
            return Err(RatesError::Twice(row.item));
        }
        rates.push(Rate { usd, per: row.per, regions, source: row.source, about: row.about });
        Ok(())
    }

    /// The rate of an item in a region; `None` when the file has none for there.
    pub fn find(&self, item: &str, region: &str) -> Option<&Rate> {
        self.rates.get(item)?.iter().find(|rate| rate.regions.holds(region))
    }

    /// Whether the file knows the item in any region.
    pub fn knows(&self, item: &str) -> bool {
        self.rates.contains_key(item)
    }

    /// What `quantity` of an item costs, if `unit` is what the rate counts or can be changed into it.
    pub fn price(&self, rate: &Rate, quantity: Decimal, unit: Unit) -> Option<Usd> {
        let units = match (unit, rate.per) {
            (unit, per) if unit == per => quantity,
            (Unit::Hour, Unit::Month) => quantity.checked_div(self.hours_per_month)?,
            (Unit::Month, Unit::Hour) => quantity.checked_mul(self.hours_per_month)?,
            (Unit::Each, Unit::Thousand) => quantity / Decimal::ONE_THOUSAND,
            (Unit::Each, Unit::Million) => quantity / Decimal::from(1_000_000),
            (Unit::Thousand, Unit::Million) => quantity / Decimal::ONE_THOUSAND,
            (Unit::Million, Unit::Thousand) => quantity.checked_mul(Decimal::ONE_THOUSAND)?,
            _ => return None,
        };
        rate.usd.0.checked_mul(units).map(Usd)
    }

    /// How many rates there are, over all items.
    pub fn len(&self) -> usize {
        self.rates.values().map(Vec::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.rates.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dollars(text: &str) -> Usd {
        Usd(Decimal::from_str(text).unwrap())
    }

    #[test]
    fn the_bundled_rates_have_the_table_of_seed_001() {
        let rates = bundled();
        for region in ["us-east-1", "us-west-2"] {
            let of = |item: &str| rates.find(item, region).map(|rate| (rate.usd, rate.per, rate.source.as_str()));
            assert_eq!(of("ec2.t3.micro"), Some((dollars("8.50"), Unit::Month, "seed-001")));
            assert_eq!(of("ebs.gp3"), Some((dollars("0.08"), Unit::GbMonth, "seed-001")));
            assert_eq!(of("transfer.out"), Some((dollars("0.09"), Unit::Gb, "seed-001")));
            assert_eq!(of("transfer.between"), Some((dollars("0.02"), Unit::Gb, "seed-001")));
        }
        let reserved = &rates.savings["reserved"];
        assert_eq!((reserved.share, reserved.source.as_str()), (Decimal::new(30, 2), "seed-001"));
        assert!(reserved.covers("ec2.t3.micro") && !reserved.covers("ebs.gp3"));
        assert!(rates.len() > 80, "{}", rates.len());
    }

    #[test]
    fn what_is_not_listed_for_a_region_has_no_rate() {
        assert!(bundled().find("ec2.t3.micro", "mars-north-1").is_none());
        assert!(bundled().find("ec2.t9.huge", "us-east-1").is_none());
        assert!(bundled().find("route53.zone", "mars-north-1").is_some(), "it costs the same anywhere");
    }

    #[test]
    fn hours_and_months_change_into_one_another_and_nothing_else_does() {
        let rates = bundled();
        let micro = rates.find("ec2.t3.micro", "us-east-1").unwrap();
        assert_eq!(rates.price(micro, Decimal::from(1460), Unit::Hour), Some(dollars("17.00")));
        assert_eq!(rates.price(micro, Decimal::from(2), Unit::Month), Some(dollars("17.00")));
        assert_eq!(rates.price(micro, Decimal::from(2), Unit::Gb), None);
        let put = rates.find("s3.put", "us-east-1").unwrap();
        assert_eq!(rates.price(put, Decimal::from(2), Unit::Million), Some(dollars("10.000")));
    }

    #[test]
    fn a_file_that_contradicts_itself_is_refused() {
        let file = |rows: &str| {
            read(&format!(
                "name: x\nas_of: 2026-01-01\ncurrency: USD\nhours_per_month: 730\n\
                 sources: {{ s: {{ title: t, date: 2026-01-01 }} }}\nrates:\n{rows}"
            ))
        };
        let row = |item: &str, usd: &str, regions: &str, source: &str| {
            format!("  - {{ item: {item}, usd: {usd}, per: hour, regions: {regions}, source: {source} }}\n")
        };
        assert!(file(&row("a", "0", "[r]", "s")).is_ok());
        assert!(file(&(row("a", "1", "[r]", "s") + &row("a", "1", "[q]", "s"))).is_ok());
        let says = |rows: String| file(&rows).unwrap_err().to_string();
        assert_eq!(
            says(row("a", "1", "[r, q]", "s") + &row("a", "2", "[q]", "s")),
            "`a` has two rates for the same region"
        );
        assert_eq!(
            says(row("a", "1", "any", "s") + &row("a", "2", "[q]", "s")),
            "`a` has two rates for the same region"
        );
        assert_eq!(says(row("a", "-1", "[r]", "s")), "`a`: `-1` is not an amount of zero or more");
        assert_eq!(says(row("a", "much", "[r]", "s")), "`a`: `much` is not an amount of zero or more");
        assert_eq!(says(row("a", "1", "[r]", "t")), "`a` is from `t`, which is not among the sources");
        assert!(matches!(file("  - { item: a }\n"), Err(RatesError::Yaml(_))));
        assert!(matches!(file(&row("a", "1", "some", "s")), Err(RatesError::Yaml(_))));
        assert!(date("as_of", "2026-13-01").is_err() && date("as_of", "yesterday").is_err());
    }
}
