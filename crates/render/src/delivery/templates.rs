//! The bucket of a region that has the templates of every version: made before anything else there, by a template that
//! needs none.

use crate::link::{Output, Template};
use crate::resource::{Given, Keep, Resource, Target};
use crate::root::{Group, Root};
use crate::services::buckets;
use crate::sheet::{Sheet, parameter};
use crate::value::{PARTITION, Value};
use crate::{cat, list, map};

/// One template for every region: nothing in it depends on one.
pub fn template(sheet: &Sheet<'_>) -> Template {
    let root = Root::Global;
    let asked = sheet.asked_by("workload");
    let bucket = Target { root: root.clone(), id: "Templates".into() };
    let name = Value::Parameter(root, "Bucket".to_owned());
    let about = "The name of the bucket: workload, account and region.";
    // A version that is gone back to is never this old.
    let old = map! {
        "Id" => "old", "Status" => "Enabled", "NoncurrentVersionExpiration" => map! { "NoncurrentDays" => 365 },
        "AbortIncompleteMultipartUpload" => map! { "DaysAfterInitiation" => 7 },
    };
    let properties = buckets::closed(Some(name.clone()), None)
        .with("LifecycleConfiguration", map! { "Rules" => list![old] })
        .with("Tags", sheet.tags(None));
    let store = Resource::new(Group::Control, "AWS::S3::Bucket", "Templates", asked.clone(), properties)
        .keep(Keep::Retain)
        .excused("CKV_AWS_18", "what is written there is in the trail of the account; it holds no data of users");
    let plain = buckets::over_tls(cat!["arn:", PARTITION, ":s3:::", name]);
    let rules = map! {
        "Bucket" => bucket.get(),
        "PolicyDocument" => map! { "Version" => "2012-10-17", "Statement" => list![plain] },
    };
    let rules = Resource::new(Group::Control, "AWS::S3::BucketPolicy", "TemplatesPolicy", asked, rules);
    Template {
        name: "templates".to_owned(),
        description: format!("{}: the templates of every version, in this region", sheet.design.workload),
        parameters: vec![parameter("Bucket", "String", about, Given::Deployment)],
        conditions: Vec::new(),
        resources: vec![store, rules],
        outputs: vec![Output { name: "Bucket".to_owned(), about: "The bucket".to_owned(), value: bucket.get() }],
    }
}
