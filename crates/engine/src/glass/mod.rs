//! Breaking the glass: what two people must say, and what must be so, before the region that is left takes an epoch with
//! its own voter alone (SAFETY.md item 14). How the epoch is then held is in [`crate::writer::glass`].
//!
//! # Intuition
//! Nothing that this region can see tells a dead region from one that it cannot reach. So people say it, and all that a
//! machine can do is to make it hard to say it wrongly: two different people with keys of their own, each of whom says how
//! every other site was fenced and types what may be lost; nobody's word holds for long; whoever answers is not lost,
//! and is asked again at the last moment; and after the last word a whole promise passes, so that a writer that was cut
//! off only just now has stopped by itself.
//!
//! # Shape
//! As everywhere: [`say`], [`order`] and [`expire`] decide and change nothing, their records are written down first, and
//! [`Glass`] is the fold of the journal. A restart of the agent ends an attempt: what people said of the other sites was
//! said of a moment, and the clock that measured it is no longer trusted. No attempt is ever resumed.
//!
//! # Rejected
//! - A request to the controller that the agent carries out: the controller is one of those who are lost.
//! - One command with two names in it: one person would type both.
//! - A second command that only says yes: whoever agrees without having looked at the other sites adds nothing.
//! - To take the epoch up again after a restart of the agent: whether a voter has granted it meanwhile and another site was
//!   elected since is not known, and the word that nobody else lives is old by then.

mod decide;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use model::glass::Word;
use model::{DatabaseState, Epoch, GlassReport, Person, SiteId, Time};
use serde::{Deserialize, Serialize};

pub use decide::{expire, obstacle, order, phrase, ready_at, say};

/// The step after which clients are served: its name in the journal.
pub const TRAFFIC: &str = "send traffic here";

/// What is seen in the region that is left, when somebody asks.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Scene {
    pub site: SiteId,
    pub database: DatabaseState,
    /// When the newest transaction that is here was committed, by the old writer's wall clock: for people only.
    pub last_commit: Option<String>,
    /// Other sites whose agent answered a call that was made for this question, and what it said.
    pub answered: BTreeMap<SiteId, String>,
    /// Other sites whose agent did not, and why.
    pub silent: BTreeMap<SiteId, String>,
    /// The newest epoch that this site's voter knows.
    pub known: Epoch,
    /// Until this site's own voter is free.
    pub promised: Duration,
    /// Whose word this site's voter lacks, having lost its storage.
    pub lacks: Vec<SiteId>,
}

/// One person's word, and what was seen when it was given: the evidence.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Said {
    pub by: Person,
    pub word: Word,
    pub saw: Scene,
    pub at: Time,
}

/// A line of the journal of the region that is left.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "record")]
pub enum GlassRecord {
    /// An agent took over the journal.
    Started {
        at: Time,
    },
    Opened {
        attempt: u32,
        need: u32,
        said: Said,
    },
    Confirmed {
        attempt: u32,
        said: Said,
    },
    /// Somebody asked for what cannot be granted.
    Refused {
        by: Person,
        code: String,
        why: String,
        asked: model::glass::GlassRequest,
    },
    /// Nothing was taken.
    Withdrawn {
        attempt: u32,
        by: Option<Person>,
        why: String,
    },
    /// From here on the epoch may be taken. `saw` is the last look.
    Ordered {
        attempt: u32,
        saw: Scene,
        at: Time,
    },
    /// The writer holds the epoch.
    Taken {
        attempt: u32,
        epoch: Epoch,
        at: Time,
    },
    /// The order ended, and no epoch was taken.
    Failed {
        attempt: u32,
        why: String,
    },
    /// What was done after the epoch was taken: instances, a real request, traffic.
    Step {
        attempt: u32,
        what: String,
        done: bool,
        note: String,
    },
    /// A majority of voters granted the epoch: the ordinary rules hold again.
    Adopted {
        attempt: u32,
    },
    /// This region no longer writes in the epoch, and another will.
    Deposed {
        attempt: u32,
        why: String,
    },
    Closed {
        attempt: u32,
        by: Person,
        why: String,
    },
}

/// The state: the fold of the journal.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Glass {
    /// The number of the last attempt.
    pub last: u32,
    pub open: Option<Open>,
    pub broken: Option<GlassReport>,
}

/// An attempt that has not ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Open {
    pub attempt: u32,
    pub need: u32,
    pub said: Vec<Said>,
    /// The writer was told; whether it took the epoch is not known yet.
    pub ordered: bool,
}

impl Open {
    pub fn people(&self) -> Vec<Person> {
        self.said.iter().map(|said| said.by.clone()).collect()
    }
    /// All that must agree have.
    pub fn agreed(&self) -> bool {
        self.said.len() >= self.need as usize
    }
}

/// Fold one record into the state. Total: a record that does not fit changes nothing.
pub fn apply(glass: &mut Glass, record: &GlassRecord) {
    match record {
        GlassRecord::Opened { attempt, need, said } => {
            glass.last = *attempt;
            glass.open = Some(Open { attempt: *attempt, need: *need, said: vec![said.clone()], ordered: false });
        }
        GlassRecord::Confirmed { attempt, said } => {
            if let Some(open) = glass.open.as_mut().filter(|open| open.attempt == *attempt) {
                open.said.push(said.clone());
            }
        }
        GlassRecord::Ordered { attempt, .. } => {
            if let Some(open) = glass.open.as_mut().filter(|open| open.attempt == *attempt) {
                open.ordered = true;
            }
        }
        GlassRecord::Withdrawn { attempt, .. } | GlassRecord::Failed { attempt, .. } => {
            glass.open.take_if(|open| open.attempt == *attempt);
        }
        GlassRecord::Taken { attempt, epoch, .. } => {
            let Some(open) = glass.open.take_if(|open| open.attempt == *attempt) else { return };
            glass.broken = Some(report(&open, epoch));
        }
        GlassRecord::Adopted { attempt } => {
            if let Some(broken) = glass.broken.as_mut().filter(|broken| broken.attempt == *attempt) {
                broken.adopted = true;
            }
        }
        GlassRecord::Closed { attempt, .. } => {
            glass.broken.take_if(|broken| broken.attempt == *attempt);
        }
        GlassRecord::Started { .. }
        | GlassRecord::Refused { .. }
        | GlassRecord::Step { .. }
        | GlassRecord::Deposed { .. } => {}
    }
}

fn report(open: &Open, epoch: &Epoch) -> GlassReport {
    GlassReport {
        attempt: open.attempt,
        epoch: epoch.clone(),
        by: open.people(),
        why: open.said.iter().map(|said| said.word.why.clone()).collect(),
        loss: open.said.first().map(|said| said.word.loss.clone()).unwrap_or_default(),
        adopted: false,
    }
}

/// What follows from a start of the agent. `taken` is the newest epoch of this site's own writer, from its own store: an
/// epoch that was taken is taken, whether its record was written or not.
pub fn started(glass: &Glass, taken: &Epoch, now: Time) -> Vec<GlassRecord> {
    let mut records = vec![GlassRecord::Started { at: now }];
    let Some(open) = &glass.open else { return records };
    let (attempt, before) = (open.attempt, open.said.iter().map(|said| &said.saw.known).max());
    let took = open.ordered && before.is_some_and(|before| taken > before);
    records.push(if took {
        GlassRecord::Taken { attempt, epoch: taken.clone(), at: now }
    } else {
        GlassRecord::Withdrawn { attempt, by: None, why: "the agent restarted before the epoch was taken".into() }
    });
    records
}

impl GlassRecord {
    /// One line for people.
    pub fn text(&self) -> String {
        let word = |said: &Said| {
            let fenced: Vec<_> = said.word.fenced.iter().map(|(site, how)| format!("{site} is {how}")).collect();
            format!("{} says: {}; {}; accepts to {}", said.by, said.word.why, fenced.join(", "), said.word.loss)
        };
        match self {
            GlassRecord::Started { .. } => "the agent started".into(),
            GlassRecord::Opened { attempt, said, .. } => format!("glass-{attempt}: {}", word(said)),
            GlassRecord::Confirmed { attempt, said } => format!("glass-{attempt}: {}", word(said)),
            GlassRecord::Refused { by, code, why, .. } => format!("refused to {by}: {why} ({code})"),
            GlassRecord::Withdrawn { attempt, by: Some(by), why } => {
                format!("glass-{attempt}: given up by {by}: {why}")
            }
            GlassRecord::Withdrawn { attempt, by: None, why } => format!("glass-{attempt}: given up: {why}"),
            GlassRecord::Ordered { attempt, .. } => {
                format!("glass-{attempt}: nobody answers; the epoch may be taken")
            }
            GlassRecord::Taken { attempt, epoch, .. } => {
                format!("glass-{attempt}: {} holds epoch {epoch}", epoch.site)
            }
            GlassRecord::Failed { attempt, why } => format!("glass-{attempt}: no epoch was taken: {why}"),
            GlassRecord::Step { attempt, what, done, note } => {
                let mark = if *done { "done" } else { "failed" };
                let note = if note.is_empty() { String::new() } else { format!(": {note}") };
                format!("glass-{attempt}: {what}: {mark}{note}")
            }
            GlassRecord::Adopted { attempt } => {
                format!("glass-{attempt}: a majority of voters has granted the epoch; the ordinary rules hold again")
            }
            GlassRecord::Deposed { attempt, why } => format!("glass-{attempt}: this region no longer writes: {why}"),
            GlassRecord::Closed { attempt, by, why } => format!("glass-{attempt}: closed by {by}: {why}"),
        }
    }
}
