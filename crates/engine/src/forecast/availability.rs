//! Availability in a year: what losses of zones and of the region take, and what providers promise beside it.
//!
//! Intuition: a loss of the region costs what the recovery takes, or the outage itself where nobody moves; losses come so
//! many times a year. A promise of a provider is what it refunds, no measurement of what it does; so it is shown, and is not
//! in the sum. Faults of the workload's own, such as a bad deployment, are in neither.

use std::time::Duration;

use serde::Serialize;

use super::spread::Spread;
use super::summary::Secs;

const YEAR: Duration = Duration::from_secs(365 * 86_400 + 86_400 / 4);

/// Something that is lost so many times a year, and how long service is away each time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Losses {
    pub a_year: f64,
    pub away: Duration,
}

/// What the figure is made of.
#[derive(Clone, PartialEq, Debug)]
pub struct Yearly {
    pub region: Losses,
    pub zone: Losses,
    /// Promised availability of each kind that a request needs, 0 to 1.
    pub promised: Vec<f64>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Availability {
    /// 0 to 100.
    pub percent: f64,
    /// Without service in a year.
    pub unserved: Secs,
    /// Of that, in losses of the region, and of a zone.
    pub by_region: Secs,
    pub by_zone: Secs,
    pub losses_a_year: f64,
    /// What providers promise, multiplied; `None` when none of the kinds has a promise.
    pub promised: Option<f64>,
}

impl Losses {
    fn unserved(self) -> Duration {
        let seconds = self.away.as_secs_f64() * self.a_year.max(0.0);
        Duration::try_from_secs_f64(seconds).unwrap_or(YEAR).min(YEAR)
    }
}

impl Yearly {
    pub fn availability(&self) -> Availability {
        let (by_region, by_zone) = (self.region.unserved(), self.zone.unserved());
        let unserved = (by_region + by_zone).min(YEAR);
        let rounded = |share: f64| (share * 1e6).round() / 1e4;
        let promised: f64 = self.promised.iter().map(|part| part.clamp(0.0, 1.0)).product();
        Availability {
            percent: rounded(1.0 - unserved.as_secs_f64() / YEAR.as_secs_f64()),
            unserved: Secs(unserved),
            by_region: Secs(by_region),
            by_zone: Secs(by_zone),
            losses_a_year: self.region.a_year,
            promised: (!self.promised.is_empty()).then(|| rounded(promised)),
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
    fn losses_of_regions_and_zones_add_up_and_promises_stand_beside() {
        let losses = |a_year, away| Losses { a_year, away };
        let of = |region, zone| Yearly { region, zone, promised: vec![0.9999, 0.9995] }.availability();
        let none = losses(0.0, hours(9));
        let stays = of(losses(0.3, hours(7)), none);
        let moves = of(losses(0.3, Duration::from_secs(300)), none);
        assert!((99.975..99.977).contains(&stays.percent) && moves.percent > 99.999, "{stays:?} {moves:?}");
        assert_eq!(moves.by_region, Secs(Duration::from_secs(90)));
        let zone = of(none, losses(0.5, hours(7)));
        assert!(zone.percent < stays.percent && zone.by_region == Secs(Duration::ZERO), "{zone:?}");
        assert_eq!(stays.promised, Some(99.94), "a request needs both");
    }

    #[test]
    fn a_recovery_slower_than_the_outage_gains_nothing() {
        let outage = Spread::Always(hours(4));
        assert_eq!(sooner(Some(hours(9)), &outage), hours(4));
        assert_eq!(sooner(Some(hours(1)), &outage), hours(1));
        assert_eq!(sooner(None, &outage), hours(4));
    }
}
