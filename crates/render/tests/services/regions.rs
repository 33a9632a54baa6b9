//! A workload in two regions, and what its stacks say.

use antipode_render::Rendering;
use antipode_render::resource::{Given, Resource};
use antipode_render::value::{Map, Value};

use crate::specs;

pub fn rendered(components: &str) -> Rendering {
    specs::rendering("test", &two_regions(components))
}

/// A workload in two regions, of which the first is the preferred one.
pub fn two_regions(components: &str) -> String {
    format!(
        "workload: test\nartifact: v1\nobjectives: {{ rto: 5m, rpo: 1m }}\nsites:\n  us-east-1: {{ zones: [a, b], preferred: true }}\n  eu-west-1: {{ zones: [a, b] }}\ncomponents:\n{components}"
    )
}

/// What a resource of a stack says, whichever nested stack it is in.
pub fn resource<'r>(rendering: &'r Rendering, root: &str, id: &str) -> &'r Resource {
    let stacks = rendering.stacks.iter().filter(|stack| stack.root.name() == root);
    let mut all = stacks.flat_map(|stack| &stack.templates).flat_map(|template| &template.resources);
    all.find(|resource| *resource.id == *id).unwrap_or_else(|| panic!("no {id} in {root}"))
}

pub fn of_kind<'r>(rendering: &'r Rendering, root: &str, kind: &str) -> Vec<&'r Resource> {
    let stacks = rendering.stacks.iter().filter(|stack| stack.root.name() == root);
    let all = stacks.flat_map(|stack| &stack.templates).flat_map(|template| &template.resources);
    all.filter(|resource| resource.kind == kind).collect()
}

pub fn map(value: Option<&Value>) -> &Map {
    match value {
        Some(Value::Map(map)) => map,
        other => panic!("{other:?} is no map"),
    }
}

pub fn list(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::List(list)) => list,
        other => panic!("{other:?} is no list"),
    }
}

/// What a recovery may change begins as.
pub fn at_first(rendering: &Rendering, root: &str, value: Option<&Value>) -> String {
    let Some(Value::Parameter(_, name)) = value else { panic!("{value:?} is no parameter") };
    let stack = rendering.stacks.iter().find(|stack| stack.root.name() == root).unwrap();
    match &stack.master().parameters.iter().find(|parameter| parameter.name == *name).unwrap().value {
        Given::AtFirst(value) => value.clone(),
        other => panic!("{name} is {other:?}"),
    }
}
