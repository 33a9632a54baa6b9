//! A design as the rules look at it: what several of them would otherwise work out again.

use std::collections::BTreeMap;
use std::time::Duration;

use model::catalogue::{ActName, Mode, Promotion, Scope, Zones};
use model::design::{Site, Strategy};
use model::findings::When;
use model::topology::Plane;
use model::{ComponentId, Date, Design, Part, SiteId};

use crate::forecast::backed_up_away;

/// Everything that a rule may know. It has no clock: `today` is given.
pub struct View<'d> {
    pub design: &'d Design,
    pub today: Date,
    pub regions: Vec<&'d Site>,
    /// The regions that answer users when all is well.
    pub serving: Vec<&'d Site>,
    by_id: BTreeMap<&'d ComponentId, &'d Part>,
    several_writers: bool,
}

/// Policies that let more than one region answer at a time.
const SPREADING: [&str; 5] = ["weighted", "latency", "geolocation", "geoproximity", "multivalue"];

impl<'d> View<'d> {
    pub fn new(design: &'d Design, today: Date) -> Self {
        let regions: Vec<&Site> = design.regions().collect();
        let by_id = design.components.iter().map(|part| (&part.id, part)).collect();
        let serving = serving(design, &regions);
        let several_writers = regions.len() > 1 && design.components.iter().any(several_writers);
        Self { design, today, regions, serving, by_id, several_writers }
    }

    pub fn part(&self, id: &ComponentId) -> Option<&'d Part> {
        self.by_id.get(id).copied()
    }
    pub fn parts(&self) -> impl Iterator<Item = &'d Part> {
        self.design.components.iter()
    }
    /// The components with these keys.
    pub fn with(&self, facet: &'static str) -> impl Iterator<Item = &'d Part> {
        self.parts().filter(move |part| part.kind.has_facet(facet))
    }
    pub fn several_regions(&self) -> bool {
        self.regions.len() > 1
    }
    /// Whether users of more than one region are answered where they are.
    pub fn active_active(&self) -> bool {
        self.serving.len() > 1
    }
    /// The regions that are not in `sites`.
    pub fn missing(&self, sites: &[SiteId]) -> Vec<SiteId> {
        self.regions.iter().map(|region| &region.id).filter(|id| !sites.contains(id)).cloned().collect()
    }
    pub fn rto(&self) -> Option<Duration> {
        self.design.objectives.rto
    }
    pub fn rpo(&self) -> Option<Duration> {
        self.design.objectives.rpo
    }
    /// The class of data that this component holds: its own, else the workload's.
    pub fn class(&self, part: &'d Part) -> Option<&'d str> {
        part.text("holds").or(self.design.objectives.data_class.as_deref())
    }
    /// The regions approved for `class`, when somebody listed them.
    pub fn approved(&self, class: &str) -> Option<&'d [SiteId]> {
        self.design.residency.get(class).map(Vec::as_slice)
    }
    /// The stores of data; not images and registries, which have copies as well and hold nothing that could be lost.
    pub fn stores(&self) -> impl Iterator<Item = &'d Part> {
        self.parts().filter(|part| store(part))
    }
    /// The components of the traffic plane that choose between regions.
    pub fn routers(&self) -> impl Iterator<Item = &'d Part> {
        self.with("traffic")
    }
    /// Whether a component of such a kind, or with such a facet, is declared.
    pub fn declares(&self, kinds_or_facets: &[String]) -> bool {
        let any = |part: &Part| kinds_or_facets.iter().any(|name| part.kind.name == *name || part.kind.has_facet(name));
        !kinds_or_facets.is_empty() && self.parts().any(any)
    }
    /// Days since `day`; a day to come counts as today.
    pub fn age(&self, day: Date) -> u64 {
        u64::try_from(self.today.days_since(day)).unwrap_or(0)
    }
    /// The regions that must carry the load when another one is lost.
    pub fn receiving(&self) -> Vec<&'d Site> {
        if self.active_active() { self.serving.clone() } else { self.design.others().collect() }
    }
    /// What one of them must carry then: the whole peak, or its share where several remain.
    pub fn share(&self, peak: u64) -> u64 {
        let remaining = if self.active_active() { self.serving.len().saturating_sub(1).max(1) as u64 } else { 1 };
        peak.div_ceil(remaining)
    }
    /// Whether `condition` holds, of `part` where it is about one.
    pub fn holds(&self, condition: When, part: Option<&Part>) -> bool {
        match (condition, part) {
            (When::SeveralRegions, _) => self.several_regions(),
            (When::Classified, _) => self.design.objectives.data_class.is_some() || !self.design.residency.is_empty(),
            (When::SeveralWriters, None) => self.several_writers,
            (When::SingleWriter, None) => self.stores().any(single_writer),
            (_, None) => false,
            (When::Record, Some(part)) => record(part),
            (When::Projection, Some(part)) => part.answered("projection_of"),
            (When::Replicated, Some(part)) => replicated(part),
            (When::Unreplicated, Some(part)) => unreplicated(part),
            (When::Replicable, Some(part)) => replicable(part),
            (When::Asynchronous, Some(part)) => replicated(part) && part.word("replication") == Some("asynchronous"),
            (When::SingleWriter, Some(part)) => single_writer(part),
            (When::SeveralWriters, Some(part)) => several_writers(part),
            (When::BackedUp, Some(part)) => backed_up(part),
            (When::Checked, Some(part)) => part.answered("check.path"),
            (When::ZoneAware, Some(part)) => part.kind.replication.iter().any(|mode| mode.zones && !mode.cross_region),
            (When::Objects, Some(part)) => objects(part),
            (When::Alarmed, Some(part)) => part.mentions("alarm"),
            (When::RunsCode, Some(part)) => part.plane() == Plane::Compute,
            (When::KeepsRecords, Some(part)) => RECORDS.contains(&part.kind.name.as_str()),
            (When::HasRules, Some(part)) => RULES.contains(&part.kind.name.as_str()),
            (When::Dns, Some(part)) => matches!(part.kind.name.as_str(), "aws.route53" | "dns"),
        }
    }
    /// Whether all of them hold.
    pub fn all(&self, conditions: &[When], part: Option<&Part>) -> bool {
        conditions.iter().all(|condition| self.holds(*condition, part))
    }
}

/// Controls that keep a record of what happened.
const RECORDS: [&str; 4] = ["aws.cloudtrail", "aws.config", "audit-log", "logs"];
/// Controls that somebody writes rules for.
const RULES: [&str; 4] = ["aws.waf", "aws.security-group", "aws.organizations", "aws.config"];

/// By the traffic's policy; where that says nothing, by the declared strategy.
fn serving<'d>(design: &'d Design, regions: &[&'d Site]) -> Vec<&'d Site> {
    let policies: Vec<&str> = design.with_facet("traffic").filter_map(|part| part.word("policy")).collect();
    let weighted = |region: &&Site| region.traffic_weight.unwrap_or(if region.preferred { 100 } else { 0 }) > 0;
    let declared = design.strategy == Some(Strategy::ActiveActive);
    let spread: Vec<&Site> = match policies.iter().find(|policy| SPREADING.contains(policy)) {
        Some(&"weighted") => regions.iter().copied().filter(weighted).collect(),
        Some(_) => regions.to_vec(),
        None if declared && policies.is_empty() => regions.to_vec(),
        None => Vec::new(),
    };
    if spread.is_empty() { design.preferred().into_iter().collect() } else { spread }
}

/// The way in which it keeps copies in other regions.
pub fn mode(part: &Part) -> Option<&Mode> {
    part.kind.across_regions(part.word("replication")?)
}

pub fn store(part: &Part) -> bool {
    part.kind.has_facet("data") && part.plane() == Plane::Data
}

pub fn record(part: &Part) -> bool {
    part.bool("system_of_record") == Some(true)
}

/// Also what nobody has said to be something else: its loss is counted until somebody does.
pub fn counts_as_record(part: &Part) -> bool {
    part.bool("system_of_record").unwrap_or(!part.answered("projection_of"))
}

/// Whether its kind can keep copies in other regions at all.
pub fn replicable(part: &Part) -> bool {
    part.kind.replication.iter().any(|mode| mode.cross_region)
}

/// Whether it surely has no copies in another region: it says so, or its kind has none to offer.
pub fn unreplicated(part: &Part) -> bool {
    match part.word("replication") {
        Some("none") => true,
        Some(_) => !replicated(part),
        None => !part.kind.replication.is_empty() && !replicable(part),
    }
}

/// Whether copies in another region follow it.
pub fn replicated(part: &Part) -> bool {
    let copies = part.sites.len() > 1 || part.kind.scope == Scope::Global;
    copies && matches!(part.word("replication"), Some("asynchronous" | "synchronous" | "multi-writer"))
}

pub fn several_writers(part: &Part) -> bool {
    store(part)
        && part.sites.len() > 1
        && (part.word("writers").is_some_and(|writers| writers != "single")
            || (!part.answered("writers") && part.word("replication") == Some("multi-writer")))
}

/// A replicated store with one writing region, whose copy has to be promoted.
pub fn single_writer(part: &Part) -> bool {
    let writable_copy = mode(part).is_some_and(|mode| mode.secondary_writable && mode.promotion == Promotion::None);
    store(part) && replicated(part) && !several_writers(part) && !writable_copy
}

/// Whether it keeps objects, which have versions, rather than rows.
pub fn objects(part: &Part) -> bool {
    matches!(part.kind.name.as_str(), "aws.s3" | "object-store")
}

pub fn backed_up(part: &Part) -> bool {
    part.answered("backup.every") || part.bool("backup.point_in_time") == Some(true)
}

/// What the loss of a region can lose of a copy, when something bounds it: as the spec says, where the writer waits rather
/// than exceed a bound, or as its kind is known to behave.
pub fn worst_loss(part: &Part) -> Option<Duration> {
    let said = part.duration("rpo_worst").or_else(|| part.duration("rpo_bound"));
    said.or_else(|| mode(part)?.rpo_worst)
}

/// Whether its check is what moves traffic to another region: that of a router, or a health check that stands alone.
pub fn decides(part: &Part) -> bool {
    part.kind.has_facet("traffic") || part.kind.name == "aws.route53-health-check"
}

/// After how long a check or an alarm of this component says that something is wrong, and how that was worked out.
pub fn detection(part: &Part) -> Option<(Duration, String)> {
    let product = |every: &str, times: &str| {
        let (every, times) = (part.duration(every)?, u32::try_from(part.count(times)?).ok()?);
        let words = format!("{times} times {}", model::time::human(every));
        Some((every.saturating_mul(times), words))
    };
    let check = part.answered("check.path").then(|| product("check.every", "check.failures")).flatten();
    check.into_iter().chain(product("alarm.period", "alarm.evaluations")).min_by_key(|(time, _)| *time)
}

/// How long promoting it takes when it takes long.
pub fn promotion(part: &Part) -> Option<Duration> {
    single_writer(part).then(|| part.act(ActName::Promote)).flatten().map(|act| act.p95)
}

/// A store without a copy is restored, and that is its recovery. So is one of which only a backup is known to be elsewhere.
pub fn restored(view: &View<'_>, part: &Part) -> bool {
    let elsewhere = view.design.preferred().is_some_and(|preferred| backed_up_away(part, &preferred.id));
    let only_backups = !part.answered("replication") && backed_up(part) && elsewhere;
    view.several_regions() && counts_as_record(part) && (unreplicated(part) || only_backups)
}

/// Whether it surely stands in one zone: it says so, it is one machine, or it has to be put into zones and the regions that
/// serve have one.
pub fn in_one_zone(view: &View<'_>, part: &Part) -> bool {
    let machine = part.kind.scope == Scope::Zonal && part.count("peak").unwrap_or(1) == 1;
    let placed = part.kind.availability.iter().any(|promise| promise.zones == Zones::One);
    let one = || machine || (placed && view.serving.iter().all(|site| site.zones.len() == 1));
    part.bool("zones_spread").map_or_else(one, |spread| !spread)
}

/// How long restoring it takes: as measured, else what the kind says.
pub fn restore(part: &Part) -> Option<Duration> {
    part.duration("backup.restore_time").or_else(|| part.act(ActName::Restore).map(|act| act.p95))
}

/// Instances of this component in a region: what it needs there, what stands ready, and what it may grow to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capacity {
    pub need: u64,
    pub ready: u64,
    pub most: u64,
}

impl Capacity {
    /// `None` when nobody says how much it needs, or how much stands ready.
    pub fn of(view: &View<'_>, part: &Part, site: &Site) -> Option<Self> {
        let peak = part.count("peak")?;
        let need = view.share(peak);
        let at = part.at(&site.id);
        let share = |percent: f64| (peak as f64 * percent / 100.0 + 1e-9).floor() as u64;
        let percent = at.percent("capacity").or(site.capacity);
        let ready = percent.map(share).or_else(|| at.count("minimum"))?;
        let grows = part.bool("autoscale").unwrap_or_else(|| part.act(ActName::Scale).is_some());
        let most = at.count("maximum").unwrap_or(if grows { need } else { ready }).max(ready);
        Some(Self { need, ready, most })
    }
}

/// How long it takes to grow to what it needs in `site`; `None` when nothing has to grow, or nobody knows.
pub fn growth(view: &View<'_>, part: &Part, site: &Site) -> Option<Duration> {
    let capacity = Capacity::of(view, part, site)?;
    let known = part.duration("warm_up").or_else(|| part.act(ActName::Scale).map(|act| act.p95));
    (capacity.ready < capacity.need).then_some(known).flatten()
}

/// How long clients may go on using an old answer: the TTL, or what they are known to keep.
pub fn cached(part: &Part) -> Option<Duration> {
    part.duration("ttl").into_iter().chain(part.duration("clients.cache")).max()
}

/// The name by which AWS knows a site's region, when it is one.
pub fn aws_region(site: &Site) -> Option<&str> {
    let name = site.region.as_deref().unwrap_or(site.id.as_str());
    let (place, number) = name.rsplit_once('-')?;
    let words = place.split('-').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()));
    (words && place.contains('-') && number.len() == 1 && number.bytes().all(|b| b.is_ascii_digit())).then_some(name)
}
