//! What matters in a recovery, service by service.

mod accepted;
mod answered;
mod around;
mod compute;
mod copied;
mod costs;
mod databases;
mod edge;
mod fences;
mod guard;
mod held;
mod observe;
mod operate;
mod pipelines;
mod ready;
mod regions;
mod rendered;
mod rollouts;
mod signal;
#[path = "../checkers/specs.rs"]
#[allow(dead_code)]
mod specs;
mod stack_sets;
mod stored;
mod transfer;
#[path = "../checkers/words.rs"]
mod words;

use antipode_render::Rendering;
use antipode_render::resource::{Given, Resource};
use antipode_render::value::Value;

/// A spec of `tests/specs`, rendered.
fn spec(name: &str) -> Rendering {
    let (name, text) = specs::all().into_iter().find(|(known, _)| known == name).expect("a spec of that name");
    specs::rendering(&name, &text)
}

/// A resource of a root stack.
fn resource<'r>(rendering: &'r Rendering, root: &str, id: &str) -> &'r Resource {
    find(rendering, root, id).unwrap_or_else(|| panic!("{id} is not in {root}"))
}

fn find<'r>(rendering: &'r Rendering, root: &str, id: &str) -> Option<&'r Resource> {
    let stack = rendering.stacks.iter().find(|stack| stack.root.name() == root)?;
    stack.templates.iter().flat_map(|template| &template.resources).find(|resource| *resource.id == *id)
}

/// What stands behind a path of keys and positions, such as `Rules.0.Id`; what a condition adds counts as there.
fn at<'v>(resource: &'v Resource, path: &str) -> &'v Value {
    let mut keys = path.split('.');
    let first = keys.next().unwrap();
    let start = resource.properties.get(first).unwrap_or_else(|| panic!("{} has no {first}", resource.id));
    keys.fold(start, |value, key| {
        let value = if let Value::If(_, then, _) = value { then } else { value };
        let found = match value {
            Value::Map(map) => map.get(key),
            Value::List(items) => items.get(key.parse::<usize>().unwrap()),
            _ => None,
        };
        found.unwrap_or_else(|| panic!("{}: no {key} in {value:?}", resource.id))
    })
}

fn text(resource: &Resource, path: &str) -> String {
    match at(resource, path) {
        Value::Text(text) => text.to_string(),
        other => panic!("{path} of {} is {other:?}", resource.id),
    }
}

/// What a parameter of a root stack is at first.
fn at_first(rendering: &Rendering, root: &str, name: &str) -> String {
    let stack = rendering.stacks.iter().find(|stack| stack.root.name() == root).unwrap();
    let parameter = stack.master().parameters.iter().find(|parameter| parameter.name == name);
    match &parameter.unwrap_or_else(|| panic!("{root} has no parameter {name}")).value {
        Given::AtFirst(value) => value.clone(),
        other => panic!("{name} of {root} is {other:?}"),
    }
}

/// Asserts what resources of a stack say: an id, a path, and the words that stand there.
fn says(rendering: &Rendering, root: &str, rows: &[(&str, &str, &str)]) {
    let said = |id, path| words::all(resource(rendering, root, id), path).join(" ").trim().to_owned();
    let wrong = rows.iter().filter(|(id, path, words)| said(id, path) != words.trim());
    let wrong: Vec<String> = wrong.map(|row| format!("{row:?} in {root}: {}", said(row.0, row.1))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
