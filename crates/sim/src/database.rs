//! One region's database server, modelled: an append-only log, a role, and what of it has reached the other region.

use model::Time;

use crate::vault::Aside;
use crate::world::What;

/// One record of the log. `mark` is unique in the world, so that two logs agree on a prefix exactly when they have the
/// same mark at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    pub mark: u64,
    /// The client's write; `None` for the server's own records, such as the end of a recovery.
    pub write: Option<u64>,
    /// When it was committed here, in the world's time.
    pub at: Time,
}

/// Records on their way to a standby: mostly a single one, or none as a sign of life.
#[derive(Clone, Debug)]
pub enum Batch {
    Few(Option<Entry>),
    Many(Box<[Entry]>),
}

impl Batch {
    pub fn of(entries: &[Entry]) -> Self {
        match entries {
            [] => Batch::Few(None),
            [one] => Batch::Few(Some(*one)),
            many => Batch::Many(many.into()),
        }
    }
    pub fn add_to(&self, log: &mut Vec<Entry>) {
        match self {
            Batch::Few(entry) => log.extend(*entry),
            Batch::Many(entries) => log.extend_from_slice(entries),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Server {
    /// No data directory.
    Absent,
    Stopped,
    /// A running read-only copy.
    Standby,
    Writing,
}

/// What the writing server knows of the standby that streams from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stream {
    pub to: usize,
    /// Tells one connection from the next, so that what an old one still delivers is ignored.
    pub id: u64,
    pub sent: usize,
    pub flushed: usize,
    pub heard: Time,
}

/// A commit whose client waits for the standby.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    pub end: usize,
    pub write: u64,
    pub opening: u64,
}

#[derive(Clone, Debug)]
pub struct Database {
    pub server: Server,
    pub log: Vec<Entry>,
    /// The directory is marked as a copy.
    pub copy: bool,
    pub timeline: u32,
    /// Counts what is begun and what is killed: an end that comes after a kill belongs to nobody.
    pub work: u64,
    /// Its processes are stopped (SIGSTOP): they are there, and do nothing.
    pub frozen: bool,
    /// There is no room on its disk.
    pub full: bool,
    /// No server starts from its files.
    pub damaged: bool,
    /// Put aside by restores.
    pub aside: Vec<Aside>,
    /// What came for them meanwhile.
    pub held: Vec<What>,
    /// A clean stop is under way: no new transaction.
    pub stopping: bool,
    /// It is being opened: severed from the old writer.
    pub severed: bool,
    /// Where its log ended, if it was stopped cleanly.
    pub clean_end: Option<usize>,
    /// Whom a copy was last told to follow; on disk.
    pub upstream: Option<usize>,
    /// As a copy: the connection that it receives from, and when it last did.
    pub receiving: Option<(u64, Time)>,
    pub stream: Option<Stream>,
    /// Whom commits wait for.
    pub waits_for: Option<usize>,
    pub waiting: Vec<Waiting>,
    /// When the server will have done all that it was told about whom to wait for.
    pub obeys_at: Time,
}

impl Database {
    pub fn new() -> Self {
        Self {
            server: Server::Absent,
            log: Vec::new(),
            copy: false,
            timeline: 0,
            work: 0,
            frozen: false,
            full: false,
            damaged: false,
            aside: Vec::new(),
            held: Vec::new(),
            stopping: false,
            severed: false,
            clean_end: None,
            upstream: None,
            receiving: None,
            stream: None,
            waits_for: None,
            waiting: Vec::new(),
            obeys_at: Time::ZERO,
        }
    }

    pub fn end(&self) -> usize {
        self.log.len()
    }

    /// Every process is gone; what was on disk stays.
    pub fn kill(&mut self) {
        self.work += 1;
        if matches!(self.server, Server::Standby | Server::Writing) {
            self.clean_end = None;
        }
        if self.server != Server::Absent {
            self.server = Server::Stopped;
        }
        // SIGKILL reaches a stopped process too.
        self.frozen = false;
        self.held.clear();
        self.stopping = false;
        self.severed = false;
        self.receiving = None;
        self.stream = None;
        self.waiting.clear();
        self.obeys_at = Time::ZERO;
    }

    pub fn append(&mut self, entry: Entry) -> usize {
        self.log.push(entry);
        self.log.len()
    }

    /// Where a log that reaches `end` and has `mark` there is a prefix of this one.
    pub fn continues(&self, end: usize, mark: Option<u64>) -> bool {
        end <= self.log.len() && (end == 0 || self.log.get(end - 1).map(|e| e.mark) == mark)
    }

    pub fn last_mark(&self) -> Option<u64> {
        self.log.last().map(|entry| entry.mark)
    }

    /// How much of its beginning this log shares with another.
    pub fn fork(&self, other: &Database) -> usize {
        let (mut same, mut end) = (0, self.log.len().min(other.log.len()));
        // Once two logs differ they never agree again: marks are unique.
        while same < end {
            let middle = (same + end).div_ceil(2);
            if self.log[middle - 1].mark == other.log[middle - 1].mark { same = middle } else { end = middle - 1 }
        }
        same
    }

    /// In its place, or put aside.
    pub fn has(&self, write: u64) -> bool {
        let logs = self.aside.iter().map(|aside| &aside.log).chain([&self.log]);
        logs.flatten().any(|entry| entry.write == Some(write))
    }

    /// Commits that the standby now has; their clients may be told.
    pub fn flushed(&mut self, upto: usize) -> Vec<Waiting> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let (done, rest) = std::mem::take(&mut self.waiting).into_iter().partition(|waiting| waiting.end <= upto);
        self.waiting = rest;
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(marks: &[u64]) -> Database {
        let entry = |mark: &u64| Entry { mark: *mark, write: Some(*mark), at: Time::ZERO };
        Database { server: Server::Stopped, log: marks.iter().map(entry).collect(), ..Database::new() }
    }

    #[test]
    fn logs_fork_where_their_marks_first_differ() {
        assert_eq!(log(&[1, 2, 3, 4]).fork(&log(&[1, 2, 5, 6, 7])), 2);
        assert_eq!(log(&[1, 2]).fork(&log(&[1, 2, 5])), 2);
        assert_eq!(log(&[9]).fork(&log(&[1])), 0);
        assert_eq!(log(&[]).fork(&log(&[1])), 0);
        assert!(log(&[1, 2, 3]).continues(2, Some(2)) && !log(&[1, 2, 3]).continues(2, Some(9)));
    }
}
