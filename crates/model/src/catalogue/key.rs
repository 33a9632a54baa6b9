//! One key that a component, or `practice`, can have: its type, its meaning, and the question that it answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Value;

/// What can be written under a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Type {
    /// `500ms`, `30m`.
    Duration,
    /// A duration, or `day`, `week`, ….
    Interval,
    /// `50%`.
    Percent,
    /// `500GB`.
    Size,
    /// `20GB/day`.
    Flow,
    /// `200/s`.
    Rate,
    /// `300 USD`.
    Money,
    /// `2000 USD/h`.
    MoneyRate,
    Count,
    Bool,
    /// `2026-03-14`.
    Date,
    /// One of some words.
    Word,
    /// A list of some words.
    Words,
    Text,
    /// A list of texts.
    Texts,
    /// A site of this workload.
    Site,
    Sites,
    /// A component of this workload.
    Component,
    Components,
    /// Names of the operator's own, and a text for each.
    Map,
}

impl Type {
    /// The quantity, as the spec's reader names it, whose unit must be written with it.
    pub(crate) fn quantity(self) -> Option<&'static str> {
        Some(match self {
            Type::Duration => "a duration",
            Type::Interval => "an interval",
            Type::Percent => "a percentage",
            Type::Size => "an amount of data",
            Type::Flow => "an amount of data in a time",
            Type::Rate => "a number in a time",
            Type::Money => "an amount of money",
            Type::MoneyRate => "an amount of money in a time",
            Type::Date => "a date",
            _ => return None,
        })
    }
}

/// A key, its type and its meaning.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// With its group before a dot, if it has one: `backup.every`.
    #[serde(skip)]
    pub name: String,
    /// The facet that it comes from; `None` for a kind's own.
    #[serde(skip)]
    pub facet: Option<String>,
    #[serde(rename = "type")]
    pub ty: Type,
    /// The words of a word, or of a list of words.
    #[serde(default)]
    pub one_of: Vec<String>,
    /// May be written once for all sites, or as a mapping of sites.
    #[serde(default)]
    pub per_site: bool,
    /// What holds when nobody says anything. Without one the key is unanswered then.
    #[serde(default)]
    pub default: Option<serde_json::Value>,
    /// What it means, for people.
    pub about: String,
    /// The question that somebody must answer before the component can be relied on, and who asks it.
    #[serde(default)]
    pub asks: Option<Question>,
}

/// A question that a component of this kind must answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    pub question: String,
    /// Who asks: "seed 003 section 9.1 question 3".
    pub source: String,
}

impl Key {
    /// What JSON of the right shape says under this key; `None` when it does not fit.
    pub fn read(&self, json: &serde_json::Value) -> Option<Value> {
        crate::spec::value(self, json)
    }
}
