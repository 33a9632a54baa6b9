//! The decisions of Antipode, without I/O: no clock, no files, no randomness, no tokio.
//!
//! ```text
//! event ─ observe ─► Workload.watch (volatile)
//!       └ step ────► Decision { records ─► journal ─► apply ─► Workload, effects ─► shell }
//! ```
//! [`step`] decides and changes nothing; state changes only through [`apply`], the fold of the journal.

pub mod assess;
mod chores;
pub mod cost;
pub mod fold;
pub mod forecast;
pub mod glass;
pub mod lease;
pub mod outlook;
pub mod protocol;
pub mod record;
pub mod restorable;
pub mod routing;
pub mod runbook;
pub mod schedule;
pub mod status;
mod turn;
pub mod watch;
pub mod workload;
pub mod writer;

pub use fold::apply;
pub use outlook::Outlook;
pub use protocol::{Decision, Effect, Event, Inquiry, Record, Refused, Request, RoutingAddresses};
pub use runbook::Runbook;
pub use runbook::plan::plan;
pub use status::{Status, status};
pub use workload::Workload;

use model::Time;

/// Fold what was seen into the volatile part of the state. Call it for every event, before [`step`].
pub fn observe(state: &mut Workload, now: Time, event: &Event) {
    match event {
        Event::Reported { report } => state.watch.reported(report, now),
        Event::Unanswered { site, why } => state.watch.unanswered(site, why, now),
        _ => {}
    }
}

/// Decide what follows from `event`. Changes nothing.
pub fn step(state: &Workload, now: Time, event: &Event) -> Decision {
    turn::Turn::new(state, now).take(event)
}

/// What to do first after a crash: every attempt whose end is not in the journal is inquired after, before anything is
/// tried again. Call it once the records of [`Event::Started`] are applied.
pub fn resume(state: &Workload, now: Time) -> Decision {
    let Some(run) = &state.run else { return Decision::default() };
    let inquire = run.out().map(|(_, attempt, site)| Effect::Inquire { attempt, site: site.clone() });
    Decision {
        effects: inquire.collect(),
        wake_at: Some(now + state.topology.timing.probe_every),
        why: vec![format!("{} goes on where it stood", run.id)],
        ..Decision::default()
    }
}

#[cfg(test)]
mod tests;
