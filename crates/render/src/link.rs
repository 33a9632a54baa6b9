//! Makes templates of the graph: cuts each root into nested stacks, and turns what a resource says of one elsewhere into
//! outputs and parameters.
//!
//! Within one template a name is a name. Between nested stacks of one root it is an output of one and a parameter of the
//! other, which the master joins. Between roots it is an output that the deployment reads and hands on. Services know
//! nothing of it: they name a resource, wherever it is.

mod finish;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use finish::Finish;
use rustc_hash::FxHashMap;

use crate::File;
use crate::beside;
use crate::names;
use crate::placement::Placement;
use crate::resource::{Condition, Given, Parameter, Resource, Target, Test};
use crate::root::{Group, Root};
use crate::sheet::{Sheet, Stack};
use crate::split::{self, Chunk};
use crate::value::{Map, Value};

/// One file of CloudFormation; all that it names is in it.
#[derive(Clone, PartialEq, Debug)]
pub struct Template {
    /// Within the root's folder, without `.yaml`: `master`, `network`, `data-2`.
    pub name: String,
    pub description: String,
    pub parameters: Vec<Parameter>,
    pub conditions: Vec<(String, Test)>,
    pub resources: Vec<Resource>,
    pub outputs: Vec<Output>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Output {
    pub name: String,
    pub about: String,
    pub value: Value,
}

/// A root stack, ready to be written.
#[derive(Clone, PartialEq, Debug)]
pub struct Linked {
    pub root: Root,
    /// The region of AWS that it is deployed in.
    pub region: String,
    /// The master last.
    pub templates: Vec<Template>,
    /// Those whose outputs it needs.
    pub after: BTreeSet<Root>,
}

impl Linked {
    pub fn master(&self) -> &Template {
        self.templates.last().expect("a root has a master")
    }
}

/// Why the services' work cannot be linked: a mistake of ours, not of a spec.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LinkError {
    #[error("{from} of {root} names {to}, which nobody made")]
    Unknown { root: Root, from: String, to: String },
    #[error("{from} of {root} names {to}, whose nested stack comes after its own")]
    Backward { root: Root, from: String, to: String },
    #[error("the stacks of {0} need one another in a circle")]
    Circle(Root),
    #[error("{id} stands twice in {root}")]
    Twice { root: Root, id: String },
    #[error("{template} of {root} has {count} {what}, and CloudFormation takes {most}")]
    TooLarge { root: Root, template: String, what: &'static str, count: usize, most: usize },
    #[error("{id} of {root} refers to itself through others")]
    Loop { root: Root, id: String },
}

impl LinkError {
    /// Whether smaller pieces may help: what a root is given is not divided by them.
    pub(crate) fn of_a_piece(&self) -> bool {
        matches!(self, Self::TooLarge { .. }) && self.given_too_much().is_none()
    }
    /// The root that is given more than a stack takes, how much that is, and how much it takes.
    pub(crate) fn given_too_much(&self) -> Option<(&Root, usize, usize)> {
        match self {
            Self::TooLarge { root, template, what: split::PARAMETERS, count, most } if template == "master" => {
                Some((root, *count, *most))
            }
            _ => None,
        }
    }
}

/// How many bytes of a template its resources may fill, at first and when that was too much: the rest is for what it is
/// handed and hands on, which is only known once the root is cut.
pub const FILLED: [usize; 4] = [30_000, 15_000, 8_000, 4_000];

/// So many settings of the spec are parameters that people can read and change; more stand where they are used.
const MOST_SETTINGS: usize = 80;

/// Makes the templates of all roots, in the order in which they are deployed, and their files: of what is on the sheet,
/// whose resources go over to them. `filled` is how much of a template its resources may fill.
///
/// # Errors
/// When the services' work does not fit together, or a template would not be taken by CloudFormation.
pub fn link(sheet: &mut Sheet<'_>, filled: usize, before: &Placement) -> Result<(Vec<Linked>, Vec<File>), LinkError> {
    let resources = |(root, stack): (&Root, &mut Stack)| (root.clone(), std::mem::take(&mut stack.resources));
    let resources: Vec<(Root, Vec<Resource>)> = sheet.stacks.iter_mut().map(resources).collect();
    let sheet = &*sheet;
    let pieces = beside::each(resources, |(root, resources)| {
        let chunks = split::cut(&root, resources, filled, &before.within(&root))?;
        Ok((root, chunks))
    });
    let cut: Vec<(Root, Vec<Chunk>)> = pieces.into_iter().collect::<Result<_, LinkError>>()?;
    let places = cut.iter().map(|(root, chunks)| (root.clone(), places(chunks))).collect();
    let conditions = cut.iter().map(|(root, chunks)| (root.clone(), conditions(chunks))).collect();
    let settings = sheet.stacks.iter().map(|(root, stack)| (root, settings(stack))).collect();
    let linker = Linker { places, conditions, settings, sheet };
    let mut exports = linker.said_outputs()?;
    let resolved = beside::each(cut, |(root, chunks)| linker.bodies(root, chunks));
    let mut bodies = Vec::new();
    for each in resolved {
        let (root, resolved, asked) = each?;
        bodies.push((root, resolved));
        exports.add(asked);
    }
    let finish = Finish { sheet, exports: &exports };
    let finished = beside::each(bodies, |(root, chunks)| {
        let linked = finish.root(&root, chunks);
        let files = split::files(&linked, &sheet.spec)?;
        Ok((linked, files))
    });
    let finished: (Vec<Linked>, Vec<Vec<File>>) = finished.into_iter().collect::<Result<_, LinkError>>()?;
    let (mut finished, files) = (finished.0, finished.1.into_iter().flatten().collect());
    // Regions in the order of the file: what stands in the first for all of them is there before they ask for it.
    let place = |root: &Root| sheet.design.sites.iter().position(|site| Root::Region(site.id.clone()) == *root);
    finished.sort_by(|one, other| match (place(&one.root), place(&other.root)) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => one.root.cmp(&other.root),
    });
    Ok((in_order(finished)?, files))
}

/// The number of the chunk of each resource.
fn places(chunks: &[Chunk]) -> FxHashMap<Arc<str>, usize> {
    let each = chunks.iter().enumerate();
    each.flat_map(|(n, chunk)| chunk.resources.iter().map(move |resource| (resource.id.clone(), n))).collect()
}

fn conditions(chunks: &[Chunk]) -> FxHashMap<Arc<str>, Condition> {
    let each = chunks.iter().flat_map(|chunk| &chunk.resources);
    each.filter_map(|resource| Some((resource.id.clone(), resource.condition.clone()?))).collect()
}

/// The settings of a stack that has too many for parameters, each as what stands where it is used.
fn settings(stack: &Stack) -> FxHashMap<&str, Value> {
    let spec = |parameter: &&Parameter| matches!(parameter.value, Given::Spec(_));
    if stack.parameters.iter().filter(spec).count() <= MOST_SETTINGS {
        return FxHashMap::default();
    }
    let literal = |parameter: &'_ Parameter| match &parameter.value {
        Given::Spec(value) if parameter.kind.starts_with("AWS::SSM::") => {
            Some(format!("{{{{resolve:ssm:{value}}}}}").into())
        }
        Given::Spec(value) => Some(value.into()),
        _ => None,
    };
    stack.parameters.iter().filter_map(|parameter| Some((parameter.name.as_str(), literal(parameter)?))).collect()
}

/// Each root after those whose outputs it needs.
fn in_order(mut roots: Vec<Linked>) -> Result<Vec<Linked>, LinkError> {
    let mut ordered: Vec<Linked> = Vec::new();
    while !roots.is_empty() {
        let stands = |root: &Root| ordered.iter().any(|linked| linked.root == *root);
        match roots.iter().position(|linked| linked.after.iter().all(&stands)) {
            Some(next) => ordered.push(roots.remove(next)),
            None => return Err(LinkError::Circle(roots[0].root.clone())),
        }
    }
    Ok(ordered)
}

/// The name of what one stack hands to another.
fn handed(target: &Target, attribute: Option<&str>) -> String {
    let attribute: String = attribute.unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{}{attribute}", target.id)
}

/// A chunk whose values are all its own.
struct Body {
    name: String,
    group: Group,
    resources: Vec<Resource>,
    conditions: BTreeMap<String, Test>,
    /// What it is given, by the name of its parameter.
    given: BTreeMap<String, Source>,
    /// Stacks of the same root that it comes after without being given anything.
    after: BTreeSet<usize>,
}

#[derive(Clone, PartialEq, Debug)]
enum Source {
    /// A parameter of its root.
    Root,
    /// An output of the chunk of that number.
    Chunk(usize),
    /// An output of another root.
    Other(Root),
}

struct Linker<'s, 'd> {
    /// What the resources that are not always made depend on.
    conditions: BTreeMap<Root, FxHashMap<Arc<str>, Condition>>,
    /// What is no parameter of its root after all.
    settings: BTreeMap<&'s Root, FxHashMap<&'s str, Value>>,
    places: BTreeMap<Root, FxHashMap<Arc<str>, usize>>,
    sheet: &'s Sheet<'d>,
}

/// What others need of each chunk of each root: the output's name and the value.
#[derive(Default)]
struct Exports(BTreeMap<(Root, usize), BTreeMap<String, Export>>);

/// A value that other stacks need.
#[derive(Clone)]
struct Export {
    value: Value,
    about: String,
    /// Whether it leaves its root.
    outside: bool,
}

/// What is resolved, and for whom.
struct Within<'w> {
    root: &'w Root,
    chunk: usize,
    given: BTreeMap<String, Source>,
    conditions: BTreeMap<String, Test>,
    from: Arc<str>,
    exports: &'w mut Exports,
}

impl Exports {
    /// Whether it is handed on already; from now on outside its root too, when it is asked for there.
    fn known(&mut self, root: &Root, chunk: usize, name: &str, outside: bool) -> bool {
        let known = self.0.get_mut(&(root.clone(), chunk)).and_then(|known| known.get_mut(name));
        let Some(export) = known else { return false };
        export.outside |= outside;
        true
    }

    fn export(&mut self, root: &Root, chunk: usize, name: &str, export: Export) {
        if !self.known(root, chunk, name, export.outside) {
            self.0.entry((root.clone(), chunk)).or_default().insert(name.to_owned(), export);
        }
    }

    /// What another root has asked for besides.
    fn add(&mut self, more: Exports) {
        for ((root, chunk), each) in more.0 {
            each.into_iter().for_each(|(name, export)| self.export(&root, chunk, &name, export));
        }
    }

    fn of(&self, root: &Root, chunk: usize) -> impl Iterator<Item = (&String, &Export)> {
        self.0.get(&(root.clone(), chunk)).into_iter().flatten()
    }
}

/// The chunks of a root, and what it asks of others.
type Resolved = (Root, Vec<Body>, Exports);

impl Linker<'_, '_> {
    fn bodies(&self, root: Root, chunks: Vec<Chunk>) -> Result<Resolved, LinkError> {
        let mut exports = Exports::default();
        let each = chunks.into_iter().enumerate();
        let bodies: Result<_, LinkError> = each.map(|(n, chunk)| self.body(&root, n, chunk, &mut exports)).collect();
        Ok((root, bodies?, exports))
    }

    fn body(&self, root: &Root, number: usize, chunk: Chunk, exports: &mut Exports) -> Result<Body, LinkError> {
        let Chunk { name, group, mut resources } = chunk;
        let (given, conditions) = (BTreeMap::new(), BTreeMap::new());
        let mut within = Within { root, chunk: number, given, conditions, from: Arc::default(), exports };
        let mut after = BTreeSet::new();
        for resource in &mut resources {
            within.from = resource.id.clone();
            self.map(&mut resource.properties, &mut within)?;
            self.map(&mut resource.policies, &mut within)?;
            if let Some(condition) = &mut resource.condition {
                self.condition(condition, &mut within)?;
            }
            let mut depends_on = Vec::new();
            for target in std::mem::take(&mut resource.depends_on) {
                match self.place(&target, &within)? {
                    Some(chunk) if chunk == number => depends_on.push(target),
                    Some(chunk) => _ = after.insert(chunk),
                    None => {}
                }
            }
            resource.depends_on = depends_on;
        }
        let Within { given, conditions, .. } = within;
        Ok(Body { name, group, resources, conditions, given, after })
    }

    /// What people, or the deployment, are told of a root.
    fn said_outputs(&self) -> Result<Exports, LinkError> {
        let mut exports = Exports::default();
        for (root, stack) in &self.sheet.stacks {
            for (name, about, value) in &stack.outputs {
                let target = match value {
                    Value::Ref(target) | Value::Attribute(target, _) => target,
                    _ => continue,
                };
                let unknown =
                    || LinkError::Unknown { root: root.clone(), from: name.clone(), to: target.id.to_string() };
                let owner = *self.places[root].get(&*target.id).ok_or_else(unknown)?;
                let value = self.if_there(target, value);
                exports.export(root, owner, name, Export { value, about: about.clone(), outside: true });
            }
        }
        Ok(exports)
    }

    /// What is only made on a condition has nothing to hand on while that does not hold: an empty text. CloudFormation
    /// refuses an output that names what a condition leaves out.
    fn if_there(&self, target: &Target, value: &Value) -> Value {
        match self.conditions.get(&target.root).and_then(|of| of.get(&*target.id)) {
            Some(condition) => Value::either(condition.clone(), value.clone(), ""),
            None => value.clone(),
        }
    }

    /// The chunk of a resource of the same root; `None` when it is of another.
    fn place(&self, target: &Target, within: &Within<'_>) -> Result<Option<usize>, LinkError> {
        let unknown = || LinkError::Unknown {
            root: within.root.clone(),
            from: within.from.to_string(),
            to: format!("{} of {}", target.id, target.root),
        };
        let chunk = self.places.get(&target.root).and_then(|ids| ids.get(&*target.id)).ok_or_else(unknown)?;
        Ok((target.root == *within.root).then_some(*chunk))
    }

    fn map(&self, map: &mut Map, within: &mut Within<'_>) -> Result<(), LinkError> {
        map.0.iter_mut().try_for_each(|(_, value)| self.value(value, within))
    }

    /// Makes of a value what is reachable from where it stands; nearly all stay what they are.
    fn value(&self, value: &mut Value, within: &mut Within<'_>) -> Result<(), LinkError> {
        let instead = match value {
            Value::List(items) | Value::Concat(items) | Value::Join(_, items) => {
                return items.iter_mut().try_for_each(|item| self.value(item, within));
            }
            Value::Map(map) => return self.map(map, within),
            Value::Select(_, of) | Value::Cidr(of, ..) => return self.value(of, within),
            Value::If(condition, then, otherwise) => {
                self.condition(condition, within)?;
                self.value(then, within)?;
                return self.value(otherwise, within);
            }
            Value::Parameter(root, name) => self.setting(root, name, within),
            Value::Ref(target) => self.reach(target, None, within)?,
            Value::Attribute(target, attribute) => self.reach(target, Some(attribute), within)?,
            Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::Pseudo(_) | Value::Zones | Value::Output(..) => {
                None
            }
        };
        if let Some(instead) = instead {
            *value = instead;
        }
        Ok(())
    }

    /// What stands for a parameter, when it is not one of this template.
    fn setting(&self, root: &Root, name: &str, within: &mut Within<'_>) -> Option<Value> {
        if let Some(literal) = self.settings.get(root).and_then(|known| known.get(name)) {
            return Some(literal.clone());
        }
        if root == within.root {
            if !within.given.contains_key(name) {
                within.given.insert(name.to_owned(), Source::Root);
            }
            return None;
        }
        // A setting of another root: its stack says it as an output.
        let handed = names::logical([root.name(), name]);
        let about = format!("The setting {name} of this stack");
        let value = Value::Parameter(root.clone(), name.to_owned());
        within.exports.export(root, SETTINGS, name, Export { value, about, outside: true });
        within.given.insert(handed.clone(), Source::Other(root.clone()));
        Some(Value::Parameter(within.root.clone(), handed))
    }

    /// What stands for a resource, when it is not of this template.
    fn reach(
        &self,
        target: &Target,
        attribute: Option<&'static str>,
        within: &mut Within<'_>,
    ) -> Result<Option<Value>, LinkError> {
        let chunk = self.place(target, within)?;
        if chunk.is_some_and(|chunk| chunk > within.chunk) {
            return Err(LinkError::Backward {
                root: within.root.clone(),
                from: within.from.to_string(),
                to: target.id.to_string(),
            });
        }
        if chunk == Some(within.chunk) {
            return Ok(None);
        }
        let output = handed(target, attribute);
        let (owner, name, from) = match chunk {
            Some(chunk) => (chunk, output.clone(), Source::Chunk(chunk)),
            None => {
                let owner = self.places[&target.root][&*target.id];
                (owner, names::logical([target.root.name(), &output]), Source::Other(target.root.clone()))
            }
        };
        let outside = chunk.is_none();
        if !within.exports.known(&target.root, owner, &output, outside) {
            let about = format!("{} of {}", attribute.unwrap_or("The name"), target.id);
            let value = attribute.map_or_else(|| target.get(), |attribute| target.att(attribute));
            let value = self.if_there(target, &value);
            within.exports.export(&target.root, owner, &output, Export { value, about, outside });
        }
        within.given.insert(name.clone(), from);
        Ok(Some(Value::Parameter(within.root.clone(), name)))
    }

    fn condition(&self, condition: &mut Condition, within: &mut Within<'_>) -> Result<(), LinkError> {
        self.test(&mut condition.test, within)?;
        if !within.conditions.contains_key(&condition.name) {
            within.conditions.insert(condition.name.clone(), condition.test.clone());
        }
        Ok(())
    }

    fn test(&self, test: &mut Test, within: &mut Within<'_>) -> Result<(), LinkError> {
        match test {
            Test::Equal(left, right) => {
                self.value(left, within)?;
                self.value(right, within)
            }
            Test::Not(test) => self.test(test, within),
            Test::And(tests) | Test::Or(tests) => tests.iter_mut().try_for_each(|test| self.test(test, within)),
        }
    }
}

/// In place of the number of a chunk: what a root says of its own parameters.
const SETTINGS: usize = usize::MAX;
