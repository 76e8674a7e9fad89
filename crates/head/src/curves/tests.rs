//! The curves against their formulas written out row by row, and against known answers where the measured data are at
//! hand.

use super::*;
use crate::linalg::with_ones;
use crate::{LabelColumn, TableFormat};
use std::path::PathBuf;

fn table(rows: usize, shift: usize) -> FeatureTable {
    let features = DMatrix::from_fn(rows, 3, |i, j| 0.2 * (((i + shift) * (2 * j + 3)) % 11) as f64);
    let labels = (0..rows).map(|i| (((i + shift) * 5) % 7 % 3).to_string()).collect();
    FeatureTable::new(features, Some(labels)).unwrap()
}

fn labels(table: &FeatureTable) -> Vec<usize> {
    table.labels().unwrap().iter().map(|label| label.parse().unwrap()).collect()
}

/// The weights after every iteration, by the formulas of the module's text, on scaled features with their ones.
fn direct(method: Method, x: &DMatrix<f64>, labels: &[usize], iterations: usize) -> Vec<DMatrix<f64>> {
    let (n, d) = x.shape();
    let (mut v, mut w) = (DMatrix::<f64>::zeros(d, 3), DMatrix::<f64>::zeros(d, 3));
    let mut a: f64 = if matches!(method, Method::Scaled(_)) { 1.0 } else { 0.01 };
    let mut all = vec![w.clone()];
    for t in 1..=iterations {
        let mut gradient = DMatrix::<f64>::zeros(d, 3);
        for i in 0..n {
            let z: Vec<f64> = (0..3).map(|j| (x.row(i) * v.column(j))[0]).collect();
            let sum: f64 = z.iter().map(|z| z.exp()).sum();
            for j in 0..3 {
                let p = match method {
                    Method::SoftmaxNag => z[j].exp() / sum,
                    _ => 1.0 / (1.0 + (-z[j].clamp(-8.0, 8.0)).exp()),
                };
                for k in 0..d {
                    gradient[(k, j)] += (f64::from(labels[i] == j) - p) * x[(i, k)];
                }
            }
        }
        let gamma = 1.0 / (n * t) as f64;
        let mut next = w.clone();
        for k in 0..d {
            let bound: f64 = (0..n).map(|i| x[(i, k)].abs() * x.row(i).lp_norm(1)).sum::<f64>() / 4.0 + 1e-10;
            let step = match method {
                Method::SoftmaxNag | Method::SigmoidNag => gamma,
                Method::Scaled(ScalerKind::Whiten) => (1.0 + gamma) * 4.0 / n as f64,
                _ => (1.0 + gamma) / bound,
            };
            for j in 0..3 {
                next[(k, j)] += step * gradient[(k, j)];
            }
        }
        let next_a = (1.0 + (1.0 + 4.0 * a * a).sqrt()) / 2.0;
        let eta = (1.0 - a) / next_a;
        a = next_a;
        w = &next * (1.0 - eta) + &v * eta;
        v = next;
        all.push(w.clone());
    }
    all
}

#[test]
fn every_method_follows_its_formulas_and_scores_w_on_both_tables() {
    let (train, test) = (table(30, 0), table(12, 30));
    let methods = [
        Method::SoftmaxNag,
        Method::Scaled(ScalerKind::Whiten),
        Method::SigmoidNag,
        Method::SigmoidQuadratic,
        Method::Scaled(ScalerKind::Standardize),
        Method::Scaled(ScalerKind::None),
    ];
    let most = AtomicU64::new(0);
    let count = |done| {
        most.fetch_max(done, Ordering::Relaxed);
    };
    let curves = trace(&methods, &train, &test, 6, &count).unwrap();
    assert_eq!(most.into_inner(), 36);
    for (method, curve) in methods.into_iter().zip(&curves) {
        assert_eq!(curve.method, method);
        let scaler = Scaler::fit(method.scaler(), None, train.features()).unwrap();
        let x = with_ones(&scaler.apply(train.features()).unwrap());
        let iterates = direct(method, &x, &labels(&train), 6);
        for (table, course) in [(&train, &curve.train), (&test, &curve.test)] {
            let x = with_ones(&scaler.apply(table.features()).unwrap());
            let mut expected = Course::default();
            iterates.iter().for_each(|w| expected.push(&(&x * w), &labels(table)));
            assert_eq!(course.accuracy, expected.accuracy, "{method}");
            for (found, expected) in [(&course.log_likelihood, expected.log_likelihood), (&course.sle, expected.sle)] {
                assert_eq!(found.len(), 7);
                let close = |(found, expected): (&f64, f64)| (found - expected).abs() < 1e-9 * expected.abs();
                assert!(found.iter().zip(expected).all(close), "{method}");
            }
        }
    }
}

#[test]
fn a_course_begins_with_weights_of_zero() {
    let curves = trace(&Method::PAPER, &table(30, 0), &table(12, 30), 1, &|_| {}).unwrap();
    for curve in &curves {
        assert!((curve.test.log_likelihood[0] + 12.0 * 3f64.ln()).abs() < 1e-12);
        assert!((curve.test.sle[0] + 36.0 * 2f64.ln()).abs() < 1e-12);
    }
}

#[test]
fn features_beyond_the_range_of_numbers_are_an_error_and_large_ones_are_not() {
    let scaled = |factor: f64| {
        let table = table(30, 0);
        FeatureTable::new(table.features() * factor, table.labels().map(<[String]>::to_vec)).unwrap()
    };
    assert!(trace(&[Method::SigmoidNag], &scaled(1e6), &scaled(1e6), 20, &|_| {}).is_ok());
    let error = trace(&[Method::SigmoidNag], &scaled(1e200), &scaled(1e200), 20, &|_| {}).unwrap_err();
    assert!(matches!(error, HeadError::CurveDiverged { iteration: 1, .. }), "{error}");
    assert!(error.to_string().contains("sigmoid NAG"));
}

#[test]
fn test_labels_that_training_never_saw_and_other_widths_are_refused() {
    let train = table(30, 0);
    let unseen = FeatureTable::new(DMatrix::zeros(1, 3), Some(vec!["9".to_owned()])).unwrap();
    assert!(matches!(trace(&Method::PAPER, &train, &unseen, 2, &|_| {}), Err(HeadError::UnknownLabel { row: 1, .. })));
    let wide = FeatureTable::new(DMatrix::zeros(1, 4), Some(vec!["1".to_owned()])).unwrap();
    assert!(matches!(trace(&Method::PAPER, &train, &wide, 2, &|_| {}), Err(HeadError::FeatureCount { found: 4, .. })));
    assert!(matches!(trace(&Method::PAPER, &train, &train, 0, &|_| {}), Err(HeadError::InvalidRecipe(_))));
}

/// The measured data are not part of the project: this test runs where CIPHERTUNE_DATA names their folder.
#[test]
fn the_methods_end_in_the_papers_order_on_mobilenet_features() {
    let Some(folder) = std::env::var_os("CIPHERTUNE_DATA") else {
        println!("skipped: set CIPHERTUNE_DATA to the folder that holds mnist_mobilenet_v1_0.75");
        return;
    };
    let read = |name: &str| {
        let path = PathBuf::from(&folder).join("mnist_mobilenet_v1_0.75").join(name);
        FeatureTable::parse(&std::fs::read(path).unwrap(), TableFormat::Npz, LabelColumn::Present).unwrap()
    };
    let (train, test) = (read("train_first8192.npz").first_rows(4096), read("test10000.npz"));
    let curves = trace(&Method::PAPER, &train, &test, 500, &|_| {}).unwrap();
    let percent = |curve: &Curve| (1000.0 * curve.test.accuracy[500]).round() / 10.0;
    assert_eq!(curves.iter().map(percent).collect::<Vec<_>>(), [95.9, 96.3, 97.1]);
}
