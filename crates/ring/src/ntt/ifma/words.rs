//! Words in registers: sums and differences within bounds, loads and stores of eight, the transposition.

use std::arch::x86_64::*;

use crate::kernels::ifma::{Wide, Words, load, store};

/// x0 - x1 + b q, where b = 2^`LOG_BOUND` with room and 2 without.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn difference<const ROOM: bool, const LOG_BOUND: u32>(wide: Wide, x0: Words, x1: Words) -> Words {
    let offset = if ROOM { _mm512_slli_epi64::<LOG_BOUND>(wide.q) } else { wide.twice };
    _mm512_sub_epi64(_mm512_add_epi64(x0, offset), x1)
}

/// x, reduced to 2 q where there is no room.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn trim<const ROOM: bool>(wide: Wide, x: Words) -> Words {
    if ROOM { x } else { wide.reduce(x) }
}

/// x0 + x1 and x0 - x1 for x1 below 2^`LOG_BOUND` q and x0 below b q with room, or both below 2 q: below (b +
/// 2^`LOG_BOUND`) q, or 2 q.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn sum_and_difference<const ROOM: bool, const LOG_BOUND: u32>(
    wide: Wide,
    x0: Words,
    x1: Words,
) -> (Words, Words) {
    let sum = _mm512_add_epi64(x0, x1);
    (trim::<ROOM>(wide, sum), trim::<ROOM>(wide, difference::<ROOM, LOG_BOUND>(wide, x0, x1)))
}

/// A block in `K` equal parts.
#[inline(always)]
pub(super) fn split<const K: usize>(block: &mut [[u64; 8]]) -> [&mut [[u64; 8]]; K] {
    let mut parts = block.chunks_exact_mut(block.len() / K);
    std::array::from_fn(|_| parts.next().expect("a block has at least K times eight words"))
}

#[inline(always)]
pub(super) fn load_eight(parts: &[&mut [[u64; 8]]; 8], j: usize) -> [Words; 8] {
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
pub(super) fn store_eight(x: [Words; 8], parts: &mut [&mut [[u64; 8]]; 8], j: usize) {
    for (x, part) in x.into_iter().zip(parts) {
        store(x, &mut part[j]);
    }
}

#[inline(always)]
pub(super) fn load_piece(g: &[[u64; 8]; 8]) -> [Words; 8] {
    [load(&g[0]), load(&g[1]), load(&g[2]), load(&g[3]), load(&g[4]), load(&g[5]), load(&g[6]), load(&g[7])]
}

#[inline(always)]
pub(super) fn store_piece(x: [Words; 8], piece: &mut [[u64; 8]; 8]) {
    for (x, to) in x.into_iter().zip(piece) {
        store(x, to);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn canonical_eight(wide: Wide, mut x: [Words; 8]) -> [Words; 8] {
    for x in &mut x {
        *x = wide.canonical(wide.reduce(*x));
    }
    x
}

/// The 8 x 8 words transposed: pairs of words, then of pairs, then of halves, change places.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn transpose(x: [Words; 8]) -> [Words; 8] {
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
