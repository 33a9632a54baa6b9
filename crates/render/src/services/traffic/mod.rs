//! What leads users to a region, and to another one.

pub mod alb;

use super::Write;

/// Who renders each kind.
pub const KINDS: &[(&str, Write)] = &[("aws.alb", alb::write)];
