//! What people do and have arranged, where more than one key decides.

use model::findings::Severity;
use model::topology::DrillSchedule;

use super::Rule;
use crate::assess::finding::{Found, listed};
use crate::assess::view::View;

pub const RULES: &[Rule] = &[roles, drills, reason, open_ports];

fn roles(view: &View<'_>, out: &mut Vec<Found>) {
    let named = ["commander", "scribe", "stakeholders", "template"];
    let open: Vec<&str> =
        named.into_iter().filter(|role| !view.design.practice.answered(&format!("incident.{role}"))).collect();
    if !open.is_empty() {
        out.push(Found::new("incident-roles-missing", "practice.incident").with("missing", listed(&open)).unsaid());
    }
}

/// What must be rehearsed, and in how many days at most (seed 001: restore weekly, failover monthly, everything quarterly,
/// a rebuild yearly; some slack, since months and quarters differ). The first two are what recovery is made of.
const REHEARSALS: [(&str, &str, u64); 4] = [
    ("corrupted-data", "restore each week", 8),
    ("region-loss", "region loss each month", 32),
    ("all", "full drill each quarter", 93),
    ("rebuild", "rebuild each year", 367),
];

fn drills(view: &View<'_>, out: &mut Vec<Found>) {
    // Without `drills:` the usual ones are scheduled.
    if !view.design.says("drills") || !view.several_regions() {
        return;
    }
    let every = |fault: &str| {
        let named = |drill: &&DrillSchedule| drill.fault == fault || (drill.fault == "all" && fault != "rebuild");
        view.design.drills.iter().filter(named).map(|drill| drill.every.as_secs() / 86_400).min()
    };
    let rare = |(fault, _, days): &&(&str, &str, u64)| every(fault).is_none_or(|often| often > *days);
    let open: Vec<&str> = REHEARSALS.iter().filter(rare).map(|(_, words, _)| *words).collect();
    let never = REHEARSALS[..2].iter().any(|(fault, ..)| every(fault).is_none());
    if !open.is_empty() {
        let found = Found::new("drills-unscheduled", "drills").with("missing", listed(&open));
        out.push(if never { found } else { found.severity(Severity::Note) });
    }
}

fn reason(view: &View<'_>, out: &mut Vec<Found>) {
    let Some(failures) = view.design.practice.words("failures").filter(|_| view.several_regions()) else { return };
    if !failures.contains(&"region") {
        let found = Found::new("several-regions-without-reason", "practice.failures");
        out.push(found.with("count", view.regions.len().to_string()));
    }
}

/// Only what serves the public may be open to it.
const PUBLIC: [&str; 2] = ["80", "443"];

fn open_ports(view: &View<'_>, out: &mut Vec<Found>) {
    let wrong = |ports: Option<Vec<&str>>| -> Vec<String> {
        ports.into_iter().flatten().filter(|port| !PUBLIC.contains(port)).map(str::to_owned).collect()
    };
    let everywhere = wrong(view.design.practice.words("security.open_ports"));
    if !everywhere.is_empty() {
        out.push(Found::new("network-open", "practice.security.open_ports").with("value", listed(&everywhere)));
    }
    for part in view.parts() {
        let open = wrong(part.words("open_to_all"));
        if !open.is_empty() {
            out.push(Found::about("network-open", part, "open_to_all").with("value", listed(&open)));
        }
    }
}
