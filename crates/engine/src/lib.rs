//! The decisions of Antipode, without I/O: no clock, no files, no randomness, no tokio.
//!
//! ```text
//! event ─ observe ─► Workload.watch (volatile)
//!       └ step ────► Decision { records ─► journal ─► apply ─► Workload, effects ─► shell }
//! ```
//! [`step`] decides and changes nothing; state changes only through [`apply`], the fold of the journal.

pub mod fold;
pub mod protocol;
pub mod record;
pub mod routing;
pub mod runbook;
pub mod watch;
pub mod workload;
pub mod lease;
pub mod writer;

pub use fold::apply;
pub use protocol::{Decision, Effect, Event, Inquiry, Record, Refused, Request, RoutingAddresses};
pub use workload::Workload;

use model::Time;

/// Fold what was seen into the volatile part of the state. Call it for every event, before [`step`].
pub fn observe(state: &mut Workload, now: Time, event: &Event) {
    match event {
        Event::Reported { report } => {
            let seen = state.watch.sites.entry(report.site.clone()).or_default();
            seen.report = Some(std::sync::Arc::new(report.as_ref().clone()));
            seen.at = now;
            seen.unanswered = None;
        }
        Event::Unanswered { site, why } => {
            let seen = state.watch.sites.entry(site.clone()).or_default();
            let since = seen.unanswered.as_ref().map_or(now, |(since, _)| *since);
            seen.unanswered = Some((since, why.clone()));
        }
        _ => {}
    }
}

/// Decide what follows from `event`. Changes nothing.
pub fn step(state: &Workload, now: Time, event: &Event) -> Decision {
    let _ = (state, now, event);
    Decision::default()
}

/// What to do first after a crash: every attempt whose end is not in the journal is inquired after.
pub fn resume(state: &Workload, now: Time) -> Decision {
    let _ = now;
    let inquire = state.run.iter().flat_map(|run| &run.steps).filter_map(|step| match &step.progress {
        runbook::run::Progress::Out { attempt, site, .. } => {
            Some(Effect::Inquire { attempt: *attempt, site: site.clone() })
        }
        _ => None,
    });
    Decision { effects: inquire.collect(), ..Decision::default() }
}
