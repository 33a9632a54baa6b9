//! What leads users to a region, and to another one.

pub mod alb;
pub mod arc;
mod health;
mod leads;
mod route53;
pub mod security_group;
pub mod signal;
mod zonal_shift;

use super::Write;

/// Who renders each kind.
pub const KINDS: &[(&str, Write)] = &[
    ("aws.alb", alb::write),
    ("aws.route53", route53::write),
    ("aws.route53-health-check", health::write),
    ("aws.arc-routing-control", arc::write),
    ("aws.arc-zonal-shift", zonal_shift::write),
    ("aws.security-group", security_group::write),
];
