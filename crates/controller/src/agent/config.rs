//! What an agent is told at its start: who it is, where it listens, and where the others are as seen from its site.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use model::{ComponentId, SiteId, Topology};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentConfig {
    pub site: SiteId,
    pub topology: Topology,
    /// Certificates, see `identity`.
    pub identity: PathBuf,
    /// Promises, zone and secrets of this site.
    pub state: PathBuf,
    pub logs: PathBuf,
    /// Where other agents and the controller reach this one.
    pub listen: SocketAddr,
    pub dns: SocketAddr,
    /// Where clients reach this site's DNS server.
    pub name_server: Ipv4Addr,
    /// The other sites, as reached from here.
    pub peers: BTreeMap<SiteId, PeerAddresses>,
    pub fleets: BTreeMap<ComponentId, FleetPlace>,
    /// Only in regions.
    pub database: Option<DatabasePlace>,
    /// Where backups are kept, apart from every region's data; at the witness only.
    #[serde(default)]
    pub vault: Option<PathBuf>,
    /// Geolocation codes of client networks.
    pub geo: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeerAddresses {
    pub agent: SocketAddr,
    /// Where that region's PostgreSQL is reached for replication; regions only.
    pub replication: Option<SocketAddr>,
    /// Where its load balancer is reached, for the deep probe.
    pub front: Option<SocketAddr>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FleetPlace {
    /// The program, found.
    pub command: PathBuf,
    pub front: SocketAddr,
    /// One address for each zone.
    pub zones: BTreeMap<String, Ipv4Addr>,
    pub first_port: u16,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DatabasePlace {
    /// Holds the data directory, exports and the server's log.
    pub home: PathBuf,
    /// For the server's Unix socket and the lease file; nobody else may enter.
    pub run_dir: PathBuf,
    /// Listens for replication from the other region only.
    pub replication: SocketAddr,
    /// Networks from which the other regions come, in CIDR notation.
    pub allow_from: Vec<String>,
    /// Where applications connect.
    pub gate: SocketAddr,
    pub superuser_password: String,
    pub replica_password: String,
    pub application_password: String,
}

impl DatabasePlace {
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}", .file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("{} is not an agent's configuration", .file.display())]
    Parse { file: PathBuf, source: serde_json::Error },
}

impl AgentConfig {
    /// Whoever makes a workload that never was before leaves this file at each of its sites: no voter promised anything
    /// yet. Without it a voter that finds no promises takes them for lost. The agent removes it.
    pub fn first_start(&self) -> PathBuf {
        self.state.join("first-start")
    }

    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Read { file: file.into(), source })?;
        serde_json::from_str(&text).map_err(|source| ConfigError::Parse { file: file.into(), source })
    }
}
