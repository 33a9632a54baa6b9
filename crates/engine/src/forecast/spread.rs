//! How long something takes: not a number but a spread, with where it is from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::time::human;
use serde::{Serialize, Serializer};

use super::dice::normal;

/// The standard normal value of the 95th percentile.
const Z95: f64 = 1.644_853_626_951_472_2;

/// A distribution of durations.
#[derive(Clone, PartialEq, Debug)]
pub enum Spread {
    Always(Duration),
    /// Every length between the two is as likely.
    Even {
        least: Duration,
        most: Duration,
    },
    /// Lognormal: half are below the first, 95 of 100 below the second. Times of work are so: never below zero, seldom
    /// very long.
    Prior {
        p50: Duration,
        p95: Duration,
    },
    /// As it was seen; each of these, in ascending order, is as likely.
    Seen(Arc<[Duration]>),
    /// Everything twice: the sum of two that are drawn together.
    After(Box<Spread>, Box<Spread>),
}

impl Spread {
    pub const NOTHING: Spread = Spread::Always(Duration::ZERO);

    pub fn prior(p50: Duration, p95: Duration) -> Self {
        Spread::Prior { p50, p95: p95.max(p50) }
    }

    pub fn even(least: Duration, most: Duration) -> Self {
        Spread::Even { least, most: most.max(least) }
    }

    /// `None` when nothing was seen.
    pub fn seen(mut samples: Vec<Duration>) -> Option<Self> {
        samples.sort_unstable();
        (!samples.is_empty()).then(|| Spread::Seen(samples.into()))
    }

    /// The length below which this share lies, 0 to 1.
    pub fn at(&self, share: f64) -> Duration {
        match self {
            Spread::Always(length) => *length,
            Spread::Even { least, most } => *least + (*most - *least).mul_f64(share.clamp(0.0, 1.0)),
            Spread::Prior { p50, p95 } => {
                if p50.is_zero() || p50 == p95 {
                    return *p50;
                }
                let (p50, p95) = (p50.as_secs_f64(), p95.as_secs_f64());
                let length = p50 * ((p95 / p50).ln() / Z95 * normal(share)).exp();
                Duration::try_from_secs_f64(length).unwrap_or(LONGEST).min(LONGEST)
            }
            Spread::Seen(samples) => {
                let index = (share.clamp(0.0, 1.0) * samples.len() as f64) as usize;
                samples[index.min(samples.len() - 1)]
            }
            Spread::After(first, second) => first.at(share) + second.at(share),
        }
    }

    /// The longest of `count` that are drawn apart: its own share is the share of one, to the power of one in `count`.
    pub fn longest_of(&self, count: u32, share: f64) -> Duration {
        match count {
            0 => Duration::ZERO,
            1 => self.at(share),
            _ => self.at(share.powf(1.0 / f64::from(count))),
        }
    }

    pub fn p50(&self) -> Duration {
        self.at(0.5)
    }

    pub fn p95(&self) -> Duration {
        match self {
            // As it was given, and not a microsecond less.
            Spread::Prior { p50, p95 } if !p50.is_zero() => *p95,
            Spread::After(first, second) => first.p95() + second.p95(),
            other => other.at(0.95),
        }
    }

    /// Of the mean, by its quantiles: within a part in a thousand for what is not far more spread than work is.
    pub fn mean(&self) -> Duration {
        const STEPS: u32 = 400;
        let total: f64 = (0..STEPS).map(|n| self.at((f64::from(n) + 0.5) / f64::from(STEPS)).as_secs_f64()).sum();
        Duration::try_from_secs_f64(total / f64::from(STEPS)).unwrap_or(LONGEST)
    }
}

/// A year: nothing that is forecast takes longer.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Spread::Always(length) => write!(f, "{}", human(*length)),
            Spread::Even { least, most } => write!(f, "{} to {}", human(*least), human(*most)),
            other => write!(f, "{}, p95 {}", human(other.p50()), human(other.p95())),
        }
    }
}

impl Serialize for Spread {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A spread with where it is from.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Sourced {
    pub spread: Spread,
    /// A page, a drill, or `prior: ` and the reason for it.
    pub source: String,
    /// How many measurements it rests on; 0 for a prior.
    pub samples: usize,
}

impl Sourced {
    pub fn prior(p50: Duration, p95: Duration, why: &str) -> Self {
        Self { spread: Spread::prior(p50, p95), source: format!("prior: {why}"), samples: 0 }
    }

    /// The prior of that name in `crates/model/data/priors.yaml`.
    pub fn stated(name: &str) -> Self {
        let prior = model::priors::prior(name);
        Self { spread: Spread::prior(prior.p50, prior.p95), source: prior.source.clone(), samples: 0 }
    }

    pub fn known(spread: Spread, source: impl Into<String>) -> Self {
        Self { spread, source: source.into(), samples: 0 }
    }

    pub fn nothing(why: &str) -> Self {
        Self::known(Spread::NOTHING, why)
    }

    pub fn at(&self, share: f64) -> Duration {
        self.spread.at(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_prior_has_the_quantiles_that_it_was_given() {
        let prior = Spread::prior(s(60), s(240));
        assert_eq!((prior.p50().as_secs_f64().round(), prior.p95().as_secs_f64().round()), (60.0, 240.0));
        assert!(prior.at(0.99) > s(240) && prior.at(0.01) < s(60));
        assert_eq!(Spread::prior(s(5), s(5)).at(0.99), s(5));
        assert_eq!(Spread::prior(Duration::ZERO, s(9)).at(0.99), Duration::ZERO);
        let mean = prior.mean().as_secs_f64();
        let sigma = 4f64.ln() / Z95;
        assert!((mean / (60.0 * (sigma * sigma / 2.0).exp()) - 1.0).abs() < 0.01, "{mean}");
    }

    #[test]
    fn what_was_seen_is_drawn_as_it_was_seen() {
        let seen = Spread::seen(vec![s(3), s(1), s(2)]).unwrap();
        assert_eq!([seen.at(0.0), seen.at(0.34), seen.at(0.5), seen.at(0.99)], [s(1), s(2), s(2), s(3)]);
        assert_eq!(Spread::seen(vec![]), None);
    }

    #[test]
    fn the_longest_of_many_is_longer_than_one() {
        let even = Spread::even(s(0), s(10));
        assert_eq!(even.longest_of(1, 0.5), s(5));
        let ten = even.longest_of(10, 0.5).as_secs_f64();
        assert!((ten - 10.0 * 0.5f64.powf(0.1)).abs() < 1e-6, "{ten}");
        assert_eq!(even.longest_of(0, 0.5), Duration::ZERO);
    }

    #[test]
    fn more_share_is_never_shorter() {
        for spread in [Spread::prior(s(2), s(90)), Spread::even(s(1), s(2)), Spread::seen(vec![s(4), s(9)]).unwrap()] {
            let lengths: Vec<_> = (0..=100).map(|n| spread.at(f64::from(n) / 100.0)).collect();
            assert!(lengths.is_sorted(), "{spread}");
        }
    }
}
