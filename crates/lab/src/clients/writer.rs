//! One open-loop client: a clock that sends, and writes that are retried until they are answered or given up.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::Time;
use reqwest::Client;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::attempt::{self, Miss};
use super::{ClientError, ClientPlan, Resolver};
use crate::ledger::entry::{Acknowledgement, Attempt, Entry, Event, WriteId};
use crate::ledger::file::Log;
use crate::ledger::now;

pub struct Writer {
    plan: ClientPlan,
    log: Log,
    resolver: Resolver,
    http: Client,
    under_way: UnderWay,
}

/// How many attempts of all clients are on their way to the workload at this instant.
#[derive(Clone, Debug, Default)]
pub struct UnderWay(Arc<AtomicU64>);

impl UnderWay {
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
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
        Ok(Self { plan, log, resolver, http, under_way })
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
            me.note(sent, &id, Event::Sent);
            match slots.clone().try_acquire_owned() {
                Ok(slot) => {
                    let (me, stop) = (me.clone(), stop.clone());
                    outstanding.spawn(async move {
                        me.write(&id, sent, &stop).await;
                        drop(slot);
                    });
                }
                Err(_) => me.note(now(), &id, Event::Refused { why: "too many writes in flight".into() }),
            }
            while outstanding.try_join_next().is_some() {}
        }
        while outstanding.join_next().await.is_some() {}
    }

    /// One write, with all its attempts. A stop cuts the pause before the next attempt short and makes it the last:
    /// what can still be learned is learned.
    async fn write(&self, id: &WriteId, sent: Time, stop: &CancellationToken) {
        let habits = &self.plan.habits;
        let mut pause = habits.retry_after;
        let mut unknown = None;
        for number in 1.. {
            let last = stop.is_cancelled() || now().since(sent) + pause >= habits.give_up;
            let miss = match self.attempt(id, number).await {
                Ok(acknowledgement) => return self.note(now(), id, Event::Acknowledged(acknowledgement)),
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

    async fn attempt(&self, id: &WriteId, number: u32) -> Result<Acknowledgement, Miss> {
        let started = now();
        let address = self.address(number).await;
        let result = match &address {
            Ok(address) => {
                self.under_way.0.fetch_add(1, Ordering::SeqCst);
                let answered = attempt::open_case(&self.http, &self.plan.host, *address, id, number, started).await;
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
