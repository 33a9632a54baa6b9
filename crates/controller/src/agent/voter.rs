//! Where the lease is kept; and this site's voter, with its promises on disk before any answer leaves.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use engine::lease::{Promises, Terms, Voter};
use model::observe::VoterReport;
use model::{LeaseReply, LeaseRequest, SiteId};
use rusqlite::Connection;

use super::store::{self, StoreError};
use crate::clock;
use crate::rpc::{AgentClient, CallError};

/// Where the lease is kept: asked by `engine::writer`, which takes a majority of [`Rules::voters`] for a promise.
///
/// The embedded default is our three voters. A store that is replicated by itself (etcd with a member in every site) is one
/// voter whose promise is its own majority's.
///
/// [`Rules::voters`]: engine::writer::Rules::voters
#[async_trait]
pub trait Lease: Send + Sync {
    /// Asks one voter once, and gives up soon: the asker asks again.
    async fn ask(&self, voter: &SiteId, request: &LeaseRequest) -> Result<LeaseReply, LeaseError>;
}

#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    #[error(transparent)]
    Here(#[from] StoreError),
    #[error(transparent)]
    There(#[from] CallError),
    #[error("{0} is not a voter")]
    Stranger(SiteId),
}

/// One voter in every site.
pub struct EmbeddedVoters {
    pub me: SiteId,
    pub mine: Arc<VoterStore>,
    pub others: BTreeMap<SiteId, AgentClient>,
    /// One question's time-out.
    pub within: Duration,
}

#[async_trait]
impl Lease for EmbeddedVoters {
    async fn ask(&self, voter: &SiteId, request: &LeaseRequest) -> Result<LeaseReply, LeaseError> {
        if *voter == self.me {
            return Ok(self.mine.answer(request)?);
        }
        let client = self.others.get(voter).ok_or_else(|| LeaseError::Stranger(voter.clone()))?;
        Ok(client.lease(request, self.within).await?)
    }
}

pub struct VoterStore {
    inner: Mutex<Inner>,
}

struct Inner {
    disk: Connection,
    voter: Voter,
}

impl VoterStore {
    pub fn open(file: &Path, terms: Terms) -> Result<Self, StoreError> {
        let disk = store::open(file)?;
        let promises: Promises = store::load(&disk, "promises")?.unwrap_or_default();
        let voter = Voter::start(terms, promises, clock::now());
        Ok(Self { inner: Mutex::new(Inner { disk, voter }) })
    }

    /// Answers after what was promised is durable. A voter that cannot write promises nothing.
    pub fn answer(&self, request: &LeaseRequest) -> Result<LeaseReply, StoreError> {
        let mut inner = self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (reply, next) = inner.voter.answer(clock::now(), request);
        if next.promises() != inner.voter.promises() {
            store::save(&inner.disk, "promises", next.promises())?;
        }
        inner.voter = next;
        Ok(reply)
    }

    pub fn report(&self) -> VoterReport {
        let inner = self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let now = clock::now();
        VoterReport {
            highest: inner.voter.promises().granted.clone(),
            promise_remaining: inner.voter.promise_remaining(now),
            quiet_remaining: inner.voter.quiet_remaining(now),
            sync: inner.voter.promises().sync.clone(),
        }
    }
}
