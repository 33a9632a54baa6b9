//! Where the lease is kept; and this site's voter, with its promises on disk before any answer leaves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use engine::lease::{Promises, Terms, Voter};
use model::observe::VoterReport;
use model::{Epoch, LeaseReply, LeaseRequest, SiteId, Time};
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

const PROMISES: &str = "promises";

pub struct VoterStore {
    inner: Mutex<Inner>,
}

struct Inner {
    disk: Connection,
    voter: Voter,
}

/// What a voter may go by when it finds nothing of what it promised.
pub struct Elsewhere {
    /// The sites of the other voters.
    pub others: Vec<SiteId>,
    /// The newest epoch that this site knows of from its writer's store.
    pub known: Epoch,
    /// A file that whoever makes a new workload puts there; see [`VoterStore::open`].
    pub first_start: PathBuf,
}

impl VoterStore {
    /// A voter that finds no promises has lost its storage, unless [`Elsewhere::first_start`] says that there never were
    /// any. That is believed once.
    pub fn open(file: &Path, terms: Terms, elsewhere: &Elsewhere) -> Result<Self, StoreError> {
        let disk = store::open(file)?;
        let mut kept: Option<Promises> = store::load(&disk, PROMISES)?;
        if kept.is_none() && elsewhere.first_start.exists() {
            store::save(&disk, PROMISES, &Promises::default())?;
            kept = Some(Promises::default());
        }
        store::forget(&elsewhere.first_start)?;
        let voter = match kept {
            Some(promises) => Voter::start(terms, promises, clock::now()),
            None => {
                tracing::warn!("this voter has lost what it promised; it grants nothing before it heard the others");
                let (others, known) = (elsewhere.others.iter().cloned(), elsewhere.known.clone());
                Voter::start_without_memory(terms, others, known, clock::now())
            }
        };
        Ok(Self { inner: Mutex::new(Inner { disk, voter }) })
    }

    /// Until this voter remembers: asks those whom it needs to hear, once every `every`.
    pub async fn recall(self: Arc<Self>, others: BTreeMap<SiteId, AgentClient>, every: Duration, within: Duration) {
        while !self.inner().voter.lacks().is_empty() {
            tokio::time::sleep(every).await;
            let recalls = self.inner().voter.recalls(clock::now());
            for (site, client) in others.iter().filter(|(site, _)| recalls.contains(site)) {
                let asked = clock::now();
                let heard = match client.lease(&LeaseRequest::Recall, within).await {
                    Ok(reply) => self.hear(site, asked, &reply).map_err(LeaseError::Here),
                    Err(error) => Err(LeaseError::There(error)),
                };
                if let Err(error) = heard {
                    tracing::debug!(%site, %error, "what its voter knows is not known");
                }
            }
        }
    }

    fn hear(&self, from: &SiteId, asked: Time, reply: &LeaseReply) -> Result<(), StoreError> {
        let mut inner = self.inner();
        let remembered = inner.voter.lacks().is_empty();
        let next = inner.voter.heard(from, asked, reply);
        if !remembered && next.lacks().is_empty() {
            store::save(&inner.disk, PROMISES, next.promises())?;
            tracing::warn!(highest = %next.promises().granted, "this voter has heard the others, and votes again");
        }
        inner.voter = next;
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Answers after what was promised is durable. A voter that cannot write promises nothing.
    pub fn answer(&self, request: &LeaseRequest) -> Result<LeaseReply, StoreError> {
        let mut inner = self.inner();
        let (reply, next) = inner.voter.answer(clock::now(), request);
        if next.promises() != inner.voter.promises() {
            store::save(&inner.disk, PROMISES, next.promises())?;
        }
        inner.voter = next;
        Ok(reply)
    }

    pub fn report(&self) -> VoterReport {
        let inner = self.inner();
        let now = clock::now();
        VoterReport {
            highest: inner.voter.promises().granted.clone(),
            promise_remaining: inner.voter.promise_remaining(now),
            quiet_remaining: inner.voter.quiet_remaining(now),
            sync: inner.voter.promises().sync.clone(),
            lacks: inner.voter.lacks(),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{Refusal, SyncRecord};

    use super::*;

    fn site(name: &str) -> SiteId {
        SiteId::new(name)
    }
    fn open(folder: &Path) -> VoterStore {
        let first_start = folder.join("first-start");
        let elsewhere = Elsewhere { others: vec![site("a"), site("b")], known: Epoch::none(), first_start };
        // Its promises are over before anybody could ask.
        let [timing, _] = model::spec::profiles();
        let terms = Terms::new(&model::Timing { lease: Duration::from_nanos(1), ..timing });
        VoterStore::open(&folder.join("voter.sqlite"), terms, &elsewhere).unwrap()
    }
    fn renew(number: u64, by: &str) -> LeaseRequest {
        LeaseRequest::Renew { epoch: Epoch { number, site: site(by) } }
    }
    fn refused(voter: &VoterStore, request: &LeaseRequest) -> Option<Refusal> {
        voter.answer(request).unwrap().refused
    }
    fn word(number: u64) -> LeaseReply {
        LeaseReply { highest: Epoch { number, site: site("b") }, sync: SyncRecord::default(), refused: None }
    }

    #[test]
    fn a_voter_that_lost_its_promises_grants_nothing_until_it_heard_both_others_even_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let voter = open(folder.path());
        assert!(matches!(refused(&voter, &renew(1, "a")), Some(Refusal::Amnesiac { .. })));
        voter.hear(&site("a"), clock::now(), &word(3)).unwrap();
        assert_eq!(voter.report().lacks, [site("b")]);
        drop(voter);
        let voter = open(folder.path());
        assert_eq!(voter.report().lacks.len(), 2, "what it heard before the restart may be stale");
        assert!(refused(&voter, &renew(3, "b")).is_some());

        voter.hear(&site("a"), clock::now(), &word(3)).unwrap();
        voter.hear(&site("b"), clock::now(), &word(4)).unwrap();
        assert!(matches!(refused(&voter, &renew(3, "b")), Some(Refusal::OldEpoch { .. })));
        drop(voter);
        let voter = open(folder.path());
        assert!(voter.report().lacks.is_empty());
        assert_eq!(voter.report().highest.number, 4, "what it recalled is on disk");
        assert_eq!(refused(&voter, &renew(4, "b")), None);
    }

    #[test]
    fn a_first_start_is_believed_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("first-start"), "").unwrap();
        assert_eq!(refused(&open(folder.path()), &renew(1, "a")), None);
        assert!(!folder.path().join("first-start").exists());
        assert_eq!(open(folder.path()).report().highest.number, 1);
        for file in ["voter.sqlite", "voter.sqlite-wal", "voter.sqlite-shm"] {
            let _ = std::fs::remove_file(folder.path().join(file));
        }
        assert!(refused(&open(folder.path()), &renew(1, "a")).is_some(), "the same folder, and nothing in it");
    }
}
