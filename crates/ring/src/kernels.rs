//! Element-wise kernels over limbs: the one place where a limb's words are worked on.
//!
//! Everything above calls these functions and nothing else, so an implementation for another instruction set is
//! chosen here and nowhere above. What stands here is the portable form, which any other form must equal bit for bit.
//! All inputs and outputs are reduced, in [0, q).

use crate::modulus::{Modulus, ShoupConstant};

/// Coefficients worked on at a time by the kernels that accumulate in 128 bits: 16 bytes each, well inside the L1 cache.
const BLOCK: usize = 256;

/// a += b
pub fn add_assign(m: &Modulus, a: &mut [u64], b: &[u64]) {
    for (x, &y) in a.iter_mut().zip(b) {
        *x = m.add(*x, y);
    }
}

/// a -= b
pub fn sub_assign(m: &Modulus, a: &mut [u64], b: &[u64]) {
    for (x, &y) in a.iter_mut().zip(b) {
        *x = m.sub(*x, y);
    }
}

/// a = -a
pub fn negate_assign(m: &Modulus, a: &mut [u64]) {
    for x in a {
        *x = m.negate(*x);
    }
}

/// a *= b
pub fn mul_assign(m: &Modulus, a: &mut [u64], b: &[u64]) {
    for (x, &y) in a.iter_mut().zip(b) {
        *x = m.mul(*x, y);
    }
}

/// a *= w
pub fn mul_constant_assign(m: &Modulus, a: &mut [u64], w: ShoupConstant) {
    for x in a {
        *x = m.mul_shoup(*x, w);
    }
}

/// a += b w
pub fn add_mul_constant(m: &Modulus, a: &mut [u64], b: &[u64], w: ShoupConstant) {
    for (x, &y) in a.iter_mut().zip(b) {
        *x = m.add(*x, m.mul_shoup(y, w));
    }
}

/// b = (a - b) w, the last step of a division by a dropped modulus.
pub fn sub_mul_constant(m: &Modulus, a: &[u64], b: &mut [u64], w: ShoupConstant) {
    for (&x, y) in a.iter().zip(b) {
        *y = m.mul_shoup(m.sub(x, *y), w);
    }
}

/// out[i] = a[permutation[i]]
pub fn permute(permutation: &[u32], a: &[u64], out: &mut [u64]) {
    for (x, &j) in out.iter_mut().zip(permutation) {
        *x = a[j as usize];
    }
}

/// out = sum of a_k b_k. The products are below 2^100, so 2^28 of them may be summed in 128 bits before the reduction.
pub fn dot(m: &Modulus, pairs: &[(&[u64], &[u64])], out: &mut [u64]) {
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

/// out0 = sum of a_k[permutation] b_k and out1 = sum of a_k[permutation] c_k: the inner product of a key switch, with the
/// automorphism applied as the digits are read. No permutation is the identity.
pub fn gather_dot(
    m: &Modulus,
    permutation: Option<&[u32]>,
    digits: &[&[u64]],
    keys: &[(&[u64], &[u64])],
    out0: &mut [u64],
    out1: &mut [u64],
) {
    let (mut sums0, mut sums1) = ([0u128; BLOCK], [0u128; BLOCK]);
    let mut gathered = [0u64; BLOCK];
    for (block, (out0, out1)) in out0.chunks_mut(BLOCK).zip(out1.chunks_mut(BLOCK)).enumerate() {
        let len = out0.len();
        let range = block * BLOCK..block * BLOCK + len;
        sums0[..len].fill(0);
        sums1[..len].fill(0);
        for (digit, (b, c)) in digits.iter().zip(keys) {
            match permutation {
                Some(p) => permute(&p[range.clone()], digit, &mut gathered[..len]),
                None => gathered[..len].copy_from_slice(&digit[range.clone()]),
            }
            let (b, c) = (&b[range.clone()], &c[range.clone()]);
            for i in 0..len {
                let x = gathered[i] as u128;
                sums0[i] += x * b[i] as u128;
                sums1[i] += x * c[i] as u128;
            }
        }
        for i in 0..len {
            out0[i] = m.reduce_wide(sums0[i]);
            out1[i] = m.reduce_wide(sums1[i]);
        }
    }
}

/// First half of a basis conversion, in place: y_i = x_i (D/d_i)^-1 mod d_i, and overflow = round(sum of y_i / d_i).
pub fn convert_digits(moduli: &[&Modulus], inverses: &[ShoupConstant], limbs: &mut [&mut [u64]], overflow: &mut [u64]) {
    let mut fractions = [0f64; BLOCK];
    for (block, overflow) in overflow.chunks_mut(BLOCK).enumerate() {
        let start = block * BLOCK;
        let fractions = &mut fractions[..overflow.len()];
        fractions.fill(0.0);
        for ((m, &w), limb) in moduli.iter().zip(inverses).zip(limbs.iter_mut()) {
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

/// Second half: out = sum of y_i weight_i + overflow * negated_product mod m, the centred representative of x modulo m.
pub fn convert_combine(
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
