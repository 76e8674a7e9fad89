//! The server's side of the class-diagonal layout: expansion, forward pass, cubic, backward pass.

use super::*;
use crate::train::weight_rms;

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
                match self.top {
                    TopAxis::Classes => block.extend(self.expand(m, packed)?),
                    TopAxis::Rows => block.push(packed),
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
    /// split even from odd. Every split doubles the values, which the scale takes up. `together - 1` key switches.
    fn expand<M: Arithmetic>(&self, m: &M, packed: M::Ciphertext) -> Result<Vec<M::Ciphertext>> {
        let together = self.diagonals_together();
        let mut power = self.height() / together;
        let mut parts = vec![packed];
        while power < self.height() {
            let (mut even, mut odd) = (Vec::new(), Vec::new());
            for part in parts {
                let turned = m.rotate(&part, (self.slots / (2 * power)) as isize)?;
                let doubled = 2.0 * m.scale(&part);
                let sum = m.add(&part, &turned)?;
                let difference = m.mul_monomial(&m.sub(&part, &turned)?, 4 * self.slots - power);
                even.push(m.with_scale(&sum, doubled));
                odd.push(m.with_scale(&difference, doubled));
            }
            // Bit i of the index of a part says odd or even at split i.
            even.append(&mut odd);
            parts = even;
            power *= 2;
        }
        Ok(parts)
    }

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
                Some(offsets.iter().map(|z| self.negative_cubic(m, z, step, label_scale)).collect::<Result<Vec<_>>>()?)
            }
            _ => None,
        };
        (0..self.weight_ciphertexts())
            .map(|w| {
                let babies = match weights {
                    Some(weights) => {
                        let steps: Vec<isize> = (0..self.babies() as isize).collect();
                        Some(m.rotate_hoisted(&weights[w], &steps)?)
                    }
                    None => None,
                };
                let mut residuals = Vec::with_capacity(self.blocks());
                for block in 0..self.blocks() {
                    let labels = &data.labels[w][block];
                    let cubic = match (&babies, &shared) {
                        (Some(babies), _) => {
                            let z = self.forward(m, data, block, babies, step)?;
                            Some(self.negative_cubic(m, &z, step, m.scale(labels) * step.raise)?)
                        }
                        (None, Some(shared)) => Some(shared[block].clone()),
                        (None, None) => None,
                    };
                    residuals.push(self.residual(m, labels, cubic, step)?);
                }
                self.backward(m, data, &residuals, step)
            })
            .collect()
    }

    /// Logits z_A + i z_C of a block at m < B; elsewhere partial sums that the cubic's mask removes.
    fn forward<M: Arithmetic>(
        &self,
        m: &M,
        data: &Prepared<M::Ciphertext>,
        block: usize,
        babies: &[M::Ciphertext],
        step: &GradientStep,
    ) -> Result<M::Ciphertext> {
        let mut sum: Option<M::Ciphertext> = None;
        for giant in data.diagonals[block].chunks(self.babies()).rev() {
            let pairs: Vec<_> = giant.iter().zip(babies).collect();
            let part = m.relinearize_rescale(&m.dot(&pairs)?)?;
            sum = Some(match sum {
                Some(sum) => m.add(&part, &m.rotate(&sum, self.babies() as isize)?)?,
                None => part,
            });
        }
        let mut z =
            m.fold(&sum.expect("there is at least one giant step"), self.block as isize, self.width / self.block)?;
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

    /// sum over blocks of R^T x^, open: its real part, summed over row groups, is the gradient.
    fn backward<M: Arithmetic>(
        &self,
        m: &M,
        data: &Prepared<M::Ciphertext>,
        residuals: &[M::Ciphertext],
        step: &GradientStep,
    ) -> Result<M::Ciphertext> {
        let babies = self.babies();
        let steps: Vec<isize> = (0..self.giants as isize).map(|g| -g * babies as isize).collect();
        let turned = residuals.iter().map(|r| m.rotate_hoisted(r, &steps)).collect::<Result<Vec<_>>>()?;
        let mut sum: Option<M::Ciphertext> = None;
        for b in (0..babies).rev() {
            let pairs: Vec<_> = turned
                .iter()
                .zip(&data.diagonals)
                .flat_map(|(turned, diagonals)| (0..self.giants).map(move |g| (&diagonals[g * babies + b], &turned[g])))
                .collect();
            let product = m.dot(&pairs)?;
            let part = if step.last { m.relinearize(&product)? } else { m.relinearize_rescale(&product)? };
            m.expect_magnitude(&part, weight_rms(self.shape, 1));
            sum = Some(match sum {
                Some(sum) => m.add(&part, &m.rotate(&sum, -1)?)?,
                None => part,
            });
        }
        let gradient = sum.expect("there is at least one baby step");
        m.expect_magnitude(&gradient, weight_rms(self.shape, 1));
        Ok(gradient)
    }
}
