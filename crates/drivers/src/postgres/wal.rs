//! Reading the write-ahead log of a server at rest, by `pg_waldump`.

use std::fs;
use std::path::Path;
use std::process::ExitStatus;

use model::Lsn;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::backup_chain::parse_log_name;
use super::config::text;
use super::control::Control;
use super::server::{Pass, Server};
use super::{Error, server};

/// One line of `pg_waldump`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Record {
    /// The part of the server that wrote it: `Heap`, `Transaction`, ...
    pub manager: String,
    pub lsn: Lsn,
    pub length: u64,
    pub transaction: String,
    pub description: String,
}

impl Record {
    /// `rmgr: Transaction len (rec/tot): 34/ 34, tx: 735, lsn: 0/01569B08, prev 0/01569AD0, desc: COMMIT 2026-...`
    pub(super) fn parse(line: &str) -> Option<Self> {
        let after = |label: &str| line.split_once(label).map(|(_, rest)| rest.trim_start());
        let word = |label| after(label).map(|rest| rest.split([',', ' ']).next().unwrap_or_default());
        let total = after("(rec/tot):")?.split_once('/')?.1.trim_start();
        Some(Self {
            manager: word("rmgr:")?.to_owned(),
            lsn: word("lsn:")?.parse().ok()?,
            length: total.split(',').next()?.trim().parse().ok()?,
            transaction: word("tx:")?.to_owned(),
            description: after("desc:")?.to_owned(),
        })
    }

    /// The log goes on in the next file, however much of this one is left.
    pub fn ends_file(&self) -> bool {
        self.manager == "XLOG" && self.description.starts_with("SWITCH")
    }

    /// Of a transaction, or of a prepared one.
    pub fn is_commit(&self) -> bool {
        self.description.starts_with("COMMIT")
    }

    /// The numbers that a commit record makes valid: the transaction's own, and those of its subtransactions.
    pub fn committed(&self) -> Vec<u32> {
        let prepared = self.description.strip_prefix("COMMIT_PREPARED ").and_then(|rest| rest.split(':').next());
        let own = prepared.unwrap_or(&self.transaction).trim().parse();
        let part = self.description.split("; ").find_map(|part| part.strip_prefix("subxacts:"));
        let parts = part.unwrap_or_default().split_whitespace().filter_map(|number| number.parse().ok());
        own.into_iter().filter(|xid| *xid > 0).chain(parts).collect()
    }

    /// When a commit happened, in the server's words.
    pub fn committed_at(&self) -> &str {
        let rest = self.description.strip_prefix("COMMIT_PREPARED ").and_then(|rest| rest.split_once(": "));
        let rest = rest.map_or_else(|| self.description.trim_start_matches("COMMIT "), |(_, rest)| rest);
        rest.split(';').next().unwrap_or_default().trim()
    }

    /// Blocks of tables that it changed: database, file, block.
    /// `blkref #0: rel 1663/5/16384 blk 3 FPW`; other forks than the main one (`fork vm`) hold no rows.
    pub fn blocks(&self) -> Vec<(u32, u32, u32)> {
        let references = self.description.split("blkref #").skip(1);
        let block = |reference: &str| {
            let words: Vec<&str> = reference.split([' ', ',']).filter(|word| !word.is_empty()).collect();
            let ["rel", file, rest @ ..] = words.get(1..)? else { return None };
            let number = match rest {
                ["blk", number, ..] | ["fork", "main", "blk", number, ..] => number.parse().ok()?,
                _ => return None,
            };
            let mut parts = file.split('/').skip(1).map(str::parse);
            Some((parts.next()?.ok()?, parts.next()?.ok()?, number))
        };
        references.filter_map(block).collect()
    }

    /// The file that it made, as database and number: `CREATE base/5/16384`.
    pub fn made_file(&self) -> Option<(u32, u32)> {
        let path = self.description.strip_prefix("CREATE ").filter(|_| self.manager == "Storage")?;
        let mut parts = path.split_whitespace().next()?.rsplit('/');
        let (file, database) = (parts.next()?, parts.next()?);
        Some((database.parse().ok()?, file.parse().ok()?))
    }

    /// The lowest number that no transaction had been given at this record, where it says so.
    pub fn next_transaction(&self) -> Option<u32> {
        let after = |label: &str| self.description.split_once(label).map(|(_, rest)| rest);
        let number = match self.manager.as_str() {
            "Standby" => after("nextXid ")?.split(' ').next()?,
            "XLOG" if self.description.starts_with("CHECKPOINT") => {
                after("; xid ")?.split(';').next()?.split_once(':')?.1
            }
            _ => return None,
        };
        number.parse().ok()
    }

    pub fn end(&self, segment_bytes: u64) -> Lsn {
        record_end(self.lsn, self.length, segment_bytes)
    }
}

const PAGE: u64 = 8192;

/// Where a record can stand that begins at `at` or after it: a page begins with a header, a segment's first with a longer
/// one.
fn past_header(at: u64, segment_bytes: u64) -> u64 {
    match at {
        at if at.is_multiple_of(segment_bytes) => at + 40,
        at if at.is_multiple_of(PAGE) => at + 24,
        at => at,
    }
}

/// One past a record: pages that it crosses add their headers, and the next record is aligned.
fn record_end(start: Lsn, length: u64, segment_bytes: u64) -> Lsn {
    let (mut at, mut left) = (start.0, length);
    while left > 0 {
        at = past_header(at, segment_bytes);
        let fits = left.min(PAGE - at % PAGE);
        at += fits;
        left -= fits;
    }
    Lsn(at.next_multiple_of(8))
}

impl Server {
    /// Calls `each` with every record of a timeline from a position on, to the end of the valid log, until it returns false.
    ///
    /// # Errors
    /// When log is missing or unreadable; that there is no record is not an error.
    pub(super) async fn scan(
        &self,
        timeline: u32,
        from: Lsn,
        segment_bytes: u64,
        pass: Pass,
        mut each: impl FnMut(Record) -> bool,
    ) -> Result<(), Error> {
        let wal = self.config.data().join("pg_wal");
        let mut args =
            vec!["-p".to_owned(), text(&wal), "-t".into(), timeline.to_string(), "-s".into(), from.to_string()];
        let files = Files::from(&wal, timeline, from, segment_bytes)?;
        let files_end = files.end(segment_bytes);
        if let Some(end) = files_end {
            args.extend(["-e".to_owned(), end.to_string()]);
        }
        args.extend(files.named(segment_bytes));
        let command = self.tool("pg_waldump", args);
        let mut child = self.spawn(command, pass, "pg_waldump")?;
        let mut was_ended = false;
        let mut lines = BufReader::new(child.stdout.take().expect("standard output is a pipe")).lines();
        while let Some(line) = lines.next_line().await.map_err(Error::file("read from pg_waldump"))? {
            let record = Record::parse(&line).ok_or_else(|| Error::parse("a line of pg_waldump", line))?;
            was_ended = record.ends_file();
            if !each(record) {
                // Until it is gone it counts as a process of the data directory.
                return child.kill().await.map_err(Error::file("end pg_waldump"));
            }
        }
        let mut said = Vec::new();
        let mut complaints = child.stderr.take().expect("standard error is a pipe");
        complaints.read_to_end(&mut said).await.map_err(Error::file("read from pg_waldump"))?;
        let status = child.wait().await.map_err(Error::file("wait for pg_waldump"))?;
        if let Some(end) = files_end.filter(|_| status.success() && !was_ended) {
            let said = format!("the log goes on at {end}, in a file that is missing");
            return Err(Error::Program { program: "pg_waldump".into(), status: status.to_string(), said });
        }
        ended(status, &said)
    }

    /// Calls `each` with every record of a timeline that ends after `fork`, as [`Server::scan`] does.
    ///
    /// # Errors
    /// Those of `scan`, and [`Error::Incomparable`] when the record at `fork` cannot be told: nothing may be left out.
    pub(super) async fn scan_after(
        &self,
        timeline: u32,
        fork: Lsn,
        segment_bytes: u64,
        pass: Pass,
        mut each: impl FnMut(Record) -> bool,
    ) -> Result<(), Error> {
        let mut beyond = Beyond { fork, segment_bytes, gap: None, any: false };
        let before = Lsn(fork.0.saturating_sub(1) / segment_bytes * segment_bytes);
        let wal = self.config.data().join("pg_wal");
        let exists = wal.join(segment(timeline, before.0 / segment_bytes, segment_bytes)).exists();
        let from = if fork.0.is_multiple_of(PAGE) && exists { before } else { fork };
        self.scan(timeline, from, segment_bytes, pass, |record| match beyond.holds(&record) {
            Some(true) => each(record),
            Some(false) => true,
            None => false,
        })
        .await?;
        let said = |next| format!("the log does not go on at {fork}: the next record there is at {next}");
        beyond.gap.map_or(Ok(()), |next| Err(Error::Incomparable(said(next))))
    }

    /// One past the last record of a server that was stopped cleanly: its checkpoint.
    pub(super) async fn record_end(&self, control: &Control, pass: Pass) -> Result<Lsn, Error> {
        let mut checkpoint = None;
        let first = |record: Record| {
            checkpoint = Some(record.end(control.segment_bytes));
            false
        };
        let (timeline, from) = (control.checkpoint_timeline, control.checkpoint);
        self.scan(timeline, from, control.segment_bytes, pass, first).await?;
        checkpoint
            .ok_or_else(|| Error::parse("the log, which lacks its last checkpoint", control.checkpoint.to_string()))
    }
}

/// Which records end after a fork. A fork is the end of a record, or, where a promoted standby had received only the
/// first pages of one, the end of those pages: that record lies across the fork, and only the other side has it whole.
struct Beyond {
    fork: Lsn,
    segment_bytes: u64,
    any: bool,
    /// The first record after the fork, if log is missing before it.
    gap: Option<Lsn>,
}

impl Beyond {
    /// `None` when the record at the fork is missing.
    fn holds(&mut self, record: &Record) -> Option<bool> {
        if record.end(self.segment_bytes) <= self.fork {
            return Some(false);
        }
        if !self.any && record.lsn.0 > past_header(self.fork.0, self.segment_bytes) {
            self.gap = Some(record.lsn);
            return None;
        }
        self.any = true;
        Some(true)
    }
}

/// The files of a timeline from the one on that holds a position, by number.
struct Files {
    timeline: u32,
    first: u64,
    numbers: Vec<u64>,
}

impl Files {
    fn from(wal: &Path, timeline: u32, from: Lsn, segment_bytes: u64) -> Result<Self, Error> {
        let listed = fs::read_dir(wal).map_err(Error::file(format!("list {}", wal.display())))?;
        let names = listed.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let places = names.filter_map(|name| parse_log_name(&name, segment_bytes));
        let first = from.0 / segment_bytes;
        let mut numbers: Vec<u64> =
            places.filter(|place| place.0 == timeline && place.1 >= first).map(|p| p.1).collect();
        numbers.sort_unstable();
        Ok(Files { timeline, first, numbers })
    }

    /// Where the last one ends, if they follow one another. The next is made only with its first record, so a log whose
    /// file was ended early, as for an archive, may have none; told nothing, `pg_waldump` waits 5 s for it, and fails.
    /// `None` when there is a later file: then one is missing.
    fn end(&self, segment_bytes: u64) -> Option<Lsn> {
        let whole = self.numbers.iter().zip(self.first..).all(|(number, expected)| *number == expected);
        self.numbers.last().filter(|_| whole).map(|last| Lsn((last + 1) * segment_bytes))
    }

    /// The first and the last by name. Told none, `pg_waldump` learns the files' size from any file of the directory, and
    /// fails upon one that was made ahead and holds nothing yet; told the first alone, it ends with that one.
    fn named(&self, segment_bytes: u64) -> Vec<String> {
        let name = |number: u64| segment(self.timeline, number, segment_bytes);
        match (self.numbers.first(), self.numbers.last()) {
            (Some(first), Some(last)) if *first == self.first => vec![name(*first), name(*last)],
            _ => Vec::new(),
        }
    }
}

/// `pg_waldump` always fails where the log ends. That the next record is not valid is that end.
fn ended(status: ExitStatus, said: &[u8]) -> Result<(), Error> {
    let text = server::last_lines(said);
    let end = ["could not find a valid record after", "error in WAL record at"];
    if status.success() || (end.iter().any(|end| text.contains(end)) && !text.contains("could not find file")) {
        return Ok(());
    }
    Err(Error::ended("pg_waldump", status, said))
}

/// The file that holds a position.
pub(super) fn segment(timeline: u32, number: u64, segment_bytes: u64) -> String {
    let per_id = 0x1_0000_0000 / segment_bytes;
    format!("{timeline:08X}{:08X}{:08X}", number / per_id, number % per_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line() {
        let line = "rmgr: Transaction len (rec/tot):     34/   134, tx:        735, lsn: 0/01569B08, prev 0/01569AD0, \
                    desc: COMMIT 2026-11-21 09:17:16.123456 UTC";
        let record = Record::parse(line).unwrap();
        assert_eq!((record.lsn, record.length, record.transaction.as_str()), (Lsn(0x0156_9B08), 134, "735"));
        assert!(record.is_commit());
        assert_eq!(Record::parse("pg_waldump: error"), None);
    }

    fn record(manager: &str, description: &str) -> Record {
        let (lsn, transaction) = (Lsn(1), "700".to_owned());
        Record { manager: manager.into(), lsn, length: 1, transaction, description: description.into() }
    }

    #[test]
    fn reads_what_a_record_says() {
        let update = record(
            "Heap",
            "UPDATE off 3 flags 0x40 ; new off 8 xmax 0, blkref #0: rel 1663/5/16384 blk 7 FPW, blkref #1: rel \
             1663/5/16384 fork main blk 2",
        );
        assert_eq!(update.blocks(), [(5, 16384, 7), (5, 16384, 2)]);
        let visible =
            record("Heap2", "VISIBLE, blkref #0: rel 1663/5/16391 fork vm blk 0 FPW, blkref #1: rel 1663/5/1 blk 0");
        assert_eq!(visible.blocks(), [(5, 1, 0)], "the visibility map holds no rows");
        assert_eq!(record("Storage", "CREATE pg_tblspc/9/PG_15_2022/5/16384").made_file(), Some((5, 16384)));
        assert_eq!(record("Storage", "CREATE base/5/16384_fsm").made_file(), None);
        assert_eq!(record("Storage", "TRUNCATE base/5/16384 to 0 blocks").made_file(), None);
        let running = "RUNNING_XACTS nextXid 723 latestCompletedXid 721 oldestRunningXid 722; 1 xacts: 722";
        assert_eq!(record("Standby", running).next_transaction(), Some(723));
        let checkpoint = "CHECKPOINT_ONLINE redo 0/1500320; tli 1; prev tli 1; fpw true; xid 0:724; oid 20192";
        assert_eq!(record("XLOG", checkpoint).next_transaction(), Some(724));
        assert_eq!(record("Standby", "LOCK xid 724 db 5 rel 16384").next_transaction(), None);
    }

    #[test]
    fn record_ends() {
        let end = |start, length| record_end(Lsn(start), length, 16 << 20).0;
        assert_eq!(end(0x28, 114), 0x28 + 120);
        assert_eq!(end(8192 - 64, 114), 8192 + 24 + 50 + 6, "a page header lies between");
        assert_eq!(end(8192 - 64, 64), 8192, "it ends with the page");
        assert_eq!(end((16 << 20) - 8, 40), (16 << 20) + 40 + 32, "a segment's first header is longer");
    }

    #[test]
    fn a_record_that_lies_across_a_fork_comes_after_it() {
        let beyond = |fork| Beyond { fork: Lsn(fork), segment_bytes: 16 << 20, any: false, gap: None };
        let at = |lsn, length| Record { lsn: Lsn(lsn), length, ..record("Heap", "INSERT") };
        let (page, segment) = (3 * PAGE, 16 << 20);
        let mut across = beyond(page);
        assert_eq!(across.holds(&at(page - 128, 64)), Some(false));
        assert_eq!(across.holds(&at(page - 64, 200)), Some(true), "its first page only was received");
        assert_eq!(across.holds(&at(page + 24 + 136, 40)), Some(true));
        let mut ends = beyond(page);
        assert_eq!(ends.holds(&at(page - 64, 64)), Some(false), "it ends with the page");
        assert_eq!(ends.holds(&at(page + 24, 64)), Some(true));
        let mut first = beyond(segment);
        assert_eq!(first.holds(&at(segment + 40, 64)), Some(true), "the file before is gone, and needed by nobody");
        let mut gone = beyond(segment);
        assert_eq!(gone.holds(&at(segment + 40 + 136, 64)), None, "what lies across began in the file that is gone");
        assert_eq!(gone.gap, Some(Lsn(segment + 40 + 136)));
        assert_eq!(beyond(4711).holds(&at(4712, 64)), None);
    }

    #[test]
    fn a_log_ends_with_its_last_file_unless_one_is_missing_before() {
        let wal = tempfile::tempdir().unwrap();
        let size = 16 << 20;
        let end = |from| Files::from(wal.path(), 1, Lsn(from), size).unwrap().end(size);
        let put = |timeline, number| fs::write(wal.path().join(segment(timeline, number, size)), "").unwrap();
        assert_eq!(end(0), None);
        (1..=3).for_each(|number| put(1, number));
        put(2, 4);
        fs::write(wal.path().join("00000002.history"), "").unwrap();
        assert_eq!(end(size + 5), Some(Lsn(4 * size)), "another timeline's files are not counted");
        assert_eq!(end(3 * size), Some(Lsn(4 * size)));
        assert_eq!(end(4 * size), None, "there is nothing to read");
        assert_eq!(end(5), None, "the first is missing");
        put(1, 5);
        assert_eq!(end(size), None, "one is missing in the middle");
    }

    #[test]
    fn segment_names() {
        assert_eq!(segment(2, 1, 16 << 20), "000000020000000000000001");
        assert_eq!(segment(1, 256, 16 << 20), "000000010000000100000000");
    }
}
