//! Who a stack set is where no organization manages it: a role that administers, in this account, and one that makes the
//! stacks, in each account that is reached (AWS CloudFormation User Guide, "Grant self-managed permissions").

use std::collections::BTreeSet;

use model::Part;

use super::{elsewhere, words};
use crate::link::Template;
use crate::resource::{Given, Resource, Target};
use crate::root::{Group, Root};
use crate::services::{id, role};
use crate::sheet::{Sheet, aws_region, parameter};
use crate::value::{ACCOUNT, Map, PARTITION, Value};
use crate::{File, availability, cat, list, map, yaml};

/// Regions that every account has; the others are switched on, and their own CloudFormation has to be let in (AWS
/// CloudFormation User Guide, "Perform stack set operations involving Regions that are disabled by default").
const ALWAYS_ON: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// The role that makes the stacks, called the same in each account.
pub fn execution(sheet: &Sheet<'_>, part: &Part) -> String {
    sheet.named(words(part, "execution"), 64)
}

fn administration(sheet: &Sheet<'_>, part: &Part) -> String {
    sheet.named(words(part, "administration"), 64)
}

/// Both roles; for other accounts a template that whoever holds them deploys.
pub fn write(sheet: &mut Sheet<'_>, part: &Part, set: &str, template: &Template) -> (Target, Target) {
    let asked = sheet.asked(part);
    let name = administration(sheet, part);
    let mut services: Vec<Value> = vec!["cloudformation.amazonaws.com".into()];
    let switched_on = sheet.sites(part).into_iter().map(aws_region).filter(|region| !ALWAYS_ON.contains(region));
    services.extend(switched_on.map(|region| format!("cloudformation.{region}.amazonaws.com").into()));
    let region = sheet.region(&Root::StackSets);
    let from = cat!["arn:", PARTITION, ":cloudformation:", region, ":", ACCOUNT, ":stackset/", set, ":*"];
    let trusted = map! {
        "Effect" => "Allow", "Principal" => map! { "Service" => services }, "Action" => "sts:AssumeRole",
        "Condition" => map! { "StringEquals" => map! { "aws:SourceAccount" => ACCOUNT }, "StringLike" => map! { "aws:SourceArn" => from } },
    };
    let assumes =
        role::allow(&["sts:AssumeRole"], vec![cat!["arn:", PARTITION, ":iam::*:role/", execution(sheet, part)]]);
    let properties = map! {
        "RoleName" => name.as_str(),
        "AssumeRolePolicyDocument" => role::policy(vec![trusted.into()]),
        "Policies" => list![map! { "PolicyName" => "assume", "PolicyDocument" => role::policy(vec![assumes]) }],
        "Tags" => sheet.tags(Some(part)),
    };
    let administers =
        Resource::new(Group::Control, "AWS::IAM::Role", id(part, "administration role"), asked, properties);
    let administers = sheet.add(&Root::StackSets, administers);
    let own = executes(sheet, part, (set, template), administers.att("Arn"));
    let executes = sheet.add(&Root::StackSets, own);
    other_accounts(sheet, part, (set, template));
    (administers, executes)
}

fn executes(sheet: &Sheet<'_>, part: &Part, (set, template): (&str, &Template), trusts: Value) -> Resource {
    let trusted = map! { "Effect" => "Allow", "Principal" => map! { "AWS" => trusts }, "Action" => "sts:AssumeRole" };
    let properties = map! {
        "RoleName" => execution(sheet, part),
        "AssumeRolePolicyDocument" => role::policy(vec![trusted.into()]),
        "Policies" => list![map! { "PolicyName" => "make", "PolicyDocument" => may(sheet, part, set, template) }],
        "Tags" => sheet.tags(Some(part)),
    };
    let role =
        Resource::new(Group::Control, "AWS::IAM::Role", id(part, "execution role"), sheet.asked(part), properties);
    let reason = "what a stack makes has no name before it is made: the actions are those of the types in this stack set, in its regions only; roles are named";
    ["CKV_AWS_107", "CKV_AWS_108", "CKV_AWS_109", "CKV_AWS_110", "CKV_AWS_111"]
        .into_iter()
        .fold(role, |role, check| role.excused(check, reason))
}

/// What the types in the template need, in the regions that are reached.
fn may(sheet: &Sheet<'_>, part: &Part, set: &str, template: &Template) -> Map {
    let kinds: BTreeSet<&str> = template.resources.iter().map(|resource| resource.kind).collect();
    let actions: BTreeSet<String> = kinds
        .iter()
        .flat_map(|kind| availability::permissions(kind))
        .map(|action| availability::wide(action))
        .collect();
    let (roles, actions): (Vec<&String>, Vec<&String>) = actions.iter().partition(|action| action.starts_with("iam:"));
    let regions: Vec<Value> = sheet.sites(part).into_iter().map(|site| aws_region(site).into()).collect();
    let allow = |actions: &[&String], resources: Vec<Value>| {
        let actions: Vec<&str> = actions.iter().map(|action| action.as_str()).collect();
        role::allow(&actions, resources)
    };
    let stacks = cat!["arn:", PARTITION, ":cloudformation:*:", ACCOUNT, ":stack/StackSet-", set, "-*"];
    let mut statements = vec![role::allow(&["cloudformation:*"], vec![stacks])];
    let in_regions = map! { "StringEquals" => map! { "aws:RequestedRegion" => regions } };
    if let Value::Map(mut statement) = allow(&actions, vec!["*".into()]) {
        statement.set("Condition", in_regions);
        statements.push(statement.into());
    }
    if !roles.is_empty() {
        // As CloudFormation calls what has no name: the stack's, then its own.
        let named = ["role/StackSet-", "role/aws-service-role/"];
        let named = named.map(|name| match name.ends_with('-') {
            true => cat!["arn:", PARTITION, ":iam::", ACCOUNT, ":", name, set, "-*"],
            false => cat!["arn:", PARTITION, ":iam::", ACCOUNT, ":", name, "*"],
        });
        statements.push(allow(&roles, named.to_vec()));
    }
    role::policy(statements)
}

/// The same role for accounts that are not ours to make it in.
fn other_accounts(sheet: &mut Sheet<'_>, part: &Part, (set, template): (&str, &Template)) {
    let accounts = elsewhere(sheet, part);
    if accounts.is_empty() {
        return;
    }
    let about = "The account that the stack set is administered in, of 12 digits.";
    let how = "aws sts get-caller-identity --query Account --output text".to_owned();
    let asks = parameter("AdministratorAccount", "String", about, Given::Ask(how));
    let administrator = Value::Parameter(Root::StackSets, asks.name.clone());
    let trusts = cat!["arn:", PARTITION, ":iam::", administrator, ":role/", administration(sheet, part)];
    let role = executes(sheet, part, (set, template), trusts);
    let alone = Template {
        name: format!("{}-role", part.id),
        description: format!("{}: what the stack set {} is let in by", sheet.design.workload, part.id),
        parameters: vec![asks],
        conditions: Vec::new(),
        resources: vec![role],
        outputs: Vec::new(),
    };
    let path = format!("cloudformation/everywhere/{}-role.yaml", part.id);
    sheet.files.push(File::new(path.as_str(), yaml::template(&alone, &sheet.spec)));
    sheet.note(
        part,
        format!("the role by which it is let in has to be in {} before it: only whoever holds an account can make it there", accounts.join(", ")),
        format!(
            "in each: aws cloudformation deploy --template-file {path} --stack-name {set}-role --capabilities CAPABILITY_NAMED_IAM --parameter-overrides AdministratorAccount=ACCOUNT --region {}",
            sheet.region(&Root::StackSets)
        ),
    );
}
