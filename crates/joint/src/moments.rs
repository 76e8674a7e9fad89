//! Moments of all owners' rows together, from integer sums: what a scaler is fitted from.
//!
//! Two rounds, since nobody knows the features' units beforehand, and whitening weighs a feature by its deviation and
//! kurtosis (docs/adr/0037-units-of-features.md):
//!
//! 1. *means*, modulo 2^256: n, and for every feature sum q and sum q^2, q = round(2^56 x). From these everyone has the mean
//!    mu and the deviation delta, exact but for the rounding of x to 2^-56: the mean is taken off in integers.
//! 2. *moments*, modulo 2^128, of z = (x - mu) / 2^ceil(log2 delta) and q = round(2^40 z): for every feature sum q and sum
//!    round(q^2 / 2^52)^2, for every pair of features sum q q'. The squares of z add up to n at most, so nothing
//!    overflows.
//!
//! The sums are of each row's integers, so those of the owners add up to those of one table of all rows, exactly. A feature
//! is taken if it is below 2^56 in size and its deviation is 2^-24 or more; the rounding is then at most 2^-33 of a
//! deviation. Others are refused by their place, and so are numbers that no rows have.

use crate::error::{JointError, Result};
use crate::masked::{Vector, Width};
use ciphertune_head::scaler::TableMoments;
use ciphertune_head::{DMatrix, DVector};
use ethnum::{AsI256, I256};
use rayon::prelude::*;

/// The most rows of one owner; of [`crate::proposal::MAX_OWNERS`] owners 2^30.
pub const MAX_ROWS: usize = 1 << 24;

/// The most rows of all.
const MAX_POOLED_ROWS: u64 = 1 << 30;

/// Fraction bits of x in the first round, and the limit on |x|, as powers of two.
const MEAN_BITS: i32 = 56;
const LARGEST: i32 = 56;
/// The least deviation, as a power of two.
const LEAST_DEVIATION: i32 = -24;
/// Fraction bits of z in the second round.
const BITS: i32 = 40;
/// The sums of z and z^2 may exceed what exact means allow by so much.
const SLACK: f64 = 1.5;
/// What is cut off q^2 before it is squared.
const CUT: i32 = 52;
/// A feature whose deviation is below this share of its size is constant but for rounding, as in `head::scaler`.
const CONSTANT: f64 = 1e-12;

/// What the first round tells: n, and mean and deviation of every feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Means {
    /// Rows of all owners.
    pub rows: usize,
    /// mu.
    pub mean: Vec<f64>,
    /// delta; 0 for a feature that is constant but for rounding.
    pub deviation: Vec<f64>,
}

/// How many numbers the first round has.
pub fn means_len(features: usize) -> usize {
    1 + 2 * features
}

/// How many numbers the second round has.
pub fn moments_len(features: usize) -> usize {
    2 * features + features * (features + 1) / 2
}

/// One owner's numbers of the first round.
///
/// # Errors
///
/// [`JointError::Feature`] for features too large, or too small to tell from zero; [`JointError::Rows`].
pub fn means(features: &DMatrix<f64>) -> Result<Vector> {
    let (rows, columns) = features.shape();
    if !(1..=MAX_ROWS).contains(&rows) {
        return Err(JointError::Rows(rows));
    }
    let (limit, least) = (2f64.powi(LARGEST), 2f64.powi(LEAST_DEVIATION));
    let (mut sums, mut squares) = (Vec::with_capacity(columns), Vec::with_capacity(columns));
    for (k, column) in features.column_iter().enumerate() {
        let size = column.amax();
        // A NaN is in no range, so it is refused as well.
        if !(0.0..limit).contains(&size) || (size > 0.0 && size < least) {
            let what = if size < least { "is never more than" } else { "is as large as" };
            return Err(JointError::Feature { feature: k + 1, what, size });
        }
        let (mut sum, mut square) = (I256::ZERO, I256::ZERO);
        for x in &column {
            // Exact: a power of two, then a whole number below 2^112.
            let q = I256::from((x * 2f64.powi(MEAN_BITS)).round() as i128);
            sum += q;
            square += q * q;
        }
        sums.push(sum);
        squares.push(square);
    }
    let mut vector = Vector::new(Width::Bits256);
    vector.push(I256::from(rows as u64));
    sums.into_iter().chain(squares).for_each(|number| vector.push(number));
    Ok(vector)
}

impl Means {
    /// What the sums of the first round say.
    ///
    /// # Errors
    ///
    /// [`JointError::Sums`] for numbers that no rows have: of a round that is not whole, or of an owner who made them up;
    /// [`JointError::Feature`] for a deviation too small for the second round.
    pub fn from_sums(sums: &Vector, features: usize) -> Result<Self> {
        let numbers: Vec<I256> = sums.numbers().collect();
        if numbers.len() != means_len(features) {
            return Err(JointError::Sums("means"));
        }
        let n = numbers[0];
        if n < I256::ONE || n > I256::from(MAX_POOLED_ROWS) {
            return Err(JointError::Sums("means"));
        }
        let (rows, unit) = (n.as_f64(), 2f64.powi(-MEAN_BITS));
        let (mut mean, mut deviation) = (Vec::with_capacity(features), Vec::with_capacity(features));
        for k in 0..features {
            let (sum, square) = (numbers[1 + k], numbers[1 + features + k]);
            let floor = sum.div_euclid(n);
            let rest = (sum - floor * n).as_f64() / rows;
            // sum (q - floor)^2. The terms may wrap around, the result of honest sums fits.
            let about_floor = floor.wrapping_mul(floor.wrapping_mul(n).wrapping_sub(sum).wrapping_sub(sum));
            let central = square.wrapping_add(about_floor);
            let limit = I256::ONE << (MEAN_BITS + LARGEST);
            if square < I256::ZERO || central < I256::ZERO || floor > limit || floor < -limit {
                return Err(JointError::Sums("means"));
            }
            let mu = (floor.as_f64() + rest) * unit;
            let delta = (central.as_f64() / rows - rest * rest).max(0.0).sqrt() * unit;
            let is_constant = delta <= CONSTANT * mu.hypot(delta);
            if !is_constant && delta < 2f64.powi(LEAST_DEVIATION) {
                return Err(JointError::Feature { feature: k + 1, what: "has a deviation of", size: delta });
            }
            mean.push(mu);
            deviation.push(if is_constant { 0.0 } else { delta });
        }
        Ok(Means { rows: rows as usize, mean, deviation })
    }

    /// What z is divided by: the power of two at or above the deviation; 0 for a constant feature.
    fn unit(&self, feature: usize) -> f64 {
        let deviation = self.deviation[feature];
        if deviation == 0.0 { 0.0 } else { 2f64.powi(deviation.log2().ceil() as i32) }
    }

    /// One owner's numbers of the second round. n d^2 / 2 multiplications.
    ///
    /// # Errors
    ///
    /// [`JointError::Sums`] if the means cannot be those of a table with these rows in it.
    ///
    /// # Panics
    ///
    /// If the table has another number of features.
    pub fn moments(&self, features: &DMatrix<f64>) -> Result<Vector> {
        let (rows, columns) = features.shape();
        assert_eq!(columns, self.mean.len(), "tables are checked before they are summed");
        let limit = SLACK * self.rows as f64;
        let mut z = Vec::with_capacity(rows * columns);
        for (k, column) in features.column_iter().enumerate() {
            let (mean, unit) = (self.mean[k], self.unit(k));
            let scaled = |x: f64| if unit == 0.0 { 0.0 } else { (x - mean) / unit };
            // Of all rows it is n at most: with these rows among them, other means are not theirs.
            let squares: f64 = column.iter().map(|&x| scaled(x).powi(2)).sum();
            if !(0.0..=limit).contains(&squares) {
                return Err(JointError::Sums("means"));
            }
            z.extend(column.iter().map(|&x| (scaled(x) * 2f64.powi(BITS)).round() as i64));
        }
        let column = |k: usize| &z[k * rows..][..rows];
        let product = |(&a, &b): (&i64, &i64)| i128::from(a) * i128::from(b);
        let fourth = |&q: &i64| {
            let square = (i128::from(q).pow(2) + (1 << (CUT - 1))) >> CUT;
            square * square
        };
        let sums: Vec<i128> = (0..columns).map(|k| column(k).iter().map(|&q| i128::from(q)).sum()).collect();
        let fourths: Vec<i128> = (0..columns).map(|k| column(k).iter().map(fourth).sum()).collect();
        let pairs: Vec<Vec<i128>> = (0..columns)
            .into_par_iter()
            .map(|k| (k..columns).map(|l| column(k).iter().zip(column(l)).map(product).sum()).collect())
            .collect();
        let mut vector = Vector::new(Width::Bits128);
        let numbers = sums.into_iter().chain(fourths).chain(pairs.into_iter().flatten());
        numbers.for_each(|number| vector.push(number.as_i256()));
        Ok(vector)
    }

    /// What a scaler needs to know of all rows, from the sums of the second round.
    ///
    /// # Errors
    ///
    /// [`JointError::Sums`] for numbers that no rows have, or that do not fit the first round's.
    pub fn table_moments(&self, sums: &Vector) -> Result<TableMoments> {
        // The deviation of the second round is the first's but for rounding.
        const AGREEMENT: f64 = 1e-6;
        let d = self.mean.len();
        let numbers: Vec<f64> = sums.numbers().map(|number| number.as_f64()).collect();
        if numbers.len() != moments_len(d) {
            return Err(JointError::Sums("moments"));
        }
        let n = self.rows as f64;
        let mean: Vec<f64> = numbers[..d].iter().map(|sum| sum / n * 2f64.powi(-BITS)).collect();
        let mut covariance = DMatrix::zeros(d, d);
        let mut pairs = numbers[2 * d..].iter().map(|sum| sum / n * 2f64.powi(-2 * BITS));
        for k in 0..d {
            for l in k..d {
                let value = pairs.next().expect("as many as were counted") - mean[k] * mean[l];
                (covariance[(k, l)], covariance[(l, k)]) = (value, value);
            }
        }
        let mut kurtosis = DVector::from_element(d, 1.0);
        let mut deviation = DVector::zeros(d);
        for k in (0..d).filter(|&k| self.deviation[k] > 0.0) {
            let variance: f64 = covariance[(k, k)];
            let found = variance.max(0.0).sqrt() * self.unit(k);
            let fourth = numbers[d + k] / n * 2f64.powi(-2 * (2 * BITS - CUT));
            let ratio = fourth / (variance * variance);
            // Between 1 and n, by Cauchy and Schwarz.
            let fits = (found / self.deviation[k] - 1.0).abs() < AGREEMENT
                && (1.0 - AGREEMENT..=n * (1.0 + AGREEMENT)).contains(&ratio);
            if !fits {
                return Err(JointError::Sums("moments"));
            }
            (deviation[k], kurtosis[k]) = (found, ratio.max(1.0));
        }
        let mut correlation = covariance;
        for k in 0..d {
            for l in 0..d {
                let product = deviation[k] / self.unit(k) * (deviation[l] / self.unit(l));
                // A constant feature has no unit: 0 / 0.
                correlation[(k, l)] = if product > 0.0 { correlation[(k, l)] / product } else { 0.0 };
            }
        }
        let mean = DVector::from_column_slice(&self.mean);
        Ok(TableMoments { rows: self.rows, mean, deviation, kurtosis, correlation })
    }

    /// What the kinds of scalers need that look at each feature alone.
    pub fn without_pairs(&self) -> TableMoments {
        let d = self.mean.len();
        let column = |values: &[f64]| DVector::from_column_slice(values);
        let (mean, deviation) = (column(&self.mean), column(&self.deviation));
        let (kurtosis, correlation) = (DVector::from_element(d, 1.0), DMatrix::identity(d, d));
        TableMoments { rows: self.rows, mean, deviation, kurtosis, correlation }
    }
}

#[cfg(test)]
mod tests;
