//! Training under a bound on memory: what does not fit is read again, and the bound holds.

use std::process::Stdio;
use std::time::Duration;

use crate::support::{Scratch, table};

/// A job of many rows for its size: hundreds of MiB of ciphertexts in memory, less than half of that on disk.
fn job() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("train.csv", table(12_000, 100, 2, 1));
    scratch.succeeds("keygen --train train.csv --log-n 14 --publish-bits -30 --out KEYS");
    scratch.succeeds("encrypt --train train.csv --keys KEYS --out JOB");
    scratch
}

/// The high-water mark of a command's memory in MiB, where the system counts it.
#[cfg(target_os = "linux")]
fn peak(scratch: &Scratch, arguments: &str) -> usize {
    let mut child = scratch.command(arguments).stdout(Stdio::null()).spawn().expect("the binary runs");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        // The mark only grows, so that the last one seen is all but the highest.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
        peak = peak.max(kilobytes.unwrap_or(0));
        if let Some(status) = child.try_wait().expect("a child of ours") {
            assert!(status.success(), "ciphertune {arguments}");
            return peak >> 10;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn training_stays_below_the_memory_that_it_is_given_and_gives_the_same_model() {
    let scratch = job();
    let train = "train --job JOB --eval-keys KEYS/evaluation.keys";
    let everything = peak(&scratch, &format!("{train} --out all.enc"));
    let told = scratch.json(&format!("{train} --out told.enc --json"));
    assert_eq!(told["kept_ciphertexts"], told["upload_ciphertexts"]);
    assert_eq!(told["model_bytes"].as_u64().unwrap() as usize, scratch.read("told.enc").len());
    assert!(told["seconds"]["train"].as_f64().unwrap() > 0.0 && told["seconds"]["load"].as_f64().unwrap() > 0.0);
    let peak_told = told["peak_memory_bytes"].as_u64().unwrap() as usize >> 20;
    assert!(peak_told.abs_diff(everything) < everything / 4, "{peak_told} MiB told of {everything}");
    let message = scratch.ciphertune(&format!("{train} --memory 1M --out none.enc"));
    let message = String::from_utf8_lossy(&message.stderr).into_owned();
    let least: usize = message
        .split("at least ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .expect(&message)
        .parse()
        .expect(&message);
    for budget in [least, (least + everything) / 2] {
        let found = peak(&scratch, &format!("{train} --memory {budget}M --out {budget}.enc"));
        assert!(found <= budget, "{found} MiB of {budget}");
        assert!(scratch.read(&format!("{budget}.enc")) == scratch.read("all.enc"), "the same model at {budget} MiB");
    }
    assert!(4 * least < 3 * everything, "{least} MiB are needed, {everything} are taken where there are enough");
}

#[test]
fn a_run_within_little_memory_says_what_it_read_again_and_is_as_right() {
    let scratch = Scratch::new();
    scratch.write("train.csv", table(9000, 100, 2, 1));
    scratch.write("test.csv", table(200, 100, 2, 2));
    let run = "run --train train.csv --test test.csv --log-n 14 --publish-bits -30 --json";
    let plenty = scratch.json(run);
    assert_eq!(plenty["ciphertexts_read_again"], 0);
    assert_eq!(plenty["kept_ciphertexts"], plenty["upload_ciphertexts"]);
    let little = scratch.json(&format!("{run} --memory 240M"));
    assert!(little["ciphertexts_read_again"].as_u64().unwrap() > 0, "{little}");
    assert!(little["kept_ciphertexts"].as_u64() < little["upload_ciphertexts"].as_u64());
    assert_eq!(little["right"], plenty["right"]);
    // Whoever does not publish has twelve bits and more.
    assert!(little["max_weight_error"].as_f64().unwrap() < 1e-3, "{little}");
}

#[test]
fn a_job_that_finds_no_place_for_its_temporary_file_is_an_error_that_says_how_to_give_it_one() {
    let scratch = Scratch::new();
    scratch.write("train.csv", table(9000, 100, 2, 1));
    let run = "run --train train.csv --holdout 0.1 --log-n 14 --publish-bits -30 --memory 240M";
    let output = scratch.command(run).env("TMPDIR", "/no/such/folder").output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("/no/such/folder (TMPDIR names another folder)"), "{message}");
}
