//! The server's part: the gradient of one iteration on ciphertexts, against [`Arithmetic`] only.
//!
//! ```text
//! forward    for r < C:  z_r = sum over F columns of x^ o rot(u, r rows)      in row i: the logit of class (i + r) mod C
//! cubic      R = Y - sum over r of mask_r (c1 z_r + c3 z_r^3)                 n x F, zero outside the first C columns
//! backward   repeat R along the rows with period C; for r < C:
//!            h_r = sum over C rows of x^ o (R shifted right by r columns)     in column m: class (m - r) mod C
//!            G = sum over r of mask'_r h_r                                    class rows, each over a window of C rows
//! close      G + G rotated by C, 2 C, ... rows                                the sum over all rows, repeated as weights are
//! ```
//!
//! Scales are chosen, never met by accident: a mask is encoded at the scale that brings its product to where it has to
//! be after rescaling, so that every sum is of equal scales and every gradient comes out at the data's.

use ciphertune_ckks::{Arithmetic, Complex64, Error, Result};

use super::{GradientStep, VolleyRevolver};
use crate::layout::weight_rms;
use crate::recipe::{Cubic, Sigmoid};

/// Levels of the logits: the product with the data. Their mask rides in the cubic's coefficients.
pub(super) const FORWARD_LEVELS: usize = 1;
/// Levels of the cubic.
pub(super) const CUBIC_LEVELS: usize = 2;
/// Levels of the gradient from residuals: the product with the data, and a mask.
pub(super) const BACKWARD_LEVELS: usize = 2;

/// What the server holds of a job during training: the upload, sorted.
#[derive(Clone, Debug)]
pub struct Prepared<C> {
    /// A ciphertext a block of rows.
    data: Vec<C>,
    /// A ciphertext a group of classes and block, the blocks of a group together; so are the offsets.
    labels: Vec<C>,
    /// Empty where there is no offset.
    offsets: Vec<C>,
}

impl VolleyRevolver {
    pub(super) fn sort_upload<C>(&self, mut upload: Vec<C>) -> Result<Prepared<C>> {
        let (blocks, residuals) = (self.blocks(), self.groups() * self.blocks());
        let (without, with) = (blocks + residuals, blocks + 2 * residuals);
        if upload.len() != without && upload.len() != with {
            return Err(Error::Length { found: upload.len(), expected: without });
        }
        let offsets = upload.split_off(without);
        let labels = upload.split_off(blocks);
        Ok(Prepared { data: upload, labels, offsets })
    }

    /// One open gradient a group of classes, at the data's scale. Levels: 2 from labels alone, 4 from labels and
    /// offset, 5 from weights, which may be at any level and scale.
    pub(super) fn open_gradient<M: Arithmetic>(
        &self,
        m: &M,
        data: &Prepared<M::Ciphertext>,
        weights: Option<&[M::Ciphertext]>,
        step: &GradientStep,
    ) -> Result<Vec<M::Ciphertext>> {
        if let Some(weights) = weights.filter(|weights| weights.len() != self.groups()) {
            return Err(Error::Length { found: weights.len(), expected: self.groups() });
        }
        // With the labels at a lower scale their values are multiplied by rate / first_rate, exactly and for nothing.
        let scale = m.scale(&data.labels[0]) * step.first_rate / step.rate;
        let Sigmoid::Cubic(cubic) = step.sigmoid else {
            // Plans of this layout have cubics alone.
            return Err(Error::Parameters("layout volley-revolver computes cubics only".into()));
        };
        let circuit = Circuit { m, layout: self, step, cubic, residual_scale: scale };
        (0..self.groups())
            .map(|group| {
                let labels = (group * self.blocks()..).zip(&data.labels[group * self.blocks()..]).take(self.blocks());
                let parts = labels.map(|(index, labels)| (labels, data.offsets.get(index)));
                let residuals = match weights {
                    Some(weights) => circuit.residuals(&weights[group], &data.data, parts)?,
                    None => parts.map(|(labels, z)| circuit.first_residual(labels, z)).collect::<Result<Vec<_>>>()?,
                };
                circuit.backward(&data.data, residuals)
            })
            .collect()
    }

    /// The paper's first filter: `value` at column (i + r) mod C of every row i, zero elsewhere. Picks the logit of
    /// class (i + r) mod C, which the r-th turn left in the first C columns of row i.
    fn logit_mask(&self, r: usize, value: f64) -> Vec<Complex64> {
        let mut mask = vec![Complex64::ZERO; self.slots];
        for (i, row) in mask.chunks_exact_mut(self.columns).enumerate() {
            row[(i + r) % self.class_rows] = value.into();
        }
        mask
    }

    /// The paper's second filter: 1 where row i is the row of class (m - r) mod C, in the features' columns. Picks, of
    /// the column sums after the r-th shift, those that belong to the class of row i.
    fn class_mask(&self, r: usize) -> Vec<Complex64> {
        let (c, features) = (self.class_rows, self.indent()..self.indent() + self.shape.columns());
        let mut mask = vec![Complex64::ZERO; self.slots];
        for (i, row) in mask.chunks_exact_mut(self.columns).enumerate() {
            // Feature k is at column m = k + C - 1, so that its class is (k - 1 - r) mod C.
            let features = row[features.clone()].iter_mut().skip((i + r + 1) % c);
            features.step_by(c).for_each(|value| *value = Complex64::ONE);
        }
        mask
    }
}

/// One gradient step under way on one machine.
struct Circuit<'a, M> {
    m: &'a M,
    layout: &'a VolleyRevolver,
    step: &'a GradientStep,
    cubic: Cubic,
    /// The scale of Y and of all that is subtracted from it.
    residual_scale: f64,
}

impl<M: Arithmetic> Circuit<'_, M> {
    /// R at the given weights, a ciphertext a block. The loop over r is the revolver; its products for the cubic are
    /// summed before they are relinearised.
    ///
    /// C - 1 + b C (2 + log2 F) + b key switches for b blocks, three levels.
    fn residuals<'c>(
        &self,
        weights: &M::Ciphertext,
        data: &[M::Ciphertext],
        parts: impl Iterator<Item = (&'c M::Ciphertext, Option<&'c M::Ciphertext>)>,
    ) -> Result<Vec<M::Ciphertext>>
    where
        M::Ciphertext: 'c,
    {
        let left = data.iter().map(|x| self.m.level(x)).fold(self.m.level(weights), usize::min);
        check_levels(left, FORWARD_LEVELS + CUBIC_LEVELS + BACKWARD_LEVELS)?;
        let rotated = self.turns(weights)?;
        data.iter()
            .zip(parts)
            .map(|(x, (labels, offset))| {
                let (mut linear, mut cubic) = (None, None);
                for (r, weights) in rotated.iter().enumerate() {
                    let z = self.logits(x, weights, offset)?;
                    linear = Some(add_to(linear, self.linear_term(r, &z)?, |a, b| self.m.add(a, b))?);
                    if self.cubic.c3 != 0.0 {
                        cubic = Some(add_to(cubic, self.cubic_term(r, &z)?, |a, b| self.m.add_products(a, b))?);
                    }
                }
                let linear = self.m.rescale(&linear.expect("C is at least one, so the loop has run"))?;
                self.residual(labels, linear, cubic)
            })
            .collect()
    }

    /// R for weights of zero: the labels, less the cubic of the offset where there is one (two levels, two key
    /// switches).
    fn first_residual(&self, labels: &M::Ciphertext, offset: Option<&M::Ciphertext>) -> Result<M::Ciphertext> {
        let (m, step) = (self.m, self.step);
        let Some(z) = offset else {
            check_levels(m.level(labels), BACKWARD_LEVELS)?;
            return self.labels_at(labels, m.level(labels));
        };
        check_levels(m.level(z), CUBIC_LEVELS + BACKWARD_LEVELS)?;
        m.expect_magnitude(z, self.cubic.range / 2.0);
        let level = m.level(z) - CUBIC_LEVELS;
        let linear = m.mul_scalar_to(z, self.cubic.c1 * step.rate, level, self.residual_scale)?;
        if self.cubic.c3 == 0.0 {
            return self.residual(labels, linear, None);
        }
        let square = self.square(z)?;
        let factor = m.mul_scalar_to(z, self.cubic.c3 * step.rate, level + 1, self.factor_scale(&square))?;
        self.residual(labels, linear, Some(m.dot(&[(&factor, &square)])?))
    }

    /// R = Y - (linear + cubic) at the linear part's level. All three are zero outside the first C columns, so their
    /// difference needs no filter.
    fn residual(
        &self,
        labels: &M::Ciphertext,
        linear: M::Ciphertext,
        cubic: Option<M::Product>,
    ) -> Result<M::Ciphertext> {
        let p = match cubic {
            Some(cubic) => self.m.add(&linear, &self.m.relinearize_rescale(&cubic)?)?,
            None => linear,
        };
        let residual = self.m.sub(&self.labels_at(labels, self.m.level(&p))?, &p)?;
        self.m.expect_magnitude(&residual, 0.5 * self.step.rate);
        Ok(residual)
    }

    /// The weights rotated by 0 to C - 1 rows, one after the other, so that one key serves all.
    fn turns(&self, weights: &M::Ciphertext) -> Result<Vec<M::Ciphertext>> {
        let mut turns = vec![weights.clone()];
        while turns.len() < self.layout.class_rows {
            turns.push(self.m.rotate(&turns[turns.len() - 1], self.layout.columns as isize)?);
        }
        Ok(turns)
    }

    /// Row-wise sums of x^ o u, right in the first C columns, plus the offset. 1 + log2 F key switches, one level.
    fn logits(
        &self,
        x: &M::Ciphertext,
        weights: &M::Ciphertext,
        offset: Option<&M::Ciphertext>,
    ) -> Result<M::Ciphertext> {
        let m = self.m;
        let mut z = m.fold(&m.mul_rescale(x, weights)?, 1, self.layout.columns)?;
        if let Some(offset) = offset {
            z = m.add(&z, &m.mul_scalar_to(offset, 1.0, m.level(&z), m.scale(&z))?)?;
        }
        m.expect_magnitude(&z, self.cubic.range / 2.0);
        Ok(z)
    }

    /// mask_r rate c1 z, one level below z and still to be rescaled.
    fn linear_term(&self, r: usize, z: &M::Ciphertext) -> Result<M::Ciphertext> {
        let (m, level) = (self.m, self.m.level(z) - 1);
        let mask = self.layout.logit_mask(r, self.cubic.c1 * self.step.rate);
        m.mul_plain(&m.drop_to(z, level)?, &mask, self.residual_scale * m.prime(level) / m.scale(z))
    }

    /// (mask_r rate c3 z) z^2, one level below z and still to be relinearised and rescaled. One key switch.
    fn cubic_term(&self, r: usize, z: &M::Ciphertext) -> Result<M::Product> {
        let (m, square) = (self.m, self.square(z)?);
        let mask = self.layout.logit_mask(r, self.cubic.c3 * self.step.rate);
        let factor = m.mul_plain(z, &mask, self.factor_scale(&square) * m.prime(m.level(z)) / m.scale(z))?;
        m.dot(&[(&m.rescale(&factor)?, &square)])
    }

    fn square(&self, z: &M::Ciphertext) -> Result<M::Ciphertext> {
        let square = self.m.mul_rescale(z, z)?;
        self.m.expect_magnitude(&square, self.cubic.range * self.cubic.range / 2.0);
        Ok(square)
    }

    /// The scale of a factor whose product with `square`, once rescaled, is at the residuals' scale.
    fn factor_scale(&self, square: &M::Ciphertext) -> f64 {
        self.residual_scale * self.m.prime(self.m.level(square)) / self.m.scale(square)
    }

    /// The labels for this step's rate, at `level`.
    fn labels_at(&self, labels: &M::Ciphertext, level: usize) -> Result<M::Ciphertext> {
        Ok(self.m.with_scale(&self.m.drop_to(labels, level)?, self.residual_scale))
    }

    /// Column sums of x^ o R, a class a row, each over a window of C rows. Two levels.
    ///
    /// b (log2(F / C) + C - 1) + C (1 + log2 C) key switches for b blocks.
    fn backward(&self, data: &[M::Ciphertext], mut residuals: Vec<M::Ciphertext>) -> Result<M::Ciphertext> {
        let (m, class_rows, columns) = (self.m, self.layout.class_rows, self.layout.columns);
        for residual in &mut residuals {
            *residual = m.fold(residual, -(class_rows as isize), columns / class_rows)?;
        }
        let mut gradient = None;
        for r in 0..class_rows {
            if r > 0 {
                for residual in &mut residuals {
                    *residual = m.rotate(residual, -1)?;
                }
            }
            let pairs: Vec<_> = data.iter().zip(&residuals).cycle().take(self.layout.summed_blocks()).collect();
            let sums = m.fold(&m.relinearize_rescale(&m.dot(&pairs)?)?, columns as isize, class_rows)?;
            let mask_scale = m.scale(&data[0]) * m.prime(m.level(&sums)) / m.scale(&sums);
            let term = m.mul_plain(&sums, &self.layout.class_mask(r), mask_scale)?;
            gradient = Some(add_to(gradient, term, |a, b| m.add(a, b))?);
        }
        let gradient = m.rescale(&gradient.expect("C is at least one, so the loop has run"))?;
        m.expect_magnitude(&gradient, self.step.stride * weight_rms(self.layout.shape, 1));
        Ok(gradient)
    }
}

fn add_to<T>(sum: Option<T>, term: T, add: impl Fn(&T, &T) -> Result<T>) -> Result<T> {
    match sum {
        Some(sum) => add(&sum, &term),
        None => Ok(term),
    }
}

fn check_levels(left: usize, needed: usize) -> Result<()> {
    match left >= needed {
        true => Ok(()),
        false => Err(Error::NoLevelLeft { needed, left }),
    }
}
