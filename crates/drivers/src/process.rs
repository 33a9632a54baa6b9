//! Killing every process of a data directory, and knowing that none is left (SAFETY.md item 6).
//!
//! PostgreSQL's children outlive a killed postmaster and have sessions of their own, so neither a process group nor
//! a parent's death reaches them. What they cannot shed is their working directory: every PostgreSQL process sits in
//! its data directory. Tools that we start ourselves (`initdb`, `pg_rewind`, ...) carry [`MARKER`] instead. A
//! server process overwrites its environment with its title, so that the marker alone would not find it.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Environment variable that names the data directory on which a process works.
pub const MARKER: &str = "ANTIPODE_DATA";

/// Between two scans while killed processes leave. A scan takes about a millisecond.
const RESCAN: Duration = Duration::from_millis(2);

/// Proof that no process of a directory was left. Only [`kill_directory`] makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gone {
    directory: PathBuf,
    killed: Vec<i32>,
    took: Duration,
}

impl Gone {
    /// The directory that has no process any more.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
    /// Process ids that were killed on the way.
    pub fn killed(&self) -> &[i32] {
        &self.killed
    }
    pub fn took(&self) -> Duration {
        self.took
    }
}

/// Processes that could not be shown to be gone.
#[derive(Debug, thiserror::Error)]
pub enum StillRunning {
    #[error("processes {pids:?} of {} still run after {}", .directory.display(), model::time::human(*.after))]
    Survivors { directory: PathBuf, pids: Vec<i32>, after: Duration },
    #[error("the process table cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// The running processes of a data directory: servers that sit in it, and tools that we started on it. Zombies,
/// which can do nothing any more, do not count.
///
/// # Errors
/// When /proc cannot be listed; a process that vanishes meanwhile is not an error.
pub fn of_directory(directory: &Path) -> io::Result<Vec<i32>> {
    let directory = canonical(directory);
    let marker = [MARKER.as_bytes(), b"=", directory.as_os_str().as_bytes()].concat();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if pid != std::process::id() as i32 && belongs(&entry.path(), &directory, &marker) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// SIGKILLs every process of a data directory until two scans in a row find none. Needs no help of the processes:
/// stopped ones and orphans die too.
///
/// # Errors
/// [`StillRunning`] when some are left after `limit`, for example in uninterruptible I/O.
pub fn kill_directory(directory: &Path, limit: Duration) -> Result<Gone, StillRunning> {
    let started = Instant::now();
    let mut killed = Vec::new();
    let mut empty_scans = 0;
    loop {
        let pids = of_directory(directory)?;
        empty_scans = if pids.is_empty() { empty_scans + 1 } else { 0 };
        if empty_scans == 2 {
            remove_shared_memory(directory);
            return Ok(Gone { directory: directory.to_owned(), killed, took: started.elapsed() });
        }
        for &pid in &pids {
            signal(pid, Signal::KILL);
            if !killed.contains(&pid) {
                killed.push(pid);
            }
        }
        if started.elapsed() > limit {
            return Err(StillRunning::Survivors { directory: directory.to_owned(), pids, after: limit });
        }
        if !pids.is_empty() {
            thread::sleep(RESCAN);
        }
    }
}

/// A killed server leaves a small System V segment, of which a machine has only so many. Best effort: the next start
/// removes it as well.
fn remove_shared_memory(directory: &Path) {
    let lines = fs::read_to_string(directory.join("postmaster.pid")).unwrap_or_default();
    let Some(id) = lines.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) else { return };
    let segments = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    let is_unused = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        columns.get(1) == Some(&id) && columns.get(6) == Some(&"0")
    };
    if segments.lines().any(is_unused) {
        let _ = Command::new("ipcrm").args(["-m", id]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// Sends a signal; a process that is already gone is no error to anyone here.
pub fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

fn belongs(process: &Path, directory: &Path, marker: &[u8]) -> bool {
    sits_in(process, directory) || carries(process, marker)
}

/// An operator's shell may sit there too, so the program counts as well.
fn sits_in(process: &Path, directory: &Path) -> bool {
    let Ok(cwd) = fs::read_link(process.join("cwd")) else { return false };
    if without_deleted(cwd.as_os_str()) != directory.as_os_str().as_bytes() {
        return false;
    }
    match fs::read_link(process.join("exe")) {
        Ok(exe) => exe.file_name().is_some_and(|name| matches!(without_deleted(name), b"postgres" | b"postmaster")),
        Err(e) => e.kind() == io::ErrorKind::PermissionDenied,
    }
}

fn carries(process: &Path, marker: &[u8]) -> bool {
    let environ = fs::read(process.join("environ")).unwrap_or_default();
    environ.split(|byte| *byte == 0).any(|variable| variable == marker)
}

/// The kernel appends this to the link of a file that was removed.
fn without_deleted(name: &OsStr) -> &[u8] {
    let name = name.as_bytes();
    name.strip_suffix(b" (deleted)").unwrap_or(name)
}

/// A directory that is gone keeps its name: its processes may live on.
fn canonical(directory: &Path) -> PathBuf {
    let parent = directory.parent().and_then(|p| p.canonicalize().ok());
    directory.canonicalize().ok().or_else(|| Some(parent?.join(directory.file_name()?))).unwrap_or(directory.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;

    #[test]
    fn kills_marked_processes_in_other_groups_and_spares_shells_that_only_sit_there() {
        let dir = tempfile::tempdir().unwrap();
        let directory = dir.path().canonicalize().unwrap();
        let mut marked = Command::new("sleep").arg("60").env(MARKER, &directory).process_group(0).spawn().unwrap();
        let mut visitor = Command::new("sleep").arg("60").current_dir(&directory).spawn().unwrap();
        signal(marked.id() as i32, Signal::STOP);

        let gone = kill_directory(&directory, Duration::from_secs(20)).unwrap();

        assert_eq!(gone.killed(), [marked.id() as i32]);
        assert!(!marked.wait().unwrap().success());
        assert!(visitor.try_wait().unwrap().is_none(), "a shell in the directory is not a server");
        visitor.kill().unwrap();
        visitor.wait().unwrap();
    }
}
