//! What is known of the systems that a spec can name, in data: `crates/model/data`.
//!
//! A *kind* is such a system; a *facet* is a group of keys that several kinds share. What a component may say is the
//! keys of its kind; what is true of it without saying is in its kind's replication modes, acts, limits and prices. Every
//! number names its source; one that nobody publishes is a prior, and says why.

mod file_page;
mod key;
mod kind;
mod page;
mod read;

use std::collections::BTreeMap;
use std::sync::LazyLock;

pub use crate::rates::Unit;
pub use key::{Key, Question, Type};
pub use kind::{
    Act, ActName, Availability, CallPlane, Category, Charged, Fact, Fence, Home, Kind, Limit, Mode, Price, Promotion,
    ReplicationMode, Scope, Zones,
};
pub use page::{kind_section, pages, place, scope, takes};
use serde::{Deserialize, Serialize};

/// A documented group of keys that several kinds share.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facet {
    #[serde(skip)]
    pub name: String,
    pub about: String,
    /// Its keys stand together under this key, as in `backup: { every: 1h }`.
    #[serde(default)]
    pub under: Option<String>,
    /// By name as it is written, without the group.
    pub keys: BTreeMap<String, Key>,
}

/// A system that a seed names, and how a spec names it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// As the seed says it.
    pub system: String,
    pub kinds: Vec<String>,
    /// Where: "seed 000 beginner 4".
    pub seed: String,
}

#[derive(Debug)]
pub struct Catalogue {
    facets: BTreeMap<String, Facet>,
    /// The groups of `practice:`.
    practice: Vec<Facet>,
    kinds: BTreeMap<String, Kind>,
    named: Vec<Named>,
}

/// The one catalogue, read when first asked for.
pub fn catalogue() -> &'static Catalogue {
    static READ: LazyLock<Catalogue> = LazyLock::new(read::catalogue);
    &READ
}

impl Catalogue {
    pub fn kind(&self, name: &str) -> Option<&Kind> {
        self.kinds.get(name)
    }
    /// By name.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.values()
    }
    pub fn facet(&self, name: &str) -> Option<&Facet> {
        self.facets.get(name)
    }
    pub fn facets(&self) -> impl Iterator<Item = &Facet> {
        self.facets.values()
    }
    /// The groups of `practice:`.
    pub fn practice(&self) -> &[Facet] {
        &self.practice
    }
    /// The keys of `practice:`, by name with their group.
    pub fn practice_keys(&self) -> impl Iterator<Item = &Key> + Clone {
        self.practice.iter().flat_map(|facet| facet.keys.values())
    }
    /// Every system that the seeds name.
    pub fn named(&self) -> &[Named] {
        &self.named
    }
}
