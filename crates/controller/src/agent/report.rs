//! This site's account of itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use drivers::postgres::{Observed, ServerState};
use drivers::{Compute, Secrets, Traffic};
use engine::writer::Mode;
use model::backup::BackupReport;
use model::observe::Alone;
use model::topology::{ComponentKind, Postgres, Replication, WhenAlone};
use model::{ComponentId, DatabaseReport, DatabaseState, SiteId, SiteReport, Time, Topology};

use super::backups::Backups;
use super::database::DatabaseShell;
use super::gate::Gate;
use super::glass::GlassDesk;
use super::lease::{Handle, View};
use super::probes::Probes;
use super::vault::VaultStore;
use super::voter::VoterStore;
use crate::clock;

pub struct DatabaseParts {
    pub component: ComponentId,
    pub lease: Handle,
    pub shell: Arc<DatabaseShell>,
    pub gate: Arc<Gate>,
}

/// Everything that a report is made of.
pub struct Parts {
    pub site: SiteId,
    pub incarnation: u64,
    pub topology: Topology,
    pub voter: Arc<VoterStore>,
    pub database: Option<DatabaseParts>,
    pub fleets: BTreeMap<ComponentId, Arc<dyn Compute>>,
    pub zones: BTreeMap<ComponentId, Arc<dyn Traffic>>,
    pub secrets: Option<Arc<dyn Secrets>>,
    pub probes: Arc<Probes>,
    pub backups: Option<Arc<Backups>>,
    pub vault: Option<Arc<VaultStore>>,
    /// Only in regions.
    pub glass: Option<Arc<GlassDesk>>,
    /// Since when a writer has had no streaming standby.
    pub alone_since: std::sync::Mutex<Option<Time>>,
}

impl Parts {
    pub async fn report(&self) -> SiteReport {
        let mut fleets = BTreeMap::new();
        for (id, fleet) in &self.fleets {
            fleets.insert(id.clone(), fleet.observe().await);
        }
        let mut zones = BTreeMap::new();
        for (id, zone) in &self.zones {
            zones.insert(id.clone(), zone.observe().await);
        }
        let secrets = match &self.secrets {
            Some(secrets) => secrets.observe().await.unwrap_or_default(),
            None => BTreeMap::new(),
        };
        SiteReport {
            site: self.site.clone(),
            incarnation: self.incarnation,
            voter: self.voter.report(),
            database: self.database.as_ref().map(|parts| self.database(parts)),
            fleets,
            zones,
            secrets,
            probes: self.probes.report(),
            backup: self.backup(),
            glass: self.glass.as_ref().and_then(|desk| desk.report()),
        }
    }

    fn backup(&self) -> BackupReport {
        let of_region = self.backups.as_ref().map(|backups| backups.report());
        BackupReport { vault: self.vault.as_ref().map(|vault| vault.report()), ..of_region.unwrap_or_default() }
    }

    fn database(&self, parts: &DatabaseParts) -> DatabaseReport {
        let (view, seen) = (parts.lease.view(), parts.shell.seen());
        let standbys = seen.as_ref().map(|seen| seen.standbys.clone()).unwrap_or_default();
        let writing = view.mode == Mode::Writing;
        let (room, findings) = (parts.shell.room(), if writing { self.findings(parts) } else { Vec::new() });
        let alone = writing.then(|| self.alone(&view, standbys.iter().any(|s| s.streaming))).flatten();
        DatabaseReport {
            component: parts.component.clone(),
            state: database_state(&view, seen.as_ref(), parts.gate.is_open()),
            timeline: seen.as_ref().map_or(0, |seen| seen.timeline),
            written: view.written.clone(),
            standbys: if writing { standbys } else { Vec::new() },
            full: room.full,
            alone,
            findings: room.unkept.into_iter().chain(findings).collect(),
        }
    }

    /// What lets a writer acknowledge commits that are not as safe as the spec says (SAFETY.md item 8).
    fn findings(&self, parts: &DatabaseParts) -> Vec<String> {
        let synchronous = postgres(&self.topology).replication == Replication::Synchronous;
        let harm = if synchronous { "without the standby" } else { "before they are on disk" };
        // Without a standby to wait for, waiting for the own disk is all there is.
        let lax = parts.shell.lax_commits().into_iter().filter(|lax| synchronous || lax.value != "local");
        let mut findings: Vec<String> = lax
            .map(|lax| format!("synchronous_commit = {} {}: its commits are acknowledged {harm}", lax.value, lax.whose))
            .collect();
        let named = parts.gate.named();
        if named > 0 {
            findings.push(format!(
                "clients named synchronous_commit {named} times since the agent started: a session that sets it below \
                 `on` is acknowledged without the standby"
            ));
        }
        findings
    }

    /// What a writer without its standby does, in words, for every status.
    fn alone(&self, view: &View, accompanied: bool) -> Option<Alone> {
        let mut since = self.alone_since.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if accompanied {
            *since = None;
            return None;
        }
        let now = clock::now();
        let since = now.since(*since.get_or_insert(now));
        let postgres = postgres(&self.topology);
        let says = match (postgres.replication, postgres.when_alone, &view.waits_for) {
            (Replication::Asynchronous, ..) => "alone: acknowledges writes that exist in this region only".into(),
            (_, WhenAlone::Block, Some(standby)) => format!("alone: acknowledges nothing until {standby} is back"),
            (_, WhenAlone::Degrade, Some(standby)) => {
                format!("alone: acknowledges nothing until {standby} is back or recorded as out of sync")
            }
            (.., None) => "alone: no standby is recorded as in sync; acknowledges writes that exist here only".into(),
        };
        Some(Alone { since, policy: postgres.when_alone, says })
    }
}

pub fn postgres(topology: &Topology) -> &Postgres {
    topology.database().1
}

pub fn database_state(view: &View, seen: Option<&Observed>, gate: bool) -> DatabaseState {
    let busy = |doing: &str| DatabaseState::Busy { doing: doing.into() };
    if view.following {
        return busy("becoming a copy of another region's data");
    }
    if let Some(why) = &view.lapsed {
        return DatabaseState::Fenced {
            why: format!("{why}; it may write again if no other site is elected"),
            receipt: None,
        };
    }
    let server = seen.map(|seen| &seen.server);
    match &view.mode {
        Mode::Writing => {
            let position = match server {
                Some(ServerState::Writing { position }) => *position,
                _ => model::Lsn::default(),
            };
            DatabaseState::Writing {
                epoch: view.epoch.clone().unwrap_or_else(model::Epoch::none),
                position,
                remaining: view.deadline.map(|at| at.since(clock::now())).unwrap_or_default(),
                lowest_margin: view.lowest_margin.unwrap_or_default(),
                gate: gate && !view.settling,
            }
        }
        Mode::Bidding(_) => busy("asking the voters for an epoch"),
        Mode::Opening { .. } => busy("becoming the writer"),
        Mode::Fencing { why, .. } => busy(&format!("fencing: {why}")),
        Mode::Fenced { why, .. } => DatabaseState::Fenced { why: why.clone(), receipt: view.receipt.clone() },
        Mode::Lapsed { why, .. } => DatabaseState::Fenced { why: why.clone(), receipt: None },
        Mode::Standby => copy_state(server),
    }
}

fn copy_state(server: Option<&ServerState>) -> DatabaseState {
    match server {
        None | Some(ServerState::Starting | ServerState::Unresponsive) => DatabaseState::Starting,
        Some(ServerState::Absent) => DatabaseState::Absent,
        Some(ServerState::Standby { upstream, receiving, received, replayed, lag, .. }) => DatabaseState::Standby {
            upstream: upstream.clone(),
            receiving: *receiving,
            received: *received,
            replayed: *replayed,
            lag: *lag,
        },
        Some(ServerState::Stopped) => DatabaseState::Fenced { why: "stopped".into(), receipt: None },
        Some(ServerState::Unfinished) => {
            DatabaseState::Failed { why: "a copy of another region's data was left unfinished".into(), receipt: None }
        }
        // Nobody let it write: the supervisor's next look decides.
        Some(ServerState::Writing { .. }) => DatabaseState::Busy { doing: "writing without a lease".into() },
    }
}

/// The paths that a client would ask of a fleet.
pub fn ready_path(topology: &Topology) -> Option<String> {
    topology.components.iter().find_map(|component| match &component.kind {
        ComponentKind::Fleet(fleet) => Some(fleet.ready.clone()),
        _ => None,
    })
}
