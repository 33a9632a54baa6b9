//! Carries out what the lease's thread orders of the database, and tells it how that ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drivers::Act;
use drivers::postgres::{Database, LaxCommit, Observed, Room, ServerState, Upstream};
use engine::writer::{Event, Mode, Stream};
use model::action::{Evidence, Export};
use model::{ActError, Epoch, Lsn, Outcome, SiteId};
use rusqlite::Connection;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::gate::{Gate, Ticket};
use super::lease::{DatabaseOrder, Handle};
use super::{obey, store};

pub struct DatabaseShell {
    driver: Arc<dyn Database>,
    lease: Handle,
    /// Where each other region's server is reached from here.
    upstreams: BTreeMap<SiteId, Upstream>,
    seen: Mutex<Option<Observed>>,
    disk: Mutex<Connection>,
    gate: Arc<Gate>,
    waits: Mutex<Waits>,
    waits_changed: Notify,
    /// What lets commits be acknowledged without the standby, by whoever set it.
    lax: Mutex<Vec<LaxCommit>>,
    /// Told whenever this site may no longer answer with itself, or may again.
    fenced: Box<dyn Fn(bool) + Send + Sync>,
    /// A stop under way: nothing else is started.
    stopping: CancellationToken,
}

/// What stands between a writable server and its clients.
#[derive(Default)]
struct Waits {
    /// Whom commits are to wait for, as ordered and not yet done.
    ordered: Option<Option<SiteId>>,
    /// Leave to open the gate afterwards.
    ticket: Option<Ticket>,
}

impl Waits {
    fn done(&mut self, standby: &Option<SiteId>) {
        if self.ordered.as_ref() == Some(standby) {
            self.ordered = None;
        }
    }
}

impl DatabaseShell {
    pub fn new(
        driver: Arc<dyn Database>,
        lease: Handle,
        upstreams: BTreeMap<SiteId, Upstream>,
        disk: Connection,
        gate: Arc<Gate>,
        fenced: Box<dyn Fn(bool) + Send + Sync>,
        stopping: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            driver,
            lease,
            upstreams,
            seen: Mutex::new(None),
            disk: Mutex::new(disk),
            waits: Mutex::default(),
            waits_changed: Notify::new(),
            lax: Mutex::default(),
            gate,
            fenced,
            stopping,
        })
    }

    /// The last observation.
    pub fn seen(&self) -> Option<Observed> {
        self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    pub async fn look(&self) -> Observed {
        let observed = self.driver.observe().await;
        *self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(observed.clone());
        observed
    }

    pub fn lax_commits(&self) -> Vec<LaxCommit> {
        self.lax.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Looks every `every` at what people have set in the catalogue while this server writes.
    pub async fn watch_settings(self: Arc<Self>, every: Duration, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stop.cancelled() => return,
            }
            let writes = self.lease.view().mode == Mode::Writing;
            let found = if writes { self.driver.lax_commits().await } else { Ok(Vec::new()) };
            match found {
                Ok(found) => *self.lax.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = found,
                Err(error) => tracing::debug!(%error, "cannot look for settings that lose writes"),
            }
        }
    }

    pub fn room(&self) -> Room {
        self.driver.room()
    }

    /// Looks every `every` whether what is kept for a full disk is whole.
    pub async fn keep_room(self: Arc<Self>, every: Duration, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => self.driver.keep_room().await,
                () = stop.cancelled() => return,
            }
        }
    }

    /// When the newest transaction of this site's copy was committed, by the wall clock of who wrote it; for people only.
    pub async fn last_commit(&self) -> Option<String> {
        self.driver.last_replayed_commit().await.ok().flatten()
    }

    /// How far this site's copy reaches, for the promise that nothing is missing.
    pub async fn received(&self) -> Lsn {
        match self.look().await.server {
            ServerState::Standby { received, .. } => received,
            ServerState::Writing { position } => position,
            _ => Lsn::default(),
        }
    }

    /// Orders are carried out as they come; a kill overtakes whatever else is under way.
    pub async fn obey(self: Arc<Self>, mut orders: mpsc::UnboundedReceiver<DatabaseOrder>) {
        while let Some(order) = orders.recv().await {
            match order {
                DatabaseOrder::OpenGate { ticket } => {
                    self.waits().ticket = Some(ticket);
                    self.waits_changed.notify_one();
                }
                DatabaseOrder::GateShut => (self.fenced)(true),
                DatabaseOrder::Synchronous { standby } => {
                    self.waits().ordered = Some(standby);
                    self.waits_changed.notify_one();
                }
                DatabaseOrder::Stop { clean } => {
                    *self.waits() = Waits::default();
                    drop(tokio::spawn(self.clone().stop(clean)));
                }
                DatabaseOrder::Open { epoch, standby } => drop(tokio::spawn(self.clone().open(epoch, standby))),
                DatabaseOrder::Restart { epoch, standby } => drop(tokio::spawn(self.clone().restart(epoch, standby))),
            }
        }
    }

    /// Apart from the other orders: a server that does not answer must not hold up an order to stop it.
    pub async fn keep_waits(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = self.waits_changed.notified() => self.settle_waits().await,
                () = stop.cancelled() => return,
            }
        }
    }

    /// Changes whom commits wait for, then opens the gate if it may be opened. What fails is tried again at the next look:
    /// clients stay out until commits wait as the voters' record says.
    async fn settle_waits(&self) {
        let ordered = self.waits().ordered.clone();
        if let Some(standby) = ordered {
            let standbys: Vec<SiteId> = standby.iter().cloned().collect();
            match self.driver.set_synchronous(&standbys).await {
                Ok(Act::Done(()) | Act::AlreadyDone(())) => {}
                other => return tracing::warn!(?other, "cannot change whom commits wait for; trying again"),
            }
            self.waits().done(&standby);
        }
        let mut waits = self.waits();
        // An order that came meanwhile is settled first; it has left word.
        let ticket = if waits.ordered.is_none() { waits.ticket.take() } else { None };
        drop(waits);
        if let Some(ticket) = ticket {
            self.gate.open(ticket);
            (self.fenced)(false);
        }
    }

    fn waits(&self) -> std::sync::MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    async fn open(self: Arc<Self>, epoch: Epoch, standby: Option<SiteId>) {
        self.lease.tell(obey::open(&*self.driver, &epoch, standby).await);
        self.look().await;
    }

    async fn restart(self: Arc<Self>, epoch: Epoch, standby: Option<SiteId>) {
        self.lease.tell(obey::restart(&*self.driver, &epoch, standby).await);
        self.look().await;
    }

    async fn stop(self: Arc<Self>, clean: bool) {
        self.lease.tell(obey::stop(&*self.driver, clean).await);
    }

    /// Looks every `every`: tells the lease of a server that ended or of its standbys, and keeps a copy running.
    pub async fn supervise(self: Arc<Self>, every: Duration, stop: CancellationToken) {
        let mut beat = tokio::time::interval(every);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = beat.tick() => {}
                () = stop.cancelled() => return,
            }
            if self.waits().ordered.is_some() {
                self.waits_changed.notify_one();
            }
            let before = self.lease.view();
            let observed = self.look().await;
            let view = self.lease.view();
            if before.mode != view.mode || view.following {
                continue;
            }
            match (&view.mode, &observed.server) {
                (Mode::Writing, ServerState::Writing { position }) => self.tell_standbys(&observed, *position),
                (Mode::Writing, ServerState::Stopped | ServerState::Absent | ServerState::Unfinished) => {
                    self.lease.tell(Event::ServerExited { why: "no process of it is left".into() });
                }
                (Mode::Standby, ServerState::Stopped) => self.start_copy_again().await,
                _ => {}
            }
        }
    }

    fn tell_standbys(&self, observed: &Observed, position: Lsn) {
        let stream = |s: &model::observe::StandbyReport| Stream {
            site: s.site.clone(),
            streaming: s.streaming,
            synchronous: s.synchronous,
            flushed: s.flushed,
        };
        self.lease.tell(Event::Standbys { streams: observed.standbys.iter().map(stream).collect(), position });
    }

    /// A copy that is not running although nobody stopped it. A directory that is no copy is refused by the driver.
    async fn start_copy_again(&self) {
        let Some(upstream) = self.last_upstream() else { return };
        if self.stopping.is_cancelled() {
            return;
        }
        match self.driver.start_standby(&upstream).await {
            Ok(Act::Refused(why)) => tracing::debug!(%why, "not started as a copy"),
            Ok(_) => tracing::info!(upstream = %upstream.site, "the copy runs again"),
            Err(error) => tracing::warn!(%error, "the copy does not start"),
        }
    }

    pub fn last_upstream(&self) -> Option<Upstream> {
        let disk = self.disk.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let site: Option<SiteId> = store::load(&disk, "upstream").ok().flatten();
        self.upstreams.get(&site?).cloned()
    }

    pub async fn initialise(&self) -> Outcome {
        ended(self.driver.initialise().await, |()| Evidence::note("an empty database"))
    }

    pub async fn follow(&self, site: &SiteId) -> Outcome {
        let Some(upstream) = self.upstreams.get(site).cloned() else {
            return Outcome::Refused { why: format!("{site} is not a region that this one can follow") };
        };
        if let Err(why) = self.lease.begin_follow().await {
            return Outcome::Refused { why };
        }
        let saved = store::save(&self.disk.lock().unwrap_or_else(|p| p.into_inner()), "upstream", site);
        let followed = match saved {
            Ok(()) => self.driver.follow(&upstream).await,
            Err(error) => Err(ActError::Transient(error.to_string())),
        };
        self.look().await;
        self.lease.tell(Event::Followed { copy: matches!(followed, Ok(Act::Done(_) | Act::AlreadyDone(_))) });
        ended(followed, |followed| Evidence {
            note: describe(followed),
            phases: followed.phases.clone(),
            position: followed.divergence.as_ref().map(|divergence| divergence.lsn),
            export: followed.divergence.as_ref().map(|divergence| Box::new(exported(divergence))),
            ..Evidence::default()
        })
    }

    /// Ends the server when the agent ends; never leaves a process.
    pub async fn shut_down(&self, politely: bool) {
        self.stopping.cancel();
        if !politely || self.driver.stop().await.is_err() {
            let _ = self.driver.kill_all().await;
        }
    }
}

fn describe(followed: &drivers::postgres::Followed) -> String {
    use drivers::postgres::Way;
    let way = match followed.way {
        Way::Direct => "its log was a prefix of the upstream's",
        Way::Rewind => "rewound",
        Way::Copy => "copied anew",
    };
    match &followed.divergence {
        None => way.to_string(),
        Some(divergence) => {
            let (lsn, export) = (divergence.lsn, divergence.export.display());
            match (divergence.commits, &divergence.rows) {
                (Some(commits), Some(rows)) => {
                    format!("{way}; {commits} transactions after {lsn} were only here: {rows}; kept in {export}")
                }
                _ => {
                    let why = divergence.whole.as_deref().unwrap_or("unknown");
                    format!(
                        "{way}; what only it had could not be compared ({why}), all of it is kept in {export}: a data \
                         directory, whose rows a PostgreSQL server started from a copy of it shows"
                    )
                }
            }
        }
    }
}

fn exported(divergence: &drivers::postgres::Divergence) -> Export {
    let place = divergence.export.display().to_string();
    Export { place, transactions: divergence.commits, rows: divergence.rows }
}

/// A driver's act as an attempt's end.
pub fn ended<T>(acted: drivers::Acted<T>, evidence: impl FnOnce(&T) -> Evidence) -> Outcome {
    match acted {
        Ok(Act::Done(value)) => Outcome::Done(evidence(&value)),
        Ok(Act::AlreadyDone(value)) => Outcome::AlreadyDone(evidence(&value)),
        Ok(Act::Refused(why)) => Outcome::Refused { why },
        Err(error) => Outcome::Failed(error),
    }
}
