//! What the log after a divergence says was written: which transactions committed, and which blocks of which tables
//! they wrote.
//!
//! This is what makes the comparison of rows both exact and affordable. A row that only this side has carries the
//! number of a transaction that committed only here; and as replication is physical, a row that nobody touched since
//! the divergence stands at the same place on both sides. So only the blocks named here have to be looked at.

use std::collections::{BTreeMap, BTreeSet};

use model::Lsn;

use super::Error;
use super::history::Fork;
use super::server::{Pass, Server};
use super::wal::{Record, segment};

/// The number of a transaction as rows carry it: 32 bits that wrap around.
pub(super) type Xid = u32;

/// Whether `a` was given out before `b`. True for numbers less than two billion transactions apart, which a divergence
/// never is: the server itself stops before.
pub(super) fn before(a: Xid, b: Xid) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// What one transaction wrote.
#[derive(Default)]
struct Written {
    /// Database, file, block.
    blocks: BTreeSet<(u32, u32, u32)>,
    /// Database and file: a table made, emptied or written anew.
    files: BTreeSet<(u32, u32)>,
}

/// A transaction that committed on this side alone.
#[derive(Clone, Debug)]
pub(super) struct Committed {
    pub lsn: Lsn,
    /// When, as its commit record says.
    pub at: String,
}

#[derive(Default)]
pub(super) struct Touched {
    written: BTreeMap<Xid, Written>,
    /// Transactions and subtransactions that committed after the divergence.
    committed: BTreeMap<Xid, Committed>,
    /// Not all that they wrote could be found in the log: every table must be read whole.
    pub everything: bool,
}

/// What is to be read of one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Extent {
    Blocks(BTreeSet<u32>),
    Whole,
}

impl Touched {
    /// Takes note of a record after the divergence.
    pub fn note(&mut self, record: &Record) {
        if record.is_commit() {
            for xid in record.committed() {
                let at = record.committed_at().to_owned();
                self.committed.insert(xid, Committed { lsn: record.lsn, at });
            }
        }
        self.note_writes(record);
    }

    fn note_writes(&mut self, record: &Record) {
        let Ok(xid @ 1..) = record.transaction.parse::<Xid>() else { return };
        if record.manager.starts_with("Heap") {
            let blocks = record.blocks();
            if !blocks.is_empty() {
                self.written.entry(xid).or_default().blocks.extend(blocks);
            }
        } else if let Some(file) = record.made_file() {
            self.written.entry(xid).or_default().files.insert(file);
        }
    }

    pub fn committed(&self, xid: Xid) -> Option<&Committed> {
        self.committed.get(&xid)
    }

    /// The oldest transaction that had begun before the divergence and committed only here after it. What it wrote may
    /// stand in the log before the divergence.
    fn oldest_before(&self, fork: Option<Xid>) -> Option<Xid> {
        let early = self.committed.keys().copied().filter(|xid| fork.is_none_or(|fork| before(*xid, fork)));
        early.reduce(|a, b| if before(b, a) { b } else { a })
    }

    /// What committed transactions wrote in a database, by file.
    pub fn of_database(&self, database: u32) -> BTreeMap<u32, Extent> {
        let mut files = BTreeMap::new();
        for written in self.committed.keys().filter_map(|xid| self.written.get(xid)) {
            for (_, file, block) in written.blocks.iter().filter(|(of, ..)| *of == database) {
                if let Extent::Blocks(blocks) = files.entry(*file).or_insert(Extent::Blocks(BTreeSet::new())) {
                    blocks.insert(*block);
                }
            }
            files
                .extend(written.files.iter().filter(|(of, _)| *of == database).map(|(_, file)| (*file, Extent::Whole)));
        }
        files
    }

    /// Databases in which committed transactions wrote; 0 are the tables that all share.
    pub fn databases(&self) -> BTreeSet<u32> {
        let written = self.committed.keys().filter_map(|xid| self.written.get(xid));
        written.flat_map(|written| written.blocks.iter().map(|(database, ..)| *database)).collect()
    }

    /// Committed transactions that wrote to any of these files of a database.
    pub fn writers(&self, database: u32, files: &BTreeSet<u32>) -> BTreeSet<Xid> {
        let wrote = |xid: &&Xid| {
            let written = self.written.get(*xid);
            written.is_some_and(|w| w.blocks.iter().any(|(of, file, _)| *of == database && files.contains(file)))
        };
        self.committed.keys().filter(wrote).copied().collect()
    }
}

impl Server {
    /// Adds what transactions wrote before the divergence that committed after it: reads the log backwards until a
    /// record says that none of them had begun.
    ///
    /// # Errors
    /// When `pg_waldump` cannot run, or the log before the divergence is damaged; that it is gone is not an error.
    pub(super) async fn look_back(
        &self,
        touched: &mut Touched,
        fork: &Fork,
        first: Option<Xid>,
        segment_bytes: u64,
        pass: Pass,
    ) -> Result<(), Error> {
        let Some(oldest) = touched.oldest_before(first) else { return Ok(()) };
        let (mut begin, mut end) = (fork.lsn.0 / segment_bytes, fork.lsn);
        loop {
            let name = segment(fork.timeline, begin, segment_bytes);
            if !self.config.data().join("pg_wal").join(name).exists() {
                tracing::warn!(site = %self.config.site, %oldest, "the log of a transaction's beginning is gone");
                touched.everything = true;
                return Ok(());
            }
            let mut none_had_begun = false;
            let each = |record: Record| {
                if record.lsn >= end {
                    return false;
                }
                none_had_begun |= record.next_transaction().is_some_and(|next| !before(oldest, next));
                touched.note_writes(&record);
                true
            };
            self.scan(fork.timeline, Lsn(begin * segment_bytes), segment_bytes, pass, each).await?;
            if none_had_begun {
                return Ok(());
            }
            if begin == 0 {
                touched.everything = true;
                return Ok(());
            }
            end = Lsn(begin * segment_bytes);
            begin -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(manager: &str, transaction: &str, lsn: u64, description: &str) -> Record {
        let line = format!(
            "rmgr: {manager:11} len (rec/tot):     54/    54, tx: {transaction:>10}, lsn: {}, prev 0/0, desc: {description}",
            Lsn(lsn)
        );
        Record::parse(&line).unwrap()
    }

    #[test]
    fn only_what_committed_counts() {
        let mut touched = Touched::default();
        touched.note(&record("Heap", "700", 10, "INSERT off 1 flags 0x00, blkref #0: rel 1663/5/16384 blk 3"));
        touched.note(&record(
            "Heap",
            "702",
            20,
            "UPDATE off 1 xmax 702 flags 0x00 ; new off 2 xmax 0, blkref #0: rel 1663/5/16384 blk 9, blkref #1: rel \
             1663/5/16384 blk 4",
        ));
        touched.note(&record("Heap2", "0", 25, "VISIBLE cutoff xid 7, blkref #0: rel 1663/5/16384 blk 77"));
        touched.note(&record("Heap", "705", 30, "INSERT off 1 flags 0x00, blkref #0: rel 1663/5/16384 blk 5"));
        touched.note(&record("Storage", "706", 31, "CREATE base/5/16400"));
        touched.note(&record("Heap", "706", 32, "INSERT+INIT off 1 flags 0x00, blkref #0: rel 1663/5/16400 blk 0"));
        touched.note(&record("Transaction", "700", 40, "COMMIT 2026-11-21 12:22:13.09 UTC"));
        touched.note(&record("Transaction", "701", 50, "COMMIT 2026-11-21 12:22:13.10 UTC; subxacts: 702 703; sync"));
        touched.note(&record("Transaction", "705", 60, "ABORT 2026-11-21 12:22:13.11 UTC"));
        touched.note(&record("Transaction", "0", 70, "COMMIT_PREPARED 706: 2026-11-21 12:22:13.12 UTC; sync"));

        let files = touched.of_database(5);
        assert_eq!(files[&16384], Extent::Blocks([3, 4, 9].into()), "of 705, which aborted, and of vacuum nothing");
        assert_eq!(files[&16400], Extent::Whole);
        assert_eq!(touched.databases(), [5].into());
        assert_eq!(touched.committed.keys().copied().collect::<Vec<_>>(), [700, 701, 702, 703, 706]);
        assert_eq!(touched.committed(706).unwrap().at, "2026-11-21 12:22:13.12 UTC");
        assert_eq!(touched.writers(5, &[16384].into()), [700, 702].into());
        assert_eq!(touched.oldest_before(Some(702)), Some(700));
        assert_eq!(touched.oldest_before(Some(700)), None);
        assert_eq!(touched.oldest_before(None), Some(700));
    }

    #[test]
    fn transaction_numbers_wrap() {
        assert!(before(700, 701) && !before(701, 701));
        assert!(before(u32::MAX - 5, 10) && !before(10, u32::MAX - 5));
    }
}
