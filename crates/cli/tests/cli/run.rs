//! `run`, `plan` and `demo`.

use crate::support::{Scratch, table};
use serde_json::Value;

/// Fields that programs may rely on.
const FIELDS: [&str; 20] = [
    "accuracy",
    "accuracy_plaintext",
    "sle",
    "accuracy_per_iteration",
    "accuracy_per_iteration_plaintext",
    "max_weight_error",
    "seconds",
    "peak_memory_bytes",
    "upload_bytes",
    "key_bytes",
    "upload_ciphertexts",
    "log_n",
    "log_qp",
    "security_bits",
    "levels_left",
    "key_switches",
    "products",
    "largest_logit",
    "logits_within_range",
    "layout",
];

fn check(report: &Value, iterations: usize) {
    for field in FIELDS {
        assert!(report.get(field).is_some(), "{field} is missing in {report}");
    }
    let number = |field: &str| report[field].as_f64().unwrap_or_else(|| panic!("{field}: {report}"));
    assert!((0.0..=1.0).contains(&number("accuracy")));
    assert_eq!(report["accuracy"], report["accuracy_plaintext"]);
    assert_eq!(report["accuracy_per_iteration"], report["accuracy_per_iteration_plaintext"]);
    assert_eq!(report["accuracy_per_iteration"].as_array().unwrap().len(), iterations);
    assert!(number("max_weight_error") < 1e-3 && number("sle") < 0.0 && number("log_qp") > 100.0);
    assert_eq!(number("security_bits"), 128.0);
    for step in ["keygen", "encrypt", "train", "decrypt"] {
        assert!(report["seconds"][step].as_f64().unwrap() > 0.0, "{step}");
    }
    if cfg!(target_os = "linux") {
        assert!(number("peak_memory_bytes") > 1e6);
    }
}

#[test]
fn any_labels_features_and_recipes_train_like_the_twin() {
    let scratch = Scratch::new();
    let word = |line: &str| line.replacen("0,", "elm,", if line.starts_with("0,") { 1 } else { 0 }) + "\n";
    let lines: String = table(70, 5, 2, 1).lines().map(word).collect();
    scratch.write("two.csv", format!("kind,a,b,c,d,e\n{lines}"));
    scratch.write("three.csv", table(100, 33, 3, 2));
    check(&scratch.json("run --train two.csv --holdout 0.3 --trace --json"), 2);
    check(&scratch.json("run --train three.csv --holdout 0.3 --trace --json --recipe paper --iterations 1"), 1);
    let flags = "--scaler standardize --bound row-sums --sigmoid wide --momentum 0.5 --learning-rate 0.5";
    check(&scratch.json(&format!("run --train three.csv --holdout 0.3 --seed 4 --trace --json {flags}")), 2);
}

#[test]
fn the_papers_layout_agrees_with_the_twin() {
    let scratch = Scratch::new();
    scratch.write("table.csv", table(40, 5, 2, 2));
    let report =
        scratch.json("run --train table.csv --holdout 0.25 --layout volley-revolver --iterations 1 --trace --json");
    check(&report, 1);
    assert_eq!(report["layout"], "volley-revolver");
}

#[test]
fn without_trace_there_is_no_course_and_the_report_is_readable() {
    let scratch = Scratch::new();
    scratch.write("table.csv", table(60, 6, 3, 1));
    scratch.write("test.csv", table(30, 6, 3, 2));
    let report = scratch.json("run --train table.csv --rows 50 --test test.csv --iterations 1 --json");
    assert!(report["accuracy_per_iteration"].is_null());
    assert_eq!(report["rows"], 50);
    let before = scratch.listing();
    let text = scratch.succeeds("run --train table.csv --test test.csv --iterations 1");
    assert!(text.contains("accuracy, encrypted") && text.contains("in the clear"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert_eq!(scratch.listing(), before, "run writes nothing");
}

#[test]
fn a_plan_for_a_slower_connection_uploads_less_and_says_what_it_counts() {
    let scratch = Scratch::new();
    let plan = "plan --rows 128 --features 400 --classes 10";
    let at = |rate: &str| scratch.json(&format!("{plan} --upload-rate {rate} --json"));
    let (slow, fast) = (at("100k"), at("10G"));
    assert_eq!(slow["upload_bytes_per_second"], 102_400.0);
    assert!(slow["upload_bytes"].as_u64() < fast["upload_bytes"].as_u64(), "{slow} {fast}");
    assert!(slow["key_switches"].as_u64() > fast["key_switches"].as_u64(), "{slow} {fast}");
    assert_eq!(at("25000000")["plan"], scratch.json(&format!("{plan} --json"))["plan"], "25 MB a second is usual");
    let said = scratch.succeeds(&format!("{plan} --upload-rate 100k"));
    assert!(said.contains("at 100 KiB a second (--upload-rate)"), "{said}");
    for rate in ["0", "-1", "fast"] {
        let output = scratch.ciphertune(&format!("{plan} --upload-rate={rate}"));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains("--upload-rate") && message.contains("number of bytes"), "{message}");
    }
}

#[test]
fn a_plan_is_the_same_from_a_table_and_from_its_shape() {
    let scratch = Scratch::new();
    scratch.write("table.csv", table(60, 6, 3, 1));
    let (a, b) =
        (scratch.json("plan --train table.csv --json"), scratch.json("plan --rows 60 --features 6 --classes 3 --json"));
    assert_eq!(a["plan"], b["plan"]);
    for field in
        ["log_n", "log_qp", "log_qp_bound", "key_bytes", "upload_bytes", "memory_bytes", "key_switches", "seconds"]
    {
        assert!(a[field].as_f64().unwrap() > 0.0, "{field}");
    }
    assert!(a["published_precision_bits"].as_f64().unwrap() < a["precision_bits"].as_f64().unwrap());
    let text = scratch.succeeds("plan --rows 128 --features 400 --classes 10 --iterations 2");
    for part in ["log QP", "128 bits of security", "evaluation keys", "upload", "memory", "key switches", "published"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    // The sizes that a plan promises are those of the files.
    scratch.succeeds("keygen --train table.csv --out KEYS");
    scratch.succeeds("encrypt --train table.csv --keys KEYS --out JOB");
    let close = |field: &str, file: &str| {
        let (planned, found) = (a[field].as_f64().unwrap(), scratch.read(file).len() as f64);
        assert!((found / planned - 1.0).abs() < 0.02, "{field}: planned {planned}, found {found}");
    };
    close("key_bytes", "KEYS/evaluation.keys");
    close("upload_bytes", "JOB/job.safetensors");
}

#[test]
fn logits_beyond_the_cubic_are_warned_of_and_a_diverged_training_is_refused() {
    let scratch = Scratch::new();
    scratch.write("table.csv", table(60, 6, 2, 1));
    let output = scratch.ciphertune("run --train table.csv --holdout 0.2 --sigmoid 0.197,-0.004,1 --json");
    let warning = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && warning.starts_with("warning: ") && warning.contains("range"), "{warning}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["logits_within_range"], false);
    scratch.fails(2, "run --train table.csv --holdout 0.2 --learning-rate 20", &["diverged", "--learning-rate"]);
}

#[test]
fn the_demo_trains_on_encrypted_digits_and_writes_nothing() {
    let scratch = Scratch::new();
    let text = scratch.succeeds("demo");
    for part in ["owner", "server", "trained encrypted", "trained in the clear", "ciphertune run"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(scratch.listing().is_empty());
}
