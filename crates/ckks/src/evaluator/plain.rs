//! Products with plaintexts: vectors that whoever computes knows. They need no relinearisation, and a plaintext is
//! turned for nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ciphertune_ring::{Factor, FactorPair, RnsPoly, galois};

use super::{Evaluator, factors};
use crate::{Ciphertext, Complex64, Encoder, Error, Parameters, Result};

/// An encoded vector of slots, ready to be multiplied with ciphertexts. Copies share their polynomials.
#[derive(Clone, Debug)]
pub struct Plaintext {
    poly: Arc<RnsPoly>,
    /// Where a ciphertext has its second half: all zeros.
    zero: Arc<RnsPoly>,
    scale: f64,
}

impl Plaintext {
    /// Encodes slots for products at `level`. The rounding adds an error of standard deviation sqrt(N/12)/scale to every
    /// slot.
    ///
    /// # Errors
    ///
    /// [`Error::NoLevelLeft`] for a level that the parameters do not have, and as [`Encoder::encode`].
    pub fn encode(
        parameters: &Parameters,
        encoder: &Encoder,
        values: &[Complex64],
        level: usize,
        scale: f64,
    ) -> Result<Self> {
        if level > parameters.max_level() {
            return Err(Error::NoLevelLeft { needed: level, left: parameters.max_level() });
        }
        let ring = parameters.ring();
        let poly = ring.reduce_signed_wide(&encoder.encode(values, scale)?, level + 1);
        Ok(Self { poly: poly.into(), zero: RnsPoly::zero(ring.n(), level + 1, 0).into(), scale })
    }

    /// Cyclic rotation: slot s of the result is slot s + k of this one. A permutation of its words.
    pub fn rotated(&self, parameters: &Parameters, k: isize) -> Self {
        let ring = parameters.ring();
        match galois::rotation_element(ring.log_n(), k) {
            1 => self.clone(),
            element => Self { poly: ring.automorphism(&self.poly, element).into(), ..self.clone() },
        }
    }

    /// The level.
    pub fn level(&self) -> usize {
        self.poly.q_limbs() - 1
    }

    /// The scale.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    fn factors(&self) -> FactorPair<'_> {
        [Factor::Words(&self.poly), Factor::Words(&self.zero)]
    }
}

impl Evaluator {
    /// A matrix product: entry (i, j) of the result is the sum over k of `rows[i][k] * columns[j][k]`, at the product of
    /// the scales and the lowest level present. All rows and columns have one length, all of `rows` one scale, and so
    /// have all of `columns`. No key switch.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] for rows and columns of different lengths or without elements, [`Error::ScaleMismatch`], and
    /// [`Error::Stopped`] after [`Evaluator::stop`].
    pub fn dot_plain_many(
        &self,
        rows: &[Vec<&Ciphertext>],
        columns: &[Vec<&Plaintext>],
    ) -> Result<Vec<Vec<Ciphertext>>> {
        let (Some(row), Some(column)) = (rows.first(), columns.first()) else {
            return Ok(rows.iter().map(|_| Vec::new()).collect());
        };
        let lengths = rows.iter().map(Vec::len).chain(columns.iter().map(Vec::len));
        if let Some(found) = lengths.into_iter().find(|length| *length != row.len() || *length == 0) {
            return Err(Error::Length { found, expected: row.len().max(1) });
        }
        let (first, second) = (row[0].scale, column[0].scale);
        for operand in rows.iter().flatten() {
            self.check_aligned((0, first), (0, operand.scale))?;
        }
        for operand in columns.iter().flatten() {
            self.check_aligned((0, second), (0, operand.scale))?;
        }
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        self.products.fetch_add((rows.len() * columns.len() * row.len()) as u64, Ordering::Relaxed);
        let levels = rows.iter().flatten().map(|a| a.level()).chain(columns.iter().flatten().map(|b| b.level()));
        let lowest = levels.min().unwrap_or(0);
        let plain: Vec<Vec<FactorPair>> =
            columns.iter().map(|terms| terms.iter().map(|plaintext| plaintext.factors()).collect()).collect();
        let products = self.parameters().ring().dot_many(lowest + 1, &factors(rows), &plain);
        // Without a second half on one side nothing stands beside s^2.
        let ciphertext = |[c0, c1, _]: [RnsPoly; 3]| Ciphertext::new(c0, c1, first * second);
        Ok(products.into_iter().map(|row| row.into_iter().map(ciphertext).collect()).collect())
    }
}
