//! Caches: a group over two zones in each region, and a Global Datastore over regions if the spec says that it is copied.

use model::Part;
use model::design::Site;

use super::{database, id};
use crate::resource::{Condition, Resource, Test};
use crate::root::Group;
use crate::services::guard::kms;
use crate::services::{network, peers};
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{NO_VALUE, Value};
use crate::{list, map, names};

const PORT: u16 = 6379;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    for site in sheet.sites(part) {
        one(sheet, part, site);
    }
    if copied(sheet, part) {
        let first = peers::first_writer(sheet, part).and_then(|id| sheet.design.site(&id)).map_or("REGION", aws_region);
        sheet.note(
            part,
            "AWS chooses the first letters of a Global Datastore's name, so the other regions are told it",
            format!(
                "deploy each other region with {}=$(aws elasticache describe-global-replication-groups --region {first} --query 'GlobalReplicationGroups[].GlobalReplicationGroupId' --output text)",
                id(part, "datastore")
            ),
        );
        sheet.note(
            part,
            "the class of a Global Datastore is changed as a whole, and by no template",
            format!("aws elasticache modify-global-replication-group --region {first} --global-replication-group-id ID --cache-node-type CLASS --apply-immediately"),
        );
    }
}

fn copied(sheet: &Sheet<'_>, part: &Part) -> bool {
    part.word("replication") == Some("asynchronous") && sheet.sites(part).len() > 1
}

/// The name of the group of a region, which its metrics begin with.
pub fn group(sheet: &Sheet<'_>, part: &Part, site: &Site) -> String {
    match (crate::services::physical(part, site), sheet.renders(part)) {
        (Some(given), true) => names::lettered(names::physical([given.as_str()], 39)),
        (Some(given), false) => given,
        (None, _) => sheet.named([part.id.as_str(), site.id.as_str()], 40),
    }
}

fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let root = regional(site);
    let asked = sheet.asked(part);
    let subnets = map! {
        "Description" => format!("Where {} stands", part.id), "SubnetIds" => network::private_subnets(sheet, site),
        "Tags" => sheet.tags(Some(part)),
    };
    let subnets =
        Resource::new(Group::Data, "AWS::ElastiCache::SubnetGroup", id(part, "subnet group"), asked.clone(), subnets);
    let subnets = sheet.add(&root, subnets);
    let copied = copied(sheet, part);
    let began = copied.then(|| {
        let here = peers::first_writer(sheet, part).as_ref() == Some(&site.id);
        let about =
            format!("Where the first group of {} was made: `here`, or `elsewhere`. Never changed again.", part.id);
        let value = sheet.state(&root, &id(part, "began"), &about, if here { "here" } else { "elsewhere" });
        Condition::equal(id(part, "began here"), value, "here")
    });
    let first = |value: Value| match &began {
        Some(began) => Value::when(began.clone(), value),
        None => value,
    };
    // A Global Datastore takes no class smaller than this (Amazon ElastiCache User Guide, "Global datastores: prerequisites").
    let class =
        part.at(&site.id).text("usage.class").unwrap_or(if copied { "cache.m6g.large" } else { "cache.t4g.small" });
    // Of a member it is never changed again: AWS takes that of the Global Datastore only.
    let class: Value = match copied {
        true => {
            let about = format!("The class of {} when it was made; since then its Global Datastore says it.", part.id);
            sheet.state(&root, &id(part, "class"), &about, class)
        }
        false => class.into(),
    };
    let firewall = database::firewall(sheet, part, site, PORT);
    let joins = began.clone().map(|began| {
        let about = format!("The Global Datastore that {} of this region joins.", part.id);
        let name = sheet.state(&root, &id(part, "datastore"), &about, "");
        let known = Condition::given(id(part, "datastore is known"), name.clone());
        let test = Test::Or(vec![began.test.clone(), known.test]);
        (Value::either(began, NO_VALUE, name), Condition { name: id(part, "stands"), test })
    });
    let properties = map! {
        "ReplicationGroupId" => group(sheet, part, site),
        "ReplicationGroupDescription" => format!("{} of {}", part.id, sheet.design.workload),
    };
    let properties = properties
        .with_some("GlobalReplicationGroupId", joins.as_ref().map(|(name, _)| name.clone()))
        .with("Engine", first("valkey".into()))
        .with("CacheNodeType", first(class))
        .with("NumCacheClusters", 2)
        .with("AutomaticFailoverEnabled", true)
        .with("MultiAZEnabled", true)
        .with("AutoMinorVersionUpgrade", true)
        .with("AtRestEncryptionEnabled", first(true.into()))
        .with("TransitEncryptionEnabled", first(true.into()))
        .with("KmsKeyId", kms::key(sheet, part, site))
        .with("CacheSubnetGroupName", subnets.get())
        .with("SecurityGroupIds", list![firewall.att("GroupId")])
        .with("SnapshotRetentionLimit", database::backup_days(part))
        .with("Tags", sheet.tags(Some(part)));
    let mut cache =
        Resource::new(Group::Data, "AWS::ElastiCache::ReplicationGroup", id(part, "group"), asked.clone(), properties)
            .keep(crate::resource::Keep::Snapshot)
            .excused("CKV_AWS_29", "it is encrypted: a copy takes that from what it follows, and may not say it")
            .excused("CKV_AWS_30", "it is encrypted: a copy takes that from what it follows, and may not say it")
            .excused(
                "CKV_AWS_31",
                "it is reached over TLS, from the security groups of those that need it and from nowhere else",
            );
    if copied {
        let inherits = "it is encrypted: the first group says so, and those that join may not say it again";
        cache = cache.excused("CKV_AWS_29", inherits).excused("CKV_AWS_30", inherits);
    }
    cache.condition = joins.map(|(_, stands)| stands);
    let cache = sheet.add(&root, cache);
    if let Some(began) = began {
        let member = map! { "ReplicationGroupId" => cache.get(), "ReplicationGroupRegion" => aws_region(site), "Role" => "PRIMARY" };
        let properties = map! {
            "GlobalReplicationGroupIdSuffix" => sheet.named([part.id.as_str()], 30),
            "GlobalReplicationGroupDescription" => format!("{} of {}, over regions", part.id, sheet.design.workload),
            "AutomaticFailoverEnabled" => true,
            "Members" => list![member],
        };
        let whole = Resource::new(
            Group::Data,
            "AWS::ElastiCache::GlobalReplicationGroup",
            id(part, "global datastore"),
            asked,
            properties,
        );
        sheet.add(&root, whole.keep(crate::resource::Keep::Retain).only_if(began));
    }
}
