//! Butterflies of both transforms, one level and two, on words in registers.

use std::arch::x86_64::*;

use super::words::*;
use crate::kernels::ifma::{Wide, WideConstant, Words};

/// x0 + w x1 and x0 - w x1: with room, for x0 < b q, both below (b + 2) q; else for x0 < 4 q, both below 4 q.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn forward_butterfly<const ROOM: bool>(wide: Wide, x0: Words, x1: Words, w: WideConstant) -> (Words, Words) {
    let x0 = if ROOM { x0 } else { wide.reduce(x0) };
    let product = wide.mul_constant(x1, w);
    (_mm512_add_epi64(x0, product), _mm512_sub_epi64(_mm512_add_epi64(x0, wide.twice), product))
}

/// Two levels.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn forward_four<const ROOM: bool>(
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

/// x0 + x1 and (x0 - x1) w for both below 2^`LOG_BOUND` q: the sum below twice that with room, else (for bounds of 2)
/// reduced, and the product below 2q.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn inverse_butterfly<const ROOM: bool, const LOG_BOUND: u32>(
    wide: Wide,
    x0: Words,
    x1: Words,
    w: WideConstant,
) -> (Words, Words) {
    let sum = _mm512_add_epi64(x0, x1);
    let product = wide.mul_constant(difference::<ROOM, LOG_BOUND>(wide, x0, x1), w);
    (if ROOM { sum } else { wide.reduce(sum) }, product)
}

/// Two levels; sums are not reduced where there is room: bounds 8, 4, 2, 2 from 2.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn inverse_two_levels<const ROOM: bool>(
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
