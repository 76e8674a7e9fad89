//! Scalers: affine maps of the features that make training well conditioned, and fold back into the head.
//!
//! A scaler is fitted on the owner's machine, to features alone, never to labels. With mu the mean and Sigma the
//! covariance of the features (divided by n):
//!
//! * `none`: x;
//! * `center`: x - mu;
//! * `standardize`: (x_k - mu_k) / sqrt(Sigma_kk); a constant feature becomes 0;
//! * `whiten`: S (x - mu) with S = A D, A^T A = (D Sigma D + lambda * mean(eig D Sigma D) * I)^-1, D diagonal with D_kk^2
//!   = 1 / (Sigma_kk kurtosis_k), and lambda = clamp(d / 2n, 0.05, 1) if nobody says otherwise; a constant feature
//!   becomes 0 and is not counted in d or in the mean.
//!
//! D gives every feature the variance 1 / kurtosis, kurtosis_k = n sum_i (x_ik - mu_k)^4 / (sum_i (x_ik - mu_k)^2)^2.
//! So whitening does not depend on the units of the features: multiplied by any constants, they give the same model.
//! The ridge lambda shrinks what is small beside the others, and D decides what that is: the variance of a feature is
//! known from n rows with a relative error of sqrt((kurtosis - 1) / n), so a feature that speaks up in few rows is held
//! down more than one that differs everywhere. A rare yes among noes keeps its size (D is between 1 and 2 for any share
//! of yeses), a normal distribution has variance 1/3 (docs/adr/0037-units-of-features.md has what else was tried).
//!
//! For A we take L^-1, where L L^T is the Cholesky decomposition of the regularised covariance. Any other square root,
//! the symmetric one included, is Q L^-1 with Q orthogonal. Under Q the features become Q x, and gradient descent from
//! zero with one step for all features commutes with that: G becomes G Q^T, hence so do V and W, and the logits
//! (W Q^T)(Q x) are the same at every iteration. So the decomposition costs d^3/3 instead of an eigendecomposition's
//! tens of d^3, and the model is the same. (With row sums for Bbar, each feature has its own step, and the choice of A
//! does show.)

mod artefact;
mod fit;
mod moments;
mod pooled;
mod silent;
#[cfg(test)]
mod tests;
mod whitening;

pub use pooled::TableMoments;
pub use silent::SilentFeatures;

use crate::error::{HeadError, Result};
use crate::linalg::{multiply, with_ones};
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which map of the features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScalerKind {
    /// The features as they are.
    None,
    /// Mean zero.
    Center,
    /// Mean zero, variance one.
    Standardize,
    /// Mean zero, covariance about the identity, whatever the units of the features.
    Whiten,
}

impl fmt::Display for ScalerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ScalerKind::None => "none",
            ScalerKind::Center => "center",
            ScalerKind::Standardize => "standardize",
            ScalerKind::Whiten => "whiten",
        })
    }
}

impl FromStr for ScalerKind {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "none" => Ok(ScalerKind::None),
            "center" => Ok(ScalerKind::Center),
            "standardize" => Ok(ScalerKind::Standardize),
            "whiten" => Ok(ScalerKind::Whiten),
            _ => Err(HeadError::InvalidRecipe(format!(
                "{text:?} is no scaler: choose none, center, standardize or whiten"
            ))),
        }
    }
}

/// A fitted scaler: x -> S (x - mu).
#[derive(Clone, Debug, PartialEq)]
pub struct Scaler {
    mean: DVector<f64>,
    map: Map,
}

/// S.
#[derive(Clone, Debug, PartialEq)]
enum Map {
    /// The identity, and mu = 0.
    None,
    /// The identity.
    Center,
    /// A diagonal: what each feature is multiplied by.
    Standardize(DVector<f64>),
    /// L^-1 D, lower triangular, and the lambda it was made with.
    Whiten { root: DMatrix<f64>, lambda: f64 },
}

impl Scaler {
    /// Which map it is.
    pub fn kind(&self) -> ScalerKind {
        match self.map {
            Map::None => ScalerKind::None,
            Map::Center => ScalerKind::Center,
            Map::Standardize(_) => ScalerKind::Standardize,
            Map::Whiten { .. } => ScalerKind::Whiten,
        }
    }

    /// How many features it maps.
    pub fn features(&self) -> usize {
        self.mean.len()
    }

    /// The regularisation that whitening used.
    pub fn lambda(&self) -> Option<f64> {
        match self.map {
            Map::Whiten { lambda, .. } => Some(lambda),
            _ => None,
        }
    }

    /// Maps rows of features: rows x features in and out.
    ///
    /// # Errors
    ///
    /// [`HeadError::FeatureCount`].
    pub fn apply(&self, features: &DMatrix<f64>) -> Result<DMatrix<f64>> {
        if features.ncols() != self.features() {
            return Err(HeadError::FeatureCount { found: features.ncols(), expected: self.features(), what: "scaler" });
        }
        let mut scaled = features.clone();
        for (mut column, &mean) in scaled.column_iter_mut().zip(&self.mean) {
            column.add_scalar_mut(-mean);
        }
        match &self.map {
            Map::None | Map::Center => {}
            Map::Standardize(factors) => {
                for (mut column, &factor) in scaled.column_iter_mut().zip(factors) {
                    column *= factor;
                }
            }
            Map::Whiten { root, .. } => scaled = multiply(&scaled, &root.transpose()),
        }
        Ok(scaled)
    }

    /// As [`Scaler::apply`], with a leading column of ones: the X that a training works on, rows x (features + 1).
    ///
    /// # Errors
    ///
    /// [`HeadError::FeatureCount`].
    pub fn apply_with_ones(&self, features: &DMatrix<f64>) -> Result<DMatrix<f64>> {
        Ok(with_ones(&self.apply(features)?))
    }

    /// Turns weights for scaled features into weights for raw ones.
    ///
    /// `weights` is classes x (features + 1), the bias first, as training gives it. With w the rest of a row,
    /// bias + w S (x - mu) = (bias - w S mu) + (w S) x: the result is w S, classes x features, and the biases.
    ///
    /// # Errors
    ///
    /// [`HeadError::FeatureCount`].
    pub fn fold(&self, weights: &DMatrix<f64>) -> Result<(DMatrix<f64>, DVector<f64>)> {
        if weights.ncols() != self.features() + 1 {
            return Err(HeadError::FeatureCount {
                found: weights.ncols().saturating_sub(1),
                expected: self.features(),
                what: "scaler",
            });
        }
        let mut raw = weights.columns(1, self.features()).into_owned();
        match &self.map {
            Map::None | Map::Center => {}
            Map::Standardize(factors) => {
                for (mut column, &factor) in raw.column_iter_mut().zip(factors) {
                    column *= factor;
                }
            }
            Map::Whiten { root, .. } => raw = multiply(&raw, root),
        }
        let bias = weights.column(0) - &raw * &self.mean;
        Ok((raw, bias))
    }
}
