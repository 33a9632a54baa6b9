//! Keeping what only this side has, before it is given up (SAFETY.md item 13): the write-ahead log from the divergence on,
//! and the rows that it made, compared with the new writer's.
//!
//! ```text
//! export/diverged-1-0000000003000110/
//!   rows.jsonl       one row a line: table, kind, key, ledger id, the row here and there
//!   commits.jsonl    one transaction a line
//!   00000001...      the log itself
//!   manifest.json    counts and digests; written last, when all else is on the disk
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use model::Lsn;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::control::Control;
use super::files::{own, remove_directory, sync_parent};
use super::history::{Fork, History};
use super::isolated::{Isolated, Needed};
use super::rows::{Compared, Comparison};
use super::server::{Pass, Server};
use super::tables::Side;
use super::touched::Touched;
use super::upstream::Source;
use super::wal::segment;
use super::{Divergence, Error, Stopwatch};

/// `manifest.json` of an export. Written last: an export without one is unfinished.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Manifest {
    site: String,
    system: String,
    /// The last position in common with the upstream.
    timeline: u32,
    divergence: Lsn,
    /// Where the log of this side ends, for each timeline that it lived on since.
    ends: Vec<(u32, Lsn)>,
    /// Commit records after the divergence, each in `commits.jsonl`.
    commits: u64,
    segments: Vec<Segment>,
    /// What `rows.jsonl` holds.
    compared: Compared,
    rows: Segment,
}

/// That an export is complete and on the disk. Only this module makes one, and nothing is rewound without.
pub(super) struct Sealed(pub Divergence);

/// A file of an export; of the write-ahead log copied as it was.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Segment {
    name: String,
    bytes: u64,
    sha256: String,
}

/// A line of `commits.jsonl`.
#[derive(Serialize)]
struct Commit<'a> {
    lsn: Lsn,
    transaction: &'a str,
    /// What `pg_waldump` says of it, which begins with the time of the commit.
    record: &'a str,
}

impl Server {
    /// Copies the log after `fork`, and the rows that only this side has, into a directory of its own and syncs it. Finds
    /// and returns what an earlier try completed, because a rewind that failed may have changed the original.
    pub(super) async fn export(
        &self,
        source: &Source,
        control: &Control,
        history: &History,
        fork: &Fork,
        pass: Pass,
        watch: &mut Stopwatch,
    ) -> Result<Sealed, Error> {
        let name = format!("diverged-{}-{:016X}", fork.timeline, fork.lsn.0);
        let directory = self.config.home.join("export").join(name);
        if let Some(sealed) = sealed(&directory) {
            return Ok(sealed);
        }
        remove_directory(&directory)?;
        fs::create_dir_all(&directory).map_err(Error::file(format!("make {}", directory.display())))?;
        own(&directory, None, 0o700)?;
        let (mut ends, mut segments, mut commits) = (Vec::new(), Vec::new(), 0);
        let mut touched = Touched::default();
        let mut list = BufWriter::new(create(&directory.join("commits.jsonl"))?);
        for (timeline, from) in history.after(fork) {
            let (mut end, mut failed) = (from, None);
            let each = |record: super::wal::Record| {
                end = record.end(control.segment_bytes);
                touched.note(&record);
                if record.is_commit() {
                    commits += 1;
                    let commit =
                        Commit { lsn: record.lsn, transaction: &record.transaction, record: &record.description };
                    let line = serde_json::to_string(&commit).expect("plain data serialises");
                    failed = writeln!(list, "{line}").err();
                }
                failed.is_none()
            };
            self.scan_after(timeline, from, control.segment_bytes, pass, each).await?;
            failed.map_or(Ok(()), Err).map_err(Error::file("write commits.jsonl"))?;
            segments.extend(self.copy_segments(&directory, timeline, from, end, control.segment_bytes)?);
            ends.push((timeline, end));
        }
        let list = list.into_inner().map_err(|e| Error::file("write commits.jsonl")(e.into_error()))?;
        list.sync_all().map_err(Error::file("sync commits.jsonl"))?;
        watch.lap("read the log");
        let end = ends.last().map_or(fork.lsn, |(_, end)| *end).max(control.reached());
        let path = directory.join("rows.jsonl");
        let out = create(&path)?;
        let needed = Needed { redo: control.redo, end, segment_bytes: control.segment_bytes };
        let isolated = self.isolate(&needed, pass, watch).await?;
        let compared = self.compare_rows(source, control, history, fork, touched, out, pass, isolated).await?;
        let rows = digest(&path, "rows.jsonl".into())?;
        let (site, system) = (self.config.site.to_string(), control.system.clone());
        let (timeline, divergence) = (fork.timeline, fork.lsn);
        let manifest =
            Manifest { site, system, timeline, divergence, ends, commits, segments, compared: compared.clone(), rows };
        seal(&directory, &manifest)?;
        sealed(&directory).ok_or_else(|| Error::parse("the export's manifest", directory.display().to_string()))
    }

    /// Compares a copy of the data, recovered to its end, with the new writer.
    #[allow(clippy::too_many_arguments)] // what the export knows, passed on whole
    async fn compare_rows(
        &self,
        source: &Source,
        control: &Control,
        history: &History,
        fork: &Fork,
        mut touched: Touched,
        out: File,
        pass: Pass,
        isolated: Isolated,
    ) -> Result<Compared, Error> {
        let work = async {
            let mut here = Side::open(self.copy_session().await?, &self.config).await?;
            let mut there = Side::open(source.reader(&self.config).await?, &self.config).await?;
            if let Some(timeline) = source.history.next(fork) {
                there.first = there.first_write(timeline).await?;
            }
            if let Some(timeline) = history.next(fork) {
                here.first = here.first_write(timeline).await?;
            }
            // Both go on counting from the same number.
            let first = there.first.or(here.first);
            (here.first, there.first) = (first, first);
            self.look_back(&mut touched, fork, first, control.segment_bytes, pass).await?;
            Comparison::new(here, there, &touched, out).run().await
        };
        let compared = work.await;
        drop(isolated);
        self.clear_copy()?;
        compared
    }

    fn copy_segments(
        &self,
        to: &Path,
        timeline: u32,
        from: Lsn,
        end: Lsn,
        segment_bytes: u64,
    ) -> Result<Vec<Segment>, Error> {
        let last = end.0.max(from.0 + 1) - 1;
        let wal = self.config.data().join("pg_wal");
        let mut copied = Vec::new();
        for number in from.0 / segment_bytes..=last / segment_bytes {
            let name = segment(timeline, number, segment_bytes);
            copied.push(copy(&wal.join(&name), &to.join(&name), name)?);
        }
        let history = format!("{timeline:08X}.history");
        if wal.join(&history).exists() {
            copied.push(copy(&wal.join(&history), &to.join(&history), history)?);
        }
        Ok(copied)
    }
}

/// What an export that is complete says; `None` for one that is not, or whose rows are not those of its manifest.
pub(super) fn sealed(directory: &Path) -> Option<Sealed> {
    let manifest: Manifest = serde_json::from_str(&fs::read_to_string(directory.join("manifest.json")).ok()?).ok()?;
    let rows = digest(&directory.join(&manifest.rows.name), manifest.rows.name.clone()).ok()?;
    (rows == manifest.rows).then(|| {
        Sealed(Divergence {
            timeline: manifest.timeline,
            lsn: manifest.divergence,
            commits: Some(manifest.commits),
            rows: Some(manifest.compared.rows),
            whole: None,
            export: directory.to_owned(),
        })
    })
}

fn create(path: &Path) -> Result<File, Error> {
    let open = OpenOptions::new().write(true).create(true).truncate(true).open(path);
    open.map_err(Error::file(format!("make {}", path.display())))
}

/// Writes the manifest when all else is on the disk, and makes the directory itself durable.
fn seal(directory: &Path, manifest: &Manifest) -> Result<(), Error> {
    let path = directory.join("manifest.json");
    sync_parent(&path)?;
    let text = serde_json::to_string_pretty(manifest).expect("plain data serialises");
    let next = directory.join("manifest.new");
    let mut file = create(&next)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(Error::file("write the manifest"))?;
    fs::rename(&next, &path).map_err(Error::file("name the manifest"))?;
    sync_parent(&path)?;
    sync_parent(directory)?;
    sync_parent(directory.parent().unwrap_or(directory))
}

/// Size and digest of a file; each piece of it goes to `also` as well.
fn read(from: &Path, name: String, mut also: impl FnMut(&[u8]) -> std::io::Result<()>) -> Result<Segment, Error> {
    let what = || Error::file(format!("read {}", from.display()));
    let mut source = File::open(from).map_err(what())?;
    let (mut digest, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        let read = source.read(&mut buffer).map_err(what())?;
        if read == 0 {
            break;
        }
        also(&buffer[..read]).map_err(Error::file(format!("copy {}", from.display())))?;
        digest.update(&buffer[..read]);
        bytes += read as u64;
    }
    let sha256 = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Segment { name, bytes, sha256 })
}

fn digest(path: &Path, name: String) -> Result<Segment, Error> {
    read(path, name, |_| Ok(()))
}

fn copy(from: &Path, to: &Path, name: String) -> Result<Segment, Error> {
    let mut target = create(to)?;
    let copied = read(from, name, |piece| target.write_all(piece))?;
    target.sync_all().map_err(Error::file(format!("sync {}", to.display())))?;
    Ok(copied)
}
