//! The inverse transform (Gentleman-Sande).

use super::butterflies::{inverse_butterfly, inverse_two_levels};
use super::pieces::{inverse_first, untwisting_butterfly};
use super::words::*;
use super::{CACHED, IfmaNtt};
use crate::kernels::ifma::{Wide, WideConstant, Words, eights_mut, load, store};
use crate::modulus::ShoupConstant;

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn inverse_with<const ROOM: bool>(
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

/// One pass over all blocks within `values`, of which the first is block `first` of `blocks` of the whole.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn inverse_pass<const ROOM: bool>(
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
pub(super) fn inverse_top<const ROOM: bool>(
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

/// a (x0 + x1) and b (x0 - x1) in [0, q): the end of an inverse transform, where a = 1/N and b = w/N.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn scaled_butterfly<const ROOM: bool, const LOG_BOUND: u32>(
    wide: Wide,
    x0: Words,
    x1: Words,
    a: WideConstant,
    b: WideConstant,
) -> (Words, Words) {
    let (sum, product) = untwisting_butterfly::<ROOM, LOG_BOUND>(wide, x0, x1, a, b);
    (wide.canonical(sum), wide.canonical(product))
}

/// Two levels, from bounds of 2 to bounds of 2.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn inverse_four<const ROOM: bool>(wide: Wide, x: [Words; 4], roots: &[WideConstant; 3]) -> [Words; 4] {
    let [x0, x1, x2, x3] = inverse_two_levels::<ROOM>(wide, x, roots);
    if ROOM { [wide.reduce(x0), wide.reduce(x1), x2, x3] } else { [x0, x1, x2, x3] }
}

/// Three levels, from bounds of 2 to bounds of 2.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn inverse_eight<const ROOM: bool>(
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
