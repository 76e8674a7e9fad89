//! Residues eight at a time: loads and stores, products by constants, sums of products, reductions.

use std::arch::x86_64::*;

use crate::kernels::MOST_ADDED;
use crate::modulus::{Modulus, ShoupConstant};
use crate::packing;

/// Eight words in a register.
pub(crate) type Words = __m512i;

/// A modulus, broadcast.
#[derive(Clone, Copy)]
pub(crate) struct Wide {
    pub(crate) q: Words,
    pub(crate) twice: Words,
    /// 2^52 - q
    pub(crate) negated: Words,
    /// floor(2^52 / q)
    pub(super) rho: Words,
    pub(super) mask: Words,
}

/// A constant w with floor(w 2^52 / q), broadcast or one a lane.
#[derive(Clone, Copy)]
pub(crate) struct WideConstant {
    pub(crate) value: Words,
    pub(crate) quotient: Words,
}

impl WideConstant {
    #[inline(always)]
    pub(crate) fn broadcast(w: ShoupConstant) -> Self {
        Self { value: splat(w.value), quotient: splat(w.quotient >> 12) }
    }
}

// These three need no instruction set of their own, so that they can be inlined wherever they stand.

#[inline(always)]
pub(crate) fn splat(x: u64) -> Words {
    bytemuck::must_cast([x; 8])
}

#[inline(always)]
pub(crate) fn load(x: &[u64; 8]) -> Words {
    bytemuck::must_cast(*x)
}

#[inline(always)]
pub(crate) fn store(x: Words, to: &mut [u64; 8]) {
    *to = bytemuck::must_cast(x);
}

/// How far ahead packed residues are asked for: the hardware foresees them, but stops at the end of every page of 4
/// KiB.
const BYTES_AHEAD: usize = 2048;

/// Takes packed residues apart, see [`crate::packing`].
#[derive(Clone, Copy)]
pub(super) struct Unpacking {
    /// Bytes of eight residues.
    width: usize,
    /// The bytes of every lane, the bits below its residue, those of it.
    bytes: Words,
    shifts: Words,
    mask: Words,
}

impl Unpacking {
    /// Of residues modulo m.
    pub(super) fn new(m: &Modulus) -> Self {
        let width = packing::width(m.value()) as usize;
        let bytes: [u8; 64] = std::array::from_fn(|i| (i / 8 * width / 8 + i % 8) as u8);
        let shifts: [u64; 8] = std::array::from_fn(|lane| (lane * width % 8) as u64);
        Self {
            width,
            bytes: bytemuck::must_cast(bytes),
            shifts: bytemuck::must_cast(shifts),
            mask: splat((1 << width) - 1),
        }
    }

    /// Eight residues, the `i`-th eight of a limb; those of a while later are asked for.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma,avx512vbmi")]
    pub(super) fn at(&self, limb: &[u8], i: usize) -> Words {
        let start = i * self.width;
        let packed: &[u8; packing::SLACK] = limb[start..start + packing::SLACK].try_into().expect("a vector");
        if let Some(later) = limb.get(start + BYTES_AHEAD) {
            prefetch(later);
        }
        let bytes = _mm512_permutexvar_epi8(self.bytes, bytemuck::must_cast(*packed));
        _mm512_and_si512(_mm512_srlv_epi64(bytes, self.shifts), self.mask)
    }
}

/// Brings the cache line near at which something begins.
#[inline(always)]
pub(super) fn prefetch<T>(at: &T) {
    // SAFETY: reads nothing, and the address is that of a reference; every x86-64 processor has the instruction.
    #[allow(unsafe_code)]
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(at).cast());
    }
}

impl Wide {
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(crate) fn new(m: &Modulus) -> Self {
        let q = m.value();
        Self {
            q: splat(q),
            twice: splat(2 * q),
            negated: splat((1 << 52) - q),
            rho: splat(m.reciprocal() >> 12),
            mask: splat((1 << 52) - 1),
        }
    }

    /// a w, in [0, 2q) up to a carry above bit 51, for the low 52 bits of a.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(crate) fn mul_constant(self, a: Words, w: WideConstant) -> Words {
        self.add_mul_constant(_mm512_setzero_si512(), a, w)
    }

    /// c + a w, as [`Self::mul_constant`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(crate) fn add_mul_constant(self, c: Words, a: Words, w: WideConstant) -> Words {
        let quotient = _mm512_madd52hi_epu64(_mm512_setzero_si512(), a, w.quotient);
        let low = _mm512_madd52lo_epu64(c, a, w.value);
        _mm512_madd52lo_epu64(low, quotient, self.negated)
    }

    /// The low 52 bits of a, reduced to [0, 2q) up to a carry above bit 51.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(crate) fn reduce(self, a: Words) -> Words {
        let quotient = _mm512_madd52hi_epu64(_mm512_setzero_si512(), a, self.rho);
        _mm512_madd52lo_epu64(a, quotient, self.negated)
    }

    /// From [0, 2q) up to a carry to [0, q).
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(crate) fn canonical(self, a: Words) -> Words {
        self.reduce_once(_mm512_and_si512(a, self.mask))
    }

    /// From [0, 4q) up to a carry to [0, q).
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn canonical_of_four(self, a: Words) -> Words {
        let a = _mm512_and_si512(a, self.mask);
        self.reduce_once(_mm512_min_epu64(a, _mm512_sub_epi64(a, self.twice)))
    }

    /// From [0, 2q) to [0, q): the difference wraps to a large number where a < q.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn reduce_once(self, a: Words) -> Words {
        _mm512_min_epu64(a, _mm512_sub_epi64(a, self.q))
    }
}

/// A sum of products below 2^100 each: lo + hi 2^52.
#[derive(Clone, Copy)]
pub(super) struct Sum {
    pub(super) lo: Words,
    pub(super) hi: Words,
}

/// The most products in a [`Sum`] whose high half stays below 2^52 after the low half was carried over.
pub(super) const FEW: usize = 15;
/// The most digits that a key switch sums before it reduces: beside them there is room for what is added.
pub(super) const FEW_DIGITS: usize = FEW - MOST_ADDED;
/// The most products in a [`Sum`].
pub(super) const MANY: usize = 4096;

impl Sum {
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn zero() -> Self {
        Self { lo: _mm512_setzero_si512(), hi: _mm512_setzero_si512() }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn add_product(self, a: Words, b: Words) -> Self {
        Self { lo: _mm512_madd52lo_epu64(self.lo, a, b), hi: _mm512_madd52hi_epu64(self.hi, a, b) }
    }
}

/// What reduces a [`Sum`].
#[derive(Clone, Copy)]
pub(super) struct Folding {
    pub(super) wide: Wide,
    /// 2^52 mod q
    pub(super) radix: WideConstant,
    /// 2^104 mod q
    pub(super) radix_squared: WideConstant,
}

impl Folding {
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn new(m: &Modulus) -> Self {
        Self {
            wide: Wide::new(m),
            radix: WideConstant::broadcast(m.radix()),
            radix_squared: WideConstant::broadcast(m.radix_squared()),
        }
    }

    /// The sum of at most [`FEW`] products modulo q, in [0, 4q) up to a carry above bit 51.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn lazy(self, sum: Sum) -> Words {
        let hi = _mm512_add_epi64(sum.hi, _mm512_srli_epi64::<52>(sum.lo));
        self.wide.add_mul_constant(self.wide.reduce(sum.lo), hi, self.radix)
    }

    /// The sum of at most [`FEW`] products modulo q, in [0, q).
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn few(self, sum: Sum) -> Words {
        self.wide.canonical_of_four(self.lazy(sum))
    }

    /// The sum of at most [`MANY`] products modulo q, in [0, q).
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn many(self, sum: Sum) -> Words {
        let hi = _mm512_add_epi64(sum.hi, _mm512_srli_epi64::<52>(sum.lo));
        let top = _mm512_srli_epi64::<52>(hi);
        let low = self.wide.reduce(_mm512_and_si512(sum.lo, self.wide.mask));
        let low = self.wide.reduce(self.wide.add_mul_constant(low, hi, self.radix));
        self.wide.canonical_of_four(self.wide.add_mul_constant(low, top, self.radix_squared))
    }
}

/// The words eight at a time.
#[inline(always)]
pub(crate) fn eights(words: &[u64]) -> &[[u64; 8]] {
    let (eights, rest) = words.as_chunks();
    debug_assert!(rest.is_empty());
    eights
}

/// The words eight at a time.
#[inline(always)]
pub(crate) fn eights_mut(words: &mut [u64]) -> &mut [[u64; 8]] {
    let (eights, rest) = words.as_chunks_mut();
    debug_assert!(rest.is_empty());
    eights
}
