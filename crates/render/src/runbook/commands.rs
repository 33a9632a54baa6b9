//! The exact command of each call of the catalogue, and the query that shows whether it worked.

use model::Part;
use model::catalogue::ActName;
use model::design::Site;

use crate::runbook::names::{self, Named};
use crate::runbook::{Call, Purpose, Until, Work};
use crate::services::{database, fence};
use crate::sheet::{Sheet, aws_region};
use crate::value::Value;
use crate::{list, map};

/// How a call is made.
pub struct Made {
    pub commands: Vec<String>,
    pub validate: Option<String>,
    pub work: Work,
    pub names: Vec<Named>,
}

/// What is known of a recovery while one of its calls is written.
pub struct Ways<'w> {
    pub part: &'w Part,
    pub from: &'w Site,
    pub to: &'w Site,
    pub purpose: Purpose,
}

fn by_hand(command: &str, validate: Option<String>, names: Vec<Named>) -> Made {
    Made { commands: vec![command.to_owned()], validate, work: Work::Person, names }
}

fn until(
    service: &'static str,
    api: &'static str,
    inputs: crate::value::Map,
    selector: &'static str,
    wanted: &'static [&'static str],
) -> Option<Until> {
    Some(Until { service, api, inputs, selector, wanted })
}

pub fn of(sheet: &mut Sheet<'_>, call: &Call, ways: &Ways<'_>) -> Made {
    let (part, region) = (ways.part, aws_region(ways.to).to_owned());
    match call.call.as_str() {
        "rds:PromoteReadReplica" => promote_replica(sheet, ways),
        "rds:FailoverGlobalCluster" => global_cluster(sheet, ways),
        "autoscaling:SetDesiredCapacity" => grow_group(sheet, ways),
        "ecs:UpdateService" => grow_service(sheet, ways, call.act),
        "ec2:StartInstances" => start_instance(sheet, ways),
        "ec2:ReplaceNetworkAclAssociation" => shut_out(sheet, ways),
        "route53-recovery-cluster:UpdateRoutingControlState" => routing_controls(ways),
        "route53:ChangeResourceRecordSets" => {
            let record = part.text("record").unwrap_or("RECORD");
            by_hand(
                &format!(
                    "aws route53 change-resource-record-sets --hosted-zone-id \"$ZONE\" --change-batch file://to-{region}.json"
                ),
                Some(format!("dig +short {record} @1.1.1.1")),
                vec![names::asked(
                    &["zone"],
                    "the hosted zone",
                    "aws route53 list-hosted-zones --query 'HostedZones[].[Id,Name]'",
                )],
            )
        }
        "globalaccelerator:UpdateEndpointGroup" => {
            let names = vec![names::asked(
                &[part.id.as_str(), "group", ways.from.id.as_str()],
                "the endpoint group of the region that is left",
                "aws globalaccelerator list-endpoint-groups --region us-west-2 --listener-arn ARN",
            )];
            let command = format!(
                "aws globalaccelerator update-endpoint-group --endpoint-group-arn {} --traffic-dial-percentage 0 --region us-west-2",
                names[0].shell()
            );
            by_hand(&command, None, names)
        }
        "elasticache:FailoverGlobalReplicationGroup" => cache(sheet, ways),
        "secretsmanager:StopReplicationToReplica" => {
            let name = names::of(sheet, part, ways.to, "aws secretsmanager list-secrets --region {region}");
            let command = format!(
                "aws secretsmanager stop-replication-to-replica --secret-id {} --region {region}",
                name.shell()
            );
            let work = Work::Call {
                service: "secretsmanager",
                api: "StopReplicationToReplica",
                inputs: map! { "SecretId" => name.automated() },
                region: None,
                until: None,
            };
            let see = format!(
                "aws secretsmanager describe-secret --secret-id {} --region {region} --query '[ARN,PrimaryRegion]'",
                name.shell()
            );
            Made { commands: vec![command], validate: Some(see), work, names: vec![name] }
        }
        "elasticfilesystem:DeleteReplicationConfiguration" => files(sheet, ways),
        "rds:CreateDBInstance" => {
            let name = names::of(sheet, part, ways.to, "aws rds describe-db-clusters --region {region}");
            let class = part.at(&ways.to.id).text("usage.class").unwrap_or("CLASS");
            let command = format!(
                "aws rds create-db-instance --db-cluster-identifier {} --db-instance-identifier {}-writer --engine ENGINE --db-instance-class {class} --region {region}",
                name.shell(),
                part.id
            );
            by_hand(&command, None, vec![name])
        }
        "rds:RestoreDBInstanceToPointInTime"
        | "rds:RestoreDBClusterToPointInTime"
        | "dynamodb:RestoreTableToPointInTime"
        | "backup:StartRestoreJob"
        | "ec2:CreateVolume, ec2:AttachVolume" => restore(ways, &call.call),
        "lambda:UpdateFunctionCode"
        | "cloudformation:CreateStack"
        | "cloudformation:CreateStackInstances"
        | "a run of the pipeline"
        | "codepipeline:StartPipelineExecution" => by_hand(
            &format!("bash deploy.sh {}", ways.to.id),
            Some(format!("bash deploy.sh check {}", ways.to.id)),
            Vec::new(),
        ),
        "drs:StartRecovery" => by_hand(
            &format!("aws drs start-recovery --region {region} --source-servers sourceServerID=ID"),
            Some(format!("aws drs describe-jobs --region {region} --query 'items[0].[status,type]'")),
            Vec::new(),
        ),
        other => told(ways, other, call.act),
    }
}

fn promote_replica(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let region = aws_region(ways.to);
    let name = names::of(
        sheet,
        ways.part,
        ways.to,
        "aws rds describe-db-instances --region {region} --query 'DBInstances[].[DBInstanceIdentifier,ReadReplicaSourceDBInstanceIdentifier]'",
    );
    let own = map! { "DBInstanceIdentifier" => name.automated() };
    let db = name.shell();
    let see = format!(
        "aws rds describe-db-instances --db-instance-identifier {db} --region {region} --query 'DBInstances[0].[DBInstanceStatus,ReadReplicaSourceDBInstanceIdentifier,Endpoint.Address]'"
    );
    Made {
        commands: vec![
            format!("aws rds promote-read-replica --db-instance-identifier {db} --region {region}"),
            format!("aws rds wait db-instance-available --db-instance-identifier {db} --region {region}"),
        ],
        validate: Some(see),
        work: Work::Call {
            service: "rds",
            api: "PromoteReadReplica",
            inputs: own.clone(),
            region: None,
            until: until("rds", "DescribeDBInstances", own, "$.DBInstances[0].DBInstanceStatus", &["available"]),
        },
        names: vec![name],
    }
}

fn global_cluster(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let region = aws_region(ways.to).to_owned();
    let cluster = names::of(
        sheet,
        ways.part,
        ways.to,
        "aws rds describe-db-clusters --region {region} --query 'DBClusters[].DBClusterIdentifier'",
    );
    let how = format!(
        "aws rds describe-global-clusters --region {region} --query 'GlobalClusters[].GlobalClusterIdentifier'"
    );
    let global = names::asked(&[ways.part.id.as_str(), "global"], "the global cluster", &how);
    let arn = format!(
        "arn:aws:rds:{region}:$(aws sts get-caller-identity --region {region} --query Account --output text):cluster:${}",
        cluster.variable
    );
    let target = Value::Text(format!(
        "arn:aws:rds:{region}:{{{{ global:ACCOUNT_ID }}}}:cluster:{{{{ {} }}}}",
        cluster.parameter
    ));
    let inputs = map! { "GlobalClusterIdentifier" => global.automated(), "TargetDbClusterIdentifier" => target };
    let (verb, api, inputs) = match ways.purpose {
        // Planned: nothing is lost, and it is refused where something would be.
        Purpose::Failback => ("switchover-global-cluster", "SwitchoverGlobalCluster", inputs),
        _ => ("failover-global-cluster --allow-data-loss", "FailoverGlobalCluster", inputs.with("AllowDataLoss", true)),
    };
    let see = format!(
        "aws rds describe-global-clusters --global-cluster-identifier {} --region {region} --query 'GlobalClusters[0].[Status,GlobalClusterMembers[?IsWriter].DBClusterArn]'",
        global.shell()
    );
    let own = map! { "GlobalClusterIdentifier" => global.automated() };
    Made {
        commands: vec![format!(
            "aws rds {verb} --global-cluster-identifier {} --target-db-cluster-identifier \"{arn}\" --region {region}",
            global.shell()
        )],
        validate: Some(see),
        work: Work::Call {
            service: "rds",
            api,
            inputs,
            region: None,
            until: until("rds", "DescribeGlobalClusters", own, "$.GlobalClusters[0].Status", &["available"]),
        },
        names: vec![cluster, global],
    }
}

fn wanted(ways: &Ways<'_>) -> u64 {
    let here = ways.part.at(&ways.to.id);
    here.count("peak").or(here.count("minimum")).unwrap_or(1)
}

fn grow_group(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (region, count) = (aws_region(ways.to), wanted(ways));
    let name = names::of(
        sheet,
        ways.part,
        ways.to,
        "aws autoscaling describe-auto-scaling-groups --region {region} --query 'AutoScalingGroups[].AutoScalingGroupName'",
    );
    let group = name.shell();
    let see = format!(
        "aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names {group} --region {region} --query 'AutoScalingGroups[0].Instances[].[InstanceId,AvailabilityZone,LifecycleState,HealthStatus]'"
    );
    Made {
        commands: vec![format!(
            "aws autoscaling set-desired-capacity --auto-scaling-group-name {group} --desired-capacity {count} --no-honor-cooldown --region {region}"
        )],
        validate: Some(see),
        work: Work::Call {
            service: "autoscaling",
            api: "SetDesiredCapacity",
            inputs: map! { "AutoScalingGroupName" => name.automated(), "DesiredCapacity" => count, "HonorCooldown" => false },
            region: None,
            until: None,
        },
        names: vec![name],
    }
}

fn grow_service(sheet: &mut Sheet<'_>, ways: &Ways<'_>, act: ActName) -> Made {
    let region = aws_region(ways.to).to_owned();
    if act == ActName::Deploy {
        return by_hand(
            &format!("bash deploy.sh {}", ways.to.id),
            Some(format!("bash deploy.sh check {}", ways.to.id)),
            Vec::new(),
        );
    }
    let count = wanted(ways);
    let name = names::of(sheet, ways.part, ways.to, "aws ecs list-services --region {region} --cluster CLUSTER");
    let how = format!("aws ecs list-clusters --region {region} --query clusterArns");
    let cluster = names::asked(&[ways.part.id.as_str(), "cluster", ways.to.id.as_str()], "the cluster", &how);
    let both = format!("--cluster {} --service {}", cluster.shell(), name.shell());
    let which = map! { "cluster" => cluster.automated(), "services" => list![name.automated()] };
    let inputs = map! { "cluster" => cluster.automated(), "service" => name.automated(), "desiredCount" => count };
    Made {
        commands: vec![
            format!("aws ecs update-service {both} --desired-count {count} --region {region}"),
            format!(
                "aws ecs wait services-stable --cluster {} --services {} --region {region}",
                cluster.shell(),
                name.shell()
            ),
        ],
        validate: Some(format!(
            "aws ecs describe-services --cluster {} --services {} --region {region} --query 'services[0].[runningCount,desiredCount]'",
            cluster.shell(),
            name.shell()
        )),
        work: Work::Call {
            service: "ecs",
            api: "UpdateService",
            inputs,
            region: None,
            until: until("ecs", "DescribeServices", which, "$.services[0].deployments[0].rolloutState", &["COMPLETED"]),
        },
        names: vec![name, cluster],
    }
}

fn start_instance(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let region = aws_region(ways.to);
    let name = names::of(
        sheet,
        ways.part,
        ways.to,
        "aws ec2 describe-instances --region {region} --query 'Reservations[].Instances[].InstanceId'",
    );
    if let names::From::Made { target, .. } = &name.from
        && sheet.stacks[&target.root].resources.iter().any(|r| r.id == target.id && r.kind.contains("AutoScaling"))
    {
        return grow_group(sheet, ways);
    }
    let which = map! { "InstanceIds" => list![name.automated()] };
    let instance = name.shell();
    Made {
        commands: vec![
            format!("aws ec2 start-instances --instance-ids {instance} --region {region}"),
            format!("aws ec2 wait instance-status-ok --instance-ids {instance} --region {region}"),
        ],
        validate: Some(format!(
            "aws ec2 describe-instance-status --instance-ids {instance} --region {region} --query 'InstanceStatuses[0].[InstanceState.Name,InstanceStatus.Status]'"
        )),
        work: Work::Call {
            service: "ec2",
            api: "StartInstances",
            inputs: which.clone(),
            region: None,
            until: until(
                "ec2",
                "DescribeInstanceStatus",
                which,
                "$.InstanceStatuses[0].InstanceStatus.Status",
                &["ok"],
            ),
        },
        names: vec![name],
    }
}

/// One more rule in the list of the data's own subnets, before all others: in the region that is left, so of best effort.
/// Planned, only clients are refused, so that what they wrote still arrives where it is copied to.
fn refuse(sheet: &Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (part, region) = (ways.part, aws_region(ways.from).to_owned());
    let (port, number) = (u32::from(database::port(part)), fence::number(sheet, part));
    let how = format!(
        "aws ec2 describe-network-acls --region {region} --filters Name=tag:antipode:fence,Values=data Name=tag:antipode:workload,Values={} --query 'NetworkAcls[0].NetworkAclId' --output text (keep the answer with this runbook: that region may not answer)",
        names::quoted(&sheet.design.workload)
    );
    let list =
        names::asked(&["data", "access list", ways.from.id.as_str()], "the access list of the data's subnets", &how);
    let planned = ways.purpose == Purpose::Failback;
    let whom: &[&str] = if planned { &fence::CLIENTS } else { &["0.0.0.0/0"] };
    let rule = |n: usize| (number - 1) * fence::CLIENTS.len() + n + 1;
    let command = |n: usize, addresses: &str| {
        format!(
            "timeout 60 aws ec2 create-network-acl-entry --network-acl-id {} --rule-number {} --ingress --protocol 6 --port-range From={port},To={port} --cidr-block {addresses} --rule-action deny --region {region} || echo 'not reached, or shut already: go on'",
            list.shell(),
            rule(n)
        )
    };
    let inputs = map! {
        "NetworkAclId" => list.automated(), "RuleNumber" => rule(0), "Protocol" => "6", "RuleAction" => "deny", "Egress" => false,
        "CidrBlock" => "0.0.0.0/0", "PortRange" => map! { "From" => port, "To" => port },
    };
    let call = Work::Call {
        service: "ec2",
        api: "create_network_acl_entry",
        inputs,
        region: Some(region.clone()),
        until: None,
    };
    let see = format!(
        "timeout 60 aws ec2 describe-network-acls --network-acl-ids {} --region {region} --query 'NetworkAcls[0].Entries[?RuleAction==`deny` && !Egress].[RuleNumber,CidrBlock,PortRange.From]' --output text",
        list.shell()
    );
    Made {
        commands: whom.iter().enumerate().map(|(n, addresses)| command(n, addresses)).collect(),
        validate: Some(see),
        work: if planned { Work::Person } else { call },
        names: vec![list],
    }
}

/// The old writer's subnets get an access list that lets nobody in: in the region that is left, so of best effort.
fn shut_out(sheet: &Sheet<'_>, ways: &Ways<'_>) -> Made {
    if sheet.renders(ways.part) && fence::stands(sheet, ways.part, ways.from) {
        return refuse(sheet, ways);
    }
    let region = aws_region(ways.from).to_owned();
    let how = format!(
        "aws ec2 describe-network-acls --region {region} --query 'NetworkAcls[].Associations[].[NetworkAclAssociationId,SubnetId]'"
    );
    let association =
        names::asked(&[ways.part.id.as_str(), "association"], "the association of the old writer's subnet", &how);
    let how = format!(
        "aws ec2 describe-network-acls --region {region} --filters Name=tag:antipode:fence,Values=true --query 'NetworkAcls[].NetworkAclId'"
    );
    let list = names::asked(&[ways.part.id.as_str(), "closed acl"], "the access list that lets nobody in", &how);
    let command = format!(
        "timeout 60 aws ec2 replace-network-acl-association --association-id {} --network-acl-id {} --region {region} || echo 'not reached: go on'",
        association.shell(),
        list.shell()
    );
    Made {
        commands: vec![command],
        validate: None,
        work: Work::Call {
            service: "ec2",
            api: "replace_network_acl_association",
            inputs: map! { "AssociationId" => association.automated(), "NetworkAclId" => list.automated() },
            region: Some(region),
            until: None,
        },
        names: vec![association, list],
    }
}

/// Through any of the five endpoints of the cluster, never through ARC's own region.
fn routing_controls(ways: &Ways<'_>) -> Made {
    let both = [("left", &ways.from.id), ("taken", &ways.to.id)].map(|(what, site)| {
        let about = format!("the routing control of {site}");
        let how = "aws route53-recovery-control-config list-routing-controls --region us-west-2 --control-panel-arn ARN (keep the answer with this runbook: that call needs us-west-2)";
        names::asked(&[ways.part.id.as_str(), what], &about, how)
    });
    let how = "aws route53-recovery-control-config describe-cluster --region us-west-2 --cluster-arn ARN (keep the answer: five endpoints)";
    let endpoint =
        names::asked(&[ways.part.id.as_str(), "endpoint"], "one of the cluster's endpoints, REGION,URL", how);
    let [left, taken] = &both;
    let command = format!(
        "for endpoint in {}; do   # all five, the next one when one does not answer\n  aws route53-recovery-cluster update-routing-control-states --region \"${{endpoint%%,*}}\" --endpoint-url \"${{endpoint#*,}}\" \\\n    --update-routing-control-state-entries \"RoutingControlArn=${},RoutingControlState=On\" \"RoutingControlArn=${},RoutingControlState=Off\" && break\ndone",
        format_args!("\"${}\"", endpoint.variable),
        taken.variable,
        left.variable
    );
    let see = format!(
        "aws route53-recovery-cluster get-routing-control-state --region \"${{{0}%%,*}}\" --endpoint-url \"${{{0}#*,}}\" --routing-control-arn {1}",
        endpoint.variable,
        taken.shell()
    );
    let names = both.into_iter().chain([endpoint]).collect();
    Made { commands: vec![command], validate: Some(see), work: Work::Person, names }
}

fn cache(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let region = aws_region(ways.to);
    let name = names::of(sheet, ways.part, ways.to, "aws elasticache describe-replication-groups --region {region}");
    let how = format!("aws elasticache describe-global-replication-groups --region {region}");
    let global = names::asked(&[ways.part.id.as_str(), "global"], "the global datastore", &how);
    let command = format!(
        "aws elasticache failover-global-replication-group --global-replication-group-id {} --primary-region {region} --primary-replication-group-id {} --region {region}",
        global.shell(),
        name.shell()
    );
    let inputs = map! {
        "GlobalReplicationGroupId" => global.automated(), "PrimaryRegion" => region, "PrimaryReplicationGroupId" => name.automated(),
    };
    let see = format!(
        "aws elasticache describe-global-replication-groups --global-replication-group-id {} --show-member-info --region {region}",
        global.shell()
    );
    Made {
        commands: vec![command],
        validate: Some(see),
        work: Work::Call {
            service: "elasticache",
            api: "FailoverGlobalReplicationGroup",
            inputs,
            region: None,
            until: None,
        },
        names: vec![name, global],
    }
}

fn files(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let region = aws_region(ways.to);
    let source = names::of(sheet, ways.part, ways.from, "aws efs describe-file-systems --region {region}");
    let command = format!(
        "aws efs delete-replication-configuration --source-file-system-id {} --region {region}",
        source.shell()
    );
    let see = format!(
        "aws efs describe-file-systems --region {region} --query 'FileSystems[].[FileSystemId,FileSystemProtection.ReplicationOverwriteProtection]'"
    );
    Made {
        commands: vec![command],
        validate: Some(see),
        work: Work::Call {
            service: "efs",
            api: "DeleteReplicationConfiguration",
            inputs: map! { "SourceFileSystemId" => source.automated() },
            region: None,
            until: None,
        },
        names: vec![source],
    }
}

fn restore(ways: &Ways<'_>, call: &str) -> Made {
    let region = aws_region(ways.to);
    let command = match call {
        "rds:RestoreDBInstanceToPointInTime" => format!(
            "aws rds restore-db-instance-to-point-in-time --source-db-instance-automated-backups-arn ARN --target-db-instance-identifier {}-restored --use-latest-restorable-time --region {region}",
            ways.part.id
        ),
        "rds:RestoreDBClusterToPointInTime" => format!(
            "aws rds restore-db-cluster-from-snapshot --snapshot-identifier SNAPSHOT --db-cluster-identifier {}-restored --engine ENGINE --region {region}",
            ways.part.id
        ),
        "dynamodb:RestoreTableToPointInTime" => format!(
            "aws dynamodb restore-table-to-point-in-time --source-table-arn ARN --target-table-name {}-restored --use-latest-restorable-time --region {region}",
            ways.part.id
        ),
        "ec2:CreateVolume, ec2:AttachVolume" => format!(
            "aws ec2 create-volume --snapshot-id \"$(aws ec2 describe-snapshots --owner-ids self --region {region} --query 'sort_by(Snapshots,&StartTime)[-1].SnapshotId' --output text)\" --availability-zone ZONE --encrypted --region {region}"
        ),
        _ => format!(
            "aws backup start-restore-job --recovery-point-arn ARN --iam-role-arn ROLE --metadata file://{}.json --region {region}",
            ways.part.id
        ),
    };
    let see = format!(
        "aws backup list-recovery-points-by-resource --resource-arn ARN --region {region} --query 'sort_by(RecoveryPoints,&CreationDate)[-1].[CreationDate,Status]'"
    );
    by_hand(&command, Some(see), Vec::new())
}

/// What no single call does: a health check that fails by itself, a step of people.
fn told(ways: &Ways<'_>, call: &str, act: ActName) -> Made {
    let record = ways.part.text("record");
    let see = record.map(|record| format!("dig +short {record} @1.1.1.1; curl --silent --output /dev/null --write-out '%{{http_code}}\\n' https://{record}/"));
    let by_itself = act == ActName::Shift && !call.contains("console") && !call.contains(':');
    let says = match by_itself {
        true => format!("# {call}: nothing is called; watch it happen"),
        false => format!("# {call}"),
    };
    Made { commands: vec![says], validate: see, work: Work::Person, names: Vec::new() }
}
