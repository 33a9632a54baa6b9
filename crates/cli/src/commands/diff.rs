use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use render::change::{self, Changed, Difference, Resource, StackChange};
use serde_json::json;

use crate::args::Globals;
use crate::commands::render::rendered;
use crate::exit::Exit;
use crate::failure::{Code, Failure};
use crate::folder::{self, Folder};
use crate::output::Output;

/// Say what a deployment would change: the written templates beside what the spec renders now
///
/// For each stack: resources that are added, removed and changed, property by property; parameters; and which changes make
/// another resource in place of the old one. Comments are no change. Nothing of AWS is called.
#[derive(Debug, Args)]
pub struct Diff {
    /// The spec, instead of the one named by --file
    #[arg(value_name = "FILE")]
    spec: Option<PathBuf>,
    /// Where it was written
    #[arg(long, value_name = "DIR", default_value = "infrastructure")]
    out: PathBuf,
}

impl Diff {
    pub fn run(self, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        let path = self.spec.as_ref().unwrap_or(&globals.file);
        let rendering = rendered(path, &self.out, String::new(), output)?;
        let mut before: BTreeMap<String, String> = BTreeMap::new();
        for path in folder::written(&self.out)?.into_iter().chain(rendering.files.iter().map(|file| file.path.clone()))
        {
            let folder = Folder::new(&self.out, &rendering.files, &rendering.placement);
            if let Some(text) = folder.text(&path)? {
                before.insert(path, text);
            }
        }
        let changes = change::changes(&before, &rendering.files).map_err(|unreadable| {
            Failure::new(
                Code::RenderEdited,
                format!("{} cannot be understood: {}", self.out.join(unreadable.path).display(), unreadable.says),
            )
            .hint("restore that file from version control, or render over it with `antipode render --overwrite`")
        })?;
        output.result(&json!({ "out": self.out, "stacks": changes }), || text(&changes));
        Ok(if changes.is_empty() { Exit::Ok } else { Exit::Drifted })
    }
}

fn text(changes: &[StackChange]) -> String {
    if changes.is_empty() {
        return "nothing changes\n".to_owned();
    }
    let mut out = String::new();
    for change in changes {
        out += &format!("{}{}\n", change.stack, if change.replaces() { ": resources are made anew" } else { "" });
        change.added.iter().for_each(|resource| out += &line('+', resource, ""));
        for resource in &change.removed {
            out += &line('-', resource, if resource.kept { ", which stays in AWS" } else { "" });
        }
        change.changed.iter().for_each(|changed| out += &changed_text(changed));
        for (title, all) in [("parameter", &change.parameters), ("output", &change.outputs)] {
            all.iter().for_each(|difference| out += &difference_text(2, &format!("{title} "), difference));
        }
    }
    out
}

fn line(mark: char, resource: &Resource, more: &str) -> String {
    format!("  {mark} {}/{}, {}{more}\n", resource.template, resource.id, resource.kind)
}

fn changed_text(changed: &Changed) -> String {
    let anew = match changed.replaced_by.as_slice() {
        [] => String::new(),
        by => format!(", made anew because of {}", by.join(", ")),
    };
    let mut out = line('~', &changed.resource, &anew);
    changed.properties.iter().for_each(|difference| out += &difference_text(6, "", difference));
    out
}

fn difference_text(indent: usize, what: &str, difference: &Difference) -> String {
    let pad = " ".repeat(indent);
    let path = &difference.path;
    match (&difference.before, &difference.after) {
        (Some(before), Some(after)) => format!("{pad}{what}{path}: {before} -> {after}\n"),
        (None, Some(after)) => format!("{pad}{what}{path}: new, {after}\n"),
        (Some(before), None) => format!("{pad}{what}{path}: gone, was {before}\n"),
        (None, None) => String::new(),
    }
}
