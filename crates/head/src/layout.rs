//! Layouts: how rows, features and classes lie in ciphertexts, and the gradient computed there.
//!
//! A [`Layout`] has an owner's side (which plaintexts to upload, and how to read the trained weights) and a server's
//! side, a circuit against [`Arithmetic`] that neither sees nor needs a secret. Nesterov's combination of iterates is
//! the same for all layouts and lives in [`crate::train`].
//!
//! Notation of the owner's preconditioned problem ([`crate::precondition`]): x^ is n x d with the ones column first, u
//! is classes x d, z = x^ u^T + z_0, and one step adds
//!
//! ```text
//! G = R^T x^,    R = rate ((Y - 1/2) - (c1 z + c3 z^3 + ...))
//! ```

mod any;
pub mod class_diagonal;
pub mod slot_model;
#[cfg(test)]
mod testing;
pub mod upload;
pub mod volley_revolver;

use ciphertune_ckks::{Arithmetic, Complex64, Result};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::recipe::Sigmoid;

pub use any::{AnyData, AnyLayout};
pub use class_diagonal::{ClassDiagonal, TopAxis};
pub use upload::Upload;
pub use volley_revolver::VolleyRevolver;

/// The layouts by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayoutKind {
    /// Generalised diagonals of the data, both cores of the work as sums of rotations: the fast one.
    ClassDiagonal,
    /// The paper's encoding: rows of the data, one class a rotation.
    VolleyRevolver,
}

impl std::fmt::Display for LayoutKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ClassDiagonal => "class-diagonal",
            Self::VolleyRevolver => "volley-revolver",
        })
    }
}

/// What an uploaded ciphertext holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Preconditioned features.
    Data,
    /// first_rate (Y - 1/2), zero for padding.
    Labels,
    /// The row offset z_0.
    Offset,
    /// Weights that an owner encrypts afresh: not of the job, but of a refresh.
    Weights,
}

/// How an upload's plaintext is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// One vector of slots.
    Slots,
    /// Several periodic vectors in a sub-ring, taken apart by the server.
    Subring,
}

/// One ciphertext of the upload, as planner, owner and server all see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Input {
    /// What it holds.
    pub role: Role,
    /// Level that it is encrypted at.
    pub level: usize,
    /// Scale that it is encoded at.
    pub scale: f64,
    /// Encoding.
    pub packing: Packing,
    /// Root mean square that is expected of its values, for the noise prediction.
    pub rms: f64,
    /// The most owners whose ciphertexts are entered and added up for it; 0 where it comes under the training's own key.
    pub senders: usize,
}

/// The levels that the parts of an upload are encrypted at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadLevels {
    /// Of the data.
    pub data: usize,
    /// Of the labels: that of the residuals of the first iteration.
    pub labels: usize,
    /// Of the row offset; `None` where a training starts from zero, or from weights that are encrypted as such.
    pub offset: Option<usize>,
}

/// A plaintext of the upload.
#[derive(Clone, Debug, PartialEq)]
pub enum Plain {
    /// Slot values; missing ones are zero.
    Slots(Vec<Complex64>),
    /// For [`ciphertune_ckks::Encoder::encode_subring`].
    Subring(Vec<Vec<Complex64>>),
}

/// What the owner packs: the preconditioned problem with its labels.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// x^, n x d with the ones column first.
    pub x_hat: &'a DMatrix<f64>,
    /// Class index of every row.
    pub labels: &'a [usize],
    /// The row at every place, if not every row is at its own.
    pub order: Option<&'a [usize]>,
    /// The place of the first row: others have those before it.
    pub start: usize,
    /// z_0, if the training starts from weights other than zero.
    pub offset: Option<&'a [f64]>,
    /// The rate of the first step, folded into the labels.
    pub first_rate: f64,
}

impl Source<'_> {
    /// The row at a place, if there is one.
    fn row(&self, place: usize) -> Option<usize> {
        let place = place.checked_sub(self.start)?;
        match self.order {
            Some(order) => order.get(place).copied(),
            None => Some(place),
        }
    }

    /// x^ of the row at a place and a column; 0 outside of the table.
    pub fn feature(&self, place: usize, column: usize) -> f64 {
        self.row(place).and_then(|row| self.x_hat.get((row, column))).copied().unwrap_or(0.0)
    }

    /// first_rate (Y - 1/2) of the row at a place and a class; 0 outside of the table (a class slot that is not used has
    /// the label 1/2).
    pub fn label(&self, place: usize, class: usize, classes: usize) -> f64 {
        match self.row(place).and_then(|row| self.labels.get(row)) {
            Some(&label) if class < classes => self.first_rate * if label == class { 0.5 } else { -0.5 },
            _ => 0.0,
        }
    }

    /// z_0 of the row at a place; 0 outside of the table.
    pub fn offset(&self, place: usize) -> f64 {
        self.row(place).and_then(|row| self.offset?.get(row)).copied().unwrap_or(0.0)
    }
}

/// The public numbers of one gradient step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientStep {
    /// The batch whose rows it is taken of, of those that a layout has.
    pub batch: usize,
    /// The polynomial in place of the sigmoid.
    pub sigmoid: Sigmoid,
    /// This step's rate.
    pub rate: f64,
    /// The rate that is folded into the uploaded labels.
    pub first_rate: f64,
    /// How many times as long as one of rate 4/n the longest step is, at least 1; only for predictions of noise.
    pub stride: f64,
    /// A power of two that residual and gradient may be raised by in scale, for precision: above one where more levels
    /// follow and so leave room above the message.
    pub raise: f64,
    /// Whether this is the last gradient: it goes back to the owner as it is and need not be rescaled.
    pub last: bool,
}

/// By how much the scale of fresh weights is above that of weights that have to fit below the lowest prime. They never get
/// there, and logits are the more precise for it: by one bit of the head. Beyond 2^5 what is lost in the masks of the
/// cubic, whose scale is the lower, exceeds that.
const FRESHNESS: f64 = 16.0;

/// The scales of a training, all powers of two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scales {
    /// What weights and gradients come out at, with room for them below the lowest prime.
    pub weights: f64,
    /// The size of the primes that rescaling divides by; at least that of the weights.
    pub prime: f64,
}

/// The public shape of a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Rows n.
    pub rows: usize,
    /// Features, without the column of ones.
    pub features: usize,
    /// Classes.
    pub classes: usize,
}

/// Root mean square that is expected of the weights after `t` iterations. Preconditioning keeps the largest eigenvalue
/// of x^T x / n at or below one, so one step of rate 4/n with residuals of at most 1/2 moves the weights of a class by
/// at most 2 in norm.
pub(crate) fn weight_rms(shape: Shape, t: usize) -> f64 {
    2.0 * (t as f64 / shape.columns() as f64).sqrt()
}

impl Shape {
    /// Columns of x^: the features and the column of ones.
    pub fn columns(&self) -> usize {
        self.features + 1
    }
}

/// An arrangement of a training in ciphertexts.
pub trait Layout: Send + Sync {
    /// What the server holds once the upload is prepared: the upload's source, and what was computed from it once.
    type Data<C: Clone + Send + Sync, U: Upload<C>>: Send + Sync;

    /// Which layout this is.
    fn kind(&self) -> LayoutKind;
    /// Levels that the training consumes, with or without a row offset.
    fn levels(&self, iterations: usize, offset: bool) -> usize;
    /// The levels of the upload of a training that starts at level `top`: those of data and labels, which nothing needs
    /// before the residuals of the first iteration, are theirs; with a row offset its cubic comes first.
    fn upload_levels(&self, top: usize, offset: bool) -> UploadLevels;
    /// Levels that one gradient at encrypted weights consumes.
    fn gradient_levels(&self) -> usize {
        self.levels(2, false) - self.levels(1, false)
    }
    /// The levels of the upload of a training whose every gradient is taken at fresh weights of level `top`. Only the
    /// first residuals are labels alone, and need no more levels than their backward pass.
    fn refreshed_upload_levels(&self, top: usize) -> UploadLevels {
        UploadLevels { data: top, labels: top - self.gradient_levels() + self.levels(1, false), offset: None }
    }
    /// The scale that weights are encrypted afresh at, for [`Self::refreshed_upload_levels`].
    fn fresh_scale(&self, scales: Scales) -> f64 {
        FRESHNESS * scales.weights
    }
    /// The public shape of the training.
    fn shape(&self) -> Shape;
    /// The upload, in order.
    fn inputs(&self, levels: UploadLevels, scales: Scales) -> Vec<Input>;
    /// Number of ciphertexts of the upload, without making the list; `None` if it overflows.
    fn upload_count(&self, offset: bool) -> Option<usize>;
    /// Number of ciphertexts that hold the weights.
    fn weight_ciphertexts(&self) -> usize;
    /// How many slots of an open gradient are summed, after decryption, for one weight.
    fn open_terms(&self) -> usize {
        1
    }

    /// Owner: the plaintext of upload `index` in the order of [`Self::inputs`].
    fn pack(&self, source: &Source, index: usize) -> Plain;
    /// Owner: the slots of weights, classes x d, one vector a weight ciphertext: what [`Self::gradient`] is taken at.
    fn pack_weights(&self, weights: &DMatrix<f64>) -> Vec<Vec<Complex64>>;
    /// Owner: classes x d from the decrypted slots of an *open* gradient, one vector a weight ciphertext.
    fn unpack_open(&self, slots: &[Vec<Complex64>]) -> DMatrix<f64>;
    /// Owner: classes x d from the decrypted slots of weights.
    fn unpack_weights(&self, slots: &[Vec<Complex64>]) -> DMatrix<f64>;

    /// Server: makes the upload ready for any number of gradients.
    fn prepare<M: Arithmetic, U: Upload<M::Ciphertext>>(
        &self,
        m: &M,
        upload: U,
    ) -> Result<Self::Data<M::Ciphertext, U>>;
    /// Server: the gradient at the weights (zero if `None`), *open*: what remains to be done to it can be done after
    /// decryption. The last gradient of a schedule may come unrescaled, at the level above its weights'.
    fn gradient<M: Arithmetic, U: Upload<M::Ciphertext>>(
        &self,
        m: &M,
        data: &Self::Data<M::Ciphertext, U>,
        weights: Option<&[M::Ciphertext]>,
        step: &GradientStep,
    ) -> Result<Vec<M::Ciphertext>>;
    /// Server: makes an open gradient fit to be added to weights.
    fn close<M: Arithmetic>(&self, m: &M, gradient: &M::Ciphertext) -> Result<M::Ciphertext>;
}
