//! The class-diagonal layout: the data as generalised diagonals, so that X V^T and R^T X are both sums of (rotated V or
//! R) times diagonal, by baby-step/giant-step over the same ciphertexts.
//!
//! ```text
//! slot      s = a F + m         a in [0, A) top axis, m in [0, F) feature axis; F >= d + B - 1, so nothing wraps
//! weights   v[a, m] = u[class of a, m - B + 1]
//! block     B rows in the real and B in the imaginary part (of each row group)
//! diagonal  d_t[a, m] = x^[m mod B, m + t - B + 1], t in [0, B); every (row, feature) pair is in exactly one
//! stored    D[g][b] = rot(d_t, -g babies),  t = g babies + b
//! ```
//!
//! The top axis holds groups of rows, and in every group the same classes: a = g C + c, g in [0, A / C), c in [0, C).
//! The extremes are C = A, **classes** (few rows: the diagonals repeat over the top axis, so A of them travel in one
//! ciphertext of the sub-ring of X^A and are taken apart by coefficient expansion), and C = 1, **rows** (many rows: one
//! weight ciphertext a class). Between them the uploaded ciphertexts are the diagonals, each row C times in them: fewer
//! key switches, for more to upload.
//!
//! Half of the rows ride in the imaginary part: with z = a + i c, R_A - i R_C comes from a^3 - i c^3 = z (3 conj(z)^2 +
//! z^2) / 4, and Re((R_A - i R_C)(X_A + i X_C)) is the gradient over both halves. Four levels an iteration: forward 1,
//! cubic 2, backward 1; one and two more where the sigmoid's polynomial has degree 7 or 15 (`sigmoid.rs`). The only mask
//! rides in the polynomial's coefficients. The labels are uploaded already spread over
//! the feature axis. Sums over giant steps are nested (Horner), so they need one key and not one a step.

mod data;
mod owner;
mod server;
mod sigmoid;

use ciphertune_ckks::{Arithmetic, Complex64, Result};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::{
    GradientStep, Input, Layout, LayoutKind, Packing, Plain, Role, Scales, Shape, Source, Upload, UploadLevels,
};
use crate::recipe::{Batches, Degree};
pub use data::Prepared;

/// What the top axis of the slots holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TopAxis {
    /// Classes.
    Classes,
    /// Groups of rows.
    Rows,
    /// Groups of rows, several classes in each.
    Mixed,
}

/// The class-diagonal layout of one shape in one ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassDiagonal {
    shape: Shape,
    /// N/2
    slots: usize,
    /// F
    width: usize,
    /// B
    block: usize,
    /// Giant steps; babies = B / giants
    giants: usize,
    /// C
    together: usize,
    /// Of the polynomial in place of the sigmoid.
    degree: Degree,
    /// How the rows are cut into batches, each of as many blocks.
    batches: Batches,
}

impl ClassDiagonal {
    /// The layout with feature axis `width` (F), `block` rows a part (B), `giants` giant steps and `together` classes
    /// in a weight ciphertext (C), all powers of two; `None` unless d + B - 1 <= F <= slots, giants divides B and C
    /// divides slots / F.
    pub fn new(shape: Shape, slots: usize, width: usize, block: usize, giants: usize, together: usize) -> Option<Self> {
        let powers = [slots, width, block, giants, together].iter().all(|x| x.is_power_of_two());
        let fits = shape.columns().checked_add(block)? - 1 <= width && width <= slots && giants <= block;
        let fits = fits && together <= slots / width;
        let (degree, batches) = (Degree::Three, Batches::whole(shape.rows));
        let layout = Self { shape, slots, width, block, giants, together, degree, batches };
        (powers && fits && shape.rows > 0 && shape.classes > 0).then_some(layout)
    }

    /// The same layout for trainings whose sigmoid is a polynomial of another degree: 3 unless told otherwise.
    pub fn with_degree(self, degree: Degree) -> Self {
        Self { degree, ..self }
    }

    /// The same layout with the rows in batches, as many as `batches` has: each begins with a block of its own. They may be
    /// batches of more places than there are rows, if places are left free.
    ///
    /// # Panics
    ///
    /// If they are batches of fewer places than rows.
    pub fn with_batches(self, batches: Batches) -> Self {
        assert!(batches.rows() >= self.shape.rows, "batches of all rows");
        Self { batches, ..self }
    }

    /// The degree of the polynomial in place of the sigmoid.
    pub fn degree(&self) -> Degree {
        self.degree
    }

    /// The smallest feature axis for a block of `block` rows.
    pub fn least_width(shape: Shape, block: usize) -> usize {
        (shape.columns() + block - 1).next_power_of_two()
    }

    /// What the top axis holds.
    pub fn top(&self) -> TopAxis {
        match (self.together, self.groups()) {
            (1, _) => TopAxis::Rows,
            (_, 1) => TopAxis::Classes,
            _ => TopAxis::Mixed,
        }
    }

    /// C, classes side by side in a weight ciphertext.
    pub fn classes_together(&self) -> usize {
        self.together
    }

    /// F, the length of the feature axis.
    pub fn width(&self) -> usize {
        self.width
    }

    /// B, rows in each part of a block (and row group).
    pub fn block(&self) -> usize {
        self.block
    }

    /// Giant steps.
    pub fn giants(&self) -> usize {
        self.giants
    }

    /// Baby steps.
    pub fn babies(&self) -> usize {
        self.block / self.giants
    }

    /// A, the length of the top axis.
    pub fn height(&self) -> usize {
        self.slots / self.width
    }

    /// The same layout with the classes of one weight ciphertext only: what happens to one of them happens to all.
    pub fn of_one_weight_ciphertext(&self) -> Self {
        Self { shape: Shape { classes: self.shape.classes.min(self.together), ..self.shape }, ..*self }
    }

    /// The same layout with the classes of some weight ciphertexts only, which lie in them as in the whole.
    pub fn of_weight_ciphertexts(&self, weights: std::ops::Range<usize>) -> Self {
        let end = (weights.end * self.together).min(self.shape.classes);
        Self { shape: Shape { classes: end - weights.start * self.together, ..self.shape }, ..*self }
    }

    /// The same layout with at most so many blocks: what happens to them happens to all.
    pub fn of_blocks(&self, most: usize) -> Self {
        self.of_rows(self.batches.rows().min(most * self.block_rows()))
    }

    /// The same layout with the rows of the largest batch only: what happens to one batch happens to all.
    pub fn of_one_batch(&self) -> Self {
        self.of_rows(self.batches.most_rows())
    }

    fn of_rows(&self, rows: usize) -> Self {
        Self { shape: Shape { rows, ..self.shape }, batches: Batches::whole(rows), ..*self }
    }

    /// How the rows are cut into batches.
    pub fn batches(&self) -> Batches {
        self.batches
    }

    /// Blocks of one batch.
    pub fn batch_blocks(&self) -> usize {
        self.batches.most_rows().div_ceil(self.block_rows())
    }

    /// Rows that a block has room for: 2 B a group.
    pub(crate) fn block_rows(&self) -> usize {
        2 * self.block * self.groups()
    }

    /// The places of a block's rows, where all are one batch.
    pub(crate) fn block_places(&self, block: usize) -> std::ops::Range<usize> {
        block * self.block_rows()..(block + 1) * self.block_rows()
    }

    /// The block that an upload belongs to.
    pub(crate) fn block_of(&self, index: usize) -> usize {
        match index.checked_sub(self.blocks() * self.uploads_per_block()) {
            None => index / self.uploads_per_block(),
            Some(index) => index % self.blocks(),
        }
    }

    /// Row groups side by side in a ciphertext, A / C.
    pub fn groups(&self) -> usize {
        self.height() / self.together
    }

    /// Blocks of all batches.
    pub fn blocks(&self) -> usize {
        self.batches.count() * self.batch_blocks()
    }

    /// Diagonals that travel in one ciphertext.
    fn diagonals_together(&self) -> usize {
        match self.top() {
            TopAxis::Classes => self.height().min(self.block),
            TopAxis::Rows | TopAxis::Mixed => 1,
        }
    }

    /// How much smaller the data's scale and larger the residual's is than their geometric mean, about sqrt(n / 4).
    ///
    /// The residual carries the rate, 4/n, so at equal scales its error, summed over n rows, would dominate the
    /// gradient's; moving bits from the data's scale to the residual's evens the two out at no cost. A power of two, at
    /// most 2^5.
    fn scale_balance(&self) -> f64 {
        let log_rate = (self.batches.mean_rows() / 4.0).log2();
        (log_rate / 2.0).floor().clamp(0.0, 5.0).exp2()
    }

    /// How many ciphertexts are uploaded at which level: data, labels, offsets.
    pub(crate) fn uploads(&self, levels: UploadLevels) -> [(usize, usize); 3] {
        let [data, labels] =
            [self.uploads_per_block(), self.weight_ciphertexts()].map(|each| self.blocks().saturating_mul(each));
        let offset = levels.offset.map_or((0, 0), |level| (self.blocks(), level));
        [(data, levels.data), (labels, levels.labels), offset]
    }

    /// Key switches that take the upload apart.
    pub fn expansions(&self) -> usize {
        self.blocks() * self.uploads_per_block() * (self.diagonals_together() - 1)
    }

    /// The largest scale of logits whose powers are precise, where a polynomial has many: divided by twice its range they
    /// are squared at twice a prime then ([`sigmoid`]).
    fn most_logit_scale(&self, scales: Scales) -> Option<f64> {
        self.degree.range().map(|range| scales.prime / range)
    }

    /// Data ciphertexts of one block.
    fn uploads_per_block(&self) -> usize {
        self.block / self.diagonals_together()
    }
}

impl Layout for ClassDiagonal {
    type Data<C: Clone + Send + Sync, U: Upload<C>> = Prepared<C, U>;

    fn kind(&self) -> LayoutKind {
        LayoutKind::ClassDiagonal
    }

    fn levels(&self, iterations: usize, offset: bool) -> usize {
        let sigmoid = self.degree.levels();
        let first = if offset { sigmoid + server::BACKWARD_LEVELS } else { server::BACKWARD_LEVELS };
        let every = server::FORWARD_LEVELS + sigmoid + server::BACKWARD_LEVELS;
        first + iterations.saturating_sub(1) * every
    }

    fn open_terms(&self) -> usize {
        self.groups()
    }

    fn upload_levels(&self, top: usize, offset: bool) -> UploadLevels {
        let level = if offset { top - self.degree.levels() } else { top };
        UploadLevels { data: level, labels: level, offset: offset.then_some(top) }
    }

    fn fresh_scale(&self, scales: Scales) -> f64 {
        let data = (scales.weights * scales.prime).sqrt() / self.scale_balance();
        match self.most_logit_scale(scales) {
            Some(most) => (most * scales.prime / data).log2().floor().exp2(),
            None => super::FRESHNESS * scales.weights,
        }
    }

    fn shape(&self) -> Shape {
        self.shape
    }

    fn inputs(&self, levels: UploadLevels, scales: Scales) -> Vec<Input> {
        // A gradient is at (data x residual) / prime, which is to be the weights' scale.
        let scale = (scales.weights * scales.prime).sqrt();
        let together = self.diagonals_together();
        let packing = if self.top() == TopAxis::Classes { Packing::Subring } else { Packing::Slots };
        let balance = self.scale_balance();
        let data = Input {
            role: Role::Data,
            level: levels.data,
            scale: scale / balance / together as f64,
            packing,
            rms: (together as f64).sqrt(),
            senders: 0,
        };
        let slots =
            Input { role: Role::Labels, level: levels.labels, packing: Packing::Slots, rms: 0.0, scale, ..data };
        let labels = Input { scale: scale * balance, ..slots };
        let mut inputs = vec![data; self.blocks() * self.uploads_per_block()];
        inputs.extend(vec![labels; self.weight_ciphertexts() * self.blocks()]);
        if let Some(level) = levels.offset {
            let scale = self.most_logit_scale(scales).map_or(scale, |most| most.log2().floor().exp2().min(scale));
            inputs.extend(vec![Input { role: Role::Offset, level, rms: 1.0, scale, ..slots }; self.blocks()]);
        }
        inputs
    }

    fn upload_count(&self, offset: bool) -> Option<usize> {
        let each = self.uploads_per_block() + self.weight_ciphertexts() + usize::from(offset);
        self.blocks().checked_mul(each)
    }

    fn weight_ciphertexts(&self) -> usize {
        self.shape.classes.div_ceil(self.together)
    }

    fn pack(&self, source: &Source, index: usize) -> Plain {
        self.pack_input(source, index)
    }

    fn pack_weights(&self, weights: &DMatrix<f64>) -> Vec<Vec<Complex64>> {
        self.write_weights(weights)
    }

    fn unpack_open(&self, slots: &[Vec<Complex64>]) -> DMatrix<f64> {
        self.read_weights(slots, self.groups())
    }

    fn unpack_weights(&self, slots: &[Vec<Complex64>]) -> DMatrix<f64> {
        self.read_weights(slots, 1)
    }

    fn prepare<M: Arithmetic, U: Upload<M::Ciphertext>>(&self, m: &M, upload: U) -> Result<Prepared<M::Ciphertext, U>> {
        self.prepare_upload(m, upload)
    }

    fn gradient<M: Arithmetic, U: Upload<M::Ciphertext>>(
        &self,
        m: &M,
        data: &Prepared<M::Ciphertext, U>,
        weights: Option<&[M::Ciphertext]>,
        step: &GradientStep,
    ) -> Result<Vec<M::Ciphertext>> {
        self.open_gradient(m, data, weights, step)
    }

    fn close<M: Arithmetic>(&self, m: &M, gradient: &M::Ciphertext) -> Result<M::Ciphertext> {
        let summed = m.fold(gradient, (self.together * self.width) as isize, self.groups())?;
        let twice = m.add(&summed, &m.conjugate(&summed)?)?;
        Ok(m.with_scale(&twice, 2.0 * m.scale(&twice)))
    }
}

#[cfg(test)]
mod tests;
