//! What keeps data: databases, tables, objects, files, disks, and their backups.

pub mod aurora;
pub mod backup;
pub mod database;
pub mod datasync;
pub mod dynamodb;
pub mod efs;
pub mod elasticache;
pub mod fence;
pub mod lifecycle;
pub mod rds;
pub mod s3;
pub mod transfer;

pub use crate::services::id;
use model::Part;

use super::Write;

/// Who renders each kind.
pub const KINDS: &[(&str, Write)] = &[
    ("aws.ami", lifecycle::images),
    ("aws.aurora", aurora::write),
    ("aws.aurora-global", aurora::write),
    ("aws.backup", backup::write),
    ("aws.datasync", datasync::write),
    ("aws.dynamodb", dynamodb::write),
    ("aws.dynamodb-global", dynamodb::write),
    ("aws.ebs", lifecycle::disks),
    ("aws.efs", efs::write),
    ("aws.elasticache", elasticache::write),
    ("aws.rds", rds::write),
    ("aws.s3", s3::write),
    ("aws.transfer-family", transfer::write),
];

/// A time of the spec in days, rounded up.
fn days(part: &Part, key: &str) -> Option<u64> {
    part.duration(key).map(|time| time.as_secs().div_ceil(86_400).max(1))
}

/// A size of the spec in gibibytes, rounded up.
fn gibibytes(part: &Part, key: &str) -> Option<u64> {
    part.size(key).map(|bytes| bytes.div_ceil(1 << 30).max(1))
}
