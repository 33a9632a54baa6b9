//! docs/render-systems.md: every system that the seeds name, and what is rendered for it. Made from what is rendered of the
//! specs in `tests/specs` and of the examples, so that nothing stands in it that is not so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use antipode_render::Group;
use model::ComponentId;
use model::catalogue::catalogue;

use crate::specs;

#[derive(Default)]
struct Rendered {
    types: BTreeSet<&'static str>,
    watched: bool,
    notes: BTreeSet<String>,
}

/// What is rendered for each kind.
fn by_kind() -> BTreeMap<String, Rendered> {
    let mut kinds: BTreeMap<String, Rendered> = BTreeMap::new();
    for (name, text) in specs::all() {
        let design = specs::design(&name, &text);
        let kind = |path: &str| {
            let id = path.strip_prefix("components.")?;
            design.part(&ComponentId::new(id)).map(|part| part.kind.name.clone())
        };
        let rendering = specs::rendering(&name, &text);
        for resource in
            rendering.stacks.iter().flat_map(|stack| &stack.templates).flat_map(|template| &template.resources)
        {
            let Some(kind) = kind(&resource.asked.path).filter(|_| resource.kind != "AWS::CloudFormation::Stack")
            else {
                continue;
            };
            let known = kinds.entry(kind).or_default();
            match resource.group {
                Group::Observability => known.watched = true,
                _ => _ = known.types.insert(resource.kind),
            }
        }
        for note in &rendering.notes {
            if let Some(kind) = kind(&format!("components.{}", note.component)) {
                kinds.entry(kind).or_default().notes.insert(note.says.clone());
            }
        }
    }
    kinds
}

fn page() -> String {
    let rendered = by_kind();
    let mut out = String::from(
        "# What is rendered for each system\n\n\
         Every system that the seeds name, the kinds of component that stand for it, and the resource types that\n\
         `antipode render` writes for them. Made by a test from what is rendered for the specs in `crates/render/tests/specs` and\n\
         for the examples. *Watched* has alarms, or is in the dashboards, in each region. What has no resource type, or is not\n\
         rendered, stands in the last column, and with what to do instead in what `antipode render` prints.\n\n\
         | system (seed) | kind | resource types | watched | not rendered, or to be known |\n|---|---|---|---|---|\n",
    );
    for named in catalogue().named() {
        for kind in &named.kinds {
            let none = Rendered::default();
            let known = rendered.get(kind).unwrap_or(&none);
            let types: Vec<String> =
                known.types.iter().map(|kind| kind.trim_start_matches("AWS::").to_owned()).collect();
            let types = if types.is_empty() { "–".to_owned() } else { types.join(", ") };
            let ours = !kind.starts_with("aws.") && known.notes.is_empty();
            let notes: Vec<&str> = known.notes.iter().map(String::as_str).collect();
            let notes = if ours { "not of AWS".to_owned() } else { notes.join("; ") };
            let watched = if known.watched { "yes" } else { "" };
            writeln!(out, "| {} ({}) | {kind} | {types} | {watched} | {notes} |", named.system, named.seed).unwrap();
        }
    }
    out
}

#[test]
fn the_page_of_systems_is_what_is_rendered() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/render-systems.md");
    let page = page();
    if std::env::var("ANTIPODE_PAGES").is_ok_and(|mode| mode == "write") {
        fs::write(&file, &page).unwrap();
    }
    let same = fs::read_to_string(&file).unwrap_or_default() == page;
    assert!(same, "{} is not what is rendered: run the test with ANTIPODE_PAGES=write, and look at it", file.display());
}
