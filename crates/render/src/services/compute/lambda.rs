//! Functions: the same code in every region, from the region's own bucket of artifacts, reached by an alias that names one
//! published version.

use model::Part;
use model::design::Site;

use super::{containers, rollout};
use crate::resource::{Given, Keep, Resource, Target};
use crate::root::Group;
use crate::services::id;
use crate::services::traffic::{alb, api_gateway};
use crate::services::{access, is_at, logs, network, physical, role};
use crate::sheet::{Sheet, parameter, regional};
use crate::value::{ACCOUNT, Map, PARTITION, REGION, Value};
use crate::{cat, list, map};

/// The alias that everybody calls.
pub const ALIAS: &str = "live";
/// Seconds that a call may take when the spec does not say how long one runs.
const TIMEOUT: u64 = 30;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    names(sheet, part);
    for site in sheet.sites(part) {
        let alias = function(sheet, part, site);
        called(sheet, part, site, &alias);
    }
}

/// What it is called in a region, known before it is there.
pub fn name(sheet: &Sheet<'_>, part: &Part, site: &Site) -> String {
    physical(part, site).unwrap_or_else(|| sheet.named([part.id.as_str()], 64))
}

/// Seconds that a call may take.
pub fn timeout(part: &Part) -> u64 {
    part.duration("usage.duration").map_or(TIMEOUT, |time| (time.as_secs() * 3).max(TIMEOUT)).min(900)
}

/// How many calls at once are kept for it, if any are.
pub fn reserved(part: &Part, site: &Site) -> Option<u64> {
    part.at(&site.id).count("maximum").or(part.count("peak"))
}

/// The ARN of its alias, wherever it is asked for.
pub fn arn(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Value {
    let name = name(sheet, part, site);
    cat!["arn:", PARTITION, ":lambda:", REGION, ":", ACCOUNT, format!(":function:{name}:{ALIAS}")]
}

fn add(sheet: &mut Sheet<'_>, part: &Part, site: &Site, resource: (&'static str, String, crate::value::Map)) -> Target {
    let asked = sheet.asked(part);
    sheet.add(&regional(site), Resource::new(Group::Compute, resource.0, resource.1, asked, resource.2))
}

fn function(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let root = regional(site);
    let named = name(sheet, part, site);
    let logs = logs::group(sheet, Some(part), site, (Group::Compute, "logs"), None);
    // Calls that nobody waits for and that failed, kept for two weeks.
    let failed = map! { "KmsMasterKeyId" => "alias/aws/sqs", "MessageRetentionPeriod" => 1_209_600, "Tags" => sheet.tags(Some(part)) };
    let asked = sheet.asked(part);
    let failed = Resource::new(Group::Compute, "AWS::SQS::Queue", id(part, "failed calls"), asked, failed);
    let failed = sheet.add(&root, failed.keep(Keep::Retain));
    let mut may = vec![
        role::allow(&["logs:CreateLogStream", "logs:PutLogEvents"], vec![logs.att("Arn")]),
        role::allow(&["sqs:SendMessage"], vec![failed.att("Arn")]),
    ];
    may.extend(access::needed(sheet, part, site));
    let inside = inside(sheet, part);
    let managed: &[&str] = if inside { &["service-role/AWSLambdaVPCAccessExecutionRole"] } else { &[] };
    let role =
        role::service_role(sheet, part, site, (Group::Compute, "function"), "lambda.amazonaws.com", managed, may);
    let bucket = bucket(sheet, &root);
    let key = cat![format!("{}/", part.id), containers::version(sheet, site), ".zip"];
    let runtime = said(sheet, part, site, ("runtime", "What runs the code, as Lambda names it.", "provided.al2023"));
    let handler = said(sheet, part, site, ("handler", "Where the code begins.", "bootstrap"));
    let most = reserved(part, site);
    let memory = part.size("usage.memory").map_or(512, |bytes| bytes.div_ceil(1 << 20)).clamp(128, 10_240);
    let properties = map! {
        "FunctionName" => named,
        // What the code says that it is: the script compares it with the other regions'.
        "Description" => containers::version(sheet, site),
        "Code" => map! { "S3Bucket" => bucket, "S3Key" => key },
        "Runtime" => runtime,
        "Handler" => handler,
        "Role" => role.att("Arn"),
        "MemorySize" => memory,
        "Timeout" => timeout(part),
    };
    let properties = properties
        .with_some("ReservedConcurrentExecutions", most)
        .with("DeadLetterConfig", map! { "TargetArn" => failed.att("Arn") })
        .with("LoggingConfig", map! { "LogGroup" => logs.get(), "LogFormat" => "JSON" })
        .with("TracingConfig", map! { "Mode" => "Active" })
        .with_some("VpcConfig", inside.then(|| within(sheet, part, site)))
        .with("Tags", sheet.tags(Some(part)));
    let asked = sheet.asked(part);
    let mut function =
        Resource::new(Group::Compute, "AWS::Lambda::Function", id(part, "function"), asked.clone(), properties);
    if !inside {
        let public = "it calls services of the region by their public names; nothing in the network is asked";
        function = function.excused("CKV_AWS_117", public);
    }
    let function = match most {
        Some(_) => function,
        None => function.excused("CKV_AWS_115", "the spec says no most: say `maximum` to reserve that many for it"),
    };
    let function = sheet.add(&root, function);
    // A version is never changed. Another artifact is another one, and the old ones stay for a way back.
    let artifact = sheet.design.artifact.clone().unwrap_or_default();
    let version = id(part, &format!("version {:08x}", crate::names::digest(&artifact)));
    let version = Resource::new(
        Group::Compute,
        "AWS::Lambda::Version",
        version,
        asked,
        map! { "FunctionName" => function.get() },
    );
    let version = sheet.add(&root, version.keep(Keep::Retain));
    let properties =
        map! { "Name" => ALIAS, "FunctionName" => function.get(), "FunctionVersion" => version.att("Version") };
    let asked = sheet.asked(part);
    let mut alias = Resource::new(Group::Compute, "AWS::Lambda::Alias", id(part, "alias"), asked, properties);
    alias.policies = shifted(sheet, part, site);
    sheet.add(&root, alias)
}

/// What the spec says under `key`; else a parameter of this function, which somebody sets. Functions share none: what one
/// was set to would be the others' too.
fn said(sheet: &mut Sheet<'_>, part: &Part, site: &Site, (key, about, at_first): (&str, &str, &str)) -> Value {
    match part.text(key) {
        Some(text) => text.into(),
        None => sheet.parameter(
            &regional(site),
            parameter(&id(part, key), "String", about, Given::AtFirst(at_first.to_owned())),
        ),
    }
}

/// Longest name of a handler (Lambda API Reference, "CreateFunction").
const LONGEST_HANDLER: usize = 128;

/// Names that Lambda could not have.
fn names(sheet: &mut Sheet<'_>, part: &Part) {
    let runtime = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.');
    let handler = |text: &str| text.len() <= LONGEST_HANDLER && text.chars().all(|c| c.is_ascii_graphic());
    let wrong = |key: &'static str, fits: &dyn Fn(&str) -> bool| {
        part.text(key).filter(|text| text.is_empty() || !fits(text)).map(|text| (key, text.to_owned()))
    };
    for (key, text) in wrong("runtime", &runtime).into_iter().chain(wrong("handler", &handler)) {
        let hint = "a runtime is such as `python3.13`, a handler such as `main.handler`, of 128 characters at most without spaces";
        sheet.problem(&format!("components.{}.{key}", part.id), format!("`{text}` is no {key} of Lambda"), hint);
    }
}

/// Calls move to a new version as the pipeline says, and back when they fail. Without a pipeline that says it, at once.
fn shifted(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Map {
    let Some(how) = rollout::said(sheet, part) else { return Map::new() };
    let alarm = rollout::of_function(sheet, part, site);
    let managed = ["service-role/AWSCodeDeployRoleForLambda"];
    let role = role::service_role(
        sheet,
        part,
        site,
        (Group::Compute, "shift"),
        "codedeploy.amazonaws.com",
        &managed,
        Vec::new(),
    );
    let application = map! { "ComputePlatform" => "Lambda", "Tags" => sheet.tags(Some(part)) };
    let application = add(sheet, part, site, ("AWS::CodeDeploy::Application", id(part, "deployments"), application));
    let events = list!["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"];
    let group = map! {
        "ApplicationName" => application.get(),
        "ServiceRoleArn" => role.att("Arn"),
        "DeploymentConfigName" => rollout::of_calls(sheet, part, how),
        "DeploymentStyle" => map! { "DeploymentType" => "BLUE_GREEN", "DeploymentOption" => "WITH_TRAFFIC_CONTROL" },
        "AlarmConfiguration" => map! { "Enabled" => true, "Alarms" => list![map! { "Name" => alarm.get() }] },
        "AutoRollbackConfiguration" => map! { "Enabled" => true, "Events" => events },
        "Tags" => sheet.tags(Some(part)),
    };
    let group = add(sheet, part, site, ("AWS::CodeDeploy::DeploymentGroup", id(part, "deployment group"), group));
    let update = map! { "ApplicationName" => application.get(), "DeploymentGroupName" => group.get() };
    map! { "UpdatePolicy" => map! { "CodeDeployLambdaAliasUpdate" => update } }
}

/// The kinds that are reached from within the network only.
const INSIDE: [&str; 6] = ["aws.rds", "aws.aurora", "aws.aurora-global", "aws.elasticache", "aws.efs", "aws.msk"];

/// Whether it needs what only the network reaches.
fn inside(sheet: &Sheet<'_>, part: &Part) -> bool {
    part.needs.iter().filter_map(|id| sheet.part(id)).any(|need| INSIDE.contains(&need.kind.name.as_str()))
}

/// Its place in the network, and the group that data lets in.
fn within(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> crate::value::Map {
    let firewall = network::firewall(sheet, part, site, "What the function reaches");
    map! { "SubnetIds" => network::private_subnets(sheet, site), "SecurityGroupIds" => list![firewall.att("GroupId")] }
}

/// The bucket of a region that artifacts are in.
pub fn bucket(sheet: &mut Sheet<'_>, root: &crate::root::Root) -> Value {
    let how = "the bucket that the pipeline puts artifacts into: each region has its own";
    sheet.ask(
        root,
        "ArtifactBucket",
        "The bucket of this region that has the artifacts, as COMPONENT/VERSION.zip.",
        how,
    )
}

/// Lets what stands in front of it call it.
fn called(sheet: &mut Sheet<'_>, part: &Part, site: &Site, alias: &Target) {
    let front = part.component("behind").and_then(|id| sheet.part(&id)).filter(|front| is_at(front, site));
    let Some(front) = front else { return };
    let by = match front.kind.name.as_str() {
        "aws.alb" => "elasticloadbalancing.amazonaws.com",
        "aws.api-gateway" => "apigateway.amazonaws.com",
        _ => return,
    };
    let properties = map! { "Action" => "lambda:InvokeFunction", "FunctionName" => alias.get(), "Principal" => by };
    // API Gateway says which of its entrances calls, and no account.
    let properties = match front.kind.name.as_str() {
        "aws.api-gateway" => properties.with(
            "SourceArn",
            cat![
                "arn:",
                PARTITION,
                ":execute-api:",
                REGION,
                ":",
                ACCOUNT,
                ":",
                api_gateway::id_of(sheet, front, site),
                "/*"
            ],
        ),
        _ => properties.with("SourceAccount", ACCOUNT),
    };
    let permission = add(sheet, part, site, ("AWS::Lambda::Permission", id(part, "permission"), properties));
    if front.kind.name == "aws.alb" {
        alb::to_function(sheet, (front, part), site, (alias.get(), permission));
    }
}
