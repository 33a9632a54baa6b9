//! The vault: full backups and archived log, kept by the witness apart from every region that writes them.
//!
//! It only takes what is new. No call changes or deletes what it has: whoever owns a region, its database or its agent,
//! cannot reach back into the past. It forgets by itself, by the spec's `keep`, counted from the newest moment that it
//! holds, so that neither a region's clock nor its own can make it forget too soon.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drivers::postgres::{About, Chain, Entry};
use model::SiteId;
use model::backup::{VaultReport, WallTime};
use ring::digest::{Context, SHA256};

/// How much is handed over at once: below what a body over HTTP may have, and little enough to repeat.
pub const PART: usize = 1 << 20;
/// What is written beside each file once it is whole.
const ENTRY: &str = ".entry";

/// Why a vault did not take or give something.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("cannot {doing} {}: {source}", .path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    /// Nothing is ever changed.
    #[error("the vault has another `{0}` already")]
    Taken(String),
    #[error("{0}")]
    Wrong(String),
}

pub struct VaultStore {
    folder: PathBuf,
    keep: Duration,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    entries: BTreeMap<String, Entry>,
    /// As of the last change: it is asked for several times a second.
    report: VaultReport,
}

impl VaultStore {
    /// The vault in `folder`, which is made if need be, for its owner alone. What was never sealed is dropped.
    pub fn open(folder: &Path, keep: Duration) -> Result<Self, VaultError> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("make", folder))?;
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed("protect", folder))?;
        let store = Self { folder: folder.into(), keep, known: Mutex::default() };
        let listed = fs::read_dir(folder).map_err(failed("list", folder))?;
        let mut entries = BTreeMap::new();
        for path in listed.flatten().map(|entry| entry.path()) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with('.') {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            } else if let Some(of) = name.strip_suffix(ENTRY) {
                let read: Option<Entry> = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
                let size = fs::metadata(store.path(of)).map(|meta| meta.len()).ok();
                match read.filter(|entry| Some(entry.bytes) == size && entry.name == of) {
                    Some(entry) => drop(entries.insert(of.to_owned(), entry)),
                    None => tracing::error!(file = of, "the vault's file is not as its entry says; it is not used"),
                }
            }
        }
        store.known().entries = entries;
        store.known().count();
        Ok(store)
    }

    pub fn list(&self) -> Vec<Entry> {
        self.known().entries.values().cloned().collect()
    }

    pub fn report(&self) -> VaultReport {
        self.known().report.clone()
    }

    /// The next part of a file that `from` hands over; offset 0 begins anew.
    pub fn add(&self, from: &SiteId, name: &str, offset: u64, bytes: &[u8]) -> Result<(), VaultError> {
        check_name(name)?;
        let path = self.unsealed(from, name);
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(offset == 0).mode(0o600);
        let mut file = options.open(&path).map_err(failed("write", &path))?;
        let length = file.metadata().map_err(failed("look at", &path))?.len();
        if length != offset {
            return Err(VaultError::Wrong(format!("{name}: part {offset} came when {length} bytes were here")));
        }
        file.seek(SeekFrom::End(0)).map_err(failed("write", &path))?;
        file.write_all(bytes).map_err(failed("write", &path))
    }

    /// What `from` has handed over is whole: from here on it stays as it is. The same content again is no error.
    pub fn seal(&self, from: &SiteId, entry: &Entry) -> Result<(), VaultError> {
        check_name(&entry.name)?;
        let (part, path) = (self.unsealed(from, &entry.name), self.path(&entry.name));
        let kept = |known: &Known| known.entries.get(&entry.name).map(|there| there.sha256 == entry.sha256);
        if let Some(same) = kept(&self.known()) {
            let _ = fs::remove_file(&part);
            return if same { Ok(()) } else { Err(VaultError::Taken(entry.name.clone())) };
        }
        // Nobody waits for a reading of the whole file: reports are given meanwhile. Under this name no part is added.
        let sealing = self.path(&format!(".sealing.{from}.{}", entry.name));
        fs::rename(&part, &sealing).map_err(failed("read", &part))?;
        let file = File::open(&sealing).map_err(failed("read", &sealing))?;
        let (bytes, sha256) = digest(&file).map_err(failed("read", &sealing))?;
        if (bytes, &*sha256) != (entry.bytes, &*entry.sha256) {
            let _ = fs::remove_file(&sealing);
            return Err(VaultError::Wrong(format!("{} did not arrive as it was sent", entry.name)));
        }
        file.set_permissions(Permissions::from_mode(0o400)).map_err(failed("protect", &sealing))?;
        file.sync_all().map_err(failed("sync", &sealing))?;
        let mut known = self.known();
        if let Some(same) = kept(&known) {
            let _ = fs::remove_file(&sealing);
            return if same { Ok(()) } else { Err(VaultError::Taken(entry.name.clone())) };
        }
        fs::rename(&sealing, &path).map_err(failed("keep", &path))?;
        self.write_entry(entry)?;
        known.entries.insert(entry.name.clone(), entry.clone());
        known.count();
        if matches!(entry.about, About::Base { .. }) {
            self.forget(&mut known)?;
        }
        Ok(())
    }

    /// A part of what is here, empty at its end.
    pub fn part(&self, name: &str, offset: u64) -> Result<Vec<u8>, VaultError> {
        if !self.known().entries.contains_key(name) {
            return Err(VaultError::Wrong(format!("the vault has no `{name}`")));
        }
        let path = self.path(name);
        let mut file = File::open(&path).map_err(failed("read", &path))?;
        file.seek(SeekFrom::Start(offset)).map_err(failed("read", &path))?;
        let mut bytes = Vec::new();
        file.take(PART as u64).read_to_end(&mut bytes).map_err(failed("read", &path))?;
        Ok(bytes)
    }

    /// Drops what no moment of the kept past needs; never the last backup that can be used.
    fn forget(&self, known: &mut Known) -> Result<(), VaultError> {
        let Some(newest) = known.report.reaches().or_else(|| known.report.bases.last().map(|base| base.from)) else {
            return Ok(());
        };
        let since = WallTime(newest.at.0.saturating_sub(self.keep.as_micros() as i64));
        let entries: Vec<Entry> = known.entries.values().cloned().collect();
        for name in Chain::new(&entries).expired(since) {
            let entry = self.path(&format!("{name}{ENTRY}"));
            // The entry first: a file without one is not counted.
            fs::remove_file(&entry).map_err(failed("remove", &entry))?;
            let path = self.path(&name);
            fs::remove_file(&path).map_err(failed("remove", &path))?;
            tracing::info!(%name, "no kept moment needs it; dropped");
            known.entries.remove(&name);
        }
        known.count();
        Ok(())
    }

    fn write_entry(&self, entry: &Entry) -> Result<(), VaultError> {
        let text = serde_json::to_vec(entry).expect("plain data serialises");
        let (path, part) =
            (self.path(&format!("{}{ENTRY}", entry.name)), self.path(&format!(".{}{ENTRY}", entry.name)));
        let written = || {
            let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o400).open(&part)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        written().map_err(failed("keep", &path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
    fn unsealed(&self, from: &SiteId, name: &str) -> PathBuf {
        self.folder.join(format!(".{from}.{name}"))
    }
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn count(&mut self) {
        let entries: Vec<Entry> = self.entries.values().cloned().collect();
        self.report = Chain::new(&entries).report();
    }
}

/// Length and SHA-256, hexadecimal.
fn digest(mut file: &File) -> io::Result<(u64, String)> {
    let (mut context, mut length, mut part) = (Context::new(&SHA256), 0, vec![0; PART]);
    loop {
        let read = file.read(&mut part)?;
        if read == 0 {
            return Ok((length, hex(context.finish().as_ref())));
        }
        context.update(&part[..read]);
        length += read as u64;
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// It becomes the name of a file.
fn check_name(name: &str) -> Result<(), VaultError> {
    let usual = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let usable = name.chars().all(usual) && !name.starts_with('.') && !name.ends_with(ENTRY) && name.len() <= 120;
    if usable && !name.is_empty() { Ok(()) } else { Err(VaultError::Wrong(format!("`{name}` names nothing here"))) }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> VaultError {
    let path = path.to_owned();
    move |source| VaultError::File { doing, path, source }
}

#[cfg(test)]
mod tests {
    use model::Lsn;
    use model::backup::Mark;

    use super::*;

    fn entry(name: &str, content: &[u8], about: About) -> Entry {
        let sha256 = hex(ring::digest::digest(&SHA256, content).as_ref());
        Entry { name: name.into(), bytes: content.len() as u64, sha256, about }
    }
    fn log(segment: u64, at: i64) -> (String, About) {
        let bytes = 16 << 20;
        let mark = Mark { timeline: 1, lsn: Lsn(segment * bytes + 9), at: WallTime(at) };
        let name = drivers::postgres::log_name(1, segment, bytes);
        (name, About::Log { segment_bytes: bytes, mark: Some(mark) })
    }
    fn base(segment: u64, at: i64) -> About {
        let from = Mark { timeline: 1, lsn: Lsn(segment * (16 << 20) + 5), at: WallTime(at) };
        About::Base { site: SiteId::new("a"), from }
    }
    fn put(store: &VaultStore, name: &str, content: &[u8], about: About) -> Result<(), VaultError> {
        let a = SiteId::new("a");
        store.add(&a, name, 0, content)?;
        store.seal(&a, &entry(name, content, about))
    }

    #[test]
    fn what_is_there_is_never_changed_and_outlives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let open = || VaultStore::open(&folder.path().join("vault"), Duration::from_secs(60)).unwrap();
        let store = open();
        let (name, about) = log(3, 10);
        put(&store, &name, b"first", about.clone()).unwrap();
        put(&store, &name, b"first", about.clone()).expect("the same again");
        assert!(matches!(put(&store, &name, b"other", about.clone()), Err(VaultError::Taken(_))));
        assert_eq!(store.part(&name, 0).unwrap(), b"first");
        store.add(&SiteId::new("a"), "base-1", 0, b"never sealed").unwrap();
        let path = folder.path().join("vault").join(&name);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o400);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        let again = open();
        assert_eq!(again.list().iter().map(|entry| &entry.name).collect::<Vec<_>>(), [&name]);
        assert!(again.part("base-1", 0).is_err());
    }

    #[test]
    fn what_did_not_arrive_whole_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = VaultStore::open(folder.path(), Duration::from_secs(60)).unwrap();
        let (a, (name, about)) = (SiteId::new("a"), log(3, 10));
        store.add(&a, &name, 0, b"abc").unwrap();
        assert!(store.add(&a, &name, 2, b"late").is_err(), "a hole or an overlap");
        assert!(store.seal(&a, &entry(&name, b"abcd", about)).is_err());
        assert!(store.list().is_empty());
        for wrong in ["../x", ".hidden", "a/b", "", "x.entry"] {
            assert!(store.add(&a, wrong, 0, b"").is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_new_backup_lets_it_forget_what_no_kept_moment_needs() {
        let folder = tempfile::tempdir().unwrap();
        let store = VaultStore::open(folder.path(), Duration::from_micros(25)).unwrap();
        for (n, segment) in [(1, 3), (2, 5), (3, 7)] {
            put(&store, &format!("base-{n}"), b"b", base(segment, segment as i64 * 10)).unwrap();
            for segment in [segment, segment + 1] {
                let (name, about) = log(segment, segment as i64 * 10 + 5);
                put(&store, &name, b"l", about).unwrap();
            }
        }
        put(&store, "base-4", b"b", base(9, 90)).unwrap();
        let kept: Vec<String> = store.report().bases.iter().map(|base| base.name.clone()).collect();
        assert_eq!(kept, ["base-2", "base-3", "base-4"], "85 - 25 = 60 needs the backup of 50");
        assert!(store.list().iter().all(|entry| entry.name != log(3, 0).0), "and no log before that");
    }
}
