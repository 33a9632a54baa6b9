//! What happens next: a sorted line of small keys, and the happenings themselves in a slab beside it, so that ordering
//! them moves sixteen bytes and not the messages.
//!
//! The line is short (some dozens wait at a time) and nearly everything that comes is due within milliseconds, so its
//! place is near the end that is taken from. A heap was tried: it moves keys along a path of six that no cache line and no
//! branch predictor likes, at twice the time.

use model::Time;

/// In order of time; at one moment, in the order of entry.
#[derive(Clone)]
pub struct Queue<T> {
    /// The next comes last.
    line: Vec<(Time, u32)>,
    slab: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Queue<T> {
    pub fn new() -> Self {
        Self { line: Vec::with_capacity(256), slab: Vec::with_capacity(256), free: Vec::with_capacity(256) }
    }

    pub fn push(&mut self, at: Time, what: T) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slab[slot as usize] = Some(what);
                slot
            }
            None => {
                self.slab.push(Some(what));
                (self.slab.len() - 1) as u32
            }
        };
        let behind = self.line.iter().rposition(|(other, _)| *other > at);
        self.line.insert(behind.map_or(0, |place| place + 1), (at, slot));
    }

    /// When the next comes.
    pub fn next(&self) -> Option<Time> {
        self.line.last().map(|(at, _)| *at)
    }

    pub fn pop(&mut self) -> Option<(Time, T)> {
        let (at, slot) = self.line.pop()?;
        self.free.push(slot);
        self.slab[slot as usize].take().map(|what| (at, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_at_one_moment_comes_in_the_order_of_entry() {
        let mut queue = Queue::new();
        for (at, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            queue.push(Time(at), what);
        }
        assert_eq!(queue.pop(), Some((Time(1), 'a')));
        queue.push(Time(5), 'e');
        let rest: String = std::iter::from_fn(|| queue.pop()).map(|(_, what)| what).collect();
        assert_eq!(rest, "bcde");
    }
}
