//! Break-glass: the region that is left, when the witness and the writing region are lost together (SAFETY.md item 14).
//!
//! # Intuition
//! One of three voters is no majority, and nothing that this site can see tells a dead region from one that it cannot
//! reach. So two people say that the others are dead, and take upon themselves the promise of one writer. This site then
//! writes with the word of its own voter alone, once what that voter promised to the old writer has lapsed.
//!
//! # When the others come back
//! The epoch is [`STEP`] above all that is known here, so that nothing that the others may have counted up to meanwhile
//! reaches it. While it stands alone this writer tells every voter, and a voter that hears it adopts the epoch at once,
//! whatever it has promised: its promise was to somebody whom people declared dead. It says so to the old writer, which
//! fences itself at that word; a mere newer epoch it might take for that of a candidate that never won, and go above it.
//! This writer itself never goes above anybody while it stands alone: whoever has a newer epoch heard of the broken glass
//! first, so it was elected by voters that live, and this writer fences itself.
//! As soon as a majority has granted the epoch, the ordinary rules hold again.
//!
//! # Who comes back first
//! An old writer and the witness that come back together are a majority, and know nothing yet: the old writer would go on at
//! once, until one of them hears of the glass. So a writer whose right has lapsed bids by itself only when it has heard every
//! voter, or when it has had a majority for so long that whoever stands alone has told them ([`Company`]).
//!
//! # What it does not cover
//! An old writer that lives, with the witness, where this site cannot reach: both write until they hear of each other. And a
//! restart of this agent while it stands alone: it lapses, and the glass must be broken again.

use std::collections::BTreeMap;

use model::action::AcceptLoss;
use model::{ActError, Attempt, Epoch, LeaseReply, LeaseRequest, Lsn, Outcome, Refusal, SiteId, SyncRecord, Time};

use super::{Bid, Cause, Effect, Mode, Writer};
use crate::lease::Holder;

/// How far a break-glass epoch, and its in-sync record, lie above what is known: more epochs than the others can have
/// used meanwhile. A site begins at most one bid in each `renew_every`: that is more than a day of nothing but bids.
pub const STEP: u64 = 1_000_000;

/// For how many renewals a lapsed writer listens before it goes on without having heard every voter. A lone writer tells all
/// voters in each renewal; two more are for a renewal that is lost, and for the way there.
const LISTENS: u32 = 3;

/// Whom a writer whose right has lapsed hears.
#[derive(Clone, Default, Debug)]
pub(super) struct Company {
    heard: BTreeMap<SiteId, Time>,
    /// Since when they have been a majority without a break.
    since: Option<Time>,
}

/// The epoch of a site that breaks the glass.
pub(super) fn above(known: &Epoch, me: &SiteId) -> Epoch {
    Epoch { number: known.number + STEP, site: me.clone() }
}

impl Writer {
    /// Two people said that all other sites are dead, and accepted the loss.
    pub(super) fn break_glass(
        &mut self,
        now: Time,
        attempt: Attempt,
        received: Lsn,
        accept_loss: AcceptLoss,
        effects: &mut Vec<Effect>,
    ) {
        let id = attempt.id;
        let mut answer = |outcome| effects.push(Effect::Answer { attempt: id, outcome });
        match &self.mode {
            Mode::Writing => return answer(Outcome::Refused { why: "it is the writer already".into() }),
            Mode::Opening { .. } | Mode::Fencing { .. } => {
                return answer(Outcome::Failed(ActError::Transient("it is busy being promoted or fenced".into())));
            }
            _ if self.following => {
                return answer(Outcome::Failed(ActError::Transient("its data is being replaced by a copy".into())));
            }
            Mode::Standby | Mode::Bidding(_) | Mode::Lapsed { .. } | Mode::Fenced { .. } => {}
        }
        self.withdraw(Outcome::Refused { why: "the glass is broken instead".into() }, effects);
        let known = self.highest.clone().max(attempt.epoch.clone()).max(self.durable.fenced.clone());
        let gives_up = now + attempt.deadline;
        let from = std::mem::replace(&mut self.mode, Mode::Standby);
        let attempt = Attempt { epoch: known.clone(), ..attempt };
        let mut bid = Bid::new(Some(attempt), above(&known, &self.rules.me), from, now, gives_up);
        bid.received = received;
        bid.accept_loss = Some(accept_loss);
        bid.alone = true;
        self.mode = Mode::Bidding(Box::new(bid));
    }

    /// What another site's voter answers ends a break-glass bid: it is not dead. True when nothing more is to be done.
    pub(super) fn glass_answered(&mut self, voter: &SiteId, effects: &mut Vec<Effect>) -> bool {
        let alone = matches!(&self.mode, Mode::Bidding(bid) if bid.alone);
        if !alone || *voter == self.rules.me {
            return false;
        }
        let why = format!("{voter} answers, so it is not lost: an ordinary failover is possible, or soon will be");
        self.withdraw(Outcome::Refused { why }, effects);
        true
    }

    /// The epoch was won with the own voter's word only. `raise` collects what the others grant.
    pub(super) fn begin_alone(&mut self, epoch: &Epoch, known: u64, effects: &mut Vec<Effect>) {
        self.alone = true;
        self.durable.glass = epoch.clone();
        self.sync = SyncRecord { version: known + STEP, in_sync: vec![self.rules.me.clone()] };
        self.raise = Some(Holder::new(epoch.clone(), self.rules.terms, self.rules.majority()));
        let text = format!("epoch {epoch} rests on the word of two people that every other site is dead");
        effects.push(Effect::Say { text });
    }

    /// Whether this writer holds its epoch by people's word, and no majority has granted it yet.
    pub fn by_decree(&self) -> bool {
        self.alone
    }

    pub(super) fn renewal(&self, epoch: Epoch) -> LeaseRequest {
        if self.alone {
            LeaseRequest::BreakGlass { epoch, record: self.sync.clone() }
        } else {
            LeaseRequest::Renew { epoch }
        }
    }

    /// A lone writer whose right has lapsed tells the voters all the same: its epoch has written, and an old writer that comes
    /// back with the witness must not go on below it. Whoever elected another since refuses.
    pub(super) fn tell_of_glass(&self, effects: &mut Vec<Effect>) {
        let epoch = self.durable.glass.clone();
        if !epoch.is_none() && epoch == self.durable.written {
            self.ask_all(&LeaseRequest::BreakGlass { epoch, record: SyncRecord::default() }, effects);
        }
    }

    /// Somebody else's broken glass ends this writer's right at once.
    pub(super) fn deposed_by_glass(&mut self, reply: &LeaseReply, effects: &mut Vec<Effect>) -> bool {
        let Some(Refusal::GlassBroken { epoch }) = &reply.refused else { return false };
        let newer = self.epoch().is_some_and(|mine| epoch > mine && epoch.site != self.rules.me);
        if newer {
            let why = format!("two people gave the right to write to {} in epoch {}", epoch.site, epoch.number);
            self.begin_fencing(&why, Cause::Deposed, false, effects);
        }
        newer
    }

    /// A voter answered a lapsed writer. Whether that has heard enough to go on by itself.
    pub(super) fn in_company(&mut self, now: Time, voter: &SiteId) -> bool {
        let (beat, majority) = (self.rules.renew_every, self.rules.majority());
        let Company { heard, since } = &mut self.company;
        heard.insert(voter.clone(), now);
        heard.retain(|_, at| now.since(*at) <= beat * 2);
        if heard.len() < majority {
            *since = None;
            return false;
        }
        let listened = now.since(*since.get_or_insert(now));
        heard.len() == self.rules.voters.len() || listened >= beat * LISTENS
    }

    /// While it stands alone, a newer epoch of another site ends this writer's right at once: nothing that the others
    /// counted up to without hearing of the glass reaches its epoch, so they heard of it, and elected another since.
    pub(super) fn deposed_while_alone(&mut self, reply: &LeaseReply, effects: &mut Vec<Effect>) -> bool {
        let newer = self.epoch().is_some_and(|mine| reply.highest > *mine && reply.highest.site != self.rules.me);
        if !self.alone || !newer {
            return false;
        }
        let Epoch { number, site } = &reply.highest;
        let why = format!("{site} was elected in epoch {number} by sites that were said to be dead");
        self.begin_fencing(&why, Cause::Deposed, false, effects);
        true
    }
}
