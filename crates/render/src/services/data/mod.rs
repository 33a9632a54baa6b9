//! What keeps data: databases, tables, objects, files, disks, and their backups.

use super::Write;

/// Who renders each kind.
pub const KINDS: &[(&str, Write)] = &[];
