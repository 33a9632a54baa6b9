//! The thread that keeps the lease.
//!
//! It drives `engine::writer` and does nothing else: no request of a client, no disk but the promises' and no slow
//! statement of PostgreSQL stands between a renewal and its voter. Each question to a voter is a call of its own with its
//! own time-out, so that none waits behind another's retransmission (SAFETY.md item 2).

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::writer::{Durable, Effect, Event, Mode, Rules, Writer};
use model::action::Evidence;
use model::{Epoch, LeaseRequest, Lsn, Outcome, Receipt, SiteId, Time};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use super::attempts::Attempts;
use super::gate::{Deadline, Gate, Ticket};
use super::store::{self, StoreError};
use super::voter::Lease;
use super::watchdog::Leash;
use crate::clock;
use crate::identity::Signer;

/// What the rest of the agent may see of the writer.
#[derive(Clone, Debug)]
pub struct View {
    pub mode: Mode,
    pub lapsed: Option<String>,
    pub epoch: Option<Epoch>,
    pub written: Epoch,
    pub deadline: Option<Time>,
    pub lowest_margin: Option<Duration>,
    pub settling: bool,
    pub following: bool,
    /// Whom a synchronous writer's commits wait for, as last ordered.
    pub waits_for: Option<SiteId>,
    pub receipt: Option<Receipt>,
    /// By two people's word, and no majority has granted the epoch yet.
    pub alone: bool,
}

/// What the database must do; its ends come back as [`Event`]s.
#[derive(Clone, PartialEq, Debug)]
pub enum DatabaseOrder {
    /// Commits wait for `standby` from the first moment on.
    Open {
        epoch: Epoch,
        standby: Option<SiteId>,
    },
    Restart {
        epoch: Epoch,
        standby: Option<SiteId>,
    },
    Synchronous {
        standby: Option<SiteId>,
    },
    Stop {
        clean: bool,
    },
    /// After all orders before it: whom commits wait for must be settled when clients come in.
    OpenGate {
        ticket: Ticket,
    },
    /// This site may no longer answer with itself.
    GateShut,
}

enum Command {
    Event(Box<Event>),
    BeginFollow(oneshot::Sender<Result<(), String>>),
}

impl Command {
    fn event(event: Event) -> Self {
        Self::Event(Box::new(event))
    }
}

/// How the rest of the agent talks to the thread.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    view: Arc<Mutex<View>>,
}

impl Handle {
    pub fn tell(&self, event: Event) {
        let _ = self.commands.send(Command::event(event));
    }
    /// See `Writer::begin_follow`.
    pub async fn begin_follow(&self) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        let _ = self.commands.send(Command::BeginFollow(answer));
        answered.await.unwrap_or_else(|_| Err("the agent is stopping".into()))
    }
    pub fn view(&self) -> View {
        self.view.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

pub struct Parts {
    pub rules: Rules,
    pub workload: String,
    pub stop_margin: Duration,
    pub fence_within: Duration,
    /// Where the lease is kept.
    pub store: Arc<dyn Lease>,
    pub signer: Signer,
    pub gate: Arc<Gate>,
    pub deadline: Arc<Deadline>,
    pub leash: Leash,
    pub attempts: Arc<Attempts>,
    pub database: mpsc::UnboundedSender<DatabaseOrder>,
}

const WRITER: &str = "writer";

fn open(state: &Path) -> Result<Connection, StoreError> {
    store::open(&state.join("writer.sqlite"))
}

/// The newest epoch that the writer's store in `state` knows of.
pub fn known(state: &Path) -> Result<Epoch, StoreError> {
    let durable: Option<Durable> = store::load(&open(state)?, WRITER)?;
    Ok(durable.map_or_else(Epoch::none, |durable| durable.written.max(durable.fenced)))
}

/// Starts the thread. `gone_wrong` is told when it can no longer do its work; the agent must then end, and with it,
/// by the watchdog, the database.
pub fn start(parts: Parts, state: &Path, gone_wrong: mpsc::UnboundedSender<String>) -> Result<Handle, StoreError> {
    let disk = open(state)?;
    let durable: Durable = store::load(&disk, WRITER)?.unwrap_or_default();
    let writer = Writer::new(parts.rules.clone(), durable.clone());
    let (commands, inbox) = mpsc::unbounded_channel();
    let view = Arc::new(Mutex::new(see(&writer, None, None)));
    let handle = Handle { commands: commands.clone(), view: view.clone() };
    let (receipt, waits_for, fencing_until) = (None, None, None);
    let mut keeper = Keeper { parts, writer, disk, commands, view, receipt, waits_for, kept: durable, fencing_until };
    std::thread::Builder::new()
        .name("lease".into())
        .spawn(move || {
            let ended = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => LocalSet::new().block_on(&runtime, keeper.run(inbox)),
                Err(error) => Err(error.to_string()),
            };
            if let Err(why) = ended {
                let _ = gone_wrong.send(why);
            }
        })
        .map_err(|error| StoreError::Open {
            file: state.into(),
            source: rusqlite::Error::InvalidPath(error.to_string().into()),
        })?;
    Ok(handle)
}

fn see(writer: &Writer, receipt: Option<Receipt>, waits_for: Option<SiteId>) -> View {
    View {
        mode: writer.mode().clone(),
        lapsed: writer.lapsed().map(|(why, _)| why.to_string()),
        epoch: writer.epoch().cloned(),
        written: writer.durable().written.clone(),
        deadline: writer.deadline(),
        lowest_margin: writer.lowest_margin(),
        settling: writer.settling(),
        following: writer.following(),
        waits_for,
        receipt,
        alone: writer.by_decree(),
    }
}

struct Keeper {
    parts: Parts,
    writer: Writer,
    disk: Connection,
    commands: mpsc::UnboundedSender<Command>,
    view: Arc<Mutex<View>>,
    receipt: Option<Receipt>,
    waits_for: Option<SiteId>,
    /// What is on disk.
    kept: Durable,
    fencing_until: Option<Time>,
}

impl Keeper {
    async fn run(&mut self, mut inbox: mpsc::UnboundedReceiver<Command>) -> Result<(), String> {
        let beat = self.parts.rules.renew_every;
        loop {
            let now = clock::now();
            let wake = self.writer.wake_at(now).min(now + beat);
            tokio::select! {
                biased;
                command = inbox.recv() => match command {
                    None => return Ok(()),
                    Some(Command::Event(event)) => self.step(*event)?,
                    Some(Command::BeginFollow(answer)) => {
                        let begun = self.writer.begin_follow();
                        let effects = begun.clone().unwrap_or_default();
                        self.settle(effects)?;
                        let _ = answer.send(begun.map(drop));
                    }
                },
                () = clock::sleep_until(wake) => self.step(Event::Tick)?,
            }
        }
    }

    fn step(&mut self, event: Event) -> Result<(), String> {
        let effects = self.writer.step(clock::now(), event);
        self.settle(effects)
    }

    /// Makes what changed durable and visible, then performs.
    fn settle(&mut self, effects: Vec<Effect>) -> Result<(), String> {
        self.persist()?;
        self.publish()?;
        for effect in effects {
            self.perform(effect);
        }
        self.publish()
    }

    fn persist(&mut self) -> Result<(), String> {
        if self.kept != *self.writer.durable() {
            store::save(&self.disk, WRITER, self.writer.durable()).map_err(|error| error.to_string())?;
            self.kept = self.writer.durable().clone();
        }
        Ok(())
    }

    fn publish(&mut self) -> Result<(), String> {
        let deadline = self.writer.deadline();
        let may_write = matches!(self.writer.mode(), Mode::Opening { .. } | Mode::Writing);
        self.parts.deadline.set(deadline.filter(|_| may_write));
        let fencing = matches!(self.writer.mode(), Mode::Fencing { .. });
        // While fencing the gate is shut already; the processes get a little time to end by themselves.
        let until = clock::now() + self.parts.fence_within;
        self.fencing_until = fencing.then(|| self.fencing_until.unwrap_or(until));
        // The agent itself stops at its deadline; half of the margin later it must have.
        let writing_until = deadline.filter(|_| may_write).map(|at| at + self.parts.stop_margin / 2);
        self.parts.leash.tell(writing_until.or(self.fencing_until)).map_err(|error| error.to_string())?;
        let view = see(&self.writer, self.receipt.clone(), self.waits_for.clone());
        *self.view.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = view;
        Ok(())
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Ask { voter, request } => self.ask(voter, request),
            Effect::Open { epoch } => {
                self.order(DatabaseOrder::Open { epoch, standby: self.writer.opens_waiting_for() });
            }
            Effect::Restart => {
                if let Some(epoch) = self.writer.epoch().cloned() {
                    self.order(DatabaseOrder::Restart { epoch, standby: self.writer.opens_waiting_for() });
                }
            }
            Effect::OpenGate { .. } => {
                self.receipt = None;
                self.order(DatabaseOrder::OpenGate { ticket: self.parts.gate.ticket() });
            }
            Effect::ShutGate => {
                self.parts.gate.shut();
                self.order(DatabaseOrder::GateShut);
            }
            Effect::Synchronous { standby } => {
                self.waits_for = standby.clone();
                self.order(DatabaseOrder::Synchronous { standby });
            }
            Effect::Stop { clean } => self.order(DatabaseOrder::Stop { clean }),
            Effect::Certify { epoch, end, attempt } => self.certify(epoch, end, attempt),
            Effect::Answer { attempt, outcome } => self.parts.attempts.end(attempt, outcome),
            Effect::Say { text } => tracing::info!("{text}"),
        }
    }

    fn order(&self, order: DatabaseOrder) {
        let _ = self.parts.database.send(order);
    }

    fn ask(&self, voter: SiteId, request: LeaseRequest) {
        let (commands, sent, store) = (self.commands.clone(), clock::now(), self.parts.store.clone());
        tokio::task::spawn_local(async move {
            match store.ask(&voter, &request).await {
                Ok(reply) => drop(commands.send(Command::event(Event::Voted { voter, request, sent, reply }))),
                Err(error) => tracing::debug!(%voter, %error, "no vote"),
            }
        });
    }

    fn certify(&mut self, epoch: Epoch, end: Option<Lsn>, attempt: Option<model::AttemptId>) {
        let (workload, site) = (self.parts.workload.clone(), self.parts.rules.me.clone());
        let receipt = self.parts.signer.sign(Receipt { workload, site, epoch, end, signature: String::new() });
        self.receipt = Some(receipt.clone());
        for voter in self.parts.rules.voters.clone() {
            self.ask(voter, LeaseRequest::Release { receipt: receipt.clone() });
        }
        if let Some(attempt) = attempt {
            let evidence =
                Evidence { receipt: Some(receipt.into()), position: end, ..Evidence::note("fenced, with a receipt") };
            self.parts.attempts.end(attempt, Outcome::Done(evidence));
        }
    }
}
