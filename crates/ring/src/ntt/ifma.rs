//! The transform with AVX-512 and 52-bit integer products: eight residues at a time, three levels a pass (radix 8).
//!
//! During a transform the low 52 bits of a word hold a residue that is not reduced, below b q for a bound b that the
//! code keeps track of; what is above bit 51 is carry and means nothing (see [`crate::kernels::ifma`]). With b q <=
//! 2^52 throughout:
//!
//! * forward (Cooley-Tukey): x0 + w x1 and x0 + 2q - w x1, where w x1 < 2q, so a level adds 2 to the bound of x0. For q
//!   < 2^48 a bound of 16 is allowed: a pass of three levels adds 6, so only x0 to x3 are reduced, to 2, at the start
//!   of every other pass. For larger q, b = 4, and x0 is reduced to 2 in every butterfly.
//! * inverse (Gentleman-Sande): x0 + x1 and (x0 - x1 + b q) w, the latter below 2q. From bounds of 2, the three levels'
//!   sums are below 4, 8 and 16; those that are not products are reduced to 2 at the end of a pass. For larger q every
//!   sum is reduced at once.
//!
//! Eight butterflies are six instructions (eight for large q), so N = 2^15, with 15 levels of N/16, takes about 95 000
//! cycles where two are issued a cycle. Blocks of at most [`CACHED`] words go through all their remaining levels at
//! once, the last six of them ([`pieces`]) without going through memory. The roots are 6 N bytes a prime and direction
//! ([`roots`]).

mod butterflies;
mod forward;
mod inverse;
mod pieces;
mod roots;
mod words;

use crate::kernels::ifma::entry;
use crate::modulus::{Modulus, ShoupConstant};
use forward::forward_with;
use inverse::inverse_with;
use roots::Roots;

/// Blocks of this many words (32 KiB) stay in the L1 cache while all remaining levels are done.
const CACHED: usize = 4096;

/// What bounds words that were not reduced, in units of q.
const UNREDUCED: u32 = 4;

/// The transform of one ring dimension and one prime.
pub(super) struct IfmaNtt {
    modulus: Modulus,
    log_n: u32,
    forward: Roots,
    inverse: Roots,
    /// 1/N, and w/N for the root w of the last inverse level
    scales: [ShoupConstant; 2],
}

impl IfmaNtt {
    /// The smallest dimension that this transform is for: one radix-4 pass above the last six levels.
    pub(super) const MIN_LOG_N: u32 = 8;

    /// The transform at the powers of `psi`, a primitive 2N-th root of unity. `log_n` at least [`Self::MIN_LOG_N`].
    pub(super) fn new(m: &Modulus, log_n: u32, psi: u64) -> Self {
        debug_assert!(log_n >= Self::MIN_LOG_N);
        let inverse = Roots::new(m, log_n, m.invert(psi));
        let scale = m.invert(1 << log_n);
        let scales = [scale, m.mul(scale, inverse.upper[1].value)].map(|scale| m.shoup(scale));
        Self { modulus: *m, log_n, forward: Roots::new(m, log_n, psi), inverse, scales }
    }

    /// What the last inverse level multiplies by, so that the result is scaled by `factor` on the way.
    pub(super) fn scales(&self, factor: u64) -> [ShoupConstant; 2] {
        self.scales.map(|scale| self.modulus.shoup(self.modulus.mul(scale.value, factor)))
    }

    /// Those for the inverse transform itself.
    pub(super) fn unscaled(&self) -> &[ShoupConstant; 2] {
        &self.scales
    }

    /// Whether bounds up to 16 q are below 2^52.
    fn has_room(&self) -> bool {
        self.modulus.value() >> 48 == 0
    }

    /// Levels before the last three that a first pass or two take in radix 4, so that the rest is a multiple of three.
    fn radix4_passes(&self) -> u32 {
        2 * self.log_n % 3
    }
}

entry! {
    fn forward(ntt: &IfmaNtt, values: &mut [u64]) => forward_body;
    /// From words whose low 52 bits are below [`UNREDUCED`] q.
    fn forward_unreduced(ntt: &IfmaNtt, values: &mut [u64]) => forward_unreduced_body;
    /// The inverse transform of `source`, scaled as [`IfmaNtt::scales`] says, to `values`; without a source in place.
    fn inverse(ntt: &IfmaNtt, source: Option<&[u64]>, values: &mut [u64], scales: &[ShoupConstant; 2]) => inverse_body;
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn forward_body(ntt: &IfmaNtt, values: &mut [u64]) {
    if ntt.has_room() { forward_with::<true>(ntt, values, 1) } else { forward_with::<false>(ntt, values, 1) }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn forward_unreduced_body(ntt: &IfmaNtt, values: &mut [u64]) {
    if ntt.has_room() {
        forward_with::<true>(ntt, values, UNREDUCED)
    } else {
        forward_with::<false>(ntt, values, UNREDUCED)
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn inverse_body(ntt: &IfmaNtt, source: Option<&[u64]>, values: &mut [u64], scales: &[ShoupConstant; 2]) {
    if ntt.has_room() {
        inverse_with::<true>(ntt, source, values, scales)
    } else {
        inverse_with::<false>(ntt, source, values, scales)
    }
}
