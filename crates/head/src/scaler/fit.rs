//! Fitting a scaler.

use super::{Map, Scaler, ScalerKind};
use crate::error::{HeadError, Result};
use crate::linalg::multiply;
use crate::recipe::Recipe;
use nalgebra::{Cholesky, DMatrix, DVector};

/// A feature whose standard deviation is below this share of its size is constant but for rounding.
const CONSTANT: f64 = 1e-12;

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
    /// [`HeadError::EmptyTable`] for no row or feature; [`HeadError::NotFinite`] if the features are so large that
    /// their squares are not finite; [`HeadError::NotWhitenable`] if the covariance cannot be decomposed.
    pub fn fit(kind: ScalerKind, lambda: Option<f64>, features: &DMatrix<f64>) -> Result<Self> {
        let (rows, columns) = features.shape();
        if rows == 0 || columns == 0 {
            return Err(HeadError::EmptyTable(if rows == 0 { "rows" } else { "features" }));
        }
        if kind == ScalerKind::None {
            return Ok(Scaler { mean: DVector::zeros(columns), map: Map::None });
        }
        let mean = DVector::from_iterator(columns, features.column_iter().map(|column| column.sum() / rows as f64));
        let mut centered = features.clone();
        for (mut column, &mean) in centered.column_iter_mut().zip(&mean) {
            column.add_scalar_mut(-mean);
        }
        let variance =
            DVector::from_iterator(columns, centered.column_iter().map(|column| column.norm_squared() / rows as f64));
        if let Some((column, value)) = variance.iter().enumerate().find(|(_, variance)| !variance.is_finite()) {
            return Err(HeadError::NotFinite {
                place: format!("the variance of feature {}", column + 1),
                value: value.to_string(),
            });
        }
        let map = match kind {
            ScalerKind::None | ScalerKind::Center => Map::Center,
            ScalerKind::Standardize => Map::Standardize(standardizing_factors(features, &variance)),
            ScalerKind::Whiten => {
                let usual = (columns as f64 / (2.0 * rows as f64)).clamp(0.05, 1.0);
                let lambda = lambda.unwrap_or(usual);
                Map::Whiten { root: whitening_root(&centered, lambda)?, lambda }
            }
        };
        Ok(Scaler { mean, map })
    }
}

fn standardizing_factors(features: &DMatrix<f64>, variance: &DVector<f64>) -> DVector<f64> {
    let factor = |(column, &variance): (usize, &f64)| {
        let size = features.column(column).amax();
        let deviation = variance.sqrt();
        // A constant feature holds nothing but rounding errors once its mean is gone: multiply them by zero.
        if deviation > CONSTANT * size { 1.0 / deviation } else { 0.0 }
    };
    DVector::from_iterator(variance.len(), variance.iter().enumerate().map(factor))
}

/// L^-1 with L L^T = Sigma + lambda * trace(Sigma) / d * I.
fn whitening_root(centered: &DMatrix<f64>, lambda: f64) -> Result<DMatrix<f64>> {
    let (rows, columns) = centered.shape();
    let mut covariance = multiply(&centered.transpose(), centered) / rows as f64;
    let mean_eigenvalue = covariance.trace() / columns as f64;
    if mean_eigenvalue == 0.0 {
        // Every feature is constant, so every centred row is zero, whatever it is multiplied by.
        return Ok(DMatrix::identity(columns, columns));
    }
    for k in 0..columns {
        covariance[(k, k)] += lambda * mean_eigenvalue;
    }
    let not_whitenable = || HeadError::NotWhitenable { lambda };
    let lower = Cholesky::new(covariance).ok_or_else(not_whitenable)?.unpack();
    let root = lower.solve_lower_triangular(&DMatrix::identity(columns, columns)).ok_or_else(not_whitenable)?;
    if root.iter().all(|x| x.is_finite()) { Ok(root) } else { Err(not_whitenable()) }
}
