//! Small values that must survive a crash: one SQLite file for each owner, fsynced on every write.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use serde::de::DeserializeOwned;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open {}", .file.display())]
    Open { file: PathBuf, source: rusqlite::Error },
    #[error("cannot read or write `{key}`")]
    Access { key: &'static str, source: rusqlite::Error },
    #[error("cannot remove {}", .file.display())]
    Forget { file: PathBuf, source: std::io::Error },
    #[error("`{key}` is not readable")]
    Corrupt { key: &'static str, source: serde_json::Error },
}

pub fn open(file: &Path) -> Result<Connection, StoreError> {
    let fail = |source| StoreError::Open { file: file.to_path_buf(), source };
    let disk = Connection::open(file).map_err(fail)?;
    disk.pragma_update(None, "journal_mode", "WAL").map_err(fail)?;
    disk.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
    disk.execute("CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, value TEXT NOT NULL)", []).map_err(fail)?;
    Ok(disk)
}

pub fn load<T: DeserializeOwned>(disk: &Connection, key: &'static str) -> Result<Option<T>, StoreError> {
    let found = disk.query_row("SELECT value FROM kept WHERE key = ?1", [key], |row| row.get::<_, String>(0));
    let text = found.optional().map_err(|source| StoreError::Access { key, source })?;
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(|source| StoreError::Corrupt { key, source })
}

pub fn save<T: Serialize>(disk: &Connection, key: &'static str, value: &T) -> Result<(), StoreError> {
    let text = serde_json::to_string(value).map_err(|source| StoreError::Corrupt { key, source })?;
    let write = "INSERT INTO kept (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    disk.execute(write, [key, &text]).map_err(|source| StoreError::Access { key, source })?;
    Ok(())
}

/// Removes `file` for good, if it is there.
pub fn forget(file: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(file) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Forget { file: file.to_path_buf(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_values_over_a_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kept");
        assert_eq!(load::<u32>(&open(&file).unwrap(), "n").unwrap(), None);
        save(&open(&file).unwrap(), "n", &7).unwrap();
        assert_eq!(load::<u32>(&open(&file).unwrap(), "n").unwrap(), Some(7));
        assert!(matches!(load::<String>(&open(&file).unwrap(), "n"), Err(StoreError::Corrupt { .. })));
    }
}
