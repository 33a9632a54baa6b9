//! Keys, secrets, firewalls and what watches over accounts.

pub mod iam;
pub mod kms;
pub mod records;
pub mod secrets;
pub mod shield;
pub mod waf;
pub mod watch;

use super::Write;

/// Who renders each kind.
pub const KINDS: &[(&str, Write)] = &[
    ("aws.cloudtrail", watch::trail),
    ("aws.config", watch::configuration),
    ("aws.guardduty", watch::threats),
    ("aws.iam", iam::write),
    ("aws.kms", kms::write),
    ("aws.secrets-manager", secrets::write),
    ("aws.security-hub", watch::findings),
    ("aws.shield", shield::write),
    ("aws.waf", waf::write),
];
