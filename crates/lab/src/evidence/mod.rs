//! The record of a drill that an auditor checks offline: one JSON line for each thing that happened, chained by hashes.
//!
//! A line is `{"n":…,"at":…,"t":…,"kind":…,"body":…,"prev":…,"hash":…}`, fields in that order, no spaces outside the
//! body. `hash` covers the line's own bytes up to, not including, `,"hash":`; `prev` is the hash of the line before, so
//! that nothing can be changed, removed, added or moved without breaking every later hash. The last line is `end` with the
//! number of lines, so that a cut-off file shows. Hashing bytes as written, not re-serialised JSON, lets `sed` and
//! `sha256sum` check it too: docs/evidence.md shows how.
//!
//! The chain proves that a file is whole, not who wrote it: whoever can rewrite all of it can make a new chain. Keep
//! the last hash ([`Seal`]) elsewhere, such as in the ticket of the drill.

mod verify;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use verify::{Summary, VerifyError, verify};
pub use write::{WriteError, Writer};

/// Grows when a reader of the old form would misread the new one.
pub const FORMAT: u32 = 1;

/// What a line is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// First line: an [`Opening`].
    Drill,
    /// The whole `antipode.yaml` that was drilled.
    Spec,
    /// A fault began, healed, or what it hit.
    Fault,
    /// A record of the controller's journal.
    Record,
    /// Which acknowledged writes are present, with the ids of those that are not.
    Ledger,
    /// Measured times.
    Phases,
    /// What clean-up found.
    Cleanup,
    /// Passed or failed, and why.
    Verdict,
    /// Last line: the number of lines, this one included.
    End,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Body of the first line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Opening {
    pub format: u32,
    /// Version of Antipode that wrote the file.
    pub antipode: String,
    /// SHA-256 of the spec's bytes, lower-case hexadecimal.
    pub spec_sha256: String,
    pub drill: String,
}

impl Opening {
    pub fn new(drill: &str, spec: &[u8]) -> Self {
        Self {
            format: FORMAT,
            antipode: env!("CARGO_PKG_VERSION").to_owned(),
            spec_sha256: hex_digest(spec),
            drill: drill.to_owned(),
        }
    }
}

/// What to note elsewhere: it pins every line of the file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seal {
    pub lines: u64,
    /// Hash of the last line.
    pub hash: String,
}

/// One line as it stands in the file, without its hash.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// Counts from 1.
    n: u64,
    /// Wall clock, RFC 3339 UTC. For people: clocks step, so nothing is computed from it.
    at: String,
    /// Microseconds since the drill began, on a clock that never steps.
    t: u64,
    kind: Kind,
    body: serde_json::Value,
    prev: String,
}

#[derive(Serialize, Deserialize)]
struct EndBody {
    lines: u64,
}

/// `prev` of the first line.
const NOTHING_BEFORE: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// What separates the hashed bytes from the hash.
const HASH_FIELD: &str = r#","hash":""#;
const LINE_END: &str = r#""}"#;

fn hex_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
