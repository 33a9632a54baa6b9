//! What happens next: a heap of small keys, and the happenings themselves in a slab beside it, so that ordering them
//! moves sixteen bytes and not the messages.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use model::Time;

/// In order of (time, sequence of entry).
#[derive(Clone)]
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<(Time, u32, u32)>>,
    sequence: u32,
    slab: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Queue<T> {
    pub fn new() -> Self {
        Self { heap: BinaryHeap::with_capacity(256), sequence: 0, slab: Vec::with_capacity(256), free: Vec::new() }
    }

    pub fn push(&mut self, at: Time, what: T) {
        self.sequence += 1;
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
        self.heap.push(Reverse((at, self.sequence, slot)));
    }

    /// When the next comes.
    pub fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    pub fn pop(&mut self) -> Option<(Time, T)> {
        let Reverse((at, _, slot)) = self.heap.pop()?;
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
