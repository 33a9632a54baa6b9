//! A world of its own for each test: real processes, short leases, and everything killed when the test ends or panics.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use antipode_lab::world::{World, death, establish, wait_for};
use controller::api::ApiClient;
use controller::clock;
use controller::identity::{Identity, Peer};
use controller::rpc::AgentClient;
use engine::lease::Terms;
use model::{DatabaseState, Epoch, SiteId, SiteReport, Time};
use rustix::process::Signal;
use tempfile::TempDir;

/// How long anything may take on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);
const ASK: Duration = Duration::from_secs(3);

/// Two regions with one instance each, and a lease short enough to wait for.
pub fn spec(failover: &str) -> String {
    format!(
        "
workload: fencing
artifact: '1'
objectives: {{ rto: 30m, rpo: 1m, availability: 99%, data_class: regulated, budget: 4000 USD/month }}
residency:  {{ regulated: [alpha, bravo] }}
approvals:  {{ failover: 1, failback: 1, override: 2, approvers: [ana, budi] }}
failover: {failover}
sites:
  alpha:   {{ zones: [a], preferred: true, traffic_weight: 100 }}
  bravo:   {{ zones: [a], traffic_weight: 0 }}
  charlie: {{ witness: true }}
timing: {{ profile: standard, lease: 3s, renew_every: 250ms, renew_timeout: 350ms, unreachable_after: 1750ms }}
components:
  front-door: {{ kind: dns, zone: case.example, policy: failover, ttl: 1s }}
  api:        {{ kind: fleet, command: case-api, needs: [cases, api-secret], ready: /ready, peak: 1,
                exercise: 'POST /cases {{\"subject\": \"rehearsal\"}}' }}
  cases:      {{ kind: postgres, system_of_record: true, replication: asynchronous }}
  api-secret: {{ kind: secret, env: API_SECRET }}
"
    )
}

/// The folder of the programs: the parent of the test executable's. `cargo build -p antipode -p case-api` fills it.
pub fn programs() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).unwrap().to_path_buf();
    for program in ["antipode", "case-api"] {
        assert!(folder.join(program).exists(), "{program} is not built: cargo build -p antipode -p case-api");
    }
    folder
}

pub struct Lab {
    pub api: ApiClient,
    pub alpha: SiteId,
    pub bravo: SiteId,
    pub charlie: SiteId,
    world: Option<World>,
    controller: Identity,
    _scratch: TempDir,
}

impl Lab {
    pub async fn up(spec: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let topology = Arc::new(model::spec::parse(spec).expect("the test's spec is right"));
        let (scratch, programs) = (tempfile::tempdir().unwrap(), programs());
        let world = World::up(topology, &programs, scratch.path(), None, &programs.join("antipode")).await.unwrap();
        let api = world.operator(&world.somebody().unwrap()).unwrap();
        let controller = Identity::load(&world.layout.identity(), &Peer::Controller).unwrap();
        let site = SiteId::new;
        let (alpha, bravo, charlie) = (site("alpha"), site("bravo"), site("charlie"));
        let lab = Self { api, alpha, bravo, charlie, world: Some(world), controller, _scratch: scratch };
        establish(lab.world(), |_| {}).await.unwrap();
        lab
    }

    pub fn world(&self) -> &World {
        self.world.as_ref().expect("only `down` takes it")
    }

    /// Stops everything in order; nothing may have had to be killed.
    pub async fn down(mut self) {
        let complaints = self.world.take().unwrap().down().await;
        assert_eq!(complaints, Vec::<String>::new());
    }

    pub fn lease(&self) -> Duration {
        self.world().topology.timing.lease
    }

    /// A writer whose last renewal was sent at `stopped` or before has no right after this.
    pub fn last_right(&self, stopped: Time) -> Time {
        stopped + Terms::new(&self.world().topology.timing).right()
    }

    /// The agent itself, past every link, called as the controller.
    pub fn agent(&self, site: &SiteId) -> AgentClient {
        let addresses = &self.world().addresses;
        let at = (addresses.real(site), addresses.agent_port()).into();
        AgentClient::new(&self.controller, site.clone(), at, ASK).unwrap()
    }

    /// The database of `site` as an application there reaches it.
    pub fn gate(&self, site: &SiteId) -> tokio_postgres::Config {
        let world = self.world();
        let mut config = tokio_postgres::Config::new();
        let host = world.addresses.real(site).to_string();
        config.host(host).port(world.addresses.gate_port()).user(controller::agent::APPLICATION_ROLE);
        config.password(&world.layout.application_password).dbname(&world.topology.database().1.database);
        config
    }

    pub async fn report(&self, site: &SiteId) -> Option<SiteReport> {
        self.agent(site).report(ASK).await.ok()
    }

    pub async fn state(&self, site: &SiteId) -> Option<DatabaseState> {
        Some(self.report(site).await?.database?.state)
    }

    /// The epoch in which `site` writes with its gate open.
    pub async fn writes(&self, site: &SiteId) -> Option<Epoch> {
        match self.state(site).await? {
            DatabaseState::Writing { epoch, gate: true, .. } => Some(epoch),
            _ => None,
        }
    }

    pub async fn wait_writing(&self, site: &SiteId) -> Epoch {
        let mut epoch = None;
        wait_for("a writer", PATIENCE, async || {
            epoch = self.writes(site).await;
            epoch.is_some()
        })
        .await
        .unwrap_or_else(|e| panic!("{site}: {e}"));
        epoch.unwrap()
    }

    pub async fn wait_fenced(&self, site: &SiteId) {
        let mut last = None;
        let fenced = wait_for("a fenced site", PATIENCE, async || {
            last = self.state(site).await;
            matches!(last, Some(DatabaseState::Fenced { receipt: Some(_), .. }))
        });
        fenced.await.unwrap_or_else(|e| panic!("{site}: {e}: {last:?}"));
    }

    /// Every process of a site.
    pub fn members(&self, site: &SiteId) -> Vec<i32> {
        let layout = &self.world().layout;
        death::members(&layout.mark(site), Some(&layout.data(site)))
    }
    pub fn servers(&self, site: &SiteId) -> Vec<i32> {
        drivers::process::of_directory(&self.world().layout.data(site)).unwrap()
    }
    pub fn watchdog(&self, site: &SiteId) -> i32 {
        self.by_argument(site, "--tied").expect("a watchdog")
    }
    pub fn agent_pid(&self, site: &SiteId) -> Option<i32> {
        self.by_argument(site, "--child")
    }
    pub fn postmaster(&self, site: &SiteId) -> i32 {
        let file = self.world().layout.data(site).join("postmaster.pid");
        std::fs::read_to_string(file).unwrap().lines().next().unwrap().trim().parse().unwrap()
    }

    fn by_argument(&self, site: &SiteId, argument: &str) -> Option<i32> {
        let has = |pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|word| word == argument.as_bytes())
        };
        death::members(&self.world().layout.mark(site), None).into_iter().find(has)
    }
}

/// A panic leaves nothing behind either; stopped processes die of SIGKILL too.
impl Drop for Lab {
    fn drop(&mut self) {
        let Some(world) = &self.world else { return };
        for site in world.topology.sites.iter().map(|site| &site.id) {
            let log = world.layout.site(site).join("logs").join("agent.log");
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            eprintln!("--- {site}\n{}", lines[lines.len().saturating_sub(25)..].join("\n"));
            let _ = death::kill(&world.layout.mark(site), Some(&world.layout.data(site)));
        }
        let _ = death::kill(&format!("{}/controller", world.layout.lab), None);
    }
}

pub fn stop(pid: i32) -> Time {
    death::signal(&[pid], Signal::STOP);
    clock::now()
}
pub fn go_on(pid: i32) {
    death::signal(&[pid], Signal::CONT);
}
pub fn kill(pid: i32) {
    death::signal(&[pid], Signal::KILL);
}

/// Until none of these processes runs any more; a zombie does not.
pub async fn wait_gone(pids: &[i32]) {
    let runs = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().is_empty() && !rest.trim_start().starts_with('Z'))
    };
    let mut left = BTreeSet::new();
    let gone = wait_for("their end", PATIENCE, async || {
        left = pids.iter().copied().filter(runs).collect();
        left.is_empty()
    });
    gone.await.unwrap_or_else(|e| panic!("{e}: {left:?}"));
}
