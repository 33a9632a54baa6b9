//! A site's account of itself, built as the real agent builds it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::writer::{Mode, Writer};
use model::observe::{
    Alone, DatabaseReport, DatabaseState, FleetReport, InstanceReport, SecretReport, SiteReport, StandbyReport,
    VoterReport, ZoneReport,
};
use model::{ComponentId, Epoch, Lsn, PeerProbe, SyncRecord, Time};

use crate::database::{Server, Stream};
use crate::scenario::WITNESS;
use crate::world::World;

impl World {
    /// Most reports differ from the one before the last in numbers alone: that one is written anew, if nobody holds it.
    pub fn report(&mut self, site: usize) -> Arc<SiteReport> {
        let mut old = self.sites[site].reports[1].take();
        let report = match old.as_mut().and_then(Arc::get_mut) {
            Some(report) => {
                self.refresh(site, report);
                debug_assert_eq!(*report, self.new_report(site), "a report that is written anew is a new one");
                old
            }
            None => None,
        };
        let report = report.unwrap_or_else(|| Arc::new(self.new_report(site)));
        let reports = &mut self.sites[site].reports;
        reports.swap(0, 1);
        reports[0] = Some(report.clone());
        report
    }

    fn new_report(&self, site: usize) -> SiteReport {
        let region = site != WITNESS;
        let nothing = PeerProbe::default;
        let mut report = SiteReport {
            site: self.sites[site].id.clone(),
            incarnation: 0,
            voter: VoterReport {
                highest: Epoch::none(),
                promise_remaining: Duration::ZERO,
                quiet_remaining: Duration::ZERO,
                sync: SyncRecord::default(),
                lacks: Vec::new(),
            },
            database: region.then(|| DatabaseReport::absent(self.topology.database().0.clone())),
            fleets: if region { self.fleets() } else { BTreeMap::new() },
            zones: BTreeMap::from([(self.topology.dns().0.clone(), no_zone())]),
            secrets: if region { self.secrets() } else { BTreeMap::new() },
            probes: self.sites[site].probes.iter().map(|(id, _)| (id.clone(), nothing())).collect(),
            backup: Default::default(),
            glass: None,
        };
        self.refresh(site, &mut report);
        report
    }

    /// Everything in a report that can change.
    fn refresh(&self, site: usize, report: &mut SiteReport) {
        let place = &self.sites[site];
        let now = place.local(self.now);
        report.glass.clone_from(&place.disk.glass.broken);
        report.incarnation = place.incarnation;
        let (voter, promises) = (&mut report.voter, place.voter.promises());
        renew(&mut voter.highest, &promises.granted);
        renew(&mut voter.sync, &promises.sync);
        voter.promise_remaining = place.voter.promise_remaining(now);
        voter.quiet_remaining = place.voter.quiet_remaining(now);
        voter.lacks = place.voter.lacks();
        if let Some(database) = &mut report.database {
            self.refresh_database(site, now, database);
        }
        let ready = place.said_ready(self.now, &self.weakness);
        report.fleets.values_mut().for_each(|fleet| refresh_fleet(fleet, place.disk.instances, place.instances, ready));
        for seen in report.zones.values_mut() {
            match &place.disk.zone {
                Some(zone) => {
                    if (&seen.epoch, seen.serial) != zone.version() {
                        seen.enabled = self.enabled(site);
                    }
                    renew(&mut seen.epoch, &zone.epoch);
                    seen.serial = zone.serial;
                }
                None => *seen = no_zone(),
            }
            (seen.suspect, seen.fenced) = (place.suspect, place.fenced);
        }
        if let Some(vault) =
            self.vault.as_ref().filter(|vault| site == WITNESS && !vault.is_as_in(&report.backup.vault))
        {
            report.backup.vault = Some(vault.report(&self.sites[0].id));
        }
        let same = report.probes.len() == place.probes.len();
        if !same || place.probes.iter().any(|(id, _)| !report.probes.contains_key(id)) {
            report.probes = place.probes.iter().map(|(id, _)| (id.clone(), PeerProbe::default())).collect();
        }
        for (id, tries) in &place.probes {
            if let Some(probe) = report.probes.get_mut(id) {
                tries.report(now, probe);
            }
        }
    }

    fn secrets(&self) -> BTreeMap<ComponentId, SecretReport> {
        let digest = || SecretReport { digest: Some("digest".into()) };
        self.topology.secrets().map(|(id, _)| (id.clone(), digest())).collect()
    }

    fn fleets(&self) -> BTreeMap<ComponentId, FleetReport> {
        let artifact = &self.topology.artifact;
        let fleet = || FleetReport { artifact: artifact.clone(), wanted: 0, instances: Vec::new(), replaced: 0 };
        self.topology.fleets().map(|(id, _)| (id.clone(), fleet())).collect()
    }

    fn refresh_database(&self, site: usize, now: Time, report: &mut DatabaseReport) {
        let place = &self.sites[site];
        let database = &place.database;
        report.state = self.database_state(site, now);
        report.timeline = database.timeline;
        if database.full != report.full.is_some() {
            report.full = database.full.then(|| "the database's disk is full".to_owned());
        }
        renew(&mut report.written, &place.disk.writer.written);
        let writing = place.mode() == Some(&Mode::Writing);
        report.standbys.clear();
        if writing {
            report.standbys.extend(database.stream.iter().map(|stream| self.standby(site, stream)));
        }
        let alone = writing && report.standbys.is_empty();
        let policy = self.topology.database().1.when_alone;
        if alone != report.alone.is_some() {
            report.alone = alone.then(|| Alone { since: Duration::ZERO, policy, says: "alone".into() });
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

    pub fn database_state(&self, site: usize, now: Time) -> DatabaseState {
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

    /// A copy has lately heard from its upstream.
    pub fn receives(&self, site: usize) -> bool {
        let receiving = self.sites[site].database.receiving;
        receiving.is_some_and(|(_, at)| self.now.since(at) < Duration::from_secs(2))
    }

    fn copy_state(&self, site: usize) -> DatabaseState {
        let database = &self.sites[site].database;
        match database.server {
            Server::Absent => DatabaseState::Absent,
            Server::Stopped => DatabaseState::Fenced { why: "stopped".into(), receipt: None },
            Server::Writing => DatabaseState::Busy { doing: "writing without a lease".into() },
            Server::Standby => {
                let Some(upstream) = database.upstream else { return DatabaseState::Starting };
                let receiving = self.receives(site);
                let received = Lsn(database.end() as u64);
                let upstream = self.sites[upstream].id.clone();
                DatabaseState::Standby { upstream, receiving, received, replayed: received, lag: Duration::ZERO }
            }
        }
    }
}

/// Assigns what differs: a clone costs more than to look.
fn renew<T: Clone + PartialEq>(old: &mut T, new: &T) {
    if old != new {
        old.clone_from(new);
    }
}

fn no_zone() -> ZoneReport {
    ZoneReport { epoch: Epoch::none(), serial: 0, enabled: BTreeMap::new(), suspect: false, fenced: false }
}

fn refresh_fleet(fleet: &mut FleetReport, wanted: u32, there: u32, ready: u32) {
    fleet.wanted = wanted;
    fleet.instances.truncate(there as usize);
    for n in 0..there {
        match fleet.instances.get_mut(n as usize) {
            Some(instance) => instance.ready = n < ready,
            None => fleet.instances.push(InstanceReport {
                name: n.to_string(),
                zone: if n.is_multiple_of(2) { "a" } else { "b" }.into(),
                alive: true,
                ready: n < ready,
            }),
        }
    }
}
