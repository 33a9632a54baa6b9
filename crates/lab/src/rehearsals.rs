//! The history of drills on disk: one line for each, appended and never changed. What follows from it is decided in
//! [`engine::schedule`].
//!
//! A line is durable before it counts. A crash in the middle of one leaves a last line without its end: it was never
//! recorded, so readers leave it out and the next writer removes it. Any other line that cannot be read is an error,
//! because leaving out a failure would make an older success count.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::schedule::{Basis, Entry, runbook_text, spec_text};
use model::Topology;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::report::{DrillResult, Verdict};

/// The version of the lines that are written. A reader refuses a newer one.
const VERSION: u32 = 1;
/// In the folder of the history.
pub const FILE: &str = "history.jsonl";

#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("cannot {doing} {}", .path.display())]
    File { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("line {line} of {} cannot be read", .path.display())]
    Line { path: PathBuf, line: usize, source: serde_json::Error },
    #[error("line {line} of {} has version {version}, and this program knows up to {VERSION}", .path.display())]
    Newer { path: PathBuf, line: usize, version: u32 },
}

#[derive(Serialize, Deserialize)]
struct Line {
    version: u32,
    workload: String,
    #[serde(flatten)]
    entry: Entry,
}

/// What evidence of this workload rests on today.
pub fn basis(topology: &Arc<Topology>) -> Basis {
    Basis { spec: digest(&spec_text(topology)), runbook: digest(&runbook_text(topology)) }
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The entry of a drill that has just ended, `ended` seconds after 1970.
pub fn entry_of(result: &DrillResult, basis: &Basis, ended: u64) -> Entry {
    let report = Path::new(&result.evidence).with_file_name("report.html");
    Entry {
        drill: result.drill.clone(),
        ended,
        passed: result.verdict == Verdict::Passed,
        rto_seconds: result.rto_seconds.ttl_honouring.map(|rto| rto.get()),
        rpo_seconds: result.objectives.rpo_measured_seconds.map(|rpo| rpo.get()),
        basis: basis.clone(),
        report: report.display().to_string(),
    }
}

/// The entries of `workload` in the order they were written; none where there is no file yet.
pub fn read(folder: &Path, workload: &str) -> Result<Vec<Entry>, HistoryError> {
    let path = folder.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(HistoryError::File { doing: "read", path, source }),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut entries = Vec::new();
    for (number, line) in whole.lines().enumerate() {
        let line = parse(line, &path, number + 1)?;
        if line.workload == workload {
            entries.push(line.entry);
        }
    }
    Ok(entries)
}

/// The version is looked at first: a newer line may have another shape.
fn parse(text: &str, path: &Path, line: usize) -> Result<Line, HistoryError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let bad = |source| HistoryError::Line { path: path.into(), line, source };
    let Versioned { version } = serde_json::from_str(text).map_err(bad)?;
    if version > VERSION {
        return Err(HistoryError::Newer { path: path.into(), line, version });
    }
    serde_json::from_str(text).map_err(bad)
}

/// Appends one line and makes it durable. Two writers wait for each other.
pub fn append(folder: &Path, workload: &str, entry: &Entry) -> Result<(), HistoryError> {
    let path = folder.join(FILE);
    let failed = |doing| {
        let path = path.clone();
        move |source| HistoryError::File { doing, path, source }
    };
    std::fs::create_dir_all(folder).map_err(failed("make the folder of"))?;
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(failed("open"))?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(|error| failed("lock")(error.into()))?;
    drop_torn_end(&mut file).map_err(failed("mend"))?;
    let line = Line { version: VERSION, workload: workload.into(), entry: entry.clone() };
    let text = format!("{}\n", serde_json::to_string(&line).expect("an entry has text keys only"));
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed("write"))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("write"))
}

fn drop_torn_end(file: &mut File) -> std::io::Result<()> {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut text)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < text.len() { file.set_len(whole as u64) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(drill: &str, ended: u64) -> Entry {
        let basis = Basis { spec: "s".into(), runbook: "r".into() };
        let report = "x/report.html".into();
        Entry { drill: drill.into(), ended, passed: true, rto_seconds: Some(5.5), rpo_seconds: None, basis, report }
    }

    #[test]
    fn what_was_appended_is_read_back_for_its_workload_alone() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("deep/er");
        assert_eq!(read(&kept, "a").unwrap(), []);
        append(&kept, "a", &entry("region-loss", 1)).unwrap();
        append(&kept, "b", &entry("zone-loss", 2)).unwrap();
        append(&kept, "a", &entry("all", 3)).unwrap();
        assert_eq!(read(&kept, "a").unwrap(), [entry("region-loss", 1), entry("all", 3)]);
    }

    #[test]
    fn a_line_that_was_never_finished_was_never_recorded() {
        let folder = tempfile::tempdir().unwrap();
        append(folder.path(), "a", &entry("region-loss", 1)).unwrap();
        let path = folder.path().join(FILE);
        let whole = std::fs::read_to_string(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, format!("{whole}{}", &whole[..cut])).unwrap();
            assert_eq!(read(folder.path(), "a").unwrap().len(), 1, "cut at {cut}");
        }
        append(folder.path(), "a", &entry("all", 3)).unwrap();
        assert_eq!(read(folder.path(), "a").unwrap(), [entry("region-loss", 1), entry("all", 3)]);
    }

    #[test]
    fn damage_and_newer_versions_are_refused_with_their_line() {
        let folder = tempfile::tempdir().unwrap();
        append(folder.path(), "a", &entry("region-loss", 1)).unwrap();
        let path = folder.path().join(FILE);
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{whole}nonsense\n{whole}")).unwrap();
        assert!(matches!(read(folder.path(), "a"), Err(HistoryError::Line { line: 2, .. })));
        std::fs::write(&path, format!("{whole}{{\"version\":2,\"other\":\"shape\"}}\n")).unwrap();
        assert!(matches!(read(folder.path(), "a"), Err(HistoryError::Newer { line: 2, version: 2, .. })));
    }
}
