use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::*;

fn stamp(at: u64) -> Stamp {
    Stamp { at: Time(at), wall: "2026-07-01T10:00:00Z".parse().unwrap(), boot: "boot-1".into() }
}

fn record(generation: u64) -> Record {
    Record::Restarted { generation, rebooted: false, at: Time(generation) }
}

fn open(path: &Path) -> Result<SqliteJournal, JournalError> {
    SqliteJournal::open(path, "case-api")
}

fn journal_of(path: &Path, lines: u64) -> SqliteJournal {
    let mut journal = open(path).unwrap();
    for n in 1..=lines {
        assert_eq!(journal.append(&stamp(n), &[record(n)]).unwrap(), n);
    }
    journal
}

fn scratch() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("journal.db");
    (dir, path)
}

/// Another program's hands in the file.
fn meddle(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn what_was_appended_is_read_back_and_each_opening_is_a_new_generation() {
    let (_dir, path) = scratch();
    let mut journal = open(&path).unwrap();
    assert_eq!((journal.generation(), journal.last()), (1, 0));
    assert_eq!(journal.append(&stamp(5), &[record(1), record(2)]).unwrap(), 2);
    assert_eq!(journal.append(&stamp(6), &[]).unwrap(), 2, "nothing to add is no line");
    drop(journal);

    let mut journal = open(&path).unwrap();
    assert_eq!((journal.generation(), journal.last()), (2, 2));
    assert_eq!(journal.append(&stamp(7), &[record(3)]).unwrap(), 3);
    let lines = journal.read(2, 10).unwrap();
    let seen: Vec<_> = lines.iter().map(|l| (l.seq, l.at, l.generation, l.record().unwrap())).collect();
    assert_eq!(seen, [(2, Time(5), 1, record(2)), (3, Time(7), 2, record(3))]);
    assert_eq!(lines[1].prev, lines[0].hash);
    assert_eq!(journal.read(1, 1).unwrap().len(), 1);
}

#[test]
fn a_second_controller_is_refused_until_the_first_is_gone() {
    let (_dir, path) = scratch();
    let first = open(&path).unwrap();
    assert!(matches!(open(&path), Err(JournalError::Locked { .. })));
    drop(first);
    assert_eq!(open(&path).unwrap().generation(), 2, "a refused opening counts no generation");
}

#[test]
fn a_newer_format_is_refused_and_left_as_it_is() {
    let (_dir, path) = scratch();
    drop(journal_of(&path, 2));
    meddle(&path, "PRAGMA user_version = 7");
    let error = open(&path).unwrap_err();
    assert!(matches!(error, JournalError::Newer { found: 7, known: 1, .. }), "{error}");
    meddle(&path, "PRAGMA user_version = 1");
    assert_eq!(open(&path).unwrap().generation(), 2);
}

#[test]
fn the_journal_of_another_workload_is_refused() {
    let (_dir, path) = scratch();
    drop(journal_of(&path, 1));
    assert!(matches!(SqliteJournal::open(&path, "shop"), Err(JournalError::OtherWorkload { .. })));
}

#[track_caller]
fn assert_damaged_at(path: &Path, line: u64) {
    match open(path) {
        Err(JournalError::Corrupted { seq, .. }) => assert_eq!(seq, line),
        other => panic!("damage at line {line} went unnoticed: {other:?}"),
    }
}

#[test]
fn a_changed_missing_or_cut_off_line_is_named() {
    let damage = [
        ("UPDATE line SET record = replace(record, '\"generation\":3', '\"generation\":9') WHERE seq = 3", 3),
        ("UPDATE line SET at = at + 1 WHERE seq = 2", 2),
        ("UPDATE line SET hash = prev WHERE seq = 4", 4),
        ("DELETE FROM line WHERE seq = 2", 2),
        ("DELETE FROM line WHERE seq > 3", 4),
        (
            "DELETE FROM line WHERE seq > 3; UPDATE journal SET last = 3, hash = (SELECT hash FROM line WHERE seq = 3)",
            4,
        ),
    ];
    for (sql, line) in damage {
        let (_dir, path) = scratch();
        drop(journal_of(&path, 5));
        meddle(&path, sql);
        assert_damaged_at(&path, line);
    }
}

#[test]
fn a_flipped_byte_in_the_file_is_named() {
    let (_dir, path) = scratch();
    drop(journal_of(&path, 5));
    let mut bytes = std::fs::read(&path).unwrap();
    let needle = b"\"generation\":4";
    let at = bytes.windows(needle.len()).position(|w| w == needle).expect("line 4 is in the file");
    bytes[at + needle.len() - 1] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_damaged_at(&path, 4);
}

#[test]
fn a_cut_file_is_noticed() {
    let (_dir, path) = scratch();
    drop(journal_of(&path, 200));
    let length = std::fs::metadata(&path).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length / 2).unwrap();
    assert!(matches!(open(&path), Err(JournalError::Corrupted { .. })));
}

#[test]
fn a_write_ahead_log_cut_after_a_crash_is_named() {
    let (_dir, path) = scratch();
    let journal = journal_of(&path, 5);
    // The state of the files after `kill -9`: the log has not been taken over into the main file.
    let crashed = TempDir::new().unwrap();
    for name in ["journal.db", "journal.db-wal", "journal.db.head"] {
        std::fs::copy(path.with_file_name(name), crashed.path().join(name)).unwrap();
    }
    drop(journal);
    let path = crashed.path().join("journal.db");
    let log = path.with_file_name("journal.db-wal");
    let length = std::fs::metadata(&log).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(length - 10).unwrap();
    assert_damaged_at(&path, 5);
}

/// Not a test of its own: the process that `kill_9_loses_nothing_acknowledged` starts and kills.
#[test]
#[ignore = "a process that another test starts"]
fn append_until_killed() {
    let Some(path) = std::env::var_os("ANTIPODE_TEST_JOURNAL") else { return };
    let mut journal = open(Path::new(&path)).unwrap();
    for n in 1.. {
        let seq = journal.append(&stamp(n), &[record(n), record(n)]).unwrap();
        println!("acknowledged {seq}");
    }
}

#[test]
fn kill_9_loses_nothing_acknowledged() {
    let (_dir, path) = scratch();
    let mut before = 0;
    for (round, wanted) in [(1, 20), (2, 3), (3, 50)] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["journal::tests::append_until_killed", "--exact", "--ignored", "--nocapture"])
            .env("ANTIPODE_TEST_JOURNAL", &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged: u64 = before;
        // The harness may print on the same line before the first acknowledgement.
        let mut hear = |line: std::io::Result<String>| {
            let line = line.unwrap();
            if let Some((_, seq)) = line.split_once("acknowledged ") {
                acknowledged = acknowledged.max(seq.parse().unwrap());
            }
            acknowledged
        };
        while lines.next().is_some_and(|line| hear(line) < before + wanted) {}
        child.kill().unwrap();
        child.wait().unwrap();
        // What it acknowledged between our decision and its death counts too; the last line may be cut.
        for line in lines {
            match line {
                Ok(line) if line.len() > 12 => hear(Ok(line)),
                _ => break,
            };
        }
        let journal = open(&path).unwrap();
        assert!(acknowledged >= before + wanted, "round {round}: the child appended");
        assert!(journal.last() >= acknowledged, "round {round}: {} of {acknowledged} are left", journal.last());
        assert_eq!(journal.last() % 2, 0, "records appended together stay together");
        before = journal.last();
    }
}
