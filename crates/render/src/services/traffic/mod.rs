//! What leads users to a region, and to another one.

pub mod acm;
pub mod alb;
pub mod api_gateway;
pub mod arc;
pub mod cloudfront;
pub mod colours;
pub mod global_accelerator;
mod health;
pub mod leads;
pub mod nlb;
pub mod route53;
pub mod security_group;
pub mod signal;
mod transit_gateway;
mod vpc_peering;
mod zonal_shift;

use super::Write;

/// Who renders each kind.
pub const KINDS: &[(&str, Write)] = &[
    ("aws.alb", alb::write),
    ("aws.nlb", nlb::write),
    ("aws.api-gateway", api_gateway::write),
    ("aws.acm", acm::write),
    ("aws.cloudfront", cloudfront::write),
    ("aws.global-accelerator", global_accelerator::write),
    ("aws.vpc-peering", vpc_peering::write),
    ("aws.transit-gateway", transit_gateway::write),
    ("aws.route53", route53::write),
    ("aws.route53-health-check", health::write),
    ("aws.arc-routing-control", arc::write),
    ("aws.arc-zonal-shift", zonal_shift::write),
    ("aws.security-group", security_group::write),
];
