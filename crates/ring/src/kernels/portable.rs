//! The portable kernels, in integers: what every other form must equal bit for bit.

use super::BLOCK;
use crate::modulus::{Modulus, ShoupConstant};

pub(super) fn mul_assign(m: &Modulus, a: &mut [u64], b: &[u64]) {
    for (x, &y) in a.iter_mut().zip(b) {
        *x = m.mul(*x, y);
    }
}

pub(super) fn mul_constant_assign(m: &Modulus, a: &mut [u64], w: ShoupConstant) {
    for x in a {
        *x = m.mul_shoup(*x, w);
    }
}

pub(super) fn sub_mul_constant(m: &Modulus, a: &[u64], b: &mut [u64], w: ShoupConstant) {
    for (&x, y) in a.iter().zip(b) {
        *y = m.mul_shoup(m.sub(x, *y), w);
    }
}

pub(super) fn add_mul_constant(m: &Modulus, a: &mut [u64], b: &[u64], w: ShoupConstant) {
    for (x, &y) in a.iter_mut().zip(b) {
        *x = m.add(*x, m.mul_shoup(y, w));
    }
}

/// The products are below 2^100, so 2^28 of them may be summed in 128 bits before the reduction.
pub(super) fn dot(m: &Modulus, pairs: &[(&[u64], &[u64])], out: &mut [u64]) {
    let mut sums = [0u128; BLOCK];
    for (block, out) in out.chunks_mut(BLOCK).enumerate() {
        let range = block * BLOCK..block * BLOCK + out.len();
        let sums = &mut sums[..out.len()];
        sums.fill(0);
        for (a, b) in pairs {
            for ((sum, &x), &y) in sums.iter_mut().zip(&a[range.clone()]).zip(&b[range.clone()]) {
                *sum += x as u128 * y as u128;
            }
        }
        for (x, &sum) in out.iter_mut().zip(sums.iter()) {
            *x = m.reduce_wide(sum);
        }
    }
}

pub(super) fn convert_digits(moduli: &[&Modulus], inverses: &[ShoupConstant], words: &mut [u64], overflow: &mut [u64]) {
    let mut fractions = [0f64; BLOCK];
    let n = overflow.len();
    for (block, overflow) in overflow.chunks_mut(BLOCK).enumerate() {
        let start = block * BLOCK;
        let fractions = &mut fractions[..overflow.len()];
        fractions.fill(0.0);
        for ((m, &w), limb) in moduli.iter().zip(inverses).zip(words.chunks_mut(n)) {
            let reciprocal = 1.0 / m.value() as f64;
            for (x, fraction) in limb[start..start + overflow.len()].iter_mut().zip(fractions.iter_mut()) {
                *x = m.mul_shoup(*x, w);
                *fraction += *x as f64 * reciprocal;
            }
        }
        for (v, &fraction) in overflow.iter_mut().zip(fractions.iter()) {
            *v = (fraction + 0.5) as u64;
        }
    }
}

pub(super) fn convert_combine(
    m: &Modulus,
    limbs: &[&[u64]],
    weights: &[u64],
    overflow: &[u64],
    negated_product: u64,
    out: &mut [u64],
) {
    let mut sums = [0u128; BLOCK];
    for (block, out) in out.chunks_mut(BLOCK).enumerate() {
        let range = block * BLOCK..block * BLOCK + out.len();
        let sums = &mut sums[..out.len()];
        for (sum, &v) in sums.iter_mut().zip(&overflow[range.clone()]) {
            *sum = v as u128 * negated_product as u128;
        }
        for (limb, &weight) in limbs.iter().zip(weights) {
            for (sum, &y) in sums.iter_mut().zip(&limb[range.clone()]) {
                *sum += y as u128 * weight as u128;
            }
        }
        for (x, &sum) in out.iter_mut().zip(sums.iter()) {
            *x = m.reduce_wide(sum);
        }
    }
}
