//! The forecast beside what was measured: whether the measured recoveries lie where the forecast said that they would.

use std::time::Duration;

use engine::forecast::{Forecast, Quantiles};
use serde::{Deserialize, Serialize};

use super::Sample;
use crate::report::Seconds;

/// One case of a benchmark, and the forecast for it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Expected {
    pub case: String,
    pub forecast: Quantiles,
    /// Simulated failovers.
    pub samples: u32,
    /// Measured recoveries.
    pub measured: usize,
    /// Minimum, median and maximum.
    pub measured_seconds: [Seconds; 3],
    /// Of the measured, how many lie between the 5th and the 95th percentile of the forecast.
    pub inside: usize,
    /// Fewer inside would come about by chance in less than one series of a hundred.
    pub least: usize,
    pub agrees: bool,
}

/// What `bench.json` has in it.
#[derive(Deserialize)]
pub struct Measured {
    pub samples: Vec<Sample>,
}

/// `None` when nothing of this case was measured.
pub fn expected(case: &str, forecast: &Forecast, samples: &[Sample]) -> Option<Expected> {
    let of = samples.iter().filter(|sample| sample.case == case);
    let mut measured: Vec<f64> = of.filter_map(|sample| sample.rto_seconds).map(Seconds::get).collect();
    measured.sort_by(f64::total_cmp);
    let (first, last) = (*measured.first()?, *measured.last()?);
    let median = (measured[(measured.len() - 1) / 2] + measured[measured.len() / 2]) / 2.0;
    let within = |rto: &&f64| forecast.expects(Duration::from_secs_f64(rto.max(0.0)));
    let inside = measured.iter().filter(within).count();
    let least = least_inside(measured.len());
    Some(Expected {
        case: case.to_owned(),
        forecast: forecast.rto,
        samples: forecast.samples,
        measured: measured.len(),
        measured_seconds: [first, median, last].map(Seconds::new),
        inside,
        least,
        agrees: inside >= least,
    })
}

/// Nine of ten are inside if the forecast is right. How many of `count` there then are at least, but for one series in a
/// hundred: from the binomial distribution.
fn least_inside(count: usize) -> usize {
    let (inside, outside) = (0.9f64, 0.1f64);
    let mut chance = outside.powi(count as i32);
    let mut fewer = 0.0;
    for least in 0..count {
        fewer += chance;
        if fewer >= 0.01 {
            return least;
        }
        chance *= (count - least) as f64 / (least + 1) as f64 * inside / outside;
    }
    count
}

/// The table of docs/forecast.md.
pub fn expected_table(all: &[Expected]) -> String {
    let mut text = String::from(
        "| case | forecast RTO s (p5/p50/p95) | simulated | measured RTO s (min/median/max) | n | inside | at least | |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let seconds = |quantile: Option<engine::forecast::Secs>| {
        quantile.map_or("never".to_owned(), |secs| format!("{:.2}", secs.0.as_secs_f64()))
    };
    for one in all {
        let [p5, p50, p95] = [one.forecast.p5, one.forecast.p50, one.forecast.p95].map(seconds);
        let [min, median, max] = one.measured_seconds.map(|value| format!("{:.2}", value.get()));
        let word = if one.agrees { "agrees" } else { "**differs**" };
        let Expected { case, samples, measured, inside, least, .. } = one;
        text += &format!(
            "| {case} | {p5} / {p50} / {p95} | {samples} | {min} / {median} / {max} | {measured} | {inside} | {least} | {word} |\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::forecast::{History, Model, forecast};

    use super::*;

    const SPEC: &str = include_str!("../../../../examples/case-api/antipode.yaml");

    fn samples(seconds: &[f64]) -> Vec<Sample> {
        seconds.iter().map(|s| Sample::of_floor("a case", Duration::from_secs_f64(*s), 0)).collect()
    }

    #[test]
    fn of_twenty_fourteen_must_lie_inside_and_of_one_none() {
        assert_eq!([1, 5, 10, 20, 100].map(least_inside), [0, 3, 6, 14, 82]);
    }

    #[test]
    fn a_series_as_it_was_measured_agrees_and_a_slow_one_differs() {
        let topology = Arc::new(model::spec::parse(SPEC).unwrap());
        let forecast = forecast(&Model::of(&topology, &History::default()), 1_000, 1);
        let near = forecast.rto.p50.unwrap().0.as_secs_f64();
        let good = expected("a case", &forecast, &samples(&[near; 20])).unwrap();
        assert!(good.agrees && good.inside == 20, "{good:?}");
        let slow = expected("a case", &forecast, &samples(&[near + 3.0; 20])).unwrap();
        assert!(!slow.agrees && slow.inside == 0, "{slow:?}");
        assert!(expected("another case", &forecast, &samples(&[near])).is_none());
        let table = expected_table(&[good, slow]);
        assert!(table.contains("| 20 | 20 | 14 | agrees |") && table.contains("**differs**"), "{table}");
    }
}
