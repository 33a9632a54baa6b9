//! Copies between buckets of the regions by a clock: a task in each region, which fetches what the other has.
//!
//! Only one of them works at a time: the one of the region that stands by. Which that is, recoveries change.

use model::Part;
use model::design::Site;

use super::s3;
use crate::resource::{Given, Parameter, Resource};
use crate::root::Group;
use crate::services::guard::kms;
use crate::services::{peers, role};
use crate::sheet::{Sheet, parameter, regional};
use crate::value::Value;
use crate::{cat, map, names};

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let Some(copied) = part.component("copies").and_then(|id| sheet.part(&id)) else {
        return sheet.note(
            part,
            "nobody said what it copies",
            format!("say it: components.{}.copies, a bucket", part.id),
        );
    };
    if copied.kind.name != "aws.s3" {
        let how = "aws datasync create-location-… for both, then create-task and update-task with a schedule, in the region that stands by";
        return sheet.note(part, format!("{} is no bucket: its tasks are made by hand", copied.id), how);
    }
    if sheet.sites(part).len() > 1 {
        let says = "a plan of Region switch does not stop its task, which would bring what is old over what is new once the lost region is back";
        sheet.note(part, says, "the first step of the runbook does; do it before the plan is executed");
    }
    for site in sheet.sites(part) {
        for other in sheet.peers(part, site) {
            one(sheet, part, copied, (other, site));
        }
    }
}

fn one(sheet: &mut Sheet<'_>, part: &Part, copied: &Part, (from, to): (&Site, &Site)) {
    let root = regional(to);
    let asked = sheet.asked(part);
    let role = copier(sheet, part, copied, (from, to));
    let location = |sheet: &mut Sheet<'_>, site: &Site, what: &str| {
        let properties = map! {
            "S3BucketArn" => s3::arn(sheet, copied, site),
            "S3Config" => map! { "BucketAccessRoleArn" => role.clone() },
            "Tags" => sheet.tags(Some(part)),
        };
        let id = names::logical([part.id.as_str(), what, from.id.as_str()]);
        let location = Resource::new(Group::Data, "AWS::DataSync::LocationS3", id, asked.clone(), properties);
        // The bucket of the other region has to be there, and the one here before it.
        let mut location = location.only_if(peers::joined(sheet, to, part, from));
        if sheet.renders(copied) && site.id == to.id {
            location = location.after(sheet.target(&root, names::logical([copied.id.as_str(), "bucket"])));
        }
        sheet.add(&root, location)
    };
    let source = location(sheet, from, "from");
    let destination = location(sheet, to, "into from");
    let stands_by = peers::first_writer(sheet, part).is_some_and(|first| first == from.id);
    let about = format!("Whether {} fetches from {} into this region.", part.id, from.id);
    let at_first = Given::AtFirst(if stands_by { "ENABLED" } else { "DISABLED" }.to_owned());
    let fetches = parameter(&fetches(part, from), "String", &about, at_first);
    let allowed = vec!["ENABLED".to_owned(), "DISABLED".to_owned()];
    let fetches = sheet.parameter(&root, Parameter { allowed, ..fetches });
    let properties = map! {
        "Name" => sheet.named([part.id.as_str(), from.id.as_str()], 200),
        "SourceLocationArn" => source.get(),
        "DestinationLocationArn" => destination.get(),
        "Schedule" => map! { "ScheduleExpression" => clock(part), "Status" => fetches },
        "Options" => map! {
            "TransferMode" => "CHANGED", "VerifyMode" => "ONLY_FILES_TRANSFERRED", "OverwriteMode" => "ALWAYS",
            "PreserveDeletedFiles" => if part.word("deletes") == Some("replicated") { "REMOVE" } else { "PRESERVE" },
        },
        "Tags" => sheet.tags(Some(part)),
    };
    let when = peers::joined(sheet, to, part, from);
    let task = Resource::new(Group::Data, "AWS::DataSync::Task", task_id(part, from), asked.clone(), properties);
    sheet.add(&root, task.only_if(when));
}

/// What the task is called that fetches from that region.
pub fn task_id(part: &Part, from: &Site) -> String {
    names::logical([part.id.as_str(), "task from", from.id.as_str()])
}

/// The parameter that says whether it does.
pub fn fetches(part: &Part, from: &Site) -> String {
    names::logical([part.id.as_str(), "fetches from", from.id.as_str()])
}

/// Who reads there and writes here.
fn copier(sheet: &mut Sheet<'_>, part: &Part, copied: &Part, (from, to): (&Site, &Site)) -> Value {
    let (there, here) = (s3::arn(sheet, copied, from), s3::arn(sheet, copied, to));
    let buckets = vec![there.clone(), here.clone()];
    let statements = vec![
        role::allow(&["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"], buckets),
        role::allow(&["s3:GetObject", "s3:GetObjectTagging"], vec![cat![there, "/*"], cat![here.clone(), "/*"]]),
        role::allow(
            &[
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:ListMultipartUploadParts",
                "s3:PutObject",
                "s3:PutObjectTagging",
            ],
            vec![cat![here, "/*"]],
        ),
        kms::use_by_alias(sheet, copied, from, &["kms:Decrypt"]),
        kms::use_by_alias(sheet, copied, to, &["kms:Decrypt", "kms:GenerateDataKey"]),
    ];
    let what = format!("copier from {}", from.id);
    role::service_role(sheet, part, to, (Group::Data, &what), "datasync.amazonaws.com", &[], statements).att("Arn")
}

/// Once an hour is as often as there is (AWS DataSync User Guide, "Scheduling your task").
pub fn clock(part: &Part) -> String {
    let hours = part.duration("schedule").map_or(1, |every| every.as_secs() / 3600).max(1);
    match hours {
        1 => "rate(1 hour)".to_owned(),
        hours => format!("rate({hours} hours)"),
    }
}
