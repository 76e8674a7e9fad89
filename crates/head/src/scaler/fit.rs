//! Fitting a scaler.

use super::moments::Moments;
use super::whitening::whitening;
use super::{Map, Scaler, ScalerKind};
use crate::error::{HeadError, Result};
use crate::linalg::multiply;
use crate::recipe::Recipe;
use nalgebra::{DMatrix, DVector};
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
                let covariance = multiply(&weighted.transpose(), &weighted) / rows as f64;
                whitening(covariance, rows, &of_all(Moments::weighing), lambda)?
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
