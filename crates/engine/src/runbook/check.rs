//! What the engine verifies on its observations, and how each check is answered.

use std::time::Duration;

use model::observe::{DatabaseState, FleetReport};
use model::time::human;
use model::{SiteId, SiteReport, Time};

use super::guard::loss_accepted;
use super::run::Run;
use super::{Check, restore};
use crate::watch::Verdict;
use crate::watch::loss::{database, estimate, in_sync, sync_record};
use crate::watch::verdict::fresh;
use crate::workload::Workload;

/// A check's answer for now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    Pass(String),
    /// Ask again when more is seen.
    NotYet(String),
    /// Will not pass however long one waits.
    Never(String),
    /// Passes only if people accept what it says.
    NeedsOverride(String),
}

use Finding::{NeedsOverride, Never, NotYet, Pass};

impl Check {
    /// The site whose report answers the check.
    pub fn site(&self) -> Option<&SiteId> {
        match self {
            Check::WithinRpo { to, .. } => Some(to),
            Check::IncidentScope { site }
            | Check::Residency { site }
            | Check::Standby { site }
            | Check::Secrets { site }
            | Check::Artifact { site }
            | Check::Healthy { site }
            | Check::HealthyFor { site }
            | Check::Writing { site }
            | Check::Streaming { site, .. }
            | Check::CapacityAlive { site }
            | Check::CapacityReady { site }
            | Check::NoOldWriter { site } => Some(site),
            Check::Covered { writer, .. } => Some(writer),
            Check::Frozen | Check::Unwritten | Check::LossOf { .. } => None,
        }
    }

    pub fn text(&self) -> String {
        let name = match self {
            Check::IncidentScope { .. } => "check the incident's scope",
            Check::Residency { .. } => "check residency",
            Check::Standby { .. } => "check the standby",
            Check::WithinRpo { .. } => "check the estimated loss",
            Check::Secrets { .. } => "check secrets",
            Check::Artifact { .. } => "check the artifact",
            Check::Frozen => "check the freeze",
            Check::Healthy { .. } => "check health",
            Check::HealthyFor { .. } => "check lasting health",
            Check::Writing { .. } => "check the writer",
            Check::Streaming { .. } => "check replication",
            Check::CapacityAlive { .. } => "check instances",
            Check::CapacityReady { .. } => "check ready instances",
            Check::NoOldWriter { .. } => "check for old writers",
            Check::Unwritten => "check that nobody writes",
            Check::Covered { to, .. } => return format!("check that a backup reaches {to}"),
            Check::LossOf { to } => return format!("check that people accept to lose what came after {to}"),
        };
        self.site().map_or(name.to_owned(), |site| format!("{name} · {site}"))
    }

    /// Answer the check from what is known now.
    pub fn evaluate(&self, state: &Workload, run: &Run, now: Time) -> Finding {
        match self {
            Check::IncidentScope { site } => incident_scope(state, run, site),
            Check::Residency { site } if state.topology.approved(site) => Pass(format!("{site} is approved")),
            Check::Residency { site } => Never(format!("{site} is not approved for this class of data")),
            Check::Standby { site } => standby(state, site, now),
            Check::WithinRpo { from, to } => within_rpo(state, run, from, to, now),
            Check::Secrets { site } => secrets(state, site, now),
            Check::Artifact { site } => artifact(state, site, now),
            Check::Frozen if state.frozen == Some(run.id) => Pass("deployments are frozen for this run".to_owned()),
            Check::Frozen => NotYet("deployments are not frozen".to_owned()),
            Check::Healthy { site } => match fresh(state, site, now) {
                Some(_) => Pass(format!("{site} reports")),
                None => NotYet(unheard(site)),
            },
            Check::HealthyFor { site } => healthy_for(state, site, now),
            Check::Writing { site } => writing(state, run, site, now),
            Check::Streaming { site, upstream } => streaming(state, site, upstream, now),
            Check::CapacityAlive { site } => capacity(state, site, now, "alive", FleetReport::alive),
            Check::CapacityReady { site } if stale_for(state, run, site) => {
                NotYet(format!("{site} has not reported since its promotion"))
            }
            Check::CapacityReady { site } => capacity(state, site, now, "ready", FleetReport::ready),
            Check::NoOldWriter { .. } => no_old_writer(state, run, now),
            Check::Unwritten => unwritten(state, now),
            Check::Covered { to, writer } => restore::covered(state, to, writer, now),
            Check::LossOf { to } => restore::loss_of(state, run, to),
        }
    }
}

fn unheard(site: &SiteId) -> String {
    format!("{site} has not reported lately")
}

fn incident_scope(state: &Workload, run: &Run, site: &SiteId) -> Finding {
    if let Some((_, why)) = state.gone.as_ref().filter(|(gone, _)| gone == site) {
        return Pass(format!("the writer at {site} says itself: {why}"));
    }
    let judged = state.verdicts.get(site);
    let why = judged.map_or(String::new(), |judged| judged.why.join("; "));
    match state.verdict(site) {
        Verdict::Unreachable => Pass(format!("{site} is unreachable: {why}")),
        _ if loss_accepted(&state.topology, run) => Pass("people took the decision upon themselves".to_owned()),
        Verdict::Up => NeedsOverride(format!("{site} looks well ({why}); a switchover would lose nothing")),
        verdict => NotYet(format!("{site} is {verdict}: {why}")),
    }
}

fn standby(state: &Workload, site: &SiteId, now: Time) -> Finding {
    if let Some(why) = database(state, site, now).and_then(|database| database.full.as_ref()) {
        return NotYet(format!("{site} could not write: {why}"));
    }
    match database(state, site, now).map(|d| &d.state) {
        Some(DatabaseState::Standby { received, .. }) => Pass(format!("{site} stands by and has received {received}")),
        Some(_) => NotYet(format!("the database of {site} is no standby now")),
        None => NotYet(unheard(site)),
    }
}

/// Whether the estimated loss is within the objective (DESIGN.md, invariant 3).
pub(super) fn within_rpo(state: &Workload, run: &Run, from: &SiteId, to: &SiteId, now: Time) -> Finding {
    if loss_accepted(&state.topology, run) {
        let by: Vec<_> = run.loss_accepted.iter().map(|p| p.to_string()).collect();
        return Pass(format!("the loss is accepted by {}", by.join(" and ")));
    }
    let rpo = state.topology.objectives.rpo;
    if rpo.is_zero() {
        return match sync_record(state, now) {
            _ if in_sync(state, to, now) => Pass(format!("{to} is recorded in sync by a majority of voters")),
            Some(_) => NeedsOverride(format!("{to} is not recorded in sync, and no loss is allowed")),
            None => NotYet("fewer than a majority of voters have told which standby is in sync".to_owned()),
        };
    }
    match estimate(state, from, to, now).or_else(|| run.estimate.clone()) {
        Some(loss) if loss.total <= rpo => Pass(loss.why),
        Some(loss) => NeedsOverride(format!("{}; {} is allowed", loss.why, human(rpo))),
        None if database(state, to, now).is_none() => NotYet(unheard(to)),
        None => NeedsOverride(format!("nobody knows how far {to} was behind {from}; {} is allowed", human(rpo))),
    }
}

fn secrets(state: &Workload, site: &SiteId, now: Time) -> Finding {
    let Some(report) = fresh(state, site, now) else { return NotYet(unheard(site)) };
    let digest = |report: &SiteReport, id| report.secrets.get(id).and_then(|s| s.digest.clone());
    for (id, _) in state.topology.secrets() {
        let Some(here) = digest(report, id) else { return NotYet(format!("{site} has no {id}")) };
        // The last report of a lost region still counts: that is what the secret was.
        for other in state.topology.others(site) {
            let known = state.watch.sites.get(other).and_then(|seen| seen.report.as_ref());
            if known.and_then(|known| digest(known, id)).is_some_and(|there| there != here) {
                return NotYet(format!("{id} differs between {site} and {other}"));
            }
        }
    }
    Pass(format!("{site} has every secret, equal to what other regions have"))
}

fn artifact(state: &Workload, site: &SiteId, now: Time) -> Finding {
    let Some(report) = fresh(state, site, now) else { return NotYet(unheard(site)) };
    let wanted = &state.topology.artifact;
    for (id, _) in state.topology.fleets() {
        match report.fleets.get(id) {
            Some(fleet) if fleet.artifact == *wanted => {}
            Some(fleet) => return NotYet(format!("{id} at {site} runs {}, not {wanted}", fleet.artifact)),
            None => return NotYet(format!("{site} has no {id}")),
        }
    }
    Pass(format!("{site} runs {wanted}"))
}

fn healthy_for(state: &Workload, site: &SiteId, now: Time) -> Finding {
    let wanted = state.topology.timing.healthy_for;
    let up_for = match state.verdicts.get(site) {
        Some(judged) if judged.verdict == Verdict::Up => now.since(judged.since),
        _ => Duration::ZERO,
    };
    if fresh(state, site, now).is_some() && up_for >= wanted && state.verdict(site) == Verdict::Up {
        return Pass(format!("{site} has been up for {}", human(up_for)));
    }
    NotYet(format!("{site} has been up for {} of {}", human(up_for), human(wanted)))
}

/// Whether the site's last report is older than the run's commit point, so that it tells of the past.
fn stale_for(state: &Workload, run: &Run, site: &SiteId) -> bool {
    let committed = run.committed.is_some().then(|| state.writer.as_ref().map(|w| w.since)).flatten();
    let seen = state.watch.sites.get(site).map(|seen| seen.at);
    committed.is_some_and(|committed| seen.is_none_or(|seen| seen <= committed))
}

fn writing(state: &Workload, run: &Run, site: &SiteId, now: Time) -> Finding {
    if let Some(epoch) = run.committed.as_ref().filter(|epoch| epoch.site == *site)
        && stale_for(state, run, site)
    {
        // The agent's own answer to the promotion is newer than any report.
        return Pass(format!("{site} answered that it writes in epoch {epoch}"));
    }
    let least = run.committed.as_ref().unwrap_or(&run.base);
    match database(state, site, now).map(|d| &d.state) {
        Some(DatabaseState::Writing { epoch, gate: true, .. }) if epoch >= least => {
            Pass(format!("{site} writes in epoch {epoch}, its gate open"))
        }
        Some(DatabaseState::Writing { .. }) => NotYet(format!("the gate of {site} is shut, or its epoch is old")),
        Some(_) => NotYet(format!("{site} does not write")),
        None => NotYet(unheard(site)),
    }
}

fn streaming(state: &Workload, site: &SiteId, upstream: &SiteId, now: Time) -> Finding {
    let (Some(here), Some(there)) = (database(state, site, now), database(state, upstream, now)) else {
        return NotYet(format!("{site} or {upstream} has not reported lately"));
    };
    if !matches!(&here.state, DatabaseState::Standby { receiving: true, upstream: of, .. } if of == upstream) {
        return NotYet(format!("{site} does not receive from {upstream}"));
    }
    let max = state.topology.timing.max_lag;
    match there.standbys.iter().find(|s| s.site == *site) {
        Some(standby) if standby.streaming && standby.lag <= max => {
            Pass(format!("{site} streams from {upstream}, {} behind", human(standby.lag)))
        }
        Some(standby) if standby.streaming => {
            NotYet(format!("{site} is {} behind, more than {}", human(standby.lag), human(max)))
        }
        _ => NotYet(format!("{upstream} does not stream to {site}")),
    }
}

fn capacity(state: &Workload, site: &SiteId, now: Time, word: &str, count: fn(&FleetReport) -> u32) -> Finding {
    let Some(report) = fresh(state, site, now) else { return NotYet(unheard(site)) };
    for (id, fleet) in state.topology.fleets() {
        let have = report.fleets.get(id).map_or(0, count);
        if have < fleet.peak {
            return NotYet(format!("{have} of {} instances of {id} at {site} are {word}", fleet.peak));
        }
    }
    Pass(format!("{site} has its peak of instances {word}"))
}

fn no_old_writer(state: &Workload, run: &Run, now: Time) -> Finding {
    let least = run.committed.as_ref().unwrap_or(&run.base);
    for site in state.topology.regions().map(|s| &s.id) {
        if let Some(DatabaseState::Writing { epoch, .. }) = database(state, site, now).map(|d| &d.state)
            && epoch < least
        {
            return NotYet(format!("{site} still writes in epoch {epoch}, below {least}"));
        }
    }
    Pass(format!("no site reports that it writes in an epoch below {least}"))
}

fn unwritten(state: &Workload, now: Time) -> Finding {
    for site in state.topology.regions().map(|s| &s.id) {
        match database(state, site, now) {
            None => return NotYet(unheard(site)),
            Some(database) if !database.written.is_none() => {
                return Never(format!("{site} holds data of epoch {}", database.written));
            }
            Some(_) => {}
        }
    }
    Pass("no region holds data of an earlier writer".to_owned())
}
