//! Which orders an agent of the modelled world does not take.

use model::action::Action;
use model::{Attempt, Verb};

use super::World;

impl World {
    /// An agent takes no order about a writer or its data from whoever does not know of the newest epoch, unless that
    /// is its own.
    pub(super) fn refuses(&self, attempt: &Attempt, action: &Action) -> Option<String> {
        let own = self.places[&action.site].written == self.epoch;
        let guarded = match action.verb {
            Verb::Promote { .. } | Verb::Fence { .. } => !own,
            Verb::Initialise | Verb::Follow { .. } | Verb::Restore { .. } | Verb::PutBack { .. } => true,
            _ => false,
        };
        let (given, known) = (&attempt.epoch, &self.epoch);
        (guarded && known > given).then(|| format!("the order was given in epoch {given}, {known} is known"))
    }
}
