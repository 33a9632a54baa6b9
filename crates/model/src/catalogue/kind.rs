//! What is known of one kind of component, whoever declares one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Key;
use super::read::{duration, duration_opt};
use crate::rates::Unit;
use crate::topology::Plane;

/// One kind of component: a service of AWS, a program of our own, a thing that somebody else runs.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// As `kind:` names it, such as `aws.rds`.
    #[serde(default)]
    pub name: String,
    pub title: String,
    /// One or two sentences: what it is for in a recovery.
    pub about: String,
    pub plane: Plane,
    pub scope: Scope,
    /// Where the control plane of a global kind lives, such as `us-east-1`.
    #[serde(default)]
    pub home: Option<String>,
    /// Whether this version runs it; the others can only be assessed.
    #[serde(default)]
    pub runs: bool,
    /// The groups of keys that it shares with other kinds.
    pub facets: Vec<String>,
    /// Every key that a component of this kind can have: its own, and those of its facets.
    #[serde(default)]
    pub keys: BTreeMap<String, Key>,
    /// What holds of each component of this kind that says nothing else.
    #[serde(default)]
    pub defaults: BTreeMap<String, serde_json::Value>,
    /// The ways in which it can keep copies.
    #[serde(default)]
    pub replication: Vec<Mode>,
    #[serde(default)]
    pub fence: Option<Fence>,
    /// The calls of a recovery; of several with the same name, the first whose condition holds.
    #[serde(default)]
    pub acts: Vec<Act>,
    #[serde(default)]
    pub limits: Vec<Limit>,
    #[serde(default)]
    pub prices: Vec<Price>,
    /// What its provider promises.
    #[serde(default)]
    pub availability: Vec<Availability>,
    /// How it fails in a recovery, a sentence each.
    #[serde(default)]
    pub failure_modes: Vec<Fact>,
    /// The systems of the seeds that it stands for.
    #[serde(default)]
    pub seeds: Vec<String>,
}

impl Kind {
    pub fn key(&self, name: &str) -> Option<&Key> {
        self.keys.get(name)
    }
    /// The keys whose question somebody must answer.
    pub fn questions(&self) -> impl Iterator<Item = &Key> {
        self.keys.values().filter(|key| key.asks.is_some())
    }
    pub fn has_facet(&self, facet: &str) -> bool {
        self.facets.iter().any(|name| name == facet)
    }
    /// The mode of that name that crosses regions.
    pub fn across_regions(&self, mode: &str) -> Option<&Mode> {
        self.replication.iter().find(|m| m.cross_region && m.mode.word() == mode)
    }
    /// What is done when nothing is said about how.
    pub fn act(&self, name: ActName) -> Option<&Act> {
        self.acts.iter().find(|act| act.act == name && act.when.is_none())
    }
}

/// What can be lost at once with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Lives in one zone of a region.
    Zonal,
    /// Lives in one region, over its zones.
    Regional,
    /// One for all regions; its control plane has a home.
    Global,
}

/// A way to keep copies, and what is lost with it.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mode {
    pub mode: ReplicationMode,
    /// The copies are in other regions.
    #[serde(default)]
    pub cross_region: bool,
    /// The copies are in other zones of the region.
    #[serde(default)]
    pub zones: bool,
    /// Lost on an ordinary day.
    #[serde(default, deserialize_with = "duration_opt")]
    pub rpo_typical: Option<Duration>,
    /// Lost on a bad one; nothing bounds it when absent.
    #[serde(default, deserialize_with = "duration_opt")]
    pub rpo_worst: Option<Duration>,
    /// The copy can be written to.
    #[serde(default)]
    pub secondary_writable: bool,
    /// The copy can be read.
    #[serde(default)]
    pub secondary_readable: bool,
    pub promotion: Promotion,
    pub source: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplicationMode {
    None,
    Asynchronous,
    Synchronous,
    MultiWriter,
}

impl ReplicationMode {
    pub const ALL: [ReplicationMode; 4] = [Self::None, Self::Asynchronous, Self::Synchronous, Self::MultiWriter];
    /// As the key `replication` says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Asynchronous => "asynchronous",
            Self::Synchronous => "synchronous",
            Self::MultiWriter => "multi-writer",
        }
    }
}

/// Who makes the copy the writer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promotion {
    /// Somebody, or a runbook, has to ask for it.
    Manual,
    /// The service does it by itself.
    Automatic,
    /// Nothing has to be promoted: every copy takes writes, or the copy is only read.
    None,
}

/// How its old writer is kept from writing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fence {
    pub how: String,
    /// Whether it can refuse a writer with an old epoch by itself.
    pub checks_epoch: bool,
    pub source: String,
}

/// What is done to a component during a recovery.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActName {
    Detect,
    Fence,
    Promote,
    Restore,
    Start,
    Scale,
    Deploy,
    Shift,
    /// Copies begin to flow in the other direction.
    Follow,
}

/// One call that a recovery makes, where it is answered, and how long it takes.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    pub act: ActName,
    /// Only when this key is true; not true with `!` before it; or the word after `=`.
    #[serde(default)]
    pub when: Option<String>,
    /// The call as the service names it, such as `rds:PromoteReadReplica`.
    pub call: String,
    pub plane: CallPlane,
    pub home: Home,
    #[serde(deserialize_with = "duration")]
    pub p50: Duration,
    #[serde(deserialize_with = "duration")]
    pub p95: Duration,
    /// What to do instead where a recovery must not depend on it, if that is another thing than for most kinds.
    #[serde(default)]
    pub instead: Option<String>,
    /// Where the times come from: a page, a seed, or `prior: ` and the reason.
    pub source: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallPlane {
    Control,
    Data,
}

/// Who has to be alive for a call to be answered.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Home {
    /// The region that is moved to.
    Target,
    /// The region that is left.
    Source,
    /// Spread over many places; no single region is needed.
    Everywhere,
    /// This region, wherever the workload is.
    Region(String),
}

impl From<String> for Home {
    fn from(word: String) -> Self {
        match word.as_str() {
            "target" => Home::Target,
            "source" => Home::Source,
            "everywhere" => Home::Everywhere,
            _ => Home::Region(word),
        }
    }
}

impl From<Home> for String {
    fn from(home: Home) -> Self {
        match home {
            Home::Target => "target".into(),
            Home::Source => "source".into(),
            Home::Everywhere => "everywhere".into(),
            Home::Region(region) => region,
        }
    }
}

/// A limit of the service, with its unit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub name: String,
    pub value: String,
    pub source: String,
}

/// The share of a month in which the provider promises that it answers.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Availability {
    /// Percent, such as 99.99.
    pub percent: f64,
    pub zones: Zones,
    pub source: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Zones {
    One,
    Several,
}

/// A sentence and where it comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    pub says: String,
    pub source: String,
}

/// A line of the bill.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// As the rates file names it, such as `rds.instance-hour`; `{key}` stands for the value of a key.
    pub item: String,
    /// How many units, as a product of keys, numbers and `regions` joined by ` * `. A size counts in GB, a flow in GB a
    /// month, a rate in what comes in a month.
    pub quantity: String,
    /// What one unit is.
    pub unit: Unit,
    /// Only when this key is true; not true with `!` before it; or the word after `=`.
    #[serde(default)]
    pub when: Option<String>,
    pub category: Category,
    #[serde(default)]
    pub charged: Charged,
}

/// The cost categories of seed 003 section 17.1, in its order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    Compute,
    Endpoints,
    ReplicationTransfer,
    RegionTransfer,
    Storage,
    Database,
    Monitoring,
    Security,
    Backup,
    HealthChecks,
    RoutingControl,
    Drills,
    Engineering,
    Training,
    Evidence,
}

impl Category {
    pub const ALL: [Category; 15] = [
        Category::Compute,
        Category::Endpoints,
        Category::ReplicationTransfer,
        Category::RegionTransfer,
        Category::Storage,
        Category::Database,
        Category::Monitoring,
        Category::Security,
        Category::Backup,
        Category::HealthChecks,
        Category::RoutingControl,
        Category::Drills,
        Category::Engineering,
        Category::Training,
        Category::Evidence,
    ];

    /// As seed 003 names it.
    pub fn title(self) -> &'static str {
        match self {
            Category::Compute => "compute, duplicate or standby",
            Category::Endpoints => "load balancers and API endpoints",
            Category::ReplicationTransfer => "data replication transfer",
            Category::RegionTransfer => "inter-region data transfer",
            Category::Storage => "replicated storage",
            Category::Database => "database replicas and global databases",
            Category::Monitoring => "monitoring and logging",
            Category::Security => "security tooling per region",
            Category::Backup => "backup copies",
            Category::HealthChecks => "Route 53 health checks",
            Category::RoutingControl => "ARC features",
            Category::Drills => "operational drills",
            Category::Engineering => "engineering complexity",
            Category::Training => "incident response training",
            Category::Evidence => "compliance evidence",
        }
    }
}

/// Where a price is paid.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Charged {
    /// In each site of the component.
    #[default]
    EachSite,
    /// In each site but the one that works: copies and standbys.
    EachStandby,
    /// Once, wherever it is.
    Once,
}
