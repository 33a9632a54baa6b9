//! Which standby holds every acknowledged write (SAFETY.md item 8).
//!
//! # Order of things
//! To *drop* a standby: record first, with a majority of voters, then stop waiting for it. To *add* one: wait for it
//! first, see it hold all that was acknowledged before, then record. In between the record says less than is true,
//! never more: a standby in the record can be promoted without losing an acknowledged write.
//!
//! # What is ordered and what is so
//! An order to wait may fail, and a server that was told may not heed it yet, or no longer. So the record is believed of
//! the server only when its own looks say so: the gate of a writer whose record names a standby stays shut until
//! commits were seen twice in a row to wait for it, an order that is not seen in effect is given again, and a writer
//! whose commits are seen not to wait shuts its gate until they do or the record no longer says so.
//!
//! # Alone
//! A writer without its standby either blocks (`when_alone: block`) or records that nobody is in sync and goes on
//! (`degrade`). It blocks by PostgreSQL's own wait: the commit is done, its acknowledgement is not.

use std::collections::BTreeSet;
use std::time::Duration;

use model::topology::WhenAlone;
use model::{LeaseRequest, Lsn, SiteId, SyncRecord, Time};

use super::{Effect, Mode, Writer};

/// One standby as the writer's server sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stream {
    pub site: SiteId,
    pub streaming: bool,
    /// The server itself counts it as one that commits wait for.
    pub synchronous: bool,
    pub flushed: Lsn,
}

/// How synchronous replication is kept; absent when it is asynchronous.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyncRules {
    pub when_alone: WhenAlone,
    /// A standby that has not streamed for this long is lost.
    pub lost_after: Duration,
}

/// The present wait and what is being recorded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct SyncState {
    /// Whom commits were ordered to wait for.
    waiting_for: Option<SiteId>,
    /// When that order was last given.
    ordered: Option<Time>,
    confirmed: Confirmed,
    /// Looks in a row at a standby that streams and is not waited for.
    unheeded: u32,
    /// A standby streamed, and commits waited for it if the record says so.
    last_streamed: Option<Time>,
    proposed: Option<(SyncRecord, BTreeSet<SiteId>)>,
    /// The gate stays shut until commits wait for a recorded standby, and that standby has this: a commit that was
    /// waiting when the server stopped is visible after recovery although it was never acknowledged.
    settling: Option<Lsn>,
}

/// Whether commits really wait. The order takes effect process by process: a commit between the order and its effect is
/// acknowledged without the standby. So the log's end counts only from the second look in a row at which the server says
/// that the standby is synchronous.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Confirmed {
    #[default]
    No,
    Once,
    /// Everything acknowledged without the standby lies before this position.
    Since(Lsn),
}

impl Writer {
    /// Whom commits must wait for from the server's first moment on, so that no order is needed which may come too late.
    pub fn opens_waiting_for(&self) -> Option<SiteId> {
        let rules = self.rules.sync.as_ref()?;
        let held_back = rules.when_alone == WhenAlone::Block && self.sync.version > 0;
        self.recorded().cloned().or_else(|| held_back.then(|| self.partner()).flatten())
    }

    /// A standby that the record names.
    fn recorded(&self) -> Option<&SiteId> {
        self.sync.in_sync.iter().find(|site| **site != self.rules.me)
    }

    /// The server is writable. Whether clients may pass, or commits must first be seen to wait for the standby, and the
    /// standby to have what recovery brought back.
    pub(super) fn begin_sync(&mut self, now: Time, end: Lsn, effects: &mut Vec<Effect>) -> bool {
        if self.rules.sync.is_none() {
            return true;
        }
        self.sync_state = SyncState { last_streamed: Some(now), ..SyncState::default() };
        self.order_wait(now, self.opens_waiting_for(), effects);
        self.sync_state.settling = self.recorded().map(|_| end);
        self.sync_state.settling.is_none()
    }

    fn order_wait(&mut self, now: Time, standby: Option<SiteId>, effects: &mut Vec<Effect>) {
        if self.sync_state.waiting_for != standby {
            self.sync_state.confirmed = Confirmed::No;
        }
        self.sync_state.waiting_for = standby.clone();
        self.sync_state.ordered = Some(now);
        effects.push(Effect::Synchronous { standby });
    }

    fn partner(&self) -> Option<SiteId> {
        self.rules.partners.first().cloned()
    }

    /// Whether the gate waits for the standby.
    pub fn settling(&self) -> bool {
        self.sync_state.settling.is_some()
    }

    pub(super) fn standbys(&mut self, now: Time, streams: &[Stream], position: Lsn, effects: &mut Vec<Effect>) {
        let Some(rules) = self.rules.sync.clone() else { return };
        if self.mode != Mode::Writing {
            return;
        }
        let stream = streams.iter().find(|stream| stream.streaming);
        let counts = |stream: &Stream| stream.synchronous || self.recorded() != Some(&stream.site);
        let accompanied = stream.is_some_and(counts);
        if accompanied {
            self.sync_state.last_streamed = Some(now);
        }
        if let Some(stream) = stream {
            self.streaming(now, &rules, stream, position, effects);
        }
        let silent = self.sync_state.last_streamed.is_none_or(|last| now.since(last) >= rules.lost_after);
        if !accompanied && silent && rules.when_alone == WhenAlone::Degrade {
            self.alone(now, effects);
        }
        // Nobody is said to have everything, so nobody needs to.
        if self.recorded().is_none() && self.sync_state.settling.is_some() {
            self.settle(effects);
        }
    }

    fn streaming(&mut self, now: Time, rules: &SyncRules, stream: &Stream, position: Lsn, effects: &mut Vec<Effect>) {
        if self.sync_state.waiting_for.as_ref() != Some(&stream.site) {
            return self.order_wait(now, Some(stream.site.clone()), effects);
        }
        if !stream.synchronous {
            return self.unheeded(now, rules, stream, position, effects);
        }
        self.sync_state.unheeded = 0;
        self.sync_state.confirmed = match self.sync_state.confirmed {
            Confirmed::No => Confirmed::Once,
            Confirmed::Once => Confirmed::Since(position),
            since => since,
        };
        let Confirmed::Since(since) = self.sync_state.confirmed else { return };
        if self.sync_state.settling.is_some_and(|end| stream.flushed >= end) {
            self.settle(effects);
        }
        if stream.flushed >= since && !self.sync.in_sync.contains(&stream.site) {
            self.propose(vec![stream.site.clone()], effects);
        }
    }

    /// The standby streams, and commits do not wait for it: the order did not take effect, or no longer has.
    fn unheeded(&mut self, now: Time, rules: &SyncRules, stream: &Stream, position: Lsn, effects: &mut Vec<Effect>) {
        self.sync_state.confirmed = Confirmed::No;
        self.sync_state.unheeded += 1;
        if self.sync_state.ordered.is_none_or(|at| now.since(at) >= rules.lost_after) {
            let text = format!("commits do not wait for {} although ordered; ordering it again", stream.site);
            effects.push(Effect::Say { text });
            self.order_wait(now, Some(stream.site.clone()), effects);
        }
        // A connection that has just begun does not count for the server until its first word: one look says nothing.
        let recorded = self.recorded() == Some(&stream.site);
        if recorded && self.sync_state.unheeded >= 2 && self.sync_state.settling.is_none() {
            let text = format!("the record says that {} has every commit, and commits do not wait for it", stream.site);
            effects.extend([Effect::Say { text }, Effect::ShutGate]);
            self.sync_state.settling = Some(position);
            self.order_wait(now, Some(stream.site.clone()), effects);
        }
    }

    fn alone(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if self.recorded().is_some() {
            self.propose(vec![], effects);
        } else if self.sync_state.waiting_for.is_some() {
            self.order_wait(now, None, effects);
        }
    }

    fn settle(&mut self, effects: &mut Vec<Effect>) {
        self.sync_state.settling = None;
        if let Some(epoch) = self.epoch().cloned() {
            effects.push(Effect::OpenGate { epoch });
        }
    }

    fn propose(&mut self, in_sync: Vec<SiteId>, effects: &mut Vec<Effect>) {
        let Some(epoch) = self.epoch().cloned() else { return };
        let again = self.sync_state.proposed.as_ref().filter(|(record, _)| record.in_sync == in_sync);
        let record = match again {
            Some((record, _)) => record.clone(),
            None => {
                // Above every version that a voter may hold of a proposal that did not reach a majority.
                let tried = self.sync_state.proposed.as_ref().map_or(0, |(record, _)| record.version);
                let record = SyncRecord { version: self.sync.version.max(tried) + 1, in_sync };
                self.sync_state.proposed = Some((record.clone(), BTreeSet::new()));
                record
            }
        };
        self.ask_all(&LeaseRequest::RecordSync { epoch, record }, effects);
    }

    pub(super) fn sync_voted(&mut self, voter: &SiteId, record: &SyncRecord, granted: bool) {
        let majority = self.rules.majority();
        let Some((proposed, votes)) = self.sync_state.proposed.as_mut().filter(|(p, _)| p == record) else { return };
        if !granted {
            return;
        }
        votes.insert(voter.clone());
        if votes.len() >= majority {
            self.sync = proposed.clone();
            self.sync_state.proposed = None;
        }
    }
}
