//! Kernels for AVX-512 with 52-bit integer products (IFMA): eight residues at a time.
//!
//! `madd52lo(c, a, b)` and `madd52hi(c, a, b)` add the low and the high 52 bits of a b to c, where only the low 52 bits
//! of a and b are read. With q < 2^50:
//!
//! * **product by a constant** w with w' = floor(w 2^52 / q): for a < 2^52, a w - floor(a w' / 2^52) q is in [0, 2q).
//!   It takes three instructions, because -q is added as 2^52 - q: the result is right modulo 2^52 and may carry above.
//!   That carry is never seen by a later product, so it is masked away only before comparisons.
//! * **reduction** of any a < 2^52 with rho = floor(2^52 / q): a - floor(a rho / 2^52) q is in [0, 2q), two
//!   instructions.
//! * **sums of products**: low and high halves apart. A high half is below 2^48, so 15 of them stay below 2^52; the low
//!   halves, at most 4096 of them in 64 bits, are carried over once. The sum is lo + hi 2^52 (+ top 2^104), reduced by
//!   constants 2^52 mod q and 2^104 mod q.
//!
//! * **packed residues** of w bits: the eight bytes that hold a residue are moved into its lane, shifted down by 0 to 7
//!   bits and masked. They are there for w at most 57. Byte permutations (VBMI) came with IFMA in the same processors.
//!
//! Memory is read and written as `[u64; 8]`; lengths are multiples of 8, which every ring's are.

mod conversion;
mod elementwise;
mod sums;
mod words;

use super::{SwitchLimb, Triple};
use crate::galois::Permutation;
use crate::modulus::{Modulus, ShoupConstant};
pub(crate) use words::{Wide, WideConstant, Words, eights_mut, load, store};

/// The proof that the processor has the instructions: made by [`Ifma::detect`] alone.
#[derive(Clone, Copy)]
pub(crate) struct Ifma(());

impl Ifma {
    pub(crate) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512ifma")
            && is_x86_feature_detected!("avx512vbmi");
        found.then_some(Self(()))
    }
}

/// Safe functions over an [`Ifma`] token, in front of bodies that need the instructions.
macro_rules! entry {
    ($($(#[$doc:meta])* fn $name:ident $(<$life:lifetime>)? ($($arg:ident: $ty:ty),* $(,)?) => $body:path;)*) => {$(
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        #[inline]
        pub(crate) fn $name $(<$life>)? (_: $crate::kernels::ifma::Ifma, $($arg: $ty),*) {
            // SAFETY: the token is only made where avx512f, avx512dq, avx512ifma and avx512vbmi were found.
            #[allow(unsafe_code)]
            unsafe { $body($($arg),*) }
        }
    )*};
}

pub(crate) use entry;

entry! {
    fn add_assign(m: &Modulus, a: &mut [u64], b: &[u64]) => elementwise::add_assign;
    fn sub_assign(m: &Modulus, a: &mut [u64], b: &[u64]) => elementwise::sub_assign;
    fn negate_assign(m: &Modulus, a: &mut [u64]) => elementwise::negate_assign;
    fn mul_assign(m: &Modulus, a: &mut [u64], b: &[u64]) => elementwise::mul_assign;
    fn mul_constant_assign(m: &Modulus, a: &mut [u64], w: ShoupConstant) => elementwise::mul_constant_assign;
    fn sub_mul_constant(m: &Modulus, a: &[u64], b: &mut [u64], w: ShoupConstant) => elementwise::sub_mul_constant;
    fn add_mul_constant(m: &Modulus, a: &mut [u64], b: &[u64], w: ShoupConstant) => elementwise::add_mul_constant;
    fn permute(permutation: &Permutation, a: &[u64], out: &mut [u64]) => elementwise::permute;
    fn unpack(m: &Modulus, limb: &[u8], first: usize, words: &mut [u64]) => elementwise::unpack;
    fn dot(m: &Modulus, row: &[u64], column: &[u64], out: Triple) => sums::dot;
    fn switch(m: &Modulus, sum: &SwitchLimb, end: Option<ShoupConstant>, out: [&mut [u64]; 2]) => sums::switch;
    fn convert_overflow(moduli: &[&Modulus], limbs: &[&[u64]], overflow: &mut [u64]) => conversion::convert_overflow;
    fn convert_combine(
        m: &Modulus, limbs: &[&[u64]], weights: &[u64], overflow: &[u64], negated_product: u64, out: &mut [u64],
    ) => conversion::convert_combine;
}
