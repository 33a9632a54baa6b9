//! Reading the write-ahead log of a server at rest, by `pg_waldump`.

use std::process::ExitStatus;

use model::Lsn;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::config::text;
use super::control::Control;
use super::server::{Pass, Server};
use super::{Error, server};

/// One line of `pg_waldump`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Record {
    pub lsn: Lsn,
    pub length: u64,
    pub transaction: String,
    pub description: String,
}

impl Record {
    /// `rmgr: Transaction len (rec/tot): 34/ 34, tx: 735, lsn: 0/01569B08, prev 0/01569AD0, desc: COMMIT 2026-...`
    fn parse(line: &str) -> Option<Self> {
        let after = |label: &str| line.split_once(label).map(|(_, rest)| rest.trim_start());
        let word = |label| after(label).map(|rest| rest.split([',', ' ']).next().unwrap_or_default());
        let total = after("(rec/tot):")?.split_once('/')?.1.trim_start();
        Some(Self {
            lsn: word("lsn:")?.parse().ok()?,
            length: total.split(',').next()?.trim().parse().ok()?,
            transaction: word("tx:")?.to_owned(),
            description: after("desc:")?.to_owned(),
        })
    }

    /// Of a transaction, or of a prepared one.
    pub fn is_commit(&self) -> bool {
        self.description.starts_with("COMMIT")
    }

    pub fn end(&self, segment_bytes: u64) -> Lsn {
        record_end(self.lsn, self.length, segment_bytes)
    }
}

/// One past a record: pages that it crosses add their headers, and the next record is aligned.
fn record_end(start: Lsn, length: u64, segment_bytes: u64) -> Lsn {
    const PAGE: u64 = 8192;
    let (mut at, mut left) = (start.0, length);
    while left > 0 {
        if at.is_multiple_of(PAGE) {
            at += if at.is_multiple_of(segment_bytes) { 40 } else { 24 };
        }
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
        pass: Pass,
        mut each: impl FnMut(Record) -> bool,
    ) -> Result<(), Error> {
        let (wal, timeline, from) = (text(&self.config.data().join("pg_wal")), timeline.to_string(), from.to_string());
        let command = self.tool("pg_waldump", ["-p", &wal, "-t", &timeline, "-s", &from]);
        let mut child = self.spawn(command, pass, "pg_waldump")?;
        let mut lines = BufReader::new(child.stdout.take().expect("standard output is a pipe")).lines();
        while let Some(line) = lines.next_line().await.map_err(Error::file("read from pg_waldump"))? {
            let record = Record::parse(&line).ok_or_else(|| Error::parse("a line of pg_waldump", line))?;
            if !each(record) {
                // Until it is gone it counts as a process of the data directory.
                return child.kill().await.map_err(Error::file("end pg_waldump"));
            }
        }
        let mut said = Vec::new();
        let mut complaints = child.stderr.take().expect("standard error is a pipe");
        complaints.read_to_end(&mut said).await.map_err(Error::file("read from pg_waldump"))?;
        let status = child.wait().await.map_err(Error::file("wait for pg_waldump"))?;
        ended(status, &said)
    }

    /// One past the last record of a server that was stopped cleanly: its checkpoint.
    pub(super) async fn record_end(&self, control: &Control, pass: Pass) -> Result<Lsn, Error> {
        let mut checkpoint = None;
        let first = |record: Record| {
            checkpoint = Some(record.end(control.segment_bytes));
            false
        };
        self.scan(control.checkpoint_timeline, control.checkpoint, pass, first).await?;
        checkpoint
            .ok_or_else(|| Error::parse("the log, which lacks its last checkpoint", control.checkpoint.to_string()))
    }
}

/// `pg_waldump` always fails where the log ends. That the next record is not valid is that end.
fn ended(status: ExitStatus, said: &[u8]) -> Result<(), Error> {
    let said = server::last_lines(said);
    let end = ["could not find a valid record after", "error in WAL record at"];
    if status.success() || (end.iter().any(|text| said.contains(text)) && !said.contains("could not find file")) {
        return Ok(());
    }
    Err(Error::Program { program: "pg_waldump".into(), status: status.to_string(), said })
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

    #[test]
    fn record_ends() {
        let end = |start, length| record_end(Lsn(start), length, 16 << 20).0;
        assert_eq!(end(0x28, 114), 0x28 + 120);
        assert_eq!(end(8192 - 64, 114), 8192 + 24 + 50 + 6, "a page header lies between");
        assert_eq!(end(8192 - 64, 64), 8192, "it ends with the page");
        assert_eq!(end((16 << 20) - 8, 40), (16 << 20) + 40 + 32, "a segment's first header is longer");
    }

    #[test]
    fn segment_names() {
        assert_eq!(segment(2, 1, 16 << 20), "000000020000000000000001");
        assert_eq!(segment(1, 256, 16 << 20), "000000010000000100000000");
    }
}
