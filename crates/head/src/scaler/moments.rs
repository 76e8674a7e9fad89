//! What the scalers measure of one feature: mean, deviation, kurtosis.

use nalgebra::{Dim, Matrix, Storage, U1};

/// A feature whose standard deviation is below this share of its size is constant but for rounding.
const CONSTANT: f64 = 1e-12;

/// Moments of one feature over all rows.
///
/// They are taken of (x - mean) / max |x - mean|, so that no square overflows or vanishes: a feature in other units has
/// the same kurtosis, and a deviation in those units, whatever the units are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moments {
    /// mu.
    pub(super) mean: f64,
    /// The standard deviation sqrt(m2), by n; 0 if the feature is constant but for rounding.
    pub(super) deviation: f64,
    /// m4 / m2^2, between 1 and n; 1 for a constant feature.
    pub(super) kurtosis: f64,
}

impl Moments {
    /// Those of a column with one row or more. Neither finite nor meaningful if the column's sum or a difference to its
    /// mean overflows.
    pub(super) fn of<R: Dim, S: Storage<f64, R, U1>>(column: &Matrix<f64, R, U1, S>) -> Self {
        let rows = column.len() as f64;
        let mean = column.sum() / rows;
        let width = column.iter().fold(0.0, |width: f64, x| width.max((x - mean).abs()));
        let (mut second, mut fourth) = (0.0, 0.0);
        for x in column {
            let square = ((x - mean) / width).powi(2);
            second += square / rows;
            fourth += square * square / rows;
        }
        let deviation = width * second.sqrt();
        let rounding = CONSTANT * column.amax();
        if width == 0.0 || deviation <= rounding || (1.0 / deviation).is_infinite() {
            return Moments { mean, deviation: 0.0, kurtosis: 1.0 };
        }
        Moments { mean, deviation, kurtosis: fourth / (second * second) }
    }

    /// Whether the feature tells nothing about a row.
    pub(super) fn is_silent(&self) -> bool {
        self.deviation == 0.0
    }

    /// The factor that makes the variance 1. A silent feature holds nothing but rounding errors once its mean is gone:
    /// they are multiplied by zero.
    pub(super) fn standardizing(&self) -> f64 {
        if self.is_silent() { 0.0 } else { 1.0 / self.deviation }
    }

    /// The factor that makes the variance 1 / kurtosis; zero for a silent feature.
    pub(super) fn weighing(&self) -> f64 {
        self.standardizing() / self.kurtosis.sqrt()
    }
}
