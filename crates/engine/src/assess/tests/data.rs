//! Data stores, several writers, streams.

use super::{Case, case, check, only};

pub const CASES: &[Case] = &[
    case(
        "record-or-projection-unsaid",
        "components: { db: { kind: database, replication: none } }",
        "components: { db: { kind: database, replication: none, system_of_record: true } }",
        (
            "components:
  db: { kind: database, system_of_record: true }
  search: { kind: database, projection_of: db }",
            false,
        ),
    ),
    case(
        "nothing-is-the-record",
        "components: { db: { kind: database, system_of_record: false } }",
        "components: { db: { kind: database, system_of_record: true } }",
        ("components: { shop: { kind: kubernetes } }", false),
    ),
    case(
        "data-in-one-region",
        "components: { db: { kind: database, system_of_record: true, replication: none, backup: { every: 1d, sites: [eu-west-1] } } }",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous } }",
        (
            "components: { db: { kind: database, system_of_record: true, replication: none, backup: { every: 1d, sites: [eu-central-1] } } }",
            false,
        ),
    ),
    case(
        "standby-not-writable",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous, standby_writable: false } }",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous, promote: runbook } }",
        (
            "components: { db: { kind: database, system_of_record: true, replication: asynchronous, promote: none } }",
            true,
        ),
    ),
    case(
        "cross-region-failover-not-automatic",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous, promote: service } }",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous, promote: runbook } }",
        ("components: { db: { kind: database, system_of_record: true, replication: none, promote: service } }", false),
    ),
    case(
        "single-writer-not-enforced",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous } }",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous, fence: [nacl] } }",
        (
            "components: { db: { kind: database, system_of_record: true, replication: asynchronous, fence: [none] } }",
            true,
        ),
    ),
    case(
        "deletes-reach-every-copy",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous, deletes: replicated } }",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous, deletes: replicated, backup: { every: 1h, isolated: true } } }",
        (
            "components: { db: { kind: database, system_of_record: true, replication: asynchronous, deletes: replicated, backup: { every: 1h } } }",
            true,
        ),
    ),
    case(
        "backup-missing",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous } }",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous, backup: { every: 1h } } }",
        (
            "components: { files: { kind: object-store, system_of_record: true, replication: asynchronous, versioned: true, locked: true } }",
            false,
        ),
    ),
    case(
        "backup-in-one-region",
        "components: { db: { kind: database, system_of_record: true, replication: none, backup: { every: 1h, sites: [eu-west-1] } } }",
        "components: { db: { kind: database, system_of_record: true, replication: none, backup: { every: 1h, sites: [eu-west-1, eu-central-1] } } }",
        (
            "components: { db: { kind: database, system_of_record: true, replication: asynchronous, backup: { every: 1h, sites: [eu-west-1] } } }",
            false,
        ),
    ),
    case(
        "object-replication-unwatched",
        "components: { files: { kind: object-store, system_of_record: true, replication: asynchronous } }",
        "components: { files: { kind: object-store, system_of_record: true, replication: asynchronous } }
practice: { observability: { alarms: [object-replication] } }",
        (
            "components: { files: { kind: object-store, system_of_record: true, replication: asynchronous, lag_alarm: 5m } }",
            false,
        ),
    ),
    case(
        "active-active-without-conflict-strategy",
        "components: { db: { kind: database, system_of_record: true, replication: multi-writer, writers: every } }",
        "components: { db: { kind: database, system_of_record: true, replication: multi-writer, writers: every, conflicts: version-check } }",
        (
            "components: { db: { kind: database, system_of_record: true, replication: multi-writer, writers: every, conflicts: single-writer } }",
            true,
        ),
    ),
    case(
        "writes-claimed-by-single-writer-store",
        "components: { share: { kind: file-share, system_of_record: true, replication: asynchronous, writers: every } }",
        "components: { share: { kind: file-share, system_of_record: true, replication: asynchronous, writers: single } }",
        (
            "components: { db: { kind: database, system_of_record: true, replication: multi-writer, writers: every } }",
            false,
        ),
    ),
    case(
        "ownership-transfer-unsaid",
        "components: { db: { kind: database, system_of_record: true, replication: multi-writer, writers: regional } }",
        "components: { db: { kind: database, system_of_record: true, replication: multi-writer, writers: regional, promote: runbook } }",
        (
            "components: { db: { kind: database, system_of_record: true, replication: multi-writer, writers: every, conflicts: regional-ownership } }",
            true,
        ),
    ),
    case(
        "remote-writes-pay-distance",
        "components:
  www: { kind: aws.route53, policy: latency }
  db: { kind: database, system_of_record: true, replication: asynchronous, writers: single }",
        "components:
  www: { kind: aws.route53, policy: failover }
  db: { kind: database, system_of_record: true, replication: asynchronous, writers: single }",
        (
            "components:
  www: { kind: aws.route53, policy: weighted }
  db: { kind: database, system_of_record: true, replication: asynchronous, writers: single }",
            false,
        ),
    ),
    case(
        "stream-decisions-missing",
        "components: { log: { kind: stream, events: { identity: id } } }",
        "components: { log: { kind: stream, events: { identity: id, ordering: key, duplicates: idempotent, replay: offset, consumers: idempotent, ownership: one-region, poison: dead-letter, schema: registry, lag: 5s, retention: 7d } } }",
        (
            "components: { log: { kind: stream, events: { identity: id, ordering: key, duplicates: idempotent, replay: offset, consumers: idempotent, ownership: one-region, poison: dead-letter, schema: registry, lag: 5s } } }",
            true,
        ),
    ),
    case(
        "stream-consumers-not-idempotent",
        "components: { log: { kind: stream, events: { consumers: not-idempotent } } }",
        "components: { log: { kind: stream, events: { consumers: idempotent, duplicates: idempotent } } }",
        ("components: { log: { kind: stream, events: { consumers: idempotent, duplicates: none } } }", true),
    ),
    case(
        "owner-unsaid",
        "components: { db: { kind: database, system_of_record: true, replication: multi-writer, writers: regional } }",
        "components: { db: { kind: database, system_of_record: true, replication: multi-writer, writers: regional, owned_by: tenant } }",
        (
            "components: { db: { kind: database, system_of_record: true, replication: asynchronous, writers: single } }",
            false,
        ),
    ),
];

#[test]
fn stores_writers_and_streams() {
    check(CASES);
}

/// Seed 002 says that Aurora Global fails over by itself.
#[test]
fn it_names_the_call_that_somebody_has_to_make() {
    let found = only(CASES[4].bad, "cross-region-failover-not-automatic");
    assert_eq!(
        found.says,
        "`db` (Database of your own) is said to promote itself; across regions somebody has to call `the administrator`"
    );
}

#[test]
fn the_open_decision_of_a_stream_is_named() {
    let found = only(CASES[14].border.0, "stream-decisions-missing");
    assert_eq!(found.says, "`log` does not say how long events are kept");
}

/// One region needs none of it.
#[test]
fn one_region_has_no_copies_to_speak_of() {
    let one = "sites: { eu-west-1: { zones: [a, b] } }
components: { db: { kind: database, system_of_record: true, backup: { every: 1h } } }";
    for id in
        ["data-in-one-region", "replication-unsaid", "promotion-unsaid", "single-writer-not-enforced", "writers-unsaid"]
    {
        assert!(!super::ids(one).contains(id), "{id}");
    }
}

/// A promotion that nobody makes is no better than one that nobody named, and neither is said twice.
#[test]
fn traffic_that_moves_to_a_copy_that_nobody_promotes_is_said_once() {
    let with = |promote: &str| {
        super::ids(&format!(
            "components:
  www: {{ kind: aws.route53, policy: failover }}
  db: {{ kind: database, system_of_record: true, replication: asynchronous{promote} }}"
        ))
    };
    for (promote, stuck) in [("", true), (", promote: none", true), (", promote: runbook", false)] {
        assert_eq!(with(promote).contains("dns-failover-without-promotion"), stuck, "{promote}");
        for less in ["promotion-unsaid", "standby-not-writable"] {
            assert!(!with(promote).contains(less), "{less} with {promote}");
        }
    }
}

/// Nothing is copied, so nobody has to allow that it moves, and one account is no choice.
#[test]
fn one_region_is_not_asked_where_its_data_may_go() {
    let one = "sites: { eu-west-1: { zones: [a, b] } }
components: { db: { kind: aws.rds, system_of_record: true } }";
    let two = "components: { db: { kind: aws.rds, system_of_record: true } }";
    for id in ["residency-undefined", "accounts-undefined"] {
        assert!(!super::ids(one).contains(id) && super::ids(two).contains(id), "{id}");
    }
}
