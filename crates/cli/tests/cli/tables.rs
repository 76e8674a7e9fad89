//! Tables as people have them: columns in any order, archives with parts of their own.

use std::io::Cursor;

use ciphertune_formats::npz::{Values, Writer};

use crate::support::Scratch;

/// Rows of three classes, by the place of their largest feature.
fn rows(count: usize) -> impl Iterator<Item = ([f32; 3], usize)> {
    (0..count).map(|row| {
        let mut features = [0, 1, 2].map(|k| ((row * 7 + k * 5) % 11) as f32 / 11.0);
        features[row % 3] += 3.0;
        (features, row % 3)
    })
}

#[test]
fn label_columns_are_named_and_others_dropped_in_training_and_testing_alike() {
    let scratch = Scratch::new();
    let line = |(number, ([a, b, c], class)): (usize, ([f32; 3], usize))| format!("{number},{a},{b},{c},{class}\n");
    let text: String = rows(40).enumerate().map(line).collect();
    scratch.write("t.csv", format!(",a,b,c,kind\n{text}"));
    let report = scratch.json("run --train t.csv --test t.csv --label kind --drop 1 --json");
    assert_eq!((report["features"].as_u64(), report["classes"].as_u64()), (Some(3), Some(3)), "{report}");
    assert_eq!(report["accuracy"].as_f64(), Some(1.0));
    scratch.fails(2, "run --train t.csv --label sort --holdout 0.25", &["t.csv", "\"sort\"", "kind"]);
    scratch.fails(2, "run --train t.csv --label kind", &["nothing to test on", "--holdout"]);
    scratch.write("fractions.csv", "0.5,1.5,1\n2.5,3.5,0\n");
    scratch.fails(2, "run --train fractions.csv --holdout 0.25", &["fractions.csv", "--label"]);
}

#[test]
fn an_archive_with_parts_is_trained_on_one_and_tested_on_the_other() {
    let scratch = Scratch::new();
    let mut archive = Writer::new(Cursor::new(Vec::new()));
    for (part, count) in [("train", 40), ("test", 20)] {
        let (features, labels): (Vec<[f32; 3]>, Vec<i64>) = rows(count).map(|(x, class)| (x, class as i64)).unzip();
        archive.array(&format!("x_{part}"), &[count, 3], Values::F32(features.as_flattened())).unwrap();
        archive.array(&format!("y_{part}"), &[count], Values::I64(&labels)).unwrap();
    }
    let mut bytes = archive.finish().unwrap().into_inner();
    scratch.write("keras.npz", &bytes);
    let report = scratch.json("run --train keras.npz --json");
    assert_eq!((report["rows"].as_u64(), report["test_rows"].as_u64()), (Some(40), Some(20)), "{report}");
    assert_eq!(report["accuracy"].as_f64(), Some(1.0));

    // The largest of the first row's features, 3.0, becomes another number.
    let place = bytes.windows(4).position(|four| four == 3f32.to_le_bytes()).expect("a value as it was written");
    bytes[place] ^= 1;
    scratch.write("damaged.npz", &bytes);
    scratch.fails(2, "run --train damaged.npz", &["damaged.npz", "x_train", "checksum"]);
}
