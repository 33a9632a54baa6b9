//! Roles: who may assume them, and the few calls that each may make, in its own region.
//!
//! A role stands with what assumes it, in the stack of its region, so that a region needs no other in order to be let in.

use model::Part;
use model::design::Site;

use crate::resource::{Resource, Target};
use crate::root::{Group, Root};
use crate::services::access;
use crate::sheet::{Sheet, regional};
use crate::value::{ACCOUNT, Map, PARTITION, Value};
use crate::{cat, list, map, names};

/// What a service may do: statements of a policy.
pub fn allow(actions: &[&str], resources: Vec<Value>) -> Value {
    let actions: Vec<Value> = actions.iter().map(|action| Value::from(*action)).collect();
    map! { "Effect" => "Allow", "Action" => actions, "Resource" => resources }.into()
}

pub fn policy(statements: Vec<Value>) -> Map {
    map! { "Version" => "2012-10-17", "Statement" => statements }
}

/// Lets `service`, such as `ec2.amazonaws.com`, assume a role.
fn trust(service: &str) -> Map {
    let statement =
        map! { "Effect" => "Allow", "Principal" => map! { "Service" => service }, "Action" => "sts:AssumeRole" };
    policy(vec![statement.into()])
}

/// A role of a component, assumed by a service. `managed` are policies of AWS, by their path.
pub fn service_role(
    sheet: &mut Sheet<'_>,
    part: &Part,
    site: &Site,
    (group, what): (Group, &str),
    service: &str,
    managed: &[&str],
    statements: Vec<Value>,
) -> Target {
    let root = regional(site);
    let id = names::logical([part.id.as_str(), what, "role"]);
    if sheet.has(&root, &id) {
        return sheet.target(&root, id);
    }
    let managed: Vec<Value> = managed.iter().map(|path| cat!["arn:", PARTITION, ":iam::aws:policy/", *path]).collect();
    let inline = list![map! { "PolicyName" => what, "PolicyDocument" => policy(statements.clone()) }];
    let properties = map! { "AssumeRolePolicyDocument" => trust(service) };
    let properties = properties
        .with_some("ManagedPolicyArns", (!managed.is_empty()).then_some(managed))
        .with_some("Policies", (!statements.is_empty()).then_some(inline))
        .with("Tags", sheet.tags(Some(part)));
    let asked = sheet.asked(part);
    sheet.add(&root, Resource::new(group, "AWS::IAM::Role", id, asked, properties))
}

/// A role of the workload as a whole, assumed by a service on behalf of this account only.
pub fn of_workload(
    sheet: &mut Sheet<'_>,
    root: &Root,
    (group, what): (Group, &str),
    service: &str,
    statements: Vec<Value>,
) -> Target {
    let id = names::logical([what, "role"]);
    let ours = map! { "StringEquals" => map! { "aws:SourceAccount" => ACCOUNT } };
    let statement = map! {
        "Effect" => "Allow", "Principal" => map! { "Service" => service }, "Action" => "sts:AssumeRole", "Condition" => ours,
    };
    let inline = map! { "PolicyName" => names::physical([what], 64), "PolicyDocument" => policy(statements) };
    let properties = map! { "AssumeRolePolicyDocument" => policy(vec![statement.into()]), "Policies" => list![inline], "Tags" => sheet.tags(None) };
    let asked = sheet.asked_by("workload");
    sheet.add(root, Resource::new(group, "AWS::IAM::Role", id, asked, properties))
}

/// Who an instance is: reached by people through Session Manager, with no port open and no key on it.
pub fn instance_profile(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let root = regional(site);
    let may = access::needed(sheet, part, site);
    let role = service_role(
        sheet,
        part,
        site,
        (Group::Compute, "instance"),
        "ec2.amazonaws.com",
        &["AmazonSSMManagedInstanceCore", "CloudWatchAgentServerPolicy"],
        may,
    );
    let id = names::logical([part.id.as_str(), "instance profile"]);
    let asked = sheet.asked(part);
    sheet.add(
        &root,
        Resource::new(Group::Compute, "AWS::IAM::InstanceProfile", id, asked, map! { "Roles" => list![role.get()] }),
    )
}
