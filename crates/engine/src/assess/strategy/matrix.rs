//! The matrices of seed 003 sections 6 and 20.

use model::Design;
use model::design::{Strategy, Survives, Users, Writes};
use serde::Serialize;

/// As people say it.
pub fn title(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::SingleRegion => "staying in one region",
        Strategy::BackupRestore => "backup and restore",
        Strategy::PilotLight => "pilot light",
        Strategy::WarmStandby => "warm standby",
        Strategy::HotStandby => "active/passive hot standby",
        Strategy::ActiveActive => "active/active",
    }
}

/// The row of seed 003 section 6: cost, complexity, RTO, RPO and typical use. Staying is not in it.
pub fn row(strategy: Strategy) -> [&'static str; 5] {
    match strategy {
        Strategy::SingleRegion => {
            ["lowest", "low", "the region's own", "nothing, if it comes back", "no regional outage to survive"]
        }
        Strategy::BackupRestore => {
            ["low", "low to medium", "hours and more", "last backup", "internal, lower criticality"]
        }
        Strategy::PilotLight => {
            ["low to medium", "medium", "tens of minutes to hours", "replication", "core data protected"]
        }
        Strategy::WarmStandby => ["medium", "medium to high", "minutes to tens of minutes", "replication", "critical"],
        Strategy::HotStandby => ["high", "high", "minutes", "low, replication", "high criticality, one serving region"],
        Strategy::ActiveActive => {
            ["very high", "very high", "seconds to minutes", "the data model", "global, low latency"]
        }
    }
}

/// One question of seed 003 section 20.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Answer {
    pub question: &'static str,
    /// `None`: the spec does not say.
    pub yes: Option<bool>,
    /// What follows; for an open question, what would.
    pub then: &'static str,
    /// Where in the spec it is answered.
    pub from: &'static str,
}

/// Whether a regional outage must be survived: by word, by what the design is for, or by an RTO far below an outage.
pub fn survives_region(design: &Design) -> bool {
    answer_survives(design) == Some(true)
}

fn answer_survives(design: &Design) -> Option<bool> {
    if let Some(survives) = design.objectives.survives {
        return Some(survives == Survives::Region);
    }
    let failures = design.practice.words("failures")?;
    Some(failures.contains(&"region"))
}

/// The nine questions, from the spec.
pub fn answers(design: &Design) -> Vec<Answer> {
    let objectives = &design.objectives;
    let hour = std::time::Duration::from_secs(3_600);
    let minute = std::time::Duration::from_secs(60);
    let make = |question, yes: Option<bool>, if_yes, if_no, from| {
        let then = if yes == Some(false) { if_no } else { if_yes };
        Answer { question, yes, then, from }
    };
    let mature = design.practice.word("team.maturity").map(|maturity| maturity == "mature");
    let residency = (!design.residency.is_empty()).then_some(true);
    vec![
        make(
            "Is regional outage survivability required?",
            answer_survives(design),
            "consider disaster recovery in another region",
            "several zones may be enough",
            "objectives.survives",
        ),
        make(
            "Is RTO less than one hour?",
            objectives.rto.map(|rto| rto < hour),
            "warm or hot standby likely",
            "backup and restore may fit",
            "objectives.rto",
        ),
        make(
            "Is RPO near zero?",
            objectives.rpo.map(|rpo| rpo <= minute),
            "a strong replication strategy is needed",
            "periodic backups may fit",
            "objectives.rpo",
        ),
        make(
            "Are users global and latency-sensitive?",
            objectives.users.map(|users| users == Users::Global && objectives.latency.is_some()),
            "consider serving from several regions, or the edge",
            "one region with a content network may fit",
            "objectives.users",
        ),
        make(
            "Is data residency regional?",
            residency.or(objectives.data_class.as_ref().map(|_| false)),
            "partition by jurisdiction",
            "simpler, global placement of data is possible",
            "residency",
        ),
        make(
            "Can writes be single-region?",
            objectives.writes.map(|writes| writes == Writes::OneRegion),
            "active/passive is simpler",
            "active/active needs a design for conflicts",
            "objectives.writes",
        ),
        make(
            "Can business tolerate conflict resolution?",
            objectives.conflicts,
            "several writers are possible",
            "avoid writes in several regions",
            "objectives.conflicts",
        ),
        make(
            "Is team operationally mature?",
            mature,
            "consider advanced designs",
            "start simpler, and drill",
            "practice.team.maturity",
        ),
        make(
            "Is cost justified?",
            design.losses.downtime.map(|_| true),
            "proceed with evidence: see the break-even",
            "do not overbuild",
            "losses.downtime",
        ),
    ]
}
