//! The simulator's only source of chance. Written out here, so that a seed means the same disaster for ever: a
//! library may change its generators between versions.

use std::time::Duration;

use engine::forecast::SplitMix;

#[derive(Clone, Debug)]
pub struct Rng(SplitMix);

impl Rng {
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds must not begin alike.
        let mut rng = Self(SplitMix(seed ^ 0x5851_f42d_4c95_7f2d));
        rng.next();
        rng
    }

    fn next(&mut self) -> u64 {
        self.0.word()
    }

    /// From `low` up to, and without, `high`; `low` when the range is empty.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        if high <= low { low } else { low + self.next() % (high - low) }
    }

    pub fn below(&mut self, count: usize) -> usize {
        self.range(0, count as u64) as usize
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.range(0, n) == 0
    }

    /// True this many times in a thousand.
    pub fn permille(&mut self, n: u32) -> bool {
        n > 0 && self.range(0, 1_000) < u64::from(n)
    }

    pub fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_micros(self.range(low * 1_000, high * 1_000))
    }

    pub fn micros(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_micros(self.range(low, high))
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_means_the_same() {
        let mut rng = Rng::new(1);
        let drawn: Vec<u64> = (0..4).map(|_| rng.range(0, 1_000)).collect();
        let mut again = Rng::new(1);
        assert_eq!(drawn, (0..4).map(|_| again.range(0, 1_000)).collect::<Vec<_>>());
        let mut other = Rng::new(2);
        assert_ne!(drawn, (0..4).map(|_| other.range(0, 1_000)).collect::<Vec<_>>());
        assert_eq!(rng.range(5, 5), 5);
    }
}
