//! What a linear head makes of the features of `builtin`: the figures of its card, trained in the clear by the default
//! recipe (the plaintext twin, which encrypted training equals to the last row).

mod common;

use ciphertune_backbone::{Backbone, Builtin, Collected, ExtractOptions, Picture, Source, collect};
use ciphertune_head::{Classes, DMatrix, FeatureTable, Head, Recipe, Scaler, twin};
use common::data_folder;

/// Rows to learn from, of the digits and of MNIST.
const DIGITS: usize = 500;
const MNIST: usize = 4096;

/// The part of `test` that a head trained on `train` has right.
fn accuracy(train: &FeatureTable, test: &FeatureTable) -> f64 {
    let recipe = Recipe::default_for(2).expect("two iterations");
    let scaler = Scaler::fit_for(&recipe, train.features()).expect("a scaler");
    let labels = train.require_labels().expect("labels");
    let classes = Classes::from_labels(labels).expect("classes");
    let indices = classes.indices(labels).expect("its own labels");
    let x = scaler.apply_with_ones(train.features()).expect("as many features");
    let iterates = twin::train(&recipe, &x, &indices, classes.len());
    let head = Head::from_scaled(&scaler, &iterates[1].weights, classes, &recipe).expect("a head");
    head.evaluate(test).expect("the same classes").accuracy
}

fn table(features: &[f32], columns: usize, labels: Vec<String>) -> FeatureTable {
    let values = features.iter().map(|&value| f64::from(value));
    FeatureTable::new(DMatrix::from_row_iterator(labels.len(), columns, values), Some(labels)).expect("a table")
}

/// UCI's digits, 8 x 8 pixels: the table of pixels and that of features.
fn digits() -> (FeatureTable, FeatureTable) {
    // 64 bytes of pixels, 0 to 16, and the label: digits.md beside the file says where they are from.
    let bundled = include_bytes!("../../session/src/digits/digits.bin").chunks_exact(65);
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    let network = Builtin::load().expect("no file is needed");
    let size = network.input_size();
    let mut features = Vec::new();
    for image in bundled {
        let (pixels, label) = (image[..64].iter().map(|&value| f32::from(value)), image[64]);
        let bytes = pixels.clone().map(|value| (value / 16.0 * 255.0).round() as u8).collect();
        values.extend(pixels);
        labels.push(label.to_string());
        let picture = Picture::new(8, 8, 1, bytes).expect("8 x 8 pixels");
        let input = network.preprocess().apply(&picture, size.width, size.height).expect("its preprocessing");
        features.extend(network.extract(&input).expect("a picture").into_values());
    }
    (table(&values, 64, labels.clone()), table(&features, network.features(), labels))
}

#[test]
fn a_head_on_500_rows_of_features_of_the_digits_beats_one_on_their_pixels_by_5_points() {
    let (pixels, features) = digits();
    let all = 0..pixels.rows();
    // The first images differ from the rest, it seems by their writers: a harder split than the even one.
    let first = |row: &usize| *row < DIGITS;
    let even = |row: &usize| row * DIGITS % pixels.rows() < DIGITS;
    let splits: [(&str, Vec<usize>, Vec<usize>); 2] = [
        ("evenly chosen", all.clone().filter(even).collect(), all.clone().filter(|row| !even(row)).collect()),
        ("the first", all.clone().filter(first).collect(), all.clone().filter(|row| !first(row)).collect()),
    ];
    for (which, learn, rest) in splits {
        assert_eq!(learn.len(), DIGITS);
        let on = |table: &FeatureTable| 100.0 * accuracy(&table.select(&learn), &table.select(&rest));
        let (pixels, features) = (on(&pixels), on(&features));
        println!("digits, {DIGITS} rows, {which}: {pixels:.2} % on pixels, {features:.2} % on features");
        assert!(features > 96.0, "{features}");
        assert!(features > pixels + 5.0, "{features} on features, {pixels} on pixels");
    }
}

#[test]
fn a_head_on_4096_rows_of_mnist_has_97_percent_of_the_test_images_right() {
    let Some(data) = data_folder() else { return };
    let network = Builtin::load().expect("no file is needed");
    let read = |part: &str, rows: usize| {
        let path = |what: &str| data.join(format!("mnist/{part}-{what}-ubyte.gz"));
        let source = Source::open(&path("images-idx3"), Some(&path("labels-idx1"))).expect("MNIST");
        let options = ExtractOptions::default();
        let all: Collected =
            collect(&network, network.preprocess(), source, &options, &mut |_| Ok(())).expect("MNIST's images");
        println!("{part}: {:.0} images a second", all.names.len() as f64 / all.summary.elapsed.as_secs_f64());
        table(all.features.values(), network.features(), all.labels.expect("labels")).first_rows(rows)
    };
    let (train, test) = (read("train", MNIST), read("t10k", 10_000));
    let found = accuracy(&train, &test);
    println!("MNIST, {MNIST} rows: {:.2} % of 10,000 test images", 100.0 * found);
    assert!(found > 0.97, "{found}");
}
