//! Known answers of the twin: by hand on a small table, and on the measured data where they are at hand.

use super::*;
use crate::metrics::accuracy;
use crate::recipe::{Cubic, Gradient, Preset, RecipeOverrides};
use crate::{Classes, FeatureTable, Head, LabelColumn, Scaler, ScalerKind, TableFormat};
use std::path::PathBuf;

#[test]
fn one_iteration_from_zero_is_the_step_written_out_by_hand() {
    // Two rows, one feature, two classes; p(0) = 1/2, so G = (Y - 1/2)^T X.
    let x = DMatrix::from_row_slice(2, 2, &[1.0, 2.0, 1.0, -1.0]);
    let recipe = Recipe::default_for(1).unwrap();
    let iterate = &train(&recipe, &x, &[0, 1], 2)[0];
    // G = [[0, 1.5], [0, -1.5]], Bbar = 1/2, step 1 + 1/2, eta = 0.
    assert_eq!(iterate.weights, DMatrix::from_row_slice(2, 2, &[0.0, 4.5, 0.0, -4.5]));
    assert_eq!(iterate.largest_logit, 0.0);
}

#[test]
fn the_second_iteration_of_the_paper_recipe_matches_its_formulas_term_by_term() {
    let x = DMatrix::<f64>::from_row_slice(3, 2, &[1.0, 0.5, 1.0, 2.0, 1.0, 1.0]);
    let labels = [0, 1, 1];
    let recipe = Recipe::paper(2).unwrap();
    let p = |z: f64| 0.5 + 0.106795345 * z - 0.000385032 * z * z * z;
    let bound: Vec<f64> = (0..2)
        .map(|k| 1e-10 + 0.25 * (0..3).map(|i| x[(i, k)].abs() * (x[(i, 0)].abs() + x[(i, 1)].abs())).sum::<f64>())
        .collect();
    let (mut a, mut w, mut v) = (0.01f64, [[0.0128; 2]; 2], [[0.0128; 2]; 2]);
    let iterates = train(&recipe, &x, &labels, 2);
    for (t, iterate) in iterates.iter().enumerate() {
        let next_a = (1.0 + (1.0 + 4.0 * a * a).sqrt()) / 2.0;
        let eta = (1.0 - a) / next_a;
        a = next_a;
        let mut next_v = w;
        for class in 0..2 {
            for k in 0..2 {
                let gradient: f64 = (0..3)
                    .map(|i| {
                        let z = x[(i, 0)] * v[class][0] + x[(i, 1)] * v[class][1];
                        (f64::from(labels[i] == class) - p(z)) * x[(i, k)]
                    })
                    .sum();
                next_v[class][k] += (1.0 + 1.0 / (3.0 * (t + 1) as f64)) * gradient / bound[k];
            }
        }
        for class in 0..2 {
            for k in 0..2 {
                w[class][k] = (1.0 - eta) * next_v[class][k] + eta * v[class][k];
                assert!((iterate.weights[(class, k)] - w[class][k]).abs() < 1e-14);
            }
        }
        v = next_v;
    }
}

#[test]
fn the_plain_gradient_is_much_slower_on_the_same_data() {
    let x = DMatrix::from_fn(60, 3, |i, j| if j == 0 { 1.0 } else { ((i * (j + 3)) % 11) as f64 / 11.0 });
    let labels: Vec<usize> = (0..60).map(|i| usize::from((i * 4) % 11 > 5)).collect();
    let overrides = RecipeOverrides { gradient: Some(Gradient::Plain), ..Default::default() };
    let plain = train(&Preset::Paper.recipe(5, &overrides).unwrap(), &x, &labels, 2);
    let quadratic = train(&Recipe::paper(5).unwrap(), &x, &labels, 2);
    let travelled = |iterates: &[Iterate]| iterates[4].weights.add_scalar(-0.0128).amax();
    assert!(travelled(&quadratic) > 4.0 * travelled(&plain));
}

/// Two clouds on either side of zero, with a column of ones.
fn two_clouds() -> (DMatrix<f64>, Vec<usize>) {
    let labels: Vec<usize> = (0..40).map(|row| row % 2).collect();
    let x = DMatrix::from_fn(40, 4, |row, k| match k {
        0 => 1.0,
        k => (labels[row] as f64 - 0.5) + 0.6 * ((row * 7 + k * 13) as f64).sin(),
    });
    (x, labels)
}

#[test]
fn a_ridge_pulls_the_weights_before_every_step_by_its_share_of_them() {
    let (x, labels) = two_clouds();
    let overrides = RecipeOverrides { ridge: Some(0.3), ..Default::default() };
    let recipe = Preset::Default.recipe(3, &overrides).unwrap();
    let found = train(&recipe, &x, &labels, 2);
    // The same by the formula, one weight at a time.
    let (sigmoid, n) = (recipe.sigmoid(), 40.0);
    let (mut w, mut v) = ([[0.0; 4]; 2], [[0.0; 4]; 2]);
    for (t, step) in recipe.steps(40).iter().enumerate() {
        let length = 1.0 + 1.0 / (n * (t + 1) as f64);
        let mut next = [[0.0; 4]; 2];
        for class in 0..2 {
            for k in 0..4 {
                let gradient: f64 = (0..40)
                    .map(|row| {
                        let z: f64 = (0..4).map(|j| x[(row, j)] * v[class][j]).sum();
                        x[(row, k)] * (f64::from(u8::from(labels[row] == class)) - sigmoid.evaluate(z))
                    })
                    .sum();
                next[class][k] = w[class][k] + length * (gradient * 4.0 / n - 0.3 * w[class][k]);
            }
        }
        for class in 0..2 {
            for k in 0..4 {
                w[class][k] = (1.0 - step.eta) * next[class][k] + step.eta * v[class][k];
                assert!((found[t].weights[(class, k)] - w[class][k]).abs() < 1e-12, "{t} {class} {k}");
            }
        }
        v = next;
    }
}

#[test]
fn a_long_training_stays_where_the_cubic_rises_and_leaves_it_without_a_ridge() {
    let (x, labels) = two_clouds();
    let scaler = Scaler::fit(ScalerKind::Whiten, None, &x.columns(1, 3).into_owned()).unwrap();
    let x = scaler.apply_with_ones(&x.columns(1, 3).into_owned()).unwrap();
    let largest =
        |recipe: &Recipe| train(recipe, &x, &labels, 2).iter().map(|iterate| iterate.largest_logit).fold(0.0, f64::max);
    let turning = (Cubic::WIDE.c1 / Cubic::WIDE.c3.abs()).sqrt();
    let held = largest(&Recipe::default_for(100).unwrap());
    assert!(held < 0.8 * turning, "{held} of {turning}");
    let bare = RecipeOverrides { ridge: Some(0.0), ..Default::default() };
    let free = largest(&Preset::Default.recipe(100, &bare).unwrap());
    assert!(free > held, "{free} {held}");
    println!("{held} with, {free} without");
}

/// The measured data are not part of the project: these tests run where CIPHERTUNE_DATA names their folder.
fn data(name: &str) -> Option<FeatureTable> {
    let Some(folder) = std::env::var_os("CIPHERTUNE_DATA") else {
        println!("skipped: set CIPHERTUNE_DATA to the folder that holds {name}");
        return None;
    };
    let path = PathBuf::from(folder).join(name);
    let format = TableFormat::from_extension(path.extension().unwrap().to_str().unwrap()).unwrap();
    Some(FeatureTable::parse(&std::fs::read(path).unwrap(), format, LabelColumn::Present).unwrap())
}

fn rows_right(recipe: &Recipe, train_table: &FeatureTable, test: &FeatureTable) -> Vec<usize> {
    let classes = Classes::from_labels(train_table.labels().unwrap()).unwrap();
    let labels = classes.indices(train_table.labels().unwrap()).unwrap();
    let truth = classes.indices(test.labels().unwrap()).unwrap();
    let scaler = Scaler::fit_for(recipe, train_table.features()).unwrap();
    let x = scaler.apply_with_ones(train_table.features()).unwrap();
    let iterates = train(recipe, &x, &labels, classes.len());
    let right = |iterate: &Iterate| {
        let head = Head::from_scaled(&scaler, &iterate.weights, classes.clone(), recipe).unwrap();
        let logits = head.logits(test.features()).unwrap();
        (accuracy(&logits, &truth) * truth.len() as f64).round() as usize
    };
    iterates.iter().map(right).collect()
}

#[test]
fn regnet_features_give_the_known_answers() {
    let (Some(a), Some(b)) = (data("regnet_x_400mf_mnist/rows1-128.csv"), data("regnet_x_400mf_mnist/rows129-256.csv"))
    else {
        return;
    };
    assert_eq!(rows_right(&Recipe::default_for(2).unwrap(), &a, &b)[1], 106);
    assert_eq!(rows_right(&Recipe::paper(2).unwrap(), &a, &b)[1], 29);
}

#[test]
fn mobilenet_features_give_the_known_answers() {
    let (Some(all), Some(test)) =
        (data("mnist_mobilenet_v1_0.75/train_first8192.npz"), data("mnist_mobilenet_v1_0.75/test10000.npz"))
    else {
        return;
    };
    let recipe = Recipe::default_for(2).unwrap();
    let percent = |rows: usize| {
        let right = rows_right(&recipe, &all.first_rows(rows), &test);
        right.into_iter().map(|right| (right as f64 / 10.0).round() / 10.0).collect::<Vec<_>>()
    };
    assert_eq!(percent(1024), [95.5, 95.7]);
    assert_eq!(percent(4096), [97.0, 97.2]);
    assert_eq!(percent(8192), [97.2, 97.3]);
}
