//! What runs the workload.

mod asg;

use super::Write;

/// Who renders each kind.
pub const KINDS: &[(&str, Write)] = &[("aws.asg", asg::write)];
