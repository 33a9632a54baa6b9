//! The agent's lease side: it drives `engine::writer` and `engine::lease` as the real agent's thread does, with a
//! watchdog beside it.

use std::time::Duration;

use engine::lease::{Promises, Terms, Voter};
use engine::writer::{Cause, Effect, Event, Mode, Writer};
use model::action::Evidence;
use model::{AttemptId, Epoch, LeaseReply, LeaseRequest, Lsn, Outcome, Receipt, Time};

use crate::database::Server;
use crate::site::rules;
use crate::world::{Ballot, Message, Question, What, Work, World};

/// Pause before a dead agent is started again.
const RESTART_PAUSE: Duration = Duration::from_millis(200);

impl World {
    pub fn wake(&mut self, site: usize, incarnation: u64) {
        let place = &mut self.sites[site];
        if place.incarnation != incarnation || !place.agent_up {
            return;
        }
        if !place.runs() {
            return place.held.push(What::Wake { site, incarnation });
        }
        // An earlier wake has come since, and ordered the next.
        if place.wakes.is_none_or(|(wakes, _)| self.now < wakes) {
            return;
        }
        place.wakes = None;
        self.writer(site, Event::Tick);
    }

    /// One event for a site's writer, and what follows from it.
    pub fn writer(&mut self, site: usize, event: Event) {
        if let Some(heard) = &mut self.heard {
            heard.events.push((site, event.clone()));
            if !matches!(event, Event::Followed { .. }) {
                return;
            }
        }
        let now = self.sites[site].local(self.now);
        let Some(writer) = self.sites[site].writer.as_mut() else { return };
        let was_active = matches!(writer.mode(), Mode::Writing);
        let effects = writer.step(now, event);
        let lapsed = was_active && matches!(writer.mode(), Mode::Fencing { cause: Cause::Lapse, .. });
        if lapsed {
            self.invariant_healthy_writer_goes_on(site);
        }
        self.settle(site, effects);
    }

    /// Makes what changed durable and visible, then performs.
    pub fn settle(&mut self, site: usize, effects: Vec<Effect>) {
        self.publish(site);
        if !effects.is_empty() {
            for effect in effects {
                self.perform(site, effect);
            }
            self.publish(site);
        }
        self.sleep(site);
    }

    fn publish(&mut self, site: usize) {
        let fence_within = self.topology.timing.step_deadlines.fence;
        let margin = self.topology.timing.stop_margin / 2;
        let now = self.sites[site].local(self.now);
        let place = &mut self.sites[site];
        let Some(writer) = &place.writer else { return };
        if place.disk.writer != *writer.durable() {
            place.disk.writer = writer.durable().clone();
        }
        let may_write = matches!(writer.mode(), Mode::Opening { .. } | Mode::Writing);
        place.deadline = writer.deadline().filter(|_| may_write);
        let fencing = matches!(writer.mode(), Mode::Fencing { .. });
        place.fencing_until = fencing.then(|| place.fencing_until.unwrap_or(now + fence_within));
        let leash = place.deadline.map(|at| at + margin).or(place.fencing_until);
        if place.leash != leash {
            place.leash = leash;
            // One that comes too early orders the next.
            if leash.is_some_and(|leash| place.looks.is_none_or(|looks| leash < looks)) {
                self.look_after_leash(site);
            }
        }
    }

    fn sleep(&mut self, site: usize) {
        let renew_every = self.topology.timing.renew_every;
        let place = &mut self.sites[site];
        let now = place.clock.show(self.now);
        let Some(writer) = &place.writer else { return };
        let idle = matches!(writer.mode(), Mode::Standby | Mode::Fenced { .. } | Mode::Fencing { .. });
        if idle {
            return;
        }
        let shown = writer.wake_at(now).min(now + renew_every);
        if place.wakes.is_none_or(|(_, wakes)| shown < wakes) {
            let at = place.clock.when(shown);
            place.wakes = Some((at, shown));
            let incarnation = place.incarnation;
            self.at(at, What::Wake { site, incarnation });
        }
    }

    pub fn perform(&mut self, site: usize, effect: Effect) {
        match effect {
            Effect::Ask { voter, request } => self.ask(site, self.number(&voter), request),
            Effect::Open { epoch } => self.open_server(site, epoch, false),
            Effect::Restart => {
                if let Some(epoch) = self.sites[site].writer.as_ref().and_then(Writer::epoch).cloned() {
                    self.open_server(site, epoch, true);
                }
            }
            Effect::OpenGate { epoch } => self.order_gate(site, epoch),
            Effect::ShutGate => {
                let place = &mut self.sites[site];
                (place.gate, place.fenced) = (false, true);
                place.shuts += 1;
                place.in_hand.clear();
                place.database.waiting.clear();
            }
            Effect::Synchronous { standby } => {
                let standby = standby.map(|standby| self.number(&standby));
                // The server may be busy with something else when it is told.
                let delay = match self.rng.range(0, 40) {
                    _ if self.weakness.believes_its_orders => self.rng.millis(2_000, 20_000),
                    0 => self.rng.millis(1_000, 10_000),
                    1..8 => self.rng.millis(50, 1_500),
                    _ => self.rng.millis(1, 60),
                };
                let database = &mut self.sites[site].database;
                let (count, at) = (database.work, database.obeys_at.max(self.now) + delay);
                database.obeys_at = at;
                self.at(at, What::Worked { site, count, work: Work::Synchronous { standby } });
            }
            Effect::Stop { clean } => self.stop_server(site, clean),
            Effect::Certify { epoch, end, attempt } => self.certify(site, epoch, end, attempt),
            Effect::Answer { attempt, outcome } => self.attempt_ended(site, attempt, outcome),
            Effect::Say { text } => self.say(|| format!("site {site}: {text}")),
        }
    }

    /// The gate opens after the orders to the server that came before; and not at all if it was shut since.
    fn order_gate(&mut self, site: usize, epoch: Epoch) {
        let place = &self.sites[site];
        let (at, shuts) = (place.database.obeys_at, place.shuts);
        if at <= self.now || self.weakness.believes_its_orders {
            return self.open_gate(site, &epoch);
        }
        self.at(at, What::GateOpens { site, shuts, epoch });
    }

    pub fn gate_opens(&mut self, site: usize, shuts: u64, epoch: Epoch) {
        let place = &mut self.sites[site];
        if !place.alive || !place.agent_up || place.shuts != shuts {
            return;
        }
        if !place.runs() {
            return place.held.push(What::GateOpens { site, shuts, epoch });
        }
        self.open_gate(site, &epoch);
    }

    fn open_gate(&mut self, site: usize, epoch: &Epoch) {
        let place = &mut self.sites[site];
        place.receipt = None;
        place.gate = true;
        place.opening += 1;
        place.fenced = false;
        self.publish(site);
        self.say(|| format!("site {site}: the gate opens in epoch {epoch}"));
        self.invariant_one_open_gate(site, epoch);
    }

    fn ask(&mut self, site: usize, voter: usize, request: LeaseRequest) {
        let (sent, incarnation) = (self.sites[site].local(self.now), self.sites[site].incarnation);
        let question = Question { voter, request, sent, incarnation };
        if voter == site {
            // A call within the process: nothing can come between.
            let (reply, durable) = self.vote(site, &question.request);
            let told = Message::LeaseTold(Box::new(Ballot { question, reply: Some(reply) }));
            let takes = Duration::from_micros(50) + durable;
            return self.after(takes, What::Deliver { from: site, to: site, message: told });
        }
        self.send(site, voter, Message::LeaseAsk(Box::new(Ballot { question, reply: None })));
    }

    /// The answer, and after what time it leaves: what was promised is on disk before it is told.
    pub fn vote(&mut self, site: usize, request: &LeaseRequest) -> (LeaseReply, Duration) {
        let place = &mut self.sites[site];
        let reply = place.voter.vote(place.clock.show(self.now), request);
        let kept_at = place.keep_promises(self.now);
        (reply, kept_at.since(self.now))
    }

    pub fn lease_asked(&mut self, site: usize, from: usize, mut ballot: Box<Ballot>) {
        let (reply, durable) = self.vote(site, &ballot.question.request);
        ballot.reply = Some(reply);
        self.send_after(durable, site, from, Message::LeaseTold(ballot));
    }

    pub fn lease_told(&mut self, site: usize, ballot: Ballot) {
        let Ballot { question, reply: Some(reply) } = ballot else { return };
        let Question { voter, request, sent, incarnation } = question;
        let place = &self.sites[site];
        if matches!(request, LeaseRequest::Recall) {
            return self.recalled(site, voter, sent, incarnation, &reply);
        }
        // A restarted agent does not read what its predecessor was sent.
        let late = place.local(self.now).since(sent) > self.topology.timing.renew_timeout && voter != site;
        if place.incarnation != incarnation || (late && !self.net.noisy) {
            return;
        }
        let voter = self.sites[voter].id.clone();
        self.writer(site, Event::Voted { voter, request, sent, reply });
    }

    /// A voter that lost its storage asks those whom it needs to hear.
    pub fn recall(&mut self, site: usize, incarnation: u64) {
        let place = &mut self.sites[site];
        if place.incarnation != incarnation || !place.agent_up {
            return;
        }
        if !place.runs() {
            return place.held.push(What::Recall { site, incarnation });
        }
        if place.voter.lacks().is_empty() {
            return;
        }
        let recalls = place.voter.recalls(place.local(self.now));
        for voter in recalls {
            self.ask(site, self.number(&voter), LeaseRequest::Recall);
        }
        self.after(self.topology.timing.renew_every, What::Recall { site, incarnation });
    }

    fn recalled(&mut self, site: usize, voter: usize, sent: Time, incarnation: u64, reply: &LeaseReply) {
        let from = self.sites[voter].id.clone();
        let place = &mut self.sites[site];
        let late = place.local(self.now).since(sent) > self.topology.timing.renew_timeout;
        if place.incarnation != incarnation || (late && !self.net.noisy) {
            return;
        }
        place.voter = place.voter.heard(&from, sent, reply);
        if place.disk.promises.is_none() && place.voter.lacks().is_empty() {
            place.disk.promises = Some(place.voter.promises().clone());
            self.say(|| format!("site {site}: the voter has heard the others, and votes again"));
            self.note_health();
        }
    }

    fn certify(&mut self, site: usize, epoch: Epoch, end: Option<Lsn>, attempt: Option<AttemptId>) {
        let place = &mut self.sites[site];
        let workload = self.topology.workload.clone();
        let receipt = Receipt { workload, site: place.id.clone(), epoch, end, signature: "model".into() };
        place.receipt = Some(receipt.clone());
        self.invariant_receipts_tell_the_truth(site, &receipt);
        for voter in 0..3 {
            self.ask(site, voter, LeaseRequest::Release { receipt: receipt.clone() });
        }
        if let Some(attempt) = attempt {
            let evidence =
                Evidence { receipt: Some(receipt.into()), position: end, ..Evidence::note("fenced, with a receipt") };
            self.attempt_ended(site, attempt, Outcome::Done(evidence));
        }
    }

    fn look_after_leash(&mut self, site: usize) {
        let place = &mut self.sites[site];
        let Some(leash) = place.leash else { return };
        place.looks = Some(leash);
        let at = place.clock.when(leash);
        self.at(at, What::Watchdog { site });
    }

    /// The agent's right ended, and nobody told the watchdog that all is well.
    pub fn watchdog(&mut self, site: usize) {
        let place = &mut self.sites[site];
        let Some(leash) = place.leash.filter(|_| place.alive && place.agent_up) else {
            place.looks = None;
            return;
        };
        if place.local(self.now) < leash {
            return self.look_after_leash(site);
        }
        if place.frozen {
            return place.held.push(What::Watchdog { site });
        }
        place.looks = None;
        // A frozen one looks at the leash when it thaws.
        if place.watchdog_frozen {
            return;
        }
        if self.weakness.no_watchdog || self.weakness.gate_without_deadline {
            return;
        }
        self.say(|| format!("site {site}: the watchdog kills the database and the agent"));
        self.crash_agent(site);
    }

    /// The watchdog kills the database of a dead agent, and starts the agent again.
    pub fn crash_agent(&mut self, site: usize) {
        if !self.sites[site].alive || !self.sites[site].agent_up {
            return;
        }
        self.lose_memory(site);
        self.after(RESTART_PAUSE, What::AgentStarts { site });
    }

    /// Every process of the site is gone.
    pub fn lose_memory(&mut self, site: usize) {
        let place = &mut self.sites[site];
        place.database.kill();
        place.agent_up = false;
        place.agent_frozen = false;
        place.watchdog_frozen = false;
        // The controller beside the witness is a process of its own.
        place.held.retain(|what| match what {
            What::CallEnds { .. } | What::ControllerWakes | What::ControllerStarts | What::AgentStarts { .. } => true,
            What::Deliver { message, .. } => matches!(message, Message::Answer { .. } | Message::Reported { .. }),
            _ => false,
        });
        place.in_hand.clear();
        place.gate = false;
        place.shuts += 1;
        place.deadline = None;
        place.leash = None;
        place.looks = None;
        place.fencing_until = None;
        place.attempts.clear();
        place.instances = 0;
        place.scaling += 1;
        place.wakes = None;
        self.note_health();
    }

    pub fn agent_starts(&mut self, site: usize) {
        if self.sites[site].frozen {
            return self.sites[site].held.push(What::AgentStarts { site });
        }
        if self.sites[site].alive && !self.sites[site].agent_up {
            self.start_agent(site);
        }
    }

    pub fn start_agent(&mut self, site: usize) {
        let (topology, weakness) = (self.topology.clone(), self.weakness);
        let now = self.sites[site].local(self.now);
        let place = &mut self.sites[site];
        place.agent_up = true;
        place.incarnation += 1;
        place.receipt = None;
        place.generation = 0;
        place.probes.clear();
        place.suspect = false;
        // Until the gate opens, this site's server answers nobody with this site.
        place.fenced = place.disk.zone.is_some();
        place.alone_since = None;
        let terms = Terms::new(&topology.timing);
        if weakness.voter_forgets || (weakness.wiped_voter_votes && place.disk.promises.is_none()) {
            place.disk.promises = Some(Promises::default());
        }
        place.voter = match place.disk.promises.clone() {
            // As if the promise had been seen to lapse.
            Some(was) if weakness.voter_in_a_hurry => Voter::start(terms, was, Time(now.0.saturating_sub(60_000_000))),
            Some(was) => Voter::start(terms, was, now),
            None => {
                let known = place.disk.writer.written.clone().max(place.disk.writer.fenced.clone());
                let others = topology.sites.iter().map(|site| &site.id).filter(|id| **id != place.id).cloned();
                Voter::start_without_memory(terms, others, known, now)
            }
        };
        if place.disk.promises.is_none() {
            let incarnation = place.incarnation;
            self.after(topology.timing.renew_every, What::Recall { site, incarnation });
        }
        let place = &mut self.sites[site];
        let standby = place.database.copy;
        self.glass_restarts(site);
        let place = &mut self.sites[site];
        if place.writer.is_some() {
            place.writer = Some(Writer::new(rules(&topology, &place.id), place.disk.writer.clone()));
            let instances = place.disk.instances;
            self.writer(site, Event::Restarted { standby });
            self.scale(site, instances, None);
        }
        self.say(|| format!("site {site}: the agent starts"));
        self.serve_on_return(site);
        self.note_health();
    }

    /// Taken away by [`crate::guards::Weakness::serves_on_return`]: nothing writes without a lease.
    fn serve_on_return(&mut self, site: usize) {
        let place = &mut self.sites[site];
        let wrote = place.disk.writer.written.clone();
        if self.weakness.serves_on_return && place.database.server == Server::Stopped && !place.database.copy {
            place.database.server = Server::Writing;
            place.deadline = Some(Time::MAX);
            self.open_gate(site, &wrote);
            self.sites[site].deadline = Some(Time::MAX);
        }
    }
}
