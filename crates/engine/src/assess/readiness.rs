//! The readiness table (seed 003 section 24, exercise 3): each component in each region, what endangers the RTO and the
//! RPO, and the *first* component at which a real failover would stop.

use model::catalogue::Scope;
use model::findings::{Risk, Severity};
use model::time::human;
use model::topology::Plane;
use model::{ComponentId, Part, SiteId};
use serde::Serialize;

use super::finding::Finding;
use super::view::{self, View};

/// One component.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Ready {
    pub component: ComponentId,
    pub kind: &'static str,
    pub plane: Plane,
    /// For each region, in the order of the file.
    pub regions: Vec<(SiteId, Presence)>,
    /// In words.
    pub replication: String,
    pub rto_risk: Endangered,
    pub rpo_risk: Endangered,
}

/// What a region has of a component when all is well.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// Users are answered by it.
    Serves,
    /// It is there, and waits.
    StandsBy,
    Absent,
    /// One for all regions.
    Global,
}

/// How much a promise is endangered, and by what.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Endangered {
    /// `None` when nothing was found.
    pub severity: Option<Severity>,
    /// The gravest finding's title, or what is known to be good.
    pub why: String,
    /// The findings, the gravest first.
    pub findings: Vec<&'static str>,
}

/// Where a real failover stops first.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Blocker {
    /// The step of the failover.
    pub step: &'static str,
    /// Absent when it is not about one component.
    pub component: Option<ComponentId>,
    pub finding: &'static str,
    pub says: String,
}

pub fn table(view: &View<'_>, findings: &[Finding]) -> Vec<Ready> {
    let mut by_part: std::collections::BTreeMap<&ComponentId, Vec<&Finding>> = std::collections::BTreeMap::new();
    for finding in findings {
        for component in &finding.components {
            by_part.entry(component).or_default().push(finding);
        }
    }
    let of = |part: &Part| by_part.get(&part.id).map_or(&[][..], Vec::as_slice);
    view.parts().map(|part| ready(view, part, of(part))).collect()
}

fn ready(view: &View<'_>, part: &'_ Part, findings: &[&Finding]) -> Ready {
    let regions = view.regions.iter().map(|site| (site.id.clone(), presence(view, part, &site.id))).collect();
    Ready {
        component: part.id.clone(),
        kind: &part.kind.name,
        plane: part.plane(),
        regions,
        replication: replication(part),
        rto_risk: endangered(findings, Risk::Rto, "nothing found".into()),
        rpo_risk: endangered(findings, Risk::Rpo, known_loss(part)),
    }
}

fn presence(view: &View<'_>, part: &Part, site: &SiteId) -> Presence {
    let deployed = view.design.site(site).is_none_or(|site| site.deployed != Some(false));
    match () {
        () if part.kind.scope == Scope::Global && part.sites.is_empty() => Presence::Global,
        () if !part.is_in(site) || !deployed => Presence::Absent,
        () if view.serving.iter().any(|serving| serving.id == *site) => Presence::Serves,
        () => Presence::StandsBy,
    }
}

fn replication(part: &Part) -> String {
    match (part.kind.has_facet("data"), part.word("replication"), part.duration("lag")) {
        (true, Some("none"), _) if view::backed_up(part) => "none; backups".into(),
        (true, Some(word), Some(lag)) => format!("{word}, {} behind", human(lag)),
        (true, Some(word), None) => word.into(),
        (true, None, _) if view::unreplicated(part) && view::backed_up(part) => "none; backups".into(),
        (true, None, _) if view::unreplicated(part) => "none".into(),
        (true, None, _) => "not said".into(),
        (false, ..) => match part.bool("replicated") {
            Some(true) => "replicated".into(),
            Some(false) => "not replicated".into(),
            None => "-".into(),
        },
    }
}

fn known_loss(part: &Part) -> String {
    let typical =
        part.duration("lag").or_else(|| part.duration("rpo_typical")).or_else(|| view::mode(part)?.rpo_typical);
    match typical.filter(|_| part.kind.has_facet("data") && view::replicated(part)) {
        Some(lag) => format!("{} on an ordinary day", human(lag)),
        None if part.kind.has_facet("data") => "nothing found".into(),
        None => "keeps no data".into(),
    }
}

fn endangered(findings: &[&Finding], risk: Risk, otherwise: String) -> Endangered {
    let mut these: Vec<&Finding> = findings.iter().copied().filter(|finding| finding.risks.contains(&risk)).collect();
    // What is known to be wrong goes before what nobody says, and a figure that breaks the objective before both.
    let rank = |finding: &Finding| {
        let figure = finding.numbers.contains_key("rto") || finding.numbers.contains_key("rpo");
        (std::cmp::Reverse(finding.severity), !finding.blocks, !figure, finding.unsaid)
    };
    these.sort_by_key(|finding| rank(finding));
    let mut ids: Vec<&'static str> = these.iter().map(|finding| finding.id).collect();
    ids.dedup();
    match these.first() {
        Some(worst) => Endangered { severity: Some(worst.severity), why: worst.title.to_owned(), findings: ids },
        None => Endangered { severity: None, why: otherwise, findings: ids },
    }
}

/// The steps of a failover (seed 003 section 15.2), in their order.
const STEPS: [&str; 6] =
    ["detect", "decide", "make the data writable", "open secrets and keys", "grow the standby", "move the traffic"];

/// The step at which a blocking finding stops a failover.
fn step(view: &View<'_>, finding: &Finding) -> usize {
    let part = finding.components.first().and_then(|id| view.part(id));
    match (finding.id, part.map(Part::plane)) {
        ("detection-exceeds-rto" | "health-check-missing", _) => 0,
        ("recovery-region-not-approved", _) => 1,
        ("dns-failover-without-promotion", _) | (_, Some(Plane::Data)) if !is_secret(part) => 2,
        (_, Some(Plane::Compute)) => 4,
        (_, Some(Plane::Traffic)) => 5,
        (_, Some(Plane::Control | Plane::Data)) => 3,
        (_, None) => 4,
    }
}

fn is_secret(part: Option<&Part>) -> bool {
    part.is_some_and(|part| part.kind.has_facet("secret") || part.kind.has_facet("keys"))
}

/// The first thing that stops a real failover, in the order in which it would be met.
pub fn first_blocker(view: &View<'_>, findings: &[Finding]) -> Option<Blocker> {
    let blocking = findings.iter().filter(|finding| finding.blocks);
    let first =
        blocking.min_by_key(|finding| (step(view, finding), std::cmp::Reverse(finding.severity), finding.line))?;
    Some(Blocker {
        step: STEPS[step(view, first)],
        component: first.components.first().cloned(),
        finding: first.id,
        says: first.says.clone(),
    })
}
