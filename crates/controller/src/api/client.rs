//! The API, as the command line calls it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use engine::{Request, Runbook, Status};
use model::{RunId, SiteId};

use super::{Abort, Approve, Heard};
use crate::identity::{Identity, IdentityError, Peer};
use crate::journal::Line;
use crate::rpc::{CallError, PeerClient};
use crate::shell::Granted;

/// Calls the controller as one operator. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ApiClient {
    peer: PeerClient,
    within: Duration,
}

impl ApiClient {
    /// `within` bounds each call, beside the time that [`ApiClient::events`] is asked to wait.
    pub fn new(identity: &Identity, controller: SocketAddr, within: Duration) -> Result<Self, IdentityError> {
        Ok(Self { peer: PeerClient::new(identity, Peer::Controller, controller, within)?, within })
    }

    pub async fn status(&self) -> Result<Status, CallError> {
        self.peer.get("/status", self.within).await
    }

    /// The last report of each site, whole.
    pub async fn reports(&self) -> Result<BTreeMap<SiteId, Heard>, CallError> {
        self.peer.get("/reports", self.within).await
    }

    /// Lines of the journal from sequence number `from` on, at most `limit` and at most a thousand.
    pub async fn journal(&self, from: u64, limit: usize) -> Result<Vec<Line>, CallError> {
        self.peer.get(&format!("/journal?from={from}&limit={limit}"), self.within).await
    }

    /// Lines from `from` on, as soon as there is one; none when `wait` (whole seconds, at most a minute) passes first.
    pub async fn events(&self, from: u64, wait: Duration) -> Result<Vec<Line>, CallError> {
        let path = format!("/events?from={from}&wait={}", wait.as_secs());
        self.peer.get(&path, self.within + wait).await
    }

    /// What a request would start. Nothing is done.
    pub async fn plan(&self, request: &Request) -> Result<Runbook, CallError> {
        self.peer.post("/plan", request, self.within).await
    }

    pub async fn request(&self, request: &Request) -> Result<Granted, CallError> {
        self.peer.post("/request", request, self.within).await
    }

    pub async fn approve(&self, run: RunId, accept_loss: bool) -> Result<Granted, CallError> {
        self.peer.post("/approve", &Approve { run, accept_loss }, self.within).await
    }

    pub async fn abort(&self, run: RunId, why: impl Into<String>) -> Result<Granted, CallError> {
        self.peer.post("/abort", &Abort { run, why: why.into() }, self.within).await
    }
}
