//! Health checks of Route 53: they look from many places, and change answers without any call. Each stands in the stack of
//! the region that it looks at.
//!
//! One of an alarm reads the stream of the alarm's metric, not the alarm's state: `set-alarm-state` does not move it
//! (Route 53 Developer Guide, "How Route 53 determines the status of health checks that monitor CloudWatch alarms").

use model::Part;
use model::design::Site;

use super::leads::{self, Lead};
use super::{alb, api_gateway, arc};
use crate::resource::{Resource, Target};
use crate::root::Group;
use crate::sheet::{Sheet, regional};
use crate::value::{Map, Value};
use crate::{list, map, names};

/// What Route 53 offers (`RequestInterval`), in seconds.
const FAST: u64 = 10;
const SLOW: u64 = 30;

/// The kind `aws.route53-health-check`.
pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    for site in sheet.sites(part) {
        own(sheet, part, site);
    }
}

/// Makes a check, unless it is there already.
pub fn check(sheet: &mut Sheet<'_>, part: &Part, site: &Site, what: &str, config: Map) -> Target {
    let (root, id) = (regional(site), names::logical([part.id.as_str(), what]));
    if sheet.has(&root, &id) {
        return sheet.target(&root, id);
    }
    let title = sheet.named([part.id.as_str(), what, site.id.as_str()], 255);
    let mut marks = vec![map! { "Key" => "Name", "Value" => title }.into()];
    if let Value::List(tags) = sheet.tags(Some(part)) {
        marks.extend(tags);
    }
    let properties = map! { "HealthCheckConfig" => config, "HealthCheckTags" => marks };
    let asked = sheet.asked(part);
    sheet.add(&root, Resource::new(Group::Traffic, "AWS::Route53::HealthCheck", id, asked, properties))
}

/// Whether what stands in this region works, as the spec wants to know it.
pub fn own(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    match part.word("check.of") {
        Some("alarm") => alarm(sheet, part, site),
        Some("custom") => custom(sheet, part, site),
        Some("calculated") => calculated(sheet, part, site),
        _ => endpoint(sheet, part, site),
    }
}

/// How often it looks, and how often in a row it must fail.
pub fn rhythm(part: &Part) -> Map {
    let fast = part.duration("check.every").is_some_and(|every| every.as_secs() < SLOW);
    map! {
        "RequestInterval" => if fast { FAST } else { SLOW },
        "FailureThreshold" => part.count("check.failures").unwrap_or(3).clamp(1, 10),
    }
}

fn endpoint(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let lead = leads::of(sheet, part, site);
    // It answers those that it lets in, and checkers are none of them.
    if matches!(lead, Lead::Addresses(_)) {
        return custom(sheet, part, site);
    }
    let front = leads::front(sheet, part, site);
    // A network load balancer carries anything: without a path, that it takes a connection is all that can be asked.
    let connects = front.is_some_and(|front| front.kind.name == "aws.nlb") && part.text("check.path").is_none();
    let path = part.text("check.path").unwrap_or("/");
    let entrance = front.filter(|front| front.kind.name == "aws.api-gateway");
    let entrance = entrance.and_then(|front| api_gateway::host(sheet, front, site));
    let mut config = match lead {
        Lead::Address(address) => {
            map! { "Type" => "HTTP", "IPAddress" => address, "Port" => 80, "ResourcePath" => path }
        }
        lead if connects => map! { "Type" => "TCP", "FullyQualifiedDomainName" => lead.name(), "Port" => 443 },
        lead => {
            let host = entrance.unwrap_or_else(|| lead.name());
            let name = map! { "Type" => "HTTPS", "FullyQualifiedDomainName" => host, "Port" => 443 };
            name.with("ResourcePath", path).with("EnableSNI", true)
        }
    };
    config.0.extend(rhythm(part).0);
    check(sheet, part, site, "check", config)
}

/// All that it covers, or the endpoint and the alarm: each of them must be well.
fn calculated(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let covered = part.at(&site.id).components("check.covers").unwrap_or_default();
    let covered = covered.iter().filter_map(|id| sheet.part(id));
    let covered: Vec<&Part> = covered.filter(|part| part.kind.name == "aws.route53-health-check").collect();
    // One that covers others of its own sort would wait for itself, were they to cover it.
    let children: Vec<Value> = match covered.is_empty() {
        false => covered
            .into_iter()
            .filter(|covered| covered.id != part.id && covered.word("check.of") != Some("calculated"))
            .map(|covered| own(sheet, covered, site).get())
            .collect(),
        true => vec![endpoint(sheet, part, site).get(), alarm(sheet, part, site).get()],
    };
    let all = children.len();
    every(sheet, part, site, "all checks", children, all)
}

/// At least `threshold` of the others are well.
pub fn every(
    sheet: &mut Sheet<'_>,
    part: &Part,
    site: &Site,
    what: &str,
    children: Vec<Value>,
    threshold: usize,
) -> Target {
    let config = map! { "Type" => "CALCULATED", "ChildHealthChecks" => children, "HealthThreshold" => threshold };
    check(sheet, part, site, what, config)
}

/// Well while a target of the load balancer is: the depth of the load balancer's own check, with nothing open to anybody.
fn alarm(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let front = leads::front(sheet, part, site).filter(|front| front.kind.name == "aws.alb");
    let Some(front) = front else { return custom(sheet, part, site) };
    let (balancer, group) = (alb::full_name(sheet, front, site), alb::first_group_name(sheet, front, site));
    let dimension = |name: &str, value: Value| Value::Map(map! { "Name" => name, "Value" => value });
    let metric = |group: Value| {
        map! {
            "Namespace" => "AWS/ApplicationELB",
            "MetricName" => "HealthyHostCount",
            "Dimensions" => list![dimension("LoadBalancer", balancer.clone()), dimension("TargetGroup", group)],
        }
    };
    // No value means that no target is registered: nothing stands there that could answer.
    let told = ("no target of the load balancer is healthy", "Unhealthy");
    let first = of_metric(sheet, part, site, ("check", metric(group)), told);
    // Requests are in one of two groups, and after the next deployment in the other: a check knows no formula.
    let Some(green) = alb::green_group_name(sheet, front, site) else { return first };
    let second = of_metric(sheet, part, site, ("green", metric(green)), told);
    every(sheet, part, site, "either group", vec![first.get(), second.get()], 1)
}

/// What a program of your own says: 1 when it is well, 0 when it is not.
fn custom(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let (workload, region) = (sheet.design.workload.clone(), sheet.region(&regional(site)));
    if !sheet.notes.iter().any(|note| note.component == part.id && note.says.starts_with("who says whether")) {
        let how = format!(
            "aws cloudwatch put-metric-data --region {region} --namespace {workload} --metric-name Healthy --dimensions Check={} --value 1 (0 when it is not), each minute, in each region",
            part.id
        );
        sheet.note(part, "who says whether it is well is a program of your own", how);
    }
    let dimension = map! { "Name" => "Check", "Value" => part.id.as_str() };
    let metric = map! { "Namespace" => workload, "MetricName" => "Healthy", "Dimensions" => list![dimension] };
    // No value is not a failure: whoever measures may be what is away.
    let silent = "LastKnownStatus";
    of_metric(sheet, part, site, ("check", metric), ("its own program says that it is not well", silent))
}

/// An alarm when a metric is below one, and the check of that alarm, which takes silence for `silent`. Of one metric by itself,
/// in whole minutes, with every evaluation bad: Route 53 takes no other alarms (Route 53 Developer Guide, "Monitoring a
/// CloudWatch alarm"). It tells nobody: what the check makes of it is told of, in us-east-1.
fn of_metric(
    sheet: &mut Sheet<'_>,
    part: &Part,
    site: &Site,
    (which, metric): (&str, Map),
    (about, silent): (&str, &str),
) -> Target {
    let root = regional(site);
    let id = names::logical([part.id.as_str(), which, "alarm"]);
    let mut properties = metric;
    let evaluations = part.count("check.failures").unwrap_or(3);
    let rest = map! {
        "AlarmDescription" => format!("{}: {about}", part.id),
        "Statistic" => "Maximum",
        "Period" => 60,
        "EvaluationPeriods" => evaluations,
        "DatapointsToAlarm" => evaluations,
        "Threshold" => 1,
        "ComparisonOperator" => "LessThanThreshold",
        "TreatMissingData" => "missing",
        "Tags" => sheet.tags(Some(part)),
    };
    properties.0.extend(rest.0);
    let asked = sheet.asked(part);
    let alarm = match sheet.has(&root, &id) {
        true => sheet.target(&root, id),
        false => sheet.add(&root, Resource::new(Group::Traffic, "AWS::CloudWatch::Alarm", id, asked, properties)),
    };
    let config = map! {
        "Type" => "CLOUDWATCH_METRIC",
        "AlarmIdentifier" => map! { "Name" => alarm.get(), "Region" => sheet.region(&root) },
        "InsufficientDataHealthStatus" => silent,
    };
    let what = if which == "check" { "alarm check".to_owned() } else { format!("{which} check") };
    check(sheet, part, site, &what, config)
}

/// On while the routing control of this region is.
pub fn switched(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let control = arc::control(sheet, part, site);
    let config = map! { "Type" => "RECOVERY_CONTROL", "RoutingControlArn" => control };
    check(sheet, part, site, "switch check", config)
}
