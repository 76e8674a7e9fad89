//! The transform in double precision with fused multiply-add: the same results as `tfhe-ntt`, bit for bit, faster on
//! processors without 52-bit integer products.
//!
//! Two levels of butterflies are done in one pass over memory (radix 4). During a transform the words hold doubles that
//! are congruent to the residues but not reduced; all are integers below 2^53 in magnitude, so all sums and products
//! (see [`crate::kernels::fma`]) are exact. With B a bound on their size in units of q < 2^50, a product by a root of
//! unity comes out below 1/2 + B/4:
//!
//! * forward (Cooley-Tukey): (x0, x1, x2, x3) is x0 + w1 x2, x1 + w1 x3, ... and again. x0 is reduced to 1/2 at the
//!   start of every pass; then a pass leaves at most 1.6 + 0.56 B, whose fixed point is B = 3.7, and no operand of a
//!   product is above 5.2 < 8.
//! * inverse (Gentleman-Sande): differences are multiplied, so sums grow. Both sums that are not multiplied and the
//!   difference of sums that is are reduced to 1/2; products are of at most 2 B + ..., and a pass leaves at most 1.1.

use pulp::x86::V3;

use crate::Modulus;
use crate::kernels::fma::{Real, RealConstant, to_f64, to_u64, vectorized};

/// Blocks of this many words stay in the L1 cache while all remaining levels are done.
const CACHED: usize = 2048;

/// The transform of one ring dimension and one prime.
pub(super) struct FmaNtt {
    log_n: u32,
    real: Real,
    forward: Roots,
    inverse: Roots,
    n_inverse: RealConstant,
}

/// Powers of a root of unity in bit-reversed order, with their quotients by q: index m + i is for block i of level m.
struct Roots {
    values: Vec<f64>,
    quotients: Vec<f64>,
}

impl Roots {
    fn new(m: &Modulus, log_n: u32, psi: u64) -> Self {
        let n = 1usize << log_n;
        let mut values = vec![0.0; n];
        let mut power = 1;
        for i in 0..n {
            values[i.reverse_bits() >> (usize::BITS - log_n)] = power as f64;
            power = m.mul(power, psi);
        }
        let quotients = values.iter().map(|w| w / m.value() as f64).collect();
        Self { values, quotients }
    }

    #[inline(always)]
    fn at(&self, index: usize) -> RealConstant {
        RealConstant { value: self.values[index], quotient: self.quotients[index] }
    }
}

impl FmaNtt {
    /// The transform at the powers of `psi`, a primitive 2N-th root of unity. `log_n` at least 4.
    pub(super) fn new(m: &Modulus, log_n: u32, psi: u64) -> Self {
        let real = Real::new(m);
        Self {
            log_n,
            real,
            forward: Roots::new(m, log_n, psi),
            inverse: Roots::new(m, log_n, m.invert(psi)),
            n_inverse: real.constant(m.invert(1 << log_n)),
        }
    }

    pub(super) fn forward(&self, simd: V3, values: &mut [u64]) {
        forward(simd, self, values);
    }

    pub(super) fn inverse(&self, simd: V3, values: &mut [u64]) {
        inverse(simd, self, values);
    }
}

vectorized! {
    fn forward(ntt: &'a FmaNtt, values: &'a mut [u64]) {
        for x in values.iter_mut() {
            *x = to_f64(*x).to_bits();
        }
        if ntt.log_n % 2 == 1 {
            // One level alone, so that the rest pairs up.
            let w = ntt.forward.at(1);
            let (low, high) = values.split_at_mut(values.len() / 2);
            for (x, y) in low.iter_mut().zip(high) {
                let (a, b) = (f64::from_bits(*x), ntt.real.mul_constant(f64::from_bits(*y), w));
                (*x, *y) = ((a + b).to_bits(), (a - b).to_bits());
            }
            let half = values.len() / 2;
            forward_block(ntt, &mut values[..half], 2, 0);
            forward_block(ntt, &mut values[half..], 2, 1);
        } else {
            forward_block(ntt, values, 1, 0);
        }
    }
}

/// All remaining levels of block `i` at the level of `m` blocks.
#[inline(always)]
fn forward_block(ntt: &FmaNtt, block: &mut [u64], m: usize, i: usize) {
    // Large blocks one pass at a time; an explicit stack of at most two levels, because inlining forbids recursion.
    let mut m_large = m;
    let mut blocks = 1;
    while block.len() / blocks > CACHED {
        let len = block.len() / blocks;
        for (k, part) in block.chunks_mut(len).enumerate() {
            forward_pass(ntt, part, m_large, i * blocks + k);
        }
        m_large *= 4;
        blocks *= 4;
    }
    let len = block.len() / blocks;
    for (k, part) in block.chunks_mut(len).enumerate() {
        let (mut m, mut parts) = (m_large, 1);
        let first = i * blocks + k;
        while part.len() / parts > 4 {
            let len = part.len() / parts;
            for (l, piece) in part.chunks_mut(len).enumerate() {
                forward_pass(ntt, piece, m, first * parts + l);
            }
            m *= 4;
            parts *= 4;
        }
        forward_last(ntt, part, m, first * parts);
    }
}

/// Two levels of one block: of `m` blocks, then of 2 m.
#[inline(always)]
fn forward_pass(ntt: &FmaNtt, block: &mut [u64], m: usize, i: usize) {
    let (real, roots) = (ntt.real, &ntt.forward);
    let (w1, w2, w3) = (roots.at(m + i), roots.at(2 * (m + i)), roots.at(2 * (m + i) + 1));
    let quarter = block.len() / 4;
    let (low, high) = block.split_at_mut(2 * quarter);
    let (x0, x1) = low.split_at_mut(quarter);
    let (x2, x3) = high.split_at_mut(quarter);
    for (((x0, x1), x2), x3) in x0.iter_mut().zip(x1).zip(x2).zip(x3) {
        let y = forward_butterfly(real, [*x0, *x1, *x2, *x3].map(f64::from_bits), w1, w2, w3);
        [*x0, *x1, *x2, *x3] = y.map(f64::to_bits);
    }
}

#[inline(always)]
fn forward_butterfly(
    real: Real,
    [x0, x1, x2, x3]: [f64; 4],
    w1: RealConstant,
    w2: RealConstant,
    w3: RealConstant,
) -> [f64; 4] {
    let (x0, t2, t3) = (real.reduce(x0), real.mul_constant(x2, w1), real.mul_constant(x3, w1));
    let (a, b, c, d) = (x0 + t2, x1 + t3, x0 - t2, x1 - t3);
    let (b, d) = (real.mul_constant(b, w2), real.mul_constant(d, w3));
    [a + b, a - b, c + d, c - d]
}

/// Groups of four neighbours: how many are worked on side by side, so that they fill vectors across groups.
const GROUPS: usize = 8;

/// The last two levels, on groups of four neighbours, and the reduction of the results to integers in [0, q).
#[inline(always)]
fn forward_last(ntt: &FmaNtt, block: &mut [u64], m: usize, first: usize) {
    let (real, roots) = (ntt.real, &ntt.forward);
    let mut chunks = block.chunks_exact_mut(4 * GROUPS);
    let mut group = m + first;
    for chunk in &mut chunks {
        let (mut x, mut w1, mut w2, mut w3) =
            ([[0.0; GROUPS]; 4], [[0.0; GROUPS]; 2], [[0.0; GROUPS]; 2], [[0.0; GROUPS]; 2]);
        for g in 0..GROUPS {
            for (k, x) in x.iter_mut().enumerate() {
                x[g] = f64::from_bits(chunk[4 * g + k]);
            }
            for (table, (w1, (w2, w3))) in
                [&roots.values, &roots.quotients].into_iter().zip(w1.iter_mut().zip(w2.iter_mut().zip(w3.iter_mut())))
            {
                w1[g] = table[group + g];
                w2[g] = table[2 * (group + g)];
                w3[g] = table[2 * (group + g) + 1];
            }
        }
        let mut y = [[0.0; GROUPS]; 4];
        for g in 0..GROUPS {
            let root = |w: &[[f64; GROUPS]; 2]| RealConstant { value: w[0][g], quotient: w[1][g] };
            let out = forward_butterfly(real, [x[0][g], x[1][g], x[2][g], x[3][g]], root(&w1), root(&w2), root(&w3));
            for (y, out) in y.iter_mut().zip(out) {
                y[g] = real.canonical(real.reduce(out));
            }
        }
        for g in 0..GROUPS {
            for (k, y) in y.iter().enumerate() {
                chunk[4 * g + k] = to_u64(y[g]);
            }
        }
        group += GROUPS;
    }
    for chunk in chunks.into_remainder().chunks_exact_mut(4) {
        let x = [chunk[0], chunk[1], chunk[2], chunk[3]].map(f64::from_bits);
        let out = forward_butterfly(real, x, roots.at(group), roots.at(2 * group), roots.at(2 * group + 1));
        for (word, out) in chunk.iter_mut().zip(out) {
            *word = to_u64(real.canonical(real.reduce(out)));
        }
        group += 1;
    }
}

vectorized! {
    fn inverse(ntt: &'a FmaNtt, values: &'a mut [u64]) {
        let n = values.len();
        // The blocks below an odd top level.
        let tops = if ntt.log_n % 2 == 1 { 2 } else { 1 };
        for (i, block) in values.chunks_mut(n / tops).enumerate() {
            inverse_block(ntt, block, tops, i);
        }
        let (real, scale) = (ntt.real, ntt.n_inverse);
        if tops == 2 {
            let w = ntt.inverse.at(1);
            let (low, high) = values.split_at_mut(n / 2);
            for (x, y) in low.iter_mut().zip(high) {
                let (a, b) = (f64::from_bits(*x), f64::from_bits(*y));
                (*x, *y) = (real.reduce(a + b).to_bits(), real.mul_constant(a - b, w).to_bits());
            }
        }
        for x in values.iter_mut() {
            *x = to_u64(real.canonical(real.mul_constant(f64::from_bits(*x), scale)));
        }
    }
}

/// All levels below that of `m` blocks, of block `i`.
#[inline(always)]
fn inverse_block(ntt: &FmaNtt, block: &mut [u64], m: usize, i: usize) {
    let mut blocks = 1;
    while block.len() / blocks > CACHED {
        blocks *= 4;
    }
    let len = block.len() / blocks;
    for (k, part) in block.chunks_mut(len).enumerate() {
        let first = i * blocks + k;
        let mut parts = part.len() / 4;
        inverse_first(ntt, part, m * blocks * parts, first * parts);
        while parts > 1 {
            parts /= 4;
            let len = part.len() / parts;
            for (l, piece) in part.chunks_mut(len).enumerate() {
                inverse_pass(ntt, piece, m * blocks * parts, first * parts + l);
            }
        }
    }
    while blocks > 1 {
        blocks /= 4;
        let len = block.len() / blocks;
        for (k, part) in block.chunks_mut(len).enumerate() {
            inverse_pass(ntt, part, m * blocks, i * blocks + k);
        }
    }
}

/// Two levels of one block: of 2 m blocks, then of `m`.
#[inline(always)]
fn inverse_pass(ntt: &FmaNtt, block: &mut [u64], m: usize, i: usize) {
    let (real, roots) = (ntt.real, &ntt.inverse);
    let (w1, w2, w3) = (roots.at(m + i), roots.at(2 * (m + i)), roots.at(2 * (m + i) + 1));
    let quarter = block.len() / 4;
    let (low, high) = block.split_at_mut(2 * quarter);
    let (x0, x1) = low.split_at_mut(quarter);
    let (x2, x3) = high.split_at_mut(quarter);
    for (((x0, x1), x2), x3) in x0.iter_mut().zip(x1).zip(x2).zip(x3) {
        let y = inverse_butterfly(real, [*x0, *x1, *x2, *x3].map(f64::from_bits), w1, w2, w3);
        [*x0, *x1, *x2, *x3] = y.map(f64::to_bits);
    }
}

#[inline(always)]
fn inverse_butterfly(
    real: Real,
    [x0, x1, x2, x3]: [f64; 4],
    w1: RealConstant,
    w2: RealConstant,
    w3: RealConstant,
) -> [f64; 4] {
    let (a, c) = (x0 + x1, x2 + x3);
    let (b, d) = (real.mul_constant(x0 - x1, w2), real.mul_constant(x2 - x3, w3));
    [real.reduce(a + c), real.reduce(b + d), real.mul_constant(real.reduce(a - c), w1), real.mul_constant(b - d, w1)]
}

/// The first two levels, on groups of four neighbours, from integers in [0, q).
#[inline(always)]
fn inverse_first(ntt: &FmaNtt, block: &mut [u64], m: usize, first: usize) {
    let (real, roots) = (ntt.real, &ntt.inverse);
    let mut chunks = block.chunks_exact_mut(4 * GROUPS);
    let mut group = m + first;
    for chunk in &mut chunks {
        let (mut x, mut w1, mut w2, mut w3) =
            ([[0.0; GROUPS]; 4], [[0.0; GROUPS]; 2], [[0.0; GROUPS]; 2], [[0.0; GROUPS]; 2]);
        for g in 0..GROUPS {
            for (k, x) in x.iter_mut().enumerate() {
                x[g] = to_f64(chunk[4 * g + k]);
            }
            for (table, (w1, (w2, w3))) in
                [&roots.values, &roots.quotients].into_iter().zip(w1.iter_mut().zip(w2.iter_mut().zip(w3.iter_mut())))
            {
                w1[g] = table[group + g];
                w2[g] = table[2 * (group + g)];
                w3[g] = table[2 * (group + g) + 1];
            }
        }
        let mut y = [[0.0; GROUPS]; 4];
        for g in 0..GROUPS {
            let root = |w: &[[f64; GROUPS]; 2]| RealConstant { value: w[0][g], quotient: w[1][g] };
            let out = inverse_butterfly(real, [x[0][g], x[1][g], x[2][g], x[3][g]], root(&w1), root(&w2), root(&w3));
            for (y, out) in y.iter_mut().zip(out) {
                y[g] = out;
            }
        }
        for g in 0..GROUPS {
            for (k, y) in y.iter().enumerate() {
                chunk[4 * g + k] = y[g].to_bits();
            }
        }
        group += GROUPS;
    }
    for chunk in chunks.into_remainder().chunks_exact_mut(4) {
        let x = [chunk[0], chunk[1], chunk[2], chunk[3]].map(to_f64);
        let out = inverse_butterfly(real, x, roots.at(group), roots.at(2 * group), roots.at(2 * group + 1));
        for (word, out) in chunk.iter_mut().zip(out) {
            *word = out.to_bits();
        }
        group += 1;
    }
}
