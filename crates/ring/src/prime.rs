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

/// `count` primes congruent to 1 modulo 2n, as close to 2^bits as possible, alternately below and above it (below only
/// for `bits` = [`Modulus::MAX_BITS`]), none of them in `taken`. In order of closeness.
///
/// Alternating keeps a product of k such primes near 2^(k bits), so a scale of 2^bits hardly drifts over many rescalings.
pub fn ntt_primes(bits: u32, count: usize, n: usize, taken: &[u64]) -> Result<Vec<u64>> {
    let step = 2 * n as u64;
    let not_enough = |found| Error::NotEnoughPrimes { wanted: count, found, bits, n };
    if !(10..=Modulus::MAX_BITS).contains(&bits) || step >= 1 << (bits - 2) {
        return Err(not_enough(0));
    }
    let centre = 1u64 << bits;
    let (lowest, highest) = (centre / 2 + centre / 4, centre + centre / 4);
    let (mut below, mut above) = (centre + 1 - step, centre + 1);
    let mut found = Vec::with_capacity(count);
    let usable = |p: u64| is_prime(p) && !taken.contains(&p);
    let mut want_above = false;
    while found.len() < count {
        let above_open = bits < Modulus::MAX_BITS && above <= highest;
        if below < lowest && !above_open {
            return Err(not_enough(found.len()));
        }
        if (want_above && above_open) || below < lowest {
            if usable(above) {
                found.push(above);
                want_above = false;
            }
            above += step;
        } else {
            if usable(below) {
                found.push(below);
                want_above = true;
            }
            below -= step;
        }
    }
    Ok(found)
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
    fn found_primes_are_distinct_ntt_friendly_and_near_the_wanted_size() {
        let n = 1 << 14;
        let first = ntt_primes(45, 8, n, &[]).unwrap();
        let second = ntt_primes(45, 4, n, &first).unwrap();
        let mut all = [first, second].concat();
        for &p in &all {
            assert!(is_prime(p) && p % (2 * n as u64) == 1);
            assert!(((p as f64).log2() - 45.0).abs() < 0.001);
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
