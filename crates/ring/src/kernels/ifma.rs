//! Kernels for AVX-512 with 52-bit integer products (IFMA): eight residues at a time.
//!
//! `madd52lo(c, a, b)` and `madd52hi(c, a, b)` add the low and the high 52 bits of a b to c, where only the low 52 bits of a and b are read. With
//! q < 2^50:
//!
//! * **product by a constant** w with w' = floor(w 2^52 / q): for a < 2^52, a w - floor(a w' / 2^52) q is in [0, 2q). It takes three
//!   instructions, because -q is added as 2^52 - q: the result is right modulo 2^52 and may carry above. That carry is never seen by a later
//!   product, so it is masked away only before comparisons.
//! * **reduction** of any a < 2^52 with rho = floor(2^52 / q): a - floor(a rho / 2^52) q is in [0, 2q), two instructions.
//! * **sums of products**: low and high halves apart. A high half is below 2^48, so 15 of them stay below 2^52; the low halves, at most
//!   4096 of them in 64 bits, are carried over once. The sum is lo + hi 2^52 (+ top 2^104), reduced by constants 2^52 mod q and 2^104 mod q.
//!
//! Memory is read and written as `[u64; 8]`; lengths are multiples of 8, which every ring's are.

use std::arch::x86_64::*;
use std::ops::Range;

use super::{BLOCK, MOST_ADDED, Pair, SwitchLimb, TILE, Triple, Turned};
use crate::galois::Permutation;
use crate::modulus::{Modulus, ShoupConstant};

/// Eight words in a register.
pub(crate) type Words = __m512i;

/// The proof that the processor has the instructions: made by [`Ifma::detect`] alone.
#[derive(Clone, Copy)]
pub(crate) struct Ifma(());

impl Ifma {
    pub(crate) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512ifma");
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
            // SAFETY: the token is only made where avx512f, avx512dq and avx512ifma were found.
            #[allow(unsafe_code)]
            unsafe { $body($($arg),*) }
        }
    )*};
}

pub(crate) use entry;

entry! {
    fn add_assign(m: &Modulus, a: &mut [u64], b: &[u64]) => body::add_assign;
    fn sub_assign(m: &Modulus, a: &mut [u64], b: &[u64]) => body::sub_assign;
    fn negate_assign(m: &Modulus, a: &mut [u64]) => body::negate_assign;
    fn mul_assign(m: &Modulus, a: &mut [u64], b: &[u64]) => body::mul_assign;
    fn mul_constant_assign(m: &Modulus, a: &mut [u64], w: ShoupConstant) => body::mul_constant_assign;
    fn sub_mul_constant(m: &Modulus, a: &[u64], b: &mut [u64], w: ShoupConstant) => body::sub_mul_constant;
    fn add_mul_constant(m: &Modulus, a: &mut [u64], b: &[u64], w: ShoupConstant) => body::add_mul_constant;
    fn permute(permutation: &Permutation, a: &[u64], out: &mut [u64]) => body::permute;
    fn dot_many(m: &Modulus, rows: &[Vec<Pair>], columns: &[Vec<Pair>], out: &mut [Triple]) => body::dot_many;
    fn switch(m: &Modulus, sum: &SwitchLimb, end: Option<ShoupConstant>, out: [&mut [u64]; 2]) => body::switch;
    fn convert_overflow(moduli: &[&Modulus], limbs: &[&[u64]], overflow: &mut [u64]) => body::convert_overflow;
    fn convert_combine(
        m: &Modulus, limbs: &[&[u64]], weights: &[u64], overflow: &[u64], negated_product: u64, out: &mut [u64],
    ) => body::convert_combine;
}

/// A modulus, broadcast.
#[derive(Clone, Copy)]
pub(crate) struct Wide {
    pub(crate) q: Words,
    pub(crate) twice: Words,
    /// 2^52 - q
    pub(crate) negated: Words,
    /// floor(2^52 / q)
    rho: Words,
    mask: Words,
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
    fn canonical_of_four(self, a: Words) -> Words {
        let a = _mm512_and_si512(a, self.mask);
        self.reduce_once(_mm512_min_epu64(a, _mm512_sub_epi64(a, self.twice)))
    }

    /// From [0, 2q) to [0, q): the difference wraps to a large number where a < q.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn reduce_once(self, a: Words) -> Words {
        _mm512_min_epu64(a, _mm512_sub_epi64(a, self.q))
    }
}

/// A sum of products below 2^100 each: lo + hi 2^52.
#[derive(Clone, Copy)]
struct Sum {
    lo: Words,
    hi: Words,
}

/// The most products in a [`Sum`] whose high half stays below 2^52 after the low half was carried over.
const FEW: usize = 15;
/// The most digits that a key switch sums before it reduces: beside them there is room for what is added.
const FEW_DIGITS: usize = FEW - MOST_ADDED;
/// The most products in a [`Sum`].
const MANY: usize = 4096;

impl Sum {
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn zero() -> Self {
        Self { lo: _mm512_setzero_si512(), hi: _mm512_setzero_si512() }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn add_product(self, a: Words, b: Words) -> Self {
        Self { lo: _mm512_madd52lo_epu64(self.lo, a, b), hi: _mm512_madd52hi_epu64(self.hi, a, b) }
    }
}

/// What reduces a [`Sum`].
#[derive(Clone, Copy)]
struct Folding {
    wide: Wide,
    /// 2^52 mod q
    radix: WideConstant,
    /// 2^104 mod q
    radix_squared: WideConstant,
}

impl Folding {
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn new(m: &Modulus) -> Self {
        Self {
            wide: Wide::new(m),
            radix: WideConstant::broadcast(m.radix()),
            radix_squared: WideConstant::broadcast(m.radix_squared()),
        }
    }

    /// The sum of at most [`FEW`] products modulo q, in [0, 4q) up to a carry above bit 51.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn lazy(self, sum: Sum) -> Words {
        let hi = _mm512_add_epi64(sum.hi, _mm512_srli_epi64::<52>(sum.lo));
        self.wide.add_mul_constant(self.wide.reduce(sum.lo), hi, self.radix)
    }

    /// The sum of at most [`FEW`] products modulo q, in [0, q).
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn few(self, sum: Sum) -> Words {
        self.wide.canonical_of_four(self.lazy(sum))
    }

    /// The sum of at most [`MANY`] products modulo q, in [0, q).
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn many(self, sum: Sum) -> Words {
        let hi = _mm512_add_epi64(sum.hi, _mm512_srli_epi64::<52>(sum.lo));
        let top = _mm512_srli_epi64::<52>(hi);
        let low = self.wide.reduce(_mm512_and_si512(sum.lo, self.wide.mask));
        let low = self.wide.reduce(self.wide.add_mul_constant(low, hi, self.radix));
        self.wide.canonical_of_four(self.wide.add_mul_constant(low, top, self.radix_squared))
    }
}

/// The kernels themselves.
mod body {
    use super::*;

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn add_assign(m: &Modulus, a: &mut [u64], b: &[u64]) {
        let wide = Wide::new(m);
        for (x, y) in eights_mut(a).iter_mut().zip(eights(b)) {
            store(wide.reduce_once(_mm512_add_epi64(load(x), load(y))), x);
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn sub_assign(m: &Modulus, a: &mut [u64], b: &[u64]) {
        let wide = Wide::new(m);
        for (x, y) in eights_mut(a).iter_mut().zip(eights(b)) {
            // Where a < b the difference wraps, and adding q brings it back; else the sum with q is the larger.
            let difference = _mm512_sub_epi64(load(x), load(y));
            store(_mm512_min_epu64(difference, _mm512_add_epi64(difference, wide.q)), x);
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn negate_assign(m: &Modulus, a: &mut [u64]) {
        let wide = Wide::new(m);
        for x in eights_mut(a) {
            store(wide.reduce_once(_mm512_sub_epi64(wide.q, load(x))), x);
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn mul_assign(m: &Modulus, a: &mut [u64], b: &[u64]) {
        let folding = Folding::new(m);
        for (x, y) in eights_mut(a).iter_mut().zip(eights(b)) {
            store(folding.few(Sum::zero().add_product(load(x), load(y))), x);
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn mul_constant_assign(m: &Modulus, a: &mut [u64], w: ShoupConstant) {
        let (wide, w) = (Wide::new(m), WideConstant::broadcast(w));
        for x in eights_mut(a) {
            store(wide.canonical(wide.mul_constant(load(x), w)), x);
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn sub_mul_constant(m: &Modulus, a: &[u64], b: &mut [u64], w: ShoupConstant) {
        let (wide, w) = (Wide::new(m), WideConstant::broadcast(w));
        for (x, y) in eights(a).iter().zip(eights_mut(b)) {
            let difference = _mm512_add_epi64(_mm512_sub_epi64(load(x), load(y)), wide.q);
            store(wide.canonical(wide.mul_constant(difference, w)), y);
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn add_mul_constant(m: &Modulus, a: &mut [u64], b: &[u64], w: ShoupConstant) {
        let (wide, w) = (Wide::new(m), WideConstant::broadcast(w));
        for (x, y) in eights_mut(a).iter_mut().zip(eights(b)) {
            store(wide.canonical_of_four(wide.add_mul_constant(load(x), load(y), w)), x);
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn permute(permutation: &Permutation, a: &[u64], out: &mut [u64]) {
        let a = eights(a);
        for (out, &source) in eights_mut(out).iter_mut().zip(permutation.sources()) {
            store(permuted(permutation, a, source), out);
        }
    }

    /// One block of eight of a permuted limb.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn permuted(permutation: &Permutation, a: &[[u64; 8]], source: u32) -> Words {
        let (block, lanes) = permutation.source(source);
        _mm512_permutexvar_epi64(load(lanes), load(&a[block]))
    }

    /// The sums of a tile's three result limbs, low and high halves.
    type TripleSums = [([u64; 8], [u64; 8]); 3];

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn dot_many(m: &Modulus, rows: &[Vec<Pair>], columns: &[Vec<Pair>], out: &mut [Triple]) {
        let folding = Folding::new(m);
        let n = out.first().map_or(0, |[d0, ..]| d0.len());
        let mut sums: [TripleSums; TILE / 8] = [[([0; 8], [0; 8]); 3]; TILE / 8];
        for start in (0..n).step_by(TILE) {
            let len = TILE.min(n - start);
            let sums = &mut sums[..len / 8];
            for (row, out) in rows.iter().zip(out.chunks_mut(columns.len())) {
                for (column, out) in columns.iter().zip(out) {
                    // d1 takes two products a term.
                    sums.fill([([0; 8], [0; 8]); 3]);
                    for (index, (row, column)) in row.chunks(MANY / 2 - 1).zip(column.chunks(MANY / 2 - 1)).enumerate()
                    {
                        if index > 0 {
                            // The reduced sums so far count as one product.
                            for (lo, hi) in sums.iter_mut().flatten() {
                                store(folding.many(Sum { lo: load(lo), hi: load(hi) }), lo);
                                *hi = [0; 8];
                            }
                        }
                        let (fours, rest) = row.as_chunks::<4>();
                        let (column_fours, column_rest) = column.as_chunks::<4>();
                        for (a, b) in fours.iter().zip(column_fours) {
                            accumulate_products(a, b, start, sums);
                        }
                        for (a, b) in rest.iter().zip(column_rest) {
                            accumulate_products(&[*a], &[*b], start, sums);
                        }
                    }
                    for (h, out) in out.iter_mut().enumerate() {
                        let products = row.len() * if h == 1 { 2 } else { 1 };
                        for (sums, out) in sums.iter().zip(eights_mut(&mut out[start..start + len])) {
                            let sum = Sum { lo: load(&sums[h].0), hi: load(&sums[h].1) };
                            store(if products <= FEW { folding.few(sum) } else { folding.many(sum) }, out);
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn part<'a>([c0, c1]: &Pair<'a>, range: &Range<usize>) -> [&'a [[u64; 8]]; 2] {
        [eights(&c0[range.clone()]), eights(&c1[range.clone()])]
    }

    /// Adds `K` products of pairs, the words from `start` on, to as many sums as there are.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn accumulate_products<const K: usize>(a: &[Pair; K], b: &[Pair; K], start: usize, sums: &mut [TripleSums]) {
        let range = start..start + 8 * sums.len();
        let terms: [_; K] = std::array::from_fn(|k| (part(&a[k], &range), part(&b[k], &range)));
        for (i, sums) in sums.iter_mut().enumerate() {
            let [s0, s1, s2] = sums;
            let mut d0 = Sum { lo: load(&s0.0), hi: load(&s0.1) };
            let mut d1 = Sum { lo: load(&s1.0), hi: load(&s1.1) };
            let mut d2 = Sum { lo: load(&s2.0), hi: load(&s2.1) };
            for ([a0, a1], [b0, b1]) in terms {
                let (a0, a1, b0, b1) = (load(&a0[i]), load(&a1[i]), load(&b0[i]), load(&b1[i]));
                d0 = d0.add_product(a0, b0);
                d1 = d1.add_product(a0, b1).add_product(a1, b0);
                d2 = d2.add_product(a1, b1);
            }
            for (sum, to) in [(d0, s0), (d1, s1), (d2, s2)] {
                store(sum.lo, &mut to.0);
                store(sum.hi, &mut to.1);
            }
        }
    }

    /// [`Turned`], in blocks.
    #[derive(Clone, Copy)]
    struct Blocks<'a> {
        words: &'a [[u64; 8]],
        permutation: Option<&'a Permutation>,
    }

    impl<'a> Blocks<'a> {
        fn new(turned: Turned<'a>) -> Self {
            Self { words: eights(turned.limb), permutation: turned.permutation }
        }

        #[inline]
        #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
        fn at(self, i: usize) -> Words {
            match self.permutation {
                Some(permutation) => permuted(permutation, self.words, permutation.sources()[i]),
                None => load(&self.words[i]),
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn switch(m: &Modulus, sum: &SwitchLimb, end: Option<ShoupConstant>, [out0, out1]: [&mut [u64]; 2]) {
        let (folding, factor, wide) = (Folding::new(m), splat(sum.factor), Wide::new(m));
        let end = end.map(WideConstant::broadcast);
        let (out0, out1) = (eights_mut(out0), eights_mut(out1));
        let n = out0.len();
        let out1 = &mut out1[..n];
        let digits: Vec<_> =
            sum.digits.iter().map(|(digit, [b, c])| (Blocks::new(*digit), &eights(b)[..n], &eights(c)[..n])).collect();
        let [added0, added1] =
            sum.added.each_ref().map(|added| added.iter().map(|&added| Blocks::new(added)).collect::<Vec<_>>());
        let finish = |sum: Words, out: &mut [u64; 8]| match end {
            Some(w) => {
                let difference = _mm512_add_epi64(_mm512_sub_epi64(sum, load(out)), wide.q);
                store(wide.canonical(wide.mul_constant(difference, w)), out);
            }
            None => store(sum, out),
        };
        for i in 0..n {
            let (mut sum0, mut sum1) = (Sum::zero(), Sum::zero());
            for (count, &(digit, b, c)) in digits.iter().enumerate() {
                if count % FEW_DIGITS == FEW_DIGITS - 1 {
                    // The reduced sum so far counts for nothing: it is below one product's low half.
                    sum0 = Sum { lo: folding.few(sum0), hi: _mm512_setzero_si512() };
                    sum1 = Sum { lo: folding.few(sum1), hi: _mm512_setzero_si512() };
                }
                let digit = digit.at(i);
                sum0 = sum0.add_product(digit, load(&b[i]));
                sum1 = sum1.add_product(digit, load(&c[i]));
            }
            for added in &added0 {
                sum0 = sum0.add_product(added.at(i), factor);
            }
            for added in &added1 {
                sum1 = sum1.add_product(added.at(i), factor);
            }
            finish(folding.few(sum0), &mut out0[i]);
            finish(folding.few(sum1), &mut out1[i]);
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn convert_overflow(moduli: &[&Modulus], limbs: &[&[u64]], overflow: &mut [u64]) {
        let mut fractions = [[0u64; 8]; BLOCK / 8];
        for (block, overflow) in eights_mut(overflow).chunks_mut(BLOCK / 8).enumerate() {
            let start = block * BLOCK;
            let fractions = &mut fractions[..overflow.len()];
            fractions.fill([0; 8]);
            for (m, limb) in moduli.iter().zip(limbs) {
                let reciprocal = _mm512_set1_pd(1.0 / m.value() as f64);
                for (y, fraction) in eights(&limb[start..start + 8 * overflow.len()]).iter().zip(fractions.iter_mut()) {
                    // Product and sum rounded apart, as the portable kernel does.
                    let part = _mm512_mul_pd(_mm512_cvtepu64_pd(load(y)), reciprocal);
                    let sum = _mm512_add_pd(_mm512_castsi512_pd(load(fraction)), part);
                    store(_mm512_castpd_si512(sum), fraction);
                }
            }
            for (v, fraction) in overflow.iter_mut().zip(fractions.iter()) {
                let rounded = _mm512_add_pd(_mm512_castsi512_pd(load(fraction)), _mm512_set1_pd(0.5));
                store(_mm512_cvttpd_epu64(rounded), v);
            }
        }
    }

    /// A conversion's constants and operands.
    struct Combination<'a> {
        folding: Folding,
        limbs: &'a [&'a [u64]],
        weights: &'a [u64],
        overflow: &'a [u64],
        negated_product: u64,
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn convert_combine(
        m: &Modulus,
        limbs: &[&[u64]],
        weights: &[u64],
        overflow: &[u64],
        negated_product: u64,
        out: &mut [u64],
    ) {
        let c = Combination { folding: Folding::new(m), limbs, weights, overflow, negated_product };
        match limbs.len() {
            1 => combine_few::<1>(&c, out),
            2 => combine_few::<2>(&c, out),
            3 => combine_few::<3>(&c, out),
            4 => combine_few::<4>(&c, out),
            5 => combine_few::<5>(&c, out),
            6 => combine_few::<6>(&c, out),
            7 => combine_few::<7>(&c, out),
            8 => combine_few::<8>(&c, out),
            9 => combine_few::<9>(&c, out),
            _ => combine_many(&c, out),
        }
    }

    /// `K` limbs, their weights in registers.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn combine_few<const K: usize>(c: &Combination, out: &mut [u64]) {
        let weights: [Words; K] = std::array::from_fn(|k| splat(c.weights[k]));
        let negated_product = splat(c.negated_product);
        let out = eights_mut(out);
        let overflow = &eights(c.overflow)[..out.len()];
        let limbs: [&[[u64; 8]]; K] = std::array::from_fn(|k| &eights(c.limbs[k])[..out.len()]);
        for (i, out) in out.iter_mut().enumerate() {
            let mut sum = Sum::zero().add_product(load(&overflow[i]), negated_product);
            for (limb, &weight) in limbs.iter().zip(&weights) {
                sum = sum.add_product(load(&limb[i]), weight);
            }
            store(c.folding.lazy(sum), out);
        }
    }

    /// Any number of limbs.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn combine_many(c: &Combination, out: &mut [u64]) {
        for (i, (out, v)) in eights_mut(out).iter_mut().zip(eights(c.overflow)).enumerate() {
            let mut sum = Sum::zero().add_product(load(v), splat(c.negated_product));
            for (count, (limb, &weight)) in c.limbs.iter().zip(c.weights).enumerate() {
                sum = sum.add_product(load(&eights(limb)[i]), splat(weight));
                if count % FEW == FEW - 2 {
                    sum = Sum { lo: c.folding.few(sum), hi: _mm512_setzero_si512() };
                }
            }
            store(c.folding.lazy(sum), out);
        }
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
