//! Who writes, and what else becomes the only one of its sort.

use model::Part;
use model::design::Site;

use super::{Made, SOON, Ways, by_hand, calls, made_as, own, wait, words};
use crate::map;
use crate::runbook::names::{self, Named};
use crate::runbook::{Purpose, Until};
use crate::services::database;
use crate::sheet::{Sheet, aws_region};
use crate::value::Map;

fn until(
    (service, api): (&'static str, &'static str),
    inputs: Map,
    selector: &'static str,
    wanted: &'static [&'static str],
) -> Option<Until> {
    Some(Until { service, api, inputs, selector, wanted })
}

/// A read replica, found by that it follows another.
const REPLICA: &str = "aws rds describe-db-instances --region {region} --query \"DBInstances[?ReadReplicaSourceDBInstanceIdentifier].DBInstanceIdentifier | [0]\" --output text";
const CLUSTER: &str = "aws rds describe-db-clusters --region {region} --query \"DBClusters[?GlobalWriteForwardingStatus || !ReplicationSourceIdentifier].DBClusterIdentifier | [0]\" --output text";

/// Promotes what follows the region that is left, and nothing else: what was promoted before and followed nobody since has the
/// data of then, and so has what still follows a region that was left before. For some seconds after the call it is still said
/// to be available, and follows: `waits` sees the end of that.
fn only_of(from: &str, db: &str, region: &str, waits: &str) -> String {
    let waits: Vec<String> = waits.lines().map(|line| format!("  {line}")).collect();
    [
        format!("follows=$(aws rds describe-db-instances --db-instance-identifier {db} --region {region} --query 'DBInstances[0].ReadReplicaSourceDBInstanceIdentifier' --output text)"),
        "case $follows in".to_owned(),
        format!("*:{from}:*)"),
        format!("  aws rds promote-read-replica --db-instance-identifier {db} --region {region}"),
        waits.join("\n"),
        "  ;;".to_owned(),
        format!("*) echo \"STOP: it follows ${{follows:-nobody}}, and not {from}. Unless this page has just promoted it, its data is old: see the page of the return, and a backup\" ;;"),
        "esac".to_owned(),
    ]
    .join("\n")
}

pub fn promote_replica(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (from, region) = ways.regions();
    let name = own(sheet, ways, REPLICA);
    let parameters = map! { "DBInstanceIdentifier" => name.automated() };
    let db = name.shell();
    let state = format!(
        "aws rds describe-db-instances --db-instance-identifier {db} --region {region} --query 'DBInstances[0].[DBInstanceStatus,ReadReplicaSourceDBInstanceIdentifier]' --output text"
    );
    Made {
        commands: vec![only_of(&from, &db, &region, &wait(&state, "\"$(printf 'available\\tNone')\""))],
        validate: Some(format!(
            "aws rds describe-db-instances --db-instance-identifier {db} --region {region} --query 'DBInstances[0].[DBInstanceStatus,ReadReplicaSourceDBInstanceIdentifier,Endpoint.Address]'"
        )),
        work: calls(
            "rds",
            "PromoteReadReplica",
            parameters.clone(),
            until(("rds", "DescribeDBInstances"), parameters, "$.DBInstances[0].DBInstanceStatus", &["available"]),
        ),
        names: vec![name],
        besides: None,
    }
}

pub fn global_cluster(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (_, region) = ways.regions();
    let cluster = own(sheet, ways, CLUSTER);
    let how = format!(
        "aws rds describe-global-clusters --region {region} --query \"GlobalClusters[?contains(to_string(GlobalClusterMembers), 'cluster:${}')].GlobalClusterIdentifier | [0]\" --output text",
        cluster.variable
    );
    let global = names::found(&words(&ways.part.id, "global"), "the global cluster", &how);
    let account = names::account(sheet, &region);
    let arn = format!("arn:aws:rds:{region}:${}:cluster:${}", account.variable, cluster.variable);
    let target = format!("arn:aws:rds:{region}:{{{{ global:ACCOUNT_ID }}}}:cluster:{{{{ {} }}}}", cluster.parameter);
    let inputs = map! { "GlobalClusterIdentifier" => global.automated(), "TargetDbClusterIdentifier" => target };
    let (verb, api, inputs) = match ways.purpose {
        // Planned: nothing is lost, and it is refused where something would be.
        Purpose::Failback => ("switchover-global-cluster", "SwitchoverGlobalCluster", inputs),
        _ => ("failover-global-cluster --allow-data-loss", "FailoverGlobalCluster", inputs.with("AllowDataLoss", true)),
    };
    let shown = format!(
        "aws rds describe-global-clusters --global-cluster-identifier {} --region {region} --query",
        global.shell()
    );
    let parameters = map! { "GlobalClusterIdentifier" => global.automated() };
    let writer =
        format!("{shown} 'GlobalClusters[0].GlobalClusterMembers[?IsWriter].DBClusterArn | [0]' --output text");
    Made {
        commands: vec![
            format!(
                "aws rds {verb} --global-cluster-identifier {} --target-db-cluster-identifier \"{arn}\" --region {region}",
                global.shell()
            ),
            wait(&writer, &format!("\"{arn}\"")),
        ],
        validate: Some(format!("{shown} 'GlobalClusters[0].[Status,GlobalClusterMembers[?IsWriter].DBClusterArn]'")),
        work: calls(
            "rds",
            api,
            inputs,
            until(("rds", "DescribeGlobalClusters"), parameters, "$.GlobalClusters[0].Status", &["available"]),
        ),
        names: vec![cluster, global, account],
        besides: None,
    }
}

/// The first instance of a cluster that has only its storage.
pub fn first_instance(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (_, region) = ways.regions();
    let cluster = own(sheet, ways, CLUSTER);
    let class = ways.part.at(&ways.to.id).text("usage.class").unwrap_or("db.r6g.large");
    let first = format!("\"${}-1\"", cluster.variable);
    by_hand(
        vec![
            format!(
                "aws rds create-db-instance --db-cluster-identifier {} --db-instance-identifier {first} --engine {} --db-instance-class {class} --region {region}",
                cluster.shell(),
                database::cluster_engine(ways.part).name
            ),
            format!("aws rds wait db-instance-available --db-instance-identifier {first} --region {region}"),
        ],
        Some(format!(
            "aws rds describe-db-instances --db-instance-identifier {first} --region {region} --query 'DBInstances[0].[DBInstanceStatus,DBInstanceClass,Endpoint.Address]'"
        )),
        vec![cluster],
    )
}

pub fn cache(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (_, region) = ways.regions();
    let how = "aws elasticache describe-replication-groups --region {region} --query \"ReplicationGroups[?GlobalReplicationGroupInfo.GlobalReplicationGroupId].ReplicationGroupId | [0]\" --output text";
    let name = own(sheet, ways, how);
    let how = format!(
        "aws elasticache describe-replication-groups --replication-group-id {} --region {region} --query 'ReplicationGroups[0].GlobalReplicationGroupInfo.GlobalReplicationGroupId' --output text",
        name.shell()
    );
    let global = names::found(&words(&ways.part.id, "global"), "the global datastore", &how);
    let inputs = map! {
        "GlobalReplicationGroupId" => global.automated(), "PrimaryRegion" => region.as_str(),
        "PrimaryReplicationGroupId" => name.automated(),
    };
    let command = format!(
        "aws elasticache failover-global-replication-group --global-replication-group-id {} --primary-region {region} --primary-replication-group-id {} --region {region}",
        global.shell(),
        name.shell()
    );
    let shown = format!(
        "aws elasticache describe-global-replication-groups --global-replication-group-id {} --show-member-info --region {region} --query 'GlobalReplicationGroups[0].Members[].[ReplicationGroupRegion,Role,Status]'",
        global.shell()
    );
    let work = calls("elasticache", "FailoverGlobalReplicationGroup", inputs, None);
    Made { commands: vec![command], validate: Some(shown), work, names: vec![name, global], besides: None }
}

pub fn secret(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (_, region) = ways.regions();
    let how = "aws secretsmanager list-secrets --region {region} --filters Key=all,Values={id} --query 'SecretList[0].Name' --output text";
    let name = own(sheet, ways, how);
    let command =
        format!("aws secretsmanager stop-replication-to-replica --secret-id {} --region {region}", name.shell());
    let see = format!(
        "aws secretsmanager describe-secret --secret-id {} --region {region} --query '[ARN,PrimaryRegion]'",
        name.shell()
    );
    let inputs = map! { "SecretId" => name.automated() };
    let work = calls("secretsmanager", "StopReplicationToReplica", inputs, None);
    Made { commands: vec![command], validate: Some(see), work, names: vec![name], besides: None }
}

/// A file system that is copied to can be written when it is copied to no more. In a failover it is told so alone, because
/// the source may not answer (Amazon EFS User Guide, "Deleting a replication configuration").
pub fn files(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (_, region) = ways.regions();
    let how = "aws efs describe-replication-configurations --region {region} --query \"Replications[?Destinations[?Region=='{region}']].Destinations[0].FileSystemId | [0]\" --output text";
    let name = own(sheet, ways, how);
    let how = format!(
        "aws efs describe-replication-configurations --file-system-id {} --region {region} --query 'Replications[0].SourceFileSystemId' --output text",
        name.shell()
    );
    let source = names::found(&words(&ways.part.id, "source"), "the file system that it is copied from", &how);
    let mode = if ways.purpose == Purpose::Failback { "ALL_CONFIGURATIONS" } else { "LOCAL_CONFIGURATION_ONLY" };
    let command = format!(
        "aws efs delete-replication-configuration --source-file-system-id {} --deletion-mode {mode} --region {region}",
        source.shell()
    );
    let see = format!(
        "aws efs describe-file-systems --file-system-id {} --region {region} --query 'FileSystems[0].[LifeCycleState,FileSystemProtection.ReplicationOverwriteProtection]'",
        name.shell()
    );
    let inputs = map! { "SourceFileSystemId" => source.automated(), "DeletionMode" => mode };
    let work = calls("efs", "DeleteReplicationConfiguration", inputs, None);
    Made { commands: vec![command], validate: Some(see), work, names: vec![name, source], besides: None }
}

/// Where a multi-Region key is changed from then on. Decryption works in each region without it.
pub fn key(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (from, region) = ways.regions();
    let alias = crate::services::physical(ways.part, ways.to).filter(|_| !sheet.renders(ways.part));
    let alias = alias.unwrap_or_else(|| format!("alias/{}", sheet.named([ways.part.id.as_str()], 200)));
    let how = format!(
        "aws kms describe-key --key-id {} --region {region} --query KeyMetadata.KeyId --output text",
        names::quoted(&alias)
    );
    let name = names::found(&words(&ways.part.id, "key"), "the key, whose id is the same in every region", &how);
    let command = format!(
        "aws kms update-primary-region --key-id {} --primary-region {region} --region {from} {SOON} || echo 'not reached: the replica here goes on; do it when the region is back'",
        name.shell()
    );
    let see = format!(
        "aws kms describe-key --key-id {} --region {region} --query 'KeyMetadata.[KeyState,MultiRegionConfiguration.MultiRegionKeyType]'",
        name.shell()
    );
    by_hand(vec![command], Some(see), vec![name])
}

/// Those of the component, by the mark that its source servers bear: others of the account are not touched.
pub fn servers(sheet: &Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (_, region) = ways.regions();
    let servers = marked_servers(sheet, ways.part, &region);
    let job = format!("aws drs describe-jobs --filters \"jobIDs=$job\" --region {region} --query");
    by_hand(
        vec![
            format!(
                "[ -n \"${0}\" ] || echo 'STOP: no source server bears the mark: aws drs tag-resource'\njob=$(aws drs start-recovery --source-servers $(printf 'sourceServerID=%s ' ${0}) --region {region} --query job.jobID --output text)",
                servers.variable
            ),
            wait(&format!("{job} 'items[0].status' --output text"), "COMPLETED"),
        ],
        Some(format!(
            "{job} 'items[0].[status,type,endDateTime,participatingServers[].[sourceServerID,launchStatus]]'"
        )),
        vec![servers],
    )
}

/// The source servers of a component in a region.
pub fn marked_servers(sheet: &Sheet<'_>, part: &model::Part, region: &str) -> Named {
    let mark = format!(
        "tags.\"antipode:workload\"==`{}` && tags.\"antipode:component\"==`{}`",
        sheet.design.workload, part.id
    );
    let how = format!(
        "aws drs describe-source-servers --region {region} --query 'items[?{mark}].sourceServerID' --output text"
    );
    names::found(&words(&part.id, "servers"), "the source servers that bear its mark", &how)
}

/// The query that shows that the writer is where it should be.
pub fn see_writer(sheet: &Sheet<'_>, part: &Part, to: &Site) -> Option<String> {
    let region = aws_region(to);
    let word = part.word("engine").unwrap_or("postgres");
    let name = names::variable([part.id.as_str(), to.id.as_str()]);
    let host = match part.kind.name.as_str() {
        "aws.rds" => format!(
            "aws rds describe-db-instances --db-instance-identifier \"${name}\" --region {region} --query 'DBInstances[0].Endpoint.Address' --output text"
        ),
        "aws.aurora-global" => format!(
            "aws rds describe-db-clusters --db-cluster-identifier \"${name}\" --region {region} --query 'DBClusters[0].Endpoint' --output text"
        ),
        _ => return None,
    };
    let user = if sheet.renders(part) { database::FIRST_USER } else { "$USER" };
    Some(match word {
        "mysql" | "mariadb" => format!(
            "mysql --host \"$({host})\" --user \"{user}\" --password --ssl-mode REQUIRED --execute 'select @@read_only'   # 0: it writes"
        ),
        "postgres" => format!(
            "psql \"host=$({host}) user={user} dbname=postgres sslmode=require\" --command 'select pg_is_in_recovery()'   # f: it writes"
        ),
        _ => return None,
    })
}

/// In a region, of a part that is rendered as a group.
pub fn grouped(sheet: &Sheet<'_>, name: &Named) -> bool {
    made_as(sheet, name, "AutoScalingGroup").is_some()
}
