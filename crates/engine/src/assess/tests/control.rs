//! Identity, secrets, keys, compliance, people.

use super::{Case, case, check, only};

pub const CASES: &[Case] = &[
    case(
        "secret-missing-in-region",
        "components: { password: { kind: aws.secrets-manager, sites: [eu-west-1] } }",
        "components: { password: { kind: aws.secrets-manager, replicated: true } }",
        ("components: { password: { kind: aws.secrets-manager, replicated: false } }", true),
    ),
    case(
        "key-missing-in-region",
        "components: { key: { kind: aws.kms, sites: [eu-west-1] } }",
        "components: { key: { kind: aws.kms } }",
        (
            "sites: { eu-west-1: { zones: [a, b] } }
components: { key: { kind: aws.kms } }",
            false,
        ),
    ),
    case(
        "vault-key-unavailable",
        "components:
  key: { kind: aws.kms, sites: [eu-west-1] }
  db: { kind: database, system_of_record: true, backup: { every: 1h, sites: [eu-central-1], key: key } }",
        "components:
  key: { kind: aws.kms }
  db: { kind: database, system_of_record: true, backup: { every: 1h, sites: [eu-central-1], key: key } }",
        (
            "components:
  key: { kind: aws.kms, sites: [eu-west-1] }
  db: { kind: database, system_of_record: true, backup: { every: 1h, sites: [eu-west-1], key: key } }",
            false,
        ),
    ),
    case(
        "key-outside-residency",
        "objectives: { rto: 30m, rpo: 1m, data_class: regulated }
residency: { regulated: [eu-west-1] }
components: { key: { kind: aws.kms } }",
        "objectives: { rto: 30m, rpo: 1m, data_class: regulated }
residency: { regulated: [eu-west-1, eu-central-1] }
components: { key: { kind: aws.kms } }",
        (
            "objectives: { rto: 30m, rpo: 1m, data_class: regulated }
residency: { regulated: [eu-west-1] }
components: { key: { kind: aws.kms, sites: [eu-west-1] } }",
            false,
        ),
    ),
    case(
        "identity-differs",
        "components: { iam: { kind: aws.iam, identity: { roles: false } } }",
        "components: { iam: { kind: aws.iam, identity: { roles: true } } }",
        ("components: { iam: { kind: aws.iam } }", false),
    ),
    case(
        "identity-unsaid",
        "components: { iam: { kind: aws.iam, identity: { roles: true } } }",
        "components: { iam: { kind: aws.iam, identity: { guardrails: true, roles: true, trust: true, boundaries: true, break_glass: true, ci_role: true, audit: true, assumptions: true } } }",
        ("components: { shop: { kind: kubernetes } }", false),
    ),
    case(
        "hard-coded-region",
        "components: { web: { kind: aws.asg, id: web-eu-west-1 } }",
        "components: { web: { kind: aws.asg, id: { eu-west-1: web-eu-west-1, eu-central-1: web-eu-central-1 } } }",
        ("components: { web: { kind: aws.asg, sites: [eu-west-1], id: web-eu-west-1 } }", false),
    ),
    case(
        "accounts-undefined",
        "components: { web: { kind: aws.asg } }",
        "aws: { account: '111122223333' }
components: { web: { kind: aws.asg } }",
        ("components: { shop: { kind: kubernetes } }", false),
    ),
    case(
        "recovery-region-not-approved",
        "objectives: { rto: 30m, rpo: 1m, data_class: regulated }
residency: { regulated: [eu-west-1] }
components: { db: { kind: database, system_of_record: true } }",
        "objectives: { rto: 30m, rpo: 1m, data_class: regulated }
residency: { regulated: [eu-west-1, eu-central-1] }
components: { db: { kind: database, system_of_record: true } }",
        (
            "objectives: { rto: 30m, rpo: 1m, data_class: regulated }
residency: { regulated: [eu-west-1] }
components: { db: { kind: database, system_of_record: true, holds: public } }",
            false,
        ),
    ),
    case(
        "copies-outside-boundary",
        "objectives: { rto: 30m, rpo: 1m, data_class: regulated }
residency: { regulated: [eu-west-1] }
components: { db: { kind: database, sites: [eu-west-1], backup: { every: 1h, sites: [eu-central-1] } } }",
        "objectives: { rto: 30m, rpo: 1m, data_class: regulated }
residency: { regulated: [eu-west-1] }
components: { db: { kind: database, sites: [eu-west-1], backup: { every: 1h, sites: [eu-west-1] } } }",
        (
            "objectives: { rto: 30m, rpo: 1m, data_class: regulated }
components: { db: { kind: database, sites: [eu-west-1], backup: { every: 1h, sites: [eu-central-1] } } }",
            false,
        ),
    ),
    case(
        "residency-undefined",
        "components: { db: { kind: database } }",
        "objectives: { rto: 30m, rpo: 1m, data_class: regulated }
residency: { regulated: [eu-west-1, eu-central-1] }
components: { db: { kind: database } }",
        (
            "objectives: { rto: 30m, rpo: 1m, data_class: regulated }
components: { db: { kind: database } }",
            true,
        ),
    ),
    case(
        "network-open",
        "practice: { security: { open_ports: ['22', '443'] } }",
        "practice: { security: { open_ports: ['80', '443'] } }",
        ("practice: { security: { open_ports: [] } }", false),
    ),
    case(
        "incident-roles-missing",
        "practice: { incident: { commander: ana } }",
        "practice: { incident: { commander: on call, scribe: second on call, stakeholders: the list, template: the wiki } }",
        ("practice: { incident: { commander: on call, scribe: second on call, stakeholders: the list } }", true),
    ),
    case(
        "drills-unscheduled",
        "drills: [{ fault: region-loss, every: quarter }]",
        "drills: [{ fault: corrupted-data, every: week }, { fault: region-loss, every: month }, { fault: all, every: quarter }, { fault: rebuild, every: year }]",
        ("components: { shop: { kind: kubernetes } }", false),
    ),
    case(
        "several-regions-without-reason",
        "practice: { failures: [zone, deletion] }",
        "practice: { failures: [zone, region] }",
        ("components: { shop: { kind: kubernetes } }", false),
    ),
];

#[test]
fn identity_secrets_keys_compliance_and_people() {
    check(CASES);
}

#[test]
fn the_region_that_is_not_approved_is_named() {
    let found = only(CASES[8].bad, "recovery-region-not-approved");
    assert_eq!(found.says, "`db` puts regulated data into eu-central-1; approved: eu-west-1");
    assert!(found.blocks);
}

/// "n" in a site's own name is no region of AWS.
#[test]
fn names_of_sites_that_are_no_regions_are_not_looked_for() {
    let sites = "sites: { north: { zones: [a, b], preferred: true }, south: { zones: [a, b] } }
components: { shop: { kind: kubernetes, id: north-shop } }";
    assert!(!super::ids(sites).contains("hard-coded-region"));
}

/// A second one beside it would be no recovery.
#[test]
fn what_never_stood_in_the_region_that_is_left_is_not_brought_back() {
    let restores = |sites: &str| {
        let fragment = format!(
            "components: {{ shop: {{ kind: kubernetes }}, db: {{ kind: aws.rds{sites}, replication: none, backup: {{ every: 1h }} }} }}"
        );
        let design = super::design(&fragment);
        let calls = crate::assess::recovery(&design, &"eu-west-1".into(), &"eu-central-1".into());
        calls.iter().any(|call| call.act == model::catalogue::ActName::Restore)
    };
    assert!(restores("") && !restores(", sites: [eu-central-1]"));
}
