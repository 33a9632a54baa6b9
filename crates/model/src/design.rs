//! Everything that a spec says, whether or not this version can run it: what is assessed, forecast and priced.
//!
//! A [`Topology`](crate::Topology) is what the machinery runs, checked and complete. A design may be incomplete: what
//! nobody said is absent here, and the assessment asks for it. Whoever reads one must bear any number of regions and
//! witnesses, none preferred, and components of every kind of the [catalogue](crate::catalogue).

use std::collections::BTreeMap;
use std::ops::Deref;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::catalogue::{Act, ActName, Kind, Mode};
use crate::topology::{Approvals, DrillSchedule, FailoverMode, Plane, Timing};
use crate::value::Rate;
use crate::{ComponentId, SiteId, Usd, Values};

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Design {
    pub workload: String,
    /// The version that every region runs.
    pub artifact: Option<String>,
    pub objectives: Objectives,
    pub losses: Losses,
    /// Regions approved for each data class. A class that is not listed may be held anywhere.
    pub residency: BTreeMap<String, Vec<SiteId>>,
    pub approvals: Option<Approvals>,
    /// What the team says that it does; the assessment chooses for itself.
    pub strategy: Option<Strategy>,
    /// `ask` when nobody said; [`Design::says`] tells.
    pub failover: FailoverMode,
    /// Where the controller runs: a site, or a region where nothing else is.
    pub controller: Option<SiteId>,
    pub aws: Option<Aws>,
    /// In the order of the file.
    pub sites: Vec<Site>,
    pub timing: Timing,
    /// In the order of the file.
    pub components: Vec<Part>,
    /// What people do: the groups of `practice:`, such as `failover.tested`.
    pub practice: Values,
    /// The usual ones when nobody said.
    pub drills: Vec<DrillSchedule>,
    /// Where each key stands.
    #[serde(skip)]
    pub places: Places,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Objectives {
    pub rto: Option<Duration>,
    pub rpo: Option<Duration>,
    /// Percent of a month, such as 99.95.
    pub availability: Option<f64>,
    /// How much longer a request may take from the other region.
    pub added_latency: Option<Duration>,
    /// How long a user's request may take.
    pub latency: Option<Duration>,
    pub data_class: Option<String>,
    /// Per month.
    pub budget: Option<Usd>,
    /// What the business cannot do without; `None` when nobody said.
    pub workflows: Option<Vec<String>>,
    pub survives: Option<Survives>,
    pub users: Option<Users>,
    pub writes: Option<Writes>,
    /// Whether the business can live with conflicting writes, and resolve them.
    pub conflicts: Option<bool>,
}

/// What the workload must outlive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Survives {
    Zone,
    Region,
}

/// Where the users are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Users {
    Local,
    National,
    Global,
}

/// Where writes have to be taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Writes {
    OneRegion,
    EveryRegion,
}

/// What a disaster costs the business.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Losses {
    /// Dollars in a time without service.
    pub downtime: Option<Rate>,
    /// Dollars for a time of lost data.
    pub data: Option<Rate>,
    /// Dollars for one decision made on wrong or conflicting data.
    pub inconsistency: Option<Usd>,
}

/// The strategies of seed 003 section 6, the simplest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Several zones of one region, and nothing elsewhere.
    SingleRegion,
    /// Backups in another region, restored when needed.
    BackupRestore,
    /// The data is kept in the other region; what serves it is started when needed.
    PilotLight,
    /// A small copy of everything runs in the other region, and grows when needed.
    WarmStandby,
    /// A copy of full size stands by in the other region.
    HotStandby,
    /// Several regions serve at the same time.
    ActiveActive,
}

impl Strategy {
    pub const ALL: [Strategy; 6] = [
        Self::SingleRegion,
        Self::BackupRestore,
        Self::PilotLight,
        Self::WarmStandby,
        Self::HotStandby,
        Self::ActiveActive,
    ];
    /// As a spec says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::SingleRegion => "single-region",
            Self::BackupRestore => "backup-restore",
            Self::PilotLight => "pilot-light",
            Self::WarmStandby => "warm-standby",
            Self::HotStandby => "hot-standby",
            Self::ActiveActive => "active-active",
        }
    }
}

/// How the components of AWS are looked after.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Aws {
    pub manage: Option<Manage>,
    /// The role that a recovery assumes.
    pub role: Option<String>,
    /// The account of all sites that name none.
    pub account: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Manage {
    /// Use what exists.
    Adopt,
    /// Write the templates that create it.
    Render,
}

/// A region, or a witness.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Site {
    pub id: SiteId,
    pub witness: bool,
    pub zones: Vec<String>,
    pub preferred: bool,
    /// Share of the peak that runs here while standing by, percent.
    pub capacity: Option<f64>,
    /// Share of answers under the weighted policy.
    pub traffic_weight: Option<u32>,
    /// Countries or continents that this region claims.
    pub geo: Vec<String>,
    /// From client networks (CIDR).
    pub latency: BTreeMap<String, Duration>,
    /// How far geoproximity routing stretches this region's share, -99 to 99.
    pub bias: Option<i32>,
    /// The region of AWS, when the site is not named by it.
    pub region: Option<String>,
    pub account: Option<String>,
    /// What may be had of each service here, by component or service.
    pub quotas: BTreeMap<String, u32>,
    /// Whether networks, routes and security groups stand.
    pub network: Option<bool>,
    /// Whether the workload is deployed here.
    pub deployed: Option<bool>,
}

/// One component: its kind, and what is said of it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Part {
    pub id: ComponentId,
    #[serde(serialize_with = "kind_name")]
    pub kind: &'static Kind,
    /// What it needs in order to work.
    pub needs: Vec<ComponentId>,
    /// The regions that it is in, in the order of the file; empty for a global kind that names none.
    pub sites: Vec<SiteId>,
    pub values: Values,
}

fn kind_name<S: Serializer>(kind: &&'static Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&kind.name)
}

/// A part answers like the bag of its values: `part.duration("lag")`.
impl Deref for Part {
    type Target = Values;
    fn deref(&self) -> &Values {
        &self.values
    }
}

impl Part {
    pub fn plane(&self) -> Plane {
        self.kind.plane
    }
    pub fn is_in(&self, site: &SiteId) -> bool {
        self.sites.contains(site)
    }
    /// The call that a recovery makes of this component, as it is declared.
    pub fn act(&self, name: ActName) -> Option<&'static Act> {
        self.act_if(name, |condition| self.holds(condition))
    }
    /// Likewise, at one site.
    pub fn act_at(&self, name: ActName, site: &SiteId) -> Option<&'static Act> {
        self.act_if(name, |condition| self.at(site).holds(condition))
    }
    fn act_if(&self, name: ActName, holds: impl Fn(&str) -> bool) -> Option<&'static Act> {
        let conditional = |act: &&'static Act| act.act == name && act.when.as_deref().is_some_and(&holds);
        self.kind.acts.iter().find(conditional).or_else(|| self.kind.act(name))
    }
    /// What its kind says of the way in which it is copied to other regions.
    pub fn across_regions(&self) -> Option<&'static Mode> {
        self.word("replication").and_then(|mode| self.kind.across_regions(mode))
    }
}

impl Design {
    pub fn regions(&self) -> impl Iterator<Item = &Site> {
        self.sites.iter().filter(|site| !site.witness)
    }
    pub fn witnesses(&self) -> impl Iterator<Item = &Site> {
        self.sites.iter().filter(|site| site.witness)
    }
    pub fn site(&self, id: &SiteId) -> Option<&Site> {
        self.sites.iter().find(|site| site.id == *id)
    }
    /// Where the workload lives when all is well: the preferred region, else the first.
    pub fn preferred(&self) -> Option<&Site> {
        self.regions().find(|site| site.preferred).or_else(|| self.regions().next())
    }
    /// The regions where it can go.
    pub fn others(&self) -> impl Iterator<Item = &Site> {
        let preferred = self.preferred().map(|site| &site.id);
        self.regions().filter(move |site| Some(&site.id) != preferred)
    }
    pub fn part(&self, id: &ComponentId) -> Option<&Part> {
        self.components.iter().find(|part| part.id == *id)
    }
    pub fn of_kind<'d>(&'d self, kind: &'d str) -> impl Iterator<Item = &'d Part> {
        self.components.iter().filter(move |part| part.kind.name == kind)
    }
    /// The components whose kind has these keys.
    pub fn with_facet<'d>(&'d self, facet: &'d str) -> impl Iterator<Item = &'d Part> {
        self.components.iter().filter(move |part| part.kind.has_facet(facet))
    }
    pub fn in_plane(&self, plane: Plane) -> impl Iterator<Item = &Part> {
        self.components.iter().filter(move |part| part.plane() == plane)
    }
    /// Whether the file has this key: `objectives.rpo`, `components.db.backup`.
    pub fn says(&self, path: &str) -> bool {
        self.places.0.contains_key(path)
    }
    /// The line of `path`, or of the nearest thing around it that stands in the file. Counts from 1.
    pub fn line(&self, path: &str) -> usize {
        self.places.line(path)
    }
    /// Whether `site` may hold this class of data.
    pub fn approved(&self, class: &str, site: &SiteId) -> bool {
        self.residency.get(class).is_none_or(|sites| sites.contains(site))
    }
}

/// The line of each key of the file by its path; items of lists by their position: `drills.0.every`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Places(pub(crate) BTreeMap<String, usize>);

impl Places {
    fn line(&self, path: &str) -> usize {
        let around = std::iter::successors(Some(path), |path| path.rsplit_once('.').map(|(around, _)| around));
        around.into_iter().find_map(|path| self.0.get(path)).copied().unwrap_or(1)
    }
}
