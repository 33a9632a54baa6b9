//! Private links between the networks of two regions, one for each pair.
//!
//! Each region has to know something that the other one only has when it stands: the network, then the link. So both are
//! state, empty at first: every region is deployed by itself, and once more when somebody has said what the other is.

use model::Part;
use model::design::Site;

use crate::resource::{Condition, Resource};
use crate::root::Group;
use crate::services::network;
use crate::sheet::{Sheet, aws_region, regional};
use crate::{map, names};

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let sites = sheet.sites(part);
    for (n, one) in sites.iter().enumerate() {
        for other in &sites[n + 1..] {
            asks(sheet, part, one, other);
            answers(sheet, part, other, one);
            note(sheet, part, one, other);
        }
    }
}

fn id(part: &Part, what: &str, other: &Site) -> String {
    names::logical([part.id.as_str(), what, other.id.as_str()])
}

/// The region that is first in the file asks for the link; which one does is for nobody to notice.
fn asks(sheet: &mut Sheet<'_>, part: &Part, site: &Site, other: &Site) {
    let (root, asked) = (regional(site), sheet.asked(part));
    let about = format!("The network of {}, once it stands.", other.id);
    let name = id(part, "network of", other);
    let network = sheet.state(&root, &name, &about, "");
    let stands = Condition::given(format!("{name}Stands"), network.clone());
    let mut marks = vec![
        map! { "Key" => "Name", "Value" => sheet.named([part.id.as_str(), site.id.as_str(), other.id.as_str()], 255) }
            .into(),
    ];
    if let crate::value::Value::List(tags) = sheet.tags(Some(part)) {
        marks.extend(tags);
    }
    let properties = map! {
        "VpcId" => network::vpc(sheet, site), "PeerVpcId" => network, "PeerRegion" => aws_region(other), "Tags" => marks,
    };
    let kind = "AWS::EC2::VPCPeeringConnection";
    let link = Resource::new(Group::Network, kind, id(part, "to", other), asked, properties).only_if(stands.clone());
    let link = sheet.add(&root, link);
    network::way_to(sheet, part, site, other, ("VpcPeeringConnectionId", link.get(), &stands));
}

fn answers(sheet: &mut Sheet<'_>, part: &Part, site: &Site, other: &Site) {
    let root = regional(site);
    let about = format!("The link that {} has asked for, once it is there.", other.id);
    let name = id(part, "link of", other);
    let link = sheet.state(&root, &name, &about, "");
    let stands = Condition::given(format!("{name}Stands"), link.clone());
    network::way_to(sheet, part, site, other, ("VpcPeeringConnectionId", link, &stands));
}

fn note(sheet: &mut Sheet<'_>, part: &Part, one: &Site, other: &Site) {
    let (asks, answers) = (id(part, "network of", other), id(part, "link of", one));
    let (region, peer) = (aws_region(one), aws_region(other));
    let find = |what: &str, query: &str, region: &str| {
        format!(
            "aws ec2 describe-{what} --region {region} --filters Name=tag:antipode:workload,Values={} --query '{query}'",
            sheet.design.workload
        )
    };
    let how = format!(
        "deploy both; then {} with {asks} from `{}`; then {} with {answers} from `{}`",
        one.id,
        find("vpcs", "Vpcs[].VpcId", peer),
        other.id,
        find("vpc-peering-connections", "VpcPeeringConnections[].VpcPeeringConnectionId", region)
    );
    sheet.note(part, format!("{} and {} are joined at their second deployments", one.id, other.id), how);
}
