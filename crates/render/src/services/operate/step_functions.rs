//! State machines: the same one in each region. It does its work where it was started, tries again when that fails, and in
//! the end hands it to the machine of the next region, by an event: no service of AWS starts anything in another region
//! directly.
//!
//! What was handed over is never handed on: two regions that both fail would play with it for ever.

use model::Part;
use model::design::Site;

use crate::resource::{Resource, Target};
use crate::root::Group;
use crate::services::compute::lambda;
use crate::services::id;
use crate::services::{logs, role};
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{ACCOUNT, Map, PARTITION, REGION, Value};
use crate::{cat, list, map, names};

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let sites = sheet.sites(part);
    for (n, site) in sites.iter().enumerate() {
        let next = sites.get((n + 1) % sites.len()).filter(|next| next.id != site.id).copied();
        one(sheet, part, site, next);
    }
}

fn name(sheet: &Sheet<'_>, part: &Part, site: &Site) -> String {
    crate::services::physical(part, site).unwrap_or_else(|| sheet.named([part.id.as_str()], 80))
}

/// Its ARN, known beforehand.
pub fn arn(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Value {
    cat!["arn:", PARTITION, ":states:", aws_region(site), ":", ACCOUNT, ":stateMachine:", name(sheet, part, site)]
}

fn default_bus(region: Value) -> Value {
    cat!["arn:", PARTITION, ":events:", region, ":", ACCOUNT, ":event-bus/default"]
}

fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site, next: Option<&Site>) {
    let (root, asked) = (regional(site), sheet.asked(part));
    let work = part.needs.iter().filter_map(|id| sheet.part(id)).find(|needed| needed.kind.name == "aws.lambda");
    let work = work.map(|function| lambda::arn(sheet, function, site));
    let serves = format!("/{}/{}/serves", sheet.design.workload, part.id);
    let about = format!("Where {} works: `here`, or `elsewhere`, which hands everything over.", part.id);
    let here = sheet.state(&root, &id(part, "works"), &about, "here");
    let parameter = map! { "Type" => "String", "Name" => serves.clone(), "Value" => here, "AllowedPattern" => "^(here|elsewhere)$" };
    let parameter = Resource::new(Group::Control, "AWS::SSM::Parameter", id(part, "serves"), asked.clone(), parameter);
    sheet.add(&root, parameter);
    let log = logs::group(sheet, Some(part), site, (Group::Control, "executions"), None);
    let deliver = [
        "logs:CreateLogDelivery",
        "logs:GetLogDelivery",
        "logs:UpdateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:DescribeResourcePolicies",
        "logs:DescribeLogGroups",
    ];
    let trace =
        ["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"];
    let mut may = vec![role::allow(&deliver, vec!["*".into()]), role::allow(&trace, vec!["*".into()])];
    let named = cat!["arn:", PARTITION, ":ssm:", REGION, ":", ACCOUNT, ":parameter", serves.clone()];
    may.push(role::allow(&["ssm:GetParameter"], vec![named]));
    may.push(role::allow(&["events:PutEvents"], vec![default_bus(REGION)]));
    may.extend(work.clone().map(|arn| role::allow(&["lambda:InvokeFunction"], vec![arn])));
    let runs = role::service_role(sheet, part, site, (Group::Control, "execution"), "states.amazonaws.com", &[], may);
    let source = source(sheet, part);
    let definition = definition(&serves, work, next.map(|next| (source.clone(), next)));
    let destination = map! { "CloudWatchLogsLogGroup" => map! { "LogGroupArn" => log.att("Arn") } };
    let properties = map! {
        "StateMachineName" => name(sheet, part, site),
        "StateMachineType" => "STANDARD",
        "Definition" => definition,
        "RoleArn" => runs.att("Arn"),
        "TracingConfiguration" => map! { "Enabled" => true },
        "LoggingConfiguration" => map! { "Level" => "ALL", "IncludeExecutionData" => true, "Destinations" => list![destination] },
        "Tags" => sheet.tags(Some(part)),
    };
    let machine =
        Resource::new(Group::Control, "AWS::StepFunctions::StateMachine", id(part, "machine"), asked, properties);
    let machine = sheet.add(&root, machine);
    if let Some(next) = next {
        sends(sheet, part, site, next, &source);
        takes(sheet, part, site, &machine, &source);
    }
}

fn source(sheet: &Sheet<'_>, part: &Part) -> String {
    format!("{}.{}", names::physical([sheet.design.workload.as_str()], 60), part.id)
}

/// Seconds before the first of three more tries, each twice as long after the last, and not all at the same moment.
fn retry() -> Value {
    list![map! {
        "ErrorEquals" => list!["States.ALL"], "IntervalSeconds" => 2, "MaxAttempts" => 3, "BackoffRate" => 2, "JitterStrategy" => "FULL",
    }]
}

fn definition(serves: &str, work: Option<Value>, next: Option<(String, &Site)>) -> Map {
    let gives_up = if next.is_some() { "Handed over before" } else { "Failed" };
    let caught = list![map! { "ErrorEquals" => list!["States.ALL"], "ResultPath" => "$.error", "Next" => gives_up }];
    let work = match work {
        Some(function) => map! {
            "Type" => "Task", "Resource" => "arn:aws:states:::lambda:invoke", "TimeoutSeconds" => 300,
            "Parameters" => map! { "FunctionName" => function, "Payload.$" => "$.given" },
            "ResultPath" => "$.result", "Retry" => retry(), "Catch" => caught, "End" => true,
        },
        // Nothing is said of what it does: the place where the team's own states come.
        None => map! { "Type" => "Pass", "End" => true },
    };
    let elsewhere = if next.is_some() { "Handed over before" } else { "Work" };
    let here = map! { "Variable" => "$.serves.Parameter.Value", "StringEquals" => "elsewhere", "Next" => elsewhere };
    // When it cannot be known where to work, here is as good as anywhere.
    let unknown = list![map! { "ErrorEquals" => list!["States.ALL"], "ResultPath" => "$.error", "Next" => "Work" }];
    // What was handed over is worked on as it was given first, whichever region does it.
    let wrapped = map! { "Variable" => "$.handedOver", "IsPresent" => true, "Next" => "Handed over here" };
    let states = map! {
        "Given" => map! { "Type" => "Choice", "Choices" => list![wrapped], "Default" => "Given here" },
        "Given here" => map! { "Type" => "Pass", "Parameters" => map! { "given.$" => "$" }, "Next" => "Ask where" },
        "Handed over here" => map! {
            "Type" => "Pass", "Parameters" => map! { "given.$" => "$.input", "handedOver" => true }, "Next" => "Ask where",
        },
        "Ask where" => map! {
            "Type" => "Task", "Resource" => "arn:aws:states:::aws-sdk:ssm:getParameter", "Parameters" => map! { "Name" => serves },
            "ResultPath" => "$.serves", "Retry" => retry(), "Catch" => unknown, "Next" => "Here",
        },
        "Here" => map! { "Type" => "Choice", "Choices" => list![here], "Default" => "Work" },
        "Work" => work,
    };
    let failed = map! { "Type" => "Fail", "Error" => "Failed", "Cause" => "it failed here, and has been handed over before or can be handed to nobody" };
    let Some((source, next)) = next else {
        return map! { "StartAt" => "Given", "States" => states.with("Failed", failed) };
    };
    let again = map! { "Variable" => "$.handedOver", "IsPresent" => true, "Next" => "Failed" };
    let event = map! {
        "Source" => source, "DetailType" => "handed over", "EventBusName" => "default",
        "Detail" => map! { "to" => aws_region(next), "handedOver" => true, "input.$" => "$.given" },
    };
    let hand = map! {
        "Type" => "Task", "Resource" => "arn:aws:states:::events:putEvents", "Parameters" => map! { "Entries" => list![event] },
        "Retry" => retry(), "End" => true,
    };
    let choice = map! { "Type" => "Choice", "Choices" => list![again], "Default" => "Hand over" };
    let states = states.with("Handed over before", choice).with("Hand over", hand).with("Failed", failed);
    map! { "StartAt" => "Given", "States" => states }
}

fn rule(sheet: &mut Sheet<'_>, part: &Part, site: &Site, what: &str, (pattern, target): (Map, Map)) {
    let properties = map! {
        "Name" => sheet.named([part.id.as_str(), what], 64), "EventPattern" => pattern, "Targets" => list![target],
    };
    let asked = sheet.asked(part);
    let rule = Resource::new(Group::Control, "AWS::Events::Rule", id(part, what), asked, properties);
    sheet.add(&regional(site), rule);
}

/// The event goes to the other region's bus, which every account has.
fn sends(sheet: &mut Sheet<'_>, part: &Part, site: &Site, next: &Site, source: &str) {
    let there = default_bus(aws_region(next).into());
    let may = vec![role::allow(&["events:PutEvents"], vec![there.clone()])];
    let role = role::service_role(sheet, part, site, (Group::Control, "hand over"), "events.amazonaws.com", &[], may);
    let pattern = map! { "source" => list![source], "detail" => map! { "to" => list![aws_region(next)] }, "region" => list![REGION] };
    let target = map! { "Id" => "other-region", "Arn" => there, "RoleArn" => role.att("Arn") };
    rule(sheet, part, site, "hands over", (pattern, target));
}

/// What was handed to this region begins here.
fn takes(sheet: &mut Sheet<'_>, part: &Part, site: &Site, machine: &Target, source: &str) {
    let may = vec![role::allow(&["states:StartExecution"], vec![machine.get()])];
    let role = role::service_role(sheet, part, site, (Group::Control, "take over"), "events.amazonaws.com", &[], may);
    let pattern = map! { "source" => list![source], "detail" => map! { "to" => list![aws_region(site)] } };
    let target =
        map! { "Id" => "machine", "Arn" => machine.get(), "RoleArn" => role.att("Arn"), "InputPath" => "$.detail" };
    rule(sheet, part, site, "takes over", (pattern, target));
}
