//! The modelled world: three sites, their links, a controller, people and clients, and one queue of what happens next.
//!
//! Every event is taken from the queue in order of (time, sequence); nothing else moves. So a seed is a whole history.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use model::{LeaseReply, LeaseRequest, SiteReport, Time, Topology};

use crate::by_hand::Heard;
use crate::clients::Clients;
use crate::control::{Answer, Call, Control};
use crate::database::Batch;
use crate::guards::Weakness;
use crate::invariants::Judge;
use crate::net::Net;
use crate::operator::People;
use crate::queue::Queue;
use crate::rng::Rng;
use crate::scenario::{BEGIN, OUTSIDE, Scenario, WITNESS};
use crate::site::{Clock, Passing, Site};
use crate::spec::Shape;
use crate::vault::Vault;

/// What one process says to another.
#[derive(Clone, Debug)]
pub enum Message {
    LeaseAsk(Box<Ballot>),
    LeaseTold(Box<Ballot>),
    WalAsk {
        end: usize,
        mark: Option<u64>,
    },
    Wal {
        stream: u64,
        from: usize,
        entries: Batch,
        timeline: u32,
    },
    WalFlushed {
        stream: u64,
        upto: usize,
    },
    /// The most frequent call by far, and its answer.
    Poll {
        id: u64,
    },
    Reported {
        id: u64,
        report: Arc<SiteReport>,
    },
    Call {
        id: u64,
        call: Box<Call>,
    },
    Answer {
        id: u64,
        answer: Box<Answer>,
    },
    Write {
        write: u64,
    },
    Written {
        write: u64,
        done: bool,
    },
}

/// What a writer asks of a voter.
#[derive(Clone, Debug)]
pub struct Question {
    pub voter: usize,
    pub request: LeaseRequest,
    /// By the asker's clock.
    pub sent: Time,
    pub incarnation: u64,
}

/// A question that travels to a voter, and back with its answer.
#[derive(Clone, Debug)]
pub struct Ballot {
    pub question: Question,
    pub reply: Option<LeaseReply>,
}

/// How a piece of work on a database ends.
#[derive(Clone, Debug)]
pub enum Work {
    Open {
        epoch: model::Epoch,
    },
    /// It did not answer.
    NotOpened,
    Stop {
        clean: bool,
        until: Time,
    },
    Synchronous {
        standby: Option<usize>,
    },
    Initialise {
        attempt: model::AttemptId,
    },
    Follow {
        attempt: model::AttemptId,
        upstream: usize,
    },
}

/// What happens at a moment.
#[derive(Clone, Debug)]
pub enum What {
    Deliver {
        from: usize,
        to: usize,
        message: Message,
    },
    /// The writer's agent wakes.
    Wake {
        site: usize,
        incarnation: u64,
    },
    Watchdog {
        site: usize,
    },
    /// Every database looks after its streams, and its agent after the database.
    Beat,
    /// Every agent tries the others.
    Probe,
    Worked {
        site: usize,
        count: u64,
        work: Work,
    },
    Scaled {
        site: usize,
        count: u64,
        instances: u32,
        attempt: Option<model::AttemptId>,
    },
    Exercised {
        site: usize,
        attempt: model::AttemptId,
        write: bool,
    },
    GateOpens {
        site: usize,
        shuts: u64,
        epoch: model::Epoch,
    },
    /// A commit is done, and its answer reaches the gate.
    AtGate {
        site: usize,
        passing: Passing,
    },
    AgentStarts {
        site: usize,
    },
    /// A voter that lost its storage asks the others.
    Recall {
        site: usize,
        incarnation: u64,
    },
    /// Something with the vault is done.
    Vaulted {
        site: usize,
        incarnation: u64,
        attempt: model::AttemptId,
        verb: Box<model::Verb>,
    },
    /// The controller asks every agent.
    Poll,
    CallEnds {
        id: u64,
    },
    ControllerWakes,
    ControllerStarts,
    ClientWrites {
        client: usize,
    },
    /// Everybody has agreed to break the glass, and the wait is over.
    LastLook {
        site: usize,
        attempt: u32,
        incarnation: u64,
    },
    TendGlass {
        site: usize,
        incarnation: u64,
    },
    People,
    Fault {
        number: usize,
    },
}

/// So many beginnings there are of each kind.
pub const VARIANTS: usize = 16;

#[derive(Clone)]
pub struct World {
    pub now: Time,
    queue: Queue<What>,
    pub events: u64,
    pub rng: Rng,
    pub topology: Arc<Topology>,
    pub scenario: Scenario,
    pub weakness: Weakness,
    /// By number: the preferred region, the other region, the witness.
    pub sites: Vec<Site>,
    pub net: Net,
    pub control: Control,
    pub people: People,
    pub clients: Clients,
    pub judge: Judge,
    /// Of a workload that keeps backups, from its disaster's beginning on.
    pub vault: Option<Vault>,
    pub marks: u64,
    /// Faults that happened so far.
    pub struck: usize,
    /// The agent that gets the order of this number, counted from now, dies before it begins or once it is done.
    pub agent_dies: Option<(usize, bool)>,
    /// The agent dies at the record of this number in its journal of broken glass, before it is there or just after.
    pub glass_dies: Option<(usize, bool)>,
    /// Faults that met something.
    pub hits: u32,
    /// What was told to those whom nobody plays; see [`crate::by_hand`].
    pub heard: Option<Heard>,
    trace: Option<Vec<String>>,
}

impl World {
    pub fn new(scenario: Scenario, rng: Rng, weakness: Weakness, trace: bool) -> Self {
        let mut world = Self::still(scenario, rng, weakness, trace);
        world.begin();
        world
    }

    /// Sites without controller, people and clients.
    pub fn unattended(scenario: Scenario, rng: Rng, weakness: Weakness) -> Self {
        let mut world = Self { heard: Some(Heard::default()), ..Self::still(scenario, rng, weakness, false) };
        world.begin_sites();
        world
    }

    /// Before anything runs.
    fn still(scenario: Scenario, mut rng: Rng, weakness: Weakness, trace: bool) -> Self {
        let topology = scenario.shape.topology();
        let preferred = topology.preferred().clone();
        let ids: Vec<_> =
            [&preferred].into_iter().chain(topology.others(&preferred)).chain([topology.witness()]).cloned().collect();
        let drift = i64::from(weakness.drift_ppm.unwrap_or(topology.timing.clock_drift_ppm));
        let clock = |rng: &mut Rng| {
            let ppm = rng.range(0, 2 * drift as u64 + 1) as i64 - drift;
            Clock::new(rng.range(1_000_000_000, 9_000_000_000), ppm)
        };
        let sites = ids.iter().map(|id| Site::new(&topology, id, clock(&mut rng))).collect();
        let clients = Clients::new(scenario.inside);
        Self {
            now: Time::ZERO,
            queue: Queue::new(),
            events: 0,
            rng,
            control: Control::new(topology.clone()),
            topology,
            people: People::new(&scenario),
            scenario,
            weakness,
            sites,
            net: Net::default(),
            clients,
            judge: Judge::default(),
            vault: None,
            marks: 0,
            struck: 0,
            agent_dies: None,
            glass_dies: None,
            hits: 0,
            heard: None,
            trace: trace.then(Vec::new),
        }
    }

    fn begin_sites(&mut self) {
        for site in 0..3 {
            self.start_agent(site);
        }
        self.after(Duration::from_millis(10), What::Probe);
        self.after(Duration::from_millis(20), What::Beat);
    }

    fn begin(&mut self) {
        self.begin_sites();
        self.after(Duration::ZERO, What::Poll);
        self.after(Duration::ZERO, What::ControllerStarts);
        self.after(Duration::from_millis(500), What::People);
        for client in 0..self.clients.count() {
            self.after(Duration::from_millis(700), What::ClientWrites { client });
        }
    }

    /// A workload that is established, before anything happens to it: one of [`VARIANTS`] such times, which differ in
    /// their clocks and in the order of what happens at once.
    pub fn established(shape: Shape, inside: bool, variant: usize, weakness: Weakness, trace: bool) -> Self {
        let number = (shape as usize * 2 + usize::from(inside)) * VARIANTS + variant;
        let mut world = World::new(Scenario::quiet(shape, inside), Rng::new(number as u64), weakness, trace);
        while world.queue.next().is_some_and(|at| at < BEGIN) && world.next() {}
        world.events = 0;
        world
    }

    /// The disaster of a scenario begins.
    pub fn befall(&mut self, scenario: Scenario, rng: Rng) {
        (self.people.thinks, self.people.accepts_loss) = (scenario.people, scenario.accepts_loss);
        (self.scenario, self.rng) = (scenario, rng);
        self.vault = (self.topology.database().1.backup.is_some()).then(|| Vault::of(&self.sites[0].database.log));
        for (number, (at, _)) in self.scenario.faults.clone().into_iter().enumerate() {
            self.at(at, What::Fault { number });
        }
    }

    /// A fault comes soon: writes shall be in flight when it does.
    pub fn tense(&self) -> bool {
        let next = self.scenario.faults.get(self.struck);
        next.is_some_and(|(at, _)| at.since(self.now) < Duration::from_millis(700))
    }

    /// Something just happened, or is being done about it.
    pub fn lively(&self) -> bool {
        let last = self.struck.checked_sub(1).map(|last| self.scenario.faults[last].0);
        let lately = last.is_some_and(|at| self.now.since(at) < self.topology.timing.lease + Duration::from_secs(1));
        lately || self.control.state.run.as_ref().is_some_and(|run| run.pause.is_none())
    }

    pub fn at(&mut self, at: Time, what: What) {
        self.queue.push(at.max(self.now), what);
    }
    pub fn after(&mut self, delay: Duration, what: What) {
        self.at(self.now + delay, what);
    }
    pub fn number(&self, site: &model::SiteId) -> usize {
        self.sites.iter().position(|place| place.id == *site).expect("a site of the world")
    }

    pub fn say(&mut self, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.trace {
            lines.push(format!("{:>11} {}", self.now.to_string(), text()));
        }
    }
    pub fn take_trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }

    /// Takes events until the world is well again, or until it has had all the time that it may need.
    pub fn run(&mut self) {
        while self.next() && !self.is_over() {}
        self.check_end();
    }

    /// Takes the next event, if it comes before `until`.
    pub fn next_before(&mut self, until: Time) -> bool {
        self.queue.next().is_some_and(|at| at < until) && self.next()
    }

    /// A message that comes now, over no link.
    pub fn happen_to(&mut self, from: usize, to: usize, message: Message) {
        self.deliver(from, to, message);
    }

    fn next(&mut self) -> bool {
        let Some((at, what)) = self.queue.pop() else { return false };
        self.now = at;
        self.events += 1;
        self.happen(what);
        self.check_always();
        !self.invariant_time_goes_on()
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Deliver { from, to, message } => self.deliver(from, to, message),
            What::Wake { site, incarnation } => self.wake(site, incarnation),
            What::Watchdog { site } => self.watchdog(site),
            What::Beat => self.beat(),
            What::Probe => self.probe(),
            What::Worked { site, count, work } => self.worked(site, count, work),
            What::Scaled { site, count, instances, attempt } => self.scaled(site, count, instances, attempt),
            What::Exercised { site, attempt, write } => self.exercised(site, attempt, write),
            What::GateOpens { site, shuts, epoch } => self.gate_opens(site, shuts, epoch),
            What::AtGate { site, passing } => self.at_gate(site, passing),
            What::AgentStarts { site } => self.agent_starts(site),
            What::Recall { site, incarnation } => self.recall(site, incarnation),
            What::Vaulted { site, incarnation, attempt, verb } => self.vaulted(site, incarnation, attempt, verb),
            What::Poll => self.poll(),
            What::CallEnds { id } => self.call_ends(id),
            What::ControllerWakes => self.controller_wakes(),
            What::ControllerStarts => self.controller_starts(),
            What::ClientWrites { client } => self.client_writes(client),
            What::LastLook { site, attempt, incarnation } => self.last_look(site, attempt, incarnation),
            What::TendGlass { site, incarnation } => self.tend_glass(site, incarnation),
            What::People => self.people_act(),
            What::Fault { number } => self.fault(number),
        }
    }

    /// Messages reach a process if it is there; a frozen one finds them when it thaws.
    fn deliver(&mut self, from: usize, to: usize, message: Message) {
        let held = |message| What::Deliver { from, to, message };
        match message {
            Message::Written { write, done } => self.client_told(write, done),
            Message::Reported { id, report } => self.answered(id, Answer::Report(report)),
            Message::Answer { id, answer } => self.answered(id, *answer),
            _ if !self.sites[to].alive => {}
            _ if self.sites[to].frozen => self.sites[to].held.push(held(message)),
            Message::WalAsk { .. } | Message::Wal { .. } | Message::WalFlushed { .. }
                if self.sites[to].database.frozen =>
            {
                self.sites[to].database.held.push(held(message));
            }
            // The database's own processes run on while the agent is frozen.
            Message::WalAsk { end, mark } => self.wal_asked(to, from, end, mark),
            Message::Wal { stream, from: start, entries, timeline } => {
                self.wal_came(to, from, stream, start, &entries, timeline);
            }
            Message::WalFlushed { stream, upto } => self.wal_flushed(to, stream, upto),
            _ if !self.sites[to].agent_up => {}
            _ if self.sites[to].agent_frozen => self.sites[to].held.push(held(message)),
            Message::LeaseAsk(ballot) => self.lease_asked(to, from, ballot),
            Message::LeaseTold(ballot) => self.lease_told(to, *ballot),
            Message::Poll { id } => self.polled(to, id),
            Message::Call { id, call } => self.called(to, id, *call),
            Message::Write { write } => self.write_came(to, from, write),
        }
    }

    /// Sends over a link that may lose, delay, double and reorder.
    pub fn send(&mut self, from: usize, to: usize, message: Message) {
        self.send_after(Duration::ZERO, from, to, message);
    }

    pub fn send_after(&mut self, wait: Duration, from: usize, to: usize, message: Message) {
        if !self.net.open(from, to) || (from != OUTSIDE && !self.sites[from].alive) {
            self.judge.dropped += 1;
            return;
        }
        if from != to && self.rng.permille(self.net.lossy(from, to)) {
            return;
        }
        let delay = wait + self.net.delay(&mut self.rng, from, to);
        let twice = self.net.noisy && from != to && self.rng.permille(20);
        if twice {
            let again = delay + self.rng.millis(1, 5_000);
            self.after(again, What::Deliver { from, to, message: message.clone() });
        }
        self.after(delay, What::Deliver { from, to, message });
    }

    /// The controller runs beside the witness.
    pub fn controller_clock(&self) -> Time {
        self.sites[WITNESS].local(self.now)
    }
}

/// What all disasters have in common is modelled once: the beginning without disaster.
pub fn beginning(shape: Shape, inside: bool, variant: usize) -> &'static World {
    static KEPT: [OnceLock<World>; Shape::ALL.len() * 2 * VARIANTS] = [const { OnceLock::new() }; _];
    let number = (shape as usize * 2 + usize::from(inside)) * VARIANTS + variant;
    KEPT[number].get_or_init(|| World::established(shape, inside, variant, Weakness::default(), false))
}
