//! Groups of logs: encrypted with one key of the region, and kept for a year, so that an incident can be looked into after
//! the next audit has found it.

use model::Part;
use model::design::Site;

use crate::resource::{Resource, Target};
use crate::root::Group;
use crate::sheet::{Sheet, regional};
use crate::value::{ACCOUNT, PARTITION, REGION, SUFFIX, Value};
use crate::{cat, list, map, names};

const KEPT_DAYS: u64 = 365;

/// The key of this region's logs.
fn key(sheet: &mut Sheet<'_>, site: &Site) -> Target {
    let root = regional(site);
    if sheet.has(&root, "LogKey") {
        return sheet.target(&root, "LogKey");
    }
    let owner = map! {
        "Sid" => "Owner", "Effect" => "Allow", "Principal" => map! { "AWS" => cat!["arn:", PARTITION, ":iam::", ACCOUNT, ":root"] },
        "Action" => "kms:*", "Resource" => "*",
    };
    let groups = cat!["arn:", PARTITION, ":logs:", REGION, ":", ACCOUNT, ":log-group:*"];
    let logs = map! {
        "Sid" => "Logs", "Effect" => "Allow", "Principal" => map! { "Service" => cat!["logs.", REGION, ".", SUFFIX] },
        "Action" => list!["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"], "Resource" => "*",
        "Condition" => map! { "ArnLike" => map! { "kms:EncryptionContext:aws:logs:arn" => groups } },
    };
    let properties = map! {
        "Description" => format!("Encrypts the logs of {}", sheet.design.workload),
        "EnableKeyRotation" => true,
        "KeyPolicy" => map! { "Version" => "2012-10-17", "Statement" => list![owner, logs] },
        "Tags" => sheet.tags(None),
    };
    let asked = sheet.asked_by(&format!("sites.{}", site.id));
    // What was logged can be read only as long as the key is there.
    let key = Resource::new(Group::Security, "AWS::KMS::Key", "LogKey", asked, properties);
    sheet.add(&root, key.keep(crate::resource::Keep::Retain))
}

/// A group of logs of a component, or of the region's own network. `named` where a service writes to that name only.
pub fn group(
    sheet: &mut Sheet<'_>,
    part: Option<&Part>,
    site: &Site,
    (group, what): (Group, &str),
    named: Option<String>,
) -> Target {
    let key: Value = key(sheet, site).att("Arn");
    let owner = part.map_or("network", |part| part.id.as_str());
    let asked = part.map_or_else(|| sheet.asked_by(&format!("sites.{}", site.id)), |part| sheet.asked(part));
    let properties = map! {}.with_some("LogGroupName", named);
    let properties = properties.with("KmsKeyId", key).with("RetentionInDays", KEPT_DAYS).with("Tags", sheet.tags(part));
    let id = names::logical([owner, what]);
    sheet.add(&regional(site), Resource::new(group, "AWS::Logs::LogGroup", id, asked, properties))
}
