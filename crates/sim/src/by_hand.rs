//! The modelled world with every order given by hand: no controller, no clients of its own, and no lease's decisions. So
//! what the engine tells a database, and what it hears back, can be held against a real driver (`conformance/`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::Inquiry;
use engine::writer::{Effect, Event};
use model::backup::RestoreTo;
use model::{
    Action, Attempt, AttemptId, Epoch, LeaseReply, LeaseRequest, Lsn, Outcome, RunId, SiteId, SiteReport, Time,
    Topology, Verb,
};

use crate::clients::Told;
use crate::control::{Answer, Call};
use crate::database::Server;
use crate::guards::Weakness;
use crate::rng::Rng;
use crate::scenario::{Fault, OUTSIDE, Scenario};
use crate::spec::Shape;
use crate::world::{Message, World};

/// Longer than anything in the model takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the world told those who are not there.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// What a region's lease would have been told of its database.
    pub events: Vec<(usize, Event)>,
    /// What a controller would have been answered.
    pub answers: Vec<(u64, Answer)>,
}

/// What is done to the world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Harm {
    /// The server's processes die; its agent does not.
    Crash,
    Freeze,
    Thaw,
    /// Nothing passes between the two regions.
    Cut,
    Mend,
    /// No room is left on its disk; and there is again.
    Fill,
    Empty,
    /// No server starts from its files. Of a server that does not run.
    Damage,
}

/// A region's server, as one look shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    pub state: State,
    pub timeline: u32,
    /// The newest epoch in its log.
    pub written: Epoch,
    /// Clients' writes that it has.
    pub writes: Vec<u64>,
    /// The region that streams from it.
    pub stream: Option<Streaming>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    Absent,
    Stopped,
    /// Its processes are there, and answer nothing.
    Unresponsive,
    Standby {
        upstream: Option<SiteId>,
        receiving: bool,
    },
    Writing,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Streaming {
    pub to: SiteId,
    /// Commits are seen to wait for it.
    pub synchronous: bool,
    /// It has flushed all that there is.
    pub complete: bool,
}

/// What a client knows of its write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    Acknowledged,
    Refused,
    /// No answer yet.
    Pending,
}

/// Regions by number: 0 the preferred one, 1 the other.
pub struct ByHand {
    world: World,
    /// The first record of each epoch, by its mark.
    epochs: BTreeMap<u64, Epoch>,
    orders: u32,
}

impl ByHand {
    /// Two regions without data, and a witness.
    pub fn new(shape: Shape, seed: u64) -> Self {
        let world = World::unattended(Scenario::quiet(shape, false), Rng::new(seed), Weakness::default());
        let mut by_hand = Self { world, epochs: BTreeMap::new(), orders: 0 };
        by_hand.pass(Duration::from_secs(1));
        by_hand.heard().events.clear();
        by_hand
    }

    pub fn topology(&self) -> &Topology {
        &self.world.topology
    }
    pub fn site(&self, region: usize) -> SiteId {
        self.world.sites[region].id.clone()
    }

    /// Lets so much time go by.
    pub fn pass(&mut self, time: Duration) {
        let until = self.world.now + time;
        while self.world.next_before(until) {}
        self.world.now = until;
    }

    fn heard(&mut self) -> &mut Heard {
        self.world.heard.get_or_insert_default()
    }

    /// Lets time go by until `what` is there.
    fn until<T>(&mut self, mut what: impl FnMut(&mut World) -> Option<T>) -> Option<T> {
        let until = self.world.now + PATIENCE;
        loop {
            if let Some(found) = what(&mut self.world) {
                return Some(found);
            }
            if !self.world.next_before(until) {
                return None;
            }
        }
    }

    /// What an agent's lease orders of its database, and the event that tells how it ended.
    pub fn effect(&mut self, region: usize, effect: Effect) -> Option<Event> {
        self.heard().events.clear();
        if let Effect::Open { epoch } = &effect {
            self.world.sites[region].disk.writer.written = epoch.clone();
        }
        let answered = matches!(effect, Effect::Open { .. } | Effect::Stop { .. });
        self.world.perform(region, effect);
        if !answered {
            let obeyed = self.world.sites[region].database.obeys_at;
            self.pass(obeyed.since(self.world.now) + Duration::from_millis(1));
            return None;
        }
        let told = self.until(|world| {
            let events = &world.heard.as_ref()?.events;
            events.iter().find(|(site, _)| *site == region).map(|(_, event)| event.clone())
        });
        let database = &self.world.sites[region].database;
        if matches!(told, Some(Event::Opened { .. }))
            && let Some(last) = database.log.last()
        {
            self.epochs.insert(last.mark, self.world.sites[region].disk.writer.written.clone());
        }
        told
    }

    /// Starts the crashed server again in `epoch`.
    pub fn restart(&mut self, region: usize, epoch: &Epoch) -> Option<Event> {
        self.heard().events.clear();
        self.world.open_server(region, epoch.clone(), true);
        self.until(|world| world.heard.as_ref()?.events.first().map(|(_, event)| event.clone()))
    }

    /// An order of a controller that nothing speaks against.
    pub fn order(&mut self, region: usize, verb: Verb) -> Option<Outcome> {
        self.orders += 1;
        let id = AttemptId { run: RunId(1), step: self.orders, number: 1 };
        let epoch = self.world.sites[region].voter.promises().granted.clone();
        let attempt = Attempt { id, epoch, generation: 1, deadline: PATIENCE };
        self.act(region, attempt, verb)
    }

    /// Any order, and what a controller would be answered.
    pub fn act(&mut self, region: usize, attempt: Attempt, verb: Verb) -> Option<Outcome> {
        let topology = &self.world.topology;
        let component = match verb {
            Verb::Route { .. } | Verb::Suspect { .. } => topology.dns().0,
            Verb::Scale { .. } | Verb::Exercise { .. } => topology.fleets().next()?.0,
            _ => topology.database().0,
        };
        let action = Action { site: self.site(region), component: component.clone(), verb };
        self.heard().answers.clear();
        self.world.called(region, 0, Call::Act { attempt, action });
        self.until(|world| match world.heard.as_ref()?.answers.first()? {
            (_, Answer::Ended(outcome)) => Some(outcome.clone()),
            _ => None,
        })
    }

    /// An attempt is given up, whether or not it has arrived.
    pub fn cancel(&mut self, region: usize, attempt: AttemptId) {
        self.world.called(region, 0, Call::Cancel { attempt });
    }

    /// What became of an order, by its agent's own account.
    pub fn inquire(&mut self, region: usize, attempt: AttemptId) -> Option<Inquiry> {
        self.heard().answers.clear();
        self.world.called(region, 0, Call::Inquire { attempt });
        match self.heard().answers.pop()? {
            (_, Answer::Inquired(inquiry)) => Some(inquiry),
            _ => None,
        }
    }

    /// Asks a site's voter.
    pub fn ask(&mut self, site: usize, request: &LeaseRequest) -> LeaseReply {
        self.world.vote(site, request).0
    }

    pub fn report(&mut self, site: usize) -> Arc<SiteReport> {
        self.world.report(site)
    }

    /// The site's agent is killed and started anew; its voter may have lost what it kept.
    pub fn restart_agent(&mut self, site: usize, loses_store: bool) {
        self.world.strike(if loses_store { Fault::WipeVoter(site) } else { Fault::CrashAgent(site) });
        self.until(|world| world.sites[site].agent_up.then_some(()));
        self.pass(Duration::from_secs(2));
    }

    /// A client's write at a region's open gate. Its number is the next after the one before.
    pub fn write(&mut self, region: usize) -> u64 {
        let now = self.world.now;
        let place = &mut self.world.sites[region];
        (place.gate, place.deadline, place.instances) = (true, Some(Time::MAX), 1);
        let write = self.world.clients.sent(0, now);
        self.world.happen_to(OUTSIDE, region, Message::Write { write });
        self.pass(Duration::from_secs(1));
        write
    }

    pub fn written(&self, write: u64) -> Written {
        match self.world.clients.told(write) {
            // What waits at a region is only ever answered late when it was done after all.
            Told::Acknowledged | Told::Unknown => Written::Acknowledged,
            Told::Refused => Written::Refused,
            Told::Pending => Written::Pending,
        }
    }

    pub fn harm(&mut self, region: usize, harm: Harm) {
        let faults = match harm {
            Harm::Crash => vec![Fault::CrashDatabase(region)],
            Harm::Freeze => vec![Fault::FreezeServer(region)],
            Harm::Thaw => vec![Fault::ThawServer(region)],
            Harm::Cut => vec![Fault::Cut(0, 1), Fault::Cut(1, 0)],
            Harm::Mend => vec![Fault::Mend(0, 1), Fault::Mend(1, 0)],
            Harm::Fill => vec![Fault::FillDisk(region)],
            Harm::Empty => vec![Fault::FreeDisk(region)],
            Harm::Damage => {
                let database = &mut self.world.sites[region].database;
                (database.damaged, database.clean_end) = (true, None);
                Vec::new()
            }
        };
        for fault in faults {
            self.world.strike(fault);
        }
    }

    /// Where its log ends now, as a restore is told.
    pub fn moment(&self, region: usize) -> RestoreTo {
        RestoreTo::Lsn(Lsn(self.world.sites[region].database.end() as u64))
    }

    pub fn see(&self, region: usize) -> Seen {
        let database = &self.world.sites[region].database;
        let runs = matches!(database.server, Server::Standby | Server::Writing);
        let state = match database.server {
            _ if database.frozen && runs => State::Unresponsive,
            Server::Absent => State::Absent,
            Server::Stopped => State::Stopped,
            Server::Writing => State::Writing,
            Server::Standby => State::Standby {
                upstream: database.upstream.map(|upstream| self.site(upstream)),
                receiving: self.world.receives(region),
            },
        };
        let stream = self.world.streams(region).pop().filter(|_| state == State::Writing);
        Seen {
            state,
            timeline: database.timeline,
            written: database
                .log
                .iter()
                .filter_map(|entry| self.epochs.get(&entry.mark))
                .max()
                .cloned()
                .unwrap_or_else(Epoch::none),
            writes: database.log.iter().filter_map(|entry| entry.write).collect(),
            stream: stream.map(|stream| Streaming {
                to: stream.site,
                synchronous: stream.synchronous,
                complete: stream.flushed >= Lsn(database.end() as u64),
            }),
        }
    }
}
