//! Transit gateways: a hub in each region, and links between the hubs with fixed routes.
//!
//! A link between hubs has to be accepted by the other region, which no resource type does; its routes are made once that
//! is done. What each region has to know of the other is state, empty at first.

use model::Part;
use model::design::Site;

use crate::resource::{Condition, Resource, Target};
use crate::root::Group;
use crate::services::id;
use crate::services::network;
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{ACCOUNT, Map, Value};
use crate::{map, names};

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let sites = sheet.sites(part);
    for (n, site) in sites.iter().enumerate() {
        let hub = hub(sheet, part, site);
        for (m, other) in sites.iter().enumerate().filter(|(m, _)| *m != n) {
            if n < m {
                asks(sheet, part, site, other, &hub);
            }
            routes(sheet, part, site, other, &hub);
        }
        if let Some(other) = sites.get(n + 1) {
            note(sheet, part, site, other);
        }
    }
}

/// A region's hub, and what its network has of it.
struct Hub {
    gateway: Target,
    table: Target,
    attachment: Target,
}

fn to(part: &Part, what: &str, other: &Site) -> String {
    names::logical([part.id.as_str(), what, other.id.as_str()])
}

fn add(sheet: &mut Sheet<'_>, part: &Part, site: &Site, kind: &'static str, id: String, properties: Map) -> Target {
    let asked = sheet.asked(part);
    sheet.add(&regional(site), Resource::new(Group::Network, kind, id, asked, properties))
}

fn hub(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Hub {
    let tags = sheet.tags(Some(part));
    let properties = map! {
        "Description" => format!("{} of {}", part.id, sheet.design.workload),
        // Nobody joins by themselves: each route is one that stands in a template.
        "DefaultRouteTableAssociation" => "disable", "DefaultRouteTablePropagation" => "disable", "AutoAcceptSharedAttachments" => "disable",
        "DnsSupport" => "enable", "Tags" => tags.clone(),
    };
    let gateway = add(sheet, part, site, "AWS::EC2::TransitGateway", id(part, "gateway"), properties);
    let table = map! { "TransitGatewayId" => gateway.get(), "Tags" => tags.clone() };
    let table = add(sheet, part, site, "AWS::EC2::TransitGatewayRouteTable", id(part, "routes"), table);
    let attachment = map! {
        "TransitGatewayId" => gateway.get(), "VpcId" => network::vpc(sheet, site), "SubnetIds" => network::private_subnets(sheet, site), "Tags" => tags,
    };
    let attachment =
        add(sheet, part, site, "AWS::EC2::TransitGatewayVpcAttachment", id(part, "attachment"), attachment);
    let both =
        || map! { "TransitGatewayAttachmentId" => attachment.get(), "TransitGatewayRouteTableId" => table.get() };
    add(sheet, part, site, "AWS::EC2::TransitGatewayRouteTableAssociation", id(part, "association"), both());
    add(sheet, part, site, "AWS::EC2::TransitGatewayRouteTablePropagation", id(part, "propagation"), both());
    Hub { gateway, table, attachment }
}

fn known(sheet: &mut Sheet<'_>, site: &Site, name: &str, about: &str) -> (Value, Condition) {
    let value = sheet.state(&regional(site), name, about, "");
    (value.clone(), Condition::given(format!("{name}Known"), value))
}

/// The region that is first in the file asks for the link.
fn asks(sheet: &mut Sheet<'_>, part: &Part, site: &Site, other: &Site, hub: &Hub) {
    let about = format!("The transit gateway of {}, once it stands.", other.id);
    let (gateway, stands) = known(sheet, site, &to(part, "gateway of", other), &about);
    let properties = map! {
        "TransitGatewayId" => hub.gateway.get(), "PeerTransitGatewayId" => gateway, "PeerRegion" => aws_region(other),
        "PeerAccountId" => ACCOUNT, "Tags" => sheet.tags(Some(part)),
    };
    let asked = sheet.asked(part);
    let kind = "AWS::EC2::TransitGatewayPeeringAttachment";
    let link = Resource::new(Group::Network, kind, to(part, "to", other), asked, properties).only_if(stands);
    sheet.add(&regional(site), link);
}

/// From the network to the hub, and from the hub over the link, once that is accepted.
fn routes(sheet: &mut Sheet<'_>, part: &Part, site: &Site, other: &Site, hub: &Hub) {
    let about = format!("The link to {}, once it was accepted there.", other.id);
    let (link, accepted) = known(sheet, site, &to(part, "link to", other), &about);
    let asked = sheet.asked(part);
    let both =
        || map! { "TransitGatewayAttachmentId" => link.clone(), "TransitGatewayRouteTableId" => hub.table.get() };
    let kind = "AWS::EC2::TransitGatewayRouteTableAssociation";
    let joined = Resource::new(Group::Network, kind, to(part, "association", other), asked.clone(), both());
    sheet.add(&regional(site), joined.only_if(accepted.clone()));
    let range = network::range_of(sheet, site, other);
    let kind = "AWS::EC2::TransitGatewayRoute";
    let route = Resource::new(
        Group::Network,
        kind,
        to(part, "route", other),
        asked,
        both().with("DestinationCidrBlock", range),
    );
    sheet.add(&regional(site), route.only_if(accepted.clone()));
    network::way_to(sheet, part, site, other, ("TransitGatewayId", hub.gateway.get(), &accepted));
    // The route of the network names the gateway, which takes it only when the network is attached.
    let stack = sheet.stacks.entry(regional(site)).or_default();
    let ways = stack.resources.iter_mut().filter(|resource| resource.id.starts_with(&network::way_id(part, other)));
    ways.for_each(|way| way.depends_on.push(hub.attachment.clone()));
}

fn note(sheet: &mut Sheet<'_>, part: &Part, one: &Site, other: &Site) {
    let (region, peer) = (aws_region(one), aws_region(other));
    let how = format!(
        "deploy both; then {} with {} (aws ec2 describe-transit-gateways --region {peer}); then aws ec2 accept-transit-gateway-peering-attachment --region {peer} --transit-gateway-attachment-id ID; then both with {} and {} (aws ec2 describe-transit-gateway-peering-attachments --region {region})",
        one.id,
        to(part, "gateway of", other),
        to(part, "link to", other),
        to(part, "link to", one),
    );
    sheet.note(
        part,
        format!(
            "{} and {} are joined at their second and third deployments: a link is accepted by hand",
            one.id, other.id
        ),
        how,
    );
}
