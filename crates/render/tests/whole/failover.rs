//! A deployment after a failover destroys nothing and fails nothing back: the role of a region is in no template.
//!
//! CloudFormation keeps the value of a parameter that a deployment does not give. So what may differ when another region is
//! the preferred one are defaults of such parameters, and nothing else: no resource, no condition, no file of parameters.

use std::collections::BTreeMap;

use antipode_render::resource::{Given, Parameter, Resource};
use antipode_render::{Rendering, render};
use model::Design;

use crate::specs;

/// The same design when the next region is the preferred one.
fn other_way_round(mut design: Design) -> Design {
    let preferred = design.preferred().map(|site| site.id.clone());
    let next = design.others().next().map(|site| site.id.clone());
    for site in &mut design.sites {
        site.preferred = Some(&site.id) == next.as_ref();
    }
    assert_ne!(design.preferred().map(|site| site.id.clone()), preferred);
    design
}

/// Every resource by stack, template and name.
fn resources(rendering: &Rendering) -> BTreeMap<(String, String, String), &Resource> {
    let stacks =
        rendering.stacks.iter().flat_map(|stack| stack.templates.iter().map(move |template| (stack, template)));
    let each = stacks.flat_map(|(stack, template)| {
        let place = move |resource: &Resource| (stack.root.to_string(), template.name.clone(), resource.id.to_string());
        template.resources.iter().map(move |resource| (place(resource), resource))
    });
    each.collect()
}

pub fn what_differs(before: &Rendering, after: &Rendering) -> Vec<String> {
    let (old, new) = (resources(before), resources(after));
    let mut differs: Vec<String> = Vec::new();
    for (place, resource) in &old {
        match new.get(place) {
            None => differs.push(format!("{place:?} is gone")),
            Some(now) if now != resource => differs.push(format!("{place:?} is changed:\n  {resource:?}\n  {now:?}")),
            Some(_) => {}
        }
    }
    differs.extend(new.keys().filter(|place| !old.contains_key(*place)).map(|place| format!("{place:?} is new")));
    let by_deployment = |rendering: &Rendering| -> BTreeMap<String, Vec<Parameter>> {
        let given = |parameter: &&Parameter| !matches!(parameter.value, Given::AtFirst(_));
        let of = |stack: &antipode_render::Linked| stack.master().parameters.iter().filter(given).cloned().collect();
        rendering.stacks.iter().map(|stack| (stack.root.to_string(), of(stack))).collect()
    };
    if by_deployment(before) != by_deployment(after) {
        differs.push(format!("parameters:\n  {:?}\n  {:?}", by_deployment(before), by_deployment(after)));
    }
    let conditions = |rendering: &Rendering| {
        format!(
            "{:?}",
            rendering
                .stacks
                .iter()
                .flat_map(|stack| &stack.templates)
                .map(|template| &template.conditions)
                .collect::<Vec<_>>()
        )
    };
    if conditions(before) != conditions(after) {
        differs.push("conditions".to_owned());
    }
    differs
}

#[test]
fn a_deployment_after_a_failover_changes_nothing() {
    let mut differs = Vec::new();
    for (name, text) in specs::all() {
        let design = specs::design(&name, &text);
        if design.regions().count() < 2 {
            continue;
        }
        let before = render(&design, "antipode.yaml").unwrap();
        let after = render(&other_way_round(design), "antipode.yaml").unwrap();
        differs.extend(what_differs(&before, &after).into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(differs.is_empty(), "{}", differs.join("\n"));
}

/// The check above can fail: what is there in one rendering only is found.
#[test]
fn what_is_not_there_afterwards_is_found() {
    let design = specs::design("storefront", specs::STOREFRONT);
    let before = render(&design, "antipode.yaml").unwrap();
    let mut without = design;
    without.components.retain(|part| part.id.as_str() != "web");
    let after = render(&without, "antipode.yaml").unwrap();
    assert!(what_differs(&before, &after).iter().any(|what| what.contains("WebGroup")));
}

/// What recoveries change, by the end of the parameter's name, and what it may be before any recovery.
const STATE: &[(&str, &[&str])] = &[
    ("OtherRegions1", &["awaited"]),
    ("Generation", &["1"]),
    ("Failover", &["PRIMARY", "SECONDARY"]),
    ("Copies", &["ENABLED", "DISABLED", "yes", "no"]),
    ("Protection", &["ENABLED", "DISABLED"]),
    ("Began", &["here", "elsewhere"]),
    ("ScheduleState", &["ENABLED", "DISABLED"]),
    ("Here", &["yes", "no"]),
    ("CopiedTo", &[""]),
    ("Datastore", &[""]),
    ("Host", &[""]),
    ("Gate", &["open"]),
];

/// Parameters that deployments would set, or that begin as what they cannot be.
fn not_state(rendering: &Rendering) -> Vec<String> {
    let masters = rendering.stacks.iter().map(antipode_render::Linked::master);
    let parameters = masters.flat_map(|master| &master.parameters);
    let wrong = parameters.filter(|parameter| {
        let known = STATE.iter().find(|(end, _)| parameter.name.ends_with(end));
        known.is_some_and(|(_, values)| match &parameter.value {
            Given::AtFirst(value) => !values.contains(&value.as_str()),
            // What stands for all regions is handed what a region has now.
            Given::Output(..) => false,
            _ => true,
        })
    });
    wrong.map(|parameter| format!("{}: {:?}", parameter.name, parameter.value)).collect()
}

#[test]
fn what_a_recovery_changes_is_set_by_no_deployment() {
    let (mut wrong, mut never): (Vec<String>, Vec<&str>) = (Vec::new(), STATE.iter().map(|(end, _)| *end).collect());
    for (name, text) in specs::all() {
        let mut rendering = specs::rendering(&name, &text);
        wrong.extend(not_state(&rendering).into_iter().map(|what| format!("{name}: {what}")));
        // Seen red: given by the spec, each is found.
        for stack in &mut rendering.stacks {
            for parameter in &mut stack.templates.last_mut().unwrap().parameters {
                parameter.value = Given::Spec("1".to_owned());
            }
        }
        let found = not_state(&rendering);
        never.retain(|end| !found.iter().any(|what| what.contains(&format!("{end}:"))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(never.is_empty(), "no spec has {never:?}");
}
