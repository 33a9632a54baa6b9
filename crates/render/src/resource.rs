//! One resource of a template, and what it can name.

use std::sync::Arc;

use crate::root::{Group, Root};
use crate::value::{Map, Value};

/// A resource of the graph, wherever it ends up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Target {
    pub root: Root,
    pub id: Arc<str>,
}

impl Target {
    /// `!Ref`.
    pub fn get(&self) -> Value {
        Value::Ref(self.clone())
    }
    /// `!GetAtt`.
    pub fn att(&self, attribute: &'static str) -> Value {
        Value::Attribute(self.clone(), attribute)
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct Resource {
    pub id: Arc<str>,
    /// Such as `AWS::EC2::VPC`.
    pub kind: &'static str,
    pub group: Group,
    pub properties: Map,
    pub depends_on: Vec<Target>,
    pub keep: Keep,
    pub condition: Option<Condition>,
    pub metadata: Map,
    /// Other attributes of the resource, such as `UpdatePolicy`.
    pub policies: Map,
    pub asked: Asked,
}

/// What happens to the thing itself when its resource leaves the template, or is replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Keep {
    /// It goes too: nothing is lost that another deployment would not make again.
    #[default]
    No,
    /// It stays, with all that is in it, until somebody deletes it by hand; unless the deployment that made it failed.
    Retain,
    /// A snapshot of it stays.
    Snapshot,
}

/// What in the spec asked for it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Asked {
    /// Such as `components.db`.
    pub path: String,
    pub line: usize,
}

/// A test of parameters, with the name under which it stands in a template.
#[derive(Clone, PartialEq, Debug)]
pub struct Condition {
    pub name: String,
    pub test: Test,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Test {
    Equal(Value, Value),
    Not(Box<Test>),
    And(Vec<Test>),
    Or(Vec<Test>),
}

impl Condition {
    /// That a parameter is not empty.
    pub fn given(name: impl Into<String>, parameter: Value) -> Condition {
        let empty = Test::Equal(parameter, "".into());
        Condition { name: name.into(), test: Test::Not(Box::new(empty)) }
    }
    pub fn equal(name: impl Into<String>, left: impl Into<Value>, right: impl Into<Value>) -> Condition {
        Condition { name: name.into(), test: Test::Equal(left.into(), right.into()) }
    }
    pub fn visit<'v>(&'v self, see: &mut impl FnMut(&'v Value)) {
        self.test.visit(see);
    }
}

impl Test {
    fn visit<'v>(&'v self, see: &mut impl FnMut(&'v Value)) {
        match self {
            Self::Equal(left, right) => {
                left.visit(see);
                right.visit(see);
            }
            Self::Not(test) => test.visit(see),
            Self::And(tests) | Self::Or(tests) => tests.iter().for_each(|test| test.visit(see)),
        }
    }
}

impl Resource {
    /// `id` is the logical name; see [`names`](crate::names).
    pub fn new(group: Group, kind: &'static str, id: impl Into<Arc<str>>, asked: Asked, properties: Map) -> Resource {
        Resource {
            id: id.into(),
            kind,
            group,
            properties,
            depends_on: Vec::new(),
            keep: Keep::No,
            condition: None,
            metadata: Map::new(),
            policies: Map::new(),
            asked,
        }
    }
    #[must_use]
    pub fn keep(mut self, keep: Keep) -> Resource {
        self.keep = keep;
        self
    }
    #[must_use]
    pub fn after(mut self, target: Target) -> Resource {
        self.depends_on.push(target);
        self
    }
    #[must_use]
    pub fn only_if(mut self, condition: Condition) -> Resource {
        self.condition = Some(condition);
        self
    }
    /// Why a check of policy does not apply here: what the tool calls it, and the reason.
    #[must_use]
    pub fn excused(mut self, check: &str, reason: &str) -> Resource {
        let excuse = Value::Map(crate::map! { "id" => check, "comment" => reason });
        let checkov = match self.metadata.get("checkov") {
            Some(Value::Map(map)) => match map.get("skip") {
                Some(Value::List(skips)) => skips.iter().cloned().chain([excuse]).collect(),
                _ => vec![excuse],
            },
            _ => vec![excuse],
        };
        self.metadata.set("checkov", crate::map! { "skip" => checkov });
        self
    }
    pub fn visit<'v>(&'v self, see: &mut impl FnMut(&'v Value)) {
        self.properties.0.iter().for_each(|(_, value)| value.visit(see));
        self.policies.0.iter().for_each(|(_, value)| value.visit(see));
        if let Some(condition) = &self.condition {
            condition.visit(see);
        }
    }
}

/// A setting of a root stack, given when it is deployed.
#[derive(Clone, PartialEq, Debug)]
pub struct Parameter {
    pub name: String,
    /// Such as `String`.
    pub kind: &'static str,
    pub about: String,
    /// What `parameters/ROOT.json` says of it.
    pub value: Given,
    /// Not shown by the console and by `describe-stacks`.
    pub secret: bool,
    pub allowed: Vec<String>,
}

/// Where the value of a parameter comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Given {
    /// From the spec: written to the file of parameters, and followed at each deployment.
    Spec(String),
    /// What is so at first, and is changed by recoveries, not by deployments: the default of the template, in no file,
    /// so that a later deployment leaves it as it is.
    AtFirst(String),
    /// Somebody must say it: there is no default, and the file of parameters says how to find it out.
    Ask(String),
    /// An output of another root stack.
    Output(Root, String),
    /// The deployment knows it: where the templates are.
    Deployment,
}
