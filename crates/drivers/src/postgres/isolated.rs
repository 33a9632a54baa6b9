//! A copy of the data directory, started alone to be read: no network, no writer's right, nothing of it is archived or
//! sent (SAFETY.md item 13).
//!
//! A copy, because starting a server writes: it replays its log to the end. It needs as much space as the data
//! directory, less the log that this start does not read, unless the file system can share blocks between files (XFS,
//! Btrfs), where it needs almost none.

use std::fs::{self, Metadata, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::Lsn;
use tokio::process::Child;
use tokio::time::sleep;

use super::Error;
use super::Stopwatch;
use super::backup_chain::parse_log_name;
use super::config::{Config, quoted, setting, text};
use super::files::{own, remove_directory};
use super::server::{Pass, Server, last_lines};
use super::session::Session;
use crate::process;

/// Replaying the log since the last checkpoint takes at most a few minutes with usual settings; the order's own deadline
/// is shorter.
const RECOVERY: Duration = Duration::from_secs(600);

/// Not needed to read rows, or harmful: slots would keep log, signals would make it a standby. Of the log only
/// [`Needed`].
const LEFT_OUT: [&str; 8] = [
    "pg_replslot",
    "pg_stat_tmp",
    "postmaster.pid",
    "postmaster.opts",
    "standby.signal",
    "recovery.signal",
    "postgresql.auto.conf",
    "pg_wal",
];

/// The log that a start reads: from where the last checkpoint began to the end. Older files are kept for others, and those
/// made ahead hold nothing.
pub(super) struct Needed {
    pub redo: Lsn,
    pub end: Lsn,
    pub segment_bytes: u64,
}

impl Needed {
    /// Timelines' histories are needed too, and whatever else lies there takes no room.
    fn holds(&self, name: &str) -> bool {
        let numbers = self.redo.0 / self.segment_bytes..=self.end.0 / self.segment_bytes;
        parse_log_name(name, self.segment_bytes).is_none_or(|(_, number)| numbers.contains(&number))
    }
}

/// A running copy. Dropped, its first process is killed and the others follow; [`Server::clear_copy`] removes the rest.
pub(super) struct Isolated {
    _postmaster: Child,
}

impl Config {
    fn copy(&self) -> PathBuf {
        self.home.join("compare")
    }
    /// In the directory that nobody else may enter.
    fn copy_run_dir(&self) -> PathBuf {
        self.run_dir.join("compare")
    }

    /// Whatever the spec sets, and then what makes the copy harmless.
    fn copy_conf(&self) -> String {
        let mut lines = vec!["# Written by Antipode for a copy that is only read.".to_owned()];
        lines.extend(self.settings.iter().map(|(name, value)| setting(name, value)));
        let fixed = [
            ("listen_addresses", String::new()),
            ("port", self.listen.port().to_string()),
            ("unix_socket_directories", text(&self.copy_run_dir())),
            ("unix_socket_permissions", "0700".into()),
            ("hba_file", text(&self.copy().join("pg_hba.conf"))),
            ("default_transaction_read_only", "on".into()),
            ("archive_mode", "off".into()),
            ("archive_command", String::new()),
            ("restore_command", String::new()),
            ("primary_conninfo", String::new()),
            ("primary_slot_name", String::new()),
            ("synchronous_standby_names", String::new()),
            ("max_wal_senders", "0".into()),
            // Extensions start workers of their own, which may write.
            ("max_worker_processes", "0".into()),
            ("max_logical_replication_workers", "0".into()),
            ("autovacuum", "off".into()),
            // It is thrown away.
            ("fsync", "off".into()),
            ("full_page_writes", "off".into()),
            ("logging_collector", "off".into()),
            ("dynamic_shared_memory_type", "mmap".into()),
            ("restart_after_crash", "off".into()),
        ];
        lines.extend(fixed.iter().map(|(name, value)| setting(name, value)));
        lines.join("\n") + "\n"
    }
}

impl Server {
    /// Copies the data directory and starts the copy. The server itself must be at rest.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is no room for it; [`Error::DiedStarting`] when the data cannot be recovered.
    pub(super) async fn isolate(&self, needed: &Needed, pass: Pass, watch: &mut Stopwatch) -> Result<Isolated, Error> {
        let config = &self.config;
        self.clear_copy()?;
        let entries = entries(&config.data(), |name| !LEFT_OUT.contains(&name))?;
        let log = entries_of_log(&config.data(), needed)?;
        self.check_room(entries_size(&entries)? + entries_size(&log)?)?;
        let (home, data, wal) = (config.copy(), config.copy().join("data"), config.copy().join("data/pg_wal"));
        for directory in [&home, &data, &wal, &config.copy_run_dir()] {
            fs::create_dir_all(directory).map_err(Error::file(format!("make {}", directory.display())))?;
            own(directory, config.run_as, 0o700)?;
        }
        self.copy_entries(&entries, &data, pass).await?;
        self.copy_entries(&log, &wal, pass).await?;
        watch.lap("copy to read");
        let slots = data.join("pg_replslot");
        fs::create_dir(&slots).map_err(Error::file(format!("make {}", slots.display())))?;
        own(&slots, config.run_as, 0o700)?;
        config.write(&home.join("postgresql.conf"), &config.copy_conf())?;
        config.write(&home.join("pg_hba.conf"), &config.hba_local())?;
        config.write(&data.join("postgresql.conf"), &format!("include {}\n", quoted("../postgresql.conf")))?;
        config.write(&data.join("postgresql.auto.conf"), "")?;
        let isolated = self.start_copy(&data, pass).await?;
        watch.lap("recover the copy");
        Ok(isolated)
    }

    async fn copy_entries(&self, entries: &[PathBuf], to: &Path, pass: Pass) -> Result<(), Error> {
        let flags = ["-rLp".to_owned(), "--reflink=auto".to_owned(), "-t".to_owned(), text(to)];
        let args = flags.into_iter().chain(entries.iter().map(|entry| text(entry)));
        // An absolute path: it is not one of PostgreSQL's programs.
        match self.run("/bin/cp", args, pass).await {
            Err(Error::Program { said, .. }) => {
                Err(Error::file("copy the data directory to read it")(std::io::Error::other(said)))
            }
            copied => copied.map(|_| ()),
        }
    }

    async fn start_copy(&self, data: &Path, pass: Pass) -> Result<Isolated, Error> {
        let path = self.config.copy().join("server.log");
        let open = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        let log = open.map_err(Error::file(format!("open {}", path.display())))?;
        let both = log.try_clone().map_err(Error::file("open the copy's log"))?;
        let mut command = self.tool("postgres", ["-D", &text(data)]);
        command.stdout(log).stderr(both);
        let mut postmaster = self.spawn(command, pass, "a copy of the server")?;
        let (started, pidfile) = (Instant::now(), data.join("postmaster.pid"));
        loop {
            let lines = fs::read_to_string(&pidfile).unwrap_or_default();
            if lines.lines().nth(7).is_some_and(|state| state.trim() == "ready") {
                return Ok(Isolated { _postmaster: postmaster });
            }
            if let Some(status) = postmaster.try_wait().map_err(Error::file("look at the copy"))? {
                let said = last_lines(&fs::read(&path).unwrap_or_default());
                return Err(match Error::ended("postgres", status, &[]) {
                    killed @ Error::Killed { .. } => killed,
                    _ => Error::DiedStarting { said },
                });
            }
            if started.elapsed() > RECOVERY {
                return Err(Error::Slow { what: "recovering a copy of the data".into(), after: RECOVERY });
            }
            sleep(self.config.limits.poll).await;
        }
    }

    /// Ends the copy and gives its space back; also what an earlier try left.
    pub(super) fn clear_copy(&self) -> Result<(), Error> {
        let copy = self.config.copy();
        if copy.exists() {
            process::kill_directory(&copy.join("data"), self.config.limits.kill)?;
        }
        remove_directory(&copy)?;
        remove_directory(&self.config.copy_run_dir())
    }

    /// A question to the copy.
    pub(super) async fn copy_session(&self) -> Result<Session, Error> {
        let (directory, database) = (self.config.copy_run_dir(), &self.config.application.database);
        Session::at_socket(&directory, &self.config, database, self.config.limits.start).await
    }

    fn check_room(&self, bytes: u64) -> Result<(), Error> {
        let config = &self.config;
        let need = bytes + config.limits.spare_bytes;
        let disk = rustix::fs::statvfs(&config.home)
            .map_err(|e| Error::file(format!("look for room at {}", config.home.display()))(e.into()))?;
        let free = disk.f_bavail * disk.f_frsize;
        if free >= need {
            return Ok(());
        }
        let mb = |bytes: u64| bytes.div_ceil(1 << 20);
        Err(Error::Refused(format!(
            "the rows that only this side has cannot be exported, and nothing is rewound before: a copy of {} needs {} \
             MB, and {} MB are free; make room there and ask again",
            config.data().display(),
            mb(need),
            mb(free)
        )))
    }
}

/// What lies in a directory, by name.
fn entries(directory: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, Error> {
    let what = || Error::file(format!("list {}", directory.display()));
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(what())? {
        let entry = entry.map_err(what())?;
        if wanted(&entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn entries_of_log(data: &Path, needed: &Needed) -> Result<Vec<PathBuf>, Error> {
    entries(&data.join("pg_wal"), |name| needed.holds(name))
}

fn entries_size(paths: &[PathBuf]) -> Result<u64, Error> {
    let mut bytes = 0;
    for path in paths {
        let what = || Error::file(format!("look at {}", path.display()));
        // Following links: a tablespace is copied too.
        let metadata: Metadata = fs::metadata(path).map_err(what())?;
        if metadata.is_dir() {
            let inside: Result<Vec<PathBuf>, _> =
                fs::read_dir(path).map_err(what())?.map(|entry| entry.map(|entry| entry.path())).collect();
            bytes += entries_size(&inside.map_err(what())?)?;
        } else {
            bytes += metadata.len();
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = 16 << 20;

    #[test]
    fn the_log_that_a_start_does_not_read_is_left_out() {
        let needed = Needed { redo: Lsn(3 * SEGMENT + 5), end: Lsn(5 * SEGMENT + 1), segment_bytes: SEGMENT };
        let name = |number| super::super::wal::segment(1, number, SEGMENT);
        let held: Vec<u64> = (0..10).filter(|number| needed.holds(&name(*number))).collect();
        assert_eq!(held, [3, 4, 5]);
        assert!(needed.holds("00000002.history") && needed.holds("archive_status"));
    }

    #[test]
    fn the_size_follows_links_and_leaves_out_what_is_not_copied() {
        let root = tempfile::tempdir().unwrap();
        let (data, elsewhere) = (root.path().join("data"), root.path().join("elsewhere"));
        for directory in [&data, &data.join("base"), &data.join("pg_replslot"), &elsewhere] {
            fs::create_dir(directory).unwrap();
        }
        fs::write(data.join("base/1"), [0; 1000]).unwrap();
        fs::write(elsewhere.join("2"), [0; 500]).unwrap();
        fs::write(data.join("pg_replslot/state"), [0; 200]).unwrap();
        fs::write(data.join("standby.signal"), [0; 100]).unwrap();
        std::os::unix::fs::symlink(&elsewhere, data.join("link")).unwrap();
        let entries = entries(&data, |name| !LEFT_OUT.contains(&name)).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries_size(&entries).unwrap(), 1500);
    }
}
