//! The portable kernels, in integers: what every other form must equal bit for bit.

use std::ops::Range;

use super::{BLOCK, SwitchLimb, Triple, Turned};
use crate::galois::Permutation;
use crate::modulus::{Modulus, ShoupConstant};

pub(super) use crate::packing::unpack_part as unpack;

pub(super) fn add_assign(m: &Modulus, a: &mut [u64], b: &[u64]) {
    for (x, &y) in a.iter_mut().zip(b) {
        *x = m.add(*x, y);
    }
}

pub(super) fn sub_assign(m: &Modulus, a: &mut [u64], b: &[u64]) {
    for (x, &y) in a.iter_mut().zip(b) {
        *x = m.sub(*x, y);
    }
}

pub(super) fn negate_assign(m: &Modulus, a: &mut [u64]) {
    for x in a {
        *x = m.negate(*x);
    }
}

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
pub(super) fn sum_of_products(m: &Modulus, pairs: &[(&[u64], &[u64])], out: &mut [u64]) {
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

pub(super) fn dot(m: &Modulus, row: &[u64], column: &[u64], out: Triple) {
    dot_by(|pairs, out| sum_of_products(m, pairs, out), row, column, out);
}

/// A tile of a matrix product's entry, as three sums that `sum` makes.
pub(super) fn dot_by(sum: impl Fn(&[(&[u64], &[u64])], &mut [u64]), row: &[u64], column: &[u64], out: Triple) {
    let len = out[0].len();
    let terms = row.chunks_exact(2 * len).zip(column.chunks_exact(2 * len));
    let mut pairs = Vec::with_capacity(2 * terms.len());
    for (d, halves) in out.into_iter().zip([&[(0, 0)][..], &[(0, 1), (1, 0)], &[(1, 1)]]) {
        pairs.clear();
        for (a, b) in terms.clone() {
            pairs.extend(halves.iter().map(|&(i, j)| (&a[i * len..][..len], &b[j * len..][..len])));
        }
        sum(&pairs, d);
    }
}

pub(super) fn permute(permutation: &Permutation, a: &[u64], out: &mut [u64]) {
    permute_blocks(permutation, a, permutation.sources(), out);
}

/// The blocks that come from `sources`.
fn permute_blocks(permutation: &Permutation, a: &[u64], sources: &[u32], out: &mut [u64]) {
    let (a, _) = a.as_chunks::<8>();
    for (out, &source) in out.as_chunks_mut::<8>().0.iter_mut().zip(sources) {
        let (block, order) = permutation.source(source);
        let words = &a[block];
        // The mask tells the compiler that no index is out of bounds.
        *out = order.map(|k| words[(k & 7) as usize]);
    }
}

pub(super) fn switch(m: &Modulus, sum: &SwitchLimb, end: Option<ShoupConstant>, out: [&mut [u64]; 2]) {
    let finish = |sum: &[u64], out: &mut [u64], w| sub_mul_constant(m, sum, out, w);
    let unpack = |limb: &[u8], first, words: &mut [u64]| unpack(m, limb, first, words);
    switch_by(unpack, |pairs, out| sum_of_products(m, pairs, out), finish, sum, end, out);
}

/// A sum of key switches by blocks, whose gathered words stay in the cache for both halves. `unpack` takes words out of
/// a key's limb, `sum_of_products` makes the sums, `finish` the end.
pub(super) fn switch_by(
    unpack: impl Fn(&[u8], usize, &mut [u64]),
    sum_of_products: impl Fn(&[(&[u64], &[u64])], &mut [u64]),
    finish: impl Fn(&[u64], &mut [u64], ShoupConstant),
    sum: &SwitchLimb,
    end: Option<ShoupConstant>,
    [out0, out1]: [&mut [u64]; 2],
) {
    let factor = [sum.factor; BLOCK];
    let mut digits = vec![[0u64; BLOCK]; sum.digits.len()];
    let mut keys = digits.clone();
    let mut added = vec![[0u64; BLOCK]; sum.added[0].len().max(sum.added[1].len())];
    let mut sums = [0u64; BLOCK];
    for (block, (out0, out1)) in out0.chunks_mut(BLOCK).zip(out1.chunks_mut(BLOCK)).enumerate() {
        let (range, len) = (block * BLOCK..block * BLOCK + out0.len(), out0.len());
        for (words, (digit, _)) in digits.iter_mut().zip(&sum.digits) {
            gather(*digit, &range, &mut words[..len]);
        }
        for (half, out) in [out0, out1].into_iter().enumerate() {
            for (words, added) in added.iter_mut().zip(&sum.added[half]) {
                gather(*added, &range, &mut words[..len]);
            }
            for (words, (_, key)) in keys.iter_mut().zip(&sum.digits) {
                unpack(key[half], range.start, &mut words[..len]);
            }
            let products = digits.iter().zip(&keys).map(|(digit, key)| (&digit[..len], &key[..len]));
            let added = added.iter().zip(&sum.added[half]).map(|(words, _)| (&words[..len], &factor[..len]));
            let pairs: Vec<_> = products.chain(added).collect();
            match end {
                Some(w) => {
                    sum_of_products(&pairs, &mut sums[..len]);
                    finish(&sums[..len], out, w);
                }
                None => sum_of_products(&pairs, out),
            }
        }
    }
}

/// The words of a range, through their automorphism.
fn gather(turned: Turned, range: &Range<usize>, out: &mut [u64]) {
    match turned.permutation {
        Some(p) => permute_blocks(p, turned.limb, &p.sources()[range.start / 8..range.end / 8], out),
        None => out.copy_from_slice(&turned.limb[range.clone()]),
    }
}

pub(super) fn convert_overflow(moduli: &[&Modulus], limbs: &[&[u64]], overflow: &mut [u64]) {
    let mut fractions = [0f64; BLOCK];
    for (block, overflow) in overflow.chunks_mut(BLOCK).enumerate() {
        let range = block * BLOCK..block * BLOCK + overflow.len();
        let fractions = &mut fractions[..overflow.len()];
        fractions.fill(0.0);
        for (m, limb) in moduli.iter().zip(limbs) {
            let reciprocal = 1.0 / m.value() as f64;
            for (&y, fraction) in limb[range.clone()].iter().zip(fractions.iter_mut()) {
                *fraction += y as f64 * reciprocal;
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
