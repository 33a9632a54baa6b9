//! Whether a region serves the users that it has: errors and latency, at whatever answers them.

use model::Part;
use model::design::Site;

use super::alarm::{Alarm, Look, Metric};
use super::{Tells, detection};
use crate::services::compute::lambda;
use crate::services::traffic::alb;
use crate::sheet::Sheet;
use crate::value::Value;

/// Fewer requests in a minute than these, and one failure would be an outage.
const ENOUGH: u64 = 20;
/// The error budget of a month is spent in two days at this rate (Site Reliability Workbook, chapter 5: 14.4 times is
/// what wakes people).
const BURN: f64 = 14.4;

pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    match part.kind.name.as_str() {
        "aws.alb" => balancer(sheet, part, site),
        "aws.lambda" => function(sheet, part, site),
        _ => Vec::new(),
    }
}

/// Percent of requests that may fail before somebody is woken.
fn bearable(sheet: &Sheet<'_>, part: &Part) -> u64 {
    let availability = part.percent("objectives.availability").or(sheet.design.objectives.availability);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    availability.map_or(5, |percent| ((100.0 - percent) * BURN).ceil().clamp(1.0, 50.0) as u64)
}

/// Seconds that an answer may take, when the spec says it.
fn slowest(sheet: &Sheet<'_>) -> Option<Value> {
    let latency = sheet.design.objectives.latency?;
    Some(format!("{}.{:03}", latency.as_secs(), latency.subsec_millis()).into())
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
        rate("FILL(targets, 0) + FILL(balancer, 0)"),
    );
    let percent = bearable(sheet, part);
    let errors = detection::of(sheet, part, "errors");
    let says = format!("More than {percent} % of the requests to {} fail in {}.", part.id, site.id);
    let mut alarms =
        vec![Alarm::new(sheet, part, Some(site), "errors", errors, look).above(percent).tells(Tells::Impaired, says)];
    if let Some(limit) = slowest(sheet) {
        let slow = detection::of(sheet, part, "latency");
        let look = Look::One(metric("TargetResponseTime", "p99"));
        let says = format!("One in a hundred answers of {} in {} takes longer than the objective.", part.id, site.id);
        alarms
            .push(Alarm::new(sheet, part, Some(site), "latency", slow, look).above(limit).tells(Tells::Impaired, says));
    }
    alarms
}

/// Percent of `requests`, when there are enough of them.
fn rate(failed: &str) -> String {
    format!("IF(requests >= {ENOUGH}, 100 * ({failed}) / requests, 0)")
}

fn function(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let name = lambda::name(sheet, part, site);
    let metric = |metric| Metric::new("AWS/Lambda", metric, "Sum", vec![("FunctionName", Value::from(name.as_str()))]);
    let look =
        Look::Formula(vec![("requests", metric("Invocations")), ("failed", metric("Errors"))], rate("FILL(failed, 0)"));
    let percent = bearable(sheet, part);
    let detection = detection::of(sheet, part, "errors");
    let says = format!("More than {percent} % of the calls of {} fail in {}.", part.id, site.id);
    let errors = Alarm::new(sheet, part, Some(site), "errors", detection, look).above(percent);
    vec![errors.tells(Tells::Impaired, says)]
}
