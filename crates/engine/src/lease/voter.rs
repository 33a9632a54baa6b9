//! One voter: what it has promised, and what it answers.

use model::{Epoch, LeaseReply, LeaseRequest, Receipt, Refusal, SiteId, SyncRecord, Time};
use serde::{Deserialize, Serialize};

use super::Terms;
use super::memory::{Lost, Memory};

/// What a voter must have on disk before it answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Promises {
    /// The newest epoch it granted. Older ones are refused for ever.
    pub granted: Epoch,
    /// The newest epoch that two people gave away; see `engine::writer::glass`.
    #[serde(default = "Epoch::none")]
    pub glass: Epoch,
    pub sync: SyncRecord,
}

impl Default for Promises {
    fn default() -> Self {
        Self { granted: Epoch::none(), glass: Epoch::none(), sync: SyncRecord::default() }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Voter {
    terms: Terms,
    promises: Promises,
    /// No other site's epoch is granted before this.
    promised_until: Time,
    /// After a restart: a promise from before may still run.
    quiet_until: Time,
    /// The newest epoch that its own site gave up with a receipt.
    released: Option<Epoch>,
    memory: Memory,
}

impl Voter {
    /// A voter as it starts, from what it has on disk. What it promised before is known, but not until when: it
    /// waits out a whole promise before it grants a new epoch.
    pub fn start(terms: Terms, promises: Promises, now: Time) -> Self {
        let quiet_until = if promises.granted.is_none() { now } else { now + terms.promise() };
        Self { terms, promises, promised_until: Time::ZERO, quiet_until, released: None, memory: Memory::Kept }
    }

    /// A voter that finds nothing of what it promised, although it may have promised: it waits out a whole promise, then
    /// hears what every one of `others` knows, and only then grants anything. `known` is the newest epoch that its site
    /// knows of from elsewhere.
    pub fn start_without_memory(
        terms: Terms,
        others: impl IntoIterator<Item = SiteId>,
        known: Epoch,
        now: Time,
    ) -> Self {
        let promises = Promises { granted: known, ..Promises::default() };
        let memory = Memory::Lost(Lost::new(others));
        Self { quiet_until: now + terms.promise(), memory, ..Self::start(terms, promises, now) }
    }

    /// The sites whose word a voter that lost its storage still needs. Its promises must not be written to disk before
    /// this is empty, or a restart would take them for all that it ever promised.
    pub fn lacks(&self) -> Vec<SiteId> {
        match &self.memory {
            Memory::Kept => Vec::new(),
            Memory::Lost(lost) => lost.lacks(&self.promises),
        }
    }

    /// Who is to be asked for [`LeaseRequest::Recall`] now; nobody before the wait is over.
    pub fn recalls(&self, now: Time) -> Vec<SiteId> {
        if self.quiet_until > now { Vec::new() } else { self.lacks() }
    }

    /// What `from` answered to a [`LeaseRequest::Recall`] that was sent at `asked`. When the voter afterwards lacks nobody,
    /// its promises must be durable before anything else.
    pub fn heard(&self, from: &SiteId, asked: Time, reply: &LeaseReply) -> Voter {
        let mut next = self.clone();
        let Memory::Lost(lost) = &mut next.memory else { return next };
        lost.hear(from, asked, self.quiet_until, reply);
        if lost.lacks(&next.promises).is_empty() {
            next.promises = lost.recalled(&next.promises);
            next.memory = Memory::Kept;
        }
        next
    }

    pub fn promises(&self) -> &Promises {
        &self.promises
    }
    pub fn promise_remaining(&self, now: Time) -> std::time::Duration {
        self.promised_until.since(now)
    }
    pub fn quiet_remaining(&self, now: Time) -> std::time::Duration {
        self.quiet_until.since(now)
    }

    /// The answer to `request`, and the voter afterwards. When its promises differ they must be durable before the
    /// answer leaves. Receipts must have been verified by the caller.
    pub fn answer(&self, now: Time, request: &LeaseRequest) -> (LeaseReply, Voter) {
        let mut next = self.clone();
        let reply = next.vote(now, request);
        (reply, next)
    }

    /// [`Voter::answer`], this voter being the one afterwards.
    pub fn vote(&mut self, now: Time, request: &LeaseRequest) -> LeaseReply {
        let lacks = self.lacks();
        if !lacks.is_empty() {
            let (highest, sync) = (self.promises.granted.clone(), self.promises.sync.clone());
            return LeaseReply { highest, sync, refused: Some(Refusal::Amnesiac { lacks }) };
        }
        let refused = match request {
            LeaseRequest::Recall => None,
            LeaseRequest::Sound { epoch, receipts } => self.refuse_new(now, epoch, receipts),
            LeaseRequest::Acquire { epoch, receipts } => {
                let refused = self.refuse_new(now, epoch, receipts);
                if refused.is_none() {
                    self.promise(epoch, now);
                }
                refused
            }
            LeaseRequest::Renew { epoch } => {
                let refused = self.refuse_new(now, epoch, &[]);
                if refused.is_none() {
                    self.promise(epoch, now);
                }
                refused
            }
            LeaseRequest::BreakGlass { epoch, record } => {
                let refused = self.refuse_glass(epoch);
                if refused.is_none() {
                    self.promise(epoch, now);
                    self.promises.glass = epoch.clone();
                    if record.version > self.promises.sync.version {
                        self.promises.sync = record.clone();
                    }
                }
                refused
            }
            LeaseRequest::Release { receipt } => {
                if receipt.covers(&self.promises.granted) {
                    self.promised_until = Time::ZERO;
                    self.quiet_until = Time::ZERO;
                    self.released = Some(receipt.epoch.clone());
                }
                None
            }
            LeaseRequest::RecordSync { epoch, record } => {
                let refused = self.refuse_record(epoch, record);
                if refused.is_none() {
                    self.promises.sync = record.clone();
                }
                refused
            }
        };
        LeaseReply { highest: self.promises.granted.clone(), sync: self.promises.sync.clone(), refused }
    }

    fn promise(&mut self, epoch: &Epoch, now: Time) {
        if self.promises.granted != *epoch {
            self.promises.granted = epoch.clone();
        }
        self.promised_until = now + self.terms.promise();
    }

    /// Why a new epoch cannot be granted now. The site that holds the promise may always raise its own epoch:
    /// it is one writer, whatever its number.
    fn refuse_new(&self, now: Time, epoch: &Epoch, receipts: &[Receipt]) -> Option<Refusal> {
        let granted = &self.promises.granted;
        // A renewal that the release overtook must not bind this voter to a writer that is gone.
        if self.released.as_ref().is_some_and(|released| released.site == epoch.site && epoch <= released) {
            return Some(Refusal::OldEpoch { highest: granted.clone() });
        }
        if epoch == granted {
            return None;
        }
        if epoch < granted {
            return Some(self.refuse_old(epoch));
        }
        if granted.is_none() || epoch.site == granted.site || receipts.iter().any(|r| r.covers(granted)) {
            return None;
        }
        if now < self.promised_until {
            return Some(Refusal::Promised { to: granted.clone(), remaining: self.promised_until.since(now) });
        }
        if now < self.quiet_until {
            return Some(Refusal::Quiet { remaining: self.quiet_until.since(now) });
        }
        None
    }

    /// Two people said that everybody else is dead: no promise to the dead stands in the way.
    fn refuse_glass(&self, epoch: &Epoch) -> Option<Refusal> {
        (*epoch < self.promises.granted).then(|| self.refuse_old(epoch))
    }

    /// A writer that is told of a newer epoch may think that nobody won it; of broken glass it must not.
    fn refuse_old(&self, epoch: &Epoch) -> Refusal {
        let Promises { granted, glass, .. } = &self.promises;
        if epoch < glass {
            return Refusal::GlassBroken { epoch: glass.clone() };
        }
        Refusal::OldEpoch { highest: granted.clone() }
    }

    /// Only the holder of the granted epoch may change the in-sync record, and only forward. The holder is the only
    /// proposer of its epoch, so a voter that missed versions may skip them.
    fn refuse_record(&self, epoch: &Epoch, record: &SyncRecord) -> Option<Refusal> {
        if *epoch != self.promises.granted {
            return Some(Refusal::OldEpoch { highest: self.promises.granted.clone() });
        }
        let stored = &self.promises.sync;
        let moved = record.version < stored.version || (record.version == stored.version && record != stored);
        moved.then_some(Refusal::SyncMoved { version: stored.version })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::SiteId;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn terms() -> Terms {
        Terms { lease: 5 * SECOND, drift_ppm: 10_000, stop_margin: SECOND / 5 }
    }
    fn epoch(number: u64, site: &str) -> Epoch {
        Epoch { number, site: SiteId::new(site) }
    }
    fn receipt(epoch: &Epoch) -> Receipt {
        Receipt {
            workload: "w".into(),
            site: epoch.site.clone(),
            epoch: epoch.clone(),
            end: None,
            signature: String::new(),
        }
    }
    fn acquire(epoch: &Epoch) -> LeaseRequest {
        LeaseRequest::Acquire { epoch: epoch.clone(), receipts: vec![] }
    }
    fn renew(epoch: &Epoch) -> LeaseRequest {
        LeaseRequest::Renew { epoch: epoch.clone() }
    }
    /// A voter that granted 1@a at time zero.
    fn promised() -> Voter {
        let (reply, voter) =
            Voter::start(terms(), Promises::default(), Time::ZERO).answer(Time::ZERO, &acquire(&epoch(1, "a")));
        assert!(reply.granted());
        voter
    }
    fn at(ms: u64) -> Time {
        Time(ms * 1000)
    }

    #[test]
    fn a_promise_binds_until_the_drifted_lease_is_over() {
        let voter = promised();
        let (reply, _) = voter.answer(at(5_049), &acquire(&epoch(2, "b")));
        assert_eq!(reply.refused, Some(Refusal::Promised { to: epoch(1, "a"), remaining: Duration::from_millis(1) }));
        assert!(voter.answer(at(5_050), &acquire(&epoch(2, "b"))).0.granted());
    }

    #[test]
    fn sounding_promises_nothing() {
        let voter = promised();
        let (reply, after) = voter.answer(at(6_000), &LeaseRequest::Sound { epoch: epoch(2, "b"), receipts: vec![] });
        assert!(reply.granted());
        assert_eq!(after, voter);
    }

    #[test]
    fn an_old_epoch_is_never_renewed() {
        let (_, voter) = promised().answer(at(6_000), &acquire(&epoch(2, "b")));
        let (reply, after) = voter.answer(at(60_000), &renew(&epoch(1, "a")));
        assert_eq!(reply.refused, Some(Refusal::OldEpoch { highest: epoch(2, "b") }));
        assert_eq!(after.promises.granted, epoch(2, "b"));
    }

    #[test]
    fn a_lapsed_holder_renews_while_nobody_else_was_granted() {
        assert!(promised().answer(at(60_000), &renew(&epoch(1, "a"))).0.granted());
    }

    #[test]
    fn a_restarted_voter_waits_a_whole_promise() {
        let voter = Voter::start(terms(), promised().promises, at(100_000));
        let (reply, _) = voter.answer(at(105_049), &acquire(&epoch(2, "b")));
        assert_eq!(reply.refused, Some(Refusal::Quiet { remaining: Duration::from_millis(1) }));
        assert!(voter.answer(at(100_001), &renew(&epoch(1, "a"))).0.granted(), "the holder is not held up");
        assert!(voter.answer(at(105_050), &acquire(&epoch(2, "b"))).0.granted());
    }

    #[test]
    fn a_voter_that_missed_the_election_adopts_the_new_epoch_once_its_own_promise_is_over() {
        let voter = promised();
        assert!(!voter.answer(at(1_000), &renew(&epoch(2, "b"))).0.granted());
        let (reply, after) = voter.answer(at(5_050), &renew(&epoch(2, "b")));
        assert!(reply.granted());
        assert_eq!(after.promises.granted, epoch(2, "b"));
    }

    #[test]
    fn a_receipt_of_the_holder_ends_the_wait_and_no_other_does() {
        let voter = promised();
        let ask = |receipt| LeaseRequest::Acquire { epoch: epoch(2, "b"), receipts: vec![receipt] };
        assert!(voter.answer(at(1), &ask(receipt(&epoch(1, "a")))).0.granted());
        assert!(!voter.answer(at(1), &ask(receipt(&epoch(1, "b")))).0.granted(), "another site's");
        let (_, raised) = voter.answer(at(1), &acquire(&epoch(3, "a")));
        assert!(
            !raised
                .answer(at(2), &LeaseRequest::Acquire { epoch: epoch(4, "b"), receipts: vec![receipt(&epoch(1, "a"))] })
                .0
                .granted(),
            "an older epoch's"
        );
    }

    #[test]
    fn a_renewal_that_comes_after_its_release_binds_nobody() {
        let release = LeaseRequest::Release { receipt: receipt(&epoch(1, "a")) };
        let (_, voter) = promised().answer(at(1), &release);
        for late in [renew(&epoch(1, "a")), acquire(&epoch(1, "a"))] {
            assert!(!voter.answer(at(2), &late).0.granted());
        }
        assert!(voter.answer(at(3), &acquire(&epoch(2, "b"))).0.granted());
        assert!(voter.answer(at(3), &acquire(&epoch(2, "a"))).0.granted(), "the same site may write anew");
    }

    #[test]
    fn the_sync_record_moves_forward_only_and_only_for_the_holder() {
        let record = |version, sites: &[&str]| SyncRecord { version, in_sync: sites.iter().map(SiteId::new).collect() };
        let ask = |epoch, record| LeaseRequest::RecordSync { epoch, record };
        let (reply, voter) = promised().answer(at(1), &ask(epoch(1, "a"), record(2, &["b"])));
        assert!(reply.granted());
        assert!(!voter.answer(at(2), &ask(epoch(2, "b"), record(3, &[]))).0.granted(), "not the holder");
        assert!(!voter.answer(at(2), &ask(epoch(1, "a"), record(1, &[]))).0.granted(), "backwards");
        assert!(!voter.answer(at(2), &ask(epoch(1, "a"), record(2, &[]))).0.granted(), "the same version, changed");
        assert!(voter.answer(at(2), &ask(epoch(1, "a"), record(2, &["b"]))).0.granted(), "said twice");
    }
}
