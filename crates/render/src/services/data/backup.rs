//! Backups that outlive a mistake: a plan and a vault in each region, with copies in the others' vaults, and in another
//! account's if the spec says so.
//!
//! Whatever region has the data backs it up; no plan knows who is primary. A vault's name is known beforehand, and a copy
//! asks for it when it is made and not before, so the regions need no order.

use model::Part;
use model::design::Site;

use super::{days, id};
use crate::resource::{Keep, Resource, Target};
use crate::root::Group;
use crate::services::guard::kms;
use crate::services::role;
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{ACCOUNT, PARTITION, Value};
use crate::{cat, list, map};

/// Days for which backups are kept when the spec says nothing.
const KEPT: u64 = 35;

/// Hours in which a backup that is due has begun and is done.
pub const WITHIN_HOURS: u64 = 13;

/// Days in which a lock can still be taken back: the least that there is (AWS Backup Developer Guide, "Vault Lock").
const GRACE: u32 = 3;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let protects = part.components("protects").unwrap_or_default();
    let protects: Vec<&Part> = protects.iter().filter_map(|id| sheet.part(id)).collect();
    plans(sheet, part, &protects);
}

/// Of a component that asks for copies elsewhere itself, and that no `aws.backup` protects.
pub fn of(sheet: &mut Sheet<'_>, part: &Part) {
    let protected = |backup: &Part| backup.components("protects").is_some_and(|protects| protects.contains(&part.id));
    if asks(part) && !sheet.of_kind("aws.backup").any(protected) {
        plans(sheet, part, &[part]);
    }
}

/// What the plan is called that backs a component up, where one of ours does.
pub fn covers(sheet: &Sheet<'_>, part: &Part) -> Option<String> {
    let protects = |backup: &&Part| {
        sheet.renders(backup) && backup.components("protects").is_some_and(|protects| protects.contains(&part.id))
    };
    let by_another = sheet.of_kind("aws.backup").find(protects);
    let by_itself = || sheet.renders(part) && asks(part);
    by_another.or_else(|| by_itself().then_some(part)).map(|plan| vault_name(sheet, plan))
}

/// Whether a component says itself where its backups go.
fn asks(part: &Part) -> bool {
    ["sites", "account"].iter().any(|key| part.declared(&format!("backup.{key}")))
        || ["isolated", "immutable"].iter().any(|key| part.bool(&format!("backup.{key}")) == Some(true))
}

fn plans(sheet: &mut Sheet<'_>, part: &Part, protects: &[&Part]) {
    for site in sheet.sites(part) {
        let vault = vault(sheet, part, site);
        plan(sheet, part, site, &vault, protects);
    }
    if let Some(account) = part.text("backup.account") {
        let vault = vault_name(sheet, part);
        sheet.note(
            part,
            format!("the vault of the account {account} is made there, by whoever holds it"),
            format!("in each region: aws backup create-backup-vault --backup-vault-name {vault}, with a policy that lets this account copy into it (backup:CopyIntoBackupVault), and a lock"),
        );
    }
    let adopted = protects.iter().filter(|other| !sheet.renders(other)).map(|other| other.id.to_string());
    let adopted: Vec<String> = adopted.collect();
    if !adopted.is_empty() {
        let workload = &sheet.design.workload;
        let says = format!("{} are backed up by their tags, and are not made here", adopted.join(", "));
        sheet.note(part, says, format!("tag each with antipode:workload={workload} and antipode:component=ITS NAME"));
    }
}

pub fn vault_name(sheet: &Sheet<'_>, part: &Part) -> String {
    sheet.named([part.id.as_str(), "vault"], 50)
}

/// The key of a vault: the one that the spec names, else the region's own.
fn key(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    match part.component("backup.key").and_then(|id| sheet.part(&id)) {
        Some(key) if key.kind.name == "aws.kms" && sheet.sites(key).iter().any(|here| here.id == site.id) => {
            kms::arn(sheet, key, site)
        }
        _ => kms::key(sheet, part, site),
    }
}

fn vault(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let name = vault_name(sheet, part);
    let nobody = map! {
        "Sid" => "NobodyDeletes", "Effect" => "Deny", "Principal" => map! { "AWS" => "*" }, "Resource" => "*",
        "Action" => list![
            "backup:DeleteBackupVault", "backup:DeleteRecoveryPoint", "backup:DeleteBackupVaultAccessPolicy",
            "backup:UpdateRecoveryPointLifecycle",
        ],
    };
    let isolated = part.bool("backup.isolated") == Some(true) || part.bool("backup.immutable") == Some(true);
    let kept = days(part, "backup.keep").unwrap_or(KEPT);
    let lock = match part.word("vault_lock") {
        Some("none") => None,
        Some("compliance") => Some(map! { "MinRetentionDays" => kept, "ChangeableForDays" => GRACE }),
        Some(_) => Some(map! { "MinRetentionDays" => kept }),
        None if part.bool("backup.immutable") == Some(true) => {
            Some(map! { "MinRetentionDays" => kept, "ChangeableForDays" => GRACE })
        }
        None => Some(map! { "MinRetentionDays" => kept }),
    };
    let properties = map! { "BackupVaultName" => name, "EncryptionKeyArn" => key(sheet, part, site) }
        .with_some("LockConfiguration", lock)
        .with_some("AccessPolicy", isolated.then(|| role::policy(vec![nobody.into()])))
        .with("BackupVaultTags", sheet.tag_map(Some(part)));
    let asked = sheet.asked(part);
    let vault = Resource::new(Group::Data, "AWS::Backup::BackupVault", id(part, "vault"), asked, properties);
    sheet.add(&regional(site), vault.keep(Keep::Retain))
}

/// What is backed up, when, for how long, and where copies go.
fn plan(sheet: &mut Sheet<'_>, part: &Part, site: &Site, vault: &Target, protects: &[&Part]) {
    let root = regional(site);
    let asked = sheet.asked(part);
    let kept = days(part, "backup.keep").unwrap_or(KEPT);
    let lifecycle = map! { "DeleteAfterDays" => kept };
    let name = vault_name(sheet, part);
    let to = |region: &str, account: Value| {
        let arn = cat!["arn:", PARTITION, ":backup:", region, ":", account, ":backup-vault:", name.as_str()];
        Value::Map(map! { "DestinationBackupVaultArn" => arn, "Lifecycle" => lifecycle.clone() })
    };
    let wanted = part.sites("backup.sites");
    let takes = |other: &&Site| wanted.as_ref().is_none_or(|sites| sites.contains(&other.id));
    let others: Vec<&str> = sheet.peers(part, site).into_iter().filter(takes).map(aws_region).collect();
    let mut copies: Vec<Value> = others.into_iter().map(|region| to(region, ACCOUNT)).collect();
    copies.extend(part.text("backup.account").map(|account| to(aws_region(site), account.into())));
    // Continuous backups end after 35 days (AWS Backup Developer Guide, "Continuous backups and point-in-time restore").
    let continuous = part.bool("backup.point_in_time") == Some(true) && kept <= 35;
    let rule = map! {
        "RuleName" => "all",
        "TargetBackupVault" => vault.get(),
        "ScheduleExpression" => cron(part),
        "StartWindowMinutes" => 60,
        "CompletionWindowMinutes" => (WITHIN_HOURS - 1) * 60,
        "Lifecycle" => lifecycle.clone(),
        "EnableContinuousBackup" => continuous,
    };
    let rule = rule.with_some("CopyActions", (!copies.is_empty()).then_some(copies));
    let plan = map! { "BackupPlanName" => vault_name(sheet, part), "BackupPlanRule" => list![rule] };
    let properties = map! { "BackupPlan" => plan, "BackupPlanTags" => sheet.tag_map(Some(part)) };
    let plan = Resource::new(Group::Data, "AWS::Backup::BackupPlan", id(part, "plan"), asked.clone(), properties);
    let plan = sheet.add(&root, plan);
    let role = backer(sheet, part, site, protects);
    for protected in protects {
        let here = protected.sites.is_empty() || protected.is_in(&site.id);
        if !here {
            continue;
        }
        let tag = |key: &str, value: &str| {
            Value::Map(map! { "ConditionKey" => format!("aws:ResourceTag/antipode:{key}"), "ConditionValue" => value })
        };
        let tags = list![tag("workload", &sheet.design.workload), tag("component", protected.id.as_str())];
        let selection = map! {
            "SelectionName" => protected.id.as_str(), "IamRoleArn" => role.att("Arn"), "Resources" => list!["*"],
            "Conditions" => map! { "StringEquals" => tags },
        };
        let properties = map! { "BackupPlanId" => plan.get(), "BackupSelection" => selection };
        let id = id(part, &format!("selection {}", protected.id));
        sheet.add(&root, Resource::new(Group::Data, "AWS::Backup::BackupSelection", id, asked.clone(), properties));
    }
}

/// Who makes backups, and restores them.
fn backer(sheet: &mut Sheet<'_>, part: &Part, site: &Site, protects: &[&Part]) -> Target {
    let mut managed =
        vec!["service-role/AWSBackupServiceRolePolicyForBackup", "service-role/AWSBackupServiceRolePolicyForRestores"];
    if protects.iter().any(|protected| protected.kind.name == "aws.s3") {
        managed.extend(["AWSBackupServiceRolePolicyForS3Backup", "AWSBackupServiceRolePolicyForS3Restore"]);
    }
    role::service_role(sheet, part, site, (Group::Data, "backup"), "backup.amazonaws.com", &managed, Vec::new())
}

/// Hours from one backup to the next.
pub fn hours(part: &Part) -> u64 {
    let hours = part.duration("backup.every").map_or(24, |every| every.as_secs() / 3600).max(1);
    match hours {
        1..=12 => (1..=hours).rev().find(|n| 24 % n == 0).unwrap_or(1),
        13..=47 => 24,
        48..=335 => 7 * 24,
        _ => 31 * 24,
    }
}

/// When a backup is made: each so many hours, or once in a day, a week, a month.
fn cron(part: &Part) -> String {
    match hours(part) {
        hours @ 1..=12 => format!("cron(0 0/{hours} ? * * *)"),
        13..=47 => "cron(0 3 ? * * *)".to_owned(),
        48..=335 => "cron(0 3 ? * 1 *)".to_owned(),
        _ => "cron(0 3 1 * ? *)".to_owned(),
    }
}
