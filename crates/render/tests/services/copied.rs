//! Copies: each goes where it should, encrypted with a key of there, by a role that may do that and no more.

use crate::{at_first, find, resource, says, spec, words};

/// A copy that cannot be decrypted there, or that never left, is found out when it is needed.
#[test]
fn each_rule_of_a_bucket_copies_what_is_encrypted_to_the_bucket_and_the_key_of_the_other_region() {
    let rendering = spec("s3");
    let rules = "ReplicationConfiguration.Rules.*";
    says(
        &rendering,
        "eu-west-1",
        &[
            ("EvidenceBucket", &format!("{rules}.Status"), "Enabled Enabled"),
            ("EvidenceBucket", &format!("{rules}.Filter.Prefix"), " "),
            (
                "EvidenceBucket",
                &format!("{rules}.SourceSelectionCriteria.SseKmsEncryptedObjects.Status"),
                "Enabled Enabled",
            ),
            (
                "EvidenceBucket",
                &format!("{rules}.SourceSelectionCriteria.ReplicaModifications.Status"),
                "Enabled Enabled",
            ),
            (
                "EvidenceBucket",
                &format!("{rules}.Destination.Bucket"),
                "arn:{AWS::Partition}:s3:::archive-evidence-us-east-1 arn:{AWS::Partition}:s3:::archive-evidence-ap-southeast-1",
            ),
            (
                "EvidenceBucket",
                &format!("{rules}.Destination.EncryptionConfiguration.ReplicaKmsKeyID"),
                "arn:{AWS::Partition}:kms:us-east-1:{AWS::AccountId}:alias/archive-key arn:{AWS::Partition}:kms:ap-southeast-1:{AWS::AccountId}:alias/archive-key",
            ),
            ("EvidenceBucket", &format!("{rules}.Destination.ReplicationTime.Time.Minutes"), "15 15"),
            ("EvidenceBucket", &format!("{rules}.Destination.Metrics.Status"), "Enabled Enabled"),
            ("EvidenceBucket", "ReplicationConfiguration.Role", "{EvidenceCopierRole.Arn}"),
            ("EvidenceBucket", "NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", "true"),
        ],
    );
}

#[test]
fn who_copies_reads_here_and_writes_there() {
    let rendering = spec("s3");
    let role = resource(&rendering, "eu-west-1", "EvidenceCopierRole");
    let statements = "Policies.*.PolicyDocument.Statement.*";
    let all = |key: &str| words::all(role, &format!("{statements}.{key}.*")).join(" ");
    let actions = all("Action");
    for action in ["s3:GetObjectVersionForReplication", "s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"]
    {
        assert!(actions.contains(action), "{actions}");
    }
    for action in ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "s3:GetObjectRetention"] {
        assert!(actions.contains(action), "{actions}");
    }
    assert!(!actions.contains("s3:PutObject") && !actions.contains("s3:DeleteObject"), "{actions}");
    let conditions = words::all(role, "Policies.*.PolicyDocument.Statement").join(" ");
    assert_eq!(conditions.matches("kms:ResourceAliases=alias/archive-key").count(), 2, "{conditions}");
}

#[test]
fn older_versions_and_locks_stay_as_long_as_backups() {
    says(
        &spec("s3"),
        "eu-west-1",
        &[
            ("EvidenceBucket", "ObjectLockConfiguration.Rule.DefaultRetention.Mode", "{EvidenceLockMode}"),
            ("EvidenceBucket", "ObjectLockConfiguration.Rule.DefaultRetention.Days", "365"),
            ("EvidenceBucket", "ObjectLockEnabled", "true"),
            ("EvidenceBucket", "LifecycleConfiguration.Rules.*.Status", "Enabled Enabled"),
        ],
    );
}

#[test]
fn a_plan_keeps_for_as_long_as_is_said_here_and_in_every_copy() {
    let rule = "BackupPlan.BackupPlanRule.*";
    says(
        &spec("storage"),
        "us-west-2",
        &[
            ("VaultPlan", &format!("{rule}.Lifecycle.DeleteAfterDays"), "30"),
            ("VaultPlan", &format!("{rule}.CopyActions.*.Lifecycle.DeleteAfterDays"), "30"),
            (
                "VaultPlan",
                &format!("{rule}.CopyActions.*.DestinationBackupVaultArn"),
                "arn:{AWS::Partition}:backup:us-east-1:{AWS::AccountId}:backup-vault:press-vault-vault",
            ),
            ("VaultPlan", &format!("{rule}.TargetBackupVault"), "{VaultVault}"),
            ("VaultPlan", &format!("{rule}.ScheduleExpression"), "cron(0 0/6 ? * * *)"),
            ("VaultPlan", &format!("{rule}.EnableContinuousBackup"), "true"),
            ("VaultVault", "BackupVaultName", "press-vault-vault"),
            ("VaultVault", "LockConfiguration.MinRetentionDays", "30"),
            ("VaultVault", "LockConfiguration.ChangeableForDays", "3"),
            ("VaultSelectionBooks", "BackupPlanId", "{VaultPlan}"),
            ("VaultSelectionBooks", "BackupSelection.IamRoleArn", "{VaultBackupRole.Arn}"),
            (
                "VaultSelectionBooks",
                "BackupSelection.Conditions.StringEquals.*.ConditionKey",
                "aws:ResourceTag/antipode:workload aws:ResourceTag/antipode:component",
            ),
            ("VaultSelectionBooks", "BackupSelection.Conditions.StringEquals.*.ConditionValue", "press books"),
        ],
    );
}

/// Whoever took an administrator's key cannot delete what is kept from him.
#[test]
fn nobody_deletes_from_an_isolated_vault() {
    let rendering = spec("storage");
    for region in ["us-east-1", "us-west-2"] {
        says(
            &rendering,
            region,
            &[
                ("PagesVault", "AccessPolicy.Statement.*.Effect", "Deny"),
                ("PagesVault", "AccessPolicy.Statement.*.Principal.AWS", "*"),
                (
                    "PagesVault",
                    "AccessPolicy.Statement.*.Action.*",
                    "backup:DeleteBackupVault backup:DeleteRecoveryPoint backup:DeleteBackupVaultAccessPolicy backup:UpdateRecoveryPointLifecycle",
                ),
                ("PagesVault", "EncryptionKeyArn", "{VaultKeyKeyArn}"),
            ],
        );
    }
}

#[test]
fn a_backup_can_be_restored_by_the_role_that_made_it() {
    let role = spec("storage");
    let managed = words::all(resource(&role, "us-west-2", "VaultBackupRole"), "ManagedPolicyArns.*").join(" ");
    for policy in ["ForBackup", "ForRestores", "S3Backup", "S3Restore"] {
        assert!(managed.contains(policy), "{managed}");
    }
}

#[test]
fn disks_and_images_are_copied_encrypted_and_kept() {
    let rendering = spec("storage");
    let schedule = "PolicyDetails.Schedules.*";
    let copies = format!("{schedule}.CrossRegionCopyRules.*");
    says(
        &rendering,
        "us-east-1",
        &[
            ("DiskCopying", &format!("{copies}.Target"), "us-west-2"),
            ("DiskCopying", &format!("{copies}.Encrypted"), "true"),
            ("DiskCopying", &format!("{copies}.RetainRule.Interval"), "14"),
            ("DiskCopying", &format!("{schedule}.RetainRule.Interval"), "14"),
            ("DiskCopying", &format!("{schedule}.CreateRule.Interval"), "12"),
            ("DiskCopying", "State", "{DiskCopies}"),
            ("DiskCopying", "PolicyDetails.PolicyType", "EBS_SNAPSHOT_MANAGEMENT"),
            ("DiskCopying", "PolicyDetails.ResourceTypes.*", "VOLUME"),
            ("DiskCopying", "PolicyDetails.TargetTags.*.Key", "antipode:copied"),
            ("DiskCopying", "PolicyDetails.TargetTags.*.Value", "press/disk"),
            ("DiskCopying", "ExecutionRoleArn", "{DiskCopiesRole.Arn}"),
            ("ImageCopying", "PolicyDetails.PolicyType", "IMAGE_MANAGEMENT"),
            ("ImageCopying", &format!("{copies}.TargetRegion"), "us-west-2"),
            ("ImageCopying", &format!("{schedule}.CreateRule.CronExpression"), "cron(0 3 1 * ? *)"),
        ],
    );
}

/// A task fetches from the other region into its own: the region that is lost is not asked to send.
#[test]
fn a_copy_by_a_clock_is_fetched_by_the_region_that_keeps_it() {
    let rendering = spec("storage");
    says(
        &rendering,
        "us-west-2",
        &[
            ("HourlyTaskFromUsEast1", "SourceLocationArn", "{HourlyFromUsEast1}"),
            ("HourlyTaskFromUsEast1", "DestinationLocationArn", "{HourlyIntoFromUsEast1}"),
            ("HourlyTaskFromUsEast1", "Schedule.ScheduleExpression", "rate(2 hours)"),
            ("HourlyTaskFromUsEast1", "Schedule.Status", "{HourlyFetchesFromUsEast1}"),
            ("HourlyTaskFromUsEast1", "Options.PreserveDeletedFiles", "REMOVE"),
            ("HourlyFromUsEast1", "S3BucketArn", "arn:{AWS::Partition}:s3:::press-prints-{AWS::AccountId}-us-east-1"),
            (
                "HourlyIntoFromUsEast1",
                "S3BucketArn",
                "arn:{AWS::Partition}:s3:::press-prints-{AWS::AccountId}-us-west-2",
            ),
        ],
    );
    assert_eq!(at_first(&rendering, "us-west-2", "HourlyFetchesFromUsEast1"), "ENABLED");
    assert_eq!(at_first(&rendering, "us-east-1", "HourlyFetchesFromUsWest2"), "DISABLED", "one direction at a time");
    let task = resource(&rendering, "us-west-2", "HourlyTaskFromUsEast1");
    assert_eq!(task.condition.as_ref().map(|condition| condition.name.as_str()), Some("OtherRegions1Stand"));
}

#[test]
fn a_table_names_each_region_once_and_waits_for_the_keys_of_the_others() {
    let rendering = spec("dynamodb");
    says(
        &rendering,
        "us-east-1",
        &[
            ("OrdersTable", "Replicas.*.Region", "us-east-1 us-west-2"),
            ("OrdersTable", "StreamSpecification.StreamViewType", "NEW_AND_OLD_IMAGES"),
            ("OrdersTable", "TimeToLiveSpecification.AttributeName", "until"),
            ("OrdersTable", "KeySchema.*.AttributeName", "customer placed"),
            ("OrdersTable", "Replicas.*.PointInTimeRecoverySpecification.RecoveryPeriodInDays", "35 35"),
            (
                "OrdersTable",
                "Replicas.*.SSESpecification.KMSMasterKeyId",
                "arn:{AWS::Partition}:kms:us-east-1:{AWS::AccountId}:alias/carts-key arn:{AWS::Partition}:kms:us-west-2:{AWS::AccountId}:alias/carts-key",
            ),
        ],
    );
    let replicas = format!("{:?}", resource(&rendering, "us-east-1", "OrdersTable").properties.get("Replicas"));
    assert!(replicas.contains("OtherRegions1Stand"), "{replicas}");
}

#[test]
fn a_file_system_is_reached_in_every_zone_and_copies_where_it_is_told() {
    let rendering = spec("storage");
    says(
        &rendering,
        "us-east-1",
        &[
            ("PagesFileSystem", "FileSystemProtection.ReplicationOverwriteProtection", "{PagesProtection}"),
            ("PagesFileSystem", "ReplicationConfiguration.Destinations.*.FileSystemId", "{PagesCopiedTo}"),
            ("PagesFileSystem", "ReplicationConfiguration.Destinations.*.Region", "us-west-2"),
            ("PagesFileSystem", "FileSystemPolicy.Statement.*.Effect", "Allow Deny"),
            ("PagesMountTargetA", "SubnetId", "{PrivateSubnetA}"),
            ("PagesMountTargetB", "SubnetId", "{PrivateSubnetB}"),
            ("PagesMountTargetB", "FileSystemId", "{PagesFileSystem}"),
        ],
    );
    assert!(find(&rendering, "us-east-1", "LocalFileSystem").is_none());
}

#[test]
fn a_stream_of_a_cluster_is_copied_with_its_offsets_into_the_region_that_reads_it() {
    let info = "ReplicationInfoList.*";
    says(
        &spec("messaging"),
        "us-west-2",
        &[
            ("LogFromUsEast1", &format!("{info}.SourceKafkaClusterArn"), "{LogClusterInUsEast1}"),
            ("LogFromUsEast1", &format!("{info}.TargetKafkaClusterArn"), "{LogCluster}"),
            ("LogFromUsEast1", &format!("{info}.ConsumerGroupReplication.SynchroniseConsumerGroupOffsets"), "true"),
            ("LogFromUsEast1", &format!("{info}.TopicReplication.DetectAndCopyNewTopics"), "true"),
            ("LogFromUsEast1", &format!("{info}.TopicReplication.TopicNameConfiguration.Type"), "IDENTICAL"),
            ("LogFromUsEast1", &format!("{info}.TopicReplication.StartingPosition.Type"), "EARLIEST"),
        ],
    );
}

#[test]
fn an_event_that_cannot_be_sent_waits_where_it_began() {
    says(
        &spec("messaging"),
        "us-west-2",
        &[
            ("BusToUsEast1", "Targets.*.DeadLetterConfig.Arn", "{BusUndelivered.Arn}"),
            ("BusToUsEast1", "Targets.*.RoleArn", "{BusToUsEast1Role.Arn}"),
            (
                "BusToUsEast1",
                "Targets.*.Arn",
                "arn:{AWS::Partition}:events:us-east-1:{AWS::AccountId}:event-bus/messages-bus",
            ),
            ("BusToUsEast1", "EventBusName", "{BusBus}"),
            ("BusUndelivered", "MessageRetentionPeriod", "1209600"),
            ("BusArchive", "RetentionDays", "30"),
            ("BusArchive", "SourceArn", "{BusBus.Arn}"),
        ],
    );
}

#[test]
fn a_message_that_nobody_can_process_is_put_aside_and_kept_longer() {
    let rendering = spec("messaging");
    says(
        &rendering,
        "us-west-2",
        &[
            ("PlainQueue", "RedrivePolicy.deadLetterTargetArn", "{PlainDeadLetters.Arn}"),
            ("PlainQueue", "RedrivePolicy.maxReceiveCount", "5"),
            ("PlainDeadLetters", "MessageRetentionPeriod", "1209600"),
            ("SortedQueue", "FifoQueue", "true"),
            ("SortedQueue", "ContentBasedDeduplication", "true"),
            ("SortedQueue", "MessageRetentionPeriod", "864000"),
            ("ClicksStream", "RetentionPeriodHours", "168"),
        ],
    );
    assert!(resource(&rendering, "us-west-2", "BlocksQueue").properties.get("RedrivePolicy").is_none());
}

/// Where copies go is reason enough for a plan.
#[test]
fn a_component_that_says_where_its_backups_go_has_a_plan() {
    for backup in ["sites: [eu-west-1]", "account: \"444455556666\""] {
        let rendering = crate::regions::rendered(&format!(
            "  files: {{ kind: aws.efs, replication: none, backup: {{ {backup} }} }}\n"
        ));
        let plan = resource(&rendering, "us-east-1", "FilesPlan");
        assert!(plan.properties.get("BackupPlan").is_some());
        assert!(!words::all(plan, "BackupPlan.BackupPlanRule.*.CopyActions.*").join(" ").is_empty(), "{backup}");
    }
}
