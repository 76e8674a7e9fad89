//! The server's side of the class-diagonal layout: forward pass, residuals, backward pass.
//!
//! A gradient takes the data of its batch block by block: forward for the block's residual, backward with it, and on to the next.
//! Backward products are summed over blocks before they are relinearised, so nothing that is held grows with the rows.

use std::ops::Range;

use super::sigmoid::Masks;
use super::*;
use crate::layout::upload::Working;
use crate::layout::weight_rms;

/// Levels of the forward pass.
pub(super) const FORWARD_LEVELS: usize = 1;
/// Levels of the backward pass.
pub(super) const BACKWARD_LEVELS: usize = 1;

/// How much of a gradient is in hand at a time, so that it fits into the memory that there is.
struct Hand {
    /// The weight ciphertexts, in so many parts; the data are read once for each.
    parts: usize,
    /// The blocks of the batch.
    batch: Range<usize>,
    /// Blocks whose residuals are held, for backward products that are summed at once.
    blocks: usize,
    /// Level of the weights, or of the data where there are none.
    level: usize,
    /// Level of the residuals.
    residual_level: usize,
    /// See [`Upload::working`].
    working: Working,
    masks: Masks,
}

impl Hand {
    /// How many rows of a matrix product are made at once, given the bytes of the products and of the data of one.
    fn at_once(&self, products: usize, data: usize) -> usize {
        (self.working.products / products).min(self.working.data / data).max(1)
    }
}

impl ClassDiagonal {
    /// One open gradient a weight ciphertext. The source of the data is asked from one thread at a time.
    pub(super) fn open_gradient<M: Arithmetic, U: Upload<M::Ciphertext>>(
        &self,
        m: &M,
        data: &Prepared<M::Ciphertext, U>,
        weights: Option<&[M::Ciphertext]>,
        step: &GradientStep,
    ) -> Result<Vec<M::Ciphertext>> {
        let hand = self.hand(m, data, weights, step);
        if weights.is_some() {
            data.upload().lower(hand.level);
        }
        let count = self.weight_ciphertexts();
        let mut gradient = Vec::with_capacity(count);
        for part in 0..hand.parts {
            let range = part * count / hand.parts..(part + 1) * count / hand.parts;
            gradient.extend(self.open_gradients(m, data, weights, step, range, &hand)?);
        }
        Ok(gradient)
    }

    /// As many weight ciphertexts at a time as there is memory for, so that the data are read for all of them at once;
    /// then as many blocks.
    fn hand<M: Arithmetic, U: Upload<M::Ciphertext>>(
        &self,
        m: &M,
        data: &Prepared<M::Ciphertext, U>,
        weights: Option<&[M::Ciphertext]>,
        step: &GradientStep,
    ) -> Hand {
        let (count, blocks, working) = (self.weight_ciphertexts(), self.batch_blocks(), data.upload().working());
        let first = step.batch % self.batches.count() * blocks;
        let level = weights.map_or(data.label_level(), |weights| m.level(&weights[0]));
        let residual_level = match weights {
            Some(_) => level.saturating_sub(FORWARD_LEVELS + self.degree.levels()),
            None => level,
        };
        // Of one weight ciphertext: its rotations, a block's turned residuals, the sums of backward products of earlier
        // blocks.
        let rotations = if weights.is_some() { self.babies() * bytes(m, level, 2) } else { 0 };
        let (turned, sums) = (self.giants * bytes(m, residual_level, 2), self.babies() * bytes(m, residual_level, 3));
        let least = rotations + (blocks * turned).min(turned + sums);
        let parts = count.div_ceil((working.held / least).clamp(1, count));
        let each = working.held / count.div_ceil(parts);
        let blocks = match rotations + blocks * turned <= each {
            true => blocks,
            false => (each.saturating_sub(rotations + sums) / turned).clamp(1, blocks),
        };
        let masks = self.masks(step);
        Hand { parts, batch: first..first + self.batch_blocks(), blocks, level, residual_level, working, masks }
    }

    /// The open gradients of a range of the weight ciphertexts.
    fn open_gradients<M: Arithmetic, U: Upload<M::Ciphertext>>(
        &self,
        m: &M,
        data: &Prepared<M::Ciphertext, U>,
        weights: Option<&[M::Ciphertext]>,
        step: &GradientStep,
        range: Range<usize>,
        hand: &Hand,
    ) -> Result<Vec<M::Ciphertext>> {
        let baby_steps: Vec<isize> = (0..self.babies() as isize).collect();
        let mut babies = match weights {
            Some(weights) => Some(m.each(range.clone().collect(), |w| m.rotate_hoisted(&weights[w], &baby_steps))?),
            None => None,
        };
        let giant_steps: Vec<isize> = (0..self.giants as isize).map(|g| -g * self.babies() as isize).collect();
        let mut backward = Backward::new(self, m, range.len());
        for first in hand.batch.clone().step_by(hand.blocks) {
            let blocks = first..(first + hand.blocks).min(hand.batch.end);
            let mut turned: Vec<Vec<M::Ciphertext>> = range.clone().map(|_| Vec::new()).collect();
            for block in blocks.clone() {
                let residuals = self.residuals(m, data, block, babies.as_deref(), step, range.clone(), hand)?;
                let residuals = m.each(residuals, |residual| m.rotate_hoisted(&residual, &giant_steps))?;
                turned.iter_mut().zip(residuals).for_each(|(turned, residuals)| turned.extend(residuals));
            }
            if blocks.end == hand.batch.end {
                babies = None;
            }
            backward.add(data, blocks, &turned, step, hand)?;
        }
        let gradients = backward.finish();
        gradients.iter().for_each(|gradient| m.expect_magnitude(gradient, step.stride * weight_rms(self.shape, 1)));
        Ok(gradients)
    }

    /// R_A - i R_C of a block, one a weight ciphertext of the range.
    #[expect(clippy::too_many_arguments, reason = "all that a block's pass depends on")]
    fn residuals<M: Arithmetic, U: Upload<M::Ciphertext>>(
        &self,
        m: &M,
        data: &Prepared<M::Ciphertext, U>,
        block: usize,
        babies: Option<&[Vec<M::Ciphertext>]>,
        step: &GradientStep,
        range: Range<usize>,
        hand: &Hand,
    ) -> Result<Vec<M::Ciphertext>> {
        let label_scale = data.label_scale() * step.raise;
        let offset_level = babies.map_or(usize::MAX, |_| hand.level - FORWARD_LEVELS + 1);
        let offset = if data.offset { Some(data.offset(self, block, offset_level)?) } else { None };
        let labels = data.labels(self, range.clone(), block, hand.residual_level)?;
        let Some(babies) = babies else {
            // Without weights the sigmoid depends on the offset alone and is the same for every weight ciphertext.
            let sigmoid = offset.map(|z| self.negative_sigmoid(m, &z, step, label_scale, &hand.masks)).transpose()?;
            return m.each(labels, |labels| self.residual(m, labels, sigmoid.clone(), step));
        };
        let sums = self.forward(m, data, block, babies, hand)?;
        m.each(labels.into_iter().zip(sums).collect(), |(labels, sum)| {
            let z = self.logits(m, offset.as_ref(), &sum, step)?;
            let sigmoid = self.negative_sigmoid(m, &z, step, label_scale, &hand.masks)?;
            self.residual(m, labels, Some(sigmoid), step)
        })
    }

    /// Sums over giant and baby steps of a block's diagonals and turned weights, not folded yet, for every weight
    /// ciphertext.
    fn forward<M: Arithmetic, U: Upload<M::Ciphertext>>(
        &self,
        m: &M,
        data: &Prepared<M::Ciphertext, U>,
        block: usize,
        babies: &[Vec<M::Ciphertext>],
        hand: &Hand,
    ) -> Result<Vec<M::Ciphertext>> {
        let columns: Vec<Vec<&M::Ciphertext>> = babies.iter().map(|column| column.iter().collect()).collect();
        let giants_at_once =
            hand.at_once(bytes(m, hand.level, 3 * columns.len()), bytes(m, hand.level, 2 * self.babies()));
        let mut nested: Vec<Option<M::Ciphertext>> = columns.iter().map(|_| None).collect();
        let giants: Vec<usize> = (0..self.giants).rev().collect();
        for giants in giants.chunks(giants_at_once) {
            let places = |g: &usize| (g * self.babies()..(g + 1) * self.babies()).map(|t| (block, t));
            let diagonals = data.diagonals(self, giants.iter().flat_map(places), hand.level)?;
            let rows: Vec<Vec<&M::Ciphertext>> =
                diagonals.chunks(self.babies()).map(|giant| giant.iter().collect()).collect();
            let rescale = giants.contains(&0);
            nested = self.nest(m, nested, m.dot_many(&rows, &columns)?, self.babies() as isize, rescale)?;
        }
        Ok(whole(nested))
    }

    /// Nests (Horner) the rows of products, for every column: each sum is turned by `step` once more before the next
    /// row is added. Sums stay at the products' scale, so that every step is one division, until the last of these rows
    /// rescales them if that is asked for.
    fn nest<M: Arithmetic>(
        &self,
        m: &M,
        sums: Vec<Option<M::Ciphertext>>,
        rows: Vec<Vec<M::Product>>,
        step: isize,
        rescale: bool,
    ) -> Result<Vec<Option<M::Ciphertext>>> {
        // From one list a row to one list a column.
        let mut products: Vec<Vec<M::Product>> = sums.iter().map(|_| Vec::with_capacity(rows.len())).collect();
        for row in rows {
            products.iter_mut().zip(row).for_each(|(column, product)| column.push(product));
        }
        m.each(sums.into_iter().zip(products).collect(), |(mut sum, products)| {
            let count = products.len();
            for (index, product) in products.into_iter().enumerate() {
                let rescale = rescale && index + 1 == count;
                sum = Some(match sum {
                    Some(sum) => m.relinearize_add_rotated(&product, &sum, step, rescale)?,
                    None if rescale => m.relinearize_rescale(&product)?,
                    None => m.relinearize(&product)?,
                });
            }
            Ok(sum)
        })
    }

    /// Logits z_A + i z_C of a block at m < B; elsewhere partial sums that the sigmoid's mask removes.
    fn logits<M: Arithmetic>(
        &self,
        m: &M,
        offset: Option<&M::Ciphertext>,
        sum: &M::Ciphertext,
        step: &GradientStep,
    ) -> Result<M::Ciphertext> {
        let mut z = m.fold(sum, self.block as isize, self.width / self.block)?;
        if let Some(offset) = offset {
            z = m.add(&z, &m.mul_scalar_to(offset, 1.0, m.level(&z), m.scale(&z))?)?;
        }
        m.expect_magnitude(&z, step.sigmoid.range() / 2.0);
        Ok(z)
    }

    /// R_A - i R_C over the whole feature axis: the sigmoid spread out, plus the labels, which were uploaded spread.
    fn residual<M: Arithmetic>(
        &self,
        m: &M,
        labels: M::Ciphertext,
        sigmoid: Option<M::Ciphertext>,
        step: &GradientStep,
    ) -> Result<M::Ciphertext> {
        let spread =
            sigmoid.map(|sigmoid| m.fold(&sigmoid, -(self.block as isize), self.width / self.block)).transpose()?;
        let labels = match spread.as_ref().map(|spread| m.level(spread)) {
            Some(level) if level < m.level(&labels) => m.drop_to(&labels, level)?,
            _ => labels,
        };
        let labels = m.mul_scalar(&labels, 1.0, step.raise)?;
        let labels = m.with_scale(&labels, m.scale(&labels) * step.first_rate / step.rate);
        let residual = match spread {
            Some(spread) => m.add(&spread, &labels)?,
            None => labels,
        };
        m.expect_magnitude(&residual, 0.5 * step.rate);
        Ok(residual)
    }
}

/// The backward pass under way: the sum over blocks of R^T x^, open; its real part, summed over row groups, is the
/// gradient.
struct Backward<'a, M: Arithmetic> {
    m: &'a M,
    layout: &'a ClassDiagonal,
    /// `[baby step, the last first][weight ciphertext]`: sums of the products of earlier blocks.
    sums: Vec<Vec<M::Product>>,
    /// One a weight ciphertext, once the last blocks are in.
    nested: Vec<Option<M::Ciphertext>>,
}

impl<'a, M: Arithmetic> Backward<'a, M> {
    fn new(layout: &'a ClassDiagonal, m: &'a M, weights: usize) -> Self {
        Self { m, layout, sums: Vec::new(), nested: (0..weights).map(|_| None).collect() }
    }

    /// Adds some blocks, whose `turned` residuals are one list a weight ciphertext. With the last block the sums are
    /// nested.
    fn add<U: Upload<M::Ciphertext>>(
        &mut self,
        data: &Prepared<M::Ciphertext, U>,
        blocks: Range<usize>,
        turned: &[Vec<M::Ciphertext>],
        step: &GradientStep,
        hand: &Hand,
    ) -> Result<()> {
        let (m, layout, babies) = (self.m, self.layout, self.layout.babies());
        let columns: Vec<Vec<&M::Ciphertext>> = turned.iter().map(|column| column.iter().collect()).collect();
        let terms = blocks.len() * layout.giants;
        let level = hand.residual_level;
        let babies_at_once = hand.at_once(bytes(m, level, 3 * columns.len()), bytes(m, level, 2 * terms));
        let last = blocks.end == hand.batch.end;
        let mut before = std::mem::take(&mut self.sums).into_iter();
        let steps: Vec<usize> = (0..babies).rev().collect();
        for steps in steps.chunks(babies_at_once) {
            let giants = |block| (0..layout.giants).map(move |g| (block, g * babies));
            let places =
                steps.iter().flat_map(|b| blocks.clone().flat_map(giants).map(move |(block, t)| (block, t + b)));
            let diagonals = data.diagonals(layout, places, hand.residual_level)?;
            let rows: Vec<Vec<&M::Ciphertext>> = diagonals.chunks(terms).map(|row| row.iter().collect()).collect();
            let mut products = m.dot_many(&rows, &columns)?;
            drop(rows);
            drop(diagonals);
            if blocks.start > hand.batch.start {
                let pairs = products.into_iter().zip(before.by_ref()).collect();
                products = m.each(pairs, |(products, sums)| {
                    products.iter().zip(&sums).map(|(product, sum)| m.add_products(sum, product)).collect()
                })?;
            }
            if last {
                let nested = std::mem::take(&mut self.nested);
                self.nested = layout.nest(m, nested, products, -1, !step.last && steps.contains(&0))?;
            } else {
                self.sums.append(&mut products);
            }
        }
        Ok(())
    }

    fn finish(self) -> Vec<M::Ciphertext> {
        whole(self.nested)
    }
}

fn whole<C>(sums: Vec<Option<C>>) -> Vec<C> {
    sums.into_iter().map(|sum| sum.expect("there is at least one step")).collect()
}

/// Bytes of so many polynomials at a level.
fn bytes<M: Arithmetic>(m: &M, level: usize, polynomials: usize) -> usize {
    polynomials * (level + 1) * 2 * m.slots() * size_of::<u64>()
}
