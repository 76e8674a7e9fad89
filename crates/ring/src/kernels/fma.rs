//! Kernels in double precision with fused multiply-add, for processors with AVX2 and FMA but no 52-bit integer
//! products.
//!
//! For 0 <= a < 2^53, 0 <= b < q < 2^50: with h = fl(a b) and l = a b - h (exact, one FMA), k = round(a fl(b/q)) and r
//! = (h - k q) + l, both steps are exact, because every intermediate is an integer below 2^53, and r is congruent to a
//! b. As k is within 1/2 + a 2^-52 of a b / q, |r| <= (1/2 + a 2^-52) q: below 3/4 q for a < q, and below 7/8 q where
//! fl(b/q) is not at hand and k comes from three roundings. So one conditional addition of q gives the canonical
//! residue, and the results equal the portable kernels' bit for bit.
//!
//! The loops are written for the compiler to vectorise, but for that which unpacks residues; [`pulp::x86::V3`] is the
//! proof that the instructions are there.

use std::arch::x86_64::{__m128i, __m256i};

use super::portable::{self, dot_by, switch_by};
use super::{BLOCK, SwitchLimb, Triple};
use crate::galois::Permutation;
use crate::modulus::{Modulus, ShoupConstant};
use crate::packing;

/// Products that may be summed, each below 7/8 q, on top of a reduced sum: 7.5 q stays below 2^53.
const LAZY: usize = 8;

/// A function body compiled for [`pulp::x86::V3`].
macro_rules! vectorized {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),*) $body:block) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments, clippy::extra_unused_lifetimes)]
        pub(crate) fn $name<'a, 'b>(simd: pulp::x86::V3, $($arg: $ty),*) {
            struct Body<'a, 'b> { $($arg: $ty,)* _lifetime: std::marker::PhantomData<&'a &'b ()> }
            impl<'a, 'b> pulp::NullaryFnOnce for Body<'a, 'b> {
                type Output = ();
                #[inline(always)]
                fn call(self) {
                    let Body { $($arg,)* _lifetime } = self;
                    $body
                }
            }
            simd.vectorize(Body { $($arg,)* _lifetime: std::marker::PhantomData })
        }
    };
}

pub(crate) use vectorized;

const TWO52: f64 = (1u64 << 52) as f64;

/// An integer below 2^52 as a double, without a conversion instruction (AVX2 has none for 64 bits).
#[inline(always)]
pub(crate) fn to_f64(x: u64) -> f64 {
    f64::from_bits(x | TWO52.to_bits()) - TWO52
}

/// A non-negative integral double below 2^52 as an integer.
#[inline(always)]
pub(crate) fn to_u64(x: f64) -> u64 {
    (x + TWO52).to_bits() ^ TWO52.to_bits()
}

/// A modulus in double precision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Real {
    pub(crate) q: f64,
    pub(crate) inverse: f64,
}

/// A constant b with fl(b/q).
#[derive(Clone, Copy, Debug)]
pub(crate) struct RealConstant {
    pub(crate) value: f64,
    pub(crate) quotient: f64,
}

impl Real {
    #[inline(always)]
    pub(crate) fn new(m: &Modulus) -> Self {
        Self { q: m.value() as f64, inverse: 1.0 / m.value() as f64 }
    }

    pub(crate) fn constant(&self, value: u64) -> RealConstant {
        RealConstant { value: value as f64, quotient: value as f64 / self.q }
    }

    /// a b - k q for k close to a b / q.
    #[inline(always)]
    fn mul_with_quotient(&self, a: f64, b: f64, quotient: f64) -> f64 {
        let k = quotient.round_ties_even();
        let high = a * b;
        let low = a.mul_add(b, -high);
        (-k).mul_add(self.q, high) + low
    }

    /// a w modulo q, in (-q, q) for |a| < 2^51.
    #[inline(always)]
    pub(crate) fn mul_constant(&self, a: f64, w: RealConstant) -> f64 {
        self.mul_with_quotient(a, w.value, a * w.quotient)
    }

    /// a b modulo q, in (-q, q) for reduced a and b.
    #[inline(always)]
    pub(crate) fn mul(&self, a: f64, b: f64) -> f64 {
        self.mul_with_quotient(a, b, a * b * self.inverse)
    }

    /// x modulo q, in [-q/2, q/2] up to rounding, for integral |x| <= 2^53.
    #[inline(always)]
    pub(crate) fn reduce(&self, x: f64) -> f64 {
        (-(x * self.inverse).round_ties_even()).mul_add(self.q, x)
    }

    /// From (-q, q) to [0, q).
    #[inline(always)]
    pub(crate) fn canonical(&self, x: f64) -> f64 {
        if x < 0.0 { x + self.q } else { x }
    }
}

#[inline(always)]
fn constant(real: Real, w: ShoupConstant) -> RealConstant {
    RealConstant { value: to_f64(w.value), quotient: to_f64(w.value) / real.q }
}

vectorized! {
    fn add_assign(m: &'a Modulus, a: &'a mut [u64], b: &'a [u64]) {
        let real = Real::new(m);
        for (x, &y) in a.iter_mut().zip(b) {
            *x = to_u64(real.canonical(to_f64(*x) + to_f64(y) - real.q));
        }
    }
}

vectorized! {
    fn sub_assign(m: &'a Modulus, a: &'a mut [u64], b: &'a [u64]) {
        let real = Real::new(m);
        for (x, &y) in a.iter_mut().zip(b) {
            *x = to_u64(real.canonical(to_f64(*x) - to_f64(y)));
        }
    }
}

vectorized! {
    fn negate_assign(m: &'a Modulus, a: &'a mut [u64]) {
        let real = Real::new(m);
        for x in a.iter_mut() {
            *x = to_u64(real.canonical(-to_f64(*x)));
        }
    }
}

pub(super) fn permute(_: pulp::x86::V3, permutation: &Permutation, a: &[u64], out: &mut [u64]) {
    portable::permute(permutation, a, out);
}

pub(super) fn unpack(simd: pulp::x86::V3, m: &Modulus, limb: &[u8], first: usize, words: &mut [u64]) {
    let width = packing::width(m.value());
    unpack_from(simd, simd, &limb[packing::packed_bytes(first, [width])..], width, words);
}

vectorized! {
    fn unpack_from(v3: pulp::x86::V3, limb: &'a [u8], width: u32, words: &'a mut [u64]) {
        packing::with_constant_width!(width, unpack_groups((v3, limb), words));
    }
}

/// Four residues in a vector, two from sixteen bytes each: their bytes are moved into their lanes, shifted down and
/// masked.
#[inline(always)]
fn unpack_groups((v3, limb): (pulp::x86::V3, &[u8]), words: &mut [u64], width: usize) {
    // The bits of a residue within the sixteen bytes that begin where its pair does.
    let bit = |residue: usize| residue / 2 * 2 * width % 8 + residue % 2 * width;
    let halves: [_; 2] = std::array::from_fn(|half| {
        let lanes: [usize; 4] = std::array::from_fn(|lane| bit(4 * half + lane));
        let order: __m256i =
            bytemuck::must_cast(lanes.map(|bit| 0x0706_0504_0302_0100 + bit as u64 / 8 * 0x0101_0101_0101_0101));
        let shifts: __m256i = bytemuck::must_cast(lanes.map(|bit| bit as u64 % 8));
        (order, shifts)
    });
    let mask: __m256i = bytemuck::must_cast([(1u64 << width) - 1; 4]);
    for (group, out) in words.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let bytes: &[u8; packing::SLACK] =
            limb[group * width..group * width + packing::SLACK].try_into().expect("a group and what is behind it");
        for (half, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let [low, high] = [0, 2].map(|pair| -> __m128i {
                let start = (4 * half + pair) * width / 8;
                let sixteen: &[u8; 16] = bytes[start..start + 16].try_into().expect("sixteen bytes");
                bytemuck::must_cast(*sixteen)
            });
            let (order, shifts) = halves[half];
            let lanes = v3.avx2._mm256_shuffle_epi8(v3.avx._mm256_set_m128i(high, low), order);
            let residues = v3.avx2._mm256_srlv_epi64(lanes, shifts);
            *out = bytemuck::must_cast(v3.avx2._mm256_and_si256(residues, mask));
        }
    }
}

pub(super) fn dot(simd: pulp::x86::V3, m: &Modulus, row: &[u64], column: &[u64], out: Triple) {
    dot_by(|pairs, out| sum_of_products(simd, m, pairs, out), row, column, out);
}

pub(super) fn switch(
    simd: pulp::x86::V3,
    m: &Modulus,
    sum: &SwitchLimb,
    end: Option<ShoupConstant>,
    out: [&mut [u64]; 2],
) {
    let finish = |sum: &[u64], out: &mut [u64], w| sub_mul_constant(simd, m, sum, out, w);
    let unpack = |limb: &[u8], first, words: &mut [u64]| unpack(simd, m, limb, first, words);
    switch_by(unpack, |pairs, out| sum_of_products(simd, m, pairs, out), finish, sum, end, out);
}

vectorized! {
    fn mul_assign(m: &'a Modulus, a: &'a mut [u64], b: &'a [u64]) {
        let real = Real::new(m);
        for (x, &y) in a.iter_mut().zip(b) {
            *x = to_u64(real.canonical(real.mul(to_f64(*x), to_f64(y))));
        }
    }
}

vectorized! {
    fn mul_constant_assign(m: &'a Modulus, a: &'a mut [u64], w: ShoupConstant) {
        let real = Real::new(m);
        let w = constant(real, w);
        for x in a.iter_mut() {
            *x = to_u64(real.canonical(real.mul_constant(to_f64(*x), w)));
        }
    }
}

vectorized! {
    fn sub_mul_constant(m: &'a Modulus, a: &'a [u64], b: &'a mut [u64], w: ShoupConstant) {
        let real = Real::new(m);
        let w = constant(real, w);
        for (&x, y) in a.iter().zip(b.iter_mut()) {
            *y = to_u64(real.canonical(real.mul_constant(to_f64(x) - to_f64(*y), w)));
        }
    }
}

vectorized! {
    fn add_mul_constant(m: &'a Modulus, a: &'a mut [u64], b: &'a [u64], w: ShoupConstant) {
        let real = Real::new(m);
        let w = constant(real, w);
        for (x, &y) in a.iter_mut().zip(b) {
            let sum = to_f64(*x) + real.mul_constant(to_f64(y), w);
            *x = to_u64(real.canonical(real.reduce(sum)));
        }
    }
}

vectorized! {
    fn sum_of_products(m: &'a Modulus, pairs: &'a [(&'a [u64], &'a [u64])], out: &'a mut [u64]) {
        let real = Real::new(m);
        let mut sums = [0f64; BLOCK];
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let range = block * BLOCK..block * BLOCK + out.len();
            let sums = &mut sums[..out.len()];
            sums.fill(0.0);
            for group in pairs.chunks(LAZY) {
                for (a, b) in group {
                    for ((sum, &x), &y) in sums.iter_mut().zip(&a[range.clone()]).zip(&b[range.clone()]) {
                        *sum += real.mul(to_f64(x), to_f64(y));
                    }
                }
                for sum in sums.iter_mut() {
                    *sum = real.reduce(*sum);
                }
            }
            for (x, &sum) in out.iter_mut().zip(sums.iter()) {
                *x = to_u64(real.canonical(sum));
            }
        }
    }
}

vectorized! {
    fn convert_overflow(moduli: &'a [&'a Modulus], limbs: &'a [&'b [u64]], overflow: &'a mut [u64]) {
        let mut fractions = [0f64; BLOCK];
        for (block, overflow) in overflow.chunks_mut(BLOCK).enumerate() {
            let range = block * BLOCK..block * BLOCK + overflow.len();
            let fractions = &mut fractions[..overflow.len()];
            fractions.fill(0.0);
            for (m, limb) in moduli.iter().zip(limbs) {
                let reciprocal = Real::new(m).inverse;
                for (&y, fraction) in limb[range.clone()].iter().zip(fractions.iter_mut()) {
                    *fraction += to_f64(y) * reciprocal;
                }
            }
            for (v, &fraction) in overflow.iter_mut().zip(fractions.iter()) {
                *v = to_u64((fraction + 0.5).floor());
            }
        }
    }
}

vectorized! {
    fn convert_combine(
        m: &'a Modulus, limbs: &'a [&'b [u64]], weights: &'a [u64], overflow: &'a [u64], negated_product: u64,
        out: &'a mut [u64]
    ) {
        let real = Real::new(m);
        let negated = real.constant(negated_product);
        let mut sums = [0f64; BLOCK];
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let range = block * BLOCK..block * BLOCK + out.len();
            let sums = &mut sums[..out.len()];
            for (sum, &v) in sums.iter_mut().zip(&overflow[range.clone()]) {
                *sum = real.mul_constant(to_f64(v), negated);
            }
            for (limbs, weights) in limbs.chunks(LAZY - 1).zip(weights.chunks(LAZY - 1)) {
                for (limb, &weight) in limbs.iter().zip(weights) {
                    let weight = real.constant(weight);
                    for (sum, &y) in sums.iter_mut().zip(&limb[range.clone()]) {
                        *sum += real.mul_constant(to_f64(y), weight);
                    }
                }
                for sum in sums.iter_mut() {
                    *sum = real.reduce(*sum);
                }
            }
            for (x, &sum) in out.iter_mut().zip(sums.iter()) {
                *x = to_u64(real.canonical(sum));
            }
        }
    }
}
