//! The journal: a damaged file is an error that names the first bad line, or it still holds every line. Never a panic,
//! and never a shorter journal without a word.
//!
//! An input is an edit of a whole journal, as a failing disk or a clumsy hand makes it: the number of the file in
//! [`PARTS`], or [`SETTLED`], then any number of changes of [`CHANGE`] bytes (kind, place in three bytes, length, value).

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use controller::journal::{Journal, JournalError, Line, SqliteJournal, Stamp};
use engine::Record;
use model::Time;

/// What a journal consists of after a crash: the write-ahead log is not yet taken over.
pub const PARTS: [&str; 3] = ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite.head"];
/// The main file of a journal that was closed: what stands in it is not written over by the log when it is read.
pub const SETTLED: u8 = PARTS.len() as u8;
pub const CHANGE: usize = 6;
const WORKLOAD: &str = "case-api";
const LINES: u64 = 6;

struct Base {
    folder: PathBuf,
    files: [Vec<u8>; 3],
    settled: Vec<u8>,
    lines: Vec<Line>,
}

/// The whole journal, made once: the same lines and hashes in every process.
static BASE: LazyLock<Base> = LazyLock::new(|| {
    let folder = super::scratch("journal");
    let made = folder.join("made");
    std::fs::create_dir_all(&made).unwrap();
    let path = made.join(PARTS[0]);
    let mut journal = SqliteJournal::open(&path, WORKLOAD).unwrap();
    let stamp = |at| Stamp { at: Time(at), wall: "2026-07-01T10:00:00Z".parse().unwrap(), boot: "boot-1".into() };
    for n in 1..=LINES / 2 {
        let record = Record::Restarted { generation: n, rebooted: false, at: Time(n) };
        journal.append(&stamp(n), &[record]).unwrap();
    }
    // Half of it in the main file, half of it in the log.
    drop(journal);
    let mut journal = SqliteJournal::open(&path, WORKLOAD).unwrap();
    for n in LINES / 2 + 1..=LINES {
        journal.append(&stamp(n), &[Record::Frozen { run: None }]).unwrap();
    }
    let lines = journal.read(1, usize::MAX).unwrap();
    let files = PARTS.map(|part| std::fs::read(made.join(part)).unwrap());
    drop(journal);
    let settled = std::fs::read(&path).unwrap();
    std::fs::remove_dir_all(made).unwrap();
    Base { folder, files, settled, lines }
});

pub fn check(bytes: &[u8]) {
    let Some((part, changes)) = bytes.split_first() else { return };
    let base = &*BASE;
    let _ = std::fs::remove_file(base.folder.join("journal.sqlite-shm"));
    let _ = std::fs::remove_file(base.folder.join("journal.sqlite-journal"));
    let part = *part % (SETTLED + 1);
    for (n, (name, whole)) in (0u8..).zip(PARTS.iter().zip(&base.files)) {
        let mut content = match (part, n) {
            (SETTLED, 0) => base.settled.clone(),
            (SETTLED, 1) => Vec::new(),
            _ => whole.clone(),
        };
        if n == part || (part == SETTLED && n == 0) {
            changes.chunks_exact(CHANGE).for_each(|change| edit(&mut content, change));
        }
        std::fs::write(base.folder.join(name), content).expect("memory has room");
    }
    match read(&base.folder.join(PARTS[0])) {
        Ok(lines) => assert!(lines == base.lines, "the journal is another one, and nothing was said: {lines:?}"),
        Err(JournalError::Corrupted { seq, why, .. }) => {
            assert!(seq <= LINES + 1, "line {seq} of {LINES} is damaged: {why}");
        }
        // Where the damage hit the file's own header.
        Err(JournalError::Newer { .. } | JournalError::OtherWorkload { .. } | JournalError::Database { .. }) => {}
        Err(error) => panic!("{error}: that is not what is wrong"),
    }
}

/// Every number that a line of the journal holds, made another one: the text stays JSON, and only its hash can tell.
pub fn other_numbers() -> Vec<Vec<u8>> {
    const BEFORE: &[u8] = b"\"generation\":";
    let mut edits = vec![vec![SETTLED]];
    for (part, content) in [(0, &BASE.files[0]), (1, &BASE.files[1]), (SETTLED, &BASE.settled)] {
        for (at, _) in content.windows(BEFORE.len()).enumerate().filter(|(_, window)| *window == BEFORE) {
            let [_, a, b, c] = ((at + BEFORE.len()) as u32).to_be_bytes();
            edits.push(vec![part, 2, a, b, c, 1, 1]);
        }
    }
    assert!(edits.iter().filter(|edit| edit[0] == SETTLED).count() > 1, "no line holds a number");
    edits
}

fn edit(content: &mut Vec<u8>, change: &[u8]) {
    let &[kind, a, b, c, length, value] = change else { return };
    let at = u32::from_be_bytes([0, a, b, c]) as usize % (content.len() + 1);
    let end = (at + usize::from(length)).min(content.len());
    match kind % 6 {
        0 => content.truncate(at),
        1 => content[at..end].fill(value),
        2 => content[at..end].iter_mut().for_each(|byte| *byte ^= value),
        // Four kilobytes are a page of the file.
        3 => content.copy_within(at..end, (at / 4096 * 4096).min(at)),
        4 => drop(content.drain(at..end)),
        _ => drop(content.splice(at..at, std::iter::repeat_n(value, length.into()))),
    }
}

fn read(path: &Path) -> Result<Vec<Line>, JournalError> {
    SqliteJournal::open(path, WORKLOAD)?.read(1, usize::MAX)
}
