//! The owner's part: rows, labels and offsets as slot vectors, and weights back from their slots.

use ciphertune_ckks::Complex64;
use nalgebra::DMatrix;

use super::{Source, VolleyRevolver};

impl VolleyRevolver {
    /// The slots of upload `index`: data by block, then labels by group and block, then offsets likewise.
    pub(super) fn pack_input(&self, source: &Source, index: usize) -> Vec<Complex64> {
        let (blocks, residuals) = (self.blocks(), self.groups() * self.blocks());
        let classes = self.shape.classes;
        match index.checked_sub(blocks) {
            None => self.pack_data(source, index),
            Some(part) if part < residuals => self.pack_residuals(part, |row, class| source.label(row, class, classes)),
            // An unused class has no offset either, so that its weights stay zero.
            Some(part) => self.pack_residuals(part - residuals, |row, class| match class < classes {
                true => source.offset(row),
                false => 0.0,
            }),
        }
    }

    /// The slots of weight ciphertexts, one a group: the class rows, repeated over all windows of C rows.
    pub(super) fn write_weights(&self, weights: &DMatrix<f64>) -> Vec<Vec<Complex64>> {
        let group = |group: usize| {
            self.fill(|i, m| {
                let (class, k) = (group * self.class_rows + i % self.class_rows, m.checked_sub(self.indent())?);
                weights.get((class, k)).copied()
            })
        };
        (0..self.groups()).map(group).collect()
    }

    /// classes x d from the slots of weight ciphertexts, one a group, `windows` windows of C rows added up.
    pub(super) fn read_weights(&self, slots: &[Vec<Complex64>], windows: usize) -> DMatrix<f64> {
        DMatrix::from_fn(self.shape.classes, self.shape.columns(), |class, k| {
            let (group, row) = (class / self.class_rows, class % self.class_rows);
            let slot = |window| (window * self.class_rows + row) * self.columns + self.indent() + k;
            (0..windows).map(|window| slots[group][slot(window)].re).sum()
        })
    }

    fn pack_data(&self, source: &Source, block: usize) -> Vec<Complex64> {
        let first = block * self.block_rows();
        self.fill(|i, m| m.checked_sub(self.indent()).map(|k| source.feature(first + i, k)))
    }

    /// A number for each row and class of one group and block, in the first C columns.
    fn pack_residuals(&self, part: usize, value: impl Fn(usize, usize) -> f64) -> Vec<Complex64> {
        let first_row = part % self.blocks() * self.block_rows();
        let first_class = part / self.blocks() * self.class_rows;
        self.fill(|i, m| (m < self.class_rows).then(|| value(first_row + i, first_class + m)))
    }

    /// A slot vector from its value at row and column, zero where there is none.
    pub(super) fn fill(&self, value: impl Fn(usize, usize) -> Option<f64>) -> Vec<Complex64> {
        (0..self.slots).map(|s| value(s / self.columns, s % self.columns).unwrap_or(0.0).into()).collect()
    }
}
