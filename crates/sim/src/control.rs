//! The controller's shell, modelled: it steps the engine, keeps the journal, performs effects and polls. It can be
//! killed anywhere, and then folds its journal anew.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use engine::{Decision, Effect, Event, Inquiry, Record, Refused, Workload};
use model::{ActError, Action, Attempt, AttemptId, Outcome, SiteReport, Time, Topology};

use crate::orders::CONNECT;
use crate::scenario::WITNESS;
use crate::world::{Message, What, World};

#[derive(Clone, Debug)]
pub enum Call {
    Act { attempt: Attempt, action: Action },
    Inquire { attempt: AttemptId },
    Cancel { attempt: AttemptId },
}

#[derive(Clone, Debug)]
pub enum Answer {
    Report(Arc<SiteReport>),
    Ended(Outcome),
    Inquired(Inquiry),
}

/// A call that waits for its answer.
#[derive(Clone, Debug)]
struct Waiting {
    site: usize,
    call: Awaited,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Awaited {
    Poll,
    Act { attempt: AttemptId, arrives: bool },
    Inquire { attempt: AttemptId },
    Cancel,
}

/// Where the controller is to die.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Death {
    BeforeRecords,
    BeforeEffects,
    /// After so many effects.
    Among(usize),
}

#[derive(Clone)]
pub struct Control {
    pub up: bool,
    pub state: Workload,
    blank: Workload,
    /// Shared, because every disaster begins with the same lines.
    pub journal: Vec<Arc<Record>>,
    generation: u64,
    wake_at: Option<Time>,
    waiting: Vec<(u64, Waiting)>,
    /// Of each site, if it is being polled: by which call, and until when its answer counts.
    polling: [Option<(u64, Time)>; 3],
    calls: u64,
    /// Strikes at the next decision that records anything.
    pub doomed: Option<Death>,
    /// Strikes after so many more such decisions.
    pub dies_in: Option<(usize, Death)>,
}

impl Control {
    pub fn new(topology: Arc<Topology>) -> Self {
        let regions = topology.regions().enumerate();
        let address = |number: usize| vec![Ipv4Addr::new(127, 0, number as u8 + 1, 10)];
        let addresses = regions.map(|(number, site)| (site.id.clone(), address(number))).collect();
        let blank = Workload::new(topology.clone(), addresses);
        Self {
            up: false,
            state: blank.clone(),
            blank,
            journal: Vec::new(),
            generation: 0,
            wake_at: None,
            waiting: Vec::new(),
            polling: [None; 3],
            calls: 0,
            doomed: None,
            dies_in: None,
        }
    }

    fn doom(&mut self) -> Option<Death> {
        if let Some((0, death)) = self.dies_in {
            self.dies_in = None;
            return Some(death);
        }
        if let Some((decisions, _)) = &mut self.dies_in {
            *decisions -= 1;
        }
        self.doomed.take()
    }

    /// Nobody waits for it any more.
    fn awaited(&mut self, id: u64) -> Option<Waiting> {
        let place = self.waiting.iter().position(|(call, _)| *call == id)?;
        Some(self.waiting.swap_remove(place).1)
    }

    pub fn folded(&self) -> Workload {
        let mut state = self.blank.clone();
        self.journal.iter().for_each(|record| engine::apply(&mut state, record));
        state
    }
}

impl World {
    pub fn controller_runs(&self) -> bool {
        self.control.up && self.sites[WITNESS].alive && !self.sites[WITNESS].frozen
    }

    pub fn controller_starts(&mut self) {
        if self.control.up || !self.sites[WITNESS].alive {
            return;
        }
        if self.sites[WITNESS].frozen {
            return self.sites[WITNESS].held.push(What::ControllerStarts);
        }
        self.control.generation += 1;
        self.control.up = true;
        self.control.state = self.control.folded();
        self.control.wake_at = None;
        self.say(|| "the controller starts".into());
        self.tell(&Event::Started { generation: self.control.generation, rebooted: false });
        if self.control.up {
            let decision = engine::resume(&self.control.state, self.controller_clock());
            self.wake_controller(decision.wake_at);
            self.do_effects(decision.effects, usize::MAX);
        }
    }

    pub fn kill_controller(&mut self) {
        if !self.control.up {
            return;
        }
        self.control.up = false;
        self.control.waiting.clear();
        self.control.polling = [None; 3];
        self.control.doomed = None;
        if self.weakness.journal_forgets {
            self.control.journal.pop();
        }
        self.say(|| "the controller is killed".into());
        self.invariant_state_is_the_fold_of_the_journal();
        let delay = self.rng.millis(100, 4_000);
        self.after(delay, What::ControllerStarts);
    }

    /// One event through the shell's loop. Answers why it was refused, if it was; nothing when the controller died of it.
    pub fn tell(&mut self, event: &Event) -> Option<Result<(), Refused>> {
        if !self.controller_runs() {
            return None;
        }
        let now = self.controller_clock();
        engine::observe(&mut self.control.state, now, event);
        let Decision { records, effects, wake_at, refused, .. } = engine::step(&self.control.state, now, event);
        let doom = if records.is_empty() { None } else { self.control.doom() };
        if doom == Some(Death::BeforeRecords) {
            self.kill_controller();
            return None;
        }
        for record in records {
            self.say(|| format!("controller: {}", record.text()));
            engine::apply(&mut self.control.state, &record);
            self.check_record(&record);
            self.control.journal.push(Arc::new(record));
        }
        let most = match doom {
            Some(Death::BeforeEffects) => 0,
            Some(Death::Among(most)) => most,
            _ => usize::MAX,
        };
        self.wake_controller(wake_at);
        self.do_effects(effects, most);
        if doom.is_some() {
            self.kill_controller();
            return None;
        }
        Some(refused.map_or(Ok(()), Err))
    }

    fn wake_controller(&mut self, at: Option<Time>) {
        let Some(at) = at else { return };
        if self.control.wake_at.is_none_or(|known| at < known) {
            self.control.wake_at = Some(at);
            // The shell's timer has a grain.
            let world = self.sites[WITNESS].clock.when(at).max(self.now + Duration::from_millis(1));
            self.at(world, What::ControllerWakes);
        }
    }

    pub fn controller_wakes(&mut self) {
        if self.sites[WITNESS].frozen {
            return self.sites[WITNESS].held.push(What::ControllerWakes);
        }
        let now = self.controller_clock();
        if self.control.wake_at.is_some_and(|at| at <= now) {
            self.control.wake_at = None;
            self.tell(&Event::Tick);
        }
    }

    fn do_effects(&mut self, effects: Vec<Effect>, most: usize) {
        for effect in effects.into_iter().take(most) {
            match effect {
                Effect::Act { attempt, action } => {
                    let site = self.number(&action.site);
                    let within = attempt.deadline + self.topology.timing.probe_timeout;
                    let awaited = Awaited::Act { attempt: attempt.id, arrives: true };
                    self.call(site, Some(Call::Act { attempt, action }), awaited, within);
                }
                Effect::Inquire { attempt, site } => {
                    let within = self.topology.timing.probe_timeout;
                    let awaited = Awaited::Inquire { attempt };
                    self.call(self.number(&site), Some(Call::Inquire { attempt }), awaited, within);
                }
                Effect::Cancel { attempt, site } => {
                    let within = self.topology.timing.probe_timeout;
                    self.call(self.number(&site), Some(Call::Cancel { attempt }), Awaited::Cancel, within);
                }
                Effect::Observe { site } => self.poll_now(self.number(&site)),
                Effect::Notify { text } => self.say(|| format!("people are told: {text}")),
            }
        }
    }

    /// Without a call it is a poll.
    fn call(&mut self, site: usize, call: Option<Call>, mut awaited: Awaited, within: Duration) {
        self.control.calls += 1;
        let id = self.control.calls;
        let reachable = self.net.open(WITNESS, site) && self.sites[site].alive;
        // Nothing listens: known at once. A dead machine or a cut link: known when the patience ends.
        let refused = reachable && !self.sites[site].agent_up;
        if let Awaited::Act { arrives, .. } = &mut awaited {
            *arrives = reachable && !refused;
        }
        let patience = match awaited {
            _ if refused => CONNECT,
            Awaited::Act { .. } if !reachable => self.topology.timing.probe_timeout,
            _ => within,
        };
        self.control.waiting.push((id, Waiting { site, call: awaited }));
        if awaited == Awaited::Poll {
            // Nearly every poll is answered; the next one looks whether this was.
            self.control.polling[site] = Some((id, self.now + patience));
        } else {
            self.after(patience, What::CallEnds { id });
        }
        if reachable && !refused {
            let message = match call {
                Some(call) => Message::Call { id, call: Box::new(call) },
                None => Message::Poll { id },
            };
            self.send(WITNESS, site, message);
        }
    }

    pub fn poll(&mut self) {
        self.after(self.topology.timing.probe_every, What::Poll);
        (0..3).for_each(|site| self.poll_now(site));
        if self.controller_runs() {
            // The shell's own beat.
            self.tell(&Event::Tick);
        }
    }

    fn poll_now(&mut self, site: usize) {
        if !self.controller_runs() {
            return;
        }
        let waits = self.control.polling[site];
        if let Some((id, _)) = waits.filter(|(_, until)| *until <= self.now) {
            self.call_ends(id);
        }
        if self.controller_runs() && self.control.polling[site].is_none() {
            let within = self.topology.timing.probe_timeout;
            self.call(site, None, Awaited::Poll, within);
        }
    }

    pub fn call_ends(&mut self, id: u64) {
        if self.sites[WITNESS].frozen {
            return self.sites[WITNESS].held.push(What::CallEnds { id });
        }
        let Some(Waiting { site, call }) = self.control.awaited(id) else { return };
        match call {
            Awaited::Poll => {
                self.control.polling[site] = None;
                let site = self.sites[site].id.clone();
                self.tell(&Event::Unanswered { site, why: "no answer in time".into() });
            }
            Awaited::Act { attempt, arrives } => {
                let error = match arrives {
                    // A machine that takes the connection but never answers looks alike: people cannot tell either.
                    false if self.rng.one_in(2) => ActError::Transient("no connection".into()),
                    _ => ActError::Unknown("no answer in time".into()),
                };
                self.tell(&Event::Ended { attempt, outcome: Outcome::Failed(error) });
            }
            Awaited::Inquire { .. } | Awaited::Cancel => {}
        }
    }

    pub fn answered(&mut self, id: u64, answer: Answer) {
        if self.sites[WITNESS].frozen {
            let message = Message::Answer { id, answer: Box::new(answer) };
            let held = What::Deliver { from: WITNESS, to: WITNESS, message };
            return self.sites[WITNESS].held.push(held);
        }
        // Answers to a call that has ended, or of an earlier controller, find nobody.
        if self.control.polling.iter().flatten().any(|(poll, until)| *poll == id && *until <= self.now) {
            return;
        }
        let Some(Waiting { site, call }) = self.control.awaited(id) else { return };
        let event = match (call, answer) {
            (Awaited::Poll, Answer::Report(report)) => {
                self.control.polling[site] = None;
                Event::Reported { report }
            }
            (Awaited::Act { attempt, .. }, Answer::Ended(outcome)) => Event::Ended { attempt, outcome },
            (Awaited::Inquire { attempt }, Answer::Inquired(answer)) => Event::Inquired { attempt, answer },
            _ => return,
        };
        self.tell(&event);
    }
}
