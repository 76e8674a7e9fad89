//! How rows, head and logits lie in ciphertexts.
//!
//! The forward pass of layout `class-diagonal` with one class a ciphertext of weights, so that these repeat along the
//! top axis and nothing has to be kept from wrapping around. With d columns, the ones first:
//!
//! ```text
//! slot      s = a F + m         a in [0, A) row groups, m in [0, F) feature axis, F >= d a power of two
//! weights   v[a, m] = u[m]                                 one ciphertext a class, the same for any B
//! block     B rows in the real and B in the imaginary part of each group
//! diagonal  d_t[a, m] = x[m mod B, (m + t) mod F]          t in [0, B); every (row, column) pair is in exactly one
//! logits    z[a, m] = sum_j sum_t d_t[a, m + j B] v[a, m + j B + t]        for m < B, j in [0, F / B)
//! ```
//!
//! For a head in the clear, v is turned by t for nothing. For an encrypted head t = g b + i goes in giant steps: what is
//! sent is d_t turned by -g b, so that products with the b rotations of v by i are summed for each g, and the sums are
//! nested, a rotation by b each (Horner).

use ciphertune_ckks::{Complex64, KeySet, galois};
use nalgebra::DMatrix;

use super::HeadForm;
use crate::plan::cost::{self, Work};

/// Rotations of an encrypted head's ciphertexts that are held at once, at most: for 10,000 rows of 768 features more
/// cost as much as they save, and each takes a key.
const MOST_BABIES: usize = 64;

/// The level of everything: one product that is not rescaled takes two limbs.
pub(super) const LEVEL: usize = 1;

/// The arrangement of one shape, for blocks of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    form: HeadForm,
    /// N/2
    slots: usize,
    /// d
    columns: usize,
    /// F
    width: usize,
    /// B
    block: usize,
}

impl Geometry {
    /// The arrangement of `columns` columns in blocks of `block` rows a part; `None` unless the columns fit into the
    /// slots and the block is a power of two that fits into the feature axis.
    pub(super) fn new(form: HeadForm, slots: usize, columns: usize, block: usize) -> Option<Self> {
        let width = columns.checked_next_power_of_two()?;
        let fits = width <= slots && block.is_power_of_two() && block <= width;
        fits.then_some(Self { form, slots, columns, width, block })
    }

    /// All sizes of blocks.
    pub(super) fn all(form: HeadForm, slots: usize, columns: usize) -> impl Iterator<Item = Self> {
        (0..usize::BITS).map_while(move |log| Self::new(form, slots, columns, 1 << log))
    }

    /// How the server has the head.
    pub(super) fn form(&self) -> HeadForm {
        self.form
    }

    /// B, rows in each part of a block and row group, and ciphertexts of a block.
    pub fn block(&self) -> usize {
        self.block
    }

    /// F, the length of the feature axis.
    pub fn width(&self) -> usize {
        self.width
    }

    /// b, rotations of the weights; B for a head in the clear.
    pub fn babies(&self) -> usize {
        match self.form {
            HeadForm::Clear => self.block,
            HeadForm::Encrypted => self.block.min(MOST_BABIES),
        }
    }

    /// Giant steps, B / b.
    pub fn giants(&self) -> usize {
        self.block / self.babies()
    }

    /// A, row groups.
    fn groups(&self) -> usize {
        self.slots / self.width
    }

    /// Blocks of so many rows.
    pub fn blocks(&self, rows: usize) -> usize {
        rows.div_ceil(2 * self.block * self.groups())
    }

    /// The row at a position of a block's part (0 real, 1 imaginary) and group.
    fn row(&self, block: usize, part: usize, group: usize, position: usize) -> usize {
        ((block * 2 + part) * self.groups() + group) * self.block + position
    }

    /// Client: diagonal t of a block as it is sent. `x` is rows x columns, the ones first.
    pub(super) fn diagonal(&self, x: &DMatrix<f64>, block: usize, t: usize) -> Vec<Complex64> {
        let shift = t / self.babies() * self.babies();
        let value = |s: usize| {
            let s = (s + self.slots - shift) % self.slots;
            let (a, m) = (s / self.width, s % self.width);
            let column = (m + t) % self.width;
            let part = |part| {
                let row = self.row(block, part, a, m % self.block);
                if row < x.nrows() && column < self.columns { x[(row, column)] } else { 0.0 }
            };
            Complex64::new(part(0), part(1))
        };
        (0..self.slots).map(value).collect()
    }

    /// v of a class from its row of u, the bias first.
    pub(super) fn weights(&self, u: impl Fn(usize) -> f64) -> Vec<Complex64> {
        let value = |s: usize| Some(s % self.width).filter(|m| *m < self.columns).map_or(0.0, &u);
        (0..self.slots).map(|s| Complex64::from(value(s))).collect()
    }

    /// Client: rows x classes from the decrypted slots of every `[block][class]`, in one list.
    pub(super) fn logits(&self, slots: &[Vec<Complex64>], rows: usize, classes: usize) -> DMatrix<f64> {
        let in_block = 2 * self.block * self.groups();
        DMatrix::from_fn(rows, classes, |row, class| {
            let (block, within) = (row / in_block, row % in_block);
            let (part, within) = (within / (in_block / 2), within % (in_block / 2));
            let value = slots[block * classes + class][within / self.block * self.width + within % self.block];
            if part == 0 { value.re } else { value.im }
        })
    }

    /// Evaluation keys for blocks of any size: rotations by the powers of two that fold, and for an encrypted head those
    /// of its weights and the relinearisation.
    pub(super) fn keys(form: HeadForm, log_n: u32, width: usize) -> KeySet {
        let mut keys = KeySet::default();
        let folds = (0..width.ilog2()).map(|log| 1usize << log);
        let babies = 1..width.min(MOST_BABIES);
        let rotations: Vec<usize> = match form {
            HeadForm::Clear => folds.collect(),
            HeadForm::Encrypted => folds.chain(babies).collect(),
        };
        for k in rotations {
            keys.need_galois(galois::rotation_element(log_n, k as isize), LEVEL);
        }
        if form == HeadForm::Encrypted {
            keys.need_relinearization(LEVEL);
        }
        keys
    }

    /// Key switches and products of ciphertexts (with ciphertexts or plaintexts) for so many rows and classes.
    pub fn operations(&self, rows: usize, classes: usize) -> (u64, u64) {
        let [blocks, classes, folds] = [self.blocks(rows), classes, (self.width / self.block).ilog2() as usize];
        let nested = match self.form {
            HeadForm::Clear => 0,
            HeadForm::Encrypted => 2 * self.giants() - 1,
        };
        let turned = if self.form == HeadForm::Encrypted { classes * (self.babies() - 1) } else { 0 };
        ((turned + blocks * classes * (nested + folds)) as u64, (blocks * classes * self.block) as u64)
    }

    /// The work for so many rows and classes, with so many special primes.
    pub(super) fn work(&self, rows: usize, classes: usize, special: usize) -> Work {
        let (_, products) = self.operations(rows, classes);
        let (blocks, classes) = (self.blocks(rows) as u64, classes as u64);
        let folds = u64::from((self.width / self.block).ilog2());
        let folded = blocks * classes * folds * cost::key_switch(LEVEL, special, 0);
        let all = cost::products(products, LEVEL) + folded;
        match self.form {
            HeadForm::Clear => all,
            HeadForm::Encrypted => {
                let (babies, giants) = (self.babies() as u64, self.giants() as u64);
                let turned = cost::decomposition(LEVEL, special) + (babies - 1) * cost::switch(LEVEL, special, 0);
                let nested =
                    cost::key_switch(LEVEL, special, 0) + (giants - 1) * cost::two_key_switches(LEVEL, special, 0);
                all + classes * turned + (blocks * classes) * nested
            }
        }
    }
}
