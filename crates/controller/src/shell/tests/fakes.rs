//! Agents that answer what the test says, over real mutual TLS.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use model::observe::{FleetReport, PeerProbe, Readiness, SecretReport, VoterReport, ZoneReport};
use model::topology::SiteRole;
use model::{AttemptId, DatabaseReport, DatabaseState, Epoch, Outcome, SiteId, SiteReport, SyncRecord, Topology};
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
}

pub struct Fake {
    pub address: SocketAddr,
    pub orders: Mutex<Orders>,
    pub acts: Mutex<Vec<ActRequest>>,
    pub inquiries: Mutex<Vec<AttemptId>>,
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
            addresses: BTreeMap::new(),
        }
    }

    pub fn identity(&self, peer: &Peer) -> Identity {
        Identity::load(self.dir.path(), peer).unwrap()
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
    fake.acts.lock().unwrap().push(request);
    let orders = fake.orders.lock().unwrap().clone();
    match orders {
        Orders::Hang => std::future::pending().await,
        Orders::End(outcome) => Json(outcome),
    }
}

async fn inquire(
    _: FromController,
    State(fake): State<Arc<Fake>>,
    Json(request): Json<AttemptRequest>,
) -> Json<AttemptReply> {
    let seen = fake.acts.lock().unwrap().iter().any(|act| act.attempt.id == request.attempt);
    fake.inquiries.lock().unwrap().push(request.attempt);
    Json(if seen { AttemptReply::Running } else { AttemptReply::NeverSeen })
}

/// A site where nothing has been established, and all is well.
fn report(topology: &Topology, site: &SiteId) -> SiteReport {
    let region = topology.sites.iter().any(|s| s.id == *site && s.role != SiteRole::Witness);
    let database = DatabaseReport {
        component: topology.database().0.clone(),
        state: DatabaseState::Absent,
        timeline: 0,
        written: Epoch::none(),
        standbys: Vec::new(),
        alone: None,
    };
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
        },
        database: region.then_some(database),
        fleets: fleets.filter(|_| region).collect(),
        zones: [(topology.dns().0.clone(), zone)].into(),
        secrets: secrets.collect(),
        probes: others.map(|other| (other, probe.clone())).collect(),
    }
}
