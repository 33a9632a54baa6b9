//! Functions that run at the edge: made in us-east-1, copied everywhere by CloudFront, which names one version of them.

use model::Part;

use crate::resource::{Given, Keep, Resource};
use crate::root::{Group, Root};
use crate::services::role;
use crate::sheet::{Sheet, parameter};
use crate::value::{PARTITION, Value};
use crate::{cat, list, map, names};

use super::lambda;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let (root, asked) = (Root::Edge, sheet.asked(part));
    let id = |what: &str| names::logical([part.id.as_str(), what]);
    // It runs in whatever region is near the user, and writes its logs there.
    let services = list!["lambda.amazonaws.com", "edgelambda.amazonaws.com"];
    let trust =
        map! { "Effect" => "Allow", "Principal" => map! { "Service" => services }, "Action" => "sts:AssumeRole" };
    let properties = map! {
        "AssumeRolePolicyDocument" => role::policy(vec![trust.into()]),
        "ManagedPolicyArns" => list![cat!["arn:", PARTITION, ":iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"]],
        "Tags" => sheet.tags(Some(part)),
    };
    // Before the distribution that names it, however the stack is cut.
    let group = Group::Security;
    let role = sheet.add(&root, Resource::new(group, "AWS::IAM::Role", id("role"), asked.clone(), properties));
    let artifact = sheet.design.artifact.clone();
    let about = "The version of the workload, the same in every region.";
    let version = match &artifact {
        Some(artifact) => sheet.setting(&root, "Artifact", about, artifact.clone()),
        None => sheet.ask(&root, "Artifact", about, "the version that was built last, such as 2026.07.01"),
    };
    let runtime = parameter(
        &id("runtime"),
        "String",
        "What runs the code: at the edge, Node.js or Python.",
        Given::AtFirst("nodejs22.x".to_owned()),
    );
    let code =
        map! { "S3Bucket" => lambda::bucket(sheet, &root), "S3Key" => cat![format!("{}/", part.id), version, ".zip"] };
    let properties = map! {
        "Code" => code,
        "Runtime" => sheet.parameter(&root, runtime),
        "Handler" => "index.handler",
        "Role" => role.att("Arn"),
        // What an answer to a viewer may take (CloudFront Developer Guide, "Restrictions on Lambda@Edge").
        "Timeout" => 5,
        "MemorySize" => 128,
        "Tags" => sheet.tags(Some(part)),
    };
    let function = Resource::new(group, "AWS::Lambda::Function", id("function"), asked.clone(), properties)
        .excused("CKV_AWS_115", "a function at the edge cannot reserve concurrency in other regions")
        .excused("CKV_AWS_116", "a function at the edge cannot have a dead-letter queue")
        .excused("CKV_AWS_117", "a function at the edge cannot be in a network");
    let function = sheet.add(&root, function);
    let version = Resource::new(
        group,
        "AWS::Lambda::Version",
        version_id(sheet, part),
        asked,
        map! { "FunctionName" => function.get() },
    );
    sheet.add(&root, version.keep(Keep::Retain));
}

fn version_id(sheet: &Sheet<'_>, part: &Part) -> String {
    let artifact = sheet.design.artifact.as_deref().unwrap_or_default();
    names::logical([part.id.as_str(), &format!("version {:08x}", names::digest(artifact))])
}

/// The version that a distribution names, by its ARN.
pub fn version(sheet: &Sheet<'_>, part: &Part) -> Value {
    sheet.target(&Root::Edge, version_id(sheet, part)).get()
}
