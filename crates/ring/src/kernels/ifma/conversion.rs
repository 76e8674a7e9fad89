//! Kernels of a basis conversion.

use std::arch::x86_64::*;

use super::words::*;
use crate::kernels::BLOCK;
use crate::modulus::Modulus;

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
