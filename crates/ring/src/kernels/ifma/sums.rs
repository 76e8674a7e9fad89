//! Kernels that sum products: matrix products of ciphertexts and key switches.

use std::arch::x86_64::*;

use super::elementwise::permuted;
use super::words::*;
use crate::galois::Permutation;
use crate::kernels::matrix::TILE;
use crate::kernels::{SwitchLimb, Triple, Turned};
use crate::modulus::{Modulus, ShoupConstant};

/// The sums of a tile's three result limbs, low and high halves.
type TripleSums = [([u64; 8], [u64; 8]); 3];

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn dot(m: &Modulus, row: &[u64], column: &[u64], [d0, d1, d2]: Triple) {
    let (folding, len) = (Folding::new(m), d0.len());
    let products = row.len() / (2 * len);
    let mut sums: [TripleSums; TILE / 8] = [[([0; 8], [0; 8]); 3]; TILE / 8];
    let sums = &mut sums[..len / 8];
    // d1 takes two products a term.
    let most = (MANY / 2 - 1) * 2 * len;
    for (index, (row, column)) in row.chunks(most).zip(column.chunks(most)).enumerate() {
        if index > 0 {
            // The reduced sums so far count as one product.
            for (lo, hi) in sums.iter_mut().flatten() {
                store(folding.many(Sum { lo: load(lo), hi: load(hi) }), lo);
                *hi = [0; 8];
            }
        }
        let mut fours = row.chunks_exact(8 * len).zip(column.chunks_exact(8 * len));
        fours.by_ref().for_each(|(a, b)| accumulate_products::<4>(a, b, sums));
        let rest = row.len() % (8 * len);
        let (row, column) = (&row[row.len() - rest..], &column[column.len() - rest..]);
        for (a, b) in row.chunks_exact(2 * len).zip(column.chunks_exact(2 * len)) {
            accumulate_products::<1>(a, b, sums);
        }
    }
    for (h, out) in [d0, d1, d2].into_iter().enumerate() {
        let products = products * if h == 1 { 2 } else { 1 };
        for (sums, out) in sums.iter().zip(eights_mut(out)) {
            let sum = Sum { lo: load(&sums[h].0), hi: load(&sums[h].1) };
            store(if products <= FEW { folding.few(sum) } else { folding.many(sum) }, out);
        }
    }
}

/// Adds `K` products of pairs, whose limbs lie one after the other, to the sums of as many words as a limb has.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn accumulate_products<const K: usize>(a: &[u64], b: &[u64], sums: &mut [TripleSums]) {
    let count = sums.len();
    let limbs = |words| -> [[&[[u64; 8]]; 2]; K] {
        let words = eights(words);
        std::array::from_fn(|k| std::array::from_fn(|h| &words[(2 * k + h) * count..][..count]))
    };
    let (a, b) = (limbs(a), limbs(b));
    for (i, sums) in sums.iter_mut().enumerate() {
        let [s0, s1, s2] = sums;
        let mut d0 = Sum { lo: load(&s0.0), hi: load(&s0.1) };
        let mut d1 = Sum { lo: load(&s1.0), hi: load(&s1.1) };
        let mut d2 = Sum { lo: load(&s2.0), hi: load(&s2.1) };
        for ([a0, a1], [b0, b1]) in a.iter().zip(&b) {
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

/// How many blocks ahead words are asked for that an automorphism takes from anywhere.
const AHEAD: usize = 96;

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

    /// Asks for block `i`, if no hardware foresees it.
    #[inline(always)]
    fn foresee(self, i: usize) {
        if let Some(permutation) = self.permutation
            && let Some(&source) = permutation.sources().get(i)
        {
            prefetch(&self.words[permutation.source(source).0]);
        }
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma,avx512vbmi")]
pub(super) fn switch(m: &Modulus, sum: &SwitchLimb, end: Option<ShoupConstant>, [out0, out1]: [&mut [u64]; 2]) {
    let (folding, factor, wide) = (Folding::new(m), splat(sum.factor), Wide::new(m));
    let end = end.map(WideConstant::broadcast);
    let (out0, out1) = (eights_mut(out0), eights_mut(out1));
    let n = out0.len();
    let out1 = &mut out1[..n];
    let unpacking = Unpacking::new(m);
    let digits: Vec<_> = sum.digits.iter().map(|(digit, [b, c])| (Blocks::new(*digit), *b, *c)).collect();
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
            digit.foresee(i + AHEAD);
            let digit = digit.at(i);
            sum0 = sum0.add_product(digit, unpacking.at(b, i));
            sum1 = sum1.add_product(digit, unpacking.at(c, i));
        }
        for added in &added0 {
            added.foresee(i + AHEAD);
            sum0 = sum0.add_product(added.at(i), factor);
        }
        for added in &added1 {
            added.foresee(i + AHEAD);
            sum1 = sum1.add_product(added.at(i), factor);
        }
        finish(folding.few(sum0), &mut out0[i]);
        finish(folding.few(sum1), &mut out1[i]);
    }
}
