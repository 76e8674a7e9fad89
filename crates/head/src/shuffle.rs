//! Reproducible draws of rows. Secrets never come from here.

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct SplitMix(u64);

impl SplitMix {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; the bias of at most bound / 2^64 does not matter here.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// At most so many of the rows, in random order: the first part of a Fisher-Yates shuffle.
    pub fn choose(&mut self, mut rows: Vec<usize>, count: usize) -> Vec<usize> {
        let count = count.min(rows.len());
        for slot in 0..count {
            let other = slot + self.below(rows.len() - slot);
            rows.swap(slot, other);
        }
        rows.truncate(count);
        rows
    }
}
