//! Snapshots of disks and images of machines, made by a clock and copied to the other regions.
//!
//! Each region has the policy for its own, and it works where the workload is: whether it does is a parameter, because a
//! recovery turns it round.

use model::Part;
use model::design::Site;

use super::{days, id};
use crate::resource::{Given, Parameter, Resource};
use crate::root::Group;
use crate::services::{peers, role};
use crate::sheet::{Sheet, aws_region, parameter, regional};
use crate::value::{Map, Value};
use crate::{list, map};

/// Days for which snapshots are kept when the spec says nothing.
const KEPT: u64 = 30;

/// The most regions that one policy copies to (Amazon EBS User Guide, "Amazon Data Lifecycle Manager quotas").
const MOST_COPIES: usize = 3;

/// Disks: what is restored is what was last copied.
pub fn disks(sheet: &mut Sheet<'_>, part: &Part) {
    if sheet.renders(part) {
        policies(sheet, part, ("EBS_SNAPSHOT_MANAGEMENT", "VOLUME"), "service-role/AWSDataLifecycleManagerServiceRole");
    }
}

/// Images: each region has its own of what runs in the other.
pub fn images(sheet: &mut Sheet<'_>, part: &Part) {
    if sheet.renders(part) {
        policies(
            sheet,
            part,
            ("IMAGE_MANAGEMENT", "INSTANCE"),
            "service-role/AWSDataLifecycleManagerServiceRoleForAMIManagement",
        );
    }
}

/// What marks a disk or a machine that is kept so.
pub fn mark(sheet: &Sheet<'_>, part: &Part) -> (&'static str, String) {
    ("antipode:copied", format!("{}/{}", sheet.design.workload, part.id))
}

fn policies(sheet: &mut Sheet<'_>, part: &Part, (kind, of): (&str, &str), managed: &str) {
    for site in sheet.sites(part) {
        one(sheet, part, site, (kind, of), managed);
    }
    let (key, value) = mark(sheet, part);
    let what = if of == "VOLUME" { "volume" } else { "instance" };
    sheet.note(
        part,
        format!("each {what} that is to be copied bears a mark"),
        format!("aws ec2 create-tags --resources ID --tags Key={key},Value={value}"),
    );
    let state = id(part, "copies");
    sheet.note(
        part,
        "after a recovery the other region's are copied",
        format!("deploy that region with {state}=ENABLED, and the old one, when it is back, with {state}=DISABLED"),
    );
}

fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site, (kind, of): (&str, &str), managed: &str) {
    let root = regional(site);
    let role =
        role::service_role(sheet, part, site, (Group::Data, "copies"), "dlm.amazonaws.com", &[managed], Vec::new());
    let here = peers::first_writer(sheet, part).as_ref() == Some(&site.id);
    let about = format!("Whether {} is copied from this region.", part.id);
    let asked = parameter(
        &id(part, "copies"),
        "String",
        &about,
        Given::AtFirst(if here { "ENABLED" } else { "DISABLED" }.to_owned()),
    );
    let allowed = vec!["ENABLED".to_owned(), "DISABLED".to_owned()];
    let works = sheet.parameter(&root, Parameter { allowed, ..asked });
    let (key, value) = mark(sheet, part);
    let details = map! {
        "PolicyType" => kind,
        "ResourceTypes" => list![of],
        "TargetTags" => list![map! { "Key" => key, "Value" => value }],
        "Schedules" => list![schedule(sheet, part, site, of == "VOLUME")],
    };
    let about = format!("copies of {} of {}", part.id, sheet.design.workload);
    let properties = map! {
        "Description" => about, "State" => works, "ExecutionRoleArn" => role.att("Arn"), "PolicyDetails" => details,
        "Tags" => sheet.tags(Some(part)),
    };
    let asked = sheet.asked(part);
    sheet.add(&root, Resource::new(Group::Data, "AWS::DLM::LifecyclePolicy", id(part, "copying"), asked, properties));
}

fn schedule(sheet: &Sheet<'_>, part: &Part, site: &Site, disks: bool) -> Map {
    let kept = days(part, "backup.keep").unwrap_or(KEPT);
    let kept = map! { "Interval" => kept, "IntervalUnit" => "DAYS" };
    let wanted = part.sites("backup.sites");
    let takes = |other: &&Site| wanted.as_ref().is_none_or(|sites| sites.contains(&other.id));
    let to = if disks { "Target" } else { "TargetRegion" };
    let copy = |other: &Site| {
        // Encrypted with that region's own key for disks: this region cannot name another before it stands.
        Value::Map(
            map! { to => aws_region(other), "Encrypted" => true, "CopyTags" => true, "RetainRule" => kept.clone() },
        )
    };
    let copies = sheet.peers(part, site).into_iter().filter(takes).take(MOST_COPIES).map(copy);
    let copies: Vec<Value> = copies.collect();
    let fast = disks && part.bool("fast_restore") == Some(true);
    let zones = crate::services::network::zones(site);
    let zones: Vec<Value> = zones.iter().map(|zone| format!("{}{zone}", aws_region(site)).into()).collect();
    map! { "Name" => "copies", "CopyTags" => true, "CreateRule" => clock(part), "RetainRule" => kept.clone() }
        .with_some("CrossRegionCopyRules", (!copies.is_empty()).then_some(copies))
        .with_some("FastRestoreRule", fast.then(|| map! { "AvailabilityZones" => zones, "Count" => 1 }))
}

/// The intervals that there are, the longest that is not too long; else once a week or a month.
fn clock(part: &Part) -> Map {
    let every = part.duration("backup.every").or_else(|| part.duration("image.every"));
    let hours = every.map_or(24, |every| every.as_secs() / 3600).max(1);
    let often = [24, 12, 8, 6, 4, 3, 2, 1].into_iter().find(|step| *step <= hours).unwrap_or(1);
    match hours {
        0..=47 => map! { "Interval" => often, "IntervalUnit" => "HOURS", "Times" => list!["03:00"] },
        48..=335 => map! { "CronExpression" => "cron(0 3 ? * 1 *)" },
        _ => map! { "CronExpression" => "cron(0 3 1 * ? *)" },
    }
}
