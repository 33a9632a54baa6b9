//! Buckets: one in each region, each copying to the others, so that whatever region is written to, the others have it.
//!
//! Names are known beforehand (account and region), and so is the alias of each region's key. A rule to a bucket that is not
//! there yet is refused, so rules are made at the second deployment of a region (see [`peers`]).

use model::Part;
use model::design::Site;

use super::{backup, days, id};
use crate::resource::{Condition, Given, Keep, Parameter, Resource, Test};
use crate::root::Group;
use crate::services::guard::kms;
use crate::services::traffic::cloudfront;
use crate::services::{buckets, peers, role};
use crate::sheet::{Sheet, aws_region, parameter, regional};
use crate::value::{ACCOUNT, Map, PARTITION, Value};
use crate::{cat, list, map};

/// Minutes: the only time that replication time control promises (Amazon S3 User Guide, "Replication Time Control").
const PROMISED: u32 = 15;

/// Days for which older versions stay when the spec says nothing.
const OLDER: u64 = 90;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    names(sheet, part);
    for site in sheet.sites(part) {
        one(sheet, part, site);
    }
    backup::of(sheet, part);
    if copied(sheet, part) {
        let first = peers::first_writer(sheet, part).map_or_else(String::new, |site| site.to_string());
        sheet.note(
            part,
            "what was written before a rule stood is not copied by it",
            format!(
                "aws s3control create-job (S3 Batch Replication) for the bucket of {first}, once, after the second deployment"
            ),
        );
    }
}

/// Names that the spec gives: one bucket of all accounts and regions has each (Amazon S3 User Guide, "Bucket naming rules").
fn names(sheet: &mut Sheet<'_>, part: &Part) {
    let path = format!("components.{}.id", part.id);
    let given = sheet.sites(part).into_iter().filter_map(|site| crate::services::physical(part, site));
    let mut given: Vec<String> = given.collect();
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = |name: &String| {
        let letters = name.chars().all(|c| ends(c) || c == '-' || c == '.');
        (3..=63).contains(&name.len())
            && letters
            && name.starts_with(ends)
            && name.ends_with(ends)
            && !name.contains("..")
    };
    if let Some(name) = given.iter().find(|name| !fits(name)) {
        let hint = "use 3 to 63 lower-case letters, digits, hyphens and dots, with a letter or digit at both ends";
        sheet.problem(&path, format!("`{name}` cannot name a bucket"), hint);
    }
    given.sort();
    if let Some(pair) = given.windows(2).find(|pair| pair[0] == pair[1]) {
        let says = format!("`{}` would name the buckets of two regions", pair[0]);
        sheet.problem(&path, says, "put `{site}` into it, or say a name for each region");
    }
}

fn copied(sheet: &Sheet<'_>, part: &Part) -> bool {
    part.word("replication") != Some("none") && sheet.sites(part).len() > 1
}

/// The name of the bucket of a region: known before it is there.
pub fn bucket(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Value {
    match crate::services::physical(part, site) {
        Some(name) => name.into(),
        None if sheet.renders(part) => cat![sheet.named([part.id.as_str()], 30), "-", ACCOUNT, "-", aws_region(site)],
        None => part.id.to_string().into(),
    }
}

pub fn arn(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Value {
    cat!["arn:", PARTITION, ":s3:::", bucket(sheet, part, site)]
}

/// What a rule to another region is called: its metrics have it.
pub fn rule(to: &Site) -> String {
    format!("to-{}", aws_region(to))
}

fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let root = regional(site);
    let asked = sheet.asked(part);
    let locked = part.bool("locked") == Some(true);
    let properties = buckets::closed(Some(bucket(sheet, part, site)), Some(kms::key(sheet, part, site)))
        .with("LifecycleConfiguration", lifecycle(part))
        // An object that could not be copied is an event, and nothing else.
        .with(
            "NotificationConfiguration",
            map! { "EventBridgeConfiguration" => map! { "EventBridgeEnabled" => true } },
        );
    let properties = match locked {
        true => properties.with("ObjectLockEnabled", true).with("ObjectLockConfiguration", lock(sheet, part, site)),
        false => properties,
    };
    let properties = properties
        .with_some("ReplicationConfiguration", copied(sheet, part).then(|| replication(sheet, part, site)))
        .with("Tags", sheet.tags(Some(part)));
    let bucket = Resource::new(Group::Data, "AWS::S3::Bucket", id(part, "bucket"), asked.clone(), properties)
        .keep(Keep::Retain)
        .excused(
            "CKV_AWS_18",
            "who read and wrote what is the team's to log: access logs and data events cost by the request",
        );
    let bucket = sheet.add(&root, bucket);
    let here = arn(sheet, part, site);
    let mut statements = vec![buckets::over_tls(here.clone())];
    statements.extend(cloudfront::reads(sheet, part, here));
    let policy = map! { "Bucket" => bucket.get(), "PolicyDocument" => role::policy(statements) };
    sheet.add(&root, Resource::new(Group::Data, "AWS::S3::BucketPolicy", id(part, "bucket policy"), asked, policy));
}

/// Older versions go after their time, and so do uploads that nobody finished.
fn lifecycle(part: &Part) -> Map {
    let older = days(part, "backup.keep").unwrap_or(OLDER);
    map! { "Rules" => list![
        map! { "Id" => "older-versions", "Status" => "Enabled", "NoncurrentVersionExpiration" => map! { "NoncurrentDays" => older } },
        map! { "Id" => "unfinished", "Status" => "Enabled", "AbortIncompleteMultipartUpload" => map! { "DaysAfterInitiation" => 7 } },
    ] }
}

/// How long nobody can change or delete what was written. In governance mode a few still can; in compliance mode nobody,
/// and nobody can take that back.
fn lock(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Map {
    let mode = if part.bool("backup.immutable") == Some(true) { "COMPLIANCE" } else { "GOVERNANCE" };
    let about = format!(
        "Whether a few may still delete what is locked in {} (GOVERNANCE), or nobody at all (COMPLIANCE).",
        part.id
    );
    let asked = parameter(&id(part, "lock mode"), "String", &about, Given::Spec(mode.to_owned()));
    let allowed = vec!["GOVERNANCE".to_owned(), "COMPLIANCE".to_owned()];
    let mode = sheet.parameter(&regional(site), Parameter { allowed, ..asked });
    let retention = map! { "Mode" => mode, "Days" => days(part, "backup.keep").unwrap_or(OLDER) };
    map! { "ObjectLockEnabled" => "Enabled", "Rule" => map! { "DefaultRetention" => retention } }
}

/// The rules that copy to each other region, once those stand.
fn replication(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    let root = regional(site);
    let peers = sheet.peers(part, site);
    let stand: Vec<Condition> = peers.iter().map(|other| peers::joined(sheet, site, part, other)).collect();
    let mut each = stand.clone();
    each.sort_by(|one, other| one.name.cmp(&other.name));
    each.dedup_by(|one, other| one.name == other.name);
    let several = each.len() > 1;
    let mut when = match several {
        false => each.remove(0),
        true => {
            let tests = each.into_iter().map(|condition| condition.test).collect();
            Condition { name: id(part, "copies to some"), test: Test::Or(tests) }
        }
    };
    if part.bool("both_ways") == Some(false) {
        let first = peers::first_writer(sheet, part).as_ref() == Some(&site.id);
        let about = format!("Whether the bucket of {} in this region copies to the others: `yes` or `no`.", part.id);
        let copies = sheet.state(&root, &id(part, "copies"), &about, if first { "yes" } else { "no" });
        let copies = Condition::equal("", copies, "yes").test;
        let test = Test::And(vec![when.test, copies]);
        when = Condition { name: id(part, "copies to others"), test };
    }
    let role = copier(sheet, part, site);
    let mut rules: Vec<Value> = Vec::new();
    for (n, (other, stands)) in peers.into_iter().zip(stand).enumerate() {
        let rule = copy_rule(sheet, part, other, n + 1);
        rules.push(if several { Value::when(stands, rule) } else { rule });
    }
    Value::when(when, map! { "Role" => role, "Rules" => rules })
}

fn copy_rule(sheet: &mut Sheet<'_>, part: &Part, to: &Site, priority: usize) -> Value {
    let markers = matches!(part.word("deletes"), Some("replicated" | "markers"));
    let status = |on: bool| map! { "Status" => if on { "Enabled" } else { "Disabled" } };
    let minutes = map! { "Minutes" => PROMISED };
    let timed = part.bool("rtc") == Some(true);
    let metrics = status(true).with_some("EventThreshold", timed.then(|| minutes.clone()));
    let destination = map! {
        "Bucket" => arn(sheet, part, to),
        "EncryptionConfiguration" => map! { "ReplicaKmsKeyID" => kms::alias_arn(sheet, part, to) },
        "Metrics" => metrics,
    };
    let destination =
        destination.with_some("ReplicationTime", timed.then(|| status(true).with("Time", minutes.clone())));
    let rule = map! {
        "Id" => rule(to),
        "Priority" => priority,
        "Status" => "Enabled",
        "Filter" => map! { "Prefix" => "" },
        // Whether an object that is deleted here is gone there too; its versions stay either way.
        "DeleteMarkerReplication" => status(markers),
        // What is encrypted is copied as well, and a change of an object's tags or lock from either side.
        "SourceSelectionCriteria" => map! { "SseKmsEncryptedObjects" => status(true), "ReplicaModifications" => status(true) },
        "Destination" => destination,
    };
    rule.into()
}

/// Who copies: reads here and decrypts with this region's key, writes there and encrypts with that region's.
fn copier(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    let here = arn(sheet, part, site);
    let mut statements = vec![
        role::allow(&["s3:GetReplicationConfiguration", "s3:ListBucket"], vec![here.clone()]),
        role::allow(
            &[
                "s3:GetObjectLegalHold",
                "s3:GetObjectRetention",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionForReplication",
                "s3:GetObjectVersionTagging",
            ],
            vec![cat![here, "/*"]],
        ),
        role::allow(&["kms:Decrypt"], vec![kms::key(sheet, part, site)]),
    ];
    for other in sheet.peers(part, site) {
        let there = cat![arn(sheet, part, other), "/*"];
        let write = ["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"];
        statements.push(role::allow(&write, vec![there]));
        statements.push(kms::use_by_alias(sheet, part, other, &["kms:Encrypt", "kms:GenerateDataKey"]));
    }
    role::service_role(sheet, part, site, (Group::Data, "copier"), "s3.amazonaws.com", &[], statements).att("Arn")
}
