//! The nouns of Antipode: what a workload is, what was observed of it, what can be done to it.
//!
//! Everything here is data. Decisions live in `engine`, I/O in `drivers` and `controller`. This crate
//! knows no other crate of ours, no clock, no file and no network.

pub mod action;
pub mod backup;
pub mod baseline;
pub mod catalogue;
pub mod date;
pub mod depends;
pub mod design;
pub mod findings;
pub mod glass;
pub mod ids;
pub mod lease;
pub mod money;
pub mod observe;
pub mod priors;
pub mod rates;
pub mod routing;
pub mod spec;
pub mod time;
pub mod topology;
pub mod value;

pub use action::{ActError, Action, Attempt, Outcome, Verb};
pub use baseline::Baseline;
pub use date::Date;
pub use design::{Design, Part};
pub use glass::GlassReport;
pub use ids::{AttemptId, ComponentId, Epoch, Lsn, Person, RunId, SiteId};
pub use lease::{LeaseReply, LeaseRequest, Receipt, Refusal, SyncRecord};
pub use money::Usd;
pub use observe::{DatabaseReport, DatabaseState, PeerProbe, SiteReport};
pub use rates::Rates;
pub use routing::{Policy, ZoneTable};
pub use time::Time;
pub use topology::{Timing, Topology};
pub use value::{Value, Values};
