//! The agents' orders, given to an agent's real parts: its book of orders, its voter's store, a DNS server, a fleet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use controller::agent::act::Orders;
use controller::agent::attempts::Attempts;
use controller::agent::{Elsewhere, VoterStore, store};
use controller::identity::{Authority, Verifier};
use drivers::dns::{DnsConfig, DnsServer};
use drivers::fleet::{Exercise, Fleet, FleetConfig, Zone};
use drivers::secrets::{SecretStore, SecretValue};
use drivers::{Compute, Secrets, Traffic};
use engine::lease::Terms;
use model::{Action, ComponentId, Epoch, SiteId};
use tempfile::TempDir;

use super::modelled::{DEADLINE, Names, attempt_id, inquired, replied};
use super::order::{Act, Order};
use super::service;
use crate::case::Where;
use crate::database::modelled::ended;
use crate::{PATIENCE, World};

const LOOK: Duration = Duration::from_millis(20);
/// Longer than a case takes: no promise lapses in one.
const LEASE: Duration = Duration::from_secs(600);

const API: &str = "api";
const FRONT: &str = "front";
const KEY: &str = "key";

/// What dies with the agent's process.
struct Parts {
    orders: Arc<Orders>,
    voter: Arc<VoterStore>,
    dns: Arc<DnsServer>,
    fleet: Arc<Fleet>,
    secrets: SecretStore,
}

pub struct Real {
    parts: Option<Parts>,
    ip: Ipv4Addr,
    folder: TempDir,
}

fn site(at: Where) -> SiteId {
    SiteId::new(at.name())
}

fn names() -> Names {
    Names(Where::BOTH.map(site))
}

impl Real {
    pub async fn new(number: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let _ = rustls::crypto::ring::default_provider().install_default();
        Authority::create(folder.path(), "conformance").expect("an authority");
        std::fs::write(folder.path().join("first-start"), "").expect("a file");
        let process = (std::process::id() % 200) as u8 + 40;
        let mut real = Self { parts: None, ip: Ipv4Addr::new(127, process, 200 + number as u8, 1), folder };
        let secrets = real.secrets();
        secrets.put(&ComponentId::new(KEY), &SecretValue::new("a secret")).expect("it is stored");
        real.start().await;
        real
    }

    fn secrets(&self) -> SecretStore {
        let folder = self.folder.path().join("secrets");
        SecretStore::open(folder, "conformance", vec![ComponentId::new(KEY)]).expect("a store")
    }

    /// The agent's parts, from what is on disk.
    async fn start(&mut self) {
        let folder = self.folder.path();
        let [timing, _] = model::spec::profiles();
        let terms = Terms::new(&model::Timing { lease: LEASE, ..timing });
        let others = vec![site(Where::B), SiteId::new("witness")];
        let elsewhere = Elsewhere { others, known: Epoch::none(), first_start: folder.join("first-start") };
        let voter = VoterStore::open(&folder.join("voter.sqlite"), terms, &elsewhere).expect("a voter");
        let voter = Arc::new(voter);
        let dns = Arc::new(dns(folder, self.ip).await);
        let fleet = Arc::new(Fleet::start(fleet(folder, self.ip)).await.expect("a fleet"));
        let orders = Arc::new(Orders {
            attempts: Arc::new(Attempts::default()),
            voter: voter.clone(),
            verifier: Arc::new(Verifier::load(folder, "conformance").expect("the authority's")),
            database: None,
            backups: None,
            fleets: BTreeMap::from([(ComponentId::new(API), fleet.clone() as Arc<dyn Compute>)]),
            zones: BTreeMap::from([(ComponentId::new(FRONT), dns.clone() as Arc<dyn Traffic>)]),
            scales: Mutex::new(store::open(&folder.join("fleets.sqlite")).expect("a store")),
            generation: AtomicU64::new(0),
        });
        orders.scale_again(DEADLINE).expect("what was wanted");
        self.parts = Some(Parts { orders, voter, dns, fleet, secrets: self.secrets() });
    }

    fn parts(&self) -> &Parts {
        self.parts.as_ref().expect("it runs")
    }

    async fn restart(&mut self, loses_store: bool) {
        self.parts = None;
        if loses_store {
            for file in ["voter.sqlite", "voter.sqlite-wal", "voter.sqlite-shm"] {
                let _ = std::fs::remove_file(self.folder.path().join(file));
            }
        }
        self.start().await;
    }
}

/// The port of a server that ended just now may be taken for a moment longer.
async fn dns(folder: &Path, ip: Ipv4Addr) -> DnsServer {
    let listen = free(ip, 21_000, 1);
    let began = Instant::now();
    loop {
        let config = DnsConfig {
            site: site(Where::A),
            zone: "case.example".into(),
            listen,
            name_servers: [("ns-a.case.example".to_owned(), ip)].into(),
            places: BTreeMap::new(),
            file: folder.join("zone.json"),
            tcp_idle: DEADLINE,
        };
        match DnsServer::start(config).await {
            Ok(server) => return server,
            Err(error) if began.elapsed() > PATIENCE => panic!("{error}"),
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// The first of so many neighbouring ports that nobody uses.
fn free(ip: Ipv4Addr, from: u16, count: u16) -> SocketAddr {
    let unused = |port: u16| {
        let address = SocketAddr::from((ip, port));
        TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
    };
    let first = (from..32_000).find(|first| (*first..first + count).all(unused));
    (ip, first.expect("a free port")).into()
}

fn fleet(folder: &Path, ip: Ipv4Addr) -> FleetConfig {
    let (front, quick) = (free(ip, 22_000, 6), Duration::from_millis(50));
    FleetConfig {
        component: ComponentId::new(API),
        site: site(Where::A),
        artifact: "v1".into(),
        program: std::env::current_exe().expect("this program"),
        args: ["--exact", "agent::service::the_service", "--nocapture"].map(str::to_owned).into(),
        env: [(service::SWITCH.to_owned(), SecretValue::new("on"))].into(),
        zones: ["a", "b"].map(|name| Zone { name: name.into(), listen: ip }).into(),
        first_port: front.port() + 1,
        most: 4,
        listen: front,
        live: "/live".into(),
        ready: "/ready".into(),
        exercise: Some(Exercise { path: "/write".into(), body: "{}".into() }),
        check_every: quick,
        check_timeout: DEADLINE,
        dead_after: 5,
        start_within: DEADLINE,
        restart_backoff: quick,
        restart_most: quick,
        drain: quick,
        stop_within: DEADLINE,
        request_timeout: DEADLINE,
        logs: folder.join("logs"),
    }
}

impl World<Order> for Real {
    async fn perform(&mut self, order: &Order) -> String {
        match order {
            Order::Act { number, start, knowing, act } => {
                let component = match act {
                    Act::Zone { .. } | Act::Suspect(_) => FRONT,
                    Act::Scale(_) | Act::Exercise => API,
                    Act::Initialise | Act::Archive => "cases",
                };
                let (site, component) = (site(Where::A), ComponentId::new(component));
                let action = Action { site, component, verb: names().verb(act) };
                let attempt = names().attempt(*number, *start, *knowing);
                ended(&self.parts().orders.clone().act(attempt, action).await)
            }
            Order::Cancel(number) => {
                self.parts().orders.cancel(attempt_id(*number)).await;
                String::new()
            }
            Order::Inquire(number) => inquired(&self.parts().orders.inquire(attempt_id(*number))),
            Order::Ask { by, epoch, ask } => {
                let request = names().request(*by, *epoch, ask);
                replied(&self.parts().voter.answer(&request).expect("its disk works"))
            }
            Order::Restart | Order::LoseStore => {
                self.restart(*order == Order::LoseStore).await;
                String::new()
            }
            Order::LoseSecret => {
                std::fs::remove_file(self.folder.path().join("secrets").join(KEY)).expect("it was there");
                String::new()
            }
            Order::See => unreachable!("a look is no order"),
        }
    }

    async fn see(&mut self, _: &Order) -> BTreeSet<String> {
        let Parts { voter, dns, fleet, secrets, .. } = self.parts();
        let held = secrets.observe().await.expect("the secrets");
        let secret = held.values().all(|secret| secret.digest.is_some());
        names().facts(&dns.observe().await, &fleet.observe().await, &voter.report(), secret)
    }

    async fn pass(&mut self, since: Instant) -> bool {
        tokio::time::sleep(LOOK).await;
        since.elapsed() < PATIENCE
    }
}
