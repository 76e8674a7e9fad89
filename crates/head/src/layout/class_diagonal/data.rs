//! The server's data: diagonals, labels and offsets of a block, from the upload or taken apart once.

use std::ops::Range;

use super::*;

/// Parts of an expansion that are taken further apart at a time.
const CHAINS: usize = 4;

/// The upload, ready.
pub struct Prepared<C, U> {
    upload: U,
    /// `[block][t]`, t = g babies + b, where several diagonals travel together; else each is in the upload by itself.
    expanded: Option<Vec<Vec<C>>>,
    /// Level and scale of the labels.
    labels: (usize, f64),
    /// Whether there is a row offset.
    pub(super) offset: bool,
}

impl ClassDiagonal {
    pub(super) fn prepare_upload<M: Arithmetic, U: Upload<M::Ciphertext>>(
        &self,
        m: &M,
        mut upload: U,
    ) -> Result<Prepared<M::Ciphertext, U>> {
        let places = |offset| self.upload_count(offset).unwrap_or(usize::MAX);
        let (found, expected) = (upload.count(), places(false));
        let offset = found == places(true);
        if !offset && found != expected {
            return Err(ciphertune_ckks::Error::Length { found, expected });
        }
        let expanded = match self.top() {
            TopAxis::Classes => {
                let per_block = self.uploads_per_block();
                let block = |block: usize| {
                    let places: Vec<usize> = (block * per_block..(block + 1) * per_block).collect();
                    let packed = upload.take(&places, usize::MAX)?;
                    let parts = packed.into_iter().map(|packed| self.expand(m, packed));
                    Ok(parts.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
                };
                Some((0..self.blocks()).map(block).collect::<Result<_>>()?)
            }
            TopAxis::Rows | TopAxis::Mixed => None,
        };
        let first = upload.fetch(&[self.label_place(0, 0)], usize::MAX)?;
        let labels = first.first().map_or((0, 0.0), |labels| (m.level(labels), m.scale(labels)));
        Ok(Prepared { upload, expanded, labels, offset })
    }

    /// Where in the upload the labels of a block for a weight ciphertext are.
    fn label_place(&self, weights: usize, block: usize) -> usize {
        self.blocks() * self.uploads_per_block() + weights * self.blocks() + block
    }

    /// Coefficient expansion (Angel, Chen, Laine, Setty 2018): the sum of X^(stride j) p_j(X^A) into the p_j, packed.
    ///
    /// The rotation by slots / 2^(i+1) maps X^k to -X^k for odd multiples k of 2^i and keeps all X^k of multiples of
    /// 2^(i+1), so sum and difference split even from odd. Every split doubles the values, which the scale takes up.
    /// One key switch less than there are parts.
    fn expand<M: Arithmetic>(&self, m: &M, packed: M::Ciphertext) -> Result<Vec<M::Ciphertext>> {
        self.split(m, packed, self.height() / self.diagonals_together(), CHAINS)
    }

    /// The coefficients of X^power and its multiples, in so many chains side by side. Each goes on depth first and one
    /// half after the other: few parts are in hand at a time.
    fn split<M: Arithmetic>(
        &self,
        m: &M,
        part: M::Ciphertext,
        power: usize,
        chains: usize,
    ) -> Result<Vec<M::Ciphertext>> {
        if power == self.height() {
            return Ok(vec![m.packed(&part)]);
        }
        let halves = {
            let turned = m.rotate(&part, (self.slots / (2 * power)) as isize)?;
            let doubled = 2.0 * m.scale(&part);
            let sum = m.add(&part, &turned)?;
            let difference = m.mul_monomial(&m.sub(&part, &turned)?, 4 * self.slots - power);
            vec![m.with_scale(&sum, doubled), m.with_scale(&difference, doubled)]
        };
        drop(part);
        let split = |half| self.split(m, half, 2 * power, chains / 2);
        let parts: Vec<_> =
            if chains > 1 { m.each(halves, split)? } else { halves.into_iter().map(split).collect::<Result<_>>()? };
        // The lowest bit of a part's place says even or odd at this split.
        let places = parts.iter().map(Vec::len).sum::<usize>();
        let mut parts: Vec<_> = parts.into_iter().map(Vec::into_iter).collect();
        Ok((0..places).filter_map(|place| parts[place % 2].next()).collect())
    }

    /// Ciphertexts that several processors may have in hand in an expansion beyond those of a single one.
    pub(crate) fn expanding_beside(&self) -> usize {
        let together = self.diagonals_together();
        let chains = CHAINS.min(together);
        // One that is pending at each further split, and the operands of one.
        (chains - 1) * ((together / chains).ilog2() as usize + 3)
    }
}

impl<C: Clone, U: Upload<C>> Prepared<C, U> {
    /// What the data come from.
    pub(super) fn upload(&self) -> &U {
        &self.upload
    }

    /// The level that labels were uploaded at.
    pub(super) fn label_level(&self) -> usize {
        self.labels.0
    }

    /// The scale that labels were uploaded at.
    pub(super) fn label_scale(&self) -> f64 {
        self.labels.1
    }

    /// Diagonals (block, t), at `level` or above.
    pub(super) fn diagonals(
        &self,
        layout: &ClassDiagonal,
        places: impl Iterator<Item = (usize, usize)>,
        level: usize,
    ) -> Result<Vec<C>> {
        match &self.expanded {
            Some(expanded) => Ok(places.map(|(block, t)| expanded[block][t].clone()).collect()),
            None => self.upload.fetch(&places.map(|(block, t)| block * layout.block + t).collect::<Vec<_>>(), level),
        }
    }

    /// The labels of a block for some weight ciphertexts, at `level` or above.
    pub(super) fn labels(
        &self,
        layout: &ClassDiagonal,
        weights: Range<usize>,
        block: usize,
        level: usize,
    ) -> Result<Vec<C>> {
        self.upload.fetch(&weights.map(|weights| layout.label_place(weights, block)).collect::<Vec<_>>(), level)
    }

    /// The row offset of a block, at `level` or above.
    pub(super) fn offset(&self, layout: &ClassDiagonal, block: usize, level: usize) -> Result<C> {
        let place = layout.label_place(layout.weight_ciphertexts(), block);
        let found = self.upload.fetch(&[place], level)?.pop();
        found.ok_or(ciphertune_ckks::Error::Length { found: self.upload.count(), expected: place + 1 })
    }
}
