//! What must hold of broken glass. Two writers are possible when people were wrong and the others live and have each other:
//! that alone excuses them, and no longer than until a link is back.

use std::collections::BTreeSet;
use std::time::Duration;

use model::Time;

use crate::world::World;

#[derive(Clone, Default)]
pub struct GlassJudge {
    /// The region whose people gave their word, once the epoch may be taken.
    by: Option<usize>,
    /// What they said is not so: the two others live, have each other, and not this region.
    false_word: bool,
    /// A majority has granted the epoch since: nothing is excused any more once the old writer has stopped.
    adopted: bool,
    /// Acknowledged in an older epoch while the other region wrote by a word that was false.
    pub diverged: BTreeSet<u64>,
    /// Since when the old writer goes on although the region that broke the glass reaches a voter.
    met: Option<Time>,
}

impl GlassJudge {
    pub fn ordered(&mut self, site: usize) {
        (self.by, self.adopted) = (Some(site), false);
    }
    /// People said that this region cannot write.
    pub fn declared_dead(&self, site: usize) -> bool {
        self.by.is_some_and(|by| by != site)
    }
    pub fn adopted(&mut self) {
        self.adopted = true;
    }
}

impl World {
    /// Whether two writers are what people took upon themselves.
    pub fn glass_excuses(&self) -> bool {
        self.judge.glass.false_word
    }

    /// Whenever something dies, returns, or a link changes.
    pub fn note_false_word(&mut self) {
        let Some(left) = self.judge.glass.by else { return };
        let mut others = (0..3).filter(|site| *site != left);
        let (Some(a), Some(b)) = (others.next(), others.next()) else { return };
        let lives = |site: usize| self.sites[site].alive && self.net.both(left, site);
        let reached = lives(a) || lives(b);
        let together = self.sites[a].alive && self.sites[b].alive && self.net.open(a, b) | self.net.open(b, a);
        if together && !reached && !self.judge.glass.false_word {
            self.say(|| format!("the word of the people at site {left} is false: sites {a} and {b} live"));
            self.judge.glass.false_word = true;
        }
    }

    /// Two writers by a false word end soon after the region that broke the glass and any other voter hear each other: each
    /// tells the voters in every renewal, and a kill takes a moment. The one that was declared dead is the one that ends.
    pub fn invariant_two_writers_end_with_the_links(&mut self) {
        let goes_on = self.judge.glass.by.is_some_and(|by| self.sites[1 - by].holds(self.now));
        if self.judge.glass.adopted && !goes_on {
            (self.judge.glass.by, self.judge.glass.false_word) = (None, false);
        }
        let met = goes_on && self.judge.glass.false_word && self.hears_somebody();
        self.judge.glass.met = if met { self.judge.glass.met.or(Some(self.now)) } else { None };
        let timing = &self.topology.timing;
        let soon = (timing.renew_every + timing.renew_timeout) * 2 + Duration::from_millis(500);
        if let Some(since) = self.judge.glass.met.filter(|since| self.now.since(*since) > soon) {
            let what = format!(
                "a writer that was declared dead goes on for {:?} although it could know",
                self.now.since(since)
            );
            self.violated("invariant_two_writers_end_with_the_links", what);
        }
    }

    fn hears_somebody(&self) -> bool {
        let Some(left) = self.judge.glass.by else { return false };
        let well = |site: usize| self.sites[site].runs() && self.sites[site].disk_takes.is_zero();
        let clean = |a: usize, b: usize| !self.net.noisy && self.net.clean(a, b) && well(a) && well(b);
        let other = 1 - left;
        // By way of the witness, the old writer must still hear it too.
        clean(left, other) || (clean(left, 2) && clean(other, 2))
    }
}
