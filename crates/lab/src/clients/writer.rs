//! One open-loop client: a clock that sends, and writes that are retried until they are answered or given up.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use model::Time;
use reqwest::Client;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::attempt::{self, Miss, Try};
use super::{ClientError, ClientPlan, Resolver};
use crate::ledger::entry::{Acknowledgement, Attempt, Entry, Event, Move, WriteId};
use crate::ledger::file::Log;
use crate::ledger::now;

pub struct Writer {
    plan: ClientPlan,
    log: Log,
    resolver: Resolver,
    http: Client,
    under_way: UnderWay,
    own: Mutex<Own>,
}

/// How many attempts of all clients are on their way to the workload at this instant.
#[derive(Clone, Debug, Default)]
pub struct UnderWay(Arc<AtomicU64>);

impl UnderWay {
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Cases that this client opened, as far as it was told.
#[derive(Debug, Default)]
struct Own {
    opened: VecDeque<String>,
    moved: VecDeque<Move>,
    /// The first ones, which are read to the very end, and the last ones.
    read: VecDeque<String>,
}

/// Cases that are remembered for reading: half of them from the beginning.
const REMEMBERED: usize = 32;

impl Own {
    fn knows(&mut self, case: String, moves: Option<Move>) {
        match moves {
            None => self.opened.push_back(case.clone()),
            Some(moves) => self.moved.push_back(moves),
        }
        self.read.push_back(case);
        if self.read.len() > REMEMBERED {
            self.read.remove(REMEMBERED / 2);
        }
        for_last(&mut self.opened);
        for_last(&mut self.moved);
    }

    /// Takes the newest case that was not moved on yet: each is moved once.
    fn next_move(&mut self, seq: u64) -> Option<Move> {
        let to = if seq.is_multiple_of(2) { "Escalated" } else { "Closed" };
        Some(Move { case: self.opened.pop_back()?, expected: 1, to: to.into() })
    }

    /// Turn by turn one from the beginning and the newest one.
    fn next_read(&self, seq: u64) -> Option<String> {
        let turn = (seq / 2) as usize;
        let place =
            if turn.is_multiple_of(2) { self.read.len().checked_sub(1)? } else { turn / 2 % self.read.len().max(1) };
        self.read.get(place).cloned()
    }

    /// In one turn of four: what was moved, from where it was, to the other state.
    fn past(&self, seq: u64) -> Option<Move> {
        let moved = self.moved.back().filter(|_| (seq / 2).is_multiple_of(4))?;
        let other = if moved.to == "Closed" { "Escalated" } else { "Closed" };
        Some(Move { to: other.into(), ..moved.clone() })
    }
}

fn for_last<T>(list: &mut VecDeque<T>) {
    while list.len() > REMEMBERED {
        list.pop_front();
    }
}

/// Whether the write with this number is one of each `every`.
fn due(every: u64, seq: u64) -> bool {
    every > 0 && seq.is_multiple_of(every)
}

impl Writer {
    pub fn new(plan: ClientPlan, log: Log, under_way: UnderWay) -> Result<Self, ClientError> {
        let bad = |why: String| ClientError::Plan { name: plan.name.clone(), why };
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
        if !(1..=40).contains(&plan.name.len()) || !plan.name.bytes().all(plain) {
            return Err(bad("the name must have 1 to 40 of a-z, 0-9, _ and -".into()));
        }
        if plan.habits.every.is_zero() || plan.habits.max_in_flight == 0 {
            return Err(bad("it must send at some rate, and have at least one write in flight".into()));
        }
        let resolver = Resolver::new(&plan).map_err(bad)?;
        let http = attempt::http(&plan).map_err(|source| ClientError::Http { name: plan.name.clone(), source })?;
        Ok(Self { plan, log, resolver, http, under_way, own: Mutex::default() })
    }

    pub fn every(&self) -> Duration {
        self.plan.habits.every
    }

    /// Sends a write at each multiple of the interval, the first after `offset`, until stopped; then waits for those
    /// outstanding. A late tick is made up for at once: the schedule is fixed by the start, not by the last send.
    pub async fn run(self, offset: Duration, stop: CancellationToken) {
        let me = Arc::new(self);
        let slots = Arc::new(Semaphore::new(me.plan.habits.max_in_flight));
        let client: Arc<str> = me.plan.name.as_str().into();
        let mut outstanding = JoinSet::new();
        let mut next = Instant::now() + offset;
        for seq in 1.. {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = sleep_until(next) => {}
            }
            next += me.every();
            let id = WriteId { client: client.clone(), seq };
            let sent = now();
            let moves = if due(me.plan.habits.moves, seq) { me.own().next_move(seq) } else { None };
            me.note(sent, &id, moves.clone().map_or(Event::Sent, Event::Moving));
            match slots.clone().try_acquire_owned() {
                Ok(slot) => {
                    let (me, id, stop) = (me.clone(), id.clone(), stop.clone());
                    outstanding.spawn(async move {
                        me.write(&id, moves, sent, &stop).await;
                        drop(slot);
                    });
                }
                Err(_) => me.note(now(), &id, Event::Refused { why: "too many writes in flight".into() }),
            }
            if due(me.plan.habits.reads, seq) {
                let me = me.clone();
                outstanding.spawn(async move { me.look(&id).await });
            }
            while outstanding.try_join_next().is_some() {}
        }
        while outstanding.join_next().await.is_some() {}
    }

    /// One write, with all its attempts. A stop cuts the pause before the next attempt short and makes it the last:
    /// what can still be learned is learned.
    async fn write(&self, id: &WriteId, moves: Option<Move>, sent: Time, stop: &CancellationToken) {
        let habits = &self.plan.habits;
        let mut pause = habits.retry_after;
        let mut unknown = None;
        for number in 1.. {
            let last = stop.is_cancelled() || now().since(sent) + pause >= habits.give_up;
            let miss = match self.attempt(id, moves.as_ref(), number).await {
                Ok(acknowledgement) => {
                    let case = acknowledgement.case.clone();
                    self.note(now(), id, Event::Acknowledged(acknowledgement));
                    return self.own().knows(case, moves);
                }
                Err(miss) => miss,
            };
            if miss.unknown {
                unknown = Some(miss.why.clone());
            }
            if last {
                // One attempt that may have taken effect outweighs any number that did not.
                let end = match unknown {
                    Some(why) => Event::Unknown { why },
                    None => Event::Refused { why: miss.why },
                };
                return self.note(now(), id, end);
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(habits.retry_after * 8);
        }
    }

    async fn attempt(&self, id: &WriteId, moves: Option<&Move>, number: u32) -> Result<Acknowledgement, Miss> {
        let started = now();
        let address = self.address(number).await;
        let result = match &address {
            Ok(address) => {
                self.under_way.0.fetch_add(1, Ordering::SeqCst);
                let to = Try { host: &self.plan.host, address: *address, number, started };
                let answered = attempt::command(&self.http, to, id, moves).await;
                self.under_way.0.fetch_sub(1, Ordering::SeqCst);
                answered
            }
            Err(miss) => Err(miss.clone()),
        };
        if let Err(Miss { unknown, why }) = &result {
            let attempt = Attempt { number, started, address: address.ok(), unknown: *unknown, why: why.clone() };
            self.note(now(), id, Event::Failed(attempt));
        }
        result
    }

    /// Reads a case of its own, and now and then tries to move one from a version that is past. Neither is repeated.
    async fn look(&self, id: &WriteId) {
        let started = now();
        let Ok(address) = self.address(1).await else { return };
        let to = Try { host: &self.plan.host, address, number: 1, started };
        let (read, stale) = {
            let own = self.own();
            (own.next_read(id.seq), own.past(id.seq))
        };
        if let Some(case) = read
            && let Some(read) = attempt::read_case(&self.http, to, &case).await
        {
            self.note(now(), id, Event::Read(read));
        }
        let to = Try { started: now(), ..to };
        if let Some(asked) = stale
            && let Some(stale) = attempt::stale(&self.http, to, &format!("stale/{id}"), asked).await
        {
            self.note(now(), id, Event::Stale(stale));
        }
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Where this attempt goes: with several addresses, each attempt takes the next one.
    async fn address(&self, number: u32) -> Result<SocketAddr, Miss> {
        let addresses = self.resolver.addresses().await.map_err(|error| Miss::refused(error.to_string()))?;
        let answered: Ipv4Addr = addresses[(number as usize - 1) % addresses.len()];
        let reached = self.plan.address_map.get(&answered).copied().unwrap_or(answered);
        Ok((reached, self.plan.port).into())
    }

    fn note(&self, at: Time, id: &WriteId, event: Event) {
        self.log.log(Entry { at, write: id.clone(), event });
    }
}
