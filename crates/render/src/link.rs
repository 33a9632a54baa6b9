//! Makes templates of the graph: cuts each root into nested stacks, and turns what a resource says of one elsewhere into
//! outputs and parameters.
//!
//! Within one template a name is a name. Between nested stacks of one root it is an output of one and a parameter of the
//! other, which the master joins. Between roots it is an output that the deployment reads and hands on. Services know
//! nothing of it: they name a resource, wherever it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::names;
use crate::placement::Placement;
use crate::resource::{Condition, Given, Parameter, Resource, Target, Test};
use crate::root::{Group, Root};
use crate::sheet::{Sheet, Stack, parameter};
use crate::split::{self, Chunk};
use crate::value::{Map, REGION, SUFFIX, Value};
use crate::{File, list, map};

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
    fn of_master(&self) -> bool {
        matches!(self, Self::TooLarge { template, .. } if template == "master")
    }
    /// The root that is given more than a stack takes, how much that is, and how much it takes.
    pub(crate) fn given_too_much(&self) -> Option<(&Root, usize, usize)> {
        match self {
            Self::TooLarge { root, what: split::PARAMETERS, count, most, .. } if self.of_master() => {
                Some((root, *count, *most))
            }
            _ => None,
        }
    }
}

/// How much of a template its resources may fill, at first and when that was too much: the rest is for what it is handed
/// and hands on, which is only known once the root is cut.
const FILLED: [usize; 4] = [30_000, 15_000, 8_000, 4_000];

/// So many settings of the spec are parameters that people can read and change; more stand where they are used.
const MOST_SETTINGS: usize = 80;

/// Makes the templates of all roots, in the order in which they are deployed, and their files.
///
/// # Errors
/// When the services' work does not fit together, or a template would not be taken by CloudFormation.
pub fn link(sheet: &Sheet<'_>, before: &Placement) -> Result<(Vec<Linked>, Vec<File>), LinkError> {
    let mut last = None;
    for filled in FILLED {
        match cut_and_link(sheet, filled, before) {
            // What a root is given is not divided by smaller pieces.
            Err(error @ LinkError::TooLarge { what: split::PARAMETERS, .. }) if error.of_master() => return Err(error),
            Err(error @ LinkError::TooLarge { .. }) => last = Some(error),
            other => return other,
        }
    }
    Err(last.expect("it is tried at least once"))
}

fn cut_and_link(sheet: &Sheet<'_>, filled: usize, before: &Placement) -> Result<(Vec<Linked>, Vec<File>), LinkError> {
    let mut cut: BTreeMap<&Root, Vec<Chunk<'_>>> = BTreeMap::new();
    for (root, stack) in &sheet.stacks {
        cut.insert(root, split::cut(root, stack, filled, &before.within(root))?);
    }
    let places = cut.iter().map(|(root, chunks)| (*root, places(chunks))).collect();
    let settings = sheet.stacks.iter().map(|(root, stack)| (root, settings(stack))).collect();
    let conditions = sheet.stacks.iter().map(|(root, stack)| (root, conditions(stack))).collect();
    let mut linker = Linker { places, conditions, settings, exports: BTreeMap::new(), sheet };
    linker.say_outputs()?;
    let mut bodies = Vec::new();
    for (root, chunks) in &cut {
        let each = chunks.iter().enumerate();
        let resolved: Result<Vec<Body>, LinkError> = each.map(|(n, chunk)| linker.body(root, n, chunk)).collect();
        bodies.push((*root, resolved?));
    }
    let finished: Result<Vec<Linked>, LinkError> =
        bodies.into_iter().map(|(root, chunks)| linker.finish(root, chunks)).collect();
    let mut finished = finished?;
    let mut files = Vec::new();
    for linked in &finished {
        files.extend(split::files(linked, &sheet.spec)?);
    }
    // Regions in the order of the file: what stands in the first for all of them is there before they ask for it.
    let place = |root: &Root| sheet.design.sites.iter().position(|site| Root::Region(site.id.clone()) == *root);
    finished.sort_by(|one, other| match (place(&one.root), place(&other.root)) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => one.root.cmp(&other.root),
    });
    Ok((in_order(finished)?, files))
}

/// The number of the chunk of each resource.
fn places<'s>(chunks: &[Chunk<'s>]) -> HashMap<&'s str, usize> {
    let each = chunks.iter().enumerate();
    each.flat_map(|(n, chunk)| chunk.resources.iter().map(move |resource| (resource.id.as_str(), n))).collect()
}

fn conditions(stack: &Stack) -> HashMap<&str, &Condition> {
    let each = stack.resources.iter();
    each.filter_map(|resource| Some((resource.id.as_str(), resource.condition.as_ref()?))).collect()
}

/// The settings of a stack that has too many for parameters, each as what stands where it is used.
fn settings(stack: &Stack) -> HashMap<&str, Value> {
    let spec = |parameter: &&Parameter| matches!(parameter.value, Given::Spec(_));
    if stack.parameters.iter().filter(spec).count() <= MOST_SETTINGS {
        return HashMap::new();
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
    conditions: BTreeMap<&'s Root, HashMap<&'s str, &'s Condition>>,
    /// What is no parameter of its root after all.
    settings: BTreeMap<&'s Root, HashMap<&'s str, Value>>,
    places: BTreeMap<&'s Root, HashMap<&'s str, usize>>,
    /// What others need of each chunk of each root: the output's name and the value.
    exports: BTreeMap<(Root, usize), BTreeMap<String, Export>>,
    sheet: &'s Sheet<'d>,
}

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
    from: &'w str,
}

impl<'s> Linker<'s, '_> {
    fn body(&mut self, root: &Root, number: usize, chunk: &Chunk<'_>) -> Result<Body, LinkError> {
        let mut within = Within { root, chunk: number, given: BTreeMap::new(), conditions: BTreeMap::new(), from: "" };
        let (mut resources, mut after) = (Vec::new(), BTreeSet::new());
        for resource in &chunk.resources {
            within.from = &resource.id;
            let properties = self.map(&resource.properties, &mut within)?;
            let policies = self.map(&resource.policies, &mut within)?;
            if let Some(condition) = &resource.condition {
                self.condition(condition, &mut within)?;
            }
            let mut depends_on = Vec::new();
            for target in &resource.depends_on {
                match self.place(target, &within)? {
                    Some(chunk) if chunk == number => depends_on.push(target.clone()),
                    Some(chunk) => _ = after.insert(chunk),
                    None => {}
                }
            }
            resources.push(Resource {
                id: resource.id.clone(),
                properties,
                policies,
                depends_on,
                condition: resource.condition.clone(),
                metadata: resource.metadata.clone(),
                asked: resource.asked.clone(),
                ..**resource
            });
        }
        let Within { given, conditions, .. } = within;
        Ok(Body { name: chunk.name.clone(), group: chunk.group, resources, conditions, given, after })
    }

    /// What people, or the deployment, are told of a root.
    fn say_outputs(&mut self) -> Result<(), LinkError> {
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
                self.export(root, owner, name, Export { value, about: about.clone(), outside: true });
            }
        }
        Ok(())
    }

    /// What is only made on a condition has nothing to hand on while that does not hold: an empty text. CloudFormation
    /// refuses an output that names what a condition leaves out.
    fn if_there(&self, target: &Target, value: &Value) -> Value {
        match self.conditions.get(&target.root).and_then(|of| of.get(&*target.id)) {
            Some(condition) => Value::either((*condition).clone(), value.clone(), ""),
            None => value.clone(),
        }
    }

    /// Whether it is handed on already; from now on outside its root too, when it is asked for there.
    fn exported(&mut self, root: &Root, chunk: usize, name: &str, outside: bool) -> bool {
        let known = self.exports.get_mut(&(root.clone(), chunk)).and_then(|known| known.get_mut(name));
        let Some(export) = known else { return false };
        export.outside |= outside;
        true
    }

    fn export(&mut self, root: &Root, chunk: usize, name: &str, export: Export) {
        if !self.exported(root, chunk, name, export.outside) {
            self.exports.entry((root.clone(), chunk)).or_default().insert(name.to_owned(), export);
        }
    }

    /// The chunk of a resource of the same root; `None` when it is of another.
    fn place(&self, target: &Target, within: &Within<'_>) -> Result<Option<usize>, LinkError> {
        let unknown = || LinkError::Unknown {
            root: within.root.clone(),
            from: within.from.to_owned(),
            to: format!("{} of {}", target.id, target.root),
        };
        let chunk = self.places.get(&target.root).and_then(|ids| ids.get(&*target.id)).ok_or_else(unknown)?;
        Ok((target.root == *within.root).then_some(*chunk))
    }

    fn map(&mut self, map: &Map, within: &mut Within<'_>) -> Result<Map, LinkError> {
        let each = map.0.iter().map(|(key, value)| Ok((key.clone(), self.value(value, within)?)));
        each.collect::<Result<_, _>>().map(Map)
    }

    fn values(&mut self, values: &[Value], within: &mut Within<'_>) -> Result<Vec<Value>, LinkError> {
        values.iter().map(|value| self.value(value, within)).collect()
    }

    fn value(&mut self, value: &Value, within: &mut Within<'_>) -> Result<Value, LinkError> {
        Ok(match value {
            Value::List(items) => Value::List(self.values(items, within)?),
            Value::Map(map) => Value::Map(self.map(map, within)?),
            Value::Concat(pieces) => Value::Concat(self.values(pieces, within)?),
            Value::Join(by, items) => Value::Join(by, self.values(items, within)?),
            Value::Select(index, of) => Value::Select(*index, Box::new(self.value(of, within)?)),
            Value::Cidr(of, count, bits) => Value::Cidr(Box::new(self.value(of, within)?), *count, *bits),
            Value::If(condition, then, otherwise) => {
                let condition = self.condition(condition, within)?;
                let (then, otherwise) = (self.value(then, within)?, self.value(otherwise, within)?);
                Value::If(Box::new(condition), Box::new(then), Box::new(otherwise))
            }
            Value::Parameter(root, name)
                if self.settings.get(root).is_some_and(|known| known.contains_key(name.as_str())) =>
            {
                self.settings[root][name.as_str()].clone()
            }
            Value::Parameter(root, name) if root == within.root => {
                within.given.insert(name.clone(), Source::Root);
                value.clone()
            }
            Value::Parameter(root, name) => {
                // A setting of another root: its stack says it as an output.
                let handed = names::logical([root.name(), name]);
                let about = format!("The setting {name} of this stack");
                self.export(root, SETTINGS, name, Export { value: value.clone(), about, outside: true });
                within.given.insert(handed.clone(), Source::Other(root.clone()));
                Value::Parameter(within.root.clone(), handed)
            }
            Value::Ref(target) => self.reach(target, None, value, within)?,
            Value::Attribute(target, attribute) => self.reach(target, Some(attribute), value, within)?,
            Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::Pseudo(_) | Value::Zones | Value::Output(..) => {
                value.clone()
            }
        })
    }

    fn reach(
        &mut self,
        target: &Target,
        attribute: Option<&str>,
        value: &Value,
        within: &mut Within<'_>,
    ) -> Result<Value, LinkError> {
        let chunk = self.place(target, within)?;
        if chunk.is_some_and(|chunk| chunk > within.chunk) {
            return Err(LinkError::Backward {
                root: within.root.clone(),
                from: within.from.to_owned(),
                to: target.id.to_string(),
            });
        }
        if chunk == Some(within.chunk) {
            return Ok(value.clone());
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
        if !self.exported(&target.root, owner, &output, outside) {
            let about = format!("{} of {}", attribute.unwrap_or("The name"), target.id);
            let value = self.if_there(target, value);
            self.export(&target.root, owner, &output, Export { value, about, outside });
        }
        within.given.insert(name.clone(), from);
        Ok(Value::Parameter(within.root.clone(), name))
    }

    fn condition(&mut self, condition: &Condition, within: &mut Within<'_>) -> Result<Condition, LinkError> {
        let test = self.test(&condition.test, within)?;
        within.conditions.insert(condition.name.clone(), test.clone());
        Ok(Condition { name: condition.name.clone(), test })
    }

    fn test(&mut self, test: &Test, within: &mut Within<'_>) -> Result<Test, LinkError> {
        let each = |linker: &mut Self, tests: &[Test], within: &mut Within<'_>| -> Result<Vec<Test>, LinkError> {
            tests.iter().map(|test| linker.test(test, within)).collect()
        };
        Ok(match test {
            Test::Equal(left, right) => Test::Equal(self.value(left, within)?, self.value(right, within)?),
            Test::Not(test) => Test::Not(Box::new(self.test(test, within)?)),
            Test::And(tests) => Test::And(each(self, tests, within)?),
            Test::Or(tests) => Test::Or(each(self, tests, within)?),
        })
    }

    /// The templates of a root, now that it is known what each of its chunks has to hand on.
    fn finish(&self, root: &'s Root, mut bodies: Vec<Body>) -> Result<Linked, LinkError> {
        let stack = &self.sheet.stacks[root];
        let after: BTreeSet<Root> = bodies
            .iter()
            .flat_map(|body| body.given.values())
            .filter_map(|from| if let Source::Other(root) = from { Some(root.clone()) } else { None })
            .collect();
        let region = self.sheet.region(root).to_owned();
        let templates = match bodies.as_mut_slice() {
            [only] if only.name == "master" => vec![self.flat(root, stack, only)],
            _ => self.nested(root, stack, bodies),
        };
        Ok(Linked { root: root.clone(), region, templates, after })
    }

    /// Everything in one template.
    fn flat(&self, root: &Root, stack: &'s Stack, body: &mut Body) -> Template {
        let mut template = self.chunk(root, 0, body, stack);
        template.name = "master".to_owned();
        template.description = self.described(root, "all of it");
        template.outputs.extend(self.outputs_of(root, SETTINGS));
        let here = |name: &String| template.parameters.iter().any(|parameter| parameter.name == *name);
        let said: Vec<Parameter> = self.said(root, stack).filter(|parameter| !here(&parameter.name)).cloned().collect();
        template.parameters.extend(said);
        template
    }

    /// The settings of a root that another root is told, whether or not a template of its own uses them.
    fn said(&self, root: &Root, stack: &'s Stack) -> impl Iterator<Item = &'s Parameter> {
        let exports = self.exports.get(&(root.clone(), SETTINGS));
        let told = move |name: &String| exports.is_some_and(|exports| exports.contains_key(name));
        stack.parameters.iter().filter(move |parameter| told(&parameter.name))
    }

    fn nested(&self, root: &Root, stack: &'s Stack, mut bodies: Vec<Body>) -> Vec<Template> {
        let resources = bodies.iter().map(|body| self.child(root, stack, &bodies, body)).collect();
        let each = bodies.iter_mut().enumerate();
        let mut templates: Vec<Template> = each.map(|(n, body)| self.chunk(root, n, body, stack)).collect();
        let (mut parameters, mut seen) = (Vec::new(), BTreeSet::new());
        for parameter in templates.iter().flat_map(|template| &template.parameters) {
            let from_here = matches!(&parameter.value, Given::Output(of, _) if of == root);
            if !from_here && seen.insert(&parameter.name) {
                parameters.push(parameter.clone());
            }
        }
        let said: Vec<Parameter> =
            self.said(root, stack).filter(|parameter| !seen.contains(&parameter.name)).cloned().collect();
        parameters.extend(said);
        templates.iter_mut().flat_map(|template| &mut template.parameters).for_each(by_the_master);
        parameters.push(located("TemplateBucket", "The bucket of this region that has the nested templates."));
        parameters.push(located(
            "TemplatePrefix",
            "The folder in that bucket, another one for each version of the templates.",
        ));
        let mut outputs = Vec::new();
        for (n, body) in bodies.iter().enumerate() {
            let said = self.exports.get(&(root.clone(), n)).into_iter().flatten().filter(|(_, export)| export.outside);
            outputs.extend(said.map(|(name, export)| Output {
                name: name.clone(),
                about: export.about.clone(),
                value: output_of(&child(root, body), name),
            }));
        }
        outputs.extend(self.outputs_of(root, SETTINGS));
        let description = self.described(root, "the master");
        templates.push(Template {
            name: "master".to_owned(),
            description,
            parameters,
            conditions: Vec::new(),
            resources,
            outputs,
        });
        templates
    }

    /// The nested stack as a resource of the master.
    fn child(&self, root: &Root, stack: &Stack, bodies: &[Body], body: &Body) -> Resource {
        let here = |name: &str| Value::Parameter(root.clone(), name.to_owned());
        let file = format!("/{root}/{}.yaml", body.name);
        let host = ["https://".into(), here("TemplateBucket"), ".s3.".into(), REGION, ".".into(), SUFFIX, "/".into()];
        let url = host.into_iter().chain([here("TemplatePrefix"), file.into()]).collect();
        let given = body.given.iter().map(|(name, from)| {
            let value = match from {
                Source::Root if lists(stack, name) => Value::Join(",", vec![here(name)]),
                Source::Root | Source::Other(_) => here(name),
                Source::Chunk(n) => output_of(&child(root, &bodies[*n]), name),
            };
            (name.clone().into(), value)
        });
        let given = Map(given.collect());
        let tags = list![map! { "Key" => "antipode:workload", "Value" => &self.sheet.design.workload }];
        let properties = map! { "TemplateURL" => Value::Concat(url) };
        let properties = properties.with_some("Parameters", (!given.0.is_empty()).then_some(given)).with("Tags", tags);
        let asked = body.resources.first().map_or_else(|| self.sheet.asked_by("workload"), |first| first.asked.clone());
        let mut resource =
            Resource::new(body.group, "AWS::CloudFormation::Stack", &*child(root, body).id, asked, properties);
        // What is given something by it comes after it anyway.
        let silent = body.after.iter().filter(|n| !body.given.values().any(|from| *from == Source::Chunk(**n)));
        resource.depends_on = silent.map(|n| child(root, &bodies[*n])).collect();
        resource
    }

    /// The template of a body, whose resources go over to it.
    fn chunk(&self, root: &Root, n: usize, body: &mut Body, stack: &Stack) -> Template {
        let parameter = |(name, from): (&String, &Source)| match from {
            Source::Root => stack.parameters.iter().find(|known| known.name == *name).cloned(),
            Source::Chunk(_) => Some(self.received(root, name, root)),
            Source::Other(other) => Some(self.received(root, name, other)),
        };
        Template {
            name: body.name.clone(),
            description: self.described(root, &body.name),
            parameters: body.given.iter().filter_map(parameter).collect(),
            conditions: body.conditions.iter().map(|(name, test)| (name.clone(), test.clone())).collect(),
            resources: std::mem::take(&mut body.resources),
            outputs: self.outputs_of(root, n),
        }
    }

    fn received(&self, root: &Root, name: &str, from: &Root) -> Parameter {
        let (about, output) = match from == root {
            true => (format!("{name}, from another stack of this region"), name.to_owned()),
            false => {
                let prefix = names::logical([from.name()]).len();
                (format!("{}, from the stack {from}", &name[prefix..]), name[prefix..].to_owned())
            }
        };
        parameter(name, "String", &about, Given::Output(from.clone(), output))
    }

    fn outputs_of(&self, root: &Root, chunk: usize) -> Vec<Output> {
        let said = self.exports.get(&(root.clone(), chunk)).into_iter().flatten();
        said.map(|(name, export)| Output {
            name: name.clone(),
            about: export.about.clone(),
            value: export.value.clone(),
        })
        .collect()
    }

    fn described(&self, root: &Root, what: &str) -> String {
        format!("{}, {root}: {what}", self.sheet.design.workload)
    }
}

/// In place of the number of a chunk: what a root says of its own parameters.
const SETTINGS: usize = usize::MAX;

fn child(root: &Root, body: &Body) -> Target {
    Target { root: root.clone(), id: names::logical([body.name.as_str(), "stack"]).into() }
}

/// A parameter of a nested stack, which always gets its value from the master: no default, and what the master has looked
/// up already is not looked up again.
fn by_the_master(parameter: &mut Parameter) {
    parameter.value = Given::Deployment;
    if let Some(of) = parameter.kind.strip_prefix("AWS::SSM::Parameter::Value<") {
        parameter.kind = of.strip_suffix('>').unwrap_or(of);
    }
}

/// Whether a parameter is a list, which a nested stack is handed as one text.
fn lists(stack: &Stack, name: &str) -> bool {
    let known = stack.parameters.iter().find(|parameter| parameter.name == name);
    known.is_some_and(|parameter| parameter.kind.contains("List"))
}

fn output_of(stack: &Target, name: &str) -> Value {
    Value::Output(stack.clone(), name.to_owned())
}

fn located(name: &str, about: &str) -> Parameter {
    parameter(name, "String", about, Given::Deployment)
}
