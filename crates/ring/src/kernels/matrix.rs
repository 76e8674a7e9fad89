//! Matrix products of ciphertexts, a tile of all operands at a time.
//!
//! What is multiplied comes from memory, once for all entries that it has a part in: a tile of every operand, unpacked
//! where it is packed, is laid out side by side in the cache, and a backend's `dot` makes a tile of one entry from a
//! row and a column of these.

use super::*;

/// Words of each operand in a tile: a row and some dozens of columns of some dozens of operands stay in the L2 cache.
pub(crate) const TILE: usize = 128;

/// A limb, as it lies in memory.
#[derive(Clone, Copy)]
pub enum Limb<'a> {
    /// Residues, a word each.
    Words(&'a [u64]),
    /// Bit-packed, see [`crate::packing`], and bytes after it that make a vector of the last ones.
    Packed(&'a [u8]),
}

/// Two limbs of a ciphertext, c0 and c1.
pub type Pair<'a> = [Limb<'a>; 2];

/// The three limbs d0, d1, d2 of a product of ciphertexts, to be written.
pub type Triple<'a> = [&'a mut [u64]; 3];

/// A matrix product: for every row i and column j the sum over k of (a0 + a1 s)(b0 + b1 s), with (a0, a1) =
/// `rows[i][k]` and (b0, b1) = `columns[j][k]`, to `out[i * columns.len() + j]`: as many words as there is room for
/// there, from word `first` of the operands on, a multiple of the tile's words.
///
/// # Panics
///
/// Unless all rows and columns have one length, at least one.
pub fn matrix_product(m: &Modulus, rows: &[Vec<Pair>], columns: &[Vec<Pair>], first: usize, out: &mut [Triple]) {
    matrix_product_on(backend(), m, rows, columns, first, out);
}

/// [`matrix_product`] on a backend.
pub(super) fn matrix_product_on(
    simd: Backend,
    m: &Modulus,
    rows: &[Vec<Pair>],
    columns: &[Vec<Pair>],
    first: usize,
    out: &mut [Triple],
) {
    debug_assert!(first.is_multiple_of(TILE));
    let (n, terms) = (out.first().map_or(0, |[d0, ..]| d0.len()), rows.first().map_or(0, Vec::len));
    assert!(terms > 0 && rows.iter().chain(columns).all(|pairs| pairs.len() == terms), "one length");
    let mut row_words = vec![0; 2 * terms * TILE];
    let mut column_words = vec![0; columns.len() * row_words.len()];
    for start in (0..n).step_by(TILE) {
        let len = TILE.min(n - start);
        let size = 2 * terms * len;
        for (column, words) in columns.iter().zip(column_words.chunks_mut(size)) {
            gather(simd, m, column, first + start, len, words);
        }
        for (row, out) in rows.iter().zip(out.chunks_mut(columns.len())) {
            let row_words = &mut row_words[..size];
            gather(simd, m, row, first + start, len, row_words);
            for (column, out) in column_words.chunks(size).zip(out) {
                let tile = out.each_mut().map(|d| &mut d[start..start + len]);
                dispatch!(simd, dot(m, row_words, column, tile));
            }
        }
    }
}

/// The `len` words from `start` on of every limb, one limb after the other.
fn gather(simd: Backend, m: &Modulus, pairs: &[Pair], start: usize, len: usize, to: &mut [u64]) {
    for (limb, to) in pairs.iter().flatten().zip(to.chunks_exact_mut(len)) {
        match limb {
            Limb::Words(words) => to.copy_from_slice(&words[start..start + len]),
            Limb::Packed(bytes) => dispatch!(simd, unpack(m, bytes, start, to)),
        }
    }
}
