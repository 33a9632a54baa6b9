//! Static stability: every call that a recovery makes, who has to be alive to answer it, and which of them cannot be relied on.
//!
//! A recovery may need the region that it goes to, and data planes that are spread over many places. It may not *need* the
//! region that it leaves, nor a global control plane, whose one home may be the very region that is impaired. What is worth
//! trying there all the same (telling the old writer to stop) is best effort: tried, recorded, never waited for.

use model::catalogue::{Act, ActName, CallPlane, Home};
use model::design::Site;
use model::{ComponentId, Part, SiteId};
use serde::Serialize;

use super::finding::Found;
use super::view::{self, Capacity, View};

/// One call of a recovery.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Call {
    pub component: ComponentId,
    pub act: ActName,
    /// As the service names it.
    pub call: String,
    pub plane: CallPlane,
    /// The region that has to answer; `None` when it is spread over many.
    pub region: Option<String>,
    pub verdict: Verdict,
    /// What to do instead, where something is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<&'static str>,
    /// Who says so.
    pub source: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Answered by the region that is moved to, or by a data plane of many places.
    Fine,
    /// Tried at the region that is left, and never waited for.
    BestEffort,
    /// A control plane of the region that is moved to makes or changes something that could stand ready.
    Avoidable,
    /// Needs a control plane that has one home for all regions.
    GlobalControlPlane,
    /// Needs the region that is left.
    LostRegion,
}

impl Verdict {
    /// Whether a recovery must not depend on it.
    pub fn refused(self) -> bool {
        matches!(self, Verdict::GlobalControlPlane | Verdict::LostRegion)
    }
}

/// The calls of a recovery from `leaving` to `target`, in the order of a runbook: fence, promote, grow, shift.
pub fn calls(view: &View<'_>, leaving: &Site, target: &Site) -> Vec<Call> {
    let mut calls: Vec<Call> = view.parts().flat_map(|part| of(view, part, leaving, target)).collect();
    calls.sort_by_key(|call| rank(call.act));
    calls
}

fn rank(act: ActName) -> u8 {
    match act {
        ActName::Detect => 0,
        ActName::Fence => 1,
        ActName::Restore | ActName::Promote => 2,
        ActName::Deploy => 3,
        ActName::Start => 4,
        ActName::Scale => 5,
        ActName::Shift => 6,
        ActName::Follow => 7,
    }
}

fn of(view: &View<'_>, part: &Part, leaving: &Site, target: &Site) -> Vec<Call> {
    let mut calls = Vec::new();
    if part.kind.has_facet("traffic") {
        calls.extend(shift(part).map(|act| call(part, act, leaving, target)));
    }
    let others = acts(view, part, leaving, target).into_iter().filter_map(|name| part.act(name));
    calls.extend(others.map(|act| call(part, act, leaving, target)));
    calls
}

/// What has to be done to it in `target`, apart from traffic.
fn acts(view: &View<'_>, part: &Part, leaving: &Site, target: &Site) -> Vec<ActName> {
    let runs_code = part.plane() == model::topology::Plane::Compute;
    let absent = !part.sites.is_empty() && !part.is_in(&target.id) || target.deployed == Some(false);
    // The writer is where the workload lives when all is well, also where other regions serve besides.
    let writes_there = view.design.preferred().is_some_and(|preferred| preferred.id == leaving.id);
    // What never stood in the region that is left is not lost with it.
    let lost = part.sites.is_empty() || part.is_in(&leaving.id);
    if view::single_writer(part) && writes_there && lost {
        return vec![ActName::Fence, ActName::Promote];
    }
    if part.bool("changed_in_recovery") == Some(true) {
        return vec![ActName::Deploy];
    }
    if view::store(part) && view::restored(view, part) && writes_there && lost {
        return vec![ActName::Restore];
    }
    match Capacity::of(view, part, target) {
        _ if runs_code && absent => vec![ActName::Deploy],
        _ if part.at(&target.id).bool("stopped") == Some(true) => vec![ActName::Start],
        // A group of no instances is grown, whatever grows it; only what is one machine is started.
        Some(capacity) if capacity.ready == 0 && part.act(ActName::Start).is_some() => vec![ActName::Start],
        Some(capacity) if capacity.ready < capacity.need => vec![ActName::Scale],
        _ => Vec::new(),
    }
}

/// How this router is moved: by the way that the spec names; by its health check when it has one and names no way; else by
/// what its kind does.
fn shift(part: &Part) -> Option<&'static Act> {
    let unsaid = !part.answered("shift") && part.mentions("check");
    let by_health = |act: &&Act| act.act == ActName::Shift && act.when.as_deref() == Some("shift=health-check");
    let checked = unsaid.then(|| part.kind.acts.iter().find(by_health)).flatten();
    checked.or_else(|| part.act(ActName::Shift))
}

fn call(part: &Part, known: &'static Act, leaving: &Site, target: &Site) -> Call {
    let (act, plane) = (known.act, known.plane);
    let region = match &known.home {
        Home::Target => Some(target.id.to_string()),
        Home::Source => Some(leaving.id.to_string()),
        Home::Everywhere => None,
        Home::Region(region) => Some(region.clone()),
    };
    let lost = match &known.home {
        Home::Source => true,
        Home::Region(region) => view::aws_region(leaving) == Some(region.as_str()) || leaving.id.as_str() == region,
        Home::Target | Home::Everywhere => false,
    };
    let makes = matches!(act, ActName::Scale | ActName::Start | ActName::Deploy | ActName::Restore);
    let verdict = match (lost, &known.home, plane) {
        (true, ..) if act == ActName::Fence => Verdict::BestEffort,
        (true, ..) => Verdict::LostRegion,
        (false, Home::Region(_), CallPlane::Control) => Verdict::GlobalControlPlane,
        (false, _, CallPlane::Control) if makes && !part.kind.runs => Verdict::Avoidable,
        _ => Verdict::Fine,
    };
    let instead = (verdict > Verdict::BestEffort).then(|| known.instead.as_deref().unwrap_or_else(|| instead(act)));
    let (component, call, source) = (part.id.clone(), known.call.clone(), known.source.clone());
    Call { component, act, call, plane, region, verdict, instead, source }
}

fn instead(act: ActName) -> &'static str {
    match act {
        ActName::Shift => {
            "Move traffic on a data plane: let a health check take the record out by itself, hold the standby's record back by \
             an inverted health check that reads a signal object in the recovery region, or switch an ARC routing control \
             through its cluster endpoints."
        }
        ActName::Scale | ActName::Start => {
            "Let the standby run at the size that it needs, or have the capacity held, so that the recovery changes nothing \
             before traffic moves."
        }
        ActName::Deploy => "Deploy it beforehand and keep it current, so that the recovery creates nothing.",
        ActName::Restore => {
            "Keep a copy that follows in the recovery region, so that the recovery promotes and creates nothing."
        }
        ActName::Promote => {
            "Promote by a call that the recovery region answers, and keep credentials, endpoints and scripts for it there."
        }
        ActName::Detect => {
            "Watch from the recovery region and from a third place, not from the region that is watched."
        }
        ActName::Fence | ActName::Follow => {
            "Make it best effort, and let the new side be safe without it: a lease that lapses, a gate that knows the epoch."
        }
    }
}

/// What is wrong with the calls, whichever serving region is lost. Each is said once.
pub fn check(view: &View<'_>, out: &mut Vec<Found>) {
    if !view.several_regions() {
        return;
    }
    let mut said: std::collections::BTreeSet<(ComponentId, ActName)> = std::collections::BTreeSet::new();
    for leaving in &view.serving {
        let Some(target) = view.regions.iter().find(|site| site.id != leaving.id) else { continue };
        let wrong = calls(view, leaving, target).into_iter().filter(|call| call.verdict > Verdict::BestEffort);
        for call in wrong {
            if said.insert((call.component.clone(), call.act)) {
                out.extend(told(view, &call));
            }
        }
    }
}

fn told(view: &View<'_>, call: &Call) -> Option<Found> {
    let part = view.part(&call.component)?;
    let id = match call.verdict {
        Verdict::LostRegion => "recovery-needs-lost-region",
        Verdict::GlobalControlPlane => "recovery-needs-global-control-plane",
        Verdict::Avoidable => "recovery-needs-regional-control-plane",
        Verdict::Fine | Verdict::BestEffort => return None,
    };
    let key = if call.act == ActName::Shift && part.answered("shift") { "shift" } else { "" };
    let region = call.region.as_deref().unwrap_or("many regions");
    let mut found = Found::about(id, part, key).with("act", verb(call.act)).with("call", call.call.as_str());
    if let Some(site) = call.region.as_deref().map(SiteId::new).filter(|site| view.design.site(site).is_some()) {
        found = found.site(&site);
    }
    Some(found.with("site", region).with("instead", call.instead.unwrap_or_default()))
}

/// "to `verb` it".
pub fn verb(act: ActName) -> &'static str {
    match act {
        ActName::Detect => "watch",
        ActName::Fence => "fence",
        ActName::Promote => "promote",
        ActName::Restore => "restore",
        ActName::Start => "start",
        ActName::Scale => "grow",
        ActName::Deploy => "deploy",
        ActName::Shift => "move the traffic of",
        ActName::Follow => "reverse the replication of",
    }
}
