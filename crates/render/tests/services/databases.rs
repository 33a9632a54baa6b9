//! Databases: what a promotion and the way back need.

use antipode_render::resource::Keep;
use antipode_render::value::Value;

use crate::regions::rendered;
use crate::{at, at_first, find, resource, spec, text};

#[test]
fn a_replica_follows_by_a_parameter_and_both_regions_have_the_same_instance() {
    let rendering = spec("rds");
    let (here, there) =
        (resource(&rendering, "ap-south-1", "BooksInstance"), resource(&rendering, "eu-west-1", "BooksInstance"));
    assert_eq!(here.properties.0.len(), there.properties.0.len());
    assert!(
        matches!(at(there, "SourceDBInstanceIdentifier"), Value::If(condition, ..) if condition.name == "BooksFollows")
    );
    assert_eq!(at_first(&rendering, "ap-south-1", "BooksSourceRegion"), "");
    assert_eq!(at_first(&rendering, "eu-west-1", "BooksSourceRegion"), "ap-south-1");
    assert_eq!(at_first(&rendering, "eu-west-1", "BooksSource"), "books-ap-south-1-g1");
}

#[test]
fn an_instance_is_named_by_its_generation_and_stays_when_the_next_one_comes() {
    let rendering = spec("rds");
    let instance = resource(&rendering, "ap-south-1", "DbInstance");
    assert!(format!("{:?}", at(instance, "DBInstanceIdentifier")).contains("DbGeneration"));
    assert_eq!((at(instance, "DeletionProtection"), instance.keep), (&Value::Bool(true), Keep::Retain));
    let notes: Vec<&str> = rendering.notes.iter().map(|note| note.instead.as_str()).collect();
    assert!(
        notes.iter().any(|note| note.contains("delete-db-instance --db-instance-identifier ledger-db-g1")),
        "{notes:?}"
    );
}

#[test]
fn a_replica_is_encrypted_with_the_key_of_its_own_region() {
    let rendering = spec("rds");
    for region in ["ap-south-1", "eu-west-1"] {
        let key = resource(&rendering, region, "DbInstance").properties.get("KmsKeyId").unwrap();
        assert!(matches!(key, Value::Parameter(root, _) if root.name() == region), "{key:?}");
    }
}

#[test]
fn a_database_has_a_name_in_the_network_of_every_region() {
    let rendering = spec("rds");
    for region in ["ap-south-1", "eu-west-1"] {
        assert_eq!(text(resource(&rendering, region, "BooksName"), "Name"), "books.internal.example.com");
        assert_eq!(text(resource(&rendering, region, "DbName"), "Name"), "db.ledger.internal");
    }
}

#[test]
fn a_database_that_is_not_copied_stands_where_the_workload_is() {
    let rendering = spec("rds");
    let here = |region| at_first(&rendering, region, "ColdHere");
    assert_eq!((here("ap-south-1"), here("eu-west-1")), ("yes".into(), "no".into()));
}

#[test]
fn only_the_first_cluster_of_a_global_database_has_a_user_of_its_own() {
    let rendering = spec("aurora");
    for region in ["us-east-1", "us-west-2"] {
        let cluster = resource(&rendering, region, "CasesCluster");
        let only =
            |key: &str| matches!(at(cluster, key), Value::If(condition, ..) if condition.name == "CasesBeganHere");
        assert!(only("MasterUsername") && only("GlobalClusterIdentifier"));
        let Value::Map(parameters) = at(resource(&rendering, region, "CasesParameters"), "Parameters") else {
            panic!()
        };
        assert_eq!(parameters.get("rds.global_db_rpo"), Some(&Value::from("30")));
    }
}

#[test]
fn a_headless_copy_has_storage_and_no_instance() {
    let rendering = spec("aurora");
    assert!(find(&rendering, "us-east-1", "CasesInstance3").is_some());
    assert!(find(&rendering, "us-west-2", "CasesInstance1").is_none());
    assert!(find(&rendering, "us-west-2", "CasesCluster").is_some());
}

/// RDS refuses another major version unless it is said that it may be one: by whoever writes the version down, and never by
/// what is usual when nobody does.
#[test]
fn a_version_that_somebody_wrote_down_may_be_a_major_one() {
    let allowed = |said: &str| {
        let rendering = rendered(&format!("  db: {{ kind: aws.rds, replication: asynchronous{said} }}\n"));
        let of = |region: &str| {
            crate::regions::resource(&rendering, region, "DbInstance")
                .properties
                .get("AllowMajorVersionUpgrade")
                .cloned()
        };
        [of("us-east-1"), of("eu-west-1")]
    };
    assert_eq!(allowed(", version: \"17\""), [Some(true.into()), Some(true.into())]);
    assert_eq!(allowed(""), [None, None]);
}
