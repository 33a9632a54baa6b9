//! One site of the modelled world: what an agent, its watchdog and its machine have, on disk and in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::glass::Glass;
use engine::lease::{Promises, Terms, Voter};
use engine::writer::{Durable, Mode, Rules, SyncRules, Writer};
use model::observe::Readiness;
use model::topology::{OnCrash, Replication};
use model::{AttemptId, Outcome, PeerProbe, Receipt, SiteId, SiteReport, Time, Topology, ZoneTable};

use crate::database::Database;
use crate::guards::Weakness;
use crate::world::What;

/// A clock that runs at its own rate, from an origin of its own.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: u64,
    /// Faster than the world's, parts per million.
    ppm: i64,
}

impl Clock {
    pub fn new(origin: u64, ppm: i64) -> Self {
        Self { origin, ppm }
    }
    /// What this clock shows at a moment of the world.
    pub fn show(&self, world: Time) -> Time {
        Time((self.origin + world.0).saturating_add_signed((world.0 as i64 / 1_000) * self.ppm / 1_000))
    }
    /// The first moment of the world at which this clock shows at least `shown`.
    pub fn when(&self, shown: Time) -> Time {
        let passed = shown.0.saturating_sub(self.origin);
        let rate = (1_000_000 + self.ppm) as u64;
        let mut world = match passed.checked_mul(1_000_000) {
            Some(scaled) => Time(scaled / rate),
            None => Time((u128::from(passed) * 1_000_000 / u128::from(rate)) as u64),
        };
        // The division loses a few microseconds.
        loop {
            let missing = shown.0.saturating_sub(self.show(world).0);
            if missing == 0 {
                return world;
            }
            world.0 += (missing / 2).max(1);
        }
    }
}

/// Tries to reach one other site.
#[derive(Clone, Default, Debug)]
pub struct Tries {
    good: Option<Time>,
    first_failed: Option<Time>,
    last_failed: Time,
    failures: u32,
    ready: Readiness,
}

impl Tries {
    pub fn good(&mut self, now: Time) {
        *self = Self { good: Some(now), ready: std::mem::take(&mut self.ready), ..Self::default() };
    }
    pub fn bad(&mut self, now: Time) {
        self.first_failed.get_or_insert(now);
        self.last_failed = now;
        self.failures += 1;
    }
    /// What its load balancer answered: that it is ready, why it is not, or nothing that says either.
    pub fn answered(&mut self, ready: Result<bool, &str>) {
        match (&self.ready, ready) {
            (Readiness::NotReady { why: known }, Err(why)) if known == why => {}
            (_, Err(why)) => self.ready = Readiness::NotReady { why: why.into() },
            (_, Ok(ready)) => self.ready = if ready { Readiness::Ready } else { Readiness::Unknown },
        }
    }
    /// Into what was reported before.
    pub fn report(&self, now: Time, probe: &mut PeerProbe) {
        probe.answered = self.good.map(|at| now.since(at));
        probe.failing_for = self.first_failed.map_or(Duration::ZERO, |first| self.last_failed.since(first));
        probe.failures = self.failures;
        if probe.ready != self.ready {
            probe.ready = self.ready.clone();
        }
    }
}

/// What became of an order, and who waits to hear.
#[derive(Clone, Default, Debug)]
pub struct Told {
    pub end: Option<Outcome>,
    pub waiting: Vec<u64>,
    /// It was said to be never seen, and does not begin any more.
    pub unheard: bool,
}

/// What survives the death of the agent and of the machine.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Absent when they were lost, until the voter has heard the others.
    pub promises: Option<Promises>,
    pub writer: Durable,
    pub zone: Option<ZoneTable>,
    pub instances: u32,
    /// What people said here when the region was left alone.
    pub glass: Glass,
}

/// An acknowledgement on its way through the gate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passing {
    pub write: u64,
    pub opening: u64,
    pub end: usize,
}

#[derive(Clone)]
pub struct Site {
    pub id: SiteId,
    pub clock: Clock,
    pub disk: Disk,
    /// The machine is powered.
    pub alive: bool,
    /// The whole machine is stopped.
    pub frozen: bool,
    pub agent_up: bool,
    pub agent_frozen: bool,
    pub watchdog_frozen: bool,
    /// How much longer than usual a write to disk takes.
    pub disk_takes: Duration,
    /// When the last promise that the voter gave is on its disk.
    pub promises_kept_at: Time,
    /// Changes with each start of the agent.
    pub incarnation: u64,
    /// What came while the agent was frozen.
    pub held: Vec<What>,
    pub voter: Voter,
    /// Absent at the witness.
    pub writer: Option<Writer>,
    pub database: Database,
    pub gate: bool,
    /// Tells one opening of the gate from the next.
    pub opening: u64,
    /// How often the gate was shut: an order to open it is void after that.
    pub shuts: u64,
    /// As the gate reads it for every byte.
    pub deadline: Option<Time>,
    /// Answers that the gate had checked when the agent froze.
    pub in_hand: Vec<Passing>,
    /// Until when the watchdog lets the database be.
    pub leash: Option<Time>,
    /// For which leash the watchdog is to look next, at the latest.
    pub looks: Option<Time>,
    pub fencing_until: Option<Time>,
    pub receipt: Option<Receipt>,
    pub attempts: BTreeMap<AttemptId, Told>,
    pub generation: u64,
    pub probes: Vec<(SiteId, Tries)>,
    pub instances: u32,
    pub scaling: u64,
    /// Its instances are there and serve nobody.
    pub app_stopped: bool,
    pub suspect: bool,
    /// Names that point home are refused here.
    pub fenced: bool,
    /// When the writer is next woken: in the world's time, and as the clock shows it.
    pub wakes: Option<(Time, Time)>,
    pub alone_since: Option<Time>,
    /// What was last reported, and before: the older of them is written anew once nobody looks at it any more.
    pub reports: [Option<Arc<SiteReport>>; 2],
}

impl Site {
    pub fn new(topology: &Topology, id: &SiteId, clock: Clock) -> Self {
        // As whoever makes a workload tells its voters: there is nothing that they could have forgotten.
        let promises = Some(Promises::default());
        let disk = Disk { promises, writer: Durable::default(), zone: None, instances: 0, glass: Glass::default() };
        let terms = Terms::new(&topology.timing);
        let voter = Voter::start(terms, Promises::default(), clock.show(Time::ZERO));
        let writer = topology.is_region(id).then(|| Writer::new(rules(topology, id), disk.writer.clone()));
        Self {
            id: id.clone(),
            clock,
            disk,
            alive: true,
            frozen: false,
            agent_up: true,
            agent_frozen: false,
            watchdog_frozen: false,
            disk_takes: Duration::ZERO,
            promises_kept_at: Time::ZERO,
            incarnation: 1,
            held: Vec::new(),
            voter,
            writer,
            database: Database::new(),
            gate: false,
            opening: 0,
            shuts: 0,
            deadline: None,
            in_hand: Vec::new(),
            leash: None,
            looks: None,
            fencing_until: None,
            receipt: None,
            attempts: BTreeMap::new(),
            generation: 0,
            probes: Vec::new(),
            instances: 0,
            scaling: 0,
            app_stopped: false,
            suspect: false,
            fenced: false,
            wakes: None,
            alone_since: None,
            reports: [None, None],
        }
    }

    /// The agent's process is there and runs.
    pub fn runs(&self) -> bool {
        self.alive && self.agent_up && !self.agent_frozen && !self.frozen
    }
    /// Makes durable what the voter promised; one that has yet to hear the others has nothing to keep. The end is until
    /// when its answers wait: for the disk where a promise changed, now or in an answer before that still waits.
    pub fn keep_promises(&mut self, now: Time) -> Time {
        if let Some(kept) = self.disk.promises.as_mut().filter(|kept| **kept != *self.voter.promises()) {
            *kept = self.voter.promises().clone();
            self.promises_kept_at = self.promises_kept_at.max(now) + self.disk_takes;
        }
        self.promises_kept_at.max(now)
    }
    pub fn local(&self, world: Time) -> Time {
        self.clock.show(world)
    }
    /// Whether a byte would pass the gate now.
    pub fn passes(&self, world: Time, ignore_deadline: bool) -> bool {
        self.gate && self.deadline.is_some_and(|deadline| ignore_deadline || self.local(world) < deadline)
    }
    /// Instances that say that they are ready.
    pub fn ready(&self, world: Time) -> u32 {
        let serves = self.runs() && self.passes(world, false);
        let answers = self.database.server == crate::database::Server::Writing && !self.database.frozen;
        if serves && answers && !self.app_stopped { self.instances } else { 0 }
    }
    /// As its agent says it.
    pub fn said_ready(&self, world: Time, weakness: &Weakness) -> u32 {
        match weakness.says_ready_what_is_not {
            true if self.runs() => self.instances,
            _ => self.ready(world),
        }
    }
    pub fn mode(&self) -> Option<&Mode> {
        self.writer.as_ref().map(Writer::mode)
    }
    /// Believes that it may write, whatever its gate.
    pub fn holds(&self, world: Time) -> bool {
        let active = matches!(self.mode(), Some(Mode::Opening { .. } | Mode::Writing));
        let deadline = self.writer.as_ref().and_then(Writer::deadline);
        active && deadline.is_some_and(|deadline| self.local(world) < deadline)
    }
}

/// As the agent makes them from the spec.
pub fn rules(topology: &Topology, me: &SiteId) -> Rules {
    let (_, postgres) = topology.database();
    let timing = &topology.timing;
    let synchronous = postgres.replication == Replication::Synchronous;
    Rules {
        me: me.clone(),
        voters: topology.sites.iter().map(|site| site.id.clone()).collect(),
        terms: Terms::new(timing),
        renew_every: timing.renew_every,
        sync: synchronous
            .then_some(SyncRules { when_alone: postgres.when_alone, lost_after: timing.unreachable_after }),
        partners: topology.others(me).cloned().collect(),
        restart_after_crash: postgres.on_crash == OnCrash::Restart,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_read_and_awaited_alike() {
        for ppm in [-10_000, -3, 0, 7, 10_000, 500_000] {
            let clock = Clock::new(77_000_000, ppm);
            for shown in [77_000_000, 78_123_456, 177_000_001] {
                let world = clock.when(Time(shown));
                assert!(clock.show(world) >= Time(shown));
                assert!(clock.show(world - Duration::from_millis(3)) < Time(shown) || world.0 < 3_000, "{ppm} {shown}");
            }
        }
    }
}
