//! The plaintext twin: the same recipe in double precision, in the clear.
//!
//! It exists to be compared with: tests, `run` and `demo` use it, and nothing else. Planning or encrypting from what it
//! computes would be training in the clear. It follows the formulas of [`crate::recipe`] as they stand there, on scaled
//! features, and does not go through [`crate::precondition`].

use crate::linalg::multiply;
use crate::precondition::row_sum_bound;
use crate::recipe::{Bound, Gradient, Recipe};
use nalgebra::DMatrix;

/// The state after one iteration.
#[derive(Clone, Debug, PartialEq)]
pub struct Iterate {
    /// W_t for the scaled features, classes x (features + 1), the bias first.
    pub weights: DMatrix<f64>,
    /// The largest |z| that the cubic was given in this iteration; beyond [`crate::recipe::Cubic::range`] it is no
    /// sigmoid any more.
    pub largest_logit: f64,
}

/// Trains on scaled features with their leading column of ones, rows x (features + 1), and a class index a row.
///
/// Returns W after every iteration. G is taken at V, and each W is a model to report.
///
/// # Panics
///
/// If `labels` has another length than `x` has rows, or names a class that is not below `classes`.
pub fn train(recipe: &Recipe, x: &DMatrix<f64>, labels: &[usize], classes: usize) -> Vec<Iterate> {
    let (n, d) = x.shape();
    assert_eq!(labels.len(), n, "one label a row");
    assert!(labels.iter().all(|&label| label < classes), "labels are class indices");
    let cubic = recipe.cubic();
    let divisors = match (recipe.gradient(), recipe.bound()) {
        (Gradient::Plain, _) => vec![1.0; d],
        (Gradient::Quadratic, Bound::Quarter) => vec![n as f64 / 4.0; d],
        (Gradient::Quadratic, Bound::RowSums) => row_sum_bound(x),
    };
    let x_transposed = x.transpose();
    // Weights are kept as d x classes, so that both products are plain ones.
    let mut w = DMatrix::from_element(d, classes, recipe.initial_weight());
    let mut v = w.clone();
    let mut iterates = Vec::with_capacity(recipe.iterations());
    for step in recipe.steps(n) {
        let mut residual = multiply(x, &v);
        let largest_logit = residual.amax();
        residual.apply(|z| *z = -cubic.evaluate(*z));
        for (row, &label) in labels.iter().enumerate() {
            residual[(row, label)] += 1.0;
        }
        let mut next = multiply(&x_transposed, &residual);
        for (mut row, divisor) in next.row_iter_mut().zip(&divisors) {
            row *= step.rate / divisor;
        }
        next += &w * step.shrink;
        w = &next * (1.0 - step.eta) + v * step.eta;
        v = next;
        iterates.push(Iterate { weights: w.transpose(), largest_logit });
    }
    iterates
}

#[cfg(test)]
mod tests;
