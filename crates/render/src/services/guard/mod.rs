//! Keys, secrets, firewalls and what watches over accounts.

use super::Write;

/// Who renders each kind.
pub const KINDS: &[(&str, Write)] = &[];
