//! Housekeeping outside any run: DNS servers that missed a zone get it when they return, and every server serves
//! TTL zero while the region that serves is suspected.

use model::action::Action;
use model::observe::ZoneReport;
use model::{Attempt, AttemptId, Outcome, RunId, SiteId, Verb};

use crate::protocol::{Effect, Record};
use crate::turn::Turn;
use crate::watch::Verdict;
use crate::watch::verdict::fresh;
use crate::workload::Workload;

/// Two kinds at each site; together they number the attempts of run 0.
const ROUTE: usize = 0;
const SUSPECT: usize = 1;
const KINDS: usize = 2;

impl Turn<'_> {
    pub(crate) fn chore_ended(&mut self, attempt: AttemptId, outcome: &Outcome) {
        let chore = self.state.chores.get(&attempt.step);
        if chore.and_then(|chore| chore.out).is_some_and(|(out, _)| out == attempt) {
            self.emit(Record::ChoreEnded { attempt, outcome: outcome.clone(), at: self.now });
        }
    }

    pub(crate) fn chores(&mut self) {
        let topology = self.state.topology.clone();
        let (suspect, dns) = (suspect_wanted(&self.state), topology.dns().0);
        for (index, site) in topology.sites.iter().map(|site| &site.id).enumerate() {
            let Some(served) = fresh(&self.state, site, self.now).and_then(|r| r.zones.get(dns)) else { continue };
            let missed = self.missed_zone(served);
            let known = self.state.zone.is_some();
            let changes = known && served.suspect != suspect && (suspect || self.may_cache(served));
            if let Some(zone) = missed {
                self.chore(index * KINDS + ROUTE, site, Verb::Route { zone });
            }
            if changes {
                self.chore(index * KINDS + SUSPECT, site, Verb::Suspect { on: suspect });
            }
        }
    }

    /// Whether answers may be cached again: the server has the present zone, and no run is about to change it. An answer
    /// with a TTL that is given just before the zone changes sends clients to the lost region for that long.
    fn may_cache(&self, served: &ZoneReport) -> bool {
        let moving = self.run().is_some_and(|run| run.pause.is_none());
        !moving && self.state.zone.as_ref().is_some_and(|zone| (&served.epoch, served.serial) >= zone.version())
    }

    /// The zone that a server should have and has not. While a run works, it routes itself.
    fn missed_zone(&self, served: &ZoneReport) -> Option<model::ZoneTable> {
        if self.run().is_some_and(|run| run.pause.is_none()) {
            return None;
        }
        let zone = self.state.zone.as_ref()?;
        ((&served.epoch, served.serial) < zone.version()).then(|| zone.clone())
    }

    fn chore(&mut self, number: usize, site: &SiteId, verb: Verb) {
        let (state, now) = (&self.state, self.now);
        let timing = &state.topology.timing;
        let chore = state.chores.get(&(number as u32)).cloned().unwrap_or_default();
        let reported = state.watch.sites.get(site).map_or(now, |seen| seen.at);
        let run_ended = state.last.as_ref().and_then(|run| run.end.as_ref()).map(|end| end.at);
        // A report from before the last try, or before the last run ended, tells nothing of what they did.
        let news = chore.ended.is_none_or(|(at, _)| reported > at) && run_ended.is_none_or(|at| reported > at);
        let failed_lately = chore.ended.is_some_and(|(at, well)| !well && now.since(at) < timing.probe_every);
        let out = chore.out.is_some_and(|(_, since)| now.since(since) < timing.step_deadlines.route * 2);
        if !news || failed_lately || out {
            return;
        }
        let id = AttemptId { run: RunId(0), step: number as u32, number: chore.tries + 1 };
        let deadline = timing.step_deadlines.route;
        let attempt = Attempt { id, epoch: state.epoch(), generation: state.generation, deadline };
        let component = state.topology.dns().0.clone();
        let action = Action { site: site.clone(), component, verb };
        self.emit(Record::ChoreStarted { attempt: id, action: action.clone(), at: now });
        self.effect(Effect::Act { attempt, action });
    }
}

/// A region that serves, or the writer, is suspected, unreachable or gone.
fn suspect_wanted(state: &Workload) -> bool {
    let serving = state.zone.iter().flat_map(|zone| zone.names.values()).flat_map(|name| &name.targets);
    let mut sites = serving.filter(|t| t.enabled).map(|t| &t.site).chain(state.writer.as_ref().map(|w| &w.site));
    state.gone.is_some() || sites.any(|site| matches!(state.verdict(site), Verdict::Suspected | Verdict::Unreachable))
}
