//! A pipeline of AWS: the whole of it in each region, with actions in all of them, so that none is lost with a region.
//!
//! Which one starts by itself is state, and each can be started by hand. What is deployed in which order is `deploy.sh`'s
//! word here as everywhere: an action asks whether it is the turn of its region, by the region that serves, which is a
//! variable of the run.
//!
//! # Rejected
//! - Actions of CloudFormation: they know neither what another stack hands on, nor that a recovery's values stay, nor the
//!   check before traffic.

use model::Part;
use model::design::Site;

use crate::delivery::access;
use crate::resource::{Given, Keep, Parameter, Resource, Target};
use crate::root::Group;
use crate::services::guard::kms;
use crate::services::{buckets, id, logs, peers, role};
use crate::sheet::{Sheet, aws_region, parameter, regional};
use crate::value::{ACCOUNT, Map, PARTITION, Value};
use crate::{cat, list, map, names};

/// As the script names them, and as people read them.
const WAVES: [(&str, &str); 2] = [("first", "RegionsThatGoFirst"), ("then", "TheOthers")];

const BUILD: &str = r#"version: 0.2
env:
  shell: bash
phases:
  build:
    commands:
      - |
        set -euo pipefail
        plan=$(find . -path '*/cloudformation/deployment.json' -exec jq -r --arg name "$WORKLOAD" 'select(.workload == $name) | input_filename' {} \; | head -n 1)
        cd "$(dirname "$plan")/.."
        turn=$(bash deploy.sh waves --serving "$SERVING_REGION" | sed -n "s/^$WAVE=//p" | jq --arg stack "$STACK" 'any(.[]; .stack == $stack)')
        [ "$turn" = true ] || { echo "it is not the turn of $STACK"; exit 0; }
        bash deploy.sh "$STACK" --no-check
        bash deploy.sh check "$STACK" || { bash deploy.sh rollback "$STACK"; exit 1; }
"#;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    let lacks = |site: &&Site| !sheet.available(&regional(site), "AWS::CodeBuild::Project");
    let (without, sites): (Vec<&Site>, Vec<&Site>) = reached(sheet, part).into_iter().partition(lacks);
    if !without.is_empty() {
        let regions: Vec<&str> = without.into_iter().map(aws_region).collect();
        let how = "deploy it by hand, or by the rendered workflow: bash deploy.sh REGION";
        sheet.note(part, format!("{} has no CodeBuild, and no pipeline deploys it", regions.join(", ")), how);
    }
    if !sheet.renders(part) {
        let how = "let its stages run deploy.sh REGION, one region after the other; each region is deployed by deploy.sh without it";
        return sheet.note(part, "it is adopted, and stands in one region perhaps: it is lost with it", how);
    }
    for site in &sites {
        store(sheet, part, site);
        project(sheet, part, site);
    }
    let named = stands_in(sheet, part);
    let stands: Vec<&Site> = sites.iter().copied().filter(|site| named.contains(&site.id)).collect();
    // One of those that there are, whichever region writes at first.
    let first = peers::first_writer(sheet, part);
    let starts = stands.iter().find(|site| Some(&site.id) == first.as_ref()).or(stands.first()).map(|site| &site.id);
    for site in &stands {
        pipeline(sheet, part, site, &sites, starts == Some(&site.id));
    }
    let starts = id(part, "starts");
    sheet.note(
        part,
        "it deploys the regions; what stands for all of them is deployed by whoever may",
        "bash deploy.sh global, switch, edge, accelerator or stack-sets, or the rendered workflow",
    );
    sheet.note(
        part,
        "it is whole in each region, and one of them starts by itself",
        format!(
            "after a failover, in a region that answers: aws codepipeline start-pipeline-execution --name {} --variables name=SERVING_REGION,value=REGION --region REGION; bash deploy.sh REGION --set {starts}=true to let it start by itself",
            name(sheet, part)
        ),
    );
}

/// The regions that it deploys to.
fn reached<'d>(sheet: &Sheet<'d>, part: &Part) -> Vec<&'d Site> {
    match part.sites("deploys_to") {
        Some(named) => sheet.design.regions().filter(|site| named.contains(&site.id)).collect(),
        None => sheet.sites(part),
    }
}

/// The regions that have it.
fn stands_in(sheet: &Sheet<'_>, part: &Part) -> Vec<model::SiteId> {
    let reached: Vec<model::SiteId> = reached(sheet, part).into_iter().map(|site| site.id.clone()).collect();
    let named: Vec<model::SiteId> = part.sites("runs_in").unwrap_or_default();
    let within: Vec<model::SiteId> = named.into_iter().filter(|id| reached.contains(id)).collect();
    if within.is_empty() { reached } else { within }
}

fn name(sheet: &Sheet<'_>, part: &Part) -> String {
    sheet.named([part.id.as_str()], 80)
}

/// The bucket of a region for what its actions are given: a name that the others know beforehand.
fn bucket(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Value {
    cat![sheet.named([part.id.as_str(), "artifacts"], 30), "-", ACCOUNT, "-", aws_region(site)]
}

fn store(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let (root, asked) = (regional(site), sheet.asked(part));
    let expires = map! { "Id" => "kept", "Status" => "Enabled", "ExpirationInDays" => 30, "NoncurrentVersionExpiration" => map! { "NoncurrentDays" => 30 } };
    let properties = buckets::closed(Some(bucket(sheet, part, site)), Some(kms::key(sheet, part, site)))
        .with("LifecycleConfiguration", map! { "Rules" => list![expires] })
        .with("Tags", sheet.tags(Some(part)));
    let made = Resource::new(Group::Security, "AWS::S3::Bucket", id(part, "artifacts"), asked.clone(), properties)
        .keep(Keep::Retain)
        .excused("CKV_AWS_18", "it has for a month what the repository has for ever");
    let made = sheet.add(&root, made);
    let arn = cat!["arn:", PARTITION, ":s3:::", bucket(sheet, part, site)];
    let properties = map! { "Bucket" => made.get(), "PolicyDocument" => role::policy(vec![buckets::over_tls(arn)]) };
    let kind = "AWS::S3::BucketPolicy";
    sheet.add(&root, Resource::new(Group::Security, kind, id(part, "artifacts policy"), asked, properties));
}

fn project_name(sheet: &Sheet<'_>, part: &Part) -> String {
    sheet.named([part.id.as_str(), "deploy"], 150)
}

/// What deploys a region, in that region, with the rights of its deployments and no more.
fn project(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let (root, asked) = (regional(site), sheet.asked(part));
    let logs = logs::group(sheet, Some(part), site, (Group::Control, "logs"), None);
    let given = cat!["arn:", PARTITION, ":s3:::", bucket(sheet, part, site), "/*"];
    let mut may = access::may_deploy(sheet, &root);
    may.push(role::allow(&["s3:GetObject", "s3:GetObjectVersion"], vec![given]));
    may.push(role::allow(&["kms:Decrypt", "kms:GenerateDataKey"], vec![kms::key(sheet, part, site)]));
    may.push(role::allow(&["logs:CreateLogStream", "logs:PutLogEvents"], vec![logs.att("Arn")]));
    let service = "codebuild.amazonaws.com";
    let role = role::service_role(sheet, part, site, (Group::Control, "deployer"), service, &[], may);
    let variable = |name: &str, value: Value| Value::Map(map! { "Name" => name, "Value" => value });
    let execution = cat!["arn:", PARTITION, ":iam::", ACCOUNT, ":role/", access::executor(sheet, &root)];
    let environment = map! {
        "Type" => "LINUX_CONTAINER", "ComputeType" => "BUILD_GENERAL1_SMALL", "Image" => "aws/codebuild/standard:7.0",
        "EnvironmentVariables" => list![
            variable("STACK", site.id.as_str().into()),
            variable("WORKLOAD", sheet.named([], 40).into()),
            variable("AWS_EXECUTION_ROLE", execution),
        ],
    };
    let properties = map! {
        "Name" => project_name(sheet, part),
        "ServiceRole" => role.att("Arn"),
        "Source" => map! { "Type" => "CODEPIPELINE", "BuildSpec" => BUILD },
        "Artifacts" => map! { "Type" => "CODEPIPELINE" },
        "Environment" => environment,
        "EncryptionKey" => kms::key(sheet, part, site),
        "LogsConfig" => map! { "CloudWatchLogs" => map! { "Status" => "ENABLED", "GroupName" => logs.get() } },
        "TimeoutInMinutes" => 120,
        "Tags" => sheet.tags(Some(part)),
    };
    sheet.add(&root, Resource::new(Group::Control, "AWS::CodeBuild::Project", id(part, "deploy"), asked, properties));
}

/// What the pipeline of a region is: it reads the source, starts actions everywhere, and hands them what was read.
fn who(sheet: &mut Sheet<'_>, part: &Part, site: &Site, sites: &[&Site], connection: Value) -> Target {
    let mut may =
        vec![role::allow(&["codeconnections:UseConnection", "codestar-connections:UseConnection"], vec![connection])];
    let mut projects = Vec::new();
    let mut objects = Vec::new();
    for other in sites {
        let name = project_name(sheet, part);
        projects.push(cat!["arn:", PARTITION, ":codebuild:", aws_region(other), ":", ACCOUNT, ":project/", name]);
        objects.push(cat!["arn:", PARTITION, ":s3:::", bucket(sheet, part, other), "/*"]);
    }
    may.push(role::allow(&["codebuild:BatchGetBuilds", "codebuild:StartBuild"], projects));
    may.push(role::allow(&["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], objects));
    for other in sites {
        may.push(kms::use_by_alias(sheet, part, other, &["kms:Decrypt", "kms:GenerateDataKey"]));
    }
    role::service_role(sheet, part, site, (Group::Control, "pipeline"), "codepipeline.amazonaws.com", &[], may)
}

fn pipeline(sheet: &mut Sheet<'_>, part: &Part, site: &Site, sites: &[&Site], here: bool) {
    let (root, asked) = (regional(site), sheet.asked(part));
    let region = aws_region(site);
    let how = format!(
        "aws codeconnections list-connections --region {region} --query 'Connections[?ConnectionStatus==`AVAILABLE`].ConnectionArn'"
    );
    let about =
        "The connection of this region to where the sources are: made in the console, because somebody has to agree.";
    let connection = sheet.ask(&root, &id(part, "connection"), about, how);
    let about = "The repository that is deployed, as OWNER/NAME.";
    let repository = sheet.ask(&root, "Repository", about, "gh repo view --json nameWithOwner --jq .nameWithOwner");
    let role = who(sheet, part, site, sites, connection.clone());
    let about = format!("Whether a change of the source starts {} of this region: `true` in one region only.", part.id);
    let asks = parameter(&id(part, "starts"), "String", &about, Given::AtFirst(here.to_string()));
    let starts = sheet.parameter(&root, Parameter { allowed: vec!["true".to_owned(), "false".to_owned()], ..asks });
    let about = "The region that serves, for runs that say none. Whoever moves the workload changes it.";
    let serves = peers::first_writer(sheet, part).map_or_else(String::new, |first| first.to_string());
    let serves = sheet.state(&root, &id(part, "serving region"), about, serves);
    let source = action(
        "source",
        ("Source", "CodeStarSourceConnection"),
        map! { "ConnectionArn" => connection, "FullRepositoryId" => repository, "BranchName" => "main", "DetectChanges" => starts },
    );
    let source = source.with("Namespace", "Source").with("OutputArtifacts", list![map! { "Name" => "sources" }]);
    let mut stages = vec![map! { "Name" => "Source", "Actions" => list![source] }.into()];
    for (wave, title) in WAVES {
        let actions: Vec<Value> = sites.iter().map(|other| deploys(sheet, part, other, wave).into()).collect();
        stages.push(map! { "Name" => title, "Actions" => actions }.into());
    }
    let mut stores: Vec<Value> = Vec::new();
    for other in sites {
        let key = kms::alias_arn(sheet, part, other);
        let store = map! { "Type" => "S3", "Location" => bucket(sheet, part, other), "EncryptionKey" => map! { "Type" => "KMS", "Id" => key } };
        stores.push(map! { "Region" => aws_region(other), "ArtifactStore" => store }.into());
    }
    let properties = map! {
        "Name" => name(sheet, part),
        "PipelineType" => "V2",
        // A run that is overtaken would leave one region with one version, and the next with another.
        "ExecutionMode" => "QUEUED",
        "RoleArn" => role.att("Arn"),
        "ArtifactStores" => stores,
        "Variables" => list![map! { "Name" => "SERVING_REGION", "DefaultValue" => serves, "Description" => "The region that serves now" }],
        "Stages" => stages,
        "Tags" => sheet.tags(Some(part)),
    };
    let mut pipeline =
        Resource::new(Group::Control, "AWS::CodePipeline::Pipeline", id(part, "pipeline"), asked, properties);
    if sites.len() > 1 {
        // It names what is in the other regions.
        pipeline = pipeline.only_if(peers::stand(sheet, &root, part));
    }
    sheet.add(&root, pipeline);
}

fn action(name: &str, (category, provider): (&str, &str), configuration: Map) -> Map {
    map! {
        "Name" => name,
        "ActionTypeId" => map! { "Category" => category, "Owner" => "AWS", "Provider" => provider, "Version" => "1" },
        "Configuration" => configuration,
    }
}

fn deploys(sheet: &Sheet<'_>, part: &Part, site: &Site, wave: &str) -> Map {
    let variable = |name: &str, value: &str| serde_json::json!({ "name": name, "value": value, "type": "PLAINTEXT" });
    let variables = serde_json::json!([
        variable("WAVE", wave),
        variable("SERVING_REGION", "#{variables.SERVING_REGION}"),
        variable("GITHUB_SHA", "#{Source.CommitId}"),
    ]);
    let configuration =
        map! { "ProjectName" => project_name(sheet, part), "EnvironmentVariables" => variables.to_string() };
    action(&names::physical([site.id.as_str()], 100), ("Build", "CodeBuild"), configuration)
        .with("Region", aws_region(site))
        .with("InputArtifacts", list![map! { "Name" => "sources" }])
}
