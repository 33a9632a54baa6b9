//! A small disk in memory, which can be filled to the last page. Only root can mount one.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FallocateFlags, fallocate};

/// Twice what one region's data and the room that is kept beside it take.
const SIZE: &str = "size=256m";

/// Unmounted when it is dropped.
pub struct Disk(PathBuf);

impl Disk {
    /// `None` where nobody may mount one.
    pub fn mounted(at: &Path) -> Option<Self> {
        let said = Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "antipode-test"]).arg(at).output().ok()?;
        if !said.status.success() {
            println!("SKIPPED: no disk can be mounted: {}", String::from_utf8_lossy(&said.stderr));
            return None;
        }
        fs::set_permissions(at, fs::Permissions::from_mode(0o755)).expect("a folder of ours");
        Some(Self(at.to_owned()))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes all the room there is.
    pub fn fill(&self) {
        let (file, mut taken) = (File::create(self.filler()).expect("a file"), 0);
        for piece in [1 << 20, 4 << 10_u64] {
            while fallocate(&file, FallocateFlags::empty(), taken, piece).is_ok() {
                taken += piece;
            }
        }
    }

    pub fn empty(&self) {
        fs::remove_file(self.filler()).expect("it was full");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
