//! Predicted errors: the variance that each operation adds to the value of a slot, as formulas.
//!
//! An error polynomial with independent coefficients of variance v shows in every slot as a complex Gaussian of
//! variance N v (real and imaginary part together). All functions return that variance for the slot's *integer*, before
//! it is divided by the scale. Rounding errors are uniform in [-1/2, 1/2); the part that meets the secret is multiplied
//! by a ternary polynomial with variance 2/3 a coefficient. Sources: Gentry, Halevi, Smart 2012, appendix A.5;
//! Costache, Curtis, Hales, Murphy, Ogilvie, Player 2022.

use ciphertune_ring::sampler::SIGMA;

use crate::ParametersLiteral;

/// Variance of a coefficient of the secret, uniform in {-1, 0, 1}.
const SECRET_VARIANCE: f64 = 2.0 / 3.0;
/// Variance of a rounding error.
const ROUNDING_VARIANCE: f64 = 1.0 / 12.0;

/// Error predictions for one set of parameters.
#[derive(Clone, Debug)]
pub struct NoiseModel {
    n: f64,
    q: Vec<f64>,
    p: Vec<f64>,
}

impl NoiseModel {
    /// The model of a parameter literal.
    pub fn new(literal: &ParametersLiteral) -> Self {
        let as_floats = |primes: &[u64]| primes.iter().map(|&prime| prime as f64).collect();
        Self { n: (1u64 << literal.log_n) as f64, q: as_floats(&literal.q), p: as_floats(&literal.p) }
    }

    /// A fresh ciphertext: Gaussian noise, and the rounding of the encoder.
    pub fn fresh(&self) -> f64 {
        self.n * (SIGMA * SIGMA + ROUNDING_VARIANCE)
    }

    /// The rounding of an encoded plaintext.
    pub fn encoding(&self) -> f64 {
        self.n * ROUNDING_VARIANCE
    }

    /// A division with rounding of both polynomials: a rescale, or the end of a key switch.
    pub fn rounding(&self) -> f64 {
        self.n * ROUNDING_VARIANCE * (1.0 + SECRET_VARIANCE * self.n)
    }

    /// A key switch at `level`: every digit's value, uniform in +-D/2, meets a noise polynomial and is divided by P;
    /// then the rounding.
    pub fn key_switch(&self, level: usize) -> f64 {
        self.switch_with(level, SIGMA * SIGMA)
    }

    /// Entry of a ciphertext at `level` ([`crate::EntryKey`]): a key switch whose key carries the noise of two.
    pub fn entry(&self, level: usize) -> f64 {
        self.switch_with(level, 2.0 * SIGMA * SIGMA)
    }

    /// A key switch with a key whose error has this variance in every coefficient.
    fn switch_with(&self, level: usize, key: f64) -> f64 {
        let log_p: f64 = self.p.iter().map(|p| p.log2()).sum();
        let digits: f64 = self.q[..=level]
            .chunks(self.p.len())
            .map(|digit| {
                let log_d: f64 = digit.iter().map(|q| q.log2()).sum();
                (2.0 * (log_d - log_p)).exp2() * ROUNDING_VARIANCE * self.n * key
            })
            .sum();
        self.n * digits + self.rounding()
    }
}
