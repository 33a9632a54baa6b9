//! What of the design would have to change so that no objective has to give, or so that less has to.
//!
//! Intuition: every change is tried. The design is changed so, forecast and priced anew, and what does not help is left out.
//! So a change is never advised for what it does elsewhere, and its figures are those that the changed spec would get.

use std::time::Duration;

use model::catalogue::{Act, ActName, Mode, Promotion, Scope, catalogue};
use model::design::Strategy;
use model::time::human;
use model::topology::{FailoverMode, Plane};
use model::{ComponentId, Design, Part, Rates, Usd, Value};
use serde::Serialize;

use super::choose::worse;
use super::{Candidate, Considered, Effort, Miss, Objective, Relax, Wanted, consider, few, slowest};
use crate::forecast::{History, Secs, Variant, is_record};

/// One change of the design, and what is forecast with it and those before it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Change {
    pub says: String,
    /// What the spec would then say, such as `check.every: 10s`.
    pub write: String,
    pub components: Vec<ComponentId>,
    /// The 95th percentile; `None`: never.
    pub rto: Option<Secs>,
    /// Likewise.
    pub rpo: Option<Secs>,
    pub month: Usd,
}

/// The simplest strategy that would meet the objectives with changes of the design, or come nearest.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Mended {
    pub strategy: Strategy,
    /// In the order in which they are made.
    pub changes: Vec<Change>,
    /// What would still have to give.
    pub relax: Vec<Relax>,
    pub month: Usd,
    /// Whether everything that it needs had a price.
    pub priced: bool,
    /// Losses of the region behind each figure.
    pub samples: u32,
}

/// Losses of the region behind each change that is tried: more would not change what is advised, only take longer. What is
/// advised is then forecast with as many as the strategies are, so that its figures are those the changed spec would get.
const MOST_SAMPLES: u32 = if cfg!(test) { 20 } else { 200 };
/// The quickest health check that Route 53 offers, and as many failures as it counts unless told otherwise.
const CHECK: (Duration, u64) = (Duration::from_secs(10), 3);
/// What clients may remember an answer for.
const TTL: Duration = Duration::from_secs(10);

/// What can be changed, each for all the components that it concerns.
#[derive(Clone, PartialEq, Debug)]
enum Alter {
    Replace(Vec<ComponentId>, &'static str),
    Conflicts(Vec<ComponentId>),
    Bound(Vec<ComponentId>, Duration),
    Synchronous(Vec<ComponentId>),
    Backup(Vec<ComponentId>, Duration),
    Promote(Vec<ComponentId>),
    Check(Vec<ComponentId>),
    Shift(Vec<ComponentId>, &'static str),
    Ttl(Vec<ComponentId>),
    Address(Vec<ComponentId>),
    Automatic,
}

/// What the figures are made from.
pub(super) struct From<'a> {
    pub rates: &'a Rates,
    pub history: &'a History,
    pub effort: Effort,
}

/// What a strategy reaches. Where it loses more than the objective, people must accept that first, and the recovery waits for
/// them; whoever relaxes the one objective has relaxed the other. So everything else is forecast with the loss accepted.
pub(super) struct Reached {
    pub considered: Considered,
    accepted: Option<Considered>,
    pub misses: Vec<Miss>,
}

impl Reached {
    pub(super) fn of(design: &Design, strategy: Strategy, wanted: &Wanted, from: &From<'_>) -> Self {
        let considered = consider(design, strategy, from.rates, from.history, from.effort);
        let mut misses = considered.candidate.misses(wanted);
        let lost = considered.candidate.rpo.filter(|lost| wanted.rpo.is_some_and(|rpo| *lost > rpo));
        let accepted = lost.map(|lost| {
            let mut design = design.clone();
            design.objectives.rpo = Some(lost);
            consider(&design, strategy, from.rates, from.history, from.effort)
        });
        if let Some(accepted) = &accepted {
            misses.retain(|miss| miss.objective == Objective::Rpo);
            let others = accepted.candidate.misses(wanted).into_iter().filter(|miss| miss.objective != Objective::Rpo);
            misses.splice(0..0, others);
            misses.sort_by_key(|miss| miss.objective);
        }
        Self { considered, accepted, misses }
    }

    fn candidate(&self) -> &Candidate {
        self.accepted.as_ref().map_or(&self.considered.candidate, |accepted| &accepted.candidate)
    }

    /// What would have to give, and what makes it so.
    pub(super) fn relax(&self, miss: &Miss, wanted: &Wanted) -> Relax {
        let because = match (miss.objective, &miss.component) {
            (Objective::Rto, _) => self.slowest(),
            (Objective::Rpo, None) => self.furthest(wanted),
            _ => None,
        };
        Relax { because, ..miss.relax() }
    }

    fn slowest(&self) -> Option<String> {
        let forecast = self.accepted.as_ref().unwrap_or(&self.considered).forecast.as_ref()?;
        let with = if self.accepted.is_some() { "with the loss accepted beforehand; " } else { "" };
        Some(format!("{with}{}", slowest(forecast)?))
    }

    fn furthest(&self, wanted: &Wanted) -> Option<String> {
        let too_far = |(_, lost): &&(ComponentId, Secs)| wanted.rpo.is_some_and(|rpo| lost.0 > rpo);
        let mut behind: Vec<_> = self.considered.behind.iter().filter(too_far).collect();
        behind.sort_by_key(|(_, lost)| std::cmp::Reverse(lost.0));
        let said: Vec<String> = behind.iter().map(|(id, lost)| format!("{id} loses {lost}")).collect();
        (!said.is_empty()).then(|| format!("{}, at the 95th percentile", few(&said)))
    }
}

/// `None` where nothing that is known would help.
pub(super) fn mended(
    design: &Design,
    wanted: &Wanted,
    nearest: Reached,
    considered: &[Considered],
    from: &From<'_>,
) -> Option<Mended> {
    let effort = Effort { samples: from.effort.samples.min(MOST_SAMPLES), ..from.effort };
    let quick = From { effort, ..*from };
    let hard = |one: &Considered| one.candidate.forbidden.iter().filter(|forbidden| !forbidden.mends).count();
    let fewest = considered.iter().filter(|one| one.candidate.strategy != Strategy::SingleRegion).map(hard).min()?;
    let mut best: Option<Tried> = None;
    for one in considered.iter().filter(|one| one.candidate.strategy != Strategy::SingleRegion && hard(one) == fewest) {
        let strategy = one.candidate.strategy;
        let all = Tried::of(design, strategy, alters(design, strategy, wanted), wanted, &quick);
        if best.as_ref().is_none_or(|best| worse(&best.reached.misses, &all.reached.misses)) {
            best = Some(all);
        }
        if best.as_ref().is_some_and(|best| best.reached.misses.is_empty()) {
            break;
        }
    }
    let found = best?.without_idle(design, wanted, &quick);
    if found.alters.is_empty() {
        return None;
    }
    let best = Tried::of(design, found.strategy, found.alters, wanted, from);
    worse(&nearest.misses, &best.reached.misses).then(|| best.told(design, wanted, from))
}

/// A strategy with some changes, forecast.
struct Tried {
    alters: Vec<Alter>,
    strategy: Strategy,
    reached: Reached,
}

impl Tried {
    fn of(design: &Design, strategy: Strategy, alters: Vec<Alter>, wanted: &Wanted, from: &From<'_>) -> Self {
        let mut changed = design.clone();
        alters.iter().for_each(|alter| alter.apply(&mut changed));
        Self { alters, strategy, reached: Reached::of(&changed, strategy, wanted, from) }
    }

    /// Leaves out every change without which nothing is worse: first what takes a decision from people, or asks most of
    /// the design.
    fn without_idle(self, design: &Design, wanted: &Wanted, from: &From<'_>) -> Self {
        let mut kept = self;
        let mut order = kept.alters.clone();
        order.sort_by_key(|alter| std::cmp::Reverse(alter.asks()));
        for alter in order {
            let fewer: Vec<Alter> = kept.alters.iter().filter(|one| **one != alter).cloned().collect();
            let without = Self::of(design, kept.strategy, fewer, wanted, from);
            if !worse(&without.reached.misses, &kept.reached.misses) {
                kept = without;
            }
        }
        kept
    }

    fn told(self, design: &Design, wanted: &Wanted, from: &From<'_>) -> Mended {
        let mut changes = Vec::new();
        for made in 1..=self.alters.len() {
            let tried = Self::of(design, self.strategy, self.alters[..made].to_vec(), wanted, from);
            let (says, write) = self.alters[made - 1].words(design);
            changes.push(Change {
                says,
                write,
                components: self.alters[made - 1].components().to_vec(),
                rto: tried.reached.candidate().rto.map(Secs),
                rpo: tried.reached.candidate().rpo.map(Secs),
                month: tried.reached.candidate().month,
            });
        }
        Mended {
            strategy: self.strategy,
            changes,
            relax: self.reached.misses.iter().map(|miss| self.reached.relax(miss, wanted)).collect(),
            month: self.reached.candidate().month,
            priced: self.reached.candidate().priced,
            samples: from.effort.samples,
        }
    }
}

/// Every change that concerns something of this design, in the order in which one would make them.
fn alters(design: &Design, strategy: Strategy, wanted: &Wanted) -> Vec<Alter> {
    let Some(variant) = Variant::new(design, Some(strategy)) else { return Vec::new() };
    let records = || design.components.iter().filter(|part| is_record(part));
    let ids = |parts: &mut dyn Iterator<Item = &Part>| parts.map(|part| part.id.clone()).collect::<Vec<_>>();
    let mut all = Vec::new();
    let mut add = |components: Vec<ComponentId>, make: &dyn Fn(Vec<ComponentId>) -> Alter| {
        if !components.is_empty() {
            all.push(make(components));
        }
    };
    if strategy >= Strategy::PilotLight {
        for (from, to) in REPLACED {
            let alone = |part: &&Part| part.kind.name == *from && variant.copies(part).is_none();
            add(ids(&mut records().filter(alone)), &|parts| Alter::Replace(parts, to));
        }
    }
    if strategy == Strategy::ActiveActive {
        add(ids(&mut records().filter(|part| conflicts_open(part))), &Alter::Conflicts);
    }
    if let Some(rpo) = wanted.rpo {
        let bound = rpo.max(LEAST_BOUND);
        let unbound = |part: &&Part| {
            part.kind.key("rpo_bound").is_some() && part.duration("rpo_bound").is_none_or(|known| known > bound)
        };
        add(ids(&mut records().filter(unbound)), &|parts| Alter::Bound(parts, bound));
        let behind = |part: &&Part| {
            let now = variant.copies(part).and_then(|mode| mode.rpo_worst.or(mode.rpo_typical));
            now.is_some_and(|now| now > rpo) && waiting(part).is_some()
        };
        add(ids(&mut records().filter(behind)), &Alter::Synchronous);
        let rare = |part: &&Part| {
            variant.copies(part).is_none() && part.duration("backup.every").is_none_or(|every| every > rpo)
        };
        if rpo >= LEAST_BACKUP {
            add(ids(&mut records().filter(rare)), &|parts| Alter::Backup(parts, rpo));
        }
    }
    let by_people = |part: &&Part| {
        let manual = |mode: &Mode| mode.promotion == Promotion::Manual;
        matches!(part.word("promote"), Some("by-hand" | "dns" | "none" | "service"))
            && variant.copies(part).is_some_and(manual)
    };
    add(ids(&mut records().filter(by_people)), &Alter::Promote);
    add(slow_checks(design), &Alter::Check);
    let routers = || design.with_facet("traffic");
    for by_itself in ["health-check", "accelerator"] {
        let by_hand = |part: &&Part| {
            matches!(part.word("shift"), Some("manual" | "dns-record")) && shifts_by_itself(part) == Some(by_itself)
        };
        add(ids(&mut routers().filter(by_hand)), &|parts| Alter::Shift(parts, by_itself));
    }
    let named = |part: &Part| part.kind.name != ACCELERATOR && part.word("shift") != Some("accelerator");
    let remembered = |part: &&Part| named(part) && part.duration("ttl").is_some_and(|ttl| ttl > TTL);
    add(ids(&mut routers().filter(remembered)), &Alter::Ttl);
    // An address that stays is had from AWS, for what stands there.
    let kept = |part: &&Part| {
        let on_aws = part.kind.name.starts_with("aws.");
        on_aws && named(part) && part.duration("clients.cache").is_some_and(|kept| kept > TTL)
    };
    add(ids(&mut routers().filter(kept)), &Alter::Address);
    if design.failover != FailoverMode::Automatic {
        all.push(Alter::Automatic);
    }
    all
}

/// The least that `rds.global_db_rpo` can be set to.
const LEAST_BOUND: Duration = Duration::from_secs(20);

/// Prior: snapshots and log archives closer together than this are a replication of their own.
const LEAST_BACKUP: Duration = Duration::from_secs(300);

/// What has no copy in another region, and what copies it block by block.
const REPLACED: &[(&str, &str)] = &[("aws.ebs", "aws.drs")];

/// Whether several regions could write it, and nobody has said what happens to what they write at once.
pub(super) fn conflicts_open(part: &Part) -> bool {
    let single = part.word("writers") == Some("single") || part.word("conflicts") == Some("single-writer");
    !single && !part.answered("conflicts")
}

const ACCELERATOR: &str = "aws.global-accelerator";

/// What `shift` would say of a kind that can move traffic without anybody's call.
fn shifts_by_itself(part: &Part) -> Option<&'static str> {
    let checked = |act: &Act| act.act == ActName::Shift && act.when.as_deref() == Some("shift=health-check");
    match part.kind.name.as_str() {
        ACCELERATOR => Some("accelerator"),
        _ => part.kind.acts.iter().any(checked).then_some("health-check"),
    }
}

/// The mode in which a commit waits for the other region.
fn waiting(part: &Part) -> Option<&'static Mode> {
    part.kind.across_regions("synchronous")
}

/// What leads users to a region and looks at it too seldom, or not at all. The earliest signal counts, so that nothing is
/// to be done where one of them is quick.
fn slow_checks(design: &Design) -> Vec<ComponentId> {
    let (every, failures) = CHECK;
    let outside = |part: &&Part| {
        part.plane() == Plane::Traffic && part.kind.scope == Scope::Global && part.kind.key("check.every").is_some()
    };
    let quick = |part: &Part| {
        let counted = part.duration("check.every").zip(part.count("check.failures"));
        counted.is_some_and(|(now, times)| now * times.min(1_000) as u32 <= every * failures as u32)
    };
    let mut routers: Vec<&Part> = design.components.iter().filter(outside).collect();
    routers.sort_by_key(|part| !part.answered("check.every"));
    match routers.iter().any(|part| quick(part)) {
        true => Vec::new(),
        false => routers.first().map(|part| part.id.clone()).into_iter().collect(),
    }
}

impl Alter {
    fn components(&self) -> &[ComponentId] {
        match self {
            Alter::Replace(of, _)
            | Alter::Conflicts(of)
            | Alter::Bound(of, _)
            | Alter::Synchronous(of)
            | Alter::Backup(of, _)
            | Alter::Promote(of)
            | Alter::Check(of)
            | Alter::Shift(of, _)
            | Alter::Ttl(of)
            | Alter::Address(of) => of,
            Alter::Automatic => &[],
        }
    }

    /// How much it asks: what does is left out first.
    fn asks(&self) -> u8 {
        match self {
            Alter::Automatic => 9,
            Alter::Replace(..) => 8,
            Alter::Synchronous(_) => 7,
            Alter::Conflicts(_) | Alter::Address(_) => 6,
            Alter::Bound(..) => 5,
            Alter::Backup(..) => 4,
            Alter::Ttl(_) => 3,
            Alter::Check(_) => 2,
            Alter::Shift(..) | Alter::Promote(_) => 1,
        }
    }

    fn apply(&self, design: &mut Design) {
        if *self == Alter::Automatic {
            design.failover = FailoverMode::Automatic;
            if let Some(approvals) = &mut design.approvals {
                approvals.failover = 0;
            }
        }
        let word = |text: &str| Value::Text(text.to_owned());
        for part in design.components.iter_mut().filter(|part| self.components().contains(&part.id)) {
            match self {
                Alter::Replace(_, kind) => replace(part, kind),
                Alter::Conflicts(_) => part.values.set("conflicts", word("version-check")),
                Alter::Bound(_, bound) => part.values.set("rpo_bound", Value::Duration(*bound)),
                Alter::Synchronous(_) => wait(part),
                Alter::Backup(_, every) => part.values.set("backup.every", Value::Duration(*every)),
                Alter::Promote(_) => part.values.set("promote", word("controller")),
                Alter::Check(_) => {
                    part.values.set("check.every", Value::Duration(CHECK.0));
                    part.values.set("check.failures", Value::Count(CHECK.1));
                }
                Alter::Shift(_, by_itself) => part.values.set("shift", word(by_itself)),
                Alter::Ttl(_) => part.values.set("ttl", Value::Duration(TTL)),
                Alter::Address(_) => {
                    part.kind = catalogue().kind(ACCELERATOR).unwrap_or(part.kind);
                    part.values.set("shift", word("accelerator"));
                }
                Alter::Automatic => {}
            }
        }
    }

    /// What is done, and what the spec would then say.
    fn words(&self, design: &Design) -> (String, String) {
        let names: Vec<&str> = self.components().iter().map(|id| id.as_str()).collect();
        let names = names.join(", ");
        let first = self.components().first().and_then(|id| design.part(id));
        let now = |key: &str| first.and_then(|part| part.duration(key)).map(human);
        match self {
            Alter::Replace(_, kind) => (
                format!("copy {names} block by block to the other region, rather than restore it"),
                format!("kind: {kind}"),
            ),
            Alter::Conflicts(_) => (
                format!("decide what happens to conflicting writes of {names}"),
                "conflicts: version-check, or what the data allows".to_owned(),
            ),
            Alter::Bound(_, bound) => (
                format!("let the writer of {names} wait rather than be further behind than {}", human(*bound)),
                format!("rpo_bound: {}", human(*bound)),
            ),
            Alter::Synchronous(_) => (
                format!("let a commit of {names} wait for the other region{}", needs(first)),
                "replication: synchronous".to_owned(),
            ),
            Alter::Backup(_, every) => (
                format!("back {names} up every {}{}", human(*every), before(now("backup.every"))),
                format!("backup.every: {}", human(*every)),
            ),
            Alter::Promote(_) => (
                format!("let a runbook promote {names}, rather than people or what does not do it"),
                "promote: controller".to_owned(),
            ),
            Alter::Check(_) => (
                format!(
                    "check {names} every {}, {} failures{}",
                    human(CHECK.0),
                    CHECK.1,
                    before(now("check.every").map(|every| format!("every {every}")))
                ),
                format!("check.every: {}, check.failures: {}", human(CHECK.0), CHECK.1),
            ),
            Alter::Shift(_, by_itself) => {
                (format!("let a health check move the traffic of {names}"), format!("shift: {by_itself}"))
            }
            Alter::Ttl(_) => (
                format!("let clients remember {names} for {}{}", human(TTL), before(now("ttl"))),
                format!("ttl: {}", human(TTL)),
            ),
            Alter::Address(_) => (
                format!(
                    "lead users through an address that stays, rather than a name that clients keep for {}",
                    now("clients.cache").unwrap_or_default()
                ),
                format!("{names}: kind: {ACCELERATOR}, shift: accelerator"),
            ),
            Alter::Automatic => (
                "let the failover begin by itself, without waiting for an approval".to_owned(),
                "failover: automatic, approvals.failover: 0".to_owned(),
            ),
        }
    }
}

fn before(now: Option<String>) -> String {
    now.map_or_else(String::new, |now| format!(", not {now}"))
}

/// What the catalogue says of such a copy, after the address of its source.
fn needs(part: Option<&Part>) -> String {
    let source = part.and_then(waiting).map_or("", |mode| mode.source.as_str());
    source.split_once(": ").map_or_else(String::new, |(_, says)| format!(" ({says})"))
}

/// The same data in a component of another kind.
fn replace(part: &mut Part, kind: &str) {
    let Some(kind) = catalogue().kind(kind) else { return };
    part.kind = kind;
    for (key, value) in &kind.defaults {
        if let Some(word) = value.as_str() {
            part.values.set(key, Value::Text(word.to_owned()));
        }
    }
    if !part.answered("usage.instances") {
        part.values.set("usage.instances", Value::Count(1));
    }
    part.values.set("promote", Value::Text("controller".to_owned()));
}

fn wait(part: &mut Part) {
    part.values.set("replication", Value::Text("synchronous".to_owned()));
    // They were said of the copy that did not wait.
    for said in ["lag", "rpo_typical", "rpo_worst"] {
        part.values.remove(said);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the spec would say of the traffic of this router.
    fn moved(kind: &str, says: &str) -> Vec<String> {
        let spec = format!(
            "workload: shop
objectives: {{ rto: 5m, rpo: 1m }}
sites: {{ us-east-1: {{ zones: [a, b], preferred: true }}, eu-west-1: {{ zones: [a, b] }} }}
components: {{ router: {{ kind: aws.route53, {says} }} }}"
        );
        let mut design = model::spec::design(&spec).unwrap();
        design.components[0].kind = catalogue().kind(kind).unwrap();
        let all = alters(&design, Strategy::WarmStandby, &Wanted::default());
        let traffic = all.into_iter().filter(|alter| matches!(alter, Alter::Shift(..) | Alter::Address(_)));
        traffic.map(|alter| alter.words(&design).1).collect()
    }

    #[test]
    fn a_router_is_told_only_to_do_what_its_kind_can() {
        assert_eq!(moved("aws.route53", "shift: manual"), ["shift: health-check"]);
        assert_eq!(moved("aws.global-accelerator", "shift: manual"), ["shift: accelerator"]);
        assert!(moved("dns", "shift: manual, clients: { cache: 5m }").is_empty());
        let kept = moved("aws.route53", "shift: health-check, clients: { cache: 5m }");
        assert_eq!(kept, ["router: kind: aws.global-accelerator, shift: accelerator"]);
        assert!(moved("aws.global-accelerator", "shift: manual, clients: { cache: 5m }").len() == 1);
    }
}
