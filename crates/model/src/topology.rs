//! A checked workload: what the spec means, with every name resolved and every default filled in.
//!
//! `spec` turns the file into this. Nothing else makes one, so whoever holds a `Topology` may rely on its rules:
//! exactly one database, one DNS zone and at least one fleet; two or more regions and one witness; exactly one preferred region.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ComponentId, Person, Policy, SiteId, Usd};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Topology {
    pub workload: String,
    /// The artifact that every region runs (seed 003 section 13.1, rule 1).
    pub artifact: String,
    pub objectives: Objectives,
    /// Regions approved for each data class. A class that is not listed may be held anywhere.
    pub residency: BTreeMap<String, Vec<SiteId>>,
    pub approvals: Approvals,
    pub failover: FailoverMode,
    pub sites: Vec<Site>,
    pub components: Vec<Component>,
    pub timing: Timing,
    pub drills: Vec<DrillSchedule>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Objectives {
    pub rto: Duration,
    pub rpo: Duration,
    /// Percent, such as 99.95.
    pub availability: Option<f64>,
    /// How much longer a write may take in the other region (seed 001: below 100 ms).
    #[serde(default = "added_latency")]
    pub added_latency: Duration,
    pub data_class: Option<String>,
    /// Per month.
    pub budget: Option<Usd>,
}

/// What seed 001 asks for, and what holds when a spec says nothing.
pub fn added_latency() -> Duration {
    Duration::from_millis(100)
}

/// How many different people must agree, and who they may be.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Approvals {
    pub failover: u32,
    pub switchover: u32,
    pub failback: u32,
    /// To promote past the RPO or without a fence. At least two.
    pub accept_loss: u32,
    pub approvers: Vec<Person>,
    /// How long one person's word holds until the others must have given theirs, to break the glass.
    #[serde(default = "word_holds")]
    pub word_holds: Duration,
}

impl Approvals {
    /// People who must agree before the glass is broken.
    pub fn glass(&self) -> u32 {
        self.accept_loss.max(2)
    }
}

/// What holds when a spec says nothing: time to call a second person, and not so long that what the first one saw of a lost
/// site is stale.
pub fn word_holds() -> Duration {
    Duration::from_secs(15 * 60)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailoverMode {
    /// Propose, and wait for the approvals.
    #[default]
    Ask,
    /// Act at once on a majority's evidence, within the RPO. Never overrides a safety rule.
    Automatic,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Site {
    pub id: SiteId,
    pub role: SiteRole,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteRole {
    Region {
        zones: Vec<String>,
        /// Where the workload lives when all is well.
        preferred: bool,
        /// Share of the fleets' peak that runs here while standing by, percent, 1 to 100.
        capacity: u32,
        /// Share of answers under the weighted policy.
        traffic_weight: u32,
        /// Geolocation codes that this region claims.
        geo: Vec<String>,
        latency: BTreeMap<String, u32>,
    },
    /// Holds no data; votes.
    Witness,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Plane {
    Traffic,
    Compute,
    Data,
    Control,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Component {
    pub id: ComponentId,
    pub plane: Plane,
    pub needs: Vec<ComponentId>,
    pub kind: ComponentKind,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComponentKind {
    Dns(Dns),
    Fleet(Fleet),
    Postgres(Postgres),
    Secret(Secret),
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Dns {
    pub zone: String,
    pub policy: Policy,
    pub ttl: Duration,
    /// Full names, without the trailing dot, and the fleet that each points to.
    pub records: BTreeMap<String, ComponentId>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Fleet {
    /// Program, found beside the spec, beside the `antipode` binary, or in PATH.
    pub command: String,
    pub args: Vec<String>,
    /// Shallow: the process answers.
    pub live: String,
    /// Deep: its dependencies work.
    pub ready: String,
    /// A request body and path that exercises a business-critical write; see `Verb::Exercise`.
    pub exercise: Option<String>,
    /// Instances at full load.
    pub peak: u32,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Postgres {
    pub database: String,
    pub replication: Replication,
    pub when_alone: WhenAlone,
    pub on_crash: OnCrash,
    /// Write-ahead log kept for a rewind, megabytes.
    pub wal_keep_mb: u32,
    /// Server settings by name, per site where they differ.
    pub settings: BTreeMap<String, String>,
    pub site_settings: BTreeMap<SiteId, BTreeMap<String, String>>,
    /// Named in exports of rows that only an old writer has.
    #[serde(default)]
    pub ledger: Ledger,
    /// `None`: none are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
}

/// Full backups and the log between them, kept in a vault at the witness.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Backup {
    /// Between two full backups.
    pub every: Duration,
    /// Every moment of this past can be restored.
    pub keep: Duration,
    /// What was committed is in the vault within this time: the recovery point of the backup.
    pub archive_every: Duration,
    /// Recovery time objective of a restore.
    pub restore_within: Duration,
}

/// Where a workload keeps its clients' own numbers of their writes (SAFETY.md item 13): tables with their schemas, such
/// as `shop.orders`, and the columns that, joined by hyphens, are the number, such as `web-17`.
pub type Ledger = BTreeMap<String, Vec<String>>;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Replication {
    Asynchronous,
    Synchronous,
}

/// What a synchronous writer does when no standby is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenAlone {
    /// Acknowledge nothing until a standby is back: no acknowledged write can be lost.
    Block,
    /// Record with the voters that no standby is in sync, then go on alone: none can be promoted without an override.
    Degrade,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnCrash {
    /// Start the server again where it stood; give up and fence when that fails.
    Restart,
    /// Fence at once, so that the other region takes over.
    Failover,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Secret {
    /// Environment variable in which the fleets that need it receive it.
    pub env: String,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DrillSchedule {
    pub fault: String,
    pub every: Duration,
}

/// Every duration that decides something. Named profiles fill them in; each can be set in the spec.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Timing {
    pub profile: String,
    /// L: how long a voter's promise lasts.
    pub lease: Duration,
    pub renew_every: Duration,
    /// One renewal's time-out, after which it is sent again on a new connection.
    pub renew_timeout: Duration,
    /// ρ: how much two clocks may drift apart, parts per million.
    pub clock_drift_ppm: u32,
    /// The holder stops this long before its own deadline.
    pub stop_margin: Duration,
    pub probe_every: Duration,
    pub probe_timeout: Duration,
    /// After this long without an answer from every vantage point's tries a site is suspected (TTL zero).
    pub suspect_after: Duration,
    /// After this long a majority of failing vantage points makes a site unreachable.
    pub unreachable_after: Duration,
    /// A writer whose region serves nobody for this long, though it can be reached, is moved as in a switchover.
    #[serde(default = "unready_after")]
    pub unready_after: Duration,
    /// An observation older than this is unknown.
    pub stale_after: Duration,
    /// How often the load balancer checks each instance.
    pub check_every: Duration,
    /// Longest that one request of the workload may take: the load balancer gives up on its reply then, and so does each
    /// try of [`crate::Verb::Exercise`].
    #[serde(default = "request_timeout")]
    pub request_timeout: Duration,
    /// A region must have been healthy this long before a failback to it.
    pub healthy_for: Duration,
    pub max_lag: Duration,
    pub step_deadlines: StepDeadlines,
}

/// Of a topology that was written down before this was known: the `standard` profile's.
fn unready_after() -> Duration {
    Duration::from_secs(10)
}

/// Likewise.
fn request_timeout() -> Duration {
    Duration::from_secs(5)
}

/// How long each kind of step may take before it counts as failed, with all its tries.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StepDeadlines {
    pub check: Duration,
    pub fence: Duration,
    pub promote: Duration,
    pub follow: Duration,
    pub scale: Duration,
    pub route: Duration,
    pub exercise: Duration,
}

impl Topology {
    pub fn regions(&self) -> impl Iterator<Item = &Site> {
        self.sites.iter().filter(|s| matches!(s.role, SiteRole::Region { .. }))
    }
    pub fn site(&self, id: &SiteId) -> Option<&Site> {
        self.sites.iter().find(|s| s.id == *id)
    }
    pub fn is_region(&self, id: &SiteId) -> bool {
        self.regions().any(|s| s.id == *id)
    }
    pub fn preferred(&self) -> &SiteId {
        let preferred = self.regions().find(|s| matches!(s.role, SiteRole::Region { preferred: true, .. }));
        &preferred.expect("a checked topology has a preferred region").id
    }
    pub fn witness(&self) -> &SiteId {
        &self.sites.iter().find(|s| s.role == SiteRole::Witness).expect("a checked topology has a witness").id
    }
    /// The regions other than `id`.
    pub fn others<'a>(&'a self, id: &'a SiteId) -> impl Iterator<Item = &'a SiteId> {
        self.regions().map(|s| &s.id).filter(move |s| *s != id)
    }
    /// Votes needed for a decision: more than half of all sites.
    pub fn majority(&self) -> usize {
        self.sites.len() / 2 + 1
    }
    pub fn database(&self) -> (&ComponentId, &Postgres) {
        let found = self.components.iter().find_map(|c| match &c.kind {
            ComponentKind::Postgres(postgres) => Some((&c.id, postgres)),
            _ => None,
        });
        found.expect("a checked topology has a database")
    }
    pub fn fleets(&self) -> impl Iterator<Item = (&ComponentId, &Fleet)> {
        self.components.iter().filter_map(|c| match &c.kind {
            ComponentKind::Fleet(fleet) => Some((&c.id, fleet)),
            _ => None,
        })
    }
    pub fn dns(&self) -> (&ComponentId, &Dns) {
        let found = self.components.iter().find_map(|c| match &c.kind {
            ComponentKind::Dns(dns) => Some((&c.id, dns)),
            _ => None,
        });
        found.expect("a checked topology has a DNS zone")
    }
    pub fn secrets(&self) -> impl Iterator<Item = (&ComponentId, &Secret)> {
        self.components.iter().filter_map(|c| match &c.kind {
            ComponentKind::Secret(secret) => Some((&c.id, secret)),
            _ => None,
        })
    }
    /// Whether `site` may hold this workload's class of data (seed 003 section 18.2).
    pub fn approved(&self, site: &SiteId) -> bool {
        let class = self.objectives.data_class.as_ref();
        class.and_then(|class| self.residency.get(class)).is_none_or(|sites| sites.contains(site))
    }
    /// Instances of a fleet with this peak that run in `site` while it stands by; never fewer than one.
    pub fn standby_instances(&self, site: &SiteId, peak: u32) -> u32 {
        match self.site(site).map(|s| &s.role) {
            Some(SiteRole::Region { capacity, .. }) => (peak * capacity).div_ceil(100).max(1),
            _ => 0,
        }
    }
}
