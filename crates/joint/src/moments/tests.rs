//! Tests of pooled moments: exact sums of integers, the scaler of the pooled table, units, and what is refused.

use super::*;
use crate::masked::sum;
use ciphertune_head::{Scaler, ScalerKind};

/// Correlated features in unequal units, the same at every call; the third is constant.
fn features(rows: usize, seed: u64) -> DMatrix<f64> {
    let mut state = seed;
    let noise = DMatrix::from_fn(rows, 6, |_, _| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / (1 << 24) as f64
    });
    DMatrix::from_fn(rows, 6, |i, j| match j {
        2 => 0.1,
        3 => 1e5 + 1e-2 * noise[(i, 3)],
        4 => 1e9 * (noise[(i, 4)].powi(8) + noise[(i, 0)]),
        5 => 1e-5 * (noise[(i, 5)] - noise[(i, 1)]),
        _ => noise[(i, j)] + 2.0 * noise[(i, 0)],
    })
}

/// A table cut into three unequal parts, sorted by a feature so that the parts are not alike.
fn parts(x: &DMatrix<f64>) -> Vec<DMatrix<f64>> {
    let mut rows: Vec<usize> = (0..x.nrows()).collect();
    rows.sort_by(|&a, &b| x[(a, 0)].total_cmp(&x[(b, 0)]));
    let cuts = [0, x.nrows() / 7, x.nrows() / 2, x.nrows()];
    cuts.windows(2).map(|cut| x.select_rows(&rows[cut[0]..cut[1]])).collect()
}

fn pooled(parts: &[DMatrix<f64>]) -> (Vector, Means, Vector) {
    let first = sum(parts.iter().map(|part| means(part).unwrap()));
    let found = Means::from_sums(&first, parts[0].ncols()).unwrap();
    let second = sum(parts.iter().map(|part| found.moments(part).unwrap()));
    (first, found, second)
}

#[test]
fn sums_of_the_owners_are_those_of_the_pooled_table_to_the_last_integer() {
    let x = features(300, 1);
    let (first, found, second) = pooled(&parts(&x));
    assert_eq!(first, means(&x).unwrap());
    assert_eq!(found.rows, 300);
    assert_eq!(second, found.moments(&x).unwrap());
    assert_eq!((first.len(), second.len()), (means_len(6), moments_len(6)));
}

#[test]
fn the_scaler_of_pooled_moments_is_that_of_the_pooled_table_whatever_the_units() {
    let x = features(300, 1);
    let (_, found, second) = pooled(&parts(&x));
    for (kind, moments) in [
        (ScalerKind::Center, found.without_pairs()),
        (ScalerKind::Standardize, found.without_pairs()),
        (ScalerKind::Standardize, found.table_moments(&second).unwrap()),
        (ScalerKind::Whiten, found.table_moments(&second).unwrap()),
    ] {
        let pooled = Scaler::from_moments(kind, None, &moments).unwrap();
        let fitted = Scaler::fit(kind, None, &x).unwrap();
        assert_eq!(pooled.lambda(), fitted.lambda());
        let (a, b) = (pooled.apply(&x).unwrap(), fitted.apply(&x).unwrap());
        for (k, column) in (&a - &b).column_iter().enumerate() {
            // What is left of a constant feature is rounding of its size.
            let size = b.column(k).amax().max(if kind == ScalerKind::Center { 1e-3 * x.column(k).amax() } else { 1.0 });
            // 10^-9 but for feature 3, whose size is 10^7 times its deviation.
            assert!(
                column.amax() / size < if k == 3 { 1e-8 } else { 1e-9 },
                "{kind}, feature {k}: {:e}",
                column.amax() / size
            );
        }
        if kind != ScalerKind::Center {
            assert_eq!(a.column(2).amax(), 0.0, "a constant feature is silent");
        }
    }
}

#[test]
fn features_that_do_not_suit_the_sums_are_refused_by_their_place() {
    let message = |column: &[f64]| {
        let x = DMatrix::from_fn(column.len(), 2, |i, j| if j == 1 { column[i] } else { i as f64 });
        means(&x).and_then(|sums| Means::from_sums(&sums, 2)).unwrap_err().to_string()
    };
    assert!(message(&[1.0, -7.3e16, 2.0]).starts_with("feature 2 is as large as 7.3e16"));
    assert!(message(&[1e-9, -2e-9, 0.0]).starts_with("feature 2 is never more than 2e-9"));
    assert!(message(&[1.0, 1.0 + 1e-8, 1.0]).starts_with("feature 2 has a deviation of"));
    assert!(matches!(means(&DMatrix::zeros(0, 2)), Err(JointError::Rows(0))));
    // All zero at one owner is fine, whatever the others have.
    let zeros = DMatrix::zeros(4, 1);
    let (_, found, _) = pooled(&[zeros, DMatrix::from_column_slice(2, 1, &[1.0, 2.0])]);
    assert_eq!((found.rows, found.mean[0]), (6, 0.5));
}

#[test]
fn extreme_features_fit_into_their_sums() {
    let largest = 2f64.powi(56) * (1.0 - f64::EPSILON);
    let x = DMatrix::from_column_slice(4, 1, &[largest, -largest, largest, largest]);
    let found = Means::from_sums(&means(&x).unwrap(), 1).unwrap();
    assert!(
        (found.mean[0] / largest - 0.5).abs() < 1e-15 && (found.deviation[0] / largest - 0.75f64.sqrt()).abs() < 1e-15
    );
    // One in very many: kurtosis n, |z| about sqrt(n).
    let rare = DMatrix::from_fn(100_000, 1, |row, _| if row == 0 { 1.0 } else { 0.0 });
    let (_, found, second) = pooled(&[rare.rows(0, 10).into_owned(), rare.rows(10, 99_990).into_owned()]);
    let kurtosis = found.table_moments(&second).unwrap().kurtosis[0];
    assert!((kurtosis / 99_999.0 - 1.0).abs() < 1e-4, "{kurtosis}");
    found.moments(&rare).unwrap().check(crate::proposal::MAX_OWNERS, "moments").unwrap();
}

#[test]
fn a_sum_that_is_not_whole_or_was_made_up_is_no_moments() {
    let x = features(50, 2);
    let (first, found, second) = pooled(&parts(&x));
    let random = |vector: &Vector, width: Width| {
        let mut state = 1u64;
        let bytes = vector.as_bytes().iter().map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        });
        Vector::from_bytes(width, vector.len(), bytes.collect()).unwrap()
    };
    assert!(matches!(Means::from_sums(&random(&first, Width::Bits256), 6), Err(JointError::Sums("means"))));
    assert!(matches!(found.table_moments(&random(&second, Width::Bits128)), Err(JointError::Sums("moments"))));
    assert!(matches!(Means::from_sums(&first, 5), Err(JointError::Sums("means"))));
    assert!(matches!(found.table_moments(&first), Err(JointError::Sums("moments"))));
    // Moments of another table than the means.
    let other = features(50, 3);
    assert!(matches!(found.table_moments(&found.moments(&other).unwrap()), Err(JointError::Sums("moments"))));
    // Means that rows of one's own cannot have.
    let far = DMatrix::from_element(50, 6, 1e12);
    assert!(matches!(found.moments(&far), Err(JointError::Sums("means"))));
}
