//! The link matrix and packet loss by the kernel itself: three real agents and a controller in network namespaces.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use antipode_lab::world::{Addresses, Layout, death, follow, serves, wait_for};
use controller::api::ApiClient;
use controller::clock;
use controller::identity::{Authority, Identity, Peer};
use controller::rpc::AgentClient;
use controller::shell::{ControllerConfig, TopologySource};
use drivers::secrets::{SecretStore, SecretValue};
use engine::Request;
use model::{DatabaseState, Epoch, SiteId, Topology};
use tokio::process::Child;

use crate::quorum::Quorums;
use crate::site::{PATIENCE, kill, programs, spec, wait_gone};
use crate::spaces::Spaces;
use crate::table;
use crate::writer::{Writers, connect, epoch_began_at};

const ASK: Duration = Duration::from_secs(3);

struct Lab {
    spaces: Spaces,
    topology: Arc<Topology>,
    layout: Layout,
    addresses: Addresses,
    controller: Identity,
    api: ApiClient,
    children: Vec<Child>,
    sites: [SiteId; 3],
    _scratch: tempfile::TempDir,
}

impl Lab {
    /// `None`, and the reason said aloud, where the machine does not let us make namespaces.
    async fn up(spec: &str) -> Option<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sites = ["alpha", "bravo", "charlie"].map(SiteId::new);
        let spaces = match Spaces::make(&sites) {
            Ok(spaces) => spaces,
            Err(why) => {
                eprintln!("SKIPPED: no network namespaces here, so nothing was tested: {why}");
                return None;
            }
        };
        let topology = Arc::new(model::spec::parse(spec).expect("the test's spec is right"));
        let (scratch, programs) = (tempfile::tempdir().unwrap(), programs());
        let layout = Layout::load_or_new(scratch.path(), &programs).unwrap();
        layout.make_folders(&topology).unwrap();
        let addresses = Addresses::find(&topology, None).unwrap();
        let authority = Authority::create(&layout.identity(), &topology.workload).unwrap();
        Peer::everybody(&topology).iter().for_each(|peer| authority.issue(peer).unwrap());
        let controller = Identity::load(&layout.identity(), &Peer::Controller).unwrap();
        let ana = Identity::load(&layout.identity(), &Peer::Operator("ana".into())).unwrap();
        let at = (spaces.of(&sites[2]), addresses.controller_port()).into();
        let api = ApiClient::new(&ana, at, ASK).unwrap();
        let mut lab =
            Self { spaces, topology, layout, addresses, controller, api, children: vec![], sites, _scratch: scratch };
        lab.start(&programs.join("antipode")).await;
        Some(lab)
    }

    async fn start(&mut self, program: &std::path::Path) {
        for site in self.sites.clone() {
            let config = self.layout.agent(&self.topology, &self.addresses, &site).unwrap();
            let mut config = serde_json::to_value(config).unwrap();
            self.spaces.translate(&mut config);
            if !config["database"].is_null() {
                config["database"]["allow_from"] = serde_json::json!([self.spaces.network()]);
                self.put_secrets(&site);
            }
            let file = self.layout.agent_file(&site);
            self.layout.write_private(&file, &config.to_string()).unwrap();
            self.spawn(&site, program, "agent", &file, &self.layout.mark(&site));
        }
        let mut config = serde_json::to_value(self.controller_config()).unwrap();
        self.spaces.translate(&mut config);
        let file = self.layout.controller().join("controller.json");
        self.layout.write_private(&file, &config.to_string()).unwrap();
        let witness = self.sites[2].clone();
        self.spawn(&witness, program, "controller", &file, &format!("{}/controller", self.layout.lab));

        wait_for("a report of every site", PATIENCE, async || {
            self.api.status().await.is_ok_and(|status| status.sites.iter().all(|site| site.reported.is_some()))
        })
        .await
        .unwrap();
        let granted = self.api.request(&Request::Establish).await.unwrap();
        follow(&self.api, 1, granted.run.unwrap(), &|_| {}).await.unwrap();
        wait_for("a workload that serves", PATIENCE * 2, async || {
            self.api.status().await.is_ok_and(|status| serves(&status))
        })
        .await
        .unwrap();
    }

    fn controller_config(&self) -> ControllerConfig {
        let agent = |site: &SiteId| (self.addresses.real(site), self.addresses.agent_port()).into();
        let regions = self.topology.regions().map(|site| (site.id.clone(), vec![self.addresses.public(&site.id)]));
        ControllerConfig {
            topology: TopologySource::Inline(Box::new(self.topology.as_ref().clone())),
            agents: self.sites.iter().map(|site| (site.clone(), agent(site))).collect(),
            listen: (self.addresses.real(&self.sites[2]), self.addresses.controller_port()).into(),
            identity: self.layout.identity(),
            journal: self.layout.controller().join("journal.sqlite"),
            addresses: regions.collect::<BTreeMap<_, _>>(),
        }
    }

    fn put_secrets(&self, site: &SiteId) {
        let secret = model::ComponentId::new("api-secret");
        let folder = self.layout.site(site).join("state").join("secrets");
        let store = SecretStore::open(folder, &self.topology.workload, [secret.clone()].into()).unwrap();
        store.put(&secret, &SecretValue::new("the same in every region")).unwrap();
    }

    fn spawn(&mut self, site: &SiteId, program: &std::path::Path, what: &str, config: &std::path::Path, mark: &str) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log(site, what)).unwrap();
        let mut command = self.spaces.command(site, program);
        command.arg(what).arg("--config").arg(config).arg("--tied").env(death::MARK, mark);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).stderr(log);
        self.children.push(command.process_group(0).kill_on_drop(true).spawn().unwrap());
    }

    fn log(&self, site: &SiteId, what: &str) -> std::path::PathBuf {
        self.layout.site(site).join("logs").join(format!("{what}.log"))
    }

    fn agent(&self, site: &SiteId) -> AgentClient {
        let at = (self.spaces.of(site), self.addresses.agent_port()).into();
        AgentClient::new(&self.controller, site.clone(), at, ASK).unwrap()
    }

    fn gate(&self, site: &SiteId) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        let host = self.spaces.of(site).to_string();
        config.host(host).port(self.addresses.gate_port()).user(controller::agent::APPLICATION_ROLE);
        config.password(&self.layout.application_password).dbname(&self.topology.database().1.database);
        config
    }

    async fn state(&self, site: &SiteId) -> Option<DatabaseState> {
        Some(self.agent(site).report(ASK).await.ok()?.database?.state)
    }

    /// The epoch in which `site` writes with its gate open, and its smallest lease margin.
    async fn writes(&self, site: &SiteId) -> Option<(Epoch, Duration)> {
        match self.state(site).await? {
            DatabaseState::Writing { epoch, gate: true, lowest_margin, .. } => Some((epoch, lowest_margin)),
            _ => None,
        }
    }

    async fn wait_writing(&self, site: &SiteId) -> Epoch {
        let mut epoch = None;
        wait_for("a writer", PATIENCE, async || {
            epoch = self.writes(site).await;
            epoch.is_some()
        })
        .await
        .unwrap_or_else(|e| panic!("{site}: {e}"));
        epoch.unwrap().0
    }

    /// Ends the agent with SIGKILL; its watchdog starts the next one.
    async fn restart(&self, site: &SiteId) {
        let is_agent = |pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|word| word == b"--child")
        };
        let agent = death::members(&self.layout.mark(site), None).into_iter().find(is_agent).expect("an agent");
        kill(agent);
        wait_gone(&[agent]).await;
        wait_for("the next agent", PATIENCE, async || self.agent(site).report(ASK).await.is_ok()).await.unwrap();
    }

    fn lease(&self) -> Duration {
        self.topology.timing.lease
    }

    async fn pass(&self, time: Duration) {
        let until = clock::now() + time;
        wait_for("time to pass", PATIENCE, async || clock::now() >= until).await.unwrap();
    }
}

/// Processes first, then the namespaces that they were in; what they said is shown when the test failed.
impl Drop for Lab {
    fn drop(&mut self) {
        let marks = self.sites.iter().map(|site| (self.layout.mark(site), Some(self.layout.data(site))));
        for (mark, data) in marks.chain([(format!("{}/controller", self.layout.lab), None)]) {
            let _ = death::kill(&mark, data.as_deref());
        }
        if std::thread::panicking() {
            for site in &self.sites {
                let text = std::fs::read_to_string(self.log(site, "agent")).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                eprintln!("--- {site}\n{}", lines[lines.len().saturating_sub(25)..].join("\n"));
            }
        }
    }
}

/// The cheapest of them: the writer is not heard by the witness, whose agent restarts; a twentieth of all packets lost;
/// then the writer mute towards both others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_lost_by_the_kernel_make_neither_two_writers_nor_a_needless_failover() {
    let Some(lab) = Lab::up(&patient()).await else { return };
    let [a, b, w] = &lab.sites;
    let mut watched = Watched::start(&lab).await;
    watched.cut(&[(a, w)]).await;
    watched.lose_five_percent(2).await;
    watched.mute(b, w).await;
}

/// All of them: each one-way and two-way cut of each link.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "four minutes: `bin/bench links`"]
async fn every_cut_by_the_kernel() {
    let Some(lab) = Lab::up(&patient()).await else { return };
    let [a, b, w] = &lab.sites;
    let mut watched = Watched::start(&lab).await;
    for (one, other) in [(a, b), (a, w), (b, w)] {
        for ways in [vec![(one, other)], vec![(other, one)], vec![(one, other), (other, one)]] {
            watched.cut(&ways).await;
        }
    }
    watched.lose_five_percent(4).await;
    watched.mute(b, w).await;
}

/// The writer hears nobody: what it says arrives, no answer does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute: `bin/bench links`"]
async fn a_writer_made_deaf_by_the_kernel() {
    let Some(lab) = Lab::up(&patient()).await else { return };
    let [a, b, w] = &lab.sites;
    let mut watched = Watched::start(&lab).await;
    watched.replaced("deaf", &[(b, a), (w, a)], b).await;
}

/// A restart of an agent on a busy machine takes a second; the writer may have one voter beside itself meanwhile.
fn patient() -> String {
    spec("automatic").replace("lease: 3s", "lease: 5s")
}

/// A lab whose first writer is under load, with somebody who looks for a second one.
struct Watched<'a> {
    lab: &'a Lab,
    epoch: Epoch,
    writers: Writers,
    quorums: Quorums,
}

impl<'a> Watched<'a> {
    async fn start(lab: &'a Lab) -> Self {
        let [a, b, _] = &lab.sites;
        let epoch = lab.wait_writing(a).await;
        let writers = Writers::at(lab.gate(a), 2).await;
        writers.wait_for(50).await;
        let quorums = Quorums::watch((a.clone(), lab.agent(a)), (b.clone(), lab.agent(b)));
        Self { lab, epoch, writers, quorums }
    }

    /// Packets vanish on these ways for longer than any promise made before, and the witness's agent restarts meanwhile.
    async fn cut(&mut self, ways: &[(&SiteId, &SiteId)]) {
        let (lab, began) = (self.lab, clock::now());
        let names: Vec<String> = ways.iter().map(|(from, to)| format!("{from} → {to}")).collect();
        ways.iter().for_each(|(from, to)| lab.spaces.lose(from, to));
        lab.restart(&lab.sites[2]).await;
        lab.pass(lab.lease() * 5 / 4).await;
        assert!(ways.iter().all(|(_, to)| lab.spaces.lost(to) > 0), "{ways:?}: no packet was lost");
        self.unmoved(&names.join(", "), began).await;
        lab.spaces.lose_nothing();
        lab.pass(Duration::from_secs(1)).await;
    }

    async fn lose_five_percent(&mut self, leases: u32) {
        let (lab, began) = (self.lab, clock::now());
        lab.sites.iter().for_each(|site| lab.spaces.lose_percent(site, 5));
        lab.pass(lab.lease() * leases).await;
        assert!(self.lost() > 20, "only {} packets were lost", self.lost());
        self.unmoved("5 % of all packets", began).await;
        lab.spaces.lose_nothing();
    }

    /// Heard by nobody, hearing everybody.
    async fn mute(&mut self, b: &SiteId, w: &SiteId) {
        let a = &self.lab.sites[0];
        self.replaced("mute", &[(a, b), (a, w)], b).await;
    }

    /// The writer has no majority on these ways: it gives way to `next`, and is fenced when the packets come again.
    async fn replaced(&mut self, name: &str, ways: &[(&SiteId, &SiteId)], next: &SiteId) {
        let (lab, a) = (self.lab, &self.lab.sites[0]);
        ways.iter().for_each(|(from, to)| lab.spaces.lose(from, to));
        lab.wait_writing(next).await;
        let began = epoch_began_at(&lab.gate(next)).await;
        let new = Writers::at(lab.gate(next), 2).await;
        new.wait_for(50).await;
        let (last, lost) = (self.writers.last(), self.lost());
        assert!(last < began, "{a} acknowledged at {last}, the next epoch began at {began}");
        lab.spaces.lose_nothing();
        wait_for("a fenced site", PATIENCE, async || {
            matches!(lab.state(a).await, Some(DatabaseState::Fenced { receipt: Some(_), .. }))
        })
        .await
        .unwrap();
        new.wait_for(50).await;
        assert!(self.writers.last() < began && connect(&lab.gate(a)).await.is_err());
        self.quorums.assert_at_most_one(50);
        let outcome = format!("{next} writes; the last answer of {a} left {:?} before", began.since(last));
        table::row("kernel", &format!("{a} {name}"), &format!("{lost} packets"), None, &outcome);
    }

    /// The writer goes on in its epoch, no session was cut, and no failover was begun.
    async fn unmoved(&self, name: &str, began: model::Time) {
        let (lab, lost) = (self.lab, self.lost());
        let (now, margin) = lab.writes(&lab.sites[0]).await.unwrap_or_else(|| panic!("{name}: nobody writes"));
        self.writers.wait_for(10).await;
        assert!(!self.writers.were_cut(began), "{name}: a session was cut");
        let gap = self.writers.longest_gap(began);
        table::row("kernel", name, &format!("{lost} packets"), Some((margin, gap)), "the writer goes on");
        assert_eq!(now, self.epoch, "{name}: another epoch");
        assert!(margin > Duration::ZERO, "{name}: the lease ran out");
        let journal = lab.api.journal(1, 1_000).await.unwrap();
        let records = journal.iter().filter_map(antipode_lab::world::record);
        let runs = records.filter(|record| matches!(record, engine::Record::RunStarted { .. })).count();
        assert_eq!(runs, 1, "{name}: only the first start may have run");
        self.quorums.assert_at_most_one(10);
    }

    fn lost(&self) -> u64 {
        self.lab.sites.iter().map(|site| self.lab.spaces.lost(site)).sum()
    }
}
