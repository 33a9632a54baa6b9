//! Whether a region could take over: what answers there, and how much of it stands ready.

use model::Part;
use model::design::Site;

use super::alarm::{Alarm, Look, Metric, Missing};
use super::{Tells, detection};
use crate::services::compute::asg;
use crate::services::traffic::alb;
use crate::sheet::Sheet;

pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    match part.kind.name.as_str() {
        "aws.asg" => group(sheet, part, site),
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
