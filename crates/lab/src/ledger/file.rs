//! The ledger's file: appended by one thread, durable before it counts.
//!
//! Group commit without a timer: whatever arrived while the last sync ran is written and synced together, so an entry
//! is durable after at most two syncs (2 to 20 ms on common discs), and a slow disc makes larger groups, not a queue.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use model::Time;
use tokio::sync::watch;

use super::entry::{ClientKind, Entry, Event, Header};
use super::history::History;

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("cannot {what} the ledger {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("line {line} of the ledger {path} is damaged: {why}")]
    Damaged { path: PathBuf, line: usize, why: String },
}

/// An open ledger. Close it to learn whether everything was kept.
pub struct Ledger {
    log: Log,
    thread: JoinHandle<Result<(), LedgerError>>,
    progress: watch::Receiver<Progress>,
}

/// Where clients say what happened. Cheap to clone; never blocks.
#[derive(Clone)]
pub struct Log(mpsc::Sender<Option<Entry>>);

impl Log {
    pub fn log(&self, entry: Entry) {
        // After a write error the thread is gone; `close` reports it.
        let _ = self.0.send(Some(entry));
    }
}

/// What is durable so far.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Progress {
    pub total: Counts,
    pub by_kind: BTreeMap<ClientKind, Counts>,
    /// Acknowledged writes by the region that served them.
    pub acknowledged_by_site: BTreeMap<String, u64>,
    pub last_acknowledged: Option<Time>,
    /// Why the ledger can no longer be trusted.
    pub broken: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    pub sent: u64,
    pub acknowledged: u64,
    pub refused: u64,
    pub unknown: u64,
}

impl Counts {
    fn add(&mut self, event: &Event) {
        match event {
            Event::Sent | Event::Moving(_) => self.sent += 1,
            Event::Failed(_) | Event::Read(_) | Event::Stale(_) => {}
            Event::Acknowledged(_) => self.acknowledged += 1,
            Event::Refused { .. } => self.refused += 1,
            Event::Unknown { .. } => self.unknown += 1,
        }
    }

    pub fn in_flight(&self) -> u64 {
        self.sent.saturating_sub(self.acknowledged + self.refused + self.unknown)
    }
}

impl Ledger {
    /// Starts a new file; an existing one is never overwritten.
    pub fn create(path: &Path, header: &Header) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::Io { what: "create", path: path.into(), source };
        let mut file = File::create_new(path).map_err(failed)?;
        let mut first = serde_json::to_vec(header).map_err(|error| failed(error.into()))?;
        first.push(b'\n');
        file.write_all(&first).and_then(|()| file.sync_all()).map_err(failed)?;
        let (sender, receiver) = mpsc::channel();
        let (publish, progress) = watch::channel(Progress::default());
        let kinds = header.clients.iter().map(|client| (client.name.clone(), client.kind)).collect();
        let mut keeper = Keeper { path: path.into(), file, kinds, publish };
        let thread = std::thread::Builder::new().name("ledger".into()).spawn(move || keeper.run(&receiver));
        Ok(Self { log: Log(sender), thread: thread.map_err(failed)?, progress })
    }

    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// Follows what is durable.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Waits until all that was logged before is durable. Entries logged later are not kept.
    ///
    /// Errors: what kept the ledger from being written, whenever that happened.
    pub fn close(self) -> Result<(), LedgerError> {
        let _ = self.log.0.send(None);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

struct Keeper {
    path: PathBuf,
    file: File,
    kinds: BTreeMap<String, ClientKind>,
    publish: watch::Sender<Progress>,
}

impl Keeper {
    fn run(&mut self, entries: &mpsc::Receiver<Option<Entry>>) -> Result<(), LedgerError> {
        while let Ok(first) = entries.recv() {
            let group: Vec<Option<Entry>> = std::iter::once(first).chain(entries.try_iter()).collect();
            let closed = group.iter().any(Option::is_none);
            let group: Vec<Entry> = group.into_iter().map_while(|entry| entry).collect();
            if let Err(source) = self.keep(&group) {
                self.publish.send_modify(|progress| progress.broken = Some(source.to_string()));
                return Err(LedgerError::Io { what: "write", path: self.path.clone(), source });
            }
            self.publish.send_modify(|progress| group.iter().for_each(|entry| self.count(progress, entry)));
            if closed {
                break;
            }
        }
        Ok(())
    }

    fn keep(&self, group: &[Entry]) -> io::Result<()> {
        let mut lines = Vec::with_capacity(group.len() * 200);
        for entry in group {
            serde_json::to_writer(&mut lines, entry)?;
            lines.push(b'\n');
        }
        (&self.file).write_all(&lines)?;
        self.file.sync_data()
    }

    fn count(&self, progress: &mut Progress, entry: &Entry) {
        progress.total.add(&entry.event);
        if let Some(kind) = self.kinds.get(&*entry.write.client) {
            progress.by_kind.entry(*kind).or_default().add(&entry.event);
        }
        if let Event::Acknowledged(acknowledgement) = &entry.event {
            *progress.acknowledged_by_site.entry(acknowledgement.site.clone()).or_default() += 1;
            progress.last_acknowledged = Some(entry.at);
        }
    }
}

/// Reads a ledger, which may still be written: a last line without its end is not there yet.
///
/// Errors: an unreadable file, or a damaged line anywhere else.
pub fn read(path: &Path) -> Result<History, LedgerError> {
    let failed = |source| LedgerError::Io { what: "read", path: path.into(), source };
    let damaged = |line: usize, why: String| LedgerError::Damaged { path: path.into(), line, why };
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).map_err(failed)?;
    let header: Header = serde_json::from_slice(&line).map_err(|error| damaged(1, error.to_string()))?;
    let mut history = History::new(header);
    for number in 2.. {
        line.clear();
        reader.read_until(b'\n', &mut line).map_err(failed)?;
        if line.last() != Some(&b'\n') {
            break;
        }
        let entry = serde_json::from_slice(&line).map_err(|error| damaged(number, error.to_string()))?;
        history.add(entry).map_err(|why| damaged(number, why))?;
    }
    Ok(history)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::entry::WriteId;

    fn header() -> Header {
        Header { drill: "d".into(), clients: vec![] }
    }

    fn sent(seq: u64) -> Entry {
        Entry { at: Time(seq), write: WriteId::new("c", seq), event: Event::Sent }
    }

    #[test]
    fn what_is_logged_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let ledger = Ledger::create(&path, &header()).unwrap();
        let progress = ledger.progress();
        (0..500).for_each(|seq| ledger.log().log(sent(seq)));
        ledger.close().unwrap();
        assert_eq!(progress.borrow().total, Counts { sent: 500, ..Counts::default() });
        assert_eq!(read(&path).unwrap().writes.len(), 500);
        assert!(Ledger::create(&path, &header()).is_err(), "an old ledger is not overwritten");
    }

    #[test]
    fn a_torn_last_line_is_not_there_and_a_torn_middle_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let ledger = Ledger::create(&path, &header()).unwrap();
        (0..3).for_each(|seq| ledger.log().log(sent(seq)));
        ledger.close().unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        assert_eq!(read(&path).unwrap().writes.len(), 2);
        let torn = [&whole[..whole.len() - 5], b"\n", &whole[..]].concat();
        std::fs::write(&path, torn).unwrap();
        assert!(matches!(read(&path), Err(LedgerError::Damaged { line: 4, .. })));
    }
}
