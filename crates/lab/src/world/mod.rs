//! The lab: regions and a witness on one machine, as real processes with real links.
//!
//! Each site is an `antipode agent` under its watchdog; the witness also has the controller. Every byte that crosses
//! between sites, and between the clients outside and a site, goes through the fault proxy of this process. Children
//! are tied to us by a pipe: when this process ends, however that happens, they stop what they run and end.

pub mod death;
mod establish;
mod layout;
mod network;
mod plan;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use controller::agent::config::AgentConfig;
use controller::api::ApiClient;
use controller::identity::{Authority, Identity, IdentityError, Peer};
use controller::shell::{ControllerConfig, TopologySource};
use drivers::secrets::{SecretStore, SecretValue};
use model::{Person, SiteId, Topology};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

pub use establish::{establish, follow, record, serves};
pub use layout::{LabFile, Layout, LayoutError};
pub use network::{CLIENTS, links_of};
pub use plan::{Addresses, PortInUse};

use crate::proxy::Network;
use death::Survivors;

/// Why the lab cannot be brought up or changed.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error(transparent)]
    Ports(#[from] PortInUse),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Proxy(#[from] crate::proxy::ListenError),
    #[error(transparent)]
    Secret(#[from] drivers::secrets::SecretError),
    #[error(transparent)]
    Postgres(#[from] drivers::postgres::FindError),
    #[error("PostgreSQL: {0}")]
    RunAs(#[from] drivers::postgres::Error),
    #[error("cannot start {what}")]
    Start { what: String, source: std::io::Error },
    #[error(transparent)]
    Survivors(#[from] Survivors),
    #[error("{what} did not come about within {}", model::time::human(*.within))]
    Late { what: String, within: Duration },
    #[error("{0}")]
    Refused(String),
}

/// Longest that this machine may take to start a process; decides nothing about the workload.
const START_WITHIN: Duration = Duration::from_secs(60);
/// Longest that one question to the controller may take.
const ASK_WITHIN: Duration = Duration::from_secs(5);
/// Longest that a site may take to stop by itself when the lab ends.
const STOP_WITHIN: Duration = Duration::from_secs(8);

pub struct World {
    pub topology: Arc<Topology>,
    pub layout: Layout,
    pub addresses: Addresses,
    pub network: Network,
    /// This program: it is agent and controller too.
    program: PathBuf,
    children: Mutex<BTreeMap<Member, Child>>,
    secrets: BTreeMap<model::ComponentId, String>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Member {
    Agent(SiteId),
    Controller,
}

impl World {
    /// Makes certificates, folders and links below `root`, and starts every site and the controller. `beside` is where
    /// the spec stands; `base` the first port, or a free one.
    pub async fn up(
        topology: Arc<Topology>,
        beside: &Path,
        root: &Path,
        base: Option<u16>,
        program: &Path,
    ) -> Result<Self, WorldError> {
        drivers::postgres::find()?;
        drivers::postgres::unprivileged()?;
        let layout = Layout::load_or_new(root, beside)?;
        layout.make_folders(&topology)?;
        let addresses = Addresses::find(&topology, base)?;
        certify(&topology, &layout)?;
        let network = Network::new();
        network::lay(&network, &topology, &addresses).await?;
        let secrets = layout::secret_values(&topology);
        let program = program.to_path_buf();
        let world = Self { topology, layout, addresses, network, program, children: Mutex::default(), secrets };
        world.write_files()?;
        for site in world.topology.sites.iter().map(|site| site.id.clone()).collect::<Vec<_>>() {
            world.start_site(&site).await?;
        }
        world.start_controller(&[]).await?;
        Ok(world)
    }

    fn write_files(&self) -> Result<(), WorldError> {
        for site in &self.topology.sites {
            let config = self.write_site(&site.id)?;
            self.layout.mark_first_start(&config)?;
        }
        let text = serde_json::to_string_pretty(&self.controller_config()).expect("likewise");
        self.layout.write_private(&self.layout.controller().join("controller.json"), &text)?;
        let file = LabFile {
            workload: self.topology.workload.clone(),
            lab: self.layout.lab.clone(),
            addresses: self.addresses.clone(),
            controller: self.controller_address(),
            identity: self.layout.identity(),
        };
        let text = serde_json::to_string_pretty(&file).expect("likewise");
        Ok(self.layout.write_private(&self.layout.root.join("lab.json"), &text)?)
    }

    fn write_site(&self, site: &SiteId) -> Result<AgentConfig, WorldError> {
        let config = self.layout.agent(&self.topology, &self.addresses, site)?;
        let text = serde_json::to_string_pretty(&config).expect("a configuration is JSON");
        self.layout.write_private(&self.layout.agent_file(site), &text)?;
        if config.database.is_some() {
            self.put_secrets(site)?;
        }
        Ok(config)
    }

    /// Removes all that a site has on its disks, of which nothing may run: how many files of how many bytes. Certificates
    /// are the authority's matter, and stay.
    pub fn wipe_site(&self, site: &SiteId) -> Result<(usize, u64), WorldError> {
        let folder = self.layout.site(site);
        let size = size(&folder);
        let what = || format!("the loss of {}", folder.display());
        std::fs::remove_dir_all(&folder).map_err(|source| WorldError::Start { what: what(), source })?;
        Ok(size)
    }

    /// Prepares an empty machine for a site: folders, configuration and secrets. Its voter is not told that it never was
    /// before, because it may have promised something.
    pub fn provision_site(&self, site: &SiteId) -> Result<(), WorldError> {
        self.layout.make_folders(&self.topology)?;
        self.write_site(site).map(drop)
    }

    /// The same secrets in every region; a value that is there already stays.
    fn put_secrets(&self, site: &SiteId) -> Result<(), WorldError> {
        let declared = self.secrets.keys().cloned().collect();
        let folder = self.layout.site(site).join("state").join("secrets");
        let store = SecretStore::open(folder, &self.topology.workload, declared)?;
        for (id, value) in &self.secrets {
            if store.get(id)?.is_none() {
                store.put(id, &SecretValue::new(value.clone()))?;
            }
        }
        Ok(())
    }

    fn controller_config(&self) -> ControllerConfig {
        let witness = self.topology.witness();
        let agent =
            |site: &SiteId| SocketAddr::from((self.addresses.across(witness, site), self.addresses.agent_port()));
        let regions = self.topology.regions().map(|site| (site.id.clone(), vec![self.addresses.public(&site.id)]));
        ControllerConfig {
            topology: TopologySource::Inline(Box::new(self.topology.as_ref().clone())),
            agents: self.topology.sites.iter().map(|site| (site.id.clone(), agent(&site.id))).collect(),
            listen: self.controller_address(),
            identity: self.layout.identity(),
            journal: self.layout.controller().join("journal.sqlite"),
            addresses: regions.collect(),
        }
    }

    pub fn controller_address(&self) -> SocketAddr {
        SocketAddr::from((self.addresses.real(self.topology.witness()), self.addresses.controller_port()))
    }

    pub async fn start_site(&self, site: &SiteId) -> Result<(), WorldError> {
        let log = self.layout.site(site).join("logs").join("agent.log");
        let mut command = self.command(&log, &self.layout.mark(site))?;
        command.arg("agent").arg("--config").arg(self.layout.agent_file(site)).arg("--tied");
        self.spawn(Member::Agent(site.clone()), command, &format!("the agent of {site}")).await
    }

    /// `env` is for drills that make it crash.
    pub async fn start_controller(&self, env: &[(&str, &str)]) -> Result<(), WorldError> {
        let log = self.layout.controller().join("controller.log");
        let mut command = self.command(&log, &format!("{}/controller", self.layout.lab))?;
        command.arg("controller").arg("--config").arg(self.layout.controller().join("controller.json")).arg("--tied");
        command.envs(env.iter().copied());
        self.spawn(Member::Controller, command, "the controller").await
    }

    fn command(&self, log: &Path, mark: &str) -> Result<Command, WorldError> {
        let open = || {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
            Ok::<_, std::io::Error>(Stdio::from(file))
        };
        let failed = |source| WorldError::Start { what: format!("a process that logs to {}", log.display()), source };
        let mut command = Command::new(&self.program);
        command.env(death::MARK, mark).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(open().map_err(failed)?);
        // Ctrl-C on our terminal is for us: we stop the sites in order.
        command.process_group(0);
        Ok(command)
    }

    async fn spawn(&self, member: Member, mut command: Command, what: &str) -> Result<(), WorldError> {
        let child = command.spawn().map_err(|source| WorldError::Start { what: what.into(), source })?;
        self.children.lock().await.insert(member, child);
        Ok(())
    }

    /// Whether the controller's process has ended, and how.
    pub async fn controller_ended(&self) -> Option<std::process::ExitStatus> {
        let mut children = self.children.lock().await;
        children.get_mut(&Member::Controller).and_then(|child| child.try_wait().ok().flatten())
    }

    pub async fn kill_controller(&self) {
        if let Some(mut child) = self.children.lock().await.remove(&Member::Controller) {
            let _ = child.kill().await;
        }
    }

    /// SIGKILL to everything in the site, until nothing is left; says how many processes that were.
    pub async fn kill_site(&self, site: &SiteId) -> Result<usize, WorldError> {
        let (mark, data) = (self.layout.mark(site), self.layout.data(site));
        let killed = tokio::task::spawn_blocking(move || death::kill(&mark, Some(&data))).await;
        if let Some(mut child) = self.children.lock().await.remove(&Member::Agent(site.clone())) {
            let _ = child.wait().await;
        }
        Ok(killed.expect("killing does not panic")?)
    }

    /// An operator's view of the controller.
    pub fn operator(&self, person: &Person) -> Result<ApiClient, WorldError> {
        let identity = Identity::load(&self.layout.identity(), &Peer::Operator(person.clone()))?;
        Ok(ApiClient::new(&identity, self.controller_address(), ASK_WITHIN)?)
    }

    /// Until the controller answers and has heard from every site.
    pub async fn wait_until_reported(&self, api: &ApiClient) -> Result<(), WorldError> {
        let all = self.topology.sites.len();
        let what = "a report of every site";
        wait_for(what, START_WITHIN, async || {
            api.status()
                .await
                .is_ok_and(|status| status.sites.iter().filter(|site| site.reported.is_some()).count() == all)
        })
        .await
    }

    /// Stops everything in order; what does not stop is killed. Says what had to be killed or was left.
    pub async fn down(self) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut children = std::mem::take(&mut *self.children.lock().await);
        if let Some(child) = children.remove(&Member::Controller) {
            complaints.extend(stop("the controller", child).await);
        }
        let stops = children.into_iter().map(|(member, child)| {
            let name = match &member {
                Member::Agent(site) => site.to_string(),
                Member::Controller => "the controller".into(),
            };
            tokio::spawn(async move { stop(&name, child).await })
        });
        for stopped in stops.collect::<Vec<_>>() {
            complaints.extend(stopped.await.ok().flatten());
        }
        for site in self.topology.sites.iter().map(|site| &site.id) {
            let left = death::members(&self.layout.mark(site), Some(&self.layout.data(site)));
            if !left.is_empty() {
                complaints.push(format!("{site}: processes {left:?} were left and killed"));
                let _ = death::kill(&self.layout.mark(site), Some(&self.layout.data(site)));
            }
        }
        self.network.close().await;
        complaints
    }
}

/// Files below a folder, and their bytes.
fn size(folder: &Path) -> (usize, u64) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.fold((0, 0), |(files, bytes), entry| match entry.metadata() {
        Ok(known) if known.is_dir() => {
            let (more, larger) = size(&entry.path());
            (files + more, bytes + larger)
        }
        Ok(known) => (files + 1, bytes + known.len()),
        Err(_) => (files, bytes),
    })
}

/// Closes the pipe that ties the child to us, which asks it to stop.
async fn stop(name: &str, mut child: Child) -> Option<String> {
    drop(child.stdin.take());
    match tokio::time::timeout(STOP_WITHIN, child.wait()).await {
        Ok(_) => None,
        Err(_) => {
            let _ = child.kill().await;
            Some(format!("{name} did not stop within {} and was killed", model::time::human(STOP_WITHIN)))
        }
    }
}

/// Certificates for everybody. Whoever has one keeps it; who is new in the spec gets one.
fn certify(topology: &Topology, layout: &Layout) -> Result<(), WorldError> {
    let identity = layout.identity();
    let has_one = |peer: &Peer| identity.join(format!("{}.pem", peer.name())).exists();
    let new: Vec<Peer> = Peer::everybody(topology).into_iter().filter(|peer| !has_one(peer)).collect();
    if new.is_empty() {
        // The authority's key may be where it should be by now: elsewhere.
        return Ok(());
    }
    let authority = match identity.join("ca.pem").exists() {
        true => Authority::open(&identity, &topology.workload)?,
        false => Authority::create(&identity, &topology.workload)?,
    };
    for peer in new {
        authority.issue(&peer)?;
    }
    Ok(())
}

/// Asks again until it is so.
pub async fn wait_for(what: &str, within: Duration, mut so: impl AsyncFnMut() -> bool) -> Result<(), WorldError> {
    let until = tokio::time::Instant::now() + within;
    while !so().await {
        if tokio::time::Instant::now() >= until {
            return Err(WorldError::Late { what: what.into(), within });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
