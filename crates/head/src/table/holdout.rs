//! Splitting a table into rows to train on and rows to test on.

use super::FeatureTable;
use crate::error::{HeadError, Result};
use std::collections::BTreeMap;

impl FeatureTable {
    /// Holds out a share of every class's rows for testing: (training rows, test rows), both in the table's order.
    ///
    /// The same table, fraction and seed give the same split. A class of n rows gives round(fraction n) of them, and
    /// keeps at least one for training.
    ///
    /// # Errors
    ///
    /// [`HeadError::NoLabels`]; [`HeadError::EmptyHoldout`] for a fraction outside (0, 1), or one that holds out no
    /// row.
    pub fn split_holdout(&self, fraction: f64, seed: u64) -> Result<(Self, Self)> {
        let (train, test) = self.holdout_rows(fraction, seed)?;
        Ok((self.select(&train), self.select(&test)))
    }

    /// The rows, counted from 0, of [`FeatureTable::split_holdout`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn holdout_rows(&self, fraction: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>)> {
        let labels = self.require_labels()?;
        let empty = HeadError::EmptyHoldout { fraction, rows: self.rows() };
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(empty);
        }
        let mut by_class: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (row, label) in labels.iter().enumerate() {
            by_class.entry(label).or_default().push(row);
        }
        let mut numbers = SplitMix(seed);
        let mut test = Vec::new();
        for mut rows in by_class.into_values() {
            let held_out = (fraction * rows.len() as f64).round() as usize;
            let held_out = held_out.min(rows.len() - 1);
            // The first part of a Fisher-Yates shuffle.
            for slot in 0..held_out {
                let other = slot + numbers.below(rows.len() - slot);
                rows.swap(slot, other);
            }
            test.extend_from_slice(&rows[..held_out]);
        }
        if test.is_empty() {
            return Err(empty);
        }
        test.sort_unstable();
        let train: Vec<usize> = (0..self.rows()).filter(|row| test.binary_search(row).is_err()).collect();
        Ok((train, test))
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): a reproducible shuffle needs no more, and secrets never come from it.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; the bias of at most bound / 2^64 does not matter here.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}
