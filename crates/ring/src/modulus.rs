//! Arithmetic modulo one word-sized prime: Barrett products, Shoup products by constants, reduction of wide sums.
//!
//! All residues are kept in [0, q). Bounds are stated for q < 2^50, which [`Modulus::new`] asserts through its callers.

/// A constant with its Shoup quotient floor(w 2^64 / q), for fast products by that constant.
#[derive(Clone, Copy, Debug)]
pub struct ShoupConstant {
    /// The constant, in [0, q).
    pub value: u64,
    /// floor(value 2^64 / q).
    pub quotient: u64,
}

/// A prime modulus q with the constants that its reductions need.
#[derive(Clone, Copy, Debug)]
pub struct Modulus {
    q: u64,
    bits: u32,
    /// floor(2^(2 bits) / q)
    barrett: u64,
    /// floor(2^64 / q)
    reciprocal: u64,
    /// 2^64 mod q
    word: ShoupConstant,
    /// 2^52 mod q
    radix: ShoupConstant,
    /// 2^104 mod q
    radix_squared: ShoupConstant,
}

impl Modulus {
    /// The largest number of bits of a modulus.
    pub const MAX_BITS: u32 = 50;

    /// A modulus for an odd q > 2 of at most [`Self::MAX_BITS`] bits; `None` for any other number.
    pub fn new(q: u64) -> Option<Self> {
        if q < 3 || q.is_multiple_of(2) || q >> Self::MAX_BITS != 0 {
            return None;
        }
        let bits = 64 - q.leading_zeros();
        let mut modulus = Self {
            q,
            bits,
            barrett: ((1u128 << (2 * bits)) / q as u128) as u64,
            reciprocal: ((1u128 << 64) / q as u128) as u64,
            word: ShoupConstant { value: 0, quotient: 0 },
            radix: ShoupConstant { value: 0, quotient: 0 },
            radix_squared: ShoupConstant { value: 0, quotient: 0 },
        };
        let power = |exponent: u32| modulus.shoup(((1u128 << exponent) % q as u128) as u64);
        (modulus.word, modulus.radix, modulus.radix_squared) = (power(64), power(52), power(104));
        Some(modulus)
    }

    /// The modulus q.
    #[inline(always)]
    pub fn value(&self) -> u64 {
        self.q
    }

    /// floor(2^64 / q).
    #[inline(always)]
    pub(crate) fn reciprocal(&self) -> u64 {
        self.reciprocal
    }

    /// 2^52 mod q.
    #[inline(always)]
    pub(crate) fn radix(&self) -> ShoupConstant {
        self.radix
    }

    /// 2^104 mod q.
    #[inline(always)]
    pub(crate) fn radix_squared(&self) -> ShoupConstant {
        self.radix_squared
    }

    /// a + b mod q.
    #[inline(always)]
    pub fn add(&self, a: u64, b: u64) -> u64 {
        self.reduce_once(a + b)
    }

    /// a - b mod q.
    #[inline(always)]
    pub fn sub(&self, a: u64, b: u64) -> u64 {
        self.reduce_once(a + self.q - b)
    }

    /// -a mod q.
    #[inline(always)]
    pub fn negate(&self, a: u64) -> u64 {
        if a == 0 { 0 } else { self.q - a }
    }

    /// a b mod q by Barrett's method: with b = bits(q), t = floor(ab / 2^(b-1)), the quotient estimate
    /// floor(t floor(2^2b / q) / 2^(b+1)) is at most 2 too small, so two conditional subtractions end it.
    #[inline(always)]
    pub fn mul(&self, a: u64, b: u64) -> u64 {
        let x = a as u128 * b as u128;
        let t = (x >> (self.bits - 1)) as u64;
        let quotient = ((t as u128 * self.barrett as u128) >> (self.bits + 1)) as u64;
        let r = (x as u64).wrapping_sub(quotient.wrapping_mul(self.q));
        self.reduce_once(self.reduce_once(r))
    }

    /// A constant prepared for [`Self::mul_shoup`].
    pub fn shoup(&self, value: u64) -> ShoupConstant {
        debug_assert!(value < self.q);
        ShoupConstant { value, quotient: (((value as u128) << 64) / self.q as u128) as u64 }
    }

    /// a w mod q for any 64-bit a (not only a reduced one).
    #[inline(always)]
    pub fn mul_shoup(&self, a: u64, w: ShoupConstant) -> u64 {
        self.reduce_once(self.mul_shoup_lazy(a, w))
    }

    /// a w mod q, left in [0, 2q).
    #[inline(always)]
    pub(crate) fn mul_shoup_lazy(&self, a: u64, w: ShoupConstant) -> u64 {
        let quotient = ((a as u128 * w.quotient as u128) >> 64) as u64;
        a.wrapping_mul(w.value).wrapping_sub(quotient.wrapping_mul(self.q))
    }

    /// x mod q for any 64-bit x.
    #[inline(always)]
    pub fn reduce(&self, x: u64) -> u64 {
        self.reduce_once(self.reduce_lazy(x))
    }

    #[inline(always)]
    fn reduce_lazy(&self, x: u64) -> u64 {
        let quotient = ((x as u128 * self.reciprocal as u128) >> 64) as u64;
        x.wrapping_sub(quotient.wrapping_mul(self.q))
    }

    /// x mod q for any 128-bit x: hi (2^64 mod q) + lo, each in [0, 2q), sum in [0, 4q).
    #[inline(always)]
    pub fn reduce_wide(&self, x: u128) -> u64 {
        let r = self.mul_shoup_lazy((x >> 64) as u64, self.word) + self.reduce_lazy(x as u64);
        let r = if r >= 2 * self.q { r - 2 * self.q } else { r };
        self.reduce_once(r)
    }

    /// The residue of a signed integer.
    #[inline(always)]
    pub fn reduce_signed(&self, x: i64) -> u64 {
        let r = self.reduce(x.unsigned_abs());
        if x < 0 { self.negate(r) } else { r }
    }

    /// The residue of a signed 128-bit integer.
    #[inline(always)]
    pub fn reduce_signed_wide(&self, x: i128) -> u64 {
        let r = self.reduce_wide(x.unsigned_abs());
        if x < 0 { self.negate(r) } else { r }
    }

    /// base^exponent mod q.
    pub fn pow(&self, base: u64, mut exponent: u64) -> u64 {
        let (mut square, mut result) = (base % self.q, 1);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = self.mul(result, square);
            }
            square = self.mul(square, square);
            exponent >>= 1;
        }
        result
    }

    /// The inverse of a modulo the prime q, by Fermat. `a` must not be a multiple of q.
    pub fn invert(&self, a: u64) -> u64 {
        self.pow(a, self.q - 2)
    }

    #[inline(always)]
    fn reduce_once(&self, x: u64) -> u64 {
        if x >= self.q { x - self.q } else { x }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PRIMES: [u64; 4] = [97, 1_073_479_681, 1_125_899_904_679_937, (1 << 50) - 27];

    #[test]
    fn a_modulus_that_is_even_tiny_or_above_fifty_bits_is_refused() {
        for q in [0, 1, 2, 1 << 40, (1 << 50) + 1, u64::MAX] {
            assert!(Modulus::new(q).is_none(), "{q}");
        }
    }

    proptest! {
        #[test]
        fn every_reduction_agrees_with_the_remainder(index in 0usize..4, a: u64, b: u64, wide: u128, signed: i128) {
            let q = PRIMES[index];
            let m = Modulus::new(q).unwrap();
            let (x, y) = (a % q, b % q);
            prop_assert_eq!(m.add(x, y), ((x as u128 + y as u128) % q as u128) as u64);
            prop_assert_eq!(m.sub(x, y), ((x as u128 + q as u128 - y as u128) % q as u128) as u64);
            prop_assert_eq!(m.mul(x, y), (x as u128 * y as u128 % q as u128) as u64);
            prop_assert_eq!(m.mul_shoup(a, m.shoup(y)), (a as u128 * y as u128 % q as u128) as u64);
            prop_assert_eq!(m.reduce(a), a % q);
            prop_assert_eq!(m.reduce_wide(wide), (wide % q as u128) as u64);
            prop_assert_eq!(m.reduce_signed(a as i64), (a as i64 as i128).rem_euclid(q as i128) as u64);
            prop_assert_eq!(m.reduce_signed_wide(signed), signed.rem_euclid(q as i128) as u64);
        }

        #[test]
        fn an_inverse_times_its_number_is_one(index in 0usize..3, a: u64) {
            let m = Modulus::new(PRIMES[index]).unwrap();
            let x = a % m.value();
            prop_assume!(x != 0);
            prop_assert_eq!(m.mul(x, m.invert(x)), 1);
        }
    }
}
