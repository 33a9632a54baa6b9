//! What can be wrong with a design, and what every design must answer: the texts, in data (`crates/model/data/findings`
//! and `questions.yaml`). When a finding is made is `engine::assess`; what it says, why it matters and who says so is here.

mod read;

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::topology::Plane;

/// How bad a finding is. The order is that of weight: a note is less than an error.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know; nothing fails because of it alone.
    Note,
    /// A recovery is at risk, or nobody can say whether it is.
    Warning,
    /// A recovery fails, breaks an objective, or is not allowed.
    Error,
}

impl Severity {
    /// The next milder one; a note stays a note.
    pub fn milder(self) -> Self {
        match self {
            Severity::Error => Severity::Warning,
            Severity::Warning | Severity::Note => Severity::Note,
        }
    }
    pub fn word(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One thing that can be wrong with a design. The texts of `says` and `remedy` have `{placeholders}`, which the rule fills.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Words with hyphens; the name of its page, `docs/findings/<id>.md`.
    pub id: String,
    pub title: String,
    pub severity: Severity,
    /// When nobody says how it is; without one it is the next milder than `severity`.
    #[serde(default)]
    pub unsaid: Option<Severity>,
    /// A failover does not succeed while this stands.
    #[serde(default)]
    pub blocks: bool,
    pub planes: Vec<Plane>,
    /// Which promise it endangers; shown in the readiness table.
    #[serde(default)]
    pub risks: Vec<Risk>,
    pub says: String,
    /// The check, where asking for single keys is all there is to it; the other rows have a rule in `engine::assess::rules`.
    #[serde(default)]
    pub wants: Vec<Wants>,
    pub consequence: String,
    pub remedy: String,
    /// Who says so: "seed 003 section 19 item 7", "SAFETY.md item 5", or a page's address.
    pub source: Vec<String>,
    /// The questions that it leaves without a good answer.
    #[serde(default)]
    pub answers: Vec<String>,
}

impl Row {
    pub fn when_unsaid(&self) -> Severity {
        self.unsaid.unwrap_or_else(|| self.severity.milder())
    }
}

/// A promise that a finding endangers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// How long recovery takes.
    Rto,
    /// How much is lost.
    Rpo,
}

/// That a key says something, or something certain.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wants {
    pub of: Of,
    /// With its group: `backup.every`.
    pub key: String,
    pub be: Be,
    /// All of them must hold, or nothing is wanted.
    #[serde(default)]
    pub when: Vec<When>,
    /// Where a component of such a kind, or with such a facet, is declared, it is that which has to say it.
    #[serde(default)]
    pub unless: Vec<String>,
}

/// Where a key is looked up.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(from = "String")]
pub enum Of {
    Practice,
    Objectives,
    Losses,
    /// A key at the top of the file.
    Workload,
    /// Each component that has this facet.
    Facet(String),
}

impl From<String> for Of {
    fn from(word: String) -> Self {
        match word.as_str() {
            "practice" => Of::Practice,
            "objectives" => Of::Objectives,
            "losses" => Of::Losses,
            "workload" => Of::Workload,
            _ => Of::Facet(word),
        }
    }
}

/// What the value must be. A value of another type than the check is for counts as not said.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Be {
    /// Anything.
    Answered,
    Yes,
    No,
    /// A list of sites with every region in it.
    EveryRegion,
    /// One of these words.
    In(Vec<String>),
    /// Said, and none of these words.
    Not(Vec<String>),
    /// None of these words, in a list neither. That nobody says anything is another row's business.
    Never(Vec<String>),
    /// A list with all of these words.
    Has(Vec<String>),
    /// A list of sites that has more in it than the preferred region.
    NotOnly(Preferred),
    /// A day at most so long ago.
    #[serde(deserialize_with = "read::within")]
    Within(Duration),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preferred {
    Preferred,
}

/// In which designs, or of which components, something is wanted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// The design has two regions or more.
    SeveralRegions,
    /// The design names a class of data.
    Classified,
    /// The component is a system of record.
    Record,
    /// The component can be made again from another.
    Projection,
    /// The component has copies in another region.
    Replicated,
    /// The component has none.
    Unreplicated,
    /// Its kind can have some.
    Replicable,
    /// Its copies follow later.
    Asynchronous,
    /// One region writes at a time.
    SingleWriter,
    /// Several write; of a whole design: some component has several.
    SeveralWriters,
    /// It has a backup.
    BackedUp,
    /// It has a health check.
    Checked,
    /// It is a database whose kind can stand by in another zone.
    ZoneAware,
    /// It keeps objects.
    Objects,
    /// It answers names.
    Dns,
    /// It says something of its alarm.
    Alarmed,
    /// It runs the workload's code.
    RunsCode,
    /// It keeps a record of what happened.
    KeepsRecords,
    /// It has rules.
    HasRules,
}

/// Who asks a question.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// A design review (seed 003 section 25).
    Review,
    /// Of every data store (seed 003 section 9.1).
    Store,
    /// Whoever pays (seed 003 section 17.2).
    Cost,
    /// Whether there should be several regions at all (seed 003 section 20).
    Region,
}

/// What somebody asks of every design.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its group and number: `review-05`.
    pub id: String,
    pub group: Group,
    pub text: String,
    pub source: String,
    /// The keys that answer it.
    pub facts: Vec<Fact>,
    #[serde(default)]
    pub need: Need,
    /// In other designs it does not arise.
    #[serde(default)]
    pub when: Vec<When>,
}

impl Question {
    /// Its number in its group, from 1.
    pub fn number(&self) -> usize {
        self.id.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or_default()
    }
}

/// Whether all facts are needed, or one of them answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    #[default]
    All,
    Any,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    pub of: Of,
    pub key: String,
    /// Of a facet: only components of which this holds must answer.
    #[serde(default)]
    pub when: Vec<When>,
}

#[derive(Debug)]
struct Tables {
    rows: Vec<Row>,
    questions: Vec<Question>,
}

fn tables() -> &'static Tables {
    static READ: LazyLock<Tables> = LazyLock::new(|| Tables { rows: read::rows(), questions: read::questions() });
    &READ
}

/// Every finding that there can be, in the order of the files.
pub fn rows() -> &'static [Row] {
    &tables().rows
}

pub fn row(id: &str) -> Option<&'static Row> {
    rows().iter().find(|row| row.id == id)
}

/// Every question, the review's first.
pub fn questions() -> &'static [Question] {
    &tables().questions
}

pub fn question(id: &str) -> Option<&'static Question> {
    questions().iter().find(|question| question.id == id)
}

/// The id that was probably meant.
pub fn nearest(id: &str) -> Option<&'static str> {
    crate::spec::did_you_mean(id, rows().iter().map(|row| row.id.as_str()))
}
