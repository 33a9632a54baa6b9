//! A disk of its own for one region's database, small enough to be filled: a file system in memory, mounted below the
//! drill's own folder. That needs root; elsewhere the drill cannot be run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use model::Topology;

use super::Drill;
use crate::world::WorldError;

/// A site's folder with everything that its PostgreSQL writes.
pub const FOLDER: &str = "postgres";
/// Several times what the database, its log and a rewind take in a drill.
const MEBIBYTES: u32 = 384;

/// Unmounted when it is dropped.
pub struct Disk(PathBuf);

impl Disk {
    /// What `drill` needs below `root`, where the world is about to be made.
    ///
    /// # Errors
    /// It needs a disk, and this user may not mount one.
    pub fn for_drill(drill: Drill, topology: &Topology, root: &Path) -> Result<Option<Self>, WorldError> {
        if drill != Drill::FullDisk {
            return Ok(None);
        }
        let folder = root.join("sites").join(topology.preferred().as_str()).join(FOLDER);
        let failed = |source| WorldError::Start { what: "a small disk".into(), source };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let size = format!("size={MEBIBYTES}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "antipode-drill"]).arg(&folder).stdin(Stdio::null());
        let said = mount.output().map_err(failed)?;
        if said.status.success() {
            return Ok(Some(Self(folder)));
        }
        let why = String::from_utf8_lossy(&said.stderr).trim().to_owned();
        Err(WorldError::Refused(format!(
            "this drill needs a disk that it may fill, and only root may mount one: {why}"
        )))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let quiet = || Stdio::null();
        let mut unmount = Command::new("umount");
        let _ = unmount.arg(&self.0).stdin(quiet()).stdout(quiet()).stderr(quiet()).status();
    }
}
