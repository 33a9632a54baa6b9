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
use crate::{File, yaml};

pub const MOST_BYTES: usize = 51_200;
pub const MOST_RESOURCES: usize = 500;
pub const PARAMETERS: &str = "parameters";
/// Parameters, and outputs.
const MOST_HANDED: usize = 200;
/// Of what stands elsewhere, in one template; what it asks besides, such as settings in conditions, has room too.
const MOST_ASKED: usize = MOST_HANDED - 25;
/// Of a master, which is too large to be sent and is always read from a bucket.
const MOST_BYTES_READ: usize = 1_000_000;

/// One nested stack to be.
pub struct Chunk<'s> {
    /// `data`, or `data-2`.
    pub name: String,
    pub group: Group,
    pub resources: Vec<&'s Resource>,
}

/// `filled` is how many bytes the resources of one template may take, `before` the template that a resource is in already.
pub fn cut<'s>(
    root: &Root,
    stack: &'s Stack,
    filled: usize,
    before: &BTreeMap<&str, &str>,
) -> Result<Vec<Chunk<'s>>, LinkError> {
    twice(root, stack)?;
    if one_file(root, stack, before) {
        let (name, group) = ("master".to_owned(), Group::Network);
        return Ok(vec![Chunk { name, group, resources: stack.resources.iter().collect() }]);
    }
    let mut chunks = Vec::new();
    for group in Group::ALL {
        let resources: Vec<&Resource> = stack.resources.iter().filter(|resource| resource.group == group).collect();
        chunks.extend(in_pieces(root, group, &resources, filled, before)?);
    }
    Ok(chunks)
}

/// What stands for all regions is small, and is one file: unless it was several, or is too large from the beginning. A region
/// always has nested stacks, because what moves into one later would be made anew.
fn one_file(root: &Root, stack: &Stack, before: &BTreeMap<&str, &str>) -> bool {
    let bytes = || stack.resources.iter().map(yaml::length).sum::<usize>();
    match before.values().next() {
        _ if matches!(root, Root::Region(_)) => false,
        Some(template) => *template == "master",
        None => stack.resources.len() < MOST_RESOURCES && bytes() < MOST_BYTES / 2,
    }
}

fn twice(root: &Root, stack: &Stack) -> Result<(), LinkError> {
    let mut seen = BTreeSet::new();
    match stack.resources.iter().find(|resource| !seen.insert(&resource.id)) {
        Some(resource) => Err(LinkError::Twice { root: root.clone(), id: resource.id.clone() }),
        None => Ok(()),
    }
}

/// The pieces of a group: what was in one stays in it, what is new goes to the end, or to where it is needed.
fn in_pieces<'s>(
    root: &Root,
    group: Group,
    resources: &[&'s Resource],
    most: usize,
    before: &BTreeMap<&str, &str>,
) -> Result<Vec<Chunk<'s>>, LinkError> {
    let ordered = needed_first(root, resources)?;
    let mut pieces = Pieces { root, most, sizes: Vec::new(), asked: Vec::new(), of: BTreeMap::new() };
    for resource in &ordered {
        if let Some(piece) = before.get(resource.id.as_str()).and_then(|name| number(group, name)) {
            pieces.put(resource, yaml::length(resource), piece);
        }
    }
    let latest = latest(root, &ordered, &pieces.of);
    for resource in ordered {
        if pieces.of.contains_key(resource.id.as_str()) {
            continue;
        }
        let bytes = yaml::length(resource);
        let needs = named(resource, root).into_iter().filter_map(|id| pieces.of.get(id)).max().copied();
        let last = || pieces.with_room(resource, bytes, needs);
        let piece = latest.get(resource.id.as_str()).copied().unwrap_or_else(last);
        pieces.put(resource, bytes, piece);
    }
    let name =
        |piece: usize| if piece == 0 { group.name().to_owned() } else { format!("{}-{}", group.name(), piece + 1) };
    let empty = |piece: usize| Chunk { name: name(piece), group, resources: Vec::new() };
    let mut chunks: Vec<Chunk<'s>> = (0..pieces.sizes.len()).map(empty).collect();
    for resource in resources {
        chunks[pieces.of[resource.id.as_str()]].resources.push(resource);
    }
    chunks.retain(|chunk| !chunk.resources.is_empty());
    Ok(chunks)
}

/// `data` is the first piece, `data-2` the second.
fn number(group: Group, name: &str) -> Option<usize> {
    match name.strip_prefix(group.name())? {
        "" => Some(0),
        rest => rest.strip_prefix('-')?.parse::<usize>().ok()?.checked_sub(1),
    }
}

/// How far behind a new resource may stand: not after one that names it and has its place already.
fn latest<'s>(root: &Root, ordered: &[&'s Resource], of: &BTreeMap<&'s str, usize>) -> BTreeMap<&'s str, usize> {
    let mut latest: BTreeMap<&str, usize> = BTreeMap::new();
    for resource in ordered.iter().rev() {
        let own = of.get(resource.id.as_str()).or_else(|| latest.get(resource.id.as_str())).copied();
        let Some(own) = own else { continue };
        for id in named(resource, root).into_iter().filter(|id| !of.contains_key(id)) {
            latest.entry(id).and_modify(|known| *known = own.min(*known)).or_insert(own);
        }
    }
    latest
}

/// The pieces of a group while they are filled.
struct Pieces<'s, 'r> {
    root: &'r Root,
    most: usize,
    /// Resources and bytes of each.
    sizes: Vec<(usize, usize)>,
    /// What each asks for that is not in it: its parameters.
    asked: Vec<BTreeSet<Asked<'s>>>,
    of: BTreeMap<&'s str, usize>,
}

/// A setting or a resource of a root, and which attribute of it.
type Asked<'s> = (&'s Root, &'s str, Option<&'s str>);

impl<'s> Pieces<'s, '_> {
    fn put(&mut self, resource: &'s Resource, bytes: usize, piece: usize) {
        if self.sizes.len() <= piece {
            self.sizes.resize(piece + 1, (0, 0));
            self.asked.resize(piece + 1, BTreeSet::new());
        }
        self.sizes[piece].0 += 1;
        self.sizes[piece].1 += bytes;
        let asked = self.asked_by(resource, piece);
        self.asked[piece].extend(asked);
        self.of.insert(&resource.id, piece);
    }

    /// The last piece that has begun, not before what is needed, or the one after it.
    fn with_room(&self, resource: &'s Resource, more_bytes: usize, needs: Option<usize>) -> usize {
        let last = self.sizes.len().saturating_sub(1).max(needs.unwrap_or(0));
        match (self.sizes.get(last), self.asked.get(last)) {
            (Some((count, bytes)), Some(asked)) => {
                let more = self.asked_by(resource, last).filter(|one| !asked.contains(one)).count();
                let full =
                    count + 1 >= MOST_RESOURCES || bytes + more_bytes > self.most || asked.len() + more > MOST_ASKED;
                last + usize::from(full)
            }
            _ => last,
        }
    }

    /// What a resource asks for that is not in its piece; what it names stands before it.
    fn asked_by(&self, resource: &'s Resource, piece: usize) -> impl Iterator<Item = Asked<'s>> + use<'s> {
        let mut asked: BTreeSet<Asked<'s>> = BTreeSet::new();
        let here = |root: &Root, id: &str| root == self.root && self.of.get(id) == Some(&piece);
        resource.visit(&mut |value| match value {
            Value::Parameter(root, name) => drop(asked.insert((root, name, None))),
            Value::Ref(to) if !here(&to.root, &to.id) => drop(asked.insert((&to.root, &to.id, None))),
            Value::Attribute(to, which) if !here(&to.root, &to.id) => {
                asked.insert((&to.root, &to.id, Some(which)));
            }
            _ => {}
        });
        asked.into_iter()
    }
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

/// The templates of a root as files, when CloudFormation takes them.
pub fn files(linked: &Linked, spec: &str) -> Result<Vec<File>, LinkError> {
    let each = linked.templates.iter().map(|template| {
        let text = yaml::template(template, spec);
        let most_bytes = if template.name == "master" { MOST_BYTES_READ } else { MOST_BYTES };
        let counted = [
            ("resources", template.resources.len(), MOST_RESOURCES),
            (PARAMETERS, template.parameters.len(), MOST_HANDED),
            ("outputs", template.outputs.len(), MOST_HANDED),
            ("bytes", text.len(), most_bytes),
        ];
        match counted.into_iter().find(|(_, count, most)| count > most) {
            Some((what, count, most)) => {
                let (root, template) = (linked.root.clone(), template.name.clone());
                Err(LinkError::TooLarge { root, template, what, count, most })
            }
            None => Ok(File::new(format!("cloudformation/{}/{}.yaml", linked.root, template.name), text)),
        }
    });
    each.collect()
}
