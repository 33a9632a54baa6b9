//! Time as an argument.
//!
//! [`Time`] counts microseconds on a monotonic clock that also counts suspend (`CLOCK_BOOTTIME`). It is
//! meaningless on another machine and after a reboot: never send one, send a [`Duration`] (SAFETY.md item 2).

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub u64);

impl Time {
    pub const ZERO: Time = Time(0);
    pub const MAX: Time = Time(u64::MAX);

    /// Time passed from `earlier` to here; zero when `earlier` is later.
    #[inline]
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    #[inline]
    fn add(self, by: Duration) -> Time {
        Time(self.0.saturating_add(micros(by)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    #[inline]
    fn sub(self, by: Duration) -> Time {
        Time(self.0.saturating_sub(micros(by)))
    }
}

/// Whole microseconds; as many as fit.
#[inline]
fn micros(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(duration.subsec_micros()))
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A duration as an operator reads it: `850ms`, `5.2s`, `30m`, `2h 5m`.
pub fn human(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..60_000 if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        1_000..60_000 => format!("{:.1}s", ms as f64 / 1_000.0),
        60_000..3_600_000 if (ms / 1_000).is_multiple_of(60) => format!("{}m", ms / 60_000),
        60_000..3_600_000 => format!("{}m {}s", ms / 60_000, (ms / 1_000) % 60),
        _ if (ms / 60_000).is_multiple_of(60) => format!("{}h", ms / 3_600_000),
        _ => format!("{}h {}m", ms / 3_600_000, (ms / 60_000) % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Time(5).since(Time(9)), Duration::ZERO);
        assert_eq!(Time(5) - Duration::from_secs(1), Time::ZERO);
        assert_eq!(Time::MAX + Duration::from_secs(1), Time::MAX);
    }

    #[test]
    fn human_durations() {
        let say = |ms| human(Duration::from_millis(ms));
        assert_eq!(
            [say(850), say(5_000), say(5_200), say(1_800_000), say(7_500_000)],
            ["850ms", "5s", "5.2s", "30m", "2h 5m"]
        );
    }
}
