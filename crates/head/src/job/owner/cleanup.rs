//! The clean-up of a released head: noise is taken off where the weights hold little else.
//!
//! The noise of a release has the same deviation sigma in every weight u, and so in every orthonormal basis of the
//! features. The weights do not: training moves them along the directions in which the data vary. So the weights of
//! every class, but for the bias, are turned into the eigenbasis of the covariance of x^, ordered by eigenvalue; the
//! mean square over classes and [`WINDOW`] neighbouring directions estimates v + sigma^2, where v is what training
//! left there, and every coordinate is shrunk by v / (v + sigma^2), the best linear estimate of it.
//!
//! What comes out is a function of the released weights, of sigma and of the owner's data, and of nothing that depends
//! on the secret key beyond the released weights. So it says no more about the key than they do.

use ciphertune_ckks::container::{Container, ContainerWriter};
use nalgebra::{DMatrix, DVector, SymmetricEigen};

use crate::linalg::multiply;
use crate::{HeadError, Result};

/// Directions whose weights are judged together.
const WINDOW: usize = 31;
/// The most features that a covariance is kept of: 17 MB in the record. The eigenbasis of more takes minutes.
const MOST_FEATURES: usize = 2048;
/// Rows that are centred at a time.
const PANEL: usize = 1024;
/// Sweeps of the eigenvalue iteration in units of the features; a few are usual.
const MOST_SWEEPS: usize = 100;
/// The covariance's tensor in a record: its upper triangle, column by column.
const TENSOR: &str = "covariance";

/// The covariance of the features in the coordinates that were trained in, features x features.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Covariance(DMatrix<f64>);

impl Covariance {
    /// Of x^, rows x (features + 1) with the column of ones first; `None` for more than [`MOST_FEATURES`].
    pub fn of(x_hat: &DMatrix<f64>) -> Option<Self> {
        let (rows, features) = (x_hat.nrows(), x_hat.ncols() - 1);
        if features > MOST_FEATURES {
            return None;
        }
        let x = x_hat.columns(1, features);
        let mean = x.row_mean();
        let mut sum = DMatrix::zeros(features, features);
        for start in (0..rows).step_by(PANEL) {
            let mut centred = x.rows(start, PANEL.min(rows - start)).into_owned();
            for (mut column, &mean) in centred.column_iter_mut().zip(&mean) {
                column.add_scalar_mut(-mean);
            }
            sum += multiply(&centred.transpose(), &centred);
        }
        sum /= rows as f64;
        // Exactly symmetric, whatever the order of the sums: half of it is kept.
        sum.fill_lower_triangle_with_upper_triangle();
        Some(Self(sum))
    }

    /// The largest eigenvalue of x^T x / n for features with these means, the column of ones included. From a power
    /// iteration, which ends within a few percent below it.
    pub fn largest_moment(&self, mean: &DVector<f64>) -> f64 {
        let d = mean.len();
        // x^T x / n = covariance + mean mean^T, with a one in the place of the bias.
        power_iteration(d, |direction| {
            let along = mean.dot(direction);
            let mut next = mean * along;
            next.rows_mut(1, d - 1).gemv(1.0, &self.0, &direction.rows(1, d - 1), 1.0);
            next
        })
    }

    /// Adds the covariance to a record.
    pub fn write<'a>(&self, writer: ContainerWriter<'a>) -> ContainerWriter<'a> {
        let d = self.0.ncols();
        let triangle: Vec<f64> = (0..d).flat_map(|j| (0..=j).map(move |i| (i, j))).map(|at| self.0[at]).collect();
        writer.f64(TENSOR, &[triangle.len()], triangle)
    }

    /// Reads the covariance of so many features from a record; `None` if it holds none.
    pub fn read(container: &Container, features: usize) -> Result<Option<Self>> {
        if !container.header().shapes().any(|(name, ..)| name == TENSOR) {
            return Ok(None);
        }
        // Checked against the file's length with the tensor's shape, so that no wrong number reserves memory.
        let mut triangle = container.tensor(TENSOR)?.of_shape(&[features * (features + 1) / 2])?.f64s()?;
        let mut matrix = DMatrix::zeros(features, features);
        for j in 0..features {
            for i in 0..=j {
                matrix[(i, j)] = triangle.next().expect("the tensor has the triangle's length");
            }
        }
        matrix.fill_lower_triangle_with_upper_triangle();
        if !matrix.iter().all(|x| x.is_finite()) {
            return Err(HeadError::InvalidArtefact("the record's covariance holds a number that is not finite".into()));
        }
        Ok(Some(Self(matrix)))
    }

    /// Shrinks weights u, classes x (features + 1) with the bias first, that carry noise of deviation sigma in every
    /// element. The bias stays as it is. Returns whether it was done: the iteration for the eigenbasis has an end.
    #[must_use]
    pub fn clean(&self, u: &mut DMatrix<f64>, sigma: f64) -> bool {
        let features = self.0.ncols();
        let Some(eigen) = SymmetricEigen::try_new(self.0.clone(), f64::EPSILON, MOST_SWEEPS * features.max(1)) else {
            return false;
        };
        let mut order: Vec<usize> = (0..features).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let basis = eigen.eigenvectors.select_columns(&order);
        let mut turned = multiply(&u.columns(1, features).into_owned(), &basis);
        let mean_squares: Vec<f64> =
            turned.column_iter().map(|column| column.norm_squared() / column.len() as f64).collect();
        for (mut column, factor) in turned.column_iter_mut().zip(factors(&mean_squares, sigma * sigma)) {
            column *= factor;
        }
        u.columns_mut(1, features).copy_from(&multiply(&turned, &basis.transpose()));
        true
    }
}

/// v / (v + sigma^2) of every direction, with v = max(mean of the mean squares in the window - sigma^2, 0).
fn factors(mean_squares: &[f64], variance: f64) -> Vec<f64> {
    let half = WINDOW / 2;
    let factor = |place: usize| {
        let window = &mean_squares[place.saturating_sub(half)..(place + half + 1).min(mean_squares.len())];
        let mean = window.iter().sum::<f64>() / window.len() as f64;
        // Also where both are zero.
        if mean > variance { (mean - variance) / mean } else { 0.0 }
    };
    (0..mean_squares.len()).map(factor).collect()
}

/// About the largest eigenvalue of a positive matrix, given what it makes of a vector.
pub(super) fn power_iteration(d: usize, apply: impl Fn(&DVector<f64>) -> DVector<f64>) -> f64 {
    let mut direction = DVector::from_fn(d, |k, _| 1.0 + (k % 7) as f64 / 7.0).normalize();
    let mut eigenvalue = 0.0;
    for _ in 0..30 {
        let next = apply(&direction);
        eigenvalue = next.norm();
        if eigenvalue == 0.0 {
            break;
        }
        direction = next / eigenvalue;
    }
    eigenvalue
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciphertune_ckks::Sampler;

    fn normals(rows: usize, columns: usize, sampler: &mut Sampler) -> DMatrix<f64> {
        DMatrix::from_fn(rows, columns, |_, _| sampler.normal())
    }

    /// Data that vary along few directions, and weights along these directions.
    fn problem(sampler: &mut Sampler) -> (Covariance, DMatrix<f64>) {
        let directions = normals(12, 200, sampler);
        let x = normals(1500, 12, sampler) * &directions + normals(1500, 200, sampler) * 0.1;
        let weights = normals(5, 12, sampler) * &directions * 0.05;
        (Covariance::of(&crate::linalg::with_ones(&x)).unwrap(), weights.insert_column(0, 0.7))
    }

    #[test]
    fn noise_is_taken_off_where_the_data_do_not_vary_and_the_bias_stays() {
        let mut sampler = Sampler::from_seed([5; 32]);
        let (covariance, weights) = problem(&mut sampler);
        let sigma = 0.2;
        let noisy = &weights + normals(5, 201, &mut sampler) * sigma;
        let mut cleaned = noisy.clone();
        assert!(covariance.clean(&mut cleaned, sigma));
        let (before, after) = ((&noisy - &weights).norm(), (&cleaned - &weights).norm());
        assert!(after < 0.5 * before, "{before} {after}");
        assert_eq!(cleaned.column(0), noisy.column(0));
    }

    #[test]
    fn weights_without_noise_stay_as_they_are() {
        let (covariance, weights) = problem(&mut Sampler::from_seed([6; 32]));
        let mut cleaned = weights.clone();
        assert!(covariance.clean(&mut cleaned, 1e-9));
        assert!((cleaned - weights).amax() < 1e-9);
    }

    #[test]
    fn directions_are_judged_with_their_neighbours() {
        let mut mean_squares = vec![1.0; 100];
        mean_squares[50] = 63.0;
        let factors = factors(&mean_squares, 1.0);
        // The mean of 31 with the large one among them is 93/31 = 3.
        assert!((35..=65).all(|s| (factors[s] - 2.0 / 3.0).abs() < 1e-12), "{factors:?}");
        assert!((0..35).chain(66..100).all(|s| factors[s] == 0.0), "{factors:?}");
    }

    #[test]
    fn the_covariance_is_that_of_all_panels_and_not_kept_of_too_many_features() {
        let mut sampler = Sampler::from_seed([7; 32]);
        let x = normals(2500, 6, &mut sampler).add_scalar(3.0);
        let mean = x.row_mean();
        let centred = DMatrix::from_fn(2500, 6, |i, j| x[(i, j)] - mean[j]);
        let Covariance(matrix) = Covariance::of(&crate::linalg::with_ones(&x)).unwrap();
        assert!((matrix - centred.transpose() * &centred / 2500.0).amax() < 1e-12);
        assert!(Covariance::of(&DMatrix::zeros(1, MOST_FEATURES + 2)).is_none());
    }
}
