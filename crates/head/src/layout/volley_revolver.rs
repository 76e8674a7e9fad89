//! The layout `volley-revolver`: the encoding of the paper, row by row, the reference for the fast layout.
//!
//! This file holds the geometry and what follows from it alone; `owner` packs and unpacks, `server` computes.
//! J. Chiang, "Volley Revolver" (arXiv 2201.12577) and "Privacy-Preserving CNN Training with Transfer Learning"
//! (arXiv 2304.03807). What is kept, what is placed otherwise and why: `docs/notes/volley-revolver.md`.
//!
//! ```text
//! slot      s = i F + m              row i in [0, B), column m in [0, F)
//! data      x^[i, m - C + 1]         one row of the table a row, zero elsewhere; several blocks of B rows
//! weights   u[i mod C, m - C + 1]    the class rows, repeated down all rows
//! labels    y[i, m] for m < C        n x F like the data, zero elsewhere; so are the row offsets
//! ```
//!
//! C is the number of classes padded to a power of two; where that many do not fit, the classes form *groups* of C,
//! trained side by side, with a weight ciphertext each.
//!
//! The indent of C - 1 columns serves both products. Summing F columns to the right of column j < C never meets a
//! feature of the next row, so a row-wise sum is right in C columns at once. And shifting by r < C columns to the right
//! never pulls a feature's partner from the row before.

mod owner;
mod server;
#[cfg(test)]
mod tests;

use ciphertune_ckks::{Arithmetic, Complex64, Result};
use nalgebra::DMatrix;

use super::{
    GradientStep, Input, Layout, LayoutKind, Packing, Plain, Role, Scales, Shape, Source, Upload, UploadLevels,
};
pub use server::Prepared;

/// The volley-revolver layout of one shape in one ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolleyRevolver {
    shape: Shape,
    /// N/2
    slots: usize,
    /// F, a power of two
    columns: usize,
    /// C, a power of two
    class_rows: usize,
    /// Blocks of rows in the upload: all, but where [`Self::of_blocks`] leaves some out.
    blocks: usize,
}

impl VolleyRevolver {
    /// The layout in `slots` slots, with C the number of classes rounded up to a power of two, or the largest power of
    /// two that fits; `None` where a row of the table does not fit, a count is zero, or `slots` is not a power of two.
    pub fn new(shape: Shape, slots: usize) -> Option<Self> {
        let fits = shape.rows > 0 && shape.classes > 0 && shape.features < slots && slots.is_power_of_two();
        let columns = |class_rows: usize| (shape.columns() + class_rows - 1).next_power_of_two();
        let most = shape.classes.min(slots).next_power_of_two();
        fits.then(|| {
            let class_rows = std::iter::successors(Some(most), |c| (c % 2 == 0).then_some(c / 2));
            class_rows.map(|c| (c, columns(c))).find(|(c, columns)| c * columns <= slots)
        })
        .flatten()
        .map(|(class_rows, columns)| {
            let blocks = shape.rows.div_ceil(slots / columns);
            Self { shape, slots, columns, class_rows, blocks }
        })
    }

    /// The public shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// F, slots that a row takes.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// C, class rows in one weight ciphertext.
    pub fn class_rows(&self) -> usize {
        self.class_rows
    }

    /// B, rows in one ciphertext.
    pub fn block_rows(&self) -> usize {
        self.slots / self.columns
    }

    /// Ciphertexts of data: n / B, rounded up.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The same layout with the classes of one weight ciphertext only: what happens to one of them happens to all.
    pub fn of_one_weight_ciphertext(&self) -> Self {
        Self { shape: Shape { classes: self.shape.classes.min(self.class_rows), ..self.shape }, ..*self }
    }

    /// The same layout with at most so many blocks in the upload, for a look at the circuit that does not walk all of
    /// them. Sums over all blocks keep their number of terms, and so their error: those that are left stand for others.
    pub fn of_blocks(&self, most: usize) -> Self {
        Self { blocks: self.blocks.min(most), ..*self }
    }

    /// Terms of a sum over all blocks.
    fn summed_blocks(&self) -> usize {
        self.shape.rows.div_ceil(self.block_rows())
    }

    /// Weight ciphertexts: classes / C, rounded up.
    fn groups(&self) -> usize {
        self.shape.classes.div_ceil(self.class_rows)
    }

    /// The column of feature 0.
    fn indent(&self) -> usize {
        self.class_rows - 1
    }
}

impl Layout for VolleyRevolver {
    type Data<C: Clone + Send + Sync, U: Upload<C>> = Prepared<C>;

    fn kind(&self) -> LayoutKind {
        LayoutKind::VolleyRevolver
    }

    fn levels(&self, iterations: usize, offset: bool) -> usize {
        let first = if offset { server::CUBIC_LEVELS + server::BACKWARD_LEVELS } else { server::BACKWARD_LEVELS };
        let every = server::FORWARD_LEVELS + server::CUBIC_LEVELS + server::BACKWARD_LEVELS;
        first + iterations.saturating_sub(1) * every
    }

    fn upload_levels(&self, top: usize, offset: bool) -> UploadLevels {
        let level = if offset { top.saturating_sub(server::CUBIC_LEVELS) } else { top };
        UploadLevels { data: level, labels: level, offset: offset.then_some(top) }
    }

    fn shape(&self) -> Shape {
        self.shape
    }

    fn inputs(&self, levels: UploadLevels, scales: Scales) -> Vec<Input> {
        let scale = scales.weights;
        let data = Input { role: Role::Data, level: levels.data, scale, packing: Packing::Slots, rms: 1.0, senders: 0 };
        // A residual is a rate of about 4/n times a number near one: at n/4 times the scale it is as precise as all
        // else.
        let raised = scale * self.shape.rows.div_ceil(4).next_power_of_two() as f64;
        let labels = Input { role: Role::Labels, level: levels.labels, scale: raised, rms: 0.0, ..data };
        let residuals = self.groups() * self.blocks();
        let mut inputs = vec![data; self.blocks()];
        inputs.extend(vec![labels; residuals]);
        if let Some(level) = levels.offset {
            inputs.extend(vec![Input { role: Role::Offset, level, ..data }; residuals]);
        }
        inputs
    }

    fn upload_count(&self, offset: bool) -> Option<usize> {
        let residuals = self.groups().checked_mul(1 + usize::from(offset))?;
        self.blocks().checked_mul(1 + residuals)
    }

    fn weight_ciphertexts(&self) -> usize {
        self.groups()
    }

    fn open_terms(&self) -> usize {
        self.block_rows() / self.class_rows
    }

    fn pack(&self, source: &Source, index: usize) -> Plain {
        Plain::Slots(self.pack_input(source, index))
    }

    fn pack_weights(&self, weights: &DMatrix<f64>) -> Vec<Vec<Complex64>> {
        self.write_weights(weights)
    }

    fn unpack_open(&self, slots: &[Vec<Complex64>]) -> DMatrix<f64> {
        self.read_weights(slots, self.open_terms())
    }

    fn unpack_weights(&self, slots: &[Vec<Complex64>]) -> DMatrix<f64> {
        self.read_weights(slots, 1)
    }

    fn prepare<M: Arithmetic, U: Upload<M::Ciphertext>>(
        &self,
        _m: &M,
        mut upload: U,
    ) -> Result<Prepared<M::Ciphertext>> {
        let all: Vec<usize> = (0..upload.count()).collect();
        self.sort_upload(upload.take(&all, usize::MAX)?)
    }

    fn gradient<M: Arithmetic, U: Upload<M::Ciphertext>>(
        &self,
        m: &M,
        data: &Prepared<M::Ciphertext>,
        weights: Option<&[M::Ciphertext]>,
        step: &GradientStep,
    ) -> Result<Vec<M::Ciphertext>> {
        self.open_gradient(m, data, weights, step)
    }

    /// Sums the row windows that the gradient left apart; the cyclic sum repeats the class rows by itself. log2(B / C)
    /// key switches, no level.
    fn close<M: Arithmetic>(&self, m: &M, gradient: &M::Ciphertext) -> Result<M::Ciphertext> {
        let window = self.class_rows * self.columns;
        m.fold(gradient, window as isize, self.slots / window)
    }
}
