//! Canaries: a program in each region that asks for a page as users do, by the name that users know, and asks every region
//! for it by the region's own name (seed 003 section 15.2, step 8: synthetic checks against the secondary).
//!
//! The health checkers of Route 53 look from outside too, but report in us-east-1 only. What one region sees of another is
//! here with the region that sees it, and is there when us-east-1 is not.

use model::Part;
use model::design::Site;

use crate::resource::{Given, Keep, Resource, Target};
use crate::root::Group;
use crate::services::guard::kms;
use crate::services::traffic::{leads, route53};
use crate::services::{buckets, id, role};
use crate::sheet::{Sheet, parameter, regional};
use crate::value::{ACCOUNT, PARTITION, REGION, Value};
use crate::{cat, list, map};

const KIND: &str = "AWS::Synthetics::Canary";
/// The step that asks by the name that users know.
pub const USERS: &str = "users";
/// Days for which what was seen is kept.
const KEPT: u64 = 31;
/// Where the RTO leaves no more than this, seconds, it asks each minute, else each fifth: each time is paid for.
const SHORT: u64 = 900;

/// Asks step by step, goes on when one fails, and gives each its own metric. The name of the library changed
/// (CloudWatch User Guide, "Runtime versions using Node.js and Puppeteer": syn-nodejs-puppeteer-13.1).
const SCRIPT: &str = r"const library = () => {
  try {
    return require('@aws/synthetics-puppeteer');
  } catch (missing) {
    return require('Synthetics');
  }
};
const synthetics = library();

exports.handler = async () => {
  for (const [step, hostname] of JSON.parse(process.env.ASKS)) {
    const request = { hostname, path: process.env.PAGE, port: 443, protocol: 'https:', method: 'GET', timeout: 10000 };
    const answered = async (response) => {
      if (response.statusCode < 200 || response.statusCode > 299) {
        throw new Error(`${hostname} answers ${response.statusCode}`);
      }
    };
    await synthetics.executeHttpStep(step, request, answered, { continueOnHttpStepFailure: true });
  }
};
";

pub fn render(sheet: &mut Sheet<'_>) {
    let design = sheet.design;
    for part in design.of_kind("aws.route53").filter(|part| asked_for(part)) {
        for site in leads::sites(sheet, part) {
            one(sheet, part, site);
        }
    }
}

fn asked_for(part: &Part) -> bool {
    part.bool("check.canary") == Some(true) && part.text("record").is_some_and(|record| !record.starts_with('*'))
}

/// Whether there is one for a record in a region.
pub fn stands(sheet: &Sheet<'_>, part: &Part, site: &Site) -> bool {
    sheet.has(&regional(site), &id(part, "canary"))
}

/// What it is called, the same in every region.
pub fn name(sheet: &Sheet<'_>, part: &Part) -> String {
    sheet.named([part.id.as_str()], 21)
}

/// The steps, and whom each asks: the name that users know, then each region.
pub fn steps(sheet: &Sheet<'_>, part: &Part) -> Vec<(String, String)> {
    let record = part.text("record").unwrap_or_default();
    let mut steps = vec![(USERS.to_owned(), record.to_owned())];
    let own = leads::sites(sheet, part).into_iter();
    steps.extend(own.filter_map(|site| Some((site.id.to_string(), route53::own_name(sheet, part, site)?))));
    steps
}

/// Minutes between two times that it asks.
pub fn minutes(sheet: &Sheet<'_>, part: &Part) -> u64 {
    let by_rto = || match sheet.design.objectives.rto {
        Some(rto) if rto.as_secs() > SHORT => 5,
        _ => 1,
    };
    part.duration("check.every").map_or_else(by_rto, |every| every.as_secs().div_ceil(60).clamp(1, 60))
}

fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let (root, asked) = (regional(site), sheet.asked(part));
    if !sheet.available(&root, KIND) {
        let says = format!("{} has no canaries: nobody asks from there as users do", site.id);
        return sheet.note(part, says, "the checks of Route 53 ask from outside");
    }
    let steps = steps(sheet, part);
    if steps.len() == 1 {
        let says =
            "regions have no names of their own: its canaries ask by the name that users know, and see one region only";
        let how = "say a component of kind aws.acm, whose certificates prove the names of regions too";
        if !sheet.notes.iter().any(|note| note.component == part.id && note.says == says) {
            sheet.note(part, says, how);
        }
    }
    let bucket = bucket(sheet, part, site);
    let name = name(sheet, part);
    let key = kms::key(sheet, part, site);
    let role = role(sheet, part, site, (&bucket, &key), &name);
    let about = "What runs the canaries, as CloudWatch Synthetics names it: an old one cannot be made anew.";
    let runtime = parameter("CanaryRuntime", "String", about, Given::AtFirst("syn-nodejs-puppeteer-15.0".to_owned()));
    let runtime = sheet.parameter(&root, runtime);
    let minutes = minutes(sheet, part);
    let unit = if minutes == 1 { "minute" } else { "minutes" };
    let asks: Vec<[&str; 2]> = steps.iter().map(|(step, host)| [step.as_str(), host.as_str()]).collect();
    let environment =
        map! { "ASKS" => serde_json::json!(asks).to_string(), "PAGE" => part.text("check.path").unwrap_or("/") };
    let properties = map! {
        "Name" => name,
        "RuntimeVersion" => runtime,
        "Code" => map! { "Handler" => "index.handler", "Script" => SCRIPT },
        "ExecutionRoleArn" => role.att("Arn"),
        "ArtifactS3Location" => cat!["s3://", bucket.get(), format!("/{}", part.id)],
        "ArtifactConfig" => map! { "S3Encryption" => map! { "EncryptionMode" => "SSE_KMS", "KmsKeyArn" => key } },
        "Schedule" => map! { "Expression" => format!("rate({minutes} {unit})") },
        "RunConfig" => map! { "TimeoutInSeconds" => 60, "ActiveTracing" => true, "EnvironmentVariables" => environment },
        "StartCanaryAfterCreation" => true,
        "SuccessRetentionPeriod" => KEPT,
        "FailureRetentionPeriod" => KEPT,
        "Tags" => sheet.tags(Some(part)),
    };
    sheet.add(&root, Resource::new(Group::Observability, KIND, id(part, "canary"), asked, properties));
}

/// Where the canaries of a region put what they saw.
fn bucket(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let (root, asked) = (regional(site), sheet.asked(part));
    if sheet.has(&root, "CanaryBucket") {
        return sheet.target(&root, "CanaryBucket");
    }
    let expires = map! {
        "Id" => "kept", "Status" => "Enabled", "ExpirationInDays" => KEPT,
        "NoncurrentVersionExpiration" => map! { "NoncurrentDays" => 1 },
    };
    let properties = buckets::closed(None, Some(kms::key(sheet, part, site)))
        .with("LifecycleConfiguration", map! { "Rules" => list![expires] })
        .with("Tags", sheet.tags(None));
    let bucket = Resource::new(Group::Observability, "AWS::S3::Bucket", "CanaryBucket", asked.clone(), properties)
        .keep(Keep::Retain)
        .excused("CKV_AWS_18", "one program writes there, and what it writes goes after a month");
    let bucket = sheet.add(&root, bucket);
    let only = role::policy(vec![buckets::over_tls(bucket.att("Arn"))]);
    let policy = map! { "Bucket" => bucket.get(), "PolicyDocument" => only };
    let kind = "AWS::S3::BucketPolicy";
    sheet.add(&root, Resource::new(Group::Observability, kind, "CanaryBucketPolicy", asked, policy));
    bucket
}

/// What it may do (CloudWatch User Guide, "Required roles and permissions for canaries").
fn role(sheet: &mut Sheet<'_>, part: &Part, site: &Site, (bucket, key): (&Target, &Value), name: &str) -> Target {
    let logs =
        cat!["arn:", PARTITION, ":logs:", REGION, ":", ACCOUNT, format!(":log-group:/aws/lambda/cwsyn-{name}-*")];
    let Value::Map(counts) = role::allow(&["cloudwatch:PutMetricData"], vec!["*".into()]) else {
        unreachable!("a statement is a map")
    };
    let ours = map! { "StringEquals" => map! { "cloudwatch:namespace" => "CloudWatchSynthetics" } };
    let may = vec![
        role::allow(&["s3:GetObject", "s3:PutObject"], vec![cat![bucket.att("Arn"), format!("/{}/*", part.id)]]),
        role::allow(&["kms:Decrypt", "kms:GenerateDataKey"], vec![key.clone()]),
        role::allow(&["s3:GetBucketLocation"], vec![bucket.att("Arn")]),
        role::allow(&["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], vec![logs]),
        role::allow(&["s3:ListAllMyBuckets", "xray:PutTraceSegments"], vec!["*".into()]),
        counts.with("Condition", ours).into(),
    ];
    role::service_role(sheet, part, site, (Group::Observability, "canary"), "lambda.amazonaws.com", &[], may)
}
