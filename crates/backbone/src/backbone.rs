//! What a backbone is: a frozen network from a preprocessed picture to a feature vector.

use crate::error::{BackboneError, Result};

/// A matrix of 32-bit floats, row by row: a row is an image, a column a feature.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Matrix {
    /// A matrix from its values; `None` unless there are `rows * columns` of them.
    pub fn new(rows: usize, columns: usize, values: Vec<f32>) -> Option<Self> {
        (rows.checked_mul(columns)? == values.len()).then_some(Self { rows, columns, values })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All values, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// One row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// The values, row by row.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }
}

/// The size of a network's input in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputSize {
    /// The width.
    pub width: usize,
    /// The height.
    pub height: usize,
}

impl InputSize {
    /// The numbers of one preprocessed picture: three planes.
    pub fn values(self) -> usize {
        3 * self.width * self.height
    }
}

/// A frozen network. `extract` runs on the calling thread and may be called by many at once.
pub trait Backbone: Send + Sync {
    /// The number of features of an image.
    fn features(&self) -> usize;

    /// The size that pictures are brought to.
    fn input_size(&self) -> InputSize;

    /// SHA-256 over all that decides the features: weights, structure, output. Caches rely on it.
    fn digest(&self) -> [u8; 32];

    /// The features of a batch of preprocessed pictures, one after the other in `batch`
    /// ([`crate::Preprocess::apply`]): n x `features()`.
    ///
    /// # Errors
    /// [`BackboneError::BatchShape`] when `batch` is no whole number of pictures, [`BackboneError::Inference`] when the
    /// network fails or a feature is not finite.
    fn extract(&self, batch: &[f32]) -> Result<Matrix>;
}

/// The number of pictures in a batch.
pub(crate) fn pictures(size: InputSize, batch: &[f32]) -> Result<usize> {
    let one = size.values();
    if batch.is_empty() || !batch.len().is_multiple_of(one) {
        let expected = one * batch.len().div_ceil(one).max(1);
        return Err(BackboneError::BatchShape { expected, found: batch.len() });
    }
    Ok(batch.len() / one)
}
