//! The plaintext twin: the same recipe in double precision, in the clear.
//!
//! It exists to be compared with: tests, `run` and `demo` use it, and nothing else. Planning or encrypting from what it
//! computes would be training in the clear. It follows the formulas of [`crate::recipe`] as they stand there
//! ([`crate::descent`]), on scaled features, and does not go through [`crate::precondition`].

use crate::descent::{Descent, Rows};
use crate::recipe::Recipe;
use nalgebra::DMatrix;

/// The state after one iteration.
#[derive(Clone, Debug, PartialEq)]
pub struct Iterate {
    /// W_t for the scaled features, classes x (features + 1), the bias first.
    pub weights: DMatrix<f64>,
    /// The largest |z| that the polynomial was given in this iteration; beyond [`crate::recipe::Sigmoid::range`] it is no
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
    assert_eq!(labels.len(), x.nrows(), "one label a row");
    assert!(labels.iter().all(|&label| label < classes), "labels are class indices");
    let batches = recipe.batches(x.nrows());
    let Some(order) = batches.order() else {
        let rows = Rows::new(recipe, x, labels);
        return train_on(recipe, x, &[rows], classes);
    };
    let batch = |batch| {
        let rows = &order[batches.places(batch)];
        (x.select_rows(rows), rows.iter().map(|&row| labels[row]).collect::<Vec<_>>())
    };
    let parts: Vec<_> = (0..batches.count().min(recipe.iterations())).map(batch).collect();
    let rows: Vec<Rows> = parts.iter().map(|(x, labels)| Rows::new(recipe, x, labels)).collect();
    train_on(recipe, x, &rows, classes)
}

/// Trains with the batches in their turn.
fn train_on(recipe: &Recipe, x: &DMatrix<f64>, batches: &[Rows], classes: usize) -> Vec<Iterate> {
    let mut descent = Descent::of_rows(recipe, x, classes);
    let mut iterates = Vec::with_capacity(recipe.iterations());
    for rows in batches.iter().cycle().take(recipe.iterations()) {
        let (gradient, largest_logit) = rows.gradient(descent.point());
        descent.advance(gradient);
        iterates.push(Iterate { weights: descent.weights(), largest_logit });
    }
    iterates
}

#[cfg(test)]
mod tests;
