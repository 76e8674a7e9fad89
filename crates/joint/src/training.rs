//! Training by sums of gradients: an owner's gradient as integers, and the steps that all owners make of the sums.
//!
//! The formulas are [`ciphertune_head::descent`]'s. A gradient has 64 fraction bits, so the head differs from that of a
//! training on all rows by the rounding of double precision.

use crate::error::{JointError, Result};
use crate::masked::{Vector, Width};
use crate::proposal::{Proposal, Training};
use ciphertune_head::descent::{Descent, Rows};
use ciphertune_head::{DMatrix, FeatureTable, Head, Preconditioned, Scaler};
use ethnum::I256;

/// Fraction bits of a gradient.
const BITS: i32 = 64;

/// W and V, from the sums.
pub struct Course {
    descent: Descent,
}

impl Course {
    /// The start, for n rows of all owners.
    ///
    /// # Panics
    ///
    /// For a recipe that a proposal refuses.
    pub fn new(training: &Training, rows: usize, features: usize) -> Self {
        let descent = Descent::new(&training.recipe, rows, features + 1, training.classes.len());
        Course { descent: descent.expect("a proposal refuses recipes that need all rows") }
    }

    /// How many numbers a gradient has.
    pub fn len(&self) -> usize {
        self.descent.point().len()
    }

    /// Whether it has none; never.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One iteration, with the sum of all owners' gradients.
    pub fn advance(&mut self, sum: &Vector) {
        let (width, classes) = self.descent.point().shape();
        let numbers = sum.numbers().map(|number| number.as_f64() * 2f64.powi(-BITS));
        self.descent.advance(DMatrix::from_iterator(width, classes, numbers));
    }

    /// The head of the last iteration, for raw features.
    ///
    /// # Errors
    ///
    /// Those of [`Head::new`]: weights that are not finite, if training diverged.
    pub fn head(&self, proposal: &Proposal, scaler: &Scaler) -> Result<Head> {
        let training = proposal.training.as_ref().expect("there was a training");
        let weights = self.descent.weights();
        proposal.features.mark(Head::from_scaled(scaler, &weights, training.all_classes()?, &training.recipe)?)
    }
}

/// One owner's gradient at V as integers: (features + 1) x classes, column by column.
///
/// # Errors
///
/// Those of [`Preconditioned::new`] and [`Classes::indices`](ciphertune_head::Classes::indices); [`JointError::Diverged`] if it is not finite.
pub fn gradient(training: &Training, scaler: &Scaler, course: &Course, table: &FeatureTable) -> Result<Vector> {
    let labels = training.all_classes()?.indices(table.require_labels()?)?;
    let x = scaler.apply_with_ones(table.features())?;
    // Refuses rows too far from all others; s = 1 for the recipes that a proposal takes.
    Preconditioned::new(&training.recipe, &x)?;
    let (gradient, _) = Rows::new(&training.recipe, &x, &labels).gradient(course.descent.point());
    let mut vector = Vector::new(Width::Bits128);
    for &number in gradient.iter() {
        let scaled = number * 2f64.powi(BITS);
        if !(0.0..2f64.powi(126)).contains(&scaled.abs()) {
            return Err(JointError::Diverged);
        }
        vector.push(I256::from(scaled.round() as i128));
    }
    Ok(vector)
}
