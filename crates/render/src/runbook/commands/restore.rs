//! What comes back from a backup. Only copies that the region that is moved to has are asked for.

use super::{Made, Ways, by_hand, words};
use crate::runbook::names;
use crate::services::database;
use crate::sheet::Sheet;

/// The newest snapshot of an instance that the region has, by whoever made or copied it.
pub fn instance(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (_, region) = ways.regions();
    let id = &ways.part.id;
    let old = crate::services::physical(ways.part, ways.from).unwrap_or_else(|| sheet.named([id.as_str()], 50));
    let how = format!(
        "aws rds describe-db-snapshots --region {region} --query \"sort_by(DBSnapshots[?starts_with(DBInstanceIdentifier,'{old}') && Status=='available'],&SnapshotCreateTime)[-1].DBSnapshotIdentifier\" --output text"
    );
    let snapshot = names::found(&words(id, "snapshot"), "its newest snapshot here", &how);
    let (group, doors) = (subnet_group(sheet, ways), doors(sheet, ways));
    let new = format!("{}-restored", crate::names::physical([id.as_str()], 50));
    let wait = format!("aws rds wait db-instance-available --db-instance-identifier {new} --region {region}");
    let restore = format!(
        "aws rds restore-db-instance-from-db-snapshot --db-snapshot-identifier {} --db-instance-identifier {new} --db-subnet-group-name {} --vpc-security-group-ids {} --no-publicly-accessible --deletion-protection --region {region}",
        snapshot.shell(),
        group.shell(),
        doors.shell()
    );
    let host = format!(
        "aws rds describe-db-instances --db-instance-identifier {new} --region {region} --query 'DBInstances[0].Endpoint.Address' --output text"
    );
    by_hand(
        [restore, wait].into_iter().chain(led_to(sheet, ways, &host)).collect(),
        Some(format!(
            "aws rds describe-db-instances --db-instance-identifier {new} --region {region} --query 'DBInstances[0].[DBInstanceStatus,Endpoint.Address,LatestRestorableTime]'"
        )),
        vec![snapshot, group, doors],
    )
}

/// Rendered ones are known by what they say of themselves, others by the component's name in theirs.
fn subnet_group(sheet: &Sheet<'_>, ways: &Ways<'_>) -> names::Named {
    let (id, (_, region)) = (&ways.part.id, ways.regions());
    let which = match sheet.renders(ways.part) {
        true => format!("DBSubnetGroupDescription=='{}'", database::about_subnets(ways.part)),
        false => format!("contains(DBSubnetGroupName,'{id}')"),
    };
    let how = format!(
        "aws rds describe-db-subnet-groups --region {region} --query \"DBSubnetGroups[?{which}].DBSubnetGroupName | [0]\" --output text"
    );
    names::found(&words(id, "subnets"), "the group of subnets that it stands in", &how)
}

/// What is restored without a security group has the one of the network, which lets in nobody that needs it.
fn doors(sheet: &Sheet<'_>, ways: &Ways<'_>) -> names::Named {
    let (id, (_, region)) = (&ways.part.id, ways.regions());
    let filters = match sheet.renders(ways.part) {
        true => format!(
            "Name=tag:antipode:workload,Values={} Name=tag:antipode:component,Values={id}",
            names::quoted(&sheet.design.workload)
        ),
        false => format!("'Name=group-name,Values=*{id}*'"),
    };
    let how = format!(
        "aws ec2 describe-security-groups --filters {filters} --region {region} --query 'SecurityGroups[0].GroupId' --output text"
    );
    names::found(&words(id, "doors"), "the security group that lets in who needs it", &how)
}

/// Leads the name that clients know to what was restored; the template asks what it is to lead to.
fn led_to(sheet: &Sheet<'_>, ways: &Ways<'_>, host: &str) -> Option<String> {
    let known = ways.part.text("name").filter(|_| sheet.renders(ways.part))?;
    let parameter = crate::services::id(ways.part, "host");
    Some(format!("bash deploy.sh {} --set {parameter}=\"$({host})\"   # leads {known} to it", ways.to.id))
}

pub fn cluster(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (_, region) = ways.regions();
    let id = &ways.part.id;
    let old = crate::services::physical(ways.part, ways.from).unwrap_or_else(|| sheet.named([id.as_str()], 50));
    let how = format!(
        "aws rds describe-db-cluster-snapshots --region {region} --query \"sort_by(DBClusterSnapshots[?starts_with(DBClusterIdentifier,'{old}') && Status=='available'],&SnapshotCreateTime)[-1].DBClusterSnapshotIdentifier\" --output text"
    );
    let snapshot = names::found(&words(id, "snapshot"), "its newest snapshot here", &how);
    let (group, doors) = (subnet_group(sheet, ways), doors(sheet, ways));
    let new = format!("{}-restored", crate::names::physical([id.as_str()], 50));
    let host = format!(
        "aws rds describe-db-clusters --db-cluster-identifier {new} --region {region} --query 'DBClusters[0].Endpoint' --output text"
    );
    let (engine, class) = (
        database::cluster_engine(ways.part).name,
        ways.part.at(&ways.to.id).text("usage.class").unwrap_or("db.r6g.large"),
    );
    by_hand(
        vec![
            format!(
                "aws rds restore-db-cluster-from-snapshot --snapshot-identifier {} --db-cluster-identifier {new} --engine {engine} --db-subnet-group-name {} --vpc-security-group-ids {} --deletion-protection --region {region}",
                snapshot.shell(),
                group.shell(),
                doors.shell()
            ),
            format!(
                "aws rds create-db-instance --db-cluster-identifier {new} --db-instance-identifier {new}-1 --engine {engine} --db-instance-class {class} --region {region}"
            ),
            format!("aws rds wait db-instance-available --db-instance-identifier {new}-1 --region {region}"),
        ]
        .into_iter()
        .chain(led_to(sheet, ways, &host))
        .collect(),
        Some(format!(
            "aws rds describe-db-clusters --db-cluster-identifier {new} --region {region} --query 'DBClusters[0].[Status,Endpoint,LatestRestorableTime]'"
        )),
        vec![snapshot, group, doors],
    )
}

/// A disk of the newest snapshot, in the zone of the instance that needs it.
pub fn volume(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (_, region) = ways.regions();
    let id = &ways.part.id;
    // Copies keep the mark by which they are chosen.
    let (mark, marked) = crate::services::mark(sheet, ways.part);
    let how = format!(
        "aws ec2 describe-snapshots --owner-ids self --filters Name=tag:{mark},Values={} Name=status,Values=completed --region {region} --query 'sort_by(Snapshots,&StartTime)[-1].SnapshotId' --output text",
        names::quoted(&marked)
    );
    let snapshot = names::found(&words(id, "snapshot"), "its newest snapshot here", &how);
    let needing = sheet.needing(ways.part).find(|part| part.kind.name == "aws.ec2");
    let create = format!("aws ec2 create-volume --snapshot-id {} --encrypted --volume-type gp3", snapshot.shell());
    let Some(needing) = needing else {
        let zone = ways.to.zones.first().map_or("a", String::as_str);
        let zone = if zone.starts_with(&region) { zone.to_owned() } else { format!("{region}{zone}") };
        let volume = format!("{create} --availability-zone {zone} --region {region} --query VolumeId --output text");
        let see = format!(
            "aws ec2 describe-volumes --filters \"Name=snapshot-id,Values=${}\" --region {region} --query 'Volumes[].[VolumeId,State,Size]'",
            snapshot.variable
        );
        return by_hand(vec![volume], Some(see), vec![snapshot]);
    };
    let how = "aws ec2 describe-instances --filters Name=tag:antipode:component,Values={id} Name=instance-state-name,Values=running,stopped --region {region} --query 'Reservations[0].Instances[0].InstanceId' --output text";
    let instance = names::of(sheet, needing, ways.to, how);
    let zone = format!(
        "$(aws ec2 describe-instances --instance-ids {} --region {region} --query 'Reservations[0].Instances[0].Placement.AvailabilityZone' --output text)",
        instance.shell()
    );
    let commands = vec![
        format!("volume=$({create} --availability-zone \"{zone}\" --region {region} --query VolumeId --output text)"),
        format!("aws ec2 wait volume-available --volume-ids \"$volume\" --region {region}"),
        format!(
            "aws ec2 attach-volume --volume-id \"$volume\" --instance-id {} --device /dev/sdf --region {region}",
            instance.shell()
        ),
    ];
    let see = format!(
        "aws ec2 describe-volumes --volume-ids \"$volume\" --region {region} --query 'Volumes[0].Attachments[0].[State,InstanceId,Device]'"
    );
    by_hand(commands, Some(see), vec![snapshot, instance])
}

/// The newest copy that AWS Backup has in the region.
pub fn copy(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (_, region) = ways.regions();
    let (id, kind) = (&ways.part.id, resource_type(&ways.part.kind.name));
    let named = || (sheet.renders(ways.part) && kind != "EFS" && kind != "EBS").then(|| sheet.named([id.as_str()], 30));
    let known = crate::services::physical(ways.part, ways.from).or_else(named);
    // What is made has an id of its own, which the stack of the region that is left says while it can.
    let own = (sheet.renders(ways.part) && kind == "EFS").then(|| names::left(sheet, ways.part, ways.from)).flatten();
    let only = match (&known, &own) {
        (Some(known), _) => format!(" && contains(ResourceArn,'{known}')"),
        (None, Some(own)) => format!(" && ends_with(ResourceArn,'/${}')", own.variable),
        (None, None) => String::new(),
    };
    let how = format!(
        "aws backup list-protected-resources --region {region} --query \"Results[?ResourceType=='{kind}'{only}].ResourceArn | [0]\" --output text"
    );
    let resource = names::found(&words(id, "saved"), "what was saved, as AWS Backup knows it here", &how);
    let newest = |what: &str| {
        format!(
            "aws backup list-recovery-points-by-resource --resource-arn {} --region {region} --query \"sort_by(RecoveryPoints[?Status=='COMPLETED'],&CreationDate)[-1].{what}\" --output text",
            resource.shell()
        )
    };
    let point = names::found(&words(id, "point"), "its newest copy here", &newest("RecoveryPointArn"));
    let vault = names::found(&words(id, "vault"), "the vault that has it", &newest("BackupVaultName"));
    let plan = match crate::services::backup::covers(sheet, ways.part) {
        Some(plan) => format!("BackupPlansList[?BackupPlanName==`{plan}`] | [0].BackupPlanId"),
        None => "BackupPlansList[0].BackupPlanId".to_owned(),
    };
    let how = format!(
        "aws backup list-backup-selections --backup-plan-id \"$(aws backup list-backup-plans --region {region} --query '{plan}' --output text)\" --region {region} --query 'BackupSelectionsList[0].IamRoleArn' --output text"
    );
    let role = names::found(&words(id, "restorer"), "the role that restores", &how);
    let change = match kind {
        "EFS" => format!(". + {{newFileSystem: \"true\", CreationToken: \"{id}-restored\"}}"),
        "DynamoDB" => format!(". + {{targetTableName: \"{id}-restored\"}}"),
        _ => ".".to_owned(),
    };
    let commands = vec![
        format!(
            "metadata=$(aws backup get-recovery-point-restore-metadata --backup-vault-name {} --recovery-point-arn {} --region {region} --query RestoreMetadata --output json | jq -c '{change}')",
            vault.shell(),
            point.shell()
        ),
        "echo \"$metadata\"   # names of the region that is left, such as keys and subnets, become those of this one"
            .to_owned(),
        format!(
            "job=$(aws backup start-restore-job --recovery-point-arn {} --iam-role-arn {} --metadata \"$metadata\" --region {region} --query RestoreJobId --output text)",
            point.shell(),
            role.shell()
        ),
        super::wait(
            &format!(
                "aws backup describe-restore-job --restore-job-id \"$job\" --region {region} --query Status --output text"
            ),
            "COMPLETED",
        ),
    ];
    let see = format!(
        "aws backup describe-restore-job --restore-job-id \"$job\" --region {region} --query '[Status,StatusMessage,CreatedResourceArn]'"
    );
    let names = own.filter(|_| known.is_none()).into_iter().chain([resource, point, vault, role]).collect();
    by_hand(commands, Some(see), names)
}

/// As AWS Backup calls it.
fn resource_type(kind: &str) -> &'static str {
    match kind {
        "aws.efs" => "EFS",
        "aws.dynamodb" | "aws.dynamodb-global" => "DynamoDB",
        "aws.s3" => "S3",
        "aws.rds" => "RDS",
        "aws.aurora" | "aws.aurora-global" => "Aurora",
        _ => "EBS",
    }
}
