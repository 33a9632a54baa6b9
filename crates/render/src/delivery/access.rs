//! Who may deploy: one role for each stack, assumed by the workflow with a token of GitHub's and without any key, and one
//! that CloudFormation uses, which may do what the types in that stack need and nothing in another region.
//!
//! The roles stand in the global stack, which is deployed by hand the first time. IAM answers from every region, so a
//! region is deployed with its own role while us-east-1 is down.

use std::collections::{BTreeMap, BTreeSet};

use crate::resource::{Condition, Given, Keep, Parameter, Resource, Target};
use crate::root::{Group, Root};
use crate::sheet::{Sheet, parameter};
use crate::value::{ACCOUNT, Map, PARTITION, Value};
use crate::{availability, cat, list, map, names};

const GITHUB: &str = "token.actions.githubusercontent.com";

/// Services with one home for all regions, which no condition on the region can name.
const GLOBAL: [&str; 11] = [
    "cloudfront",
    "globalaccelerator",
    "iam",
    "networkmanager",
    "organizations",
    "route53",
    "route53-recovery-control-config",
    "route53-recovery-readiness",
    "route53domains",
    "shield",
    "sts",
];
/// Services of which a resource of one region makes its copies in others.
const REACHING: [&str; 3] = ["dynamodb", "kms", "secretsmanager"];

/// Characters of a managed policy, of at most 6,144 (IAM User Guide, "IAM and AWS STS quotas").
const LONGEST: usize = 5_000;

/// The role that the workflow assumes in order to deploy a stack.
pub fn deployer(sheet: &Sheet<'_>, root: &Root) -> String {
    sheet.named(["deploy", root.name()], 64)
}
/// The role that CloudFormation uses for it.
pub fn executor(sheet: &Sheet<'_>, root: &Root) -> String {
    sheet.named(["cloudformation", root.name()], 64)
}

pub fn write(sheet: &mut Sheet<'_>, roots: &[Root]) {
    let provider = provider(sheet);
    let how = "gh repo view --json nameWithOwner --jq .nameWithOwner";
    let about = "The repository on GitHub that deploys, as OWNER/NAME.";
    let repository = sheet.ask(&Root::Global, "Repository", about, how);
    let mut roots: BTreeSet<Root> = roots.iter().cloned().collect();
    roots.insert(Root::Global);
    // What each stack has, before these roles are added to one of them.
    let kinds: BTreeMap<Root, BTreeSet<&str>> = roots.iter().map(|root| (root.clone(), kinds(sheet, root))).collect();
    for (root, kinds) in &kinds {
        let execution = execution(sheet, root, kinds);
        deployment(sheet, root, &provider, &repository, &execution);
    }
}

fn kinds(sheet: &Sheet<'_>, root: &Root) -> BTreeSet<&'static str> {
    let stack = sheet.stacks.get(root);
    let used = stack.into_iter().flat_map(|stack| &stack.resources).map(|resource| resource.kind);
    let always = ["AWS::CloudFormation::Stack", "AWS::S3::Bucket", "AWS::S3::BucketPolicy"];
    let own = ["AWS::IAM::OIDCProvider", "AWS::IAM::Role", "AWS::IAM::ManagedPolicy"];
    used.chain(always).chain(own.into_iter().filter(|_| *root == Root::Global)).collect()
}

/// The account's provider of GitHub's tokens: there can be only one, under this name, so one that is there is used.
fn provider(sheet: &mut Sheet<'_>) -> Value {
    let about = "Whether the account's provider of GitHub's tokens is made here: `no` when it has one. It is said once, with \
                 --set.";
    let made = parameter("MakeGitHubProvider", "String", about, Given::AtFirst("yes".to_owned()));
    let made = Parameter { allowed: vec!["yes".to_owned(), "no".to_owned()], ..made };
    let made = Condition::equal("MakesGitHubProvider", sheet.parameter(&Root::Global, made), "yes");
    let properties = map! {
        "Url" => format!("https://{GITHUB}"), "ClientIdList" => list!["sts.amazonaws.com"], "Tags" => sheet.tags(None),
    };
    let asked = super::asked(sheet);
    let provider = Resource::new(Group::Security, "AWS::IAM::OIDCProvider", "GitHubProvider", asked, properties);
    // Other workloads of the account may use it by then.
    sheet.add(&Root::Global, provider.keep(Keep::Retain).only_if(made));
    ours("iam:", &format!("oidc-provider/{GITHUB}"))
}

fn region_is(regions: &[String]) -> Map {
    let regions: Vec<Value> = regions.iter().map(Value::from).collect();
    map! { "StringEquals" => map! { "aws:RequestedRegion" => regions } }
}

fn ours(service: &str, resource: &str) -> Value {
    cat!["arn:", PARTITION, ":", service, ":", ACCOUNT, ":", resource]
}

/// What CloudFormation may do for a stack.
fn execution(sheet: &mut Sheet<'_>, root: &Root, kinds: &BTreeSet<&str>) -> Target {
    let name = executor(sheet, root);
    let asked = super::asked(sheet);
    let mut policies = Vec::new();
    for (n, statements) in policies_of(sheet, root, kinds).into_iter().enumerate() {
        let id = names::logical(["cloudformation", root.name(), "policy", &(n + 1).to_string()]);
        let document = map! { "Version" => "2012-10-17", "Statement" => statements };
        let about = format!("What the types of the stack {root} need");
        let policy = map! { "Description" => about, "PolicyDocument" => document };
        let policy = excused(Resource::new(Group::Security, "AWS::IAM::ManagedPolicy", id, asked.clone(), policy));
        policies.push(sheet.add(&Root::Global, policy).get());
    }
    let trusted = map! {
        "Effect" => "Allow", "Principal" => map! { "Service" => "cloudformation.amazonaws.com" }, "Action" => "sts:AssumeRole",
        "Condition" => map! { "StringEquals" => map! { "aws:SourceAccount" => ACCOUNT } },
    };
    let properties = map! {
        "RoleName" => name,
        "AssumeRolePolicyDocument" => map! { "Version" => "2012-10-17", "Statement" => list![trusted] },
        "ManagedPolicyArns" => policies,
        "Tags" => sheet.tags(None),
    };
    let id = names::logical(["cloudformation", root.name(), "role"]);
    sheet.add(&Root::Global, Resource::new(Group::Security, "AWS::IAM::Role", id, asked, properties))
}

fn excused(policy: Resource) -> Resource {
    let reason = "what a deployment makes has no name before it is made: the actions are those that the types of this stack \
                  need and the region is fixed; roles are named";
    ["CKV_AWS_107", "CKV_AWS_108", "CKV_AWS_109", "CKV_AWS_110", "CKV_AWS_111"]
        .into_iter()
        .fold(policy, |policy, check| policy.excused(check, reason))
}

/// Statements, cut into policies that are not too long.
fn policies_of(sheet: &Sheet<'_>, root: &Root, kinds: &BTreeSet<&str>) -> Vec<Vec<Value>> {
    let actions: BTreeSet<String> = kinds
        .iter()
        .flat_map(|kind| availability::permissions(kind))
        .map(|action| availability::wide(action))
        .collect();
    let service = |action: &String| action.split(':').next().unwrap_or_default().to_owned();
    let (roles, actions): (Vec<String>, Vec<String>) = actions.into_iter().partition(|action| service(action) == "iam");
    let (global, actions): (Vec<String>, Vec<String>) =
        actions.into_iter().partition(|action| GLOBAL.contains(&service(action).as_str()));
    let (reaching, here): (Vec<String>, Vec<String>) =
        actions.into_iter().partition(|action| REACHING.contains(&service(action).as_str()));
    let own = [sheet.region(root).to_owned()];
    let mut all: Vec<String> = sheet.design.regions().map(|site| crate::sheet::aws_region(site).to_owned()).collect();
    all.extend(own.iter().filter(|region| !all.contains(region)).cloned().collect::<Vec<_>>());
    let anything = || list!["*"];
    let workload = sheet.named([], 40);
    let named = Value::List(vec![
        ours("iam:", &format!("role/{workload}-*")),
        ours("iam:", &format!("policy/{workload}-*")),
        ours("iam:", &format!("instance-profile/{workload}-*")),
        ours("iam:", &format!("oidc-provider/{GITHUB}")),
        ours("iam:", "role/aws-service-role/*"),
    ]);
    let mut cut: Vec<Vec<Value>> = Vec::new();
    cut.extend(pieces(&here, anything(), Some(region_is(&own))));
    cut.extend(pieces(&reaching, anything(), Some(region_is(&all))));
    cut.extend(pieces(&global, anything(), None));
    cut.extend(pieces(&roles, named, None));
    if *root != Root::Global {
        // Or else whoever deploys a region could give itself the rights of another.
        let ours = ["deploy", "cloudformation"].map(|what| ours("iam:", &format!("role/{workload}-{what}-*")));
        let never = map! { "Effect" => "Deny", "Action" => "iam:*", "Resource" => ours.to_vec() };
        cut.extend(cut.is_empty().then(Vec::new));
        cut[0].push(never.into());
    }
    cut
}

fn pieces(actions: &[String], resources: Value, condition: Option<Map>) -> Vec<Vec<Value>> {
    let mut pieces: Vec<(usize, Vec<Value>)> = Vec::new();
    for action in actions {
        match pieces.last_mut() {
            Some((length, piece)) if *length + action.len() + 3 < LONGEST => {
                *length += action.len() + 3;
                piece.push(action.into());
            }
            _ => pieces.push((action.len() + 3, vec![action.into()])),
        }
    }
    let statement = |actions: Vec<Value>| {
        map! { "Effect" => "Allow", "Action" => actions, "Resource" => resources.clone() }
            .with_some("Condition", condition.clone())
    };
    pieces.into_iter().map(|(_, actions)| vec![statement(actions).into()]).collect()
}

/// What somebody may who deploys a stack and nothing else: its change sets, its templates, and to let CloudFormation make
/// what is in it.
fn moves(sheet: &Sheet<'_>, root: &Root, execution: Value) -> Vec<Value> {
    let region = sheet.region(root);
    let workload = sheet.named([], 40);
    let store = format!("arn:aws:s3:::{}-", super::bucket(sheet));
    let store = |end: &str| cat![store.as_str(), ACCOUNT, "-", region, end];
    let stacks = |region: &str| list![ours(&format!("cloudformation:{region}"), &format!("stack/{workload}-*/*"))];
    let allow =
        |actions: Value, resources: Value| map! { "Effect" => "Allow", "Action" => actions, "Resource" => resources };
    let change = list![
        "cloudformation:CreateChangeSet",
        "cloudformation:DescribeChangeSet",
        "cloudformation:ExecuteChangeSet",
        "cloudformation:DeleteChangeSet",
        "cloudformation:DescribeStackEvents",
        "cloudformation:GetTemplate",
    ];
    let pass = allow("iam:PassRole".into(), list![execution])
        .with("Condition", map! { "StringEquals" => map! { "iam:PassedToService" => "cloudformation.amazonaws.com" } });
    let look = allow(
        list![
            "cloudwatch:DescribeAlarms",
            "elasticloadbalancing:DescribeTargetHealth",
            "elasticloadbalancing:DescribeLoadBalancers",
            "tag:GetResources"
        ],
        list!["*"],
    )
    .with("Condition", region_is(&[region.to_owned()]));
    vec![
        // The stack of the bucket of templates is one of the workload's too.
        allow(change, stacks(region)).into(),
        // What another stack hands on may stand in another region.
        allow(list!["cloudformation:DescribeStacks"], stacks("*")).into(),
        allow(list!["s3:GetObject", "s3:PutObject"], list![store("/*")]).into(),
        allow(list!["s3:ListBucket"], list![store("")]).into(),
        // Whether an image is the same bytes in the other regions, of which one may not answer.
        allow(list!["ecr:DescribeImages"], list![ours("ecr:*", "repository/*")]).into(),
        allow(list!["lambda:GetFunctionConfiguration"], list![ours("lambda:*", "function:*")]).into(),
        pass.into(),
        look.into(),
    ]
}

/// The same for a role that stands in the stack itself, which knows the other role by its name.
pub fn may_deploy(sheet: &Sheet<'_>, root: &Root) -> Vec<Value> {
    let execution = ours("iam:", &format!("role/{}", executor(sheet, root)));
    moves(sheet, root, execution)
}

/// The role of the workflow: it moves stacks of this workload in one region, and does nothing itself.
fn deployment(sheet: &mut Sheet<'_>, root: &Root, provider: &Value, repository: &Value, execution: &Target) {
    let workload = sheet.named([], 40);
    let trusted = map! {
        "Effect" => "Allow",
        "Principal" => map! { "Federated" => provider.clone() },
        "Action" => "sts:AssumeRoleWithWebIdentity",
        "Condition" => map! { "StringEquals" => map! {
            format!("{GITHUB}:aud") => "sts.amazonaws.com",
            format!("{GITHUB}:sub") => cat!["repo:", repository.clone(), ":environment:", root.name()],
        } },
    };
    let statements = moves(sheet, root, execution.att("Arn"));
    let policy = map! { "PolicyName" => "deploy", "PolicyDocument" => map! { "Version" => "2012-10-17", "Statement" => statements } };
    let properties = map! {
        "RoleName" => deployer(sheet, root),
        "Description" => format!("Deploys the stack {root} of {workload}"),
        "AssumeRolePolicyDocument" => map! { "Version" => "2012-10-17", "Statement" => list![trusted] },
        "Policies" => list![policy],
        "MaxSessionDuration" => 7200,
        "Tags" => sheet.tags(None),
    };
    let asked = super::asked(sheet);
    let id = names::logical(["deploy", root.name(), "role"]);
    sheet.add(&Root::Global, Resource::new(Group::Security, "AWS::IAM::Role", id, asked, properties));
}
