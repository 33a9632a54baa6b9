//! Room that is kept on the database's disk for the day on which there is no other.
//!
//! # Intuition
//! PostgreSQL cannot help itself on a full disk. A checkpoint writes small files (the state of slots and of replication
//! origins), the log goes on in a new file when the present one is full, and where either finds no room the server
//! panics. It then recovers, which ends with a checkpoint; that finds no room again, and the server is gone for good.
//! Without a clean end nobody knows that the standby has all of the log, and a move that would have lost nothing becomes
//! a failover. So two files lie in the way of everybody else. One is given up when the server is started, the other when
//! it is stopped. What a start did not need is taken back at once, before clients fill it: it is needed again.
//!
//! A file that was given up stays, shorter: so that whoever looks knows that this room is not free, also after a restart.
//!
//! # Rejected
//! - One file for both: clients would have filled what the first crash gave up, and the stop would find none.
//! - Smaller files of the log: still a panic, only sooner and more often.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::fs::{FallocateFlags, StatVfs, fallocate, statvfs};

use super::Error;
use super::config::Config;
use super::server::Server;

const MEBIBYTE: u64 = 1 << 20;
/// One file of the log, in the size that `initdb` gives it: with less free than this it cannot be begun.
const SEGMENT: u64 = 16 * MEBIBYTE;
/// Taken piece by piece: what there is of it is better than nothing.
const PIECE: u64 = MEBIBYTE;

/// Room for one purpose.
struct Reserve {
    file: &'static str,
    bytes: u64,
    purpose: &'static str,
}

/// The last checkpoint of a clean stop: small files, and the log may just have come to the end of a file.
const STOP: Reserve = Reserve { file: "reserve", bytes: SEGMENT + 4 * MEBIBYTE, purpose: "a clean stop" };

/// A recovery and the checkpoint that ends it: one file of the log, either the one that could not be begun, or the one that
/// a checkpoint makes in advance when the present one is three quarters full; and small files. Measured with PostgreSQL 15:
/// 16.1 MiB were used, and with 8 MiB it did not start. Twice that, because a move that is taken back starts it once more.
const START: Reserve =
    Reserve { file: "reserve.start", bytes: 2 * SEGMENT + 8 * MEBIBYTE, purpose: "a restart on a full disk" };

/// In the order of their worth: without a clean stop nothing can be moved without a loss.
const ALL: [Reserve; 2] = [STOP, START];

/// What is known of the disk that a server writes to.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Room {
    /// Why nothing more can be written; `None` while there is room, or when nobody can tell.
    pub full: Option<String>,
    /// What cannot be done on a full disk, because no room is kept for it.
    pub unkept: Vec<String>,
}

impl Reserve {
    fn path(&self, config: &Config) -> PathBuf {
        config.home.join(self.file)
    }

    /// How much of it is there; `None` when it was never made.
    fn kept(&self, config: &Config) -> Option<u64> {
        fs::metadata(self.path(config)).ok().map(|file| file.len().min(self.bytes))
    }

    /// What was given up of it.
    fn given(&self, config: &Config) -> u64 {
        self.kept(config).map_or(0, |kept| self.bytes - kept)
    }

    /// Gives up all of it, if there is less free than it is made for.
    fn give(&self, config: &Config) {
        if config.disk().is_none_or(|disk| free(&disk) >= self.bytes) || self.kept(config).unwrap_or(0) == 0 {
            return;
        }
        let opened = OpenOptions::new().write(true).open(self.path(config));
        match opened.and_then(|file| file.set_len(0)) {
            Ok(()) => tracing::warn!("the disk is full: the room that was kept for {} is used", self.purpose),
            Err(error) => tracing::error!(%error, "the room that was kept for {} cannot be used", self.purpose),
        }
    }

    /// As much of it as there is while `leave` bytes stay free.
    fn take(&self, config: &Config, leave: u64) {
        let new = self.kept(config).is_none();
        if let Err(error) = self.extend(config, leave) {
            tracing::warn!(%error, "no room is kept for {}", self.purpose);
            if new {
                let _ = fs::remove_file(self.path(config));
            }
        }
    }

    fn extend(&self, config: &Config, leave: u64) -> io::Result<()> {
        let file: File = OpenOptions::new().create(true).append(true).mode(0o600).open(self.path(config))?;
        let mut kept = file.metadata()?.len();
        while kept < self.bytes {
            let piece = PIECE.min(self.bytes - kept);
            if config.disk().is_none_or(|disk| free(&disk) < leave + piece) {
                break;
            }
            fallocate(&file, FallocateFlags::empty(), kept, piece)?;
            kept += piece;
        }
        Ok(())
    }
}

impl Config {
    /// Makes the reserves whole, while there is plenty of room. A database must start on a disk that is nearly full, too.
    pub(super) fn keep_room(&self) {
        for reserve in &ALL {
            let Some(disk) = self.disk() else { return };
            let plenty = match reserve.kept(self) {
                Some(kept) if kept == reserve.bytes => continue,
                // Not before the disk is no longer full, with all that was given up counted.
                Some(_) => free(&disk) >= self.given() + SEGMENT,
                None => free(&disk) >= reserve.bytes + 2 * SEGMENT,
            };
            if plenty {
                reserve.take(self, SEGMENT);
            }
        }
    }

    /// Before a start: what recovery needs, when there is no other room.
    pub(super) fn room_for_start(&self) {
        START.give(self);
    }

    /// Before a clean stop. What is kept for a start goes too if it must: whoever stops may never start again here.
    pub(super) fn room_for_stop(&self) {
        STOP.give(self);
        if self.disk().is_some_and(|disk| free(&disk) < STOP.bytes) {
            START.give(self);
        }
    }

    /// After a start: what was given up and not needed, but for a little that a server writes at any time.
    pub(super) fn take_back(&self) {
        for reserve in ALL.iter().filter(|reserve| reserve.given(self) > 0) {
            reserve.take(self, PIECE);
        }
    }

    /// What was given up of all reserves: it may be free, and is nobody's.
    fn given(&self) -> u64 {
        ALL.iter().map(|reserve| reserve.given(self)).sum()
    }

    fn disk(&self) -> Option<StatVfs> {
        statvfs(&self.home).ok()
    }

    pub(super) fn room(&self) -> Room {
        let Some(disk) = self.disk() else { return Room::default() };
        if !self.has_data() {
            return Room { full: full(&disk, self.given()), unkept: Vec::new() };
        }
        let unkept = |reserve: &Reserve| {
            let (need, kept) = (reserve.bytes / MEBIBYTE, reserve.kept(self).unwrap_or(0) / MEBIBYTE);
            (kept < need).then(|| {
                format!(
                    "{kept} of {need} MiB are kept for {} ({} MiB are free): it may fail on a full disk",
                    reserve.purpose,
                    free(&disk) / MEBIBYTE
                )
            })
        };
        Room { full: full(&disk, self.given()), unkept: ALL.iter().filter_map(unkept).collect() }
    }
}

/// What an unprivileged user may still write, in bytes.
fn free(disk: &StatVfs) -> u64 {
    disk.f_bavail.saturating_mul(disk.f_frsize)
}

/// Less than a file of the log is free, beside what was given up.
fn full(disk: &StatVfs, given: u64) -> Option<String> {
    let free = free(disk).saturating_sub(given);
    let whole = disk.f_blocks.saturating_mul(disk.f_frsize);
    let (free_mib, whole_mib) = (free / MEBIBYTE, whole / MEBIBYTE);
    (free < SEGMENT).then(|| format!("the database's disk is full: {free_mib} of {whole_mib} MiB are free"))
}

impl Server {
    /// # Errors
    /// [`Error::Full`] when the disk has no room for what would bring the server down: another file of the log, a checkpoint.
    pub(super) fn check_room_to_write(&self, what: &'static str) -> Result<(), Error> {
        self.config.room().full.map_or(Ok(()), |why| Err(Error::Full { what, why }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(free: u64, whole: u64) -> StatVfs {
        let mut disk = statvfs("/").expect("there is a root");
        (disk.f_frsize, disk.f_bavail, disk.f_blocks) = (MEBIBYTE, free, whole);
        disk
    }

    #[test]
    fn a_disk_is_full_when_the_next_file_of_the_log_finds_no_room() {
        assert_eq!(full(&disk(16, 100), 0), None);
        let said = full(&disk(15, 100), 0);
        assert_eq!(said.as_deref(), Some("the database's disk is full: 15 of 100 MiB are free"));
        assert!(full(&disk(0, 0), 0).is_some(), "a disk without files to give");
    }

    #[test]
    fn room_that_was_given_up_is_not_free() {
        assert!(full(&disk(40, 100), START.bytes).is_some());
        assert_eq!(full(&disk(56, 100), START.bytes), None);
    }
}
