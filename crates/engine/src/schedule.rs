//! Which rehearsals are due. Evidence ages: a drill proves something for as long as the spec says, and only of the spec
//! and the runbooks that it rehearsed.
//!
//! The time is an argument, in seconds since 1970 by the wall clock: drills are weeks apart, and reboots lie between
//! them. A wall clock may be wrong, so an entry from the future proves nothing.

use std::sync::Arc;
use std::time::Duration;

use model::Topology;
use model::topology::DrillSchedule;
use serde::{Deserialize, Serialize};

use crate::runbook::Runbook;
use crate::runbook::plan::rehearsed;

/// The name under which a round of every drill is scheduled.
pub const ALL: &str = "all";

/// What evidence rests on, as digests. Only their equality means anything.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Basis {
    /// Of the workload's spec, less what changes nothing about a recovery: see [`spec_text`].
    pub spec: String,
    /// Of the plans of failover, failback and switchover: see [`runbook_text`].
    pub runbook: String,
}

/// One drill that was carried out.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub drill: String,
    /// When it ended, seconds since 1970.
    pub ended: u64,
    pub passed: bool,
    /// At the client that honours TTLs; `None` when it saw no recovery, and for a round.
    pub rto_seconds: Option<f64>,
    /// `None` when losses were not counted, and for a round.
    pub rpo_seconds: Option<f64>,
    pub basis: Basis,
    /// Where the report is.
    pub report: String,
}

/// What is known of one line of the schedule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Standing {
    /// Proved, and not due before `next`.
    Fresh {
        next: u64,
    },
    Never,
    /// Its time came at `since`.
    Overdue {
        since: u64,
    },
    /// The last one failed: nothing is proved until one passes.
    Failed,
    /// What it proved is no longer what would be done.
    Expired {
        spec_changed: bool,
        runbook_changed: bool,
    },
    /// The last entry is later than now: a clock was, or is, wrong.
    Ahead,
    /// There is no such drill in this version.
    Missing,
}

impl Standing {
    /// Whether to carry it out now.
    pub fn is_due(&self) -> bool {
        !matches!(self, Standing::Fresh { .. } | Standing::Missing)
    }

    /// `now` in seconds since 1970.
    pub fn text(&self, now: u64) -> String {
        match self {
            Standing::Fresh { next } => format!("proved; next in {}", days(next.saturating_sub(now))),
            Standing::Never => "due: never carried out".into(),
            Standing::Overdue { since } => format!("due: overdue for {}", days(now.saturating_sub(*since))),
            Standing::Failed => "due: the last one failed".into(),
            Standing::Expired { spec_changed: true, runbook_changed: true } => {
                "due: expired: the spec and the runbook changed since".into()
            }
            Standing::Expired { runbook_changed: true, .. } => "due: expired: the runbook changed since".into(),
            Standing::Expired { .. } => "due: expired: the spec changed since".into(),
            Standing::Ahead => "due: the last one is dated in the future; was a clock wrong?".into(),
            Standing::Missing => "there is no such drill in this version: it proves nothing".into(),
        }
    }
}

/// `3d`, or hours and less below two days.
pub fn days(seconds: u64) -> String {
    match seconds {
        0..172_800 => model::time::human(Duration::from_secs(seconds)),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// One line of the schedule, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Due {
    pub drill: String,
    pub every_seconds: u64,
    /// When the last one ended.
    pub last: Option<u64>,
    #[serde(flatten)]
    pub standing: Standing,
}

/// A job that runs once in each interval begins at the same hour, but the drill before ended some minutes after it: a
/// twentieth of the interval early counts as in time, or every other one would be left out.
const EARLY: u32 = 20;

/// Where each line of `schedule` stands `now`; `known` tells the drills that can be carried out.
pub fn due(
    schedule: &[DrillSchedule],
    known: impl Fn(&str) -> bool,
    history: &[Entry],
    basis: &Basis,
    now: u64,
) -> Vec<Due> {
    let line = |line: &DrillSchedule| {
        let last = history.iter().filter(|entry| entry.drill == line.fault).max_by_key(|entry| entry.ended);
        let standing = match last {
            _ if line.fault != ALL && !known(&line.fault) => Standing::Missing,
            None => Standing::Never,
            Some(entry) => standing(entry, line.every, basis, now),
        };
        Due {
            drill: line.fault.clone(),
            every_seconds: line.every.as_secs(),
            last: last.map(|entry| entry.ended),
            standing,
        }
    };
    schedule.iter().map(line).collect()
}

fn standing(last: &Entry, every: Duration, basis: &Basis, now: u64) -> Standing {
    let next = last.ended.saturating_add((every - every / EARLY).as_secs());
    let (spec_changed, runbook_changed) = (last.basis.spec != basis.spec, last.basis.runbook != basis.runbook);
    if last.ended > now {
        Standing::Ahead
    } else if !last.passed {
        Standing::Failed
    } else if spec_changed || runbook_changed {
        Standing::Expired { spec_changed, runbook_changed }
    } else if next <= now {
        Standing::Overdue { since: next }
    } else {
        Standing::Fresh { next }
    }
}

/// Which way a figure goes; smaller is better.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    Better,
    Steady,
    Worse,
}

/// The latest three against all before them, by their medians; a tenth, and a tenth of a second, is steady. `None` with
/// fewer than two before the latest three.
pub fn trend(seconds: &[f64]) -> Option<Trend> {
    let (before, latest) = seconds.split_at(seconds.len().checked_sub(3).filter(|before| *before >= 2)?);
    let (before, latest) = (median(before)?, median(latest)?);
    let room = (before * 0.1).max(0.1);
    Some(match latest - before {
        less if less < -room => Trend::Better,
        more if more > room => Trend::Worse,
        _ => Trend::Steady,
    })
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// What a spec says about recovery. Left out: the schedule itself, the budget, and the artifact's version, since each
/// release would else make every drill due; the runbook checks at each failover that all regions run the same one.
pub fn spec_text(topology: &Topology) -> String {
    let mut topology = topology.clone();
    topology.drills.clear();
    topology.objectives.budget = None;
    topology.artifact = String::new();
    serde_json::to_string(&topology).expect("a topology has text keys only")
}

/// The plans that drills rehearse, in this version of Antipode, as people read them.
pub fn runbook_text(topology: &Arc<Topology>) -> String {
    rehearsed(topology).iter().map(Runbook::text).collect()
}

#[cfg(test)]
#[path = "tests/schedule.rs"]
mod tests;
