//! What each drill breaks, and how it is mended.

use controller::api::ApiClient;
use engine::Request;
use model::{RunId, SiteId, Time};
use serde_json::{Value, json};
use std::sync::Arc;

use super::watcher::Watcher;
use crate::ledger;
use crate::proxy::{Injection, Link};
use crate::world::{World, WorldError, links_of};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drill {
    RegionLoss,
    RegionPartition,
    DatabaseCrash,
    ControllerCrash,
    Switchover,
}

/// Every drill there is.
pub fn catalogue() -> [Drill; 5] {
    [Drill::RegionLoss, Drill::RegionPartition, Drill::DatabaseCrash, Drill::ControllerCrash, Drill::Switchover]
}

impl Drill {
    pub fn name(self) -> &'static str {
        match self {
            Drill::RegionLoss => "region-loss",
            Drill::RegionPartition => "region-partition",
            Drill::DatabaseCrash => "database-crash",
            Drill::ControllerCrash => "controller-crash",
            Drill::Switchover => "switchover",
        }
    }
    pub fn what(self) -> &'static str {
        match self {
            Drill::RegionLoss => "every process of the writing region is killed and its links fall silent, at once",
            Drill::RegionPartition => "the writing region is cut off but alive, and clients inside it go on writing",
            Drill::DatabaseCrash => "the writer's PostgreSQL is killed and cannot be started again",
            Drill::ControllerCrash => {
                "the writing region is lost, and the controller is killed in the middle of the failover"
            }
            Drill::Switchover => "the writer moves to the other region as planned, under load",
        }
    }
    pub fn named(name: &str) -> Option<Self> {
        catalogue().into_iter().find(|drill| drill.name() == name)
    }
    /// A planned move: nothing is broken, and nothing may be lost.
    pub fn planned(self) -> bool {
        self == Drill::Switchover
    }
}

/// A fault in force.
pub struct Wound {
    /// The instant before the first effect.
    pub at: Time,
    links: Vec<Link>,
    cut: Option<Injection>,
    killed: usize,
    /// A file that was hidden, and where it belongs.
    hidden: Option<(std::path::PathBuf, std::path::PathBuf)>,
    lost: bool,
    note: String,
}

impl Wound {
    fn new() -> Self {
        Self { at: ledger::now(), links: vec![], cut: None, killed: 0, hidden: None, lost: false, note: String::new() }
    }

    /// Whether the fault hit anything, and what.
    pub fn hit(&self) -> (bool, String) {
        let hits = self.cut.as_ref().map(Injection::hits);
        let bytes = hits.as_ref().map_or(0, |hits| hits.bytes_dropped);
        let cut_hit = hits.as_ref().is_some_and(|hits| hits.any());
        let mut said = Vec::new();
        if self.killed > 0 {
            said.push(format!("{} processes killed", self.killed));
        }
        if let Some(hits) = hits {
            said.push(format!("{} connections silenced, {bytes} bytes dropped", hits.connections));
        }
        if !self.note.is_empty() {
            said.push(self.note.clone());
        }
        (self.killed > 0 || cut_hit || !self.note.is_empty(), said.join("; "))
    }

    /// Mends it: links pass again, a lost region starts its agents.
    pub async fn heal(&mut self, world: &World, home: &SiteId) -> Result<(), WorldError> {
        world.network.heal(&self.links);
        if self.lost {
            world.start_site(home).await?;
        }
        if let Some((hidden, _)) = self.hidden.take() {
            // Not put back: the region comes back with a new disk, and must be copied anew.
            let _ = std::fs::remove_file(hidden);
        }
        Ok(())
    }
}

pub async fn inject(
    drill: Drill,
    world: &World,
    api: &ApiClient,
    home: &SiteId,
    away: &SiteId,
) -> Result<Wound, WorldError> {
    let mut wound = Wound::new();
    match drill {
        Drill::RegionLoss | Drill::ControllerCrash => {
            wound.links = links_of(&world.topology, home);
            // Silence first: nobody outside may learn of the deaths by a reset.
            wound.cut = Some(world.network.cut(&wound.links));
            wound.killed = world.kill_site(home).await?;
            wound.lost = true;
        }
        Drill::RegionPartition => {
            wound.links = links_of(&world.topology, home);
            wound.cut = Some(world.network.cut(&wound.links));
        }
        Drill::DatabaseCrash => {
            let data = world.layout.data(home);
            let (control, hidden) = (data.join("global/pg_control"), world.layout.root.join("pg_control.lost"));
            let failed = |source| WorldError::Start { what: "a database crash".into(), source };
            std::fs::rename(&control, &hidden).map_err(failed)?;
            wound.hidden = Some((hidden, control));
            let gone = tokio::task::spawn_blocking(move || {
                drivers::process::kill_directory(&data, std::time::Duration::from_secs(5))
            });
            let gone = gone.await.expect("killing does not panic");
            wound.killed = gone.map_err(|error| WorldError::Refused(error.to_string()))?.killed().len();
        }
        Drill::Switchover => {
            let granted = api.request(&Request::Switchover { to: Some(away.clone()) }).await;
            granted.map_err(|error| WorldError::Refused(error.to_string()))?;
            wound.note = "a planned switchover was ordered".into();
        }
    }
    Ok(wound)
}

/// SIGKILL once the run has an order under way that matters, then a new controller.
pub async fn crash_controller(world: &World, watcher: &Arc<Watcher>, run: RunId) -> Result<(), WorldError> {
    let ordered = |record: &engine::Record| {
        matches!(record, engine::Record::AttemptStarted { attempt, action, .. }
            if attempt.run == run && matches!(action.verb, model::Verb::Promote { .. }))
    };
    watcher.wait_for_record(std::time::Duration::from_secs(30), ordered).await?;
    let before = watcher.last_seq();
    world.kill_controller().await;
    world.start_controller(&[]).await?;
    // By its own word in the journal: a controller that lives on would finish the run as well, and prove nothing.
    crate::world::wait_for("a controller that started anew", std::time::Duration::from_secs(30), async || {
        let started = |record: &engine::Record| matches!(record, engine::Record::Restarted { .. });
        watcher.lines().iter().any(|(line, record)| line.seq > before && started(record))
    })
    .await
}

/// The fault as the evidence has it.
pub fn describe(drill: Drill, hit: &Option<(bool, String)>) -> Value {
    json!({ "drill": drill.name(), "what": drill.what(), "hit": hit.as_ref().map(|(_, text)| text) })
}
