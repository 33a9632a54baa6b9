//! Subnets for data alone, with an access list of their own: who is shut out there is shut out of nothing else. A list is
//! asked for what enters a subnet, not for what stays within it, so clients must not stand in the same one (Amazon VPC User
//! Guide, "Network ACLs").

use model::design::Site;

use super::{PIECES, ours, range_in, zones};
use crate::resource::{Resource, Target};
use crate::root::Group;
use crate::sheet::{Sheet, regional};
use crate::value::{REGION, Value};
use crate::{cat, map, names};

const LIST: &str = "DataAccessList";

/// The pieces of the network that six zones of public and of private subnets leave over: one for each of four zones.
const LEFT: [usize; 4] = [6, 7, 14, 15];

/// The list, where the networks are ours.
pub fn list(sheet: &Sheet<'_>, site: &Site) -> Option<Target> {
    ours(sheet).then(|| sheet.target(&regional(site), LIST))
}

/// The subnets: a list value. None where the network is adopted.
pub fn subnets(sheet: &mut Sheet<'_>, site: &Site) -> Option<Value> {
    if !ours(sheet) {
        return None;
    }
    let root = regional(site);
    let zones: Vec<String> = zones(site).into_iter().take(LEFT.len()).collect();
    if !sheet.has(&root, LIST) {
        make(sheet, site, &zones);
    }
    Some(Value::List(
        zones.iter().map(|zone| sheet.target(&root, names::logical(["data subnet", zone])).get()).collect(),
    ))
}

fn make(sheet: &mut Sheet<'_>, site: &Site, zones: &[String]) {
    let (root, asked) = (regional(site), sheet.asked_by(&format!("sites.{}", site.id)));
    let add = |sheet: &mut Sheet<'_>, kind, id: String, properties| {
        sheet.add(&root, Resource::new(Group::Network, kind, id, asked.clone(), properties))
    };
    let tags = sheet.tags(None);
    let mut marks = vec![map! { "Key" => "antipode:fence", "Value" => "data" }.into()];
    if let Value::List(tags) = tags.clone() {
        marks.extend(tags);
    }
    let vpc = sheet.target(&root, "Vpc");
    let list = add(sheet, "AWS::EC2::NetworkAcl", LIST.to_owned(), map! { "VpcId" => vpc.get(), "Tags" => marks });
    // Everything, as without a list: who may come is said by security groups, and a fence only ever adds a refusal.
    for (name, egress) in [("in", false), ("out", true)] {
        let properties = map! {
            "NetworkAclId" => list.get(), "RuleNumber" => 1000, "Protocol" => -1, "RuleAction" => "allow",
            "Egress" => egress, "CidrBlock" => "0.0.0.0/0",
        };
        add(sheet, "AWS::EC2::NetworkAclEntry", names::logical(["data access", name]), properties);
    }
    for (index, zone) in LEFT.into_iter().zip(zones) {
        let properties = map! {
            "VpcId" => vpc.get(), "AvailabilityZone" => cat![REGION, zone], "CidrBlock" => range_in(&vpc, PIECES, index), "Tags" => tags.clone(),
        };
        let subnet = add(sheet, "AWS::EC2::Subnet", names::logical(["data subnet", zone]), properties);
        let table = sheet.target(&root, names::logical(["private routes", zone]));
        let joined = map! { "SubnetId" => subnet.get(), "RouteTableId" => table.get() };
        add(sheet, "AWS::EC2::SubnetRouteTableAssociation", names::logical(["data association", zone]), joined);
        let joined = map! { "SubnetId" => subnet.get(), "NetworkAclId" => list.get() };
        add(sheet, "AWS::EC2::SubnetNetworkAclAssociation", names::logical(["data access", zone]), joined);
    }
}
