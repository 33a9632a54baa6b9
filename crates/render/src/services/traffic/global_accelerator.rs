//! Global Accelerator: two addresses that stay, which lead to the load balancers of healthy regions.
//!
//! How much a region gets of what is near it is state: a dial that recoveries may turn, and no deployment turns back.

use model::Part;
use model::design::Site;

use super::{alb, leads, nlb};
use crate::resource::{Given, Resource};
use crate::root::{Group, Root};
use crate::services::id;
use crate::sheet::{Sheet, aws_region, parameter};
use crate::value::Value;
use crate::{list, map};

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let (root, asked) = (Root::Accelerator, sheet.asked(part));
    let properties = map! {
        "Name" => sheet.named([part.id.as_str()], 64), "Enabled" => true, "IpAddressType" => "IPV4", "Tags" => sheet.tags(Some(part)),
    };
    let kind = "AWS::GlobalAccelerator::Accelerator";
    let accelerator = Resource::new(Group::Traffic, kind, id(part, "accelerator"), asked.clone(), properties)
        .excused("CKV_AWS_75", "who connected is in the flow logs of each region's network");
    let accelerator = sheet.add(&root, accelerator);
    sheet.output(&root, id(part, "dns name"), "The name of the accelerator", accelerator.att("DnsName"));
    let properties = map! {
        "AcceleratorArn" => accelerator.get(),
        "Protocol" => "TCP",
        "PortRanges" => list![map! { "FromPort" => 443, "ToPort" => 443 }],
        "ClientAffinity" => if part.bool("sticky") == Some(true) { "SOURCE_IP" } else { "NONE" },
    };
    let kind = "AWS::GlobalAccelerator::Listener";
    let listener = sheet.add(&root, Resource::new(Group::Traffic, kind, id(part, "listener"), asked, properties)).get();
    for site in leads::sites(sheet, part) {
        group(sheet, part, site, &listener);
    }
}

/// The parameter that says how much of what is near a region goes there now.
pub fn dial_of(part: &Part, site: &Site) -> String {
    id(part, &format!("dial {}", site.id))
}

/// Percent of what is near a region that goes there when all is well.
pub fn dial(site: &Site) -> &'static str {
    if site.traffic_weight == Some(0) { "0" } else { "100" }
}

fn group(sheet: &mut Sheet<'_>, part: &Part, site: &Site, listener: &Value) {
    let (root, asked) = (Root::Accelerator, sheet.asked(part));
    let about =
        format!("Percent of what is near {} that goes there. A recovery changes it, no deployment does.", site.id);
    let at_first = Given::AtFirst(dial(site).to_owned());
    let dial = parameter(&dial_of(part, site), "Number", &about, at_first);
    // A load balancer of HTTP tells of its own targets; for others, the accelerator connects by itself.
    let every = part.duration("check.every").map_or(30, |every| if every.as_secs() < 30 { 10 } else { 30 });
    let endpoint = endpoint(sheet, part, site);
    let properties = map! {
        "ListenerArn" => listener.clone(),
        "EndpointGroupRegion" => aws_region(site),
        "TrafficDialPercentage" => sheet.parameter(&root, dial),
        "HealthCheckIntervalSeconds" => every,
        "ThresholdCount" => part.count("check.failures").unwrap_or(3).clamp(1, 10),
        "EndpointConfigurations" => list![map! { "EndpointId" => endpoint, "Weight" => 128, "ClientIPPreservationEnabled" => true }],
    };
    let kind = "AWS::GlobalAccelerator::EndpointGroup";
    sheet.add(&root, Resource::new(Group::Traffic, kind, id(part, site.id.as_str()), asked, properties));
}

fn endpoint(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    let front = leads::front(sheet, part, site);
    match front.map(|front| (front, front.kind.name.as_str())) {
        Some((front, "aws.alb")) => alb::arn(sheet, front, site),
        Some((front, "aws.nlb")) => nlb::arn(sheet, front, site),
        _ => {
            let about = format!("What {} leads to in {}: the ARN of a load balancer.", part.id, site.id);
            let how = format!(
                "aws elbv2 describe-load-balancers --region {} --query 'LoadBalancers[].LoadBalancerArn'",
                aws_region(site)
            );
            sheet.ask(&Root::Accelerator, &id(part, &format!("endpoint {}", site.id)), &about, how)
        }
    }
}

/// The name that leads to its addresses.
pub fn dns_name(sheet: &mut Sheet<'_>, part: &Part) -> Value {
    if sheet.renders(part) {
        return sheet.target(&Root::Accelerator, id(part, "accelerator")).att("DnsName");
    }
    let how = "aws globalaccelerator list-accelerators --region us-west-2 --query 'Accelerators[].DnsName'";
    sheet.ask(&Root::Accelerator, &id(part, "dns name"), &format!("The name of {}.", part.id), how)
}
