//! Keys: one in each region, so that data can be read where it was copied to, and the workload's own for what names none.
//!
//! A multi-region key is made in one region and replicated to the others; its replicas decrypt without it. Which region
//! has the first is the order of the file, not a role (AWS KMS Developer Guide, "Multi-Region keys"). What one region has to
//! know of another's key beforehand is its alias.

use model::Part;
use model::design::Site;

use crate::resource::{Keep, Resource};
use crate::root::Group;
use crate::services::{peers, role};
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{ACCOUNT, Map, PARTITION, Value};
use crate::{cat, list, map, names};

/// Services that encrypt with a key on their own behalf, and so are let in by its policy and not by a role.
const SERVICES: [&str; 7] = ["backup", "cloudtrail", "cloudwatch", "delivery.logs", "events", "s3", "sns"];

/// Days in which a deletion can be taken back: the most that there is.
const WAIT: u32 = 30;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let sites = sheet.sites(part);
    let everywhere =
        part.bool("multi_region").unwrap_or(true) && (sites.len() > 1 || sheet.homes_before.contains_key(&part.id));
    let moved = "make a replica the first (aws kms update-primary-region) and import each key as what it is then";
    let home = if everywhere { peers::settled(sheet, part, "the first key", moved) } else { None };
    let home = home.map(|site| site.id.clone());
    for site in sites {
        let asked = sheet.asked(part);
        let policy = policy(sheet, site, part.bool("deletion_protected") == Some(true));
        let about = format!("{} of {}", part.id, sheet.design.workload);
        let tags = sheet.tags(Some(part));
        let key = match home.as_ref().filter(|home| everywhere && **home != site.id) {
            Some(home) => {
                let first = sheet.target(&crate::Root::Region(home.clone()), id(part)).att("Arn");
                let properties = map! {
                    "Description" => about, "PrimaryKeyArn" => first, "KeyPolicy" => policy, "PendingWindowInDays" => WAIT, "Tags" => tags,
                };
                Resource::new(Group::Security, "AWS::KMS::ReplicaKey", id(part), asked.clone(), properties)
            }
            None => {
                let properties = properties(about, policy, tags).with("MultiRegion", everywhere);
                Resource::new(Group::Security, "AWS::KMS::Key", id(part), asked.clone(), properties)
            }
        };
        let root = regional(site);
        let key = sheet.add(&root, key.keep(Keep::Retain));
        let alias = map! { "AliasName" => alias(sheet, Some(part), site), "TargetKeyId" => key.get() };
        let alias = Resource::new(Group::Security, "AWS::KMS::Alias", format!("{}Alias", id(part)), asked, alias);
        sheet.add(&root, alias);
    }
    if everywhere {
        sheet.note(
            part,
            "grants are of one key: a replica has none of those that the first key was given",
            format!(
                "aws kms list-grants --key-id {}, and create-grant for the replica of each region",
                alias_of(sheet, Some(part))
            ),
        );
    }
}

fn properties(about: String, policy: Map, tags: Value) -> Map {
    map! {
        "Description" => about, "EnableKeyRotation" => true, "KeyPolicy" => policy, "PendingWindowInDays" => WAIT, "Tags" => tags,
    }
}

fn id(part: &Part) -> String {
    names::logical([part.id.as_str(), "key"])
}

/// The key of a region for what names none: of that region alone, so that the region can be built without any other.
fn own(sheet: &mut Sheet<'_>, site: &Site) -> Value {
    let (root, name) = (regional(site), "DataKey");
    if !sheet.has(&root, name) {
        let asked = sheet.asked_by(&format!("sites.{}", site.id));
        let policy = policy(sheet, site, false);
        let about = format!("What {} keeps in this region", sheet.design.workload);
        let properties = properties(about, policy, sheet.tags(None));
        let key = Resource::new(Group::Security, "AWS::KMS::Key", name, asked.clone(), properties).keep(Keep::Retain);
        let key = sheet.add(&root, key);
        let alias = map! { "AliasName" => alias(sheet, None, site), "TargetKeyId" => key.get() };
        sheet.add(&root, Resource::new(Group::Security, "AWS::KMS::Alias", "DataKeyAlias", asked, alias));
    }
    sheet.target(&root, name).att("Arn")
}

/// The ARN of a key, in a region that has it.
pub fn arn(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    let root = regional(site);
    if sheet.renders(part) {
        return sheet.target(&root, id(part)).att("Arn");
    }
    let name = crate::services::physical(part, site).unwrap_or_else(|| format!("alias/{}", part.id));
    let how = format!("aws kms describe-key --key-id {name} --region {} --query KeyMetadata.Arn", aws_region(site));
    sheet.ask(&root, &format!("{}Arn", id(part)), &format!("The ARN of the key {} in this region.", part.id), how)
}

/// The ARN of the key that a component's data is encrypted with in a region: the one that it names, else the region's own.
pub fn key(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    match named(sheet, part, site) {
        Some(key) => arn(sheet, key, site),
        None => own(sheet, site),
    }
}

/// The key that a component names.
pub fn named<'d>(sheet: &mut Sheet<'d>, part: &Part, site: &Site) -> Option<&'d Part> {
    let key =
        part.component("encryption_key").and_then(|id| sheet.part(&id)).filter(|key| key.kind.name == "aws.kms")?;
    if !sheet.sites(key).iter().any(|here| here.id == site.id) {
        let path = format!("components.{}.encryption_key", part.id);
        if !sheet.problems.iter().any(|problem| problem.path == path) {
            let says = format!("the key `{}` is not in {}, where `{}` is", key.id, site.id, part.id);
            sheet.problem(&path, says, format!("name {} among the `sites` of `{}`", site.id, key.id));
        }
        return None;
    }
    Some(key)
}

/// `alias/…` of a key, or of a region's own; the same in every region, and so known before the other region stands.
fn alias(sheet: &Sheet<'_>, part: Option<&Part>, site: &Site) -> String {
    let given = part.filter(|part| !sheet.renders(part)).and_then(|part| crate::services::physical(part, site));
    given.unwrap_or_else(|| alias_of(sheet, part))
}

fn alias_of(sheet: &Sheet<'_>, part: Option<&Part>) -> String {
    format!("alias/{}", sheet.named([part.map_or("data", |part| part.id.as_str())], 200))
}

/// The ARN of the alias of a component's key in another region, for what has to name it before that region stands.
pub fn alias_arn(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    let key = named(sheet, part, site);
    let alias = alias(sheet, key, site);
    cat!["arn:", PARTITION, ":kms:", aws_region(site), ":", ACCOUNT, ":", alias]
}

/// Lets a role use a component's key in any region by its alias: what a key is called by is not known beforehand.
pub fn use_by_alias(sheet: &mut Sheet<'_>, part: &Part, site: &Site, actions: &[&str]) -> Value {
    let key = named(sheet, part, site);
    let alias = alias(sheet, key, site);
    let keys = cat!["arn:", PARTITION, ":kms:", aws_region(site), ":", ACCOUNT, ":key/*"];
    let Value::Map(mut statement) = role::allow(actions, vec![keys]) else { unreachable!("a statement is a map") };
    let only = map! { "kms:ResourceAliases" => list![alias] };
    statement.set("Condition", map! { "ForAnyValue:StringEquals" => only });
    statement.into()
}

/// Who may use a key: the account's roles by their own policies, and services on its behalf.
fn policy(sheet: &Sheet<'_>, site: &Site, kept: bool) -> Map {
    let account = cat!["arn:", PARTITION, ":iam::", ACCOUNT, ":root"];
    // Without this a key can be lost for ever to everybody (AWS KMS Developer Guide, "Default key policy"); what a role
    // may do with it is said by the role's own policy.
    let owner = map! {
        "Sid" => "TheAccount", "Effect" => "Allow", "Principal" => map! { "AWS" => account.clone() }, "Action" => "kms:*", "Resource" => "*",
    };
    let named = |service: &&str| Value::from(format!("{service}.amazonaws.com"));
    let mut services: Vec<Value> = SERVICES.iter().map(named).collect();
    services.push(format!("logs.{}.amazonaws.com", aws_region(site)).into());
    // A distribution reads what is encrypted only if the key lets it.
    if sheet.of_kind("aws.cloudfront").next().is_some() {
        services.push("cloudfront.amazonaws.com".into());
    }
    let on_behalf = map! {
        "Sid" => "ServicesOnItsBehalf", "Effect" => "Allow", "Principal" => map! { "Service" => services },
        "Action" => list!["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
        "Resource" => "*",
        "Condition" => map! { "StringEquals" => map! { "aws:SourceAccount" => ACCOUNT } },
    };
    let mut statements: Vec<Value> = vec![owner.into(), on_behalf.into()];
    if kept {
        let breakers = cat!["arn:", PARTITION, ":iam::", ACCOUNT, ":role/", sheet.named(["break glass"], 60), "*"];
        let denied = map! {
            "Sid" => "NobodyDeletesIt", "Effect" => "Deny", "Principal" => map! { "AWS" => account },
            "Action" => list!["kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:DeleteAlias"], "Resource" => "*",
            "Condition" => map! { "ArnNotLike" => map! { "aws:PrincipalArn" => breakers } },
        };
        statements.push(denied.into());
    }
    role::policy(statements)
}
