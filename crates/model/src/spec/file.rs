//! The shape of `antipode.yaml`: its keys, their types and, in the comments, what they mean.
//!
//! The JSON Schema is made from these types, and the schema is what a file is checked against: a key that is
//! not here is unknown everywhere.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::quantity::{Dollars, Interval, LONGEST, Length, Loss, Megabytes, Monthly, Percent};
use crate::Policy;
use crate::design::{Manage, Strategy, Survives, Users, Writes};
use crate::topology::{FailoverMode, OnCrash, Replication, WhenAlone};

/// A workload, where it runs, and what its business can bear when a region is lost.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "antipode.yaml")]
pub(crate) struct File {
    /// The name of the workload: lower-case letters, digits and hyphens.
    pub workload: String,
    /// The version that every region runs.
    pub artifact: Option<String>,
    pub objectives: Objectives,
    /// For each data class, the regions approved to hold it. A class that is not listed may be held anywhere.
    #[serde(default)]
    pub residency: BTreeMap<String, Vec<String>>,
    pub approvals: Option<Approvals>,
    /// What happens when a majority finds the writing region lost: propose and wait for approval, or act.
    #[serde(default)]
    pub failover: FailoverMode,
    /// What a disaster costs the business.
    #[serde(default)]
    pub losses: Losses,
    /// The strategy that the team believes in. The assessment chooses for itself, and says so when it differs.
    pub strategy: Option<Strategy>,
    /// How the components of AWS are looked after.
    pub aws: Option<Aws>,
    pub controller: Option<Controller>,
    /// The regions, and the witness. What is to be run has two regions and one witness.
    pub sites: Ordered<Site>,
    #[serde(default)]
    pub timing: Timing,
    /// The parts of the workload. What is to be run has one postgres, one dns, and at least one fleet.
    pub components: Ordered<Component>,
    /// What to rehearse, and how often. Default: corrupted-data each week, region-loss each month, all drills each
    /// quarter, and a rebuild each year.
    pub drills: Option<Vec<Drill>>,
}

/// What the business has agreed to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Objectives {
    /// Recovery time objective: how long clients may go without service.
    pub rto: Option<Length>,
    /// Recovery point objective: how much acknowledged work may be lost. `0s` needs synchronous replication.
    pub rpo: Option<Length>,
    /// Share of a month in which the workload answers.
    pub availability: Option<Percent>,
    /// How much longer a write may take after a failover than before it. Default: 100ms.
    pub added_latency: Option<Length>,
    /// The class of data held; `residency` says where it may be.
    pub data_class: Option<String>,
    pub budget: Option<Monthly>,
    /// How long a user's request may take.
    pub latency: Option<Length>,
    /// What the business cannot do without, such as `[open-case, escalate]`.
    pub workflows: Option<Vec<String>>,
    /// What the workload must outlive: the loss of a zone, or of a region.
    pub survives: Option<Survives>,
    /// Where the users are.
    pub users: Option<Users>,
    /// Where writes have to be taken.
    pub writes: Option<Writes>,
    /// Whether the business can live with conflicting writes, and resolve them.
    pub conflicts: Option<bool>,
}

impl Objectives {
    /// As agreed; longer than anybody waits when nothing is agreed, which only a spec that is not run can leave open.
    pub fn rto(&self) -> Duration {
        self.rto.map_or(LONGEST, |length| length.0)
    }
    /// Likewise.
    pub fn rpo(&self) -> Duration {
        self.rpo.map_or(LONGEST, |length| length.0)
    }
}

/// What a disaster costs the business.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Losses {
    /// Of a time without service, such as `2000 USD/h`.
    pub downtime: Option<Loss>,
    /// Of a time of acknowledged work that is lost, such as `500 USD/min`.
    pub data: Option<Loss>,
    /// Of one decision made on wrong or conflicting data, such as `300 USD`.
    pub inconsistency: Option<Dollars>,
}

/// How the components of AWS are looked after.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aws {
    /// Adopt what exists, or render the templates that create it.
    pub manage: Option<Manage>,
    /// The role that a recovery assumes.
    pub role: Option<String>,
    /// The account of every site that names none.
    pub account: Option<String>,
}

/// Where the controller runs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Controller {
    /// A site of this file, or a region where nothing else of the workload is.
    pub site: String,
}

/// Who may approve, and how many different people each kind of run needs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Approvals {
    /// The people who may ask for, approve and abort runs.
    pub approvers: Vec<String>,
    /// Approvals of a failover that is not automatic.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 9))]
    pub failover: u32,
    /// Approvals of a planned switchover.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 9))]
    pub switchover: u32,
    /// Approvals of a failback. It is never automatic.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 9))]
    pub failback: u32,
    /// People who must accept the loss before anything is promoted past the RPO or without a fence.
    #[serde(default = "two", rename = "override")]
    #[schemars(range(min = 2, max = 9))]
    pub accept_loss: u32,
    /// How long the first word to break the glass waits for the second. Default: 15m.
    pub word_holds: Option<Length>,
}

fn one() -> u32 {
    1
}
fn two() -> u32 {
    2
}

/// A region, or the witness.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Site {
    /// Holds no data and votes. Exactly one site is the witness.
    #[serde(default)]
    pub witness: bool,
    /// Failure domains within the region; two or more let it lose one.
    pub zones: Option<Vec<String>>,
    /// Where the workload lives when all is well. Exactly one region is preferred.
    pub preferred: Option<bool>,
    /// Share of the fleets' peak that runs here while standing by, 1% to 100%. Default: 100%.
    pub capacity: Option<Percent>,
    /// Share of answers under the weighted policy. Default: 100 in the preferred region, 0 elsewhere.
    #[schemars(range(min = 0, max = 1000))]
    pub traffic_weight: Option<u32>,
    /// Countries or continents (codes, or `*` for everybody else) answered from here under the geolocation policy.
    pub geo: Option<Vec<String>>,
    /// Expected latency from client networks (CIDR) under the latency policy; what is not run may name places instead.
    pub latency: Option<BTreeMap<String, Length>>,
    /// How far geoproximity routing stretches this region's share of the map, -99 to 99.
    #[schemars(range(min = -99, max = 99))]
    pub bias: Option<i32>,
    /// The region of AWS, when the site is not named by it.
    pub region: Option<String>,
    /// The account that the workload has here.
    pub account: Option<String>,
    /// What may be had here at most, by component or service, such as `web: 40`.
    pub quotas: Option<BTreeMap<String, u32>>,
    /// Whether networks, routes and security groups stand here.
    pub network: Option<bool>,
    /// Whether the workload is deployed here already.
    pub deployed: Option<bool>,
}

/// A named profile, and any of its values set apart.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Timing {
    #[serde(default)]
    pub profile: Profile,
    /// How long a voter's promise to the writer lasts; no other region can be promoted before it lapses.
    pub lease: Option<Length>,
    pub renew_every: Option<Length>,
    pub renew_timeout: Option<Length>,
    /// How much two clocks may drift apart.
    pub clock_drift: Option<Percent>,
    /// The writer stops this long before its own deadline.
    pub stop_margin: Option<Length>,
    pub probe_every: Option<Length>,
    pub probe_timeout: Option<Length>,
    /// After this long without an answer a site is suspected, and DNS answers carry TTL 0.
    pub suspect_after: Option<Length>,
    /// After this long without an answer to a majority a site is unreachable.
    pub unreachable_after: Option<Length>,
    /// A writer whose region serves nobody for this long, though it can be reached, is moved as in a switchover.
    pub unready_after: Option<Length>,
    /// An observation older than this counts as unknown.
    pub stale_after: Option<Length>,
    /// How often a load balancer checks each instance.
    pub check_every: Option<Length>,
    /// Longest that one request of the workload may take: a load balancer gives up on its reply then, and so does each try
    /// of the request that proves a new writer.
    pub request_timeout: Option<Length>,
    /// A region must have been healthy this long before a failback to it.
    pub healthy_for: Option<Length>,
    /// The replication lag that asynchronous replication is expected to stay below.
    pub max_lag: Option<Length>,
    #[serde(default)]
    pub deadlines: Deadlines,
}

/// How long each kind of step may take before it counts as failed, with all its tries.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deadlines {
    pub check: Option<Length>,
    pub fence: Option<Length>,
    pub promote: Option<Length>,
    pub follow: Option<Length>,
    pub scale: Option<Length>,
    pub route: Option<Length>,
    pub exercise: Option<Length>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Profile {
    /// For real networks: a lease of 5s.
    #[default]
    Standard,
    /// For quiet, near networks: a lease of 1s.
    Fast,
}

impl Profile {
    pub fn name(self) -> &'static str {
        match self {
            Profile::Standard => "standard",
            Profile::Fast => "fast",
        }
    }
}

/// One part of the workload; `kind` says which driver looks after it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Component {
    /// Traffic plane: our own authoritative DNS, one server in every site.
    Dns {
        /// The zone answered for, such as `case.example`.
        zone: String,
        #[serde(default = "failover_policy")]
        policy: Policy,
        /// How long clients may remember an answer. Default: 5s. At most 1d.
        ttl: Option<Length>,
        /// Names in the zone (`@` is the zone itself) and the fleet of each. Default: each fleet under its own name.
        records: Option<BTreeMap<String, String>>,
        #[serde(default)]
        needs: Vec<String>,
    },
    /// Compute plane: HTTP service processes behind a load balancer in each region.
    Fleet {
        /// The program: beside the spec, beside `antipode`, or in PATH.
        command: String,
        /// What it is started with.
        #[serde(default)]
        args: Vec<String>,
        /// Path that answers while the process lives. Default: /live.
        live: Option<String>,
        /// Path that answers when what the process needs works too. Default: /ready.
        ready: Option<String>,
        /// A business-critical write that proves the writer before traffic comes: `POST /path {"json": "body"}`.
        /// Each try has an Idempotency-Key of its own, which also replaces `{key}` in the body.
        exercise: Option<String>,
        /// Instances at full load.
        #[schemars(range(min = 1, max = 1000))]
        peak: u32,
        #[serde(default)]
        needs: Vec<String>,
    },
    /// Data plane: PostgreSQL, one writer and streaming replication.
    Postgres {
        /// The component that decides what is true. The postgres component must be.
        #[serde(default)]
        system_of_record: bool,
        /// Name of the database. Default: the component's name, hyphens as underscores.
        database: Option<String>,
        /// Default: synchronous when the RPO is 0s, else asynchronous.
        replication: Option<Replication>,
        /// What a synchronous writer does when no standby is left. Default: block.
        when_alone: Option<WhenAlone>,
        /// What happens when the server crashes in a healthy region. Default: restart.
        on_crash: Option<OnCrash>,
        /// Write-ahead log kept, so that an old primary can be rewound. Default: 1GB.
        wal_keep: Option<Megabytes>,
        /// Server settings in every region.
        #[serde(default)]
        settings: BTreeMap<String, Setting>,
        /// Server settings of single regions, over `settings`.
        #[serde(default)]
        site_settings: BTreeMap<String, BTreeMap<String, Setting>>,
        /// Where clients' own numbers of their writes are kept. Rows that are exported from an old writer before a
        /// failback carry them, so that people and the ledger of a drill know whose they are. Each table, with its
        /// schema, has the columns that make up the number.
        #[serde(default)]
        ledger: BTreeMap<String, Vec<String>>,
        backup: Option<Backup>,
        #[serde(default)]
        needs: Vec<String>,
    },
    /// Data plane: a secret that must be present and equal in every region.
    Secret {
        /// Environment variable that hands it to fleets. Default: the component's name in capitals.
        env: Option<String>,
    },
}

fn failover_policy() -> Policy {
    Policy::Failover
}

impl Component {
    pub fn kind(&self) -> &'static str {
        match self {
            Component::Dns { .. } => "dns",
            Component::Fleet { .. } => "fleet",
            Component::Postgres { .. } => "postgres",
            Component::Secret { .. } => "secret",
        }
    }
    pub fn needs(&self) -> &[String] {
        match self {
            Component::Dns { needs, .. } | Component::Fleet { needs, .. } | Component::Postgres { needs, .. } => needs,
            Component::Secret { .. } => &[],
        }
    }
}

/// A server setting's value: kept as written, whether it looks like a text, a number or a boolean.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Setting(pub String);

impl JsonSchema for Setting {
    fn schema_name() -> Cow<'static, str> {
        "Setting".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// Copies apart from replication: full backups and the log between them, in a vault at the witness.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backup {
    /// Between two full backups: 1m or more. The longer, the longer a restore takes.
    pub every: Interval,
    /// Every moment of this past can be restored. Default: 7d, and never less than `every`.
    pub keep: Option<Interval>,
    /// What was committed is in the vault within this time: 1s or more. Default: 1m.
    pub archive_every: Option<Interval>,
    /// Recovery time objective of a restore. Default: `objectives.rto`.
    pub restore_within: Option<Length>,
    /// Kept where whoever can delete the database cannot delete it. There is no other way.
    pub isolated: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Drill {
    pub fault: Fault,
    pub every: Interval,
}

/// What `antipode drill --list` names and explains, every drill at once, or what no drill does yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    RegionLoss,
    RegionPartition,
    DatabaseCrash,
    ControllerCrash,
    Switchover,
    ZoneLoss,
    AppStopped,
    GrayPause,
    SlowReplication,
    SecretMissing,
    StandbyTooSmall,
    DuplicateReplay,
    CorruptedData,
    DnsStuck,
    Flapping,
    FlappingLong,
    SecondDisaster,
    LeaseStoreLoss,
    FullDisk,
    All,
    Rebuild,
}

impl Fault {
    /// As it is written.
    pub fn name(self) -> String {
        let word = serde_json::to_value(self).expect("a word");
        word.as_str().unwrap_or_default().to_owned()
    }
}

/// A mapping in the order of the file: the order of sites numbers them.
#[derive(Debug)]
pub(crate) struct Ordered<T>(pub Vec<(String, T)>);

impl<T> Ordered<T> {
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().map(|(name, _)| name.as_str())
    }
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Ordered<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}s", T::schema_name()).into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<T>() })
    }
}
