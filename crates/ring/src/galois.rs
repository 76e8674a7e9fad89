//! Automorphisms X -> X^g of the ring, as permutations of evaluations.
//!
//! Evaluation i of a(X) is a(psi^e(i)), e(i) = 2 bitreverse(i) + 1, so evaluation i of a(X^g) is evaluation j of a with
//! e(j) = g e(i) mod 2N.

/// The permutation p with `(evaluations of a(X^g))[i] = (evaluations of a)[p[i]]`, for odd g.
pub fn permutation(log_n: u32, g: usize) -> Vec<u32> {
    let n = 1usize << log_n;
    let reverse = |i: usize| i.reverse_bits() >> (usize::BITS - log_n);
    debug_assert!(g % 2 == 1);
    (0..n).map(|i| reverse(((2 * reverse(i) + 1) * g % (2 * n) - 1) / 2) as u32).collect()
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
        let (log_n, n) = (6, 64usize);
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
            let permuted: Vec<u64> = permutation(log_n, g).iter().map(|&j| evaluations[j as usize]).collect();
            assert_eq!(permuted, expected, "g = {g}");
        }
    }

    #[test]
    fn rotations_compose_and_a_full_turn_is_the_identity() {
        assert_eq!(rotation_element(10, 512), 1);
        assert_eq!(rotation_element(10, 3) * rotation_element(10, -3) % 2048, 1);
    }
}
