//! Splitting a table into rows to train on and rows to test on.

use super::FeatureTable;
use crate::error::{HeadError, Result};
use crate::shuffle::SplitMix;
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
        let mut numbers = SplitMix::new(seed);
        let mut test = Vec::new();
        for rows in by_class.into_values() {
            let held_out = (fraction * rows.len() as f64).round() as usize;
            let held_out = held_out.min(rows.len() - 1);
            test.extend(numbers.choose(rows, held_out));
        }
        if test.is_empty() {
            return Err(empty);
        }
        test.sort_unstable();
        let train: Vec<usize> = (0..self.rows()).filter(|row| test.binary_search(row).is_err()).collect();
        Ok((train, test))
    }
}
