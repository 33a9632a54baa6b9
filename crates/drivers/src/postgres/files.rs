//! Files around the data directory: written whole, owned by the server's user, durable where that matters.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::config::{Config, RunAs};
use super::{Error, config};

/// The `postgresql.conf` inside the data directory: the same in every region, so that it does not matter whose copy a
/// rewind leaves there.
const INNER_CONF: &str = "# The configuration is beside the data directory.\ninclude '../postgresql.conf'\n";

impl Config {
    /// Makes the directories, with nobody else allowed in.
    pub(super) fn make_directories(&self) -> Result<(), Error> {
        for directory in [&self.home, &self.run_dir] {
            fs::create_dir_all(directory).map_err(Error::file(format!("make {}", directory.display())))?;
            own(directory, self.run_as, 0o700)?;
        }
        Ok(())
    }

    /// Everything that a server reads at start, except the lease file.
    pub(super) fn write_configuration(&self) -> Result<(), Error> {
        self.make_directories()?;
        self.write(&self.home.join("postgresql.conf"), &self.server_conf())?;
        self.write(&self.home.join("pg_hba.conf"), &self.hba())?;
        self.write(&self.passfile(), &self.passfile_text())?;
        if self.data().exists() {
            self.write(&self.data().join("postgresql.conf"), INNER_CONF)?;
            // ALTER SYSTEM of an operator, or of the upstream before a rewind, would win over all of ours.
            self.write(&self.data().join("postgresql.auto.conf"), "")?;
        }
        Ok(())
    }

    /// Replaces a file at once and durably, readable by the server's user alone.
    pub(super) fn write(&self, path: &Path, text: &str) -> Result<(), Error> {
        let next = path.with_extension("new");
        let what = || Error::file(format!("write {}", path.display()));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next).map_err(what())?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(what())?;
        own(&next, self.run_as, 0o600)?;
        fs::rename(&next, path).map_err(what())?;
        sync_parent(path)
    }

    pub(super) fn has_data(&self) -> bool {
        self.data().join("PG_VERSION").exists()
    }
    pub(super) fn is_standby(&self) -> bool {
        self.data().join("standby.signal").exists()
    }

    /// Says that the data directory is being rewound or replaced, and must not be started until that is done.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.home.join("unfinished")
    }

    /// What a dead server leaves and a new one stumbles over: its process id may still answer, because it is a
    /// zombie that nobody reaped. Only after no process is left.
    pub(super) fn remove_locks(&self) -> Result<(), Error> {
        let socket = self.socket();
        let lock = PathBuf::from(format!("{}.lock", socket.display()));
        [self.data().join("postmaster.pid"), socket, lock].iter().try_for_each(|path| remove(path))
    }

    /// Opens the server's log for a new process, and says where its part begins.
    pub(super) fn open_log(&self) -> Result<(File, u64), Error> {
        let path = self.log();
        let open = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        let file = open.map_err(Error::file(format!("open {}", path.display())))?;
        let begins = file.metadata().map_err(Error::file("look at the server's log"))?.len();
        Ok((file, begins))
    }

    /// The server's log from an offset on; empty when it cannot be read.
    pub(super) fn log_since(&self, offset: u64) -> String {
        let bytes = fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(offset as usize..).unwrap_or_default()).into_owned()
    }
}

/// # Errors
/// Anything but that it was not there.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::file(format!("remove {}", config::text(path)))(e)),
        _ => Ok(()),
    }
}

/// # Errors
/// Anything but that it was not there.
pub(super) fn remove_directory(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::file(format!("remove {}", config::text(path)))(e)),
        _ => Ok(()),
    }
}

pub(super) fn own(path: &Path, user: Option<RunAs>, mode: u32) -> Result<(), Error> {
    let what = || Error::file(format!("give {} to the server's user", path.display()));
    if let Some(user) = user {
        chown(path, Some(user.uid), Some(user.gid)).map_err(what())?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(what())
}

/// Makes a rename, creation or removal in this file's directory durable.
pub(super) fn sync_parent(path: &Path) -> Result<(), Error> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(Error::file(format!("sync {}", parent.display())))
}
