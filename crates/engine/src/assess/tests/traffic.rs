//! Routing: policies, checks, clients.

use super::{Case, case, check, only};

pub const CASES: &[Case] = &[
    case(
        "dns-failover-without-promotion",
        "components:
  www: { kind: aws.route53, policy: failover }
  db: { kind: database, system_of_record: true, replication: asynchronous }",
        "components:
  www: { kind: aws.route53, policy: failover }
  db: { kind: database, system_of_record: true, replication: asynchronous, promote: runbook }",
        ("components: { db: { kind: database, system_of_record: true, replication: asynchronous } }", false),
    ),
    case(
        "clients-pinned",
        "components: { www: { kind: aws.route53, policy: failover, clients: { pinned: 5% } } }",
        "components: { www: { kind: aws.route53, policy: failover, clients: { cache: 60s } } }",
        ("components: { www: { kind: aws.route53, policy: failover, clients: { pinned: 0% } } }", false),
    ),
    case(
        "health-check-missing",
        "components: { www: { kind: aws.route53, policy: failover, shift: health-check } }",
        "components: { www: { kind: aws.route53, policy: failover, shift: health-check, check: { path: /ready, every: 10s, failures: 3 } } }",
        ("components: { www: { kind: aws.route53, policy: failover, shift: routing-control } }", false),
    ),
    case(
        "health-check-one-place",
        "components: { www: { kind: aws.route53, policy: failover, check: { path: /ready, vantage_points: 1 } } }",
        "components: { www: { kind: aws.route53, policy: failover, check: { path: /ready, vantage_points: 8 } } }",
        ("components: { www: { kind: aws.route53, policy: failover, check: { path: /ready, vantage_points: 2 } } }", false),
    ),
    case(
        "automatic-failover-on-shallow-signal",
        "components: { www: { kind: aws.route53, policy: failover, automatic: true, check: { path: /health, depth: shallow } } }",
        "components: { www: { kind: aws.route53, policy: failover, automatic: true, check: { path: /ready, depth: deep } } }",
        ("components: { www: { kind: aws.route53, policy: failover, automatic: false, check: { path: /health, depth: shallow } } }", false),
    ),
    case(
        "automatic-failover-without-safety-rules",
        "components: { www: { kind: aws.route53, policy: failover, automatic: true, check: { path: /ready, depth: deep } } }",
        "components: { www: { kind: aws.route53, policy: failover, automatic: true, safety_rules: true, check: { path: /ready, depth: deep } } }",
        ("components: { www: { kind: aws.route53, policy: failover, shift: health-check, check: { path: /ready } } }", true),
    ),
    case(
        "routing-control-without-safety-rules",
        "components: { www: { kind: aws.route53, policy: failover, shift: routing-control } }",
        "components: { www: { kind: aws.route53, policy: failover, shift: routing-control, safety_rules: true } }",
        ("components: { www: { kind: aws.route53, policy: failover, shift: standby-signal } }", false),
    ),
    case(
        "weighted-splits-writes",
        "sites: { eu-west-1: { zones: [a, b], preferred: true, traffic_weight: 90 }, eu-central-1: { zones: [a, b], traffic_weight: 10 } }
components:
  www: { kind: aws.route53, policy: weighted }
  db: { kind: database, system_of_record: true, replication: asynchronous }",
        "sites: { eu-west-1: { zones: [a, b], preferred: true, traffic_weight: 90 }, eu-central-1: { zones: [a, b], traffic_weight: 10 } }
components:
  www: { kind: aws.route53, policy: weighted }
  db: { kind: database, system_of_record: true, replication: asynchronous, writers: single }",
        (
            "sites: { eu-west-1: { zones: [a, b], preferred: true, traffic_weight: 100 }, eu-central-1: { zones: [a, b], traffic_weight: 0 } }
components:
  www: { kind: aws.route53, policy: weighted }
  db: { kind: database, system_of_record: true, replication: asynchronous }",
            false,
        ),
    ),
    case(
        "weighted-clients-stick",
        "components: { www: { kind: aws.route53, policy: weighted, sticky: true } }",
        "components: { www: { kind: aws.route53, policy: weighted, sticky: false } }",
        (
            "components:
  www: { kind: aws.route53, policy: weighted }
  shop: { kind: kubernetes, sessions: sticky }",
            true,
        ),
    ),
    case(
        "nearest-region-lacks-data",
        "components:
  www: { kind: aws.route53, policy: latency }
  db: { kind: database, system_of_record: true, replication: none }",
        "components:
  www: { kind: aws.route53, policy: latency }
  db: { kind: database, system_of_record: true, replication: synchronous }",
        (
            "components:
  www: { kind: aws.route53, policy: failover }
  db: { kind: database, system_of_record: true, replication: none }",
            false,
        ),
    ),
    case(
        "nearest-region-reads-stale",
        "components:
  www: { kind: aws.route53, policy: latency }
  db: { kind: database, system_of_record: true, replication: asynchronous, lag: 2s }",
        "components:
  www: { kind: aws.route53, policy: latency }
  db: { kind: database, system_of_record: true, replication: synchronous }",
        (
            "components:
  www: { kind: aws.route53, policy: geolocation }
  db: { kind: database, system_of_record: true, replication: asynchronous, lag: 2s }",
            false,
        ),
    ),
    case(
        "routing-ignores-residency",
        "objectives: { rto: 30m, rpo: 1m, data_class: regulated }
residency: { regulated: [eu-west-1] }
components: { www: { kind: aws.route53, policy: latency } }",
        "objectives: { rto: 30m, rpo: 1m, data_class: regulated }
residency: { regulated: [eu-west-1, eu-central-1] }
components: { www: { kind: aws.route53, policy: latency } }",
        (
            "objectives: { rto: 30m, rpo: 1m, data_class: regulated }
residency: { regulated: [eu-west-1] }
components: { www: { kind: aws.route53, policy: geolocation } }",
            false,
        ),
    ),
    case(
        "geographic-routing-without-failover",
        "components: { www: { kind: aws.route53, policy: geolocation, fallback: eu-west-1 } }",
        "components: { www: { kind: aws.route53, policy: geolocation, fallback: eu-west-1, check: { path: /ready } } }",
        ("components: { www: { kind: aws.route53, policy: geolocation, check: { path: /ready } } }", true),
    ),
];

#[test]
fn routing_policies_and_their_risks() {
    check(CASES);
}

#[test]
fn a_check_from_one_place_is_a_shallow_signal_as_well() {
    let one = "components: { www: { kind: aws.route53, policy: failover, automatic: true, check: { path: /ready, depth: deep, vantage_points: 1 } } }";
    let found = only(one, "automatic-failover-on-shallow-signal");
    assert_eq!(found.says, "`www` fails over automatically on a check that is made from one place");
}

#[test]
fn the_region_that_lacks_the_data_is_named() {
    let found = only(CASES[9].bad, "nearest-region-lacks-data");
    assert_eq!(
        found.says,
        "`www` sends users to the nearest of eu-west-1 and eu-central-1, and `db` is not in eu-central-1"
    );
}
