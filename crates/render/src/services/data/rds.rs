//! A relational database of one region, over two zones, with a replica of it in each other region.
//!
//! A replica that is promoted is another database, and what it came from follows nobody any more: RDS has no way to make
//! one of the other again (Amazon RDS User Guide, "Promoting a read replica"). So instances are named by generation. Which
//! generation serves in a region, and whom it follows, are parameters that deployments leave as they are: the way back is a
//! new generation that follows the promoted one, beside the old one, which stays until somebody deletes it.

use model::Part;
use model::design::Site;

use super::{backup, database, gibibytes, id};
use crate::resource::{Condition, Keep, Resource, Test};
use crate::root::Group;
use crate::services::guard::{kms, secrets};
use crate::services::peers;
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{ACCOUNT, Map, NO_VALUE, PARTITION, Value};
use crate::{cat, list, map, names};

/// Gibibytes, when the spec says nothing: the least that RDS takes of gp3.
const LEAST_STORAGE: u64 = 20;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) || !says_whether_copied(sheet, part) {
        return;
    }
    let password = secrets::master(sheet, part, database::FIRST_USER);
    for site in sheet.sites(part) {
        one(sheet, part, site, &password);
    }
    left_behind(sheet, part);
    backup::of(sheet, part);
}

/// Whether the spec says of a database in several regions that it is copied, or is not: a recovery promotes the copy, or
/// restores a backup, by that word and no other.
fn says_whether_copied(sheet: &mut Sheet<'_>, part: &Part) -> bool {
    if part.word("replication").is_some() || sheet.sites(part).len() < 2 {
        return true;
    }
    let path = format!("components.{}.replication", part.id);
    let says = format!("nobody said whether `{}` is copied to its other regions", part.id);
    sheet.problem(
        &path,
        says,
        "say `replication: asynchronous`, which a recovery promotes, or `none`, and it restores a backup",
    );
    false
}

/// What a region has at the moment: parameters that recoveries change.
struct State {
    /// Such as `2`.
    generation: Value,
    /// That it follows another region's.
    follows: Condition,
    source_region: Value,
    source: Value,
    /// That it can be, or has to be, there.
    stands: Condition,
}

fn state(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> State {
    let root = regional(site);
    let first = peers::first_writer(sheet, part);
    let writes = first.as_ref() == Some(&site.id);
    let from = first.filter(|_| !writes && copied(part)).and_then(|id| sheet.design.site(&id));
    let about =
        format!("Which generation of {} serves in this region. Another one is another database beside it.", part.id);
    let generation = sheet.state(&root, &id(part, "generation"), &about, "1");
    let about = format!(
        "The region that {} follows here; empty when it follows none. As it was when this generation was made.",
        part.id
    );
    let source_region = sheet.state(&root, &id(part, "source region"), &about, from.map_or("", aws_region));
    let about = format!("The database in that region that {} follows here.", part.id);
    let source = from.map_or_else(String::new, |from| format!("{}-g1", base(sheet, part, from)));
    let source = sheet.state(&root, &id(part, "source"), &about, source);
    let follows = Condition::given(id(part, "follows"), source_region.clone());
    let stands = match copied(part) {
        true => {
            let others = peers::stand(sheet, &root, part);
            let alone = Test::Not(Box::new(follows.test.clone()));
            Condition { name: id(part, "stands"), test: Test::Or(vec![others.test, alone]) }
        }
        // Not copied: it stands where the workload is, and is restored elsewhere when it has to be.
        false => {
            let about = format!("Whether {} stands in this region: `yes`, or `no` until it is restored here.", part.id);
            let here = sheet.state(&root, &id(part, "here"), &about, if writes { "yes" } else { "no" });
            Condition::equal(id(part, "stands"), here, "yes")
        }
    };
    State { generation, follows, source_region, source, stands }
}

fn copied(part: &Part) -> bool {
    part.word("replication") != Some("none")
}

/// The name of its instances in a region, without the generation.
fn base(sheet: &Sheet<'_>, part: &Part, site: &Site) -> String {
    let given = crate::services::physical(part, site);
    given.map_or_else(
        || sheet.named([part.id.as_str()], 50),
        |given| names::lettered(names::physical([given.as_str()], 50)),
    )
}

/// Whether a lag is to be seen in a region: of what follows another, until it was promoted. Which one it was made after
/// stays said, or the instance would be made anew; so a promotion says its generation, and the next one is looked at again.
pub fn lags(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Condition {
    let state = state(sheet, part, site);
    let about =
        format!("Which generation of {} was promoted in this region, and follows nobody any more; 0: none.", part.id);
    let promoted = sheet.state(&regional(site), &id(part, "promoted"), &about, "0");
    let follows = Test::Not(Box::new(Test::Equal(state.generation, promoted)));
    Condition { name: id(part, "lags"), test: Test::And(vec![state.follows.test, follows]) }
}

/// The identifier of the instance that serves in a region: what its metrics have.
pub fn identifier(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    match sheet.renders(part) {
        true => cat![base(sheet, part, site), "-g", state(sheet, part, site).generation],
        false => crate::services::physical(part, site).unwrap_or_else(|| part.id.to_string()).into(),
    }
}

fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site, password: &str) {
    let root = regional(site);
    let state = state(sheet, part, site);
    let properties = properties(sheet, part, site, &state, password);
    let asked = sheet.asked(part);
    let mut instance = Resource::new(Group::Data, "AWS::RDS::DBInstance", id(part, "instance"), asked, properties)
        .keep(Keep::Retain)
        .only_if(state.stands.clone())
        .excused("CKV_AWS_16", "it is encrypted; a replica, which may not say so, always is when its source is");
    if let Some(home) = peers::home(sheet, part) {
        instance = instance.after(sheet.target(&regional(home), id(part, "master secret")));
    }
    if !database::engine(part).by_role {
        instance = instance.excused("CKV_AWS_161", "the engine cannot let a user in by a role");
    }
    let instance = sheet.add(&root, instance);
    database::record(sheet, part, site, instance.att("Endpoint.Address"), Some(state.stands));
}

/// All that its instance is made with. What a replica takes from its source is left out of it.
fn properties(sheet: &mut Sheet<'_>, part: &Part, site: &Site, state: &State, password: &str) -> Map {
    let root = regional(site);
    let engine = database::engine(part);
    let own = |value: Value| Value::either(state.follows.clone(), NO_VALUE, value);
    let source =
        cat!["arn:", PARTITION, ":rds:", state.source_region.clone(), ":", ACCOUNT, ":db:", state.source.clone()];
    let storage = storage(part);
    let class = part.at(&site.id).text("usage.class").unwrap_or(smallest(engine.name));
    let about = format!("The class of the instances of {} in this region.", part.id);
    let class = sheet.setting(&root, &id(part, "class"), &about, class);
    let key = kms::key(sheet, part, site);
    let firewall = database::firewall(sheet, part, site, engine.port);
    let logs: Vec<Value> = engine.logs.iter().map(|log| Value::from(*log)).collect();
    let password = format!("{{{{resolve:secretsmanager:{password}:SecretString:password}}}}");
    let monitored = database::monitoring(sheet, part, site).att("Arn");
    // A major version too (API reference, "ModifyDBInstance"), where somebody wrote it down: what is usual when nobody does may
    // be another one some day.
    let major = part.text("version").map(|_| true);
    let properties = map! {
        "DBInstanceIdentifier" => cat![base(sheet, part, site), "-g", state.generation.clone()],
        "SourceDBInstanceIdentifier" => Value::when(state.follows.clone(), source),
        "SourceRegion" => Value::when(state.follows.clone(), state.source_region.clone()),
        "Engine" => own(engine.name.into()),
        "EngineVersion" => own(database::version(sheet, part, site, engine)),
        "LicenseModel" => own(license(engine.name).into()),
        "MasterUsername" => own(database::FIRST_USER.into()),
        "MasterUserPassword" => own(password.into()),
        "DBInstanceClass" => class,
        "AllocatedStorage" => own(storage.to_string().into()),
        "MaxAllocatedStorage" => storage * 4,
        "StorageType" => "gp3",
        "StorageEncrypted" => own(true.into()),
        "KmsKeyId" => key.clone(),
        "MultiAZ" => part.bool("zones_spread").unwrap_or(true),
        "DBSubnetGroupName" => database::subnets(sheet, part, site).get(),
        "VPCSecurityGroups" => list![firewall.att("GroupId")],
        "DBParameterGroupName" => parameters(sheet, part, site),
        "PubliclyAccessible" => false,
        "BackupRetentionPeriod" => database::backup_days(part),
        "DeleteAutomatedBackups" => false,
        "CopyTagsToSnapshot" => true,
        "DeletionProtection" => true,
        "AutoMinorVersionUpgrade" => true,
        "EnableIAMDatabaseAuthentication" => engine.by_role,
        "EnableCloudwatchLogsExports" => logs,
        "EnablePerformanceInsights" => true,
        "PerformanceInsightsKMSKeyId" => key,
        "MonitoringInterval" => 60,
        "MonitoringRoleArn" => monitored,
    };
    properties.with_some("AllowMajorVersionUpgrade", major).with("Tags", sheet.tags(Some(part)))
}

/// What is taken when the spec says nothing. Commercial engines have no Graviton, and their dearer editions no small ones.
fn smallest(engine: &str) -> &'static str {
    match engine {
        "oracle-ee" => "db.m5.large",
        "sqlserver-ee" => "db.m5.xlarge",
        _ => "db.t4g.medium",
    }
}

/// Gibibytes that it begins with.
pub fn storage(part: &Part) -> u64 {
    gibibytes(part, "size").unwrap_or(LEAST_STORAGE).max(LEAST_STORAGE)
}

fn license(engine: &str) -> &'static str {
    match engine {
        "postgres" => "postgresql-license",
        "oracle-ee" => "bring-your-own-license",
        "sqlserver-ee" => "license-included",
        _ => "general-public-license",
    }
}

/// Its parameters: nobody connects in the clear.
fn parameters(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    let engine = database::engine(part);
    let version = part.text("version").unwrap_or(engine.version);
    let family = match engine.name {
        "postgres" => format!("postgres{}", version.split('.').next().unwrap_or(version)),
        "sqlserver-ee" => format!("sqlserver-ee-{}.0", version.split('.').next().unwrap_or(version)),
        "oracle-ee" => format!("oracle-ee-{}", version.split('.').next().unwrap_or(version)),
        name => format!("{name}{}", version.split('.').take(2).collect::<Vec<&str>>().join(".")),
    };
    let tls = engine.tls.map(|parameter| map! { parameter => "1" });
    let properties = map! { "Family" => family, "Description" => format!("How {} works", part.id) }
        .with_some("Parameters", tls)
        .with("Tags", sheet.tags(Some(part)));
    let asked = sheet.asked(part);
    let group = Resource::new(Group::Data, "AWS::RDS::DBParameterGroup", id(part, "parameters"), asked, properties);
    sheet.add(&regional(site), group).get()
}

/// What a promotion leaves, and who deletes it.
fn left_behind(sheet: &mut Sheet<'_>, part: &Part) {
    if !copied(part) || sheet.sites(part).len() < 2 {
        return;
    }
    let [generation, region, source] = ["generation", "source region", "source"].map(|what| id(part, what));
    sheet.note(
        part,
        "a promoted replica is another database: what it came from is fenced, follows nobody, and stays with what only it has until it is deleted by hand",
        format!(
            "the way back, in the region that was left, as the page of the return has it before its steps: bash deploy.sh LEFT --set {generation}=2 --set {region}=PROMOTED_REGION --set {source}=PROMOTED_INSTANCE makes a new generation that follows the promoted one; leave {region} and {source} of the promoted region as they are"
        ),
    );
    let first = peers::first_writer(sheet, part).and_then(|id| sheet.design.site(&id));
    let Some(first) = first else { return };
    let old = format!("{}-g1", base(sheet, part, first));
    let region = aws_region(first);
    sheet.note(
        part,
        "a later clean-up deletes the old generation, and nothing else does: after its rows that nobody else has were exported, and the new generation was checked",
        format!(
            "aws rds modify-db-instance --db-instance-identifier {old} --no-deletion-protection --apply-immediately --region {region}; aws rds delete-db-instance --db-instance-identifier {old} --final-db-snapshot-identifier {old}-last --no-delete-automated-backups --region {region} # {old} after the first failover"
        ),
    );
}
