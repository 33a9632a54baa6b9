//! What a deployment would change: the templates that are written, beside those that the spec renders now.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::yaml_read::{self, Node};
use crate::{File, availability};

/// What changes in one root stack.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct StackChange {
    pub stack: String,
    pub added: Vec<Resource>,
    pub removed: Vec<Resource>,
    pub changed: Vec<Changed>,
    pub parameters: Vec<Difference>,
    pub outputs: Vec<Difference>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Resource {
    pub template: String,
    pub id: String,
    pub kind: String,
    /// What it is stays when it leaves the template.
    pub kept: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Changed {
    #[serde(flatten)]
    pub resource: Resource,
    pub properties: Vec<Difference>,
    /// The properties whose change makes another one in its place.
    pub replaced_by: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Difference {
    pub path: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl StackChange {
    fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.changed.is_empty()
            && self.parameters.is_empty()
            && self.outputs.is_empty()
    }
    pub fn replaces(&self) -> bool {
        self.changed.iter().any(|changed| !changed.replaced_by.is_empty())
    }
}

/// A file that cannot be read as a template.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{path}: {says}")]
pub struct Unreadable {
    pub path: String,
    pub says: String,
}

/// By stack, what the files that are written (`before`, text by path) and those that are rendered differ in.
///
/// # Errors
/// When a written file is no YAML, or a file of parameters no JSON.
pub fn changes(before: &BTreeMap<String, String>, after: &[File]) -> Result<Vec<StackChange>, Unreadable> {
    let after: BTreeMap<String, String> = after.iter().map(|file| (file.path.clone(), file.text.clone())).collect();
    let stacks: BTreeSet<&str> = before.keys().chain(after.keys()).filter_map(|path| stack_of(path)).collect();
    let mut changes = Vec::new();
    for stack in stacks {
        let change = compare(stack, &templates(stack, before)?, &templates(stack, &after)?, before, &after)?;
        changes.extend((!change.is_empty()).then_some(change));
    }
    Ok(changes)
}

fn stack_of(path: &str) -> Option<&str> {
    let (stack, file) = path.strip_prefix("cloudformation/")?.split_once('/')?;
    (stack != "parameters" && file.ends_with(".yaml")).then_some(stack)
}

type Templates = BTreeMap<String, Node>;

fn templates(stack: &str, files: &BTreeMap<String, String>) -> Result<Templates, Unreadable> {
    let prefix = format!("cloudformation/{stack}/");
    let of =
        files.iter().filter_map(|(path, text)| Some((path, path.strip_prefix(&prefix)?.strip_suffix(".yaml")?, text)));
    let each = of.map(|(path, name, text)| {
        let node = yaml_read::read(text).map_err(|says| Unreadable { path: path.clone(), says })?;
        Ok((name.to_owned(), node))
    });
    each.collect()
}

fn resources(templates: &Templates) -> BTreeMap<(&str, &str), &Node> {
    let each = templates.iter().flat_map(|(template, node)| {
        let resources = node.get("Resources").map_or(&[] as &[_], Node::entries);
        resources.iter().map(move |(id, resource)| ((template.as_str(), id.as_str()), resource))
    });
    each.collect()
}

fn described((template, id): (&str, &str), node: &Node) -> Resource {
    let text = |key: &str| node.get(key).and_then(Node::text).unwrap_or_default().to_owned();
    let kept = matches!(text("DeletionPolicy").as_str(), "Retain" | "RetainExceptOnCreate" | "Snapshot");
    Resource { template: template.to_owned(), id: id.to_owned(), kind: text("Type"), kept }
}

fn compare(
    stack: &str,
    old: &Templates,
    new: &Templates,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Result<StackChange, Unreadable> {
    let (olds, news) = (resources(old), resources(new));
    let mut change = StackChange { stack: stack.to_owned(), ..StackChange::default() };
    change.added =
        news.iter().filter(|(at, _)| !olds.contains_key(*at)).map(|(at, node)| described(*at, node)).collect();
    change.removed =
        olds.iter().filter(|(at, _)| !news.contains_key(*at)).map(|(at, node)| described(*at, node)).collect();
    for (at, now) in &news {
        let Some(was) = olds.get(at).filter(|was| was != &now) else { continue };
        let properties = differences(was, now);
        let replaced_by = replacing(was, now);
        change.changed.push(Changed { resource: described(*at, now), properties, replaced_by });
    }
    change.parameters = sections(old, new, "Parameters");
    change.outputs = sections(old, new, "Outputs");
    let path = format!("cloudformation/parameters/{stack}.json");
    let values = value_changes(values(&path, before)?, &values(&path, after)?);
    by_values(&mut change, &values, &news);
    change.parameters.extend(values);
    by_reference(&mut change, &news);
    Ok(change)
}

/// What of two resources differs, property by property.
fn differences(was: &Node, now: &Node) -> Vec<Difference> {
    let mut found = Vec::new();
    let (properties, others): (Vec<&str>, Vec<&str>) = keys(was, now).into_iter().partition(|key| *key == "Properties");
    for key in others {
        push(&mut found, key, was.get(key), now.get(key));
    }
    if let [key] = properties.as_slice() {
        let empty = Node::Map(Vec::new());
        let (was, now) = (was.get(key).unwrap_or(&empty), now.get(key).unwrap_or(&empty));
        for key in keys(was, now) {
            push(&mut found, key, was.get(key), now.get(key));
        }
    }
    found
}

fn keys<'n>(was: &'n Node, now: &'n Node) -> Vec<&'n str> {
    let mut keys: Vec<&str> = was.entries().iter().map(|(key, _)| key.as_str()).collect();
    keys.extend(now.entries().iter().map(|(key, _)| key.as_str()).filter(|key| was.get(key).is_none()));
    keys
}

/// The innermost differences of two maps; lists and texts are shown whole.
fn push(found: &mut Vec<Difference>, path: &str, was: Option<&Node>, now: Option<&Node>) {
    match (was, now) {
        (Some(was), Some(now)) if was == now => {}
        (Some(was @ Node::Map(_)), Some(now @ Node::Map(_))) => {
            for key in keys(was, now) {
                push(found, &format!("{path}.{key}"), was.get(key), now.get(key));
            }
        }
        (None, None) => {}
        (was, now) => {
            let (before, after) = (was.map(ToString::to_string), now.map(ToString::to_string));
            found.push(Difference { path: path.to_owned(), before, after });
        }
    }
}

/// The changed properties that cannot be changed in place.
fn replacing(was: &Node, now: &Node) -> Vec<String> {
    let kind = |node: &Node| node.get("Type").and_then(Node::text).unwrap_or_default().to_owned();
    if kind(was) != kind(now) {
        return vec!["Type".to_owned()];
    }
    let empty = Node::Map(Vec::new());
    let (old, new) = (was.get("Properties").unwrap_or(&empty), now.get("Properties").unwrap_or(&empty));
    let changed = keys(old, new).into_iter().filter(|key| old.get(key) != new.get(key));
    changed.filter(|key| availability::replaces(&kind(now), key)).map(str::to_owned).collect()
}

fn sections(old: &Templates, new: &Templates, section: &str) -> Vec<Difference> {
    let mut found = Vec::new();
    let empty = Node::Map(Vec::new());
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let of = |templates: &Templates| templates.get(name).and_then(|node| node.get(section)).cloned();
        let (was, now) = (of(old).unwrap_or(empty.clone()), of(new).unwrap_or(empty.clone()));
        for key in keys(&was, &now) {
            push(&mut found, &format!("{name}.{key}"), was.get(key), now.get(key));
        }
    }
    found
}

fn values(path: &str, files: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Unreadable> {
    let Some(text) = files.get(path) else { return Ok(BTreeMap::new()) };
    let node = yaml_read::read(text).map_err(|says| Unreadable { path: path.to_owned(), says })?;
    let each = node.items().iter().filter_map(|item| {
        let text = |key: &str| item.get(key).and_then(Node::text).map(str::to_owned);
        Some((text("ParameterKey")?, text("ParameterValue")?))
    });
    Ok(each.collect())
}

fn value_changes(old: BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<Difference> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let each = names.into_iter().filter(|name| old.get(*name) != new.get(*name)).map(|name| Difference {
        path: name.clone(),
        before: old.get(name).cloned(),
        after: new.get(name).cloned(),
    });
    each.collect()
}

/// A resource is made anew too when a parameter that it cannot change in place has another value.
fn by_values(change: &mut StackChange, values: &[Difference], news: &BTreeMap<(&str, &str), &Node>) {
    let changed = values.iter().filter(|value| value.before.is_some() && value.after.is_some());
    for value in changed {
        for (at, node) in news {
            replaced_through(change, *at, node, &value.path);
        }
    }
}

/// Also when it is named by a resource that is made anew, in a property that it cannot change in place.
fn by_reference(change: &mut StackChange, news: &BTreeMap<(&str, &str), &Node>) {
    loop {
        let count =
            |change: &StackChange| change.changed.iter().map(|changed| changed.replaced_by.len()).sum::<usize>();
        let before = count(change);
        let replaced = change.changed.iter().filter(|changed| !changed.replaced_by.is_empty());
        let replaced: Vec<(String, String)> =
            replaced.map(|changed| (changed.resource.template.clone(), changed.resource.id.clone())).collect();
        for (template, id) in &replaced {
            for (at, node) in news.iter().filter(|(at, _)| at.0 == template && at.1 != id) {
                replaced_through(change, *at, node, id);
            }
        }
        if count(change) == before {
            return;
        }
    }
}

fn replaced_through(change: &mut StackChange, at: (&str, &str), node: &Node, name: &str) {
    let kind = node.get("Type").and_then(Node::text).unwrap_or_default();
    let properties = node.get("Properties").map_or(&[] as &[_], Node::entries);
    let fixed = properties.iter().filter(|(key, value)| availability::replaces(kind, key) && value.names(name));
    let fixed: Vec<String> = fixed.map(|(key, _)| key.clone()).collect();
    if fixed.is_empty() || change.added.iter().any(|added| (added.template.as_str(), added.id.as_str()) == at) {
        return;
    }
    let known = change
        .changed
        .iter_mut()
        .find(|changed| (changed.resource.template.as_str(), changed.resource.id.as_str()) == at);
    match known {
        Some(changed) => {
            let new: Vec<String> = fixed.into_iter().filter(|key| !changed.replaced_by.contains(key)).collect();
            changed.replaced_by.extend(new);
        }
        None => {
            change.changed.push(Changed { resource: described(at, node), properties: Vec::new(), replaced_by: fixed })
        }
    }
}
