//! The standby's signal: traffic is moved by an object that the region which takes over writes into its own bucket. No
//! control plane is asked, neither of Route 53 nor of the region that is left.
//!
//! Intuition: each region answers when it works and no other region says "I take over". Saying so is a `PutObject` in the
//! region that says it. Health checks look for that object from many places; one of them is inverted, so that no object
//! (or no answer at all) means that nobody takes over.
//!
//! ```text
//! in the stack of region R        well when
//!   own check                     what stands in R works (left out where nothing may move by itself)
//!   taken over                    the object is in R's own bucket
//!   not taken over by O           the object is not in the bucket of O (inverted), for each other region O
//!   answers                       as many of these are well as there are regions
//! ```
//!
//! With two regions that is two of three: in the ordinary, a region works and nobody took over; a region that took over
//! answers even while its own check still fails, because people said so and the other side is fenced; the other one lacks
//! two. If the region that took over is lost, its object is not read any more, and the other answers again if it works.
//! A region that works again gets nobody back as long as the signal is raised. So a recovery raises it even where a failing
//! check has moved users already: then going back is what people do, by lowering it.
//! If both say that they take over, both are as good, and the record that is PRIMARY answers.
//!
//! Each stack has all the checks that its own record needs and knows the other region's bucket by its name only, so each
//! can be deployed without the other.
//!
//! # Rejected
//! - Turning `Inverted` of a check by hand: a call to us-east-1.
//! - A metric of the standby region: a check of an alarm cannot be made before the alarm, so the two regions' stacks would
//!   wait for each other; and it takes minutes where this takes half of one.
//! - An object that only Route 53's addresses may read: were their list to change, the signal could not be raised, and
//!   nobody would know.

use model::Part;
use model::design::Site;

use super::{health, leads};
use crate::resource::{Keep, Resource};
use crate::root::Group;
use crate::services::buckets;
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{ACCOUNT, Map, PARTITION, SUFFIX, Value};
use crate::{cat, list, map, names};

/// The object that raises the signal.
pub const OBJECT: &str = "take-over";

/// The bucket whose object says that a region takes over; every stack can say its name.
fn bucket(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Value {
    let name = sheet.named([part.id.as_str(), "signal"], 34);
    cat![format!("{name}-"), ACCOUNT, format!("-{}", aws_region(site))]
}

/// The check that the record of this region has.
pub fn answers(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    input(sheet, part, site);
    let mut children = vec![looks(sheet, part, site, site, "taken over", false)];
    for other in leads::sites(sheet, part).into_iter().filter(|other| other.id != site.id) {
        let what = format!("not taken over by {}", other.id);
        children.push(looks(sheet, part, site, other, &what, true));
    }
    // Where people decide, a failing check moves nobody; what they raise does.
    if part.bool("automatic") != Some(false) {
        children.insert(0, health::own(sheet, part, site).get());
    }
    let threshold = children.len() - 1;
    health::every(sheet, part, site, "answers", children, threshold).get()
}

/// Looks from the stack of `site` for the object of `of`.
fn looks(sheet: &mut Sheet<'_>, part: &Part, site: &Site, of: &Site, what: &str, inverted: bool) -> Value {
    let host = cat![bucket(sheet, part, of), format!(".s3.{}.", aws_region(of)), SUFFIX];
    let mut config: Map = map! {
        "Type" => "HTTPS", "FullyQualifiedDomainName" => host, "Port" => 443, "ResourcePath" => format!("/{OBJECT}"), "EnableSNI" => true,
    };
    // Every 10 s and three times in a row: half a minute from the call until answers change.
    config.0.extend(map! { "RequestInterval" => 10, "FailureThreshold" => 3, "Inverted" => inverted }.0);
    health::check(sheet, part, site, what, config).get()
}

/// The bucket of this region. Anybody may read that one object, which is empty; nobody may list what there is.
fn input(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let (root, asked) = (regional(site), sheet.asked(part));
    let open = "anybody may read one empty object: the health checkers have no credentials";
    let mut properties = buckets::closed(Some(bucket(sheet, part, site)), None).with("Tags", sheet.tags(Some(part)));
    properties.set("PublicAccessBlockConfiguration", buckets::nobody(false));
    let id = names::logical([part.id.as_str(), "signal"]);
    let resource = Resource::new(Group::Traffic, "AWS::S3::Bucket", id, asked.clone(), properties)
        .keep(Keep::Retain)
        .excused(
            "CKV_AWS_18",
            "it is read all the time by health checkers, and by nobody else; its log would say nothing",
        )
        .excused("CKV_AWS_54", open)
        .excused("CKV_AWS_56", open);
    let bucket = sheet.add(&root, resource);
    let object = cat!["arn:", PARTITION, ":s3:::", bucket.get(), format!("/{OBJECT}")];
    let read = map! { "Sid" => "HealthCheckers", "Effect" => "Allow", "Principal" => "*", "Action" => "s3:GetObject", "Resource" => object };
    let plain = buckets::over_tls(cat!["arn:", PARTITION, ":s3:::", bucket.get()]);
    let policy = map! { "Version" => "2012-10-17", "Statement" => list![read, plain] };
    let properties = map! { "Bucket" => bucket.get(), "PolicyDocument" => policy };
    let id = names::logical([part.id.as_str(), "signal policy"]);
    let policy =
        Resource::new(Group::Traffic, "AWS::S3::BucketPolicy", id, asked, properties).excused("CKV_AWS_70", open);
    sheet.add(&root, policy);
}

/// How people move traffic with it.
pub fn note(sheet: &mut Sheet<'_>, part: &Part) {
    let name = sheet.named([part.id.as_str(), "signal"], 34);
    let each = leads::sites(sheet, part).into_iter().map(|site| {
        let region = aws_region(site);
        format!(
            "to {}: aws s3api put-object --region {region} --bucket {name}-$ACCOUNT-{region} --key {OBJECT}",
            site.id
        )
    });
    let each: Vec<String> = each.collect();
    let says = "traffic is moved by the signal of the region that takes over, which no template raises";
    let lower = "back: the same with delete-object, where it was raised; an account that blocks all public buckets cannot have it: say `shift: routing-control` there";
    sheet.note(part, says, format!("{}; {lower}", each.join("; ")));
}
