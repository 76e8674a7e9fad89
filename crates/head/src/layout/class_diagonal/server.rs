//! The server's side of the class-diagonal layout: expansion, forward pass, cubic, backward pass.

use std::ops::Range;

use super::*;
use crate::train::weight_rms;

/// Memory beside the data that the weight ciphertexts in hand may take for their rotations, and once more for their products.
const WORKING_BYTES: usize = 256 << 20;

/// Levels of the forward pass.
pub(super) const FORWARD_LEVELS: usize = 1;
/// Levels of the cubic.
pub(super) const CUBIC_LEVELS: usize = 2;
/// Levels of the backward pass.
pub(super) const BACKWARD_LEVELS: usize = 1;

/// The upload, ready: every diagonal in a ciphertext of its own.
pub struct Prepared<C> {
    /// `[block][t]`, t = g babies + b
    diagonals: Vec<Vec<C>>,
    /// `[weight ciphertext][block]`
    labels: Vec<Vec<C>>,
    /// `[block]`
    offsets: Option<Vec<C>>,
}

impl ClassDiagonal {
    pub(super) fn prepare_upload<M: Arithmetic>(
        &self,
        m: &M,
        upload: Vec<M::Ciphertext>,
    ) -> Result<Prepared<M::Ciphertext>> {
        let (blocks, per_block, weights) = (self.blocks(), self.uploads_per_block(), self.weight_ciphertexts());
        let mut upload = upload.into_iter();
        let mut take = |count: usize| -> Result<Vec<M::Ciphertext>> {
            let taken: Vec<_> = upload.by_ref().take(count).collect();
            if taken.len() == count {
                Ok(taken)
            } else {
                Err(ciphertune_ckks::Error::Length { found: taken.len(), expected: count })
            }
        };
        let mut diagonals = Vec::with_capacity(blocks);
        for _ in 0..blocks {
            let mut block = Vec::with_capacity(self.block);
            for packed in take(per_block)? {
                match self.top() {
                    TopAxis::Classes => block.extend(self.expand(m, packed)?),
                    TopAxis::Rows | TopAxis::Mixed => block.push(packed),
                }
            }
            diagonals.push(block);
        }
        let labels = (0..weights).map(|_| take(blocks)).collect::<Result<_>>()?;
        let rest: Vec<_> = upload.collect();
        let offsets = match rest.len() {
            0 => None,
            count if count == blocks => Some(rest),
            found => return Err(ciphertune_ckks::Error::Length { found, expected: blocks }),
        };
        Ok(Prepared { diagonals, labels, offsets })
    }

    /// Coefficient expansion (Angel, Chen, Laine, Setty 2018): the sum of X^(stride j) p_j(X^A) into the p_j.
    ///
    /// The rotation by slots / 2^(i+1) maps X^k to -X^k for odd multiples k of 2^i and keeps all X^k of multiples of 2^(i+1), so sum and difference
    /// split even from odd. Every split doubles the values, which the scale takes up. One key switch less than there are parts.
    fn expand<M: Arithmetic>(&self, m: &M, packed: M::Ciphertext) -> Result<Vec<M::Ciphertext>> {
        let mut power = self.height() / self.diagonals_together();
        let mut parts = vec![packed];
        while power < self.height() {
            let split = m.each(parts, |part| {
                let turned = m.rotate(&part, (self.slots / (2 * power)) as isize)?;
                let doubled = 2.0 * m.scale(&part);
                let sum = m.add(&part, &turned)?;
                let difference = m.mul_monomial(&m.sub(&part, &turned)?, 4 * self.slots - power);
                Ok((m.with_scale(&sum, doubled), m.with_scale(&difference, doubled)))
            })?;
            // Bit i of the index of a part says odd or even at split i.
            let (mut even, mut odd): (Vec<_>, Vec<_>) = split.into_iter().unzip();
            even.append(&mut odd);
            parts = even;
            power *= 2;
        }
        Ok(parts)
    }

    /// Takes as many weight ciphertexts at a time as fit into [`WORKING_BYTES`], so that the data are read for all of them at once.
    pub(super) fn open_gradient<M: Arithmetic>(
        &self,
        m: &M,
        data: &Prepared<M::Ciphertext>,
        weights: Option<&[M::Ciphertext]>,
        step: &GradientStep,
    ) -> Result<Vec<M::Ciphertext>> {
        // Without weights the cubic depends on the offset alone and is the same for every weight ciphertext.
        let shared = match (weights, &data.offsets) {
            (None, Some(offsets)) => {
                let label_scale = m.scale(&data.labels[0][0]) * step.raise;
                Some(m.each(offsets.iter().collect(), |z| self.negative_cubic(m, z, step, label_scale))?)
            }
            _ => None,
        };
        let level = weights.map_or(m.level(&data.labels[0][0]), |weights| m.level(&weights[0]));
        let held = self.blocks() * self.giants + if weights.is_some() { self.babies() } else { 0 };
        let count = self.weight_ciphertexts();
        let parts = count.div_ceil(at_once(m, level, 2 * held).min(count));
        let mut gradient = Vec::with_capacity(count);
        for part in 0..parts {
            let range = part * count / parts..(part + 1) * count / parts;
            gradient.extend(self.open_gradients(m, data, weights, shared.as_deref(), step, range)?);
        }
        Ok(gradient)
    }

    /// The open gradients of a range of the weight ciphertexts.
    fn open_gradients<M: Arithmetic>(
        &self,
        m: &M,
        data: &Prepared<M::Ciphertext>,
        weights: Option<&[M::Ciphertext]>,
        shared: Option<&[M::Ciphertext]>,
        step: &GradientStep,
        range: Range<usize>,
    ) -> Result<Vec<M::Ciphertext>> {
        let baby_steps: Vec<isize> = (0..self.babies() as isize).collect();
        let babies = match weights {
            Some(weights) => Some(m.each(range.clone().collect(), |w| m.rotate_hoisted(&weights[w], &baby_steps))?),
            None => None,
        };
        let giant_steps: Vec<isize> = (0..self.giants as isize).map(|g| -g * self.babies() as isize).collect();
        let mut turned: Vec<Vec<M::Ciphertext>> = range.clone().map(|_| Vec::new()).collect();
        for block in 0..self.blocks() {
            let logits = match &babies {
                Some(babies) => self.forward(m, data, block, babies)?.into_iter().map(Some).collect(),
                None => range.clone().map(|_| None).collect::<Vec<_>>(),
            };
            let residuals = m.each(range.clone().zip(logits).collect(), |(w, logits)| {
                let labels = &data.labels[w][block];
                let cubic = match (logits, shared) {
                    (Some(sum), _) => {
                        let z = self.logits(m, data, block, &sum, step)?;
                        Some(self.negative_cubic(m, &z, step, m.scale(labels) * step.raise)?)
                    }
                    (None, Some(shared)) => Some(shared[block].clone()),
                    (None, None) => None,
                };
                m.rotate_hoisted(&self.residual(m, labels, cubic, step)?, &giant_steps)
            })?;
            turned.iter_mut().zip(residuals).for_each(|(turned, residuals)| turned.extend(residuals));
        }
        drop(babies);
        self.backward(m, data, &turned, step)
    }

    /// Sums over giant and baby steps of a block's diagonals and turned weights, not folded yet, for every weight ciphertext.
    fn forward<M: Arithmetic>(
        &self,
        m: &M,
        data: &Prepared<M::Ciphertext>,
        block: usize,
        babies: &[Vec<M::Ciphertext>],
    ) -> Result<Vec<M::Ciphertext>> {
        let giants: Vec<Vec<&M::Ciphertext>> =
            data.diagonals[block].chunks(self.babies()).rev().map(|giant| giant.iter().collect()).collect();
        self.nested_products(m, giants, babies, self.babies() as isize, true)
    }

    /// sum over blocks of R^T x^, open: its real part, summed over row groups, is the gradient.
    fn backward<M: Arithmetic>(
        &self,
        m: &M,
        data: &Prepared<M::Ciphertext>,
        turned: &[Vec<M::Ciphertext>],
        step: &GradientStep,
    ) -> Result<Vec<M::Ciphertext>> {
        let babies = self.babies();
        let diagonals = |b: usize| data.diagonals.iter().flat_map(move |block| block.iter().skip(b).step_by(babies));
        let rows = (0..babies).rev().map(|b| diagonals(b).collect()).collect();
        let gradients = self.nested_products(m, rows, turned, -1, !step.last)?;
        gradients.iter().for_each(|gradient| m.expect_magnitude(gradient, weight_rms(self.shape, 1)));
        Ok(gradients)
    }

    /// For every column: the products of rows and column, nested (Horner), each turned by `step` once more than the one that follows it.
    fn nested_products<M: Arithmetic>(
        &self,
        m: &M,
        rows: Vec<Vec<&M::Ciphertext>>,
        columns: &[Vec<M::Ciphertext>],
        step: isize,
        rescale: bool,
    ) -> Result<Vec<M::Ciphertext>> {
        let columns: Vec<Vec<&M::Ciphertext>> = columns.iter().map(|column| column.iter().collect()).collect();
        let mut sums: Vec<Option<M::Ciphertext>> = columns.iter().map(|_| None).collect();
        for rows in rows.chunks(at_once(m, m.level(columns[0][0]), 3 * columns.len())) {
            // From one list a row to one list a column.
            let mut products: Vec<Vec<M::Product>> = columns.iter().map(|_| Vec::with_capacity(rows.len())).collect();
            for row in m.dot_many(rows, &columns)? {
                products.iter_mut().zip(row).for_each(|(column, product)| column.push(product));
            }
            sums = m.each(sums.into_iter().zip(products).collect(), |(mut sum, products)| {
                for product in products {
                    let part = if rescale { m.relinearize_rescale(&product)? } else { m.relinearize(&product)? };
                    sum = Some(match sum {
                        Some(sum) => m.add(&part, &m.rotate(&sum, step)?)?,
                        None => part,
                    });
                }
                Ok(sum)
            })?;
        }
        Ok(sums.into_iter().map(|sum| sum.expect("there is at least one step")).collect())
    }

    /// Logits z_A + i z_C of a block at m < B; elsewhere partial sums that the cubic's mask removes.
    fn logits<M: Arithmetic>(
        &self,
        m: &M,
        data: &Prepared<M::Ciphertext>,
        block: usize,
        sum: &M::Ciphertext,
        step: &GradientStep,
    ) -> Result<M::Ciphertext> {
        let mut z = m.fold(sum, self.block as isize, self.width / self.block)?;
        if let Some(offsets) = &data.offsets {
            z = m.add(&z, &m.mul_scalar_to(&offsets[block], 1.0, m.level(&z), m.scale(&z))?)?;
        }
        m.expect_magnitude(&z, step.range / 2.0);
        Ok(z)
    }

    /// -rate ((c1 a + c3 a^3) - i (c1 c + c3 c^3)) at m < B and zero elsewhere, from z = a + i c: z (3 conj(z)^2 + z^2) c3/4 + c1 conj(z), at the scale at
    /// which the labels can be added.
    fn negative_cubic<M: Arithmetic>(
        &self,
        m: &M,
        z: &M::Ciphertext,
        step: &GradientStep,
        label_scale: f64,
    ) -> Result<M::Ciphertext> {
        let level = m.level(z);
        let conjugate = m.conjugate(z)?;
        let thrice = m.mul_scalar(&conjugate, 3.0, 1.0)?;
        let square = m.relinearize_rescale(&m.dot(&[(&thrice, &conjugate), (z, z)])?)?;
        m.expect_magnitude(&square, step.range * step.range / 2.0);
        // The masked factor's plaintext scale is chosen so that the residual lands on the labels' scale exactly.
        let target = label_scale * step.first_rate / step.rate;
        let product_scale = target * m.prime(level - 1);
        let masked_scale = product_scale / m.scale(&square) * m.prime(level);
        let masked = m.mul_plain(z, &self.head_mask(-step.rate * step.c3 / 4.0), masked_scale / m.scale(z))?;
        let cubic = m.mul_rescale(&m.rescale(&masked)?, &square)?;
        let conjugate = m.drop_to(&conjugate, level - 1)?;
        let linear =
            m.mul_plain(&conjugate, &self.head_mask(-step.rate * step.c1), product_scale / m.scale(&conjugate))?;
        let sum = m.add(&m.with_scale(&cubic, target), &m.with_scale(&m.rescale(&linear)?, target))?;
        m.expect_magnitude(&sum, 0.5 * step.rate);
        Ok(sum)
    }

    /// `value` at m < B, zero elsewhere.
    fn head_mask(&self, value: f64) -> Vec<Complex64> {
        (0..self.slots).map(|s| Complex64::from(if s % self.width < self.block { value } else { 0.0 })).collect()
    }

    /// R_A - i R_C over the whole feature axis: the cubic spread out, plus the labels, which were uploaded spread.
    fn residual<M: Arithmetic>(
        &self,
        m: &M,
        labels: &M::Ciphertext,
        cubic: Option<M::Ciphertext>,
        step: &GradientStep,
    ) -> Result<M::Ciphertext> {
        let labels = m.mul_scalar(labels, 1.0, step.raise)?;
        let labels = m.with_scale(&labels, m.scale(&labels) * step.first_rate / step.rate);
        let residual = match cubic {
            Some(cubic) => {
                let spread = m.fold(&cubic, -(self.block as isize), self.width / self.block)?;
                m.add(&spread, &m.drop_to(&labels, m.level(&spread))?)?
            }
            None => labels,
        };
        m.expect_magnitude(&residual, 0.5 * step.rate);
        Ok(residual)
    }
}

/// How many things of so many polynomials each fit into [`WORKING_BYTES`] at a level: at least one.
fn at_once<M: Arithmetic>(m: &M, level: usize, polynomials: usize) -> usize {
    (WORKING_BYTES / (polynomials * (level + 1) * 2 * m.slots() * size_of::<u64>())).max(1)
}
