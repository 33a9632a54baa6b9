//! One site's agent: voter, keeper of the writer's lease, and the hands of every driver in the site.
//!
//! ```text
//! watchdog (parent, subreaper)          kills the database, then the agent, when the lease ended and nobody fenced
//!   └─ agent
//!       ├─ lease thread ── engine::writer   asks the voters, orders the database, opens and shuts the gate
//!       ├─ gate                             clients' only way to PostgreSQL, byte by byte until the deadline
//!       ├─ database shell ── drivers::postgres
//!       ├─ fleets, load balancer, DNS, secrets
//!       ├─ backups                          the writer's log and full backups, into the vault at the witness
//!       ├─ voter                            promises, on disk before any answer
//!       ├─ probes                           what this vantage point sees of the others
//!       └─ API over mutual TLS              reports and orders
//! ```
//! The agent fences its own database when its lease lapses or when it comes back with an old epoch, and asks nobody.

pub mod act;
pub mod attempts;
mod backups;
pub mod config;
mod database;
mod gate;
mod glass;
mod lease;
pub mod obey;
mod probes;
mod report;
mod serve;
pub mod store;
mod vault;
mod voter;
pub mod watchdog;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use drivers::dns::{DnsConfig, DnsServer};
use drivers::fleet::{Exercise, Fleet, FleetConfig, Zone};
use drivers::postgres::{self, Application, Database, Limits, Login, Server, Upstream};
use drivers::secrets::{SecretStore, SecretValue};
use drivers::{Compute, Secrets, Traffic};
use engine::lease::Terms;
use engine::writer::{Event, Rules, SyncRules};
use model::observe::Readiness;
use model::topology::{ComponentKind, OnCrash, Replication};
use model::{ComponentId, SiteId};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::identity::{Identity, Peer, Signer, Verifier};
use crate::rpc::AgentClient;
use backups::Backups;
use config::{AgentConfig, DatabasePlace, FleetPlace};
use database::DatabaseShell;
use gate::{Deadline, Gate};
use glass::GlassDesk;
use probes::{Probes, Target};
use vault::VaultStore;
use voter::EmbeddedVoters;
pub use voter::{Elsewhere, VoterStore};
use watchdog::Leash;

/// Why an agent does not start or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error(transparent)]
    Identity(#[from] crate::identity::IdentityError),
    #[error(transparent)]
    Dns(#[from] drivers::dns::DnsError),
    #[error(transparent)]
    Fleet(#[from] drivers::fleet::FleetError),
    #[error(transparent)]
    Secret(#[from] drivers::secrets::SecretError),
    #[error(transparent)]
    FindPostgres(#[from] postgres::FindError),
    #[error("PostgreSQL: {0}")]
    Postgres(#[from] postgres::Error),
    #[error("cannot listen on {0}")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
    #[error("cannot use the pipe to the watchdog")]
    Leash(#[source] std::io::Error),
    #[error("cannot handle signals")]
    Signals(#[source] std::io::Error),
    #[error("the vault: {0}")]
    Vault(#[from] vault::VaultError),
    #[error(transparent)]
    Glass(#[from] glass::GlassError),
    #[error("{0}")]
    Lost(String),
}

/// A database and the thread that holds its lease.
struct Data {
    component: ComponentId,
    lease: lease::Handle,
    shell: Arc<DatabaseShell>,
    gate: Arc<Gate>,
    backups: Option<Arc<Backups>>,
}

/// Runs the agent until it is told to stop, or until it can no longer keep its promises.
pub async fn run(config: AgentConfig) -> Result<(), AgentError> {
    let leash = Leash::attach().map_err(AgentError::Leash)?;
    let stop = CancellationToken::new();
    let (lost, mut told_lost) = mpsc::unbounded_channel();
    let site = config.site.clone();
    let timing = config.topology.timing.clone();
    let identity = Identity::load(&config.identity, &Peer::Agent(site.clone()))?;
    let elsewhere = Elsewhere {
        others: config.peers.keys().cloned().collect(),
        known: lease::known(&config.state)?,
        first_start: config.first_start(),
    };
    let voter = Arc::new(VoterStore::open(&config.state.join("voter.sqlite"), Terms::new(&timing), &elsewhere)?);
    let verifier = Arc::new(Verifier::load(&config.identity, &config.topology.workload)?);
    let attempts = Arc::new(attempts::Attempts::default());
    let clients = clients(&config, &identity)?;

    tokio::spawn(voter.clone().recall(clients.clone(), timing.renew_every, timing.renew_timeout));

    let secrets = secrets(&config)?;
    let (dns_id, dns) = dns(&config).await?;
    let data = match &config.database {
        Some(place) => Some(
            start_database(&config, place, &identity, &voter, &clients, leash, &attempts, &dns, lost, &stop).await?,
        ),
        None => {
            // A witness has nothing to kill, but it too must not outlive its watchdog.
            tokio::spawn(keep_leash(leash, timing.renew_every, lost));
            None
        }
    };
    let fleets = fleets(&config, secrets.as_deref()).await?;
    let scales = store::open(&config.state.join("fleets.sqlite"))?;
    let probes = Arc::new(Probes::default());
    watch_others(&config, &clients, &probes, &stop);
    tokio::spawn(judge(config.clone(), probes.clone(), dns.clone(), fleets.clone(), stop.clone()));

    let zones = BTreeMap::from([(dns_id, dns.clone() as Arc<dyn Traffic>)]);
    let backups = data.as_ref().and_then(|data| data.backups.clone());
    let vault = vault(&config)?;
    let orders = Arc::new(act::Orders {
        attempts,
        voter: voter.clone(),
        verifier,
        database: data.as_ref().map(|data| (data.lease.clone(), data.shell.clone())),
        backups: backups.clone(),
        fleets: fleets.clone(),
        zones: zones.clone(),
        scales: Mutex::new(scales),
        generation: AtomicU64::new(0),
    });
    orders.scale_again(timing.step_deadlines.scale)?;
    let glass = data.as_ref().map(|data| glass_desk(&config, data, &orders, &probes, &clients, &dns)).transpose()?;
    if let Some(desk) = glass.clone() {
        tokio::spawn(desk.tend(stop.clone()));
    }
    let report = report::Parts {
        site: site.clone(),
        incarnation: clock::now().0,
        topology: config.topology.clone(),
        voter,
        database: data.as_ref().map(|data| report::DatabaseParts {
            component: data.component.clone(),
            lease: data.lease.clone(),
            shell: data.shell.clone(),
            gate: data.gate.clone(),
        }),
        fleets,
        zones,
        secrets: secrets.map(|secrets| secrets as Arc<dyn Secrets>),
        probes,
        backups,
        vault: vault.clone(),
        glass: glass.clone(),
        alone_since: Default::default(),
    };
    let listener = TcpListener::bind(config.listen).await.map_err(|error| AgentError::Listen(config.listen, error))?;
    let desk = Arc::new(serve::Desk { report, orders, vault, glass });
    let router = serve::router(desk.clone());
    let mut server = tokio::spawn({
        let stop = stop.clone();
        async move { crate::rpc::serve(listener, &identity, router, stop).await }
    });
    tracing::info!(%site, "agent ready");

    let mut terminate = signal(SignalKind::terminate()).map_err(AgentError::Signals)?;
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        why = told_lost.recv() => Err(AgentError::Lost(why.unwrap_or_else(|| "the lease's thread ended".into()))),
        served = &mut server => Err(AgentError::Lost(format!("the API ended: {served:?}"))),
    };
    stop.cancel();
    if let Some(data) = &data {
        data.gate.shut();
        // Politely only when told to: without a lease or a watchdog nothing may go on for as long as a stop can take.
        data.shell.shut_down(ended.is_ok()).await;
    }
    // Fleets end their instances when dropped.
    drop(desk);
    ended
}

fn glass_desk(
    config: &AgentConfig,
    data: &Data,
    orders: &Arc<act::Orders>,
    probes: &Arc<Probes>,
    clients: &BTreeMap<SiteId, AgentClient>,
    dns: &Arc<DnsServer>,
) -> Result<Arc<GlassDesk>, AgentError> {
    let parts = glass::Parts {
        site: config.site.clone(),
        topology: config.topology.clone(),
        lease: data.lease.clone(),
        shell: data.shell.clone(),
        orders: orders.clone(),
        probes: probes.clone(),
        others: clients.clone(),
        dns: dns.clone(),
    };
    Ok(GlassDesk::open(parts, &config.state, &data.lease.view().written)?)
}

fn clients(config: &AgentConfig, identity: &Identity) -> Result<BTreeMap<SiteId, AgentClient>, AgentError> {
    let connect = config.topology.timing.renew_timeout;
    let client = |(site, at): (&SiteId, &config::PeerAddresses)| {
        AgentClient::new(identity, site.clone(), at.agent, connect).map(|client| (site.clone(), client))
    };
    Ok(config.peers.iter().map(client).collect::<Result<_, _>>()?)
}

async fn keep_leash(leash: Leash, every: std::time::Duration, lost: mpsc::UnboundedSender<String>) {
    loop {
        tokio::time::sleep(every).await;
        if let Err(error) = leash.tell(None) {
            let _ = lost.send(error.to_string());
            return;
        }
    }
}

#[allow(clippy::too_many_arguments)] // the assembly of one site, in one place
async fn start_database(
    config: &AgentConfig,
    place: &DatabasePlace,
    identity: &Identity,
    voter: &Arc<VoterStore>,
    clients: &BTreeMap<SiteId, AgentClient>,
    leash: Leash,
    attempts: &Arc<attempts::Attempts>,
    dns: &Arc<DnsServer>,
    lost: mpsc::UnboundedSender<String>,
    stop: &CancellationToken,
) -> Result<Data, AgentError> {
    let timing = &config.topology.timing;
    let (component, _) = config.topology.database();
    let server_config = server_config(config, place)?;
    let (socket, standby) = (server_config.socket(), place.data().join("standby.signal").exists());
    let server = Arc::new(Server::new(server_config)?);
    let driver: Arc<dyn Database> = server.clone();
    let deadline = Arc::new(Deadline::default());
    let gate = Arc::new(Gate::new(deadline.clone(), rules(config).sync.is_some()));
    let (database, database_orders) = mpsc::unbounded_channel();
    let parts = lease::Parts {
        rules: rules(config),
        workload: config.topology.workload.clone(),
        stop_margin: timing.stop_margin,
        fence_within: timing.step_deadlines.fence,
        store: Arc::new(EmbeddedVoters {
            me: config.site.clone(),
            mine: voter.clone(),
            others: clients.clone(),
            within: timing.renew_timeout,
        }),
        signer: Signer::new(identity)?,
        gate: gate.clone(),
        deadline,
        leash,
        attempts: attempts.clone(),
        database,
    };
    let handle = lease::start(parts, &config.state, lost)?;
    let listener = TcpListener::bind(place.gate).await.map_err(|error| AgentError::Listen(place.gate, error))?;
    tokio::spawn(gate.clone().serve(listener, socket, stop.clone()));
    let dns = dns.clone();
    let fenced = Box::new(move |on| {
        dns.set_fenced(on);
    });
    let disk = store::open(&config.state.join("database.sqlite"))?;
    let shell =
        DatabaseShell::new(driver, handle.clone(), upstreams(config), disk, gate.clone(), fenced, stop.child_token());
    handle.tell(Event::Restarted { standby });
    tokio::spawn(shell.clone().obey(database_orders));
    tokio::spawn(shell.clone().keep_waits(stop.clone()));
    tokio::spawn(shell.clone().watch_settings(timing.unreachable_after, stop.clone()));
    tokio::spawn(shell.clone().keep_room(timing.unreachable_after, stop.clone()));
    tokio::spawn(shell.clone().supervise(timing.check_every, stop.clone()));
    let backups = backups(config, identity, server, &handle)?;
    if let Some(backups) = backups.clone() {
        tokio::spawn(backups.tend(stop.clone()));
    }
    Ok(Data { component: component.clone(), lease: handle, shell, gate, backups })
}

/// The way to the vault has connections of its own: much goes over it, and nobody else waits for that.
fn backups(
    config: &AgentConfig,
    identity: &Identity,
    server: Arc<Server>,
    lease: &lease::Handle,
) -> Result<Option<Arc<Backups>>, AgentError> {
    let (topology, timing) = (&config.topology, &config.topology.timing);
    let witness = topology.witness();
    let (Some(plan), Some(at)) = (&topology.database().1.backup, config.peers.get(witness)) else { return Ok(None) };
    Ok(Some(Arc::new(Backups {
        site: config.site.clone(),
        server,
        lease: lease.clone(),
        vault: AgentClient::new(identity, witness.clone(), at.agent, timing.renew_timeout)?,
        plan: plan.clone(),
        within: timing.step_deadlines.check,
        progress: Default::default(),
        said: Default::default(),
    })))
}

fn vault(config: &AgentConfig) -> Result<Option<Arc<VaultStore>>, AgentError> {
    let (Some(plan), Some(folder)) = (&config.topology.database().1.backup, &config.vault) else { return Ok(None) };
    Ok(Some(Arc::new(VaultStore::open(folder, plan.keep)?)))
}

fn rules(config: &AgentConfig) -> Rules {
    let (_, postgres) = config.topology.database();
    let timing = &config.topology.timing;
    Rules {
        me: config.site.clone(),
        voters: config.topology.sites.iter().map(|site| site.id.clone()).collect(),
        terms: Terms::new(timing),
        renew_every: timing.renew_every,
        sync: (postgres.replication == Replication::Synchronous)
            .then_some(SyncRules { when_alone: postgres.when_alone, lost_after: timing.unreachable_after }),
        partners: config.topology.others(&config.site).cloned().collect(),
        restart_after_crash: postgres.on_crash == OnCrash::Restart,
    }
}

fn server_config(config: &AgentConfig, place: &DatabasePlace) -> Result<postgres::Config, AgentError> {
    let (_, spec) = config.topology.database();
    let mut settings = spec.settings.clone();
    settings.extend(spec.site_settings.get(&config.site).cloned().unwrap_or_default());
    let login = |role: &str, password: &str| Login { role: role.into(), password: password.into() };
    Ok(postgres::Config {
        binaries: postgres::find()?,
        home: place.home.clone(),
        run_dir: place.run_dir.clone(),
        site: config.site.clone(),
        listen: place.replication,
        allow_from: place.allow_from.clone(),
        peers: config.topology.others(&config.site).cloned().collect(),
        run_as: postgres::unprivileged()?,
        superuser: login("antipode", &place.superuser_password),
        application: Application {
            database: spec.database.clone(),
            login: login(APPLICATION_ROLE, &place.application_password),
        },
        replica: login("antipode_replica", &place.replica_password),
        settings,
        wal_keep_mb: spec.wal_keep_mb,
        replication_timeout: config.topology.timing.unreachable_after,
        sync_on_create: true,
        ledger: spec.ledger.clone(),
        limits: Limits::default(),
    })
}

/// The role that owns the workload's database.
pub const APPLICATION_ROLE: &str = "app";

fn upstreams(config: &AgentConfig) -> BTreeMap<SiteId, Upstream> {
    let upstream = |(site, at): (&SiteId, &config::PeerAddresses)| {
        let at = at.replication?;
        Some((site.clone(), Upstream { site: site.clone(), host: at.ip().to_string(), port: at.port() }))
    };
    config.peers.iter().filter_map(upstream).collect()
}

/// Secrets exist in regions only: a witness holds no data.
fn secrets(config: &AgentConfig) -> Result<Option<Arc<SecretStore>>, AgentError> {
    if config.database.is_none() {
        return Ok(None);
    }
    let declared = config.topology.secrets().map(|(id, _)| id.clone()).collect();
    Ok(Some(Arc::new(SecretStore::open(config.state.join("secrets"), &config.topology.workload, declared)?)))
}

async fn dns(config: &AgentConfig) -> Result<(ComponentId, Arc<DnsServer>), AgentError> {
    let (id, dns) = config.topology.dns();
    let name = format!("ns-{}.{}", config.site, dns.zone);
    let server = DnsServer::start(DnsConfig {
        site: config.site.clone(),
        zone: dns.zone.clone(),
        listen: config.dns,
        name_servers: BTreeMap::from([(name, config.name_server)]),
        places: config.geo.clone(),
        file: config.state.join("zone.json"),
        tcp_idle: config.topology.timing.step_deadlines.route,
    });
    Ok((id.clone(), Arc::new(server.await?)))
}

async fn fleets(
    config: &AgentConfig,
    secrets: Option<&SecretStore>,
) -> Result<BTreeMap<ComponentId, Arc<dyn Compute>>, AgentError> {
    let mut fleets: BTreeMap<ComponentId, Arc<dyn Compute>> = BTreeMap::new();
    for (id, place) in &config.fleets {
        let fleet = Fleet::start(fleet_config(config, id, place, secrets)?).await?;
        fleets.insert(id.clone(), Arc::new(fleet));
    }
    Ok(fleets)
}

fn fleet_config(
    config: &AgentConfig,
    id: &ComponentId,
    place: &FleetPlace,
    secrets: Option<&SecretStore>,
) -> Result<FleetConfig, AgentError> {
    let spec = config.topology.fleets().find(|(fleet, _)| *fleet == id).map(|(_, fleet)| fleet.clone());
    let spec = spec.ok_or_else(|| AgentError::Lost(format!("{id} is not a fleet of the workload")))?;
    let timing = &config.topology.timing;
    let mut env = BTreeMap::new();
    if let Some(database) = &config.database {
        let (_, postgres) = config.topology.database();
        let (password, gate) = (&database.application_password, database.gate);
        let url = format!("postgresql://{APPLICATION_ROLE}:{password}@{gate}/{}", postgres.database);
        env.insert("DATABASE_URL".to_string(), SecretValue::new(url));
    }
    for component in &config.topology.components {
        let (ComponentKind::Secret(secret), Some(store)) = (&component.kind, secrets) else { continue };
        if let Some(value) = store.get(&component.id)? {
            env.insert(secret.env.clone(), value);
        }
    }
    Ok(FleetConfig {
        component: id.clone(),
        site: config.site.clone(),
        artifact: config.topology.artifact.clone(),
        program: place.command.clone(),
        args: spec.args.clone(),
        env,
        zones: place.zones.iter().map(|(name, listen)| Zone { name: name.clone(), listen: *listen }).collect(),
        first_port: place.first_port,
        most: spec.peak as u16,
        listen: place.front,
        live: spec.live.clone(),
        ready: spec.ready.clone(),
        exercise: spec.exercise.as_deref().map(exercise),
        check_every: timing.check_every,
        check_timeout: timing.probe_timeout,
        dead_after: 5,
        start_within: timing.step_deadlines.scale,
        restart_backoff: timing.probe_every,
        restart_most: timing.step_deadlines.scale,
        drain: timing.probe_timeout,
        stop_within: timing.step_deadlines.fence,
        request_timeout: timing.request_timeout,
        logs: config.logs.clone(),
    })
}

/// `POST /path {json}`; the method may be left out.
fn exercise(text: &str) -> Exercise {
    let text = text.trim().trim_start_matches("POST ").trim_start();
    let (path, body) = text.split_once(char::is_whitespace).unwrap_or((text, "{}"));
    Exercise { path: path.into(), body: body.trim().into() }
}

fn watch_others(
    config: &AgentConfig,
    clients: &BTreeMap<SiteId, AgentClient>,
    probes: &Arc<Probes>,
    stop: &CancellationToken,
) {
    let timing = &config.topology.timing;
    let path = report::ready_path(&config.topology);
    for (site, at) in &config.peers {
        let Some(agent) = clients.get(site).cloned() else { continue };
        let target = Target { site: site.clone(), agent, front: at.front.zip(path.clone()) };
        tokio::spawn(probes.clone().run(target, timing.probe_every, timing.probe_timeout, stop.clone()));
    }
}

/// Tells this site's DNS server which regions are ready, as seen from here.
async fn judge(
    config: AgentConfig,
    probes: Arc<Probes>,
    dns: Arc<DnsServer>,
    fleets: BTreeMap<ComponentId, Arc<dyn Compute>>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(config.topology.timing.check_every) => {}
            () = stop.cancelled() => return,
        }
        let seen = probes.report();
        let mut healthy: BTreeMap<SiteId, bool> =
            seen.into_iter().map(|(site, probe)| (site, !matches!(probe.ready, Readiness::NotReady { .. }))).collect();
        if !fleets.is_empty() {
            let mut ready = true;
            for fleet in fleets.values() {
                ready &= fleet.observe().await.ready() > 0;
            }
            healthy.insert(config.site.clone(), ready);
        }
        dns.judge(healthy);
    }
}
