//! A scaler from the moments of a table whose rows are nowhere together.

use super::whitening::whitening;
use super::{Map, Scaler, ScalerKind};
use crate::error::{HeadError, Result};
use nalgebra::{DMatrix, DVector};

/// All that a scaler knows of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableMoments {
    /// n.
    pub rows: usize,
    /// mu.
    pub mean: DVector<f64>,
    /// sqrt(Sigma_kk), by n; 0 for a feature that is constant but for rounding.
    pub deviation: DVector<f64>,
    /// m4 / m2^2 of every feature; 1 for a constant one. Whitening alone looks at it.
    pub kurtosis: DVector<f64>,
    /// Sigma_kl / sqrt(Sigma_kk Sigma_ll); 0 where one is constant. Whitening alone looks at it.
    pub correlation: DMatrix<f64>,
}

impl Scaler {
    /// The scaler that [`Scaler::fit`] fits to a table with these moments.
    ///
    /// # Errors
    ///
    /// [`HeadError::EmptyTable`]; [`HeadError::FeatureCount`] if the moments are not of one number of features;
    /// [`HeadError::InvalidArtefact`] for moments that no table has; [`HeadError::NotWhitenable`].
    pub fn from_moments(kind: ScalerKind, lambda: Option<f64>, moments: &TableMoments) -> Result<Self> {
        let TableMoments { rows, mean, deviation, kurtosis, correlation } = moments;
        let columns = mean.len();
        if *rows == 0 || columns == 0 {
            return Err(HeadError::EmptyTable(if *rows == 0 { "rows" } else { "features" }));
        }
        let lengths = [deviation.len(), kurtosis.len(), correlation.nrows(), correlation.ncols()];
        if let Some(&found) = lengths.iter().find(|&&length| length != columns) {
            return Err(HeadError::FeatureCount { found, expected: columns, what: "scaler" });
        }
        const ROUNDING: f64 = 1e-6;
        let possible = mean.iter().all(|x| x.is_finite())
            && correlation.iter().all(|x| x.abs() <= 1.0 + ROUNDING)
            && deviation.iter().all(|&x| (0.0..f64::INFINITY).contains(&x))
            && kurtosis.iter().all(|&x| (1.0..f64::INFINITY).contains(&x));
        if !possible {
            return Err(HeadError::InvalidArtefact("moments that no table has".to_owned()));
        }
        let factor = |deviation: f64| if deviation == 0.0 { 0.0 } else { 1.0 / deviation };
        let map = match kind {
            ScalerKind::None => return Ok(Scaler { mean: DVector::zeros(columns), map: Map::None }),
            ScalerKind::Center => Map::Center,
            ScalerKind::Standardize => Map::Standardize(deviation.map(factor)),
            ScalerKind::Whiten => {
                let weights = deviation.zip_map(kurtosis, |deviation, kurtosis| factor(deviation) / kurtosis.sqrt());
                // D Sigma D: the deviations cancel, so no units can overflow.
                let weighted = DMatrix::from_fn(columns, columns, |k, l| {
                    let live = weights[k] != 0.0 && weights[l] != 0.0;
                    if live { correlation[(k, l)] / (kurtosis[k] * kurtosis[l]).sqrt() } else { 0.0 }
                });
                whitening(weighted, *rows, &weights, lambda)?
            }
        };
        Ok(Scaler { mean: mean.clone(), map })
    }
}
