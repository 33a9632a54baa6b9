//! The zone that all DNS servers shall serve.

use model::routing::{NameTable, Target};
use model::topology::SiteRole;
use model::{Epoch, SiteId, ZoneTable};

use crate::workload::Workload;

/// The zone that sends everything to `to`, as the writer of `epoch`; newer than every zone chosen before.
pub fn zone_to(state: &Workload, to: &SiteId, epoch: Epoch) -> ZoneTable {
    let (_, dns) = state.topology.dns();
    let target = |site: &SiteId| target(state, site, to);
    let table = || NameTable {
        policy: dns.policy,
        ttl: dns.ttl,
        targets: state.topology.regions().map(|s| target(&s.id)).collect(),
    };
    ZoneTable {
        zone: dns.zone.clone(),
        epoch,
        serial: state.zone.as_ref().map_or(0, |zone| zone.serial) + 1,
        names: dns.records.keys().map(|name| (name.clone(), table())).collect(),
    }
}

fn target(state: &Workload, site: &SiteId, to: &SiteId) -> Target {
    let (weight, geo, latency) = match state.topology.site(site).map(|s| &s.role) {
        Some(SiteRole::Region { traffic_weight, geo, latency, .. }) => (*traffic_weight, geo.clone(), latency.clone()),
        _ => Default::default(),
    };
    let enabled = site == to;
    Target {
        site: site.clone(),
        addresses: state.addresses.get(site).cloned().unwrap_or_default(),
        enabled,
        rank: if enabled { 1 } else { 2 },
        // A region whose share was nothing while it stood by must still answer when it is the only one.
        weight: if enabled { weight.max(1) } else { weight },
        geo,
        latency,
    }
}

/// The zone that a region serves by itself when its glass is broken: `served`, with everything sent to `to`. Its epoch alone
/// makes it newer, so that whatever a controller chooses next has a higher number.
pub fn only(served: &ZoneTable, to: &SiteId, epoch: &Epoch) -> ZoneTable {
    let mut zone = ZoneTable { epoch: epoch.clone(), ..served.clone() };
    for target in zone.names.values_mut().flat_map(|name| &mut name.targets) {
        target.enabled = target.site == *to;
        target.rank = if target.enabled { 1 } else { 2 };
        target.weight = if target.enabled { target.weight.max(1) } else { target.weight };
    }
    zone
}

/// The regions that a zone sends traffic to, by name.
pub fn enabled(zone: &ZoneTable) -> Vec<String> {
    let targets = zone.names.values().flat_map(|name| &name.targets).filter(|t| t.enabled);
    let mut sites: Vec<_> = targets.map(|t| t.site.to_string()).collect();
    sites.sort();
    sites.dedup();
    sites
}
