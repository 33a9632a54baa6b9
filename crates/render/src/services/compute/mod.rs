//! What runs the workload.

pub mod asg;
pub mod containers;
pub mod ec2;
pub mod ecr;
mod ecs;
pub mod eks;
mod fargate;
mod first;
pub mod floor;
pub mod lambda;
pub mod lambda_edge;
pub mod rollout;

use model::Part;
use model::design::Site;

use super::traffic::{alb, nlb};
use super::{Write, is_at, network};
use crate::resource::Target;
use crate::sheet::Sheet;

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

/// The class of an instance of a kind when the spec names none; `None` of a kind without instances.
pub fn usual_class(kind: &str) -> Option<&'static str> {
    match kind {
        "aws.asg" | "aws.ec2" => Some("t3.micro"),
        // Tasks and pods of several components share one.
        "aws.ecs" | "aws.eks" => Some("m6i.large"),
        _ => None,
    }
}

/// The class of the instances of a component in a region.
fn class(part: &Part, site: &Site) -> String {
    let said = part.at(&site.id).text("usage.class").map(str::to_owned);
    said.or_else(|| usual_class(&part.kind.name).map(str::to_owned)).unwrap_or_default()
}

/// Where the load balancer in front of a component sends what is for it, when there is one: `kind` is what it sends to,
/// `instance` or `ip`.
fn behind(
    sheet: &mut Sheet<'_>,
    front: &Part,
    part: &Part,
    site: &Site,
    (kind, port, firewall): (&str, u16, &Target),
) -> Option<Target> {
    if !matches!(front.kind.name.as_str(), "aws.alb" | "aws.nlb") || !is_at(front, site) {
        return None;
    }
    let users = network::firewall(sheet, front, site, "Lets users reach the load balancer");
    network::allow(sheet, site, (front, &users), (part, firewall), port);
    Some(match front.kind.name.as_str() {
        "aws.nlb" => nlb::target_group(sheet, front, part, site, (kind, port)),
        _ => alb::target_group(sheet, front, part, site, kind, port),
    })
}
