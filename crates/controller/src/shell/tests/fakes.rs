//! Agents that answer what the test says, over real mutual TLS.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use model::action::Evidence;
use model::observe::{
    FleetReport, InstanceReport, PeerProbe, Readiness, SecretReport, StandbyReport, VoterReport, ZoneReport,
};
use model::topology::SiteRole;
use model::{
    AttemptId, DatabaseReport, DatabaseState, Epoch, Lsn, Outcome, SiteId, SiteReport, SyncRecord, Topology, Verb,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::identity::{Authority, Identity, Peer};
use crate::rpc::wire::{self, ActRequest, AttemptReply, AttemptRequest};
use crate::rpc::{FromController, serve};
use crate::shell::{ControllerConfig, TopologySource};

const SPEC: &str = "
workload: case-api
artifact: 2026.07.01-1842
objectives: { rto: 30m, rpo: 1m }
approvals: { failover: 1, failback: 2, override: 2, approvers: [ana, budi] }
sites:
  left: { zones: [a, b], preferred: true }
  right: { zones: [a, b] }
  witness-1: { witness: true }
timing: { profile: standard, probe_every: 100ms }
components:
  front-door: { kind: dns, zone: case.example, policy: failover, ttl: 1s }
  api: { kind: fleet, command: case-api, needs: [cases], ready: /ready, peak: 2 }
  cases: { kind: postgres, system_of_record: true, replication: asynchronous }
";

pub fn topology() -> Topology {
    model::spec::parse(SPEC).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// How an agent takes an order.
#[derive(Clone)]
pub enum Orders {
    /// Never answers.
    Hang,
    End(Outcome),
    /// Does at once what it is told, and reports so.
    Obey,
}

pub struct Fake {
    pub address: SocketAddr,
    pub orders: Mutex<Orders>,
    pub acts: Mutex<Vec<ActRequest>>,
    pub inquiries: Mutex<Vec<AttemptId>>,
    pub ended: Mutex<BTreeMap<AttemptId, Outcome>>,
    pub report: Mutex<SiteReport>,
    pub stop: CancellationToken,
}

/// Three agents and the certificates of a workload. Everything ends with it.
pub struct Lab {
    pub dir: TempDir,
    pub topology: Topology,
    pub agents: BTreeMap<SiteId, Arc<Fake>>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.agents.values().for_each(|agent| agent.stop.cancel());
    }
}

impl Lab {
    pub async fn start() -> Lab {
        let (dir, topology) = (TempDir::new().unwrap(), topology());
        let authority = Authority::create(dir.path(), &topology.workload).unwrap();
        for peer in Peer::everybody(&topology) {
            authority.issue(&peer).unwrap();
        }
        let mut agents = BTreeMap::new();
        for site in &topology.sites {
            agents.insert(site.id.clone(), agent(&dir, report(&topology, &site.id)).await);
        }
        Lab { dir, topology, agents }
    }

    pub fn config(&self) -> ControllerConfig {
        ControllerConfig {
            topology: TopologySource::Inline(Box::new(self.topology.clone())),
            agents: self.agents.iter().map(|(site, agent)| (site.clone(), agent.address)).collect(),
            listen: "127.0.0.1:0".parse().unwrap(),
            identity: self.dir.path().to_path_buf(),
            journal: self.dir.path().join("journal.db"),
            addresses: self.topology.regions().map(|site| (site.id.clone(), vec![Ipv4Addr::LOCALHOST])).collect(),
        }
    }

    pub fn identity(&self, peer: &Peer) -> Identity {
        Identity::load(self.dir.path(), peer).unwrap()
    }

    pub fn all_take(&self, orders: Orders) {
        self.agents.values().for_each(|agent| *agent.orders.lock().unwrap() = orders.clone());
    }

    pub fn agent(&self, site: &str) -> &Fake {
        &self.agents[&SiteId::new(site)]
    }
}

async fn agent(dir: &TempDir, report: SiteReport) -> Arc<Fake> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let identity = Identity::load(dir.path(), &Peer::Agent(report.site.clone())).unwrap();
    let fake = Arc::new(Fake {
        address: listener.local_addr().unwrap(),
        orders: Mutex::new(Orders::Hang),
        acts: Mutex::default(),
        inquiries: Mutex::default(),
        ended: Mutex::default(),
        report: Mutex::new(report),
        stop: CancellationToken::new(),
    });
    let router = Router::new()
        .route(
            wire::REPORT,
            get(|State(fake): State<Arc<Fake>>| async move { Json(fake.report.lock().unwrap().clone()) }),
        )
        .route(wire::ACT, post(act))
        .route(wire::INQUIRE, post(inquire))
        .with_state(fake.clone());
    let stop = fake.stop.clone();
    tokio::spawn(async move { serve(listener, &identity, router, stop).await.unwrap() });
    fake
}

async fn act(_: FromController, State(fake): State<Arc<Fake>>, Json(request): Json<ActRequest>) -> Json<Outcome> {
    let order = request.clone();
    fake.acts.lock().unwrap().push(request);
    let orders = fake.orders.lock().unwrap().clone();
    match orders {
        Orders::Hang => std::future::pending().await,
        Orders::End(outcome) => Json(outcome),
        Orders::Obey => Json(fake.obey(&order)),
    }
}

async fn inquire(
    _: FromController,
    State(fake): State<Arc<Fake>>,
    Json(request): Json<AttemptRequest>,
) -> Json<AttemptReply> {
    let seen = fake.acts.lock().unwrap().iter().any(|act| act.attempt.id == request.attempt);
    fake.inquiries.lock().unwrap().push(request.attempt);
    let ended = fake.ended.lock().unwrap().get(&request.attempt).cloned();
    Json(match ended {
        Some(outcome) => AttemptReply::Ended { outcome },
        None if seen => AttemptReply::Running,
        None => AttemptReply::NeverSeen,
    })
}

impl Fake {
    /// A well-behaved agent in small: the first end of an attempt counts.
    fn obey(&self, order: &ActRequest) -> Outcome {
        let mut ended = self.ended.lock().unwrap();
        ended.entry(order.attempt.id).or_insert_with(|| self.change(order)).clone()
    }

    fn change(&self, order: &ActRequest) -> Outcome {
        let report = &mut *self.report.lock().unwrap();
        let mut evidence = Evidence::note("done");
        match (&order.action.verb, report.database.as_mut()) {
            (Verb::Promote { .. }, Some(database)) => {
                let epoch = order.attempt.epoch.next(&report.site);
                evidence.epoch = Some(epoch.clone());
                database.written = epoch.clone();
                database.state = writing(epoch);
                database.standbys = vec![standby("right")];
            }
            (Verb::Follow { upstream }, Some(database)) => database.state = following(upstream),
            (Verb::Scale { instances }, _) => {
                let fleet = report.fleets.get_mut(&order.action.component).unwrap();
                let instance = |n| InstanceReport { name: format!("i{n}"), zone: "a".into(), alive: true, ready: true };
                fleet.instances = (0..*instances).map(instance).collect();
            }
            (Verb::Route { zone }, _) => {
                let served = report.zones.get_mut(&order.action.component).unwrap();
                (served.epoch, served.serial) = (zone.epoch.clone(), zone.serial);
            }
            _ => {}
        }
        Outcome::Done(evidence)
    }
}

fn writing(epoch: Epoch) -> DatabaseState {
    let remaining = Duration::from_secs(4);
    DatabaseState::Writing { epoch, position: Lsn(100), remaining, lowest_margin: remaining, gate: true }
}

fn following(upstream: &SiteId) -> DatabaseState {
    let (received, replayed) = (Lsn(100), Lsn(100));
    DatabaseState::Standby { upstream: upstream.clone(), receiving: true, received, replayed, lag: Duration::ZERO }
}

fn standby(site: &str) -> StandbyReport {
    StandbyReport {
        site: site.into(),
        streaming: true,
        synchronous: false,
        sent: Lsn(100),
        flushed: Lsn(100),
        replayed: Lsn(100),
        lag_bytes: 0,
        lag: Duration::ZERO,
    }
}

/// A site where nothing has been established, and all is well.
fn report(topology: &Topology, site: &SiteId) -> SiteReport {
    let region = topology.sites.iter().any(|s| s.id == *site && s.role != SiteRole::Witness);
    let database = DatabaseReport::absent(topology.database().0.clone());
    let fleet = FleetReport { artifact: topology.artifact.clone(), wanted: 0, instances: Vec::new(), replaced: 0 };
    let fleets = topology.fleets().map(|(id, _)| (id.clone(), fleet.clone()));
    let secret = SecretReport { digest: Some("5e".repeat(32)) };
    let secrets = topology.secrets().map(|(id, _)| (id.clone(), secret.clone()));
    let zone = ZoneReport { epoch: Epoch::none(), serial: 0, enabled: BTreeMap::new(), suspect: false, fenced: false };
    let probe = PeerProbe { answered: Some(Default::default()), ready: Readiness::Ready, ..PeerProbe::default() };
    let others = topology.sites.iter().map(|s| s.id.clone()).filter(|other| other != site);
    SiteReport {
        site: site.clone(),
        incarnation: 1,
        voter: VoterReport {
            highest: Epoch::none(),
            promise_remaining: Default::default(),
            quiet_remaining: Default::default(),
            sync: SyncRecord::default(),
            lacks: Vec::new(),
        },
        database: region.then_some(database),
        fleets: fleets.filter(|_| region).collect(),
        zones: [(topology.dns().0.clone(), zone)].into(),
        secrets: secrets.collect(),
        probes: others.map(|other| (other, probe.clone())).collect(),
        backup: Default::default(),
        glass: None,
    }
}
