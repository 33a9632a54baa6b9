//! Objects, tables, files and backups: how they are copied, and what cannot be deleted.

use antipode_render::resource::Keep;
use antipode_render::value::Value;

use crate::{at, at_first, find, resource, spec, text};

const REGIONS: [&str; 3] = ["us-east-1", "eu-west-1", "ap-southeast-1"];

#[test]
fn every_bucket_copies_to_every_other_once_they_stand() {
    let rendering = spec("s3");
    for region in REGIONS {
        let bucket = resource(&rendering, region, "EvidenceBucket");
        let copies = bucket.properties.get("ReplicationConfiguration").unwrap();
        assert!(matches!(copies, Value::If(condition, ..) if condition.name == "OtherRegions1Stand"));
        let Value::List(rules) = at(bucket, "ReplicationConfiguration.Rules") else { panic!() };
        assert_eq!(rules.len(), 2);
        assert_eq!(bucket.keep, Keep::Retain);
    }
}

#[test]
fn a_deletion_is_copied_only_if_the_spec_says_so() {
    let rendering = spec("s3");
    let markers = |id: &str| {
        text(resource(&rendering, "us-east-1", id), "ReplicationConfiguration.Rules.0.DeleteMarkerReplication.Status")
    };
    assert_eq!((markers("EvidenceBucket").as_str(), markers("UploadsBucket").as_str()), ("Enabled", "Disabled"));
}

#[test]
fn replication_time_control_is_promised_where_it_is_asked_for() {
    let rendering = spec("s3");
    let rule =
        |id: &str| at(resource(&rendering, "us-east-1", id), "ReplicationConfiguration.Rules.0.Destination").clone();
    let Value::Map(evidence) = rule("EvidenceBucket") else { panic!() };
    let Value::Map(uploads) = rule("UploadsBucket") else { panic!() };
    assert!(evidence.get("ReplicationTime").is_some() && uploads.get("ReplicationTime").is_none());
    assert!(uploads.get("Metrics").is_some(), "how far it is behind is measured all the same");
}

#[test]
fn what_is_locked_is_locked_in_every_region() {
    let rendering = spec("s3");
    for region in REGIONS {
        let bucket = resource(&rendering, region, "EvidenceBucket");
        assert_eq!(at(bucket, "ObjectLockConfiguration.Rule.DefaultRetention.Days"), &Value::Int(365));
    }
}

#[test]
fn a_bucket_that_is_copied_one_way_does_so_by_a_parameter() {
    let rendering = spec("s3");
    let copies = |region| at_first(&rendering, region, "ExportsCopies");
    assert_eq!((copies("us-east-1"), copies("eu-west-1")), ("yes".into(), "no".into()));
    let scratch = resource(&rendering, "us-east-1", "ScratchBucket");
    assert!(scratch.properties.get("ReplicationConfiguration").is_none());
}

#[test]
fn a_global_table_stands_in_one_template_with_a_protected_replica_for_each_region() {
    let rendering = spec("dynamodb");
    let table = resource(&rendering, "us-east-1", "SessionsTable");
    assert!(find(&rendering, "us-west-2", "SessionsTable").is_none());
    for n in 0..2 {
        assert_eq!(at(table, &format!("Replicas.{n}.DeletionProtectionEnabled")), &Value::Bool(true));
        let recovery = format!("Replicas.{n}.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled");
        assert_eq!(at(table, &recovery), &Value::Bool(true));
    }
}

#[test]
fn strong_consistency_takes_a_witness_as_its_third_region() {
    let rendering = spec("dynamodb");
    let table = resource(&rendering, "us-east-1", "BalancesTable");
    assert_eq!(text(table, "MultiRegionConsistency"), "STRONG");
    assert_eq!(text(table, "GlobalTableWitnesses.0.Region"), "us-east-2");
}

#[test]
fn only_the_file_system_that_is_written_is_kept_from_a_copy() {
    let rendering = spec("storage");
    let protection = |region| at_first(&rendering, region, "PagesProtection");
    assert_eq!((protection("us-east-1"), protection("us-west-2")), ("ENABLED".into(), "DISABLED".into()));
    assert_eq!(at_first(&rendering, "us-east-1", "PagesCopiedTo"), "");
}

#[test]
fn backups_are_copied_to_the_vault_of_the_other_region_and_of_the_other_account() {
    let rendering = spec("storage");
    let plan = resource(&rendering, "us-east-1", "PagesPlan");
    let Value::List(copies) = at(plan, "BackupPlan.BackupPlanRule.0.CopyActions") else { panic!() };
    let copies = format!("{copies:?}");
    assert!(copies.contains("us-west-2") && copies.contains("444455556666"), "{copies}");
    let vault = resource(&rendering, "us-east-1", "PagesVault");
    assert_eq!(at(vault, "LockConfiguration.MinRetentionDays"), &Value::Int(35));
    assert_eq!(vault.keep, Keep::Retain);
}

#[test]
fn disks_are_copied_from_the_region_that_writes() {
    let rendering = spec("storage");
    let copies = |region| at_first(&rendering, region, "DiskCopies");
    assert_eq!((copies("us-east-1"), copies("us-west-2")), ("ENABLED".into(), "DISABLED".into()));
    let policy = resource(&rendering, "us-west-2", "DiskCopying");
    assert_eq!(text(policy, "PolicyDetails.Schedules.0.CrossRegionCopyRules.0.Target"), "us-east-1");
}
