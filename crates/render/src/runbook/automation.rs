//! A runbook as a document of AWS Systems Manager Automation (schema 0.3), which stands in the region that is moved to and
//! calls nothing of the region that is left, but of best effort.
//!
//! It is approved by people first; what no call can do waits for a person (`aws:pause`).

use std::collections::BTreeSet;

use model::SiteId;
use rustc_hash::FxHashMap;

use crate::resource::Resource;
use crate::root::{Group, Root};
use crate::runbook::names::{From, Named};
use crate::runbook::{Purpose, Runbook, Step, Until, Work};
use crate::sheet::{Sheet, regional};
use crate::value::{ACCOUNT, Map, PARTITION, Value};
use crate::{File, cat, list, map, names, yaml};

/// How long people have for a decision, and for a step of their own.
const DECISION: u32 = 3_600;
/// A minute is enough for whoever still answers.
const BEST_EFFORT: u32 = 60;

/// Calls another region, gives up soon, and never fails.
pub const ELSEWHERE: &str = r#"import boto3
from botocore.config import Config


def handler(events, context):
    config = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 1})
    client = boto3.client(events["service"], region_name=events["region"], config=config)
    try:
        getattr(client, events["call"])(**events["inputs"])
    except Exception as error:
        return {"answer": str(error)}
    return {"answer": "done"}
"#;

/// Bytes of the steps of one document: it has to fit a template with what surrounds it, and 64 KB of Systems Manager (AWS
/// General Reference, "Systems Manager endpoints and quotas").
const MOST_BYTES: usize = 30_000;
/// What one document is told at most: each is handed to its template too.
const MOST_TOLD: usize = 60;
/// How much deeper its lines stand in a template.
const INDENTED: usize = 10;

/// One document: all of a runbook, or a part of a long one.
struct Piece<'r> {
    number: usize,
    steps: Vec<Value>,
    told: Vec<&'r Named>,
}

/// The runbook's own name, and more where it takes several.
pub fn numbered(name: &str, number: usize) -> String {
    if number == 1 { name.to_owned() } else { format!("{name}-{number}") }
}

/// Cut where one document would be too large.
fn pieces(runbook: &Runbook) -> Vec<Piece<'_>> {
    let known: FxHashMap<&str, &Named> = runbook.names.iter().map(|name| (name.parameter.as_str(), name)).collect();
    let (mut all, mut bytes) = (Vec::<Piece<'_>>::new(), 0);
    for (n, step) in runbook.steps.iter().enumerate() {
        let steps = written(n + 1, step);
        let size = steps.iter().map(|step| yaml::item_length(INDENTED, step)).sum::<usize>();
        let used = uses(&step.work);
        let told = used.iter().filter_map(|name| known.get(name).copied());
        let fits = |piece: &&mut Piece<'_>| bytes + size <= MOST_BYTES && piece.told.len() + used.len() <= MOST_TOLD;
        match all.last_mut().filter(fits) {
            Some(piece) => {
                piece.steps.extend(steps);
                let new = told.filter(|name| !piece.told.iter().any(|known| known.variable == name.variable));
                let new: Vec<&Named> = new.collect();
                piece.told.extend(new);
                bytes += size;
            }
            None => {
                all.push(Piece { number: all.len() + 1, steps, told: told.collect() });
                bytes = size;
            }
        }
    }
    all
}

/// Puts the documents, and the role that they work under, into the stack of the region that is moved to, and gives them as
/// files too.
pub fn write(sheet: &mut Sheet<'_>, runbook: &Runbook, to: &SiteId) -> Vec<File> {
    let pieces = pieces(runbook);
    let count = pieces.len();
    let head = format!("# Written by `antipode render` from {}: change the spec, not this file.\n", sheet.spec);
    // A region of which nothing is rendered gets no stack for this alone: the files can be registered by hand.
    let root = sheet.design.site(to).map(regional).filter(|root| sheet.stacks.contains_key(root));
    let role = root.as_ref().map(|root| role(sheet, runbook, root));
    let mut files = Vec::new();
    for piece in pieces {
        let name = numbered(&runbook.name, piece.number);
        let Piece { number, steps, told } = piece;
        // What a stack would say has to be given.
        let mut content = content(runbook, (number, count), parameters(runbook, &told, None, |_| None), steps);
        files.push(File::new(format!("runbooks/{name}.ssm.yaml"), head.clone() + &yaml::document(&content)));
        let Some(root) = &root else { continue };
        let made = |name: &Named| match &name.from {
            // What another region has is no value of this stack: neither waits for the other.
            From::Made { target, .. } if target.root == *root => Some(target.get()),
            From::State { root: own, parameter, .. } if own == root => {
                Some(Value::Parameter(own.clone(), parameter.clone()))
            }
            _ => None,
        };
        content.set("parameters", parameters(runbook, &told, role.clone(), made));
        let properties = map! {
            "DocumentType" => "Automation",
            "DocumentFormat" => "YAML",
            "Name" => sheet.named([name.as_str()], 128),
            "UpdateMethod" => "NewVersion",
            "Content" => content,
            "Tags" => sheet.tags(None),
        };
        let (id, asked) = (names::logical(["runbook", &name]), asked(sheet));
        sheet.add(root, Resource::new(Group::Control, "AWS::SSM::Document", id, asked, properties));
    }
    files
}

/// Who asked for a runbook: the practice, else the workload itself.
fn asked(sheet: &Sheet<'_>) -> crate::resource::Asked {
    let said = sheet.design.says("practice.failover");
    sheet.asked_by(if said { "practice.failover" } else { "workload" })
}

/// What the automation may call: what its steps call, in this region; and what it tries in the other.
fn role(sheet: &mut Sheet<'_>, runbook: &Runbook, root: &Root) -> Value {
    let id = names::logical(["runbook role", &runbook.name]);
    let (mut here, mut there) = (BTreeSet::new(), BTreeSet::new());
    for step in &runbook.steps {
        match &step.work {
            Work::Call { service, api, until, .. } => {
                here.insert(action(service, api));
                here.extend(until.as_ref().map(|until| action(until.service, until.api)));
            }
            Work::Tried { needs, .. } => there.extend(needs.iter().map(|action| (*action).to_owned())),
            Work::Person | Work::Nothing => {}
        }
    }
    let region = sheet.region(root).to_owned();
    let statement = |actions: &BTreeSet<String>, region: &str| {
        let actions: Vec<Value> = actions.iter().map(Value::from).collect();
        let within = map! { "StringEquals" => map! { "aws:RequestedRegion" => region } };
        Value::Map(map! { "Effect" => "Allow", "Action" => actions, "Resource" => "*", "Condition" => within })
    };
    let mut statements = Vec::new();
    if !here.is_empty() {
        statements.push(statement(&here, &region));
    }
    if let (false, Some(from)) = (there.is_empty(), &runbook.from) {
        statements.push(statement(&there, from));
    }
    let document = cat!["arn:", PARTITION, ":ssm:", region.as_str(), ":", ACCOUNT, ":automation-execution/*"];
    let trusted = map! {
        "Effect" => "Allow", "Principal" => map! { "Service" => "ssm.amazonaws.com" }, "Action" => "sts:AssumeRole",
        "Condition" => map! {
            "StringEquals" => map! { "aws:SourceAccount" => ACCOUNT }, "ArnLike" => map! { "aws:SourceArn" => document },
        },
    };
    let policy = map! {
        "PolicyName" => "runbook", "PolicyDocument" => map! { "Version" => "2012-10-17", "Statement" => statements.clone() },
    };
    let properties =
        map! { "AssumeRolePolicyDocument" => map! { "Version" => "2012-10-17", "Statement" => list![trusted] } }
            .with_some("Policies", (!statements.is_empty()).then(|| list![policy]))
            .with("Tags", sheet.tags(None));
    let asked = asked(sheet);
    let reason =
        "which resource is promoted is known when it runs: the actions are those of the steps, and the region is fixed";
    let role = ["CKV_AWS_107", "CKV_AWS_108", "CKV_AWS_109", "CKV_AWS_110", "CKV_AWS_111"]
        .into_iter()
        .fold(Resource::new(Group::Control, "AWS::IAM::Role", id, asked, properties), |role, check| {
            role.excused(check, reason)
        });
    sheet.add(root, role).att("Arn")
}

/// As IAM calls it.
fn action(service: &str, api: &str) -> String {
    let prefix = match service {
        "efs" => "elasticfilesystem",
        "stepfunctions" => "states",
        other => other,
    };
    // A call of boto3 has another spelling.
    format!("{prefix}:{}", names::logical([api.replace('_', " ").as_str()]))
}

/// Who approves, under which role, and what the steps name.
fn parameters(runbook: &Runbook, told: &[&Named], role: Option<Value>, made: impl Fn(&Named) -> Option<Value>) -> Map {
    let approvers: Vec<Value> = runbook.approval.approvers.iter().map(Value::from).collect();
    let approvers = map! {
        "type" => "StringList",
        "description" => "Who may approve, of those that the spec names: names of users of IAM, or ARNs of users and roles.",
    }
    .with_some("default", (!approvers.is_empty()).then_some(approvers));
    let mut parameters = map! {
        "Approvers" => approvers,
        "AutomationAssumeRole" => map! { "type" => "String", "description" => "The role that the automation works under." }
            .with_some("default", role),
    };
    for name in told {
        let known = match &name.from {
            From::Known(value) => Some(value.into()),
            From::Made { .. } | From::State { .. } => made(name),
            From::Asked(_) | From::Kept { .. } => None,
        };
        let about = match &name.from {
            From::Asked(how) | From::Kept { command: how, .. } => format!("{}: {how}", name.about),
            _ => name.about.clone(),
        };
        let parameter = map! { "type" => "String", "description" => about }.with_some("default", known);
        parameters.set(name.parameter.clone(), parameter);
    }
    parameters
}

fn content(runbook: &Runbook, (number, of): (usize, usize), parameters: Map, steps: Vec<Value>) -> Map {
    let which = match (number, of) {
        (_, 1) => String::new(),
        (1, of) => format!(" The first of {of} automations: each is begun when the one before it has ended."),
        (number, of) => {
            let before = numbered(&runbook.name, number - 1);
            format!(" Number {number} of {of} automations: begun when the one that ends in {before} has ended.")
        }
    };
    let steps: Vec<Value> = std::iter::once(approve(runbook, &which)).chain(steps).collect();
    let what = match runbook.purpose {
        Purpose::Failback => "Planned: nothing is lost.",
        _ => "For a region that is lost.",
    };
    map! {
        "schemaVersion" => "0.3",
        "description" => format!("{}. {what}{which} The page {}.md says when, who, and what to look at. {}", runbook.title, runbook.name, objectives(runbook)),
        "assumeRole" => "{{ AutomationAssumeRole }}",
        "parameters" => parameters,
        "mainSteps" => steps,
    }
}

fn objectives(runbook: &Runbook) -> String {
    let each: Vec<String> = runbook.objectives.iter().map(|(name, value)| format!("{name} {value}")).collect();
    format!("{}.", each.join(", "))
}

/// The parameters that a step names.
fn uses(work: &Work) -> BTreeSet<&str> {
    let inputs: Vec<&Map> = match work {
        Work::Call { inputs, until, .. } => std::iter::once(inputs).chain(until.iter().map(|u| &u.inputs)).collect(),
        Work::Tried { inputs, .. } => vec![inputs],
        Work::Person | Work::Nothing => Vec::new(),
    };
    let mut found = BTreeSet::new();
    for (_, value) in inputs.into_iter().flat_map(|inputs| &inputs.0) {
        value.visit(&mut |value| {
            let Value::Text(text) = value else { return };
            let named = text.split("{{ ").skip(1).filter_map(|rest| rest.split_once(" }}"));
            found.extend(named.map(|(name, _)| name));
        });
    }
    found
}

fn approve(runbook: &Runbook, which: &str) -> Value {
    let message = format!("{}.{which} {}", runbook.title, runbook.criteria.join(" "));
    let inputs = map! {
        "Message" => message.chars().take(1_024).collect::<String>(),
        "MinRequiredApprovals" => runbook.approval.people,
        "Approvers" => "{{ Approvers }}",
    };
    map! { "name" => "approve", "action" => "aws:approve", "timeoutSeconds" => DECISION, "onFailure" => "Abort", "inputs" => inputs }.into()
}

fn written(number: usize, step: &Step) -> Vec<Value> {
    let name = format!("step_{number}_{}", step.id);
    let says = format!("{}. {}", step.says, step.why);
    match &step.work {
        Work::Nothing => Vec::new(),
        Work::Person => {
            let what = step.commands.iter().chain(&step.validate).map(String::as_str).collect::<Vec<_>>().join("\n");
            let description = if what.is_empty() { says } else { format!("{says}\n{what}") };
            vec![
                map! {
                    "name" => name, "action" => "aws:pause", "description" => description,
                    "timeoutSeconds" => DECISION, "onFailure" => "Abort", "inputs" => map! {},
                }
                .into(),
            ]
        }
        Work::Tried { region, script, inputs, .. } => {
            let mut payload = map! { "region" => region };
            payload.0.extend(inputs.0.clone());
            let inputs = map! { "Runtime" => "python3.11", "Handler" => "handler", "Script" => *script, "InputPayload" => payload };
            vec![map! {
                "name" => name, "action" => "aws:executeScript", "description" => says, "timeoutSeconds" => BEST_EFFORT,
                "onFailure" => "Continue", "isCritical" => false, "inputs" => inputs,
            }.into()]
        }
        Work::Call { service, api, inputs, until } => {
            let mut call = map! { "Service" => *service, "Api" => *api };
            call.0.extend(inputs.0.clone());
            let made = map! {
                "name" => name.clone(), "action" => "aws:executeAwsApi", "description" => says, "onFailure" => "Abort",
                "inputs" => call,
            };
            std::iter::once(made.into()).chain(until.as_ref().map(|until| wait(&name, until))).collect()
        }
    }
}

fn wait(name: &str, until: &Until) -> Value {
    let wanted: Vec<Value> = until.wanted.iter().map(|value| Value::from(*value)).collect();
    let mut inputs = map! { "Service" => until.service, "Api" => until.api };
    inputs.0.extend(until.inputs.0.clone());
    let inputs = inputs.with("PropertySelector", until.selector).with("DesiredValues", wanted);
    map! {
        "name" => format!("{name}_is_done"), "action" => "aws:waitForAwsResourceProperty", "timeoutSeconds" => DECISION,
        "onFailure" => "Abort", "inputs" => inputs,
    }
    .into()
}
