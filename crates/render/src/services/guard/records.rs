//! A bucket for what services record: written by one service, changed by nobody.

use model::Part;
use model::design::Site;

use crate::resource::{Keep, Resource, Target};
use crate::root::Group;
use crate::services::guard::kms;
use crate::services::{buckets, role};
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{ACCOUNT, Map, PARTITION, Value};
use crate::{cat, list, map, names};

/// Days for which records are kept, and for which nobody can delete them, when the spec says nothing.
const KEPT: u64 = 365;

/// The bucket of `service` for a component in a region, and its policy, which has to stand before the service writes.
/// `from` is the ARN of what writes there, if it is known.
pub fn bucket(sheet: &mut Sheet<'_>, part: &Part, site: &Site, service: &str, from: Option<Value>) -> (Value, Target) {
    let root = regional(site);
    let id = |what: &str| names::logical([part.id.as_str(), what]);
    let asked = sheet.asked(part);
    let name = name(sheet, part, site);
    let key = kms::key(sheet, part, site);
    // AWS Config delivers into no bucket that locks by default (AWS Config Developer Guide, "Managing the delivery channel").
    let locks = service != "config.amazonaws.com";
    let retention = map! { "Mode" => "GOVERNANCE", "Days" => KEPT };
    let expires = map! { "Id" => "kept", "Status" => "Enabled", "ExpirationInDays" => KEPT + 1, "NoncurrentVersionExpiration" => map! { "NoncurrentDays" => KEPT + 1 } };
    let properties = buckets::closed(Some(name.clone()), Some(key))
        .with("ObjectLockEnabled", locks)
        .with("LifecycleConfiguration", map! { "Rules" => list![expires] })
        // That nothing arrives any more is told of.
        .with("NotificationConfiguration", map! { "EventBridgeConfiguration" => map! { "EventBridgeEnabled" => true } })
        .with("Tags", sheet.tags(Some(part)));
    let lock = map! { "ObjectLockEnabled" => "Enabled", "Rule" => map! { "DefaultRetention" => retention } };
    let properties = properties.with_some("ObjectLockConfiguration", locks.then_some(lock));
    let bucket = Resource::new(Group::Security, "AWS::S3::Bucket", id("records"), asked.clone(), properties)
        .keep(Keep::Retain)
        .excused("CKV_AWS_18", "it is itself what is logged to");
    let bucket = sheet.add(&root, bucket);
    let policy = policy(service, name.clone(), from);
    let properties = map! { "Bucket" => bucket.get(), "PolicyDocument" => policy };
    let policy = Resource::new(Group::Security, "AWS::S3::BucketPolicy", id("records policy"), asked, properties);
    (name, sheet.add(&root, policy))
}

/// The name of the bucket, known before it is there.
pub fn name(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Value {
    cat![sheet.named([part.id.as_str()], 30), "-", ACCOUNT, "-", aws_region(site)]
}

fn policy(service: &str, name: Value, from: Option<Value>) -> Map {
    let bucket = cat!["arn:", PARTITION, ":s3:::", name];
    let principal = map! { "Service" => service };
    let ours = map! { "aws:SourceAccount" => ACCOUNT }.with_some("aws:SourceArn", from);
    let only = map! { "StringEquals" => ours };
    let looks = map! {
        "Sid" => "Looks", "Effect" => "Allow", "Principal" => principal.clone(), "Action" => list!["s3:GetBucketAcl", "s3:ListBucket"],
        "Resource" => bucket.clone(), "Condition" => only.clone(),
    };
    let writes = map! {
        "Sid" => "Writes", "Effect" => "Allow", "Principal" => principal, "Action" => "s3:PutObject",
        "Resource" => cat![bucket.clone(), "/*"], "Condition" => only,
    };
    role::policy(vec![looks.into(), writes.into(), buckets::over_tls(bucket)])
}
