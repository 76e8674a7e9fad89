//! The negacyclic number-theoretic transform modulo one prime: the only door to `tfhe-ntt`, and to a transform of our own where that is faster.
//!
//! Forward: coefficients of a(X) to the values a(psi^e(i)), i = 0..N, where psi is a primitive 2N-th root of unity and
//! e(i) = 2 bitreverse(i) + 1. This order is what [`crate::galois`] relies on, and a test pins it.

#[cfg(target_arch = "x86_64")]
mod fma;

use crate::{Error, Modulus, Result};

/// The transform of one ring dimension and one prime.
pub struct Ntt {
    modulus: Modulus,
    plan: tfhe_ntt::prime64::Plan,
    /// The transform in double precision, with the proof that the processor can do it; only where `tfhe-ntt` has no 52-bit integer products.
    #[cfg(target_arch = "x86_64")]
    fma: Option<(pulp::x86::V3, fma::FmaNtt)>,
}

impl Ntt {
    /// Precomputes the transform of dimension n modulo a prime q = 1 mod 2n below 2^50.
    pub fn new(n: usize, q: u64) -> Result<Self> {
        let refused = Error::Modulus { modulus: q, n };
        let suitable = crate::prime::is_prime(q) && q % (2 * n as u64) == 1;
        match (Modulus::new(q), suitable) {
            (Some(modulus), true) => {
                let plan = tfhe_ntt::prime64::Plan::try_new(n, q).ok_or(refused)?;
                Ok(Self {
                    #[cfg(target_arch = "x86_64")]
                    fma: match crate::kernels::backend() {
                        crate::kernels::Backend::Fma(simd) if !plan.use_ifma() => {
                            Some((simd, own_transform(&modulus, n, &plan)))
                        }
                        _ => None,
                    },
                    modulus,
                    plan,
                })
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
        #[cfg(target_arch = "x86_64")]
        if let Some((simd, ntt)) = &self.fma {
            return ntt.forward(*simd, values);
        }
        self.plan.fwd(values);
    }

    /// Evaluations to coefficients, in place (normalised: the inverse of [`Self::forward`]).
    pub fn inverse(&self, values: &mut [u64]) {
        #[cfg(target_arch = "x86_64")]
        if let Some((simd, ntt)) = &self.fma {
            return ntt.inverse(*simd, values);
        }
        self.plan.inv(values);
        self.plan.normalize(values);
    }
}

/// The transform in double precision at the same root of unity as `plan`: the first evaluation of X.
#[cfg(target_arch = "x86_64")]
fn own_transform(modulus: &Modulus, n: usize, plan: &tfhe_ntt::prime64::Plan) -> fma::FmaNtt {
    let mut x = vec![0; n];
    x[1] = 1;
    plan.fwd(&mut x);
    fma::FmaNtt::new(modulus, n.ilog2(), x[0])
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

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_transform_in_double_precision_equals_the_one_in_integers_bit_for_bit() {
        let Some(simd) = pulp::x86::V3::try_new() else {
            println!("no AVX2 with FMA on this processor: nothing to compare");
            return;
        };
        for log_n in 4..=16 {
            let n = 1usize << log_n;
            for bits in [32, 48, 50] {
                let q = ntt_primes(bits, 1, n, &[]).unwrap()[0];
                let (m, plan) = (Modulus::new(q).unwrap(), tfhe_ntt::prime64::Plan::try_new(n, q).unwrap());
                let own = own_transform(&m, n, &plan);
                // Random, all at the largest residue, and alternating extremes, which make the largest intermediates.
                let random =
                    (0..n as u64).map(|i| m.reduce((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 2)).collect();
                let inputs: [Vec<u64>; 4] = [
                    random,
                    vec![q - 1; n],
                    vec![q / 2; n],
                    (0..n as u64).map(|i| if i % 3 == 0 { 0 } else { q - 1 }).collect(),
                ];
                for input in inputs {
                    let (mut ours, mut theirs) = (input.clone(), input.clone());
                    own.forward(simd, &mut ours);
                    plan.fwd(&mut theirs);
                    assert_eq!(ours, theirs, "forward, 2^{log_n}, {bits} bits");
                    own.inverse(simd, &mut ours);
                    assert_eq!(ours, input, "inverse, 2^{log_n}, {bits} bits");
                    let (mut ours, mut theirs) = (input.clone(), input);
                    own.inverse(simd, &mut ours);
                    plan.inv(&mut theirs);
                    plan.normalize(&mut theirs);
                    assert_eq!(ours, theirs, "inverse alone, 2^{log_n}, {bits} bits");
                }
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
