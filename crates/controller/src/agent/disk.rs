//! Whether the database's disk has room. A server that runs out of it goes on answering for a while, and writes nothing:
//! only who looks at the disk can tell why.

use std::path::Path;

/// One segment of the write-ahead log, in PostgreSQL's default size: with less than this it cannot begin the next.
const LEAST_FREE: u64 = 16 * 1024 * 1024;

/// Why nothing more can be written below `home`; `None` while there is room, or when nobody can tell.
pub fn full(home: &Path) -> Option<String> {
    let seen = rustix::fs::statvfs(home).ok()?;
    let free = seen.f_bavail.saturating_mul(seen.f_frsize);
    let whole = seen.f_blocks.saturating_mul(seen.f_frsize);
    let megabytes = |bytes: u64| bytes / (1024 * 1024);
    (free < LEAST_FREE)
        .then(|| format!("the database's disk is full: {} of {} MiB are free", megabytes(free), megabytes(whole)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_files_to_give_is_full() {
        assert_eq!(full(Path::new("/proc")).as_deref(), Some("the database's disk is full: 0 of 0 MiB are free"));
        assert_eq!(full(Path::new("/nowhere/at/all")), None);
        assert_eq!(full(&std::env::temp_dir()), None, "these tests need some room themselves");
    }
}
