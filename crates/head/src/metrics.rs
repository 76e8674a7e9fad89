//! How good a head is: accuracy, the paper's score, log-likelihood, confusion.
//!
//! All functions take logits, rows x classes, and the true class index of every row.

use nalgebra::DMatrix;
use serde::Serialize;

/// The class with the largest logit in every row; the first of equals.
pub fn predicted_classes(logits: &DMatrix<f64>) -> Vec<usize> {
    let largest = |row: nalgebra::MatrixView<'_, f64, nalgebra::U1, nalgebra::Dyn, nalgebra::U1, nalgebra::Dyn>| {
        let mut best = 0;
        for (class, &logit) in row.iter().enumerate() {
            if logit > row[best] {
                best = class;
            }
        }
        best
    };
    logits.row_iter().map(largest).collect()
}

/// The share of rows whose class is predicted, in [0, 1]; 0 for no rows.
pub fn accuracy(logits: &DMatrix<f64>, truth: &[usize]) -> f64 {
    rows_right(logits, truth) as f64 / truth.len().max(1) as f64
}

/// Where the accuracy on all rows of the same kind lies, with 95 % confidence, if `right` of `rows` were right (Wilson,
/// 1927): the shares p with |right / rows - p| <= z sqrt(p (1 - p) / rows), z = 1.96. Nothing is known from no rows:
/// (0, 1).
pub fn accuracy_interval(right: usize, rows: usize) -> (f64, f64) {
    if rows == 0 {
        return (0.0, 1.0);
    }
    let (n, z) = (rows as f64, 1.959_963_984_540_054_f64);
    let share = right as f64 / n;
    let centre = share + z * z / (2.0 * n);
    let radius = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + z * z / n;
    (((centre - radius) / whole).max(0.0), ((centre + radius) / whole).min(1.0))
}

/// The number of rows whose class is predicted.
pub fn rows_right(logits: &DMatrix<f64>, truth: &[usize]) -> usize {
    predicted_classes(logits).iter().zip(truth).filter(|(predicted, truth)| predicted == truth).count()
}

/// The paper's score: sum_ij ln |sigma(z_ij) - 1 + y_ij| with the true sigmoid; 0 is perfect, all others are negative.
///
/// That is ln sigma(z) where y = 1 and ln sigma(-z) where y = 0, and is computed so: no logit gives an infinity.
pub fn squared_likelihood_error(logits: &DMatrix<f64>, truth: &[usize]) -> f64 {
    let term = |row: usize, class: usize| {
        let z = logits[(row, class)];
        if truth[row] == class { log_sigmoid(z) } else { log_sigmoid(-z) }
    };
    (0..truth.len().min(logits.nrows())).map(|row| (0..logits.ncols()).map(|class| term(row, class)).sum::<f64>()).sum()
}

/// The log-likelihood under a softmax over the classes: sum_i z_(i, y_i) - ln sum_j exp z_ij.
pub fn log_likelihood(logits: &DMatrix<f64>, truth: &[usize]) -> f64 {
    let row = |(row, &class): (nalgebra::RowDVector<f64>, &usize)| {
        let largest = row.max();
        let sum: f64 = row.iter().map(|z| (z - largest).exp()).sum();
        row[class] - largest - sum.ln()
    };
    logits.row_iter().map(|row| row.into_owned()).zip(truth).map(row).sum()
}

/// Rows by true class (first index) and predicted class (second index).
pub fn confusion(logits: &DMatrix<f64>, truth: &[usize]) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; logits.ncols()]; logits.ncols()];
    for (predicted, &truth) in predicted_classes(logits).into_iter().zip(truth) {
        counts[truth][predicted] += 1;
    }
    counts
}

/// All scores of a head on one table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Rows scored.
    pub rows: usize,
    /// Rows whose class was predicted.
    pub right: usize,
    /// `right / rows`.
    pub accuracy: f64,
    /// [`squared_likelihood_error`].
    pub sle: f64,
    /// [`log_likelihood`].
    pub log_likelihood: f64,
    /// [`confusion`].
    pub confusion: Vec<Vec<usize>>,
}

impl Evaluation {
    /// Scores logits.
    pub fn new(logits: &DMatrix<f64>, truth: &[usize]) -> Self {
        Evaluation {
            rows: truth.len(),
            right: rows_right(logits, truth),
            accuracy: accuracy(logits, truth),
            sle: squared_likelihood_error(logits, truth),
            log_likelihood: log_likelihood(logits, truth),
            confusion: confusion(logits, truth),
        }
    }
}

/// The probabilities of a row's classes from its logits: sigma(z_j) / sum_l sigma(z_l), which add up to one.
///
/// Every class was trained as a yes-or-no question of its own, and sigma(z_j) answers it; divided by their sum, as in
/// any one-versus-rest classifier, the answers are shares of one row. Computed as the softmax of ln sigma(z_j), so that
/// logits whose sigmoids all vanish keep their order and ratios. The class with the largest logit has the largest
/// probability (others may share it where sigmoids round to one). Logits that are not finite give equal shares.
pub fn probabilities(logits: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let logs: Vec<f64> = logits.into_iter().map(log_sigmoid).collect();
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|log| (log - largest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    if sum.is_finite() {
        weights.iter().map(|weight| weight / sum).collect()
    } else {
        vec![1.0 / logs.len() as f64; logs.len()]
    }
}

/// The sigmoid 1 / (1 + exp(-z)).
pub fn sigmoid(z: f64) -> f64 {
    log_sigmoid(z).exp()
}

/// ln sigma(z), for any finite z.
fn log_sigmoid(z: f64) -> f64 {
    z.min(0.0) - (-z.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits() -> DMatrix<f64> {
        DMatrix::from_row_slice(3, 2, &[2.0, -1.0, 0.5, 0.5, -3.0, 0.25])
    }

    #[test]
    fn accuracy_and_confusion_count_rows() {
        assert_eq!(predicted_classes(&logits()), [0, 0, 1]);
        assert_eq!(rows_right(&logits(), &[0, 1, 1]), 2);
        assert_eq!(confusion(&logits(), &[0, 1, 1]), [[1, 0], [1, 1]]);
        assert_eq!(accuracy(&DMatrix::zeros(0, 2), &[]), 0.0);
    }

    #[test]
    fn the_interval_of_an_accuracy_is_wilsons() {
        let rounded = |(low, high): (f64, f64)| ((low * 1e4).round() / 1e4, (high * 1e4).round() / 1e4);
        assert_eq!(rounded(accuracy_interval(106, 128)), (0.7535, 0.8837));
        assert_eq!(rounded(accuracy_interval(10, 10)), (0.7225, 1.0));
        assert_eq!(rounded(accuracy_interval(0, 10)), (0.0, 0.2775));
        assert_eq!(accuracy_interval(0, 0), (0.0, 1.0));
    }

    #[test]
    fn the_papers_score_follows_its_formula() {
        let truth = [0, 1, 1];
        let mut direct = 0.0;
        for (i, &class) in truth.iter().enumerate() {
            for j in 0..2 {
                let y = f64::from(class == j);
                direct += (1.0 / (1.0 + (-logits()[(i, j)]).exp()) - 1.0 + y).abs().ln();
            }
        }
        assert!((squared_likelihood_error(&logits(), &truth) - direct).abs() < 1e-12);
    }

    #[test]
    fn huge_logits_give_finite_scores() {
        let huge = DMatrix::from_row_slice(1, 2, &[1000.0, -1000.0]);
        assert_eq!(squared_likelihood_error(&huge, &[0]), 0.0);
        assert_eq!(squared_likelihood_error(&huge, &[1]), -2000.0);
        assert_eq!(log_likelihood(&huge, &[1]), -2000.0);
        assert_eq!((sigmoid(1000.0), sigmoid(-1000.0), sigmoid(0.0)), (1.0, 0.0, 0.5));
    }

    #[test]
    fn probabilities_are_sigmoids_divided_by_their_sum() {
        let logits = [2.0, -1.0, 0.5];
        let sum: f64 = logits.iter().map(|&z| sigmoid(z)).sum();
        for (p, z) in probabilities(logits).into_iter().zip(logits) {
            assert!((p - sigmoid(z) / sum).abs() < 1e-15);
        }
    }

    #[test]
    fn probabilities_add_up_to_one_and_keep_their_order_where_every_sigmoid_vanishes() {
        for row in [[-800.0, -801.0, -900.0], [1e300, 5.0, -1e300], [-1e300, -1e300, -1e300]] {
            let p = probabilities(row);
            assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-15, "{row:?}: {p:?}");
            assert!(p[0] >= p[1] && p[1] >= p[2], "{row:?}: {p:?}");
        }
        assert_eq!(sigmoid(-800.0), 0.0);
        assert!((probabilities([-800.0, -801.0])[0] - sigmoid(1.0)).abs() < 1e-12);
        for odd in [f64::NEG_INFINITY, f64::NAN] {
            assert_eq!(probabilities([odd; 4]), [0.25; 4]);
        }
    }

    #[test]
    fn the_log_likelihood_is_that_of_a_softmax() {
        let direct: f64 = [(0, 0), (1, 1), (2, 1)]
            .iter()
            .map(|&(i, y)| (logits()[(i, y)].exp() / logits().row(i).map(f64::exp).sum()).ln())
            .sum();
        assert!((log_likelihood(&logits(), &[0, 1, 1]) - direct).abs() < 1e-12);
    }
}
