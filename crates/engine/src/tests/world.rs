//! A world of three sites that does as it is told, and a shell that drives the engine in it.

mod refusal;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use model::action::{Action, Evidence};
use model::observe::*;
use model::routing::{NameTable, Policy};
use model::topology::*;
use model::*;

pub use super::made::*;
use crate::{Decision, Effect, Event, Inquiry, Record, Refused, Request, Workload, apply, observe, resume, step};

pub const A: &str = "north";
pub const B: &str = "south";
pub const W: &str = "witness";

pub fn site(name: &str) -> SiteId {
    SiteId::new(name)
}

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub fn person(name: &str) -> Person {
    Person::new(name)
}

pub fn topology() -> Topology {
    let s = Duration::from_secs;
    let region = |id: &str, preferred, capacity| Site {
        id: site(id),
        role: SiteRole::Region {
            zones: vec!["a".into(), "b".into()],
            preferred,
            capacity,
            traffic_weight: if preferred { 100 } else { 0 },
            geo: vec![],
            latency: BTreeMap::new(),
        },
    };
    let component = |id: &str, plane, kind| Component { id: ComponentId::new(id), plane, needs: vec![], kind };
    let dns = Dns {
        zone: "case.example".into(),
        policy: Policy::Failover,
        ttl: s(1),
        records: BTreeMap::from([("api.case.example".to_owned(), ComponentId::new("api"))]),
    };
    let fleet = Fleet {
        command: "case-api".into(),
        args: vec![],
        live: "/live".into(),
        ready: "/ready".into(),
        exercise: Some("/exercise".into()),
        peak: 4,
    };
    let postgres = Postgres {
        database: "cases".into(),
        replication: Replication::Asynchronous,
        when_alone: WhenAlone::Degrade,
        on_crash: OnCrash::Restart,
        wal_keep_mb: 64,
        settings: BTreeMap::new(),
        site_settings: BTreeMap::new(),
        backup: None,
        ledger: BTreeMap::new(),
    };
    Topology {
        workload: "case-api".into(),
        artifact: "v1".into(),
        objectives: Objectives {
            rto: s(60),
            rpo: s(60),
            availability: None,
            added_latency: Duration::from_millis(100),
            data_class: Some("regulated".into()),
            budget: None,
        },
        residency: BTreeMap::from([("regulated".to_owned(), vec![site(A), site(B)])]),
        approvals: Approvals {
            failover: 1,
            switchover: 1,
            failback: 2,
            accept_loss: 2,
            approvers: vec![person("ada"), person("bob"), person("cyd")],
            word_holds: s(900),
        },
        failover: FailoverMode::Automatic,
        sites: vec![region(A, true, 100), region(B, false, 50), Site { id: site(W), role: SiteRole::Witness }],
        components: vec![
            component("front-door", Plane::Traffic, ComponentKind::Dns(dns)),
            component("api", Plane::Compute, ComponentKind::Fleet(fleet)),
            component("cases", Plane::Data, ComponentKind::Postgres(postgres)),
            component("key", Plane::Control, ComponentKind::Secret(Secret { env: "KEY".into() })),
        ],
        timing: Timing {
            profile: "test".into(),
            lease: s(5),
            renew_every: ms(500),
            renew_timeout: ms(400),
            clock_drift_ppm: 1000,
            stop_margin: ms(100),
            probe_every: ms(250),
            probe_timeout: ms(200),
            suspect_after: s(1),
            unreachable_after: s(2),
            unready_after: s(10),
            stale_after: s(2),
            check_every: ms(100),
            request_timeout: s(2),
            healthy_for: s(10),
            max_lag: s(5),
            step_deadlines: StepDeadlines {
                check: s(10),
                fence: s(10),
                promote: s(20),
                follow: s(60),
                scale: s(20),
                route: s(5),
                exercise: s(10),
            },
        },
        drills: vec![],
    }
}

pub fn addresses() -> BTreeMap<SiteId, Vec<Ipv4Addr>> {
    BTreeMap::from([(site(A), vec![Ipv4Addr::new(127, 0, 1, 10)]), (site(B), vec![Ipv4Addr::new(127, 0, 2, 10)])])
}

/// How one attempt ends in the world: an outcome of the world's own making, a scripted one, or silence.
#[derive(Clone, Debug)]
pub enum Script {
    Ends(Outcome),
    Silence,
    /// The agent dies before it has done anything, and starts again.
    DiesBefore,
    /// The agent dies when it is done, and remembers nothing of the order.
    DiesAfter,
    /// It is done, and only the answer is lost.
    AnswerLost,
}

#[derive(Clone, Debug)]
pub struct Place {
    pub alive: bool,
    pub down_since: Option<Time>,
    pub database: DatabaseState,
    pub written: Epoch,
    pub instances: u32,
    /// So many of them cannot serve.
    pub broken: u32,
    pub full: Option<String>,
    pub artifact: String,
    pub secret: Option<String>,
    pub zone: Option<ZoneTable>,
    pub suspect: bool,
    pub sync: SyncRecord,
    pub lag: Duration,
    pub backup: model::backup::BackupReport,
    pub glass: Option<GlassReport>,
    /// Attempts that the agent has carried out.
    pub log: BTreeMap<AttemptId, Outcome>,
}

#[derive(Clone)]
pub struct World {
    pub state: Workload,
    pub now: Time,
    pub places: BTreeMap<SiteId, Place>,
    pub epoch: Epoch,
    pub journal: Vec<Record>,
    pub effects: Vec<Effect>,
    pub refused: Option<Refused>,
    /// By verb and site: how the next such attempts end.
    pub scripts: BTreeMap<(&'static str, SiteId), Vec<Script>>,
    pub cancelled: BTreeSet<AttemptId>,
    pub cut: BTreeSet<(SiteId, SiteId)>,
    /// The controller dies at this point, counted from now: before and after the records of each decision, and after
    /// each of its effects.
    pub dies_in: Option<usize>,
    pub dead: bool,
    /// What becomes of a run's order, by its number from now.
    pub nth_order: Option<(usize, Script)>,
    queue: Vec<Event>,
    pub started: Workload,
    pub generation: u64,
}

impl World {
    pub fn new(topology: Topology) -> Self {
        let state = Workload::new(Arc::new(topology), addresses());
        let place = |database| Place {
            alive: true,
            down_since: None,
            database,
            written: Epoch::none(),
            instances: 0,
            broken: 0,
            full: None,
            artifact: "v1".into(),
            secret: Some("digest".into()),
            zone: None,
            suspect: false,
            sync: SyncRecord::default(),
            lag: Duration::ZERO,
            backup: Default::default(),
            glass: None,
            log: BTreeMap::new(),
        };
        let places = [A, B, W].map(|name| (site(name), place(DatabaseState::Absent)));
        World {
            started: state.clone(),
            state,
            now: Time(1_000_000_000),
            places: BTreeMap::from(places),
            epoch: Epoch::none(),
            journal: vec![],
            effects: vec![],
            refused: None,
            scripts: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            cut: BTreeSet::new(),
            dies_in: None,
            dead: false,
            nth_order: None,
            queue: vec![],
            generation: 1,
        }
    }

    /// A world in which A writes and B stands by, established by the engine itself.
    pub fn established(topology: Topology) -> Self {
        let mut world = World::new(topology);
        world.run_for(ms(300));
        world.ask(Request::Establish, "ada");
        world.settle();
        assert_eq!(world.last_end(), Some("succeeded".to_owned()), "{}", world.transcript());
        world.run_for(ms(600));
        world.forget();
        world
    }

    pub fn place(&mut self, name: &str) -> &mut Place {
        self.places.get_mut(&site(name)).expect("a site of the world")
    }

    pub fn script(&mut self, verb: &'static str, at: &str, script: Script) {
        self.scripts.entry((verb, site(at))).or_default().push(script);
    }

    pub fn kill(&mut self, name: &str) {
        let now = self.now;
        let place = self.place(name);
        place.alive = false;
        place.down_since = Some(now);
    }

    pub fn revive(&mut self, name: &str) {
        let place = self.place(name);
        place.alive = true;
        place.down_since = None;
        if matches!(place.database, DatabaseState::Writing { .. }) {
            place.database = DatabaseState::Fenced { why: "came back with an old epoch".into(), receipt: None };
        }
        place.instances = 0;
    }

    /// Send one event through the shell's loop, and queue what the world answers.
    pub fn send(&mut self, event: &Event) -> Decision {
        if self.dead {
            return Decision::default();
        }
        observe(&mut self.state, self.now, event);
        let before = self.state.clone();
        let decision = step(&self.state, self.now, event);
        assert_eq!(self.state, before, "step changes nothing");
        self.keep(&decision);
        decision
    }

    fn dies_here(&mut self) -> bool {
        self.dead |= self.dies_in == Some(0);
        self.dies_in = self.dies_in.and_then(|points| points.checked_sub(1));
        self.dead
    }

    fn keep(&mut self, decision: &Decision) {
        let says_something = !decision.records.is_empty() || !decision.effects.is_empty();
        if says_something && self.dies_here() {
            return;
        }
        for record in &decision.records {
            assert!(!record.text().trim().is_empty(), "{record:?} has a text");
            apply(&mut self.state, record);
            self.journal.push(record.clone());
            super::properties::invariants(&self.state, record);
        }
        if decision.refused.is_some() {
            self.refused = decision.refused.clone();
        }
        if !decision.records.is_empty() && self.dies_here() {
            return;
        }
        for effect in &decision.effects {
            self.effects.push(effect.clone());
            self.perform(effect);
            if self.dies_here() {
                return;
            }
        }
    }

    fn perform(&mut self, effect: &Effect) {
        match effect {
            Effect::Act { attempt, action } => {
                if let Some(outcome) = self.act(attempt, action) {
                    self.queue.push(Event::Ended { attempt: attempt.id, outcome });
                }
            }
            Effect::Inquire { attempt, site } => {
                let place = &self.places[site];
                if place.alive {
                    let answer = match place.log.get(attempt) {
                        Some(outcome) => Inquiry::Ended(outcome.clone()),
                        None => Inquiry::NeverSeen,
                    };
                    self.queue.push(Event::Inquired { attempt: *attempt, answer });
                }
            }
            Effect::Cancel { attempt, .. } => {
                self.cancelled.insert(*attempt);
            }
            Effect::Observe { site } => {
                if self.places[site].alive {
                    let report = self.report(site).into();
                    self.queue.push(Event::Reported { report });
                }
            }
            Effect::Notify { .. } => {}
        }
    }

    fn act(&mut self, attempt: &Attempt, action: &Action) -> Option<Outcome> {
        if !self.places[&action.site].alive {
            return Some(Outcome::Failed(ActError::Transient("cannot connect".into())));
        }
        let befalls = self.nth_order.as_ref().filter(|_| attempt.id.run.0 > 0).map(|(number, _)| *number);
        let scripts = self.scripts.entry((action.verb.name(), action.site.clone())).or_default();
        let script = match befalls {
            Some(0) => self.nth_order.take().map(|(_, script)| script),
            _ => (!scripts.is_empty()).then(|| scripts.remove(0)),
        };
        if let Some((number, _)) = &mut self.nth_order {
            *number -= usize::from(befalls.is_some());
        }
        let outcome = match script {
            Some(Script::Silence) => return None,
            Some(Script::Ends(_)) if self.has_promoted(action) => Outcome::Done(self.carry_out(action)),
            Some(Script::Ends(outcome)) => outcome,
            Some(Script::DiesBefore) => return Some(no_answer()),
            Some(Script::DiesAfter) => {
                self.carry_out(action);
                let place = self.places.get_mut(&action.site)?;
                if matches!(place.database, DatabaseState::Writing { .. }) {
                    // Its watchdog took the database along; nobody else was elected, so it writes anew.
                    self.epoch = self.epoch.next(&action.site);
                    place.database = writing(&self.epoch);
                    place.written = self.epoch.clone();
                }
                return Some(no_answer());
            }
            Some(Script::AnswerLost) => {
                let done = Outcome::Done(self.carry_out(action));
                self.places.get_mut(&action.site)?.log.insert(attempt.id, done);
                return Some(no_answer());
            }
            None => match self.refuses(attempt, action) {
                Some(why) => Outcome::Refused { why },
                None => Outcome::Done(self.carry_out(action)),
            },
        };
        self.places.get_mut(&action.site)?.log.insert(attempt.id, outcome.clone());
        Some(outcome)
    }

    fn has_promoted(&self, action: &Action) -> bool {
        let writes = matches!(self.places[&action.site].database, DatabaseState::Writing { .. });
        writes && matches!(action.verb, Verb::Promote { .. })
    }

    /// What an honest agent does.
    pub fn carry_out(&mut self, action: &Action) -> Evidence {
        let name = action.site.clone();
        let mut evidence = Evidence::note("done in the model");
        let next = self.epoch.next(&name);
        let (now_epoch, sites) = (self.epoch.clone(), self.places.len());
        assert_eq!(sites, 3);
        let place = self.places.get_mut(&name).expect("a site of the world");
        match &action.verb {
            Verb::Initialise | Verb::Archive | Verb::Restore { .. } | Verb::PutBack { .. } => {}
            Verb::Fence { .. } => {
                let receipt = receipt(&name, &now_epoch);
                place.database = DatabaseState::Fenced { why: "told to".into(), receipt: Some(receipt.clone()) };
                evidence.position = receipt.end;
                evidence.receipt = Some(receipt.into());
            }
            Verb::Promote { .. } => {
                if matches!(place.database, DatabaseState::Writing { .. }) {
                    evidence.epoch = Some(place.written.clone());
                    return evidence;
                }
                place.database = writing(&next);
                place.written = next.clone();
                self.epoch = next.clone();
                evidence.epoch = Some(next);
            }
            Verb::Follow { upstream } => place.database = standby(upstream),
            Verb::Scale { instances } => place.instances = *instances,
            Verb::Route { zone } => place.zone = Some(zone.clone()),
            Verb::Suspect { on } => {
                // Else a client could keep an old answer for a whole TTL after the zone changed: a run may be about to
                // change it, and the order to do so may arrive after this one.
                let working = self.state.run.as_ref().is_some_and(|run| run.pause.is_none());
                assert!(*on || !working, "{name} may cache answers again while a run works");
                place.suspect = *on;
            }
            Verb::Exercise { .. } => {}
        }
        evidence
    }

    pub fn report(&self, name: &SiteId) -> SiteReport {
        let place = &self.places[name];
        let region = self.state.topology.is_region(name);
        let writes = matches!(place.database, DatabaseState::Writing { .. });
        let ready = if writes { place.instances.saturating_sub(place.broken) } else { 0 };
        let instance = |n: u32| InstanceReport { name: n.to_string(), zone: "a".into(), alive: true, ready: n < ready };
        let fleet = FleetReport {
            artifact: place.artifact.clone(),
            wanted: place.instances,
            instances: (0..place.instances).map(instance).collect(),
            replaced: 0,
        };
        let standbys = self.places.iter().filter(|(_, p)| {
            p.alive && matches!(&p.database, DatabaseState::Standby { upstream, .. } if upstream == name)
        });
        let standbys = standbys.map(|(id, p)| StandbyReport {
            site: id.clone(),
            streaming: true,
            synchronous: false,
            sent: Lsn(100),
            flushed: Lsn(100),
            replayed: Lsn(100),
            lag_bytes: 0,
            lag: p.lag,
        });
        let zone = place.zone.as_ref().map_or((Epoch::none(), 0), |z| (z.epoch.clone(), z.serial));
        let others = self.places.iter().filter(|(id, _)| *id != name);
        SiteReport {
            site: name.clone(),
            incarnation: 1,
            voter: VoterReport {
                highest: self.epoch.clone(),
                promise_remaining: self.promise_remaining(),
                quiet_remaining: Duration::ZERO,
                sync: place.sync.clone(),
                lacks: vec![],
            },
            database: region.then(|| DatabaseReport {
                component: ComponentId::new("cases"),
                state: place.database.clone(),
                timeline: 1,
                written: place.written.clone(),
                standbys: if writes { standbys.collect() } else { vec![] },
                full: place.full.clone(),
                alone: None,
                findings: vec![],
            }),
            fleets: if region { BTreeMap::from([(ComponentId::new("api"), fleet)]) } else { BTreeMap::new() },
            zones: BTreeMap::from([(
                ComponentId::new("front-door"),
                ZoneReport {
                    epoch: zone.0,
                    serial: zone.1,
                    enabled: place.zone.iter().flat_map(enabled).collect(),
                    suspect: place.suspect,
                    fenced: false,
                },
            )]),
            secrets: BTreeMap::from([(ComponentId::new("key"), SecretReport { digest: place.secret.clone() })]),
            probes: others.map(|(id, other)| (id.clone(), self.probe(name, id, other))).collect(),
            backup: place.backup.clone(),
            glass: place.glass.clone(),
        }
    }

    /// A promise runs for the whole lease while its holder lives, and lapses after its death.
    fn promise_remaining(&self) -> Duration {
        let lease = self.state.topology.timing.lease;
        match self.places.get(&self.epoch.site) {
            Some(place) => lease.saturating_sub(place.down_since.map_or(Duration::ZERO, |since| self.now.since(since))),
            None => Duration::ZERO,
        }
    }

    fn probe(&self, from: &SiteId, to: &SiteId, other: &Place) -> PeerProbe {
        let cut = self.cut.contains(&(from.clone(), to.clone()));
        if other.alive && !cut {
            let ready = match other.broken {
                0 => Readiness::Ready,
                _ => Readiness::NotReady { why: "HTTP 503".into() },
            };
            return PeerProbe { answered: Some(ms(10)), ready, ..PeerProbe::default() };
        }
        let failing_for = other.down_since.map_or(Duration::from_secs(60), |since| self.now.since(since));
        PeerProbe { failing_for, failures: 3, ..PeerProbe::default() }
    }

    /// Handle what is queued, then poll every site, each quarter of a second.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.drain();
            for name in self.places.keys().cloned().collect::<Vec<_>>() {
                let event = if self.places[&name].alive {
                    Event::Reported { report: self.report(&name).into() }
                } else {
                    Event::Unanswered { site: name, why: "cannot connect".into() }
                };
                self.send(&event);
                self.drain();
            }
            self.send(&Event::Tick);
            self.drain();
            self.now = self.now + ms(250);
        }
    }

    pub fn drain(&mut self) {
        let mut events = 0;
        while !self.queue.is_empty() {
            let event = self.queue.remove(0);
            self.now = self.now + Duration::from_micros(100);
            self.send(&event);
            events += 1;
            assert!(events < 10_000, "effects and events chase each other:\n{}", self.transcript());
        }
    }

    /// Until no run is active, or the active one waits for people; at most five minutes.
    pub fn settle(&mut self) {
        for _ in 0..1200 {
            match &self.state.run {
                None => return,
                Some(run) if run.pause.is_some() => return,
                Some(_) => self.run_for(ms(250)),
            }
        }
        panic!("the run neither ends nor pauses:\n{}", self.transcript());
    }

    /// The controller dies with what it knew, and starts again from its journal.
    pub fn restart(&mut self) {
        self.queue.clear();
        self.dead = false;
        let mut state = self.started.clone();
        self.journal.iter().for_each(|record| apply(&mut state, record));
        self.state = state;
        self.generation += 1;
        self.send(&Event::Started { generation: self.generation, rebooted: false });
        let decision = resume(&self.state, self.now);
        self.keep(&decision);
        self.drain();
    }

    pub fn forget(&mut self) {
        self.effects.clear();
    }
}

fn no_answer() -> Outcome {
    Outcome::Failed(ActError::Unknown("no answer in time".into()))
}

fn enabled(zone: &ZoneTable) -> impl Iterator<Item = (String, Vec<SiteId>)> {
    let on = |table: &NameTable| table.targets.iter().filter(|t| t.enabled).map(|t| t.site.clone()).collect();
    zone.names.iter().map(move |(name, table)| (name.clone(), on(table)))
}
