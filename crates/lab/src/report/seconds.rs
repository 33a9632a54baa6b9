//! Seconds as reports show them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

/// Seconds, whole milliseconds, negative before the fault. The same digits stand in the JSON, the table and the page.
#[derive(Clone, Copy, PartialEq, PartialOrd, Default, Debug, Serialize)]
#[serde(transparent)]
pub struct Seconds(f64);

impl Seconds {
    /// Rounds to milliseconds. Not-a-number and infinities become zero: JSON cannot carry them.
    pub fn new(seconds: f64) -> Self {
        let rounded = (seconds * 1000.0).round() / 1000.0;
        Self(if rounded.is_finite() { rounded + 0.0 } else { 0.0 })
    }
    pub fn get(self) -> f64 {
        self.0
    }
}

impl From<Duration> for Seconds {
    fn from(duration: Duration) -> Self {
        Self::new(duration.as_secs_f64())
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        f64::deserialize(from).map(Self::new)
    }
}

/// `5.213 s`
impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.3} s", self.0))
    }
}
