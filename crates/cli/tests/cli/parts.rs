//! Trainings on several machines: parts of the classes, and the model of all.

use crate::support::{Scratch, table};

#[test]
fn parts_that_were_trained_apart_are_merged_into_the_model_of_one_machine() {
    let scratch = Scratch::new();
    // So many rows that every class has a ciphertext of its own.
    scratch.write("table.csv", table(2000, 20, 3, 1));
    scratch.succeeds("keygen --train table.csv --out KEYS");
    scratch.succeeds("encrypt --train table.csv --keys KEYS --out JOB");
    let train = "train --job JOB --eval-keys KEYS/evaluation.keys";
    let whole = scratch.succeeds(&format!("{train} --out whole.enc"));
    assert!(whole.contains("ciphertune decrypt"), "{whole}");
    for index in 1..=3 {
        let part = scratch.succeeds(&format!("{train} --part {index}/3 --out part-{index}.enc"));
        assert!(part.contains(&format!("part {index}/3 of the model")) && part.contains("ciphertune merge"), "{part}");
    }
    let merged = scratch.succeeds("merge --part part-2.enc part-3.enc --part part-1.enc --out model.enc");
    assert!(merged.contains("merged 3 parts") && merged.contains("ciphertune decrypt"), "{merged}");
    assert!(scratch.read("model.enc") == scratch.read("whole.enc"), "byte for byte");

    scratch.fails(2, &format!("{train} --part 1/4 --out part.enc"), &["job.safetensors", "take at most 3"]);
    scratch.fails(2, "merge --part whole.enc --out other.enc", &["whole.enc", "whole"]);
    scratch.fails(2, "merge --part part-1.enc part-3.enc --out other.enc", &["missing: 2/3"]);
    scratch.fails(2, "merge --part part-1.enc part-1.enc part-2.enc part-3.enc --out other.enc", &["twice: 1/3"]);
    scratch.fails(2, "merge --part KEYS/plan.json --out other.enc", &["plan.json"]);
    scratch.fails(2, "merge --part part-1.enc part-2.enc part-3.enc --out model.enc", &["--force"]);
    scratch.fails(2, "decrypt --model part-1.enc --keys KEYS --out head", &["part 1/3", "ciphertune merge"]);
    for part in ["0/2", "2", "3/2"] {
        let output = scratch.ciphertune(&format!("{train} --part {part} --out other.enc"));
        assert_eq!(output.status.code(), Some(2), "{part}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("part"), "{part}");
    }
}
