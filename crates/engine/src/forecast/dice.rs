//! The forecast's only source of chance, written out here so that a seed means the same forecast for ever.

/// SplitMix64: one word of state, every seed is good. The simulator draws from it too.
#[derive(Clone, Debug)]
pub struct SplitMix(pub u64);

impl SplitMix {
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[derive(Clone, Debug)]
pub struct Dice {
    words: SplitMix,
    /// Where it began.
    origin: u64,
}

impl Dice {
    /// The dice of one sample. Each sample has its own, so that what one draws moves no other.
    pub fn of(seed: u64, sample: u32) -> Self {
        let first = SplitMix(seed ^ 0x243f_6a88_85a3_08d3).word();
        let mut own = Self::at(first ^ (u64::from(sample) << 20 | u64::from(sample)));
        own.words.word();
        own
    }

    fn at(origin: u64) -> Self {
        Self { words: SplitMix(origin), origin }
    }

    /// The share of what has a name. It is the same however many others are drawn: a component takes as long in one strategy
    /// as in the next, where it does the same.
    pub fn of_name(&self, purpose: &str, name: &str) -> f64 {
        let bytes = purpose.bytes().chain([0]).chain(name.bytes());
        // FNV-1a, for ever the same.
        let hash =
            bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self::at(self.origin ^ hash).share()
    }

    /// Even between 0 and 1, never either of them: 53 bits and a half.
    pub fn share(&mut self) -> f64 {
        ((self.words.word() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }
}

/// The standard normal value below which this share lies. Acklam's rational approximation: relative error below 1.2e-9.
#[expect(clippy::excessive_precision, reason = "the published coefficients")]
pub fn normal(share: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e+01,
        2.209460984245205e+02,
        -2.759285104469687e+02,
        1.383577518672690e+02,
        -3.066479806614716e+01,
        2.506628277459239e+00,
    ];
    const B: [f64; 5] = [
        -5.447609879822406e+01,
        1.615858368580409e+02,
        -1.556989798598866e+02,
        6.680131188771972e+01,
        -1.328068155288572e+01,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-03,
        -3.223964580411365e-01,
        -2.400758277161838e+00,
        -2.549732539343734e+00,
        4.374664141464968e+00,
        2.938163982698783e+00,
    ];
    const D: [f64; 4] = [7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00, 3.754408661907416e+00];
    const TAIL: f64 = 0.02425;
    let series = |of: &[f64], x: f64| of.iter().fold(0.0, |sum, c| sum * x + c);
    let tail = |share: f64| {
        let q = (-2.0 * share.ln()).sqrt();
        series(&C, q) / (series(&D, q) * q + 1.0)
    };
    let share = share.clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON);
    if share < TAIL {
        return tail(share);
    }
    if share > 1.0 - TAIL {
        return -tail(1.0 - share);
    }
    let q = share - 0.5;
    let r = q * q;
    series(&A, r) * q / (series(&B, r) * r + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_means_the_same_and_samples_differ() {
        let drawn = |seed, sample| {
            let mut dice = Dice::of(seed, sample);
            [dice.share(), dice.share()]
        };
        assert_eq!(drawn(1, 1), drawn(1, 1));
        assert_ne!(drawn(1, 1), drawn(1, 2));
        assert_ne!(drawn(1, 1), drawn(2, 1));
        let (named, other) = (Dice::of(1, 1).of_name("promote", "db"), Dice::of(1, 1).of_name("promote", "files"));
        let mut later = Dice::of(1, 1);
        later.share();
        assert_eq!(later.of_name("promote", "db"), named, "whatever was drawn before");
        assert_ne!(named, other);
    }

    #[test]
    fn shares_are_even() {
        let mut tenths = [0u32; 10];
        for sample in 0..20_000 {
            tenths[(Dice::of(7, sample).share() * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (1_800..2_200).contains(count)), "{tenths:?}");
    }

    #[test]
    fn the_normal_quantiles_are_those_of_the_tables() {
        for (share, z) in [(0.5, 0.0), (0.95, 1.644854), (0.975, 1.959964), (0.01, -2.326348), (0.999, 3.090232)] {
            assert!((normal(share) - z).abs() < 1e-5, "{share}: {}", normal(share));
        }
    }
}
