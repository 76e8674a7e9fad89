//! Bit-packed residues: as they are stored, sent, and held where they are read more often than written.
//!
//! A limb of residues modulo a prime of b bits takes b bits a residue: residue i is bits i b to (i + 1) b - 1 of the
//! limb's bytes, bit 0 being the lowest of byte 0. Eight residues take b bytes, so a limb of a power of two of at least
//! eight residues ends at a byte, and the limbs of a polynomial follow each other.

use crate::Modulus;

/// Residues that are packed together.
const GROUP: usize = 8;

/// The widths that there are, in bits: at least a byte, and what one unaligned load of eight bytes always covers.
pub const WIDTHS: std::ops::RangeInclusive<u32> = 8..=57;

/// The width of residues modulo `modulus`, in bits: ceil(log2 modulus), and at least 8.
pub fn width(modulus: u64) -> u32 {
    (u64::BITS - modulus.saturating_sub(1).leading_zeros()).max(*WIDTHS.start())
}

/// Bytes of a polynomial of `n` residues a limb, a multiple of eight.
pub fn packed_bytes(n: usize, widths: impl IntoIterator<Item = u32>) -> usize {
    widths.into_iter().map(|width| n / GROUP * width as usize).sum()
}

/// Calls a function with the width as a constant, so that its shifts and offsets are known when it is compiled, for the
/// widths that moduli have; with the width as it is otherwise.
macro_rules! with_constant_width {
    ($width:expr, $function:ident($from:expr, $to:expr)) => {
        $crate::packing::with_constant_width!($width, $function($from, $to), 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50)
    };
    ($width:expr, $function:ident($from:expr, $to:expr), $($constant:literal)*) => {
        match $width {
            $($constant => $function($from, $to, $constant),)*
            width => $function($from, $to, width as usize),
        }
    };
}

pub(crate) use with_constant_width;

/// Packs a limb: `words` below 2^width, a multiple of eight of them, into `bytes`, width/8 bytes a word.
pub fn pack(words: &[u64], width: u32, bytes: &mut [u8]) {
    assert!(WIDTHS.contains(&width) && words.len().is_multiple_of(GROUP), "not a limb");
    assert_eq!(bytes.len(), packed_bytes(words.len(), [width]), "bytes for a limb");
    with_constant_width!(width, pack_groups(words, bytes))
}

#[inline(always)]
fn pack_groups(words: &[u64], bytes: &mut [u8], width: usize) {
    let (groups, _) = words.as_chunks::<GROUP>();
    for (group, out) in groups.iter().zip(bytes.chunks_exact_mut(width)) {
        let mut packed = [0u64; GROUP];
        for (i, &word) in group.iter().enumerate() {
            debug_assert!(word >> width == 0);
            let (at, shift) = (i * width / 64, i * width % 64);
            packed[at] |= word << shift;
            if shift + width > 64 {
                packed[at + 1] |= word >> (64 - shift);
            }
        }
        // The last chunk is shorter if the width is no multiple of eight.
        for (part, word) in out.chunks_mut(8).zip(packed) {
            part.copy_from_slice(&word.to_le_bytes()[..part.len()]);
        }
    }
}

/// Unpacks a limb: the reverse of [`pack`]. Every word comes out below 2^width.
pub fn unpack(bytes: &[u8], width: u32, words: &mut [u64]) {
    assert!(WIDTHS.contains(&width) && words.len().is_multiple_of(GROUP), "not a limb");
    assert_eq!(bytes.len(), packed_bytes(words.len(), [width]), "bytes of a limb");
    with_constant_width!(width, unpack_groups(bytes, words))
}

#[inline(always)]
fn unpack_groups(bytes: &[u8], words: &mut [u64], width: usize) {
    let mask = u64::MAX >> (64 - width);
    let (groups, _) = words.as_chunks_mut::<GROUP>();
    for (group, packed) in groups.iter_mut().zip(bytes.chunks_exact(width)) {
        for (i, word) in group.iter_mut().enumerate() {
            // Eight bytes that hold the whole residue and lie within the group.
            let start = (i * width / 8).min(width - 8);
            let mut eight = [0; 8];
            eight.copy_from_slice(&packed[start..start + 8]);
            *word = u64::from_le_bytes(eight) >> (i * width - 8 * start) & mask;
        }
    }
}

/// Bytes after a limb that kernels may read, whatever they hold: a vector.
pub(crate) const SLACK: usize = 64;

/// The residues from `first` on, a multiple of eight, of a limb modulo m.
pub(crate) fn unpack_part(m: &Modulus, limb: &[u8], first: usize, words: &mut [u64]) {
    let width = width(m.value());
    let start = packed_bytes(first, [width]);
    unpack(&limb[start..start + packed_bytes(words.len(), [width])], width, words);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_width_holds_every_residue_and_is_no_wider_than_needed() {
        for (modulus, expected) in
            [(3, 8), (97, 8), (257, 9), (1 << 10, 10), ((1 << 48) - 59, 48), ((1 << 48) + 21, 49)]
        {
            assert_eq!(width(modulus), expected, "{modulus}");
        }
    }

    #[test]
    fn bits_lie_in_little_endian_order() {
        let mut bytes = [0; 12];
        pack(&[0xabc, 0x123, 0, 0, 0, 0, 0, 0xfed], 12, &mut bytes);
        assert_eq!(bytes, [0xbc, 0x3a, 0x12, 0, 0, 0, 0, 0, 0, 0, 0xd0, 0xfe]);
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(width in WIDTHS, words in prop::collection::vec(any::<u64>(), 1..20)) {
            let words: Vec<u64> = words.iter().cycle().take(8 * words.len()).map(|x| x >> (64 - width)).collect();
            let mut bytes = vec![0xff; packed_bytes(words.len(), [width])];
            pack(&words, width, &mut bytes);
            for (i, &word) in words.iter().enumerate() {
                for bit in 0..width as usize {
                    let at = i * width as usize + bit;
                    prop_assert_eq!(u64::from(bytes[at / 8] >> (at % 8) & 1), word >> bit & 1);
                }
            }
            let mut back = vec![u64::MAX; words.len()];
            unpack(&bytes, width, &mut back);
            prop_assert_eq!(back, words);
        }
    }
}
