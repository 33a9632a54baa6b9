//! One event's decision in the making: records are applied to a scratch state as they are decided, so that later
//! decisions of the same event build on them. The caller's state is not touched.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use model::observe::DatabaseState;
use model::topology::FailoverMode;
use model::{Epoch, Person, Time};

use crate::fold::apply;
use crate::protocol::{Decision, Effect, Event, Record, Refused, Request};
use crate::runbook::guard::{proposes_failover, proposes_move};
use crate::runbook::plan::plan;
use crate::runbook::{Runbook, run::Run};
use crate::watch::loss;
use crate::watch::verdict::fresh;
use crate::workload::Workload;

pub(crate) struct Turn<'a> {
    pub state: Cow<'a, Workload>,
    pub now: Time,
    pub why: Vec<String>,
    /// The event is a `Tick`: what is asked again and again is asked only then, so that no answer begets its question.
    pub beat: bool,
    records: Vec<Record>,
    effects: Vec<Effect>,
    wake: Option<Time>,
    refused: Option<Refused>,
}

impl<'a> Turn<'a> {
    pub fn new(state: &'a Workload, now: Time) -> Self {
        Turn {
            state: Cow::Borrowed(state),
            now,
            why: Vec::new(),
            beat: false,
            records: Vec::new(),
            effects: Vec::new(),
            wake: None,
            refused: None,
        }
    }

    pub fn take(mut self, event: &Event) -> Decision {
        self.beat = matches!(event, Event::Tick);
        if let Event::Started { generation, rebooted } = event {
            self.emit(Record::Restarted { generation: *generation, rebooted: *rebooted, at: self.now });
        }
        self.watch();
        let answered = match event {
            Event::Requested { request, by } => self.requested(request, by),
            Event::Approved { run, by, accept_loss } => self.approved(*run, by, *accept_loss),
            Event::Aborted { run, by, why } => self.aborted(*run, by, why),
            Event::Progress { attempt, note } => {
                self.progressed(*attempt, note);
                Ok(())
            }
            Event::Ended { attempt, outcome } => {
                self.ended(*attempt, outcome);
                Ok(())
            }
            Event::Inquired { attempt, answer } => {
                self.inquired(*attempt, answer);
                Ok(())
            }
            Event::Tick | Event::Started { .. } | Event::Reported { .. } | Event::Unanswered { .. } => Ok(()),
        };
        self.refused = answered.err();
        self.propose();
        self.advance();
        self.chores();
        self.wake_for_staleness();
        Decision {
            records: self.records,
            effects: self.effects,
            wake_at: self.wake,
            why: self.why,
            refused: self.refused,
        }
    }

    pub fn emit(&mut self, record: Record) {
        apply(self.state.to_mut(), &record);
        self.records.push(record);
    }

    /// How many records were decided so far; a change of it means that something moved.
    pub fn decided(&self) -> usize {
        self.records.len()
    }

    /// The same effect twice in one decision is one effect.
    pub fn effect(&mut self, effect: Effect) {
        if !self.effects.contains(&effect) {
            self.effects.push(effect);
        }
    }

    pub fn notify(&mut self, text: impl Into<String>) {
        self.effect(Effect::Notify { text: text.into() });
    }

    pub fn wake_at(&mut self, at: Time) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    pub fn wake_in(&mut self, duration: Duration) {
        self.wake_at(self.now + duration);
    }

    pub fn run(&self) -> Option<&Arc<Run>> {
        self.state.run.as_ref()
    }

    /// Verdicts, readiness, evidence and the writer's epoch, as far as they changed.
    fn watch(&mut self) {
        for record in crate::watch::transitions(&self.state, self.now) {
            self.emit(record);
        }
        let writing = self.state.topology.regions().filter_map(|site| {
            match &fresh(&self.state, &site.id, self.now)?.database.as_ref()?.state {
                DatabaseState::Writing { epoch, .. } => Some(epoch),
                _ => None,
            }
        });
        let news = writing.max().filter(|epoch| self.state.writer.as_ref().is_none_or(|known| **epoch > known.epoch));
        if let Some(epoch) = news.cloned() {
            self.saw_epoch(&epoch, "seen in the site's report");
        }
        self.watch_glass();
    }

    /// What people did in a region that was left alone is taken over as it is: who broke the glass, and where traffic goes.
    fn watch_glass(&mut self) {
        for site in self.state.topology.clone().regions().map(|site| &site.id) {
            let Some(report) = fresh(&self.state, site, self.now) else { continue };
            if report.glass.as_ref() != self.state.glass.get(site) {
                let (site, glass) = (site.clone(), report.glass.clone());
                self.emit(Record::GlassBroken { site, glass, at: self.now });
            }
        }
        if let Some(zone) = self.zone_by_decree() {
            self.emit(Record::ZoneChosen { zone });
        }
    }

    /// The zone by which the writer's region has sent traffic to itself, with nobody to ask: newer than ours, and checked
    /// there as a run would have, in the epoch that it carries.
    fn zone_by_decree(&self) -> Option<model::ZoneTable> {
        let writer = self.state.writer.as_ref()?;
        let glass = self.state.glass.get(&writer.site)?;
        let served = fresh(&self.state, &writer.site, self.now)?.zones.get(self.state.topology.dns().0)?;
        let ours = self.state.zone.as_ref().map(|zone| zone.version());
        let newer = ours.is_none_or(|ours| (&served.epoch, served.serial) > ours);
        let by_glass = served.epoch >= glass.epoch && served.epoch.site == writer.site;
        let here = served.enabled.values().all(|sites| *sites == [writer.site.clone()]);
        (newer && by_glass && here && !served.enabled.is_empty()).then(|| {
            let mut zone = crate::routing::zone_to(&self.state, &writer.site, served.epoch.clone());
            zone.serial = zone.serial.max(served.serial + 1);
            zone
        })
    }

    /// An epoch is held. If it is the one that the active run waits for, its commit point has passed.
    pub fn saw_epoch(&mut self, epoch: &Epoch, how: &str) {
        if *epoch <= self.state.epoch() {
            return;
        }
        let awaited = self.run().is_some_and(|run| {
            let tried = run.commit_step().is_some_and(|step| run.steps[step].tries > 0);
            run.committed.is_none() && run.runbook.to == epoch.site && tried && !run.brings_back(&epoch.site)
        });
        if awaited {
            self.commit(epoch, how);
        } else {
            self.emit(Record::WriterSeen { site: epoch.site.clone(), epoch: epoch.clone(), at: self.now });
        }
    }

    /// Without being asked: only with a majority's evidence or the writer's own word, only when no run is active.
    fn propose(&mut self) {
        if self.state.run.is_some() {
            return;
        }
        let Some(home) = self.state.writer.as_ref().map(|writer| &writer.site) else { return };
        let Some(cause) = proposes_failover(&self.state, home) else { return self.propose_move() };
        if self.state.held.as_ref() == Some(home) {
            self.why.push(format!("{cause}; the last proposal did not succeed, so the next is for people to make"));
            return;
        }
        let request = Request::Failover { to: None, accept_loss: false };
        match plan(&self.state, &request, self.now) {
            Ok(mut runbook) => {
                runbook.approvals = self.unasked(runbook.approvals);
                self.start(runbook, None, cause, Vec::new());
            }
            Err(refused) => self.why.push(format!("{cause}; no failover is proposed: {refused}")),
        }
    }

    /// Without being asked: a planned move away from a region that writes and serves nobody. Nothing is lost by it.
    fn propose_move(&mut self) {
        let Some(unready) = &self.state.unready else { return };
        let Some(cause) = proposes_move(&self.state, &unready.site, self.now) else {
            let due = unready.since + self.state.topology.timing.unready_after;
            if due > self.now {
                self.wake_at(due);
            }
            return;
        };
        if unready.tried {
            self.why.push(format!("{cause}; the last move did not succeed, so the next is for people to ask for"));
            return;
        }
        match plan(&self.state, &Request::Switchover { to: None }, self.now) {
            Ok(mut runbook) => {
                runbook.approvals = self.unasked(runbook.approvals);
                self.start(runbook, None, cause, Vec::new());
            }
            Err(refused) => self.why.push(format!("{cause}; no move is proposed: {refused}")),
        }
    }

    /// How many people must agree to what the engine proposes.
    fn unasked(&self, approvals: u32) -> u32 {
        match self.state.topology.failover {
            FailoverMode::Automatic => 0,
            FailoverMode::Ask => approvals.max(1),
        }
    }

    pub fn start(&mut self, runbook: Runbook, by: Option<&Person>, cause: String, mut receipts: Vec<model::Receipt>) {
        let run = self.state.next_run();
        let estimate = match &runbook.from {
            Some(from) => {
                receipts.extend(loss::receipt(&self.state, from));
                loss::estimate(&self.state, from, &runbook.to, self.now)
            }
            None => None,
        };
        self.why.push(cause.clone());
        self.notify(format!("{run}: {} to {}: {cause}", runbook.request, runbook.to));
        self.emit(Record::RunStarted {
            run,
            runbook: Arc::new(runbook),
            by: by.cloned(),
            cause,
            base: self.state.epoch(),
            estimate,
            receipts,
            at: self.now,
        });
        self.emit(Record::Frozen { run: Some(run) });
    }

    /// A report that goes stale changes verdicts without any event.
    fn wake_for_staleness(&mut self) {
        let stale_after = self.state.topology.timing.stale_after;
        let reports = self.state.watch.sites.values().filter(|seen| seen.report.is_some());
        let next =
            reports.map(|seen| seen.at + stale_after + Duration::from_micros(1)).filter(|at| *at > self.now).min();
        if let Some(at) = next {
            self.wake_at(at);
        }
    }
}
