//! Application load balancers: one in each region, over its public subnets.

use crate::services::id;
use crate::services::in_each_region;
use model::Part;
use model::design::Site;

use super::colours;
use crate::resource::{Given, Resource, Target};
use crate::root::Group;
use crate::services::compute::rollout;
use crate::services::network;
use crate::sheet::{Sheet, parameter, regional};
use crate::value::Value;
use crate::{list, map, names};

/// What the service checks when the spec says nothing (Elastic Load Balancing User Guide, "Health checks for target groups").
const CHECKED_EVERY: u64 = 30;
const FAILURES: u64 = 2;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    in_each_region(sheet, part, one);
}

fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let root = regional(site);
    let asked = sheet.asked(part);
    let group = network::firewall(sheet, part, site, "Lets users reach the load balancer");
    for (port, name) in [(443_u32, "https"), (80, "http")] {
        let rule = map! {
            "GroupId" => group.att("GroupId"), "IpProtocol" => "tcp", "FromPort" => port, "ToPort" => port,
            "CidrIp" => "0.0.0.0/0", "Description" => "users",
        };
        let rule = Resource::new(
            Group::Security,
            "AWS::EC2::SecurityGroupIngress",
            id(part, &format!("{name} in")),
            asked.clone(),
            rule,
        );
        let public = "users come over http too, and are sent on to https";
        let rule = if port == 80 { rule.excused("CKV_AWS_260", public) } else { rule };
        sheet.add(&root, rule);
    }
    let attribute = |key: &str, value: &str| Value::Map(map! { "Key" => key, "Value" => value });
    let mut attributes = vec![
        attribute("routing.http.drop_invalid_header_fields.enabled", "true"),
        attribute("deletion_protection.enabled", "true"),
    ];
    // Off unless it is said (Elastic Load Balancing User Guide, "Zonal shift for your Application Load Balancer").
    if super::zonal_shift::shifts(sheet, part) {
        attributes.push(attribute("zonal_shift.config.enabled", "true"));
    }
    let properties = map! {
        "Type" => "application",
        "Scheme" => "internet-facing",
        "Subnets" => network::public_subnets(sheet, site),
        "SecurityGroups" => list![group.att("GroupId")],
        "LoadBalancerAttributes" => attributes,
        "Tags" => sheet.tags(Some(part)),
    };
    let balancer = Resource::new(
        Group::Traffic,
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        id(part, "load balancer"),
        asked.clone(),
        properties,
    )
    .excused(
        "CKV_AWS_91",
        "who called what is logged where requests are served; a bucket of access logs is the team's to choose",
    );
    let balancer = sheet.add(&root, balancer);
    let to_https = map! {
        "Type" => "redirect",
        "RedirectConfig" => map! { "Protocol" => "HTTPS", "Port" => "443", "StatusCode" => "HTTP_301" },
    };
    let http = map! { "LoadBalancerArn" => balancer.get(), "Port" => 80, "Protocol" => "HTTP", "DefaultActions" => list![to_https] };
    sheet.add(
        &root,
        Resource::new(Group::Traffic, "AWS::ElasticLoadBalancingV2::Listener", id(part, "http"), asked.clone(), http),
    );
    let nothing = map! { "Type" => "fixed-response", "FixedResponseConfig" => map! { "StatusCode" => "404" } };
    let first = backends(sheet, part, site).first().map(|first| target_group_id(part, first));
    let first = first.map(|id| map! { "Type" => "forward", "TargetGroupArn" => sheet.target(&root, id).get() });
    let https = map! {
        "LoadBalancerArn" => balancer.get(),
        "Port" => 443,
        "Protocol" => "HTTPS",
        "SslPolicy" => "ELBSecurityPolicy-TLS13-1-2-2021-06",
        "Certificates" => list![map! { "CertificateArn" => super::acm::certificate(sheet, site) }],
        "DefaultActions" => list![first.unwrap_or(nothing)],
    };
    sheet.add(
        &root,
        Resource::new(Group::Traffic, "AWS::ElasticLoadBalancingV2::Listener", listener_id(part), asked, https),
    );
}

fn listener_id(part: &Part) -> String {
    id(part, "https")
}

fn target_group_id(balancer: &Part, backend: &Part) -> String {
    names::logical([balancer.id.as_str(), "to", backend.id.as_str()])
}

/// What stands behind a load balancer in a region, in the order of the file.
fn backends<'d>(sheet: &Sheet<'d>, balancer: &Part, site: &Site) -> Vec<&'d Part> {
    let serves = |part: &&Part| crate::services::is_at(part, site) && crate::services::serves_http(sheet, part);
    sheet.behind(balancer).filter(serves).collect()
}

/// Where a load balancer sends what is for `backend`: its targets are registered by what runs them. `kind` is `instance`
/// or `ip`. The first backend of a load balancer gets what no rule names.
pub fn target_group(
    sheet: &mut Sheet<'_>,
    balancer: &Part,
    backend: &Part,
    site: &Site,
    kind: &str,
    port: u16,
) -> Target {
    let root = regional(site);
    let asked = sheet.asked(backend);
    let check = if backend.mentions("check") { backend } else { balancer };
    let every = check.duration("check.every").map_or(CHECKED_EVERY, |every| every.as_secs().clamp(5, 300));
    let failures = check.count("check.failures").unwrap_or(FAILURES).clamp(2, 10);
    let timeout = check
        .duration("check.timeout")
        .map_or(5, |timeout| timeout.as_secs())
        .clamp(2, every.saturating_sub(1).clamp(2, 120));
    let properties = map! {
        "VpcId" => network::vpc(sheet, site),
        "Protocol" => "HTTP",
        "Port" => u32::from(port),
        "TargetType" => kind,
        "HealthCheckPath" => check.text("check.path").unwrap_or("/"),
        "HealthCheckIntervalSeconds" => every,
        "HealthCheckTimeoutSeconds" => timeout,
        "UnhealthyThresholdCount" => failures,
        "HealthyThresholdCount" => 2,
        "Tags" => sheet.tags(Some(backend)),
    };
    let group = Resource::new(
        Group::Traffic,
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        target_group_id(balancer, backend),
        asked.clone(),
        properties,
    )
    .excused("CKV_AWS_378", "between the load balancer and its targets is the region's own private network");
    let group = sheet.add(&root, group);
    let all = backends(sheet, balancer, site);
    if let Some(place) = all.iter().position(|other| other.id == backend.id).filter(|place| *place > 0) {
        let path = format!("/{}/*", backend.id);
        let rule = map! {
            "ListenerArn" => listener(sheet, balancer, site),
            "Priority" => place,
            "Conditions" => list![map! { "Field" => "path-pattern", "PathPatternConfig" => map! { "Values" => list![path] } }],
            "Actions" => list![map! { "Type" => "forward", "TargetGroupArn" => group.get() }],
        };
        sheet.add(
            &root,
            Resource::new(
                Group::Traffic,
                "AWS::ElasticLoadBalancingV2::ListenerRule",
                names::logical([balancer.id.as_str(), "rule", backend.id.as_str()]),
                asked,
                rule,
            ),
        );
    }
    group
}

/// Sends requests to a function, whose permission has the name `permission`. It stands with the function, which is made
/// after the load balancer.
pub fn to_function(
    sheet: &mut Sheet<'_>,
    (balancer, backend): (&Part, &Part),
    site: &Site,
    (alias, permission): (Value, Target),
) {
    let (root, asked) = (regional(site), sheet.asked(backend));
    let properties = map! {
        "TargetType" => "lambda", "Targets" => list![map! { "Id" => alias }], "Tags" => sheet.tags(Some(backend)),
    };
    let kind = "AWS::ElasticLoadBalancingV2::TargetGroup";
    let group = Resource::new(Group::Compute, kind, target_group_id(balancer, backend), asked.clone(), properties)
        .after(permission)
        .excused("CKV_AWS_378", "a function is called, not connected to");
    let group = sheet.add(&root, group);
    let path = match backends(sheet, balancer, site).is_empty() {
        true => "/*".to_owned(),
        false => format!("/{}/*", backend.id),
    };
    let place = sheet.design.components.iter().position(|part| part.id == backend.id).unwrap_or_default();
    let rule = map! {
        "ListenerArn" => listener(sheet, balancer, site),
        // After those of instances and containers, which count from 1.
        "Priority" => 1_000 + place,
        "Conditions" => list![map! { "Field" => "path-pattern", "PathPatternConfig" => map! { "Values" => list![path] } }],
        "Actions" => list![map! { "Type" => "forward", "TargetGroupArn" => group.get() }],
    };
    let id = names::logical([balancer.id.as_str(), "rule", backend.id.as_str()]);
    sheet.add(&root, Resource::new(Group::Compute, "AWS::ElasticLoadBalancingV2::ListenerRule", id, asked, rule));
}

/// What its requests over TLS come in by.
pub fn listener(sheet: &mut Sheet<'_>, balancer: &Part, site: &Site) -> Value {
    let root = regional(site);
    match sheet.renders(balancer) {
        true => sheet.target(&root, listener_id(balancer)).get(),
        false => ask(
            sheet,
            balancer,
            site,
            "listener",
            &format!(
                "describe-listeners --load-balancer-arn {} --query 'Listeners[?Port==`443`].ListenerArn'",
                own_arn(sheet, balancer, site)
            ),
            "",
        ),
    }
}

/// Its ARN.
pub fn arn(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    match sheet.renders(part) {
        true => sheet.target(&regional(site), id(part, "load balancer")).get(),
        false => ask(
            sheet,
            part,
            site,
            "arn",
            &format!("{} --query 'LoadBalancers[].LoadBalancerArn'", described(part, site)),
            "",
        ),
    }
}

/// The name by which it is asked for.
pub fn dns_name(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    match sheet.renders(part) {
        true => sheet.target(&regional(site), id(part, "load balancer")).att("DNSName"),
        false => {
            let how = format!("{} --query 'LoadBalancers[].DNSName'", described(part, site));
            ask(sheet, part, site, "dns name", &how, "")
        }
    }
}

/// The zone of that name, which an alias record wants.
pub fn hosted_zone(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    match sheet.renders(part) {
        true => sheet.target(&regional(site), id(part, "load balancer")).att("CanonicalHostedZoneID"),
        false => ask(
            sheet,
            part,
            site,
            "hosted zone",
            &format!("{} --query 'LoadBalancers[].CanonicalHostedZoneId'", described(part, site)),
            "",
        ),
    }
}

/// What its metrics are called by: `app/NAME/ID`.
pub fn full_name(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    match sheet.renders(part) {
        true => sheet.target(&regional(site), id(part, "load balancer")).att("LoadBalancerFullName"),
        false => ask(
            sheet,
            part,
            site,
            "full name",
            &format!("{} --query 'LoadBalancers[].LoadBalancerArn'", described(part, site)),
            " | cut -d/ -f2-",
        ),
    }
}

/// What the metrics of the second target group of its first backend are called by, where it has two.
pub fn green_group_name(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Option<Value> {
    let first = *backends(sheet, part, site).first()?;
    rollout::two_colours(sheet, first, site)?;
    Some(sheet.target(&regional(site), colours::green_id(part, first)).att("TargetGroupFullName"))
}

/// What the metrics of its first target group are called by: `targetgroup/NAME/ID`.
pub fn first_group_name(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    let first = backends(sheet, part, site).first().map(|first| target_group_id(part, first));
    match first {
        Some(id) => sheet.target(&regional(site), id).att("TargetGroupFullName"),
        None => ask(
            sheet,
            part,
            site,
            "target group",
            &format!(
                "describe-target-groups --load-balancer-arn {} --query 'TargetGroups[0].TargetGroupArn'",
                own_arn(sheet, part, site)
            ),
            " | sed 's/.*://'",
        ),
    }
}

fn described(part: &Part, site: &Site) -> String {
    let name = crate::services::physical(part, site).unwrap_or_else(|| part.id.to_string());
    format!("describe-load-balancers --names {name}")
}

/// What prints its ARN.
fn own_arn(sheet: &Sheet<'_>, part: &Part, site: &Site) -> String {
    let region = sheet.region(&regional(site));
    format!(
        "\"$(aws elbv2 {} --query 'LoadBalancers[].LoadBalancerArn' --output text --region {region})\"",
        described(part, site)
    )
}

/// `then` takes out of the answer what is wanted.
fn ask(sheet: &mut Sheet<'_>, part: &Part, site: &Site, what: &str, how: &str, then: &str) -> Value {
    let root = regional(site);
    let how = format!("aws elbv2 {how} --output text --region {}{then}", sheet.region(&root));
    let about = format!("The {what} of the load balancer {} in this region.", part.id);
    sheet.parameter(&root, parameter(&id(part, what), "String", &about, Given::Ask(how)))
}
