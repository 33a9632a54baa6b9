//! Aurora: a cluster over the zones of a region, and a global database with a cluster in each region.
//!
//! Which cluster writes is the service's own state, and a switchover moves it without any template. Only at the very
//! first is there a difference: the first cluster is made with a user and a password, and the others join it. Where that
//! was is a parameter that nobody changes again.

use model::Part;
use model::design::Site;

use super::{backup, database, id};
use crate::resource::{Condition, Keep, Resource, Target, Test};
use crate::root::{Group, Root};
use crate::services::guard::{kms, secrets};
use crate::services::{network, peers};
use crate::sheet::{Sheet, regional};
use crate::value::{Map, Value};
use crate::{list, map, names};

/// The least that `rds.global_db_rpo` takes, seconds (Amazon Aurora User Guide, "Managing RPOs for Aurora
/// PostgreSQL–based global databases").
const LEAST_RPO: u64 = 20;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    bound(sheet, part);
    let password = secrets::master(sheet, part, database::FIRST_USER);
    for site in sheet.sites(part) {
        one(sheet, part, site, &password);
    }
    backup::of(sheet, part);
    if global(sheet, part) {
        sheet.note(
            part,
            "a cluster that was promoted by taking it out of the global database follows nobody, and the others are left with what they had",
            format!(
                "prefer a managed failover: aws rds failover-global-cluster --global-cluster-identifier {} --allow-data-loss --target-db-cluster-identifier ARN, in the region that is promoted; after a detachment the old clusters are deleted by hand, with a last snapshot, and joined anew",
                global_name(sheet, part)
            ),
        );
    }
}

/// Whether its clusters are members of one global database.
fn global(sheet: &Sheet<'_>, part: &Part) -> bool {
    part.kind.name == "aws.aurora-global" && sheet.sites(part).len() > 1
}

fn bound(sheet: &mut Sheet<'_>, part: &Part) {
    let path = format!("components.{}.rpo_bound", part.id);
    let Some(bound) = part.duration("rpo_bound") else { return };
    if database::cluster_engine(part).name != "aurora-postgresql" {
        sheet.problem(&path, "only Aurora PostgreSQL lets its writer wait for a copy", "leave `rpo_bound` out");
    } else if bound.as_secs() < LEAST_RPO {
        sheet.problem(&path, "the writer cannot be made to wait for less than 20s", "say 20s or more");
    }
}

/// The name of the cluster of a region: what its metrics have.
pub fn identifier(sheet: &Sheet<'_>, part: &Part, site: &Site) -> String {
    match (crate::services::physical(part, site), sheet.renders(part)) {
        (Some(given), true) => names::lettered(names::physical([given.as_str()], 50)),
        (Some(given), false) => given,
        (None, _) => sheet.named([part.id.as_str(), site.id.as_str()], 50),
    }
}

/// The name of the global database.
pub fn global_name(sheet: &Sheet<'_>, part: &Part) -> String {
    sheet.named([part.id.as_str()], 60)
}

fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site, password: &str) {
    let root = regional(site);
    let (began, stands) = match global(sheet, part) {
        true => {
            let began = began(sheet, part, site, &root);
            let others = peers::stand(sheet, &root, part);
            let test = Test::Or(vec![began.test.clone(), others.test]);
            (Some(began), Some(Condition { name: id(part, "stands"), test }))
        }
        false => (None, None),
    };
    let asked = sheet.asked(part);
    let properties = properties(sheet, part, site, began.as_ref(), password);
    let mut cluster = Resource::new(Group::Data, "AWS::RDS::DBCluster", id(part, "cluster"), asked.clone(), properties)
        .keep(Keep::Retain);
    if let Some(home) = peers::home(sheet, part) {
        cluster = cluster.after(sheet.target(&regional(home), id(part, "master secret")));
    }
    cluster.condition = stands.clone();
    let cluster = sheet.add(&root, cluster);
    if let Some(began) = &began {
        let properties = map! {
            "GlobalClusterIdentifier" => global_name(sheet, part),
            // Its own name, not its ARN: CloudFormation takes the latter for nothing.
            "SourceDBClusterIdentifier" => cluster.get(),
            "DeletionProtection" => true,
        };
        let whole =
            Resource::new(Group::Data, "AWS::RDS::GlobalCluster", id(part, "global database"), asked, properties);
        sheet.add(&root, whole.keep(Keep::Retain).only_if(began.clone()));
    }
    instances(sheet, part, site, &cluster, stands.as_ref());
    database::record(sheet, part, site, cluster.att("Endpoint.Address"), stands);
}

fn began(sheet: &mut Sheet<'_>, part: &Part, site: &Site, root: &Root) -> Condition {
    let here = peers::first_writer(sheet, part).as_ref() == Some(&site.id);
    let about =
        format!("Where the first cluster of {} was made: `here`, or `elsewhere`. Never changed again.", part.id);
    let value = sheet.state(root, &id(part, "began"), &about, if here { "here" } else { "elsewhere" });
    Condition::equal(id(part, "began here"), value, "here")
}

fn properties(sheet: &mut Sheet<'_>, part: &Part, site: &Site, began: Option<&Condition>, password: &str) -> Map {
    let engine = database::cluster_engine(part);
    let first = |value: Value| match began {
        Some(began) => Value::when(began.clone(), value),
        None => value,
    };
    let joins = began.map(|began| Value::either(began.clone(), crate::value::NO_VALUE, global_name(sheet, part)));
    let password = format!("{{{{resolve:secretsmanager:{password}:SecretString:password}}}}");
    let firewall = database::firewall(sheet, part, site, engine.port);
    let logs: Vec<Value> = engine.logs.iter().map(|log| Value::from(*log)).collect();
    map! { "DBClusterIdentifier" => identifier(sheet, part, site) }
        .with_some("GlobalClusterIdentifier", joins)
        .with("Engine", engine.name)
        .with("EngineVersion", database::version(sheet, part, site, engine))
        .with("MasterUsername", first(database::FIRST_USER.into()))
        .with("MasterUserPassword", first(password.into()))
        .with("StorageEncrypted", true)
        .with("KmsKeyId", kms::key(sheet, part, site))
        .with("DBSubnetGroupName", database::subnets(sheet, part, site).get())
        .with("VpcSecurityGroupIds", list![firewall.att("GroupId")])
        .with("DBClusterParameterGroupName", parameters(sheet, part, site))
        .with("BackupRetentionPeriod", database::backup_days(part))
        .with("CopyTagsToSnapshot", true)
        .with("DeletionProtection", true)
        .with("EnableIAMDatabaseAuthentication", true)
        .with("EnableCloudwatchLogsExports", logs)
        .with("Tags", sheet.tags(Some(part)))
}

/// Nobody connects in the clear; and the writer waits when the copies are too far behind, if the spec says so.
fn parameters(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    let engine = database::cluster_engine(part);
    let version = part.text("version").unwrap_or(engine.version);
    let (family, tls) = match engine.name {
        "aurora-mysql" => (
            format!("aurora-mysql{}", version.get(..3).unwrap_or(version)),
            map! { "require_secure_transport" => "ON" },
        ),
        name => (format!("{name}{}", version.split('.').next().unwrap_or(version)), map! { "rds.force_ssl" => "1" }),
    };
    let bound = part.duration("rpo_bound").map(|bound| bound.as_secs().to_string());
    let properties = map! {
        "Family" => family, "Description" => format!("How {} works", part.id),
        "Parameters" => tls.with_some("rds.global_db_rpo", bound), "Tags" => sheet.tags(Some(part)),
    };
    let asked = sheet.asked(part);
    let group =
        Resource::new(Group::Data, "AWS::RDS::DBClusterParameterGroup", id(part, "parameters"), asked, properties);
    sheet.add(&regional(site), group).get()
}

/// Two or more over the zones; none where only the storage is kept.
fn instances(sheet: &mut Sheet<'_>, part: &Part, site: &Site, cluster: &Target, stands: Option<&Condition>) {
    let root = regional(site);
    let here = part.at(&site.id);
    if here.bool("headless") == Some(true) {
        return sheet.note(
            part,
            format!("in {} it has storage and no instance", site.id),
            format!(
                "a recovery there makes the first: aws rds create-db-instance --db-cluster-identifier {0} --db-instance-identifier {0}-1 --engine {1} --db-instance-class CLASS",
                identifier(sheet, part, site),
                database::cluster_engine(part).name
            ),
        );
    }
    let about = format!("The class of the instances of {} in this region.", part.id);
    let class = here.text("usage.class").unwrap_or("db.r6g.large").to_owned();
    let class = sheet.setting(&root, &id(part, "class"), &about, class);
    let monitored = database::monitoring(sheet, part, site).att("Arn");
    let key = kms::key(sheet, part, site);
    let zones = network::zones(site);
    let count = here.count("usage.instances").unwrap_or(2).clamp(1, 15);
    for n in 1..=count {
        let zone = &zones[usize::try_from(n - 1).unwrap_or(0) % zones.len()];
        let properties = map! {
            "DBInstanceIdentifier" => format!("{}-{n}", identifier(sheet, part, site)),
            "DBClusterIdentifier" => cluster.get(),
            "Engine" => database::cluster_engine(part).name,
            "DBInstanceClass" => class.clone(),
            "AvailabilityZone" => crate::cat![crate::value::REGION, zone],
            "PubliclyAccessible" => false,
            "AutoMinorVersionUpgrade" => true,
            "EnablePerformanceInsights" => true,
            "PerformanceInsightsKMSKeyId" => key.clone(),
            "MonitoringInterval" => 60,
            "MonitoringRoleArn" => monitored.clone(),
            "Tags" => sheet.tags(Some(part)),
        };
        let id = id(part, &format!("instance {n}"));
        let asked = sheet.asked(part);
        let mut instance = Resource::new(Group::Data, "AWS::RDS::DBInstance", id, asked, properties).keep(Keep::Retain);
        instance.condition = stands.cloned();
        sheet.add(&root, instance);
    }
}
