//! Tests of the scalers: moments, constant features, folding, files, and the freedom in the square root.

use super::moments::Moments;
use super::*;
use crate::Recipe;
use crate::twin;

/// Correlated features with unequal sizes, the same at every call.
fn features(rows: usize, columns: usize) -> DMatrix<f64> {
    let mut state = 1u64;
    let noise = DMatrix::from_fn(rows, columns, |_, _| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / (1 << 24) as f64
    });
    DMatrix::from_fn(rows, columns, |i, j| {
        noise[(i, j)] * (1.0 + j as f64) + 2.0 * noise[(i, 0)] + noise[(i, (j + 1) % columns)]
    })
}

const KINDS: [ScalerKind; 4] = [ScalerKind::None, ScalerKind::Center, ScalerKind::Standardize, ScalerKind::Whiten];

#[test]
fn scaled_features_have_the_moments_that_the_kind_promises() {
    let x = features(200, 6);
    let scaled = |kind| Scaler::fit(kind, Some(1e-9), &x).unwrap().apply(&x).unwrap();
    assert_eq!(scaled(ScalerKind::None), x);
    for kind in [ScalerKind::Center, ScalerKind::Standardize, ScalerKind::Whiten] {
        assert!(scaled(kind).row_mean().amax() < 1e-12, "{kind}");
    }
    let standard = scaled(ScalerKind::Standardize);
    assert!(standard.column_iter().all(|column| (column.norm_squared() / 200.0 - 1.0).abs() < 1e-12));
    let white = scaled(ScalerKind::Whiten);
    let covariance = white.transpose() * &white / 200.0;
    assert!((covariance - DMatrix::identity(6, 6)).amax() < 1e-6);
}

#[test]
fn whitening_uses_the_lambda_of_rows_and_features_unless_told_otherwise() {
    let lambda = |rows, columns, lambda| {
        Scaler::fit(ScalerKind::Whiten, lambda, &features(rows, columns)).unwrap().lambda().unwrap()
    };
    assert_eq!(lambda(50, 20, None), 0.2);
    assert_eq!(lambda(500, 2, None), 0.05);
    assert_eq!(lambda(5, 40, None), 1.0);
    assert_eq!(lambda(5, 40, Some(0.3)), 0.3);
}

/// S of a whitening scaler.
fn root(scaler: &Scaler) -> &DMatrix<f64> {
    match &scaler.map {
        Map::Whiten { root, .. } => root,
        other => panic!("{other:?} whitens nothing"),
    }
}

#[test]
fn whitening_has_the_inverse_square_that_the_formula_promises() {
    let x = features(80, 5);
    let scaler = Scaler::fit(ScalerKind::Whiten, Some(0.4), &x).unwrap();
    let mut expected = x.clone();
    for mut column in expected.column_iter_mut() {
        column.add_scalar_mut(-column.mean());
    }
    let mut expected = expected.transpose() * expected / 80.0;
    let weights = DVector::from_iterator(5, x.column_iter().map(|column| Moments::of(&column).weighing()));
    let mean_eigenvalue = (0..5).map(|k| expected[(k, k)] * weights[k].powi(2)).sum::<f64>() / 5.0;
    for k in 0..5 {
        expected[(k, k)] += 0.4 * mean_eigenvalue / weights[k].powi(2);
    }
    let identity = root(&scaler) * expected * root(&scaler).transpose();
    assert!((identity - DMatrix::identity(5, 5)).amax() < 1e-12);
    assert!(root(&scaler).upper_triangle() == DMatrix::from_diagonal(&root(&scaler).diagonal()));
}

#[test]
fn whitened_features_do_not_depend_on_the_units() {
    let x = features(50, 6);
    let mut other = x.clone();
    for (mut column, unit) in other.column_iter_mut().zip([1000.0, 1.0, 0.01, -3.0, 1e250, 1e-250]) {
        column *= unit;
    }
    let scaled = |x: &DMatrix<f64>| Scaler::fit(ScalerKind::Whiten, None, x).unwrap().apply(x).unwrap();
    // A factor below zero turns signs around, in every later row of the triangle's column.
    let mut mirrored = x.clone();
    mirrored.column_mut(3).neg_mut();
    assert!((scaled(&other) - scaled(&mirrored)).amax() < 1e-10);
    assert!(scaled(&x).amax() > 1.0);
}

#[test]
fn a_features_variance_becomes_one_over_its_kurtosis() {
    let weighed = |values: &[f64]| {
        let column = DVector::from_row_slice(values);
        let moments = Moments::of(&column);
        (moments.kurtosis, (moments.weighing() * moments.deviation).powi(2))
    };
    assert_eq!(weighed(&[7.0, 9.0, 9.0, 7.0]), (1.0, 1.0));
    // m2 = 2.5, m4 = 8.5.
    let (kurtosis, variance) = weighed(&[-2.0, -1.0, 1.0, 2.0]);
    assert!((kurtosis - 1.36).abs() < 1e-15 && (variance - 1.0 / 1.36).abs() < 1e-15);
    // Any share of ones among zeros keeps a weight between 1 and 2.
    for rows in [2, 3, 10, 1000, 100_000] {
        let rare = DVector::from_fn(rows, |row, _| if row == 0 { 1.0 } else { 0.0 });
        assert!((1.0..=2.0).contains(&Moments::of(&rare).weighing()), "1 of {rows}");
    }
}

#[test]
fn a_constant_feature_changes_nothing_for_the_others() {
    let x = features(40, 4);
    let with_constants = x.clone().insert_column(2, 0.1).insert_column(0, -5.0);
    for kind in [ScalerKind::Standardize, ScalerKind::Whiten] {
        let scaled = |x: &DMatrix<f64>| Scaler::fit(kind, None, x).unwrap().apply(x).unwrap();
        let others = scaled(&with_constants).remove_columns_at(&[0, 3]);
        assert!((others - scaled(&x)).amax() < 1e-13, "{kind}");
        assert_eq!(scaled(&with_constants).column(3).amax(), 0.0, "{kind}");
    }
}

#[test]
fn silent_features_are_named_and_so_are_those_that_a_given_scaler_ignores() {
    let x = features(40, 4);
    let silent = SilentFeatures::of(&x, None);
    assert!(silent.is_empty() && !silent.is_everything());
    let mut elsewhere = x.clone();
    elsewhere.column_mut(1).fill(3.0);
    let mut here = x.clone();
    here.column_mut(3).fill(0.1);
    for kind in [ScalerKind::Standardize, ScalerKind::Whiten] {
        let scaler = Scaler::fit(kind, None, &elsewhere).unwrap();
        let silent = SilentFeatures::of(&here, Some(&scaler));
        assert_eq!(silent, SilentFeatures { constant: vec![3], ignored: vec![1], features: 4 }, "{kind}");
        assert!(!silent.is_empty() && !silent.is_everything());
        let nothing = Scaler::fit(kind, None, &DMatrix::from_element(5, 4, 2.0)).unwrap();
        assert!(SilentFeatures::of(&x, Some(&nothing)).is_everything(), "{kind}");
    }
    assert!(SilentFeatures::of(&DMatrix::from_element(9, 2, 0.1), None).is_everything());
}

#[test]
fn any_square_root_gives_the_same_model() {
    let x = features(60, 9);
    let labels: Vec<usize> = (0..60).map(|i| i * 7 % 3).collect();
    let scaler = Scaler::fit(ScalerKind::Whiten, None, &x).unwrap();
    let cholesky = scaler.apply_with_ones(&x).unwrap();

    let mut weighted = x.clone();
    for mut column in weighted.column_iter_mut() {
        let moments = Moments::of(&column);
        column.apply(|value| *value = (*value - moments.mean) * moments.weighing());
    }
    let covariance = weighted.transpose() * &weighted / 60.0;
    let shift = scaler.lambda().unwrap() * covariance.trace() / 9.0;
    let eigen = (covariance + DMatrix::identity(9, 9) * shift).symmetric_eigen();
    let root = &eigen.eigenvectors
        * DMatrix::from_diagonal(&eigen.eigenvalues.map(|value| 1.0 / value.sqrt()))
        * eigen.eigenvectors.transpose();
    let symmetric = with_ones(&(weighted * root));

    let recipe = Recipe::default_for(5).unwrap();
    let iterates = |x: &DMatrix<f64>| twin::train(&recipe, x, &labels, 3);
    for (a, b) in iterates(&cholesky).iter().zip(iterates(&symmetric)) {
        let difference = &cholesky * a.weights.transpose() - &symmetric * b.weights.transpose();
        assert!(difference.amax() < 1e-9);
    }
}

#[test]
fn constant_features_do_not_divide_by_zero() {
    let mut x = features(40, 4);
    x.column_mut(2).fill(0.1);
    for kind in KINDS {
        let scaled = Scaler::fit(kind, None, &x).unwrap().apply(&x).unwrap();
        assert!(scaled.iter().all(|value| value.is_finite()), "{kind}");
        if kind == ScalerKind::Standardize {
            assert!(scaled.column(2).iter().all(|&value| value == 0.0));
        }
        let constant = DMatrix::from_element(5, 3, 0.3);
        let scaled = Scaler::fit(kind, None, &constant).unwrap().apply(&constant).unwrap();
        assert!(scaled.iter().all(|value| value.is_finite()), "{kind}, nothing but constants");
    }
}

#[test]
fn folded_weights_give_the_same_logits_on_raw_features() {
    let x = features(30, 5);
    let weights = DMatrix::from_fn(3, 6, |i, j| (i as f64 - 1.0) * 0.3 + j as f64 * 0.1);
    for kind in KINDS {
        let scaler = Scaler::fit(kind, None, &x).unwrap();
        let (raw, bias) = scaler.fold(&weights).unwrap();
        let scaled_logits = scaler.apply_with_ones(&x).unwrap() * weights.transpose();
        let raw_logits = DMatrix::from_fn(30, 3, |i, j| (x.row(i) * raw.row(j).transpose())[0] + bias[j]);
        assert!((scaled_logits - raw_logits).amax() < 1e-10, "{kind}");
    }
}

#[test]
fn a_scaler_survives_its_file() {
    let x = features(30, 5);
    for kind in KINDS {
        let scaler = Scaler::fit(kind, None, &x).unwrap();
        assert_eq!(Scaler::from_bytes(&scaler.to_bytes().unwrap()).unwrap(), scaler);
    }
    assert!(Scaler::from_bytes(b"scaler").is_err());
}

#[test]
fn features_of_another_backbone_are_refused() {
    let scaler = Scaler::fit(ScalerKind::Whiten, None, &features(30, 5)).unwrap();
    let error = scaler.apply(&features(30, 4)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the table has 4 features a row, the scaler was made for 5: use features of the same backbone"
    );
    assert!(scaler.fold(&DMatrix::zeros(3, 5)).is_err());
}

#[test]
fn features_too_large_for_their_sums_are_refused_and_those_too_large_for_their_squares_are_not() {
    for large in [&[f64::MAX, f64::MAX][..], &[f64::MAX, f64::MIN, f64::MIN]] {
        let error = Scaler::fit(ScalerKind::Whiten, None, &DMatrix::from_row_slice(large.len(), 1, large)).unwrap_err();
        assert!(matches!(error, HeadError::NotFinite { .. }), "{error}");
    }
    let x = DMatrix::from_row_slice(2, 1, &[1e200, -1e200]);
    let scaled = Scaler::fit(ScalerKind::Standardize, None, &x).unwrap().apply(&x).unwrap();
    assert!((scaled - DMatrix::from_row_slice(2, 1, &[1.0, -1.0])).amax() < 1e-15);
    assert!(matches!(Scaler::fit(ScalerKind::Whiten, None, &DMatrix::zeros(0, 3)), Err(HeadError::EmptyTable("rows"))));
}

/// The moments of a table by their definitions.
fn table_moments(x: &DMatrix<f64>) -> TableMoments {
    let (rows, columns) = x.shape();
    let moments: Vec<Moments> = x.column_iter().map(|column| Moments::of(&column)).collect();
    let of_all = |value: fn(&Moments) -> f64| DVector::from_iterator(columns, moments.iter().map(value));
    let standard = Scaler::fit(ScalerKind::Standardize, None, x).unwrap().apply(x).unwrap();
    let (deviation, kurtosis) = (of_all(|m| m.deviation), of_all(|m| m.kurtosis));
    let correlation = standard.transpose() * &standard / rows as f64;
    TableMoments { rows, mean: of_all(|m| m.mean), deviation, kurtosis, correlation }
}

#[test]
fn a_scaler_from_moments_is_the_one_that_is_fitted_to_the_rows() {
    let mut x = features(60, 7).insert_column(3, 0.1);
    x.column_mut(5).scale_mut(1e200);
    let moments = table_moments(&x);
    for kind in KINDS {
        let fitted = Scaler::fit(kind, None, &x).unwrap();
        let pooled = Scaler::from_moments(kind, None, &moments).unwrap();
        assert_eq!((pooled.kind(), pooled.lambda(), pooled.features()), (fitted.kind(), fitted.lambda(), 8));
        if kind != ScalerKind::None {
            let difference = fitted.apply(&x).unwrap() - pooled.apply(&x).unwrap();
            // Not scaled, the large column counts in its own units.
            let scale = if kind == ScalerKind::Center { 1e200 } else { 1.0 };
            assert!(difference.amax() < 1e-11 * scale, "{kind}: {}", difference.amax());
        }
    }
}

#[test]
fn moments_that_no_table_has_are_refused() {
    let moments = table_moments(&features(30, 3));
    let message = |change: fn(&mut TableMoments)| {
        let mut moments = moments.clone();
        change(&mut moments);
        Scaler::from_moments(ScalerKind::Whiten, None, &moments).unwrap_err()
    };
    assert!(matches!(message(|m| m.rows = 0), HeadError::EmptyTable("rows")));
    assert!(matches!(message(|m| m.kurtosis[1] = 0.5), HeadError::InvalidArtefact(_)));
    assert!(matches!(message(|m| m.deviation[0] = -1.0), HeadError::InvalidArtefact(_)));
    assert!(matches!(message(|m| m.mean[2] = f64::NAN), HeadError::InvalidArtefact(_)));
    assert!(matches!(message(|m| m.correlation.fill(9.0)), HeadError::InvalidArtefact(_)));
    let contradicting = message(|m| {
        m.correlation.fill(-1.0);
        m.correlation.fill_diagonal(1.0);
    });
    assert!(matches!(contradicting, HeadError::NotWhitenable { .. }));
    let error = message(|m| m.deviation = DVector::zeros(2));
    assert!(matches!(error, HeadError::FeatureCount { found: 2, expected: 3, .. }), "{error}");
}
