//! A fault in force: what it broke, whether it hit anything, and how it is mended.

use model::{SiteId, Time};
use serde_json::{Value, json};

use super::Drill;
use crate::ledger;
use crate::proxy::{Conditions, Injection, Link};
use crate::world::{World, WorldError, links_of};

pub struct Wound {
    /// The instant before the first effect.
    pub at: Time,
    links: Vec<Link>,
    cut: Option<Injection>,
    killed: usize,
    /// The site whose processes are all gone.
    lost: Option<SiteId>,
    notes: Vec<String>,
}

impl Default for Wound {
    /// Nothing is broken yet.
    fn default() -> Self {
        Self { at: ledger::now(), links: vec![], cut: None, killed: 0, lost: None, notes: vec![] }
    }
}

impl Wound {
    /// A region dies: its links fall silent and everything in it is killed.
    pub async fn loss(world: &World, site: &SiteId) -> Result<Self, WorldError> {
        // Silence first: nobody outside may learn of the deaths by a reset.
        let mut wound = Self::partition(world, site);
        wound.killed = world.kill_site(site).await?;
        wound.lost = Some(site.clone());
        Ok(wound)
    }

    /// A region is cut off, and lives.
    pub fn partition(world: &World, site: &SiteId) -> Self {
        let mut wound = Self::default();
        wound.change_links(world, links_of(&world.topology, site), Conditions::CUT);
        wound
    }

    /// Changes what `links` do, until it is healed. A wound has one such change; a second one takes its place.
    pub fn change_links(&mut self, world: &World, links: Vec<Link>, conditions: Conditions) {
        let changes: Vec<_> = links.iter().map(|link| (link.clone(), conditions)).collect();
        self.cut = Some(world.network.set(&changes));
        self.links = links;
    }

    pub fn killed(&mut self, processes: usize) {
        self.killed += processes;
    }

    /// Something else that was hit, in words: it counts as a hit.
    pub fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    /// Whether the fault hit anything, and what.
    pub fn hit(&self) -> (bool, String) {
        let hits = self.cut.as_ref().map(Injection::hits);
        let cut_hit = hits.as_ref().is_some_and(|hits| hits.any());
        let mut said = Vec::new();
        if self.killed > 0 {
            said.push(format!("{} processes killed", self.killed));
        }
        if let Some(hits) = hits.filter(|hits| hits.bytes_delayed == 0) {
            said.push(format!("{} connections silenced, {} bytes dropped", hits.connections, hits.bytes_dropped));
        } else if let Some(hits) = hits {
            said.push(format!("{} bytes delayed, {} dropped", hits.bytes_delayed, hits.bytes_dropped));
        }
        said.extend(self.notes.iter().cloned());
        (self.killed > 0 || cut_hit || !self.notes.is_empty(), said.join("; "))
    }

    /// Mends it: links pass again, a lost region starts its agents.
    pub async fn heal(&mut self, world: &World) -> Result<(), WorldError> {
        world.network.heal(&self.links);
        match self.lost.take() {
            Some(site) => world.start_site(&site).await,
            None => Ok(()),
        }
    }
}

/// The fault as the evidence has it.
pub fn describe(drill: Drill, hit: &Option<(bool, String)>) -> Value {
    json!({ "drill": drill.name(), "what": drill.what(), "hit": hit.as_ref().map(|(_, text)| text) })
}
