//! Automorphisms X -> X^g of the ring, as permutations of evaluations.
//!
//! Evaluation i of a(X) is a(psi^e(i)), e(i) = 2 bitreverse(i) + 1, so evaluation i of a(X^g) is evaluation j of a with
//! e(j) = g e(i) mod 2N.

/// The permutation that takes the evaluations of a(X) to those of a(X^g).
///
/// Eight neighbours, from a multiple of 8 on, come from eight neighbours: with i = 8 I + k, e(i) = (N/4) r(k) + E for E
/// = 2 bitreverse(I) + 1 below N/4 and r the reversal of three bits. With g E = c N/4 + E' modulo 2N, g e(i) = (N/4) (g
/// r(k) + c) + E': so block I comes from the block of E', its words in an order that depends only on g and c < 8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permutation {
    /// For every block of eight, 8 times the block that it comes from, plus c.
    sources: Vec<u32>,
    /// For every c the order within the block.
    orders: [[u64; 8]; 8],
}

impl Permutation {
    /// The permutation of X -> X^g for odd g in the ring of dimension 2^log_n, `log_n` at least 3.
    pub fn new(log_n: u32, g: usize) -> Self {
        debug_assert!(g % 2 == 1 && log_n >= 3);
        let (n, blocks) = (1usize << log_n, 1usize << (log_n - 3));
        let reverse = |i: usize, bits: u32| if bits == 0 { 0 } else { i.reverse_bits() >> (usize::BITS - bits) };
        let source = |block: usize| {
            let image = (2 * reverse(block, log_n - 3) + 1) * g % (2 * n);
            // N/4 is 2 (N/8); what is left of an odd image is odd.
            let (c, rest) = (image / (n / 4).max(1), image % (n / 4).max(1));
            (8 * reverse(rest / 2, log_n - 3) + c) as u32
        };
        let order = |c: usize| std::array::from_fn(|k| reverse((g * reverse(k, 3) + c) % 8, 3) as u64);
        Self { sources: (0..blocks).map(source).collect(), orders: std::array::from_fn(order) }
    }

    /// For every block of eight results where it comes from, to be read by [`Self::source`].
    #[inline(always)]
    pub fn sources(&self) -> &[u32] {
        &self.sources
    }

    /// The block that a result comes from, and the order of its words.
    #[inline(always)]
    pub fn source(&self, source: u32) -> (usize, &[u64; 8]) {
        ((source >> 3) as usize, &self.orders[(source & 7) as usize])
    }
}

/// The Galois element of the slot rotation by k (slot s of the result is slot s + k): 5^k mod 2N.
pub fn rotation_element(log_n: u32, k: isize) -> usize {
    let (slots, modulus) = (1isize << (log_n - 1), 2usize << log_n);
    let (mut result, mut square, mut exponent) = (1usize, 5usize, k.rem_euclid(slots));
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * square % modulus;
        }
        square = square * square % modulus;
        exponent >>= 1;
    }
    result
}

/// The Galois element of complex conjugation: 2N - 1.
pub fn conjugation_element(log_n: u32) -> usize {
    (2 << log_n) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ntt, prime::ntt_primes};

    #[test]
    fn permuting_evaluations_substitutes_a_power_of_x() {
        for log_n in [4, 6, 9] {
            check_permutations(log_n, 1 << log_n);
        }
    }

    fn check_permutations(log_n: u32, n: usize) {
        let ntt = Ntt::new(n, ntt_primes(40, 1, n, &[]).unwrap()[0]).unwrap();
        let a: Vec<u64> = (0..n as u64).map(|i| i * i + 1).collect();
        for g in [rotation_element(log_n, 1), rotation_element(log_n, -3), conjugation_element(log_n), n + 1] {
            let mut expected = vec![0; n];
            for (i, &value) in a.iter().enumerate() {
                let power = i * g % (2 * n);
                expected[power % n] = if power < n { value } else { ntt.modulus().negate(value) };
            }
            ntt.forward(&mut expected);
            let mut evaluations = a.clone();
            ntt.forward(&mut evaluations);
            let mut permuted = vec![0; n];
            crate::kernels::permute(&Permutation::new(log_n, g), &evaluations, &mut permuted);
            assert_eq!(permuted, expected, "g = {g}");
        }
    }

    #[test]
    fn rotations_compose_and_a_full_turn_is_the_identity() {
        assert_eq!(rotation_element(10, 512), 1);
        assert_eq!(rotation_element(10, 3) * rotation_element(10, -3) % 2048, 1);
    }
}
