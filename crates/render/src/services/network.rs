//! The network of a region: a VPC over two zones or more, with public and private subnets, and a way out of each zone that
//! needs no other.
//!
//! Where the network is adopted, its parts are parameters.

use std::collections::BTreeSet;

use model::Part;
use model::design::Site;

use crate::resource::{Condition, Given, Resource, Target};
use crate::root::Group;
use crate::sheet::{Sheet, parameter, regional};
use crate::value::Value;
use crate::{map, names};

pub mod apart;
mod watch;

/// The kinds that stand in a network.
const INSIDE: [&str; 17] = [
    "aws.alb",
    "aws.nlb",
    "aws.asg",
    "aws.ec2",
    "aws.ecs",
    "aws.fargate",
    "aws.eks",
    "aws.rds",
    "aws.aurora",
    "aws.aurora-global",
    "aws.elasticache",
    "aws.efs",
    "aws.msk",
    "aws.vpc",
    "aws.vpc-peering",
    "aws.transit-gateway",
    "aws.transfer-family",
];

/// Pieces that a network is cut into, and the bits for hosts in each: 16 subnets of 4,096 addresses.
const PIECES: (u8, u8) = (16, 12);

pub fn render(sheet: &mut Sheet<'_>) {
    let needed =
        sheet.design.components.iter().any(|part| INSIDE.contains(&part.kind.name.as_str()) && sheet.renders(part));
    if !needed || !ours(sheet) {
        return;
    }
    let sites: Vec<&Site> = sheet.design.regions().collect();
    for site in sites {
        one(sheet, site);
        watch::flow_logs(sheet, site);
        if sheet.of_kind("aws.vpc").any(|part| part.bool("endpoints") == Some(true)) {
            watch::endpoints(sheet, site);
        }
    }
}

/// Whether the networks are rendered here, rather than adopted.
fn ours(sheet: &Sheet<'_>) -> bool {
    let declared = sheet.of_kind("aws.vpc").next();
    match declared {
        Some(part) => sheet.renders(part),
        None => {
            sheet.design.components.iter().any(|part| INSIDE.contains(&part.kind.name.as_str()) && sheet.renders(part))
        }
    }
}

/// The letters of the zones: those of the spec, and at least two, because load balancers and databases need them.
pub fn zones(site: &Site) -> Vec<String> {
    let mut zones: Vec<String> = site.zones.clone();
    for letter in ["a", "b", "c"] {
        if zones.len() < 2 && !zones.iter().any(|zone| zone == letter) {
            zones.push(letter.to_owned());
        }
    }
    zones
}

pub fn vpc(sheet: &mut Sheet<'_>, site: &Site) -> Value {
    let root = regional(site);
    match ours(sheet) {
        true => sheet.target(&root, "Vpc").get(),
        false => {
            let how = format!("aws ec2 describe-vpcs --region {} --query 'Vpcs[].VpcId'", sheet.region(&root));
            let asked =
                parameter("VpcId", "AWS::EC2::VPC::Id", "The network that the workload stands in.", Given::Ask(how));
            sheet.parameter(&root, asked)
        }
    }
}

/// The addresses of the network.
pub fn addresses(sheet: &mut Sheet<'_>, site: &Site) -> Value {
    let root = regional(site);
    match ours(sheet) {
        true => sheet.target(&root, "Vpc").att("CidrBlock"),
        false => {
            let how = format!("aws ec2 describe-vpcs --region {} --query 'Vpcs[].CidrBlock'", sheet.region(&root));
            sheet.ask(&root, "VpcAddresses", "The addresses of the network, such as 10.0.0.0/16.", how)
        }
    }
}

/// Subnets that the internet does not reach, one in each zone. A list value.
pub fn private_subnets(sheet: &mut Sheet<'_>, site: &Site) -> Value {
    subnets(sheet, site, "Private")
}

/// Subnets for what the internet reaches. A list value.
pub fn public_subnets(sheet: &mut Sheet<'_>, site: &Site) -> Value {
    subnets(sheet, site, "Public")
}

fn subnets(sheet: &mut Sheet<'_>, site: &Site, which: &str) -> Value {
    let root = regional(site);
    if ours(sheet) {
        let each = zones(site).into_iter().map(|zone| sheet.target(&root, subnet(which, &zone)).get());
        return Value::List(each.collect());
    }
    let how = format!("aws ec2 describe-subnets --region {} --query 'Subnets[].SubnetId'", sheet.region(&root));
    let about = format!("The {} subnets of the network, in two zones or more.", which.to_ascii_lowercase());
    let name = format!("{which}Subnets");
    let asked = parameter(&name, "List<AWS::EC2::Subnet::Id>", &about, Given::Ask(how));
    sheet.parameter(&root, asked)
}

/// The addresses of a region's network at first. Networks of two regions that are ever joined must not overlap.
fn range(sheet: &Sheet<'_>, site: &Site) -> String {
    let place = sheet.ever.iter().position(|other| *other == site.id).unwrap_or_default();
    format!("10.{}.0.0/16", place * 16 % 256)
}

/// The addresses of another region's network, as this region knows them.
pub fn range_of(sheet: &mut Sheet<'_>, site: &Site, other: &Site) -> Value {
    let (root, name) = (regional(site), names::logical(["network range of", other.id.as_str()]));
    if ours(sheet) {
        let about = format!("The addresses of the network of {}.", other.id);
        return sheet.state(&root, &name, &about, range(sheet, other));
    }
    let how = format!("aws ec2 describe-vpcs --region {} --query 'Vpcs[].CidrBlock'", crate::sheet::aws_region(other));
    sheet.ask(&root, &name, &format!("The addresses of the network of {}.", other.id), how)
}

/// What the ways to another region's network are called, but for the zone.
pub fn way_id(part: &Part, other: &Site) -> String {
    names::logical([part.id.as_str(), "way to", other.id.as_str()])
}

/// Leads what is for another region's network through `by`, from every zone, while `condition` holds.
pub fn way_to(
    sheet: &mut Sheet<'_>,
    part: &Part,
    site: &Site,
    other: &Site,
    (key, by, condition): (&'static str, Value, &Condition),
) {
    let (root, asked) = (regional(site), sheet.asked(part));
    if !ours(sheet) {
        let says = format!("the routes of {} are adopted, and do not lead to {}", site.id, other.id);
        let how = format!("aws ec2 create-route --region {} in each private route table", sheet.region(&root));
        return sheet.note(part, says, how);
    }
    let range = range_of(sheet, site, other);
    for zone in zones(site) {
        let table = sheet.target(&root, names::logical(["private routes", &zone]));
        let properties =
            map! { "RouteTableId" => table.get(), "DestinationCidrBlock" => range.clone() }.with(key, by.clone());
        let id = format!("{}{}", way_id(part, other), names::logical([zone.as_str()]));
        let way = Resource::new(Group::Network, "AWS::EC2::Route", id, asked.clone(), properties);
        sheet.add(&root, way.only_if(condition.clone()));
    }
}

/// Whether the private subnets of a region are others than when `with` was rendered before.
pub fn others_than_before(sheet: &Sheet<'_>, site: &Site, with: &str) -> bool {
    let before = sheet.before.within(&regional(site));
    let any = subnet("Private", "");
    let stood: BTreeSet<&str> = before.keys().copied().filter(|id| id.starts_with(&any)).collect();
    let now: BTreeSet<String> = zones(site).iter().map(|zone| subnet("Private", zone)).collect();
    let same = stood.iter().copied().eq(now.iter().map(String::as_str));
    // Where the network is adopted, there are none of ours.
    before.contains_key(with) && !stood.is_empty() && !same
}

fn subnet(which: &str, zone: &str) -> String {
    names::logical([which, "subnet", zone])
}

/// A security group of a component in this region. Its rules are resources of their own, written by those who connect.
pub fn firewall(sheet: &mut Sheet<'_>, part: &Part, site: &Site, about: &str) -> Target {
    let root = regional(site);
    let id = names::logical([part.id.as_str(), "security group"]);
    if sheet.has(&root, &id) {
        return sheet.target(&root, id);
    }
    let properties = map! {
        "GroupDescription" => about,
        "VpcId" => vpc(sheet, site),
        "Tags" => sheet.tags(Some(part)),
    };
    let asked = sheet.asked(part);
    sheet.add(&root, Resource::new(Group::Security, "AWS::EC2::SecurityGroup", id, asked, properties))
}

/// Lets `from` reach `port` of `to`, and nobody else by that.
pub fn allow(
    sheet: &mut Sheet<'_>,
    site: &Site,
    (from, from_group): (&Part, &Target),
    (to, to_group): (&Part, &Target),
    port: u16,
) -> Target {
    let root = regional(site);
    let id = names::logical([to.id.as_str(), "from", from.id.as_str(), &port.to_string()]);
    if sheet.has(&root, &id) {
        return sheet.target(&root, id);
    }
    let about = format!("{} to {}", from.id, to.id);
    let ends = map! { "IpProtocol" => "tcp", "FromPort" => u32::from(port), "ToPort" => u32::from(port), "Description" => about };
    let asked = sheet.asked(from);
    let mut rule = ends;
    rule.set("GroupId", to_group.att("GroupId"));
    rule.set("SourceSecurityGroupId", from_group.att("GroupId"));
    sheet.add(&root, Resource::new(Group::Security, "AWS::EC2::SecurityGroupIngress", id, asked, rule))
}

/// One of the pieces of a network.
fn range_in(vpc: &Target, (count, bits): (u8, u8), index: usize) -> Value {
    let pieces = Value::Cidr(Box::new(vpc.att("CidrBlock")), count, bits);
    Value::Select(u8::try_from(index).unwrap_or(u8::MAX), Box::new(pieces))
}

fn one(sheet: &mut Sheet<'_>, site: &Site) {
    let root = regional(site);
    let asked = sheet.asked_by(&format!("sites.{}", site.id));
    let tags = sheet.tags(None);
    // Networks of two regions that are ever joined must not overlap; a new range would be a new network, so it stays as
    // it was at first whatever becomes of the order of the file.
    let at_first = range(sheet, site);
    let range = sheet.state(
        &root,
        "NetworkRange",
        "The addresses of this region's network. Another range is another network.",
        at_first,
    );
    let add = |sheet: &mut Sheet<'_>, kind, id: String, properties| {
        sheet.add(&root, Resource::new(Group::Network, kind, id, asked.clone(), properties))
    };
    let properties =
        map! { "CidrBlock" => range, "EnableDnsHostnames" => true, "EnableDnsSupport" => true, "Tags" => tags.clone() };
    let vpc = add(sheet, "AWS::EC2::VPC", "Vpc".to_owned(), properties);
    let gateway =
        add(sheet, "AWS::EC2::InternetGateway", "InternetGateway".to_owned(), map! { "Tags" => tags.clone() });
    let joined = map! { "VpcId" => vpc.get(), "InternetGatewayId" => gateway.get() };
    let joined = add(sheet, "AWS::EC2::VPCGatewayAttachment", "InternetGatewayAttachment".to_owned(), joined);
    let routes = |sheet: &mut Sheet<'_>, id: String| {
        add(sheet, "AWS::EC2::RouteTable", id, map! { "VpcId" => vpc.get(), "Tags" => tags.clone() })
    };
    let public = routes(sheet, "PublicRoutes".to_owned());
    let out =
        map! { "RouteTableId" => public.get(), "DestinationCidrBlock" => "0.0.0.0/0", "GatewayId" => gateway.get() };
    let way_out = Resource::new(Group::Network, "AWS::EC2::Route", "PublicWayOut", asked.clone(), out);
    sheet.add(&root, way_out.after(joined.clone()));
    let mut tables = vec![public.get()];
    for (index, zone) in zones(site).iter().enumerate() {
        let piece = |index: usize| range_in(&vpc, PIECES, index);
        let in_zone = |index: usize| {
            map! { "VpcId" => vpc.get(), "AvailabilityZone" => crate::cat![crate::value::REGION, zone], "CidrBlock" => piece(index), "Tags" => tags.clone() }
        };
        let outside = add(sheet, "AWS::EC2::Subnet", subnet("Public", zone), in_zone(index));
        let inside =
            add(sheet, "AWS::EC2::Subnet", subnet("Private", zone), in_zone(index + usize::from(PIECES.0) / 2));
        let table = routes(sheet, names::logical(["private routes", zone]));
        let join = |subnet: &Target, table: &Target| map! { "SubnetId" => subnet.get(), "RouteTableId" => table.get() };
        add(
            sheet,
            "AWS::EC2::SubnetRouteTableAssociation",
            names::logical(["public association", zone]),
            join(&outside, &public),
        );
        add(
            sheet,
            "AWS::EC2::SubnetRouteTableAssociation",
            names::logical(["private association", zone]),
            join(&inside, &table),
        );
        let address = Resource::new(
            Group::Network,
            "AWS::EC2::EIP",
            names::logical(["way out address", zone]),
            asked.clone(),
            map! { "Domain" => "vpc", "Tags" => tags.clone() },
        );
        let address = sheet.add(&root, address.after(joined.clone()));
        let way_out =
            map! { "AllocationId" => address.att("AllocationId"), "SubnetId" => outside.get(), "Tags" => tags.clone() };
        let way_out = add(sheet, "AWS::EC2::NatGateway", names::logical(["way out", zone]), way_out);
        let route = map! { "RouteTableId" => table.get(), "DestinationCidrBlock" => "0.0.0.0/0", "NatGatewayId" => way_out.get() };
        add(sheet, "AWS::EC2::Route", names::logical(["private way out", zone]), route);
        tables.push(table.get());
    }
    for service in ["s3", "dynamodb"] {
        let name = crate::cat!["com.amazonaws.", crate::value::REGION, ".", service];
        let endpoint = map! { "VpcId" => vpc.get(), "ServiceName" => name, "VpcEndpointType" => "Gateway", "RouteTableIds" => tables.clone() };
        add(sheet, "AWS::EC2::VPCEndpoint", names::logical([service, "endpoint"]), endpoint);
    }
}
