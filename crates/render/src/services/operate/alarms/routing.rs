//! What health checkers see of each region, and every turn of a routing control: metrics that are in us-east-1 only, so the
//! alarms are in a stack there. Whoever loses us-east-1 too has the regions' own alarms.

use model::{ComponentId, Part};

use super::alarm::{Alarm, Look, Metric, Missing};
use super::{Tells, detection};
use crate::names;
use crate::resource::Target;
use crate::root::Root;
use crate::services::traffic::signal;
use crate::sheet::Sheet;
use crate::value::Value;

/// A health check of a region's stack.
struct Check {
    target: Target,
    kind: String,
    part: ComponentId,
}

pub fn render(sheet: &mut Sheet<'_>) {
    for check in checks(sheet) {
        let (Root::Region(id), Some(part)) = (&check.target.root, sheet.part(&check.part)) else { continue };
        let Some(site) = sheet.design.site(id) else { continue };
        let metric =
            Metric::new("AWS/Route53", "HealthCheckStatus", "Minimum", vec![("HealthCheckId", check.target.get())]);
        let what =
            check.target.id.strip_prefix(&names::logical([part.id.as_str()])).unwrap_or(&check.target.id).to_owned();
        let mut alarm = match check.kind.as_str() {
            "RECOVERY_CONTROL" => turned(sheet, part, metric, &what, "A routing control was turned: traffic moves."),
            RAISED => {
                let says = format!("{} says that it takes over, or takes that back: traffic moves.", site.id);
                turned(sheet, part, metric, &what, &says)
            }
            _ => unhealthy(sheet, part, metric, &what, site.id.as_str()),
        };
        alarm.id = names::logical([alarm.id.as_str(), site.id.as_str()]);
        alarm.name = sheet.named([site.id.as_str(), part.id.as_str(), &what], 120);
        alarm.write(sheet, &Root::Edge);
    }
}

/// A check of the object by which a standby says that it takes over.
const RAISED: &str = "signal";

/// Those that say something by themselves: what counts others says no more than they do, and what is not always there cannot
/// be named from elsewhere.
fn checks(sheet: &Sheet<'_>) -> Vec<Check> {
    let mut checks = Vec::new();
    for (root, stack) in &sheet.stacks {
        for resource in stack.resources.iter().filter(|resource| resource.kind == "AWS::Route53::HealthCheck") {
            let Some(Value::Map(config)) = resource.properties.get("HealthCheckConfig") else { continue };
            let Some(Value::Text(kind)) = config.get("Type") else { continue };
            let raised = config.get("ResourcePath") == Some(&format!("/{}", signal::OBJECT).into());
            // What another region's stack sees of a signal is what the region's own sees.
            let inverted = config.get("Inverted") == Some(&Value::Bool(true));
            if **kind == *"CALCULATED" || (raised && inverted) || resource.condition.is_some() {
                continue;
            }
            let kind = if raised { RAISED } else { kind };
            let Some(part) = resource.asked.path.strip_prefix("components.") else { continue };
            let target = Target { root: root.clone(), id: resource.id.clone() };
            checks.push(Check { target, kind: kind.to_owned(), part: ComponentId::new(part) });
        }
    }
    checks
}

fn unhealthy(sheet: &mut Sheet<'_>, part: &Part, metric: Metric, what: &str, site: &str) -> Alarm {
    let detection = detection::of(sheet, part, "readiness");
    let says = format!("Health checkers all over the world find that {site} does not answer for {}.", part.id);
    let alarm = Alarm::new(sheet, part, None, what, detection, Look::One(metric));
    alarm.below(1).missing(Missing::Bad).tells(Tells::Only, says)
}

/// Not whether it is on, which is as people want it, but that it changed.
fn turned(sheet: &mut Sheet<'_>, part: &Part, metric: Metric, what: &str, says: &str) -> Alarm {
    let look = Look::Formula(vec![("state", metric)], "ABS(DIFF(state))".to_owned());
    let at_once = detection::Detection { period: 60, evaluations: 1 };
    Alarm::new(sheet, part, None, what, at_once, look).tells(Tells::Only, says)
}
