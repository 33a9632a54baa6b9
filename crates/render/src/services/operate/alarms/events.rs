//! What is an event and not a metric: a step of a runbook that ran out of time, somebody who changed the routing, a service
//! of AWS that has trouble, a finding. Rules of each region tell its topic.

use model::Part;
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

const RULES: [Rule; 15] = [
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
    Rule {
        what: "copy by the clock",
        says: "A copy that a clock starts failed.",
        kinds: &["aws.datasync"],
        pattern: copied,
    },
    Rule {
        what: "database",
        says: "A database failed, failed over, stopped copying or runs out of space.",
        kinds: DATABASES,
        pattern: database,
    },
    Rule {
        what: "promotion",
        says: "A copy of a database was made the writer, or taken out of its group.",
        kinds: DATABASES,
        pattern: promotion,
    },
    Rule {
        what: "launch",
        says: "Instances could not be started: no capacity, no image, or a quota.",
        kinds: &["aws.asg", "aws.ec2", "aws.ecs", "aws.eks"],
        pattern: launch,
    },
    Rule {
        what: "placement",
        says: "Tasks could not be placed, or a version of a service did not start.",
        kinds: &["aws.ecs", "aws.fargate"],
        pattern: placement,
    },
    Rule {
        what: "zone",
        says: "AWS moves traffic away from a zone, or could not practise it.",
        kinds: &["aws.arc-zonal-shift"],
        pattern: zone,
    },
    Rule {
        what: "guard",
        says: "A key, a trail, a detector, a vault or a copy that a recovery counts on was switched off.",
        kinds: &[
            "aws.backup",
            "aws.cloudtrail",
            "aws.config",
            "aws.guardduty",
            "aws.kms",
            "aws.s3",
            "aws.security-hub",
        ],
        pattern: guard,
    },
    Rule { what: "threat", says: "GuardDuty found something severe.", kinds: &["aws.guardduty"], pattern: threat },
    Rule {
        what: "finding",
        says: "Security Hub has a new critical finding.",
        kinds: &["aws.security-hub"],
        pattern: finding,
    },
];

const DATABASES: &[&str] = &["aws.rds", "aws.aurora", "aws.aurora-global"];

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

/// Counts events, and tells nobody: what is called so in the metrics is returned.
pub fn count(sheet: &mut Sheet<'_>, root: &Root, part: &Part, what: &str, says: &str, pattern: Map) -> String {
    let name = name(sheet, what);
    let properties = map! { "Name" => name.as_str(), "Description" => says, "EventPattern" => pattern };
    let (id, asked) = (names::logical([what, "rule"]), sheet.asked(part));
    sheet.add(root, Resource::new(Group::Observability, "AWS::Events::Rule", id, asked, properties));
    name
}

/// Who moved traffic by hand, told where the call is made: the trail of ARC's controls, below, has more of it.
fn moved(sheet: &mut Sheet<'_>) {
    let has = |kind: &str| sheet.of_kind(kind).next().is_some();
    let (records, cached, accelerated) = (has("aws.route53"), has("aws.cloudfront"), has("aws.global-accelerator"));
    let says = "A record, a health check or a distribution was changed, and not by a deployment.";
    let calls = list!["ChangeResourceRecordSets", "DeleteHealthCheck", "UpdateDistribution", "UpdateHealthCheck"];
    let services = list!["cloudfront.amazonaws.com", "route53.amazonaws.com"];
    let detail = |services: Value, calls: Value| {
        let detail = map! { "eventSource" => services, "eventName" => calls, "sourceIPAddress" => by_hand() };
        map! { "detail-type" => list!["AWS API Call via CloudTrail"], "detail" => detail }
    };
    if records || cached {
        write(sheet, &Root::Edge, "route", says, detail(services, calls));
    }
    if accelerated {
        let pattern = detail(
            list!["globalaccelerator.amazonaws.com"],
            list!["DeleteEndpointGroup", "UpdateAccelerator", "UpdateEndpointGroup"],
        );
        write(
            sheet,
            &Root::Accelerator,
            "dial",
            "A dial of an accelerator was turned, and not by a deployment.",
            pattern,
        );
    }
}

/// Who turned a switch, or changed what it is bound to: told where ARC is configured, which has one of the five endpoints
/// too. What the switch leads to is watched as well, by the metric of its health check.
pub fn routing(sheet: &mut Sheet<'_>) {
    moved(sheet);
    if sheet.of_kind("aws.arc-routing-control").next().is_none() {
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
        // Jobs of backups and of copies have a state, those of restores a status (AWS Backup Developer Guide, "Monitoring
        // AWS Backup events using Amazon EventBridge").
        "detail" => map! { "$or" => list![
            map! { "state" => list!["FAILED", "ABORTED", "EXPIRED"] }, map! { "status" => list!["FAILED", "ABORTED"] },
        ] },
    }
}

fn copied(_: &str) -> Map {
    map! {
        "source" => list!["aws.datasync"],
        "detail-type" => list!["DataSync Task Execution State Change"],
        "detail" => map! { "State" => list!["ERROR"] },
    }
}

fn database(_: &str) -> Map {
    let categories = list!["failover", "failure", "global-failover", "low storage", "read replica"];
    map! {
        "source" => list!["aws.rds"],
        "detail-type" => list!["RDS DB Instance Event", "RDS DB Cluster Event"],
        "detail" => map! { "EventCategories" => categories },
    }
}

/// Calls that a trail sees.
fn called(service: &str, calls: Value) -> Map {
    map! {
        "detail-type" => list!["AWS API Call via CloudTrail"],
        "detail" => map! { "eventSource" => list![service], "eventName" => calls },
    }
}

fn promotion(_: &str) -> Map {
    called(
        "rds.amazonaws.com",
        list![
            "FailoverGlobalCluster",
            "PromoteReadReplica",
            "PromoteReadReplicaDBCluster",
            "RemoveFromGlobalCluster",
            "SwitchoverGlobalCluster",
        ],
    )
}

fn launch(_: &str) -> Map {
    map! { "source" => list!["aws.autoscaling"], "detail-type" => list!["EC2 Instance Launch Unsuccessful"] }
}

fn placement(_: &str) -> Map {
    let failed = list!["SERVICE_DEPLOYMENT_FAILED", "SERVICE_TASK_PLACEMENT_FAILURE", "SERVICE_TASK_START_IMPAIRED"];
    map! {
        "source" => list!["aws.ecs"],
        "detail-type" => list!["ECS Service Action", "ECS Deployment State Change"],
        "detail" => map! { "eventName" => failed },
    }
}

fn zone(_: &str) -> Map {
    map! {
        "source" => list!["aws.arc-zonal-shift"],
        "detail-type" => list!["Autoshift In Progress", "Autoshift Completed", "Practice Run Failed", "Practice Run Interrupted"],
    }
}

/// What takes away, one by one, what a recovery is sure of. That a stack does so is a deployment, and seen there.
fn guard(_: &str) -> Map {
    let services = list![
        "backup.amazonaws.com",
        "cloudtrail.amazonaws.com",
        "config.amazonaws.com",
        "guardduty.amazonaws.com",
        "kms.amazonaws.com",
        "s3.amazonaws.com",
        "securityhub.amazonaws.com",
    ];
    let calls = list![
        "DeleteBackupPlan",
        "DeleteBackupVault",
        "DeleteBackupVaultLockConfiguration",
        "DeleteBucketReplication",
        "DeleteDetector",
        "DeleteRecoveryPoint",
        "DeleteTrail",
        "DisableKey",
        "DisableSecurityHub",
        "PutEventSelectors",
        "ScheduleKeyDeletion",
        "StopConfigurationRecorder",
        "StopLogging",
        "UpdateDetector",
        "UpdateTrail",
    ];
    map! {
        "detail-type" => list!["AWS API Call via CloudTrail"],
        "detail" => map! { "eventSource" => services, "eventName" => calls, "sourceIPAddress" => by_hand() },
    }
}

/// A call that CloudFormation makes comes from its name.
fn by_hand() -> Value {
    list![map! { "anything-but" => "cloudformation.amazonaws.com" }]
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
