//! Where things stand, and whether it is enough.

use super::{Case, case, check, only};

pub const CASES: &[Case] = &[
    case(
        "single-zone",
        "sites: { eu-west-1: { zones: [a], preferred: true }, eu-central-1: { zones: [a, b] } }",
        "sites: { eu-west-1: { zones: [a, b], preferred: true }, eu-central-1: { zones: [a, b] } }",
        ("sites: { eu-west-1: { zones: [a, b], preferred: true }, eu-central-1: { zones: [b] } }", true),
    ),
    case(
        "standby-absent",
        "components: { shop: { kind: kubernetes, sites: [eu-west-1] } }",
        "components: { shop: { kind: kubernetes, sites: [eu-west-1, eu-central-1] } }",
        ("sites: { eu-west-1: { zones: [a, b], preferred: true }, eu-central-1: { zones: [a, b], deployed: false } }", true),
    ),
    case(
        "entry-in-one-region",
        "components: { lb: { kind: gateway, sites: [eu-west-1] } }",
        "components: { lb: { kind: gateway } }",
        (
            "sites: { eu-west-1: { zones: [a, b] } }
components: { lb: { kind: gateway } }",
            false,
        ),
    ),
    case(
        "single-point-of-failure",
        "components:
  shop: { kind: kubernetes, needs: [flags] }
  flags: { kind: database, sites: [eu-west-1] }",
        "components:
  shop: { kind: kubernetes, needs: [flags] }
  flags: { kind: database }",
        (
            "components:
  shop: { kind: kubernetes, sites: [eu-west-1], needs: [flags] }
  flags: { kind: database, sites: [eu-west-1] }",
            false,
        ),
    ),
    case(
        "preferred-region-unsaid",
        "sites: { eu-west-1: { zones: [a, b] }, eu-central-1: { zones: [a, b] } }",
        "sites: { eu-west-1: { zones: [a, b], preferred: true }, eu-central-1: { zones: [a, b] } }",
        (
            "sites: { eu-west-1: { zones: [a, b] }, eu-central-1: { zones: [a, b] } }
components: { www: { kind: aws.route53, policy: latency } }",
            false,
        ),
    ),
    case(
        "standby-too-small",
        "components: { shop: { kind: kubernetes, peak: 10, capacity: 50%, maximum: 9 } }",
        "components: { shop: { kind: kubernetes, peak: 10, capacity: 50%, maximum: 20 } }",
        ("components: { shop: { kind: kubernetes, peak: 10, capacity: 50%, maximum: 10 } }", false),
    ),
    case(
        "capacity-not-held",
        "components: { shop: { kind: kubernetes, peak: 10, capacity: 90% } }",
        "components: { shop: { kind: kubernetes, peak: 10, capacity: 90%, reserved: true } }",
        ("components: { shop: { kind: kubernetes, peak: 10, capacity: 100% } }", false),
    ),
    case(
        "quota-below-peak",
        "sites: { eu-west-1: { zones: [a, b], preferred: true }, eu-central-1: { zones: [a, b], quotas: { web: 9 } } }
components: { web: { kind: aws.asg, peak: 10 } }",
        "sites: { eu-west-1: { zones: [a, b], preferred: true }, eu-central-1: { zones: [a, b], quotas: { web: 40 } } }
components: { web: { kind: aws.asg, peak: 10 } }",
        (
            "sites: { eu-west-1: { zones: [a, b], preferred: true }, eu-central-1: { zones: [a, b], quotas: { aws.asg: 10 } } }
components: { web: { kind: aws.asg, peak: 10 } }",
            false,
        ),
    ),
    case(
        "quota-unknown",
        "components: { web: { kind: aws.asg, peak: 10 } }",
        "sites: { eu-west-1: { zones: [a, b], preferred: true }, eu-central-1: { zones: [a, b], quotas: { web: 40 } } }
components: { web: { kind: aws.asg, peak: 10 } }",
        ("components: { shop: { kind: kubernetes, peak: 10 } }", false),
    ),
    case(
        "image-stale",
        "components: { web: { kind: aws.asg, image: { built: 2026-10-20 } } }",
        "components: { web: { kind: aws.asg, image: { built: 2026-11-20 } } }",
        ("components: { web: { kind: aws.asg, image: { built: 2026-10-21 } } }", false),
    ),
    case(
        "image-not-copied",
        "components: { web: { kind: aws.asg, image: { sites: [eu-west-1] } } }",
        "components: { web: { kind: aws.asg, image: { sites: [eu-west-1, eu-central-1] } } }",
        ("components: { web: { kind: aws.asg, sites: [eu-west-1], image: { sites: [eu-west-1] } } }", false),
    ),
    case(
        "single-instance",
        "components: { shop: { kind: kubernetes, peak: 1 } }",
        "components: { shop: { kind: kubernetes, peak: 2 } }",
        ("components: { shop: { kind: kubernetes, peak: 4, minimum: 1 } }", true),
    ),
    case(
        "weak-region-hidden",
        "sites: { eu-west-1: { zones: [a] }, eu-central-1: { zones: [a, b] } }
components: { www: { kind: aws.route53, policy: latency } }",
        "components: { www: { kind: aws.route53, policy: latency } }",
        (
            "sites: { eu-west-1: { zones: [a], preferred: true }, eu-central-1: { zones: [a, b] } }
components: { www: { kind: aws.route53, policy: failover } }",
            false,
        ),
    ),
    case(
        "sessions-by-tenant",
        "components: { shop: { kind: kubernetes, sessions: affinity } }",
        "components: { shop: { kind: kubernetes, sessions: stateless } }",
        (
            "components:
  www: { kind: aws.route53, policy: geolocation, fallback: eu-west-1 }
  shop: { kind: kubernetes, sessions: affinity }",
            false,
        ),
    ),
    case(
        "token-revocation-unsaid",
        "components: { shop: { kind: kubernetes, sessions: stateless } }",
        "components: { shop: { kind: kubernetes, sessions: stateless, revocation: a replicated list } }",
        ("components: { bills: { kind: job, sessions: stateless } }", false),
    ),
    case(
        "jobs-run-twice",
        "components: { bills: { kind: job, schedule: 1d, guard: none } }",
        "components: { bills: { kind: job, schedule: 1d, guard: leader } }",
        ("components: { bills: { kind: job, schedule: 1d, guard: none, sites: [eu-west-1] } }", false),
    ),
];

#[test]
fn what_stands_where_and_whether_it_is_enough() {
    check(CASES);
}

#[test]
fn what_stands_ready_must_be_known_as_well_as_the_peak() {
    let found = only("components: { shop: { kind: kubernetes, peak: 10 } }", "standby-capacity-unknown");
    assert_eq!(found.path, "components.shop.capacity");
}

#[test]
fn a_standby_that_is_told_not_to_grow_does_not() {
    let fixed = "components: { shop: { kind: kubernetes, peak: 10, capacity: 25%, autoscale: false } }";
    let found = only(fixed, "standby-too-small");
    assert_eq!(found.says, "`shop` needs 10 at peak; eu-central-1 has 2 and may grow to 2");
}

/// Two of three remain, so each takes half.
#[test]
fn regions_that_remain_share_the_peak() {
    let three = |maximum: u32| {
        format!(
            "sites: {{ eu-west-1: {{ zones: [a, b] }}, eu-central-1: {{ zones: [a, b] }}, eu-north-1: {{ zones: [a, b] }} }}
components:
  www: {{ kind: aws.route53, policy: latency }}
  shop: {{ kind: kubernetes, peak: 10, capacity: 40%, maximum: {maximum} }}"
        )
    };
    assert!(super::ids(&three(4)).contains("standby-too-small"));
    assert!(!super::ids(&three(5)).contains("standby-too-small"));
}
