//! Tables: of one region, or global, with a replica in each region that takes writes.
//!
//! A global table is one resource, in one region, which says where its replicas are. That region is the first of the file
//! and has no other meaning: every replica works when its template cannot be deployed.

use model::Part;
use model::design::Site;

use super::{backup, days, id};
use crate::resource::{Keep, Resource};
use crate::root::Group;
use crate::services::guard::kms;
use crate::services::peers;
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{Map, Value};
use crate::{list, map};

/// Sets of regions within which strong consistency can be had (Amazon DynamoDB Developer Guide, "Multi-Region strong
/// consistency").
const STRONG: [&[&str]; 3] = [
    &["us-east-1", "us-east-2", "us-west-2"],
    &["eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1"],
    &["ap-northeast-1", "ap-northeast-2", "ap-northeast-3"],
];

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    match global(sheet, part) {
        true => everywhere(sheet, part),
        false => sheet.sites(part).into_iter().for_each(|site| one(sheet, part, site)),
    }
    backup::of(sheet, part);
}

fn global(sheet: &Sheet<'_>, part: &Part) -> bool {
    // One that is left with a single region is still of that type: another one would be another table.
    let was = sheet.homes_before.contains_key(&part.id);
    part.kind.name == "aws.dynamodb-global" && (sheet.sites(part).len() > 1 || was)
}

/// The name of the table: the same in every region.
pub fn table(sheet: &Sheet<'_>, part: &Part, site: &Site) -> String {
    match crate::services::physical(part, site) {
        Some(name) => name,
        None if sheet.renders(part) => sheet.named([part.id.as_str()], 200),
        None => part.id.to_string(),
    }
}

/// What its items are found by. DynamoDB wants to know of no other attribute.
fn shape(part: &Part) -> Map {
    let keys = [(Some(part.text("partition_key").unwrap_or("id")), "HASH"), (part.text("sort_key"), "RANGE")];
    let keys = keys.into_iter().filter_map(|(name, role)| Some((name?, role)));
    let (mut attributes, mut schema) = (Vec::new(), Vec::new());
    for (name, role) in keys {
        attributes.push(map! { "AttributeName" => name, "AttributeType" => "S" }.into());
        schema.push(map! { "AttributeName" => name, "KeyType" => role }.into());
    }
    map! { "AttributeDefinitions" => Value::List(attributes), "KeySchema" => Value::List(schema), "BillingMode" => "PAY_PER_REQUEST" }
        .with_some(
            "TimeToLiveSpecification",
            part.text("expires_by").map(|name| map! { "AttributeName" => name, "Enabled" => true }),
        )
}

/// Any second of so many days can be restored.
fn point_in_time(part: &Part) -> Map {
    map! { "PointInTimeRecoveryEnabled" => part.bool("backup.point_in_time").unwrap_or(true) }.with_some(
        "RecoveryPeriodInDays",
        days(part, "backup.keep")
            .map(|days| days.clamp(1, 35))
            .filter(|_| part.bool("backup.point_in_time") != Some(false)),
    )
}

fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let encrypted = map! { "SSEEnabled" => true, "SSEType" => "KMS", "KMSMasterKeyId" => kms::key(sheet, part, site) };
    let mut properties = map! { "TableName" => table(sheet, part, site) };
    properties.0.extend(shape(part).0);
    let properties = properties
        .with("SSESpecification", encrypted)
        .with("PointInTimeRecoverySpecification", point_in_time(part))
        .with("DeletionProtectionEnabled", true)
        .with("StreamSpecification", map! { "StreamViewType" => "NEW_AND_OLD_IMAGES" })
        .with("Tags", sheet.tags(Some(part)));
    let asked = sheet.asked(part);
    let table = Resource::new(Group::Data, "AWS::DynamoDB::Table", id(part, "table"), asked, properties);
    sheet.add(&regional(site), table.keep(Keep::Retain));
}

fn everywhere(sheet: &mut Sheet<'_>, part: &Part) {
    let moved = "give the table to the stack of another region: take it out of the old stack, where it is retained, and import it by a change set of type IMPORT";
    let Some(home) = peers::settled(sheet, part, "the template of the global table", moved) else { return };
    let strong = part.word("replication") == Some("synchronous");
    let witness = if strong { witness(sheet, part) } else { None };
    if strong && part.text("expires_by").is_some() {
        let says = "a table that is strongly consistent over regions lets no items expire";
        sheet.problem(
            &format!("components.{}.expires_by", part.id),
            says,
            "leave `expires_by` out, or say `replication: asynchronous`",
        );
    }
    let mut properties = map! { "TableName" => table(sheet, part, home) };
    properties.0.extend(shape(part).0);
    let sites = sheet.sites(part);
    let mut replicas: Vec<Value> = Vec::new();
    for site in sites {
        let replica = replica(sheet, part, site);
        // With a key of ours a replica needs that of its region, which is made with that region.
        let waits = site.id != home.id && kms::named(sheet, part, site).is_some();
        // Replicas of a strongly consistent table are all made at once: it waits as a whole.
        let others = (waits && !strong).then(|| peers::joined(sheet, home, part, site));
        replicas.push(match others {
            Some(others) => Value::when(others, replica),
            None => replica.into(),
        });
    }
    let properties = properties
        .with("SSESpecification", map! { "SSEEnabled" => true, "SSEType" => "KMS" })
        .with("StreamSpecification", map! { "StreamViewType" => "NEW_AND_OLD_IMAGES" })
        .with_some("MultiRegionConsistency", strong.then_some("STRONG"))
        .with_some("GlobalTableWitnesses", witness.map(|region| list![map! { "Region" => region }]))
        .with("Replicas", replicas);
    let asked = sheet.asked(part);
    let mut table = Resource::new(Group::Data, "AWS::DynamoDB::GlobalTable", id(part, "table"), asked, properties);
    if strong && kms::named(sheet, part, home).is_some() {
        table = table.only_if(peers::stand(sheet, &regional(home), part));
    }
    sheet.add(&regional(home), table.keep(Keep::Retain));
}

/// The table of one region. Its own alias serves as the key's name, because its ARN is not known before it stands.
fn replica(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Map {
    let key = kms::named(sheet, part, site).is_some().then(|| kms::alias_arn(sheet, part, site));
    map! {
        "Region" => aws_region(site),
        "PointInTimeRecoverySpecification" => point_in_time(part),
        "DeletionProtectionEnabled" => true,
    }
    .with_some("SSESpecification", key.map(|key| map! { "KMSMasterKeyId" => key }))
    .with("Tags", sheet.tags(Some(part)))
}

/// Strong consistency needs three regions of one set; the third may be a witness, which holds no items.
fn witness<'d>(sheet: &mut Sheet<'d>, part: &Part) -> Option<&'d str> {
    let path = format!("components.{}.replication", part.id);
    let regions: Vec<&str> = sheet.sites(part).into_iter().map(aws_region).collect();
    let design = sheet.design;
    let within = |set: &&&[&str]| regions.iter().all(|region| set.contains(region));
    let Some(set) = STRONG.iter().find(within) else {
        let says = format!("a table cannot be strongly consistent over {}", regions.join(", "));
        let sets: Vec<String> = STRONG.iter().map(|set| set.join(", ")).collect();
        sheet.problem(&path, says, format!("take three regions of one of these sets: {}", sets.join("; ")));
        return None;
    };
    let witness = design.witnesses().map(aws_region).find(|region| set.contains(region) && !regions.contains(region));
    match (regions.len(), witness) {
        (3, _) => None,
        (2, Some(witness)) => Some(witness),
        (count, _) => {
            let says = format!("strong consistency needs three regions, and `{}` is in {count}", part.id);
            let hint = format!("add a third of {}, or a witness site whose `region` is one of them", set.join(", "));
            sheet.problem(&path, says, hint);
            None
        }
    }
}
