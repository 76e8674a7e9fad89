//! The check of a release: is the head clearly better than always saying one class?
//!
//! A server that deviates can return any ciphertext of the right level and scale as the model, an uploaded row of
//! features among them; published, it would show what was encrypted. Such a head says next to nothing about the rows'
//! classes. So before a head is shown, it is scored on rows that the owner knows.
//!
//! Of n rows, of which the most frequent class has the share p, a head that always says that class has as many right
//! as a binomial variable X ~ B(n, p). A head with r rows right passes if P(X >= r) <= 1/1,000, exactly computed.

use crate::{FeatureTable, Head, HeadError, Result, metrics};

/// The largest P(X >= r) that passes.
const SIGNIFICANCE: f64 = 1e-3;

/// A passed check.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Rows whose class the head said.
    pub right: usize,
    /// All rows.
    pub rows: usize,
    /// The class that most rows are of.
    pub most_frequent: String,
    /// The rows of that class: always saying it would have so many right.
    pub most_frequent_rows: usize,
}

impl Check {
    /// Scores a head on rows with labels.
    ///
    /// # Errors
    ///
    /// [`HeadError::NotBetter`] if it does not pass; as [`Head::evaluate`] for a table that is not one to score
    /// this head on.
    pub(super) fn of(head: &Head, rows: &FeatureTable) -> Result<Self> {
        let check = Self::score(head, rows)?;
        if check.is_passed() {
            return Ok(check);
        }
        let Self { right, rows, most_frequent, most_frequent_rows } = check;
        Err(HeadError::NotBetter { right, rows, most_frequent, most_frequent_rows })
    }

    fn score(head: &Head, rows: &FeatureTable) -> Result<Self> {
        head.check(rows)?;
        let classes = head.classes();
        let truth = classes.indices(rows.require_labels()?)?;
        let right = metrics::rows_right(&head.logits(rows.features())?, &truth);
        let mut counts = vec![0; classes.len()];
        for &class in &truth {
            counts[class] += 1;
        }
        let (place, &most_frequent_rows) =
            counts.iter().enumerate().max_by_key(|&(_, count)| count).expect("a head has two classes or more");
        let most_frequent = classes.names()[place].clone();
        Ok(Self { right, rows: truth.len(), most_frequent, most_frequent_rows })
    }

    fn is_passed(&self) -> bool {
        let share = self.most_frequent_rows as f64 / self.rows as f64;
        upper_tail(self.rows, share, self.right) <= SIGNIFICANCE
    }
}

/// P(X >= r) for X ~ B(n, p), 0 < p <= 1: the sum of the terms from r on. Below the mean, where it is no small number
/// anyway, 1.
fn upper_tail(n: usize, p: f64, r: usize) -> f64 {
    if r as f64 <= n as f64 * p {
        return 1.0;
    }
    // r > n p, so p < 1: logarithms and the ratio are finite. ln C(n, r) + r ln p + (n - r) ln(1 - p).
    let ln_choose: f64 = (1..=n - r).map(|i| (((r + i) as f64) / i as f64).ln()).sum();
    let mut term = (ln_choose + r as f64 * p.ln() + (n - r) as f64 * (-p).ln_1p()).exp();
    let mut tail = 0.0;
    for x in r..=n {
        tail += term;
        term *= (n - x) as f64 / (x + 1) as f64 * (p / (1.0 - p));
    }
    tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_those_of_the_binomial_distribution() {
        let close = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
        close(upper_tail(10, 0.5, 10), 1.0 / 1024.0);
        close(upper_tail(10, 0.5, 9), 11.0 / 1024.0);
        close(upper_tail(10, 0.5, 6), 386.0 / 1024.0);
        close(upper_tail(4, 0.25, 2), 1.0 - 0.75f64.powi(4) - 0.75f64.powi(3));
        close(upper_tail(3, 1.0 / 3.0, 3), 1.0 / 27.0);
        assert_eq!(upper_tail(10, 0.5, 5), 1.0);
        assert_eq!(upper_tail(7, 1.0, 7), 1.0);
        // Far out, and of many rows, nothing overflows.
        assert_eq!(upper_tail(1_000_000, 0.1, 900_000), 0.0);
        close(upper_tail(300, 0.1, 300), 1e-300);
    }

    fn check(right: usize, rows: usize, most_frequent_rows: usize) -> Check {
        Check { right, rows, most_frequent: "a".into(), most_frequent_rows }
    }

    #[test]
    fn a_head_passes_if_one_class_explains_its_rows_once_in_a_thousand_times() {
        // Tails, from exact sums: P(X >= 43) = 0.00073, P(X >= 42) = 0.0013 for B(256, 26/256).
        assert!(check(43, 256, 26).is_passed() && !check(42, 256, 26).is_passed());
        // 1/1024 of ten rows.
        assert!(check(10, 10, 5).is_passed() && !check(9, 10, 5).is_passed());
        // One class only, or what that class alone explains.
        assert!(!check(50, 50, 50).is_passed() && !check(95, 100, 95).is_passed() && !check(0, 100, 10).is_passed());
    }
}
