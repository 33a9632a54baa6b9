//! What the services write on: the stacks that are being made, and what the spec says.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use model::design::{Manage, Site};
use model::{ComponentId, Design, Part, SiteId};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::index::Index;
use crate::names;
use crate::placement::Waves;
use crate::resource::{Asked, Condition, Given, Parameter, Resource, Target};
use crate::root::Root;
use crate::value::{Map, Value};
use crate::{File, Note, Placement, Problem, map};

/// One root stack while it is being written.
#[derive(Clone, Debug, Default)]
pub struct Stack {
    pub parameters: Vec<Parameter>,
    pub resources: Vec<Resource>,
    /// The names of both, to find them without searching.
    known: FxHashSet<Arc<str>>,
    /// Name, what it is, value.
    pub outputs: Vec<(String, String, Value)>,
    /// The resources of each path of the spec, by their places: of what had been written when it was first asked for.
    asked: OnceLock<FxHashMap<String, Vec<usize>>>,
}

impl Stack {
    /// What a path of the spec asked for, once the services have written.
    pub fn asked_by(&self, path: &str) -> impl Iterator<Item = &Resource> {
        let asked = self.asked.get_or_init(|| {
            let mut asked: FxHashMap<String, Vec<usize>> = FxHashMap::default();
            for (place, resource) in self.resources.iter().enumerate() {
                match asked.get_mut(&resource.asked.path) {
                    Some(places) => places.push(place),
                    None => _ = asked.insert(resource.asked.path.clone(), vec![place]),
                }
            }
            asked
        });
        asked.get(path).into_iter().flatten().map(|place| &self.resources[*place])
    }
}

pub struct Sheet<'d> {
    pub design: &'d Design,
    /// What the spec's file is called.
    pub spec: String,
    pub stacks: BTreeMap<Root, Stack>,
    /// Every region that there ever was: one that has left keeps its number.
    pub ever: Vec<SiteId>,
    /// Every database that a list ever fenced: its place says the numbers of its rules.
    pub fenced: Vec<ComponentId>,
    /// What was rendered before.
    pub before: Placement,
    /// Where it stood before, and now, what AWS wants to stand once for a component.
    pub homes_before: BTreeMap<ComponentId, SiteId>,
    pub homes: BTreeMap<ComponentId, SiteId>,
    /// Which components came together.
    pub waves: Waves,
    index: Index<'d>,
    /// The pipelines, which are asked of every component that they may deploy.
    pub pipelines: Vec<&'d Part>,
    /// What is written beside the stacks.
    pub files: Vec<File>,
    pub notes: Vec<Note>,
    pub problems: Vec<Problem>,
}

impl<'d> Sheet<'d> {
    pub fn new(design: &'d Design, spec: &str) -> Sheet<'d> {
        Sheet {
            design,
            spec: spec.to_owned(),
            stacks: BTreeMap::new(),
            ever: Placement::default().ever(design),
            fenced: Placement::default().fenced(design),
            before: Placement::default(),
            homes_before: BTreeMap::new(),
            homes: BTreeMap::new(),
            waves: Waves::default(),
            index: Index::of(design),
            pipelines: design.with_facet("deploy").collect(),
            files: Vec::new(),
            notes: Vec::new(),
            problems: Vec::new(),
        }
    }
    /// What was rendered before stays where it is.
    pub fn remember(&mut self, before: &Placement) {
        self.ever = before.ever(self.design);
        self.fenced = before.fenced(self.design);
        self.homes_before = before.homes();
        self.before = before.clone();
    }

    /// The region of AWS that a stack is deployed in.
    pub fn region(&self, root: &Root) -> &'d str {
        match root {
            Root::Global | Root::Edge => "us-east-1",
            Root::Switch | Root::Accelerator => "us-west-2",
            Root::StackSets => crate::services::home_of_stack_sets(self.design),
            Root::Region(id) => self.design.site(id).map_or("us-east-1", aws_region),
        }
    }
    /// Whether the region of a stack has a type of resources: what is only good to have is left out where it has not.
    pub fn available(&self, root: &Root, kind: &str) -> bool {
        crate::availability::has(self.region(root), kind)
    }
    /// The regions that a part is in; all of them when it names none.
    pub fn sites(&self, part: &Part) -> Vec<&'d Site> {
        let within = |site: &&Site| part.sites.is_empty() || part.is_in(&site.id);
        self.design.regions().filter(within).collect()
    }
    /// The regions other than this one that a part is in.
    pub fn peers(&self, part: &Part, site: &Site) -> Vec<&'d Site> {
        self.sites(part).into_iter().filter(|other| other.id != site.id).collect()
    }
    /// Whether its templates are written; else it exists, and is only referred to.
    pub fn renders(&self, part: &Part) -> bool {
        match part.word("managed") {
            Some(word) => word == "render",
            None => self.design.aws.as_ref().and_then(|aws| aws.manage) != Some(Manage::Adopt),
        }
    }

    pub fn asked(&self, part: &Part) -> Asked {
        self.asked_by(&format!("components.{}", part.id))
    }
    /// `path` is a key of the spec, such as `sites.eu-west-1`.
    pub fn asked_by(&self, path: &str) -> Asked {
        Asked { path: path.to_owned(), line: self.design.line(path) }
    }

    /// Puts a resource into a stack.
    pub fn add(&mut self, root: &Root, resource: Resource) -> Target {
        let target = Target { root: root.clone(), id: resource.id.clone() };
        let stack = self.stacks.entry(root.clone()).or_default();
        stack.known.insert(resource.id.clone());
        stack.resources.push(resource);
        target
    }
    /// Makes one that is there already depend on a condition.
    pub fn only_if(&mut self, target: &Target, condition: &Condition) {
        let stack = self.stacks.get_mut(&target.root);
        let resource = stack.and_then(|stack| stack.resources.iter_mut().find(|resource| *resource.id == *target.id));
        if let Some(resource) = resource {
            resource.condition = Some(condition.clone());
        }
    }
    /// Names a resource, whether or not it is there yet.
    pub fn target(&self, root: &Root, id: impl Into<Arc<str>>) -> Target {
        Target { root: root.clone(), id: id.into() }
    }
    pub fn has(&self, root: &Root, id: &str) -> bool {
        self.stacks.get(root).is_some_and(|stack| stack.known.contains(id))
    }
    pub fn output(&mut self, root: &Root, name: impl Into<String>, about: impl Into<String>, value: impl Into<Value>) {
        self.stacks.entry(root.clone()).or_default().outputs.push((name.into(), about.into(), value.into()));
    }

    pub fn has_parameter(&self, root: &Root, name: &str) -> bool {
        self.stacks.get(root).is_some_and(|stack| stack.known.contains(format!("parameter {name}").as_str()))
    }
    /// A parameter of a root stack; the first who names it says what it is.
    pub fn parameter(&mut self, root: &Root, parameter: Parameter) -> Value {
        let value = Value::Parameter(root.clone(), parameter.name.clone());
        let stack = self.stacks.entry(root.clone()).or_default();
        // No resource has a name with a space in it.
        if stack.known.insert(format!("parameter {}", parameter.name).into()) {
            stack.parameters.push(parameter);
        }
        value
    }
    /// A parameter whose value the spec gives.
    pub fn setting(&mut self, root: &Root, name: &str, about: &str, value: impl Into<String>) -> Value {
        self.parameter(root, parameter(name, "String", about, Given::Spec(value.into())))
    }
    /// A parameter that a recovery changes, and no deployment.
    pub fn state(&mut self, root: &Root, name: &str, about: &str, at_first: impl Into<String>) -> Value {
        self.parameter(root, parameter(name, "String", about, Given::AtFirst(at_first.into())))
    }
    /// A parameter that somebody must find out: `how` is a command that prints it.
    pub fn ask(&mut self, root: &Root, name: &str, about: &str, how: impl Into<String>) -> Value {
        self.parameter(root, parameter(name, "String", about, Given::Ask(how.into())))
    }

    /// A physical name within the workload, at most `longest` characters, of which the first is a letter.
    pub fn named<'a>(&'a self, words: impl IntoIterator<Item = &'a str>, longest: usize) -> String {
        let workload = self.design.workload.as_str();
        let letter = usize::from(workload.starts_with(|first: char| first.is_ascii_digit()));
        names::lettered(names::physical(std::iter::once(workload).chain(words), longest - letter))
    }
    /// What every resource is marked with.
    pub fn tags(&self, part: Option<&Part>) -> Value {
        Value::List(
            self.tag_pairs(part)
                .into_iter()
                .map(|(key, value)| map! { "Key" => key, "Value" => value }.into())
                .collect(),
        )
    }
    /// Likewise, for the types that want a map.
    pub fn tag_map(&self, part: Option<&Part>) -> Map {
        self.tag_pairs(part).into_iter().fold(Map::new(), |map, (key, value)| map.with(key, value))
    }
    fn tag_pairs(&self, part: Option<&Part>) -> Vec<(&'static str, String)> {
        let mut tags = vec![("antipode:workload", self.design.workload.clone())];
        tags.extend(part.map(|part| ("antipode:component", part.id.to_string())));
        tags
    }

    /// Says what is not rendered, and what to do instead.
    pub fn note(&mut self, part: &Part, says: impl Into<String>, instead: impl Into<String>) {
        self.notes.push(Note { component: part.id.clone(), says: says.into(), instead: instead.into() });
    }
    /// Says why nothing can be rendered.
    pub fn problem(&mut self, path: &str, says: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem {
            path: path.to_owned(),
            line: self.design.line(path),
            says: says.into(),
            hint: hint.into(),
        });
    }

    /// Names in templates have letters and digits only, so that `db-1` and `db1` would be one there.
    pub fn names_apart(&mut self) {
        let mut same: Vec<(String, String, String)> = Vec::new();
        for stack in self.stacks.values() {
            let mut known: FxHashMap<&str, &str> = FxHashMap::default();
            for resource in &stack.resources {
                let path = resource.asked.path.as_str();
                let first = *known.entry(&resource.id).or_insert(path);
                if first != path && !same.iter().any(|(one, other, _)| one == first && other == path) {
                    same.push((first.to_owned(), path.to_owned(), resource.id.to_string()));
                }
            }
        }
        for (first, path, id) in same {
            let says = format!("what is made for it and for {first} would both be called {id} in the templates");
            self.problem(&path, says, "rename one of them: only letters and digits count there");
        }
    }

    pub fn part(&self, id: &ComponentId) -> Option<&'d Part> {
        self.index.part(id)
    }
    /// The components of a kind, in the order of the file.
    pub fn of_kind(&self, kind: &str) -> std::vec::IntoIter<&'d Part> {
        self.index.of_kind(kind).to_vec().into_iter()
    }
    /// What stands behind a component, whether or not it is served by it.
    pub fn behind(&self, part: &Part) -> std::vec::IntoIter<&'d Part> {
        self.index.behind(&part.id).to_vec().into_iter()
    }
    /// What needs a component.
    pub fn needing(&self, part: &Part) -> std::vec::IntoIter<&'d Part> {
        self.index.needing(&part.id).to_vec().into_iter()
    }
}

/// The stack of a region.
pub fn regional(site: &Site) -> Root {
    Root::Region(site.id.clone())
}

/// What AWS calls the region of a site.
pub fn aws_region(site: &Site) -> &str {
    site.region.as_deref().unwrap_or(site.id.as_str())
}

pub fn region_of<'d>(design: &'d Design, site: &'d SiteId) -> &'d str {
    design.site(site).map_or(site.as_str(), aws_region)
}

pub fn parameter(name: &str, kind: &'static str, about: &str, value: Given) -> Parameter {
    Parameter { name: name.to_owned(), kind, about: about.to_owned(), value, secret: false, allowed: Vec::new() }
}
