//! What an agent does with the controller's calls: admits or refuses them, carries each out once, and tells its end.

use std::time::Duration;

use engine::Inquiry;
use engine::writer::Event;
use model::action::Evidence;
use model::{ActError, Action, Attempt, AttemptId, Lsn, Outcome, Verb};

use crate::control::{Answer, Call};
use crate::database::{Entry, Server};
use crate::scenario::WITNESS;
use crate::site::{Told, Tries};
use crate::world::{Message, What, Work, World};

impl World {
    pub fn called(&mut self, site: usize, id: u64, call: Call) {
        match call {
            Call::Act { attempt, action } => match self.agent_dies_now() {
                None => self.act(site, id, attempt, action),
                Some(done) => {
                    if done {
                        self.act(site, id, attempt, action);
                    }
                    self.crash_agent(site);
                }
            },
            Call::Inquire { attempt } => {
                let unheard = || Told { unheard: true, ..Told::default() };
                let known = self.sites[site].attempts.entry(attempt).or_insert_with(unheard);
                let answer = match known.end.clone() {
                    None if known.unheard => Inquiry::NeverSeen,
                    None => Inquiry::Running,
                    Some(outcome) => Inquiry::Ended(outcome),
                };
                self.answer(site, id, Answer::Inquired(answer));
            }
            Call::Cancel { attempt } => {
                let known = self.sites[site].attempts.contains_key(&attempt);
                if !known {
                    let outcome = Outcome::Refused { why: "cancelled before it arrived".into() };
                    let told = Told { end: Some(outcome), ..Told::default() };
                    self.sites[site].attempts.insert(attempt, told);
                }
                self.writer(site, Event::Cancel { attempt });
            }
        }
    }

    pub fn polled(&mut self, site: usize, id: u64) {
        let report = self.report(site);
        self.send(site, WITNESS, Message::Reported { id, report });
    }

    fn agent_dies_now(&mut self) -> Option<bool> {
        let (orders, done) = self.agent_dies.as_mut()?;
        if *orders > 0 {
            *orders -= 1;
            return None;
        }
        let done = *done;
        self.agent_dies = None;
        Some(done)
    }

    fn answer(&mut self, site: usize, id: u64, answer: Answer) {
        if let Some(heard) = &mut self.heard {
            return heard.answers.push((id, answer));
        }
        self.send(site, WITNESS, Message::Answer { id, answer: Box::new(answer) });
    }

    fn act(&mut self, site: usize, id: u64, attempt: Attempt, action: Action) {
        if let Err(why) = self.admit(site, &attempt, &action) {
            return self.answer(site, id, Answer::Ended(Outcome::Refused { why }));
        }
        if let Some(told) = self.sites[site].attempts.get_mut(&attempt.id) {
            return match told.end.clone() {
                None if told.unheard => {
                    let why = "the agent no longer knows the attempt".to_owned();
                    self.answer(site, id, Answer::Ended(Outcome::Failed(ActError::Unknown(why))));
                }
                Some(outcome) => self.answer(site, id, Answer::Ended(outcome)),
                None => told.waiting.push(id),
            };
        }
        self.sites[site].attempts.insert(attempt.id, Told { waiting: vec![id], ..Told::default() });
        self.say(|| format!("site {site}: order {}: {}", attempt.id, engine::record::action_text(&action)));
        self.carry_out(site, attempt, action);
    }

    fn admit(&mut self, site: usize, attempt: &Attempt, action: &Action) -> Result<(), String> {
        let place = &mut self.sites[site];
        if attempt.generation < place.generation {
            return Err(format!("the order is of controller start {}", attempt.generation));
        }
        place.generation = attempt.generation;
        let highest = &place.voter.promises().granted;
        let data =
            matches!(action.verb, Verb::Follow { .. } | Verb::Initialise | Verb::Restore { .. } | Verb::PutBack { .. });
        if data && *highest > attempt.epoch {
            return Err(format!("the order was given in epoch {}, {highest} is known", attempt.epoch));
        }
        Ok(())
    }

    fn carry_out(&mut self, site: usize, attempt: Attempt, action: Action) {
        let id = attempt.id;
        match action.verb {
            Verb::Fence { clean } => self.writer(site, Event::Fence { attempt, clean }),
            Verb::Promote { receipts, at_least, accept_loss } => {
                if accept_loss.is_some() {
                    self.judge.overridden = true;
                }
                if self.weakness.promotes_without_lease {
                    return self.promote_at_once(site, id);
                }
                let received = Lsn(self.sites[site].database.end() as u64);
                self.writer(site, Event::Promote { attempt, receipts, at_least, accept_loss, received });
            }
            Verb::Initialise => {
                let (delay, count) = (self.rng.millis(100, 900), self.sites[site].database.work);
                self.after(delay, What::Worked { site, count, work: Work::Initialise { attempt: id } });
            }
            Verb::Follow { upstream } => self.begin_follow(site, id, self.number(&upstream)),
            Verb::Scale { instances } => self.scale_ordered(site, instances, id),
            Verb::Exercise { write } => {
                let delay = self.rng.millis(5, 200);
                self.after(delay, What::Exercised { site, attempt: id, write });
            }
            Verb::Route { zone } => {
                let served = self.sites[site].disk.zone.as_ref();
                let outcome = match served {
                    Some(served) if *served == zone => Outcome::AlreadyDone(Evidence::default()),
                    Some(served) if served.version() >= zone.version() => {
                        Outcome::Refused { why: "a newer zone, or another of this version, is served".into() }
                    }
                    _ => {
                        self.invariant_traffic_moves_to_what_is_verified(site, &zone);
                        self.sites[site].disk.zone = Some(zone);
                        Outcome::Done(Evidence::default())
                    }
                };
                self.attempt_ended(site, id, outcome);
            }
            verb @ (Verb::Archive | Verb::Restore { .. } | Verb::PutBack { .. }) => {
                self.begin_with_vault(site, id, verb);
            }
            Verb::Suspect { on } => {
                let changed = std::mem::replace(&mut self.sites[site].suspect, on) != on;
                let outcome = if changed { Outcome::Done } else { Outcome::AlreadyDone };
                self.attempt_ended(site, id, outcome(Evidence::default()));
            }
        }
    }

    /// Taken away by [`crate::guards::Weakness::promotes_without_lease`]: the epoch is the voters' to give.
    fn promote_at_once(&mut self, site: usize, id: AttemptId) {
        let me = self.sites[site].id.clone();
        let known = self.sites.iter().map(|s| s.disk.writer.written.clone()).max();
        let epoch = known.unwrap_or_else(model::Epoch::none).next(&me);
        let at = self.now;
        let place = &mut self.sites[site];
        place.disk.writer.written = epoch.clone();
        place.database.server = Server::Writing;
        (place.database.copy, place.gate, place.deadline) = (false, true, Some(model::Time::MAX));
        place.opening += 1;
        self.marks += 1;
        let mark = self.marks;
        place.database.append(Entry { mark, write: None, at });
        self.invariant_one_open_gate(site, &epoch);
        let evidence = Evidence { epoch: Some(epoch), ..Evidence::default() };
        self.attempt_ended(site, id, Outcome::Done(evidence));
    }

    /// The first end counts; whoever waits for it hears.
    pub fn attempt_ended(&mut self, site: usize, id: AttemptId, outcome: Outcome) {
        let Some(told) = self.sites[site].attempts.get_mut(&id) else { return };
        if told.end.is_some() {
            return;
        }
        told.end = Some(outcome.clone());
        for call in std::mem::take(&mut told.waiting) {
            self.answer(site, call, Answer::Ended(outcome.clone()));
        }
        self.glass_ended(site, id, &outcome);
    }

    fn scale_ordered(&mut self, site: usize, instances: u32, id: AttemptId) {
        let most = self.topology.fleets().map(|(_, fleet)| fleet.peak).max().unwrap_or(0);
        let place = &self.sites[site];
        if instances > most {
            let why = format!("{instances} instances are more than the {most} with a port");
            return self.attempt_ended(site, id, Outcome::Refused { why });
        }
        if place.disk.instances == instances && place.instances == instances {
            let evidence = Evidence::note(format!("{instances} instances"));
            return self.attempt_ended(site, id, Outcome::AlreadyDone(evidence));
        }
        self.scale(site, instances, Some(id));
    }

    pub fn scale(&mut self, site: usize, instances: u32, attempt: Option<AttemptId>) {
        let delay = self.rng.millis(50, 1_500);
        let place = &mut self.sites[site];
        place.disk.instances = instances;
        place.scaling += 1;
        let count = place.scaling;
        self.after(delay, What::Scaled { site, count, instances, attempt });
    }

    pub fn scaled(&mut self, site: usize, count: u64, instances: u32, attempt: Option<AttemptId>) {
        let place = &mut self.sites[site];
        if !place.alive || !place.agent_up {
            return;
        }
        if !place.runs() {
            return place.held.push(What::Scaled { site, count, instances, attempt });
        }
        let overtaken = place.scaling != count;
        if !overtaken {
            place.instances = instances;
        }
        if let Some(attempt) = attempt {
            let outcome = match overtaken {
                true => Outcome::Failed(ActError::Transient("another order to scale came".into())),
                false => Outcome::Done(Evidence::note(format!("{instances} instances"))),
            };
            self.attempt_ended(site, attempt, outcome);
        }
    }

    /// A request through the regional load balancer. A write waits for its standby like any other.
    pub fn exercised(&mut self, site: usize, attempt: AttemptId, write: bool) {
        let now = self.now;
        let place = &self.sites[site];
        if !place.alive || !place.agent_up {
            return;
        }
        let well = place.said_ready(now, &self.weakness) > 0;
        let database = &place.database;
        let accompanied = database.stream.as_ref().is_some_and(|s| database.waits_for == Some(s.to));
        let acknowledged = !database.frozen && !database.full && (database.waits_for.is_none() || accompanied);
        let outcome = if well && (acknowledged || !write) {
            Outcome::Done(Evidence::note("answered"))
        } else {
            Outcome::Failed(ActError::Transient("no good answer".into()))
        };
        self.attempt_ended(site, attempt, outcome);
    }

    pub fn probe(&mut self) {
        self.after(self.topology.timing.probe_every, What::Probe);
        for site in 0..3 {
            if self.sites[site].runs() {
                self.probe_from(site);
            }
        }
    }

    fn probe_from(&mut self, site: usize) {
        let now = self.sites[site].local(self.now);
        for other in (0..3).filter(|other| *other != site) {
            let lost = self.rng.permille(self.net.lossy(site, other) + self.net.lossy(other, site));
            let there = self.net.both(site, other) && self.sites[other].alive && !lost;
            let answers = there && self.sites[other].runs();
            let ready = match self.sites[other].ready(self.now) {
                _ if other == WITNESS => Ok(false),
                0 => Err("not ready"),
                _ if !there => Err("no answer in time"),
                _ => Ok(true),
            };
            let tries = self.tries(site, other);
            if answers {
                tries.good(now)
            } else {
                tries.bad(now)
            }
            tries.answered(ready);
        }
    }
}

impl World {
    fn tries(&mut self, site: usize, other: usize) -> &mut Tries {
        let [mine, theirs] = self.sites.get_disjoint_mut([site, other]).expect("two sites");
        match mine.probes.iter().position(|(id, _)| *id == theirs.id) {
            Some(place) => &mut mine.probes[place].1,
            None => {
                mine.probes.push((theirs.id.clone(), Tries::default()));
                let last = mine.probes.len() - 1;
                &mut mine.probes[last].1
            }
        }
    }
}

/// What a call may take beside the act itself.
pub const CONNECT: Duration = Duration::from_millis(3);
