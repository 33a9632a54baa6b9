//! Cuts a root into nested stacks: one for each group, and more where a template would be too large.
//!
//! CloudFormation takes 51,200 bytes of a template that is sent to it, and 500 resources, 200 parameters and 200 outputs
//! (AWS CloudFormation User Guide, "Understand CloudFormation quotas").
//!
//! Hash maps are only looked up in, here and in `link`, and never walked: their order is another one each time.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::link::{LinkError, Linked};
use crate::resource::{Resource, Target};
use crate::root::{Group, Root};
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
pub struct Chunk {
    /// `data`, or `data-2`.
    pub name: String,
    pub group: Group,
    pub resources: Vec<Resource>,
}

/// `filled` is how many bytes the resources of one template may take, `before` the template that a resource is in already.
pub fn cut(
    root: &Root,
    resources: Vec<Resource>,
    filled: usize,
    before: &BTreeMap<&str, &str>,
) -> Result<Vec<Chunk>, LinkError> {
    twice(root, &resources)?;
    if one_file(root, &resources, before) {
        return Ok(vec![Chunk { name: "master".to_owned(), group: Group::Network, resources }]);
    }
    let mut groups: BTreeMap<Group, Vec<Resource>> = BTreeMap::new();
    for resource in resources {
        groups.entry(resource.group).or_default().push(resource);
    }
    let chunks = groups.into_iter().map(|(group, resources)| in_pieces(root, group, resources, filled, before));
    Ok(chunks.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// What stands for all regions is small, and is one file: unless it was several, or is too large from the beginning. A region
/// always has nested stacks, because what moves into one later would be made anew.
fn one_file(root: &Root, resources: &[Resource], before: &BTreeMap<&str, &str>) -> bool {
    let bytes = || resources.iter().map(yaml::length).sum::<usize>();
    match before.values().next() {
        _ if matches!(root, Root::Region(_)) => false,
        Some(template) => *template == "master",
        None => resources.len() < MOST_RESOURCES && bytes() < MOST_BYTES / 2,
    }
}

fn twice(root: &Root, resources: &[Resource]) -> Result<(), LinkError> {
    let mut seen = FxHashSet::default();
    match resources.iter().find(|resource| !seen.insert(&resource.id)) {
        Some(resource) => Err(LinkError::Twice { root: root.clone(), id: resource.id.to_string() }),
        None => Ok(()),
    }
}

/// What a cut has to know of a resource.
struct Part<'s> {
    resource: &'s Resource,
    /// About: it is not known yet where it goes.
    bytes: usize,
    /// Each once.
    asks: FxHashSet<Asked<'s>>,
    /// The resources of the same root that it names.
    names: Vec<&'s str>,
}

/// What a resource may have to be handed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Asked<'s> {
    Setting(&'s Root, &'s str),
    /// And which attribute of it.
    Resource(&'s Target, Option<&'s str>),
}

impl<'s> Part<'s> {
    fn new(root: &Root, resource: &'s Resource) -> Part<'s> {
        let mut part = Part { resource, bytes: yaml::length(resource), asks: FxHashSet::default(), names: Vec::new() };
        resource.visit(&mut |value| {
            let (target, asked) = match value {
                Value::Parameter(root, name) => (None, Asked::Setting(root, name)),
                Value::Ref(target) => (Some(target), Asked::Resource(target, None)),
                Value::Attribute(target, which) => (Some(target), Asked::Resource(target, Some(which))),
                _ => return,
            };
            part.asks.insert(asked);
            part.names.extend(target.filter(|target| target.root == *root).map(|target| &*target.id));
        });
        let after = resource.depends_on.iter().filter(|target| target.root == *root);
        part.names.extend(after.map(|target| &*target.id));
        part
    }
    fn id(&self) -> &'s str {
        &self.resource.id
    }
}

/// The pieces of a group: what was in one stays in it, what is new goes to the end, or to where it is needed.
fn in_pieces(
    root: &Root,
    group: Group,
    resources: Vec<Resource>,
    most: usize,
    before: &BTreeMap<&str, &str>,
) -> Result<Vec<Chunk>, LinkError> {
    let pieces = pieces(root, group, &resources, most, before)?;
    let name =
        |piece: usize| if piece == 0 { group.name().to_owned() } else { format!("{}-{}", group.name(), piece + 1) };
    let empty = |piece: usize| Chunk { name: name(piece), group, resources: Vec::new() };
    let mut chunks: Vec<Chunk> = (0..=pieces.iter().copied().max().unwrap_or_default()).map(empty).collect();
    for (resource, piece) in resources.into_iter().zip(pieces) {
        chunks[piece].resources.push(resource);
    }
    chunks.retain(|chunk| !chunk.resources.is_empty());
    Ok(chunks)
}

/// The number of the piece of each resource.
fn pieces(
    root: &Root,
    group: Group,
    resources: &[Resource],
    most: usize,
    before: &BTreeMap<&str, &str>,
) -> Result<Vec<usize>, LinkError> {
    let parts: Vec<Part<'_>> = resources.iter().map(|resource| Part::new(root, resource)).collect();
    let ordered = needed_first(root, &parts)?;
    let mut pieces = Pieces { root, most, sizes: Vec::new(), asked: Vec::new(), of: FxHashMap::default() };
    for part in &ordered {
        if let Some(piece) = before.get(part.id()).and_then(|name| number(group, name)) {
            pieces.put(part, piece);
        }
    }
    let latest = latest(&ordered, &pieces.of);
    for part in ordered {
        if pieces.of.contains_key(part.id()) {
            continue;
        }
        let needs = part.names.iter().filter_map(|id| pieces.of.get(id)).max().copied();
        let piece = latest.get(part.id()).copied().unwrap_or_else(|| pieces.with_room(part, needs));
        pieces.put(part, piece);
    }
    Ok(parts.iter().map(|part| pieces.of[part.id()]).collect())
}

/// `data` is the first piece, `data-2` the second.
fn number(group: Group, name: &str) -> Option<usize> {
    match name.strip_prefix(group.name())? {
        "" => Some(0),
        rest => rest.strip_prefix('-')?.parse::<usize>().ok()?.checked_sub(1),
    }
}

/// How far behind a new resource may stand: not after one that names it and has its place already.
fn latest<'s>(ordered: &[&Part<'s>], of: &FxHashMap<&'s str, usize>) -> FxHashMap<&'s str, usize> {
    let mut latest: FxHashMap<&str, usize> = FxHashMap::default();
    for part in ordered.iter().rev() {
        let own = of.get(part.id()).or_else(|| latest.get(part.id())).copied();
        let Some(own) = own else { continue };
        for id in part.names.iter().filter(|id| !of.contains_key(*id)) {
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
    asked: Vec<FxHashSet<Asked<'s>>>,
    of: FxHashMap<&'s str, usize>,
}

impl<'s> Pieces<'s, '_> {
    fn put(&mut self, part: &Part<'s>, piece: usize) {
        if self.sizes.len() <= piece {
            self.sizes.resize(piece + 1, (0, 0));
            self.asked.resize(piece + 1, FxHashSet::default());
        }
        self.sizes[piece].0 += 1;
        self.sizes[piece].1 += part.bytes;
        let asked: Vec<Asked<'s>> = self.asked_by(part, piece).collect();
        self.asked[piece].extend(asked);
        self.of.insert(part.id(), piece);
    }

    /// The last piece that has begun, not before what is needed, or the one after it.
    fn with_room(&self, part: &Part<'s>, needs: Option<usize>) -> usize {
        let last = self.sizes.len().saturating_sub(1).max(needs.unwrap_or(0));
        match (self.sizes.get(last), self.asked.get(last)) {
            (Some((count, bytes)), Some(asked)) => {
                let more = self.asked_by(part, last).filter(|one| !asked.contains(one)).count();
                let full =
                    count + 1 >= MOST_RESOURCES || bytes + part.bytes > self.most || asked.len() + more > MOST_ASKED;
                last + usize::from(full)
            }
            _ => last,
        }
    }

    /// What a resource asks for that is not in its piece; what it names stands before it.
    fn asked_by<'p>(&'p self, part: &'p Part<'s>, piece: usize) -> impl Iterator<Item = Asked<'s>> + 'p {
        let here = move |asked: &Asked<'_>| match asked {
            Asked::Setting(..) => false,
            Asked::Resource(target, _) => target.root == *self.root && self.of.get(&*target.id) == Some(&piece),
        };
        part.asks.iter().copied().filter(move |asked| !here(asked))
    }
}

/// Each after those of the same group that it names, otherwise as they were written: so that a cut anywhere leaves each
/// piece knowing only those before it.
fn needed_first<'p, 's>(root: &Root, parts: &'p [Part<'s>]) -> Result<Vec<&'p Part<'s>>, LinkError> {
    let by_id = parts.iter().map(|part| (part.id(), part)).collect();
    let mut ordered = Order { root, by_id, done: FxHashMap::default(), out: Vec::new() };
    parts.iter().try_for_each(|part| ordered.put(part))?;
    Ok(ordered.out)
}

struct Order<'p, 's, 'r> {
    root: &'r Root,
    by_id: FxHashMap<&'s str, &'p Part<'s>>,
    /// Whether one is in `out`, or still waits for what it names.
    done: FxHashMap<&'s str, bool>,
    out: Vec<&'p Part<'s>>,
}

impl<'p, 's> Order<'p, 's, '_> {
    fn put(&mut self, part: &'p Part<'s>) -> Result<(), LinkError> {
        match self.done.get(part.id()) {
            Some(true) => return Ok(()),
            Some(false) => return Err(LinkError::Loop { root: self.root.clone(), id: part.id().to_owned() }),
            None => self.done.insert(part.id(), false),
        };
        for id in &part.names {
            if let Some(needed) = self.by_id.get(id).copied().filter(|needed| needed.id() != part.id()) {
                self.put(needed)?;
            }
        }
        self.done.insert(part.id(), true);
        self.out.push(part);
        Ok(())
    }
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
