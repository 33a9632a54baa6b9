//! What holds of every resource of every spec, whichever service wrote it: a table of rules. `spoiled` sees each of them red.

mod access;
mod data;
mod spoiled;
mod tables;

use antipode_render::resource::{Given, Resource};
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
    ("a role is assumed by who should", access::trusted),
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

#[test]
fn every_resource_keeps_every_rule() {
    let mut all = Vec::new();
    for (name, text) in specs::all() {
        let wrong = wrong(&specs::rendering(&name, &text));
        all.extend(wrong.into_iter().map(|(rule, what)| format!("{rule}: {name}: {what}")));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}
