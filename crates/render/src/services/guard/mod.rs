//! Keys, secrets, firewalls and what watches over accounts.

pub mod kms;
pub mod secrets;

use super::Write;

/// Who renders each kind.
pub const KINDS: &[(&str, Write)] = &[("aws.kms", kms::write), ("aws.secrets-manager", secrets::write)];
