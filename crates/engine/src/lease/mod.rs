//! The writer's lease: who may write, until when, by whose promise.
//!
//! # Intuition
//! There are three voters, one in each site. A writer holds an *epoch* while a majority of them have promised
//! to grant nobody else a newer one. A promise has an end, so that a lost writer is replaceable; it is renewed
//! long before. Two majorities share a voter, and that voter keeps its word: so there are never two writers,
//! as long as clocks drift less than ρ apart.
//!
//! # Arithmetic (SAFETY.md item 2)
//! The holder counts from the moment it *sent* a renewal, the voter from the moment it *received* it, so the
//! voter's promise always outlives the holder's right, however long the message took:
//! ```text
//! holder:  sent      + L(1−ρ) − stop margin
//! voter:   received  + L(1+ρ)
//! ```
//! With three voters the holder's right ends with the second-latest grant: any two voters that could elect a
//! successor include one of those two.
//!
//! # Rejected
//! - A lease kept by the witness alone, with the standby's word as a fail-safe: a cut between writer and witness
//!   makes two writers (SAFETY.md item 1).
//! - Granting at once whatever is asked: a candidate that reaches one voter and loses would leave that voter
//!   unable to renew the healthy writer. A candidate therefore *sounds* first.

mod holder;
mod memory;
mod voter;

pub use holder::Holder;
pub use voter::{Promises, Voter};

use std::time::Duration;

use model::Timing;

/// How long promises and rights last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    lease: Duration,
    drift_ppm: u32,
    stop_margin: Duration,
}

impl Terms {
    pub fn new(timing: &Timing) -> Self {
        Self { lease: timing.lease, drift_ppm: timing.clock_drift_ppm, stop_margin: timing.stop_margin }
    }
    fn drift(&self) -> Duration {
        self.lease * self.drift_ppm / 1_000_000
    }
    /// A voter's promise, from receipt: L(1+ρ).
    pub fn promise(&self) -> Duration {
        self.lease + self.drift()
    }
    /// The holder's right, from sending: L(1−ρ) less the margin in which it stops.
    pub fn right(&self) -> Duration {
        self.lease.saturating_sub(self.drift()).saturating_sub(self.stop_margin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_tells_the_numbers_of_the_profiles() {
        let page = include_str!("../../../../docs/safety.md");
        let columns = model::spec::profiles().map(|timing| {
            let (terms, rho) = (Terms::new(&timing), f64::from(timing.clock_drift_ppm) / 1e6);
            let [right, promise] = [terms.right(), terms.promise()].map(|by_clock| by_clock.as_secs_f64());
            let (ends, free) = (right / (1.0 - rho), promise / (1.0 + rho));
            assert!(free > ends, "{}: two writers", timing.profile);
            let late = timing.renew_timeout.as_secs_f64() + promise;
            [timing.lease.as_secs_f64(), right, ends, promise, free, free - ends, late]
        });
        let table = page.split("| | standard | fast |").nth(1).expect("the table");
        let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), columns[0].len());
        for (row, line) in rows.iter().enumerate() {
            let told = format!("| {:.3} | {:.3} |", columns[0][row], columns[1][row]);
            assert!(line.ends_with(&told), "{line} should end with {told}");
        }
    }
}
