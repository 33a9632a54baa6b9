//! Network load balancers: connections, ended with TLS, over the public subnets of a region.

use crate::services::id;
use crate::services::in_each_region;
use model::Part;
use model::design::Site;

use super::acm;
use crate::resource::{Given, Resource, Target};
use crate::root::Group;
use crate::services::{is_at, network, physical, serves_http};
use crate::sheet::{Sheet, parameter, regional};
use crate::value::Value;
use crate::{list, map, names};

/// Where the first listens; each further one behind it has the next port from `NEXT` on.
const PORT: u16 = 443;
const NEXT: u16 = 8443;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    in_each_region(sheet, part, one);
}

/// What stands behind it in a region, and the port that leads there.
fn backends<'d>(sheet: &Sheet<'d>, part: &Part, site: &Site) -> Vec<(&'d Part, u16)> {
    let all = sheet.behind(part).filter(|other| is_at(other, site) && serves_http(sheet, other));
    std::iter::once(PORT).chain(NEXT..).zip(all).map(|(port, other)| (other, port)).collect()
}

fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let (root, asked) = (regional(site), sheet.asked(part));
    let group = network::firewall(sheet, part, site, "Lets users reach the load balancer");
    let behind = backends(sheet, part, site);
    for (_, port) in &behind {
        let rule = map! {
            "GroupId" => group.att("GroupId"), "IpProtocol" => "tcp", "FromPort" => u32::from(*port), "ToPort" => u32::from(*port),
            "CidrIp" => "0.0.0.0/0", "Description" => "users",
        };
        let kind = "AWS::EC2::SecurityGroupIngress";
        sheet.add(&root, Resource::new(Group::Security, kind, id(part, &format!("in {port}")), asked.clone(), rule));
    }
    let attribute = |key: &str, value: &str| Value::Map(map! { "Key" => key, "Value" => value });
    let properties = map! {
        "Type" => "network",
        "Scheme" => "internet-facing",
        "Subnets" => network::public_subnets(sheet, site),
        "SecurityGroups" => list![group.att("GroupId")],
        "LoadBalancerAttributes" => list![
            // A zone without a healthy target still passes on what it gets.
            attribute("load_balancing.cross_zone.enabled", "true"),
            attribute("deletion_protection.enabled", "true"),
        ],
        "Tags" => sheet.tags(Some(part)),
    };
    let kind = "AWS::ElasticLoadBalancingV2::LoadBalancer";
    let balancer = Resource::new(Group::Traffic, kind, id(part, "load balancer"), asked.clone(), properties)
        .excused("CKV_AWS_91", "who connected is in the flow logs of the network");
    let balancer = sheet.add(&root, balancer);
    for (backend, port) in behind {
        let certificate = acm::certificate(sheet, site);
        let forward =
            map! { "Type" => "forward", "TargetGroupArn" => sheet.target(&root, group_id(part, backend)).get() };
        let properties = map! {
            "LoadBalancerArn" => balancer.get(), "Port" => u32::from(port), "Protocol" => "TLS",
            "SslPolicy" => "ELBSecurityPolicy-TLS13-1-2-2021-06",
            "Certificates" => list![map! { "CertificateArn" => certificate }],
            "DefaultActions" => list![forward],
        };
        let kind = "AWS::ElasticLoadBalancingV2::Listener";
        sheet.add(
            &root,
            Resource::new(Group::Traffic, kind, id(part, &format!("port {port}")), asked.clone(), properties),
        );
    }
}

fn group_id(part: &Part, backend: &Part) -> String {
    names::logical([part.id.as_str(), "to", backend.id.as_str()])
}

/// Where it sends what is for `backend`, which registers its targets there.
pub fn target_group(
    sheet: &mut Sheet<'_>,
    part: &Part,
    backend: &Part,
    site: &Site,
    (kind, port): (&str, u16),
) -> Target {
    let check = if backend.mentions("check") { backend } else { part };
    let every = check.duration("check.every").map_or(30, |every| every.as_secs().clamp(5, 300));
    let failures = check.count("check.failures").unwrap_or(2).clamp(2, 10);
    let properties = map! {
        "VpcId" => network::vpc(sheet, site),
        "Protocol" => "TCP",
        "Port" => u32::from(port),
        "TargetType" => kind,
        "HealthCheckProtocol" => if check.text("check.path").is_some() { "HTTP" } else { "TCP" },
    };
    let properties = properties.with_some("HealthCheckPath", check.text("check.path"));
    let rest = map! {
        "HealthCheckIntervalSeconds" => every,
        "UnhealthyThresholdCount" => failures,
        "HealthyThresholdCount" => 2,
        // Connections to what is unhealthy end, rather than staying where they are.
        "TargetGroupAttributes" => list![map! { "Key" => "target_health_state.unhealthy.connection_termination.enabled", "Value" => "true" }],
        "Tags" => sheet.tags(Some(backend)),
    };
    let properties = rest.0.into_iter().fold(properties, |map, (key, value)| map.with(key, value));
    let asked = sheet.asked(backend);
    let kind = "AWS::ElasticLoadBalancingV2::TargetGroup";
    sheet.add(&regional(site), Resource::new(Group::Traffic, kind, group_id(part, backend), asked, properties))
}

/// Its ARN.
pub fn arn(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    match sheet.renders(part) {
        true => sheet.target(&regional(site), id(part, "load balancer")).get(),
        false => ask(sheet, part, site, "arn", ("LoadBalancerArn", "")),
    }
}

pub fn dns_name(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    match sheet.renders(part) {
        true => sheet.target(&regional(site), id(part, "load balancer")).att("DNSName"),
        false => ask(sheet, part, site, "dns name", ("DNSName", "")),
    }
}

pub fn hosted_zone(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    match sheet.renders(part) {
        true => sheet.target(&regional(site), id(part, "load balancer")).att("CanonicalHostedZoneID"),
        false => ask(sheet, part, site, "hosted zone", ("CanonicalHostedZoneId", "")),
    }
}

/// What its metrics are called by: `net/NAME/ID`.
pub fn full_name(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    match sheet.renders(part) {
        true => sheet.target(&regional(site), id(part, "load balancer")).att("LoadBalancerFullName"),
        // What follows `loadbalancer/` in it.
        false => ask(sheet, part, site, "full name", ("LoadBalancerArn", " | cut -d/ -f2-")),
    }
}

/// `then` takes out of the answer what is wanted.
fn ask(sheet: &mut Sheet<'_>, part: &Part, site: &Site, what: &str, (attribute, then): (&str, &str)) -> Value {
    let root = regional(site);
    let name = physical(part, site).unwrap_or_else(|| part.id.to_string());
    let how = format!(
        "aws elbv2 describe-load-balancers --names {name} --query 'LoadBalancers[].{attribute}' --output text --region {}{then}",
        sheet.region(&root)
    );
    let about = format!("The {what} of the load balancer {} in this region.", part.id);
    sheet.parameter(&root, parameter(&id(part, what), "String", &about, Given::Ask(how)))
}
