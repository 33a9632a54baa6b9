//! The file, `antipode.yaml`: read, checked, and turned into a [`Topology`].
//!
//! Four stages, each on what the one before left:
//! text → `tree` (YAML with places) → `shape` (fitted to the schema of `file`'s types) → `rules` (what the
//! parts say about each other) → `lower`. A stage reports everything that it finds; a stage with errors is the last,
//! because what follows would only report their consequences.

mod file;
mod lower;
mod problem;
mod profile;
mod quantity;
mod rules;
mod shape;
mod tree;

use crate::Topology;
use file::File;
pub use problem::{Problem, Related, Severity, Span};
pub use profile::profiles;
pub(crate) use quantity::duration;

/// Every code that a [`Problem`] can have. Each has a page, `docs/errors/<code>.md`.
pub const CODES: &[&str] = &[
    "spec-approvals",
    "spec-backup",
    "spec-drills",
    "spec-duplicate-key",
    "spec-missing-key",
    "spec-name",
    "spec-needs-cycle",
    "spec-one-of-each",
    "spec-preferred",
    "spec-range",
    "spec-regions",
    "spec-replication",
    "spec-residency",
    "spec-rpo-too-small",
    "spec-rto-too-small",
    "spec-setting",
    "spec-system-of-record",
    "spec-timing",
    "spec-unit",
    "spec-unknown-component",
    "spec-unknown-key",
    "spec-unknown-site",
    "spec-unknown-value",
    "spec-witness",
    "spec-wrong-type",
    "spec-yaml",
    "spec-zones",
];

/// Bytes in a spec. The examples have fewer than four thousand; what is longer is another file.
pub const LONGEST: usize = 1 << 20;

/// What a spec says, and what is wrong with it.
#[derive(Debug)]
pub struct Checked {
    /// Absent when any problem is an error.
    pub topology: Option<Topology>,
    /// Errors and warnings in the order of the text.
    pub problems: Vec<Problem>,
}

/// Checks a whole spec and reports everything found, warnings too.
pub fn check(text: &str) -> Checked {
    let mut problems = Vec::new();
    let topology = topology(text, &mut problems);
    problems.sort_by_key(|p| (p.span.offset, p.code));
    Checked { topology, problems }
}

/// The topology that a spec means, or the errors that keep it from meaning one. Warnings are dropped.
pub fn parse(text: &str) -> Result<Topology, Vec<Problem>> {
    let Checked { topology, mut problems } = check(text);
    problems.retain(|p| p.severity == Severity::Error);
    topology.ok_or(problems)
}

/// The JSON Schema of the file, for editors and for other programs.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(File).to_value()
}

fn topology(text: &str, problems: &mut Vec<Problem>) -> Option<Topology> {
    let tree = match tree::read(text) {
        Ok(tree) => tree,
        Err(problem) => {
            problems.push(*problem);
            return None;
        }
    };
    let (json, misfits) = shape::fit(&tree, &schema());
    if !misfits.is_empty() {
        problems.extend(misfits);
        return None;
    }
    let file: File = match serde_json::from_value(json) {
        Ok(file) => file,
        // The schema is looser than the types somewhere: a defect of ours, still shown to the operator as an error.
        Err(error) => {
            problems.push(Problem::error("spec-wrong-type", tree.span, error.to_string(), "in this file"));
            return None;
        }
    };
    problems.extend(rules::check(&file, &tree));
    let usable = problems.iter().all(|p| p.severity == Severity::Warning);
    usable.then(|| lower::topology(&file))
}
