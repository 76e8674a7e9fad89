//! The negacyclic number-theoretic transform modulo one prime.
//!
//! Forward: coefficients of a(X) to the values a(psi^e(i)), i = 0..N, where psi is a primitive 2N-th root of unity and
//! e(i) = 2 bitreverse(i) + 1. This order is what [`crate::galois`] relies on, and a test pins it. psi is the power (q - 1) / 2N of the least
//! number that is no square modulo q, so it does not depend on the processor.
//!
//! There is a transform for each of the [`kernels`]; all give the same words.

#[cfg(target_arch = "x86_64")]
mod fma;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod portable;

use crate::kernels::{self, Backend, backend};
use crate::modulus::ShoupConstant;
use crate::{Error, Modulus, Result};

/// The transform of one ring dimension and one prime.
pub struct Ntt {
    modulus: Modulus,
    form: Form,
}

/// The transform for one backend, with the proof that the processor has its instructions.
enum Form {
    Portable(portable::PortableNtt),
    #[cfg(target_arch = "x86_64")]
    Fma(pulp::x86::V3, fma::FmaNtt),
    #[cfg(target_arch = "x86_64")]
    Ifma(crate::kernels::ifma::Ifma, Box<ifma::IfmaNtt>),
}

impl Ntt {
    /// Precomputes the transform of dimension n, a power of two from 16 on, modulo a prime q = 1 mod 2n below 2^50.
    pub fn new(n: usize, q: u64) -> Result<Self> {
        let suitable = n >= 16 && n.is_power_of_two() && crate::prime::is_prime(q) && q % (2 * n as u64) == 1;
        match (Modulus::new(q), suitable) {
            (Some(modulus), true) => Ok(Self { modulus, form: Form::new(backend(), &modulus, n) }),
            _ => Err(Error::Modulus { modulus: q, n }),
        }
    }

    /// The prime.
    #[inline(always)]
    pub fn modulus(&self) -> &Modulus {
        &self.modulus
    }

    /// Coefficients to evaluations, in place.
    pub fn forward(&self, values: &mut [u64]) {
        self.form.forward(values);
    }

    /// Evaluations to coefficients, in place (normalised: the inverse of [`Self::forward`]).
    pub fn inverse(&self, values: &mut [u64]) {
        self.form.inverse(values);
    }

    /// [`Self::forward`] from words as [`kernels::convert_combine`] leaves them.
    pub(crate) fn forward_unreduced(&self, values: &mut [u64]) {
        match &self.form {
            #[cfg(target_arch = "x86_64")]
            Form::Ifma(simd, ntt) => ifma::forward_unreduced(*simd, ntt, values),
            form => {
                // Rings that are too small for a transform of those instructions, whose kernels are used all the same.
                #[cfg(target_arch = "x86_64")]
                if matches!(backend(), Backend::Ifma(_)) {
                    values.iter_mut().for_each(|x| *x = self.modulus.reduce(*x % (1 << 52)));
                }
                form.forward(values);
            }
        }
    }

    /// What makes [`Self::inverse_scaled`] multiply by `factor`.
    pub(crate) fn scale(&self, factor: u64) -> Scale {
        match &self.form {
            #[cfg(target_arch = "x86_64")]
            Form::Ifma(_, ntt) => Scale(ntt.scales(factor)),
            _ => Scale([self.modulus.shoup(factor); 2]),
        }
    }

    /// The inverse transform of `source`, times a factor, to `values`.
    pub(crate) fn inverse_scaled(&self, source: &[u64], values: &mut [u64], Scale(constants): &Scale) {
        match &self.form {
            #[cfg(target_arch = "x86_64")]
            Form::Ifma(simd, ntt) => ifma::inverse(*simd, ntt, Some(source), values, constants),
            form => {
                values.copy_from_slice(source);
                form.inverse(values);
                kernels::mul_constant_assign(&self.modulus, values, constants[0]);
            }
        }
    }
}

/// A factor of an inverse transform, in the form that the transform takes it in.
pub(crate) struct Scale([ShoupConstant; 2]);

impl Form {
    fn new(backend: Backend, modulus: &Modulus, n: usize) -> Self {
        let (log_n, psi) = (n.ilog2(), root_of_unity(modulus, n));
        match backend {
            #[cfg(target_arch = "x86_64")]
            Backend::Fma(simd) => Self::Fma(simd, fma::FmaNtt::new(modulus, log_n, psi)),
            #[cfg(target_arch = "x86_64")]
            Backend::Ifma(simd) if log_n >= ifma::IfmaNtt::MIN_LOG_N => {
                Self::Ifma(simd, ifma::IfmaNtt::new(modulus, log_n, psi).into())
            }
            _ => Self::Portable(portable::PortableNtt::new(modulus, log_n, psi)),
        }
    }

    fn forward(&self, values: &mut [u64]) {
        match self {
            Self::Portable(ntt) => ntt.forward(values),
            #[cfg(target_arch = "x86_64")]
            Self::Fma(simd, ntt) => ntt.forward(*simd, values),
            #[cfg(target_arch = "x86_64")]
            Self::Ifma(simd, ntt) => ifma::forward(*simd, ntt, values),
        }
    }

    fn inverse(&self, values: &mut [u64]) {
        match self {
            Self::Portable(ntt) => ntt.inverse(values),
            #[cfg(target_arch = "x86_64")]
            Self::Fma(simd, ntt) => ntt.inverse(*simd, values),
            #[cfg(target_arch = "x86_64")]
            Self::Ifma(simd, ntt) => ifma::inverse(*simd, ntt, None, values, ntt.unscaled()),
        }
    }
}

/// A primitive 2n-th root of unity: x^((q-1)/2n) for the least x with x^((q-1)/2) = -1.
fn root_of_unity(m: &Modulus, n: usize) -> u64 {
    let q = m.value();
    let x =
        (2..q).find(|&x| m.pow(x, (q - 1) / 2) == q - 1).expect("half of all numbers are no squares modulo a prime");
    m.pow(x, (q - 1) / (2 * n as u64))
}

#[cfg(test)]
mod tests;
