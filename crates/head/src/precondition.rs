//! The Quadratic Gradient as a rescaling of the features, done by the owner before encryption.
//!
//! Let s_k = sqrt(n / (4 Bbar_k)), x^_k = s_k x_k, and W = W_0 + (s_1 u_1, ..., s_d u_d) for every class. Then z = X
//! W^T is x^ u^T + z_0 with z_0 = X W_0^T, and the Quadratic Gradient step W += rate G / Bbar is
//!
//! ```text
//! u += (4 rate / n) R^T x^,    R = (Y - 1/2) - (c1 z + c3 z^3),    u = 0 at the start
//! ```
//!
//! so one scalar stands where Bbar stood, and no ciphertext holds 1/Bbar. Nesterov's combinations have weights that
//! add up to one, so they pass from W to u unchanged. With Bbar = n/4, and with the plain gradient, s = 1 and x^ = x.
//! [`Recipe::hat_rates`] gives the scalars, rate * 4/n or, for the plain gradient, rate / (n t).
//!
//! A feature that is zero in every row gets s_k = 0: its gradient is zero, its weight stays at W_0, and the noise of an
//! encrypted training must not reach it multiplied by sqrt(n / 4e-10).

use crate::error::{HeadError, Result};
use crate::recipe::{Bound, Gradient, Recipe};
use nalgebra::DMatrix;

/// The largest |x^| that is trained on: the encrypted products reserve room for it.
pub const MAX_FEATURE: f64 = 64.0;

/// The constant that the paper adds to Bbar.
const EPSILON: f64 = 1e-10;

/// Features ready for a training whose every step is u += rate R^T x^.
#[derive(Clone, Debug, PartialEq)]
pub struct Preconditioned {
    /// x^, rows x (features + 1).
    pub x_hat: DMatrix<f64>,
    /// z_0 = X W_0^T, a number a row and the same for all classes; `None` if W_0 = 0.
    pub offset: Option<Vec<f64>>,
    /// s: the weight of feature k for the scaled features is w0 + unscale_k u_k.
    pub unscale: Vec<f64>,
    /// Every element of W_0.
    pub w0: f64,
}

impl Preconditioned {
    /// Preconditions scaled features with their leading column of ones, rows x (features + 1). Uses no label.
    ///
    /// # Errors
    ///
    /// [`HeadError::FeatureTooLarge`] for |x^| above [`MAX_FEATURE`]; [`HeadError::EmptyTable`].
    pub fn new(recipe: &Recipe, x: &DMatrix<f64>) -> Result<Self> {
        if x.nrows() == 0 || x.ncols() == 0 {
            return Err(HeadError::EmptyTable(if x.nrows() == 0 { "rows" } else { "features" }));
        }
        let quarter = x.nrows() as f64 / 4.0;
        let unscale: Vec<f64> = match recipe.gradient() {
            Gradient::Plain => vec![1.0; x.ncols()],
            Gradient::Quadratic => {
                let scale = |(bound, column): (f64, _)| if is_zero(column) { 0.0 } else { (quarter / bound).sqrt() };
                match recipe.bound() {
                    Bound::Quarter => vec![1.0; x.ncols()],
                    Bound::RowSums => row_sum_bound(x).into_iter().zip(x.column_iter()).map(scale).collect(),
                }
            }
        };
        let mut x_hat = x.clone();
        for (mut column, &factor) in x_hat.column_iter_mut().zip(&unscale) {
            column *= factor;
        }
        check_size(&x_hat)?;
        let w0 = recipe.initial_weight();
        let offset = (w0 != 0.0).then(|| x.row_iter().map(|row| w0 * row.sum()).collect());
        Ok(Preconditioned { x_hat, offset, unscale, w0 })
    }

    /// W for the scaled features from u: classes x (features + 1) in and out, the bias first.
    ///
    /// # Errors
    ///
    /// [`HeadError::FeatureCount`] if u has another width.
    pub fn weights(&self, u: &DMatrix<f64>) -> Result<DMatrix<f64>> {
        weights(u, &self.unscale, self.w0)
    }
}

/// As [`Preconditioned::weights`], from its parts alone: what an owner keeps for the day the model comes back.
///
/// # Errors
///
/// [`HeadError::FeatureCount`] if u has another width.
pub fn weights(u: &DMatrix<f64>, unscale: &[f64], w0: f64) -> Result<DMatrix<f64>> {
    if u.ncols() != unscale.len() {
        return Err(HeadError::FeatureCount { found: u.ncols(), expected: unscale.len(), what: "job" });
    }
    let mut weights = u.clone();
    for (mut column, &factor) in weights.column_iter_mut().zip(unscale) {
        column.apply(|value| *value = w0 + *value * factor);
    }
    Ok(weights)
}

/// Bbar_k = 1e-10 + 1/4 sum_i |x_ik| sum_l |x_il| (arXiv 2304.03807, fixed Hessian).
pub(crate) fn row_sum_bound(x: &DMatrix<f64>) -> Vec<f64> {
    let row_sums: Vec<f64> = x.row_iter().map(|row| row.lp_norm(1)).collect();
    x.column_iter()
        .map(|column| EPSILON + 0.25 * column.iter().zip(&row_sums).map(|(x, sum)| x.abs() * sum).sum::<f64>())
        .collect()
}

fn is_zero(column: nalgebra::DVectorView<'_, f64>) -> bool {
    column.iter().all(|&x| x == 0.0)
}

fn check_size(x_hat: &DMatrix<f64>) -> Result<()> {
    for column in x_hat.column_iter() {
        // A NaN lies in no range, so it is refused as well.
        let allowed = -MAX_FEATURE..=MAX_FEATURE;
        if let Some((row, &size)) = column.iter().enumerate().find(|(_, x)| !allowed.contains(x)) {
            return Err(HeadError::FeatureTooLarge { row: row + 1, size: size.abs(), limit: MAX_FEATURE });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::with_ones;
    use crate::recipe::{Preset, RecipeOverrides};
    use crate::twin;
    use crate::{Scaler, ScalerKind};

    fn features() -> DMatrix<f64> {
        DMatrix::from_fn(24, 5, |i, j| ((i * 5 + j * 3) % 7) as f64 * 0.5 * if j == 3 { 0.0 } else { 1.0 })
    }

    /// The training in hat coordinates, exactly as this module's text has it.
    fn train_in_hat_coordinates(recipe: &Recipe, x: &DMatrix<f64>, labels: &[usize], classes: usize) -> DMatrix<f64> {
        let ready = Preconditioned::new(recipe, x).unwrap();
        let sigmoid = recipe.sigmoid();
        let mut v = DMatrix::zeros(classes, x.ncols());
        let mut w = v.clone();
        for (step, rate) in recipe.steps(x.nrows()).into_iter().zip(recipe.hat_rates(x.nrows())) {
            let mut r = &ready.x_hat * v.transpose();
            for i in 0..r.nrows() {
                for j in 0..classes {
                    let z = r[(i, j)] + ready.offset.as_ref().map_or(0.0, |offset| offset[i]);
                    let y = if labels[i] == j { 1.0 } else { 0.0 };
                    r[(i, j)] = y - sigmoid.evaluate(z);
                }
            }
            let next = &w * step.shrink + r.transpose() * &ready.x_hat * rate;
            w = &next * (1.0 - step.eta) + &v * step.eta;
            v = next;
        }
        ready.weights(&w).unwrap()
    }

    #[test]
    fn hat_coordinates_train_the_same_model_for_every_recipe() {
        let labels: Vec<usize> = (0..24).map(|i| i % 3).collect();
        let plain = RecipeOverrides { gradient: Some(Gradient::Plain), ..Default::default() };
        let recipes = [
            Recipe::paper(4).unwrap(),
            Recipe::default_for(4).unwrap(),
            Preset::Paper.recipe(4, &plain).unwrap(),
            Preset::Default.recipe(4, &plain).unwrap(),
        ];
        for recipe in recipes {
            let scaler = Scaler::fit_for(&recipe, &features()).unwrap();
            let x = scaler.apply_with_ones(&features()).unwrap();
            let hat = train_in_hat_coordinates(&recipe, &x, &labels, 3);
            let twin = twin::train(&recipe, &x, &labels, 3).pop().unwrap().weights;
            assert!((hat - twin).amax() < 1e-12, "{recipe:?}");
        }
    }

    #[test]
    fn a_feature_that_is_always_zero_keeps_its_first_weight_whatever_the_noise() {
        let recipe = Recipe::paper(2).unwrap();
        let ready = Preconditioned::new(&recipe, &with_ones(&features())).unwrap();
        assert_eq!(ready.unscale[4], 0.0);
        let weights = ready.weights(&DMatrix::from_element(3, 6, 1e-3)).unwrap();
        assert!(weights.column(4).iter().all(|&w| w == 0.0128));
    }

    #[test]
    fn whitened_features_stay_as_they_are() {
        let recipe = Recipe::default_for(2).unwrap();
        let x = Scaler::fit(ScalerKind::Whiten, None, &features()).unwrap().apply_with_ones(&features()).unwrap();
        let ready = Preconditioned::new(&recipe, &x).unwrap();
        assert_eq!(ready.x_hat, x);
        assert_eq!(ready.offset, None);
    }

    #[test]
    fn features_too_large_are_refused_with_a_remedy() {
        let recipe = Recipe::default_for(2).unwrap();
        let mut x = with_ones(&features());
        x[(6, 2)] = -65.0;
        let error = Preconditioned::new(&recipe, &x).unwrap_err().to_string();
        assert!(error.starts_with("after scaling, row 7 has a feature of size 65.0"), "{error}");
        assert!(error.contains("--scaler standardize or whiten"));
        x[(6, 2)] = f64::NAN;
        assert!(Preconditioned::new(&recipe, &x).is_err());
    }
}
