//! People break the glass in the region that is left: `engine::glass` judges them, and the modelled agent carries out what
//! is granted as the real one does.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::glass::{self, GlassRecord, Scene};
use engine::lease::Terms;
use engine::writer::{Event, Mode, Writer};
use model::action::AcceptLoss;
use model::glass::{Fence, GlassRequest, Word};
use model::{Attempt, AttemptId, Lsn, Outcome, Person, RunId, SiteId};

use crate::site::Told;
use crate::world::{What, World};

/// Attempts of broken glass, apart from every run of a controller.
const RUN: u64 = 1 << 48;
/// How often the agent looks after broken glass.
const TEND: Duration = Duration::from_millis(250);

impl World {
    /// Somebody at `site` says that all others are fenced, and means it. Whether that was granted.
    pub fn word(&mut self, site: usize, by: &str) -> bool {
        if !self.sites[site].runs() {
            return false;
        }
        let (scene, now) = (self.scene(site), self.sites[site].local(self.now));
        let kept = &self.sites[site].disk.glass;
        let others = (0..3).filter(|other| *other != site).map(|other| self.sites[other].id.clone());
        let word = Word {
            why: "all others are lost".into(),
            fenced: others.map(|other| (other, Fence::PoweredOff)).collect(),
            loss: glass::phrase(&scene),
            tried: BTreeMap::new(),
        };
        let confirm = kept.open.as_ref().map(|open| open.attempt);
        let request = GlassRequest::Break { word, confirm };
        match glass::say(kept, &self.topology, &scene, &Person::new(by), &request, now) {
            Err(refused) => {
                self.say(|| format!("site {site}: refused to {by}: {}", refused.why));
                false
            }
            Ok(records) => {
                if self.keep(site, &records) {
                    self.await_last_look(site);
                }
                true
            }
        }
    }

    fn await_last_look(&mut self, site: usize) {
        let terms = Terms::new(&self.topology.timing);
        let place = &self.sites[site];
        let Some(open) = &place.disk.glass.open else { return };
        let Some(mut at) = glass::ready_at(open, terms).map(|at| place.clock.when(at)) else { return };
        if self.weakness.glass_in_a_hurry {
            at = self.now;
        }
        let (attempt, incarnation) = (open.attempt, place.incarnation);
        self.at(at, What::LastLook { site, attempt, incarnation });
    }

    /// Durable before anything follows; false when the agent died on the way. Each record is a moment to die at.
    fn keep(&mut self, site: usize, records: &[GlassRecord]) -> bool {
        for record in records {
            let dies = match self.glass_dies.as_mut() {
                Some((0, after)) => Some(*after),
                Some((left, _)) => {
                    *left -= 1;
                    None
                }
                None => None,
            };
            if dies.is_some() {
                self.glass_dies = None;
            }
            if dies != Some(false) {
                self.say(|| format!("site {site}: {}", record.text()));
                glass::apply(&mut self.sites[site].disk.glass, record);
            }
            if dies.is_some() {
                self.crash_agent(site);
                return false;
            }
        }
        true
    }

    /// What an agent finds in its journal when it starts.
    pub fn glass_restarts(&mut self, site: usize) {
        let place = &self.sites[site];
        let (written, now) = (&place.disk.writer.written, place.local(self.now));
        for record in glass::started(&place.disk.glass, written, now) {
            glass::apply(&mut self.sites[site].disk.glass, &record);
        }
        let place = &self.sites[site];
        if place.disk.glass.broken.is_some() {
            let incarnation = place.incarnation;
            self.after(TEND, What::TendGlass { site, incarnation });
        }
    }

    fn scene(&self, site: usize) -> Scene {
        let place = &self.sites[site];
        let now = place.local(self.now);
        let (mut answered, mut silent) = (BTreeMap::new(), BTreeMap::new());
        for other in (0..3).filter(|other| *other != site) {
            let answers = self.net.both(site, other) && self.sites[other].runs();
            let into = if answers { &mut answered } else { &mut silent };
            into.insert(self.sites[other].id.clone(), String::new());
        }
        Scene {
            site: place.id.clone(),
            database: self.database_state(site, now),
            last_commit: Some(place.database.end().to_string()),
            answered,
            silent,
            known: place.voter.promises().granted.clone(),
            promised: place.voter.promise_remaining(now).max(place.voter.quiet_remaining(now)),
            lacks: place.voter.lacks(),
        }
    }

    pub fn last_look(&mut self, site: usize, attempt: u32, incarnation: u64) {
        let place = &mut self.sites[site];
        if place.incarnation != incarnation || !place.alive || !place.agent_up {
            return;
        }
        if !place.runs() {
            return place.held.push(What::LastLook { site, attempt, incarnation });
        }
        let (scene, now) = (self.scene(site), self.sites[site].local(self.now));
        let glass = &self.sites[site].disk.glass;
        if glass.open.as_ref().is_none_or(|open| open.attempt != attempt) {
            return;
        }
        let mut records = glass::order(glass, &self.topology, &scene, now);
        if self.weakness.glass_in_a_hurry {
            records = vec![GlassRecord::Ordered { attempt, saw: scene.clone(), at: now }];
        }
        let ordered = matches!(records[..], [GlassRecord::Ordered { .. }]);
        if !self.keep(site, &records) || !ordered {
            return;
        }
        self.judge.glass.ordered(site);
        self.note_health();
        let id = AttemptId { run: RunId(RUN + u64::from(attempt)), step: 0, number: 1 };
        self.sites[site].attempts.insert(id, Told::default());
        let Some(open) = self.sites[site].disk.glass.open.clone() else { return };
        let estimate = open.said[0].word.loss.clone();
        let (by, deadline) = (open.people(), self.topology.timing.step_deadlines.promote);
        let generation = self.sites[site].generation;
        let attempt = Attempt { id, epoch: scene.known, generation, deadline };
        let received = Lsn(self.sites[site].database.end() as u64);
        self.judge.overridden = true;
        self.writer(site, Event::BreakGlass { attempt, received, accept_loss: AcceptLoss { by, estimate } });
    }

    /// The order to the writer ended.
    pub fn glass_ended(&mut self, site: usize, id: AttemptId, outcome: &Outcome) {
        if id.run.0 < RUN {
            return;
        }
        let attempt = (id.run.0 - RUN) as u32;
        let at = self.sites[site].local(self.now);
        let record = match outcome {
            Outcome::Done(evidence) | Outcome::AlreadyDone(evidence) => {
                let epoch = evidence.epoch.clone().unwrap_or_else(model::Epoch::none);
                GlassRecord::Taken { attempt, epoch, at }
            }
            Outcome::Refused { why } => GlassRecord::Failed { attempt, why: why.clone() },
            Outcome::Failed(error) => GlassRecord::Failed { attempt, why: error.to_string() },
        };
        if self.keep(site, &[record]) {
            let incarnation = self.sites[site].incarnation;
            self.after(TEND, What::TendGlass { site, incarnation });
        }
    }

    /// Brings the region into service, and tells when the ordinary rules hold again.
    pub fn tend_glass(&mut self, site: usize, incarnation: u64) {
        let place = &mut self.sites[site];
        if place.incarnation != incarnation || !place.alive || !place.agent_up {
            return;
        }
        if !place.runs() {
            return place.held.push(What::TendGlass { site, incarnation });
        }
        let Some(broken) = place.disk.glass.broken.clone() else { return };
        let alone = place.writer.as_ref().is_some_and(Writer::by_decree);
        let epoch = place.writer.as_ref().and_then(Writer::epoch).cloned();
        let writes = place.mode() == Some(&Mode::Writing);
        if writes && !alone && !broken.adopted {
            if !self.keep(site, &[GlassRecord::Adopted { attempt: broken.attempt }]) {
                return;
            }
            self.judge.glass.adopted();
        }
        if let Some(epoch) = epoch.filter(|_| writes) {
            self.serve_by_glass(site, &broken.epoch, &epoch);
        }
        self.after(TEND, What::TendGlass { site, incarnation });
    }

    fn serve_by_glass(&mut self, site: usize, broken: &model::Epoch, epoch: &model::Epoch) {
        let place = &self.sites[site];
        let Some(served) = place.disk.zone.clone().filter(|zone| zone.epoch < *broken) else { return };
        let peak = self.topology.fleets().map(|(_, fleet)| fleet.peak).max().unwrap_or(1);
        if place.disk.instances < peak {
            return self.scale(site, peak, None);
        }
        if place.ready(self.now) < peak {
            return;
        }
        let zone = engine::routing::only(&served, &place.id, epoch);
        self.invariant_traffic_moves_to_what_is_verified(site, &zone);
        self.sites[site].disk.zone = Some(zone);
    }

    /// Names served at a site, and where they lead; as its DNS server reports it.
    pub fn enabled(&self, site: usize) -> BTreeMap<String, Vec<SiteId>> {
        let names = self.sites[site].disk.zone.iter().flat_map(|zone| &zone.names);
        let on = |table: &model::routing::NameTable| {
            table.targets.iter().filter(|target| target.enabled).map(|target| target.site.clone()).collect()
        };
        names.map(|(name, table)| (name.clone(), on(table))).collect()
    }
}
