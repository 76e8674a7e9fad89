//! Damage: what happens to files on their way, and what someone does to them who knows where lengths are.

/// A source of damage; the same seed does the same.
pub struct Mutator(u64);

/// Numbers at which lengths, counts and offsets go wrong.
const EXTREMES: [u64; 12] =
    [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 40, i64::MAX as u64, u64::MAX];

impl Mutator {
    /// Of a seed: the number of a file, say.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x6a09_e667_f3bc_c908)
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// The bytes with one to four changes; most often one, as each further one makes an early refusal more likely.
    pub fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        let changes = [1, 1, 1, 2, 4][self.below(5)];
        for _ in 0..changes {
            self.change(&mut damaged);
        }
        damaged
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            bytes.push(self.next() as u8);
            return;
        }
        let length = bytes.len();
        // Headers are short and hold what matters: half of all changes hit the first 256 bytes.
        let place = if self.below(2) == 0 { self.below(length.min(256)) } else { self.below(length) };
        match self.below(10) {
            0 | 1 => bytes[place] ^= 1 << self.below(8),
            2 => bytes[place] = [0, 0xff, 0x80, b'0', b'-', b' '][self.below(6)],
            3 => bytes.truncate(place),
            4 => {
                let end = (place + 1 + self.below(16)).min(length);
                bytes.drain(place..end);
            }
            5 => {
                // A stretch once more: entries, elements or rows that are there twice.
                let end = (place + 1 + self.below(64)).min(length);
                let stretch = bytes[place..end].to_vec();
                bytes.splice(place..place, stretch);
            }
            6 => self.length_field(bytes, place),
            7 => {
                // A variable-length number of 63 bits.
                bytes.splice(place..(place + 1).min(length), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
            }
            8 => self.digits(bytes, place),
            _ => {
                let other = self.below(length);
                let count = (1 + self.below(8)).min(length - place.max(other));
                for k in 0..count {
                    bytes.swap(place + k, other + k);
                }
            }
        }
    }

    /// Two, four or eight bytes become an extreme number, little- or big-endian.
    fn length_field(&mut self, bytes: &mut [u8], place: usize) {
        let number = EXTREMES[self.below(EXTREMES.len())];
        let width = [2, 4, 8][self.below(3)].min(bytes.len() - place);
        let big = self.below(2) == 0;
        let written = number.to_le_bytes();
        for k in 0..width {
            bytes[place + k] = if big { written[width - 1 - k] } else { written[k] };
        }
    }

    /// The next number in text becomes an extreme one.
    fn digits(&mut self, bytes: &mut Vec<u8>, place: usize) {
        let Some(start) = bytes[place..].iter().position(u8::is_ascii_digit).map(|k| place + k) else { return };
        let end = bytes[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |k| start + k);
        let number = match self.below(4) {
            0 => "9".repeat(1 + self.below(400)),
            1 => format!("-{}", EXTREMES[self.below(EXTREMES.len())]),
            _ => EXTREMES[self.below(EXTREMES.len())].to_string(),
        };
        bytes.splice(start..end, number.into_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_does_the_same_and_others_do_something_else() {
        let bytes: Vec<u8> = (0..=255).collect();
        let damaged = |seed| Mutator::new(seed).damage(&bytes);
        assert_eq!(damaged(5), damaged(5));
        let distinct: std::collections::HashSet<Vec<u8>> = (0..500).map(damaged).collect();
        assert!(distinct.len() > 450, "{}", distinct.len());
    }

    #[test]
    fn short_and_empty_files_are_damaged_too() {
        for length in 0..4usize {
            for seed in 0..500 {
                Mutator::new(seed).damage(&vec![b'1'; length]);
            }
        }
    }
}
