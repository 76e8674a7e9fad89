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

#[test]
fn an_archive_of_one_pair_is_read_whatever_its_names_and_of_more_arrays_the_names_are_asked_for() {
    let scratch = Scratch::new();
    let archive = |arrays: &[&str]| {
        let (features, labels): (Vec<[f32; 3]>, Vec<i64>) = rows(40).map(|(x, class)| (x, class as i64)).unzip();
        let mut archive = Writer::new(Cursor::new(Vec::new()));
        archive.array("embeddings", &[40, 3], Values::F32(features.as_flattened())).unwrap();
        for name in arrays {
            archive.array(name, &[40], Values::I64(&labels)).unwrap();
        }
        archive.finish().unwrap().into_inner()
    };
    scratch.write("pair.npz", archive(&["species"]));
    assert_eq!(scratch.json("run --train pair.npz --holdout 0.25 --json")["accuracy"], 1.0);
    scratch.write("three.npz", archive(&["species", "sex"]));
    let parts = ["three.npz", "embeddings, sex, species", "`features` and `labels`"];
    scratch.fails(2, "run --train three.npz --holdout 0.25", &parts);
    scratch.write("one.npz", archive(&[]));
    scratch.fails(2, "run --train one.npz --holdout 0.25", &["one.npz", "only embeddings", "`labels`"]);
}

#[test]
fn text_is_read_by_the_separators_that_people_use() {
    let scratch = Scratch::new();
    let text = |line: fn([f32; 3], usize) -> String| rows(40).map(|(x, class)| line(x, class)).collect::<String>();
    // As numpy.savetxt writes a table with a line of names.
    scratch
        .write("t.txt", format!("# kind a b c\n{}", text(|[a, b, c], class| format!("{class:e} {a:e} {b:e} {c:e}\n"))));
    let expected = scratch.json("run --train t.txt --holdout 0.25 --json");
    assert_eq!((&expected["accuracy"], &expected["features"]), (&1.0.into(), &3.into()));
    let semicolons: fn([f32; 3], usize) -> String =
        |x, class| format!("{class},0;{}\n", x.map(|number| number.to_string().replace('.', ",")).join(";"));
    scratch.write("t.csv", text(semicolons));
    assert_eq!(scratch.json("run --train t.csv --holdout 0.25 --json")["accuracy"], 1.0);

    let middle: fn([f32; 3], usize) -> String = |[a, b, c], class| {
        let word = ["ash", "elm", "oak"][class];
        format!("{a};{word};{b};{c}\n").replace('.', ",")
    };
    scratch.write("middle.csv", text(middle));
    let parts = ["middle.csv", "line 1, column 2: \"ash\"", "--label 2", "--drop 2"];
    scratch.fails(2, "run --train middle.csv --holdout 0.25", &parts);
    assert_eq!(scratch.json("run --train middle.csv --label 2 --holdout 0.25 --json")["accuracy"], 1.0);
    let report = scratch.json("run --train middle.csv --label 2 --drop 4 --holdout 0.25 --json");
    assert_eq!(report["features"], 2);

    let rows = text(|[a, b, c], class| format!("{class},{a},{b},{c}\n"));
    scratch.write("comment.csv", format!("# exported, by hand\n{rows}"));
    scratch.fails(2, "run --train comment.csv --holdout 0.25", &["comment.csv", "line 1", "comment", "remove"]);
    scratch.write("comment.csv", format!("{rows}# the end, really\n"));
    scratch.fails(2, "run --train comment.csv --holdout 0.25", &["comment.csv", "line 41", "comment", "remove"]);
}
