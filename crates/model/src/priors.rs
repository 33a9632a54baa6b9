//! What is supposed where nothing was measured, each with its reason.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;

use crate::spec::duration;

/// Half of all are shorter than `p50`, 95 of 100 shorter than `p95`.
#[derive(Clone, PartialEq, Debug)]
pub struct Prior {
    pub p50: Duration,
    pub p95: Duration,
    /// A page, or `prior: ` and the reason.
    pub source: String,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Number {
    pub value: f64,
    pub source: String,
}

struct Priors {
    spreads: BTreeMap<String, Prior>,
    numbers: BTreeMap<String, Number>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    spreads: BTreeMap<String, Row>,
    numbers: BTreeMap<String, Number>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    p50: String,
    p95: String,
    source: String,
}

static PRIORS: LazyLock<Priors> = LazyLock::new(|| read(include_str!("../data/priors.yaml")));

fn read(text: &str) -> Priors {
    let file: File = serde_saphyr::from_str(text).expect("a test reads the priors");
    let length = |text: &str| duration(text).expect("a test reads the priors");
    let prior = |row: Row| Prior { p50: length(&row.p50), p95: length(&row.p95), source: row.source };
    Priors { spreads: file.spreads.into_iter().map(|(name, row)| (name, prior(row))).collect(), numbers: file.numbers }
}

/// The prior of that name.
///
/// # Panics
/// When there is none: names are written in code, and a test looks each of them up.
pub fn prior(name: &str) -> &'static Prior {
    PRIORS.spreads.get(name).unwrap_or_else(|| panic!("there is no prior `{name}`"))
}

/// Likewise for a number.
pub fn number(name: &str) -> &'static Number {
    PRIORS.numbers.get(name).unwrap_or_else(|| panic!("there is no number `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prior_is_a_spread_and_says_why() {
        for (name, prior) in &PRIORS.spreads {
            assert!(!prior.p50.is_zero() && prior.p50 < prior.p95, "{name}");
            assert!(prior.source.starts_with("prior: ") || prior.source.contains("https://"), "{name}");
        }
        for (name, number) in &PRIORS.numbers {
            assert!(number.value > 0.0, "{name}");
            assert!(number.source.starts_with("prior: ") || number.source.contains("https://"), "{name}");
        }
    }
}
