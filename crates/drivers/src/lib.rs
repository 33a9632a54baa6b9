//! What observes and changes the world: one trait for each role, and the self-hosted driver of each.
//!
//! A driver knows the model and its own service. It never sees the engine: it decides nothing, it does what it is
//! told or says why it will not. Attempts, controller generations and epochs are checked by the agent before an act
//! reaches a driver; what a driver itself can order (the version of a zone) it checks again.

pub mod dns;
pub mod fleet;
pub mod postgres;
pub mod process;
pub mod secrets;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use model::observe::{FleetReport, SecretReport, ZoneReport};
use model::{ActError, ComponentId, ZoneTable};

/// How an act ended that the driver is sure about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act<T = ()> {
    Done(T),
    /// The world was already as asked.
    AlreadyDone(T),
    /// The driver will not, and nothing was changed.
    Refused(String),
}

/// An act's end, or why it is not known or did not happen.
pub type Acted<T = ()> = Result<Act<T>, ActError>;

/// Decides where clients are sent.
#[async_trait]
pub trait Traffic: Send + Sync {
    async fn observe(&self) -> ZoneReport;
    /// Swaps the whole zone. Refuses one that is older than the zone served (SAFETY.md item 15).
    async fn route(&self, zone: ZoneTable) -> Acted;
    /// Serves TTL zero while a fault is suspected, so that clients ask again as soon as routing changes.
    async fn suspect(&self, on: bool) -> Acted;
    /// Stops answering with this server's own site: its agent is fenced.
    async fn fence(&self, on: bool) -> Acted;
}

/// Runs the instances of a service, and takes requests to those that are ready.
#[async_trait]
pub trait Compute: Send + Sync {
    async fn observe(&self) -> FleetReport;
    /// Runs this many instances. Done when that many are alive and no others run; that they are ready is to be
    /// observed, because an instance beside a standby database is alive long before it can be ready.
    async fn scale(&self, instances: u32, within: Duration) -> Acted;
    /// Looks at every instance now instead of when its turn comes, for a caller that knows that something changed, such
    /// as the database beside it. Returns at once; what is found shows in [`Compute::observe`]. A driver whose
    /// instances are watched by somebody else has nothing to do.
    fn check_now(&self) {}
    /// Sends a real request as a client would and requires success. Done carries what was answered.
    async fn exercise(&self, write: bool, within: Duration) -> Acted<String>;
}

/// Holds what a site's fleets must know and nobody else may.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// Digests only, for every secret that the workload declares; `None` where one is missing.
    async fn observe(&self) -> Result<BTreeMap<ComponentId, SecretReport>, ActError>;
}
