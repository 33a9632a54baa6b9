//! What runs the workload.

pub mod asg;
pub mod containers;
pub mod ec2;
mod ecr;
mod ecs;
mod eks;
mod fargate;
pub mod lambda;
mod lambda_edge;

use super::Write;

/// Who renders each kind.
pub const KINDS: &[(&str, Write)] = &[
    ("aws.asg", asg::write),
    ("aws.ec2", ec2::write),
    ("aws.ecs", ecs::write),
    ("aws.fargate", fargate::write),
    ("aws.eks", eks::write),
    ("aws.lambda", lambda::write),
    ("aws.lambda-edge", lambda_edge::write),
    ("aws.ecr", ecr::write),
];
