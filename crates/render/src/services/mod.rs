//! One file for each service: what a component of that kind becomes.
//!
//! Each has `write`, which puts its resources into the stacks of its regions, and functions by which other services name
//! them, whether they are rendered or adopted: what is adopted is a parameter, with the command that finds it.

mod access;
pub mod buckets;
mod compute;
mod data;
mod guard;
mod logs;
mod messaging;
mod network;
mod operate;
pub mod peers;
mod role;
mod traffic;

pub(crate) use traffic::global_accelerator::dial;
pub(crate) use traffic::route53::{
    answers_parameter, find_zone, identifiers as record_identifiers, is_one as is_one_record,
};
pub(crate) use traffic::signal::OBJECT as SIGNAL;

use model::Part;
use model::design::Site;

use crate::names;
use crate::sheet::Sheet;

/// What writes a component down.
type Write = fn(&mut Sheet<'_>, &Part);

/// Who renders each kind, family by family.
const FAMILIES: [&[(&str, Write)]; 6] =
    [traffic::KINDS, compute::KINDS, data::KINDS, guard::KINDS, messaging::KINDS, operate::KINDS];

pub fn render(sheet: &mut Sheet<'_>) {
    network::render(sheet);
    let design = sheet.design;
    for part in &design.components {
        let write = writer(&part.kind.name).filter(|_| !operate::stack_sets::has(sheet, part));
        if let Some(write) = write {
            write(sheet, part);
        }
    }
    operate::render(sheet);
}

pub use compute::ecr::repository_name;
pub use compute::floor;
pub use compute::lambda::name as function_name;
pub use data::lifecycle::mark;
pub use data::{backup, database, datasync, fence};
pub use guard::secrets::name_everywhere as secret_name;
pub use messaging::msk;
pub use operate::stack_sets::region as home_of_stack_sets;
pub use traffic::global_accelerator::dial_of;

fn writer(kind: &str) -> Option<Write> {
    FAMILIES.iter().copied().flatten().find(|(known, _)| *known == kind).map(|(_, write)| *write)
}

/// Whether a load balancer sends requests to it by templates of ours.
fn serves_http(sheet: &Sheet<'_>, part: &Part) -> bool {
    let kind = part.kind.name.as_str();
    let serves = matches!(kind, "aws.asg" | "aws.ec2" | "aws.ecs" | "aws.fargate");
    serves && sheet.renders(part) && writer(kind).is_some()
}

/// The name that the spec gives it in a region.
pub(crate) fn physical(part: &Part, site: &Site) -> Option<String> {
    let here = part.at(&site.id).text("id")?;
    Some(here.replace("{site}", site.id.as_str()))
}

/// Whether it is in a region; what names no regions is in all of them.
fn is_at(part: &Part, site: &Site) -> bool {
    part.sites.is_empty() || part.is_in(&site.id)
}

/// The logical name of what belongs to a component.
pub fn id(part: &Part, what: &str) -> String {
    names::logical([part.id.as_str(), what])
}

/// Writes a component into the stack of each region that it is in, unless it is adopted.
fn in_each_region(sheet: &mut Sheet<'_>, part: &Part, one: impl Fn(&mut Sheet<'_>, &Part, &Site)) {
    if sheet.renders(part) {
        sheet.sites(part).into_iter().for_each(|site| one(sheet, part, site));
    }
}

/// What a name leads to in a region.
pub(crate) fn led_to<'d>(sheet: &Sheet<'d>, part: &Part, site: &Site) -> Option<&'d Part> {
    traffic::leads::front(sheet, part, site)
}
