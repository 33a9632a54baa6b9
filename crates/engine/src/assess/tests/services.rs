//! What single services have of their own, and telemetry taken together.

use super::{Case, case, check, ids, only};

pub const CASES: &[Case] = &[
    case(
        "accounts-not-covered",
        "components: { trail: { kind: aws.cloudtrail, all_accounts: false } }",
        "components: { trail: { kind: aws.cloudtrail, all_accounts: true } }",
        ("components: { network: { kind: aws.vpc } }", false),
    ),
    case(
        "addresses-overlap",
        "components: { network: { kind: aws.vpc, cidr_overlaps: true } }",
        "components: { network: { kind: aws.vpc, cidr_overlaps: false } }",
        (
            "sites: { eu-west-1: { zones: [a, b] } }
components: { network: { kind: aws.vpc, cidr_overlaps: true } }",
            false,
        ),
    ),
    case(
        "not-encrypted",
        "components: { disk: { kind: aws.ebs, encrypted: false } }",
        "components: { disk: { kind: aws.ebs, encrypted: true } }",
        ("components: { disk: { kind: aws.ebs } }", false),
    ),
    case(
        "old-objects-not-copied",
        "components: { files: { kind: aws.s3, replication: asynchronous, existing_copied: false } }",
        "components: { files: { kind: aws.s3, replication: asynchronous, existing_copied: true } }",
        ("components: { files: { kind: aws.s3, replication: none, existing_copied: false } }", false),
    ),
    case(
        "vault-unlocked",
        "components: { vault: { kind: aws.backup, vault_lock: none } }",
        "components: { vault: { kind: aws.backup, vault_lock: compliance } }",
        ("components: { vault: { kind: aws.backup, vault_lock: governance } }", false),
    ),
    case(
        "tokens-from-one-endpoint",
        "components: { roles: { kind: aws.iam, regional_sts: false } }",
        "components: { roles: { kind: aws.iam, regional_sts: true } }",
        ("components: { roles: { kind: aws.iam } }", false),
    ),
    case(
        "image-untested",
        "components: { web: { kind: aws.asg, image: { built: 2026-11-01, tested: 2026-08-12 } } }",
        "components: { web: { kind: aws.asg, image: { built: 2026-11-01, tested: 2026-11-20 } } }",
        ("components: { web: { kind: aws.asg, image: { built: 2026-11-01, tested: 2026-08-13 } } }", false),
    ),
    case(
        "availability-above-promise",
        "objectives: { rto: 30m, rpo: 1m, availability: 99.99% }
components: { web: { kind: aws.ec2 } }",
        "objectives: { rto: 30m, rpo: 1m, availability: 99.99% }
components: { web: { kind: aws.asg, zones_spread: true } }",
        (
            "objectives: { rto: 30m, rpo: 1m, availability: 99.5% }
components: { web: { kind: aws.ec2 } }",
            false,
        ),
    ),
];

#[test]
fn what_a_service_has_of_its_own_is_looked_at() {
    check(CASES);
}

/// Seed 001: one instance, and 99.99 %.
#[test]
fn the_promise_of_one_zone_is_named() {
    let found = only(CASES[7].bad, "availability-above-promise");
    assert_eq!(found.says, "`web` stands in one zone, where 99.5% is promised; the objective is 99.99%");
    let with = |kind: &str| {
        let sites = "sites: { eu-west-1: { zones: [a], preferred: true }, eu-central-1: { zones: [a] } }";
        format!(
            "objectives: {{ rto: 30m, rpo: 1m, availability: 99.99% }}\n{sites}\ncomponents: {{ it: {{ kind: {kind} }} }}"
        )
    };
    assert!(ids(&with("aws.asg")).contains("availability-above-promise"), "it stands where the region has its zones");
    assert!(!ids(&with("aws.kms")).contains("availability-above-promise"), "nobody puts a key into a zone");
    let nothing = CASES[7].good.replace("aws.asg, zones_spread: true", "aws.fargate, zones_spread: false");
    let says = only(&nothing, "availability-above-promise").says;
    assert_eq!(says, "`web` stands in one zone, where nothing is promised; the objective is 99.99%");
}

/// Two tools may share the work; what both of them lack is missing.
#[test]
fn telemetry_is_what_all_that_watch_have_together() {
    let with = |graphs: &str, traces: &str| {
        format!(
            "components:
  graphs: {{ kind: monitoring, observe: {{ {graphs} }} }}
  traces: {{ kind: aws.x-ray, observe: {{ {traces} }} }}"
        )
    };
    let half = with("metrics: [traffic, data, compute, queue]", "metrics: [routing, security, cost]");
    let found = only(&half, "metrics-missing");
    assert_eq!((found.says.as_str(), found.line), ("no metrics of recovery", 6));
    let all = with("metrics: [traffic, data, compute, queue]", "metrics: [routing, security, cost, recovery]");
    assert!(!ids(&all).contains("metrics-missing"));
    // That something watches does not say what it measures.
    let silent = only(&with("", ""), "metrics-missing");
    assert!(silent.unsaid && silent.path == "practice.observability.metrics", "{silent:?}");
}
