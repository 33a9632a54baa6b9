//! Mutations of known inputs, each from its own seed: the same on every machine.

pub struct Mutator {
    state: u64,
}

/// Values that break arithmetic.
const EDGES: [u64; 10] = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff];
const LONGEST: usize = 1 << 16;

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Splitmix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
    /// A piece of `of`, mostly short.
    fn piece(&mut self, of: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(of.len() + 1);
        let most = if self.below(4) == 0 { of.len() } else { 16 };
        start..(start + self.below(most + 1)).min(of.len())
    }

    /// One of the inputs, changed in one to four places.
    pub fn mutate(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut input = inputs[self.below(inputs.len())].clone();
        for _ in 0..=self.below(4) {
            self.change(&mut input, inputs);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, inputs: &[Vec<u8>]) {
        let here = self.piece(input);
        match self.below(8) {
            0 => input.truncate(here.start),
            1 => drop(input.drain(here)),
            2 => {
                let copied = input[here].to_vec();
                let at = self.below(input.len() + 1);
                input.splice(at..at, copied);
            }
            3 => {
                let other = &inputs[self.below(inputs.len())];
                let taken = other[self.piece(other)].to_vec();
                input.splice(here, taken);
            }
            4 => {
                let edge = EDGES[self.below(EDGES.len())].to_be_bytes();
                let width = 1 << self.below(4);
                let end = (here.start + width).min(input.len());
                input.splice(here.start..end, edge[8 - width..].iter().copied());
            }
            5 => self.number(input),
            6 => {
                let random = self.next() as u8;
                input.insert(here.start, random);
            }
            _ => {
                let (at, bit) = (self.below(input.len()), self.below(8));
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
        }
    }

    /// Replaces digits of the text by others.
    fn number(&mut self, input: &mut Vec<u8>) {
        let digits: Vec<usize> = (0..input.len()).filter(|at| input[*at].is_ascii_digit()).collect();
        let Some(start) = digits.get(self.below(digits.len())).copied() else { return };
        let end = (start..input.len()).find(|at| !input[*at].is_ascii_digit()).unwrap_or(input.len());
        let edge = EDGES[self.below(EDGES.len())].to_string();
        input.splice(start..end, edge.into_bytes());
    }
}
