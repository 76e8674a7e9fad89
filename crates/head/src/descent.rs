//! The iterations of a recipe in the clear, in two halves: the gradient of some rows, and the step that follows the
//! gradient of all.
//!
//! A gradient is a sum over rows, so whoever has some rows only computes [`Rows::gradient`] of these; the sum over all
//! goes into [`Descent::advance`]. The formulas are those of [`crate::recipe`], on scaled features with a leading column
//! of ones. Weights are features x classes here, so that both products are plain ones.

use crate::linalg::multiply;
use crate::precondition::row_sum_bound;
use crate::recipe::{Bound, Gradient, Recipe, Sigmoid, Step};
use nalgebra::DMatrix;

/// Rows to train on.
///
/// Of recipes with minibatches these are the rows of one batch, and whoever trains takes the batches in their turn
/// ([`crate::recipe::Batches`]); all else is the same.
pub struct Rows<'a> {
    x: &'a DMatrix<f64>,
    transposed: DMatrix<f64>,
    labels: &'a [usize],
    sigmoid: Sigmoid,
}

impl<'a> Rows<'a> {
    /// Scaled features with their leading column of ones, rows x (features + 1), and a class index a row.
    ///
    /// # Panics
    ///
    /// If `labels` has another length than `x` has rows.
    pub fn new(recipe: &Recipe, x: &'a DMatrix<f64>, labels: &'a [usize]) -> Self {
        assert_eq!(labels.len(), x.nrows(), "one label a row");
        Rows { x, transposed: x.transpose(), labels, sigmoid: recipe.sigmoid() }
    }

    /// G = X^T (Y - p(X V)) of these rows, and the largest |z| that the polynomial p was given; V and G are
    /// (features + 1) x classes.
    ///
    /// # Panics
    ///
    /// If a label is no class of V.
    pub fn gradient(&self, v: &DMatrix<f64>) -> (DMatrix<f64>, f64) {
        let mut residual = multiply(self.x, v);
        let largest_logit = residual.amax();
        residual.apply(|z| *z = -self.sigmoid.evaluate(*z));
        for (row, &label) in self.labels.iter().enumerate() {
            residual[(row, label)] += 1.0;
        }
        (multiply(&self.transposed, &residual), largest_logit)
    }
}

/// W and V, iteration by iteration.
pub struct Descent {
    steps: std::vec::IntoIter<Step>,
    divisors: Vec<f64>,
    w: DMatrix<f64>,
    v: DMatrix<f64>,
}

impl Descent {
    /// The start, for n rows of `width` = features + 1 numbers. `None` if the recipe divides by what only the rows tell
    /// ([`Bound::RowSums`]): see [`Descent::of_rows`].
    pub fn new(recipe: &Recipe, rows: usize, width: usize, classes: usize) -> Option<Self> {
        let divisor = match (recipe.gradient(), recipe.bound()) {
            (Gradient::Plain, _) => 1.0,
            (Gradient::Quadratic, Bound::Quarter) => recipe.batches(rows).mean_rows() / 4.0,
            (Gradient::Quadratic, Bound::RowSums) => return None,
        };
        Some(Self::with_divisors(recipe, rows, vec![divisor; width], classes))
    }

    /// The start, for all of these rows.
    pub fn of_rows(recipe: &Recipe, x: &DMatrix<f64>, classes: usize) -> Self {
        let (rows, width) = x.shape();
        Self::new(recipe, rows, width, classes).unwrap_or_else(|| {
            let batches = recipe.batches(rows).count() as f64;
            let bound = row_sum_bound(x).into_iter().map(|bound| bound / batches).collect();
            Self::with_divisors(recipe, rows, bound, classes)
        })
    }

    fn with_divisors(recipe: &Recipe, rows: usize, divisors: Vec<f64>, classes: usize) -> Self {
        let w = DMatrix::from_element(divisors.len(), classes, recipe.initial_weight());
        Descent { steps: recipe.steps(rows).into_iter(), divisors, v: w.clone(), w }
    }

    /// V, where the next gradient is taken.
    pub fn point(&self) -> &DMatrix<f64> {
        &self.v
    }

    /// One iteration, with the gradient of all rows at V; false, and nothing done, if the recipe has no more.
    pub fn advance(&mut self, gradient: DMatrix<f64>) -> bool {
        let Some(step) = self.steps.next() else { return false };
        let mut next = gradient;
        for (mut row, divisor) in next.row_iter_mut().zip(&self.divisors) {
            row *= step.rate / divisor;
        }
        next += &self.w * step.shrink;
        self.w = &next * (1.0 - step.eta) + &self.v * step.eta;
        self.v = next;
        true
    }

    /// W as classes x (features + 1), the bias first.
    pub fn weights(&self) -> DMatrix<f64> {
        self.w.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Preset, RecipeOverrides};
    use crate::twin;

    #[test]
    fn gradients_of_parts_add_up_to_the_training_of_all_rows() {
        let x = DMatrix::from_fn(30, 4, |i, j| if j == 0 { 1.0 } else { ((i * (j + 3)) % 11) as f64 / 5.0 - 1.0 });
        let labels: Vec<usize> = (0..30).map(|i| i * 7 % 3).collect();
        let plain = RecipeOverrides { gradient: Some(Gradient::Plain), ..Default::default() };
        for recipe in [Recipe::default_for(5).unwrap(), Preset::Default.recipe(3, &plain).unwrap()] {
            let parts: Vec<(DMatrix<f64>, &[usize])> =
                [(0, 11), (11, 13), (13, 30)].map(|(a, b)| (x.rows(a, b - a).into_owned(), &labels[a..b])).into();
            let rows: Vec<Rows> = parts.iter().map(|(x, labels)| Rows::new(&recipe, x, labels)).collect();
            let mut descent = Descent::new(&recipe, 30, 4, 3).unwrap();
            for _ in 0..recipe.iterations() {
                let gradients = rows.iter().map(|rows| rows.gradient(descent.point()).0);
                let sum = gradients.reduce(|a, b| a + b).unwrap();
                assert!(descent.advance(sum));
            }
            let twin = twin::train(&recipe, &x, &labels, 3).pop().unwrap().weights;
            assert!((descent.weights() - twin).amax() < 1e-12);
            assert!(!descent.advance(DMatrix::zeros(4, 3)), "a recipe has an end");
        }
        assert!(Descent::new(&Recipe::paper(2).unwrap(), 30, 4, 3).is_none(), "row sums need the rows");
    }
}
