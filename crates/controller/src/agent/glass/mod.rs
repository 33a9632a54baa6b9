//! Breaking the glass, at the region that is left: asked by people at a command line, with no controller, no witness and
//! no other region (SAFETY.md item 14). What is granted is decided by `engine::glass`; here it is looked at, written down
//! first, and carried out.
//!
//! The journal is this site's own, `glass.sqlite` in its state folder, chained by hashes as the controller's is. Every
//! attempt stands in it, also those that were refused.

mod carry;
mod look;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use drivers::dns::DnsServer;
use engine::Refused;
use engine::glass::{self, Glass, GlassRecord};
use model::glass::GlassRequest;
use model::{Epoch, GlassReport, Person, SiteId, Topology};

use super::act::Orders;
use super::database::DatabaseShell;
use super::lease::Handle;
use super::probes::Probes;
use crate::clock;
use crate::journal::{JournalError, Line, SqliteJournal, Stamp};
use crate::rpc::wire::GlassView;
use crate::rpc::{AgentClient, Problem};

/// What breaking the glass needs of the site.
pub struct Parts {
    pub site: SiteId,
    pub topology: Topology,
    pub lease: Handle,
    pub shell: Arc<DatabaseShell>,
    pub orders: Arc<Orders>,
    pub probes: Arc<Probes>,
    pub others: BTreeMap<SiteId, AgentClient>,
    pub dns: Arc<DnsServer>,
}

pub struct GlassDesk {
    parts: Parts,
    /// One question is judged at a time.
    turn: tokio::sync::Mutex<()>,
    kept: Mutex<Kept>,
}

/// The journal, and what it folds to.
struct Kept {
    journal: SqliteJournal,
    glass: Glass,
    boot: String,
}

#[derive(Debug, thiserror::Error)]
pub enum GlassError {
    #[error("the journal of broken glass: {0}")]
    Journal(#[from] JournalError),
    #[error("cannot tell one boot of this machine from another")]
    Boot(#[source] std::io::Error),
}

impl Kept {
    fn open(file: &Path, workload: &str, site: &SiteId) -> Result<Self, GlassError> {
        let journal = SqliteJournal::open(file, &format!("{workload} glass {site}"))?;
        let mut kept = Self { journal, glass: Glass::default(), boot: clock::boot_id().map_err(GlassError::Boot)? };
        for line in kept.lines(1)? {
            let record: GlassRecord = line.parse()?;
            glass::apply(&mut kept.glass, &record);
        }
        Ok(kept)
    }

    /// Durable when this returns.
    fn write(&mut self, records: &[GlassRecord]) -> Result<(), JournalError> {
        let stamp = Stamp { at: clock::now(), wall: jiff::Timestamp::now(), boot: self.boot.clone() };
        self.journal.append_any(&stamp, records)?;
        for record in records {
            tracing::warn!("{}", record.text());
            glass::apply(&mut self.glass, record);
        }
        Ok(())
    }

    fn lines(&self, from: u64) -> Result<Vec<Line>, JournalError> {
        crate::journal::Journal::read(&self.journal, from, usize::MAX)
    }
}

impl GlassDesk {
    /// Takes over the journal in `state`. `taken` is the newest epoch in which this site's database wrote.
    pub fn open(parts: Parts, state: &Path, taken: &Epoch) -> Result<Arc<Self>, GlassError> {
        let mut kept = Kept::open(&state.join("glass.sqlite"), &parts.topology.workload, &parts.site)?;
        kept.write(&glass::started(&kept.glass, taken, clock::now()))?;
        Ok(Arc::new(Self { parts, turn: tokio::sync::Mutex::default(), kept: Mutex::new(kept) }))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Glass that is broken and not closed.
    pub fn report(&self) -> Option<GlassReport> {
        self.kept().glass.broken.clone()
    }

    pub fn lines(&self, from: u64) -> Result<Vec<Line>, Problem> {
        self.kept().lines(from).map_err(|error| unkept(&error))
    }

    /// What `by` asks, granted and written down, or refused and written down.
    pub async fn ask(self: &Arc<Self>, by: Person, request: GlassRequest) -> Result<GlassView, Problem> {
        let _turn = self.turn.lock().await;
        let scene = self.look().await;
        let agreed = {
            let mut kept = self.kept();
            let said = glass::say(&kept.glass, &self.parts.topology, &scene, &by, &request, clock::now());
            let records = said.or_else(|refused| {
                let (code, why) = (refused.code.to_owned(), refused.why.clone());
                let record = GlassRecord::Refused { by: by.clone(), code, why, asked: request.clone() };
                kept.write(&[record]).map_err(|error| unkept(&error))?;
                Err(problem(&refused))
            })?;
            kept.write(&records).map_err(|error| unkept(&error))?;
            let asked_to_break = matches!(request, GlassRequest::Break { .. });
            kept.glass.open.as_ref().filter(|open| asked_to_break && open.agreed()).map(|open| open.attempt)
        };
        if let Some(attempt) = agreed {
            tokio::spawn(self.clone().carry_out(attempt));
        }
        Ok(self.view(scene))
    }

    /// How it stands; nothing is changed.
    pub async fn stands(&self) -> GlassView {
        let scene = self.look().await;
        self.view(scene)
    }

    fn view(&self, scene: glass::Scene) -> GlassView {
        let (kept, topology) = (self.kept(), &self.parts.topology);
        let open = kept.glass.open.clone();
        let terms = engine::lease::Terms::new(&topology.timing);
        let ready = open.as_ref().and_then(|open| glass::ready_at(open, terms));
        GlassView {
            obstacle: glass::obstacle(topology, &scene).err().map(|refused| problem(&refused)),
            phrase: glass::phrase(&scene),
            people: topology.approvals.glass(),
            waits: ready.map(|at| at.since(clock::now())),
            wait_after_last_word: terms.promise(),
            word_holds: topology.approvals.word_holds,
            open,
            broken: kept.glass.broken.clone(),
            alone: self.parts.lease.view().alone,
            last: crate::journal::Journal::last(&kept.journal),
            scene,
        }
    }
}

fn problem(refused: &Refused) -> Problem {
    Problem::new(StatusCode::CONFLICT, refused.code, &refused.why, &refused.hint)
}

/// What cannot be written down is not done.
fn unkept(error: &JournalError) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "journal", error.to_string(), error.hint())
}
