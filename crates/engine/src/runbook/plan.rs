//! Making runbooks. Planning reads the state and changes nothing; `--plan` prints what comes out of here.

use std::sync::Arc;

use model::observe::DatabaseState;
use model::{SiteId, Time, Topology};

use super::Runbook;
use super::guard;
use super::restore;
use super::steps;
use crate::protocol::{Refused, Request, RoutingAddresses};
use crate::watch::Verdict;
use crate::watch::loss::database;
use crate::watch::verdict::fresh;
use crate::workload::Workload;

/// The runbook that a request by a person would start.
pub fn plan(state: &Workload, request: &Request, now: Time) -> Result<Runbook, Refused> {
    let runbook = match request {
        Request::Establish => establish(state)?,
        Request::Failover { to, .. } => failover(state, request, to.as_ref(), now)?,
        Request::Switchover { to } => switchover(state, to.as_ref(), now)?,
        Request::Failback => failback(state, now)?,
        Request::Restore { to, site, .. } => restore::plan(state, request, *to, site.as_ref(), now)?,
    };
    if !state.topology.approved(&runbook.to) {
        return Err(not_approved(&state.topology, &runbook.to));
    }
    if let (Request::Failover { .. }, Some(lost)) = (request, &runbook.from) {
        guard::needs_nothing_lost(&runbook, lost)?;
    }
    Ok(runbook)
}

fn establish(state: &Workload) -> Result<Runbook, Refused> {
    if let Some(writer) = &state.writer {
        return Err(Refused::new(
            "already-there",
            format!("the workload is established: {} holds epoch {}", writer.site, writer.epoch),
            "use `antipode status` to see where it runs",
        ));
    }
    let to = state.topology.preferred().clone();
    let steps = steps::establish(state, &to);
    Ok(Runbook { request: Request::Establish, from: None, to, approvals: 0, steps })
}

fn failover(state: &Workload, request: &Request, to: Option<&SiteId>, now: Time) -> Result<Runbook, Refused> {
    let from = home(state)?;
    if to == Some(from) && is_fenced(state, from, now) {
        let (steps, approvals) = (steps::reinstate(state, from), state.topology.approvals.failover);
        return Ok(Runbook { request: request.clone(), from: None, to: from.clone(), approvals, steps });
    }
    let to = target(state, from, to, now)?;
    let steps = steps::failover(state, from, &to);
    let approvals = state.topology.approvals.failover;
    Ok(Runbook { request: request.clone(), from: Some(from.clone()), to, approvals, steps })
}

fn switchover(state: &Workload, to: Option<&SiteId>, now: Time) -> Result<Runbook, Refused> {
    let from = home(state)?;
    let target = target(state, from, to, now)?;
    if state.verdict(from) == Verdict::Unreachable {
        return Err(Refused::new(
            "old-region-unreachable",
            format!("{from}, which writes, is unreachable: {}", reasons(state, from)),
            "a switchover needs both regions; use `antipode failover` when the region is lost",
        ));
    }
    let steps = steps::switchover(state, from, &target);
    let approvals = state.topology.approvals.switchover;
    Ok(Runbook {
        request: Request::Switchover { to: to.cloned() },
        from: Some(from.clone()),
        to: target,
        approvals,
        steps,
    })
}

fn failback(state: &Workload, now: Time) -> Result<Runbook, Refused> {
    let from = home(state)?;
    let to = state.topology.preferred();
    if from == to {
        return Err(Refused::new(
            "already-there",
            format!("{to}, the preferred region, already writes"),
            "nothing is to be done",
        ));
    }
    if fresh(state, to, now).is_none() {
        return Err(Refused::new(
            "old-region-unreachable",
            format!("{to} is {}: {}", state.verdict(to), reasons(state, to)),
            "wait until the region reports again; the workload stays where it is, and nothing is lost",
        ));
    }
    let steps = steps::failback(state, from, to);
    let approvals = state.topology.approvals.failback;
    Ok(Runbook { request: Request::Failback, from: Some(from.clone()), to: to.clone(), approvals, steps })
}

/// Failover and switchover from the preferred region, and the failback, as the spec alone shapes them: no region is
/// looked at. For comparing with what was rehearsed, never for running.
pub fn rehearsed(topology: &Arc<Topology>) -> Vec<Runbook> {
    let state = Workload::new(topology.clone(), RoutingAddresses::new());
    let home = topology.preferred();
    let Some(away) = topology.others(home).next() else { return Vec::new() };
    let approvals = &topology.approvals;
    let plan = |request, from: &SiteId, to: &SiteId, approvals, steps| Runbook {
        request,
        from: Some(from.clone()),
        to: to.clone(),
        approvals,
        steps,
    };
    let failover = Request::Failover { to: None, accept_loss: false };
    vec![
        plan(failover, home, away, approvals.failover, steps::failover(&state, home, away)),
        plan(Request::Switchover { to: None }, home, away, approvals.switchover, steps::switchover(&state, home, away)),
        plan(Request::Failback, away, home, approvals.failback, steps::failback(&state, away, home)),
    ]
}

/// The region that holds the highest epoch.
pub(super) fn home(state: &Workload) -> Result<&SiteId, Refused> {
    state.writer.as_ref().map(|writer| &writer.site).ok_or_else(|| {
        Refused::new(
            "not-established",
            "no region has written yet",
            "start the workload first; `antipode status` shows how far it is",
        )
    })
}

/// A fenced region that holds the highest epoch has every write: it may take the next epoch itself, when the other
/// region cannot.
fn is_fenced(state: &Workload, site: &SiteId, now: Time) -> bool {
    matches!(database(state, site, now).map(|d| &d.state), Some(DatabaseState::Fenced { .. }))
}

/// The region to go to: the one asked for, or the best of the others.
fn target(state: &Workload, from: &SiteId, asked: Option<&SiteId>, now: Time) -> Result<SiteId, Refused> {
    let Some(asked) = asked else {
        return best(state, from, now).cloned().ok_or_else(|| no_target(state, from, now));
    };
    if !state.topology.is_region(asked) {
        let regions: Vec<_> = state.topology.regions().map(|s| s.id.as_str()).collect();
        return Err(Refused::new(
            "no-such-site",
            format!("`{asked}` is not a region of this workload"),
            format!("its regions are {}", regions.join(", ")),
        ));
    }
    if asked == from {
        return Err(Refused::new("already-there", format!("{from} already writes"), "name the other region"));
    }
    usable(state, asked, now).map(|()| asked.clone())
}

/// The approved, reachable standby that has received most; else any that nothing speaks against.
fn best<'a>(state: &'a Workload, from: &'a SiteId, now: Time) -> Option<&'a SiteId> {
    let usable = state.topology.others(from).filter(|site| usable(state, site, now).is_ok());
    usable.max_by_key(|site| match database(state, site, now).map(|d| &d.state) {
        Some(DatabaseState::Standby { received, .. }) => Some(*received),
        _ => None,
    })
}

fn no_target(state: &Workload, from: &SiteId, now: Time) -> Refused {
    let refused = state.topology.others(from).find_map(|site| usable(state, site, now).err());
    refused.unwrap_or_else(|| Refused::new("no-such-site", "there is no other region", "declare a second region"))
}

fn usable(state: &Workload, site: &SiteId, now: Time) -> Result<(), Refused> {
    if !state.topology.approved(site) {
        return Err(not_approved(&state.topology, site));
    }
    if state.verdict(site) == Verdict::Unreachable {
        return Err(Refused::new(
            "target-unreachable",
            format!("{site} is unreachable: {}", reasons(state, site)),
            "`antipode probe` shows what each vantage point sees",
        ));
    }
    let no_standby = |says: &str| {
        Err(Refused::new(
            "target-not-standby",
            format!("the database of {site} is no standby: it is {says}"),
            "bring it back as a standby first; a failback does so for the preferred region",
        ))
    };
    match database(state, site, now).map(|d| &d.state) {
        Some(DatabaseState::Absent) => no_standby("absent"),
        Some(DatabaseState::Writing { .. }) => no_standby("writing"),
        Some(DatabaseState::Fenced { .. }) => no_standby("fenced"),
        Some(DatabaseState::Failed { .. }) => no_standby("failed"),
        // Starting, busy or not known: the pre-check waits for it.
        _ => Ok(()),
    }
}

pub(crate) fn not_approved(topology: &Topology, site: &SiteId) -> Refused {
    let class = topology.objectives.data_class.as_deref().unwrap_or("its");
    let allowed = topology
        .residency
        .get(class)
        .map_or(String::new(), |sites| sites.iter().map(SiteId::to_string).collect::<Vec<_>>().join(", "));
    Refused::new(
        "not-approved-for-data-class",
        format!("{site} is not approved for {class} data"),
        format!("approved are: {allowed}; `residency` in the spec says so"),
    )
}

pub(super) fn reasons(state: &Workload, site: &SiteId) -> String {
    let why = state.verdicts.get(site).map(|judged| judged.why.join("; "));
    why.filter(|why| !why.is_empty()).unwrap_or_else(|| "nothing fresh is known of it".to_owned())
}

impl Runbook {
    /// The plan as people read it.
    pub fn text(&self) -> String {
        let way = self.from.as_ref().map_or(String::new(), |from| format!(" from {from}"));
        let mut text = format!("{}{way} to {}, {} approval(s)\n", self.request, self.to, self.approvals);
        for (number, step) in self.steps.iter().enumerate() {
            text.push_str(&step.text(number));
        }
        text
    }
}
