//! This site's voter, with its promises on disk before any answer leaves.

use std::path::Path;
use std::sync::Mutex;

use engine::lease::{Promises, Terms, Voter};
use model::observe::VoterReport;
use model::{LeaseReply, LeaseRequest};
use rusqlite::Connection;

use super::store::{self, StoreError};
use crate::clock;

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
