//! Polynomials whose residues stay bit-packed ([`crate::packing`]), and how a ring packs and unpacks them.

use rayon::prelude::*;

use crate::packing::{SLACK, pack, packed_bytes, width};
use crate::{Buffer, Ring, RnsPoly, kernels};

/// Residues that are checked at a time.
const BLOCK: usize = 512;

/// A polynomial with bit-packed residues: a quarter less memory than [`RnsPoly`] at primes of 48 bits, for what is
/// multiplied with and never changed. The same bytes as in files.
#[derive(Clone, Debug)]
pub struct PackedPoly {
    /// The bytes, and [`SLACK`] more.
    words: Buffer,
    /// Where each limb begins, and where the last ends, in bytes.
    starts: Vec<usize>,
    q_limbs: usize,
}

impl PackedPoly {
    /// Number of limbs over ciphertext primes; those over special primes follow.
    pub fn q_limbs(&self) -> usize {
        self.q_limbs
    }

    /// Number of limbs.
    pub fn limbs(&self) -> usize {
        self.starts.len() - 1
    }

    /// The bytes of limb `i`.
    pub fn limb_bytes(&self, i: usize) -> &[u8] {
        &self.bytes()[self.starts[i]..self.starts[i + 1]]
    }

    /// The same residues with only the first `q_limbs` ciphertext limbs and no special ones.
    pub fn truncated(&self, q_limbs: usize) -> Self {
        debug_assert!(q_limbs <= self.q_limbs);
        let starts = self.starts[..=q_limbs].to_vec();
        Self::filled(starts, q_limbs, |bytes| bytes.copy_from_slice(&self.bytes()[..bytes.len()]))
    }

    fn filled(starts: Vec<usize>, q_limbs: usize, fill: impl FnOnce(&mut [u8])) -> Self {
        let bytes = starts[starts.len() - 1];
        let mut words = Buffer::dirty((bytes + SLACK).div_ceil(size_of::<u64>()));
        fill(&mut bytemuck::cast_slice_mut(&mut words)[..bytes]);
        Self { words, starts, q_limbs }
    }

    /// The bytes of all limbs.
    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.starts[self.starts.len() - 1]]
    }

    /// Limb `i`, and [`SLACK`] bytes after it.
    pub(crate) fn limb(&self, i: usize) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[self.starts[i]..self.starts[i + 1] + SLACK]
    }
}

impl Ring {
    /// The widths of the limbs of polynomials with so many limbs.
    pub fn widths(&self, q_limbs: usize, p_limbs: usize) -> Vec<u32> {
        (0..q_limbs + p_limbs).map(|i| width(self.limb_modulus(q_limbs, i).value())).collect()
    }

    /// A polynomial with its residues packed.
    pub fn pack(&self, a: &RnsPoly) -> PackedPoly {
        self.packed(a.q_limbs(), a.p_limbs(), |row| self.pack_into(a, row))
    }

    /// Packs a polynomial into a row of just the bytes that it takes.
    ///
    /// # Panics
    ///
    /// If it takes other than that.
    pub fn pack_into(&self, a: &RnsPoly, row: &mut [u8]) {
        self.each_limb_of(a.q_limbs(), a.p_limbs(), row, |i, width, bytes| pack(a.limb(i), width, bytes));
    }

    /// A packed polynomial whose limbs `words` gives, in words that are used again.
    pub(crate) fn packed_by(
        &self,
        q_limbs: usize,
        p_limbs: usize,
        words: impl Fn(usize, &mut [u64]) + Sync,
    ) -> PackedPoly {
        self.packed(q_limbs, p_limbs, |row| {
            self.each_limb_of(q_limbs, p_limbs, row, |i, width, bytes| {
                let mut limb = Buffer::dirty(self.n());
                words(i, &mut limb);
                pack(&limb, width, bytes);
            });
        })
    }

    /// Hands the bytes of every limb of a packed polynomial to `work`, with the limb's index and width.
    fn each_limb_of(
        &self,
        q_limbs: usize,
        p_limbs: usize,
        row: &mut [u8],
        work: impl Fn(usize, u32, &mut [u8]) + Sync,
    ) {
        let (mut limbs, mut rest) = (Vec::with_capacity(q_limbs + p_limbs), row);
        for (i, width) in self.widths(q_limbs, p_limbs).into_iter().enumerate() {
            let (bytes, after) = rest.split_at_mut(packed_bytes(self.n(), [width]));
            limbs.push((i, width, bytes));
            rest = after;
        }
        assert!(rest.is_empty(), "bytes for a polynomial");
        limbs.into_par_iter().for_each(|(i, width, bytes)| work(i, width, bytes));
    }

    /// The polynomial of a packed row; `None` if a residue is not reduced.
    ///
    /// # Panics
    ///
    /// If the row is longer or shorter than such a polynomial's.
    pub fn packed_row(&self, row: &[u8], q_limbs: usize, p_limbs: usize) -> Option<PackedPoly> {
        let packed = self.packed(q_limbs, p_limbs, |bytes| bytes.copy_from_slice(row));
        let reduced = |i: usize| {
            let (m, mut words) = (self.limb_modulus(q_limbs, i), [0; BLOCK]);
            (0..self.n()).step_by(BLOCK).all(|first| {
                let words = &mut words[..BLOCK.min(self.n() - first)];
                kernels::unpack(m, packed.limb(i), first, words);
                all_reduced(words, m.value())
            })
        };
        (0..q_limbs + p_limbs).into_par_iter().all(reduced).then_some(packed)
    }

    fn packed(&self, q_limbs: usize, p_limbs: usize, fill: impl FnOnce(&mut [u8])) -> PackedPoly {
        let ends = self.widths(q_limbs, p_limbs).into_iter().scan(0, |end, width| {
            *end += packed_bytes(self.n(), [width]);
            Some(*end)
        });
        PackedPoly::filled(std::iter::once(0).chain(ends).collect(), q_limbs, fill)
    }

    /// The first `q_limbs` ciphertext limbs of a packed polynomial.
    pub fn unpack(&self, a: &PackedPoly, q_limbs: usize) -> RnsPoly {
        debug_assert!(q_limbs <= a.q_limbs);
        let mut out = RnsPoly::dirty(self.n(), q_limbs, 0);
        out.words_mut().par_chunks_mut(self.n()).enumerate().for_each(|(i, words)| {
            kernels::unpack(self.q(i), a.limb(i), 0, words);
        });
        out
    }

    /// All limbs of a packed polynomial.
    pub fn unpack_all(&self, a: &PackedPoly) -> RnsPoly {
        let mut out = RnsPoly::dirty(self.n(), a.q_limbs, a.limbs() - a.q_limbs);
        out.words_mut().par_chunks_mut(self.n()).enumerate().for_each(|(i, words)| {
            kernels::unpack(self.limb_modulus(a.q_limbs, i), a.limb(i), 0, words);
        });
        out
    }
}

/// Whether all words, far below 2^63, are below the modulus: one that is not leaves a borrow, which is the highest bit.
fn all_reduced(words: &[u64], modulus: u64) -> bool {
    words.iter().fold(0, |borrows, word| borrows | (modulus - 1).wrapping_sub(*word)) >> 63 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packing::unpack_part;

    #[test]
    fn a_packed_polynomial_has_the_bytes_of_its_limbs_and_is_refused_with_a_residue_that_is_not_reduced() {
        let q = crate::prime::ntt_primes(40, 3, 64, &[]).unwrap();
        let ring = Ring::new(6, &q, &crate::prime::ntt_primes(45, 2, 64, &q).unwrap()).unwrap();
        let poly = crate::sampler::uniform(&ring, &[5; 32], 2, 2);
        let packed = ring.pack(&poly);
        assert_eq!(ring.unpack_all(&packed).words(), poly.words());
        let mut row = packed.bytes().to_vec();
        assert_eq!((packed.q_limbs(), row.len()), (2, 64 / 8 * (40 + 40 + 45 + 45)));
        for i in 0..4 {
            let mut words = vec![0; 24];
            unpack_part(ring.limb_modulus(2, i), packed.limb(i), 40, &mut words);
            assert_eq!(words, poly.limb(i)[40..]);
            assert!(packed.limb(i).len() >= SLACK + 64 / 8 * 40);
        }
        assert_eq!(ring.packed_row(&row, 2, 2).unwrap().bytes(), row);
        // The last residue becomes the modulus.
        let last = ring.limb_modulus(2, 3).value();
        let end = row.len();
        let mut group = poly.limb(3)[56..].to_vec();
        group[7] = last;
        pack(&group, 45, &mut row[end - 45..]);
        assert!(ring.packed_row(&row, 2, 2).is_none());
        group[7] = last - 1;
        pack(&group, 45, &mut row[end - 45..]);
        assert!(ring.packed_row(&row, 2, 2).is_some());
    }
}
