//! Who writes during a drill, and how they reach the workload.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use controller::agent::APPLICATION_ROLE;
use model::SiteId;
use tokio_postgres::{Client, NoTls};

use super::Drill;
use crate::clients::{ClientKind, ClientPlan, Habits, Place};
use crate::world::{World, WorldError};

/// How long the stretching client keeps an answer in a drill; the report says so.
pub const STRETCH: Duration = Duration::from_secs(10);

/// One client of each kind outside; in a partition also one inside the region that is cut off, and where names do not
/// move some more that keep the old address.
pub fn clients(world: &World, drill: Drill) -> Vec<ClientPlan> {
    let outside = |kind: ClientKind| client(world, kind, Place::Outside);
    let mut plans =
        vec![outside(ClientKind::TtlHonouring), outside(ClientKind::TtlStretching), outside(ClientKind::Pinned)];
    if drill == Drill::RegionPartition {
        plans.push(client(world, ClientKind::TtlHonouring, Place::Inside(world.topology.preferred().clone())));
    }
    if drill == Drill::DnsStuck {
        plans.extend(STUCK.map(|(name, kind, stretch)| {
            let plan = outside(kind);
            // Few and brief: what is refused at once is tried again at once, and would keep this machine busy with that.
            let (every, give_up) = (Duration::from_millis(200), Duration::from_secs(2));
            ClientPlan { name: name.into(), habits: Habits { stretch, every, give_up, ..plan.habits }, ..plan }
        }));
    }
    plans
}

/// Clients beside the usual pinned one that never ask DNS again within a drill.
const STUCK: [(&str, ClientKind, Duration); 2] = [
    ("outside-pinned-too", ClientKind::Pinned, STRETCH),
    ("outside-stretching-for-hours", ClientKind::TtlStretching, Duration::from_secs(12 * 3600)),
];

/// The names of clients that keep their first address for ever.
pub fn stuck(world: &World, drill: Drill) -> Vec<String> {
    let stays = |plan: &ClientPlan| plan.kind == ClientKind::Pinned || plan.habits.stretch > STRETCH;
    clients(world, drill).into_iter().filter(stays).map(|plan| plan.name).collect()
}

fn client(world: &World, kind: ClientKind, place: Place) -> ClientPlan {
    let (topology, addresses) = (&world.topology, &world.addresses);
    let port = addresses.dns_port();
    let regions = topology.regions().map(|site| &site.id);
    let (dns, address_map, name) = match &place {
        Place::Outside => {
            let dns = topology.sites.iter().map(|site| SocketAddr::from((addresses.public(&site.id), port))).collect();
            (dns, BTreeMap::new(), format!("outside-{}", kind.name()))
        }
        Place::Inside(home) => {
            let at = |site: &SiteId| SocketAddr::from((addresses.across(home, site), port));
            let others = topology.sites.iter().map(|site| &site.id).filter(|site| *site != home);
            let dns = std::iter::once(home).chain(others).map(at).collect();
            let map = regions.map(|site| (addresses.public(site), addresses.across(home, site))).collect();
            (dns, map, format!("inside-{}", kind.name()))
        }
    };
    let (_, zone) = topology.dns();
    let host = zone.records.keys().next().cloned().unwrap_or_else(|| zone.zone.clone());
    let name = name.replace('_', "-");
    // Ten times the example's TTL: bad enough to show, short enough to wait for before the failback.
    let habits = Habits { stretch: STRETCH, moves: 5, reads: 2, ..Habits::default() };
    ClientPlan { name, kind, place, dns, host, port: addresses.front_port(0), address_map, habits }
}

/// The database of `site` as an application there reaches it: through the gate.
pub fn database(world: &World, site: &SiteId) -> tokio_postgres::Config {
    let (_, postgres) = world.topology.database();
    let mut config = tokio_postgres::Config::new();
    config
        .host(world.addresses.real(site).to_string())
        .port(world.addresses.gate_port())
        .user(APPLICATION_ROLE)
        .password(&world.layout.application_password)
        .dbname(&postgres.database);
    config
}

/// A connection to a database.
pub async fn connect(config: &tokio_postgres::Config) -> Result<Client, WorldError> {
    let (client, connection) = config.connect(NoTls).await.map_err(|error| trouble(&error))?;
    tokio::spawn(connection);
    Ok(client)
}

pub fn trouble(error: &tokio_postgres::Error) -> WorldError {
    WorldError::Refused(format!("the database: {error}"))
}
