//! Room that is kept for a clean stop.
//!
//! On a full disk the last checkpoint of a stop fails: PostgreSQL writes small files then (the state of slots and of
//! replication origins), finds no room for them, and panics. Without a clean end nobody knows that the standby has all of
//! the log, so a planned move could not go on. A file of some size lies in the way of everybody else until then.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::config::Config;

/// One segment of the log, should the end of it need another, counts for most of it.
const SIZE: u64 = 20 * 1024 * 1024;

impl Config {
    fn reserve(&self) -> std::path::PathBuf {
        self.home.join("reserve")
    }

    /// Takes the room, if there is plenty of it. A database must start on a disk that is nearly full, too.
    pub(super) fn keep_reserve(&self) {
        let there = fs::metadata(self.reserve()).is_ok_and(|known| known.len() >= SIZE);
        if there || self.free().is_none_or(|free| free < 2 * SIZE) {
            return;
        }
        let file: Result<File, _> = OpenOptions::new().create(true).append(true).mode(0o600).open(self.reserve());
        let kept = file.and_then(|file| Ok(fallocate(&file, FallocateFlags::empty(), 0, SIZE)?));
        if let Err(error) = kept {
            tracing::warn!(%error, "no room is kept for a clean stop");
            let _ = fs::remove_file(self.reserve());
        }
    }

    /// Gives the room back, when there is no other.
    pub(super) fn use_reserve(&self) {
        if self.free().is_some_and(|free| free < SIZE) && fs::remove_file(self.reserve()).is_ok() {
            tracing::warn!("the disk is full: the room that was kept for a clean stop is used");
        }
    }

    /// What an unprivileged user may still write, in bytes.
    fn free(&self) -> Option<u64> {
        let seen = statvfs(&self.home).ok()?;
        Some(seen.f_bavail.saturating_mul(seen.f_frsize))
    }
}
