//! What the controller is told at its start.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::RoutingAddresses;
use model::{SiteId, Topology};
use serde::{Deserialize, Serialize};

use super::ControllerError;

/// A JSON file. Paths in it are taken as they stand.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControllerConfig {
    pub topology: TopologySource,
    /// Each site's agent, as reached from here.
    pub agents: BTreeMap<SiteId, SocketAddr>,
    /// Where operators reach the controller.
    pub listen: SocketAddr,
    /// Directory of certificates; see [`crate::identity`].
    pub identity: PathBuf,
    pub journal: PathBuf,
    /// Each region's load balancer as clients see it.
    pub addresses: RoutingAddresses,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TopologySource {
    /// An `antipode.yaml`.
    File(PathBuf),
    /// What the lab has read already.
    Inline(Box<Topology>),
}

impl ControllerConfig {
    pub fn load(path: &Path) -> Result<Self, ControllerError> {
        let text = read(path)?;
        let config = serde_json::from_str(&text);
        config.map_err(|e| ControllerError::Config { path: path.to_path_buf(), why: e.to_string() })
    }
}

impl ControllerConfig {
    /// Every site's agent can be called, and every region can be routed to.
    pub(super) fn check(&self, topology: &Topology) -> Result<(), ControllerError> {
        let missing = |what, site: &SiteId| Err(ControllerError::NoAddress { what, site: site.clone() });
        if let Some(site) = topology.sites.iter().find(|site| !self.agents.contains_key(&site.id)) {
            return missing("the agent", &site.id);
        }
        let routable = |site: &SiteId| self.addresses.get(site).is_some_and(|addresses| !addresses.is_empty());
        match topology.regions().find(|site| !routable(&site.id)) {
            Some(site) => missing("the load balancer", &site.id),
            None => Ok(()),
        }
    }
}

impl TopologySource {
    pub(super) fn load(&self) -> Result<Arc<Topology>, ControllerError> {
        match self {
            TopologySource::Inline(topology) => Ok(Arc::new(topology.as_ref().clone())),
            TopologySource::File(path) => {
                let parsed = model::spec::parse(&read(path)?);
                parsed.map(Arc::new).map_err(|problems| {
                    let why = problems
                        .iter()
                        .map(|p| format!("line {}: {}", p.span.line, p.message))
                        .collect::<Vec<_>>()
                        .join("; ");
                    ControllerError::Config { path: path.clone(), why }
                })
            }
        }
    }
}

fn read(path: &Path) -> Result<String, ControllerError> {
    std::fs::read_to_string(path).map_err(|source| ControllerError::File { path: path.to_path_buf(), source })
}
