//! The zone on disk: the last one routed, whole, across crashes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use model::ZoneTable;
use serde::{Deserialize, Serialize};

use super::DnsError;

#[derive(Serialize, Deserialize)]
struct Kept {
    /// Of this file's layout.
    version: u32,
    zone: ZoneTable,
}

const LAYOUT: u32 = 1;

/// The kept zone, or `None` where none was ever kept.
pub(super) fn load(file: &Path) -> Result<Option<ZoneTable>, DnsError> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DnsError::Read(file.to_owned(), error)),
    };
    let damaged = |why: String| DnsError::Damaged { file: file.to_owned(), why };
    let kept: Kept = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if kept.version != LAYOUT {
        return Err(damaged(format!("its layout is {}, not {LAYOUT}", kept.version)));
    }
    Ok(Some(kept.zone))
}

/// Returns when the zone would survive a power cut. A crash in between leaves the old one.
pub(super) fn store(file: &Path, zone: &ZoneTable) -> io::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fresh = file.with_extension("new");
    let text = serde_json::to_vec_pretty(&Kept { version: LAYOUT, zone: zone.clone() })?;
    let mut output = File::create(&fresh)?;
    output.write_all(&text)?;
    output.sync_all()?;
    fs::rename(&fresh, file)?;
    File::open(directory)?.sync_all()
}
