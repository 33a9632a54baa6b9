//! A fleet: instances of one service over the zones of a region, and the load balancer in front of them.
//!
//! Every instance is checked twice each time: *live* asks whether the process answers, and one that does not is
//! replaced; *ready* asks whether what it needs works, and one that is not gets no requests but is left alone. Beside a
//! standby database a fleet is alive and not ready, which is how it should wait.
//!
//! | knows | module |
//! |---|---|
//! | which instances there are and who takes the next request | `roster` |
//! | the life of one slot: start, check, replace, drain | `tend` |
//! | one process | `process` |
//! | requests from clients | `balancer` |

mod balancer;
mod http;
mod process;
mod roster;
mod tend;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use hyper::header::HeaderValue;
use model::observe::FleetReport;
use model::{ActError, ComponentId, SiteId};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::process::StillRunning;
use crate::secrets::SecretValue;
use crate::{Act, Acted, Compute};
use roster::{Roster, Slot};

/// What a fleet is told once, when it starts.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    pub component: ComponentId,
    pub site: SiteId,
    /// Reported as it is given.
    pub artifact: String,
    pub program: PathBuf,
    pub args: Vec<String>,
    /// Added to this process's own environment, to which `LISTEN` (an address), `PORT`, `SITE`, `ZONE` and `INSTANCE` are
    /// added too. Held as secrets, because connection strings are.
    pub env: BTreeMap<String, SecretValue>,
    /// Instances take the zones in turn.
    pub zones: Vec<Zone>,
    /// Instance number n, from zero, listens on this port plus n at its zone's address.
    pub first_port: u16,
    /// The most instances that may ever be asked for.
    pub most: u16,
    /// Of the load balancer.
    pub listen: SocketAddr,
    /// Path of the shallow check.
    pub live: String,
    /// Path of the deep check.
    pub ready: String,
    pub exercise: Option<Exercise>,
    /// From the end of one check of an instance to the next.
    pub check_every: Duration,
    pub check_timeout: Duration,
    /// So many failed checks in a row, and an instance that once lived is replaced.
    pub dead_after: u32,
    /// Failed checks do not count for this long after a start, until the first that succeeds.
    pub start_within: Duration,
    /// The first replacement is immediate; the second in short order waits this long, each further one twice as long.
    pub restart_backoff: Duration,
    /// The longest wait, and how long an instance must live for the next replacement to be immediate again.
    pub restart_most: Duration,
    /// How long requests under way may take when an instance is to go.
    pub drain: Duration,
    /// From SIGTERM to SIGKILL.
    pub stop_within: Duration,
    /// Until the load balancer gives up on a reply.
    pub request_timeout: Duration,
    /// One file for each instance, appended to. With the component's name this directory tells this fleet's processes
    /// from all others on the machine.
    pub logs: PathBuf,
}

#[derive(Clone, Debug)]
pub struct Zone {
    pub name: String,
    pub listen: Ipv4Addr,
}

/// A business-critical write: a JSON body posted to a path, with an Idempotency-Key of its own each time.
#[derive(Clone, Debug)]
pub struct Exercise {
    pub path: String,
    /// `{key}` stands for the Idempotency-Key.
    pub body: String,
}

/// Why a fleet does not start.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error("cannot listen for requests on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    #[error("fleet {0} has no zone to run in")]
    NoZone(ComponentId),
    #[error("fleet {component} needs ports {first} to {first} plus {most}, which do not exist")]
    Ports { component: ComponentId, first: u16, most: u16 },
    #[error("`{0}` cannot be sent in a header")]
    Name(String),
    #[error("instances of fleet {0} from an earlier run cannot be removed")]
    Orphans(ComponentId, #[source] StillRunning),
}

/// What all slots are told.
#[derive(Clone, Default, Debug)]
struct Orders {
    wanted: u32,
    /// Grows with each call to check at once.
    checks: u64,
}

/// A running fleet with its load balancer. Its instances are killed when it is dropped.
pub struct Fleet {
    config: Arc<FleetConfig>,
    roster: Arc<Roster>,
    orders: watch::Sender<Orders>,
    _tasks: JoinSet<()>,
}

impl Fleet {
    /// Binds the load balancer and runs no instance yet: [`Compute::scale`] says how many. Instances that an earlier
    /// run left behind are killed first.
    pub async fn start(config: FleetConfig) -> Result<Self, FleetError> {
        let roster = Arc::new(Roster::new(slots(&config)?));
        let orphaned = config.clone();
        let killed = tokio::task::spawn_blocking(move || process::kill_orphans(&orphaned)).await;
        let killed = killed.expect("looking through the process table does not panic");
        killed.map_err(|error| FleetError::Orphans(config.component.clone(), error))?;
        let listener = TcpListener::bind(config.listen).await;
        let listener = listener.map_err(|error| FleetError::Listen(config.listen, error))?;
        let nobody = format!("no instance of {} in {} is ready", config.component, config.site);
        let balancer = balancer::Balancer::new(
            roster.clone(),
            served_by(&config.site, "-")?,
            nobody,
            config.check_timeout,
            config.request_timeout,
        );
        let config = Arc::new(config);
        let orders = watch::Sender::new(Orders::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::new(balancer).serve(listener));
        for index in 0..roster.slots.len() {
            let (config, roster, orders) = (config.clone(), roster.clone(), orders.subscribe());
            tasks.spawn(tend::Tender { config, roster, index, orders }.tend());
        }
        Ok(Self { config, roster, orders, _tasks: tasks })
    }

    /// Wakes on every change of any instance.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.roster.changes()
    }

    fn wanted(&self) -> u32 {
        self.orders.borrow().wanted
    }

    fn report(&self) -> FleetReport {
        let wanted = self.wanted();
        let (artifact, replaced) = (self.config.artifact.clone(), self.roster.replaced());
        FleetReport { artifact, wanted, instances: self.roster.report(wanted), replaced }
    }
}

fn served_by(site: &SiteId, instance: &str) -> Result<HeaderValue, FleetError> {
    let name = format!("{site}/{instance}");
    HeaderValue::from_str(&name).map_err(|_| FleetError::Name(name))
}

fn slots(config: &FleetConfig) -> Result<Vec<Slot>, FleetError> {
    if config.zones.is_empty() {
        return Err(FleetError::NoZone(config.component.clone()));
    }
    let (first, most) = (config.first_port, config.most);
    if first == 0 || first.checked_add(most).is_none() {
        return Err(FleetError::Ports { component: config.component.clone(), first, most });
    }
    let slot = |number: u16| {
        let zone = &config.zones[usize::from(number) % config.zones.len()];
        let name = format!("{}-{}-{}", config.component, zone.name, usize::from(number) / config.zones.len());
        let address = SocketAddr::from((zone.listen, first + number));
        let served_by = served_by(&config.site, &name)?;
        Ok(Slot { name, zone: zone.name.clone(), address, served_by, idle: Notify::new() })
    };
    (0..most).map(slot).collect()
}

#[async_trait]
impl Compute for Fleet {
    async fn observe(&self) -> FleetReport {
        self.report()
    }

    async fn scale(&self, instances: u32, within: Duration) -> Acted {
        if instances > u32::from(self.config.most) {
            return Ok(Act::Refused(format!(
                "{instances} instances are more than the {} with a port",
                self.config.most
            )));
        }
        if self.wanted() == instances && self.roster.settled(instances) {
            return Ok(Act::AlreadyDone(()));
        }
        let mut changes = self.roster.changes();
        self.orders.send_modify(|orders| orders.wanted = instances);
        let settled = changes.wait_for(|()| self.roster.settled(instances));
        if tokio::time::timeout(within, settled).await.is_ok() {
            return Ok(Act::Done(()));
        }
        let report = self.report();
        let (alive, running) = (report.alive(), report.instances.len());
        let within = model::time::human(within);
        Err(ActError::Transient(format!(
            "{alive} of {instances} instances are alive after {within}, {running} are there"
        )))
    }

    fn check_now(&self) {
        self.orders.send_modify(|orders| orders.checks += 1);
    }

    async fn exercise(&self, write: bool, within: Duration) -> Acted<String> {
        let (method, path, body) = match (&self.config.exercise, write) {
            (_, false) => (Method::GET, &self.config.ready, None),
            (Some(exercise), true) => (Method::POST, &exercise.path, Some(&exercise.body)),
            (None, true) => {
                return Ok(Act::Refused(format!("fleet {} declares no write to exercise", self.config.component)));
            }
        };
        let key = format!("antipode-exercise-{:032x}", rand::random::<u128>());
        let body = body.map(|body| body.replace("{key}", &key));
        let what = format!("{method} {path}");
        // To try again is always safe, even if this one was carried out: each has a key of its own.
        let said = http::say(method, self.config.listen, path, &key, body, within)
            .await
            .map_err(|why| ActError::Transient(format!("{what}: {why}")))?;
        let text = format!("{what}: {} by {}", said.status, said.served_by);
        match said.status.is_success() {
            true => Ok(Act::Done(text)),
            false => Err(ActError::Transient(format!("{text}: {}", said.body))),
        }
    }
}
