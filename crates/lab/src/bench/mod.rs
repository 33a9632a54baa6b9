//! Measurements that are not drills: how near a failover comes to the floor, and how far a healthy writer is from a
//! false alarm. `bin/bench` runs them; docs/benchmarks.md has their figures.

mod expected;
mod floor;
mod play;
mod series;

pub use expected::{Expected, Measured, expected, expected_table};
pub use floor::floor;
pub use play::{Play, play};
pub use series::{Row, Sample, markdown, rows};

use crate::drill::DrillError;

#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error(transparent)]
    Drill(#[from] DrillError),
    #[error("the floor could not be measured: {0}")]
    Floor(String),
}
