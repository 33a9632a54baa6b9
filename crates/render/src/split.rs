//! Cuts a root into nested stacks: one for each group, and more where a template would be too large.
//!
//! CloudFormation takes 51,200 bytes of a template that is sent to it, and 500 resources, 200 parameters and 200 outputs
//! (AWS CloudFormation User Guide, "Understand CloudFormation quotas").

use std::collections::{BTreeMap, BTreeSet};

use crate::link::{LinkError, Linked};
use crate::resource::Resource;
use crate::root::{Group, Root};
use crate::sheet::Stack;
use crate::value::Value;
use crate::yaml;

pub const MOST_BYTES: usize = 51_200;
pub const MOST_RESOURCES: usize = 500;
/// Parameters, and outputs.
const MOST_HANDED: usize = 200;
/// Of a master, which is too large to be sent and is always read from a bucket.
const MOST_BYTES_READ: usize = 1_000_000;

/// One nested stack to be.
pub struct Chunk<'s> {
    /// `data`, or `data-2`.
    pub name: String,
    pub group: Group,
    pub resources: Vec<&'s Resource>,
}

/// `filled` is how many bytes the resources of one template may take.
pub fn cut<'s>(root: &Root, stack: &'s Stack, filled: usize) -> Result<Vec<Chunk<'s>>, LinkError> {
    twice(root, stack)?;
    let mut chunks = Vec::new();
    for group in Group::ALL {
        let resources: Vec<&Resource> = stack.resources.iter().filter(|resource| resource.group == group).collect();
        chunks.extend(in_pieces(root, group, resources, filled)?);
    }
    // What stands for all regions is small: one file, unless it is not.
    let small = chunks.iter().all(|chunk| !chunk.name.contains('-'));
    let (count, bytes) =
        chunks.iter().flat_map(|chunk| &chunk.resources).fold((0, 0), |(n, bytes), r| (n + 1, bytes + yaml::length(r)));
    if !matches!(root, Root::Region(_)) && small && count < MOST_RESOURCES && bytes < filled {
        let (name, group) = ("master".to_owned(), Group::Network);
        let resources = chunks.into_iter().flat_map(|chunk| chunk.resources).collect();
        return Ok(vec![Chunk { name, group, resources }]);
    }
    Ok(chunks)
}

fn twice(root: &Root, stack: &Stack) -> Result<(), LinkError> {
    let mut seen = BTreeSet::new();
    match stack.resources.iter().find(|resource| !seen.insert(&resource.id)) {
        Some(resource) => Err(LinkError::Twice { root: root.clone(), id: resource.id.clone() }),
        None => Ok(()),
    }
}

fn in_pieces<'s>(
    root: &Root,
    group: Group,
    resources: Vec<&'s Resource>,
    most: usize,
) -> Result<Vec<Chunk<'s>>, LinkError> {
    let lengths: Vec<usize> = resources.iter().map(|resource| yaml::length(resource)).collect();
    if resources.is_empty() {
        return Ok(Vec::new());
    }
    if resources.len() < MOST_RESOURCES && lengths.iter().sum::<usize>() < most {
        return Ok(vec![Chunk { name: group.name().to_owned(), group, resources }]);
    }
    let mut chunks: Vec<Chunk<'s>> = Vec::new();
    let mut filled = most;
    for resource in needed_first(root, &resources)? {
        let length = yaml::length(resource);
        let full =
            filled + length > most || chunks.last().is_some_and(|chunk| chunk.resources.len() + 1 >= MOST_RESOURCES);
        if full {
            let name = format!("{}-{}", group.name(), chunks.len() + 1);
            chunks.push(Chunk { name, group, resources: Vec::new() });
            filled = 0;
        }
        filled += length;
        if let Some(chunk) = chunks.last_mut() {
            chunk.resources.push(resource);
        }
    }
    Ok(chunks)
}

/// Each after those of the same group that it names, otherwise as they were written: so that a cut anywhere leaves each
/// piece knowing only those before it.
fn needed_first<'s>(root: &Root, resources: &[&'s Resource]) -> Result<Vec<&'s Resource>, LinkError> {
    let by_id: BTreeMap<&str, &'s Resource> =
        resources.iter().map(|resource| (resource.id.as_str(), *resource)).collect();
    let mut ordered = Order { root, by_id, done: BTreeMap::new(), out: Vec::new() };
    resources.iter().try_for_each(|resource| ordered.put(resource))?;
    Ok(ordered.out)
}

struct Order<'s, 'r> {
    root: &'r Root,
    by_id: BTreeMap<&'s str, &'s Resource>,
    /// Whether one is in `out`, or still waits for what it names.
    done: BTreeMap<&'s str, bool>,
    out: Vec<&'s Resource>,
}

impl<'s> Order<'s, '_> {
    fn put(&mut self, resource: &'s Resource) -> Result<(), LinkError> {
        match self.done.insert(&resource.id, false) {
            Some(true) => {
                self.done.insert(&resource.id, true);
                return Ok(());
            }
            Some(false) => return Err(LinkError::Loop { root: self.root.clone(), id: resource.id.clone() }),
            None => {}
        }
        for id in named(resource, self.root) {
            if let Some(needed) = self.by_id.get(id).copied().filter(|needed| needed.id != resource.id) {
                self.put(needed)?;
            }
        }
        self.done.insert(&resource.id, true);
        self.out.push(resource);
        Ok(())
    }
}

/// The resources of the same root that it names.
fn named<'r>(resource: &'r Resource, root: &Root) -> Vec<&'r str> {
    let mut ids: Vec<&str> = Vec::new();
    resource.visit(&mut |value| {
        if let Value::Ref(target) | Value::Attribute(target, _) = value
            && target.root == *root
        {
            ids.push(&target.id);
        }
    });
    ids.extend(resource.depends_on.iter().filter(|target| target.root == *root).map(|target| target.id.as_str()));
    ids
}

/// Whether CloudFormation takes the templates of a root.
pub fn fits(linked: &Linked) -> Result<(), LinkError> {
    for template in &linked.templates {
        let bytes = yaml::template(template, "antipode.yaml").len();
        let most_bytes = if template.name == "master" { MOST_BYTES_READ } else { MOST_BYTES };
        let counted = [
            ("resources", template.resources.len(), MOST_RESOURCES),
            ("parameters", template.parameters.len(), MOST_HANDED),
            ("outputs", template.outputs.len(), MOST_HANDED),
            ("bytes", bytes, most_bytes),
        ];
        if let Some((what, count, most)) = counted.into_iter().find(|(_, count, most)| count > most) {
            let (root, template) = (linked.root.clone(), template.name.clone());
            return Err(LinkError::TooLarge { root, template, what, count, most });
        }
    }
    Ok(())
}
