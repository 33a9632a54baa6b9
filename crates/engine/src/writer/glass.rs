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
//! As soon as a majority has granted the epoch, the ordinary rules hold again.
//!
//! # What it does not cover
//! An old writer that lives, with the witness, where this site cannot reach: both write until they hear of each other. And a
//! restart of this agent while it stands alone: it lapses, and the glass must be broken again.

use model::action::AcceptLoss;
use model::{ActError, Attempt, Epoch, LeaseReply, LeaseRequest, Lsn, Outcome, Refusal, SiteId, SyncRecord, Time};

use super::{Bid, Cause, Effect, Mode, Writer};
use crate::lease::Holder;

/// How far a break-glass epoch, and its in-sync record, lie above what is known: more epochs than the others can have
/// used meanwhile. A site begins at most one bid in each `renew_every`: that is more than a day of nothing but bids.
pub const STEP: u64 = 1_000_000;

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
}
