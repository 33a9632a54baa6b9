//! What being without service costs, and from how many losses a year a stronger strategy is the cheaper one.

use std::time::Duration;

use model::Usd;
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use serde::Serialize;

/// The spec's own figures: what an hour without service costs, a minute of lost data, and a contradiction in the data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Losses {
    pub downtime_per_hour: Option<Usd>,
    pub data_per_minute: Option<Usd>,
    /// Each time that two regions decided differently (seed 003 section 17.2).
    pub inconsistency: Option<Usd>,
}

impl Losses {
    /// What one loss of a region costs, when service is away for `rto` and `lost` of the data is gone. `None` when the spec
    /// names neither figure.
    pub fn of_one(&self, rto: Duration, lost: Duration) -> Option<Usd> {
        let per = |rate: Option<Usd>, time: Duration, unit: u64| {
            let share = Decimal::from_f64(time.as_secs_f64())? / Decimal::from(unit);
            Some(Usd(rate?.0.checked_mul(share)?))
        };
        let (downtime, data) = (per(self.downtime_per_hour, rto, 3_600), per(self.data_per_minute, lost, 60));
        (downtime.is_some() || data.is_some()).then(|| downtime.unwrap_or_default() + data.unwrap_or_default())
    }
}

/// Two strategies beside each other.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum BreakEven {
    /// The stronger one costs no more, and is never worse.
    Always,
    /// From so many losses of a region in a year on the stronger one is the cheaper.
    From { losses_a_year: Decimal },
    /// The stronger one saves nothing in a loss.
    Never,
}

/// Where a stronger strategy begins to pay: what it costs more in a year, over what it saves in one loss.
pub fn break_even(weaker: (Usd, Usd), stronger: (Usd, Usd)) -> BreakEven {
    let ((month, loss), (more_month, less_loss)) = (weaker, stronger);
    let more_a_year = (more_month - month).0 * Decimal::from(12);
    let saved = (loss - less_loss).0;
    match (more_a_year <= Decimal::ZERO, saved > Decimal::ZERO) {
        (true, _) => BreakEven::Always,
        (false, false) => BreakEven::Never,
        (false, true) => match more_a_year.checked_div(saved) {
            Some(losses_a_year) => BreakEven::From { losses_a_year: losses_a_year.round_dp(3) },
            None => BreakEven::Never,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    fn usd(text: &str) -> Usd {
        Usd(Decimal::from_str(text).unwrap())
    }

    #[test]
    fn an_hour_and_a_minute_cost_what_the_spec_says() {
        let losses =
            Losses { downtime_per_hour: Some(usd("2000")), data_per_minute: Some(usd("500")), inconsistency: None };
        let minutes = |n: u64| Duration::from_secs(n * 60);
        assert_eq!(losses.of_one(minutes(30), minutes(2)), Some(usd("2000")));
        assert_eq!(losses.of_one(minutes(0), minutes(0)), Some(Usd::ZERO));
        let only = Losses { data_per_minute: None, ..losses };
        assert_eq!(only.of_one(minutes(90), minutes(9)).map(Usd::cents), Some(usd("3000.00")));
        assert_eq!(Losses::default().of_one(minutes(9), minutes(9)), None, "nobody said what it costs");
    }

    #[test]
    fn a_stronger_strategy_pays_from_some_number_of_losses_on() {
        let even = break_even((usd("100"), usd("50000")), (usd("600"), usd("2000")));
        assert_eq!(even, BreakEven::From { losses_a_year: Decimal::new(125, 3) }, "6,000 a year over 48,000 a loss");
        assert_eq!(break_even((usd("100"), usd("50")), (usd("100"), usd("50"))), BreakEven::Always);
        assert_eq!(break_even((usd("100"), usd("50")), (usd("200"), usd("50"))), BreakEven::Never);
    }
}
