//! Element-wise kernels over limbs: the one place where a limb's words are worked on, and where an instruction set is
//! chosen.
//!
//! Everything above calls these functions and nothing else. Each has a portable form (`portable`), which compilers
//! vectorise as far as they can on any processor, one in double precision for AVX2 with FMA (`fma`) and one in 52-bit
//! integers for AVX-512 (`ifma`). The best that the processor has is chosen once, at run time; all forms agree bit for
//! bit, which tests assert. `CIPHERTUNE_KERNELS` in the environment, one of `portable`, `avx2` and `avx512`, forces a
//! choice; [`check_choice`] says whether it can be followed.
//!
//! All inputs and outputs are reduced, in [0, q), unless a function says otherwise. Lengths are multiples of 8.

#[cfg(target_arch = "x86_64")]
pub(crate) mod fma;
#[cfg(target_arch = "x86_64")]
pub(crate) mod ifma;
mod matrix;
mod portable;

use std::sync::OnceLock;

use crate::galois::Permutation;
use crate::modulus::{Modulus, ShoupConstant};
use crate::{Error, Result};

pub(crate) use matrix::TILE;
pub use matrix::{Limb, Pair, Triple, matrix_product};

/// Words worked on at a time by the kernels that accumulate: their partial sums stay in the L1 cache.
const BLOCK: usize = 512;

/// The environment variable that forces a choice.
const VARIABLE: &str = "CIPHERTUNE_KERNELS";

/// The instruction sets that there are kernels for.
#[derive(Clone, Copy)]
pub(crate) enum Backend {
    /// Integers only.
    Portable,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Fma(pulp::x86::V3),
    /// AVX-512 with 52-bit integer products.
    #[cfg(target_arch = "x86_64")]
    Ifma(ifma::Ifma),
}

impl Backend {
    /// The backends that this processor has, from the slowest to the fastest.
    pub(crate) fn available() -> Vec<Self> {
        #[allow(unused_mut)]
        let mut found = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            found.extend(pulp::x86::V3::try_new().map(Self::Fma));
            found.extend(ifma::Ifma::detect().map(Self::Ifma));
        }
        found
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Fma(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Ifma(_) => "avx512",
        }
    }

    /// The fastest backend, or the one that `choice` names.
    fn choose(choice: Option<&str>) -> Result<Self> {
        let available = Self::available();
        let refused = |name: &str| Error::Kernels {
            choice: name.to_owned(),
            available: available.iter().map(|backend| backend.name()).collect::<Vec<_>>().join(", "),
        };
        match choice {
            None => Ok(*available.last().expect("the portable kernels are always there")),
            Some(name) => available.iter().find(|backend| backend.name() == name).copied().ok_or_else(|| refused(name)),
        }
    }
}

fn choose_by_environment() -> Result<Backend> {
    Backend::choose(std::env::var_os(VARIABLE).map(|choice| choice.to_string_lossy().into_owned()).as_deref())
}

/// The backend in use. A choice that cannot be followed is passed over here: [`check_choice`] reports it.
#[inline]
pub(crate) fn backend() -> Backend {
    static CHOSEN: OnceLock<Backend> = OnceLock::new();
    *CHOSEN.get_or_init(|| choose_by_environment().or_else(|_| Backend::choose(None)).unwrap_or(Backend::Portable))
}

/// Whether the kernels that the environment asks for exist here; a program calls this once when it starts.
///
/// # Errors
///
/// [`Error::Kernels`], naming those that do.
pub fn check_choice() -> Result<()> {
    choose_by_environment().map(|_| ())
}

/// The name of the backend in use, for reports.
pub fn backend_name() -> &'static str {
    backend().name()
}

/// Calls a kernel's form for the chosen backend.
macro_rules! dispatch {
    ($backend:expr, $kernel:ident($($arg:expr),*)) => {
        match $backend {
            Backend::Portable => portable::$kernel($($arg),*),
            #[cfg(target_arch = "x86_64")]
            Backend::Fma(simd) => fma::$kernel(simd, $($arg),*),
            #[cfg(target_arch = "x86_64")]
            Backend::Ifma(simd) => ifma::$kernel(simd, $($arg),*),
        }
    };
}

use dispatch;

/// a += b
pub fn add_assign(m: &Modulus, a: &mut [u64], b: &[u64]) {
    dispatch!(backend(), add_assign(m, a, b))
}

/// a -= b
pub fn sub_assign(m: &Modulus, a: &mut [u64], b: &[u64]) {
    dispatch!(backend(), sub_assign(m, a, b))
}

/// a = -a
pub fn negate_assign(m: &Modulus, a: &mut [u64]) {
    dispatch!(backend(), negate_assign(m, a))
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

/// Some residues of a bit-packed limb (see [`crate::packing`]) with bytes behind it: those from `first` on, a multiple
/// of eight.
pub fn unpack(m: &Modulus, limb: &[u8], first: usize, words: &mut [u64]) {
    dispatch!(backend(), unpack(m, limb, first, words))
}

/// The evaluations of a(X^g) from those of a(X).
pub fn permute(permutation: &Permutation, a: &[u64], out: &mut [u64]) {
    dispatch!(backend(), permute(permutation, a, out))
}

/// Two bit-packed limbs, see [`crate::packing`], and bytes after each that make a vector of the last ones.
pub type PackedPair<'a> = [&'a [u8]; 2];

/// The most that is added to a half of a [`SwitchLimb`].
pub(crate) const MOST_ADDED: usize = 4;

/// Words that are read through an automorphism; `None` is the identity.
#[derive(Clone, Copy)]
pub struct Turned<'a> {
    /// The limb.
    pub limb: &'a [u64],
    /// The automorphism.
    pub permutation: Option<&'a Permutation>,
}

/// One limb of a sum of key switches: for both halves h the sum of digits times key_h, and of what is added times the
/// factor.
#[derive(Default)]
pub struct SwitchLimb<'a> {
    /// The digits, each with the two halves of its key.
    pub digits: Vec<(Turned<'a>, PackedPair<'a>)>,
    /// What is added to each half, to be multiplied by `factor`; at most four.
    pub added: [Vec<Turned<'a>>; 2],
    /// P modulo q.
    pub factor: u64,
}

/// Without an end out_h = sum_h; with an end w, out_h = (sum_h - out_h) w, the last step of the division by a dropped
/// modulus.
pub fn switch(m: &Modulus, sum: &SwitchLimb, end: Option<ShoupConstant>, out: [&mut [u64]; 2]) {
    dispatch!(backend(), switch(m, sum, end, out))
}

/// Of a basis conversion from y_i = x_i (D/d_i)^-1 mod d_i, of which `limbs` are some words: overflow = round(sum of
/// y_i / d_i).
pub fn convert_overflow(moduli: &[&Modulus], limbs: &[&[u64]], overflow: &mut [u64]) {
    dispatch!(backend(), convert_overflow(moduli, limbs, overflow))
}

/// The rest of a basis conversion: the sum of y_i weight_i + overflow * negated_product modulo m, which is the centred
/// representative of x, in the form that transforms take: congruent, and the low 52 bits below 4 m.
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
