//! Which findings a baseline accepts today, and which of its entries accept nothing any more.

use model::Date;
use model::baseline::{Accepted, Baseline};
use serde::Serialize;

use super::finding::Finding;

/// A baseline beside the findings.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Acceptance {
    /// For each finding, in their order: who accepts it.
    #[serde(skip)]
    pub of: Vec<Option<Accepted>>,
    /// Entries that accept nothing, in the order of the file.
    pub idle: Vec<Idle>,
}

/// An entry that accepts nothing.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Idle {
    #[serde(flatten)]
    pub entry: Accepted,
    pub why: Why,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Its last day has passed, and the finding is still there.
    Expired,
    /// The finding has become worse than what was accepted.
    Worse,
    /// There is no such finding: it was corrected, or the entry names it wrongly.
    Unmatched,
}

/// What the baseline accepts on the day of `today`.
pub fn accept(findings: &[Finding], baseline: &Baseline, today: Date) -> Acceptance {
    let by = |finding: &Finding| {
        let holds = |entry: &&Accepted| meets(entry, finding) && idle_for(entry, finding, today).is_none();
        baseline.accepted.iter().find(holds).cloned()
    };
    Acceptance {
        of: findings.iter().map(by).collect(),
        idle: baseline.accepted.iter().filter_map(|entry| idle(entry, findings, today)).collect(),
    }
}

fn meets(entry: &Accepted, finding: &Finding) -> bool {
    entry.finding == finding.id && entry.at.as_ref().is_none_or(|at| *at == finding.path)
}

fn idle_for(entry: &Accepted, finding: &Finding, today: Date) -> Option<Why> {
    match () {
        () if today > entry.until => Some(Why::Expired),
        () if entry.severity.is_some_and(|accepted| finding.severity > accepted) => Some(Why::Worse),
        () => None,
    }
}

/// Of an entry without a place some findings may be accepted and others not: then it is not idle.
fn idle(entry: &Accepted, findings: &[Finding], today: Date) -> Option<Idle> {
    let whys: Vec<Option<Why>> = findings
        .iter()
        .filter(|finding| meets(entry, finding))
        .map(|finding| idle_for(entry, finding, today))
        .collect();
    let why = match whys.first() {
        None => Some(Why::Unmatched),
        Some(first) if whys.iter().all(Option::is_some) => *first,
        Some(_) => None,
    };
    why.map(|why| Idle { entry: entry.clone(), why })
}
