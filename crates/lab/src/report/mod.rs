//! What a drill measured, and how it is shown: one [`DrillResult`], printed as JSON, as a table and as `report.html`.
//!
//! Nothing here decides or measures: every number and reason comes in, the three forms only show it.

mod chart;
mod from_ledger;
mod html;
mod past;
mod percent;
mod result;
mod scorecard;
mod seconds;
mod table;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

pub use from_ledger::since_fault;
pub use html::html;
pub use past::{history_html, time, trend_words};
pub use percent::Percent;
pub use result::{
    Audit, Check, Client, ClientKind, DrillResult, Exported, FaultMark, JournalLine, LagSample, Latency, Objectives,
    Phases, RegionWrites, Rto, Seal, StepBar, StepEnd, Timeline, Verdict, Writes,
};
pub use scorecard::{Measured, Scorecard, Scored, scorecard_html, scorecard_table, verdict_of};
pub use seconds::Seconds;
pub use table::table;
