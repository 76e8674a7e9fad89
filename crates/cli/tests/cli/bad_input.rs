//! Bad tables, bad requests, damaged files: one sentence that names the file and the remedy, and nothing written.

use crate::support::{Scratch, table};

#[test]
fn bad_tables_are_refused_by_every_command_that_trains() {
    let scratch = Scratch::new();
    scratch.write("good.csv", table(60, 6, 3, 1));
    scratch.write("ragged.csv", "0,1,2\n1,3,4\n0,5\n");
    scratch.write("nan.csv", "0,1,2\n1,NaN,4\n");
    scratch.write("infinite.csv", "0,1,2\n1,inf,4\n");
    scratch.write("word.csv", "0,1,2\n1,three,4\n");
    scratch.write("empty.csv", "");
    scratch.write("header.csv", "label,a,b\n");
    scratch.write("one.csv", "7,1,2\n7,3,4\n7,5,6\n");
    scratch.write("noise.npz", [0x50, 0x4b, 3, 4, 9, 9, 9]);
    scratch.write("noise.safetensors", [0xff; 40]);
    scratch.write("table.xlsx", "x");
    scratch.write("table", "x");
    let cases: [(&str, &[&str]); 12] = [
        ("missing.csv", &["no such file"]),
        ("ragged.csv", &["line 3", "2 fields", "3 are expected"]),
        ("nan.csv", &["line 2", "not a finite number", "remove the row"]),
        ("infinite.csv", &["not a finite number"]),
        ("word.csv", &["line 2", "three", "not a number"]),
        ("empty.csv", &["no rows"]),
        ("header.csv", &["no rows"]),
        ("one.csv", &["label \"7\"", "at least two classes"]),
        ("noise.npz", &["npz"]),
        ("noise.safetensors", &["safetensors"]),
        ("table.xlsx", &[".csv, .tsv, .txt, .npz or .safetensors"]),
        ("table", &[".csv, .tsv, .txt, .npz or .safetensors"]),
    ];
    for (file, parts) in cases {
        let parts = [&[file], parts].concat();
        scratch.fails(2, &format!("keygen --train {file} --out KEYS"), &parts);
        scratch.fails(2, &format!("run --train {file} --holdout 0.5"), &parts);
        scratch.fails(2, &format!("plan --train {file}"), &parts);
        if file != "one.csv" {
            scratch.fails(2, &format!("run --train good.csv --test {file}"), &parts);
        }
    }
}

#[test]
fn test_tables_must_fit_the_training_table() {
    let scratch = Scratch::new();
    scratch.write("train.csv", table(60, 6, 3, 1));
    scratch.write("unseen.csv", "0,1,2,3,4,5,6\n5,1,2,3,4,5,6\n");
    scratch.write("narrow.csv", "0,1,2,3\n1,1,2,3\n");
    scratch.fails(
        2,
        "run --train train.csv --test unseen.csv",
        &["unseen.csv", "row 2", "\"5\"", "never saw", "0, 1, 2"],
    );
    scratch.fails(2, "run --train train.csv --test narrow.csv", &["narrow.csv", "3 features", "6"]);
    scratch.fails(2, "run --train train.csv --holdout 1.5", &["train.csv", "1.5", "between 0 and 1"]);
    scratch.fails(2, "run --train train.csv --holdout nan", &["train.csv"]);
    scratch.fails(2, "run --train train.csv --holdout 0.2 --rows 61", &["train.csv", "60 rows", "--rows"]);
}

#[test]
fn impossible_requests_name_what_is_possible() {
    let scratch = Scratch::new();
    scratch.write("t.csv", table(60, 6, 3, 1));
    let shape = "plan --rows 60 --features 6 --classes 3";
    scratch.fails(2, &format!("{shape} --iterations 0"), &["1 to 1000"]);
    scratch.fails(2, &format!("{shape} --iterations 500"), &["500 iteration", "128 bits", "fewer"]);
    scratch.fails(2, &format!("{shape} --lambda 0.1 --scaler none"), &["lambda", "whiten"]);
    scratch.fails(2, &format!("{shape} --learning-rate 0"), &["learning rate"]);
    scratch.fails(2, "plan --rows 0 --features 6 --classes 3", &["--rows 0"]);
    scratch.fails(2, "plan --rows 60 --features 6 --classes 65", &["--classes 65", "64"]);
    scratch.fails(2, "run --train t.csv --holdout 0.2 --memory 100M", &["t.csv", "100 M", "--memory"]);
    scratch.fails(2, "keygen --train t.csv --out KEYS --memory 10M", &["t.csv", "10 M", "--memory"]);
    for usage in ["run --train t.csv", "plan", "keygen --train t.csv", "frobnicate", "plan --memory lots --train t.csv"]
    {
        let output = scratch.ciphertune(usage);
        assert_eq!(output.status.code(), Some(2), "{usage}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "), "{usage}");
    }
}

#[test]
fn damaged_files_of_every_kind_are_refused_and_nothing_is_written() {
    let scratch = Scratch::with_artefacts();
    scratch.succeeds("scaler fit --features table.csv --out scaler.safetensors");
    let record = scratch.listing().into_iter().find(|name| name.ends_with("record.safetensors")).unwrap();
    let cases = [
        ("KEYS/secret.key", "encrypt --train table.csv --keys KEYS --out OUT"),
        ("KEYS/secret.key", "decrypt --model model.enc --keys KEYS --out OUT"),
        ("KEYS/evaluation.keys", "train --job JOB --eval-keys KEYS/evaluation.keys --out OUT"),
        ("KEYS/plan.json", "encrypt --train table.csv --keys KEYS --out OUT"),
        ("JOB/job.safetensors", "train --job JOB --eval-keys KEYS/evaluation.keys --out OUT"),
        ("model.enc", "decrypt --model model.enc --keys KEYS --out OUT"),
        (record.as_str(), "decrypt --model model.enc --keys KEYS --out OUT"),
        ("scaler.safetensors", "encrypt --train table.csv --keys KEYS --scaler-file scaler.safetensors --out OUT"),
        ("head.safetensors", "evaluate --head head.safetensors --test test.csv"),
        ("head.safetensors", "predict --head head.safetensors --features test.csv --label 1 --out OUT"),
        ("head.safetensors", "export --head head.safetensors --format onnx --out OUT"),
    ];
    for (file, command) in cases {
        let whole = scratch.read(file);
        let mut flipped = whole.clone();
        // In the plan, a digit of a prime; in containers, a bit of a tensor.
        let position = if file.ends_with(".json") { find(&whole, b"\"q\":[") + 8 } else { whole.len() - 9 };
        flipped[position] ^= 1;
        for damaged in [&flipped[..], &whole[..whole.len() / 2], &whole[..5], b""] {
            scratch.write(file, damaged);
            scratch.fails(2, command, &[file]);
            if !file.ends_with(".json") {
                scratch.fails(2, &format!("inspect {file}"), &[file]);
            }
        }
        std::fs::remove_file(scratch.path(file)).unwrap();
        scratch.fails(2, command, &[]);
        scratch.write(file, whole);
    }
}

fn find(text: &[u8], part: &[u8]) -> usize {
    text.windows(part.len()).position(|window| window == part).expect("the part is there")
}
