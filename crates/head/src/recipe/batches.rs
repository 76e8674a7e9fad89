//! Minibatches: the rows that the gradient of an iteration is taken of.
//!
//! A recipe with minibatches of at most b rows cuts n rows into m = ceil(n / b) batches of n / m rows, to one row.
//! Iteration t takes batch (t - 1) mod m, so m iterations are an epoch. Which row is where is drawn anew from nothing but
//! n, so that tables that are sorted by class are mixed; everyone who knows n knows it.

use std::ops::Range;

use crate::shuffle::SplitMix;

/// How so many rows are cut into batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batches {
    rows: usize,
    count: usize,
}

impl Batches {
    /// Batches of at most `most` rows, one or more; one of all rows without it.
    ///
    /// # Panics
    ///
    /// If batches of no rows are asked for.
    pub fn new(rows: usize, most: Option<usize>) -> Self {
        Self { rows, count: most.map_or(1, |most| rows.div_ceil(most)).max(1) }
    }

    /// One batch of all rows.
    pub fn whole(rows: usize) -> Self {
        Self { rows, count: 1 }
    }

    /// n.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// Rows of the largest batch.
    pub fn most_rows(self) -> usize {
        self.rows.div_ceil(self.count)
    }

    /// m.
    pub fn count(self) -> usize {
        self.count
    }

    /// n / m, as rates have it.
    pub fn mean_rows(self) -> f64 {
        self.rows as f64 / self.count as f64
    }

    /// The batch of iteration `t`, from 1.
    pub fn of_iteration(self, t: usize) -> usize {
        (t - 1) % self.count
    }

    /// Places of a batch among the mixed rows.
    pub fn places(self, batch: usize) -> Range<usize> {
        let start = |batch: usize| (self.rows as u128 * batch as u128 / self.count as u128) as usize;
        start(batch)..start(batch + 1)
    }

    /// The row at every place; `None` where there is one batch, which has every row at its own.
    pub fn order(self) -> Option<Vec<usize>> {
        (self.count > 1).then(|| SplitMix::new(self.rows as u64).choose((0..self.rows).collect(), self.rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_batch_and_batches_are_of_one_size() {
        for (rows, most) in [(1, 1), (7, 3), (60_000, 4096), (8193, 4096), (5, 2), (1000, 1)] {
            let batches = Batches::new(rows, Some(most));
            let sizes: Vec<usize> = (0..batches.count()).map(|batch| batches.places(batch).len()).collect();
            assert_eq!(sizes.iter().sum::<usize>(), rows);
            let (least, largest) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            assert!(*largest <= most && largest - least <= 1 && *least >= 1, "{rows} by {most}: {sizes:?}");
            let mut order = batches.order().unwrap_or_else(|| (0..rows).collect());
            assert!(rows < 7 || order.is_sorted() == (batches.count() == 1), "rows of several batches are mixed");
            order.sort_unstable();
            assert!(order.into_iter().eq(0..rows));
            assert_eq!(batches.of_iteration(batches.count() + 1), 0, "after an epoch the first comes again");
        }
    }

    #[test]
    fn without_batches_there_is_one_with_every_row_in_its_place() {
        for most in [None, Some(50), Some(51)] {
            let batches = Batches::new(50, most);
            assert_eq!((batches.count(), batches.places(0), batches.order()), (1, 0..50, None));
        }
    }
}
