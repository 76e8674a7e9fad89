//! `decrypt --publish`: noise, check and count.

use crate::support::{Scratch, table};
use serde_json::Value;

#[test]
fn published_models_say_how_much_precision_is_left_and_more_releases_leave_less() {
    let scratch = Scratch::with_artefacts();
    let bits = |releases: &str, out: &str| {
        scratch
            .succeeds(&format!("decrypt --model model.enc --keys KEYS/ --publish --releases {releases} --out {out}"));
        let description = scratch.json(&format!("inspect {out} --json"));
        description["metadata"]["published"].as_f64().expect("a published head says so")
    };
    let (twice, often) = (bits("2", "two.safetensors"), bits("32", "many.safetensors"));
    assert!(twice > 2.5 && (twice - often - 2.0).abs() < 0.5, "{twice} {often}");
    let usage = scratch.ciphertune("decrypt --model model.enc --keys KEYS/ --releases 2 --out x");
    assert_eq!(usage.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&usage.stderr).contains("--publish"));
}

#[test]
fn every_published_model_of_the_keys_is_counted() {
    let scratch = Scratch::with_artefacts();
    let publish = "decrypt --model model.enc --keys KEYS --publish";
    scratch.succeeds(&format!("{publish} --releases 2 --out one.safetensors"));
    scratch.fails(2, &format!("{publish} --out two.safetensors"), &["releases.json", "--releases 2 or more"]);
    let text = scratch.succeeds(&format!("{publish} --releases 2 --out two.safetensors"));
    assert!(text.contains("release 2 of 2"), "{text}");
    scratch.fails(2, &format!("{publish} --releases 100 --out three.safetensors"), &["releases.json", "make new keys"]);
    let list: Value = serde_json::from_slice(&scratch.read("KEYS/releases.json")).unwrap();
    assert_eq!((list[0]["releases"].as_u64(), list[1]["releases"].as_u64()), (Some(2), Some(2)));
    // For the owner's eyes only: not counted.
    scratch.succeeds("decrypt --model model.enc --keys KEYS --out private.safetensors");
    scratch.write("KEYS/releases.json", "[");
    scratch.fails(2, &format!("{publish} --releases 9 --out three.safetensors"), &["releases.json", "damaged"]);
}

const PUBLISH: &str = "decrypt --model model.enc --keys KEYS --publish --out public.safetensors";

#[test]
fn a_head_is_published_if_it_knows_the_rows_that_were_kept() {
    let scratch = Scratch::with_artefacts();
    let text = scratch.succeeds(PUBLISH);
    assert!(text.contains("checked: ") && text.contains(" of 60 kept rows right; always saying"), "{text}");
    assert!(text.contains("would have 20 right") && text.contains("safe to show"), "{text}");
}

#[test]
fn rows_of_the_owners_own_decide_if_they_are_given() {
    let scratch = Scratch::with_artefacts();
    let text = scratch.succeeds(&format!("{PUBLISH} --releases 2 --check test.csv"));
    assert!(text.contains(" of 40 rows right"), "{text}");
    // Labels in another column.
    let lines = table(40, 6, 3, 2);
    let last: String =
        lines.lines().map(|line| line.split_once(',').map(|(label, x)| format!("{x},{label}\n")).unwrap()).collect();
    scratch.write("last.csv", last);
    let publish = PUBLISH.replace("public", "second");
    scratch.succeeds(&format!("{publish} --releases 2 --check last.csv --label 7"));
}

#[test]
fn a_head_that_does_not_know_the_rows_is_neither_written_nor_counted() {
    let scratch = Scratch::with_artefacts();
    // The labels are turned round: the head is right about none.
    let wrong = |line: &str| {
        let (label, x) = line.split_once(',').expect("a label comes first");
        format!("{},{x}\n", (label.parse::<usize>().expect("a number") + 1) % 3)
    };
    scratch.write("wrong.csv", table(60, 6, 3, 2).lines().map(wrong).collect::<String>());
    let parts = ["model.enc", "would have 20 right", "the server returned something else", "--check"];
    scratch.fails(2, &format!("{PUBLISH} --check wrong.csv"), &parts);
    // Too few rows to tell.
    scratch.write("few.csv", table(4, 6, 3, 2));
    scratch.fails(2, &format!("{PUBLISH} --check few.csv"), &["of 4 rows"]);
    let text = scratch.succeeds(&format!("{PUBLISH} --unchecked"));
    assert!(text.contains("NOT checked"), "{text}");
    let list: Value = serde_json::from_slice(&scratch.read("KEYS/releases.json")).unwrap();
    assert_eq!(list.as_array().map(Vec::len), Some(1), "only what was written is counted");
}

#[test]
fn tables_that_cannot_be_checked_on_are_named() {
    let scratch = Scratch::with_artefacts();
    let fails = |check: &str, parts: &[&str]| scratch.fails(2, &format!("{PUBLISH} --check {check}"), parts);
    fails("absent.csv", &["absent.csv"]);
    scratch.write("empty.csv", "");
    fails("empty.csv", &["empty.csv"]);
    scratch.write("narrow.csv", table(40, 5, 3, 2));
    fails("narrow.csv", &["narrow.csv", "5", "6"]);
    scratch.write("classes.csv", table(40, 6, 4, 2));
    fails("classes.csv", &["classes.csv", "3"]);
    scratch.fails(2, &format!("{PUBLISH} --label 2"), &["--check"]);
    for flags in ["--check test.csv --unchecked", "--unchecked"] {
        let output = scratch.ciphertune(&PUBLISH.replace("--publish", flags));
        assert_eq!(output.status.code(), Some(2), "{flags}");
    }
}

#[test]
fn a_head_whose_logits_are_mostly_noise_is_refused_unless_asked_for() {
    let scratch = Scratch::new();
    scratch.write("table.csv", table(120, 60, 3, 1));
    scratch.succeeds("keygen --train table.csv --out KEYS");
    scratch.succeeds("encrypt --train table.csv --keys KEYS --out JOB");
    scratch.succeeds("train --job JOB --eval-keys KEYS/evaluation.keys --out model.enc");
    // From much noise to little: at some number of releases a bit of the largest weight is left, but not half a bit of
    // a logit, which sums the noise of 61 weights. What is refused is not counted.
    let refused = |releases: u32| {
        let output = scratch.ciphertune(&format!("{PUBLISH} --releases {releases}"));
        assert_eq!(output.status.code(), Some(2), "{releases}");
        String::from_utf8_lossy(&output.stderr).contains("bits of a logit would be left")
    };
    let releases = (0..=20).rev().map(|log| 1 << log).find(|&releases| refused(releases));
    let releases = releases.expect("some number of releases leaves too little of a logit");
    assert!(!scratch.path("public.safetensors").exists() && !scratch.path("KEYS/releases.json").exists());
    let text = scratch.succeeds(&format!("{PUBLISH} --releases {releases} --anyway --unchecked"));
    assert!(text.contains("bits of a logit are left"), "{text}");
}
