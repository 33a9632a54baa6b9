//! The questions, the readiness table, the pages.

use model::findings::{self, Group, Severity};

use super::{design, findings as found, today};
use crate::assess::{Presence, State, explain, review};

const COMPLETE: &str = "\
practice:
  failures: [region]
  loss_accepted_by: the head of cases
  failover: { tested: 2026-11-01, under_load: true, criteria: the page, runbook: the repository, rto_measured: 12m }
  failback: { tested: 2026-11-02, designed: true }
  deploys: { sites: [eu-west-1, eu-central-1] }
  compliance: { approved_by: the data protection officer }
  costs: { by_region: true, readiness: 900 USD/month }
  security: { access_same: true }
objectives: { rto: 30m, rpo: 1m, data_class: regulated }
residency: { regulated: [eu-west-1, eu-central-1] }
components:
  www: { kind: aws.route53, policy: failover, shift: standby-signal, clients: { cache: 2m }, check: { path: /ready, depth: deep } }
  shop: { kind: kubernetes, peak: 10, local_state: [none] }
  db: { kind: database, system_of_record: true, replication: asynchronous, lag_alarm: 30s, writers: single, fence: [nacl] }
  password: { kind: aws.secrets-manager, replicated: true }
  key: { kind: aws.kms, decrypt_tested: 2026-11-01 }
";

#[test]
fn a_design_that_says_everything_leaves_no_question_of_the_review_open() {
    let questions = review(&design(COMPLETE), today()).questions;
    for answer in questions.iter().filter(|answer| answer.group == Group::Review) {
        assert_ne!(answer.state, State::Unanswered, "{}: {:?}", answer.id, answer.missing);
        assert_eq!(answer.state == State::Answered, !answer.from.is_empty(), "{}", answer.id);
    }
    // One region writes, so nobody asks what decides between several.
    assert_eq!(questions.iter().find(|answer| answer.id == "review-12").unwrap().state, State::DoesNotArise);
}

#[test]
fn an_answer_cites_the_line_that_gives_it() {
    let text = super::spec(COMPLETE);
    let questions = review(&design(COMPLETE), today()).questions;
    for (id, words) in
        [("review-02", "rto"), ("review-04", "loss_accepted_by"), ("review-14", "shift"), ("review-20", "failover")]
    {
        let answer = questions.iter().find(|answer| answer.id == id).unwrap();
        let line = text.lines().nth(answer.from[0].line - 1).unwrap();
        assert!(line.contains(words), "{id}: {line}");
    }
    let rto = questions.iter().find(|answer| answer.id == "review-02").unwrap();
    assert_eq!(rto.from[0].value, "30m");
}

#[test]
fn a_question_without_an_answer_is_a_finding() {
    let design = design("components: { shop: { kind: kubernetes } }");
    let review = review(&design, today());
    for answer in review.questions.iter().filter(|a| a.group == Group::Review && a.state == State::Unanswered) {
        let own = review.findings.iter().any(|finding| finding.says.contains(answer.question));
        let others = || review.findings.iter().filter(|finding| finding.id != "question-unanswered");
        let at_its_keys = answer.missing.iter().all(|path| others().any(|finding| finding.path == *path));
        assert!(own != at_its_keys, "{}: {:?}", answer.id, answer.missing);
    }
}

#[test]
fn a_question_whose_keys_have_no_finding_is_one_of_its_own() {
    let says = |fragment: &str| -> Vec<String> {
        let unanswered = found(fragment).into_iter().filter(|finding| finding.id == "question-unanswered");
        unanswered.map(|finding| finding.says).collect()
    };
    let traffic = "What moves the traffic? Nothing in the spec says (`components.*.shift`)".to_owned();
    assert!(says("components: { shop: { kind: kubernetes } }").contains(&traffic));
    assert_eq!(says(COMPLETE), Vec::<String>::new());
    // The key has a row in the checklist, which says it once.
    let once = says("components: { www: { kind: aws.route53, policy: failover } }");
    assert!(!once.iter().any(|says| says.starts_with("What moves the traffic?")), "{once:?}");
}

/// Seed 003 section 24, exercise 3.
#[test]
fn the_readiness_table_says_what_stands_where_and_what_endangers_it() {
    let fragment = "components:
  shop: { kind: kubernetes, sites: [eu-west-1] }
  db: { kind: database, system_of_record: true, replication: asynchronous, lag: 2m, promote: runbook }";
    let rows = review(&design(fragment), today()).readiness;
    assert_eq!(rows[0].regions[0].1, Presence::Serves);
    assert_eq!(rows[0].regions[1].1, Presence::Absent);
    assert!(rows[0].rto_risk.findings.contains(&"standby-absent"));
    assert_eq!(rows[1].regions[1].1, Presence::StandsBy);
    assert_eq!(rows[1].replication, "asynchronous, 2m behind");
    assert_eq!(rows[1].rpo_risk.severity, Some(Severity::Error));
    assert!(rows[1].rpo_risk.findings.contains(&"replication-lag-exceeds-rpo"));
}

#[test]
fn the_first_blocker_is_the_first_that_a_failover_would_meet() {
    let blocker = |fragment: &str| review(&design(fragment), today()).first_blocker;
    // Compute is missing and nobody promotes: the data comes first.
    let both = blocker(
        "components:
  shop: { kind: kubernetes, sites: [eu-west-1] }
  db: { kind: database, system_of_record: true, replication: asynchronous }",
    )
    .unwrap();
    assert_eq!((both.step, both.component.unwrap().as_str()), ("make the data writable", "db"));
    let compute = blocker(
        "components:
  shop: { kind: kubernetes, sites: [eu-west-1] }
  db: { kind: database, system_of_record: true, replication: asynchronous, promote: runbook }",
    )
    .unwrap();
    assert_eq!((compute.step, compute.finding), ("grow the standby", "standby-absent"));
}

#[test]
fn every_finding_has_a_page_and_a_wrong_id_a_guess() {
    for row in findings::rows() {
        let page = explain(&row.id).unwrap();
        assert!(page.starts_with("# ") && page.contains("## Why it matters") && page.contains("## Sources"), "{page}");
        assert!(!page.contains("{instead}"));
    }
    assert_eq!(explain("no-such-thing"), None);
    assert_eq!(findings::nearest("failover-never-testd"), Some("failover-never-tested"));
}

#[test]
fn the_gravest_comes_first() {
    let severities: Vec<Severity> =
        found("components: { db: { kind: database } }").into_iter().map(|finding| finding.severity).collect();
    assert!(severities.windows(2).all(|pair| pair[0] >= pair[1]), "{severities:?}");
}

/// The table names the figure that breaks the objective, not what nobody says.
#[test]
fn the_table_of_readiness_names_what_is_known_to_be_wrong() {
    let fragment = "objectives: { rto: 4h, rpo: 15m }
components: { disk: { kind: aws.ebs, system_of_record: true, backup: { every: 1d, sites: [eu-west-1, eu-central-1] } } }";
    let review = review(&design(fragment), today());
    let disk = &review.readiness[0];
    assert_eq!(
        (disk.rpo_risk.why.as_str(), disk.replication.as_str()),
        ("backups are too rare for the RPO", "none; backups")
    );
}

#[test]
fn an_answer_is_told_once() {
    let fragment = "components: { www: { kind: aws.route53, policy: failover, shift: routing-control } }";
    let review = review(&design(fragment), today());
    for answer in &review.questions {
        let said: std::collections::BTreeSet<_> = answer.from.iter().map(|said| &said.path).collect();
        assert_eq!(said.len(), answer.from.len(), "{answer:?}");
    }
}

#[test]
fn a_rate_is_told_as_the_spec_says_it() {
    let fragment = "losses: { downtime: 2000 USD/h, data: 5 USD/min }
practice: { costs: { readiness: 900 USD/month } }";
    let review = review(&design(fragment), today());
    let said: Vec<&str> = review.questions.iter().flat_map(|a| &a.from).map(|said| said.value.as_str()).collect();
    for value in ["2000 USD/h", "5 USD/min", "900 USD/month"] {
        assert!(said.contains(&value), "{said:?}");
    }
}
