//! The controller process: the engine's loop in the real world.
//!
//! ```text
//! polls, answers, people, timers ─► one queue ─► observe ─ step ─► journal (durable) ─► apply ─► effects, as tasks
//! ```
//! Killed at any instant it loses nothing: what was decided is in the journal before anybody acts on it, and what was
//! ordered and not heard of is asked after at the next start.

mod config;
mod core;
mod crash;
mod handle;
mod perform;
mod poll;

use std::net::SocketAddr;
use std::path::PathBuf;

use engine::Event;
use model::SiteId;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use config::{ControllerConfig, TopologySource};
pub use handle::{AskError, Granted, Handle};

use self::core::Core;
use self::handle::Input;
use self::perform::Performer;
use crate::identity::{Identity, IdentityError, Peer};
use crate::journal::{JournalError, SqliteJournal};
use crate::{api, clock, rpc};

/// Events that may wait to be decided upon. A full queue slows the polls, which come again anyway.
const QUEUE: usize = 256;

/// Why a controller cannot start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    #[error("cannot read {}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: {why}", path.display())]
    Config { path: PathBuf, why: String },
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the configuration gives no address for {what} of {site}")]
    NoAddress { what: &'static str, site: SiteId },
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("{name} is set to `{value}`, which names no record")]
    CrashHook { name: &'static str, value: String },
}

impl ControllerError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            ControllerError::File { .. } | ControllerError::Config { .. } | ControllerError::NoAddress { .. } => {
                "check the controller's configuration"
            }
            ControllerError::Identity(error) => error.hint(),
            ControllerError::Journal(error) => error.hint(),
            ControllerError::Listen { .. } => "stop whatever uses the port, or configure another one",
            ControllerError::CrashHook { .. } => "unset it: it is for tests only",
        }
    }
}

/// A controller that has its journal and its port, and decides nothing yet.
pub struct Controller {
    config: ControllerConfig,
    identity: Identity,
    listener: TcpListener,
    core: Core,
}

impl Controller {
    /// Reads everything, takes the journal's lock, folds the journal, and listens.
    ///
    /// # Errors
    /// All that can be wrong before anything is decided: configuration, identity, journal, port.
    pub async fn open(config: ControllerConfig) -> Result<Controller, ControllerError> {
        let topology = config.topology.load()?;
        config.check(&topology)?;
        let identity = Identity::load(&config.identity, &Peer::Controller)?;
        let listener = TcpListener::bind(config.listen).await;
        let listener = listener.map_err(|source| ControllerError::Listen { address: config.listen, source })?;
        let journal = SqliteJournal::open(&config.journal, &topology.workload)?;
        let core = Core::open(topology, config.addresses.clone(), Box::new(journal))?;
        Ok(Controller { config, identity, listener, core })
    }

    /// Where operators reach it.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or(self.config.listen)
    }

    /// Watches, decides and acts until `stop`.
    ///
    /// # Errors
    /// Only when the journal cannot be written: deciding on would promise what a crash forgets.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ControllerError> {
        let Controller { config, identity, listener, mut core } = self;
        let (inputs, queue) = mpsc::channel(QUEUE);
        let topology = core.workload().topology.clone();
        let performer = Performer::new(&identity, &topology, &config.agents, inputs.clone())?;
        let handle = Handle::new(inputs, core.journal(), core.last());
        info!(listen = %config.listen, generation = core.generation(), "the controller is up");

        let mut tasks = JoinSet::new();
        performer.start_polls(&mut tasks);
        let (router, server) = (api::router(handle), stop.clone());
        tasks.spawn(async move {
            if let Err(error) = rpc::serve(listener, &identity, router, server).await {
                tracing::error!(%error, "cannot serve operators");
            }
        });
        let ended = decide(&mut core, performer, queue, stop).await;
        tasks.shutdown().await;
        core.close();
        ended
    }
}

/// Runs a controller until `stop`; see [`Controller::open`] and [`Controller::run`].
pub async fn run(config: ControllerConfig, stop: CancellationToken) -> Result<(), ControllerError> {
    Controller::open(config).await?.run(stop).await
}

/// The loop. Ends at `stop`, or when the journal fails.
async fn decide(
    core: &mut Core,
    mut performer: Performer,
    mut queue: mpsc::Receiver<Input>,
    stop: CancellationToken,
) -> Result<(), ControllerError> {
    let started = core.started().await?;
    performer.perform(started);
    performer.perform(core.resume());
    let mut beat = tokio::time::interval(core.beat());
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let input = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = core.sleep() => Input::Event(Event::Tick),
            _ = beat.tick() => Input::Event(Event::Tick),
            Some(input) = queue.recv() => input,
        };
        match input {
            Input::Event(event) => performer.perform(core.decide(&event).await?.effects),
            Input::Ask { event, answer } => {
                let decision = core.decide(&event).await?;
                let granted = core.granted(&decision);
                performer.perform(decision.effects);
                // Whoever asked may have gone; what was decided stands.
                let _ = answer.send(granted);
            }
            Input::Look(look) => look(core.workload(), clock::now()),
        }
    }
}

#[cfg(test)]
mod tests;
