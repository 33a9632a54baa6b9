//! A site's account of itself, built as the real agent builds it.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::writer::{Mode, Writer};
use model::observe::{
    Alone, DatabaseReport, DatabaseState, FleetReport, InstanceReport, SecretReport, SiteReport, StandbyReport,
    VoterReport, ZoneReport,
};
use model::{Epoch, Lsn, Time};

use crate::database::{Server, Stream};
use crate::scenario::WITNESS;
use crate::world::World;

impl World {
    pub fn report(&mut self, site: usize) -> SiteReport {
        let region = site != WITNESS;
        let place = &self.sites[site];
        let now = place.local(self.now);
        let voter = VoterReport {
            highest: place.voter.promises().granted.clone(),
            promise_remaining: place.voter.promise_remaining(now),
            quiet_remaining: place.voter.quiet_remaining(now),
            sync: place.voter.promises().sync.clone(),
            lacks: place.voter.lacks(),
        };
        let zone = place.disk.zone.as_ref();
        let zone = ZoneReport {
            epoch: zone.map_or_else(Epoch::none, |zone| zone.epoch.clone()),
            serial: zone.map_or(0, |zone| zone.serial),
            enabled: BTreeMap::new(),
            suspect: place.suspect,
            fenced: place.fenced,
        };
        SiteReport {
            site: place.id.clone(),
            incarnation: place.incarnation,
            voter,
            database: region.then(|| self.database_report(site, now)),
            fleets: if region { self.fleets(site) } else { BTreeMap::new() },
            zones: BTreeMap::from([(self.topology.dns().0.clone(), zone)]),
            secrets: if region { self.secrets() } else { BTreeMap::new() },
            probes: place.probes.iter().map(|(id, tries)| (id.clone(), tries.report(now))).collect(),
            backup: Default::default(),
        }
    }

    fn secrets(&self) -> BTreeMap<model::ComponentId, SecretReport> {
        let digest = || SecretReport { digest: Some("digest".into()) };
        self.topology.secrets().map(|(id, _)| (id.clone(), digest())).collect()
    }

    fn fleets(&self, site: usize) -> BTreeMap<model::ComponentId, FleetReport> {
        let place = &self.sites[site];
        let ready = place.ready(self.now);
        let instance = |n: u32| InstanceReport {
            name: n.to_string(),
            zone: if n.is_multiple_of(2) { "a" } else { "b" }.into(),
            alive: true,
            ready: n < ready,
        };
        let fleet = || FleetReport {
            artifact: self.topology.artifact.clone(),
            wanted: place.disk.instances,
            instances: (0..place.instances).map(instance).collect(),
            replaced: 0,
        };
        self.topology.fleets().map(|(id, _)| (id.clone(), fleet())).collect()
    }

    fn database_report(&self, site: usize, now: Time) -> DatabaseReport {
        let place = &self.sites[site];
        let database = &place.database;
        let writing = place.mode() == Some(&Mode::Writing);
        let standbys = if writing { database.stream.iter().map(|s| self.standby(site, s)).collect() } else { vec![] };
        let alone = writing && standbys.is_empty();
        DatabaseReport {
            component: self.topology.database().0.clone(),
            state: self.database_state(site, now),
            timeline: database.timeline,
            written: place.disk.writer.written.clone(),
            standbys,
            full: None,
            alone: alone.then(|| Alone {
                since: Duration::ZERO,
                policy: self.topology.database().1.when_alone,
                says: "alone".into(),
            }),
            findings: Vec::new(),
        }
    }

    fn standby(&self, site: usize, stream: &Stream) -> StandbyReport {
        let database = &self.sites[site].database;
        let flushed = Lsn(stream.flushed as u64);
        // The oldest commit that is not flushed there yet.
        let lag = database.log.get(stream.flushed).map_or(Duration::ZERO, |entry| self.now.since(entry.at));
        StandbyReport {
            site: self.sites[stream.to].id.clone(),
            streaming: true,
            synchronous: database.waits_for == Some(stream.to),
            sent: Lsn(stream.sent as u64),
            flushed,
            replayed: flushed,
            lag_bytes: (database.end() - stream.flushed) as u64,
            lag,
        }
    }

    fn database_state(&self, site: usize, now: Time) -> DatabaseState {
        let place = &self.sites[site];
        let Some(writer) = &place.writer else { return DatabaseState::Absent };
        let busy = |doing: &str| DatabaseState::Busy { doing: doing.into() };
        if writer.following() {
            return busy("becoming a copy of another region's data");
        }
        if let Some((why, _)) = writer.lapsed() {
            return DatabaseState::Fenced { why: why.into(), receipt: None };
        }
        match writer.mode() {
            Mode::Writing => DatabaseState::Writing {
                epoch: writer.epoch().cloned().unwrap_or_else(Epoch::none),
                position: Lsn(place.database.end() as u64),
                remaining: writer.deadline().map(|at| at.since(now)).unwrap_or_default(),
                lowest_margin: writer.lowest_margin().unwrap_or_default(),
                gate: place.passes(self.now, false) && !Writer::settling(writer),
            },
            Mode::Bidding(_) => busy("asking the voters for an epoch"),
            Mode::Opening { .. } => busy("becoming the writer"),
            Mode::Fencing { .. } => busy("fencing"),
            Mode::Fenced { why, .. } => DatabaseState::Fenced { why: why.clone(), receipt: place.receipt.clone() },
            Mode::Lapsed { why, .. } => DatabaseState::Fenced { why: why.clone(), receipt: None },
            Mode::Standby => self.copy_state(site),
        }
    }

    fn copy_state(&self, site: usize) -> DatabaseState {
        let database = &self.sites[site].database;
        match database.server {
            Server::Absent => DatabaseState::Absent,
            Server::Stopped => DatabaseState::Fenced { why: "stopped".into(), receipt: None },
            Server::Writing => DatabaseState::Busy { doing: "writing without a lease".into() },
            Server::Standby => {
                let Some(upstream) = database.upstream else { return DatabaseState::Starting };
                let receiving = database.receiving.is_some_and(|(_, at)| self.now.since(at) < Duration::from_secs(2));
                let received = Lsn(database.end() as u64);
                let upstream = self.sites[upstream].id.clone();
                DatabaseState::Standby { upstream, receiving, received, replayed: received, lag: Duration::ZERO }
            }
        }
    }
}
