//! Buses: one in each region, with one name, and an archive. Events are copied by a global endpoint, or by a rule of each
//! region that sends its own to the others.
//!
//! An event keeps the region that it comes from wherever it is sent (EventBridge User Guide, "Sending and receiving events
//! between AWS Regions"), so a rule that takes those of its own region only sends nothing back.

use model::Part;
use model::design::Site;

use super::{id, kept, named};
use crate::resource::{Condition, Keep, Resource, Target};
use crate::root::Group;
use crate::services::{peers, role};
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{ACCOUNT, PARTITION, REGION, Value};
use crate::{availability, cat, list, map, names};

/// Seconds; archives are counted in days.
const ARCHIVED: (u64, u64, u64) = (86_400, 604_800, 31_536_000);

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let sites = sheet.sites(part);
    for site in &sites {
        bus(sheet, part, site);
    }
    if sites.len() < 2 {
        return;
    }
    if part.bool("global_endpoint") == Some(true) {
        endpoint(sheet, part, &sites);
    } else if part.word("replication") != Some("none") {
        for site in &sites {
            for other in sites.iter().filter(|other| other.id != site.id) {
                rule(sheet, part, site, other);
            }
        }
    } else {
        return;
    }
    if part.word("events.consumers") != Some("idempotent") {
        sheet.note(
            part,
            "events are copied, and consumers of both regions get each of them",
            "let consumers look at `region`, or bear an event twice; then say `events: { consumers: idempotent }`",
        );
    }
}

/// The name of the bus, the same in every region unless the spec says another.
pub fn name(sheet: &Sheet<'_>, part: &Part, site: &Site) -> String {
    named(sheet, part, site, 200)
}

/// The ARN of the bus of any region, known before it stands.
pub fn arn(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Value {
    cat!["arn:", PARTITION, ":events:", aws_region(site), ":", ACCOUNT, ":event-bus/", name(sheet, part, site)]
}

fn bus(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let (root, asked) = (regional(site), sheet.asked(part));
    let properties = map! { "Name" => name(sheet, part, site), "Tags" => sheet.tags(Some(part)) };
    let bus = Resource::new(Group::Data, "AWS::Events::EventBus", id(part, "bus"), asked.clone(), properties);
    let bus = sheet.add(&root, bus.keep(Keep::Retain));
    let archive = map! {
        "ArchiveName" => sheet.named([part.id.as_str()], 48), "SourceArn" => bus.att("Arn"),
        "RetentionDays" => kept(part, ARCHIVED).div_ceil(86_400),
        "Description" => "From where events are read again",
    };
    let archive = Resource::new(Group::Data, "AWS::Events::Archive", id(part, "archive"), asked, archive);
    sheet.add(&root, archive.keep(Keep::Retain));
}

/// Sends what began in `site` to the bus of `other`; what cannot be sent waits where it began.
fn rule(sheet: &mut Sheet<'_>, part: &Part, site: &Site, other: &Site) {
    let (root, asked) = (regional(site), sheet.asked(part));
    let there = arn(sheet, part, other);
    let undelivered = undelivered(sheet, part, site);
    let sends = vec![role::allow(&["events:PutEvents"], vec![there.clone()])];
    let what = format!("to {}", other.id);
    let role = role::service_role(sheet, part, site, (Group::Data, &what), "events.amazonaws.com", &[], sends);
    let target = map! {
        "Id" => names::physical(["to", other.id.as_str()], 64), "Arn" => there, "RoleArn" => role.att("Arn"),
        "DeadLetterConfig" => map! { "Arn" => undelivered.att("Arn") },
    };
    let bus = sheet.target(&root, id(part, "bus"));
    let properties = map! {
        "Name" => sheet.named([part.id.as_str(), "to", other.id.as_str()], 64),
        "Description" => "What began in this region, and nothing that was sent to it",
        "EventBusName" => bus.get(),
        "EventPattern" => map! { "region" => list![REGION] },
        "Targets" => list![target],
    };
    // The bus of the other region has to be there to be sent to.
    let rule = Resource::new(Group::Data, "AWS::Events::Rule", id(part, &what), asked, properties);
    let stand = peers::joined(sheet, site, part, other);
    sheet.add(&root, rule.only_if(stand));
}

fn undelivered(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let (root, asked, id) = (regional(site), sheet.asked(part), id(part, "undelivered"));
    if sheet.has(&root, &id) {
        return sheet.target(&root, id);
    }
    let kept = map! { "SqsManagedSseEnabled" => true, "MessageRetentionPeriod" => 1_209_600, "Tags" => sheet.tags(Some(part)) };
    let queue = Resource::new(Group::Data, "AWS::SQS::Queue", id.clone(), asked.clone(), kept)
        .excused("CKV_AWS_27", "encrypted with the key of the service: EventBridge may not use the one of the account");
    let queue = sheet.add(&root, queue.keep(Keep::Retain));
    let ours = map! { "StringEquals" => map! { "aws:SourceAccount" => ACCOUNT } };
    let send = map! {
        "Effect" => "Allow", "Principal" => map! { "Service" => "events.amazonaws.com" }, "Action" => "sqs:SendMessage",
        "Resource" => queue.att("Arn"), "Condition" => ours,
    };
    let policy = map! { "Queues" => list![queue.get()], "PolicyDocument" => role::policy(vec![send.into()]) };
    sheet.add(&root, Resource::new(Group::Data, "AWS::SQS::QueuePolicy", format!("{id}Policy"), asked, policy));
    queue
}

/// An endpoint sends events to the bus of one region while events arrive there in time, else to that of another one. It
/// stands in the first region of the file, and knows two.
fn endpoint(sheet: &mut Sheet<'_>, part: &Part, sites: &[&Site]) {
    if sites.len() < 2 {
        return;
    }
    let moved = "give the endpoint to the stack of another region, by a change set of type IMPORT";
    let Some(home) = peers::settled(sheet, part, "the global endpoint", moved) else { return };
    let others: Vec<&Site> = sites.iter().copied().filter(|site| site.id != home.id).collect();
    let [second, rest @ ..] = others.as_slice() else { return };
    if let Some(lacks) = [home, *second].into_iter().find(|site| !availability::has(aws_region(site), ENDPOINT)) {
        let path = format!("components.{}.global_endpoint", part.id);
        let says = format!("{} has no global endpoints of EventBridge", lacks.id);
        return sheet.problem(&path, says, "leave `global_endpoint` out: rules copy the events then");
    }
    if let Some(other) = rest.first() {
        let says = format!("a global endpoint knows two regions: events do not reach the bus in {}", other.id);
        sheet.note(part, says, "leave `global_endpoint` out: rules copy the events to every region then");
    }
    let (root, asked) = (regional(home), sheet.asked(part));
    let stand = peers::joined(sheet, home, part, second);
    let buses = vec![arn(sheet, part, home), arn(sheet, part, second)];
    let copies = vec![
        role::allow(&["events:PutEvents"], buses.clone()),
        role::allow(
            &["events:PutRule", "events:PutTargets", "events:DeleteRule", "events:RemoveTargets"],
            vec![rules(sheet, part, home)],
        ),
        role::allow(&["iam:PassRole"], vec![cat!["arn:", PARTITION, ":iam::", ACCOUNT, ":role/*"]]),
    ];
    let mut copies = copies;
    if let Some(Value::Map(pass)) = copies.last_mut() {
        pass.set("Condition", map! { "StringEquals" => map! { "iam:PassedToService" => "events.amazonaws.com" } });
    }
    let role =
        role::service_role(sheet, part, home, (Group::Traffic, "replication"), "events.amazonaws.com", &[], copies);
    let check = check(sheet, part, home, &stand);
    let check = cat!["arn:", PARTITION, ":route53:::healthcheck/", check.get()];
    let failover = map! {
        "Primary" => map! { "HealthCheck" => check }, "Secondary" => map! { "Route" => aws_region(second) },
    };
    let each: Vec<Value> = buses.into_iter().map(|bus| map! { "EventBusArn" => bus }.into()).collect();
    let properties = map! {
        "Name" => sheet.named([part.id.as_str()], 64), "EventBuses" => each,
        "RoutingConfig" => map! { "FailoverConfig" => failover },
        "ReplicationConfig" => map! { "State" => "ENABLED" },
        "RoleArn" => role.att("Arn"),
    };
    let endpoint = Resource::new(Group::Traffic, ENDPOINT, id(part, "endpoint"), asked, properties);
    sheet.add(&root, endpoint.only_if(stand).after(sheet.target(&root, id(part, "bus"))));
}

const ENDPOINT: &str = "AWS::Events::Endpoint";

/// The rules that the service writes in order to copy events.
fn rules(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Value {
    cat!["arn:", PARTITION, ":events:*:", ACCOUNT, ":rule/", name(sheet, part, site), "/GlobalEndpointManagedRule-*"]
}

/// Milliseconds from the arrival of an event until a target is called, above which the bus is not well, five minutes long
/// (EventBridge User Guide, "Creating an Amazon EventBridge global endpoint": what AWS's own template takes).
pub const SLOW: u64 = 30_000;

fn check(sheet: &mut Sheet<'_>, part: &Part, site: &Site, stand: &Condition) -> Target {
    let (root, asked) = (regional(site), sheet.asked(part));
    let properties = map! {
        "AlarmDescription" => "Events reach their targets late, or not at all.",
        "Namespace" => "AWS/Events", "MetricName" => "IngestionToInvocationStartLatency", "Statistic" => "Average",
        "Period" => 60, "EvaluationPeriods" => 5, "Threshold" => SLOW, "ComparisonOperator" => "GreaterThanThreshold",
        "TreatMissingData" => "breaching",
    };
    let alarm =
        Resource::new(Group::Traffic, "AWS::CloudWatch::Alarm", id(part, "late events"), asked.clone(), properties);
    let alarm = sheet.add(&root, alarm.only_if(stand.clone()));
    let config = map! {
        "Type" => "CLOUDWATCH_METRIC", "InsufficientDataHealthStatus" => "Unhealthy",
        "AlarmIdentifier" => map! { "Name" => alarm.get(), "Region" => REGION },
    };
    let properties = map! { "HealthCheckConfig" => config, "HealthCheckTags" => sheet.tags(Some(part)) };
    let check = Resource::new(Group::Traffic, "AWS::Route53::HealthCheck", id(part, "check"), asked, properties);
    sheet.add(&root, check.only_if(stand.clone()))
}
