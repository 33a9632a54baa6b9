//! Clients with numbered writes, and the ledger of what they were told.

use std::time::Duration;

use model::Time;

use crate::scenario::OUTSIDE;
use crate::world::{Message, What, World};

/// How a client finds its region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Habit {
    /// Asks the zone again when its answer is too old.
    Honours,
    /// Believes an answer ten times as long as it should.
    Stretches,
    /// Keeps the address that it had first.
    Pinned,
    /// Lives inside the preferred region and talks to that only.
    Inside,
}

#[derive(Clone, Debug)]
struct Client {
    habit: Habit,
    /// The region it talks to, and since when.
    answer: Option<(usize, Time)>,
}

/// What a client knows of one write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    Pending,
    Acknowledged,
    Refused,
    /// The answer came too late to be read.
    Unknown,
}

#[derive(Clone, Debug)]
pub struct Write {
    client: usize,
    sent: Time,
    pub told: Told,
}

#[derive(Clone, Debug)]
pub struct Clients {
    clients: Vec<Client>,
    /// Write number 1 comes first.
    ledger: Vec<Write>,
}

/// Just before something happens, while it does, and while nothing does.
const TENSE_MS: (u64, u64) = (60, 260);
const BUSY_MS: (u64, u64) = (120, 480);
const IDLE_MS: (u64, u64) = (300, 1_200);
/// No answer within this says nothing of the write.
const PATIENCE: Duration = Duration::from_secs(3);

impl Clients {
    pub fn new(inside: bool) -> Self {
        let mut habits = vec![Habit::Honours, Habit::Stretches, Habit::Pinned];
        if inside {
            habits.push(Habit::Inside);
        }
        let clients = habits.into_iter().map(|habit| Client { habit, answer: None }).collect();
        Self { clients, ledger: Vec::new() }
    }
    pub fn count(&self) -> usize {
        self.clients.len()
    }
    /// Where the client of a write is.
    pub fn home(&self, write: u64) -> usize {
        match self.clients[self.ledger[write as usize - 1].client].habit {
            Habit::Inside => 0,
            _ => OUTSIDE,
        }
    }
    pub fn acknowledged(&self) -> impl Iterator<Item = u64> {
        let numbered = (1..).zip(&self.ledger);
        numbered.filter(|(_, write)| write.told == Told::Acknowledged).map(|(number, _)| number)
    }
    /// A client sends its next write, which gets this number.
    pub fn sent(&mut self, client: usize, now: Time) -> u64 {
        self.ledger.push(Write { client, sent: now, told: Told::Pending });
        self.ledger.len() as u64
    }
    pub fn told(&self, write: u64) -> Told {
        self.ledger[write as usize - 1].told
    }
    pub fn in_flight(&self, now: Time) -> usize {
        let waits = |write: &&Write| write.told == Told::Pending && now.since(write.sent) < PATIENCE;
        self.ledger.iter().rev().take(40).filter(waits).count()
    }
}

impl World {
    pub fn client_writes(&mut self, client: usize) {
        let (least, most) = match () {
            () if self.tense() => TENSE_MS,
            () if self.lively() => BUSY_MS,
            () => IDLE_MS,
        };
        let pause = self.rng.millis(least, most);
        self.after(pause, What::ClientWrites { client });
        let Some(region) = self.resolve(client) else { return };
        let write = self.clients.sent(client, self.now);
        let from = self.clients.home(write);
        self.send(from, region, Message::Write { write });
    }

    /// The region that the client believes in.
    fn resolve(&mut self, client: usize) -> Option<usize> {
        let Client { habit, answer } = self.clients.clients[client].clone();
        if habit == Habit::Inside {
            return Some(0);
        }
        let ttl = self.topology.dns().1.ttl;
        let fresh = |(_, at): &(usize, Time)| match habit {
            Habit::Honours => self.now.since(*at) < ttl,
            Habit::Stretches => self.now.since(*at) < ttl * 10,
            _ => true,
        };
        if let Some((region, _)) = answer.filter(fresh) {
            return Some(region);
        }
        let asked = self.rng.below(3);
        let answer = self.zone_answer(asked).map(|region| (region, self.now));
        if answer.is_some() {
            self.clients.clients[client].answer = answer;
        }
        answer.or(self.clients.clients[client].answer).map(|(region, _)| region)
    }

    /// What one site's DNS server says to a client outside; nothing when it cannot be reached or refuses.
    fn zone_answer(&self, site: usize) -> Option<usize> {
        let place = &self.sites[site];
        if !place.runs() || !self.net.both(OUTSIDE, site) {
            return None;
        }
        let zone = place.disk.zone.as_ref()?;
        let targets = zone.names.values().next()?.targets.iter().filter(|target| target.enabled);
        let region = self.number(&targets.min_by_key(|target| target.rank)?.site);
        (region != site || !place.fenced).then_some(region)
    }

    pub fn client_told(&mut self, write: u64, done: bool) {
        let now = self.now;
        let entry = &mut self.clients.ledger[write as usize - 1];
        if entry.told != Told::Pending {
            return;
        }
        entry.told = match done {
            _ if now.since(entry.sent) >= PATIENCE => Told::Unknown,
            true => Told::Acknowledged,
            false => Told::Refused,
        };
        let client = entry.client;
        if !done && self.clients.clients[client].habit == Habit::Honours {
            self.clients.clients[client].answer = None;
        }
    }
}
