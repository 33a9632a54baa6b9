//! Orders from a controller: what is refused, and what they start.

use model::action::{AcceptLoss, Evidence};
use model::{ActError, Attempt, AttemptId, Lsn, Outcome, Receipt, Time};

use super::{Bid, Cause, Effect, Mode, Writer};

pub(super) struct Promotion {
    pub attempt: Attempt,
    pub receipts: Vec<Receipt>,
    pub at_least: Option<Lsn>,
    pub accept_loss: Option<AcceptLoss>,
    pub received: Lsn,
}

impl Writer {
    pub(super) fn promote(&mut self, now: Time, order: Promotion, effects: &mut Vec<Effect>) {
        let id = order.attempt.id;
        let mut answer = |outcome| effects.push(Effect::Answer { attempt: id, outcome });
        if let Err(why) = self.admit(&order.attempt) {
            return answer(Outcome::Refused { why });
        }
        match &self.mode {
            Mode::Writing => {
                let evidence = Evidence { epoch: self.epoch().cloned(), ..Evidence::note("it is the writer already") };
                return answer(Outcome::AlreadyDone(evidence));
            }
            Mode::Opening { order: Some(running), .. } if *running == id => return,
            Mode::Bidding(bid) if bid.order.as_ref().is_some_and(|o| o.id == id) => return,
            Mode::Opening { .. } | Mode::Fencing { .. } => {
                return answer(Outcome::Failed(ActError::Transient("it is busy being promoted or fenced".into())));
            }
            Mode::Standby | Mode::Bidding(_) | Mode::Lapsed { .. } | Mode::Fenced { .. } => {}
        }
        if self.following {
            return answer(Outcome::Failed(ActError::Transient("its data is being replaced by a copy".into())));
        }
        if let Some(missing) = order.at_least.filter(|at_least| order.received < *at_least) {
            let why = format!("the log ends at {}, before the old writer's end {missing}", order.received);
            return answer(Outcome::Failed(ActError::Transient(why)));
        }
        self.withdraw(Outcome::Refused { why: "a newer order replaced this one".into() }, effects);
        // Above what was given up too: a receipt for it may still be on its way, and must release nothing newer.
        let known = self.highest.clone().max(order.attempt.epoch.clone()).max(self.durable.fenced.clone());
        let gives_up = now + order.attempt.deadline;
        let from = std::mem::replace(&mut self.mode, Mode::Standby);
        let mut bid = Bid::new(Some(order.attempt), known.next(&self.rules.me), from, now, gives_up);
        bid.receipts = order.receipts;
        bid.accept_loss = order.accept_loss;
        bid.received = order.received;
        self.mode = Mode::Bidding(Box::new(bid));
    }

    pub(super) fn fence(&mut self, attempt: Attempt, clean: bool, effects: &mut Vec<Effect>) {
        if let Err(why) = self.admit(&attempt) {
            return effects.push(Effect::Answer { attempt: attempt.id, outcome: Outcome::Refused { why } });
        }
        self.withdraw(Outcome::Refused { why: "fenced instead".into() }, effects);
        match self.mode.clone() {
            Mode::Writing | Mode::Opening { .. } => {
                if let Mode::Opening { order: Some(running), .. } = self.mode {
                    let outcome = Outcome::Failed(ActError::Permanent("fenced during the promotion".into()));
                    effects.push(Effect::Answer { attempt: running, outcome });
                }
                self.begin_fencing("ordered", Cause::Order { attempt: attempt.id }, clean, effects);
            }
            // The server is on its way down already: this order gets the receipt.
            Mode::Fencing { why, clean, .. } => {
                self.mode = Mode::Fencing { why, cause: Cause::Order { attempt: attempt.id }, clean };
            }
            Mode::Lapsed { why, .. } => self.certify(why, None, Some(attempt.id), effects),
            Mode::Fenced { why, end } => self.certify(why, end, Some(attempt.id), effects),
            Mode::Standby | Mode::Bidding(_) => {
                let why = "it is not a writer".to_string();
                effects.push(Effect::Answer { attempt: attempt.id, outcome: Outcome::Refused { why } });
            }
        }
    }

    /// From here on the attempt, and every earlier one, is refused: also one that has not arrived yet. An attempt
    /// whose epoch is already acquired has passed the commit point and goes on.
    pub(super) fn cancel(&mut self, attempt: AttemptId, effects: &mut Vec<Effect>) {
        self.durable.cancelled = self.durable.cancelled.max(Some(attempt));
        if matches!(&self.mode, Mode::Bidding(bid) if bid.order.as_ref().is_some_and(|o| o.id == attempt)) {
            self.withdraw(Outcome::Refused { why: "cancelled".into() }, effects);
        }
    }

    /// SAFETY.md item 3: older epochs, runs and controllers are refused. An own epoch is no reason: it came from an own bid
    /// or raise, which the one who gives the order may not have heard of yet.
    fn admit(&mut self, attempt: &Attempt) -> Result<(), String> {
        if attempt.generation < self.durable.generation {
            return Err(format!(
                "the order is of controller start {}, {} is known",
                attempt.generation, self.durable.generation
            ));
        }
        if self.durable.cancelled.is_some_and(|cancelled| attempt.id <= cancelled) {
            return Err("the order was cancelled".into());
        }
        if self.highest > attempt.epoch && self.highest.site != self.rules.me {
            return Err(format!("the order was given in epoch {}, {} is known", attempt.epoch, self.highest));
        }
        self.durable.generation = attempt.generation;
        Ok(())
    }
}
