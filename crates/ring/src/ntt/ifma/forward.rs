//! The forward transform (Cooley-Tukey).

use super::butterflies::{forward_butterfly, forward_four};
use super::pieces::forward_last;
use super::words::*;
use super::{CACHED, IfmaNtt};
use crate::kernels::ifma::{Wide, WideConstant, Words, eights_mut, load, store};

/// Where a forward transform stands: `blocks` blocks are left, of words below `bound` q.
#[derive(Clone, Copy)]
pub(super) struct Stage {
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
pub(super) fn forward_with<const ROOM: bool>(ntt: &IfmaNtt, values: &mut [u64], bound: u32) {
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
pub(super) fn forward_pass<const ROOM: bool>(
    ntt: &IfmaNtt,
    wide: Wide,
    stage: Stage,
    values: &mut [u64],
    first: usize,
) -> Stage {
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

/// Three levels.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn forward_eight<const ROOM: bool>(
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
