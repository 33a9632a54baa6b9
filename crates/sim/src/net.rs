//! Links: who hears whom, how late, and what is lost.

use std::time::Duration;

use crate::rng::Rng;
use crate::scenario::OUTSIDE;

const NODES: usize = OUTSIDE + 1;

#[derive(Clone, Debug, Default)]
pub struct Net {
    cut: [[bool; NODES]; NODES],
    lossy: [[u32; NODES]; NODES],
    /// Messages come late, twice and in another order.
    pub noisy: bool,
}

impl Net {
    pub fn open(&self, from: usize, to: usize) -> bool {
        from == to || !self.cut[from][to]
    }
    /// Both ways: a request and its answer.
    pub fn both(&self, a: usize, b: usize) -> bool {
        self.open(a, b) && self.open(b, a)
    }
    pub fn lossy(&self, from: usize, to: usize) -> u32 {
        self.lossy[from][to]
    }
    /// Neither cut nor lossy, both ways.
    pub fn clean(&self, a: usize, b: usize) -> bool {
        self.both(a, b) && self.lossy[a][b] == 0 && self.lossy[b][a] == 0
    }
    /// Whether anything changed.
    pub fn cut(&mut self, from: usize, to: usize, on: bool) -> bool {
        std::mem::replace(&mut self.cut[from][to], on) != on
    }
    pub fn lose(&mut self, from: usize, to: usize, permille: u32) {
        self.lossy[from][to] = permille;
    }
    pub fn isolate(&mut self, site: usize, on: bool) -> bool {
        let others = (0..NODES).filter(|other| *other != site);
        others.fold(false, |any, other| self.cut(site, other, on) | self.cut(other, site, on) | any)
    }
    pub fn mend(&mut self) {
        *self = Self::default();
    }

    pub fn delay(&self, rng: &mut Rng, from: usize, to: usize) -> Duration {
        if from == to {
            return rng.micros(50, 500);
        }
        if self.noisy && rng.permille(30) {
            return rng.millis(100, 8_000);
        }
        rng.millis(1, 40)
    }
}
