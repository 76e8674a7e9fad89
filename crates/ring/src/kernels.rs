//! Element-wise kernels over limbs: the one place where a limb's words are worked on, and where an instruction set is chosen.
//!
//! Everything above calls these functions and nothing else. Each has a portable form (`portable`) and a form for the processor at
//! hand, chosen once at run time; all forms agree bit for bit, which tests assert. `CIPHERTUNE_KERNELS=portable` in the environment forces the
//! portable ones.
//!
//! All inputs and outputs are reduced, in [0, q), unless a function says otherwise.

#[cfg(target_arch = "x86_64")]
pub(crate) mod fma;
mod portable;

use std::sync::OnceLock;

use crate::modulus::{Modulus, ShoupConstant};

/// Words worked on at a time by the kernels that accumulate: their partial sums stay in the L1 cache.
const BLOCK: usize = 512;

/// The instruction sets that there are kernels for.
#[derive(Clone, Copy)]
pub(crate) enum Backend {
    /// Integers only.
    Portable,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Fma(pulp::x86::V3),
}

/// The backend in use.
#[inline]
pub(crate) fn backend() -> Backend {
    static CHOSEN: OnceLock<Backend> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        if std::env::var_os("CIPHERTUNE_KERNELS").is_some_and(|choice| choice == "portable") {
            return Backend::Portable;
        }
        best()
    })
}

/// The best backend that this processor has.
pub(crate) fn best() -> Backend {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return Backend::Fma(simd);
    }
    Backend::Portable
}

/// The name of the backend in use, for reports.
pub fn backend_name() -> &'static str {
    match backend() {
        Backend::Portable => "portable",
        #[cfg(target_arch = "x86_64")]
        Backend::Fma(_) => "avx2-fma",
    }
}

/// Calls a kernel's form for the chosen backend.
macro_rules! dispatch {
    ($backend:expr, $kernel:ident($($arg:expr),*)) => {
        match $backend {
            Backend::Portable => portable::$kernel($($arg),*),
            #[cfg(target_arch = "x86_64")]
            Backend::Fma(simd) => fma::$kernel(simd, $($arg),*),
        }
    };
}

/// a += b
pub fn add_assign(m: &Modulus, a: &mut [u64], b: &[u64]) {
    for (x, &y) in a.iter_mut().zip(b) {
        *x = m.add(*x, y);
    }
}

/// a -= b
pub fn sub_assign(m: &Modulus, a: &mut [u64], b: &[u64]) {
    for (x, &y) in a.iter_mut().zip(b) {
        *x = m.sub(*x, y);
    }
}

/// a = -a
pub fn negate_assign(m: &Modulus, a: &mut [u64]) {
    for x in a {
        *x = m.negate(*x);
    }
}

/// a *= b
pub fn mul_assign(m: &Modulus, a: &mut [u64], b: &[u64]) {
    dispatch!(backend(), mul_assign(m, a, b))
}

/// a *= w
pub fn mul_constant_assign(m: &Modulus, a: &mut [u64], w: ShoupConstant) {
    dispatch!(backend(), mul_constant_assign(m, a, w))
}

/// b = (a - b) w, the last step of a division by a dropped modulus.
pub fn sub_mul_constant(m: &Modulus, a: &[u64], b: &mut [u64], w: ShoupConstant) {
    dispatch!(backend(), sub_mul_constant(m, a, b, w))
}

/// a += b w
pub fn add_mul_constant(m: &Modulus, a: &mut [u64], b: &[u64], w: ShoupConstant) {
    dispatch!(backend(), add_mul_constant(m, a, b, w))
}

/// `out[i] = a[permutation[i]]`
pub fn permute(permutation: &[u32], a: &[u64], out: &mut [u64]) {
    for (x, &j) in out.iter_mut().zip(permutation) {
        *x = a[j as usize];
    }
}

/// out = sum of a_k b_k
pub fn dot(m: &Modulus, pairs: &[(&[u64], &[u64])], out: &mut [u64]) {
    dispatch!(backend(), dot(m, pairs, out))
}

/// `out0 = sum of a_k[permutation] b_k` and `out1 = sum of a_k[permutation] c_k`: the inner product of a key switch, with the
/// automorphism applied as the digits are read. No permutation is the identity.
pub fn gather_dot(
    m: &Modulus,
    permutation: Option<&[u32]>,
    digits: &[&[u64]],
    keys: &[(&[u64], &[u64])],
    out0: &mut [u64],
    out1: &mut [u64],
) {
    let Some(permutation) = permutation else {
        let (low, high): (Vec<_>, Vec<_>) = digits.iter().zip(keys).map(|(d, (b, c))| ((*d, *b), (*d, *c))).unzip();
        dot(m, &low, out0);
        dot(m, &high, out1);
        return;
    };
    // The gathered words stay in the cache for both products.
    let mut gathered = vec![[0u64; BLOCK]; digits.len()];
    for (block, (out0, out1)) in out0.chunks_mut(BLOCK).zip(out1.chunks_mut(BLOCK)).enumerate() {
        let len = out0.len();
        let range = block * BLOCK..block * BLOCK + len;
        for (words, digit) in gathered.iter_mut().zip(digits) {
            permute(&permutation[range.clone()], digit, &mut words[..len]);
        }
        let low: Vec<_> = gathered.iter().zip(keys).map(|(d, (b, _))| (&d[..len], &b[range.clone()])).collect();
        dot(m, &low, out0);
        let high: Vec<_> = gathered.iter().zip(keys).map(|(d, (_, c))| (&d[..len], &c[range.clone()])).collect();
        dot(m, &high, out1);
    }
}

/// First half of a basis conversion, in place on limbs that lie one after the other: y_i = x_i (D/d_i)^-1 mod d_i, and
/// overflow = round(sum of y_i / d_i).
pub fn convert_digits(moduli: &[&Modulus], inverses: &[ShoupConstant], words: &mut [u64], overflow: &mut [u64]) {
    dispatch!(backend(), convert_digits(moduli, inverses, words, overflow))
}

/// Second half: out = sum of y_i weight_i + overflow * negated_product mod m, the centred representative of x modulo m.
pub fn convert_combine(
    m: &Modulus,
    limbs: &[&[u64]],
    weights: &[u64],
    overflow: &[u64],
    negated_product: u64,
    out: &mut [u64],
) {
    dispatch!(backend(), convert_combine(m, limbs, weights, overflow, negated_product, out))
}

#[cfg(test)]
mod tests;
