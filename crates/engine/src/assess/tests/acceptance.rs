//! What a baseline accepts, until when, and what becomes of entries that accept nothing.

use model::Date;
use model::baseline::{Accepted, Baseline};
use model::findings::Severity;

use super::super::{Acceptance, Standing, Why, accept, review};
use super::{design, today};

/// Reviews the base, which leaves much unsaid, under one entry.
fn under(finding: &str, at: Option<&str>, severity: Option<Severity>, until: &str) -> Acceptance {
    let entry = Accepted {
        finding: finding.into(),
        at: at.map(str::to_owned),
        severity,
        reason: "known".into(),
        owner: "ana".into(),
        until: until.parse::<Date>().unwrap(),
    };
    accept(&review(&design(""), today()).findings, &Baseline { accepted: vec![entry] }, today())
}

fn accepted(acceptance: &Acceptance) -> usize {
    acceptance.of.iter().flatten().count()
}

fn why(acceptance: &Acceptance) -> Vec<Why> {
    acceptance.idle.iter().map(|idle| idle.why).collect()
}

#[test]
fn an_entry_holds_up_to_its_last_day() {
    for (until, holds) in [("2026-11-22", true), ("2026-11-21", true), ("2026-11-20", false)] {
        let acceptance = under("downtime-cost-unknown", None, None, until);
        assert_eq!(accepted(&acceptance), usize::from(holds), "{until}");
        assert_eq!(why(&acceptance), if holds { vec![] } else { vec![Why::Expired] }, "{until}");
    }
}

#[test]
fn an_entry_accepts_what_stands_at_its_place() {
    let place =
        review(&design(""), today()).findings.into_iter().find(|f| f.id == "downtime-cost-unknown").unwrap().path;
    assert_eq!(accepted(&under("downtime-cost-unknown", Some(&place), None, "2027-01-01")), 1);
    for acceptance in [
        under("downtime-cost-unknown", Some("practice.x"), None, "2027-01-01"),
        under("no-such", None, None, "2027-01-01"),
    ] {
        assert_eq!((accepted(&acceptance), why(&acceptance)), (0, vec![Why::Unmatched]));
    }
}

#[test]
fn an_entry_does_not_hold_for_something_worse() {
    for (severity, holds) in [(Severity::Note, false), (Severity::Warning, true), (Severity::Error, true)] {
        let acceptance = under("downtime-cost-unknown", None, Some(severity), "2027-01-01");
        assert_eq!(accepted(&acceptance), usize::from(holds), "{severity}");
        assert_eq!(why(&acceptance), if holds { vec![] } else { vec![Why::Worse] }, "{severity}");
    }
}

#[test]
fn accepting_everything_makes_nothing_ready() {
    let mut review = review(&design(""), today());
    assert_ne!(review.standing(), Standing::Ready);
    review.first_blocker = None;
    review.findings.retain(|finding| finding.severity == Severity::Note);
    assert_eq!(review.standing(), Standing::Ready);
}
