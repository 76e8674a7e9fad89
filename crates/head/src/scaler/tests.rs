//! Tests of the scalers: moments, constant features, folding, files, and the freedom in the square root.

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

#[test]
fn any_square_root_gives_the_same_model() {
    let x = features(60, 9);
    let labels: Vec<usize> = (0..60).map(|i| i * 7 % 3).collect();
    let scaler = Scaler::fit(ScalerKind::Whiten, None, &x).unwrap();
    let cholesky = scaler.apply_with_ones(&x).unwrap();

    let mut centered = x.clone();
    for (mut column, &mean) in centered.column_iter_mut().zip(&scaler.mean) {
        column.add_scalar_mut(-mean);
    }
    let covariance = centered.transpose() * &centered / 60.0;
    let shift = scaler.lambda().unwrap() * covariance.trace() / 9.0;
    let eigen = (covariance + DMatrix::identity(9, 9) * shift).symmetric_eigen();
    let root = &eigen.eigenvectors
        * DMatrix::from_diagonal(&eigen.eigenvalues.map(|value| 1.0 / value.sqrt()))
        * eigen.eigenvectors.transpose();
    let symmetric = with_ones(&(centered * root));

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
fn features_too_large_for_their_squares_are_refused() {
    let x = DMatrix::from_row_slice(2, 1, &[1e200, -1e200]);
    assert!(matches!(Scaler::fit(ScalerKind::Whiten, None, &x), Err(HeadError::NotFinite { .. })));
    assert!(matches!(Scaler::fit(ScalerKind::Whiten, None, &DMatrix::zeros(0, 3)), Err(HeadError::EmptyTable("rows"))));
}
