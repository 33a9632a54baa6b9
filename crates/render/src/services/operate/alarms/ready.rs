//! Whether a region could take over: what answers there, and how much of it stands ready.

use model::Part;
use model::design::Site;

use super::alarm::{Alarm, Look, Metric, Missing};
use super::{Tells, detection, serving};
use crate::services::compute::{asg, containers, eks};
use crate::services::{id, physical};
use crate::sheet::{Sheet, regional};
use crate::value::Value;

pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    match part.kind.name.as_str() {
        "aws.asg" => group(sheet, part, site),
        "aws.ec2" => machine(sheet, part, site),
        "aws.ecs" | "aws.fargate" => tasks(sheet, part, site),
        "aws.eks" => nodes(sheet, part, site),
        _ => Vec::new(),
    }
}

fn group(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let (minimum, _) = asg::sizes(part, site);
    if minimum == 0 {
        return Vec::new();
    }
    let name = asg::name(sheet, part, site);
    let look = Look::One(Metric::new(
        "AWS/AutoScaling",
        "GroupInServiceInstances",
        "Minimum",
        vec![("AutoScalingGroupName", name)],
    ));
    let detection = detection::of(sheet, part, "readiness");
    let says = format!("{} has fewer than the {minimum} instances that {} needs before it grows.", part.id, site.id);
    // An adopted group may not report how many it has.
    let missing = if sheet.renders(part) { Missing::Bad } else { Missing::Unknown };
    let capacity = Alarm::new(sheet, part, Some(site), "capacity", detection, look).below(minimum).missing(missing);
    vec![capacity.tells(Tells::Unready, says)]
}

/// A machine by itself, as it is checked from without (the host) and from within (the system on it). One that is stopped until
/// it is needed reports nothing.
fn machine(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let root = regional(site);
    if sheet.has(&root, &id(part, "group")) {
        return group(sheet, part, site);
    }
    let own = id(part, "instance");
    let given = physical(part, site).filter(|given| given.starts_with("i-"));
    let instance = match sheet.has(&root, &own) {
        true => Some(sheet.target(&root, own).get()),
        false => given.map(Value::from),
    };
    let Some(instance) = instance else { return Vec::new() };
    let look = Look::One(Metric::new("AWS/EC2", "StatusCheckFailed", "Maximum", vec![("InstanceId", instance)]));
    let detection = detection::of(sheet, part, "status");
    let stopped = part.at(&site.id).bool("stopped") == Some(true);
    let says = format!("{} in {} fails its status checks.", part.id, site.id);
    let alarm = Alarm::new(sheet, part, Some(site), "status", detection, look);
    vec![alarm.missing(if stopped { Missing::Fine } else { Missing::Bad }).tells(Tells::Both, says)]
}

/// Nodes are counted by Container Insights, whose add-on our clusters have; what the control plane refuses, and what finds no
/// node, EKS reports by itself (Amazon EKS User Guide, "Monitor cluster data with Amazon CloudWatch").
fn nodes(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let name = eks::name(sheet, part, site);
    let metric = |namespace, metric, statistic| {
        Metric::new(namespace, metric, statistic, vec![("ClusterName", Value::from(name.as_str()))])
    };
    let detection = detection::of(sheet, part, "readiness");
    let alarm = |sheet: &Sheet<'_>, what: &str, look: Look, says: &str| {
        let says = format!("{} in {}: {says}.", part.id, site.id);
        Alarm::new(sheet, part, Some(site), what, detection, look).tells(Tells::Unready, says)
    };
    let failed = Look::One(metric("ContainerInsights", "cluster_failed_node_count", "Maximum"));
    let pending = Look::One(metric("AWS/EKS", "scheduler_pending_pods_UNSCHEDULABLE", "Maximum"));
    let refused = Look::Formula(
        vec![
            ("requests", metric("AWS/EKS", "apiserver_request_total", "Sum")),
            ("failed", metric("AWS/EKS", "apiserver_request_total_5XX", "Sum")),
        ],
        serving::rate("requests", "FILL(failed, 0)"),
    );
    let bearable = serving::bearable(sheet, part);
    let mut alarms = vec![
        alarm(sheet, "failed nodes", failed, "nodes do not work"),
        alarm(sheet, "pods without a node", pending, "pods find no node"),
        alarm(sheet, "control plane", refused, "the control plane fails what it is asked").above(bearable),
    ];
    let (minimum, _) = asg::sizes(part, site);
    if minimum > 0 {
        let missing = if sheet.renders(part) { Missing::Bad } else { Missing::Unknown };
        let count = Look::One(metric("ContainerInsights", "cluster_node_count", "Minimum"));
        let says = format!("fewer than the {minimum} nodes that it needs before it grows");
        alarms.push(alarm(sheet, "capacity", count, &says).below(minimum).missing(missing));
    }
    alarms
}

/// Counted by Container Insights, which our clusters have on.
fn tasks(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let (minimum, _) = asg::sizes(part, site);
    if minimum == 0 {
        return Vec::new();
    }
    let dimensions = match sheet.renders(part) {
        true => {
            let (cluster, service) = containers::named(sheet, part, site);
            vec![("ClusterName", cluster.get()), ("ServiceName", service.att("Name"))]
        }
        false => {
            let name = containers::name(sheet, part, site);
            vec![("ClusterName", name.as_str().into()), ("ServiceName", name.into())]
        }
    };
    let look = Look::One(Metric::new("ECS/ContainerInsights", "RunningTaskCount", "Minimum", dimensions));
    let detection = detection::of(sheet, part, "readiness");
    let says = format!("{} has fewer than the {minimum} tasks that {} needs before it grows.", part.id, site.id);
    let capacity = Alarm::new(sheet, part, Some(site), "capacity", detection, look).below(minimum);
    // An adopted cluster may have them off.
    let missing = if sheet.renders(part) { Missing::Bad } else { Missing::Unknown };
    vec![capacity.missing(missing).tells(Tells::Unready, says)]
}
