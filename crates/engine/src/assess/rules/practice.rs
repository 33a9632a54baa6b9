//! What people do and have arranged, where more than one key decides.

use std::collections::BTreeSet;

use super::Rule;
use crate::assess::finding::{Found, listed};
use crate::assess::view::View;

pub const RULES: &[Rule] = &[roles, drills, reason, open_ports];

fn roles(view: &View<'_>, out: &mut Vec<Found>) {
    let named = ["commander", "scribe", "stakeholders", "template"];
    let open: Vec<&str> = named.into_iter().filter(|role| !view.design.practice.answered(&format!("incident.{role}"))).collect();
    if !open.is_empty() {
        out.push(Found::new("incident-roles-missing", "practice.incident").with("missing", listed(&open)));
    }
}

/// What must be rehearsed, and in how many days at most (seed 001: restore weekly, failover monthly, everything quarterly,
/// a rebuild yearly; some slack, since months and quarters differ).
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
    let often = |fault: &str, days: u64| {
        let named = |drill: &&model::topology::DrillSchedule| drill.fault == fault || (drill.fault == "all" && fault != "rebuild");
        view.design.drills.iter().filter(named).any(|drill| drill.every.as_secs() <= days * 86_400)
    };
    let open: BTreeSet<&str> = REHEARSALS.iter().filter(|(fault, _, days)| !often(fault, *days)).map(|(_, words, _)| *words).collect();
    if !open.is_empty() {
        let open: Vec<&str> = open.into_iter().collect();
        out.push(Found::new("drills-unscheduled", "drills").with("missing", listed(&open)));
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
    let ports = view.design.practice.words("security.open_ports").unwrap_or_default();
    let wrong: Vec<&str> = ports.into_iter().filter(|port| !PUBLIC.contains(port)).collect();
    if !wrong.is_empty() {
        out.push(Found::new("network-open", "practice.security.open_ports").with("value", listed(&wrong)));
    }
}
