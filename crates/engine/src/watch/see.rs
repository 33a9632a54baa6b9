//! Folding what was seen into the volatile part of the state, and the transitions that follow from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::observe::{DatabaseState, Readiness, StandbyReport};
use model::{Epoch, Lsn, SiteReport, Time};

use super::verdict::{judge, readiness, service, verdict, writer_gone};
use super::{Lag, Sighting, Watch, Wrote};
use crate::protocol::{Record, Request};
use crate::workload::Workload;

impl Watch {
    pub(crate) fn reported(&mut self, report: &Arc<SiteReport>, now: Time) {
        let seen = match self.sites.get_mut(&report.site) {
            Some(seen) => seen,
            None => self.sites.entry(report.site.clone()).or_default(),
        };
        note_writing(seen, report, now);
        let bound = report.voter.promise_remaining.max(report.voter.quiet_remaining);
        seen.promised_until = Some(match seen.promised_until {
            _ if !bound.is_zero() => now + bound,
            Some(until) => until.min(now),
            None => now,
        });
        seen.report = Some(report.clone());
        seen.at = now;
        seen.unanswered = None;
    }

    pub(crate) fn unanswered(&mut self, site: &model::SiteId, why: &str, now: Time) {
        let seen = self.sites.entry(site.clone()).or_default();
        let since = seen.unanswered.as_ref().map_or(now, |(since, _)| *since);
        seen.unanswered = Some((since, why.to_owned()));
    }
}

fn note_writing(seen: &mut Sighting, report: &SiteReport, now: Time) {
    let Some(database) = &report.database else { return };
    match &database.state {
        DatabaseState::Writing { epoch, position, .. } => {
            note_written(seen, epoch, *position, &database.standbys, now);
            seen.stopped = None;
        }
        DatabaseState::Fenced { receipt: Some(_), .. } | DatabaseState::Failed { receipt: Some(_), .. } => {
            seen.stopped.get_or_insert(now);
        }
        _ => seen.stopped = None,
    }
}

/// Reports come several times a second and mostly change numbers alone.
fn note_written(seen: &mut Sighting, epoch: &Epoch, position: Lsn, standbys: &[StandbyReport], now: Time) {
    let wrote =
        seen.wrote.get_or_insert_with(|| Wrote { at: now, epoch: epoch.clone(), position, lag: BTreeMap::new() });
    (wrote.at, wrote.position) = (now, position);
    if wrote.epoch != *epoch {
        wrote.epoch = epoch.clone();
        wrote.lag.clear();
    }
    for standby in standbys {
        let lag = Lag { at: now, time: standby.lag };
        match wrote.lag.get_mut(&standby.site) {
            Some(known) => *known = lag,
            None => drop(wrote.lag.insert(standby.site.clone(), lag)),
        }
    }
}

/// A planned move stops the writer itself: that is no evidence of a loss.
fn moves_as_planned(state: &Workload) -> bool {
    state.run.as_ref().is_some_and(|run| !matches!(run.runbook.request, Request::Failover { .. }))
}

/// The region of the writer begins to serve nobody, or serves again. Silence changes nothing.
fn service_transition(state: &Workload, now: Time) -> Option<Record> {
    let writer = state.writer.as_ref()?;
    let (site, at) = (writer.site.clone(), now);
    match (&state.unready, service(state, now)?) {
        (None, Err(why)) => Some(Record::ServiceChanged { site, unready: Some(why), at }),
        (Some(_), Ok(())) => Some(Record::ServiceChanged { site, unready: None, at }),
        _ => None,
    }
}

/// What changed in the verdicts, as records.
pub(crate) fn transitions(state: &Workload, now: Time) -> Vec<Record> {
    let mut records = Vec::new();
    for site in state.topology.sites.iter().map(|s| &s.id) {
        if verdict(state, site, now) != state.verdict(site) {
            let (verdict, why) = judge(state, site, now);
            records.push(Record::VerdictChanged { site: site.clone(), verdict, why, at: now });
        }
        let ready = readiness(state, site, now);
        let known = state.readiness.get(site);
        // The reason's wording may change with each sample; only the answer is a transition.
        if known.map(std::mem::discriminant) != Some(std::mem::discriminant(ready))
            && (known.is_some() || *ready != Readiness::Unknown)
        {
            let ready = ready.clone();
            records.push(Record::ReadinessChanged { site: site.clone(), ready, at: now });
        }
    }
    records.extend(service_transition(state, now));
    let gone = if moves_as_planned(state) { None } else { writer_gone(state, now) };
    match (&state.gone, gone) {
        (None, Some((site, why))) => records.push(Record::WriterGone { site, why: Some(why), at: now }),
        // Silence takes no evidence back; only a fresh report that says otherwise does.
        (Some((site, _)), None) if super::verdict::fresh(state, site, now).is_some() => {
            records.push(Record::WriterGone { site: site.clone(), why: None, at: now })
        }
        _ => {}
    }
    records
}
