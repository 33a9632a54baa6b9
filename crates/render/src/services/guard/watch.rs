//! What watches over an account, in every region, the one that nobody used until today too: who called what, threats,
//! findings, and what each resource looked like.

use model::Part;
use model::design::Site;

use super::{kms, records};
use crate::resource::Resource;
use crate::root::Group;
use crate::services::id;
use crate::services::{peers, role};
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{ACCOUNT, PARTITION, Value};
use crate::{cat, map};

/// Rules of AWS Config by their own names: what a recovery needs to find as it was left (AWS Config Developer Guide, "List
/// of AWS Config Managed Rules").
const RULES: [&str; 6] = [
    "CLOUD_TRAIL_LOG_FILE_VALIDATION_ENABLED",
    "DB_INSTANCE_BACKUP_ENABLED",
    "ENCRYPTED_VOLUMES",
    "RDS_STORAGE_ENCRYPTED",
    "S3_BUCKET_SSL_REQUESTS_ONLY",
    "S3_BUCKET_VERSIONING_ENABLED",
];

/// The regions that it looks after: those that the spec names, else all of its own.
fn covered<'d>(sheet: &Sheet<'d>, part: &Part) -> Vec<&'d Site> {
    match part.sites("covers") {
        Some(covers) => sheet.design.regions().filter(|site| covers.contains(&site.id)).collect(),
        None => sheet.sites(part),
    }
}

/// One for an account and region: what somebody else made already is adopted.
fn single(sheet: &mut Sheet<'_>, part: &Part, what: &str, how: &str) {
    let says = format!("an account has one {what} in a region: its stack cannot be deployed where there is one");
    let instead = format!("{how}; where it finds one, say `managed: adopt` for {}", part.id);
    sheet.note(part, says, instead);
}

pub fn trail(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    // One trail of all regions ends when its region does; a trail of each region needs no other.
    let everywhere = part.bool("multi_region") == Some(true);
    let home = match everywhere {
        true => peers::settled(sheet, part, "the trail", "delete that trail, whose records are retained"),
        false => peers::home(sheet, part),
    };
    let home = home.map(|site| site.id.clone());
    for site in covered(sheet, part) {
        if everywhere && home.as_ref() != Some(&site.id) {
            continue;
        }
        let root = regional(site);
        let name = sheet.named([part.id.as_str()], 100);
        let arn = cat!["arn:", PARTITION, ":cloudtrail:", aws_region(site), ":", ACCOUNT, ":trail/", name.as_str()];
        let (bucket, policy) = records::bucket(sheet, part, site, "cloudtrail.amazonaws.com", Some(arn));
        let properties = map! {
            "TrailName" => name, "IsLogging" => true, "S3BucketName" => bucket, "KMSKeyId" => kms::key(sheet, part, site),
            "EnableLogFileValidation" => true, "IsMultiRegionTrail" => everywhere, "IncludeGlobalServiceEvents" => everywhere || home.as_ref() == Some(&site.id),
            "Tags" => sheet.tags(Some(part)),
        };
        let asked = sheet.asked(part);
        let mut trail = Resource::new(Group::Security, "AWS::CloudTrail::Trail", id(part, "trail"), asked, properties)
            .after(policy)
            .excused(
                "CKV_AWS_252",
                "who is told of a call is a rule of EventBridge, not of each file that is delivered",
            );
        if !everywhere {
            trail = trail.excused("CKV_AWS_67", "each region has a trail of its own, which needs no other region");
        }
        sheet.add(&root, trail);
    }
    if everywhere {
        sheet.note(
            part,
            "a trail of all regions is delivered in one, and what happens elsewhere is not logged there while that one is away",
            "leave `multi_region` out for a trail of each region; meanwhile: aws cloudtrail lookup-events in each region",
        );
    }
    if part.bool("all_accounts") == Some(true) {
        sheet.note(
            part,
            "a trail of all accounts is made in the account of the organisation",
            "aws cloudtrail create-trail --is-organization-trail, there",
        );
    }
}

pub fn threats(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    for site in covered(sheet, part) {
        let properties = map! { "Enable" => true, "FindingPublishingFrequency" => "FIFTEEN_MINUTES", "Tags" => sheet.tags(Some(part)) };
        let asked = sheet.asked(part);
        let detector =
            Resource::new(Group::Security, "AWS::GuardDuty::Detector", id(part, "detector"), asked, properties);
        sheet.add(&regional(site), detector);
    }
    single(sheet, part, "detector", "aws guardduty list-detectors");
}

pub fn findings(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let sites = covered(sheet, part);
    let gathers = part.site("aggregates_in");
    for site in &sites {
        let root = regional(site);
        let asked = sheet.asked(part);
        let properties = map! { "EnableDefaultStandards" => true, "AutoEnableControls" => true, "Tags" => sheet.tag_map(Some(part)) };
        let hub = Resource::new(Group::Security, "AWS::SecurityHub::Hub", id(part, "hub"), asked.clone(), properties);
        let hub = sheet.add(&root, hub);
        if gathers.as_ref() == Some(&site.id) && sites.len() > 1 {
            let others = sites.iter().filter(|other| other.id != site.id).map(|other| Value::from(aws_region(other)));
            let others: Vec<Value> = others.collect();
            let properties = map! { "RegionLinkingMode" => "SPECIFIED_REGIONS", "Regions" => others };
            let kind = "AWS::SecurityHub::FindingAggregator";
            let gathered = Resource::new(Group::Security, kind, id(part, "aggregator"), asked, properties);
            sheet.add(&root, gathered.after(hub));
        }
    }
    single(sheet, part, "hub", "aws securityhub describe-hub");
}

pub fn configuration(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let home = peers::home(sheet, part).map(|site| site.id.clone());
    for site in covered(sheet, part) {
        let root = regional(site);
        let asked = sheet.asked(part);
        let (bucket, policy) = records::bucket(sheet, part, site, "config.amazonaws.com", None);
        let managed = ["service-role/AWS_ConfigRole"];
        let arn = cat!["arn:", PARTITION, ":s3:::", bucket.clone()];
        let statements = vec![
            role::allow(&["s3:GetBucketAcl", "s3:ListBucket"], vec![arn.clone()]),
            role::allow(&["s3:PutObject"], vec![cat![arn, "/*"]]),
            role::allow(&["kms:Decrypt", "kms:GenerateDataKey"], vec![kms::key(sheet, part, site)]),
        ];
        let (service, group) = ("config.amazonaws.com", Group::Security);
        let role = role::service_role(sheet, part, site, (group, "recorder"), service, &managed, statements);
        // Resources of no region are recorded once.
        let global = home.as_ref() == Some(&site.id);
        let properties = map! {
            "RoleARN" => role.att("Arn"),
            "RecordingGroup" => map! { "AllSupported" => true, "IncludeGlobalResourceTypes" => global },
        };
        let recorder = Resource::new(
            Group::Security,
            "AWS::Config::ConfigurationRecorder",
            id(part, "recorder"),
            asked.clone(),
            properties,
        );
        let recorder = sheet.add(&root, recorder);
        let properties = map! { "S3BucketName" => bucket, "S3KmsKeyArn" => kms::key(sheet, part, site) };
        let channel = Resource::new(
            Group::Security,
            "AWS::Config::DeliveryChannel",
            id(part, "channel"),
            asked.clone(),
            properties,
        );
        sheet.add(&root, channel.after(policy));
        for rule in RULES {
            let properties = map! {
                "ConfigRuleName" => sheet.named([part.id.as_str(), rule], 128),
                "Source" => map! { "Owner" => "AWS", "SourceIdentifier" => rule },
            };
            let id = id(part, &rule.to_ascii_lowercase());
            let rule = Resource::new(Group::Security, "AWS::Config::ConfigRule", id, asked.clone(), properties);
            sheet.add(&root, rule.after(recorder.clone()));
        }
    }
    single(sheet, part, "recorder", "aws configservice describe-configuration-recorders");
}
