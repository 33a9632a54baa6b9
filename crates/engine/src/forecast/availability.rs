//! Availability in a year: what a region without disasters gives, less what its losses take.
//!
//! Intuition: a loss of the region costs what the recovery takes, or the outage itself where nobody moves; losses come so
//! many times a year. Within the region, what its providers promise is what can be counted on: components that a request
//! needs multiply.

use std::time::Duration;

use serde::Serialize;

use super::spread::Spread;
use super::summary::Secs;

const YEAR: Duration = Duration::from_secs(365 * 86_400 + 86_400 / 4);

/// What the figure is made of.
#[derive(Clone, PartialEq, Debug)]
pub struct Yearly {
    /// Promised availability of each component that a request needs, 0 to 1.
    pub within: Vec<f64>,
    /// How often a year the region is lost.
    pub losses: f64,
    /// How long service is away in each loss: the forecast's mean RTO, or how long the region stays away.
    pub away: Duration,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Availability {
    /// 0 to 100.
    pub percent: f64,
    /// Without service in a year.
    pub unserved: Secs,
    /// Of that, within the region.
    pub within: Secs,
    /// Of that, in losses of the region.
    pub losses: Secs,
    pub losses_a_year: f64,
}

impl Yearly {
    pub fn availability(&self) -> Availability {
        let served: f64 = self.within.iter().map(|part| part.clamp(0.0, 1.0)).product();
        let within = YEAR.mul_f64(1.0 - served);
        let losses =
            Duration::try_from_secs_f64(self.away.as_secs_f64() * self.losses.max(0.0)).unwrap_or(YEAR).min(YEAR);
        let unserved = (within + losses).min(YEAR);
        let percent = 100.0 * (1.0 - unserved.as_secs_f64() / YEAR.as_secs_f64());
        Availability {
            percent: (percent * 10_000.0).round() / 10_000.0,
            unserved: Secs(unserved),
            within: Secs(within),
            losses: Secs(losses),
            losses_a_year: self.losses,
        }
    }
}

/// What an objective leaves without service in a year.
pub fn allowed(percent: f64) -> Duration {
    YEAR.mul_f64((1.0 - percent / 100.0).clamp(0.0, 1.0))
}

/// How long service is away in a loss, when the region comes back by itself while people still recover: the shorter of the
/// two counts. Both are cut into a hundred equal parts.
pub fn sooner(recovery: Option<Duration>, outage: &Spread) -> Duration {
    const PARTS: u32 = 100;
    let length = |n: u32| outage.at((f64::from(n) + 0.5) / f64::from(PARTS));
    let total: Duration = (0..PARTS).map(|n| recovery.map_or(length(n), |recovery| recovery.min(length(n)))).sum();
    total / PARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(n: u64) -> Duration {
        Duration::from_secs(n * 3_600)
    }

    #[test]
    fn four_nines_leave_fifty_two_minutes() {
        assert_eq!(allowed(99.99).as_secs() / 60, 52);
        assert_eq!(allowed(100.0), Duration::ZERO);
    }

    #[test]
    fn losses_and_the_region_itself_add_up() {
        let quiet = Yearly { within: vec![0.9999], losses: 0.0, away: hours(7) }.availability();
        assert_eq!(quiet.percent, 99.99);
        let stays = Yearly { within: vec![0.9999], losses: 0.3, away: hours(7) }.availability();
        let moves = Yearly { within: vec![0.9999], losses: 0.3, away: Duration::from_secs(300) }.availability();
        assert!(stays.percent < 99.97 && moves.percent > 99.989, "{stays:?} {moves:?}");
        assert_eq!(moves.losses, Secs(Duration::from_secs(90)));
        let two = Yearly { within: vec![0.9999, 0.9995], losses: 0.0, away: hours(0) }.availability();
        assert!(two.percent < 99.9401 && two.percent > 99.9399, "a request needs both: {two:?}");
    }

    #[test]
    fn a_recovery_slower_than_the_outage_gains_nothing() {
        let outage = Spread::Always(hours(4));
        assert_eq!(sooner(Some(hours(9)), &outage), hours(4));
        assert_eq!(sooner(Some(hours(1)), &outage), hours(1));
        assert_eq!(sooner(None, &outage), hours(4));
    }
}
