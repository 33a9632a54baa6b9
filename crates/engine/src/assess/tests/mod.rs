//! What is found where, and what is not: each rule fires, stays quiet, and knows its border.

mod acceptance;
mod arithmetic;
mod checklist;
mod control;
mod data;
mod examples;
mod places;
mod properties;
mod questions;
mod services;
mod stability;
mod traffic;

use std::collections::BTreeSet;

use model::spec;
use model::{Date, Design};

use super::{Finding, review};

/// A spec that says little. A fragment replaces its sections by its own.
const BASE: &str = "\
workload: cases
artifact: v1
objectives: { rto: 30m, rpo: 1m }
sites: { eu-west-1: { zones: [a, b], preferred: true }, eu-central-1: { zones: [a, b] } }
components: { shop: { kind: kubernetes } }
";

pub fn today() -> Date {
    "2026-11-21".parse().unwrap()
}

/// Lines that begin a section, with what is below them.
fn sections(text: &str) -> Vec<(&str, String)> {
    let mut found: Vec<(&str, String)> = Vec::new();
    for line in text.lines() {
        match line.split_once(':').filter(|_| !line.starts_with(' ')) {
            Some((key, _)) => found.push((key, line.to_owned())),
            None => found.last_mut().expect("a fragment begins with a key").1 += &format!("\n{line}"),
        }
    }
    found
}

/// The base with the sections of `fragment`.
pub fn spec(fragment: &str) -> String {
    let own = sections(fragment);
    let kept = sections(BASE).into_iter().filter(|(key, _)| !own.iter().any(|(k, _)| k == key));
    kept.chain(own.clone()).map(|(_, text)| text + "\n").collect()
}

pub fn design(fragment: &str) -> Design {
    let text = spec(fragment);
    spec::design(&text).unwrap_or_else(|problems| {
        let said: Vec<_> = problems.iter().map(|problem| (problem.span.line, &problem.message)).collect();
        panic!("{said:?} in\n{text}")
    })
}

pub fn findings(fragment: &str) -> Vec<Finding> {
    review(&design(fragment), today()).findings
}

pub fn ids(fragment: &str) -> BTreeSet<&'static str> {
    findings(fragment).into_iter().map(|finding| finding.id).collect()
}

/// The one finding of that id.
pub fn only(fragment: &str, id: &str) -> Finding {
    let mut these: Vec<Finding> = findings(fragment).into_iter().filter(|finding| finding.id == id).collect();
    assert_eq!(these.len(), 1, "`{id}` once: {these:?}");
    these.remove(0)
}

/// A rule and three fragments: it fires at the first, stays quiet at the second, and at the border does as it says.
pub struct Case {
    pub id: &'static str,
    pub bad: &'static str,
    pub good: &'static str,
    pub border: (&'static str, bool),
}

pub const fn case(id: &'static str, bad: &'static str, good: &'static str, border: (&'static str, bool)) -> Case {
    Case { id, bad, good, border }
}

const TABLES: [&[Case]; 7] =
    [arithmetic::CASES, control::CASES, data::CASES, places::CASES, services::CASES, stability::CASES, traffic::CASES];

pub fn check(cases: &[Case]) {
    for Case { id, bad, good, border } in cases {
        assert!(ids(bad).contains(id), "`{id}` does not fire at\n{bad}\nbut {:?}", ids(bad));
        assert!(!ids(good).contains(id), "`{id}` fires at\n{good}");
        assert_eq!(ids(border.0).contains(id), border.1, "`{id}` at its border\n{}", border.0);
    }
}

/// Every row of the table is made by a case or by the checklist, and there is no case for a row that is not there.
#[test]
fn every_finding_has_its_cases() {
    let cased: BTreeSet<&str> = TABLES.iter().copied().flatten().map(|case| case.id).collect();
    let rows = model::findings::rows();
    let uncased: Vec<&str> = rows
        .iter()
        .filter(|row| row.wants.is_empty())
        .map(|row| row.id.as_str())
        .filter(|id| !cased.contains(id))
        .collect();
    assert_eq!(uncased, ["question-unanswered"], "rows without a case; the one is a test of its own in `questions`");
    assert!(cased.iter().all(|id| model::findings::row(id).is_some()));
}

/// Texts with an unfilled place would be the first thing that a person sees.
#[test]
fn every_text_is_filled() {
    for case in TABLES.into_iter().flatten() {
        for finding in findings(case.bad) {
            for text in [finding.says.as_str(), &finding.consequence, &finding.remedy] {
                assert!(!text.contains('{') && !text.contains("``"), "{}: {text}", finding.id);
            }
            assert!(finding.line >= 1 && finding.line <= spec(case.bad).lines().count(), "{}", finding.id);
        }
    }
}
