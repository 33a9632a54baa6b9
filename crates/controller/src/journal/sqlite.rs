//! The journal of a single controller, in SQLite.
//!
//! Write-ahead log with `synchronous = FULL`: a commit has reached the disk when it returns. The exclusive lock is
//! held from opening to the end of the process, however it ends. SQLite takes a damaged write-ahead log for the end
//! of the log, and would quietly forget acknowledged lines; so the last line's number and hash also stand in a small
//! file beside the journal (`<journal>.head`). It is written after each commit and not synced: at worst it is older
//! than the journal, never newer.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use engine::Record;
use model::Time;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::Serialize;
use tracing::warn;

use super::chain::{Row, Walk, genesis};
use super::{Journal, JournalError, Line, Stamp};

/// Format of the file. Raise it with each change that an older version could not read.
const FORMAT: u32 = 1;

const SCHEMA: &str = "
    CREATE TABLE journal (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        workload TEXT NOT NULL, generation INTEGER NOT NULL, last INTEGER NOT NULL, hash TEXT NOT NULL
    ) STRICT;
    CREATE TABLE line (
        seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, wall TEXT NOT NULL, boot TEXT NOT NULL,
        generation INTEGER NOT NULL, record TEXT NOT NULL, prev TEXT NOT NULL, hash TEXT NOT NULL
    ) STRICT;
";

#[derive(Debug)]
pub struct SqliteJournal {
    path: PathBuf,
    db: Connection,
    head: File,
    generation: u64,
    last: u64,
    hash: String,
}

impl SqliteJournal {
    /// Opens or creates the journal of `workload`, checks every line, and counts a new generation.
    ///
    /// # Errors
    /// [`JournalError::Locked`] while another process has it, [`JournalError::Corrupted`] with the first damaged line,
    /// [`JournalError::Newer`], [`JournalError::OtherWorkload`].
    pub fn open(path: &Path, workload: &str) -> Result<Self, JournalError> {
        let fail = |error| explain(path, 0, error);
        let mut db = Connection::open(path).map_err(fail)?;
        take(&db).map_err(fail)?;
        let found: u32 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(fail)?;
        if found > FORMAT {
            return Err(JournalError::Newer { path: path.to_path_buf(), found, known: FORMAT });
        }
        durable(&db).map_err(fail)?;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
        if found == 0 {
            create(&tx, workload).map_err(fail)?;
        }
        let walk = check(&tx, path, workload)?;
        let head_path = head_path(path);
        check_head(&tx, path, &head_path, &walk)?;
        let generation = "UPDATE journal SET generation = generation + 1 RETURNING generation";
        let generation = tx.query_row(generation, [], |row| row.get::<_, i64>(0)).map_err(fail)? as u64;
        tx.commit().map_err(fail)?;
        let head = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&head_path);
        let head = head.map_err(|source| JournalError::File { path: head_path, source })?;
        Ok(Self { path: path.to_path_buf(), db, head, generation, last: walk.seq, hash: walk.hash })
    }

    fn rows<T: Serialize>(&self, stamp: &Stamp, records: &[T]) -> Vec<Row> {
        let (mut seq, mut prev) = (self.last, self.hash.clone());
        let row = |record: &T| {
            seq += 1;
            let mut row = Row {
                seq,
                at: stamp.at.0,
                wall: stamp.wall.to_string(),
                boot: stamp.boot.clone(),
                generation: self.generation,
                record: serde_json::to_string(record).expect("records are plain data with string keys"),
                prev: prev.clone(),
                hash: String::new(),
            };
            row.hash = row.reckon();
            prev.clone_from(&row.hash);
            row
        };
        records.iter().map(row).collect()
    }

    fn write(&mut self, rows: &[Row]) -> rusqlite::Result<()> {
        let Some(end) = rows.last() else { return Ok(()) };
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for row in rows {
            tx.prepare_cached("INSERT INTO line VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(params![
                row.seq as i64,
                row.at as i64,
                row.wall,
                row.boot,
                row.generation as i64,
                row.record,
                row.prev,
                row.hash
            ])?;
        }
        tx.execute("UPDATE journal SET last = ?1, hash = ?2", params![end.seq as i64, end.hash])?;
        tx.commit()
    }
}

impl SqliteJournal {
    /// As [`Journal::append`], for records that are not a controller's.
    pub fn append_any<T: Serialize>(&mut self, stamp: &Stamp, records: &[T]) -> Result<u64, JournalError> {
        let rows = self.rows(stamp, records);
        self.write(&rows).map_err(|e| explain(&self.path, self.last + 1, e))?;
        if let Some(end) = rows.last() {
            self.last = end.seq;
            self.hash.clone_from(&end.hash);
            if let Err(error) = self.head.write_all_at(head_text(end.seq, &end.hash).as_bytes(), 0) {
                warn!(%error, "cannot note the end of the journal beside it");
            }
        }
        Ok(self.last)
    }
}

impl Journal for SqliteJournal {
    fn append(&mut self, stamp: &Stamp, records: &[Record]) -> Result<u64, JournalError> {
        self.append_any(stamp, records)
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Line>, JournalError> {
        let fail = |error| explain(&self.path, from, error);
        let sql = "SELECT * FROM line WHERE seq >= ?1 ORDER BY seq LIMIT ?2";
        let mut query = self.db.prepare_cached(sql).map_err(fail)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query.query_map(params![from.min(i64::MAX as u64) as i64, limit], row).map_err(fail)?;
        rows.map(|row| line(&self.path, row.map_err(fail)?)).collect()
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn last(&self) -> u64 {
        self.last
    }
}

/// Takes the exclusive lock, and keeps it.
fn take(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(std::time::Duration::ZERO)?;
    db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    db.execute_batch("BEGIN EXCLUSIVE; COMMIT")
}

fn durable(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")
}

fn create(tx: &Transaction<'_>, workload: &str) -> rusqlite::Result<()> {
    tx.execute_batch(SCHEMA)?;
    tx.execute("INSERT INTO journal VALUES (1, ?1, 0, 0, ?2)", params![workload, genesis(workload)])?;
    tx.pragma_update(None, "user_version", FORMAT)
}

/// Walks the whole chain.
fn check(tx: &Transaction<'_>, path: &Path, workload: &str) -> Result<Walk, JournalError> {
    let damaged = |seq, why| JournalError::Corrupted { path: path.to_path_buf(), seq, why };
    let sql = "SELECT workload, last, hash FROM journal";
    let header = tx.query_row(sql, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get(2)?)));
    let header = header.optional().map_err(|e| explain(path, 0, e))?;
    let (found, last, hash): (String, i64, String) = header.ok_or_else(|| damaged(0, "it has no header".into()))?;
    if found != workload {
        return Err(JournalError::OtherWorkload { path: path.to_path_buf(), found, wanted: workload.to_string() });
    }
    let mut walk = Walk::new(workload);
    let mut query = tx.prepare("SELECT * FROM line ORDER BY seq").map_err(|e| explain(path, 0, e))?;
    let mut rows = query.query([]).map_err(|e| explain(path, 0, e))?;
    loop {
        let at = walk.seq + 1;
        let Some(next) = rows.next().map_err(|e| explain(path, at, e))? else { break };
        let next = row(next).map_err(|e| explain(path, at, e))?;
        walk.follow(&next).map_err(|(seq, why)| damaged(seq, why))?;
    }
    if (walk.seq, &walk.hash) != (last as u64, &hash) {
        return Err(damaged(
            walk.seq + 1,
            format!("the journal should end with line {last}, and ends with {}", walk.seq),
        ));
    }
    Ok(walk)
}

/// Compares the end of the journal with the one noted beside it. A note that cannot be read proves nothing.
fn check_head(tx: &Transaction<'_>, path: &Path, head: &Path, walk: &Walk) -> Result<(), JournalError> {
    let text = std::fs::read_to_string(head).unwrap_or_default();
    let noted = text.trim().split_once(' ').and_then(|(seq, hash)| Some((seq.parse::<u64>().ok()?, hash)));
    let Some((seq, hash)) = noted.filter(|(_, hash)| hash.len() == walk.hash.len()) else { return Ok(()) };
    let damaged = |seq, why| JournalError::Corrupted { path: path.to_path_buf(), seq, why };
    if seq > walk.seq {
        let why = format!("lines {} to {seq} were written and are gone", walk.seq + 1);
        return Err(damaged(walk.seq + 1, why));
    }
    let stored = tx.query_row("SELECT hash FROM line WHERE seq = ?1", [seq as i64], |row| row.get::<_, String>(0));
    if stored.optional().map_err(|e| explain(path, seq, e))?.is_none_or(|stored| stored == hash) {
        return Ok(());
    }
    Err(damaged(seq, format!("it is another line than the one noted in {}", head.display())))
}

fn head_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".head");
    PathBuf::from(name)
}

/// Always the same length, so that a write replaces the whole of the one before.
fn head_text(seq: u64, hash: &str) -> String {
    format!("{seq:020} {hash}\n")
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let number = |index| row.get::<_, i64>(index).map(|n| n as u64);
    Ok(Row {
        seq: number(0)?,
        at: number(1)?,
        wall: row.get(2)?,
        boot: row.get(3)?,
        generation: number(4)?,
        record: row.get(5)?,
        prev: row.get(6)?,
        hash: row.get(7)?,
    })
}

fn line(path: &Path, row: Row) -> Result<Line, JournalError> {
    let Row { seq, at, wall, boot, generation, record, prev, hash } = row;
    let record = serde_json::from_str(&record).map_err(|e| JournalError::Corrupted {
        path: path.to_path_buf(),
        seq,
        why: e.to_string(),
    })?;
    Ok(Line { seq, at: Time(at), wall, boot, generation, record, prev, hash })
}

/// `seq` is the line that was being read or written.
fn explain(path: &Path, seq: u64, source: rusqlite::Error) -> JournalError {
    let path = path.to_path_buf();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => JournalError::Locked { path },
        Some(ErrorCode::DiskFull) => JournalError::Full { path },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            JournalError::Corrupted { path, seq, why: source.to_string() }
        }
        _ if matches!(
            source,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..)
        ) =>
        {
            JournalError::Corrupted { path, seq, why: source.to_string() }
        }
        _ => JournalError::Database { path, source },
    }
}
