//! What commands write: whole or not at all, never over something, and in the promised form.

use std::process::{Command, Stdio};

use crate::support::{Scratch, table};

#[test]
fn nothing_is_overwritten_without_force_and_foreign_folders_never() {
    let scratch = Scratch::with_artefacts();
    let keygen = "keygen --train table.csv --iterations 1 --out KEYS";
    let train = "train --job JOB --eval-keys KEYS/evaluation.keys --out model.enc";
    let decrypt = "decrypt --model model.enc --keys KEYS --out head.safetensors";
    scratch.fails(2, keygen, &["KEYS", "exists", "--force", "destroys the old secret key"]);
    scratch.fails(2, "encrypt --train table.csv --keys KEYS --out JOB", &["JOB", "exists", "--force"]);
    for (command, file) in [(train, "model.enc"), (decrypt, "head.safetensors")] {
        scratch.fails(2, command, &[file, "exists", "--force"]);
    }
    scratch.succeeds(&format!("{train} --force"));
    scratch.succeeds(&format!("{decrypt} --force"));
    scratch.succeeds("encrypt --train table.csv --keys KEYS --out JOB --force");
    let old = scratch.read("KEYS/secret.key");
    scratch.succeeds(&format!("{keygen} --force"));
    assert_ne!(scratch.read("KEYS/secret.key"), old);
    assert!(!scratch.listing().iter().any(|name| name.contains("/.") || name.starts_with('.')), "no temporary files");

    scratch.write("KEYS/thesis.txt", "years of work");
    scratch.fails(2, &format!("{keygen} --force"), &["KEYS", "thesis.txt", "name another"]);
    scratch.fails(2, "keygen --train table.csv --out head.safetensors --force", &["no folder"]);
    scratch.fails(2, "encrypt --train table.csv --keys KEYS --out .. --force", &[".."]);
    std::fs::create_dir(scratch.path("EMPTY")).unwrap();
    scratch.succeeds("keygen --train table.csv --iterations 1 --out EMPTY/");
}

#[test]
fn outputs_that_cannot_be_written_are_refused_before_the_work() {
    let scratch = Scratch::with_artefacts();
    let train = "train --job JOB --eval-keys KEYS/evaluation.keys --out";
    scratch.fails(2, &format!("{train} nowhere/model.enc"), &["nowhere/model.enc", "does not exist", "create it"]);
    scratch.fails(2, &format!("{train} KEYS"), &["KEYS", "this is a folder"]);
    scratch.fails(2, &format!("{train} /dev/null --force"), &["/dev/null", "no ordinary file"]);
    scratch.fails(2, "keygen --train table.csv --out no/where/KEYS", &["no/where/KEYS", "create it"]);
    scratch.fails(2, "encrypt --train table.csv --keys KEYS --out head.safetensors/JOB", &["is a file, no folder"]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_place_that_takes_no_files_is_a_failure_not_a_mistake_of_the_user() {
    let scratch = Scratch::with_artefacts();
    // The superuser may write anywhere but here.
    let command = "decrypt --model model.enc --keys KEYS --out /proc/head.safetensors";
    scratch.fails(1, command, &["/proc/head.safetensors", "error: "]);
}

#[test]
fn predictions_and_exports_have_the_promised_form() {
    let scratch = Scratch::with_artefacts();
    // With and without labels, the same predictions; of numbers nobody knows which are labels.
    let features: String =
        table(40, 6, 3, 2).lines().map(|line| format!("{}\n", line.split_once(',').unwrap().1)).collect();
    scratch.write("features.csv", features);
    let csv = scratch.succeeds("predict --head head.safetensors --features features.csv");
    assert_eq!(csv, scratch.succeeds("predict --head head.safetensors --features test.csv --label 1"));
    scratch.fails(2, "predict --head head.safetensors --features test.csv", &["test.csv", "7 columns", "--label"]);
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("row,label,p(0),p(1),p(2)"));
    let labels: Vec<&str> = lines.clone().map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!(labels.len(), 40);
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        assert!(fields[2..].iter().all(|p| (0.0..=1.0).contains(&p.parse::<f64>().unwrap())), "{line}");
    }
    scratch.succeeds("predict --head head.safetensors --features features.csv --format json --out out.json");
    let json: serde_json::Value = serde_json::from_slice(&scratch.read("out.json")).unwrap();
    for (row, object) in json.as_array().unwrap().iter().enumerate() {
        assert_eq!(object["row"], row + 1);
        assert_eq!(object["label"], labels[row]);
        assert_eq!(object["probabilities"].as_object().unwrap().len(), 3);
    }
    // What is right agrees with evaluate.
    let right = labels.iter().enumerate().filter(|(row, label)| **label == (row % 3).to_string()).count();
    assert_eq!(scratch.json("evaluate --head head.safetensors --test test.csv --json")["right"], right);
    assert!(scratch.succeeds("evaluate --head head.safetensors --test test.csv").contains("predicted class across"));

    scratch.succeeds("export --head head.safetensors --format json");
    scratch.succeeds("export --head head.safetensors --format onnx --out classifier.onnx");
    let exported: serde_json::Value = serde_json::from_slice(&scratch.read("head.json")).unwrap();
    assert_eq!(exported["classes"], serde_json::json!(["0", "1", "2"]));
    assert_eq!(exported["weight"].as_array().unwrap().len(), 3);
    assert!(scratch.read("classifier.onnx").windows(4).any(|window| window == b"Gemm"));
}

#[test]
fn every_artefact_can_be_inspected_and_keys_stay_unseen() {
    let scratch = Scratch::with_artefacts();
    let kinds = [
        ("KEYS/plan.json", "plan"),
        ("KEYS/secret.key", "secret-key"),
        ("KEYS/evaluation.keys", "evaluation-keys"),
        ("JOB/job.safetensors", "job"),
        ("model.enc", "encrypted-model"),
        ("head.safetensors", "head"),
    ];
    for (file, kind) in kinds {
        let json = scratch.json(&format!("inspect {file} --json"));
        assert_eq!(json["kind"], kind);
        assert_eq!(json["bytes"].as_u64().unwrap() as usize, scratch.read(file).len());
        assert!(scratch.succeeds(&format!("inspect {file}")).contains(kind));
    }
    let keys = scratch.json("inspect KEYS/ --json");
    let found: Vec<&str> = keys.as_array().unwrap().iter().map(|file| file["kind"].as_str().unwrap()).collect();
    assert_eq!(found, ["plan", "secret-key", "evaluation-keys", "job-record"]);
    let job = scratch.json("inspect JOB --json");
    assert_eq!(job[0]["metadata"]["key-id"], keys[1]["metadata"]["key-id"]);
    assert_eq!(job[0]["security_bits"], 128);
    assert!(scratch.succeeds("inspect KEYS/secret.key").len() < 600);
    scratch.fails(2, "inspect .", &["no file of Ciphertune"]);
}

#[test]
#[cfg(unix)]
fn a_reader_that_stops_reading_is_no_error() {
    let scratch = Scratch::with_artefacts();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ciphertune"))
        .args(["predict", "--head", "head.safetensors", "--features", "test.csv", "--label", "1"])
        .current_dir(scratch.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("error"));
}

#[test]
fn help_explains_every_command_and_flag() {
    let scratch = Scratch::new();
    let commands = "demo run curves plan keygen scaler encrypt train infer decrypt evaluate predict export inspect";
    let overview = scratch.succeeds("--help");
    for command in commands.split_whitespace() {
        assert!(overview.contains(command), "{command}");
        let help = scratch.succeeds(&format!("{command} --help"));
        assert!(help.contains("Usage: "), "{command}");
    }
    assert!(scratch.succeeds("--version").starts_with("ciphertune "));
}

#[test]
#[cfg(unix)]
fn an_interrupted_command_leaves_nothing_behind() {
    use std::os::unix::process::ExitStatusExt;
    use std::time::{Duration, Instant};
    let scratch = Scratch::new();
    let arguments = "keygen --rows 128 --features 400 --classes 10 --recipe paper --out KEYS";
    let mut child = Command::new(env!("CARGO_BIN_EXE_ciphertune"))
        .args(arguments.split_whitespace())
        .current_dir(scratch.path("."))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    // Its keys are being made as soon as their file is there, and take longer than this.
    let begun = || {
        let mut entries = std::fs::read_dir(scratch.path(".")).unwrap().flatten();
        entries.any(|entry| entry.path().join("content/evaluation.keys").exists())
    };
    while !begun() {
        assert!(start.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().signal(), Some(2));
    assert_eq!(scratch.listing(), [""; 0]);
}
