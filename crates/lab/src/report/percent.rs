//! Percentages as reports show them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// From 0 to 100, in thousandths, rounded down: what is not quite 100 % never shows as 100 %. The same digits stand in
/// the JSON, the table and the page.
#[derive(Clone, Copy, PartialEq, PartialOrd, Default, Debug, Serialize)]
#[serde(transparent)]
pub struct Percent(f64);

impl Percent {
    /// Not-a-number becomes zero: JSON cannot carry it.
    pub fn new(percent: f64) -> Self {
        // A hair, so that 12.345 read back from JSON does not become 12.344.
        let down = (percent.clamp(0.0, 100.0) * 1_000.0 + 1e-7).floor() / 1_000.0;
        Self(if down.is_finite() { down } else { 0.0 })
    }
    /// From 0 to 1.
    pub fn of_share(share: f64) -> Self {
        Self::new(share * 100.0)
    }
    pub fn get(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        f64::deserialize(from).map(Self::new)
    }
}

/// `99.951 %`
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.3} %", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_all_never_shows_as_all() {
        assert_eq!(Percent::of_share(0.999_999).to_string(), "99.999 %");
        assert_eq!(Percent::of_share(1.0).to_string(), "100.000 %");
        assert_eq!(Percent::new(f64::NAN), Percent::new(0.0));
        for thousandths in 0..=100_000 {
            let percent = Percent::new(f64::from(thousandths) / 1_000.0);
            let read: Percent = serde_json::from_str(&serde_json::to_string(&percent).unwrap()).unwrap();
            assert_eq!(percent, read);
        }
    }
}
