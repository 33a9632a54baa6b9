//! What is to be said of a design before anybody builds it: what would break a real failover, which questions are open, and
//! whether a recovery depends on what it recovers from.
//!
//! All of it is a function of the design and of the day. The texts are a table (`model::findings`), the rules that take
//! more than one key are in [`rules`], those that ask for single keys are in the table too ([`checklist`]).

mod acceptance;
mod calls;
mod checklist;
mod explain;
mod finding;
mod readiness;
mod review;
mod rules;
mod standing;
pub mod strategy;
mod view;

use std::collections::BTreeSet;

use model::{Date, Design, SiteId};
use serde::Serialize;

pub use acceptance::{Acceptance, Idle, Why, accept};
pub use calls::{Call, Verdict};
pub use explain::{explain, index};
pub use finding::Finding;
pub use readiness::{Blocker, Endangered, Presence, Ready};
pub use review::{Answer, Said, State};
pub use standing::Standing;
pub use view::View;

/// What was found in a design.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Review {
    /// The gravest first, then in the order of the file.
    pub findings: Vec<Finding>,
    /// Every question of the seeds, answered or not.
    pub questions: Vec<Answer>,
    pub readiness: Vec<Ready>,
    /// The first thing at which a real failover would stop.
    pub first_blocker: Option<Blocker>,
    /// What a recovery from the preferred region to the first other one calls.
    pub calls: Vec<Call>,
    pub residency: Vec<Residence>,
}

/// A class of data, where it may be, and where it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Residence {
    pub class: String,
    /// Absent when nobody said: then it may be anywhere.
    pub approved: Option<Vec<SiteId>>,
    pub held_in: Vec<SiteId>,
    /// Where it is, and may not be.
    pub not_approved: Vec<SiteId>,
}

/// Reviews a design, as of `today`. Pure, and the same every time.
pub fn review(design: &Design, today: Date) -> Review {
    let view = View::new(design, today);
    let mut found = Vec::new();
    checklist::check(&view, model::findings::rows(), &mut found);
    for rule in rules::all() {
        rule(&view, &mut found);
    }
    calls::check(&view, &mut found);
    let mut findings: Vec<Finding> = found.into_iter().map(|found| found.told(&view)).collect();
    said_once(&mut findings);
    let questions = review::answers(&view);
    let open = review::open(&questions, &findings);
    findings.extend(open.into_iter().map(|found| found.told(&view)));
    findings.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then_with(|| (a.line, a.id, &a.path).cmp(&(b.line, b.id, &b.path)))
    });
    let target = design.others().next();
    let calls = design.preferred().zip(target).map(|(from, to)| calls::calls(&view, from, to)).unwrap_or_default();
    Review {
        readiness: readiness::table(&view, &findings),
        first_blocker: readiness::first_blocker(&view, &findings),
        residency: residency(&view),
        questions,
        calls,
        findings,
    }
}

/// What a recovery from one region to another calls, in the order of a runbook, when the workload writes in the region that
/// is left: whichever the spec prefers, for each region may be the one that is lost.
pub fn recovery(design: &Design, from: &SiteId, to: &SiteId) -> Vec<Call> {
    let mut design = design.clone();
    for site in &mut design.sites {
        site.preferred = site.id == *from;
    }
    // No call depends on the day.
    let day = Date::new(2026, 1, 1).expect("a day");
    let view = View::new(&design, day);
    match (design.site(from), design.site(to)) {
        (Some(leaving), Some(target)) => calls::calls(&view, leaving, target),
        _ => Vec::new(),
    }
}

/// What is said of a store whose promotion nobody named, where traffic can move: that the data cannot. Not twice.
fn said_once(findings: &mut Vec<Finding>) {
    let cannot_move: BTreeSet<String> = findings
        .iter()
        .filter(|finding| finding.id == "dns-failover-without-promotion")
        .map(|finding| finding.path.clone())
        .collect();
    let less = ["promotion-unsaid", "standby-not-writable"];
    findings.retain(|finding| !less.contains(&finding.id) || !cannot_move.contains(&finding.path));
}

fn residency(view: &View<'_>) -> Vec<Residence> {
    let classes: BTreeSet<&str> = view.stores().filter_map(|part| view.class(part)).collect();
    let each = classes.into_iter().map(|class| {
        let parts = view.stores().filter(|part| view.class(part) == Some(class));
        let held_in: BTreeSet<&SiteId> = parts.flat_map(|part| &part.sites).collect();
        let approved = view.approved(class).map(<[SiteId]>::to_vec);
        let allowed = |site: &SiteId| approved.as_ref().is_none_or(|approved| approved.contains(site));
        Residence {
            class: class.to_owned(),
            not_approved: held_in.iter().filter(|site| !allowed(site)).map(|site| (*site).clone()).collect(),
            held_in: held_in.into_iter().cloned().collect(),
            approved,
        }
    });
    each.collect()
}

#[cfg(test)]
mod tests;
