//! What holds of every resource of every spec, whichever service wrote it: a table of rules. `spoiled` sees each of them red.

mod access;
mod data;
mod spoiled;
mod tables;

use antipode_render::resource::{Given, Resource};
use antipode_render::value::{Pseudo, Value};
use antipode_render::{Linked, Rendering, Root};

use crate::specs;

/// A resource, and where it stands.
struct Place<'r> {
    resource: &'r Resource,
    /// The region of AWS that its stack is deployed in.
    region: &'r str,
    /// The other regions of the workload; none for what stands for all of them.
    others: Vec<&'r str>,
}

/// Says what is wrong with a resource.
type Rule = fn(&Place<'_>) -> Vec<String>;

const RULES: &[(&str, Rule)] = &[
    ("what holds data stays", data::kept),
    ("what can be encrypted is", data::encrypted),
    ("what matters is said", data::said),
    ("a bucket is closed", access::closed),
    ("who may do what names it", access::named),
    ("a role works in its own region", access::at_home),
    ("a service comes in on behalf of this account", access::ours),
    ("nobody comes in from everywhere", access::shut),
    ("nothing names another region", data::by_itself),
    ("an alarm tells somebody", data::told),
];

/// What is wrong with a rendering, by rule.
fn wrong(rendering: &Rendering) -> Vec<(&'static str, String)> {
    let regions = || rendering.stacks.iter().filter(|stack| is_region(stack)).map(|stack| stack.region.as_str());
    let mut wrong = Vec::new();
    for stack in &rendering.stacks {
        wrong.extend(waits(stack).into_iter().map(|what| ("a region waits for none", what)));
        let others: Vec<&str> = regions().filter(|region| is_region(stack) && *region != stack.region).collect();
        for resource in stack.templates.iter().flat_map(|template| &template.resources) {
            let place = Place { resource, region: &stack.region, others: others.clone() };
            for (name, rule) in RULES {
                let id = format!("{} {} of {}", resource.kind, resource.id, stack.root);
                wrong.extend(rule(&place).into_iter().map(|what| (*name, format!("{id}: {what}"))));
            }
        }
    }
    wrong
}

/// What a region takes from another one, so that it cannot be built while that one is away: a key that is a replica of the
/// other's, which the spec asks for with `multi_region`, and nothing else.
fn waits(stack: &Linked) -> Vec<String> {
    let mut wrong = Vec::new();
    for parameter in stack.master().parameters.iter().filter(|_| is_region(stack)) {
        if let Given::Output(Root::Region(other), output) = &parameter.value
            && !output.ends_with("KeyKeyArn")
        {
            wrong.push(format!("{} takes {output} of {other}", stack.root));
        }
    }
    wrong
}

fn is_region(stack: &Linked) -> bool {
    matches!(stack.root, Root::Region(_))
}

/// What stands at a path such as `Rules.*.Status`, as words: an empty one where there is nothing. What a condition takes away
/// altogether is no word.
fn all(resource: &Resource, path: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    match resource.properties.get(first) {
        Some(value) => below(value, rest, &mut words),
        None => words.push(String::new()),
    }
    words
}

fn below(value: &Value, path: &str, words: &mut Vec<String>) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    match value {
        Value::Pseudo(Pseudo::NoValue) => {}
        Value::If(_, then, otherwise) => [then, otherwise].into_iter().for_each(|value| below(value, path, words)),
        _ if path.is_empty() => words.push(word(value)),
        Value::List(items) if first == "*" => items.iter().for_each(|item| below(item, rest, words)),
        Value::Map(map) if first == "*" => map.0.iter().for_each(|(_, value)| below(value, rest, words)),
        Value::Map(map) => match map.get(first) {
            Some(value) => below(value, rest, words),
            None => words.push(String::new()),
        },
        _ => words.push(String::new()),
    }
}

/// A value as one word; what is only known when it is deployed stands in braces.
fn word(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Text(text) => text.clone(),
        Value::List(items) | Value::Concat(items) | Value::Join(_, items) => items.iter().map(word).collect(),
        Value::Map(map) => map.0.iter().map(|(key, value)| format!("{key}={} ", word(value))).collect(),
        Value::Pseudo(Pseudo::NoValue) => String::new(),
        Value::Pseudo(pseudo) => format!("{{{}}}", pseudo.name()),
        Value::Parameter(_, name) => format!("{{{name}}}"),
        Value::Ref(target) => format!("{{{}}}", target.id),
        Value::Attribute(target, attribute) => format!("{{{}.{attribute}}}", target.id),
        Value::Output(target, name) => format!("{{{}.{name}}}", target.id),
        Value::Select(_, of) | Value::Cidr(of, ..) => word(of),
        Value::Zones => "{zones}".to_owned(),
        Value::If(_, then, otherwise) => word(then) + &word(otherwise),
    }
}

#[test]
fn every_resource_keeps_every_rule() {
    let mut all = Vec::new();
    for (name, text) in specs::all() {
        let wrong = wrong(&specs::rendering(&name, &text));
        all.extend(wrong.into_iter().map(|(rule, what)| format!("{rule}: {name}: {what}")));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}
