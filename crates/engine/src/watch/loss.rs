//! How much acknowledged data a failover may lose (SAFETY.md items 8 and 9).

use std::time::Duration;

use model::observe::{DatabaseReport, DatabaseState};
use model::time::human;
use model::{Lsn, Receipt, SiteId, SyncRecord, Time};

use super::verdict::{fresh, is_majority};
use super::{LossEstimate, Wrote};
use crate::workload::Workload;

/// The in-sync record, if a majority of voters has told theirs lately.
pub fn sync_record(state: &Workload, now: Time) -> Option<SyncRecord> {
    let sites = state.topology.sites.iter();
    let records: Vec<_> = sites.filter_map(|s| fresh(state, &s.id, now)).map(|r| &r.voter.sync).collect();
    if !is_majority(records.len(), &state.topology) {
        return None;
    }
    records.into_iter().max_by_key(|record| record.version).cloned()
}

/// Whether `site` is recorded to hold every acknowledged write.
pub fn in_sync(state: &Workload, site: &SiteId, now: Time) -> bool {
    sync_record(state, now).is_some_and(|record| record.in_sync.contains(site))
}

/// The site's database report, unless stale.
pub fn database<'a>(state: &'a Workload, site: &SiteId, now: Time) -> Option<&'a DatabaseReport> {
    fresh(state, site, now)?.database.as_ref()
}

/// The receipt in the site's last report, if its writer is proven gone.
pub fn receipt(state: &Workload, site: &SiteId) -> Option<Receipt> {
    let report = state.watch.sites.get(site)?.report.as_ref()?;
    match &report.database.as_ref()?.state {
        DatabaseState::Fenced { receipt, .. } | DatabaseState::Failed { receipt, .. } => receipt.clone(),
        _ => None,
    }
}

/// What moving the writer from `from` to `to` without its help would lose. `None` when that cannot be known.
pub fn estimate(state: &Workload, from: &SiteId, to: &SiteId, now: Time) -> Option<LossEstimate> {
    if in_sync(state, to, now) {
        return Some(nothing(format!("{to} is recorded in sync by a majority of voters")));
    }
    let received = match &database(state, to, now)?.state {
        DatabaseState::Standby { received, .. } => *received,
        _ => return None,
    };
    let wrote = state.watch.sites.get(from)?.wrote.as_ref();
    // Positions compare only within one history. A server that does not follow the writer may be of another, and further,
    // as one is after a restore in place of the other: the writer must have named it among its standbys, in this epoch.
    if wrote.is_some_and(|wrote| !wrote.lag.contains_key(to)) {
        return None;
    }
    if let Some(end) = receipt(state, from).and_then(|receipt| receipt.end)
        && received >= end
    {
        return Some(nothing(format!("{to} has all of the log of the fenced writer, up to {end}")));
    }
    let wrote = wrote?;
    let (lag_bytes, lag) = lag(wrote, to, received)?;
    let silent = may_acknowledge_until(state, from, now).since(wrote.at);
    let total = lag + silent;
    let why = format!(
        "at most {}: {to} was {} ({lag_bytes} bytes) behind, and {from} may have acknowledged for {} after its last report",
        human(total),
        human(lag),
        human(silent)
    );
    Some(LossEstimate { lag_bytes, lag, silent, total, why })
}

fn nothing(why: String) -> LossEstimate {
    LossEstimate { lag_bytes: 0, lag: Duration::ZERO, silent: Duration::ZERO, total: Duration::ZERO, why }
}

/// The target's lag behind the writer's last reported position.
fn lag(wrote: &Wrote, to: &SiteId, received: Lsn) -> Option<(u64, Duration)> {
    let missing = wrote.position.since(received);
    if missing == 0 {
        return Some((0, Duration::ZERO));
    }
    // What it was sent since then is not known.
    wrote.lag.get(to).map(|lag| (missing, lag.time + wrote.at.since(lag.at)))
}

/// The latest time at which a writer at `from` can still acknowledge: it needs the promise of at least one other
/// voter. A voter not heard lately may have renewed just now.
pub fn may_acknowledge_until(state: &Workload, from: &SiteId, now: Time) -> Time {
    let stopped = state.watch.sites.get(from).and_then(|seen| seen.stopped);
    let others = state.topology.sites.iter().map(|s| &s.id).filter(|v| *v != from);
    let promised = others.map(|voter| match state.watch.sites.get(voter).and_then(|seen| seen.promised_until) {
        Some(until) if fresh(state, voter, now).is_some() => until,
        _ => now + state.topology.timing.lease,
    });
    let until = promised.max().unwrap_or(now);
    stopped.map_or(until, |stopped| stopped.min(until))
}
