//! What a name leads to in a region: a load balancer, an entrance of API Gateway, an address.

use model::Part;
use model::design::Site;

use super::{alb, api_gateway, cloudfront, global_accelerator, nlb};
use crate::names;
use crate::resource::Given;
use crate::root::Root;
use crate::services::compute::ec2;
use crate::services::data::transfer;
use crate::services::is_at;
use crate::sheet::{Sheet, parameter, regional};
use crate::value::{Map, Value};
use crate::{list, map};

pub enum Lead {
    /// A name of AWS with the zone that it is in: an alias record, which costs nothing and has no TTL of its own.
    Alias { name: Value, zone: Value },
    /// Any other name: a CNAME record.
    Name(Value),
    /// An address that stays.
    Address(Value),
    /// Several, of which clients take any.
    Addresses(Vec<Value>),
}

impl Lead {
    pub fn name(&self) -> Value {
        match self {
            Self::Alias { name, .. } | Self::Name(name) | Self::Address(name) => name.clone(),
            Self::Addresses(all) => all.first().cloned().unwrap_or_else(|| "".into()),
        }
    }
    /// What a record says: an alias, or a name and how long it may be remembered.
    pub fn answer(&self, follows_health: bool, ttl: u64) -> Map {
        match self {
            Self::Alias { name, zone } => map! {
                "Type" => "A",
                "AliasTarget" => map! { "DNSName" => name.clone(), "HostedZoneId" => zone.clone(), "EvaluateTargetHealth" => follows_health },
            },
            Self::Name(name) => {
                map! { "Type" => "CNAME", "ResourceRecords" => list![name.clone()], "TTL" => ttl.to_string() }
            }
            Self::Address(address) => {
                map! { "Type" => "A", "ResourceRecords" => list![address.clone()], "TTL" => ttl.to_string() }
            }
            Self::Addresses(all) => {
                map! { "Type" => "A", "ResourceRecords" => all.clone(), "TTL" => ttl.to_string() }
            }
        }
    }
}

/// What `part` leads to in a region: its `to` there, or what stands in front of that.
pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Lead {
    match front(sheet, part, site) {
        Some(front) => at(sheet, front, site),
        None => named(sheet, part, site),
    }
}

/// What a name of one region alone leads to: an entrance of API Gateway has another place for each name.
pub fn by_own_name(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Lead {
    let entrance = front(sheet, part, site).filter(|front| front.kind.name == "aws.api-gateway");
    match entrance.and_then(|front| api_gateway::own_lead(sheet, front, site)) {
        Some((name, zone)) => Lead::Alias { name, zone },
        None => of(sheet, part, site),
    }
}

/// The component whose name is asked for.
pub fn front<'d>(sheet: &Sheet<'d>, part: &Part, site: &Site) -> Option<&'d Part> {
    let here = part.at(&site.id);
    let covered = here.components("check.covers").and_then(|covered| covered.into_iter().next());
    let to = here.component("to").or(covered).or_else(|| part.needs.first().cloned())?;
    let mut front = sheet.part(&to)?;
    // What runs the workload has no name of its own: its load balancer has. Two steps, so that a circle ends.
    for _ in 0..2 {
        if leads(front) {
            break;
        }
        front = front.component("behind").and_then(|id| sheet.part(&id)).unwrap_or(front);
    }
    Some(front).filter(|front| is_at(front, site))
}

/// The regions that `part` can lead to: those where what it leads to is.
pub fn sites<'d>(sheet: &Sheet<'d>, part: &Part) -> Vec<&'d Site> {
    let said = |site: &&Site| part.at(&site.id).component("to").is_none() || front(sheet, part, site).is_some();
    sheet.sites(part).into_iter().filter(said).collect()
}

fn leads(part: &Part) -> bool {
    matches!(
        part.kind.name.as_str(),
        "aws.alb" | "aws.nlb" | "aws.api-gateway" | "aws.cloudfront" | "aws.global-accelerator" | "aws.transfer-family"
    )
}

fn at(sheet: &mut Sheet<'_>, front: &Part, site: &Site) -> Lead {
    match front.kind.name.as_str() {
        "aws.alb" => {
            Lead::Alias { name: alb::dns_name(sheet, front, site), zone: alb::hosted_zone(sheet, front, site) }
        }
        "aws.nlb" => {
            Lead::Alias { name: nlb::dns_name(sheet, front, site), zone: nlb::hosted_zone(sheet, front, site) }
        }
        "aws.api-gateway" => match api_gateway::lead(sheet, front, site) {
            Some((name, zone)) => Lead::Alias { name, zone },
            None => named(sheet, front, site),
        },
        "aws.transfer-family" => Lead::Addresses(transfer::addresses(sheet, front, site)),
        "aws.ec2" => Lead::Address(ec2::address(sheet, front, site)),
        _ => named(sheet, front, site),
    }
}

/// What leads to every region at once, and the stack that has it.
pub fn global(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Option<(Root, Lead)> {
    let front = front(sheet, part, site)?;
    // The zones of all distributions and of all accelerators (AWS General Reference, "Service endpoints and quotas").
    let (root, name, zone) = match front.kind.name.as_str() {
        "aws.cloudfront" => (Root::Edge, cloudfront::domain(sheet, front), "Z2FDTNDATAQYW2"),
        "aws.global-accelerator" => (Root::Accelerator, global_accelerator::dns_name(sheet, front), "Z2BJ6XQ5FK7U4H"),
        _ => return None,
    };
    Some((root, Lead::Alias { name, zone: zone.into() }))
}

/// A name that somebody must say.
fn named(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Lead {
    let root = regional(site);
    let how = format!("the name by which users reach {} in {}, such as lb.example.com", part.id, sheet.region(&root));
    let about = format!("The name that leads to {} in this region.", part.id);
    let name = names::logical([part.id.as_str(), "leads to"]);
    Lead::Name(sheet.parameter(&root, parameter(&name, "String", &about, Given::Ask(how))))
}
