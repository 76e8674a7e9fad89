//! The transform with AVX-512 and 52-bit integer products: eight residues at a time, three levels a pass (radix 8).
//!
//! During a transform the low 52 bits of a word hold a residue that is not reduced, below b q for a bound b that the code keeps track of; what
//! is above bit 51 is carry and means nothing (see [`crate::kernels::ifma`]). With b q <= 2^52 throughout:
//!
//! * forward (Cooley-Tukey): x0 + w x1 and x0 + 2q - w x1, where w x1 < 2q, so a level adds 2 to the bound of x0. For q < 2^48 a bound of 16
//!   is allowed: a pass of three levels takes 8 to 14 at most, so only x0 to x3 are reduced, to 2, at the start of every other pass.
//!   For larger q, b = 4, and x0 is reduced to 2 in every butterfly.
//! * inverse (Gentleman-Sande): x0 + x1 and (x0 - x1 + b q) w, the latter below 2q. From bounds of 2, the three levels' sums are below 4, 8
//!   and 16; those that are not products are reduced to 2 at the end of a pass. For larger q every sum is reduced at once.
//!
//! Eight butterflies are six instructions (eight for large q), so N = 2^15, with 15 levels of N/16, takes about 95 000 cycles where two are issued
//! a cycle. Blocks of at most [`CACHED`] words go through all their remaining levels at once; of the last six, pieces of 64 words take three
//! on registers as they lie and three transposed, without going through memory.

use std::arch::x86_64::*;

use crate::kernels::ifma::{Wide, WideConstant, Words, eights_mut, entry, load, store};
use crate::modulus::{Modulus, ShoupConstant};

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

/// Powers of a root of unity psi in bit-reversed order: index m + i is for block i of level m.
struct Roots {
    /// Of all levels but the last three.
    upper: Vec<ShoupConstant>,
    /// For every piece of 64 words.
    pieces: Vec<Piece>,
    /// beta_r^k for k = 1 to 7, lane r.
    twists: Twists,
    /// psi^(N/2), psi^(N/4) and psi^(3 N/4).
    units: [ShoupConstant; 3],
}

/// alpha^k and w alpha^k in lane k, each with its quotients, for the piece's alpha and the root w of the first of its six levels.
#[repr(align(64))]
struct Piece([[[u64; 8]; 2]; 2]);

#[repr(align(64))]
struct Twists([[[u64; 8]; 2]; 7]);

/// Which roots the seven of a group of eight are: of level m (1), 2 m (2) and 4 m (4).
const GROUP: [(usize, usize); 7] = [(1, 0), (2, 0), (2, 1), (4, 0), (4, 1), (4, 2), (4, 3)];

impl Roots {
    fn new(m: &Modulus, log_n: u32, psi: u64) -> Self {
        let n = 1usize << log_n;
        let mut powers = vec![0; n];
        let mut power = 1;
        for i in 0..n {
            powers[i.reverse_bits() >> (usize::BITS - log_n)] = power;
            power = m.mul(power, psi);
        }
        let upper = powers[..n / 8].iter().map(|&w| m.shoup(w)).collect();
        let lanes = |root: &dyn Fn(usize) -> u64| {
            let constants: [_; 8] = std::array::from_fn(|lane| m.shoup(root(lane)));
            [constants.map(|w| w.value), constants.map(|w| w.quotient >> 12)]
        };
        let pieces = (0..n / 64)
            .map(|piece| {
                let (alpha, first) = (powers[n / 2 + 32 * piece], powers[n / 64 + piece]);
                let power = |k: usize| m.pow(alpha, k as u64);
                Piece([lanes(&power), lanes(&|k| m.mul(first, power(k)))])
            })
            .collect();
        // Bits of r, reversed, are bits of an exponent from N/32 on.
        let beta = |r: usize| m.pow(psi, ((r.reverse_bits() >> (usize::BITS - 3)) * (n / 32)) as u64);
        let twists = Twists(std::array::from_fn(|k| lanes(&|r| m.pow(beta(r), k as u64 + 1))));
        let units = [2, 1, 3].map(|quarters| m.shoup(m.pow(psi, (quarters * n / 4) as u64)));
        Self { upper, pieces, twists, units }
    }

    #[inline(always)]
    fn at(&self, index: usize) -> WideConstant {
        WideConstant::broadcast(self.upper[index])
    }

    /// The seven roots of a pass over block `index` = m + i, in the order of [`GROUP`].
    #[inline(always)]
    fn seven(&self, index: usize) -> [WideConstant; 7] {
        let pick = |k: usize| WideConstant::broadcast(self.upper[GROUP[k].0 * index + GROUP[k].1]);
        [pick(0), pick(1), pick(2), pick(3), pick(4), pick(5), pick(6)]
    }

    /// Six of the seven roots of a piece's first three levels, all but the first; that one rides in [`Self::piece`].
    #[inline(always)]
    fn six(&self, index: usize) -> [[WideConstant; 3]; 2] {
        let pick = |k: usize| WideConstant::broadcast(self.upper[GROUP[k].0 * index + GROUP[k].1]);
        [[pick(1), pick(3), pick(4)], [pick(2), pick(5), pick(6)]]
    }

    /// A piece's two.
    #[inline(always)]
    fn piece(&self, piece: usize) -> [WideConstant; 2] {
        let Piece([powers, with_root]) = &self.pieces[piece];
        [lanes(powers), lanes(with_root)]
    }

    #[inline(always)]
    fn units(&self) -> [WideConstant; 3] {
        self.units.map(WideConstant::broadcast)
    }
}

#[inline(always)]
fn lanes([values, quotients]: &[[u64; 8]; 2]) -> WideConstant {
    WideConstant { value: load(values), quotient: load(quotients) }
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

// ---- forward ---------------------------------------------------------------------------------------------------------

/// Where a forward transform stands: `blocks` blocks are left, of words below `bound` q.
#[derive(Clone, Copy)]
struct Stage {
    blocks: usize,
    bound: u32,
    radix4: u32,
}

impl Stage {
    /// The radix of the next pass, whether it reduces first, and the stage after it.
    #[inline]
    fn next(self) -> (usize, bool, Self) {
        let (radix, growth) = if self.radix4 > 0 { (4, 4) } else { (8, 6) };
        let reduce = self.bound + growth > 16;
        let bound = if reduce { 2 } else { self.bound } + growth;
        (radix, reduce, Self { blocks: radix * self.blocks, bound, radix4: self.radix4.saturating_sub(1) })
    }
}

/// From words below `bound` q.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn forward_with<const ROOM: bool>(ntt: &IfmaNtt, values: &mut [u64], bound: u32) {
    let wide = Wide::new(&ntt.modulus);
    let n = values.len();
    let mut stage = Stage { blocks: 1, bound, radix4: ntt.radix4_passes() };
    while n / stage.blocks > CACHED {
        stage = forward_pass::<ROOM>(ntt, wide, stage, values, 0);
    }
    let len = n / stage.blocks;
    for (i, block) in values.chunks_mut(len).enumerate() {
        let mut stage = stage;
        while n / stage.blocks > 64 {
            stage = forward_pass::<ROOM>(ntt, wide, stage, block, i * len / (n / stage.blocks));
        }
        forward_last::<ROOM>(ntt, wide, block, i * len / 64);
    }
}

/// One pass over all blocks within `values`, of which the first is block `first` of the whole.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn forward_pass<const ROOM: bool>(ntt: &IfmaNtt, wide: Wide, stage: Stage, values: &mut [u64], first: usize) -> Stage {
    let len = (1usize << ntt.log_n) / stage.blocks;
    let (radix, reduce, next) = stage.next();
    for (i, block) in values.chunks_mut(len).enumerate() {
        let (index, block) = (stage.blocks + first + i, eights_mut(block));
        if radix == 4 {
            let roots = [ntt.forward.at(index), ntt.forward.at(2 * index), ntt.forward.at(2 * index + 1)];
            let part = block.len() / 4;
            let [x0, x1, x2, x3] = split(block);
            for j in 0..part {
                let x = [load(&x0[j]), load(&x1[j]), load(&x2[j]), load(&x3[j])];
                let y = forward_four::<ROOM>(wide, reduce, x, &roots);
                store(y[0], &mut x0[j]);
                store(y[1], &mut x1[j]);
                store(y[2], &mut x2[j]);
                store(y[3], &mut x3[j]);
            }
        } else {
            let roots = ntt.forward.seven(index);
            let part = block.len() / 8;
            let mut parts = split(block);
            for j in 0..part {
                let y = forward_eight::<ROOM>(wide, reduce, load_eight(&parts, j), &roots);
                store_eight(y, &mut parts, j);
            }
        }
    }
    next
}

/// The last six levels of the 64-word pieces of `block`, the first of which is piece `first` of the whole, from words below 16 q (with room) or 4 q,
/// and the reduction of the results to [0, q).
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn forward_last<const ROOM: bool>(ntt: &IfmaNtt, wide: Wide, block: &mut [u64], first: usize) {
    let (roots, pieces) = (&ntt.forward, (1usize << ntt.log_n) / 64);
    let units = roots.units();
    for (i, piece) in eights_mut(block).as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let [powers, with_root] = roots.piece(first + i);
        let [x0, x1, x2, x3, x4, x5, x6, x7] = load_piece(piece);
        let (x0, x4) = twisted_butterfly(wide, x0, x4, powers, with_root);
        let (x1, x5) = twisted_butterfly(wide, x1, x5, powers, with_root);
        let (x2, x6) = twisted_butterfly(wide, x2, x6, powers, with_root);
        let (x3, x7) = twisted_butterfly(wide, x3, x7, powers, with_root);
        let [upper, lower] = roots.six(pieces + first + i);
        let [x0, x1, x2, x3] = forward_four::<ROOM>(wide, false, [x0, x1, x2, x3], &upper);
        let [x4, x5, x6, x7] = forward_four::<ROOM>(wide, false, [x4, x5, x6, x7], &lower);
        let x = twist(wide, transpose([x0, x1, x2, x3, x4, x5, x6, x7]), &roots.twists);
        let y = cyclic_forward::<ROOM>(wide, x, &units);
        store_piece(transpose(canonical_eight(wide, y)), piece);
    }
}

/// a x0 + b x1 and a x0 - b x1, below 4 q.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn twisted_butterfly(wide: Wide, x0: Words, x1: Words, a: WideConstant, b: WideConstant) -> (Words, Words) {
    let (x0, x1) = (wide.mul_constant(x0, a), wide.mul_constant(x1, b));
    (_mm512_add_epi64(x0, x1), _mm512_sub_epi64(_mm512_add_epi64(x0, wide.twice), x1))
}

/// x_k beta_r^k in lane r, below 2 q.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn twist(wide: Wide, x: [Words; 8], Twists(twists): &Twists) -> [Words; 8] {
    [
        wide.reduce(x[0]),
        wide.mul_constant(x[1], lanes(&twists[0])),
        wide.mul_constant(x[2], lanes(&twists[1])),
        wide.mul_constant(x[3], lanes(&twists[2])),
        wide.mul_constant(x[4], lanes(&twists[3])),
        wide.mul_constant(x[5], lanes(&twists[4])),
        wide.mul_constant(x[6], lanes(&twists[5])),
        wide.mul_constant(x[7], lanes(&twists[6])),
    ]
}

/// The cyclic transform of length eight, from words below 2 q to words below 16 q (with room) or 4 q.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn cyclic_forward<const ROOM: bool>(wide: Wide, x: [Words; 8], units: &[WideConstant; 3]) -> [Words; 8] {
    let [half, quarter, three_quarters] = *units;
    let (a0, b0) = sum_and_difference::<ROOM, 1>(wide, x[0], x[4]);
    let (a1, b1) = sum_and_difference::<ROOM, 1>(wide, x[1], x[5]);
    let (a2, b2) = (_mm512_add_epi64(x[2], x[6]), difference::<ROOM, 1>(wide, x[2], x[6]));
    let (a3, b3) = (_mm512_add_epi64(x[3], x[7]), difference::<ROOM, 1>(wide, x[3], x[7]));
    let (a2, a3) = (trim::<ROOM>(wide, a2), trim::<ROOM>(wide, a3));
    let (c0, c2) = sum_and_difference::<ROOM, 2>(wide, a0, a2);
    let (c1, c3) = (trim::<ROOM>(wide, _mm512_add_epi64(a1, a3)), difference::<ROOM, 2>(wide, a1, a3));
    let (d0, d2) = forward_butterfly::<true>(wide, b0, b2, half);
    let (d1, d3) = forward_butterfly::<true>(wide, b1, b3, half);
    let (y0, y1) = (_mm512_add_epi64(c0, c1), difference::<ROOM, 3>(wide, c0, c1));
    let (y2, y3) = forward_butterfly::<true>(wide, c2, c3, half);
    let (y4, y5) = forward_butterfly::<ROOM>(wide, d0, d1, quarter);
    let (y6, y7) = forward_butterfly::<ROOM>(wide, d2, d3, three_quarters);
    [y0, y1, y2, y3, y4, y5, y6, y7]
}

/// x, reduced to 2 q where there is no room.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn trim<const ROOM: bool>(wide: Wide, x: Words) -> Words {
    if ROOM { x } else { wide.reduce(x) }
}

/// x0 + x1 and x0 - x1 for both below 2^`LOG_BOUND` q with room, or 2 q: below twice that, or 2 q.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn sum_and_difference<const ROOM: bool, const LOG_BOUND: u32>(wide: Wide, x0: Words, x1: Words) -> (Words, Words) {
    let sum = _mm512_add_epi64(x0, x1);
    (trim::<ROOM>(wide, sum), trim::<ROOM>(wide, difference::<ROOM, LOG_BOUND>(wide, x0, x1)))
}

/// x0 + w x1 and x0 - w x1: with room, for x0 < b q, both below (b + 2) q; else for x0 < 4 q, both below 4 q.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn forward_butterfly<const ROOM: bool>(wide: Wide, x0: Words, x1: Words, w: WideConstant) -> (Words, Words) {
    let x0 = if ROOM { x0 } else { wide.reduce(x0) };
    let product = wide.mul_constant(x1, w);
    (_mm512_add_epi64(x0, product), _mm512_sub_epi64(_mm512_add_epi64(x0, wide.twice), product))
}

/// Two levels.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn forward_four<const ROOM: bool>(
    wide: Wide,
    reduce: bool,
    [mut x0, mut x1, x2, x3]: [Words; 4],
    roots: &[WideConstant; 3],
) -> [Words; 4] {
    if ROOM && reduce {
        (x0, x1) = (wide.reduce(x0), wide.reduce(x1));
    }
    let (x0, x2) = forward_butterfly::<ROOM>(wide, x0, x2, roots[0]);
    let (x1, x3) = forward_butterfly::<ROOM>(wide, x1, x3, roots[0]);
    let (x0, x1) = forward_butterfly::<ROOM>(wide, x0, x1, roots[1]);
    let (x2, x3) = forward_butterfly::<ROOM>(wide, x2, x3, roots[2]);
    [x0, x1, x2, x3]
}

/// Three levels.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn forward_eight<const ROOM: bool>(
    wide: Wide,
    reduce: bool,
    [mut x0, mut x1, mut x2, mut x3, x4, x5, x6, x7]: [Words; 8],
    roots: &[WideConstant; 7],
) -> [Words; 8] {
    if ROOM && reduce {
        (x0, x1, x2, x3) = (wide.reduce(x0), wide.reduce(x1), wide.reduce(x2), wide.reduce(x3));
    }
    let (x0, x4) = forward_butterfly::<ROOM>(wide, x0, x4, roots[0]);
    let (x1, x5) = forward_butterfly::<ROOM>(wide, x1, x5, roots[0]);
    let (x2, x6) = forward_butterfly::<ROOM>(wide, x2, x6, roots[0]);
    let (x3, x7) = forward_butterfly::<ROOM>(wide, x3, x7, roots[0]);
    let [x0, x1, x2, x3] = forward_four::<ROOM>(wide, false, [x0, x1, x2, x3], &[roots[1], roots[3], roots[4]]);
    let [x4, x5, x6, x7] = forward_four::<ROOM>(wide, false, [x4, x5, x6, x7], &[roots[2], roots[5], roots[6]]);
    [x0, x1, x2, x3, x4, x5, x6, x7]
}

// ---- inverse ---------------------------------------------------------------------------------------------------------

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn inverse_with<const ROOM: bool>(
    ntt: &IfmaNtt,
    source: Option<&[u64]>,
    values: &mut [u64],
    scales: &[ShoupConstant; 2],
) {
    let wide = Wide::new(&ntt.modulus);
    let n = values.len();
    // Passes above the last six levels, counted from the top.
    let radix4 = ntt.radix4_passes();
    let passes = radix4 + (ntt.log_n - 6 - 2 * radix4) / 3;
    let blocks_at = |pass: u32| 1usize << (2 * pass.min(radix4) + 3 * pass.saturating_sub(radix4));
    let whole = (0..passes).find(|&pass| n / blocks_at(pass) <= CACHED).unwrap_or(passes);
    let len = n / blocks_at(whole);
    for (i, block) in values.chunks_mut(len).enumerate() {
        if let Some(source) = source {
            block.copy_from_slice(&source[i * len..(i + 1) * len]);
        }
        inverse_first::<ROOM>(ntt, wide, block, i * len / 64);
        for pass in (whole.max(1)..passes).rev() {
            let blocks = blocks_at(pass);
            inverse_pass::<ROOM>(ntt, wide, blocks, pass < radix4, block, i * len / (n / blocks));
        }
    }
    for pass in (1..whole).rev() {
        inverse_pass::<ROOM>(ntt, wide, blocks_at(pass), pass < radix4, values, 0);
    }
    inverse_top::<ROOM>(ntt, wide, radix4 > 0, values, scales);
}

/// The first six levels of the 64-word pieces of `block`, from words below 2 q to the same.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn inverse_first<const ROOM: bool>(ntt: &IfmaNtt, wide: Wide, block: &mut [u64], first: usize) {
    let (roots, pieces) = (&ntt.inverse, (1usize << ntt.log_n) / 64);
    let units = roots.units();
    for (i, piece) in eights_mut(block).as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let x = cyclic_inverse::<ROOM>(wide, transpose(load_piece(piece)), &units);
        let [x0, x1, x2, x3, x4, x5, x6, x7] = transpose(twist(wide, x, &roots.twists));
        let [upper, lower] = roots.six(pieces + first + i);
        let [x0, x1, x2, x3] = inverse_two_levels::<ROOM>(wide, [x0, x1, x2, x3], &upper);
        let [x4, x5, x6, x7] = inverse_two_levels::<ROOM>(wide, [x4, x5, x6, x7], &lower);
        let [powers, with_root] = roots.piece(first + i);
        let (x0, x4) = untwisting_butterfly::<ROOM, 3>(wide, x0, x4, powers, with_root);
        let (x1, x5) = untwisting_butterfly::<ROOM, 2>(wide, x1, x5, powers, with_root);
        let (x2, x6) = untwisting_butterfly::<ROOM, 1>(wide, x2, x6, powers, with_root);
        let (x3, x7) = untwisting_butterfly::<ROOM, 1>(wide, x3, x7, powers, with_root);
        store_piece([x0, x1, x2, x3, x4, x5, x6, x7], piece);
    }
}

/// The inverse of [`cyclic_forward`] times eight, from words below 2 q to words below 16 q (with room) or 4 q.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn cyclic_inverse<const ROOM: bool>(wide: Wide, x: [Words; 8], units: &[WideConstant; 3]) -> [Words; 8] {
    let [half, quarter, three_quarters] = *units;
    let (c0, c1) = sum_and_difference::<ROOM, 1>(wide, x[0], x[1]);
    let (c2, c3) = inverse_butterfly::<ROOM, 1>(wide, x[2], x[3], half);
    let (d0, d1) = inverse_butterfly::<ROOM, 1>(wide, x[4], x[5], quarter);
    let (d2, d3) = inverse_butterfly::<ROOM, 1>(wide, x[6], x[7], three_quarters);
    let (a0, a2) = sum_and_difference::<ROOM, 2>(wide, c0, c2);
    let (a1, a3) = sum_and_difference::<ROOM, 1>(wide, c1, c3);
    let (b0, b2) = inverse_butterfly::<ROOM, 2>(wide, d0, d2, half);
    let (b1, b3) = inverse_butterfly::<ROOM, 1>(wide, d1, d3, half);
    [
        _mm512_add_epi64(a0, b0),
        _mm512_add_epi64(a1, b1),
        _mm512_add_epi64(a2, b2),
        _mm512_add_epi64(a3, b3),
        difference::<ROOM, 3>(wide, a0, b0),
        difference::<ROOM, 2>(wide, a1, b1),
        difference::<ROOM, 1>(wide, a2, b2),
        difference::<ROOM, 1>(wide, a3, b3),
    ]
}

/// a (x0 + x1) and b (x0 - x1) for both below 2^`LOG_BOUND` q with room, or 2 q: below 2 q.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn untwisting_butterfly<const ROOM: bool, const LOG_BOUND: u32>(
    wide: Wide,
    x0: Words,
    x1: Words,
    a: WideConstant,
    b: WideConstant,
) -> (Words, Words) {
    let sum = wide.mul_constant(_mm512_add_epi64(x0, x1), a);
    (sum, wide.mul_constant(difference::<ROOM, LOG_BOUND>(wide, x0, x1), b))
}

/// One pass over all blocks within `values`, of which the first is block `first` of `blocks` of the whole.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn inverse_pass<const ROOM: bool>(
    ntt: &IfmaNtt,
    wide: Wide,
    blocks: usize,
    radix4: bool,
    values: &mut [u64],
    first: usize,
) {
    let len = (1usize << ntt.log_n) / blocks;
    for (i, block) in values.chunks_mut(len).enumerate() {
        let (index, block) = (blocks + first + i, eights_mut(block));
        if radix4 {
            let roots = [ntt.inverse.at(index), ntt.inverse.at(2 * index), ntt.inverse.at(2 * index + 1)];
            let part = block.len() / 4;
            let [x0, x1, x2, x3] = split(block);
            for j in 0..part {
                let x = [load(&x0[j]), load(&x1[j]), load(&x2[j]), load(&x3[j])];
                let y = inverse_four::<ROOM>(wide, x, &roots);
                store(y[0], &mut x0[j]);
                store(y[1], &mut x1[j]);
                store(y[2], &mut x2[j]);
                store(y[3], &mut x3[j]);
            }
        } else {
            let roots = ntt.inverse.seven(index);
            let part = block.len() / 8;
            let mut parts = split(block);
            for j in 0..part {
                let y = inverse_eight::<ROOM>(wide, load_eight(&parts, j), &roots);
                store_eight(y, &mut parts, j);
            }
        }
    }
}

/// The last pass: the same, then the last level with its scales, reduced to [0, q).
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn inverse_top<const ROOM: bool>(
    ntt: &IfmaNtt,
    wide: Wide,
    radix4: bool,
    values: &mut [u64],
    scales: &[ShoupConstant; 2],
) {
    let [scale, root] = scales.map(WideConstant::broadcast);
    let values = eights_mut(values);
    if radix4 {
        let roots = [ntt.inverse.at(2), ntt.inverse.at(3)];
        let part = values.len() / 4;
        let [x0, x1, x2, x3] = split(values);
        for j in 0..part {
            let (a, b) = inverse_butterfly::<ROOM, 1>(wide, load(&x0[j]), load(&x1[j]), roots[0]);
            let (c, d) = inverse_butterfly::<ROOM, 1>(wide, load(&x2[j]), load(&x3[j]), roots[1]);
            let (a, c) = scaled_butterfly::<ROOM, 2>(wide, a, c, scale, root);
            let (b, d) = scaled_butterfly::<ROOM, 2>(wide, b, d, scale, root);
            store(a, &mut x0[j]);
            store(b, &mut x1[j]);
            store(c, &mut x2[j]);
            store(d, &mut x3[j]);
        }
    } else {
        let roots = ntt.inverse.seven(1);
        let part = values.len() / 8;
        let mut parts = split(values);
        for j in 0..part {
            let [x0, x1, x2, x3, x4, x5, x6, x7] = load_eight(&parts, j);
            let [x0, x1, x2, x3] = inverse_two_levels::<ROOM>(wide, [x0, x1, x2, x3], &[roots[1], roots[3], roots[4]]);
            let [x4, x5, x6, x7] = inverse_two_levels::<ROOM>(wide, [x4, x5, x6, x7], &[roots[2], roots[5], roots[6]]);
            let (x0, x4) = scaled_butterfly::<ROOM, 3>(wide, x0, x4, scale, root);
            let (x1, x5) = scaled_butterfly::<ROOM, 3>(wide, x1, x5, scale, root);
            let (x2, x6) = scaled_butterfly::<ROOM, 3>(wide, x2, x6, scale, root);
            let (x3, x7) = scaled_butterfly::<ROOM, 3>(wide, x3, x7, scale, root);
            store_eight([x0, x1, x2, x3, x4, x5, x6, x7], &mut parts, j);
        }
    }
}

/// x0 + x1 and (x0 - x1) w for both below 2^`LOG_BOUND` q: the sum below twice that with room, else (for bounds of 2) reduced, and
/// the product below 2q.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn inverse_butterfly<const ROOM: bool, const LOG_BOUND: u32>(
    wide: Wide,
    x0: Words,
    x1: Words,
    w: WideConstant,
) -> (Words, Words) {
    let sum = _mm512_add_epi64(x0, x1);
    let product = wide.mul_constant(difference::<ROOM, LOG_BOUND>(wide, x0, x1), w);
    (if ROOM { sum } else { wide.reduce(sum) }, product)
}

/// The same in [0, q): the end of an inverse transform, where a = 1/N and b = w/N.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn scaled_butterfly<const ROOM: bool, const LOG_BOUND: u32>(
    wide: Wide,
    x0: Words,
    x1: Words,
    a: WideConstant,
    b: WideConstant,
) -> (Words, Words) {
    let (sum, product) = untwisting_butterfly::<ROOM, LOG_BOUND>(wide, x0, x1, a, b);
    (wide.canonical(sum), wide.canonical(product))
}

/// x0 - x1 + b q, where b = 2^`LOG_BOUND` with room and 2 without.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn difference<const ROOM: bool, const LOG_BOUND: u32>(wide: Wide, x0: Words, x1: Words) -> Words {
    let offset = if ROOM { _mm512_slli_epi64::<LOG_BOUND>(wide.q) } else { wide.twice };
    _mm512_sub_epi64(_mm512_add_epi64(x0, offset), x1)
}

/// Two levels; sums are not reduced where there is room: bounds 8, 4, 2, 2 from 2.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn inverse_two_levels<const ROOM: bool>(
    wide: Wide,
    [x0, x1, x2, x3]: [Words; 4],
    roots: &[WideConstant; 3],
) -> [Words; 4] {
    let (x0, x1) = inverse_butterfly::<ROOM, 1>(wide, x0, x1, roots[1]);
    let (x2, x3) = inverse_butterfly::<ROOM, 1>(wide, x2, x3, roots[2]);
    let (x0, x2) = inverse_butterfly::<ROOM, 2>(wide, x0, x2, roots[0]);
    let (x1, x3) = inverse_butterfly::<ROOM, 1>(wide, x1, x3, roots[0]);
    [x0, x1, x2, x3]
}

/// Two levels, from bounds of 2 to bounds of 2.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn inverse_four<const ROOM: bool>(wide: Wide, x: [Words; 4], roots: &[WideConstant; 3]) -> [Words; 4] {
    let [x0, x1, x2, x3] = inverse_two_levels::<ROOM>(wide, x, roots);
    if ROOM { [wide.reduce(x0), wide.reduce(x1), x2, x3] } else { [x0, x1, x2, x3] }
}

/// Three levels, from bounds of 2 to bounds of 2.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn inverse_eight<const ROOM: bool>(
    wide: Wide,
    [x0, x1, x2, x3, x4, x5, x6, x7]: [Words; 8],
    roots: &[WideConstant; 7],
) -> [Words; 8] {
    let [x0, x1, x2, x3] = inverse_two_levels::<ROOM>(wide, [x0, x1, x2, x3], &[roots[1], roots[3], roots[4]]);
    let [x4, x5, x6, x7] = inverse_two_levels::<ROOM>(wide, [x4, x5, x6, x7], &[roots[2], roots[5], roots[6]]);
    let (x0, x4) = inverse_butterfly::<ROOM, 3>(wide, x0, x4, roots[0]);
    let (x1, x5) = inverse_butterfly::<ROOM, 2>(wide, x1, x5, roots[0]);
    let (x2, x6) = inverse_butterfly::<ROOM, 1>(wide, x2, x6, roots[0]);
    let (x3, x7) = inverse_butterfly::<ROOM, 1>(wide, x3, x7, roots[0]);
    if ROOM {
        [wide.reduce(x0), wide.reduce(x1), wide.reduce(x2), wide.reduce(x3), x4, x5, x6, x7]
    } else {
        [x0, x1, x2, x3, x4, x5, x6, x7]
    }
}

// ---- words in registers ----------------------------------------------------------------------------------------------

/// A block in `K` equal parts.
#[inline(always)]
fn split<const K: usize>(block: &mut [[u64; 8]]) -> [&mut [[u64; 8]]; K] {
    let mut parts = block.chunks_exact_mut(block.len() / K);
    std::array::from_fn(|_| parts.next().expect("a block has at least K times eight words"))
}

#[inline(always)]
fn load_eight(parts: &[&mut [[u64; 8]]; 8], j: usize) -> [Words; 8] {
    [
        load(&parts[0][j]),
        load(&parts[1][j]),
        load(&parts[2][j]),
        load(&parts[3][j]),
        load(&parts[4][j]),
        load(&parts[5][j]),
        load(&parts[6][j]),
        load(&parts[7][j]),
    ]
}

#[inline(always)]
fn store_eight(x: [Words; 8], parts: &mut [&mut [[u64; 8]]; 8], j: usize) {
    for (x, part) in x.into_iter().zip(parts) {
        store(x, &mut part[j]);
    }
}

#[inline(always)]
fn load_piece(g: &[[u64; 8]; 8]) -> [Words; 8] {
    [load(&g[0]), load(&g[1]), load(&g[2]), load(&g[3]), load(&g[4]), load(&g[5]), load(&g[6]), load(&g[7])]
}

#[inline(always)]
fn store_piece(x: [Words; 8], piece: &mut [[u64; 8]; 8]) {
    for (x, to) in x.into_iter().zip(piece) {
        store(x, to);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn canonical_eight(wide: Wide, mut x: [Words; 8]) -> [Words; 8] {
    for x in &mut x {
        *x = wide.canonical(wide.reduce(*x));
    }
    x
}

/// The 8 x 8 words transposed: pairs of words, then of pairs, then of halves, change places.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn transpose(x: [Words; 8]) -> [Words; 8] {
    let a = [
        _mm512_unpacklo_epi64(x[0], x[1]),
        _mm512_unpackhi_epi64(x[0], x[1]),
        _mm512_unpacklo_epi64(x[2], x[3]),
        _mm512_unpackhi_epi64(x[2], x[3]),
        _mm512_unpacklo_epi64(x[4], x[5]),
        _mm512_unpackhi_epi64(x[4], x[5]),
        _mm512_unpacklo_epi64(x[6], x[7]),
        _mm512_unpackhi_epi64(x[6], x[7]),
    ];
    // a[2k + h] holds words h, h + 2, h + 4, h + 6 of rows 2k and 2k + 1, in pairs.
    let even = |x: Words, y: Words| _mm512_shuffle_i64x2::<0b10_00_10_00>(x, y);
    let odd = |x: Words, y: Words| _mm512_shuffle_i64x2::<0b11_01_11_01>(x, y);
    let b = [
        even(a[0], a[2]),
        even(a[1], a[3]),
        odd(a[0], a[2]),
        odd(a[1], a[3]),
        even(a[4], a[6]),
        even(a[5], a[7]),
        odd(a[4], a[6]),
        odd(a[5], a[7]),
    ];
    [
        even(b[0], b[4]),
        even(b[1], b[5]),
        even(b[2], b[6]),
        even(b[3], b[7]),
        odd(b[0], b[4]),
        odd(b[1], b[5]),
        odd(b[2], b[6]),
        odd(b[3], b[7]),
    ]
}
