//! The files of a lab: certificates, each site's configuration, state and logs.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use controller::agent::config::{AgentConfig, DatabasePlace, FleetPlace, PeerAddresses};
use model::topology::{ComponentKind, SiteRole};
use model::{ComponentId, SiteId, Topology};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::plan::Addresses;

/// What a command line needs to find a running workload; kept as `lab.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LabFile {
    pub workload: String,
    pub lab: String,
    pub addresses: Addresses,
    pub controller: SocketAddr,
    pub identity: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    #[error("cannot {doing} {}", .path.display())]
    File { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the program `{command}` of {component} is neither beside the spec, nor beside antipode, nor in PATH")]
    NoProgram { component: ComponentId, command: String },
}

/// The folders and secrets of one lab; the secrets are kept as `private.json` for the next start.
#[derive(Clone, Serialize, Deserialize)]
pub struct Layout {
    pub root: PathBuf,
    /// Where the spec stands: programs are looked for there.
    pub beside: PathBuf,
    /// Marks this lab's processes.
    pub lab: String,
    superuser_password: String,
    replica_password: String,
    pub application_password: String,
    /// Made now: there was no earlier start.
    #[serde(skip)]
    fresh: bool,
}

impl Layout {
    /// The layout of an earlier start below `root`, or a new one.
    pub fn load_or_new(root: &Path, beside: &Path) -> Result<Self, LayoutError> {
        let path = root.join("private.json");
        let kept = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let fresh = Self::new(root, beside);
        if let Some(kept) = kept {
            return Ok(Self { beside: beside.into(), lab: fresh.lab, root: root.into(), ..kept });
        }
        std::fs::create_dir_all(root).map_err(file("make", root))?;
        let text = serde_json::to_string(&fresh).expect("a layout is JSON");
        fresh.write_private(&path, &text)?;
        Ok(fresh)
    }

    fn new(root: &Path, beside: &Path) -> Self {
        let password = || (0..32).map(|_| rand::rng().sample(rand::distr::Alphanumeric) as char).collect::<String>();
        Self {
            root: root.into(),
            beside: beside.into(),
            lab: format!("{}-{:08x}", std::process::id(), rand::rng().random::<u32>()),
            superuser_password: password(),
            replica_password: password(),
            application_password: password(),
            fresh: true,
        }
    }

    pub fn identity(&self) -> PathBuf {
        self.root.join("identity")
    }
    pub fn controller(&self) -> PathBuf {
        self.root.join("controller")
    }
    pub fn site(&self, site: &SiteId) -> PathBuf {
        self.root.join("sites").join(site.as_str())
    }
    pub fn data(&self, site: &SiteId) -> PathBuf {
        self.site(site).join("postgres").join("data")
    }
    pub fn agent_file(&self, site: &SiteId) -> PathBuf {
        self.site(site).join("agent.json")
    }
    pub fn mark(&self, site: &SiteId) -> String {
        format!("{}/{site}", self.lab)
    }

    /// Folders that others may pass through, because PostgreSQL runs as another user; keys and passwords are in files
    /// that only we may read.
    pub fn make_folders(&self, topology: &Topology) -> Result<(), LayoutError> {
        let shared = topology.sites.iter().flat_map(|site| [self.site(&site.id), self.site(&site.id).join("run")]);
        let own = topology
            .sites
            .iter()
            .flat_map(|site| [self.site(&site.id).join("state"), self.site(&site.id).join("logs")]);
        for folder in
            [self.root.clone(), self.root.join("sites"), self.controller()].into_iter().chain(shared).chain(own)
        {
            std::fs::create_dir_all(&folder).map_err(file("make", &folder))?;
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&folder, mode).map_err(file("open up", &folder))?;
        }
        Ok(())
    }

    /// Tells the agents of a workload that never was before that their voters have nothing to remember.
    pub fn mark_first_start(&self, config: &AgentConfig) -> Result<(), LayoutError> {
        if self.fresh { self.write_private(&config.first_start(), "") } else { Ok(()) }
    }

    pub fn agent(&self, topology: &Topology, addresses: &Addresses, site: &SiteId) -> Result<AgentConfig, LayoutError> {
        let at = |address: Ipv4Addr, port: u16| SocketAddr::from((address, port));
        let region = |id: &SiteId| topology.is_region(id);
        let peer = |other: &SiteId| PeerAddresses {
            agent: at(addresses.across(site, other), addresses.agent_port()),
            replication: region(other).then(|| at(addresses.across(site, other), addresses.replication_port())),
            front: region(other).then(|| at(addresses.across(site, other), addresses.front_port(0))),
        };
        let others = topology.sites.iter().map(|other| &other.id).filter(|other| *other != site);
        Ok(AgentConfig {
            site: site.clone(),
            topology: topology.clone(),
            identity: self.identity(),
            state: self.site(site).join("state"),
            logs: self.site(site).join("logs"),
            listen: at(addresses.real(site), addresses.agent_port()),
            dns: at(addresses.real(site), addresses.dns_port()),
            name_server: addresses.public(site),
            peers: others.map(|other| (other.clone(), peer(other))).collect(),
            fleets: if region(site) { self.fleets(topology, addresses, site)? } else { BTreeMap::new() },
            database: region(site).then(|| self.database(addresses, site)),
            // At the witness, which no region's death or database reaches.
            vault: (site == topology.witness()).then(|| self.site(site).join("vault")),
            geo: BTreeMap::new(),
        })
    }

    fn fleets(
        &self,
        topology: &Topology,
        addresses: &Addresses,
        site: &SiteId,
    ) -> Result<BTreeMap<ComponentId, FleetPlace>, LayoutError> {
        let zones = match topology.site(site).map(|s| &s.role) {
            Some(SiteRole::Region { zones, .. }) => zones.clone(),
            _ => Vec::new(),
        };
        let place = |(n, (id, fleet)): (usize, (&ComponentId, &model::topology::Fleet))| {
            let command = find_program(&fleet.command, &self.beside)
                .ok_or_else(|| LayoutError::NoProgram { component: id.clone(), command: fleet.command.clone() })?;
            let front = SocketAddr::from((addresses.real(site), addresses.front_port(n)));
            let zones = zones.iter().enumerate().map(|(z, name)| (name.clone(), addresses.zone(site, z))).collect();
            Ok((id.clone(), FleetPlace { command, front, zones, first_port: addresses.instance_port(n) }))
        };
        topology.fleets().enumerate().map(place).collect()
    }

    fn database(&self, addresses: &Addresses, site: &SiteId) -> DatabasePlace {
        let at = |port| SocketAddr::from((addresses.real(site), port));
        DatabasePlace {
            home: self.site(site).join("postgres"),
            run_dir: self.site(site).join("run").join("pg"),
            replication: at(addresses.replication_port()),
            // The fault proxy's connections come from any loopback address.
            allow_from: vec!["127.0.0.0/8".into()],
            gate: at(addresses.gate_port()),
            superuser_password: self.superuser_password.clone(),
            replica_password: self.replica_password.clone(),
            application_password: self.application_password.clone(),
        }
    }

    /// Writes what only we may read.
    pub fn write_private(&self, path: &Path, text: &str) -> Result<(), LayoutError> {
        std::fs::write(path, text).map_err(file("write", path))?;
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, mode).map_err(file("protect", path))
    }
}

fn file(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> LayoutError {
    let path = path.to_path_buf();
    move |source| LayoutError::File { doing, path, source }
}

/// A program beside the spec, beside this binary, or in PATH.
fn find_program(command: &str, beside: &Path) -> Option<PathBuf> {
    let binary = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [Some(beside.to_path_buf()), binary].into_iter().flatten().chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join(command)).find(|program| {
        std::fs::metadata(program).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    })
}

/// The secrets that `topology` declares, each with a value of its own, the same in every region.
pub fn secret_values(topology: &Topology) -> BTreeMap<ComponentId, String> {
    let secrets = topology.components.iter().filter(|c| matches!(c.kind, ComponentKind::Secret(_)));
    secrets
        .map(|c| (c.id.clone(), (0..32).map(|_| rand::rng().sample(rand::distr::Alphanumeric) as char).collect()))
        .collect()
}
