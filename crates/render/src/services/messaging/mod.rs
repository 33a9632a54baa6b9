//! Queues, streams and events.

use super::Write;

/// Who renders each kind.
pub const KINDS: &[(&str, Write)] = &[];
