//! What is found in the examples: the seeds' own contradictions, and all twenty anti-patterns in the file that has them.

use model::findings::Severity;

use super::today;
use crate::assess::{Finding, Review, review};

macro_rules! example {
    ($name:literal) => {{
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/", $name, "/antipode.yaml"));
        review(&model::spec::design(text).unwrap(), today())
    }};
}

fn about<'r>(review: &'r Review, id: &str, component: &str) -> &'r Finding {
    let here = |finding: &&Finding| finding.id == id && finding.components.iter().any(|c| c.as_str() == component);
    review.findings.iter().find(here).unwrap_or_else(|| panic!("nothing says `{id}` of `{component}`"))
}

/// Seed 001: daily snapshots cannot keep 15 minutes, alarms of 2 x 300 s detect in ten, and the record is edited by hand.
#[test]
fn a_web_server_with_daily_snapshots() {
    let review = example!("xyz-webserver");
    let backups = about(&review, "backup-interval-exceeds-rpo", "disk");
    assert_eq!(backups.says, "`disk` comes back from a backup taken every 24h, the RPO is 15m");
    let alarms = about(&review, "detection-exceeds-rto", "health");
    assert_eq!(alarms.says, "`health` notices a fault after 10m (2 times 5m), the RTO is 5m");
    about(&review, "recovery-needs-lost-region", "www");
    assert!(review.findings.iter().any(|finding| finding.id == "ci-static-keys"));
}

/// Seed 002: Aurora Global fails over to another region when somebody asks it to.
#[test]
fn a_shop_that_serves_from_two_regions() {
    let review = example!("storefront");
    let promoted = about(&review, "cross-region-failover-not-automatic", "orders");
    assert!(promoted.says.contains("somebody has to call"), "{}", promoted.says);
    about(&review, "promotion-exceeds-rto", "orders");
    about(&review, "last-writer-wins-on-record", "stock");
}

/// Seed 004: Route 53 promotes no replica, and a promotion takes longer than two minutes.
#[test]
fn a_web_application_that_is_back_in_two_minutes() {
    let review = example!("ha-webapp");
    about(&review, "promotion-not-by-dns", "db");
    about(&review, "promotion-exceeds-rto", "db");
    about(&review, "scaling-exceeds-rto", "web");
}

/// Seed 003 section 21: what is well designed is not called broken.
#[test]
fn a_register_of_cases() {
    let review = example!("regulated-cases");
    assert_eq!(review.first_blocker, None);
    assert!(review.calls.iter().all(|call| !call.verdict.refused()), "{:?}", review.calls);
    let residency = &review.residency[0];
    assert!(residency.not_approved.is_empty() && residency.approved.is_some());
}

#[test]
fn all_twenty_anti_patterns_are_found_in_the_file_that_has_them() {
    let review = example!("twenty-mistakes");
    for number in 1..=20 {
        let source = format!("seed 003 section 19 item {number}");
        let found = review.findings.iter().find(|finding| finding.source.contains(&source));
        let found = found.unwrap_or_else(|| panic!("item {number} of the anti-patterns is not found"));
        assert!(found.severity >= Severity::Warning, "item {number}: {}", found.id);
    }
}
