//! From reports and probes to a verdict for each site.

use model::observe::{DatabaseState, Readiness};
use model::time::human;
use model::{SiteId, SiteReport, Time, Topology};

use super::Verdict;
use crate::workload::Workload;

/// The site's own report, unless it is older than the timing allows.
#[inline]
pub fn fresh<'a>(state: &'a Workload, site: &SiteId, now: Time) -> Option<&'a SiteReport> {
    let seen = state.watch.sites.get(site)?;
    let report = seen.report.as_deref()?;
    (now.since(seen.at) <= state.topology.timing.stale_after).then_some(report)
}

/// Whether so many vantage points decide (DESIGN.md: more than half of all sites).
pub fn is_majority(vantage_points: usize, topology: &Topology) -> bool {
    vantage_points >= topology.majority()
}

/// The verdict for one site, with its reasons.
pub fn judge(state: &Workload, site: &SiteId, now: Time) -> (Verdict, Vec<String>) {
    let mut why = Vec::new();
    let verdict = weigh(state, site, now, |reason| why.push(reason()));
    (verdict, why)
}

/// The verdict alone: asked for every site upon every event, while the reasons are wanted only when it changes.
pub(crate) fn verdict(state: &Workload, site: &SiteId, now: Time) -> Verdict {
    weigh(state, site, now, |_| {})
}

fn weigh(state: &Workload, site: &SiteId, now: Time, mut tell: impl FnMut(&dyn Fn() -> String)) -> Verdict {
    let timing = &state.topology.timing;
    let (mut answered, mut suspecting, mut unreachable) = (0, 0, 0);
    for vantage in state.topology.sites.iter().map(|s| &s.id).filter(|v| *v != site) {
        let Some(probe) = fresh(state, vantage, now).and_then(|report| report.probes.get(site)) else {
            tell(&|| format!("{vantage} has no fresh view"));
            continue;
        };
        if probe.failures == 0 {
            answered += usize::from(probe.answered.is_some());
            continue;
        }
        tell(&|| format!("{vantage} has failed {} tries over {}", probe.failures, human(probe.failing_for)));
        suspecting += usize::from(probe.failing_for >= timing.suspect_after);
        unreachable += usize::from(probe.failing_for >= timing.unreachable_after);
    }
    let own = fresh(state, site, now).is_some();
    if let Some(since) = unanswered_since(state, site) {
        tell(&|| format!("the controller's own polls have failed for {}", human(now.since(since))));
    }
    if own {
        tell(&|| "it reports".to_owned());
    }
    if answered > 0 {
        tell(&|| format!("it answers {answered} vantage point(s)"));
    }
    if is_majority(unreachable, &state.topology) && !heard_within_streak(state, site, now) {
        Verdict::Unreachable
    } else if suspecting > 0 {
        Verdict::Suspected
    } else if own || answered > 0 {
        Verdict::Up
    } else {
        Verdict::Unknown
    }
}

fn unanswered_since(state: &Workload, site: &SiteId) -> Option<Time> {
    state.watch.sites.get(site).and_then(|seen| seen.unanswered.as_ref()).map(|(since, _)| *since)
}

/// A site that reported while the others claim to have failed is not unreachable, whatever they say.
fn heard_within_streak(state: &Workload, site: &SiteId, now: Time) -> bool {
    let seen = state.watch.sites.get(site).filter(|seen| seen.report.is_some());
    seen.is_some_and(|seen| now.since(seen.at) < state.topology.timing.unreachable_after)
}

/// Deep readiness, as clients of the site's load balancer would see it from the other sites.
pub fn readiness<'a>(state: &'a Workload, site: &SiteId, now: Time) -> &'a Readiness {
    let others = state.topology.sites.iter().map(|s| &s.id).filter(|v| *v != site);
    let probes = others.filter_map(|vantage| fresh(state, vantage, now)?.probes.get(site));
    let mut seen = &Readiness::Unknown;
    for probe in probes.filter(|probe| probe.failures == 0) {
        match (&probe.ready, seen) {
            (Readiness::Ready, _) => return &probe.ready,
            (Readiness::NotReady { .. }, Readiness::Unknown) => seen = &probe.ready,
            _ => {}
        }
    }
    seen
}

/// What the writer's own fresh report says of its service while its gate is open: that clients are served, or why nobody
/// can be. `None` when it says nothing about that.
pub fn service(state: &Workload, now: Time) -> Option<Result<(), String>> {
    let writer = state.writer.as_ref()?;
    let report = fresh(state, &writer.site, now)?;
    let database = report.database.as_ref()?;
    let writes = matches!(&database.state, DatabaseState::Writing { gate: true, .. });
    if !writes || state.watch.sites.get(&writer.site)?.at <= writer.since {
        return None;
    }
    if let Some(why) = &database.full {
        return Some(Err(why.clone()));
    }
    let nobody = |(id, fleet): (&model::ComponentId, &model::topology::Fleet)| {
        let ready = report.fleets.get(id).map_or(0, |seen| seen.ready());
        (ready == 0).then(|| format!("none of {} instances of {id} is ready", fleet.peak))
    };
    let why = state.topology.fleets().find_map(nobody);
    // Who is served by what its own region does not see is served.
    match why.filter(|_| *readiness(state, &writer.site, now) != Readiness::Ready) {
        Some(why) => Some(Err(why)),
        None => Some(Ok(())),
    }
}

/// Positive evidence: the writer's own fresh report says that it is gone for good.
pub fn writer_gone(state: &Workload, now: Time) -> Option<(SiteId, String)> {
    let writer = state.writer.as_ref()?;
    let report = fresh(state, &writer.site, now)?;
    let seen = state.watch.sites.get(&writer.site)?;
    if seen.at <= writer.since {
        return None;
    }
    match &report.database.as_ref()?.state {
        DatabaseState::Failed { why, .. } => Some((writer.site.clone(), format!("its server has failed: {why}"))),
        DatabaseState::Fenced { why, receipt: Some(receipt) } if receipt.covers(&writer.epoch) => {
            Some((writer.site.clone(), format!("it is fenced, with a receipt: {why}")))
        }
        _ => None,
    }
}
