//! What each site's agent would report at a moment of the modelled world.

use std::sync::Arc;
use std::time::Duration;

use model::observe::{
    DatabaseReport, DatabaseState, FleetReport, InstanceReport, PeerProbe, Readiness, SecretReport, SiteReport,
    StandbyReport, VoterReport, ZoneReport,
};
use model::topology::Replication;
use model::{Epoch, Lsn, SiteId, SyncRecord, Time};

use super::roles::Model;
use super::world::LOST;

/// The three sites by number: the region that is lost, the one that takes over, and the witness.
pub const HOME: usize = 0;
pub const AWAY: usize = 1;
pub const WITNESS: usize = 2;

/// Where the log of the lost region ends, and that of the other: further behind by what it lags.
const END: Lsn = Lsn(1 << 20);

pub struct Scene<'a> {
    model: &'a Model,
    sites: [&'a SiteId; 3],
    /// Until when the voters are bound to the lost region.
    lapse: Time,
    /// By vantage point: when its first try failed. `None` where the engine's own probes tell nothing.
    tries: Option<[Time; 2]>,
    /// When something else told that the region is lost.
    told: Option<Time>,
    lag: Duration,
    pub scaled: Option<(Time, u32)>,
    pub writing: Option<(Time, Epoch)>,
    pub ready: Option<Time>,
    pub zone: [(Time, Epoch, u64); 3],
    pub suspect: [(Time, bool); 3],
    /// The last report of each site, and which changes it has in it.
    last: [Option<(u32, Arc<SiteReport>)>; 3],
}

impl<'a> Scene<'a> {
    pub fn new(model: &'a Model, lapse: Time, phases: Option<[f64; 2]>, told: Option<Time>, lag: Duration) -> Self {
        let home = model.topology.preferred();
        let away = model.topology.others(home).next().unwrap_or(home);
        let every = model.topology.timing.probe_every;
        let (zone, suspect) = ((Time::ZERO, Epoch::none().next(home), 1), (Time::ZERO, false));
        Scene {
            model,
            sites: [home, away, model.topology.witness()],
            lapse,
            tries: phases.map(|phases| phases.map(|phase| LOST + every.mul_f64(phase))),
            told,
            lag,
            scaled: None,
            writing: None,
            ready: None,
            zone: [zone.clone(), zone.clone(), zone],
            suspect: [suspect; 3],
            last: [None, None, None],
        }
    }

    pub fn site(&self, number: usize) -> &'a SiteId {
        self.sites[number]
    }

    pub fn number(&self, site: &SiteId) -> usize {
        self.sites.iter().position(|known| *known == site).unwrap_or(HOME)
    }

    /// Tries of one vantage point, and since when they fail, as its probes count them: a try is known to have failed when
    /// its time-out is over.
    fn failing(&self, vantage: usize, at: Time) -> (u32, Duration) {
        let timing = &self.model.topology.timing;
        let by_probes = self.tries.map_or((0, Duration::ZERO), |tries| {
            let known = at.since(tries[vantage] + timing.probe_timeout);
            if at < tries[vantage] + timing.probe_timeout {
                return (0, Duration::ZERO);
            }
            let after = (known.as_micros() / timing.probe_every.as_micros().max(1)) as u32;
            (after + 1, timing.probe_every * after + timing.probe_timeout)
        });
        match self.told {
            Some(told) if at >= told => {
                let long = timing.unreachable_after.max(timing.suspect_after);
                (by_probes.0.max(3), by_probes.1.max(long))
            }
            _ => by_probes,
        }
    }

    /// When probes of this vantage point have failed for `long`.
    fn failed_for(&self, vantage: usize, long: Duration) -> Option<Time> {
        let timing = &self.model.topology.timing;
        let first = self.tries?[vantage];
        let more = long.saturating_sub(timing.probe_timeout).as_micros();
        let tries = more.div_ceil(timing.probe_every.as_micros().max(1)) as u32;
        Some(first + timing.probe_every * tries + timing.probe_timeout)
    }

    /// The moments at which reports will say something new, whatever the engine does.
    pub fn foreseen(&self) -> Vec<Time> {
        let timing = &self.model.topology.timing;
        let mut moments: Vec<Time> = self.told.into_iter().collect();
        for vantage in [0, 1] {
            moments.extend(self.failed_for(vantage, timing.suspect_after));
            moments.extend(self.failed_for(vantage, timing.unreachable_after));
        }
        moments
    }

    /// The next moment after `seen` at which a site's report changes on account of what was done there.
    pub fn next_change(&self, site: usize, seen: Time) -> Option<Time> {
        if site != AWAY {
            return None;
        }
        let scaled = self.scaled.as_ref().map(|(at, _)| *at);
        let writing = self.writing.as_ref().map(|(at, _)| *at);
        [scaled, writing, self.ready].into_iter().flatten().filter(|at| *at > seen).min()
    }

    /// Which of the changes a report at this moment has in it.
    fn version(&self, site: usize, at: Time) -> u32 {
        let done = |change: Option<Time>| u32::from(change.is_some_and(|change| change <= at));
        let timing = &self.model.topology.timing;
        let failing = match site {
            AWAY | WITNESS => {
                let (_, long) = self.failing(site - 1, at);
                u32::from(long >= timing.suspect_after) + u32::from(long >= timing.unreachable_after)
            }
            _ => 0,
        };
        let changes = [
            self.scaled.as_ref().map(|(at, _)| *at),
            self.writing.as_ref().map(|(at, _)| *at),
            self.ready,
            Some(self.zone[site].0),
            Some(self.suspect[site].0),
        ];
        let suspect = u32::from(self.suspect[site].1);
        changes.into_iter().fold(failing * 2 + suspect, |version, change| version * 2 + done(change))
            + (self.zone[site].2 as u32) * 1_024
    }

    /// What the site reports at this moment. A promise that still runs is told anew each time.
    pub fn report(&mut self, site: usize, at: Time) -> Arc<SiteReport> {
        let version = self.version(site, at);
        if let Some((of, report)) = &self.last[site]
            && *of == version
            && at >= self.lapse
        {
            return report.clone();
        }
        let report = Arc::new(self.made(site, at));
        self.last[site] = Some((version, report.clone()));
        report
    }

    fn made(&self, site: usize, at: Time) -> SiteReport {
        let topology = &self.model.topology;
        let region = site != WITNESS;
        let (changed, epoch, serial) = &self.zone[site];
        let (epoch, serial) = match at >= *changed {
            true => (epoch.clone(), *serial),
            false => (Epoch::none().next(self.sites[HOME]), 1),
        };
        let (since, suspect) = self.suspect[site];
        let zone = ZoneReport {
            epoch,
            serial,
            enabled: Default::default(),
            suspect: if at >= since { suspect } else { !suspect },
            fenced: false,
        };
        let fleets = topology.fleets().filter(|_| region);
        let secrets = topology.secrets().filter(|_| region);
        SiteReport {
            site: self.sites[site].clone(),
            incarnation: 1,
            voter: VoterReport {
                highest: Epoch::none().next(self.sites[HOME]),
                promise_remaining: self.lapse.since(at),
                quiet_remaining: Duration::ZERO,
                sync: self.sync(),
                lacks: Vec::new(),
            },
            database: region.then(|| self.database(site, at)),
            fleets: fleets.map(|(id, fleet)| (id.clone(), self.fleet(site, at, fleet.peak))).collect(),
            zones: [(topology.dns().0.clone(), zone)].into(),
            secrets: secrets.map(|(id, _)| (id.clone(), SecretReport { digest: Some(String::new()) })).collect(),
            probes: self.probes(site, at),
            backup: Default::default(),
            glass: None,
        }
    }

    fn sync(&self) -> SyncRecord {
        match self.model.topology.database().1.replication {
            Replication::Synchronous => SyncRecord { version: 1, in_sync: vec![self.sites[AWAY].clone()] },
            Replication::Asynchronous => SyncRecord::default(),
        }
    }

    fn database(&self, site: usize, at: Time) -> DatabaseReport {
        let home = self.sites[HOME];
        let first = Epoch::none().next(home);
        let received = Lsn(END.0 - self.lag.as_micros().min(1 << 19) as u64);
        let writing = |epoch: Epoch| DatabaseState::Writing {
            epoch,
            position: END,
            remaining: self.model.topology.timing.lease,
            lowest_margin: self.model.topology.timing.lease,
            gate: true,
        };
        let promoted = self.writing.as_ref().filter(|(since, _)| at >= *since).map(|(_, epoch)| epoch.clone());
        let standby = StandbyReport {
            site: self.sites[AWAY].clone(),
            streaming: true,
            synchronous: self.model.topology.database().1.replication == Replication::Synchronous,
            sent: END,
            flushed: received,
            replayed: received,
            lag_bytes: END.since(received),
            lag: self.lag,
        };
        let state = match (site, promoted) {
            (HOME, _) => writing(first.clone()),
            (_, Some(epoch)) => writing(epoch),
            _ => DatabaseState::Standby {
                upstream: home.clone(),
                receiving: at < LOST,
                received,
                replayed: received,
                lag: self.lag,
            },
        };
        DatabaseReport {
            component: self.model.topology.database().0.clone(),
            state,
            timeline: 1,
            written: first,
            standbys: if site == HOME { vec![standby] } else { Vec::new() },
            full: None,
            alone: None,
            findings: Vec::new(),
        }
    }

    fn fleet(&self, site: usize, at: Time, peak: u32) -> FleetReport {
        let standing = self.model.topology.standby_instances(self.sites[AWAY], peak);
        let scaled = self.scaled.as_ref().is_some_and(|(until, _)| at >= *until);
        let count = if site == HOME || scaled { peak } else { standing };
        let ready = site == HOME || self.ready.is_some_and(|ready| at >= ready);
        let instance = InstanceReport { name: String::new(), zone: String::new(), alive: true, ready };
        let artifact = self.model.topology.artifact.clone();
        FleetReport { artifact, wanted: count, instances: vec![instance; count as usize], replaced: 0 }
    }

    fn probes(&self, site: usize, at: Time) -> std::collections::BTreeMap<SiteId, PeerProbe> {
        let others = (0..3).filter(|other| *other != site);
        let probe = |other: usize| {
            let (failures, failing_for) = match (site, other) {
                (AWAY | WITNESS, HOME) if at >= LOST => self.failing(site - 1, at),
                _ => (0, Duration::ZERO),
            };
            let ready = if other == HOME && failures == 0 { Readiness::Ready } else { Readiness::Unknown };
            PeerProbe { answered: Some(Duration::ZERO), failures, failing_for, ready, ..PeerProbe::default() }
        };
        others.map(|other| (self.sites[other].clone(), probe(other))).collect()
    }
}
