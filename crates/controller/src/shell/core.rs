//! Deciding: one event at a time, durable before it counts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::{Decision, Effect, Event, Record, RoutingAddresses, Workload};
use jiff::Timestamp;
use model::{Time, Topology};
use tokio::sync::watch;
use tracing::{debug, info};

use super::ControllerError;
use super::crash::Crash;
use super::handle::{AskError, Granted};
use crate::clock;
use crate::journal::{Journal, JournalError, Stamp};

/// The journal, shared with those who read it. Whoever still holds this when the controller stops finds it closed, so
/// that the lock is free for the next controller as soon as this one has ended.
#[derive(Clone)]
pub(super) struct SharedJournal(Arc<Mutex<Option<Box<dyn Journal>>>>);

impl SharedJournal {
    /// Works on the journal on a thread that may wait for the disk; polls and answers go on meanwhile.
    pub async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Journal) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let journal = self.0.clone();
        let locked = move || match journal.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(journal) => work(journal.as_mut()),
            None => Err(JournalError::Closed),
        };
        match tokio::task::spawn_blocking(locked).await {
            Ok(done) => done,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// How many lines are folded at a time at the start.
const CHUNK: usize = 1_000;
/// A timer that is due already still lets the queue have its turn.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

pub(super) struct Core {
    workload: Workload,
    journal: SharedJournal,
    boot: String,
    generation: u64,
    rebooted: bool,
    /// Sequence number of the last durable line.
    last: watch::Sender<u64>,
    wake_at: Option<Time>,
    crash: Option<Crash>,
}

impl Core {
    /// Folds the journal.
    pub fn open(
        topology: Arc<Topology>,
        addresses: RoutingAddresses,
        journal: Box<dyn Journal>,
    ) -> Result<Core, ControllerError> {
        let boot = clock::boot_id().map_err(|source| ControllerError::File { path: "/proc".into(), source })?;
        let mut workload = Workload::new(topology, addresses);
        let (mut next, mut last_boot) = (1, None);
        loop {
            let lines = journal.read(next, CHUNK)?;
            for line in &lines {
                engine::apply(&mut workload, &line.record()?);
            }
            let Some(line) = lines.last() else { break };
            next = line.seq + 1;
            last_boot = Some(line.boot.clone());
        }
        Ok(Core {
            workload,
            generation: journal.generation(),
            rebooted: last_boot.is_some_and(|last| last != boot),
            last: watch::Sender::new(journal.last()),
            journal: SharedJournal(Arc::new(Mutex::new(Some(journal)))),
            boot,
            wake_at: None,
            crash: Crash::from_environment()?,
        })
    }

    pub fn journal(&self) -> SharedJournal {
        self.journal.clone()
    }

    /// Gives up the journal and its lock.
    pub fn close(&self) {
        self.journal.close();
    }

    pub fn last(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    /// How often the engine is woken without any reason.
    pub fn beat(&self) -> Duration {
        self.workload.topology.timing.probe_every
    }

    /// Tells the engine that it has been started.
    pub async fn started(&mut self) -> Result<Vec<Effect>, ControllerError> {
        let event = Event::Started { generation: self.generation, rebooted: self.rebooted };
        Ok(self.decide(&event).await?.effects)
    }

    /// What a crash may have left open.
    pub fn resume(&mut self) -> Vec<Effect> {
        let decision = engine::resume(&self.workload, clock::now());
        self.wake(decision.wake_at);
        decision.effects
    }

    /// Decides upon one event. When this returns, the decision is durable and part of the state.
    pub async fn decide(&mut self, event: &Event) -> Result<Decision, ControllerError> {
        let now = clock::now();
        if matches!(event, Event::Tick) {
            self.wake_at = self.wake_at.filter(|at| *at > now);
        }
        engine::observe(&mut self.workload, now, event);
        let decision = engine::step(&self.workload, now, event);
        self.persist(now, &decision.records).await?;
        for record in &decision.records {
            info!("{}", record.text());
            engine::apply(&mut self.workload, record);
        }
        for why in &decision.why {
            debug!("{why}");
        }
        self.wake(decision.wake_at);
        Ok(decision)
    }

    async fn persist(&mut self, at: Time, records: &[Record]) -> Result<(), JournalError> {
        if records.is_empty() {
            return Ok(());
        }
        let stamp = Stamp { at, wall: Timestamp::now(), boot: self.boot.clone() };
        let written = records.to_vec();
        let seq = self.journal.with(move |journal| journal.append(&stamp, &written)).await?;
        if let Some(crash) = &mut self.crash {
            crash.after(records);
        }
        self.last.send_replace(seq);
        Ok(())
    }

    /// What whoever asked is told.
    pub fn granted(&self, decision: &Decision) -> Result<Granted, AskError> {
        if let Some(refused) = &decision.refused {
            return Err(AskError::Refused(refused.clone()));
        }
        let run = self.workload.run.as_ref().or(self.workload.last.as_ref()).map(|run| run.id);
        let said = decision.records.iter().map(Record::text);
        Ok(Granted { seq: *self.last.borrow(), run, said: said.collect(), why: decision.why.clone() })
    }

    fn wake(&mut self, at: Option<Time>) {
        self.wake_at = match (self.wake_at, at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    /// Until the engine wants to be woken; for ever when it does not.
    pub fn sleep(&self) -> impl Future<Output = ()> + use<> {
        let wake_at = self.wake_at;
        async move {
            match wake_at {
                Some(at) => tokio::time::sleep(at.since(clock::now()).max(SHORTEST_SLEEP)).await,
                None => std::future::pending().await,
            }
        }
    }
}
