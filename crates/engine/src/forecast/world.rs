//! One loss of a region in virtual time: the engine decides, and this world does as it is told, as fast as was drawn.
//!
//! # Intuition
//! A real controller polls again and again, and nearly every poll changes nothing. What can change an observation is known
//! here in advance: the moments at which probes have failed for long enough, a promise lapses, an act ends. So only the
//! first poll after each such moment is carried out as an event; of the others the engine is only told that the reports
//! are fresh. [`Pace::Every`] carries out every one: a test compares the two.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use model::action::Evidence;
use model::{ActError, Action, Attempt, AttemptId, Epoch, Outcome, Time, Verb};

use super::dice::Dice;
use super::roles::{Model, Signal};
use super::scene::{AWAY, HOME, Scene, WITNESS};
use crate::lease::Terms;
use crate::protocol::{Effect, Event, Record};
use crate::runbook::run::{Pause, Progress, StepState};
use crate::watch::Verdict;
use crate::workload::Workload;

/// When the region is lost.
pub const LOST: Time = Time(10_000_000_000);
/// In virtual time. What has not recovered by then is not going to.
pub const HORIZON: Duration = Duration::from_secs(30 * 86_400);
/// Decisions of one sample. A failover needs some dozens; with so many it turns in a circle, such as an order that lapses and
/// is given again for ever. Where every poll is carried out, people who think for an hour take tens of thousands.
const fn most(pace: Pace) -> u32 {
    match pace {
        Pace::Changes => 5_000,
        Pace::Every => 1_000_000,
    }
}
/// A report is this old when it arrives, and a call takes this long: as far as regions are apart.
const NEAR: Duration = Duration::from_millis(2);

/// Which polls are carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// Those that can see something new.
    Changes,
    Every,
}

/// How a sample ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// Traffic moved.
    Served,
    /// The run was given up, or waits for what nobody does: nothing is left that could happen.
    Stopped,
    /// Not within [`HORIZON`].
    Late,
    /// The engine decided the same again and again: a fault of the model, or of the engine.
    Circling,
}

/// What one loss came to.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    pub ended: Ended,
    /// In the order of [`super::PHASES`]; they add up to the RTO.
    pub phases: [Duration; 7],
    /// `None` when traffic never moved.
    pub rto: Option<Duration>,
    pub loss: Duration,
    /// People had to accept the loss.
    pub asked: bool,
    /// Which group was the slowest: of the instances, of the data.
    pub slowest: [usize; 2],
    /// Decisions of the engine.
    pub decisions: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Next {
    Poll,
    Tick,
    Seen(usize),
    Ended(usize),
    Answered { person: usize, accept: bool },
}

/// All that chance decides, drawn before anything happens: a change of an objective moves no draw.
struct Drawn {
    bid: Duration,
    promote: Duration,
    ready: Duration,
    exercise: Duration,
    scale: Duration,
    route: [Duration; 2],
    keep: f64,
    again: Duration,
    approve: Vec<Duration>,
    accept: Vec<Duration>,
    slowest: [usize; 2],
}

#[derive(Default)]
struct Marks {
    detected: Option<Time>,
    ordered: Option<Time>,
    granted: Option<Time>,
    writing: Option<Time>,
    verified: Option<Time>,
    routed: [Option<Time>; 2],
    warned: Option<Time>,
}

pub struct World<'a> {
    model: &'a Model,
    scene: Scene<'a>,
    state: Workload,
    now: Time,
    queue: BinaryHeap<Reverse<(Time, u32, Next)>>,
    sequence: u32,
    pace: Pace,
    first_poll: Time,
    tick: Option<Time>,
    /// When the next look arrives.
    looks: Option<Time>,
    /// Polls that are, or were, to be carried out.
    polls: Vec<Time>,
    drawn: Drawn,
    dice: Dice,
    marks: Marks,
    ends: Vec<(AttemptId, Outcome)>,
    asked: [bool; 2],
    loss: Duration,
    lapse: Time,
    /// When the voters grant the epoch, from the first order on.
    grants: Option<Time>,
    decisions: u32,
}

impl<'a> World<'a> {
    /// `calm` is the workload as it was before the loss; see [`Scene::calm`].
    pub fn new(model: &'a Model, calm: &Workload, mut dice: Dice, pace: Pace) -> Self {
        let timing = &model.topology.timing;
        let origin = dice.clone();
        let named = &origin;
        let of = |purpose: &'static str| move |name: &str| named.of_name(purpose, name);
        let mut share = || dice.share();
        let first_poll = LOST - timing.probe_every.mul_f64(share());
        let terms = Terms::new(timing);
        let lapse = match model.leased {
            true => LOST - timing.renew_every.mul_f64(share()) + terms.promise(),
            false => LOST - timing.renew_every.mul_f64(share()),
        };
        let phases = [share(), share()];
        let told = model.signals.iter().filter_map(Signal::spread).map(|spread| spread.at(share())).min();
        let (lag, _) = model.loss.lag.draw(of("lag"));
        let (bid, ready) = (model.acts.bid.at(share()), model.acts.ready.at(share()));
        let (exercise, keep, again) = (model.acts.exercise.at(share()), share(), model.clients.again.at(share()));
        let people = model.topology.approvals.approvers.len();
        let approve = (0..people).map(|_| model.people.approve.at(share())).collect();
        let accept = (0..people).map(|_| model.people.accept.at(share())).collect();
        let (scale, slow_scale) = model.acts.scale.draw(of("scale"));
        let (promote, slow_promote) = model.acts.promote.draw(of("promote"));
        let route = [model.acts.route.draw(of("route")).0, model.acts.route.draw(of("route at the witness")).0];
        let probes = model.signals.contains(&Signal::Probes);
        let scene = Scene::new(model, lapse, probes.then_some(phases), told.map(|told| LOST + told), lag);
        let slowest = [slow_scale, slow_promote];
        let mut world = World {
            model,
            scene,
            state: calm.clone(),
            now: LOST,
            queue: BinaryHeap::with_capacity(32),
            sequence: 0,
            pace,
            first_poll,
            tick: None,
            looks: None,
            polls: Vec::with_capacity(16),
            drawn: Drawn { bid, promote, ready, exercise, scale, route, keep, again, approve, accept, slowest },
            dice: origin,
            marks: Marks::default(),
            ends: Vec::with_capacity(16),
            asked: [false; 2],
            loss: lag,
            lapse,
            grants: None,
            decisions: 0,
        };
        world.begin();
        world
    }

    /// The last poll before the loss, and what is certain to come.
    fn begin(&mut self) {
        for site in [HOME, AWAY, WITNESS] {
            self.observe(site, self.first_poll);
        }
        match self.pace {
            Pace::Every => self.push(self.grid(LOST), Next::Poll),
            Pace::Changes => {
                for at in self.scene.foreseen() {
                    self.poll_after(at);
                }
            }
        }
    }

    /// The first poll that sees what is so from `at` on is carried out, once.
    fn poll_after(&mut self, at: Time) {
        let at = self.grid(at);
        if !self.polls.contains(&at) {
            self.polls.push(at);
            self.push(at, Next::Poll);
        }
    }

    /// The first poll at or after `at`.
    fn grid(&self, at: Time) -> Time {
        let every = self.every();
        let polls = at.since(self.first_poll).as_micros().div_ceil(every.as_micros());
        self.first_poll + every * polls as u32
    }

    fn every(&self) -> Duration {
        self.model.topology.timing.probe_every.max(Duration::from_millis(1))
    }

    fn push(&mut self, at: Time, next: Next) {
        self.sequence += 1;
        self.queue.push(Reverse((at.max(self.now), self.sequence, next)));
    }

    pub fn run(mut self) -> Sample {
        let ended = self.until_it_ends();
        self.sample(ended)
    }

    fn until_it_ends(&mut self) -> Ended {
        while let Some(Reverse((at, _, next))) = self.queue.pop() {
            if at.since(LOST) > HORIZON {
                return Ended::Late;
            }
            if self.decisions >= most(self.pace) {
                return Ended::Circling;
            }
            self.now = at;
            self.happen(next);
            if self.marks.routed.iter().all(Option::is_some) {
                return Ended::Served;
            }
        }
        Ended::Stopped
    }

    fn happen(&mut self, next: Next) {
        match next {
            Next::Poll => {
                for site in [AWAY, WITNESS] {
                    self.report(site, self.now);
                }
                if self.pace == Pace::Every {
                    self.push(self.now + self.every(), Next::Poll);
                }
            }
            Next::Seen(site) => {
                self.looks = self.looks.filter(|at| *at > self.now);
                self.report(site, self.now - NEAR);
            }
            Next::Tick => {
                if self.tick.is_some_and(|at| at <= self.now) {
                    self.tick = None;
                    self.tell(&Event::Tick);
                }
            }
            Next::Ended(number) => {
                let (attempt, outcome) = self.ends[number].clone();
                self.tell(&Event::Ended { attempt, outcome });
            }
            Next::Answered { person, accept } => {
                let by = self.model.topology.approvals.approvers[person].clone();
                if let Some(run) = self.state.run.as_ref().map(|run| run.id) {
                    self.tell(&Event::Approved { run, by, accept_loss: accept });
                }
            }
        }
    }

    /// A check waits for what it will see.
    fn checks(&self) -> bool {
        let waits = |run: &crate::runbook::run::Run| {
            run.steps
                .iter()
                .enumerate()
                .any(|(number, state)| state.progress == Progress::Checking && run.step(number).check().is_some())
        };
        self.state.run.as_deref().is_some_and(waits)
    }

    fn report(&mut self, site: usize, seen: Time) {
        let report = self.scene.report(site, seen);
        self.tell(&Event::Reported { report });
    }

    /// A poll that changes nothing: the engine only learns that what it knows is fresh.
    fn observe(&mut self, site: usize, at: Time) {
        let report = self.scene.report(site, at);
        crate::observe(&mut self.state, at, &Event::Reported { report });
    }

    fn refresh(&mut self) {
        let every = self.every();
        let polls = self.now.since(self.first_poll).as_micros() / every.as_micros();
        let last = self.first_poll + every * polls as u32;
        for site in [AWAY, WITNESS] {
            let seen = self.state.watch.sites.get(self.scene.site(site)).map(|seen| seen.at);
            if seen.is_none_or(|seen| seen < last) {
                self.observe(site, last);
            }
        }
    }

    /// One event through the shell's loop.
    fn tell(&mut self, event: &Event) {
        if self.pace == Pace::Changes {
            self.refresh();
        }
        crate::observe(&mut self.state, self.now, event);
        let decision = crate::step(&self.state, self.now, event);
        self.decisions += 1;
        for record in &decision.records {
            self.mark(record);
            crate::apply(&mut self.state, record);
        }
        for effect in decision.effects {
            self.perform(effect);
        }
        self.ask_people();
        self.wake(decision.wake_at);
        if self.pace == Pace::Changes {
            self.look();
        }
    }

    fn mark(&mut self, record: &Record) {
        let (marks, now) = (&mut self.marks, self.now);
        match record {
            Record::VerdictChanged { site, verdict: Verdict::Unreachable, .. } if site == self.scene.site(HOME) => {
                marks.detected.get_or_insert(now);
            }
            Record::AttemptStarted { action, attempt, .. } if attempt.run.0 != 0 => match action.verb {
                Verb::Promote { .. } => _ = marks.ordered.get_or_insert(now),
                Verb::Route { .. } => _ = marks.verified.get_or_insert(now),
                _ => {}
            },
            _ => {}
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Act { attempt, action } => self.act(&attempt, &action),
            Effect::Observe { site } if self.pace == Pace::Every => {
                let number = self.scene.number(&site);
                if number != HOME {
                    self.push(self.now + NEAR * 2, Next::Seen(number));
                }
            }
            Effect::Observe { .. } | Effect::Inquire { .. } | Effect::Cancel { .. } | Effect::Notify { .. } => {}
        }
    }

    fn end(&mut self, at: Time, attempt: AttemptId, outcome: Outcome) {
        self.ends.push((attempt, outcome));
        self.push(at, Next::Ended(self.ends.len() - 1));
    }

    fn act(&mut self, attempt: &Attempt, action: &Action) {
        let done = || Outcome::Done(Evidence::default());
        let failed = |why: &str| Outcome::Failed(ActError::Transient(why.into()));
        let late = self.now + attempt.deadline;
        let site = self.scene.number(&action.site);
        if site == HOME {
            // Nobody waits for it; that there is no answer is known when the patience ends.
            let at = self.now + self.model.topology.timing.probe_timeout;
            return self.end(at, attempt.id, Outcome::Failed(ActError::Permanent("the region is lost".into())));
        }
        let (until, outcome) = match &action.verb {
            Verb::Scale { instances } => {
                // An order that is given again finds what the one before has begun.
                let begun = self.scene.scaled.as_ref().map(|(until, _)| *until);
                let until = begun.unwrap_or(self.now + self.drawn.scale).max(self.now);
                self.scene.scaled = Some((until, *instances));
                (until, done())
            }
            // Its deadline is for the wait for the epoch. What is granted in time is carried out to its end, as an agent does.
            Verb::Promote { .. } => {
                let free = self.now.max(self.lapse) + self.drawn.bid;
                let granted = self.now.max(*self.grants.get_or_insert(free));
                if granted > late {
                    return self.end(late, attempt.id, failed("no majority granted an epoch"));
                }
                let until = granted + self.drawn.promote;
                (self.marks.granted, self.marks.writing) = (Some(granted), Some(until));
                let epoch = self.state.epoch().next(&action.site);
                self.scene.writing = Some((until, epoch.clone()));
                let runs = self.scene.scaled.as_ref().map_or(until, |(scaled, _)| (*scaled).max(until));
                self.scene.ready = Some(runs + self.drawn.ready);
                (until, Outcome::Done(Evidence { epoch: Some(epoch), ..Evidence::default() }))
            }
            // A request that hung is sent anew, and the next one takes what it takes.
            Verb::Exercise { .. } => {
                let takes = match attempt.id.number {
                    0 | 1 => self.drawn.exercise,
                    again => self.model.acts.exercise.at(self.dice.of_name("exercise", &again.to_string())),
                };
                (self.now + takes, done())
            }
            Verb::Route { zone } => {
                let (begun, epoch, serial) = &self.scene.zone[site];
                let until = match *epoch == zone.epoch && *serial == zone.serial {
                    true => (*begun).max(self.now),
                    false => self.now + self.drawn.route[site - 1],
                };
                if attempt.id.run.0 != 0 && until <= late {
                    self.marks.routed[site - 1].get_or_insert(until);
                }
                self.scene.zone[site] = (until, zone.epoch.clone(), zone.serial);
                (until, done())
            }
            Verb::Suspect { on } => {
                if *on {
                    self.marks.warned.get_or_insert(self.now);
                }
                self.scene.suspect[site] = (self.now, *on);
                (self.now + NEAR, done())
            }
            _ => return,
        };
        if until > late && !matches!(action.verb, Verb::Promote { .. }) {
            return self.end(late, attempt.id, failed("its deadline has passed"));
        }
        if self.pace == Pace::Changes {
            self.poll_after(until);
            if let Some(ready) = self.scene.ready {
                self.poll_after(ready);
            }
        }
        self.end(until + NEAR, attempt.id, outcome);
    }

    /// While a check waits, its site is looked at again and again. Of these looks only the first that sees something new is
    /// carried out.
    fn look(&mut self) {
        let timing = &self.model.topology.timing;
        let seen = self.state.watch.sites.get(self.scene.site(AWAY)).map_or(LOST, |seen| seen.at);
        let Some(changes) = self.scene.next_change(AWAY, seen).filter(|_| self.checks()) else { return };
        let every = timing.check_every.max(Duration::from_millis(1)) + NEAR * 2;
        let first = self.now.max(seen + timing.check_every);
        let looks = changes.since(first).as_micros().div_ceil(every.as_micros());
        let arrives = first + every * looks as u32 + NEAR * 2;
        if self.looks.is_none_or(|known| known > arrives) {
            self.looks = Some(arrives);
            self.push(arrives, Next::Seen(AWAY));
        }
    }

    fn ask_people(&mut self) {
        let accept = match self.state.run.as_ref().and_then(|run| run.pause.as_ref()) {
            Some(Pause::Approval { .. }) => false,
            Some(Pause::AcceptLoss { .. }) => true,
            _ => return,
        };
        if std::mem::replace(&mut self.asked[usize::from(accept)], true) {
            return;
        }
        let answers = if accept { &self.drawn.accept } else { &self.drawn.approve };
        for (person, takes) in answers.clone().into_iter().enumerate() {
            self.push(self.now + takes, Next::Answered { person, accept });
        }
    }

    /// When the engine must be woken. It also wants to be woken to look again, which is left out where nothing new can be
    /// seen.
    fn wake(&mut self, at: Option<Time>) {
        let at = match self.pace {
            Pace::Every => at,
            Pace::Changes => self.must_wake(at),
        };
        let Some(at) = at.map(|at| at.max(self.now + Duration::from_millis(1))) else { return };
        if self.tick.is_none_or(|known| at < known || known <= self.now) {
            self.tick = Some(at);
            self.push(at, Next::Tick);
        }
    }

    fn must_wake(&self, asked: Option<Time>) -> Option<Time> {
        let run = self.state.run.as_ref()?;
        let grace = self.model.topology.timing.step_deadlines.check;
        let late = |number: usize, state: &StepState| state.since.map(|since| since + run.step(number).deadline);
        let ahead = |at: &Time| *at > self.now;
        let of = |(number, state): (usize, &StepState)| match &state.progress {
            Progress::RetryAt(at) if ahead(at) => Some(*at),
            // An order that may not go out yet.
            Progress::RetryAt(_) => asked,
            // In doubt: every answer would be that it still runs, until its end comes by itself or the engine gives up.
            Progress::Out { inquire_at: Some(at), .. } => {
                Some(*at).filter(ahead).or_else(|| late(number, state).map(|late| late + grace).filter(ahead))
            }
            Progress::Checking if run.step(number).action().is_some() => asked,
            // A check that people must speak to goes on after its deadline: there is nothing to wake for.
            Progress::Checking => late(number, state).filter(ahead),
            Progress::Out { .. } => late(number, state),
            _ => None,
        };
        run.steps.iter().enumerate().filter_map(of).min()
    }

    fn sample(self, ended: Ended) -> Sample {
        let marks = &self.marks;
        let routed = marks.routed.iter().flatten().max().copied().filter(|_| marks.routed.iter().all(Option::is_some));
        let steps = [marks.detected, marks.ordered, marks.granted, marks.writing, marks.verified, routed];
        let mut phases = [Duration::ZERO; 7];
        let mut before = LOST;
        for (phase, at) in phases.iter_mut().zip(steps) {
            let Some(at) = at else { break };
            *phase = at.since(before);
            before = before.max(at);
        }
        let rto = routed.map(|routed| {
            let served = self.client_after(routed);
            phases[6] = served.since(routed);
            served.since(LOST)
        });
        Sample {
            ended,
            phases,
            rto,
            loss: self.loss,
            asked: self.asked[1],
            slowest: self.drawn.slowest,
            decisions: self.decisions,
        }
    }

    /// When a client that keeps an answer no longer than it may is served: its answer was of any age when the zone
    /// changed, or when servers began to say that it may not be kept.
    fn client_after(&self, routed: Time) -> Time {
        let kept = self.model.clients.keep.at(self.drawn.keep);
        let since = self.marks.warned.filter(|_| self.model.clients.warned).map_or(routed, |warned| warned.min(routed));
        routed.max(since + kept) + self.drawn.again
    }
}

/// What the engine is told before the loss: every site is up, the first region writes.
pub fn calm(model: &Model) -> Workload {
    let topology = model.topology.clone();
    let addresses = topology.regions().map(|site| (site.id.clone(), vec![std::net::Ipv4Addr::LOCALHOST])).collect();
    let mut state = Workload::new(topology.clone(), addresses);
    let (home, at) = (topology.preferred().clone(), LOST - topology.timing.probe_every);
    let epoch = Epoch::none().next(&home);
    crate::apply(&mut state, &Record::WriterSeen { site: home.clone(), epoch: epoch.clone(), at });
    let zone = crate::routing::zone_to(&state, &home, epoch);
    crate::apply(&mut state, &Record::ZoneChosen { zone });
    let mut scene = Scene::new(model, LOST, None, None, Duration::ZERO);
    for site in [HOME, AWAY, WITNESS] {
        let report: Arc<_> = scene.report(site, at);
        crate::observe(&mut state, at, &Event::Reported { report });
    }
    for record in crate::step(&state, at, &Event::Tick).records {
        crate::apply(&mut state, &record);
    }
    state
}
