//! `curves`: its table, its object, its files, and what it refuses.

use crate::support::{Scratch, table};
use serde_json::Value;

const CURVES: &str = "curves --train train.csv --test test.csv --iterations 30";

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("train.csv", table(60, 6, 3, 1));
    scratch.write("test.csv", table(40, 6, 3, 2));
    scratch
}

#[test]
fn the_papers_methods_and_our_scalers_are_traced_from_the_start_to_the_last_iteration() {
    let scratch = scratch();
    let outcome = scratch.json(&format!("{CURVES} --json"));
    let curves = outcome["curves"].as_array().unwrap();
    let names: Vec<&str> = curves.iter().map(|curve| curve["method"].as_str().unwrap()).collect();
    assert_eq!(names, ["softmax-nag", "sigmoid-nag", "sigmoid-nag-qg", "default-standardize", "default-whiten"]);
    for curve in curves {
        for table in ["train", "test"] {
            for list in ["accuracy", "log_likelihood", "sle"] {
                assert_eq!(curve[table][list].as_array().unwrap().len(), 31, "{curve}");
            }
        }
        let loss = |t: usize| curve["train"]["log_likelihood"][t].as_f64().unwrap();
        assert!(loss(30) > loss(0), "nothing was learned: {curve}");
    }
    let text = scratch.succeeds(CURVES);
    for part in ["60 rows x 6 features", "40 test rows", "sigmoid NAG with QG", "default, whitened", "SLE"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert_eq!(scratch.listing(), ["test.csv", "train.csv"], "nothing is written without --report");
}

#[test]
fn scalers_and_held_out_rows_can_be_chosen() {
    let scratch = scratch();
    let outcome =
        scratch.json("curves --train train.csv --holdout 0.2 --rows 50 --iterations 3 --scalers center,center --json");
    assert_eq!((outcome["rows"].as_u64(), outcome["test_rows"].as_u64()), (Some(41), Some(9)));
    assert_eq!(outcome["curves"].as_array().unwrap().len(), 4);
    assert_eq!(outcome["curves"][3]["method"], "default-center");
}

#[test]
fn a_report_holds_the_page_the_object_the_points_and_the_drawing() {
    let scratch = scratch();
    let printed = scratch.json(&format!("{CURVES} --json --report OUT"));
    assert_eq!(
        scratch.listing(),
        ["OUT", "OUT/curves.csv", "OUT/curves.svg", "OUT/report.html", "OUT/report.json", "test.csv", "train.csv"]
    );
    let written: Value = serde_json::from_slice(&scratch.read("OUT/report.json")).unwrap();
    assert_eq!(written, printed);
    let csv = String::from_utf8(scratch.read("OUT/curves.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 5 * 31);
    let last: Vec<&str> = csv.lines().last().unwrap().split(',').collect();
    assert_eq!(last[..2], ["default-whiten", "30"]);
    assert_eq!(last[5].parse::<f64>().unwrap(), printed["curves"][4]["test"]["accuracy"][30].as_f64().unwrap());
    let svg = String::from_utf8(scratch.read("OUT/curves.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.matches("class=\"line ").count() == 5 + 6 * 5, "legend and six charts");
}

#[test]
fn reports_are_replaced_only_with_force_and_never_with_foreign_files() {
    let scratch = scratch();
    let curves = format!("{CURVES} --report OUT");
    scratch.succeeds(&curves);
    scratch.fails(2, &curves, &["OUT", "exists", "--force"]);
    scratch.succeeds(&format!("{curves} --force"));
    scratch.write("OUT/thesis.txt", "years of work");
    scratch.fails(2, &format!("{curves} --force"), &["OUT", "thesis.txt", "name another"]);
    scratch.fails(2, &format!("{CURVES} --report no/where"), &["no/where", "create it"]);
    scratch.fails(2, &format!("{CURVES} --report train.csv"), &["train.csv", "no folder"]);
}

#[test]
fn impossible_curves_name_what_is_possible() {
    let scratch = scratch();
    scratch.fails(2, "curves --train train.csv --test test.csv --iterations 0", &["--iterations 0", "1 to 1000"]);
    scratch.fails(2, "curves --train train.csv --test test.csv --iterations 1001", &["1 to 1000"]);
    scratch.fails(2, "curves --train train.csv --test nowhere.csv", &["nowhere.csv", "no such file"]);
    scratch.write("wide.csv", table(40, 7, 3, 2));
    scratch.fails(2, "curves --train train.csv --test wide.csv", &["wide.csv", "7 features", "6"]);
    scratch.write("huge.csv", "0,1e200,1\n1,2e200,2\n0,3e200,1\n1,1e200,2\n");
    scratch.fails(2, "curves --train huge.csv --test huge.csv --scalers none", &["huge.csv", "too large", "divide"]);
    let usage = scratch.ciphertune("curves --train train.csv --test test.csv --force");
    assert_eq!(usage.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&usage.stderr).contains("--report"));
}
