//! The file, `antipode.yaml`: read, checked, and turned into a [`Design`] and, if it can be run, a [`Topology`].
//!
//! Four stages, each on what the one before left:
//! text → `tree` (YAML with places) → `shape` (fitted to the `schema` of `file`'s types and of the catalogue) → `rules`
//! (what the parts say about each other) → `meaning` (the design) and `lower` (the topology). A stage reports everything
//! that it finds; a stage with errors is the last, because what follows would only report their consequences.
//!
//! A spec whose components are all of kinds that we run is held to all that running needs. Any other may leave things open:
//! the assessment says what is missing.

mod file;
mod lower;
mod meaning;
mod problem;
mod profile;
mod quantity;
mod rules;
mod schema;
mod shape;
mod tree;

use crate::catalogue::catalogue;
use crate::{Design, Topology};
use file::File;
pub(crate) use meaning::value;
pub(crate) use problem::did_you_mean;
pub use problem::{Problem, Related, Severity, Span};
pub use profile::profiles;
pub(crate) use quantity::{duration, interval};
pub(crate) use schema::typed_keys;
use tree::{Entry, Node, Value};

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
    /// Everything that the spec says. Absent when any problem is an error.
    pub design: Option<Design>,
    /// What can be run: absent also when the spec can only be assessed.
    pub topology: Option<Topology>,
    /// Errors and warnings in the order of the text.
    pub problems: Vec<Problem>,
    /// Of a design that can only be assessed: each thing that keeps it from being run.
    pub obstacles: Vec<Problem>,
}

/// Checks a whole spec and reports everything found, warnings too.
pub fn check(text: &str) -> Checked {
    let mut checked = Checked { design: None, topology: None, problems: Vec::new(), obstacles: Vec::new() };
    match tree::read(text) {
        Ok(tree) => read(&tree, &mut checked),
        Err(problem) => checked.problems.push(*problem),
    }
    checked.problems.sort_by_key(|p| (p.span.offset, p.code));
    checked
}

/// The topology that a spec means, or the errors that keep it from meaning one. Warnings are dropped.
pub fn parse(text: &str) -> Result<Topology, Vec<Problem>> {
    let Checked { topology, problems, obstacles, .. } = check(text);
    topology.ok_or_else(|| errors(problems).into_iter().chain(obstacles).collect())
}

/// What a spec says, whether it can be run or only be assessed. Warnings are dropped.
pub fn design(text: &str) -> Result<Design, Vec<Problem>> {
    let Checked { design, problems, .. } = check(text);
    design.ok_or_else(|| errors(problems))
}

fn errors(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.retain(|p| p.severity == Severity::Error);
    problems
}

/// The JSON Schema of the file, for editors and for other programs.
pub fn schema() -> &'static serde_json::Value {
    schema::whole()
}

/// The words that a part of the schema takes; none when it takes no words.
pub(crate) fn words(part: &serde_json::Value) -> Vec<&str> {
    shape::choices(part).unwrap_or_default()
}

pub(crate) use shape::type_of as shape_of;

fn read(tree: &Node, checked: &mut Checked) {
    let obstacles = obstacles(tree);
    let to_run = obstacles.is_empty();
    let (json, misfits) = shape::fit(tree, schema::whole(), to_run);
    checked.problems.extend(misfits);
    if !checked.problems.is_empty() {
        return;
    }
    let file: File = match serde_json::from_value(schema::typed_part(&json)) {
        Ok(file) => file,
        // The schema is looser than the types somewhere: a defect of ours, still shown to the operator as an error.
        Err(error) => {
            let problem = Problem::error("spec-wrong-type", tree.span, error.to_string(), "in this file");
            return checked.problems.push(problem);
        }
    };
    checked.problems.extend(rules::check(&file, &json, tree, to_run));
    if checked.problems.iter().all(|p| p.severity == Severity::Warning) {
        checked.design = Some(meaning::design(&json, &file, tree));
        checked.topology = to_run.then(|| lower::topology(&file));
        checked.obstacles = obstacles;
    }
}

/// The components of kinds that can only be assessed.
fn obstacles(tree: &Node) -> Vec<Problem> {
    let components = match tree.get("components").map(|entry| &entry.node.value) {
        Some(Value::Map(components)) => components.as_slice(),
        _ => &[],
    };
    let obstacle = |component: &Entry| {
        let kind = component.node.get("kind")?;
        let Value::Scalar(name) = &kind.node.value else { return None };
        catalogue().kind(name).filter(|kind| !kind.runs)?;
        let message = format!("`{}` is of kind `{name}`, which this version assesses and does not run", component.key);
        Some(Problem::error("spec-not-runnable", kind.node.span, message, "not run"))
    };
    components.iter().filter_map(obstacle).collect()
}
