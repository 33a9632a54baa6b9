//! From a design to the roles that the engine moves: what decides the data is *the database*, what serves requests *the
//! fleet*, what chooses between regions *the zone*.
//!
//! Intuition: however many components there are, those that work at the same time are over when the slowest is. So a
//! thousand components are a handful of groups, and a failover of them is one failover.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::catalogue::{ActName, Mode, Promotion, Scope};
use model::design::{Site, Strategy};
use model::routing::Policy;
use model::spec::profiles;
use model::topology::{
    Approvals, Component, ComponentKind, Dns, FailoverMode, Fleet, Objectives, OnCrash, Plane, Postgres, Replication,
    SiteRole, StepDeadlines, Timing, Topology, WhenAlone,
};
use model::{ComponentId, Design, Part, Person, SiteId};
use rust_decimal::prelude::ToPrimitive;

use super::roles::{Acts, Clients, History, Loss, Model, People, Signal, Together};
use super::spread::{Sourced, Spread};
use super::summary::Secs;

/// What would never be over.
const NEVER: Duration = Duration::from_secs(365 * 86_400);
/// An objective that nobody gave, and a deadline that never strikes.
const LONG: Duration = Duration::from_secs(300 * 86_400);

/// A design as it is, or as it would be with another strategy.
#[derive(Clone)]
pub struct Variant<'d> {
    pub design: &'d Design,
    pub home: Site,
    /// The region that takes over. A design that names no second one has one that nothing is known of.
    pub away: Site,
    /// `None`: as it is declared.
    pub strategy: Option<Strategy>,
}

impl<'d> Variant<'d> {
    /// `None` when there is no region at all; or no second one, and the design is taken as it is.
    pub fn new(design: &'d Design, strategy: Option<Strategy>) -> Option<Self> {
        let home = design.preferred()?.clone();
        let class = design.objectives.data_class.as_deref();
        let allowed = |site: &&Site| class.is_none_or(|class| design.approved(class, &site.id));
        let second = design.others().find(allowed).or_else(|| design.others().next()).cloned();
        let away = match (second, strategy) {
            (Some(second), _) => second,
            (None, None) => return None,
            (None, Some(_)) => {
                let id = SiteId::new(UNNAMED);
                Site { id, preferred: false, capacity: None, region: None, latency: BTreeMap::new(), ..home.clone() }
            }
        };
        Some(Variant { design, home, away, strategy })
    }

    /// What of the peak runs in the other region before anything happens, 0 to 1.
    pub fn standing(&self, part: &Part) -> f64 {
        let declared = part.at(&self.away.id).percent("capacity").or(self.away.capacity).map(|percent| percent / 100.0);
        match self.strategy {
            None if !part.sites.is_empty() && !part.is_in(&self.away.id) => 0.0,
            None if part.at(&self.away.id).bool("stopped") == Some(true) => 0.0,
            None => declared.unwrap_or(1.0),
            Some(Strategy::SingleRegion | Strategy::BackupRestore | Strategy::PilotLight) => 0.0,
            Some(Strategy::WarmStandby) => declared.filter(|share| (0.01..0.995).contains(share)).unwrap_or(WARM),
            Some(Strategy::HotStandby | Strategy::ActiveActive) => 1.0,
        }
    }

    /// The mode in which its copies cross regions; `None` when it has none there.
    pub fn copies(&self, part: &'d Part) -> Option<&'d Mode> {
        let declared = part.word("replication").and_then(|word| part.kind.across_regions(word));
        let declared = declared.filter(|_| part.sites.is_empty() || part.is_in(&self.away.id));
        let best = || {
            let crossing = part.kind.replication.iter().filter(|mode| mode.cross_region);
            crossing.min_by_key(|mode| mode.rpo_worst.or(mode.rpo_typical).unwrap_or(NEVER))
        };
        match self.strategy {
            None => declared,
            Some(Strategy::SingleRegion | Strategy::BackupRestore) => None,
            Some(Strategy::ActiveActive) => {
                let every = part.kind.across_regions("multi-writer");
                every.or(declared).or_else(best)
            }
            Some(_) => declared.or_else(best),
        }
    }

    /// All of its kinds are run by Antipode itself, with leases and probes of its own.
    fn ours(&self) -> bool {
        !self.design.components.is_empty() && self.design.components.iter().all(|part| part.kind.runs)
    }

    /// What must be written to before traffic may move.
    fn records(&self) -> impl Iterator<Item = &'d Part> + use<'d> {
        self.design.components.iter().filter(|part| is_record(part))
    }
}

/// A second region that nobody has named.
pub const UNNAMED: &str = "another-region";

/// A quarter of the peak (seed 003 section 7.3 calls it scaled-down).
const WARM: f64 = 0.25;

/// Whether it decides what is true: what says so; and what says nothing, but is stored, copied or backed up and not made from
/// something else.
pub fn is_record(part: &Part) -> bool {
    let data = part.kind.has_facet("data") && part.plane() == Plane::Data;
    let kept = || part.answered("size") || part.declared("replication") || part.mentions("backup");
    data && part.bool("system_of_record").unwrap_or_else(|| kept() && !part.answered("projection_of"))
        && is_critical(part)
}

fn is_critical(part: &Part) -> bool {
    part.bool("critical").unwrap_or(true)
}

/// The model of a failover of this design.
pub fn model(variant: &Variant<'_>, history: &History) -> Model {
    let ours = variant.ours();
    Model {
        topology: Arc::new(topology(variant, ours)),
        signals: if ours { vec![Signal::Probes] } else { signals(variant) },
        acts: Acts {
            scale: scale(variant, history),
            bid: history.or("database/bid", Sourced::prior(ms(8), ms(40), "drills of examples/case-api")),
            promote: promote(variant, history),
            ready: match ours {
                true => history.or("fleet/ready", Sourced::prior(ms(40), ms(120), "drills of examples/case-api")),
                false => history.or("fleet/ready", Sourced::stated("instance.ready")),
            },
            exercise: match ours {
                true => history.or("fleet/exercise", Sourced::prior(ms(6), ms(40), "drills of examples/case-api")),
                false => history.or("fleet/exercise", Sourced::stated("request.real")),
            },
            route: route(variant, history),
        },
        people: People::on_call(history),
        leased: ours,
        loss: loss(variant, history),
        clients: clients(variant, history, ours),
    }
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A time from the catalogue, unless drills have shown it.
fn act(part: &Part, name: ActName, history: &History) -> Option<Sourced> {
    let known = part.act(name)?;
    let spread = Spread::prior(known.p50, known.p95);
    let sourced = Sourced { spread, source: known.source.clone(), samples: 0 };
    Some(history.or(&format!("{}/{}", part.kind.name, name_of(name)), sourced))
}

fn name_of(name: ActName) -> &'static str {
    match name {
        ActName::Detect => "detect",
        ActName::Fence => "fence",
        ActName::Promote => "promote",
        ActName::Restore => "restore",
        ActName::Start => "start",
        ActName::Scale => "scale",
        ActName::Deploy => "deploy",
        ActName::Shift => "shift",
        ActName::Follow => "follow",
    }
}

/// Two that come one after the other.
fn after(first: Sourced, second: Sourced) -> Sourced {
    if first.spread == Spread::NOTHING {
        return second;
    }
    Sourced {
        spread: Spread::After(Box::new(first.spread), Box::new(second.spread)),
        source: format!("{}; then {}", first.source, second.source),
        samples: first.samples.min(second.samples),
    }
}

/// Everything that tells of a lost region, by checks and by alarms; somebody who notices where nothing does.
fn signals(variant: &Variant<'_>) -> Vec<Signal> {
    let mut signals = Vec::new();
    for part in &variant.design.components {
        // What a region's own load balancer finds out of its instances is lost with the region.
        let outside = part.kind.has_facet("traffic") || part.kind.scope == Scope::Global;
        if let (Some(every), Some(failures)) = (part.duration("check.every"), part.count("check.failures"))
            && part.word("check.of") != Some("alarm")
            && outside
        {
            let usual = Duration::from_secs_f64(model::priors::number("check.timeout-seconds").value);
            let timeout = part.duration("check.timeout").unwrap_or(usual);
            let says = format!("{}: a check every {}, {failures} failures", part.id, model::time::human(every));
            signals.push(Signal::Check { every, failures: failures.min(1_000) as u32, timeout, says });
        }
        let watches = part.word("alarm.on").is_none_or(|on| !matches!(on, "lag" | "backlog"));
        if let (Some(period), Some(evaluations), true) =
            (part.duration("alarm.period"), part.count("alarm.evaluations"), watches)
        {
            let says = format!("{}: an alarm, {evaluations} × {}", part.id, model::time::human(period));
            signals.push(Signal::Alarm { period, evaluations: evaluations.min(1_000) as u32, says });
        }
    }
    if signals.is_empty() {
        signals.push(Signal::Noticed(Sourced::stated("people.notice")));
    }
    signals
}

fn scale(variant: &Variant<'_>, history: &History) -> Together {
    let mut scale = Together::default();
    // Of a pilot light only the data and the networks are lit: what serves is made from its templates.
    let made = match variant.strategy {
        Some(Strategy::BackupRestore) => Some("infrastructure.deploy"),
        Some(Strategy::PilotLight) => Some("application.deploy"),
        _ => bare(variant).then_some("infrastructure.deploy"),
    };
    if let Some(made) = made {
        scale.add("infrastructure", history.or(made, Sourced::stated(made)));
    }
    for part in variant.design.in_plane(Plane::Compute).filter(|part| is_critical(part)) {
        // An image that is in the other region already is not copied when it is needed.
        let copied =
            part.at(&variant.away.id).sites("image.sites").is_some_and(|sites| sites.contains(&variant.away.id));
        if copied && !part.kind.has_facet("capacity") {
            continue;
        }
        let standing = variant.standing(part);
        let warm = part.duration("warm_up").map(|warm| Sourced::known(Spread::Always(warm), "the spec's `warm_up`"));
        let begins = match standing {
            share if share >= 0.995 => None,
            share if share > 0.0 => act(part, ActName::Scale, history),
            _ => match (act(part, ActName::Deploy, history), act(part, ActName::Start, history)) {
                (Some(deploy), Some(start)) => Some(after(deploy, start)),
                (one, other) => one.or(other).or_else(|| act(part, ActName::Scale, history)),
            },
        };
        let takes = match (begins, warm) {
            (Some(begins), Some(warm)) => after(begins, warm),
            (Some(begins), None) => begins,
            (None, _) => continue,
        };
        scale.add(part.id.as_str(), takes);
    }
    scale
}

/// Nothing stands in the other region: no network, by the spec's own word.
fn bare(variant: &Variant<'_>) -> bool {
    variant.strategy.is_none() && (variant.away.network == Some(false) || variant.away.deployed == Some(false))
}

fn promote(variant: &Variant<'_>, history: &History) -> Together {
    let mut promote = Together::default();
    for part in variant.records() {
        let takes = match variant.copies(part) {
            Some(mode) => promotion(part, mode, history),
            None => Some(restore(variant, part, history)),
        };
        if let Some(takes) = takes {
            promote.add(part.id.as_str(), takes);
        }
    }
    promote
}

/// What makes a copy the writer; nothing where every copy takes writes.
fn promotion(part: &Part, mode: &Mode, history: &History) -> Option<Sourced> {
    if mode.promotion == Promotion::None {
        return None;
    }
    let takes = act(part, ActName::Promote, history);
    let by_hand = match part.word("promote") {
        Some("by-hand" | "dns" | "none") => true,
        // The service does not do it by itself, whatever the spec trusts it with.
        Some("service") => mode.promotion != Promotion::Automatic,
        _ => false,
    };
    match (takes, by_hand) {
        (Some(takes), true) => Some(after(Sourced::stated("people.promote"), takes)),
        (None, _) => Some(Sourced::stated("people.promote")),
        (takes, false) => takes,
    }
}

fn restore(variant: &Variant<'_>, part: &Part, history: &History) -> Sourced {
    if variant.strategy.is_none() && !part.mentions("backup") {
        return Sourced::known(Spread::Always(NEVER), format!("{} has neither a copy nor a backup elsewhere", part.id));
    }
    if let Some(took) = part.duration("backup.restore_time") {
        let source = "the spec's `backup.restore_time`: p95 twice that, for a restore is seldom quicker in a disaster";
        return Sourced { spread: Spread::prior(took, took * 2), source: source.to_owned(), samples: 1 };
    }
    act(part, ActName::Restore, history).unwrap_or_else(|| history.or("data/restore", Sourced::stated("data.restore")))
}

fn route(variant: &Variant<'_>, history: &History) -> Together {
    let mut route = Together::default();
    for part in variant.design.with_facet("traffic").filter(|part| is_critical(part)) {
        let takes = match part.word("shift") {
            Some("manual") => Some(history.or("people/route", Sourced::stated("people.route"))),
            _ => act(part, ActName::Shift, history),
        };
        route.add(
            part.id.as_str(),
            takes.unwrap_or_else(|| history.or("people/route", Sourced::stated("people.route"))),
        );
    }
    if route.0.is_empty() {
        route.add("traffic", history.or("people/route", Sourced::stated("people.route")));
    }
    route
}

/// An answer may be kept for its TTL, or for as long as clients are known to keep one. Where the address stays the same, as
/// with an accelerator, nothing has to be asked again.
fn clients(variant: &Variant<'_>, history: &History, warned: bool) -> Clients {
    let routers = || variant.design.with_facet("traffic").filter(|part| is_critical(part));
    let by_name = routers().filter(|part| part.word("shift") != Some("accelerator"));
    let longest = by_name.filter_map(|part| part.duration("clients.cache").max(part.duration("ttl"))).max();
    let keep = match longest {
        Some(longest) => {
            Sourced::known(Spread::even(Duration::ZERO, longest), "TTL, or what clients are known to keep")
        }
        None => Sourced::nothing("no address changes, or nobody has said for how long it is kept"),
    };
    let again = match warned {
        true => history.or("client/again", Sourced::prior(ms(20), ms(60), "the lab's clients send every 40 ms")),
        false => history.or("client/again", Sourced::stated("client.again")),
    };
    Clients { keep, warned, again }
}

fn loss(variant: &Variant<'_>, history: &History) -> Loss {
    let mut lag = Together::default();
    let mut writes = None;
    for part in variant.records() {
        // What has an objective of its own is held against that: see `own_losses`.
        if part.duration("objectives.rpo").is_none() {
            lag.add(part.id.as_str(), lost(variant, part, history));
        }
        let a_second = part.rate("usage.writes").and_then(|rate| rate.during(Duration::from_secs(1)).to_f64());
        writes = a_second.map(|more| writes.unwrap_or(0.0) + more).or(writes);
    }
    Loss { lag, writes_per_second: writes }
}

fn lost(variant: &Variant<'_>, part: &Part, history: &History) -> Sourced {
    match variant.copies(part) {
        Some(mode) => behind(part, mode, history),
        None => last_backup(variant, part),
    }
}

/// What is lost, in 95 of 100 losses at most, of each record that has a recovery point objective of its own; and that.
pub fn own_losses(variant: &Variant<'_>, history: &History) -> Vec<(ComponentId, Duration, Duration)> {
    let of = |part: &Part| {
        let allowed = part.duration("objectives.rpo")?;
        Some((part.id.clone(), lost(variant, part, history).spread.p95(), allowed))
    };
    variant.records().filter_map(of).collect()
}

/// What is lost, in 95 of 100 losses at most, of each record that is held against the workload's own objective.
pub fn losses_of_records(variant: &Variant<'_>, history: &History) -> Vec<(ComponentId, Secs)> {
    let held = variant.records().filter(|part| part.duration("objectives.rpo").is_none());
    held.map(|part| (part.id.clone(), Secs(lost(variant, part, history).spread.p95()))).collect()
}

/// What the loss of the region for good takes along, where nothing but its declared backups is anywhere else: at the 95th
/// percentile; `None` with the records that have no backup in another region.
pub fn stays(design: &Design) -> (Option<Duration>, Vec<ComponentId>) {
    let Some(home) = design.preferred() else { return (None, Vec::new()) };
    // What Antipode runs itself has its vault at the witness.
    let vault = |part: &Part| part.kind.runs && part.mentions("backup");
    let away = |part: &&Part| vault(part) || backed_up_away(part, &home.id);
    let (kept, alone): (Vec<&Part>, Vec<&Part>) =
        design.components.iter().filter(|part| is_record(part)).partition(away);
    if !alone.is_empty() {
        return (None, alone.iter().map(|part| part.id.clone()).collect());
    }
    let age = |part: &&Part| between_backups(part, &home.id).map_or(NEVER, |every| every.mul_f64(0.95));
    (Some(kept.iter().map(age).max().unwrap_or_default()), Vec::new())
}

/// Whether its backups are said to be kept in another place than the region that is lost.
pub fn backed_up_away(part: &Part, home: &SiteId) -> bool {
    part.sites("backup.sites").is_some_and(|sites| sites.iter().any(|site| site != home))
}

/// What is at most between two moments that can be restored elsewhere, as the spec says; `None` where it does not. A log
/// that stands in the lost region alone restores nothing; the last moment that one elsewhere restores is up to five minutes
/// old (<https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIT.html>).
pub fn between_backups(part: &Part, home: &SiteId) -> Option<Duration> {
    const BEHIND_THE_LOG: Duration = Duration::from_secs(300);
    let log = part.bool("backup.point_in_time") == Some(true) && backed_up_away(part, home);
    let archived = part.duration("backup.archive_every").or(log.then_some(BEHIND_THE_LOG));
    archived.or_else(|| part.duration("backup.every"))
}

/// How far a copy is behind: as the spec says, else as its kind is known to be.
fn behind(part: &Part, mode: &Mode, history: &History) -> Sourced {
    let declared = part.duration("rpo_typical").or_else(|| part.duration("lag"));
    let typical = declared.or(mode.rpo_typical).unwrap_or(Duration::ZERO);
    // Where the writer waits rather than exceed a bound, that is the worst.
    let worst = part.duration("rpo_worst").or(part.duration("rpo_bound"));
    let worst = worst.or(mode.rpo_worst.filter(|_| declared.is_none()));
    // A copy without a bound: an order of magnitude on a bad day.
    let worst = worst.unwrap_or(typical * 10).max(typical);
    let source = match declared {
        Some(_) => "the spec's `lag`".to_owned(),
        None => mode.source.clone(),
    };
    let spread = if worst.is_zero() { Spread::NOTHING } else { Spread::prior(typical.max(ms(1)), worst) };
    history.or(&format!("{}/lag", part.kind.name), Sourced { spread, source, samples: 0 })
}

/// All since the last backup, which is of any age.
fn last_backup(variant: &Variant<'_>, part: &Part) -> Sourced {
    const DAY: Duration = Duration::from_secs(86_400);
    match between_backups(part, &variant.home.id) {
        Some(every) => {
            Sourced::known(Spread::even(Duration::ZERO, every), "the spec's `backup`: the last one is of any age")
        }
        None if variant.strategy.is_none() && !part.mentions("backup") => {
            Sourced::known(Spread::Always(NEVER), format!("{} has neither a copy nor a backup elsewhere", part.id))
        }
        None => {
            Sourced::known(Spread::even(Duration::ZERO, DAY), "prior: a backup every day, since the spec names none")
        }
    }
}

/// The roles as the engine knows them.
fn topology(variant: &Variant<'_>, ours: bool) -> Topology {
    let design = variant.design;
    let region = |site: &Site, preferred| model::topology::Site {
        id: site.id.clone(),
        role: SiteRole::Region {
            zones: site.zones.clone(),
            preferred,
            capacity: 50,
            traffic_weight: if preferred { 100 } else { 0 },
            geo: Vec::new(),
            latency: BTreeMap::new(),
        },
    };
    let witness = design.witnesses().next().map_or_else(|| SiteId::new("witness"), |site| site.id.clone());
    let component = |name: &str, plane, kind| Component { id: ComponentId::new(name), plane, needs: Vec::new(), kind };
    Topology {
        workload: design.workload.clone(),
        artifact: design.artifact.clone().unwrap_or_default(),
        objectives: Objectives {
            rto: design.objectives.rto.unwrap_or(LONG),
            rpo: allowed(variant),
            availability: design.objectives.availability,
            added_latency: design.objectives.added_latency.unwrap_or(LONG),
            data_class: design.objectives.data_class.clone(),
            budget: design.objectives.budget,
        },
        // What is not allowed is a finding; the time that it would take is still worth knowing.
        residency: BTreeMap::new(),
        approvals: approvals(design),
        failover: design.failover,
        sites: vec![
            region(&variant.home, true),
            region(&variant.away, false),
            model::topology::Site { id: witness, role: SiteRole::Witness },
        ],
        components: vec![
            component("traffic", Plane::Traffic, ComponentKind::Dns(zone())),
            component("compute", Plane::Compute, ComponentKind::Fleet(fleet())),
            component("data", Plane::Data, ComponentKind::Postgres(database())),
        ],
        timing: match (ours, variant.strategy) {
            (true, None) => design.timing.clone(),
            (true, Some(_)) => patient(design.timing.clone()),
            (false, _) => timing(variant),
        },
        drills: Vec::new(),
    }
}

/// What may be lost unasked. No figure in a spec asks nobody; and a wanted zero is taken for the least that a copy can be
/// behind, where copies are not of our own making.
fn allowed(variant: &Variant<'_>) -> Duration {
    let wanted = variant.design.objectives.rpo.unwrap_or(LONG);
    if wanted.is_zero() { ms(1) } else { wanted }
}

fn approvals(design: &Design) -> Approvals {
    let declared = design.approvals.clone();
    let mut approvals = declared.unwrap_or(Approvals {
        failover: 1,
        switchover: 1,
        failback: 1,
        accept_loss: 2,
        approvers: Vec::new(),
        word_holds: model::topology::word_holds(),
    });
    let wanted = approvals.failover.max(approvals.accept_loss).max(2) as usize;
    for number in approvals.approvers.len()..wanted {
        approvals.approvers.push(Person::new(format!("person {}", number + 1)));
    }
    if design.failover == FailoverMode::Ask {
        approvals.failover = approvals.failover.max(1);
    }
    approvals
}

fn zone() -> Dns {
    Dns {
        zone: "workload".into(),
        policy: Policy::Failover,
        ttl: Duration::from_secs(1),
        records: BTreeMap::from([("workload".to_owned(), ComponentId::new("compute"))]),
    }
}

/// Two: one of them stands by, so that the order to scale is given.
fn fleet() -> Fleet {
    Fleet {
        command: String::new(),
        args: Vec::new(),
        live: String::new(),
        ready: String::new(),
        exercise: Some(String::new()),
        peak: 2,
    }
}

fn database() -> Postgres {
    Postgres {
        database: "data".into(),
        replication: Replication::Asynchronous,
        when_alone: WhenAlone::Degrade,
        on_crash: OnCrash::Restart,
        wal_keep_mb: 0,
        settings: BTreeMap::new(),
        site_settings: BTreeMap::new(),
        ledger: BTreeMap::new(),
        backup: None,
    }
}

/// The deadlines of a spec are for the strategy that it has. Who restores, or deploys first, sets longer ones.
fn patient(timing: Timing) -> Timing {
    let fence = timing.step_deadlines.fence;
    Timing { request_timeout: LONG, step_deadlines: long(fence), ..timing }
}

fn long(fence: Duration) -> StepDeadlines {
    StepDeadlines { check: LONG, fence, promote: LONG, follow: LONG, scale: LONG, route: LONG, exercise: LONG }
}

/// A controller that asks the provider's interfaces as often as the quickest check does; what has been found out by a check
/// or an alarm needs no further waiting.
fn timing(variant: &Variant<'_>) -> Timing {
    const SECOND: Duration = Duration::from_secs(1);
    let checks = variant.design.components.iter().filter_map(|part| part.duration("check.every"));
    let every = checks.min().unwrap_or(SECOND * 10).clamp(SECOND, SECOND * 10);
    let [standard, _] = profiles();
    Timing {
        profile: "forecast".into(),
        // Nobody promises anything here. As short as can be: a voter that was not heard of may have promised just now, and what
        // could be acknowledged for that long is in the estimate of what is lost.
        lease: ms(1),
        renew_every: ms(1),
        // An order to promote on an estimate lapses after about a lease, so that it cannot win after an old writer that
        // has renewed (`guard::promotion_holds_for`). What nobody renews cannot be renewed unseen, and a service that restores
        // for hours is not ordered again every half second: the order may stand as long as the answer that it waits for.
        renew_timeout: LONG,
        // The prior of a real request is all of it, cold caches and repetitions included.
        request_timeout: LONG,
        probe_every: every,
        probe_timeout: SECOND,
        suspect_after: ms(1),
        unreachable_after: ms(1),
        unready_after: LONG,
        stale_after: every * 3,
        check_every: every / 2,
        max_lag: LONG,
        step_deadlines: long(SECOND * 30),
        ..standard
    }
}
