//! Which standby holds every acknowledged write (SAFETY.md item 8).
//!
//! # Order of things
//! To *drop* a standby: record first, with a majority of voters, then stop waiting for it. To *add* one: wait for it
//! first, see it hold all that was acknowledged before, then record. In between the record says less than is true,
//! never more: a standby in the record can be promoted without losing an acknowledged write.
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
    confirmed: Confirmed,
    last_streamed: Option<Time>,
    proposed: Option<(SyncRecord, BTreeSet<SiteId>)>,
    /// The gate stays shut until an in-sync standby has this: a commit that was waiting when the server stopped is
    /// visible after recovery although it was never acknowledged.
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
    /// The server is writable. Whether clients may pass, or the standby must first have what recovery brought back.
    pub(super) fn begin_sync(&mut self, now: Time, end: Lsn, effects: &mut Vec<Effect>) -> bool {
        let Some(rules) = self.rules.sync.clone() else { return true };
        let others: Vec<SiteId> = self.sync.in_sync.iter().filter(|site| **site != self.rules.me).cloned().collect();
        self.sync_state = SyncState { last_streamed: Some(now), ..SyncState::default() };
        let held_back = rules.when_alone == WhenAlone::Block && self.sync.version > 0;
        let wait_for = others.first().cloned().or_else(|| held_back.then(|| self.partner()).flatten());
        self.sync_state.waiting_for = wait_for.clone();
        effects.push(Effect::Synchronous { standby: wait_for });
        if others.is_empty() {
            return true;
        }
        self.sync_state.settling = Some(end);
        false
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
        match streams.iter().find(|stream| stream.streaming) {
            Some(stream) => {
                self.sync_state.last_streamed = Some(now);
                self.streaming(stream, position, effects);
            }
            None if rules.when_alone == WhenAlone::Degrade => {
                let silent = self.sync_state.last_streamed.is_none_or(|last| now.since(last) >= rules.lost_after);
                if silent {
                    self.alone(effects);
                }
            }
            None => {}
        }
    }

    fn streaming(&mut self, stream: &Stream, position: Lsn, effects: &mut Vec<Effect>) {
        if self.sync_state.waiting_for.as_ref() != Some(&stream.site) {
            self.sync_state.waiting_for = Some(stream.site.clone());
            self.sync_state.confirmed = Confirmed::No;
            return effects.push(Effect::Synchronous { standby: Some(stream.site.clone()) });
        }
        self.sync_state.confirmed = match self.sync_state.confirmed {
            _ if !stream.synchronous => Confirmed::No,
            Confirmed::No => Confirmed::Once,
            Confirmed::Once => Confirmed::Since(position),
            since => since,
        };
        if self.sync_state.settling.is_some_and(|end| stream.flushed >= end) {
            self.settle(effects);
        }
        let Confirmed::Since(since) = self.sync_state.confirmed else { return };
        if stream.flushed >= since && !self.sync.in_sync.contains(&stream.site) {
            self.propose(vec![stream.site.clone()], effects);
        }
    }

    fn alone(&mut self, effects: &mut Vec<Effect>) {
        let others = self.sync.in_sync.iter().any(|site| *site != self.rules.me);
        if others {
            self.propose(vec![], effects);
        } else if self.sync_state.waiting_for.take().is_some() {
            self.sync_state.confirmed = Confirmed::No;
            effects.push(Effect::Synchronous { standby: None });
        }
        if !others && self.sync_state.settling.is_some() {
            self.settle(effects);
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
