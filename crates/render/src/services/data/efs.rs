//! File systems: one in each region, the one that is written copied to the other.
//!
//! Two file systems cannot copy to each other, and which of them is written is a role. So each region has its own, with its
//! mount targets and its firewall, and whether it copies, and to which, is a parameter that recoveries change. Nothing is
//! replaced by it (Amazon EFS User Guide, "Replicating file systems": replication to an existing file system).

use model::Part;
use model::design::Site;

use super::{backup, database, id};
use crate::resource::{Condition, Given, Keep, Parameter, Resource, Target};
use crate::root::Group;
use crate::services::guard::kms;
use crate::services::{network, peers, role};
use crate::sheet::{Sheet, aws_region, parameter, regional};
use crate::value::{Map, Value};
use crate::{list, map};

/// NFS.
const PORT: u16 = 2049;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    for site in sheet.sites(part) {
        one(sheet, part, site);
    }
    if part.word("replication").is_none() && sheet.sites(part).len() > 1 {
        let says = "nobody said whether it is copied to its other regions: it is, and recoveries restore a backup of it all the same";
        sheet.note(part, says, "say `replication: asynchronous`, which a recovery promotes, or `none`");
    }
    joined(sheet, part);
    backup::of(sheet, part);
}

fn copied(part: &Part) -> bool {
    part.word("replication") != Some("none")
}

/// Its id in a region, which its metrics have.
pub fn file_system(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    if sheet.renders(part) {
        return sheet.target(&regional(site), id(part, "file system")).get();
    }
    match crate::services::physical(part, site) {
        Some(given) => given.into(),
        None => {
            let how = format!(
                "aws efs describe-file-systems --region {} --query 'FileSystems[].FileSystemId'",
                aws_region(site)
            );
            let about = format!("The file system {} of this region.", part.id);
            sheet.ask(&regional(site), &id(part, "file system"), &about, how)
        }
    }
}

fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let root = regional(site);
    let asked = sheet.asked(part);
    let properties = map! {
        "Encrypted" => true,
        "KmsKeyId" => kms::key(sheet, part, site),
        "PerformanceMode" => "generalPurpose",
        "ThroughputMode" => "elastic",
        "BackupPolicy" => map! { "Status" => "ENABLED" },
        "LifecyclePolicies" => list![
            map! { "TransitionToIA" => "AFTER_30_DAYS" },
            map! { "TransitionToPrimaryStorageClass" => "AFTER_1_ACCESS" },
        ],
        "FileSystemPolicy" => policy(),
    };
    let other = sheet.peers(part, site).into_iter().next().filter(|_| copied(part));
    let properties = match other {
        Some(other) => {
            copy(sheet, part, site, other).0.into_iter().fold(properties, |map, (key, value)| map.with(key, value))
        }
        None => properties,
    };
    let properties = properties.with("FileSystemTags", sheet.tags(Some(part)));
    let files = Resource::new(Group::Data, "AWS::EFS::FileSystem", id(part, "file system"), asked, properties);
    let files = sheet.add(&root, files.keep(Keep::Retain));
    mount_targets(sheet, part, site, &files);
}

/// Whether it copies to the other region's, and whether a copy may write over it.
fn copy(sheet: &mut Sheet<'_>, part: &Part, site: &Site, other: &Site) -> Map {
    let root = regional(site);
    let about = format!(
        "The file system that {} of this region is copied to in {}; empty: it is not.",
        part.id,
        aws_region(other)
    );
    let to = sheet.state(&root, &id(part, "copied to"), &about, "");
    let copies = Condition::given(id(part, "is copied"), to.clone());
    let written = peers::first_writer(sheet, part).as_ref() == Some(&site.id);
    let about = format!(
        "Whether {} of this region is kept from being written over by a copy: ENABLED where it is written.",
        part.id
    );
    let at_first = Given::AtFirst(if written { "ENABLED" } else { "DISABLED" }.to_owned());
    let protection = parameter(&id(part, "protection"), "String", &about, at_first);
    let allowed = vec!["ENABLED".to_owned(), "DISABLED".to_owned()];
    let protection = sheet.parameter(&root, Parameter { allowed, ..protection });
    let destination = map! { "FileSystemId" => to, "Region" => aws_region(other) };
    map! {
        "FileSystemProtection" => map! { "ReplicationOverwriteProtection" => protection },
        "ReplicationConfiguration" => Value::when(copies, map! { "Destinations" => list![destination] }),
    }
}

/// Mounted over TLS, and through a mount target only.
fn policy() -> Map {
    let account = map! { "AWS" => "*" };
    let mount = map! {
        "Sid" => "Mounted", "Effect" => "Allow", "Principal" => account.clone(),
        "Action" => list!["elasticfilesystem:ClientMount", "elasticfilesystem:ClientRootAccess", "elasticfilesystem:ClientWrite"],
        "Condition" => map! { "Bool" => map! { "elasticfilesystem:AccessedViaMountTarget" => "true" } },
    };
    let tls = map! {
        "Sid" => "TlsOnly", "Effect" => "Deny", "Principal" => account, "Action" => "*",
        "Condition" => map! { "Bool" => map! { "aws:SecureTransport" => "false" } },
    };
    role::policy(vec![mount.into(), tls.into()])
}

fn mount_targets(sheet: &mut Sheet<'_>, part: &Part, site: &Site, files: &Target) {
    let firewall = database::firewall(sheet, part, site, PORT);
    let subnets = network::private_subnets(sheet, site);
    for (n, zone) in network::zones(site).iter().enumerate() {
        let subnet = match &subnets {
            Value::List(subnets) => subnets[n].clone(),
            given => Value::Select(u8::try_from(n).unwrap_or(u8::MAX), Box::new(given.clone())),
        };
        let properties = map! { "FileSystemId" => files.get(), "SubnetId" => subnet, "SecurityGroups" => list![firewall.att("GroupId")] };
        let asked = sheet.asked(part);
        let id = id(part, &format!("mount target {zone}"));
        sheet.add(&regional(site), Resource::new(Group::Data, "AWS::EFS::MountTarget", id, asked, properties));
    }
}

/// How the copy is begun, and turned round.
fn joined(sheet: &mut Sheet<'_>, part: &Part) {
    let sites = sheet.sites(part);
    if !copied(part) || sites.len() < 2 {
        return;
    }
    let (to, protection) = (id(part, "copied to"), id(part, "protection"));
    sheet.note(
        part,
        "a file system copies to another when both stand: the region that writes is told the other's",
        format!("deploy the region that writes with {to}=FILE_SYSTEM of the other (its stack says it), once"),
    );
    sheet.note(
        part,
        "a copy that was promoted is written, and what it came from keeps what only it has until it is written over",
        format!("the way back: export what only the old one has, then deploy the old region with {to}= and {protection}=DISABLED, and the promoted one with {protection}=ENABLED and {to}=FILE_SYSTEM of the old"),
    );
    if sites.len() > 2 {
        sheet.note(
            part,
            "a file system copies to one other only",
            "each further region takes its copy from AWS Backup: an aws.backup component that protects it",
        );
    }
    for site in sites {
        let files = sheet.target(&regional(site), id(part, "file system")).get();
        sheet.output(
            &regional(site),
            id(part, "file system"),
            format!("The file system {} of this region", part.id),
            files,
        );
    }
}
