//! What must hold of any design: answering more never makes it worse, a looser objective never adds arithmetic, and the
//! same design gets the same review.

use std::collections::BTreeSet;
use std::time::Duration;

use model::Design;
use model::findings::{self, Be, Of, Severity};
use model::value::Value;
use proptest::prelude::*;

use super::{design, today};
use crate::assess::review;

/// A design with most of what rules look at, from a few choices.
fn any_design() -> impl Strategy<Value = String> {
    let policy = prop::sample::select(vec!["failover", "latency", "weighted", "geolocation", "multivalue", "simple"]);
    let replication = prop::sample::select(vec!["none", "asynchronous", "synchronous", "multi-writer"]);
    let writers = prop::sample::select(vec!["", ", writers: single", ", writers: regional", ", writers: every"]);
    let promote = prop::sample::select(vec!["", ", promote: runbook", ", promote: service", ", promote: dns"]);
    let backup = prop::sample::select(vec![
        "",
        ", backup: { every: 1d }",
        ", backup: { every: 1h, restore_time: 2h, sites: [eu-west-1] }",
    ]);
    let numbers = (0_u64..4000, 0_u64..400, 1_u64..20, 1_u64..100, 0_u64..4000);
    (policy, replication, writers, promote, backup, numbers).prop_map(
        |(policy, replication, writers, promote, backup, (ttl, lag, peak, capacity, period))| {
            format!(
                "components:
  www: {{ kind: aws.route53, policy: {policy}, ttl: {ttl}s, clients: {{ cache: {ttl}s }} }}
  shop: {{ kind: kubernetes, peak: {peak}, capacity: {capacity}%, alarm: {{ period: {period}s, evaluations: 2 }} }}
  db: {{ kind: database, system_of_record: true, replication: {replication}, lag: {lag}s{writers}{promote}{backup} }}
  log: {{ kind: stream, events: {{ retention: {period}s }} }}"
            )
        },
    )
}

/// What is compared with an objective.
const ARITHMETIC: [&str; 14] = [
    "detection-exceeds-rto",
    "dns-ttl-exceeds-rto",
    "clients-outlive-rto",
    "promotion-exceeds-rto",
    "scaling-exceeds-rto",
    "restore-exceeds-rto",
    "steps-together-exceed-rto",
    "replication-lag-exceeds-rpo",
    "worst-lag-exceeds-rpo",
    "asynchronous-cannot-lose-nothing",
    "lag-alarm-above-rpo",
    "backup-interval-exceeds-rpo",
    "measured-rto-exceeds-objective",
    "measured-rpo-exceeds-objective",
];

/// The findings of arithmetic with where they were made.
fn arithmetic(design: &Design) -> BTreeSet<(&'static str, String)> {
    let all = review(design, today()).findings.into_iter();
    all.filter(|finding| ARITHMETIC.contains(&finding.id)).map(|finding| (finding.id, finding.path)).collect()
}

/// How bad it is as a whole: errors, warnings, notes.
fn counts(design: &Design) -> [usize; 3] {
    let findings = review(design, today()).findings;
    [Severity::Error, Severity::Warning, Severity::Note]
        .map(|s| findings.iter().filter(|finding| finding.severity == s).count())
}

/// Neither more of the gravest, nor more of anything. What was unsaid and is said well is gone; nothing else changes.
fn no_worse(after: [usize; 3], before: [usize; 3]) -> bool {
    after.iter().zip(before).all(|(after, before)| *after <= before)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn invariant_a_looser_objective_never_adds_arithmetic(fragment in any_design(), rto in 1_u64..4000, rpo in 0_u64..400, more in 0_u64..4000) {
        let mut strict = design(&fragment);
        strict.objectives.rto = Some(Duration::from_secs(rto));
        strict.objectives.rpo = Some(Duration::from_secs(rpo));
        let mut loose = strict.clone();
        loose.objectives.rto = Some(Duration::from_secs(rto + more));
        loose.objectives.rpo = Some(Duration::from_secs(rpo + more));
        let added: Vec<_> = arithmetic(&loose).difference(&arithmetic(&strict)).cloned().collect();
        prop_assert!(added.is_empty(), "{:?}", added);
    }

    /// Each good answer to a row of the checklist takes findings away, and never makes one or makes one worse.
    #[test]
    fn invariant_answering_well_never_makes_it_worse(fragment in any_design(), order in prop::collection::vec(any::<prop::sample::Index>(), 8)) {
        let mut design = design(&fragment);
        let rows: Vec<_> = findings::rows().iter().flat_map(|row| &row.wants).filter(|wants| wants.of == Of::Practice).collect();
        let mut before = counts(&design);
        for index in order {
            let wants = index.get(&rows);
            design.practice.set(&wants.key, good(&wants.be, &wants.key));
            let after = counts(&design);
            prop_assert!(no_worse(after, before), "{}: {:?} after {:?}", wants.key, after, before);
            before = after;
        }
    }

    #[test]
    fn invariant_the_same_design_gets_the_same_review(fragment in any_design()) {
        prop_assert_eq!(review(&design(&fragment), today()), review(&design(&fragment), today()));
    }
}

/// An answer that nothing can be said against.
fn good(be: &Be, key: &str) -> Value {
    let text = |word: &str| Value::Text(word.to_owned());
    let list = |words: &[String]| Value::List(words.iter().map(|word| Value::Text(word.clone())).collect());
    match be {
        Be::Answered if key.ends_with("_measured") => Value::Duration(Duration::ZERO),
        Be::Answered if key == "failures" => list(&["region".to_owned()]),
        Be::Answered => text("said"),
        Be::Yes => Value::Bool(true),
        Be::No => Value::Bool(false),
        Be::In(words) => text(&words[0]),
        Be::Not(_) | Be::Never(_) => text("none of them"),
        Be::Has(words) => list(words),
        Be::EveryRegion | Be::NotOnly(_) => list(&["eu-west-1".to_owned(), "eu-central-1".to_owned()]),
        Be::Within(_) => Value::Date(today()),
    }
}
