//! Addresses: where everything of the lab listens, and under which address each site sees each other.
//!
//! Site number R has its real listeners on 127.0.R.1. What site F sees of site T is 127.0.F.(100+T), and clients outside
//! see site R at 127.0.R.10: both are listeners of the fault proxy. A service has the same port at all its addresses.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use model::{SiteId, Topology};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Ports are taken from below the kernel's ephemeral range, so that no outgoing connection takes them first.
const LOWEST_BASE: u16 = 20_000;
const HIGHEST_BASE: u16 = 32_000;
/// Instances' ports, from here on up.
const FLEETS: u16 = 20;
/// Ports of one lab.
const SPAN: u16 = 200;

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct PortInUse {
    pub address: SocketAddr,
    #[source]
    pub source: std::io::Error,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Addresses {
    pub base: u16,
    numbers: BTreeMap<SiteId, u8>,
}

impl Addresses {
    /// The addresses above port `base`, or above a free random one, with every real listener's port tried.
    ///
    /// # Errors
    /// The first address in use, when `base` was asked for.
    pub fn find(topology: &Topology, base: Option<u16>) -> Result<Self, PortInUse> {
        let number = |(at, site): (usize, &model::topology::Site)| (site.id.clone(), at as u8 + 1);
        let regions_first = topology.regions().chain(topology.sites.iter().filter(|s| s.id == *topology.witness()));
        let numbers: BTreeMap<SiteId, u8> = regions_first.enumerate().map(number).collect();
        if let Some(base) = base {
            let addresses = Self { base, numbers };
            return addresses.try_all().map(|()| addresses);
        }
        let mut last = None;
        for _ in 0..100 {
            let base = rand::rng().random_range(LOWEST_BASE..HIGHEST_BASE);
            let addresses = Self { base, numbers: numbers.clone() };
            match addresses.try_all() {
                Ok(()) => return Ok(addresses),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("a hundred tries leave an error"))
    }

    fn try_all(&self) -> Result<(), PortInUse> {
        for number in self.numbers.values() {
            for port in self.base..self.base + SPAN {
                let address = SocketAddr::from((Ipv4Addr::new(127, 0, *number, 1), port));
                TcpListener::bind(address).map_err(|source| PortInUse { address, source })?;
            }
            let address = SocketAddr::from((Ipv4Addr::new(127, 0, *number, 1), self.dns_port()));
            UdpSocket::bind(address).map_err(|source| PortInUse { address, source })?;
        }
        Ok(())
    }

    pub fn number(&self, site: &SiteId) -> u8 {
        self.numbers[site]
    }
    pub fn sites(&self) -> impl Iterator<Item = &SiteId> {
        self.numbers.keys()
    }
    pub fn real(&self, site: &SiteId) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, self.number(site), 1)
    }
    /// `to` as it is reached from inside `from`.
    pub fn across(&self, from: &SiteId, to: &SiteId) -> Ipv4Addr {
        if from == to { self.real(to) } else { Ipv4Addr::new(127, 0, self.number(from), 100 + self.number(to)) }
    }
    /// `site` as it is reached by clients outside.
    pub fn public(&self, site: &SiteId) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, self.number(site), 10)
    }
    pub fn zone(&self, site: &SiteId, zone: usize) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, self.number(site), 21 + zone as u8)
    }

    pub fn agent_port(&self) -> u16 {
        self.base
    }
    pub fn dns_port(&self) -> u16 {
        self.base + 1
    }
    pub fn gate_port(&self) -> u16 {
        self.base + 2
    }
    pub fn replication_port(&self) -> u16 {
        self.base + 3
    }
    pub fn controller_port(&self) -> u16 {
        self.base + 4
    }
    /// The load balancer of the n-th fleet.
    pub fn front_port(&self, fleet: usize) -> u16 {
        self.base + 5 + fleet as u16
    }
    /// The first instance's port of the n-th fleet.
    pub fn instance_port(&self, fleet: usize) -> u16 {
        self.base + FLEETS + fleet as u16 * 30
    }
    /// Ports that other sites may reach.
    pub fn crossing_ports(&self, fleets: usize) -> Vec<u16> {
        let fronts = (0..fleets).map(|fleet| self.front_port(fleet));
        [self.agent_port(), self.replication_port()].into_iter().chain(fronts).collect()
    }
}
