//! What operates the workload: alarms, dashboards, switch plans, experiments, stack sets.

use super::Write;

/// Who renders each kind.
pub const KINDS: &[(&str, Write)] = &[];
