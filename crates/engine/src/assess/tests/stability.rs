//! What the recovery itself needs to be alive.

use model::catalogue::{ActName, CallPlane};

use super::{Case, case, check, design, only, today};
use crate::assess::{Verdict, review};

pub const CASES: &[Case] = &[
    case(
        "recovery-needs-global-control-plane",
        "components: { www: { kind: aws.route53, policy: failover, shift: dns-record } }",
        "components: { www: { kind: aws.route53, policy: failover, shift: standby-signal } }",
        ("components: { www: { kind: aws.route53, policy: failover, check: { path: /ready } } }", false),
    ),
    case(
        "recovery-needs-lost-region",
        "sites: { us-east-1: { zones: [a, b], preferred: true }, us-west-2: { zones: [a, b] } }
components: { www: { kind: aws.route53, policy: failover, shift: dns-record } }",
        "sites: { us-east-1: { zones: [a, b], preferred: true }, us-west-2: { zones: [a, b] } }
components: { www: { kind: aws.route53, policy: failover, shift: routing-control } }",
        (
            "sites: { us-west-2: { zones: [a, b], preferred: true }, us-east-1: { zones: [a, b] } }
components: { www: { kind: aws.route53, policy: failover, shift: dns-record } }",
            false,
        ),
    ),
    case(
        "recovery-needs-regional-control-plane",
        "components: { shop: { kind: kubernetes, peak: 10, capacity: 50% } }",
        "components: { shop: { kind: kubernetes, peak: 10, capacity: 100% } }",
        ("components: { shop: { kind: kubernetes, peak: 10, capacity: 91% } }", true),
    ),
    case(
        "controller-in-serving-region",
        "controller: { site: eu-west-1 }",
        "controller: { site: eu-central-1 }",
        ("controller: { site: eu-north-1 }", false),
    ),
    case(
        "witness-missing",
        "failover: automatic",
        "failover: ask",
        (
            "failover: automatic
sites: { eu-west-1: { zones: [a, b], preferred: true }, eu-central-1: { zones: [a, b] }, tie: { witness: true } }",
            false,
        ),
    ),
    case(
        "fence-without-epoch",
        "components: { db: { kind: aws.rds, system_of_record: true, replication: asynchronous } }",
        "components: { db: { kind: aws.rds, system_of_record: true, replication: none } }",
        ("components: { db: { kind: aws.rds, system_of_record: false, replication: asynchronous } }", false),
    ),
    case(
        "observability-not-in-region",
        "components: { graphs: { kind: monitoring, sites: [eu-west-1] } }",
        "components: { graphs: { kind: monitoring } }",
        (
            "sites: { eu-west-1: { zones: [a, b] } }
components: { graphs: { kind: monitoring } }",
            false,
        ),
    ),
];

#[test]
fn a_recovery_does_not_depend_on_what_it_recovers_from() {
    check(CASES);
}

/// Seed 001: the failover edits the record.
#[test]
fn the_data_plane_way_is_proposed() {
    let found = only(CASES[0].bad, "recovery-needs-global-control-plane");
    assert_eq!(found.says, "to move the traffic of `www`, `route53:ChangeResourceRecordSets` must answer in us-east-1");
    assert!(
        found.remedy.contains("inverted health check") && found.remedy.contains("routing control"),
        "{}",
        found.remedy
    );
}

#[test]
fn every_call_is_listed_in_the_order_of_a_runbook() {
    let fragment = "components:
  www: { kind: aws.route53, policy: failover, shift: health-check, check: { path: /ready } }
  shop: { kind: kubernetes, peak: 10, capacity: 50% }
  db: { kind: database, system_of_record: true, replication: asynchronous, promote: runbook }";
    let calls = review(&design(fragment), today()).calls;
    let told: Vec<_> = calls.iter().map(|call| (call.act, call.plane, call.region.as_deref(), call.verdict)).collect();
    assert_eq!(
        told,
        [
            (ActName::Promote, CallPlane::Control, Some("eu-central-1"), Verdict::Fine),
            (ActName::Scale, CallPlane::Control, Some("eu-central-1"), Verdict::Avoidable),
            (ActName::Shift, CallPlane::Data, None, Verdict::Fine),
        ]
    );
}

/// What we run ourselves needs neither a global control plane nor the region that is left.
#[test]
fn our_own_kinds_are_statically_stable() {
    let text = include_str!("../../../../../examples/case-api/antipode.yaml");
    let calls = review(&model::spec::design(text).unwrap(), today()).calls;
    assert!(!calls.is_empty() && calls.iter().all(|call| !call.verdict.refused()), "{calls:?}");
}

/// Seed 004: the group of the recovery region starts at none. Somebody has to call for the first instance.
#[test]
fn a_group_of_no_instances_has_to_be_grown() {
    let calls = |capacity: &str| {
        let fragment =
            format!("components: {{ web: {{ kind: aws.asg, peak: 4, capacity: {capacity}, autoscale: true }} }}");
        review(&design(&fragment), today()).calls
    };
    let told: Vec<_> = calls("0%").into_iter().map(|call| (call.act, call.call, call.verdict)).collect();
    assert_eq!(told, [(ActName::Scale, "autoscaling:SetDesiredCapacity".to_owned(), Verdict::Avoidable)]);
    assert_eq!(calls("100%"), []);
}

/// An accelerator and a distribution have ways of their own on the data plane.
#[test]
fn what_is_proposed_fits_the_kind() {
    let fragment = "sites: { us-east-1: { zones: [a, b], preferred: true }, eu-west-1: { zones: [a, b] } }
components: { cdn: { kind: aws.cloudfront } }";
    let found = only(fragment, "recovery-needs-lost-region");
    assert!(found.remedy.contains("origin group"), "{}", found.remedy);
    let safe = fragment.replace("aws.cloudfront", "aws.cloudfront, origin_failover: true");
    assert!(review(&design(&safe), today()).calls.iter().all(|call| !call.verdict.refused()));
}
