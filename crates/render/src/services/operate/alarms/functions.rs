//! Whether what is called does its work: functions, state machines, schedules, topics. A call that fails is not always a user
//! who is failed; what is lost for good is told of each time.

use model::Part;
use model::design::Site;

use super::alarm::{Alarm, Look, Metric};
use super::detection::Detection;
use super::serving::{ENOUGH, bearable, rate};
use super::{Tells, detection};
use crate::services::compute::lambda;
use crate::services::messaging::sns;
use crate::services::operate::step_functions;
use crate::sheet::Sheet;
use crate::value::Value;

/// What is lost is lost at the first minute.
const AT_ONCE: Detection = Detection { period: 60, evaluations: 1 };
/// Percent of the timeout, or of the reserved concurrency, from which on the next bit of load is refused.
const NEARLY: u64 = 80;

pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    match part.kind.name.as_str() {
        "aws.lambda" => function(sheet, part, site),
        "aws.step-functions" => machine(sheet, part, site),
        "aws.scheduler" => schedules(sheet, part, site),
        "aws.sns" => topic(sheet, part, site),
        _ => Vec::new(),
    }
}

/// A call that is refused is no invocation, and so no error (Lambda Developer Guide, "Types of metrics for Lambda functions"):
/// both are looked at.
fn function(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let name = lambda::name(sheet, part, site);
    let metric = |metric, statistic| {
        Metric::new("AWS/Lambda", metric, statistic, vec![("FunctionName", Value::from(name.as_str()))])
    };
    let percent = bearable(sheet, part);
    let detection = detection::of(sheet, part, "errors");
    let seen = vec![("requests", metric("Invocations", "Sum")), ("failed", metric("Errors", "Sum"))];
    let look = Look::Formula(seen, rate("requests", "FILL(failed, 0)"));
    let says = format!("More than {percent} % of the calls of {} fail in {}.", part.id, site.id);
    let errors = Alarm::new(sheet, part, Some(site), "errors", detection, look).above(percent);
    let seen = vec![("requests", metric("Invocations", "Sum")), ("refused", metric("Throttles", "Sum"))];
    let all = "(FILL(requests, 0) + FILL(refused, 0))";
    let share = format!("IF({all} >= {ENOUGH}, 100 * FILL(refused, 0) / {all}, 0)");
    let look = Look::Formula(seen, share);
    let refused =
        format!("More than {percent} % of the calls of {} are refused in {}: too many at once.", part.id, site.id);
    let throttles = Alarm::new(sheet, part, Some(site), "throttles", detection, look).above(percent);
    let timeout = lambda::timeout(part);
    let slow = detection::of(sheet, part, "latency");
    let late =
        format!("One in a hundred calls of {} in {} takes {NEARLY} % of its {timeout} s or more.", part.id, site.id);
    let duration = Alarm::new(sheet, part, Some(site), "duration", slow, Look::One(metric("Duration", "p99")));
    let mut alarms = vec![
        errors.tells(Tells::Impaired, says),
        throttles.tells(Tells::Impaired, refused),
        duration.above(timeout * 10 * NEARLY).tells(Tells::Only, late),
    ];
    let lost = vec![("dropped", metric("AsyncEventsDropped", "Sum")), ("unkept", metric("DeadLetterErrors", "Sum"))];
    let look = Look::Formula(lost, "FILL(dropped, 0) + FILL(unkept, 0)".to_owned());
    let says = format!("Calls of {} in {} that nobody waits for were lost, or put aside.", part.id, site.id);
    alarms.push(Alarm::new(sheet, part, Some(site), "lost calls", AT_ONCE, look).tells(Tells::Only, says));
    if let Some(most) = lambda::reserved(part, site).filter(|most| *most > 1) {
        let look = Look::One(metric("ConcurrentExecutions", "Maximum"));
        let detection = detection::of(sheet, part, "readiness");
        let says = format!("{} runs {NEARLY} % of the {most} times at once that {} lets it.", part.id, site.id);
        let alarm = Alarm::new(sheet, part, Some(site), "concurrency", detection, look);
        alarms.push(alarm.above((most * NEARLY / 100).max(1)).tells(Tells::Only, says));
    }
    alarms
}

fn machine(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let arn = step_functions::arn(sheet, part, site);
    let metric = |metric| Metric::new("AWS/States", metric, "Sum", vec![("StateMachineArn", arn.clone())]);
    let seen = vec![
        ("failed", metric("ExecutionsFailed")),
        ("late", metric("ExecutionsTimedOut")),
        ("refused", metric("ExecutionThrottled")),
    ];
    let look = Look::Formula(seen, "FILL(failed, 0) + FILL(late, 0) + FILL(refused, 0)".to_owned());
    let says = format!("Executions of {} failed, ran out of time or were refused in {}.", part.id, site.id);
    let alarm = Alarm::new(sheet, part, Some(site), "failed executions", AT_ONCE, look);
    vec![alarm.tells(Tells::Only, says)]
}

/// Ours are in the group that every account has. One metric is of all that are in it.
fn schedules(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let dimensions = vec![("ScheduleGroup", "default".into())];
    let look = Look::One(Metric::new("AWS/Scheduler", "InvocationDroppedCount", "Sum", dimensions));
    let says =
        format!("What {} or another schedule should have started in {} was not, after every try.", part.id, site.id);
    vec![Alarm::new(sheet, part, Some(site), "dropped runs", AT_ONCE, look).tells(Tells::Only, says)]
}

fn topic(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let name = sns::name(sheet, part, site);
    let look =
        Look::One(Metric::new("AWS/SNS", "NumberOfNotificationsFailed", "Sum", vec![("TopicName", name.into())]));
    let detection = detection::of(sheet, part, "errors");
    let says = format!("Messages of {} in {} reached a subscriber at no try.", part.id, site.id);
    vec![Alarm::new(sheet, part, Some(site), "failed messages", detection, look).tells(Tells::Impaired, says)]
}
