//! Whether a region could take over: what answers there, and how much of it stands ready.

use model::Part;
use model::design::Site;

use super::alarm::{Alarm, Look, Metric, Missing};
use super::{Tells, detection};
use crate::services::compute::{asg, containers};
use crate::sheet::Sheet;

pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    match part.kind.name.as_str() {
        "aws.asg" => group(sheet, part, site),
        "aws.ecs" | "aws.fargate" if sheet.renders(part) => tasks(sheet, part, site),
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

/// Counted by Container Insights, which our clusters have on.
fn tasks(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let (minimum, _) = asg::sizes(part, site);
    if minimum == 0 {
        return Vec::new();
    }
    let (cluster, service) = containers::named(sheet, part, site);
    let dimensions = vec![("ClusterName", cluster.get()), ("ServiceName", service.att("Name"))];
    let look = Look::One(Metric::new("ECS/ContainerInsights", "RunningTaskCount", "Minimum", dimensions));
    let detection = detection::of(sheet, part, "readiness");
    let says = format!("{} has fewer than the {minimum} tasks that {} needs before it grows.", part.id, site.id);
    let capacity = Alarm::new(sheet, part, Some(site), "capacity", detection, look).below(minimum);
    vec![capacity.missing(Missing::Bad).tells(Tells::Unready, says)]
}
