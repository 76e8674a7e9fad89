//! The roles one at a time, through files.

use crate::support::{Scratch, table};
use serde_json::Value;

/// Whether `needle` occurs in `haystack`.
fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn the_separate_commands_give_the_same_quality_as_run_and_the_server_needs_no_owner() {
    let owner = Scratch::new();
    owner.write("train.csv", table(90, 7, 3, 3));
    owner.write("test.csv", table(200, 7, 3, 4));
    let run = owner.json("run --train train.csv --test test.csv --json");

    let text = owner.succeeds("keygen --train train.csv --out KEYS/");
    assert!(text.contains("KEYS/secret.key") && text.contains("ciphertune encrypt --train"), "{text}");
    owner.succeeds("encrypt --train train.csv --keys KEYS/ --out JOB/");

    // Another machine: only what is sent.
    let server = Scratch::new();
    server.write("evaluation.keys", owner.read("KEYS/evaluation.keys"));
    std::fs::create_dir(server.path("JOB")).unwrap();
    server.write("JOB/job.safetensors", owner.read("JOB/job.safetensors"));
    server.succeeds("train --job JOB/ --eval-keys evaluation.keys --out model.enc");
    owner.write("model.enc", server.read("model.enc"));

    let text = owner.succeeds("decrypt --model model.enc --keys KEYS/ --out head.safetensors");
    assert!(text.contains("precision") && text.contains("--publish"), "{text}");
    let evaluation = owner.json("evaluate --head head.safetensors --test test.csv --json");
    assert_eq!(evaluation["accuracy"], run["accuracy"]);
    assert!(evaluation["accuracy"].as_f64().unwrap() > 0.9, "{evaluation}");
    let sle = |value: &Value| value["sle"].as_f64().unwrap();
    assert!((sle(&evaluation) - sle(&run)).abs() < 1e-3 * sle(&run).abs());
    assert_eq!(run["upload_bytes"].as_u64().unwrap() as usize, owner.read("JOB/job.safetensors").len());
    assert_eq!(run["key_bytes"].as_u64().unwrap() as usize, owner.read("KEYS/evaluation.keys").len());
}

#[test]
fn neither_job_nor_evaluation_keys_nor_model_contain_the_secret_key() {
    let scratch = Scratch::with_artefacts();
    let secret = scratch.read("KEYS/secret.key");
    // The tensor lies at the end: one byte a coefficient.
    let coefficients = &secret[secret.len() - 8192..];
    assert!(coefficients.iter().all(|&byte| [0, 1, 255].contains(&byte)), "the layout of the file has changed");
    let words: Vec<u8> = coefficients[..32].iter().flat_map(|&byte| i64::from(byte as i8).to_le_bytes()).collect();
    for file in ["JOB/job.safetensors", "KEYS/evaluation.keys", "model.enc", "KEYS/plan.json"] {
        let content = scratch.read(file);
        assert!(!contains(&content, &coefficients[..32]), "{file}");
        assert!(!contains(&content, &words), "{file}");
    }
    assert_eq!(scratch.listing().iter().filter(|name| name.starts_with("JOB")).count(), 2, "the folder and one file");
}

#[test]
#[cfg(unix)]
fn secret_keys_records_and_private_heads_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::with_artefacts();
    let mode = |name: &str| std::fs::metadata(scratch.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("KEYS/secret.key"), 0o600);
    assert_eq!(mode("KEYS"), 0o700);
    assert_eq!(mode("head.safetensors"), 0o600);
    scratch.succeeds("predict --head head.safetensors --features test.csv --label 1 --out predictions.csv");
    assert_eq!(mode("predictions.csv"), 0o600);
    let output = scratch.ciphertune("evaluate --head head.safetensors --test test.csv --json");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("warning: "));
    let record = scratch.listing().into_iter().find(|name| name.ends_with("record.safetensors")).unwrap();
    assert_eq!(mode(&record), 0o600);
}

#[test]
fn decrypting_with_other_keys_names_both_keys() {
    let scratch = Scratch::with_artefacts();
    scratch.succeeds("keygen --train table.csv --iterations 1 --out OTHER");
    let id = |file: &str| scratch.json(&format!("inspect {file} --json"))["metadata"]["key-id"].clone();
    let (found, expected) = (id("model.enc"), id("OTHER/secret.key"));
    let parts = ["model.enc", found.as_str().unwrap(), expected.as_str().unwrap()];
    scratch.fails(2, "decrypt --model model.enc --keys OTHER --out x.safetensors", &parts);
}

#[test]
fn a_traced_model_holds_every_iterate_and_the_last_becomes_the_head() {
    let scratch = Scratch::new();
    scratch.write("table.csv", table(50, 5, 2, 5));
    scratch.succeeds("keygen --train table.csv --out KEYS");
    scratch.succeeds("encrypt --train table.csv --keys KEYS --out JOB");
    scratch.succeeds("train --job JOB/job.safetensors --eval-keys KEYS/evaluation.keys --trace --out traced.enc");
    scratch.succeeds("train --job JOB --eval-keys KEYS/evaluation.keys --out last.enc");
    let traced = scratch.json("inspect traced.enc --json");
    assert_eq!(traced["metadata"]["iterations"], serde_json::json!([1, 2]));
    let text = scratch.succeeds("decrypt --model traced.enc --keys KEYS --out traced.safetensors");
    assert!(text.contains("2 iterates"), "{text}");
    scratch.succeeds("decrypt --model last.enc --keys KEYS --out last.safetensors");
    let accuracy =
        |head: &str| scratch.json(&format!("evaluate --head {head} --test table.csv --json"))["right"].clone();
    assert_eq!(accuracy("traced.safetensors"), accuracy("last.safetensors"));
}

#[test]
fn a_shared_scaler_is_used_and_one_of_another_kind_refused() {
    let scratch = Scratch::with_artefacts();
    scratch.succeeds("scaler fit --features test.csv --out shared.safetensors");
    scratch.succeeds("scaler fit --features test.csv --scaler standardize --out other.safetensors");
    scratch.succeeds("encrypt --train table.csv --keys KEYS --scaler-file shared.safetensors --out JOB2");
    scratch.succeeds("train --job JOB2 --eval-keys KEYS/evaluation.keys --out model2.enc");
    scratch.succeeds("decrypt --model model2.enc --keys KEYS --out head2.safetensors");
    assert_ne!(scratch.read("head2.safetensors"), scratch.read("head.safetensors"));
    let arguments = "encrypt --train table.csv --keys KEYS --scaler-file other.safetensors --out JOB3";
    scratch.fails(2, arguments, &["other.safetensors", "standardize", "--scaler"]);
    scratch.fails(2, "scaler fit --features table.csv --scaler none --lambda 0.1 --out s", &["--lambda", "whiten"]);
    scratch.fails(2, "scaler fit --features table.csv --lambda -1 --out s", &["lambda"]);
}
