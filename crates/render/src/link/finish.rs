//! Writes down the templates of a root, once it is known what each of its pieces is asked for.

use std::collections::BTreeSet;

use super::{Body, Exports, Linked, Output, SETTINGS, Source, Template};
use crate::names;
use crate::resource::{Given, Parameter, Resource, Target};
use crate::root::Root;
use crate::sheet::{Sheet, Stack, parameter};
use crate::value::{Map, REGION, SUFFIX, Value};
use crate::{list, map};

pub struct Finish<'s, 'd> {
    pub sheet: &'s Sheet<'d>,
    pub exports: &'s Exports,
}

impl<'s> Finish<'s, '_> {
    /// The templates of a root, now that it is known what each of its chunks has to hand on.
    pub fn root(&self, root: &Root, mut bodies: Vec<Body>) -> Linked {
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
        Linked { root: root.clone(), region, templates, after }
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
        let told = move |name: &String| self.exports.of(root, SETTINGS).any(|(told, _)| told == name);
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
            let said = self.exports.of(root, n).filter(|(_, export)| export.outside);
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
        self.exports
            .of(root, chunk)
            .map(|(name, export)| Output {
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
