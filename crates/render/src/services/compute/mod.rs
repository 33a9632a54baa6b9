//! What runs the workload.

pub mod asg;

use super::Write;

/// Who renders each kind.
pub const KINDS: &[(&str, Write)] = &[("aws.asg", asg::write)];
