//! What stands behind a key of a template: data, and the functions of CloudFormation.
//!
//! A value names resources, parameters and conditions of the whole graph; [`link`](crate::link) makes of that what is
//! reachable from the template that it ends up in.

use std::borrow::Cow;
use std::sync::Arc;

use crate::resource::{Condition, Target};
use crate::root::Root;

#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Bool(bool),
    Int(i64),
    Text(Arc<str>),
    List(Vec<Value>),
    Map(Map),
    /// What CloudFormation knows by itself.
    Pseudo(Pseudo),
    /// A parameter of a root stack.
    Parameter(Root, String),
    /// `!Ref` of a resource.
    Ref(Target),
    /// `!GetAtt` of a resource.
    Attribute(Target, &'static str),
    /// An output of a nested stack, by its name: what links a master's children.
    Output(Target, String),
    /// Texts and what is put between them: `!Sub`.
    Concat(Vec<Value>),
    /// Items of a list value, joined: `!Join`.
    Join(&'static str, Vec<Value>),
    /// One item of a list value, from 0: `!Select`.
    Select(u8, Box<Value>),
    /// A range of addresses cut into so many pieces, each with so many bits for hosts: `!Cidr`.
    Cidr(Box<Value>, u8, u8),
    /// The names of the zones of the region: `!GetAZs`.
    Zones,
    If(Box<Condition>, Box<Value>, Box<Value>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pseudo {
    AccountId,
    Region,
    Partition,
    UrlSuffix,
    StackName,
    /// Takes a key away when a condition says so.
    NoValue,
}

impl Pseudo {
    pub fn name(self) -> &'static str {
        match self {
            Self::AccountId => "AWS::AccountId",
            Self::Region => "AWS::Region",
            Self::Partition => "AWS::Partition",
            Self::UrlSuffix => "AWS::URLSuffix",
            Self::StackName => "AWS::StackName",
            Self::NoValue => "AWS::NoValue",
        }
    }
}

pub const ACCOUNT: Value = Value::Pseudo(Pseudo::AccountId);
pub const REGION: Value = Value::Pseudo(Pseudo::Region);
pub const PARTITION: Value = Value::Pseudo(Pseudo::Partition);
pub const SUFFIX: Value = Value::Pseudo(Pseudo::UrlSuffix);
pub const STACK: Value = Value::Pseudo(Pseudo::StackName);
pub const NO_VALUE: Value = Value::Pseudo(Pseudo::NoValue);

/// Nearly all are literals, which are not copied.
pub type Key = Cow<'static, str>;

/// Keys in the order in which they are written.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Map(pub Vec<(Key, Value)>);

impl Map {
    pub fn new() -> Map {
        Map::default()
    }
    /// With room for so many: there are a hundred thousand, mostly of one or two.
    pub fn of(keys: usize) -> Map {
        Map(Vec::with_capacity(keys))
    }
    #[must_use]
    pub fn with(mut self, key: impl Into<Key>, value: impl Into<Value>) -> Map {
        self.0.push((key.into(), value.into()));
        self
    }
    /// Leaves the key out when there is nothing to say.
    #[must_use]
    pub fn with_some(self, key: impl Into<Key>, value: Option<impl Into<Value>>) -> Map {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
    pub fn set(&mut self, key: impl Into<Key>, value: impl Into<Value>) {
        let key = key.into();
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = value.into(),
            None => self.0.push((key, value.into())),
        }
    }
}

impl Value {
    /// `then` when the condition holds, else nothing at all.
    pub fn when(condition: Condition, then: impl Into<Value>) -> Value {
        Value::If(Box::new(condition), Box::new(then.into()), Box::new(NO_VALUE))
    }
    pub fn either(condition: Condition, then: impl Into<Value>, otherwise: impl Into<Value>) -> Value {
        Value::If(Box::new(condition), Box::new(then.into()), Box::new(otherwise.into()))
    }
    /// Calls `see` for this value and all inside it.
    pub fn visit<'v>(&'v self, see: &mut impl FnMut(&'v Value)) {
        see(self);
        match self {
            Self::List(items) | Self::Concat(items) | Self::Join(_, items) => {
                items.iter().for_each(|item| item.visit(see));
            }
            Self::Map(map) => map.0.iter().for_each(|(_, value)| value.visit(see)),
            Self::Select(_, of) | Self::Cidr(of, ..) => of.visit(see),
            Self::If(condition, then, otherwise) => {
                condition.visit(see);
                then.visit(see);
                otherwise.visit(see);
            }
            Self::Bool(_) | Self::Int(_) | Self::Text(_) | Self::Pseudo(_) | Self::Zones => {}
            Self::Parameter(..) | Self::Ref(_) | Self::Attribute(..) | Self::Output(..) => {}
        }
    }
}

macro_rules! from {
    ($($ty:ty => $make:expr;)*) => {
        $(impl From<$ty> for Value {
            fn from(value: $ty) -> Value {
                #[allow(clippy::redundant_closure_call)]
                ($make)(value)
            }
        })*
    };
}

from! {
    bool => Value::Bool;
    i64 => Value::Int;
    i32 => |n: i32| Value::Int(n.into());
    u32 => |n: u32| Value::Int(n.into());
    u64 => |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    usize => |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    &str => |text: &str| Value::Text(text.into());
    &String => |text: &String| Value::Text(text.as_str().into());
    String => |text: String| Value::Text(text.into());
    Key => |text: Key| Value::Text(text.into());
    Vec<Value> => Value::List;
    Map => Value::Map;
}

/// A map of a template: `map! { "Key" => value }`.
#[macro_export]
macro_rules! map {
    ($($key:expr => $value:expr),* $(,)?) => {
        $crate::value::Map::of(<[&str]>::len(&[$(stringify!($key)),*]))$(.with($key, $value))*
    };
}

/// A list of a template.
#[macro_export]
macro_rules! list {
    ($($value:expr),* $(,)?) => {
        $crate::value::Value::List(vec![$($crate::value::Value::from($value)),*])
    };
}

/// Texts and values, one after the other: becomes `!Sub`.
#[macro_export]
macro_rules! cat {
    ($($value:expr),* $(,)?) => {
        $crate::value::Value::Concat(vec![$($crate::value::Value::from($value)),*])
    };
}
