//! The negacyclic number-theoretic transform modulo one prime: the only door to `tfhe-ntt`.
//!
//! Forward: coefficients of a(X) to the values a(psi^e(i)), i = 0..N, where psi is a primitive 2N-th root of unity and
//! e(i) = 2 bitreverse(i) + 1. This order is what [`crate::galois`] relies on, and a test pins it.

use crate::{Error, Modulus, Result};

/// The transform of one ring dimension and one prime.
pub struct Ntt {
    modulus: Modulus,
    plan: tfhe_ntt::prime64::Plan,
}

impl Ntt {
    /// Precomputes the transform of dimension n modulo a prime q = 1 mod 2n below 2^50.
    pub fn new(n: usize, q: u64) -> Result<Self> {
        let refused = Error::Modulus { modulus: q, n };
        let suitable = crate::prime::is_prime(q) && q % (2 * n as u64) == 1;
        match (Modulus::new(q), suitable) {
            (Some(modulus), true) => {
                let plan = tfhe_ntt::prime64::Plan::try_new(n, q).ok_or(refused)?;
                Ok(Self { modulus, plan })
            }
            _ => Err(refused),
        }
    }

    /// The prime.
    #[inline(always)]
    pub fn modulus(&self) -> &Modulus {
        &self.modulus
    }

    /// Coefficients to evaluations, in place.
    pub fn forward(&self, values: &mut [u64]) {
        self.plan.fwd(values);
    }

    /// Evaluations to coefficients, in place (normalised: the inverse of [`Self::forward`]).
    pub fn inverse(&self, values: &mut [u64]) {
        self.plan.inv(values);
        self.plan.normalize(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prime::ntt_primes;

    fn transform(log_n: u32) -> (usize, Ntt) {
        let n = 1 << log_n;
        (n, Ntt::new(n, ntt_primes(49, 1, n, &[]).unwrap()[0]).unwrap())
    }

    #[test]
    fn evaluation_i_is_at_the_root_with_exponent_twice_the_reversed_index_plus_one() {
        for log_n in [4, 5, 8, 13] {
            let (n, ntt) = transform(log_n);
            let mut x = vec![0; n];
            x[1] = 1;
            ntt.forward(&mut x);
            let psi = x[0];
            for (i, &value) in x.iter().enumerate() {
                let exponent = 2 * (i.reverse_bits() >> (usize::BITS - log_n)) + 1;
                assert_eq!(value, ntt.modulus().pow(psi, exponent as u64));
            }
        }
    }

    #[test]
    fn a_product_of_transforms_is_the_negacyclic_product() {
        let (n, ntt) = transform(6);
        let m = *ntt.modulus();
        let a: Vec<u64> = (0..n as u64).map(|i| m.reduce(i * i * 987_654_321 + 5)).collect();
        let b: Vec<u64> = (0..n as u64).map(|i| m.reduce((i + 3) * 1_234_567_891_011)).collect();
        let mut expected = vec![0; n];
        for i in 0..n {
            for j in 0..n {
                let product = m.mul(a[i], b[j]);
                let slot = &mut expected[(i + j) % n];
                *slot = if i + j < n { m.add(*slot, product) } else { m.sub(*slot, product) };
            }
        }
        let (mut fa, mut fb) = (a, b);
        ntt.forward(&mut fa);
        ntt.forward(&mut fb);
        let mut c: Vec<u64> = fa.iter().zip(&fb).map(|(&x, &y)| m.mul(x, y)).collect();
        ntt.inverse(&mut c);
        assert_eq!(c, expected);
    }

    #[test]
    fn a_modulus_that_has_no_transform_is_refused() {
        for q in [15, 97, (1 << 50) - 27, 1 << 40] {
            assert!(matches!(Ntt::new(1 << 10, q), Err(Error::Modulus { .. })), "{q}");
        }
    }
}
