//! One PostgreSQL server of one site: its mechanics, and no decision about leases.
//!
//! Who may write is decided elsewhere; what is here makes that decision stick. A server starts only while its *lease
//! file* exists, which only [`Database::start_writer`], [`Database::start_standby`], [`Database::promote`] and
//! [`Database::follow`] create, and which every stop removes (SAFETY.md item 7). Every verb may be repeated, and may be dropped
//! half-way: what it leaves behind is either finished by the next call or refused by the start verbs.
//!
//! ```text
//! find ── Binaries ─► Config ─► Server ─┬─ server    start, stop, kill
//!                                       ├─ promote   sever, promote, first write of the epoch
//!                                       ├─ follow    direct, rewind or copy; uses history, wal, upstream
//!                                       ├─ given_up  that it is kept, and named until it was heard
//!                                       ├─ export    what only this side has, before it is given up: the log
//!                                       │            (touched), and rows of an isolated copy (tables, rows)
//!                                       ├─ reserve   room for starts and stops on a full disk
//!                                       └─ watch     observe, through one kept session
//! ```

mod backup;
mod backup_chain;
mod config;
mod control;
mod export;
mod files;
mod find;
mod follow;
mod given_up;
mod heed;
mod history;
mod isolated;
mod lax;
mod promote;
mod recover;
mod reserve;
mod rows;
mod server;
mod session;
mod tables;
mod touched;
mod upstream;
mod wal;
mod watch;

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use async_trait::async_trait;
use model::action::ExportedRows;
use model::observe::StandbyReport;
use model::{ActError, Epoch, Lsn, SiteId};
use serde::{Deserialize, Serialize};

pub use backup::{Base, LogFile};
pub use backup_chain::{About, Chain, Entry, Needed, history_name, log_name, parse_history_name, parse_log_name};
pub use config::{Application, Config, Limits, Login, RunAs, unprivileged};
pub use find::{Binaries, FindError, OLDEST, find};
pub use recover::{Recovered, Source};
pub use reserve::Room;
pub use server::Server;

use crate::process::{Gone, StillRunning};
use crate::{Act, Acted};

/// What a database server can be told. An agent holds one; a fake stands in for it in tests of the agent.
///
/// Refused means that nothing was changed, and says why. Verbs take turns, but [`Database::kill_all`] and
/// [`Database::observe`] never wait for another verb, and a verb that `kill_all` overtook starts nothing any more.
#[async_trait]
pub trait Database: Send + Sync {
    /// What the server is and does now. Takes a few milliseconds, and at most [`Limits::query`] when the server hangs.
    async fn observe(&self) -> Observed;
    /// Makes an empty data directory where there is none, and starts nothing.
    async fn initialise(&self) -> Acted;
    /// Starts a server that writes in `epoch`, and makes the epoch's record its first write. `synchronous` are the
    /// standbys that a commit waits for.
    async fn start_writer(&self, epoch: &Epoch, synchronous: &[SiteId]) -> Acted<Wrote>;
    /// Starts a standby whose data directory needs no repair; see [`Database::follow`] for all others.
    async fn start_standby(&self, upstream: &Upstream) -> Acted;
    /// Makes the running standby the writer of `epoch`. Its stream from the old writer is cut first.
    async fn promote(&self, epoch: &Epoch, synchronous: &[SiteId]) -> Acted<Wrote>;
    /// Ends sessions, sends what is left to connected standbys, stops, and checks that no process is left.
    async fn stop(&self) -> Acted<Stopped>;
    /// Kills every process of the data directory and removes the lease file.
    async fn kill_all(&self) -> Result<Gone, ActError>;
    /// Becomes a standby of `upstream`, whatever it was before: directly, by rewind, or by a new copy. Rows that only
    /// this side has are exported first. Refused while this server writes.
    async fn follow(&self, upstream: &Upstream) -> Acted<Followed>;
    /// Makes commits wait for one of these standbys; for none when empty.
    async fn set_synchronous(&self, standbys: &[SiteId]) -> Acted;
    /// Waits until `standby` has flushed the log up to `position`.
    async fn wait_flushed(&self, position: Lsn, standby: &SiteId, within: Duration) -> Acted;
    /// Settings in the catalogue that let commits be acknowledged too early; of sessions' own settings nothing is known.
    async fn lax_commits(&self) -> Result<Vec<LaxCommit>, ActError>;
    /// Of the disk that the server writes to. Takes a few microseconds.
    fn room(&self) -> Room;
    /// Makes whole again what is kept for a full disk, if there is room and no verb is under way.
    async fn keep_room(&self);
    /// When the newest transaction that a copy has replayed was committed, RFC 3339 by the writer's wall clock. `None`
    /// where nothing was replayed since the server started, and on a writer.
    async fn last_replayed_commit(&self) -> Result<Option<String>, ActError>;
}

/// The server that a standby copies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upstream {
    pub site: SiteId,
    /// Address under which this site sees it.
    pub host: String,
    pub port: u16,
}

/// A `synchronous_commit` below `on` that somebody set for a role, a database, a function or the whole server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LaxCommit {
    /// Such as `for role app`.
    pub whose: String,
    pub value: String,
}

/// What is known of the server at one moment.
#[derive(Clone, PartialEq, Debug)]
pub struct Observed {
    pub server: ServerState,
    /// Zero when unknown.
    pub timeline: u32,
    /// The newest epoch recorded in the data; [`Epoch::none`] before the first, or when unknown.
    pub written: Epoch,
    /// Empty unless this server writes.
    pub standbys: Vec<StandbyReport>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ServerState {
    /// No data directory.
    Absent,
    /// A data directory that a rewind or copy left unfinished; only `follow` repairs it.
    Unfinished,
    /// Without its first process it is stopped, also while orphans of it still run; whoever starts it kills them first.
    Stopped,
    /// Processes exist and it does not accept sessions yet.
    Starting,
    /// Processes exist and no answer came in time: frozen, or overloaded.
    Unresponsive,
    /// A read-only copy. See `model::DatabaseState::Standby` for the meaning of `lag`; `upstream_end` is the position
    /// that the upstream last reported.
    Standby {
        upstream: SiteId,
        receiving: bool,
        received: Lsn,
        replayed: Lsn,
        upstream_end: Lsn,
        lag: Duration,
    },
    Writing {
        position: Lsn,
    },
}

/// The beginning of an epoch, as its first write records it.
#[derive(Clone, PartialEq, Debug)]
pub struct Wrote {
    pub timeline: u32,
    /// Where the timeline left its predecessor (promotion), or the position at the start.
    pub lsn: Lsn,
    /// Parts of the act in order.
    pub phases: Phases,
}

/// A server that was stopped cleanly.
#[derive(Clone, PartialEq, Debug)]
pub struct Stopped {
    /// One past the last record: a standby that replayed up to here lacks nothing.
    pub end: Lsn,
    pub gone: Gone,
}

/// How a server became a standby.
#[derive(Clone, PartialEq, Debug)]
pub struct Followed {
    pub way: Way,
    /// Where its history left the upstream's, when it had gone on alone; also if an earlier call gave that up, until this
    /// side writes again.
    pub divergence: Option<Divergence>,
    pub phases: Phases,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Its log was a prefix of the upstream's.
    Direct,
    Rewind,
    Copy,
}

/// What only this side had, before it was given up.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Divergence {
    pub timeline: u32,
    pub lsn: Lsn,
    /// Transactions committed after that position; `None` when the log could not be read, and the whole data directory
    /// was kept instead.
    pub commits: Option<u64>,
    /// Rows that only this side had; `None` when they could not be compared, and the whole data directory was kept.
    pub rows: Option<ExportedRows>,
    /// Why not, when that is so.
    pub whole: Option<String>,
    /// Directory of the export, fsynced, with a `manifest.json`.
    pub export: PathBuf,
}

/// Named parts of an act and how long each took.
pub type Phases = Vec<(String, Duration)>;

/// Why a verb did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what}: {source}")]
    File { what: String, source: std::io::Error },
    #[error("{0}")]
    Config(String),
    #[error("{program} failed ({status}): {said}")]
    Program { program: String, status: String, said: String },
    /// By somebody else, such as the kernel for want of memory.
    #[error("{program} was killed ({status})")]
    Killed { program: String, status: String },
    #[error("the server stopped while starting: {said}")]
    DiedStarting { said: String },
    #[error("the server does not answer: {0}")]
    Silent(String),
    #[error("{what}: {}", session::said(.source))]
    Connect { what: String, source: tokio_postgres::Error },
    #[error("{what}: {}", session::said(.source))]
    Sql { what: String, source: tokio_postgres::Error },
    #[error("{what} took longer than {}", model::time::human(*.after))]
    Slow { what: String, after: Duration },
    #[error("overtaken by an order to kill the server")]
    Overtaken,
    #[error(transparent)]
    Survivors(#[from] StillRunning),
    #[error("the upstream {site} is not ready to be followed: {why}")]
    Upstream { site: SiteId, why: String },
    #[error("cannot make sense of {what}: `{text}`")]
    Parse { what: &'static str, text: String },
    /// Rows that only one side has cannot be told; the data is kept whole then.
    #[error("the rows cannot be compared: {0}")]
    Incomparable(String),
    /// The last room on the disk is for others.
    #[error("{what} must wait: {why}")]
    Full { what: &'static str, why: String },
    /// Nothing was changed.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    fn file(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Error::File { what, source }
    }
    fn parse(what: &'static str, text: impl Into<String>) -> Self {
        Error::Parse { what, text: text.into() }
    }

    /// How a program ended that did not succeed.
    fn ended(program: &str, status: ExitStatus, said: &[u8]) -> Self {
        let (program, ended) = (program.to_owned(), status.to_string());
        match status.signal() {
            Some(_) => Error::Killed { program, status: ended },
            None => Error::Program { program, status: ended, said: server::last_lines(said) },
        }
    }

    /// It says something of this machine at this moment, and nothing of the data: the same look may succeed later.
    fn passes(&self) -> bool {
        let short = [ErrorKind::OutOfMemory, ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::WouldBlock];
        match self {
            Error::Overtaken | Error::Killed { .. } | Error::Slow { .. } | Error::Silent(_) => true,
            // Too many open files, of this process or of the machine.
            Error::File { source, .. } => {
                short.contains(&source.kind()) || matches!(source.raw_os_error(), Some(23 | 24))
            }
            _ => false,
        }
    }
}

/// `Unknown` where the server may have done it.
impl From<Error> for ActError {
    fn from(error: Error) -> Self {
        let why = error.to_string();
        match error {
            Error::Config(_) | Error::Parse { .. } | Error::Incomparable(_) | Error::Refused(_) => {
                ActError::Permanent(why)
            }
            Error::Slow { .. } | Error::Survivors(_) | Error::Sql { .. } | Error::Overtaken => ActError::Unknown(why),
            Error::File { .. } | Error::Program { .. } | Error::DiedStarting { .. } => ActError::Transient(why),
            Error::Full { .. } | Error::Killed { .. } => ActError::Transient(why),
            Error::Connect { .. } | Error::Silent(_) | Error::Upstream { .. } => ActError::Transient(why),
        }
    }
}

/// A refusal is an answer, not an error.
fn acted<T>(result: Result<Act<T>, Error>) -> Acted<T> {
    match result {
        Ok(act) => Ok(act),
        Err(Error::Refused(why)) => Ok(Act::Refused(why)),
        Err(e) => Err(e.into()),
    }
}

/// Measures the parts of an act.
struct Stopwatch {
    phases: Phases,
    since: std::time::Instant,
}

impl Stopwatch {
    fn start() -> Self {
        Self { phases: Vec::new(), since: std::time::Instant::now() }
    }
    fn lap(&mut self, name: &str) {
        self.phases.push((name.to_owned(), self.since.elapsed()));
        self.since = std::time::Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is out of memory or files at this moment keeps the data where it is, and looks again.
    #[test]
    fn only_what_says_something_of_the_data_is_a_reason_to_give_it_up() {
        let ended = |raw| Error::ended("pg_waldump", ExitStatus::from_raw(raw), b"said");
        assert!(ended(9).passes() && matches!(ended(9), Error::Killed { .. }));
        assert!(!ended(256).passes() && matches!(ended(256), Error::Program { .. }));
        let file = |raw| Error::file("read it")(std::io::Error::from_raw_os_error(raw));
        let (missing, broken, files, space) = (2, 5, 24, 28);
        assert!(!file(missing).passes() && !file(broken).passes());
        assert!(file(files).passes() && file(space).passes());
        assert!(matches!(ActError::from(ended(9)), ActError::Transient(_)));
    }
}
