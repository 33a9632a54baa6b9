//! An assessment in every form: [`text`] for people, JSON for programs, [`sarif`] for code scanning, [`markdown`] for a
//! pull request, [`html`] to keep. None of them derives anything; they show what the engine found.

pub mod baseline;
pub mod effort;
pub mod html;
pub mod markdown;
pub mod numbers;
pub mod picture;
pub mod sarif;
pub mod text;

use std::time::Duration;

use engine::assess::{Acceptance, Answer, Blocker, Call, Finding, Ready, Residence, Review, Standing, State};
use model::baseline::Accepted;
use model::findings::{Group, Severity};
use model::time::human;
use model::{Date, Design, SiteId, Usd};
use numbers::Numbers;
use serde::{Serialize, Serializer};

/// Everything that is said of one spec.
#[derive(Debug, Serialize)]
pub struct Assessment {
    /// The version that assessed.
    pub antipode: &'static str,
    pub file: String,
    pub workload: String,
    pub today: Date,
    pub standing: Standing,
    #[serde(serialize_with = "as_map")]
    pub objectives: Vec<(&'static str, String)>,
    pub counts: Counts,
    pub first_blocker: Option<Blocker>,
    pub findings: Vec<Told>,
    pub questions: Vec<Answer>,
    pub readiness: Vec<Ready>,
    /// The region that a recovery leaves, and the one it goes to.
    pub recovery: Option<(SiteId, SiteId)>,
    pub calls: Vec<Call>,
    pub residency: Vec<Residence>,
    /// `strategy`, `forecast` and `cost`.
    #[serde(flatten)]
    pub numbers: Numbers,
    /// The objectives that the picture draws.
    #[serde(skip)]
    pub limits: (Option<Duration>, Option<Usd>),
    /// Of a baseline: the entries that accept nothing.
    pub baseline: Option<Acceptance>,
}

fn as_map<S: Serializer>(pairs: &[(&'static str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

/// Findings that nobody accepts, by severity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Counts {
    pub errors: usize,
    pub warnings: usize,
    pub notes: usize,
    pub accepted: usize,
}

/// A finding, and who accepts it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Told {
    #[serde(flatten)]
    pub finding: Finding,
    pub accepted: Option<Accepted>,
}

impl Assessment {
    pub fn new(
        file: String,
        design: &Design,
        today: Date,
        review: Review,
        numbers: Numbers,
        acceptance: Option<Acceptance>,
    ) -> Self {
        let standing = review.standing();
        let mut accepted = acceptance.as_ref().map_or_else(Vec::new, |acceptance| acceptance.of.clone());
        accepted.resize(review.findings.len(), None);
        let findings: Vec<Told> =
            review.findings.into_iter().zip(accepted).map(|(finding, accepted)| Told { finding, accepted }).collect();
        let ways = design.preferred().zip(design.others().next());
        Self {
            antipode: env!("CARGO_PKG_VERSION"),
            file,
            workload: design.workload.clone(),
            today,
            standing,
            objectives: objectives(design),
            counts: Counts::of(&findings),
            first_blocker: review.first_blocker,
            findings,
            questions: review.questions,
            readiness: review.readiness,
            recovery: ways.map(|(from, to)| (from.id.clone(), to.id.clone())),
            calls: review.calls,
            residency: review.residency,
            numbers,
            limits: (design.objectives.rto, design.objectives.budget),
            baseline: acceptance,
        }
    }

    /// Whether there is a finding at least so grave that nobody accepts.
    pub fn has(&self, severity: Severity) -> bool {
        self.open().any(|told| told.finding.severity >= severity)
    }
    /// The findings that nobody accepts.
    pub fn open(&self) -> impl Iterator<Item = &Told> {
        self.findings.iter().filter(|told| told.accepted.is_none())
    }
    /// Those of one severity, each kind once, in the order of the findings.
    pub fn kinds(&self, severity: Severity) -> Vec<Kind<'_>> {
        let mut kinds: Vec<Kind<'_>> = Vec::new();
        for told in self.open().filter(|told| told.finding.severity == severity) {
            match kinds.iter_mut().find(|kind| kind.id == told.finding.id) {
                Some(kind) => kind.of.push(&told.finding),
                None => kinds.push(Kind { id: told.finding.id, title: told.finding.title, of: vec![&told.finding] }),
            }
        }
        // What stops a failover is read first.
        kinds.sort_by_key(|kind| !kind.of.iter().any(|finding| finding.blocks));
        kinds
    }
    /// The questions of one group, and how many of them are answered, open, and do not arise.
    pub fn asked(&self, group: Group) -> Asked<'_> {
        let of: Vec<&Answer> = self.questions.iter().filter(|answer| answer.group == group).collect();
        let count = |state: State| of.iter().filter(|answer| answer.state == state).count();
        Asked { answered: count(State::Answered), open: count(State::Unanswered), idle: count(State::DoesNotArise), of }
    }
    /// Without the folders before it.
    pub fn file_name(&self) -> &str {
        std::path::Path::new(&self.file).file_name().and_then(|name| name.to_str()).unwrap_or(&self.file)
    }
    /// The one sentence that is read first.
    pub fn headline(&self) -> String {
        match (&self.first_blocker, self.standing) {
            (Some(blocker), _) => format!("a failover would stop at \"{}\"", blocker.step),
            (None, Standing::NotReady) => "a recovery breaks an objective, or a rule".into(),
            (None, Standing::AtRisk) => "nothing stops a recovery, but not all of it is known to work".into(),
            (None, Standing::Ready) => "a drill shows whether a recovery works".into(),
        }
    }
}

/// The findings of one id.
#[derive(Debug)]
pub struct Kind<'a> {
    pub id: &'static str,
    pub title: &'static str,
    pub of: Vec<&'a Finding>,
}

impl Kind<'_> {
    pub fn blocks(&self) -> bool {
        self.of.iter().any(|finding| finding.blocks)
    }
    /// Whether the title is what may be, since nobody says how it is.
    pub fn unsaid(&self) -> bool {
        // Some titles say it by themselves.
        let said = ["-unsaid", "-unknown", "-unanswered", "-undeclared"].iter().any(|end| self.id.ends_with(end));
        !said && self.of.iter().all(|finding| finding.unsaid)
    }
    /// What it says of each, without saying the same twice.
    pub fn remedies(&self) -> Vec<&str> {
        distinct(self.of.iter().map(|finding| &*finding.remedy))
    }
    pub fn sources(&self) -> &'static [String] {
        self.of.first().map_or(&[], |finding| finding.source)
    }
    pub fn consequences(&self) -> Vec<&str> {
        distinct(self.of.iter().map(|finding| &*finding.consequence))
    }
}

fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut once: Vec<&str> = Vec::new();
    for text in texts {
        if !once.contains(&text) {
            once.push(text);
        }
    }
    once
}

#[derive(Debug)]
pub struct Asked<'a> {
    pub of: Vec<&'a Answer>,
    pub answered: usize,
    pub open: usize,
    pub idle: usize,
}

impl Counts {
    fn of(findings: &[Told]) -> Self {
        let mut counts = Self::default();
        for told in findings {
            *match (&told.accepted, told.finding.severity) {
                (Some(_), _) => &mut counts.accepted,
                (None, Severity::Error) => &mut counts.errors,
                (None, Severity::Warning) => &mut counts.warnings,
                (None, Severity::Note) => &mut counts.notes,
            } += 1;
        }
        counts
    }
}

/// What the business asks for, in words; what nobody said is left out.
fn objectives(design: &Design) -> Vec<(&'static str, String)> {
    let objectives = &design.objectives;
    let said = [
        ("RTO", objectives.rto.map(human)),
        ("RPO", objectives.rpo.map(human)),
        ("availability", objectives.availability.map(|percent| format!("{percent}%"))),
        ("added latency", objectives.added_latency.map(human)),
        ("data class", objectives.data_class.clone()),
        ("budget", objectives.budget.map(|usd| format!("{usd} a month"))),
    ];
    said.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

pub fn standing_words(standing: Standing) -> &'static str {
    match standing {
        Standing::Ready => "NOTHING FOUND",
        Standing::AtRisk => "AT RISK",
        Standing::NotReady => "NOT READY",
    }
}

pub fn group_words(group: Group) -> &'static str {
    match group {
        Group::Review => "of a design review",
        Group::Store => "of every data store",
        Group::Cost => "of whoever pays",
        Group::Region => "whether there should be several regions",
    }
}

pub const GROUPS: [Group; 4] = [Group::Review, Group::Store, Group::Cost, Group::Region];

/// A place that editors and terminals open.
pub fn place(file: &str, line: usize) -> String {
    format!("{file}:{line}")
}
