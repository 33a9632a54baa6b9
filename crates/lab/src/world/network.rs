//! The links of the lab, and which of them belong to a site.

use std::net::SocketAddr;

use model::{SiteId, Topology};

use super::plan::Addresses;
use crate::proxy::{Link, ListenError, Network, Protocol};

/// Clients outside every site stand here.
pub const CLIENTS: &str = "clients";

/// Lays every link: between each two sites, and from the clients to each site.
pub async fn lay(network: &Network, topology: &Topology, addresses: &Addresses) -> Result<(), ListenError> {
    let fleets = topology.fleets().count();
    for to in topology.sites.iter().map(|site| &site.id) {
        let region = topology.is_region(to);
        let real = |port| SocketAddr::from((addresses.real(to), port));
        let crossing = if region { addresses.crossing_ports(fleets) } else { vec![addresses.agent_port()] };
        for from in topology.sites.iter().map(|site| &site.id).filter(|from| *from != to) {
            let link = Link::new(from, to);
            let at = |port| SocketAddr::from((addresses.across(from, to), port));
            for port in crossing.iter().copied().chain([addresses.dns_port()]) {
                network.listen(&link, Protocol::Tcp, at(port), real(port)).await?;
            }
            network.listen(&link, Protocol::Udp, at(addresses.dns_port()), real(addresses.dns_port())).await?;
        }
        let link = Link::new(&SiteId::new(CLIENTS), to);
        let at = |port| SocketAddr::from((addresses.public(to), port));
        let fronts = (0..if region { fleets } else { 0 }).map(|fleet| addresses.front_port(fleet));
        for port in fronts.chain([addresses.dns_port()]) {
            network.listen(&link, Protocol::Tcp, at(port), real(port)).await?;
        }
        network.listen(&link, Protocol::Udp, at(addresses.dns_port()), real(addresses.dns_port())).await?;
    }
    Ok(())
}

/// Every link from and to a site, that of the clients outside included.
pub fn links_of(topology: &Topology, site: &SiteId) -> Vec<Link> {
    let others = topology.sites.iter().map(|other| other.id.clone()).filter(|other| other != site);
    let between = others.flat_map(|other| Link::between(site, &other));
    between.chain([Link::new(&SiteId::new(CLIENTS), site)]).collect()
}
