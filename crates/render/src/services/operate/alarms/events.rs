//! What is an event and not a metric: a step of a runbook that ran out of time, somebody who changed the routing, a service
//! of AWS that has trouble, a finding. Rules of each region tell its topic.

use model::design::Site;

use super::topic;
use crate::resource::Resource;
use crate::root::{Group, Root};
use crate::sheet::{Sheet, regional};
use crate::value::{Map, Value};
use crate::{list, map, names};

/// A rule of every region.
struct Rule {
    what: &'static str,
    says: &'static str,
    /// Only where the design has one of these kinds; always when empty.
    kinds: &'static [&'static str],
    pattern: fn(&str) -> Map,
}

const RULES: [Rule; 8] = [
    Rule {
        what: "runbook step",
        says: "A step of a runbook failed, or ran out of time.",
        kinds: &[],
        pattern: automation,
    },
    Rule {
        what: "workflow",
        says: "An execution of a state machine failed, or ran out of time.",
        kinds: &["aws.step-functions"],
        pattern: workflow,
    },
    Rule {
        what: "region switch",
        says: "A Region switch plan runs, or would not.",
        kinds: &[],
        pattern: region_switch,
    },
    Rule {
        what: "trouble of a service",
        says: "AWS says that a service has trouble here.",
        kinds: &[],
        pattern: health,
    },
    Rule {
        what: "backup",
        says: "A backup, a copy of one or a restore failed.",
        kinds: &[
            "aws.backup",
            "aws.rds",
            "aws.aurora",
            "aws.aurora-global",
            "aws.dynamodb",
            "aws.dynamodb-global",
            "aws.efs",
            "aws.ebs",
            "aws.s3",
        ],
        pattern: backup,
    },
    Rule {
        what: "stalled copy",
        says: "Servers are no longer copied to this region.",
        kinds: &["aws.drs"],
        pattern: stalled,
    },
    Rule { what: "threat", says: "GuardDuty found something severe.", kinds: &["aws.guardduty"], pattern: threat },
    Rule {
        what: "finding",
        says: "Security Hub has a new critical finding.",
        kinds: &["aws.security-hub"],
        pattern: finding,
    },
];

/// The rules that a design has in each region: what they are about, and what they are called.
pub fn rules(sheet: &Sheet<'_>) -> Vec<(&'static str, &'static str)> {
    let has = |kinds: &[&str]| {
        kinds.is_empty() || sheet.design.components.iter().any(|part| kinds.contains(&part.kind.name.as_str()))
    };
    RULES.iter().filter(|rule| has(rule.kinds)).map(|rule| (rule.what, rule.says)).collect()
}

/// The name of a rule, the same in every region.
pub fn name(sheet: &Sheet<'_>, what: &str) -> String {
    sheet.named([what], 64)
}

pub fn render(sheet: &mut Sheet<'_>, site: &Site) {
    let root = regional(site);
    let prefix = names::physical([sheet.design.workload.as_str()], 40);
    let wanted: Vec<&str> = rules(sheet).into_iter().map(|(what, _)| what).collect();
    for rule in RULES.iter().filter(|rule| wanted.contains(&rule.what)) {
        write(sheet, &root, rule.what, rule.says, (rule.pattern)(&prefix));
    }
}

/// Who turned a switch, or changed what it is bound to: told where ARC is configured, which has one of the five endpoints
/// too. What the switch leads to is watched as well, by the metric of its health check.
pub fn routing(sheet: &mut Sheet<'_>) {
    if sheet.design.of_kind("aws.arc-routing-control").next().is_none() {
        return;
    }
    let sources = list!["route53-recovery-cluster.amazonaws.com", "route53-recovery-control-config.amazonaws.com"];
    let changes = list![
        "UpdateRoutingControlState",
        "UpdateRoutingControlStates",
        "UpdateRoutingControl",
        "DeleteRoutingControl",
        "UpdateSafetyRule",
        "DeleteSafetyRule",
    ];
    let pattern = map! {
        "detail-type" => list!["AWS API Call via CloudTrail"],
        "detail" => map! { "eventSource" => sources, "eventName" => changes },
    };
    write(
        sheet,
        &Root::Switch,
        "routing control",
        "A routing control, or a rule that keeps it safe, was changed.",
        pattern,
    );
}

fn write(sheet: &mut Sheet<'_>, root: &Root, what: &str, says: &str, pattern: Map) {
    let asked = sheet.asked_by("workload");
    let topic = topic::of(sheet, root);
    let properties = map! {
        "Name" => name(sheet, what),
        "Description" => says,
        "EventPattern" => pattern,
        "Targets" => list![map! { "Id" => "people", "Arn" => topic }],
    };
    let id = names::logical([what, "rule"]);
    sheet.add(root, Resource::new(Group::Observability, "AWS::Events::Rule", id, asked, properties));
}

fn starts(prefix: &str) -> Value {
    list![map! { "prefix" => format!("{prefix}-") }]
}

fn automation(workload: &str) -> Map {
    map! {
        "source" => list!["aws.ssm"],
        "detail-type" => list!["EC2 Automation Step Status-change Notification", "EC2 Automation Execution Status-change Notification"],
        "detail" => map! { "Status" => list!["Failed", "TimedOut", "Cancelled"], "Definition" => starts(workload) },
    }
}

fn workflow(workload: &str) -> Map {
    map! {
        "source" => list!["aws.states"],
        "detail-type" => list!["Step Functions Execution Status Change"],
        "detail" => map! {
            "status" => list!["FAILED", "TIMED_OUT", "ABORTED"],
            "stateMachineArn" => list![map! { "wildcard" => format!("*:stateMachine:{workload}-*") }],
        },
    }
}

fn region_switch(_: &str) -> Map {
    map! { "source" => list!["aws.arc-region-switch"] }
}

fn health(_: &str) -> Map {
    map! {
        "source" => list!["aws.health"],
        "detail-type" => list!["AWS Health Event"],
        "detail" => map! { "eventTypeCategory" => list!["issue"] },
    }
}

fn backup(_: &str) -> Map {
    map! {
        "source" => list!["aws.backup"],
        "detail-type" => list!["Backup Job State Change", "Copy Job State Change", "Restore Job State Change"],
        "detail" => map! { "state" => list!["FAILED", "ABORTED", "EXPIRED"] },
    }
}

fn stalled(_: &str) -> Map {
    map! { "source" => list!["aws.drs"], "detail-type" => list!["DRS Source Server Data Replication Stalled Change"] }
}

/// Seven and more is high (GuardDuty User Guide, "Severity levels of findings").
fn threat(_: &str) -> Map {
    map! {
        "source" => list!["aws.guardduty"],
        "detail-type" => list!["GuardDuty Finding"],
        "detail" => map! { "severity" => list![map! { "numeric" => list![">=", 7] }] },
    }
}

fn finding(_: &str) -> Map {
    map! {
        "source" => list!["aws.securityhub"],
        "detail-type" => list!["Security Hub Findings - Imported"],
        "detail" => map! { "findings" => map! {
            "Severity" => map! { "Label" => list!["CRITICAL"] }, "Workflow" => map! { "Status" => list!["NEW"] },
        } },
    }
}
