//! One site's writer: acquires, promotes, writes, lapses, fences. No I/O: the agent and the simulator both drive it.
//!
//! # Intuition
//! The site's agent owns its database. It may let the database write only while a majority of voters has promised
//! it an epoch, it stops it by itself when that right ends, and it needs nobody's leave to stop. The controller can
//! only *order* a promotion; the agent decides at the voters whether it happens, so that an order that comes late,
//! twice or after an abort is harmless (SAFETY.md item 3).
//!
//! ```text
//!            Promote            majority grants          server writable
//!  Standby ──────────► Bidding ────────────────► Opening ───────────────► Writing
//!     ▲                   │ deadline, refusal        │ right lapsed            │ right lapsed, order, crash
//!     │ Followed          ▼                          ▼                         ▼
//!     └────────────── (back)                      Fencing ◄────────────────────┘
//!                                                    │ every process gone
//!                     majority grants (nobody else   ▼
//!            Opening ◄───────────────────────── Lapsed ──► Fenced (receipt)
//!                            was elected)            another site was elected
//! ```
//! `Lapsed` is a writer whose right ended although nobody else was elected: both its links were cut for a while,
//! or its agent restarted. It bids again by itself. `Fenced` writes again only when it is ordered to follow or to promote.
//!
//! # What the shell owes
//! Persist [`Durable`] whenever [`Writer::durable`] changed, before performing the effects of the same call. Shut the
//! gate by itself at [`Writer::deadline`], without waiting for a call: the gate reads the deadline for every byte.

mod bid;
pub mod glass;
mod orders;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use model::action::{AcceptLoss, Evidence};
use model::{Attempt, AttemptId, Epoch, LeaseReply, LeaseRequest, Lsn, Outcome, Receipt, SiteId, SyncRecord, Time};
use serde::{Deserialize, Serialize};

pub use bid::Bid;
pub use sync::{Stream, SyncRules};

use sync::SyncState;

use crate::lease::{Holder, Terms};

/// What must survive a crash of the agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Durable {
    /// The newest epoch in which this site's database may have written.
    pub written: Epoch,
    /// Never again writes in an epoch up to this one; a receipt says so.
    pub fenced: Epoch,
    /// The epoch that people gave this site, for as long as no majority is known to have granted it.
    #[serde(default = "Epoch::none")]
    pub glass: Epoch,
    /// Orders of an older controller, or up to this attempt, are refused.
    pub generation: u64,
    pub cancelled: Option<AttemptId>,
}

impl Default for Durable {
    fn default() -> Self {
        Self { written: Epoch::none(), fenced: Epoch::none(), glass: Epoch::none(), generation: 0, cancelled: None }
    }
}

/// Who this writer is, and the rules that it plays by.
#[derive(Clone, Debug)]
pub struct Rules {
    pub me: SiteId,
    pub voters: Vec<SiteId>,
    pub terms: Terms,
    pub renew_every: Duration,
    /// RPO zero: promotion needs a place in the voters' in-sync record.
    pub sync: Option<SyncRules>,
    /// The other sites with data.
    pub partners: Vec<SiteId>,
    /// Start the server again after a crash, rather than fence at once.
    pub restart_after_crash: bool,
}

impl Rules {
    fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }
}

#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The agent started, after it made sure that no process of the data directory was left. `standby` is whether
    /// the directory is marked as a copy.
    Restarted {
        standby: bool,
    },
    Promote {
        attempt: Attempt,
        receipts: Vec<Receipt>,
        at_least: Option<Lsn>,
        accept_loss: Option<AcceptLoss>,
        received: Lsn,
    },
    Fence {
        attempt: Attempt,
        clean: bool,
    },
    /// See [`glass`]; the attempt's epoch is the newest that this site's voter knows.
    BreakGlass {
        attempt: Attempt,
        received: Lsn,
        accept_loss: AcceptLoss,
    },
    Cancel {
        attempt: AttemptId,
    },
    /// The order to follow ended; `copy` when the server now runs as a copy. See [`Writer::begin_follow`].
    Followed {
        copy: bool,
    },
    Voted {
        voter: SiteId,
        request: LeaseRequest,
        sent: Time,
        reply: LeaseReply,
    },
    /// The server is writable behind a shut gate.
    /// `end` is where its log ended before anything new.
    Opened {
        phases: Vec<(String, Duration)>,
        end: Lsn,
    },
    /// What the writing server sees of its standbys.
    Standbys {
        streams: Vec<Stream>,
        position: Lsn,
    },
    /// It could not be made writable.
    OpenFailed {
        why: String,
    },
    ServerExited {
        why: String,
    },
    /// No process of the data directory is left. `end` is known after a clean stop.
    Gone {
        end: Option<Lsn>,
    },
    Tick,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    Ask {
        voter: SiteId,
        request: LeaseRequest,
    },
    /// Sever the stream from the old writer, promote or start as a writer. Clients stay shut out.
    Open {
        epoch: Epoch,
    },
    /// Let clients' bytes pass, until the deadline.
    OpenGate {
        epoch: Epoch,
    },
    ShutGate,
    /// Let commits wait for this standby, or for none.
    Synchronous {
        standby: Option<SiteId>,
    },
    /// Stop the server. Clean: finish transactions, send everything to the standby. Otherwise SIGKILL to all.
    Stop {
        clean: bool,
    },
    /// Start the crashed server again in the same epoch.
    Restart,
    /// Sign a receipt with this content, tell it to the voters, and answer `attempt` with it.
    Certify {
        epoch: Epoch,
        end: Option<Lsn>,
        attempt: Option<AttemptId>,
    },
    Answer {
        attempt: AttemptId,
        outcome: Outcome,
    },
    Say {
        text: String,
    },
}

#[derive(Clone, PartialEq, Debug)]
pub enum Mode {
    /// Nothing to write with, or a running copy.
    Standby,
    Bidding(Box<Bid>),
    /// Holds the lease, not yet writable.
    Opening {
        order: Option<AttemptId>,
        started: Time,
        waited: Duration,
    },
    Writing,
    Fencing {
        why: String,
        cause: Cause,
        clean: bool,
    },
    /// The right ended; nobody else is known to have been elected.
    Lapsed {
        why: String,
        since: Time,
    },
    Fenced {
        why: String,
        end: Option<Lsn>,
    },
}

/// Why a writer is being stopped; decides what follows.
#[derive(Clone, PartialEq, Debug)]
pub enum Cause {
    Lapse,
    Order {
        attempt: AttemptId,
    },
    Failure,
    /// Another site's epoch.
    Deposed,
}

#[derive(Clone, Debug)]
pub struct Writer {
    rules: Rules,
    durable: Durable,
    mode: Mode,
    holder: Option<Holder>,
    /// A second acquisition while writing: some voter knows a newer epoch that never won.
    raise: Option<Holder>,
    /// See [`Writer::alone`].
    alone: bool,
    /// The newest epoch heard of from any voter.
    highest: Epoch,
    /// The newest epoch this site asked for; a receipt must cover it.
    asked: Epoch,
    sync: SyncRecord,
    sync_state: SyncState,
    next_renewal: Time,
    /// A lapsed writer begins no new bid before this.
    bids_after: Time,
    company: glass::Company,
    lowest_margin: Option<Duration>,
    /// Of the server, in this epoch.
    crashes: u32,
    following: bool,
}

impl Writer {
    pub fn new(rules: Rules, durable: Durable) -> Self {
        let (highest, asked) = (durable.written.clone(), durable.written.clone());
        Self {
            rules,
            durable,
            mode: Mode::Standby,
            holder: None,
            raise: None,
            alone: false,
            highest,
            asked,
            sync: SyncRecord::default(),
            sync_state: SyncState::default(),
            next_renewal: Time::ZERO,
            bids_after: Time::ZERO,
            company: glass::Company::default(),
            lowest_margin: None,
            crashes: 0,
            following: false,
        }
    }

    pub fn durable(&self) -> &Durable {
        &self.durable
    }
    pub fn mode(&self) -> &Mode {
        &self.mode
    }
    pub fn highest(&self) -> &Epoch {
        &self.highest
    }
    pub fn sync(&self) -> &SyncRecord {
        &self.sync
    }
    /// The epoch that is held, if any.
    pub fn epoch(&self) -> Option<&Epoch> {
        self.holder.as_ref().map(|holder| &holder.epoch)
    }
    /// The right to write ends here.
    pub fn deadline(&self) -> Option<Time> {
        self.holder.as_ref().and_then(Holder::deadline)
    }
    /// The least time that was left at any renewal in this epoch: how near a false failover came.
    pub fn lowest_margin(&self) -> Option<Duration> {
        self.lowest_margin
    }
    /// Why and since when the right to write is over, although nobody else is known to have been elected.
    pub fn lapsed(&self) -> Option<(&str, Time)> {
        match &self.mode {
            Mode::Lapsed { why, since } => Some((why, *since)),
            Mode::Bidding(bid) => match bid.from.as_ref() {
                Mode::Lapsed { why, since } if bid.order.is_none() => Some((why, *since)),
                _ => None,
            },
            _ => None,
        }
    }
    /// Whether a copy is being made of another site's data.
    pub fn following(&self) -> bool {
        self.following
    }

    pub fn step(&mut self, now: Time, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Restarted { standby } => self.restarted(now, standby, &mut effects),
            Event::Promote { attempt, receipts, at_least, accept_loss, received } => {
                let order = orders::Promotion { attempt, receipts, at_least, accept_loss, received };
                self.promote(now, order, &mut effects);
            }
            Event::Fence { attempt, clean } => self.fence(attempt, clean, &mut effects),
            Event::BreakGlass { attempt, received, accept_loss } => {
                self.break_glass(now, attempt, received, accept_loss, &mut effects);
            }
            Event::Cancel { attempt } => self.cancel(attempt, &mut effects),
            Event::Followed { copy } => self.followed(copy),
            Event::Voted { voter, request, sent, reply } => self.voted(now, &voter, request, sent, reply, &mut effects),
            Event::Opened { phases, end } => self.opened(now, phases, end, &mut effects),
            Event::Standbys { streams, position } => self.standbys(now, &streams, position, &mut effects),
            Event::OpenFailed { why } => self.open_failed(why, &mut effects),
            Event::ServerExited { why } => self.server_exited(why, &mut effects),
            Event::Gone { end } => self.gone(now, end, &mut effects),
            Event::Tick => {}
        }
        self.tick(now, &mut effects);
        effects
    }

    /// When to call again at the latest, if nothing happens before.
    pub fn wake_at(&self, now: Time) -> Time {
        let next = match &self.mode {
            Mode::Bidding(bid) => bid.wake_at(),
            _ => self.next_renewal,
        };
        self.deadline().map_or(next, |deadline| next.min(deadline)).max(now + Duration::from_millis(1))
    }

    fn restarted(&mut self, now: Time, standby: bool, effects: &mut Vec<Effect>) {
        let unfenced = !self.durable.written.is_none() && self.durable.fenced < self.durable.written;
        self.mode = if standby || self.durable.written.is_none() {
            Mode::Standby
        } else if unfenced {
            Mode::Lapsed { why: "the agent restarted".into(), since: now }
        } else {
            effects.push(Effect::Certify { epoch: self.durable.fenced.clone(), end: None, attempt: None });
            Mode::Fenced { why: "it was fenced before the agent restarted".into(), end: None }
        };
    }

    /// Claims the data directory for [`Event::Followed`]. From here on this site never again writes in an old epoch, also
    /// when following fails half-way.
    ///
    /// # Errors
    /// Why the server cannot be turned into a copy now.
    pub fn begin_follow(&mut self) -> Result<Vec<Effect>, String> {
        let mut effects = Vec::new();
        if self.lapsed().is_some() {
            self.withdraw(Outcome::Refused { why: "it is to follow instead".into() }, &mut effects);
        }
        match self.mode.clone() {
            _ if self.following => return Err("it is following already".into()),
            Mode::Standby | Mode::Fenced { .. } => {}
            Mode::Lapsed { why, .. } => self.certify(why, None, None, &mut effects),
            Mode::Bidding(_) | Mode::Opening { .. } => return Err("it is being promoted".into()),
            Mode::Writing => return Err("it is the writer; fence it first".into()),
            Mode::Fencing { .. } => return Err("it is being fenced".into()),
        }
        self.following = true;
        Ok(effects)
    }

    fn followed(&mut self, copy: bool) {
        self.following = false;
        if copy {
            self.durable.fenced = self.durable.fenced.clone().max(self.durable.written.clone());
            self.mode = Mode::Standby;
        }
    }

    fn opened(&mut self, now: Time, phases: Vec<(String, Duration)>, end: Lsn, effects: &mut Vec<Effect>) {
        let Mode::Opening { order, started, waited } = self.mode.clone() else { return };
        let epoch = self.epoch().cloned().unwrap_or_else(Epoch::none);
        // SAFETY.md item 3: the right is checked after the promotion too.
        if !self.holds(now) {
            return self.begin_fencing("the lease lapsed during the promotion", Cause::Lapse, false, effects);
        }
        self.mode = Mode::Writing;
        if self.begin_sync(now, end, effects) {
            effects.push(Effect::OpenGate { epoch: epoch.clone() });
        }
        effects.push(Effect::Say { text: format!("writing in epoch {epoch}") });
        if let Some(attempt) = order {
            let mut all = vec![("lease".to_string(), waited)];
            all.extend(phases);
            all.push(("promotion".to_string(), now.since(started)));
            let evidence = Evidence { epoch: Some(epoch), phases: all, ..Evidence::default() };
            effects.push(Effect::Answer { attempt, outcome: Outcome::Done(evidence) });
        }
    }

    fn open_failed(&mut self, why: String, effects: &mut Vec<Effect>) {
        if let Mode::Opening { order, .. } = &self.mode {
            if let Some(attempt) = *order {
                let error = model::ActError::Permanent(format!("the server did not become writable: {why}"));
                effects.push(Effect::Answer { attempt, outcome: Outcome::Failed(error) });
            }
            self.begin_fencing(&format!("the server did not become writable: {why}"), Cause::Failure, false, effects);
        }
    }

    fn server_exited(&mut self, why: String, effects: &mut Vec<Effect>) {
        if self.mode != Mode::Writing {
            return;
        }
        self.crashes += 1;
        effects.push(Effect::ShutGate);
        if self.rules.restart_after_crash && self.crashes == 1 {
            effects.push(Effect::Say { text: format!("the server ended ({why}); starting it again") });
            self.mode = Mode::Opening { order: None, started: Time::ZERO, waited: Duration::ZERO };
            effects.push(Effect::Restart);
        } else {
            self.begin_fencing(&format!("the server ended ({why})"), Cause::Failure, false, effects);
        }
    }

    fn begin_fencing(&mut self, why: &str, cause: Cause, clean: bool, effects: &mut Vec<Effect>) {
        effects.push(Effect::Say { text: format!("fencing: {why}") });
        // A clean stop lets transactions end, but admits no new bytes from clients either.
        effects.push(Effect::ShutGate);
        effects.push(Effect::Stop { clean });
        self.mode = Mode::Fencing { why: why.into(), cause, clean };
    }

    fn gone(&mut self, now: Time, end: Option<Lsn>, effects: &mut Vec<Effect>) {
        let Mode::Fencing { why, cause, .. } = self.mode.clone() else { return };
        self.holder = None;
        self.raise = None;
        match cause {
            Cause::Lapse => self.mode = Mode::Lapsed { why, since: now },
            Cause::Order { attempt } => self.certify(why, end, Some(attempt), effects),
            Cause::Failure | Cause::Deposed => self.certify(why, end, None, effects),
        }
    }

    /// The receipt covers every epoch this site ever asked for, so that no late grant revives it.
    fn certify(&mut self, why: String, end: Option<Lsn>, attempt: Option<AttemptId>, effects: &mut Vec<Effect>) {
        let epoch = self.asked.clone().max(self.durable.written.clone());
        self.durable.fenced = self.durable.fenced.clone().max(epoch.clone());
        self.mode = Mode::Fenced { why, end };
        effects.push(Effect::Certify { epoch, end, attempt });
    }

    fn holds(&self, now: Time) -> bool {
        self.holder.as_ref().is_some_and(|holder| holder.holds(now))
    }

    fn tick(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let active = matches!(self.mode, Mode::Opening { .. } | Mode::Writing);
        if active && !self.holds(now) {
            if let Mode::Opening { order: Some(attempt), .. } = self.mode {
                let error = model::ActError::Transient("the lease lapsed during the promotion".into());
                effects.push(Effect::Answer { attempt, outcome: Outcome::Failed(error) });
            }
            return self.begin_fencing("the lease lapsed", Cause::Lapse, false, effects);
        }
        match &self.mode {
            Mode::Bidding(_) => self.bid_tick(now, effects),
            Mode::Opening { .. } | Mode::Writing => self.renew(now, effects),
            Mode::Lapsed { .. } => self.sound_again(now, effects),
            _ => {}
        }
    }

    fn renew(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let Some(epoch) = self.epoch().cloned() else { return };
        if now < self.next_renewal {
            return;
        }
        if let Some(deadline) = self.deadline() {
            let margin = deadline.since(now);
            self.lowest_margin = Some(self.lowest_margin.map_or(margin, |lowest| lowest.min(margin)));
        }
        self.next_renewal = now + self.rules.renew_every;
        self.ask_all(&self.renewal(epoch), effects);
        if let Some(raise) = self.raise.as_ref().filter(|_| !self.alone) {
            let request = LeaseRequest::Acquire { epoch: raise.epoch.clone(), receipts: vec![] };
            self.ask_all(&request, effects);
        }
    }

    fn ask_all(&self, request: &LeaseRequest, effects: &mut Vec<Effect>) {
        let voters = self.rules.voters.iter();
        effects.extend(voters.map(|voter| Effect::Ask { voter: voter.clone(), request: request.clone() }));
    }

    fn voted(
        &mut self,
        now: Time,
        voter: &SiteId,
        request: LeaseRequest,
        sent: Time,
        reply: LeaseReply,
        effects: &mut Vec<Effect>,
    ) {
        if reply.highest > self.highest {
            self.highest = reply.highest.clone();
        }
        match (&request, &self.mode) {
            (LeaseRequest::Sound { .. } | LeaseRequest::Acquire { .. }, Mode::Bidding(_)) => {
                self.bid_voted(now, voter, &request, sent, reply, effects);
            }
            (LeaseRequest::Sound { epoch, .. }, Mode::Lapsed { .. }) => {
                let epoch = epoch.clone();
                self.lapsed_voted(now, voter, &epoch, reply, effects);
            }
            (
                LeaseRequest::Renew { epoch }
                | LeaseRequest::Acquire { epoch, .. }
                | LeaseRequest::BreakGlass { epoch, .. },
                Mode::Opening { .. } | Mode::Writing,
            ) => {
                let epoch = epoch.clone();
                if self.deposed_by_glass(&reply, effects) || self.deposed_while_alone(&reply, effects) {
                    return;
                }
                self.renewed(voter, &epoch, sent, &reply);
            }
            (LeaseRequest::RecordSync { record, .. }, Mode::Writing) => self.sync_voted(voter, record, reply.granted()),
            _ => {}
        }
    }

    fn renewed(&mut self, voter: &SiteId, epoch: &Epoch, sent: Time, reply: &LeaseReply) {
        if reply.granted() {
            let carries = !self.alone || *voter == self.rules.me;
            let holders = [self.holder.as_mut().filter(|_| carries), self.raise.as_mut()];
            holders.into_iter().flatten().filter(|h| h.epoch == *epoch).for_each(|h| h.granted(voter, sent));
            self.adopt_raise();
        } else if !self.alone
            && self.epoch().is_some_and(|mine| reply.highest > *mine && reply.highest.site != self.rules.me)
        {
            // A candidate that never won left a voter that cannot renew us. Raise our own epoch above it, while a
            // majority still carries the present one; if the candidate did win, this fails and our right runs out.
            let above = self.raise.as_ref().is_none_or(|raise| raise.epoch < reply.highest);
            if above {
                let epoch = reply.highest.next(&self.rules.me);
                self.asked = self.asked.clone().max(epoch.clone());
                self.raise = Some(Holder::new(epoch, self.rules.terms, self.rules.majority()));
                self.next_renewal = Time::ZERO;
            }
        }
    }

    /// A raised epoch that a majority granted replaces the present one; the database goes on undisturbed.
    fn adopt_raise(&mut self) {
        let won =
            self.raise.as_ref().is_some_and(|raise| raise.deadline() >= self.deadline() && raise.deadline().is_some());
        if won && let Some(raise) = self.raise.take() {
            self.alone = false;
            self.durable.glass = Epoch::none();
            self.durable.written = raise.epoch.clone();
            self.holder = Some(raise);
        }
    }

    /// In-sync standbys, as recorded with a majority of voters.
    pub fn in_sync(&self) -> BTreeSet<&SiteId> {
        self.sync.in_sync.iter().collect()
    }
}
