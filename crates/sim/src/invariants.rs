//! What must always hold (DESIGN.md), each checked the moment that it could break.
//!
//! The checks know the whole world at once, which no process in it does: its true time, every disk, every message.

use std::collections::BTreeSet;
use std::time::Duration;

use engine::Record;
use engine::Request;
use engine::runbook::run::Mode as Way;
use engine::writer::Mode;
use model::{Epoch, Receipt, Time, ZoneTable};
use serde::Serialize;

use crate::database::{Entry, Server};
use crate::glass_judge::GlassJudge;
use crate::scenario::WITNESS;
use crate::world::World;

/// A hundred times what a disaster needs.
const MOST_EVENTS: u64 = 1_000_000;

/// One broken promise.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Violation {
    /// Named as its check.
    pub invariant: &'static str,
    /// Since the beginning of the disaster.
    pub at: Duration,
    pub what: String,
}

/// What the checks remember.
#[derive(Clone, Default)]
pub struct Judge {
    pub violations: Vec<Violation>,
    /// Messages that met a cut link.
    pub dropped: u64,
    /// The newest epoch whose gate ever opened.
    served: Option<Epoch>,
    /// Writes whose acknowledgement passed a gate, and when.
    passed: Passed,
    /// Acknowledged writes that a promotion left behind.
    lost: BTreeSet<u64>,
    /// Writes that were exported before a rewind.
    pub exported: BTreeSet<u64>,
    /// Two people have accepted that the next promotion loses something.
    pub overridden: bool,
    pub promotions: u32,
    /// In which epoch each region was last seen to have writer, capacity and secrets.
    verified: [Option<Epoch>; 2],
    /// Since when each region's agent and each other voter have run with a clean link between them.
    healthy: [[Option<Time>; 3]; 2],
    pub glass: GlassJudge,
}

/// By number of the write; most of them pass, and in their order.
#[derive(Clone, Default)]
struct Passed(Vec<Option<Time>>);

impl Passed {
    /// The first time counts.
    fn note(&mut self, write: u64, now: Time) {
        let number = write as usize;
        if self.0.len() <= number {
            self.0.resize(number + 1, None);
        }
        self.0[number].get_or_insert(now);
    }
    fn has(&self, write: u64) -> bool {
        self.0.get(write as usize).is_some_and(Option::is_some)
    }
    fn iter(&self) -> impl Iterator<Item = (u64, Time)> {
        (0..).zip(&self.0).filter_map(|(write, at)| Some((write, (*at)?)))
    }
    fn last(&self) -> Option<Time> {
        self.0.iter().flatten().max().copied()
    }
}

impl Judge {
    pub fn lost(&self) -> usize {
        self.lost.len()
    }
    /// Left behind by a promotion that was judged, or acknowledged by a region that people took for dead.
    fn accounted(&self, write: &u64) -> bool {
        self.lost.contains(write) || self.glass.diverged.contains(write)
    }
}

impl World {
    pub fn violated(&mut self, invariant: &'static str, what: String) {
        self.say(|| format!("VIOLATED {invariant}: {what}"));
        // The first of each kind says it; what follows from it would only repeat it.
        if self.judge.violations.iter().all(|known| known.invariant != invariant) {
            let at = self.now.since(Time::ZERO);
            self.judge.violations.push(Violation { invariant, at, what });
        }
    }

    /// After every event.
    pub fn check_always(&mut self) {
        self.invariant_one_holder();
        for site in 0..2 {
            self.invariant_writes_only_with_a_lease(site);
            self.note_verified(site);
        }
    }

    /// Invariant 1: at no moment do two agents believe that they may write.
    fn invariant_one_holder(&mut self) {
        let both = self.sites[0].holds(self.now) && self.sites[1].holds(self.now);
        if both && !self.glass_excuses() {
            self.violated("invariant_one_holder", "both regions hold the lease".into());
        }
        self.invariant_two_writers_end_with_the_links();
    }

    /// Invariant 1: a gate opens only above every epoch that was ever served, and while no other gate passes a byte.
    pub fn invariant_one_open_gate(&mut self, site: usize, epoch: &Epoch) {
        let other = 1 - site;
        if self.glass_excuses() {
            self.judge.served = self.judge.served.clone().max(Some(epoch.clone()));
            return;
        }
        if self.sites[other].passes(self.now, self.weakness.gate_without_deadline) && self.sites[other].runs() {
            self.violated("invariant_one_open_gate", format!("both gates are open when {epoch} begins"));
        }
        if self.judge.served.as_ref().is_some_and(|served| epoch < served) {
            let what = format!("the gate opens in epoch {epoch} after {:?}", self.judge.served);
            self.violated("invariant_one_open_gate", what);
        }
        self.judge.served = self.judge.served.clone().max(Some(epoch.clone()));
    }

    /// Invariants 1 and 2: nothing of an older epoch is acknowledged once a newer one's gate has opened.
    pub fn invariant_no_late_acknowledgement(&mut self, site: usize, write: u64) {
        let epoch = &self.sites[site].disk.writer.written;
        let late = self.judge.served.as_ref().is_some_and(|served| epoch < served);
        if self.glass_excuses() && (late || self.judge.glass.declared_dead(site)) {
            self.judge.glass.diverged.insert(write);
        } else if late {
            let what = format!("site {site} acknowledges {write} in epoch {epoch}, {:?} serves", self.judge.served);
            self.violated("invariant_no_late_acknowledgement", what);
        }
        self.judge.passed.note(write, self.now);
    }

    /// Invariant 2: a server that may write belongs to an agent that has, or had until now, the right to it.
    fn invariant_writes_only_with_a_lease(&mut self, site: usize) {
        let place = &self.sites[site];
        if !place.runs() || place.database.server != Server::Writing {
            return;
        }
        let entitled = matches!(place.mode(), Some(Mode::Opening { .. } | Mode::Writing | Mode::Fencing { .. }));
        if !entitled {
            let what = format!("site {site} writes, and its agent is {:?}", place.mode());
            self.violated("invariant_writes_only_with_a_lease", what);
        }
    }

    /// SAFETY.md item 5: a receipt says that the gate is shut and that every process is gone.
    pub fn invariant_receipts_tell_the_truth(&mut self, site: usize, receipt: &Receipt) {
        let place = &self.sites[site];
        if place.gate || place.database.server == Server::Writing {
            let what = format!("site {site} gives a receipt for {} and can still write", receipt.epoch);
            self.violated("invariant_receipts_tell_the_truth", what);
        }
    }

    /// Invariant 3: a promotion leaves behind no acknowledged write when the RPO is zero or the move was planned, and
    /// none older than the RPO otherwise; unless two people accepted it. It happens in an approved region only.
    pub fn invariant_promoted_within_rpo(&mut self, site: usize, epoch: &Epoch) {
        if !self.topology.approved(&self.sites[site].id) {
            self.violated("invariant_promoted_where_approved", format!("site {site} is not approved"));
        }
        self.judge.promotions += 1;
        let database = &self.sites[site].database;
        let present: BTreeSet<u64> = database.log.iter().filter_map(|entry| entry.write).collect();
        let missing = self.judge.passed.iter().filter(|(write, _)| !present.contains(write));
        let new: Vec<(u64, Time)> = missing.filter(|(write, _)| !self.judge.accounted(write)).collect();
        self.judge.lost.extend(new.iter().map(|(write, _)| *write));
        let forgiven = std::mem::take(&mut self.judge.overridden);
        let Some((first, at)) = new.first().copied().filter(|_| !forgiven) else { return };
        let last = self.judge.passed.last().unwrap_or(at);
        let timing = &self.topology.timing;
        let window = last.since(at);
        // The estimate is made on reports that travelled, by clocks that drift.
        let slack = timing.probe_timeout + window * timing.clock_drift_ppm * 2 / 1_000_000;
        let planned = self.control.state.run.as_ref().is_some_and(|run| {
            let request = &run.runbook.request;
            run.runbook.to == self.sites[site].id && matches!(request, Request::Switchover { .. } | Request::Failback)
        });
        let allowed = self.topology.objectives.rpo;
        if allowed.is_zero() || planned || window > allowed + slack {
            let count = new.len();
            let what = format!("epoch {epoch} lacks {count} acknowledged writes over {window:?}, the first is {first}");
            self.violated("invariant_promoted_within_rpo", what);
        }
    }

    /// Invariant 3: an old writer that returns because a restore is taken back opens what it had.
    pub fn invariant_undone_restores_are_put_back(&mut self, site: usize) {
        let place = &self.sites[site];
        let Some(Mode::Opening { order: Some(order), .. }) = place.mode() else { return };
        let run = self.control.state.run.as_ref().filter(|run| run.id == order.run);
        let undoes = run.is_some_and(|run| order.step as usize >= run.runbook.steps.len());
        if undoes && place.database.aside.iter().any(|aside| aside.run == order.run) {
            let what = format!("site {site} opens restored data by {order}, which undoes the restore");
            self.violated("invariant_undone_restores_are_put_back", what);
        }
    }

    /// Invariant 4: traffic goes only to a region that was seen, in that very epoch, with its gate open, its full
    /// capacity ready and its secrets there; and always to some region.
    pub fn invariant_traffic_moves_to_what_is_verified(&mut self, site: usize, zone: &ZoneTable) {
        for (name, table) in &zone.names {
            let Some(target) = table.targets.iter().find(|target| target.enabled) else {
                self.violated("invariant_never_zero_regions", format!("{name} leads nowhere at site {site}"));
                continue;
            };
            let region = self.number(&target.site);
            if self.judge.verified[region].as_ref().is_none_or(|verified| *verified < zone.epoch) {
                let what = format!("{name} goes to site {region}, unverified in epoch {}", zone.epoch);
                self.violated("invariant_traffic_moves_to_what_is_verified", what);
            }
        }
    }

    fn note_verified(&mut self, site: usize) {
        let place = &self.sites[site];
        let epoch = &place.disk.writer.written;
        if self.judge.verified[site].as_ref() == Some(epoch) || place.ready(self.now) == 0 {
            return;
        }
        let peak = self.topology.fleets().map(|(_, fleet)| fleet.peak).max().unwrap_or(1);
        if place.ready(self.now) >= peak {
            self.judge.verified[site] = Some(epoch.clone());
        }
    }

    /// Whenever an agent starts or ends, freezes or thaws, and whenever a link changes.
    pub fn note_health(&mut self) {
        self.note_false_word();
        for (site, voter) in (0..2).flat_map(|site| (0..3).map(move |voter| (site, voter))) {
            let well = voter != site
                && self.sites[site].runs()
                && self.sites[voter].runs()
                && self.net.clean(site, voter)
                && !self.net.noisy
                // Who has forgotten carries nobody, not even its own writer.
                && [site, voter].iter().all(|site| self.sites[*site].disk.promises.is_some());
            let since = &mut self.judge.healthy[site][voter];
            *since = well.then(|| since.unwrap_or(self.now));
        }
    }

    /// Invariant 6: a writer that has reached one other voter all the time does not lose its lease.
    pub fn invariant_healthy_writer_goes_on(&mut self, site: usize) {
        let enough = self.topology.timing.lease + Duration::from_secs(1);
        let reached = |since: &Option<Time>| since.is_some_and(|since| self.now.since(since) > enough);
        if let Some(voter) = self.judge.healthy[site].iter().position(reached) {
            let what = format!("site {site} lapsed though it reached site {voter} all the time");
            self.violated("invariant_healthy_writer_goes_on", what);
        }
    }

    /// Invariant 7: what a rewind takes away was exported first.
    pub fn invariant_nothing_discarded_silently(&mut self, discarded: &[Entry]) {
        let missing = discarded.iter().filter_map(|entry| entry.write);
        let silent = missing.filter(|write| self.judge.passed.has(*write) && !self.judge.exported.contains(write));
        if let Some(write) = silent.min() {
            let what = format!("the acknowledged write {write} was rewound away without an export");
            self.violated("invariant_nothing_discarded_silently", what);
        }
    }

    /// Invariant 5: a controller that dies forgets nothing that it had decided.
    pub fn invariant_state_is_the_fold_of_the_journal(&mut self) {
        let mut folded = self.control.folded();
        folded.watch = self.control.state.watch.clone();
        if folded != self.control.state {
            let what = "the journal folds to another state than the one that was lived".into();
            self.violated("invariant_state_is_the_fold_of_the_journal", what);
        }
    }

    /// Each record, once it is applied.
    pub fn check_record(&mut self, record: &Record) {
        self.invariant_only_forward_after_the_commit_point();
        if let Record::Committed { run, .. } = record {
            let approved = self.control.state.run.as_ref().is_none_or(|active| active.id != *run || active.approved());
            if !approved {
                self.violated("invariant_approved_before_commit", format!("{run} passed its commit point unapproved"));
            }
        }
    }

    /// Invariant 5: a run past its commit point is never taken back.
    fn invariant_only_forward_after_the_commit_point(&mut self) {
        let back =
            self.control.state.run.as_ref().filter(|run| {
                run.committed.is_some() && !run.undo.is_empty() && matches!(run.mode, Way::Undoing { .. })
            });
        if let Some(id) = back.map(|run| run.id) {
            self.violated("invariant_only_forward_after_the_commit_point", format!("{id} is being undone"));
        }
    }

    /// Invariant 5: nobody begets work for ever within a moment. True when somebody does.
    pub fn invariant_time_goes_on(&mut self) -> bool {
        let busy = self.events > MOST_EVENTS;
        if busy {
            self.violated("invariant_time_goes_on", format!("{MOST_EVENTS} events, and no end"));
        }
        busy
    }

    /// When the world has had all the time that it needs.
    pub fn check_end(&mut self) {
        self.invariant_runs_end_or_pause();
        self.invariant_the_ledger_agrees();
    }

    /// Invariant 5: with everything mended, a run has ended or says what it waits for.
    fn invariant_runs_end_or_pause(&mut self) {
        let run = self.control.state.run.as_ref().filter(|run| run.pause.is_none());
        if let Some(what) = run.map(|run| format!("{} neither ended nor paused: {:?}", run.id, run.mode)) {
            self.violated("invariant_runs_end_or_pause", what);
        }
        if !self.controller_runs() || !self.sites[WITNESS].agent_up {
            self.violated("invariant_runs_end_or_pause", "the controller is gone for good".into());
        }
    }

    /// What the clients were promised and the database lacks is exactly what the promotions were seen to leave
    /// behind; and all of it is kept, in an export or on a disk that was not rewound.
    fn invariant_the_ledger_agrees(&mut self) {
        let Some(writer) = self.judge.served.as_ref().map(|epoch| self.number(&epoch.site)) else { return };
        let present: BTreeSet<u64> = self.sites[writer].database.log.iter().filter_map(|entry| entry.write).collect();
        let lost: Vec<u64> = self.clients.acknowledged().filter(|write| !present.contains(write)).collect();
        if let Some(write) = lost.iter().find(|write| !self.judge.accounted(write)) {
            let what = format!("the acknowledged write {write} is gone, and no promotion left it behind");
            self.violated("invariant_the_ledger_agrees", what);
        }
        let kept =
            |write: &u64| self.judge.exported.contains(write) || self.sites.iter().any(|s| s.database.has(*write));
        if let Some(write) = lost.iter().find(|write| !kept(write)) {
            let what = format!("the acknowledged write {write} is in no database and no export");
            self.violated("invariant_the_ledger_agrees", what);
        }
    }
}
