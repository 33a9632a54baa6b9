//! This site's authoritative DNS server, over UDP and TCP.
//!
//! Every site runs one, the witness too, so that losing any site leaves answers. All of them answer from the same
//! [`ZoneTable`], which is swapped whole: a question sees the old zone or the new one in all its names, never a mix. Zones
//! are ordered by (epoch, serial) and an older one is refused, because routing orders may arrive late (SAFETY.md item
//! 15). The zone is kept in a file, and a server that restarts serves it again.
//!
//! A server that restarts is **fenced** until its agent says otherwise: it answers SERVFAIL for names that would point
//! to its own site, so that a region which died as the writer and comes back sends nobody to itself. Resolvers then ask
//! another site's server.
//!
//! | knows | module |
//! |---|---|
//! | which addresses answer (pure) | [`policy`] |
//! | what a reply holds, for a question and a moment's state (pure) | `answer` |
//! | packets, EDNS and who asks | `wire` |
//! | the zone on disk | `keep` |

mod answer;
pub mod cidr;
mod keep;
pub mod policy;
mod wire;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use hickory_server::Server;
use model::observe::ZoneReport;
use model::{ActError, Epoch, SiteId, ZoneTable};
use tokio::net::{TcpListener, UdpSocket};

use crate::{Act, Acted, Traffic};
use answer::Home;
use policy::Healthy;

/// What a server is told once, when it starts.
#[derive(Clone, Debug)]
pub struct DnsConfig {
    /// The site that this server stands in. Names that point to it are not answered while fenced.
    pub site: SiteId,
    /// The zone that it is authoritative for, without the trailing dot.
    pub zone: String,
    /// UDP and TCP alike.
    pub listen: SocketAddr,
    /// The zone's name servers, by full name: the address at which clients reach each.
    pub name_servers: BTreeMap<String, Ipv4Addr>,
    /// Where client networks (CIDR) are, for the geolocation policy: ISO 3166 codes, country before continent.
    pub places: BTreeMap<String, Vec<String>>,
    /// Where the zone is kept across restarts.
    pub file: PathBuf,
    /// A TCP connection without a question for this long is closed.
    pub tcp_idle: Duration,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    #[error("cannot listen for DNS on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    #[error("cannot read the kept zone in {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    #[error("the kept zone in {} is damaged: {why}", .file.display())]
    Damaged { file: PathBuf, why: String },
    #[error("{0}")]
    Config(String),
}

/// What answers depend on at one moment. Replaced whole, so that one question sees one moment.
#[derive(Clone, Debug, Default)]
struct Served {
    zone: Option<Arc<ZoneTable>>,
    suspect: bool,
    fenced: bool,
    health: Healthy,
}

/// State that the packet handler and the driver share.
#[derive(Debug)]
struct Shared {
    home: Home,
    served: RwLock<Arc<Served>>,
}

impl Shared {
    fn served(&self) -> Arc<Served> {
        self.served.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
    /// Returns what `change` returns; readers see all of the change or none of it.
    fn change<T>(&self, change: impl FnOnce(&mut Served) -> T) -> T {
        let mut served = self.served.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut next = Served::clone(&served);
        let result = change(&mut next);
        *served = Arc::new(next);
        result
    }
}

/// A running server. Stops when dropped.
pub struct DnsServer {
    shared: Arc<Shared>,
    file: PathBuf,
    /// One zone is compared, kept and swapped at a time. Fencing and suspicion never wait for it.
    routing: Arc<Mutex<()>>,
    _server: Server<wire::Handler>,
}

impl DnsServer {
    /// Binds both sockets and serves the kept zone, fenced, where there is one. Until the first zone arrives, names in
    /// the zone are answered with SERVFAIL.
    ///
    /// # Errors
    /// When an address is in use, the configuration contradicts itself, or the kept zone cannot be read: it
    /// holds the version below which zones are refused, so it is not silently forgotten.
    pub async fn start(config: DnsConfig) -> Result<Self, DnsError> {
        let home = Home::new(&config).map_err(DnsError::Config)?;
        let zone = keep::load(&config.file)?;
        if let Some(zone) = &zone {
            home.check(zone).map_err(|why| DnsError::Damaged { file: config.file.clone(), why })?;
        }
        let listen = |error| DnsError::Listen(config.listen, error);
        let udp = UdpSocket::bind(config.listen).await.map_err(listen)?;
        let tcp = TcpListener::bind(config.listen).await.map_err(listen)?;

        let served = Served { fenced: zone.is_some(), zone: zone.map(Arc::new), ..Served::default() };
        let shared = Arc::new(Shared { home, served: RwLock::new(Arc::new(served)) });
        let mut server = Server::new(wire::Handler::new(shared.clone()));
        server.register_socket(udp);
        server.register_listener(tcp, config.tcp_idle, wire::TCP_REPLIES);
        Ok(Self { shared, file: config.file, routing: Arc::default(), _server: server })
    }

    /// What this site's probes say of every site now. A site that is left out counts as healthy.
    pub fn judge(&self, health: Healthy) {
        self.shared.change(|served| served.health = health);
    }

    /// [`Traffic::fence`] for callers that must not wait. True when this changed something.
    pub fn set_fenced(&self, on: bool) -> bool {
        self.shared.change(|served| std::mem::replace(&mut served.fenced, on) != on)
    }

    /// The zone served now.
    pub fn zone(&self) -> Option<Arc<ZoneTable>> {
        self.shared.served().zone.clone()
    }
}

/// Compares, keeps, swaps. Blocks on the disk: the zone is safe there before anybody is answered from it.
fn route(shared: &Shared, file: &std::path::Path, routing: &Mutex<()>, zone: ZoneTable) -> Acted {
    let _one_at_a_time = routing.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let zone = match shared.home.check(&zone) {
        Ok(zone) => zone,
        Err(why) => return Ok(Act::Refused(why)),
    };
    if let Some(served) = &shared.served().zone {
        if **served == zone {
            return Ok(Act::AlreadyDone(()));
        }
        let (new, old) = (zone.version(), served.version());
        let versions = format!("{}#{} is served, {}#{} was offered", old.0, old.1, new.0, new.1);
        match new.cmp(&old) {
            std::cmp::Ordering::Less => return Ok(Act::Refused(format!("the zone is older: {versions}"))),
            std::cmp::Ordering::Equal => {
                return Ok(Act::Refused(format!("another zone has the same version: {versions}")));
            }
            std::cmp::Ordering::Greater => {}
        }
    }
    keep::store(file, &zone)
        .map_err(|error| ActError::Transient(format!("cannot keep the zone in {}: {error}", file.display())))?;
    shared.change(|served| served.zone = Some(Arc::new(zone)));
    Ok(Act::Done(()))
}

fn done(changed: bool) -> Acted {
    Ok(if changed { Act::Done(()) } else { Act::AlreadyDone(()) })
}

#[async_trait]
impl Traffic for DnsServer {
    async fn observe(&self) -> ZoneReport {
        let served = self.shared.served();
        let enabled = |targets: &[model::routing::Target]| -> Vec<SiteId> {
            targets.iter().filter(|t| t.enabled).map(|t| t.site.clone()).collect()
        };
        let names = served.zone.iter().flat_map(|zone| &zone.names);
        ZoneReport {
            epoch: served.zone.as_ref().map_or_else(Epoch::none, |zone| zone.epoch.clone()),
            serial: served.zone.as_ref().map_or(0, |zone| zone.serial),
            enabled: names.map(|(name, table)| (name.clone(), enabled(&table.targets))).collect(),
            suspect: served.suspect,
            fenced: served.fenced,
        }
    }

    async fn route(&self, zone: ZoneTable) -> Acted {
        let (shared, file, routing) = (self.shared.clone(), self.file.clone(), self.routing.clone());
        let task = tokio::task::spawn_blocking(move || route(&shared, &file, &routing, zone));
        task.await.unwrap_or_else(|error| Err(ActError::Unknown(format!("routing was interrupted: {error}"))))
    }

    async fn suspect(&self, on: bool) -> Acted {
        done(self.shared.change(|served| std::mem::replace(&mut served.suspect, on) != on))
    }

    async fn fence(&self, on: bool) -> Acted {
        done(self.set_fenced(on))
    }
}
