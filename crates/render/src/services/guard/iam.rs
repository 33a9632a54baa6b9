//! Who recovers, who breaks the glass, and what neither can ever do.
//!
//! Roles are written before the first failover, because they can only be changed in us-east-1 (AWS Fault Isolation
//! Boundaries, "Global services"), and used in any region without it. What the role of a recovery may do is what the kinds
//! of the components say that a recovery calls, in the regions of the workload and in no other.

use std::collections::{BTreeMap, BTreeSet};

use model::Part;

use crate::resource::{Keep, Resource};
use crate::root::{Group, Root};
use crate::services::guard::secrets;
use crate::services::role;
use crate::services::{SIGNAL, id};
use crate::sheet::{Sheet, aws_region};
use crate::value::{ACCOUNT, Map, PARTITION, Value};
use crate::{cat, list, map};

/// Where services of no region are changed; their calls count as calls to there.
const HOMES: [&str; 2] = ["us-east-1", "us-west-2"];

/// Whose calls go to a cluster over five regions, whichever answers.
const ANYWHERE: &str = "route53-recovery-cluster";

/// Rendered for adopted workloads too: it changes nothing that exists. What is itself said to be adopted is not.
pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if matches!(part.word("managed"), Some("adopt" | "external")) {
        return;
    }
    let asked = sheet.asked(part);
    let boundary = boundary(sheet);
    let properties = map! {
        "ManagedPolicyName" => sheet.named(["boundary"], 100),
        "Description" => format!("The most that any role of {} can do", sheet.design.workload),
        "PolicyDocument" => boundary,
    };
    let grants_nothing = "a boundary grants nothing: it is the most that a role can be given";
    let checks =
        ["CKV_AWS_62", "CKV_AWS_63", "CKV_AWS_107", "CKV_AWS_108", "CKV_AWS_109", "CKV_AWS_110", "CKV_AWS_111"];
    let boundary = checks.iter().fold(
        Resource::new(Group::Security, "AWS::IAM::ManagedPolicy", id(part, "boundary"), asked.clone(), properties),
        |resource, check| resource.excused(check, grants_nothing),
    );
    let boundary = sheet.add(&Root::Global, boundary.keep(Keep::Retain));

    let name = sheet.design.aws.as_ref().and_then(|aws| aws.role.clone());
    let name = name.unwrap_or_else(|| sheet.named(["recovery"], 60));
    if !sheet.renders(part) {
        let how = format!(
            "aws iam get-role --role-name {name}: where it is there already, say `managed: adopt` for {}",
            part.id
        );
        sheet.note(part, "its roles are made although the workload is adopted: an account has one role of a name", how);
    }
    let inline = map! { "PolicyName" => "recovery", "PolicyDocument" => role::policy(recovery(sheet)) };
    let controller =
        map! { "StringEquals" => map! { "aws:PrincipalTag/antipode:controller" => &sheet.design.workload } };
    let properties = map! {
        "RoleName" => name,
        "Description" => "What a recovery may call, and where",
        "AssumeRolePolicyDocument" => trust(controller),
        "PermissionsBoundary" => boundary.get(),
        "ManagedPolicyArns" => list![cat!["arn:", PARTITION, ":iam::aws:policy/job-function/ViewOnlyAccess"]],
        "Policies" => list![inline],
        "MaxSessionDuration" => 3600 * 4,
        "Tags" => sheet.tags(Some(part)),
    };
    let by_region = "a recovery names what it finds; what it may call is what the kinds of the components list, in the regions of the workload";
    let recovery = ["CKV_AWS_107", "CKV_AWS_108", "CKV_AWS_109", "CKV_AWS_110", "CKV_AWS_111"].iter().fold(
        Resource::new(Group::Security, "AWS::IAM::Role", id(part, "recovery"), asked.clone(), properties),
        |resource, check| resource.excused(check, by_region),
    );
    sheet.add(&Root::Global, recovery.keep(Keep::Retain));

    let present = map! { "Bool" => map! { "aws:MultiFactorAuthPresent" => "true" }, "StringEquals" => map! { "aws:PrincipalTag/antipode:break-glass" => &sheet.design.workload } };
    let properties = map! {
        "RoleName" => sheet.named(["break glass"], 60),
        "Description" => "For an emergency: everything within the boundary, with a second factor, for an hour",
        "AssumeRolePolicyDocument" => trust(present),
        "PermissionsBoundary" => boundary.get(),
        "ManagedPolicyArns" => list![cat!["arn:", PARTITION, ":iam::aws:policy/AdministratorAccess"]],
        "MaxSessionDuration" => 3600,
        "Tags" => sheet.tags(Some(part)),
    };
    let glass = Resource::new(Group::Security, "AWS::IAM::Role", id(part, "break glass"), asked, properties)
        .keep(Keep::Retain)
        .excused(
            "CKV_AWS_274",
            "nobody knows beforehand what an emergency needs; the boundary holds, and each use is in the trail",
        );
    sheet.add(&Root::Global, glass);
    sheet.note(
        part,
        "who may assume these roles bears a mark",
        format!(
            "aws iam tag-role --role-name CONTROLLER --tags Key=antipode:controller,Value={0}; aws iam tag-user --user-name PERSON --tags Key=antipode:break-glass,Value={0}",
            sheet.design.workload
        ),
    );
}

/// Those of this account who bear the mark.
fn trust(condition: Map) -> Map {
    let account = map! { "AWS" => cat!["arn:", PARTITION, ":iam::", ACCOUNT, ":root"] };
    let statement =
        map! { "Effect" => "Allow", "Principal" => account, "Action" => "sts:AssumeRole", "Condition" => condition };
    role::policy(vec![statement.into()])
}

/// The regions of the workload, and those where global services are changed.
fn regions(sheet: &Sheet<'_>) -> Vec<Value> {
    let own: BTreeSet<&str> = sheet.design.regions().map(aws_region).chain(HOMES).collect();
    own.into_iter().map(Value::from).collect()
}

fn boundary(sheet: &Sheet<'_>) -> Map {
    let within = map! { "StringEquals" => map! { "aws:RequestedRegion" => regions(sheet) } };
    let most = map! { "Sid" => "InItsRegions", "Effect" => "Allow", "Action" => "*", "Resource" => "*", "Condition" => within };
    let cluster = map! { "Sid" => "RoutingControls", "Effect" => "Allow", "Action" => format!("{ANYWHERE}:*"), "Resource" => "*" };
    let never = map! {
        "Sid" => "Never", "Effect" => "Deny", "Resource" => "*",
        "Action" => list![
            "account:*", "cloudtrail:DeleteTrail", "cloudtrail:StopLogging", "iam:DeleteRolePermissionsBoundary",
            "iam:PutRolePermissionsBoundary", "organizations:LeaveOrganization", "s3:BypassGovernanceRetention",
        ],
    };
    role::policy(vec![most.into(), cluster.into(), never.into()])
}

/// A statement for each service that a recovery calls.
fn recovery(sheet: &Sheet<'_>) -> Vec<Value> {
    let mut calls: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for part in &sheet.design.components {
        for call in part.kind.acts.iter().flat_map(|act| called(&act.call)).chain(called(&part.kind.name)) {
            let Some((service, action)) = call.split_once(':').filter(|(service, _)| is_service(service)) else {
                continue;
            };
            if service != "iam" && action.chars().all(|c| c.is_ascii_alphanumeric()) {
                calls.entry(service).or_default().insert(call);
            }
        }
    }
    let within = map! { "StringEquals" => map! { "aws:RequestedRegion" => regions(sheet) } };
    let each = calls.into_iter().map(|(service, calls)| {
        let calls: Vec<&str> = calls.into_iter().collect();
        let Value::Map(statement) = role::allow(&calls, vec!["*".into()]) else { unreachable!("a statement is a map") };
        match service {
            ANYWHERE => statement.into(),
            _ => statement.with("Condition", within.clone()).into(),
        }
    });
    let mut statements: Vec<Value> = each.collect();
    // A signal is one object of the bucket of each region.
    let raised = sheet.of_kind("aws.route53").filter(|part| part.word("shift") == Some("standby-signal"));
    let objects = raised.map(|part| {
        let name = sheet.named([part.id.as_str(), "signal"], 34);
        cat!["arn:", PARTITION, ":s3:::", name, "-", ACCOUNT, format!("-*/{SIGNAL}")]
    });
    let objects: Vec<Value> = objects.collect();
    if !objects.is_empty() {
        statements.push(role::allow(&["s3:DeleteObject", "s3:PutObject"], objects));
    }
    // The value of a copy that was made independent is taken back by a return: of the workload's own secrets, and no others.
    let secrets: Vec<Value> = sheet
        .of_kind("aws.secrets-manager")
        .filter(|part| sheet.renders(part))
        .flat_map(|part| sheet.sites(part).into_iter().map(move |site| secrets::arn_pattern(sheet, part, site)))
        .collect();
    if !secrets.is_empty() {
        let calls = [
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
            "secretsmanager:ReplicateSecretToRegions",
        ];
        statements.push(role::allow(&calls, secrets));
    }
    let restores = |part: &Part| part.kind.acts.iter().any(|act| called(&act.call).any(|call| call == RESTORE));
    if sheet.design.components.iter().any(restores) {
        let roles = vec![cat!["arn:", PARTITION, ":iam::", ACCOUNT, ":role/*"]];
        let Value::Map(pass) = role::allow(&["iam:PassRole"], roles) else { unreachable!("a statement is a map") };
        let to = map! { "StringEquals" => map! { "iam:PassedToService" => "backup.amazonaws.com" } };
        statements.push(pass.with("Condition", to).into());
    }
    let seen = role::allow(&["cloudwatch:GetMetricData", "cloudwatch:GetMetricStatistics"], vec!["*".into()]);
    statements.push(seen);
    statements
}

/// Who reads and writes a log starts again with the brokers of the other cluster.
const MOVES: &str = "producers and consumers move to the other cluster";

/// Backup works under a role that it is handed.
const RESTORE: &str = "backup:StartRestoreJob";

/// What a step calls besides what the catalogue names it by, and a kind whose copies a runbook stops and starts; a test
/// compares them with the commands of every page.
const BESIDES: [(&str, &[&str]); 13] = [
    ("autoscaling:SetDesiredCapacity", &["autoscaling:UpdateAutoScalingGroup"]),
    ("aws.datasync", &["datasync:CancelTaskExecution", "datasync:StartTaskExecution", "datasync:UpdateTask"]),
    ("drs:StartRecovery", &["drs:ReverseReplication", "drs:TagResource"]),
    ("dynamodb:RestoreTableToPointInTime", &["backup:StartRestoreJob"]),
    (
        "ec2:ReplaceNetworkAclAssociation",
        &["ec2:CreateNetworkAcl", "ec2:CreateNetworkAclEntry", "ec2:DeleteNetworkAclEntry"],
    ),
    ("ec2:RunInstances", &["autoscaling:SetDesiredCapacity", "autoscaling:UpdateAutoScalingGroup"]),
    ("ecs:UpdateService", &["application-autoscaling:RegisterScalableTarget"]),
    (MOVES, &["ecs:UpdateService", "kafka:GetBootstrapBrokers", "kafka:ListClustersV2"]),
    ("rds:FailoverGlobalCluster", &["rds:SwitchoverGlobalCluster"]),
    ("rds:RestoreDBClusterToPointInTime", &["rds:CreateDBInstance", "rds:RestoreDBClusterFromSnapshot"]),
    ("rds:RestoreDBInstanceToPointInTime", &["rds:RestoreDBInstanceFromDBSnapshot"]),
    (
        "route53-recovery-cluster:UpdateRoutingControlState",
        &["route53-recovery-cluster:GetRoutingControlState", "route53-recovery-cluster:UpdateRoutingControlStates"],
    ),
    ("the cluster's API", &["eks:UpdateNodegroupConfig"]),
];

/// The calls of a step.
fn called(step: &'static str) -> impl Iterator<Item = &'static str> {
    let besides = BESIDES.iter().filter(move |(known, _)| *known == step).flat_map(|(_, calls)| calls.iter().copied());
    step.split(", ").chain(besides)
}

/// Whether it is what stands before the colon of a call.
fn is_service(word: &str) -> bool {
    word != "none" && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}
