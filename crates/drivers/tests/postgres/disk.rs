//! A disk that is full to the last page: a file system in memory, which needs root to be mounted. Elsewhere these tests
//! do nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use antipode_drivers::Act;
use antipode_drivers::postgres::{Database, Room, ServerState};
use rustix::fs::{FallocateFlags, fallocate};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::site::{Site, done, epoch, eventually};

/// Unmounted when it is dropped, which must be after the server on it.
struct Disk(TempDir);

impl Disk {
    fn of(mebibytes: u32) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mut mount = Command::new("mount");
        let said = mount.args(["-t", "tmpfs", "-o", &size, "antipode-test"]).arg(directory.path()).output().unwrap();
        if !said.status.success() {
            println!("skipped: no disk can be mounted: {}", String::from_utf8_lossy(&said.stderr));
            return None;
        }
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self(directory))
    }

    fn site(&self) -> Site {
        Site::with("site-a", &[], |config| config.home = self.0.path().join("home"))
    }

    /// Takes all the room there is.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("filler");
        let (file, mut taken) = (fs::File::create(&path).unwrap(), 0);
        for piece in [1 << 20, 4 << 10_u64] {
            while fallocate(&file, FallocateFlags::empty(), taken, piece).is_ok() {
                taken += piece;
            }
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

async fn writing(disk: &Disk) -> Site {
    let site = disk.site();
    done(site.server.initialise().await.unwrap());
    done(site.server.start_writer(&epoch(1, "site-a"), &[]).await.unwrap());
    site.sql("create table rows (id int primary key)").await;
    site.insert(0..10).await;
    site
}

/// The log comes to the end of its file, and finds no room for the next: PostgreSQL panics, recovers, and panics again.
async fn panics(site: &Site) {
    let admin = site.admin().await;
    let _ = admin.batch_execute("select pg_switch_wal(); create table more (id int)").await;
    eventually("the server is gone", async || site.server.observe().await.server == ServerState::Stopped).await;
}

#[tokio::test]
async fn a_server_that_panicked_on_a_full_disk_starts_again_and_stops_cleanly() {
    let Some(disk) = Disk::of(256) else { return };
    let site = writing(&disk).await;
    assert_eq!(site.server.room(), Room::default());
    let filler = disk.fill();
    panics(&site).await;

    // In the same epoch, as its agent does after a crash.
    site.server.kill_all().await.unwrap();
    done(site.server.start_writer(&epoch(1, "site-a"), &[]).await.unwrap());
    assert_eq!(site.ids().await, (0..10).collect::<Vec<_>>());
    let room = site.server.room();
    assert!(room.full.is_some_and(|why| why.contains("disk is full")), "room for a start is no room for clients");
    assert!(room.unkept.iter().any(|what| what.contains("a restart on a full disk")), "{:?}", room.unkept);
    assert!(!room.unkept.iter().any(|what| what.contains("a clean stop")), "{:?}", room.unkept);
    let stopped = done(site.server.stop().await.unwrap());
    assert!(stopped.end.0 > 0);

    // A stop that is taken back: the writer starts where it stood.
    done(site.server.start_writer(&epoch(1, "site-a"), &[]).await.unwrap());
    fs::remove_file(filler).unwrap();
    site.insert(10..12).await;
    site.server.keep_room().await;
    assert_eq!(site.server.room(), Room::default(), "all is kept again");
    done(site.server.stop().await.unwrap());
}

#[tokio::test]
async fn backups_leave_the_last_room_on_a_full_disk_to_the_server() {
    let Some(disk) = Disk::of(256) else { return };
    let site = writing(&disk).await;
    let filler = disk.fill();
    let refused = site.server.mark().await.unwrap_err().to_string();
    assert!(refused.contains("ending a file of the log must wait: the database's disk is full"), "{refused}");
    let (parts, _kept) = mpsc::channel(1);
    let refused = site.server.base(parts).await.unwrap_err().to_string();
    assert!(refused.contains("a full backup must wait"), "{refused}");
    assert!(matches!(site.server.observe().await.server, ServerState::Writing { .. }), "it lives");
    fs::remove_file(filler).unwrap();
    site.server.mark().await.unwrap();
}

#[tokio::test]
async fn without_room_to_keep_a_server_starts_and_says_so() {
    let Some(disk) = Disk::of(80) else { return };
    let site = writing(&disk).await;
    let room = site.server.room();
    assert_eq!((room.full, room.unkept.len()), (None, 2), "{:?}", room.unkept);
    assert!(matches!(site.server.stop().await.unwrap(), Act::Done(_)));
}
