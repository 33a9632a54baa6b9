//! A voter that lost its storage: what it must learn before it may grant again.
//!
//! # Intuition
//! What it promised is forgotten, and a voter that forgets a promise makes two writers. But each epoch that was ever won,
//! and each change of the in-sync record, was granted by two of three voters. So at least one of the *other two* knows of
//! it, and the highest that both together know is at least what was forgotten.
//!
//! They must both be asked, and not before a whole promise L(1+ρ) has passed: a grant from just before the loss may still
//! be on its way to a candidate that wins with it and one other voter, which grants only now. A right that rests on the
//! forgotten promise ends within that time too, since it counts from a question that was sent before the loss. So until
//! then, and until both were heard, the voter grants nothing: no renewal either, for it does not know of whom.
//!
//! # A first start
//! Nobody knows anything, and every voter is such a voter. When the other two say so as well, after the wait, there is
//! nothing to remember. A workload that was just made says so to its voters instead and spares them the wait.
//!
//! # What it does not cover
//! Two voters that lose their storage at once. The third alone may not know what those two granted; they then grant
//! nothing until people decide. Nor a voter whose storage returns to an older state: it cannot tell.

use std::collections::{BTreeMap, BTreeSet};

use model::{Epoch, LeaseReply, Refusal, SiteId, SyncRecord, Time};

use super::Promises;

/// What a voter knows of its own past.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Memory {
    Kept,
    Lost(Lost),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Lost {
    others: BTreeSet<SiteId>,
    heard: BTreeMap<SiteId, Word>,
}

/// What another voter said that it knows.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Word {
    highest: Epoch,
    sync: SyncRecord,
    /// It remembers all that it ever granted.
    remembers: bool,
}

impl Lost {
    pub fn new(others: impl IntoIterator<Item = SiteId>) -> Self {
        Self { others: others.into_iter().collect(), heard: BTreeMap::new() }
    }

    /// Asked after `waited_until`, or it does not count.
    pub fn hear(&mut self, from: &SiteId, asked: Time, waited_until: Time, reply: &LeaseReply) {
        if asked < waited_until || !self.others.contains(from) {
            return;
        }
        let remembers = !matches!(reply.refused, Some(Refusal::Amnesiac { .. }));
        let word = Word { highest: reply.highest.clone(), sync: reply.sync.clone(), remembers };
        self.heard.insert(from.clone(), word);
    }

    /// Whose word is missing, or worth nothing yet.
    pub fn lacks(&self, own: &Promises) -> Vec<SiteId> {
        let nobody_knows_any = own.granted.is_none()
            && self.others.iter().all(|other| self.heard.get(other).is_some_and(|word| word.highest.is_none()));
        let counts = |other: &&SiteId| self.heard.get(*other).is_some_and(|word| word.remembers || nobody_knows_any);
        self.others.iter().filter(|other| !counts(other)).cloned().collect()
    }

    /// The highest of all that anybody knows.
    pub fn recalled(&self, own: &Promises) -> Promises {
        let mut recalled = own.clone();
        for word in self.heard.values() {
            // Of two records with one number, that of the newer epoch: the older one never had a majority.
            let newer = (word.sync.version, &word.highest) > (recalled.sync.version, &recalled.granted);
            if newer {
                recalled.sync = word.sync.clone();
            }
            recalled.granted = recalled.granted.max(word.highest.clone());
        }
        recalled
    }
}
