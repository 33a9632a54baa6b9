//! A bid for the next epoch: sound the voters out, then acquire.

use std::collections::BTreeMap;
use std::time::Duration;

use model::action::AcceptLoss;
use model::{
    ActError, Attempt, Epoch, LeaseReply, LeaseRequest, Lsn, Outcome, Receipt, Refusal, SiteId, SyncRecord, Time,
};

use super::{Effect, Mode, Rules, Writer, glass};
use crate::lease::Holder;

/// How often an unanswered question is asked again, at least.
const ASK_AGAIN: Duration = Duration::from_millis(50);

#[derive(Clone, PartialEq, Debug)]
pub struct Bid {
    /// Where the bid came from, and goes back to when it fails.
    pub(super) from: Box<Mode>,
    /// `None` when a lapsed writer bids by itself.
    pub(super) order: Option<Attempt>,
    pub(super) epoch: Epoch,
    pub(super) receipts: Vec<Receipt>,
    pub(super) accept_loss: Option<AcceptLoss>,
    /// How far this site's copy reaches.
    pub(super) received: Lsn,
    /// Has every acknowledged write, whatever the voters' record says.
    pub(super) complete: bool,
    pub(super) started: Time,
    pub(super) gives_up: Time,
    pub(super) asks: Time,
    pub(super) stage: Stage,
    /// By two people's word: the own voter is enough.
    pub(super) alone: bool,
    /// What each voter last said, for the report of a failure.
    pub(super) refusals: BTreeMap<SiteId, Refusal>,
    /// The newest in-sync record among voters that granted.
    pub(super) in_sync: (u64, Vec<SiteId>),
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Stage {
    /// Voters that would grant.
    Sounding(BTreeMap<SiteId, Time>),
    Acquiring(Holder),
}

impl Bid {
    pub(super) fn new(order: Option<Attempt>, epoch: Epoch, from: Mode, now: Time, gives_up: Time) -> Self {
        Self {
            from: Box::new(from),
            order,
            epoch,
            receipts: vec![],
            accept_loss: None,
            received: Lsn::default(),
            complete: false,
            started: now,
            gives_up,
            asks: now,
            stage: Stage::Sounding(BTreeMap::new()),
            alone: false,
            refusals: BTreeMap::new(),
            in_sync: (0, vec![]),
        }
    }
    pub(super) fn wake_at(&self) -> Time {
        self.asks.min(self.gives_up)
    }
    fn request(&self) -> LeaseRequest {
        let (epoch, receipts) = (self.epoch.clone(), self.receipts.clone());
        match self.stage {
            Stage::Sounding(_) => LeaseRequest::Sound { epoch, receipts },
            Stage::Acquiring(_) => LeaseRequest::Acquire { epoch, receipts },
        }
    }
    /// SAFETY.md item 8: past this rule only with two people's recorded consent to lose acknowledged writes.
    fn may_win(&self, rules: &Rules) -> Result<(), String> {
        let (version, in_sync) = &self.in_sync;
        let has_all = self.complete || in_sync.contains(&rules.me);
        if rules.sync.is_none() || has_all || self.accept_loss.is_some() {
            return Ok(());
        }
        let me = &rules.me;
        Err(format!("the voters' record (version {version}) does not say that {me} holds every acknowledged write"))
    }
    fn why_not(&self) -> String {
        let said = self.refusals.iter().map(|(voter, refusal)| format!("{voter}: {refusal}"));
        let said: Vec<String> = said.collect();
        if said.is_empty() { "no majority of voters answered".into() } else { said.join("; ") }
    }
}

impl Writer {
    pub(super) fn bid_tick(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let Mode::Bidding(bid) = &mut self.mode else { return };
        if now >= bid.gives_up {
            let why = format!("no majority granted an epoch: {}", bid.why_not());
            return self.withdraw(Outcome::Failed(ActError::Transient(why)), effects);
        }
        if now >= bid.asks {
            bid.asks = now + ASK_AGAIN.max(self.rules.renew_every / 4);
            let request = bid.request();
            self.ask_all(&request, effects);
        }
    }

    pub(super) fn bid_voted(
        &mut self,
        now: Time,
        voter: &SiteId,
        request: &LeaseRequest,
        sent: Time,
        reply: LeaseReply,
        effects: &mut Vec<Effect>,
    ) {
        if self.glass_answered(voter, effects) {
            return;
        }
        if self.deposed_while_bidding(&reply) {
            let why = format!("a newer epoch {} exists", reply.highest);
            return self.withdraw(Outcome::Refused { why }, effects);
        }
        let majority = self.rules.majority();
        let Mode::Bidding(bid) = &mut self.mode else { return };
        let majority = if bid.alone { 1 } else { majority };
        let asked = match request {
            LeaseRequest::Sound { epoch, .. } | LeaseRequest::Acquire { epoch, .. } => epoch,
            _ => return,
        };
        if *asked != bid.epoch {
            return;
        }
        if let Some(refusal) = reply.refused {
            return self.bid_refused(now, voter, refusal);
        }
        bid.refusals.remove(voter);
        if reply.sync.version >= bid.in_sync.0 {
            bid.in_sync = (reply.sync.version, reply.sync.in_sync);
        }
        match (&mut bid.stage, request) {
            (Stage::Sounding(willing), LeaseRequest::Sound { .. }) => {
                willing.insert(voter.clone(), sent);
                if willing.len() >= majority {
                    self.acquire(now, effects);
                }
            }
            (Stage::Acquiring(holder), LeaseRequest::Acquire { .. }) => {
                holder.granted(voter, sent);
                if holder.holds(now) {
                    self.judge_and_win(now, effects);
                }
            }
            _ => {}
        }
    }

    /// Another site got an epoch that the one who gave this order did not know of.
    fn deposed_while_bidding(&self, reply: &LeaseReply) -> bool {
        let Mode::Bidding(bid) = &self.mode else { return false };
        let known = bid.order.as_ref().map_or(&self.durable.written, |order| &order.epoch);
        reply.highest > *known && reply.highest.site != self.rules.me
    }

    /// Remember why, and ask again just when the voter says it can say yes.
    fn bid_refused(&mut self, now: Time, voter: &SiteId, refusal: Refusal) {
        let (highest, me) = (self.highest.clone(), &self.rules.me);
        let Mode::Bidding(bid) = &mut self.mode else { return };
        match &refusal {
            Refusal::Promised { remaining, .. } | Refusal::Quiet { remaining } => {
                bid.asks = bid.asks.min(now + *remaining + Duration::from_millis(1));
            }
            // An own earlier bid raised it, or a candidate that never won: go above.
            Refusal::OldEpoch { .. } | Refusal::GlassBroken { .. } => {
                bid.epoch = if bid.alone { glass::above(&highest, me) } else { highest.next(me) };
                bid.stage = Stage::Sounding(BTreeMap::new());
                bid.asks = now;
            }
            Refusal::SyncMoved { .. } | Refusal::Amnesiac { .. } => {}
        }
        if let Stage::Sounding(willing) = &mut bid.stage {
            // It was willing once, and is no longer.
            willing.remove(voter);
        }
        bid.refusals.insert(voter.clone(), refusal);
    }

    fn acquire(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let Mode::Bidding(bid) = &mut self.mode else { return };
        // The last writer itself has everything.
        let wrote_last = self.highest == self.durable.written;
        // So has a copy that reaches the end of a writer that was stopped cleanly, by that writer's own receipt.
        let reaches = |receipt: &Receipt| receipt.end.is_some_and(|end| bid.received >= end);
        let complete = bid.receipts.iter().any(|receipt| receipt.covers(&self.highest) && reaches(receipt));
        bid.complete = wrote_last || complete;
        if let Err(why) = bid.may_win(&self.rules) {
            return self.withdraw(Outcome::Refused { why }, effects);
        }
        let majority = if bid.alone { 1 } else { self.rules.majority() };
        bid.stage = Stage::Acquiring(Holder::new(bid.epoch.clone(), self.rules.terms, majority));
        bid.asks = now + ASK_AGAIN;
        self.asked = self.asked.clone().max(bid.epoch.clone());
        let request = bid.request();
        self.ask_all(&request, effects);
    }

    /// The record may have moved on since the voters were sounded. Now it cannot: those who granted the epoch take no
    /// change of it from an older writer any more, and one of them has the newest.
    fn judge_and_win(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let Mode::Bidding(bid) = &self.mode else { return };
        match bid.may_win(&self.rules) {
            Ok(()) => self.won(now, effects),
            Err(why) => self.withdraw(Outcome::Refused { why }, effects),
        }
    }

    /// The commit point: a majority granted the epoch.
    fn won(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let Mode::Bidding(bid) = std::mem::replace(&mut self.mode, Mode::Standby) else { return };
        let Stage::Acquiring(holder) = bid.stage else { return };
        self.durable.written = holder.epoch.clone();
        self.next_renewal = now;
        self.lowest_margin = None;
        self.crashes = 0;
        self.sync = SyncRecord { version: bid.in_sync.0, in_sync: bid.in_sync.1.clone() };
        (self.alone, self.raise) = (false, None);
        if bid.alone {
            self.begin_alone(&holder.epoch, bid.in_sync.0, effects);
        }
        effects.push(Effect::Open { epoch: holder.epoch.clone() });
        effects.push(Effect::Say { text: format!("epoch {} acquired", holder.epoch) });
        self.holder = Some(holder);
        let order = bid.order.map(|attempt| attempt.id);
        self.mode = Mode::Opening { order, started: now, waited: now.since(bid.started) };
    }

    /// Back to where the bid came from.
    pub(super) fn withdraw(&mut self, outcome: Outcome, effects: &mut Vec<Effect>) {
        if !matches!(self.mode, Mode::Bidding(_)) {
            return;
        }
        let Mode::Bidding(bid) = std::mem::replace(&mut self.mode, Mode::Standby) else { return };
        if let Some(order) = bid.order {
            effects.push(Effect::Answer { attempt: order.id, outcome });
        }
        self.mode = *bid.from;
    }

    /// A lapsed writer asks whether it may go on: only while no other site was elected since it wrote.
    pub(super) fn sound_again(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if self.highest > self.durable.written && self.highest.site != self.rules.me {
            let why = format!("{} was elected in epoch {}", self.highest.site, self.highest.number);
            effects.push(Effect::Say { text: format!("fenced for good: {why}") });
            return self.certify(why, None, None, effects);
        }
        if now >= self.next_renewal {
            self.next_renewal = now + self.rules.renew_every;
            self.tell_of_glass(effects);
            let epoch = self.highest.next(&self.rules.me);
            self.ask_all(&LeaseRequest::Sound { epoch, receipts: vec![] }, effects);
        }
    }

    pub(super) fn lapsed_voted(
        &mut self,
        now: Time,
        voter: &SiteId,
        epoch: &Epoch,
        reply: LeaseReply,
        effects: &mut Vec<Effect>,
    ) {
        if !self.in_company(now, voter) {
            return;
        }
        // A voter may be free to grant although another site wrote since: then what is here is not the newest.
        let deposed = self.highest > self.durable.written && self.highest.site != self.rules.me;
        // One bid each interval: a bid that is refused at once asks every voter anew, and were each answer to begin the
        // next one, answers and questions would beget each other without end.
        if !reply.granted() || deposed || now < self.bids_after {
            return;
        }
        self.bids_after = now + self.rules.renew_every;
        let gives_up = now + self.rules.renew_every * 4;
        let from = std::mem::replace(&mut self.mode, Mode::Standby);
        let mut bid = Bid::new(None, epoch.clone(), from, now, gives_up);
        bid.in_sync = (reply.sync.version, reply.sync.in_sync);
        if let Stage::Sounding(willing) = &mut bid.stage {
            willing.insert(voter.clone(), now);
        }
        self.mode = Mode::Bidding(Box::new(bid));
        self.bid_tick(now, effects);
    }
}
