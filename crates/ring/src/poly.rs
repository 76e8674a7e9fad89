//! A polynomial as residues: one contiguous block of limbs, first those of the q primes, then those of the p primes.

use crate::Buffer;

/// Residues of a polynomial modulo q_0..q_l and, for intermediate results of key switching, p_0..p_k as well.
///
/// Whether the words are coefficients or evaluations is a matter of the caller; every polynomial that leaves an
/// operation of [`crate::Ring`] is in evaluations unless the operation says otherwise.
#[derive(Clone, Debug)]
pub struct RnsPoly {
    words: Buffer,
    n: usize,
    q_limbs: usize,
    p_limbs: usize,
}

impl RnsPoly {
    /// A polynomial with arbitrary contents, for results that overwrite every word.
    pub fn dirty(n: usize, q_limbs: usize, p_limbs: usize) -> Self {
        Self { words: Buffer::dirty(n * (q_limbs + p_limbs)), n, q_limbs, p_limbs }
    }

    /// The zero polynomial.
    pub fn zero(n: usize, q_limbs: usize, p_limbs: usize) -> Self {
        Self { words: Buffer::zeroed(n * (q_limbs + p_limbs)), n, q_limbs, p_limbs }
    }

    /// Ring dimension N.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Number of limbs modulo ciphertext primes.
    pub fn q_limbs(&self) -> usize {
        self.q_limbs
    }

    /// Number of limbs modulo special primes.
    pub fn p_limbs(&self) -> usize {
        self.p_limbs
    }

    /// Number of limbs.
    pub fn limbs(&self) -> usize {
        self.q_limbs + self.p_limbs
    }

    /// Limb i.
    pub fn limb(&self, i: usize) -> &[u64] {
        &self.words[i * self.n..(i + 1) * self.n]
    }

    /// All words, limb after limb.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// All words, limb after limb.
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// The same residues with only the first `q_limbs` ciphertext limbs and no special ones.
    pub fn truncated(&self, q_limbs: usize) -> Self {
        debug_assert!(q_limbs <= self.q_limbs);
        let mut out = Self::dirty(self.n, q_limbs, 0);
        out.words.copy_from_slice(&self.words[..q_limbs * self.n]);
        out
    }

    /// Overwrites the residues with zeros, for secrets.
    pub fn zeroize(&mut self) {
        self.words.zeroize();
    }
}
