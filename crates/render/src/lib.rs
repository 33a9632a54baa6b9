//! From what a spec says to the infrastructure of every region: templates, parameters, pipelines and runbooks, as texts.
//!
//! ```text
//! Design ─ services ─► Sheet (a graph of resources, each asked for by a line of the spec)
//!        ─ split, link ─► templates, each of which knows only itself ─ yaml ─► files
//! ```
//!
//! Nothing here decides who is primary. A role is state: where AWS wants to be told (which instance is the source of a
//! replica), it is a parameter that deployments leave as it is, and recoveries change.
//!
//! The same spec gives the same bytes. Nothing is read and nothing is written here.

pub mod availability;
mod beside;
pub mod change;
pub mod delivery;
pub mod import;
mod index;
pub mod link;
pub mod names;
mod once;
pub mod parameters;
pub mod placement;
pub mod resource;
pub mod root;
pub mod runbook;
mod services;
pub mod sheet;
mod spelled;
mod split;
pub mod value;
mod yaml;
mod yaml_read;

use model::{ComponentId, Design};
use serde::Serialize;

pub use link::{LinkError, Linked, Template};
pub use placement::Placement;
pub use root::{Group, Root};

/// What is not in a design, and what files depend on.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Told {
    /// Where the files are in their repository, such as `infrastructure`; empty when they are at its root.
    pub folder: String,
    /// The recoveries between its regions, as the engine orders them.
    pub recoveries: Vec<runbook::Recovery>,
    /// Where each resource was, when it was rendered before.
    pub before: Placement,
}

/// All that a spec gives.
#[derive(Debug)]
pub struct Rendering {
    /// In the order of their paths.
    pub files: Vec<File>,
    /// The stacks, in the order in which they are deployed.
    pub stacks: Vec<Linked>,
    /// Where each resource is, for the next rendering.
    pub placement: Placement,
    /// What has no template, and what to do instead.
    pub notes: Vec<Note>,
}

/// A text, and where it belongs under the folder that is written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct File {
    pub path: String,
    pub text: String,
    /// Only begun here: whoever fills it in keeps it, and only what is asked for since is added.
    pub once: bool,
}

impl File {
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> File {
        File { path: path.into(), text: text.into(), once: false }
    }
}

/// What is not rendered for a component.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Note {
    pub component: ComponentId,
    pub says: String,
    /// The step of the runbook, or the command, that takes its place.
    pub instead: String,
}

/// Why a spec cannot be rendered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Problem {
    /// The key of the spec.
    pub path: String,
    pub line: usize,
    pub says: String,
    pub hint: String,
}

#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The spec asks for what cannot be.
    #[error("the spec cannot be rendered")]
    Impossible(Vec<Problem>),
    /// A mistake of ours.
    #[error("templates do not fit together: {0}")]
    Link(#[from] LinkError),
}

/// Everything for `design`; `spec` is what its file is called.
///
/// # Errors
/// When the spec asks for what AWS does not have in a region, or cannot name.
pub fn render(design: &Design, spec: &str) -> Result<Rendering, RenderError> {
    render_with(design, spec, &Told::default())
}

/// The same, of what was rendered before: each resource stays in the stack where it was.
///
/// # Errors
/// Likewise; and when a change cannot be made without moving a resource to another stack.
pub fn render_again(design: &Design, spec: &str, before: &Placement) -> Result<Rendering, RenderError> {
    render_with(design, spec, &Told { before: before.clone(), ..Told::default() })
}

/// The same, with what a design does not say.
///
/// # Errors
/// As [`render_again`].
pub fn render_with(design: &Design, spec: &str, told: &Told) -> Result<Rendering, RenderError> {
    let design = told.before.in_order(design);
    let mut tried = link::FILLED.into_iter();
    loop {
        let (mut sheet, runbooks) = written(&design, spec, told)?;
        let filled = tried.next().expect("the last of them is returned from");
        match link::link(&mut sheet, filled, &told.before) {
            Ok(linked) => return Ok(rendering(sheet, linked, runbooks, told)),
            // Smaller pieces may do, of a sheet that is written anew: this one's resources have gone into the larger.
            Err(error) if error.of_a_piece() && tried.len() > 0 => {}
            Err(error) => return Err(refused(&sheet, error)),
        }
    }
}

/// What the services say, and the runbooks that look at it.
fn written<'d>(design: &'d Design, spec: &str, told: &Told) -> Result<(sheet::Sheet<'d>, Vec<File>), RenderError> {
    let mut sheet = sheet::Sheet::new(design, spec);
    sheet.remember(&told.before);
    services::render(&mut sheet);
    let runbooks = runbook::write(&mut sheet, &told.recoveries);
    delivery::write(&mut sheet);
    availability::check(&mut sheet);
    once::check(&mut sheet);
    spelled::check(&mut sheet);
    sheet.names_apart();
    match sheet.problems.is_empty() {
        true => Ok((sheet, runbooks)),
        false => Err(RenderError::Impossible(sheet.problems)),
    }
}

fn rendering(
    mut sheet: sheet::Sheet<'_>,
    (stacks, mut files): (Vec<Linked>, Vec<File>),
    runbooks: Vec<File>,
    told: &Told,
) -> Rendering {
    files.extend(stacks.iter().flat_map(parameters::files));
    files.extend(delivery::files(&sheet, &stacks, &told.folder));
    files.extend(runbooks);
    files.append(&mut sheet.files);
    files.sort();
    let placement = Placement::of(&sheet, &stacks, &told.before);
    Rendering { files, stacks, placement, notes: sheet.notes }
}

/// What recoveries and deployments change is a parameter, of which a stack has so many: too many of them is the spec's.
fn refused(sheet: &sheet::Sheet<'_>, error: LinkError) -> RenderError {
    let Some((root, count, most)) = error.given_too_much() else { return error.into() };
    let path = match root {
        Root::Region(site) => format!("sites.{site}"),
        _ => "workload".to_owned(),
    };
    let says = format!("the stack {root} would have {count} parameters, and CloudFormation takes {most} of a stack");
    let asks = |part: &&model::Part| ["runtime", "handler"].iter().any(|key| part.text(key).is_none());
    let functions = sheet.of_kind("aws.lambda").filter(|part| sheet.renders(part)).filter(asks).count();
    let two = "divide its components into two workloads, each with a spec and stacks of its own";
    let hint = match functions {
        0 => two.to_owned(),
        _ => format!(
            "say `runtime` and `handler` of {functions} functions, which are a parameter each until then; or {two}"
        ),
    };
    RenderError::Impossible(vec![Problem { line: sheet.design.line(&path), path, says, hint }])
}
