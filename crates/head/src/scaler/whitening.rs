//! The map of whitening, from the covariance of weighed features.

use super::Map;
use crate::error::{HeadError, Result};
use crate::linalg::inverse_of_lower;
use nalgebra::{Cholesky, DMatrix, DVector};

/// S = L^-1 D from D Sigma D, the diagonal of D and the number of rows. A feature of weight zero is silent.
pub(super) fn whitening(
    covariance: DMatrix<f64>,
    rows: usize,
    weights: &DVector<f64>,
    lambda: Option<f64>,
) -> Result<Map> {
    // Silent features are zeros here: adding some to a table changes nothing for the others.
    let live = weights.iter().filter(|&&weight| weight != 0.0).count();
    let usual = (live as f64 / (2.0 * rows as f64)).clamp(0.05, 1.0);
    let lambda = lambda.unwrap_or(usual);
    let mut root = whitening_root(covariance, live, lambda)?;
    for (mut column, &weight) in root.column_iter_mut().zip(weights) {
        column *= weight;
    }
    Ok(Map::Whiten { root, lambda })
}

/// L^-1 with L L^T = Sigma + lambda * trace(Sigma) / live * I, for the covariance Sigma of features `live` of which are
/// not zero.
fn whitening_root(mut covariance: DMatrix<f64>, live: usize, lambda: f64) -> Result<DMatrix<f64>> {
    let columns = covariance.ncols();
    if live == 0 {
        return Ok(DMatrix::zeros(columns, columns));
    }
    let mean_eigenvalue = covariance.trace() / live as f64;
    for k in 0..columns {
        covariance[(k, k)] += lambda * mean_eigenvalue;
    }
    let not_whitenable = || HeadError::NotWhitenable { lambda };
    let lower = Cholesky::new(covariance).ok_or_else(not_whitenable)?.unpack();
    let root = inverse_of_lower(&lower).ok_or_else(not_whitenable)?;
    if root.iter().all(|x| x.is_finite()) { Ok(root) } else { Err(not_whitenable()) }
}
