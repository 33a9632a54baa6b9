//! What no right execution could have shown its clients: the clients' histories, reads included, against the cases as
//! they are at the end.
//!
//! A command takes effect at one moment between its sending and its answer, and a read sees all that took effect before
//! it began. So whatever ended before a read was started must show in it: each case has a version that only grows.
//!
//! An asynchronous failover may take the newest writes back. What is gone for ever is in the audit's lists of lost and
//! unknown writes; a read after the failover may miss exactly those, and nothing else. That is counted, not judged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use model::Time;
use serde::{Deserialize, Serialize};

use super::entry::{Seen, WriteId};
use super::history::History;
use super::rows::{Case, Cases, Rows};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Acknowledged, or seen by a read, and gone although no failover may have lost it.
    LostWrite,
    /// One command took effect more than once.
    DoubleEffect,
    /// A command took effect on a version of its case that was known to be past.
    StaleTransition,
    /// A state that no command asked for, or a case that is not what its trail says.
    TornTransition,
    /// A client saw less than it had seen before, or an older writer answered.
    ReadBackInTime,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::LostWrite => "lost-write",
            Kind::DoubleEffect => "double-effect",
            Kind::StaleTransition => "stale-transition",
            Kind::TornTransition => "torn-transition",
            Kind::ReadBackInTime => "read-back-in-time",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Anomaly {
    pub kind: Kind,
    pub why: String,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.why)
    }
}

/// What was looked at, and what was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    pub found: Vec<Anomaly>,
    pub writes: usize,
    pub moves: usize,
    pub reads: usize,
    /// Stale commands, which must all be refused.
    pub stale: usize,
    /// Reads and commands that missed what an asynchronous failover had lost, which is declared elsewhere.
    pub within_loss: usize,
}

/// The epochs that began with a failover which may lose the newest writes of older ones; none under synchronous
/// replication and in planned moves.
pub type Losing = BTreeSet<u64>;

/// Looks for every anomaly. `rows` and `cases` are of the last writer, read after the last client stopped.
pub fn check(history: &History, rows: &Rows, cases: &Cases, losing: &Losing) -> Verdict {
    let mut judge = Judge { history, rows, cases, losing, verdict: Verdict::default(), by_case: BTreeMap::new() };
    judge.collect();
    judge.writes();
    judge.sessions();
    judge.moves();
    judge.ends(cases);
    judge.verdict
}

/// A case as somebody knew it: whatever began after `at` knows at least this.
#[derive(Clone, Debug)]
struct Known<'a> {
    what: String,
    /// A read, not a command's answer.
    reads: bool,
    client: &'a str,
    started: Time,
    at: Time,
    epoch: u64,
    /// `None`: there is no such case.
    seen: Option<&'a Seen>,
}

impl Known<'_> {
    fn version(&self) -> u64 {
        self.seen.map_or(0, |seen| seen.version)
    }
    fn text(&self) -> String {
        let seen = match self.seen {
            Some(seen) => format!("version {} ({})", seen.version, seen.state),
            None => "no such case".to_owned(),
        };
        format!("{} has {seen} in epoch {}", self.what, self.epoch)
    }
}

struct Judge<'a> {
    history: &'a History,
    rows: &'a Rows,
    cases: &'a Cases,
    losing: &'a Losing,
    verdict: Verdict,
    by_case: BTreeMap<&'a str, Of<'a>>,
}

/// All that is known of one case.
#[derive(Default)]
struct Of<'a> {
    known: Vec<Known<'a>>,
    opened: Option<&'a WriteId>,
    moves: Vec<&'a WriteId>,
}

impl<'a> Judge<'a> {
    fn found(&mut self, kind: Kind, why: impl Into<String>) {
        self.verdict.found.push(Anomaly { kind, why: why.into() });
    }

    fn collect(&mut self) {
        let history = self.history;
        for (id, write) in &history.writes {
            self.verdict.writes += 1;
            if let Some(moves) = &write.moves {
                self.verdict.moves += 1;
                self.by_case.entry(&moves.case).or_default().moves.push(id);
            }
            let Some((at, said)) = write.acknowledged() else { continue };
            let of = self.by_case.entry(&said.case).or_default();
            if write.moves.is_none() {
                of.opened = Some(id);
            }
            let (what, client, epoch) = (id.to_string(), &*id.client, said.writer_epoch);
            let (started, seen) = (write.sent, Some(&said.seen));
            of.known.push(Known { what, reads: false, client, started, at, epoch, seen });
        }
        for (at, id, read) in &history.reads {
            self.verdict.reads += 1;
            let (what, client, epoch) = (format!("the read with {id}"), &*id.client, read.writer_epoch);
            let (started, seen) = (read.started, read.seen.as_ref());
            let known = Known { what, reads: true, client, started, at: *at, epoch, seen };
            self.by_case.entry(&read.case).or_default().known.push(known);
        }
    }

    /// Whether a failover may have taken back what was known in `epoch`, before `later`.
    fn may_lose(&self, epoch: u64, later: u64) -> bool {
        self.losing.iter().any(|began| (epoch + 1..=later).contains(began))
    }

    fn gone(&self, id: &WriteId) -> bool {
        self.rows.effects(id) == 0
    }

    /// Each write took effect once, and what was acknowledged is there unless a failover may have lost it.
    fn writes(&mut self) {
        for (id, write) in &self.history.writes {
            if let Some((_, said)) = write.acknowledged()
                && self.gone(id)
                && !self.may_lose(said.writer_epoch, u64::MAX)
            {
                self.found(Kind::LostWrite, format!("{id}, acknowledged in epoch {}", said.writer_epoch));
            }
            let effects = self.rows.effects(id);
            if effects > 1 {
                self.found(Kind::DoubleEffect, format!("{id} took effect {effects} times"));
            }
        }
    }

    /// What ended before another thing began is known there.
    fn sessions(&mut self) {
        for (case, of) in std::mem::take(&mut self.by_case) {
            for later in &of.known {
                let mut within_loss = false;
                for earlier in of.known.iter().filter(|earlier| earlier.at < later.started) {
                    within_loss |= self.compare(case, &of, earlier, later);
                }
                self.verdict.within_loss += usize::from(within_loss);
                if let Some(seen) = later.seen {
                    self.asked_for(case, &of, &later.what, seen);
                }
            }
            self.by_case.insert(case, of);
        }
    }

    /// True when the later one misses what a failover had lost.
    fn compare(&mut self, case: &str, of: &Of<'_>, earlier: &Known<'_>, later: &Known<'_>) -> bool {
        let kind = if later.reads { Kind::ReadBackInTime } else { Kind::StaleTransition };
        let (then, now) = (earlier.text(), later.text());
        if later.epoch < earlier.epoch && earlier.client == later.client {
            self.found(kind, format!("case {case}: {now}, after {then}: an older writer answered"));
            return false;
        }
        // A command that takes effect makes a version of its own; a read may see the same one again.
        let behind = later.version() < earlier.version() || (!later.reads && later.version() == earlier.version());
        if !behind {
            return false;
        }
        let excused = self.may_lose(earlier.epoch, later.epoch) && self.lost_version(case, of, earlier);
        if !excused {
            self.found(kind, format!("case {case}: {now}, after {then}"));
        }
        excused
    }

    /// Whether a command behind the version that `known` has is gone, or took effect anew after a failover.
    fn lost_version(&self, case: &str, of: &Of<'_>, known: &Known<'_>) -> bool {
        // By the case's own trail: a command that was sent again after the failover may have made another case.
        let trail = self.cases.get(case).map_or(&[][..], |case| &case.trail);
        let lost = |id: &WriteId| {
            let said = self.history.writes.get(id).and_then(|write| write.acknowledged());
            let (key, again) = (id.to_string(), said.is_none_or(|(_, said)| said.epoch > known.epoch));
            again || !trail.iter().any(|entry| entry.key == key)
        };
        let mut makers = of.moves.iter().filter(|id| self.makes(id, known.seen)).peekable();
        of.opened.is_none_or(lost) || (known.version() > 1 && (makers.peek().is_none() || makers.any(|id| lost(id))))
    }

    /// Whether the move asked for just what was seen.
    fn makes(&self, id: &WriteId, seen: Option<&Seen>) -> bool {
        let asked = self.history.writes.get(id).and_then(|write| write.moves.as_ref());
        asked.zip(seen).is_some_and(|(asked, seen)| (asked.expected + 1, &asked.to) == (seen.version, &seen.state))
    }

    /// A state that was seen is one that somebody asked for.
    fn asked_for(&mut self, case: &str, of: &Of<'_>, what: &str, seen: &Seen) {
        let first = seen.version == 1 && seen.state == FIRST;
        if !first && !of.moves.iter().any(|id| self.makes(id, Some(seen))) && !self.by_stale(case, seen) {
            let why =
                format!("case {case}: {what} has version {} as {}, which nobody asked for", seen.version, seen.state);
            self.found(Kind::TornTransition, why);
        }
    }

    fn by_stale(&self, case: &str, seen: &Seen) -> bool {
        self.history.stale.iter().any(|(_, _, stale)| {
            let asked = &stale.asked;
            stale.accepted && asked.case == case && (asked.expected + 1, &asked.to) == (seen.version, &seen.state)
        })
    }

    /// Of all commands that expect one version of a case, one takes effect.
    fn moves(&mut self) {
        let history = self.history;
        self.verdict.stale = history.stale.len();
        for (_, id, stale) in history.stale.iter().filter(|(_, _, stale)| stale.accepted) {
            let of = self.by_case.get(stale.asked.case.as_str());
            let earlier = of.into_iter().flat_map(|of| &of.known);
            let earlier: Vec<_> =
                earlier.filter(|k| k.at < stale.started && k.version() > stale.asked.expected).cloned().collect();
            let excused = earlier.iter().all(|known| {
                self.may_lose(known.epoch, stale.writer_epoch)
                    && of.is_some_and(|of| self.lost_version(&stale.asked.case, of, known))
            });
            if excused {
                self.verdict.within_loss += 1;
                continue;
            }
            let why = format!(
                "a move of case {} from version {}, with {id}, was accepted",
                stale.asked.case, stale.asked.expected
            );
            self.found(Kind::StaleTransition, why);
        }
    }

    /// The cases as they are.
    fn ends(&mut self, cases: &Cases) {
        for (id, case) in cases {
            self.whole(id, case);
            let keys: BTreeSet<&str> = case.trail.iter().map(|entry| entry.key.as_str()).collect();
            if keys.len() < case.trail.len() {
                self.found(Kind::DoubleEffect, format!("the trail of case {id} has one command more than once"));
            }
        }
        for (case, of) in std::mem::take(&mut self.by_case) {
            let now = cases.get(case).map_or(0, |case| case.now.version);
            for known in of.known.iter().filter(|known| known.version() > now) {
                let opened = of.opened.is_some_and(|id| self.is_reported(id));
                let reported = opened || of.moves.iter().any(|id| self.is_reported(id));
                if !reported && !self.may_lose(known.epoch, u64::MAX) {
                    let why = format!("case {case} has version {now}, after {} had {}", known.what, known.version());
                    self.found(Kind::LostWrite, why);
                }
            }
            self.by_case.insert(case, of);
        }
    }

    /// Found as lost by itself, in [`Self::writes`].
    fn is_reported(&self, id: &WriteId) -> bool {
        let said = self.history.writes.get(id).and_then(|write| write.acknowledged());
        self.gone(id) && said.is_some_and(|(_, said)| !self.may_lose(said.writer_epoch, u64::MAX))
    }

    /// A case is what its trail says, and each entry is what its command asked for.
    fn whole(&mut self, id: &str, case: &Case) {
        let mut state: Option<&String> = None;
        for (number, entry) in (1..).zip(&case.trail) {
            let asked =
                WriteId::parse(&entry.key).and_then(|id| self.history.writes.get(&id)).map(|write| &write.moves);
            let other = match asked {
                Some(None) => entry.version != 1 || entry.became != FIRST,
                Some(Some(asked)) => {
                    asked.case != id || asked.to != entry.became || asked.expected + 1 != entry.version
                }
                None => false,
            };
            if entry.version != number || entry.was.as_ref() != state || other {
                let why = format!("the trail of case {id} breaks at version {} ({})", entry.version, entry.key);
                return self.found(Kind::TornTransition, why);
            }
            state = Some(&entry.became);
        }
        if state != Some(&case.now.state) || case.trail.len() as u64 != case.now.version {
            let why = format!(
                "case {id} is {} at version {}, which is not the end of its trail",
                case.now.state, case.now.version
            );
            self.found(Kind::TornTransition, why);
        }
    }
}

/// Of a case that was just opened.
const FIRST: &str = "UnderReview";

#[cfg(test)]
#[path = "anomaly_tests.rs"]
mod tests;
