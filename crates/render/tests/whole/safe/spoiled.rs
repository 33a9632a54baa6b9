//! Each rule, seen red: what is right is spoiled in one place, and the rule finds it there.

use antipode_render::resource::{Given, Keep, Resource};
use antipode_render::value::{ACCOUNT, PARTITION, Value};
use antipode_render::{Rendering, Root, cat, list, map};
use model::SiteId;

use super::tables::{ENCRYPTED, HOLDS, SAID};
use super::{RULES, wrong};
use crate::specs;

/// A rule, a spec that keeps it, a type of which the first resource is spoiled, and how.
type Spoiled = (&'static str, &'static str, &'static str, fn(&mut Resource));

const SPOILED: &[Spoiled] = &[
    ("what holds data stays", "rds", "AWS::RDS::DBInstance", |resource| resource.keep = Keep::No),
    ("what holds data stays", "compute", "AWS::SQS::Queue", |resource| resource.keep = Keep::No),
    ("what can be encrypted is", "rds", "AWS::RDS::DBInstance", |resource| drop(resource, "KmsKeyId")),
    ("what matters is said", "rds", "AWS::RDS::DBInstance", |resource| set(resource, "PubliclyAccessible", true)),
    ("a bucket is closed", "s3", "AWS::S3::Bucket", |resource| drop(resource, "PublicAccessBlockConfiguration")),
    ("a bucket is closed", "s3", "AWS::S3::BucketPolicy", |resource| {
        set(resource, "PolicyDocument", map! { "Statement" => list![] });
    }),
    ("a role is assumed by who should", "s3", "AWS::IAM::Role", |resource| trusts(resource, "AWS", "*")),
    ("a role is assumed by who should", "s3", "AWS::IAM::Role", |resource| {
        trusts(resource, "Federated", "arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com");
    }),
    ("who may do what names it", "s3", "AWS::IAM::Role", |resource| may(resource, "s3:GetObject", "*")),
    ("who may do what names it", "s3", "AWS::IAM::Role", |resource| {
        may(resource, "iam:PassRole", "arn:aws:iam::1:role/*");
    }),
    ("who may do what names it", "s3", "AWS::IAM::Role", |resource| may(resource, "s3:*", "arn:aws:s3:::a/*")),
    ("who may do what names it", "s3", "AWS::IAM::Role", |resource| {
        *resource = resource.clone().excused("CKV_AWS_18", "another matter");
        may(resource, "s3:*", "arn:aws:s3:::a/*");
    }),
    ("a role works in its own region", "s3", "AWS::IAM::Role", |resource| {
        may(resource, "sqs:SendMessage", "arn:aws:sqs:eu-north-1:1:a");
    }),
    ("a role works in its own region", "s3", "AWS::IAM::Role", |resource| {
        may(resource, "sqs:SendMessage", cat!["arn:", PARTITION, ":sqs:eu-north-1:", ACCOUNT, ":a"]);
    }),
    ("a service comes in on behalf of this account", "s3", "AWS::KMS::Key", |resource| {
        let statement = map! { "Effect" => "Allow", "Principal" => map! { "Service" => "s3.amazonaws.com" }, "Action" => "kms:Decrypt" };
        set(resource, "KeyPolicy", map! { "Statement" => list![statement] });
    }),
    ("a service comes in on behalf of this account", "s3", "AWS::KMS::Key", |resource| {
        let only = map! { "Bool" => map! { "aws:SecureTransport" => "true" } };
        let statement = map! { "Effect" => "Allow", "Principal" => map! { "Service" => "s3.amazonaws.com" }, "Action" => "kms:Decrypt", "Condition" => only };
        set(resource, "KeyPolicy", map! { "Statement" => list![statement] });
    }),
    ("nobody comes in from everywhere", "rds", "AWS::EC2::SecurityGroupIngress", |resource| {
        drop(resource, "SourceSecurityGroupId");
        set(resource, "CidrIp", "0.0.0.0/0");
    }),
    ("nothing names another region", "rds", "AWS::RDS::DBInstance", |resource| {
        set(resource, "SourceRegion", "eu-west-1");
        set(resource, "AvailabilityZone", "ap-south-1a");
    }),
    ("an alarm tells somebody", "alarms", "AWS::CloudWatch::Alarm", |resource| drop(resource, "AlarmActions")),
    ("an alarm tells somebody", "alarms", "AWS::CloudWatch::Alarm", |resource| drop(resource, "TreatMissingData")),
    ("an alarm tells somebody", "alarms", "AWS::CloudWatch::CompositeAlarm", |resource| {
        set(resource, "OKActions", list!["arn:aws:sns:us-west-2:1:a"]);
    }),
];

fn drop(resource: &mut Resource, key: &str) {
    resource.properties.0.retain(|(name, _)| name != key);
}

fn set(resource: &mut Resource, key: &'static str, value: impl Into<Value>) {
    resource.properties.set(key, value);
}

fn may(resource: &mut Resource, action: &str, on: impl Into<Value>) {
    let statement = map! { "Effect" => "Allow", "Action" => list![action], "Resource" => list![on.into()] };
    let document = map! { "Statement" => list![statement] };
    set(resource, "Policies", list![map! { "PolicyDocument" => document }]);
}

fn trusts(resource: &mut Resource, kind: &'static str, who: &str) {
    let statement = map! { "Effect" => "Allow", "Principal" => map! { kind => who }, "Action" => "sts:AssumeRole" };
    set(resource, "AssumeRolePolicyDocument", map! { "Statement" => list![statement] });
}

fn spec(name: &str) -> Rendering {
    let (name, text) = specs::all().into_iter().find(|(known, _)| known == name).expect("a spec of that name");
    specs::rendering(&name, &text)
}

fn first<'r>(rendering: &'r mut Rendering, kind: &str) -> &'r mut Resource {
    let stacks = rendering.stacks.iter_mut().filter(|stack| matches!(stack.root, Root::Region(_)));
    let mut all = stacks.flat_map(|stack| &mut stack.templates).flat_map(|template| &mut template.resources);
    // Alarms that only a deployment looks at tell nobody.
    all.find(|resource| resource.kind == kind && !resource.id.ends_with("NewVersionFails"))
        .unwrap_or_else(|| panic!("no {kind}"))
}

#[test]
fn each_rule_finds_what_is_spoiled() {
    for (rule, name, kind, spoil) in SPOILED {
        let mut rendering = spec(name);
        let resource = first(&mut rendering, kind);
        spoil(resource);
        let id = format!("{kind} {} of ", resource.id);
        let found = wrong(&rendering);
        assert!(found.iter().any(|(by, what)| by == rule && what.starts_with(&id)), "{rule}: {id}: {found:?}");
    }
    let tried: Vec<&str> = RULES.iter().map(|(rule, _)| *rule).collect();
    let never: Vec<&&str> = tried.iter().filter(|rule| !SPOILED.iter().any(|(tried, ..)| tried == *rule)).collect();
    assert!(never.is_empty(), "never seen red: {never:?}");
}

#[test]
fn a_region_that_waits_for_another_is_found() {
    let mut rendering = spec("rds");
    let stack = rendering.stacks.iter_mut().find(|stack| stack.root.name() == "eu-west-1").unwrap();
    let parameter = &mut stack.templates.last_mut().unwrap().parameters[0];
    parameter.value = Given::Output(Root::Region(SiteId::new("ap-south-1")), "Endpoint".to_owned());
    assert!(wrong(&rendering).iter().any(|(rule, _)| *rule == "a region waits for none"));
}

/// A row that no resource meets, or that finds nothing when its property is gone, says nothing.
#[test]
fn each_row_of_the_tables_meets_a_resource_and_finds_that_it_is_gone() {
    let mut rows: Vec<(&str, &str, &str)> =
        ENCRYPTED.iter().map(|(kind, path, ..)| ("what can be encrypted is", *kind, *path)).collect();
    rows.extend(SAID.iter().map(|(kind, path, _)| ("what matters is said", *kind, *path)));
    rows.extend(HOLDS.iter().map(|(kind, _)| ("what holds data stays", *kind, "")));
    for (name, text) in specs::all() {
        if rows.is_empty() {
            break;
        }
        let mut rendering = specs::rendering(&name, &text);
        for stack in &mut rendering.stacks {
            for resource in stack.templates.iter_mut().flat_map(|template| &mut template.resources) {
                rows.retain(|(rule, kind, path)| resource.kind != *kind || !found_gone(resource, rule, path));
            }
        }
    }
    assert!(rows.is_empty(), "{rows:#?}");
}

fn found_gone(resource: &Resource, rule: &str, path: &str) -> bool {
    let (_, rule) = RULES.iter().find(|(name, _)| *name == rule).unwrap();
    let mut spoiled = resource.clone();
    match path.split('.').next().unwrap() {
        "" => spoiled.keep = Keep::No,
        key => drop(&mut spoiled, key),
    }
    let place = |resource| super::Place { resource, region: "us-east-1", others: Vec::new() };
    rule(&place(&spoiled)).iter().any(|what| what.starts_with(path) || path.is_empty())
}
