//! Whether a region serves the users that it has: errors and latency, at whatever answers them, and that there is anything
//! behind it that could.

use std::time::Duration;

use model::Part;
use model::design::Site;

use super::alarm::{Alarm, Look, Metric, Missing};
use super::{Tells, detection};
use crate::names;
use crate::services::compute::asg;
use crate::services::traffic::{alb, api_gateway, colours, nlb};
use crate::sheet::{Sheet, regional};
use crate::value::Value;

/// Fewer requests in a minute than these, and one failure would be an outage.
pub const ENOUGH: u64 = 20;
/// The error budget of a month is spent in two days at this rate (Site Reliability Workbook, chapter 5: 14.4 times is
/// what wakes people).
const BURN: f64 = 14.4;

pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    match part.kind.name.as_str() {
        "aws.alb" => balancer(sheet, part, site),
        "aws.nlb" => connections(sheet, part, site),
        "aws.api-gateway" => entrance(sheet, part, site),
        _ => Vec::new(),
    }
}

/// Percent of requests that may fail before somebody is woken.
pub fn bearable(sheet: &Sheet<'_>, part: &Part) -> u64 {
    let availability = part.percent("objectives.availability").or(sheet.design.objectives.availability);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    availability.map_or(5, |percent| ((100.0 - percent) * BURN).ceil().clamp(1.0, 50.0) as u64)
}

/// How long an answer may take, when the spec says it.
fn slowest(sheet: &Sheet<'_>) -> Option<Duration> {
    sheet.design.objectives.latency
}

/// Percent of all that was asked, when enough was. What failed may be counted apart from `asked` or within it: a load
/// balancer does not count as a request what it turns away before it chose a target, which is everything when no target is
/// left (Application Load Balancers, "CloudWatch metrics": `RequestCount`).
pub fn rate(asked: &str, failed: &str) -> String {
    let all = format!("MAX([FILL({asked}, 0), {failed}])");
    format!("IF({all} >= {ENOUGH}, 100 * ({failed}) / {all}, 0)")
}

fn balancer(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let name = alb::full_name(sheet, part, site);
    let metric =
        |metric, statistic| Metric::new("AWS/ApplicationELB", metric, statistic, vec![("LoadBalancer", name.clone())]);
    let look = Look::Formula(
        vec![
            ("requests", metric("RequestCount", "Sum")),
            ("targets", metric("HTTPCode_Target_5XX_Count", "Sum")),
            ("balancer", metric("HTTPCode_ELB_5XX_Count", "Sum")),
        ],
        rate("requests", "FILL(targets, 0) + FILL(balancer, 0)"),
    );
    let mut alarms = vec![errors(sheet, part, site, look)];
    if let Some(limit) = slowest(sheet) {
        let limit = format!("{}.{:03}", limit.as_secs(), limit.subsec_millis());
        alarms.push(slow(sheet, part, site, metric("TargetResponseTime", "p99"), limit.into()));
    }
    alarms.extend(targets(sheet, part, site, "AWS/ApplicationELB", &name));
    alarms
}

fn errors(sheet: &mut Sheet<'_>, part: &Part, site: &Site, look: Look) -> Alarm {
    let percent = bearable(sheet, part);
    let detection = detection::of(sheet, part, "errors");
    let says = format!("More than {percent} % of the requests to {} fail in {}.", part.id, site.id);
    Alarm::new(sheet, part, Some(site), "errors", detection, look).above(percent).tells(Tells::Impaired, says)
}

fn slow(sheet: &mut Sheet<'_>, part: &Part, site: &Site, metric: Metric, limit: Value) -> Alarm {
    let detection = detection::of(sheet, part, "latency");
    let says = format!("One in a hundred answers of {} in {} takes longer than the objective.", part.id, site.id);
    let alarm = Alarm::new(sheet, part, Some(site), "latency", detection, Look::One(metric));
    alarm.above(limit).tells(Tells::Impaired, says)
}

/// HTTP APIs report by the number of the API (API Gateway Developer Guide, "Metrics and dimensions of HTTP APIs").
fn entrance(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let api = api_gateway::api_id(sheet, part, site);
    let metric = |metric, statistic| Metric::new("AWS/ApiGateway", metric, statistic, vec![("ApiId", api.clone())]);
    let seen = vec![("requests", metric("Count", "Sum")), ("failed", metric("5xx", "Sum"))];
    let mut alarms = vec![errors(sheet, part, site, Look::Formula(seen, rate("requests", "FILL(failed, 0)")))];
    if let Some(limit) = slowest(sheet) {
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        alarms.push(slow(sheet, part, site, metric("Latency", "p99"), limit.into()));
    }
    alarms
}

/// Connections have no status. What can be seen of them is that a handshake failed (a certificate that is wrong or over),
/// that one was dropped for want of a port, and that one went to a target that is not well because none is (Network Load
/// Balancers, "CloudWatch metrics": `UnhealthyRoutingFlowCount`).
fn connections(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let name = nlb::full_name(sheet, part, site);
    let metric = |metric| Metric::new("AWS/NetworkELB", metric, "Sum", vec![("LoadBalancer", name.clone())]);
    let failed = "FILL(handshakes, 0) + FILL(dropped, 0) + FILL(astray, 0)";
    let seen = vec![
        ("connections", metric("NewFlowCount")),
        ("handshakes", metric("ClientTLSNegotiationErrorCount")),
        ("dropped", metric("PortAllocationErrorCount")),
        ("astray", metric("UnhealthyRoutingFlowCount")),
    ];
    let mut alarms = vec![errors(sheet, part, site, Look::Formula(seen, rate("connections", failed)))];
    alarms.extend(targets(sheet, part, site, "AWS/NetworkELB", &name));
    alarms
}

/// That no target of a group is healthy, seen by the load balancer: users would be failed, now or after a failover. The best
/// that any of its nodes sees counts. No value at all means that no target is registered, which is worse.
fn targets(sheet: &mut Sheet<'_>, part: &Part, site: &Site, namespace: &'static str, balancer: &Value) -> Vec<Alarm> {
    let root = regional(site);
    let mut alarms = Vec::new();
    for backend in sheet.behind(part) {
        let group = names::logical([part.id.as_str(), "to", backend.id.as_str()]);
        let wanted = backend.kind.name != "aws.lambda" && asg::sizes(backend, site).0 > 0;
        if !wanted || !sheet.has(&root, &group) {
            continue;
        }
        let healthy = |group: String| {
            let group = sheet.target(&root, group).att("TargetGroupFullName");
            let dimensions = vec![("TargetGroup", group), ("LoadBalancer", balancer.clone())];
            Metric::new(namespace, "HealthyHostCount", "Maximum", dimensions)
        };
        // Each deployment leaves one of two groups without targets, and without values.
        let green = colours::green_id(part, backend);
        let look = match sheet.has(&root, &green) {
            true => Look::Formula(
                vec![("blue", healthy(group)), ("green", healthy(green))],
                "MAX([FILL(blue, 0), FILL(green, 0)])".to_owned(),
            ),
            false => Look::One(healthy(group)),
        };
        let mut detection = detection::of(sheet, backend, "readiness");
        if matches!(look, Look::Formula(..)) {
            // The newest value may not be there yet, and counts as none (CloudWatch User Guide, "Using metric math", `FILL`).
            detection.evaluations = detection.evaluations.max(2);
        }
        let says = format!("{} finds no healthy target of {} in {}.", part.id, backend.id, site.id);
        let alarm = Alarm::new(sheet, backend, Some(site), "targets", detection, look);
        alarms.push(alarm.below(1).missing(Missing::Bad).tells(Tells::Both, says));
    }
    alarms
}
