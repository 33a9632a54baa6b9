//! What holds a recovery: databases that can be promoted, keys and roles that are there, records that nobody changes.

use antipode_render::resource::Keep;
use antipode_render::value::{Pseudo, Value};

use crate::{at, at_first, find, resource, says, spec, words};

/// RDS refuses a replica that says what it takes from its source.
#[test]
fn a_replica_says_nothing_of_what_its_source_decides() {
    let rendering = spec("rds");
    let instance = resource(&rendering, "eu-west-1", "BooksInstance");
    let own = ["Engine", "EngineVersion", "LicenseModel", "MasterUsername", "MasterUserPassword", "AllocatedStorage"];
    for key in own.into_iter().chain(["StorageEncrypted"]) {
        let Value::If(condition, follows, _) = at(instance, key) else { panic!("{key} is said of a replica") };
        assert_eq!((condition.name.as_str(), &**follows), ("BooksFollows", &Value::Pseudo(Pseudo::NoValue)), "{key}");
    }
    says(
        &rendering,
        "eu-west-1",
        &[
            (
                "BooksInstance",
                "SourceDBInstanceIdentifier",
                "arn:{AWS::Partition}:rds:{BooksSourceRegion}:{AWS::AccountId}:db:{BooksSource}",
            ),
            ("BooksInstance", "SourceRegion", "{BooksSourceRegion}"),
            ("BooksInstance", "DBInstanceIdentifier", "books-eu-west-1-g{BooksGeneration}"),
        ],
    );
}

/// What is promoted has to be as good as what was lost.
#[test]
fn a_replica_is_as_large_as_safe_and_as_backed_up_as_its_source() {
    let rendering = spec("rds");
    for region in ["ap-south-1", "eu-west-1"] {
        says(
            &rendering,
            region,
            &[
                ("BooksInstance", "MultiAZ", "true"),
                ("BooksInstance", "BackupRetentionPeriod", "14"),
                ("BooksInstance", "DeletionProtection", "true"),
                ("BooksInstance", "DeleteAutomatedBackups", "false"),
                ("BooksInstance", "CopyTagsToSnapshot", "true"),
                ("BooksInstance", "AllocatedStorage", "200"),
                ("BooksInstance", "MaxAllocatedStorage", "800"),
                ("BooksInstance", "DBSubnetGroupName", "{BooksSubnetGroup}"),
                ("BooksInstance", "VPCSecurityGroups.*", "{BooksSecurityGroupGroupId}"),
                ("BooksInstance", "DBParameterGroupName", "{BooksParameters}"),
                ("BooksParameters", "Parameters.require_secure_transport", "1"),
                ("BooksFromApi3306", "SourceSecurityGroupId", "{ApiSecurityGroup.GroupId}"),
                ("BooksInstance", "MonitoringRoleArn", "{BooksMonitoringRole.Arn}"),
            ],
        );
    }
}

/// Clients find the writer by a name: remembered for seconds, led elsewhere by one parameter.
#[test]
fn the_name_of_a_database_can_be_led_elsewhere() {
    let rendering = spec("rds");
    says(
        &rendering,
        "eu-west-1",
        &[
            ("BooksName", "TTL", "10"),
            ("BooksName", "Type", "CNAME"),
            ("BooksName", "ResourceRecords.*", "{BooksHost} {BooksInstance.Endpoint.Address}"),
            ("BooksName", "HostedZoneId", "{ZoneInternalExampleCom}"),
            ("ZoneInternalExampleCom", "VPCs.*.VPCRegion", "eu-west-1"),
        ],
    );
    assert_eq!(at_first(&rendering, "eu-west-1", "BooksHost"), "");
    let name = resource(&rendering, "eu-west-1", "BooksName");
    assert_eq!(name.condition.as_ref().map(|condition| condition.name.as_str()), Some("BooksStands"));
}

#[test]
fn the_password_of_a_database_is_in_every_region_where_it_may_be_promoted() {
    says(
        &spec("rds"),
        "ap-south-1",
        &[
            ("BooksMasterSecret", "ReplicaRegions.*.Region", "eu-west-1"),
            ("BooksMasterSecret", "Name", "ledger/books/master"),
            ("BooksMasterSecret", "GenerateSecretString.GenerateStringKey", "password"),
            (
                "BooksInstance",
                "MasterUserPassword",
                "{{resolve:secretsmanager:ledger/books/master:SecretString:password}}",
            ),
        ],
    );
}

#[test]
fn the_clusters_of_a_global_database_stand_over_zones_and_join_one_whole() {
    let rendering = spec("aurora");
    says(
        &rendering,
        "us-east-1",
        &[
            ("CasesGlobalDatabase", "SourceDBClusterIdentifier", "{CasesCluster}"),
            ("CasesGlobalDatabase", "DeletionProtection", "true"),
            ("CasesInstance1", "AvailabilityZone", "{AWS::Region}a"),
            ("CasesInstance2", "AvailabilityZone", "{AWS::Region}b"),
            ("CasesInstance2", "DBClusterIdentifier", "{CasesCluster}"),
            ("CasesCluster", "BackupRetentionPeriod", "35"),
            ("CasesCluster", "DBClusterParameterGroupName", "{CasesParameters}"),
            ("OrdersCluster", "BackupRetentionPeriod", "7"),
        ],
    );
    let condition = |id: &str| resource(&rendering, "us-west-2", id).condition.clone().map(|condition| condition.name);
    assert_eq!(condition("OrdersGlobalDatabase").as_deref(), Some("OrdersBeganHere"), "one whole is made once");
    for id in ["OrdersCluster", "OrdersInstance1", "OrdersInstance2", "OrdersName"] {
        assert_eq!(condition(id).as_deref(), Some("OrdersStands"), "{id}");
    }
    assert_eq!(at_first(&rendering, "us-west-2", "OrdersBegan"), "elsewhere");
}

#[test]
fn a_cache_that_is_copied_joins_when_it_is_told_the_name_of_the_whole() {
    let rendering = spec("storage");
    says(
        &rendering,
        "us-west-2",
        &[
            ("SharedGroup", "GlobalReplicationGroupId", "{SharedDatastore}"),
            ("SharedGroup", "NumCacheClusters", "2"),
            ("SharedGlobalDatastore", "Members.*.ReplicationGroupId", "{SharedGroup}"),
            ("SharedGlobalDatastore", "Members.*.ReplicationGroupRegion", "us-west-2"),
            ("HotGroup", "NumCacheClusters", "2"),
        ],
    );
    let condition = |id: &str| resource(&rendering, "us-west-2", id).condition.clone().map(|condition| condition.name);
    assert_eq!(condition("SharedGroup").as_deref(), Some("SharedStands"));
    assert_eq!(condition("SharedGlobalDatastore").as_deref(), Some("SharedBeganHere"));
    assert_eq!(at_first(&rendering, "us-west-2", "SharedDatastore"), "");
}

/// A key that is gone takes all that it encrypted with it.
#[test]
fn a_key_is_the_accounts_and_is_deleted_by_who_breaks_the_glass_only() {
    let rendering = spec("keys");
    for region in ["us-east-1", "us-west-2"] {
        says(
            &rendering,
            region,
            &[
                (
                    "DataKeyKey",
                    "KeyPolicy.Statement.*.Principal.AWS",
                    "arn:{AWS::Partition}:iam::{AWS::AccountId}:root  arn:{AWS::Partition}:iam::{AWS::AccountId}:root",
                ),
                ("DataKeyKey", "KeyPolicy.Statement.*.Effect", "Allow Allow Deny"),
                ("DataKeyKey", "PendingWindowInDays", "30"),
                ("DataKeyKeyAlias", "AliasName", "alias/vaults-data-key"),
                ("DataKeyKeyAlias", "TargetKeyId", "{DataKeyKey}"),
            ],
        );
        let policy = words::all(resource(&rendering, region, "DataKeyKey"), "KeyPolicy.Statement").join("");
        for word in
            ["kms:ScheduleKeyDeletion", "kms:DisableKey", "ArnNotLike", "role/vaults-break-glass*", "SourceAccount"]
        {
            assert!(policy.contains(word), "{word}: {policy}");
        }
    }
}

#[test]
fn who_breaks_the_glass_has_a_second_factor_an_hour_and_a_boundary() {
    let rendering = spec("guard");
    says(
        &rendering,
        "global",
        &[
            (
                "RolesBreakGlass",
                "AssumeRolePolicyDocument.Statement.*.Condition.Bool.aws:MultiFactorAuthPresent",
                "true",
            ),
            ("RolesBreakGlass", "PermissionsBoundary", "{RolesBoundary}"),
            ("RolesBreakGlass", "MaxSessionDuration", "3600"),
            ("RolesRecovery", "PermissionsBoundary", "{RolesBoundary}"),
            (
                "RolesRecovery",
                "AssumeRolePolicyDocument.Statement.*.Condition.StringEquals.aws:PrincipalTag/antipode:controller",
                "keep",
            ),
            ("RolesBoundary", "PolicyDocument.Statement.*.Effect", "Allow Allow Deny"),
        ],
    );
    let boundary = words::all(resource(&rendering, "global", "RolesBoundary"), "PolicyDocument.Statement").join("");
    for never in ["cloudtrail:StopLogging", "iam:DeleteRolePermissionsBoundary", "s3:BypassGovernanceRetention"] {
        assert!(boundary.contains(never), "{never}: {boundary}");
    }
    assert!(boundary.contains("aws:RequestedRegion=us-east-1us-west-2"), "{boundary}");
}

/// What happened is looked for after a recovery: it must be there, whole, and not of that region's making only.
#[test]
fn records_cannot_be_changed_and_each_region_writes_its_own() {
    let rendering = spec("guard");
    for region in ["us-east-1", "us-west-2"] {
        says(
            &rendering,
            region,
            &[
                ("EachTrail", "S3BucketName", &format!("keep-each-{{AWS::AccountId}}-{region}")),
                ("EachTrail", "IsMultiRegionTrail", "false"),
                ("EachTrail", "IncludeGlobalServiceEvents", if region == "us-east-1" { "true" } else { "false" }),
                ("EachRecords", "ObjectLockConfiguration.Rule.DefaultRetention.Mode", "GOVERNANCE"),
                ("EachRecords", "ObjectLockConfiguration.Rule.DefaultRetention.Days", "365"),
                ("EachRecords", "LifecycleConfiguration.Rules.*.ExpirationInDays", "366"),
                ("LooksChannel", "S3BucketName", &format!("keep-looks-{{AWS::AccountId}}-{region}")),
                ("LooksRecorder", "RoleARN", "{LooksRecorderRole.Arn}"),
            ],
        );
        let trail = resource(&rendering, region, "EachTrail");
        assert_eq!(*trail.depends_on[0].id, *"EachRecordsPolicy", "it may write before it begins");
        assert_eq!(*resource(&rendering, region, "LooksChannel").depends_on[0].id, *"LooksRecordsPolicy");
    }
    says(&rendering, "us-east-1", &[("TrailTrail", "IsMultiRegionTrail", "true")]);
    assert!(find(&rendering, "us-west-2", "TrailTrail").is_none(), "one trail of all regions");
    says(&rendering, "us-west-2", &[("PostureAggregator", "Regions.*", "us-east-1")]);
}

#[test]
fn rules_stand_before_the_load_balancer_and_count_requests() {
    let rendering = spec("guard");
    for region in ["us-east-1", "us-west-2"] {
        says(
            &rendering,
            region,
            &[
                ("RulesBeforeLb", "ResourceArn", "{LbLoadBalancer}"),
                ("RulesBeforeLb", "WebACLArn", "{RulesRulesArn}"),
                ("RulesRules", "Scope", "REGIONAL"),
            ],
        );
        let rules = words::all(resource(&rendering, region, "RulesRules"), "Rules").join("");
        assert!(rules.contains("Limit=2000") && rules.contains("AggregateKeyType=IP"), "{rules}");
    }
}

/// What stands before a distribution is written where CloudFront looks for it, and nowhere else.
#[test]
fn rules_before_a_distribution_are_of_the_edge() {
    let rendering = spec("traffic");
    let named = "{RulesRulesArn}";
    says(
        &rendering,
        "edge",
        &[("RulesRules", "Scope", "CLOUDFRONT"), ("CdnDistribution", "DistributionConfig.WebACLId", named)],
    );
    let edge = rendering.stacks.iter().find(|stack| stack.root.name() == "edge").unwrap();
    assert_eq!(edge.region, "us-east-1");
}

/// Roles that recover and deploy are found where they were, whatever became of their stack.
#[test]
fn roles_that_are_needed_in_an_emergency_stay() {
    let rendering = spec("guard");
    for id in ["RolesRecovery", "RolesBreakGlass", "RolesBoundary"] {
        assert_eq!(resource(&rendering, "global", id).keep, Keep::Retain, "{id}");
    }
    says(
        &rendering,
        "global",
        &[
            (
                "RolesBreakGlass",
                "AssumeRolePolicyDocument.Statement.*.Condition.StringEquals.aws:PrincipalTag/antipode:break-glass",
                "keep",
            ),
            ("RolesRecovery", "RoleName", "keep-recovery"),
            ("RolesBoundary", "ManagedPolicyName", "keep-boundary"),
        ],
    );
}

/// Nobody connects to a database in the clear.
#[test]
fn every_engine_asks_for_tls() {
    let (plain, clusters) = (spec("rds"), spec("aurora"));
    for (rendering, region, id, key) in [
        (&plain, "eu-west-1", "DbParameters", "rds.force_ssl"),
        (&clusters, "us-west-2", "CasesParameters", "rds.force_ssl"),
        (&clusters, "us-west-2", "StockParameters", "require_secure_transport"),
    ] {
        let Value::Map(parameters) = at(resource(rendering, region, id), "Parameters") else { panic!("{id}") };
        let on = parameters.get(key).map(words::word);
        assert!(matches!(on.as_deref(), Some("1" | "ON")), "{id}: {parameters:?}");
    }
}

/// The cluster of a region is called what its metrics and its commands call it.
#[test]
fn clusters_and_their_whole_have_names_that_are_known_beforehand() {
    says(
        &spec("aurora"),
        "us-west-2",
        &[
            ("OrdersCluster", "DBClusterIdentifier", "cases-orders-us-west-2"),
            ("OrdersCluster", "GlobalClusterIdentifier", "cases-orders"),
            ("OrdersGlobalDatabase", "GlobalClusterIdentifier", "cases-orders"),
            ("OrdersInstance1", "DBInstanceIdentifier", "cases-orders-us-west-2-1"),
            (
                "OrdersCluster",
                "MasterUserPassword",
                "{{resolve:secretsmanager:cases/orders/master:SecretString:password}}",
            ),
        ],
    );
}

/// What only the first of several may say is said under its condition, and what follows says the rest.
#[test]
fn what_is_said_once_or_when_others_stand_is_said_under_a_condition() {
    for (name, region, id, key, condition) in [
        ("storage", "us-west-2", "SharedGroup", "AtRestEncryptionEnabled", "SharedBeganHere"),
        ("storage", "us-west-2", "SharedGroup", "TransitEncryptionEnabled", "SharedBeganHere"),
        ("storage", "us-west-2", "SharedGroup", "GlobalReplicationGroupId", "SharedBeganHere"),
        ("storage", "us-west-2", "PagesFileSystem", "ReplicationConfiguration", "PagesIsCopied"),
        ("rds", "eu-west-1", "BooksInstance", "SourceRegion", "BooksFollows"),
        ("aurora", "us-west-2", "OrdersCluster", "GlobalClusterIdentifier", "OrdersBeganHere"),
        ("s3", "eu-west-1", "EvidenceBucket", "ReplicationConfiguration", "OtherRegions1Stand"),
    ] {
        let rendering = spec(name);
        let value = at(resource(&rendering, region, id), key);
        assert!(matches!(value, Value::If(test, ..) if test.name == condition), "{id} {key}: {value:?}");
    }
    let storage = spec("storage");
    assert!(resource(&storage, "us-west-2", "HourlyIntoFromUsEast1").condition.is_some());
}

/// Files are mounted over TLS through a mount target, by whoever is in the network, and by nobody else.
#[test]
fn files_are_mounted_through_the_network_and_over_tls() {
    let rendering = spec("storage");
    let policy =
        words::all(resource(&rendering, "us-west-2", "PagesFileSystem"), "FileSystemPolicy.Statement").join("");
    for said in
        ["elasticfilesystem:AccessedViaMountTarget=true", "aws:SecureTransport=false", "ClientMount", "ClientWrite"]
    {
        assert!(policy.contains(said), "{said}: {policy}");
    }
}

/// A key of logs encrypts logs of this account, a key of data what services keep for it.
#[test]
fn keys_are_used_by_the_services_that_need_them() {
    let rendering = spec("keys");
    let policy = words::all(resource(&rendering, "us-west-2", "DataKeyKey"), "KeyPolicy.Statement").join("");
    for service in ["backup", "cloudtrail", "cloudwatch", "delivery.logs", "events", "s3", "sns", "logs.us-west-2"] {
        assert!(policy.contains(&format!("{service}.amazonaws.com")), "{service}: {policy}");
    }
    for action in ["Action=kms:*", "kms:Decrypt", "kms:GenerateDataKey*", "kms:DeleteAlias"] {
        assert!(policy.contains(action), "{action}: {policy}");
    }
    let logs = spec("alarms");
    let policy = words::all(resource(&logs, "us-west-2", "LogKey"), "KeyPolicy.Statement").join("");
    assert!(policy.contains("kms:EncryptionContext:aws:logs:arn=arn:"), "{policy}");
}
