//! Who may do what, where, and who is let in.

use antipode_render::value::{Map, Value};

use super::Place;
use super::tables::NO_RESOURCE;
use crate::words::{all, below, word};

/// Buckets that nobody outside can read; the one of a signal is read by health checkers, in one object.
pub fn closed(place: &Place<'_>) -> Vec<String> {
    match place.resource.kind {
        "AWS::S3::Bucket" => {
            let read = place.resource.id.ends_with("Signal");
            let wanted = [("BlockPublicAcls", true), ("IgnorePublicAcls", true), ("BlockPublicPolicy", !read)];
            let wanted = wanted.into_iter().chain([("RestrictPublicBuckets", !read)]);
            let said = |key: &str| all(place.resource, &format!("PublicAccessBlockConfiguration.{key}"));
            wanted.filter(|(key, on)| said(key) != [on.to_string()]).map(|(key, _)| format!("{key} is off")).collect()
        }
        "AWS::S3::BucketPolicy" => {
            let statements = statements(place.resource.properties.get("PolicyDocument"));
            let tls = statements.iter().any(|statement| {
                one(statement, "Effect") == "Deny"
                    && one(statement, "Action") == "s3:*"
                    && one(statement, "Condition").contains("aws:SecureTransport=false")
            });
            if tls { Vec::new() } else { vec!["lets requests in that are not encrypted".to_owned()] }
        }
        _ => Vec::new(),
    }
}

/// The statements of each policy that a role or a managed policy has, with what the role itself is excused.
fn granted<'r>(place: &Place<'r>) -> Vec<&'r Map> {
    let resource = place.resource;
    let documents: Vec<&Value> = match resource.kind {
        "AWS::IAM::Role" => match resource.properties.get("Policies") {
            Some(Value::List(policies)) => policies.iter().filter_map(|policy| key(policy, "PolicyDocument")).collect(),
            _ => Vec::new(),
        },
        "AWS::IAM::ManagedPolicy" | "AWS::IAM::Policy" => {
            resource.properties.get("PolicyDocument").into_iter().collect()
        }
        _ => Vec::new(),
    };
    let all = documents.into_iter().flat_map(|document| statements(Some(document)));
    all.filter(|statement| one(statement, "Effect") != "Deny").collect()
}

/// Who assumes a role: a service, somebody of this account who bears the workload's mark or a second factor, or GitHub for one
/// environment of one repository.
pub fn trusted(place: &Place<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for statement in statements(place.resource.properties.get("AssumeRolePolicyDocument")) {
        let [effect, who, action, only] = ["Effect", "Principal", "Action", "Condition"].map(|key| one(statement, key));
        let known = match who.split_once('=') {
            Some(("Service", service)) => service.trim_end().ends_with(".amazonaws.com") && action == "sts:AssumeRole",
            Some(("AWS", who)) if who.contains(":root") => {
                only.contains("aws:PrincipalTag/antipode:") || only.contains("aws:MultiFactorAuthPresent=true")
            }
            // Stack sets: one role of ours assumes another.
            Some(("AWS", who)) => who.starts_with('{') && who.contains("AdministrationRole"),
            Some(("Federated", _)) => {
                let one = only.contains(":sub=repo:{Repository}:environment:") && only.contains("StringEquals=");
                one && only.contains(":aud=sts.amazonaws.com") && action == "sts:AssumeRoleWithWebIdentity"
            }
            _ => false,
        };
        if effect != "Allow" || !known {
            wrong.push(format!("{effect} {action} for {who}: {only}"));
        }
    }
    wrong
}

/// What the policy tool calls a grant that is too wide.
const POLICY: &[&str] = &["CKV_AWS_107", "CKV_AWS_108", "CKV_AWS_109", "CKV_AWS_110", "CKV_AWS_111", "CKV_AWS_63"];

/// No `*`, but for calls that know no resource, within named regions, or with an excuse that the template gives.
pub fn named(place: &Place<'_>) -> Vec<String> {
    let excused =
        place.resource.metadata.get("checkov").map(word).is_some_and(|told| POLICY.iter().any(|id| told.contains(id)));
    let mut wrong = Vec::new();
    for statement in granted(place) {
        let any_role =
            each(statement, "Resource").iter().any(|resource| resource == "*" || resource.ends_with(":role/*"));
        let hands_on = any_role && one(statement, "Action").contains("iam:PassRole");
        if hands_on && !one(statement, "Condition").contains("iam:PassedToService=") {
            wrong.push("hands any role to any service".to_owned());
        }
        let (actions, resources) = (each(statement, "Action"), each(statement, "Resource"));
        let anywhere = resources.iter().any(|resource| resource == "*");
        let known = actions.iter().all(|action| NO_RESOURCE.contains(&action.as_str()));
        let bounded =
            ["aws:RequestedRegion", "aws:ResourceTag"].iter().any(|key| one(statement, "Condition").contains(key));
        if one(statement, "Effect") != "Allow" || resources.is_empty() || (anywhere && !known && !bounded && !excused) {
            wrong.push(format!("{actions:?} of everything"));
        }
        if actions.iter().any(|action| action.ends_with(":*") || action == "*") && !excused {
            wrong.push(format!("may call all of {actions:?}"));
        }
    }
    wrong
}

/// What a role of a region may call stands in that region, but for what copies to another.
pub fn at_home(place: &Place<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for statement in granted(place).into_iter().filter(|_| !place.others.is_empty()) {
        for resource in each(statement, "Resource") {
            let resource = resource.replace("{AWS::Partition}", "aws").replace("{AWS::Region}", place.region);
            let mut parts = resource.split(':').skip(2);
            let (service, region) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let global = ["", "s3", "iam", "route53", "route53-recovery-control"].contains(&service);
            let own = region == place.region || global;
            let reaches = ELSEWHERE.iter().any(|(known, role)| *known == service && place.resource.id.contains(role));
            if !own && !reaches {
                wrong.push(format!("{:?} of {resource}", each(statement, "Action")));
            }
        }
    }
    wrong
}

/// What reaches into another region, and the roles that do: copies are made by a role of the region that they come from, a
/// replicator reads where it copies from, and a pipeline deploys to one region after the other.
const ELSEWHERE: &[(&str, &str)] = &[
    ("kms", ""),
    ("events", ""),
    ("kafka", "From"),
    ("codebuild", "PipelineRole"),
    ("cloudformation", "DeployerRole"),
    ("ecr", "DeployerRole"),
    ("lambda", "DeployerRole"),
];

/// Services that do not say on whose behalf they come.
const ANY_ACCOUNT: &[(&str, &str)] = &[
    ("AWS::KMS::Key", "Service=events.amazonaws.com"),
    ("AWS::SNS::TopicPolicy", "Service=events.amazonaws.com"),
    ("AWS::MSK::ClusterPolicy", "Service=kafka.amazonaws.com"),
];

/// What says on whose behalf somebody comes.
const OURS: &[&str] = &[
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceOwner",
    "aws:PrincipalAccount",
    "aws:PrincipalOrgID",
    "kms:CallerAccount",
    "kms:EncryptionContext",
    "elasticfilesystem:AccessedViaMountTarget",
];

/// What lets a service in does so on behalf of this account, and lets nobody in who is not named.
pub fn ours(place: &Place<'_>) -> Vec<String> {
    let document = match place.resource.kind {
        "AWS::KMS::Key" | "AWS::KMS::ReplicaKey" => "KeyPolicy",
        "AWS::EFS::FileSystem" => "FileSystemPolicy",
        "AWS::MSK::ClusterPolicy" => "Policy",
        "AWS::S3::BucketPolicy" | "AWS::SQS::QueuePolicy" | "AWS::SNS::TopicPolicy" => "PolicyDocument",
        _ => return Vec::new(),
    };
    let mut wrong = Vec::new();
    for statement in statements(place.resource.properties.get(document)) {
        let who = one(statement, "Principal");
        let open = who == "*" || who.contains("Service=") || who.trim_end() == "AWS=*";
        let known = ANY_ACCOUNT.contains(&(place.resource.kind, who.trim_end()));
        let known = known || (who == "*" && place.resource.id.ends_with("SignalPolicy"));
        let only = one(statement, "Condition");
        let bounded = OURS.iter().any(|key| only.contains(key));
        if one(statement, "Effect") == "Allow" && open && !known && !bounded {
            wrong.push(format!("{} for {who}, of any account", one(statement, "Action")));
        }
    }
    wrong
}

/// Ports of shells, desktops, files and databases: for nobody outside.
const INNER: &[u16] = &[22, 23, 445, 1433, 1521, 2049, 3306, 3389, 5432, 6379, 9092, 9098, 27017];

/// Nobody outside reaches what is not for them, and no rule opens everything.
pub fn shut(place: &Place<'_>) -> Vec<String> {
    let rules: Vec<&Map> = match (place.resource.kind, place.resource.properties.get("SecurityGroupIngress")) {
        ("AWS::EC2::SecurityGroupIngress", _) => vec![&place.resource.properties],
        ("AWS::EC2::SecurityGroup", Some(Value::List(rules))) => rules.iter().filter_map(as_map).collect(),
        _ => Vec::new(),
    };
    let mut wrong = Vec::new();
    for rule in rules {
        let [from, to] = ["FromPort", "ToPort"].map(|key| one(rule, key).parse::<u16>());
        let everybody = ["CidrIp", "CidrIpv6"].iter().any(|key| one(rule, key).ends_with("/0"));
        let open = match (from, to) {
            (Ok(from), Ok(to)) => everybody && INNER.iter().any(|port| (from..=to).contains(port)),
            _ => true,
        };
        if open || one(rule, "IpProtocol") == "-1" {
            wrong.push(format!("{rule:?}"));
        }
    }
    wrong
}

fn statements(document: Option<&Value>) -> Vec<&Map> {
    match document.and_then(|document| key(document, "Statement")) {
        Some(Value::List(statements)) => statements.iter().filter_map(as_map).collect(),
        _ => Vec::new(),
    }
}

fn as_map(value: &Value) -> Option<&Map> {
    match value {
        Value::Map(map) => Some(map),
        Value::If(_, then, _) => as_map(then),
        _ => None,
    }
}

fn key<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    as_map(value)?.get(key)
}

fn one(map: &Map, key: &str) -> String {
    map.get(key).map(word).unwrap_or_default()
}

/// One or several, as words.
fn each(map: &Map, key: &str) -> Vec<String> {
    let mut words = Vec::new();
    match map.get(key) {
        Some(list @ Value::List(_)) => below(list, "*", &mut words),
        Some(value) => below(value, "", &mut words),
        None => {}
    }
    words
}
