//! Fitting a scaler.

use super::moments::Moments;
use super::{Map, Scaler, ScalerKind};
use crate::error::{HeadError, Result};
use crate::linalg::{inverse_of_lower, multiply};
use crate::recipe::Recipe;
use nalgebra::{Cholesky, DMatrix, DVector};
use rayon::prelude::*;

impl Scaler {
    /// Fits the scaler that a recipe asks for.
    ///
    /// # Errors
    ///
    /// As [`Scaler::fit`].
    pub fn fit_for(recipe: &Recipe, features: &DMatrix<f64>) -> Result<Self> {
        Self::fit(recipe.scaler(), recipe.lambda(), features)
    }

    /// Fits a scaler to rows x features. `lambda` replaces whitening's usual regularisation; the other kinds ignore it.
    ///
    /// Whitening costs about n d^2 + d^3 multiplications.
    ///
    /// # Errors
    ///
    /// [`HeadError::EmptyTable`] for no row or feature; [`HeadError::NotFinite`] if features are so large that their
    /// sums or differences are not finite; [`HeadError::NotWhitenable`] if the covariance cannot be decomposed.
    pub fn fit(kind: ScalerKind, lambda: Option<f64>, features: &DMatrix<f64>) -> Result<Self> {
        let (rows, columns) = features.shape();
        if rows == 0 || columns == 0 {
            return Err(HeadError::EmptyTable(if rows == 0 { "rows" } else { "features" }));
        }
        if kind == ScalerKind::None {
            return Ok(Scaler { mean: DVector::zeros(columns), map: Map::None });
        }
        let moments: Vec<Moments> = (0..columns).into_par_iter().map(|k| Moments::of(&features.column(k))).collect();
        let of_all = |value: fn(&Moments) -> f64| DVector::from_iterator(columns, moments.iter().map(value));
        let size = |moments: &Moments| if moments.mean.is_finite() { moments.deviation } else { moments.mean };
        if let Some(column) = moments.iter().position(|moments| !size(moments).is_finite()) {
            return Err(HeadError::NotFinite {
                place: format!("the mean or the deviation of feature {}", column + 1),
                value: size(&moments[column]).to_string(),
            });
        }
        let mean = of_all(|moments| moments.mean);
        let map = match kind {
            ScalerKind::None | ScalerKind::Center => Map::Center,
            ScalerKind::Standardize => Map::Standardize(of_all(Moments::standardizing)),
            ScalerKind::Whiten => {
                let weighted = weighted(features, &mean, &of_all(Moments::weighing));
                // Silent features are zeros here: adding some to a table changes nothing for the others.
                let live = moments.iter().filter(|moments| !moments.is_silent()).count();
                let usual = (live as f64 / (2.0 * rows as f64)).clamp(0.05, 1.0);
                let lambda = lambda.unwrap_or(usual);
                let mut root = whitening_root(&weighted, live, lambda)?;
                for (mut column, moments) in root.column_iter_mut().zip(&moments) {
                    column *= moments.weighing();
                }
                Map::Whiten { root, lambda }
            }
        };
        Ok(Scaler { mean, map })
    }
}

/// D (x - mu) for every row x.
fn weighted(features: &DMatrix<f64>, mean: &DVector<f64>, weights: &DVector<f64>) -> DMatrix<f64> {
    let mut weighted = features.clone();
    weighted.as_mut_slice().par_chunks_mut(features.nrows()).enumerate().for_each(|(k, column)| {
        let (mean, weight) = (mean[k], weights[k]);
        column.iter_mut().for_each(|x| *x = (*x - mean) * weight);
    });
    weighted
}

/// L^-1 with L L^T = Sigma + lambda * trace(Sigma) / live * I, where Sigma is the covariance of features with mean zero,
/// `live` of which are not zero.
fn whitening_root(features: &DMatrix<f64>, live: usize, lambda: f64) -> Result<DMatrix<f64>> {
    let (rows, columns) = features.shape();
    if live == 0 {
        return Ok(DMatrix::zeros(columns, columns));
    }
    let mut covariance = multiply(&features.transpose(), features) / rows as f64;
    let mean_eigenvalue = covariance.trace() / live as f64;
    for k in 0..columns {
        covariance[(k, k)] += lambda * mean_eigenvalue;
    }
    let not_whitenable = || HeadError::NotWhitenable { lambda };
    let lower = Cholesky::new(covariance).ok_or_else(not_whitenable)?.unpack();
    let root = inverse_of_lower(&lower).ok_or_else(not_whitenable)?;
    if root.iter().all(|x| x.is_finite()) { Ok(root) } else { Err(not_whitenable()) }
}
