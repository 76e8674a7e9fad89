//! The explicit cost model of the layout `class-diagonal`: its operations in closed form, for a search that cannot
//! trace every candidate.
//!
//! With w weight ciphertexts, n blocks of B diagonals in a batch, g giant and b baby steps, weights at level v and residuals at
//! level r = v - 3 (v - 4, v - 5 for a sigmoid of degree 7, 15), one iteration consists of these key switches (at the level in brackets; hoisted ones share a
//! decomposition):
//!
//! ```text
//! babies     w (b - 1) hoisted [v]
//! forward    w n (1 relinearised, g - 1 pairs) [v],  w n log2(F/B) rotations [v - 1]
//! cubic      w n 2 [v - 1],  w n 1 [v - 2]
//! degree 7   w n 1 [v - 1], w n 2 [v - 1], w n 4 [v - 2], w n 1 [v - 3] in place of the cubic's
//! degree 15  the same, w n 4 [v - 3] and w n 1 [v - 4] in place of the last
//! spread     w n log2(F/B) [r]
//! backward   w n (g - 1) hoisted [r],  w (1 relinearised, b - 1 pairs) [r]
//! close      w (log2 groups + 1) [r - 1],  but for the last
//! ```
//!
//! With refreshes v is always the level of fresh weights, and every iteration is a last one.
//!
//! where a pair relinearises a product and turns a sum, and of w n B products of ciphertexts at v and at r each. The
//! first iteration from zero has the backward part alone. A test holds the sum to what the tracer counts.

use super::cost::{self, Work};
use super::refresh::{Exchange, Refresh};
use crate::layout::{ClassDiagonal, Layout, UploadLevels};
use crate::recipe::Degree;

/// The work of a training with `iterations`, whose freshest upload is at level `top`, with so many special primes.
pub fn class_diagonal(
    layout: &ClassDiagonal,
    (iterations, offset, refresh): (usize, bool, Refresh),
    top: usize,
    special: usize,
) -> Work {
    let levels = refresh.upload_levels(layout, top, offset);
    let refreshed = refresh == Refresh::EveryIteration;
    let Counts { w, n, folds, closes } = Counts::new(layout);
    let (giants, babies, block) = (layout.giants() as u64, layout.babies() as u64, layout.block() as u64);
    let whole = |level| cost::key_switch(level, special, 0);
    let rescaled = |level| cost::key_switch(level, special, 1);
    let hoisted = |count: u64, level| match count {
        0 => Work::default(),
        _ => cost::decomposition(level, special) + count * cost::switch(level, special, 0),
    };
    let nested = |count: u64, level, rescale| match count {
        1 => cost::key_switch(level, special, rescale),
        _ => {
            let pair = |rescale| cost::two_key_switches(level, special, rescale);
            whole(level) + (count - 2) * pair(0) + pair(rescale)
        }
    };
    let cubic = |level: usize| {
        let plain = cost::plain_product(level) + cost::plain_product(level - 1);
        plain + whole(level) + rescaled(level) + rescaled(level - 1)
    };
    let relinearized = |products: u64, level| cost::products(products, level) + rescaled(level);
    let fit = |level: usize, masks: u64| {
        let rescale = Work { transforms: 2 * (level as u64 + 1), limb_products: 2 * level as u64 };
        let lifts = Work { transforms: 0, limb_products: 6 * level as u64 };
        let squares = relinearized(1, level) + 2 * relinearized(1, level - 1);
        cost::plain_product(level)
            + whole(level)
            + 2 * (masks * (cost::plain_product(level) + rescale) + lifts + squares)
    };
    let sigmoid = |level: usize| match layout.degree() {
        Degree::Three => cubic(level),
        Degree::Seven => fit(level, 2) + relinearized(4, level - 2),
        Degree::Fifteen => {
            let inner = relinearized(1, level - 2) + relinearized(2, level - 2);
            fit(level, 4) + 2 * inner + relinearized(6, level - 3)
        }
    };
    let (mut residual, mut weights) = (levels.labels, 0);
    let mut work = layout.expansions() as u64 * (whole(levels.data) + cost::plain_product(levels.data));
    for t in 1..=iterations {
        if t > 1 {
            work += w * hoisted(babies - 1, weights) + w * n * cost::products(block, weights);
            work += w * n * (nested(giants, weights, 1) + folds * whole(weights - 1));
            work += w * n * sigmoid(weights - 1);
            residual = weights - 1 - layout.degree().levels();
        } else if offset {
            work += n * sigmoid(top);
        }
        let last = refreshed || t == iterations;
        if t > 1 || offset {
            work += w * n * folds * whole(residual);
        }
        work += w * n * (hoisted(giants - 1, residual) + cost::products(block, residual));
        let after = if last { residual } else { residual - 1 };
        work += w * nested(babies, residual, residual - after);
        if refreshed {
            weights = top;
        } else if !last {
            work += w * closes * whole(after);
            weights = after;
        }
    }
    work
}

/// Bytes of the upload, where the lowest prime has `base` bits and the others `bits`: of each ciphertext one polynomial
/// travels, bit-packed, and the other as its seed.
pub fn upload_bytes(layout: &ClassDiagonal, log_n: u32, levels: UploadLevels, [base, bits]: [u32; 2]) -> usize {
    let packed = |level: usize| ((base as usize + level * bits as usize) << log_n) / 8;
    let bytes = layout.uploads(levels).map(|(count, level)| count.saturating_mul(packed(level)));
    bytes.into_iter().fold(0, usize::saturating_add)
}

/// The work of entering so many ciphertexts of data and of labels.
pub fn entries([data, labels]: [usize; 2], levels: UploadLevels, special: usize) -> Work {
    let each = |count: usize, level| count as u64 * cost::key_switch(level, special, 0);
    each(data, levels.data) + each(labels, levels.labels)
}

/// What goes to and fro in a refreshed training; primes as in [`upload_bytes`].
pub fn exchange(layout: &ClassDiagonal, log_n: u32, iterations: usize, top: usize, [base, bits]: [u32; 2]) -> Exchange {
    let packed = |level: usize| ((base as usize + level * bits as usize) << log_n) / 8;
    let weights = layout.weight_ciphertexts();
    let (request_bytes, answer_bytes) = (2 * weights * packed(top.min(1)), weights * packed(top));
    Exchange { count: iterations - 1, request_bytes, answer_bytes }
}

/// The multiplicities of the model.
struct Counts {
    /// Weight ciphertexts.
    w: u64,
    /// Blocks of a batch.
    n: u64,
    /// log2 of F/B.
    folds: u64,
    /// Key switches that close a gradient.
    closes: u64,
}

impl Counts {
    fn new(layout: &ClassDiagonal) -> Self {
        let log = |x: usize| u64::from(x.ilog2());
        Self {
            w: layout.weight_ciphertexts() as u64,
            n: layout.batch_blocks() as u64,
            folds: log(layout.width() / layout.block()),
            closes: log(layout.groups()) + 1,
        }
    }
}
