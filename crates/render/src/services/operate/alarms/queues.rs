//! What waits in a region: messages that nobody takes, records that are about to be dropped, events that reached nobody.

use model::Part;
use model::design::Site;

use super::alarm::{Alarm, Look, Metric};
use super::{Tells, detection};
use crate::services::messaging::{eventbridge, kinesis, sqs};
use crate::sheet::Sheet;

/// Seconds that a message may wait when the spec has neither a `lag_alarm` nor an RTO.
const PATIENCE: u64 = 900;

pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    match part.kind.name.as_str() {
        "aws.sqs" => queue(sheet, part, site),
        "aws.kinesis" => stream(sheet, part, site),
        "aws.eventbridge" => bus(sheet, part, site),
        _ => Vec::new(),
    }
}

fn queue(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let metric = |metric, name| Metric::new("AWS/SQS", metric, "Maximum", vec![("QueueName", name)]);
    let rto = part.duration("objectives.rto").or(sheet.design.objectives.rto);
    let limit = part.duration("lag_alarm").or(rto).map_or(PATIENCE, |time| time.as_secs().max(1));
    let detection = detection::of(sheet, part, "backlog");
    let look = Look::One(metric("ApproximateAgeOfOldestMessage", sqs::queue_name(sheet, part, site)));
    let says = format!("Messages of {} wait in {} for more than {limit} s.", part.id, site.id);
    let mut alarms =
        vec![Alarm::new(sheet, part, Some(site), "backlog", detection, look).above(limit).tells(Tells::Impaired, says)];
    if let Some(dead) = sqs::dead_letters(sheet, part, site) {
        let look = Look::One(metric("ApproximateNumberOfMessagesVisible", dead));
        let says = format!("Messages of {} in {} were put aside: nobody could process them.", part.id, site.id);
        let alarm = Alarm::new(sheet, part, Some(site), "dead letters", detection, look);
        alarms.push(alarm.tells(Tells::Only, says));
    }
    alarms
}

/// A record that is older than what is kept is gone, read or not: half of that time is left to do something.
fn stream(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let seconds = part.duration("lag_alarm").map_or(kinesis::retention(part) / 2, |time| time.as_secs().max(1));
    let detection = detection::of(sheet, part, "backlog");
    let name = kinesis::name(sheet, part, site);
    let dimensions = vec![("StreamName", name.into())];
    let look = Look::One(Metric::new("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "Maximum", dimensions));
    let says = format!("Consumers of {} in {} are more than {seconds} s behind.", part.id, site.id);
    let alarm = Alarm::new(sheet, part, Some(site), "iterator age", detection, look).above(seconds * 1000);
    vec![alarm.tells(Tells::Impaired, says)]
}

fn bus(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Alarm> {
    let name = eventbridge::name(sheet, part, site);
    let detection = detection::of(sheet, part, "errors");
    let question = format!(
        "SELECT SUM(FailedInvocations) FROM SCHEMA(\"AWS/Events\", EventBusName, RuleName) WHERE EventBusName = '{name}'"
    );
    let says = format!("Events of {} in {} reached nobody.", part.id, site.id);
    let failed = Alarm::new(sheet, part, Some(site), "failed events", detection, Look::Question(question.into()));
    // Of all buses of the region: half a minute is what AWS takes for trouble (EventBridge User Guide, "Monitoring Amazon
    // EventBridge"). Where nothing is sent nothing is late.
    let look = Look::One(Metric::new("AWS/Events", "IngestionToInvocationStartLatency", "Average", Vec::new()));
    let slow = detection::of(sheet, part, "latency");
    let late = format!("Events in {} reach their targets half a minute late, or later.", site.id);
    let late = Alarm::new(sheet, part, Some(site), "late events", slow, look)
        .above(eventbridge::SLOW)
        .tells(Tells::Impaired, late);
    vec![failed.tells(Tells::Impaired, says), late]
}
