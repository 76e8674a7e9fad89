//! Finding the primes of a basis: congruent to 1 modulo 2N, of a wanted size, all different.

use crate::{Error, Modulus, Result};

/// Whether n is prime: deterministic Miller-Rabin, exact for every 64-bit n with the first twelve primes as bases.
pub fn is_prime(n: u64) -> bool {
    const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    if n < 2 {
        return false;
    }
    for p in BASES {
        if n.is_multiple_of(p) {
            return n == p;
        }
    }
    let mul = |a: u64, b: u64| (a as u128 * b as u128 % n as u128) as u64;
    let shift = (n - 1).trailing_zeros();
    BASES.iter().all(|&base| {
        let (mut x, mut square, mut exponent) = (1, base, (n - 1) >> shift);
        while exponent > 0 {
            if exponent & 1 == 1 {
                x = mul(x, square);
            }
            square = mul(square, square);
            exponent >>= 1;
        }
        if x == 1 || x == n - 1 {
            return true;
        }
        (1..shift).any(|_| {
            x = mul(x, x);
            x == n - 1
        })
    })
}

/// The `count` largest primes below 2^bits that are congruent to 1 modulo 2n and not in `taken`, from the largest down,
/// none below 3/4 2^bits.
///
/// Below, and not on both sides: a residue then takes `bits` bits, in files and where kernels keep sums in the rest of
/// a word. What a scale drifts over many rescalings is followed exactly.
pub fn ntt_primes(bits: u32, count: usize, n: usize, taken: &[u64]) -> Result<Vec<u64>> {
    let step = 2 * n as u64;
    let not_enough = |found| Error::NotEnoughPrimes { wanted: count, found, bits, n };
    if !(10..=Modulus::MAX_BITS).contains(&bits) || step >= 1 << (bits - 2) {
        return Err(not_enough(0));
    }
    let (power, lowest) = (1u64 << bits, 3u64 << (bits - 2));
    let candidates = (1..).map(|k| power + 1 - k * step).take_while(|&p| p >= lowest);
    let found: Vec<u64> = candidates.filter(|p| is_prime(*p) && !taken.contains(p)).take(count).collect();
    if found.len() == count { Ok(found) } else { Err(not_enough(found.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primality_agrees_with_trial_division_and_known_large_cases() {
        for n in 0u64..5000 {
            let by_division = n > 1 && (2..).take_while(|d| d * d <= n).all(|d| n % d != 0);
            assert_eq!(is_prime(n), by_division, "{n}");
        }
        assert!(is_prime(18_446_744_073_709_551_557)); // the largest 64-bit prime
        assert!(!is_prime(3_215_031_751)); // a strong pseudoprime to 2, 3, 5 and 7
    }

    #[test]
    fn found_primes_are_distinct_ntt_friendly_and_just_below_the_wanted_power() {
        let n = 1 << 14;
        let first = ntt_primes(45, 8, n, &[]).unwrap();
        let second = ntt_primes(45, 4, n, &first).unwrap();
        let mut all = [first, second].concat();
        for &p in &all {
            assert!(is_prime(p) && p % (2 * n as u64) == 1);
            assert!(p < 1 << 45 && (p as f64).log2() > 44.999);
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 12);
    }

    #[test]
    fn asking_for_more_primes_than_exist_is_an_error_and_not_a_loop() {
        assert!(matches!(ntt_primes(20, 500, 1 << 14, &[]), Err(Error::NotEnoughPrimes { .. })));
        assert!(matches!(ntt_primes(51, 1, 1 << 14, &[]), Err(Error::NotEnoughPrimes { .. })));
    }
}
