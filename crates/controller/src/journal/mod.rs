//! The journal: what the engine decided, durable before anybody acts on it.
//!
//! State is the fold of the journal, so a line that was acknowledged must never vanish or change unnoticed. Every line
//! carries the hash of the one before it, and the journal remembers its own end: a changed, missing or cut-off line
//! is found when the journal is opened, and named.

mod chain;
mod sqlite;

use std::path::PathBuf;

use engine::Record;
use jiff::Timestamp;
use model::Time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use sqlite::SqliteJournal;

/// One line of the journal.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Line {
    /// From 1, without gaps.
    pub seq: u64,
    /// On the boot-time clock of the controller's machine; comparable only with lines of the same `boot`.
    pub at: Time,
    /// RFC 3339. For people: nothing is decided by it.
    pub wall: String,
    /// The kernel's boot id.
    pub boot: String,
    /// The start of a controller that wrote the line.
    pub generation: u64,
    /// An [`engine::Record`].
    pub record: serde_json::Value,
    /// Hash of the line before, SHA-256, hexadecimal. The first line has the hash of the workload's name.
    pub prev: String,
    pub hash: String,
}

impl Line {
    /// The record, as this version of the engine knows it.
    pub fn record(&self) -> Result<Record, JournalError> {
        self.parse()
    }

    /// The record of a journal of another kind.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, JournalError> {
        T::deserialize(&self.record).map_err(|e| JournalError::UnknownRecord { seq: self.seq, why: e.to_string() })
    }
}

/// When lines are written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stamp {
    pub at: Time,
    pub wall: Timestamp,
    pub boot: String,
}

/// Where the decisions of one workload are kept. One controller at a time has it open.
pub trait Journal: Send {
    /// Adds the records as one: all or none are there after a crash. They are durable when this returns.
    /// Returns the sequence number of the last line.
    fn append(&mut self, stamp: &Stamp, records: &[Record]) -> Result<u64, JournalError>;

    /// Lines from sequence number `from` on, in order, at most `limit`.
    fn read(&self, from: u64, limit: usize) -> Result<Vec<Line>, JournalError>;

    /// The number of this opening: one more than that of the opening before. Agents refuse orders of a lower one.
    fn generation(&self) -> u64;

    /// Sequence number of the last line; zero when there is none.
    fn last(&self) -> u64;
}

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the journal {} is open in another controller", path.display())]
    Locked { path: PathBuf },
    #[error("the journal {} is damaged at line {seq}: {why}", path.display())]
    Corrupted { path: PathBuf, seq: u64, why: String },
    #[error("the journal {} has format {found}, and this version knows formats up to {known}", path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("the journal {} belongs to workload {found}, not {wanted}", path.display())]
    OtherWorkload { path: PathBuf, found: String, wanted: String },
    #[error("line {seq} of the journal holds no record that this version knows: {why}")]
    UnknownRecord { seq: u64, why: String },
    #[error("the journal is closed, because the controller is stopping")]
    Closed,
    #[error("the disk of the journal {} is full", path.display())]
    Full { path: PathBuf },
    #[error("cannot use the journal {}", path.display())]
    Database { path: PathBuf, source: rusqlite::Error },
    #[error("cannot use {}", path.display())]
    File { path: PathBuf, source: std::io::Error },
}

impl JournalError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            JournalError::Locked { .. } => "stop the other controller first: a workload has one at a time",
            JournalError::Corrupted { .. } => {
                "keep the file for inspection and restore the last copy; agents refuse an older generation, so start the \
                 restored controller again until they accept its orders"
            }
            JournalError::Newer { .. } | JournalError::UnknownRecord { .. } => "run the version that wrote it",
            JournalError::Full { .. } => {
                "make room and start the controller again: nothing that was decided is lost, and the writer goes on meanwhile"
            }
            JournalError::OtherWorkload { .. } => "give each workload its own journal",
            JournalError::Closed => "ask again when the controller is back",
            JournalError::Database { .. } | JournalError::File { .. } => {
                "check the disk, and who may write in the journal's directory"
            }
        }
    }
}

#[cfg(test)]
mod tests;
