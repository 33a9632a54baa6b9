//! The numbered writes that a drill's clients sent, and what became of each (SAFETY.md item 11).
//!
//! Clients [`log`](Log::log) what happens to their writes; one thread appends it to a file of JSON lines and makes it
//! durable, outside every region, before it counts. What is measured and audited is read back from that file.
//!
//! ```text
//! clients ─ Entry ─► Log ─► file ─► History ─┬─► measure: RTO, gaps, availability, latency, writes in flight
//!                                    rows ───┼─► audit:   lost, unknown, duplicate writes, by exact id
//!                                   cases ───┴─► anomaly: what no right execution could have shown its clients
//! ```

pub mod anomaly;
pub mod audit;
pub mod entry;
pub mod exported;
pub mod file;
pub mod history;
pub mod measure;
pub mod rows;
pub mod service;

pub use audit::{Audit, audit};
pub use entry::{
    Acknowledgement, ClientKind, ClientPlan, Entry, Event, Header, Move, Place, Read, Seen, Stale, WriteId,
};
pub use file::{Counts, Ledger, LedgerError, Log, Progress, read};
pub use history::{End, History, Write};
pub use measure::{ClientResult, Fault, Measurement, Recovery, Series, measure, series};
pub use rows::{Cases, FetchError, Rows, fetch, fetch_cases};
pub use service::{Latency, Service};

/// Now, on the one clock of every ledger entry: monotonic, counts suspend, meaningless after a reboot.
pub fn now() -> model::Time {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    model::Time(seconds * 1_000_000 + nanos / 1_000)
}
