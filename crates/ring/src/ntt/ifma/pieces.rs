//! The last six levels of a forward transform, and the first six of an inverse one, on pieces of 64 words: three levels
//! on registers as the words lie and three on them transposed, without going through memory.
//!
//! The last three are the cyclic transform of length eight, once coefficient k of group r has been multiplied by
//! alpha^k beta_r^k (see [`super::roots`]). alpha^k rides in the first of the six levels: instead of x0 and w x1 it
//! combines alpha^k x0 and w alpha^k x1.

use std::arch::x86_64::*;

use crate::kernels::ifma::{Wide, WideConstant, Words, eights_mut};

use super::IfmaNtt;
use super::butterflies::{forward_butterfly, forward_four, inverse_butterfly, inverse_two_levels};
use super::roots::{Twists, lanes};
use super::words::*;

/// The last six levels of the 64-word pieces of `block`, the first of which is piece `first` of the whole, from words
/// below 16 q (with room) or 4 q, and the reduction of the results to [0, q).
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn forward_last<const ROOM: bool>(ntt: &IfmaNtt, wide: Wide, block: &mut [u64], first: usize) {
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
pub(super) fn twisted_butterfly(wide: Wide, x0: Words, x1: Words, a: WideConstant, b: WideConstant) -> (Words, Words) {
    let (x0, x1) = (wide.mul_constant(x0, a), wide.mul_constant(x1, b));
    (_mm512_add_epi64(x0, x1), _mm512_sub_epi64(_mm512_add_epi64(x0, wide.twice), x1))
}

/// x_k beta_r^k in lane r, below 2 q.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn twist(wide: Wide, x: [Words; 8], Twists(twists): &Twists) -> [Words; 8] {
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
pub(super) fn cyclic_forward<const ROOM: bool>(wide: Wide, x: [Words; 8], units: &[WideConstant; 3]) -> [Words; 8] {
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

/// The first six levels of the 64-word pieces of `block`, from words below 2 q to the same.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn inverse_first<const ROOM: bool>(ntt: &IfmaNtt, wide: Wide, block: &mut [u64], first: usize) {
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
pub(super) fn cyclic_inverse<const ROOM: bool>(wide: Wide, x: [Words; 8], units: &[WideConstant; 3]) -> [Words; 8] {
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
pub(super) fn untwisting_butterfly<const ROOM: bool, const LOG_BOUND: u32>(
    wide: Wide,
    x0: Words,
    x1: Words,
    a: WideConstant,
    b: WideConstant,
) -> (Words, Words) {
    let sum = wide.mul_constant(_mm512_add_epi64(x0, x1), a);
    (sum, wide.mul_constant(difference::<ROOM, LOG_BOUND>(wide, x0, x1), b))
}
