//! Names of columns: who keeps them, who never sees them, and what they are compared for.

use crate::support::{Scratch, table};

/// The names of features and label; none is a word that a file of ours holds anyway.
const NAMES: [&str; 4] = ["wingspan_cm", "beak depth", "Füße", "ring_no"];
const LABEL: &str = "bird_species";

/// The table in another order of its columns, the label's number being 0, with a line of names.
fn arranged(text: &str, order: &[usize]) -> String {
    let pick = |fields: &[&str]| order.iter().map(|&place| fields[place]).collect::<Vec<_>>().join(",") + "\n";
    let names = [&[LABEL][..], &NAMES].concat();
    let rows = text.lines().map(|line| pick(&line.split(',').collect::<Vec<_>>()));
    [pick(&names)].into_iter().chain(rows).collect()
}

fn training() -> String {
    table(60, 4, 3, 1)
}

fn trained() -> Scratch {
    Scratch::with_artefacts_of(&arranged(&training(), &[0, 1, 2, 3, 4]))
}

#[test]
fn names_stay_with_the_owner() {
    let scratch = trained();
    scratch.succeeds("export --head head.safetensors --format json --out head.json");
    let head = scratch.json("inspect head.safetensors --json")["metadata"].clone();
    let exported: serde_json::Value = serde_json::from_slice(&scratch.read("head.json")).unwrap();
    for kept in [&head, &exported] {
        assert_eq!(
            (&kept["feature_names"], &kept["label_name"]),
            (&serde_json::json!(NAMES), &serde_json::json!(LABEL))
        );
    }
    // A head of a table without names has none, and is read as ever.
    let nameless = Scratch::with_artefacts_of(&training());
    let metadata = nameless.json("inspect head.safetensors --json")["metadata"].clone();
    assert!(metadata.get("feature_names").is_none() && metadata.get("label_name").is_none(), "{metadata}");
    nameless.write("named.csv", arranged(&table(30, 4, 3, 2), &[0, 1, 2, 3, 4]));
    nameless.succeeds("evaluate --head head.safetensors --test named.csv");

    let holds = |file: &str| {
        let content = scratch.read(file);
        let name = |name: &&str| content.windows(name.len()).any(|bytes| bytes == name.as_bytes());
        NAMES.iter().chain([&LABEL]).filter(|found| name(found)).count()
    };
    let mut checked = 0;
    for file in scratch.listing().iter().filter(|name| scratch.path(name).is_file()) {
        let own = ["head.safetensors", "head.json", "table.csv"].contains(&file.as_str());
        let expected = if own || file.ends_with("record.safetensors") { NAMES.len() + 1 } else { 0 };
        assert_eq!(holds(file), expected, "{file}");
        checked += usize::from(expected == 0);
    }
    // Job, evaluation keys, model; the plan and the secret key beside them.
    assert_eq!(checked, 5, "{:?}", scratch.listing());
}

#[test]
fn columns_of_other_names_or_in_another_order_are_refused_wherever_a_head_is_used() {
    let scratch = trained();
    let rows = table(30, 4, 3, 2);
    scratch.write("same.csv", arranged(&rows, &[0, 1, 2, 3, 4]));
    scratch.write("nameless.csv", &rows);
    scratch.write("swapped.csv", arranged(&rows, &[0, 1, 3, 2, 4]));
    scratch.write("renamed.csv", arranged(&rows, &[0, 1, 2, 3, 4]).replace("beak depth", "tail"));
    scratch.write("short.csv", arranged(&rows, &[0, 1, 2, 4]));
    scratch.write("long.csv", arranged(&rows, &[0, 1, 2, 3, 4, 4]).replacen("ring_no", "day", 1));
    let publish = "decrypt --model model.enc --keys KEYS --publish --out public.safetensors --check";
    for command in ["evaluate --head head.safetensors --test", "predict --head head.safetensors --features", publish] {
        let refused = |table: &str, parts: &[&str]| scratch.fails(2, &format!("{command} {table}"), parts);
        refused("swapped.csv", &["swapped.csv", "another order: feature 2 is \"Füße\"", "\"beak depth\""]);
        refused("renamed.csv", &["renamed.csv", "feature 2 is \"tail\"", "\"beak depth\""]);
        refused("short.csv", &["short.csv", "\"Füße\" in place 3", "add that column"]);
        refused("long.csv", &["long.csv", "feature 4 is \"day\"", "--drop"]);
    }
    let scores = |table: &str| scratch.json(&format!("evaluate --head head.safetensors --test {table} --json"));
    assert_eq!(scores("same.csv"), scores("nameless.csv"));
    assert_eq!(scores("long.csv --drop day"), scores("same.csv"));
    scratch.succeeds(&format!("{publish} same.csv"));
    scratch.fails(2, "run --train same.csv --test swapped.csv", &["swapped.csv", "training table in another order"]);
}

#[test]
fn a_label_left_in_a_table_is_found_by_its_name_and_left_out_aloud() {
    let scratch = trained();
    let rows = table(30, 4, 3, 2);
    let features: String = rows.lines().map(|line| format!("{}\n", line.split_once(',').unwrap().1)).collect();
    scratch.write("features.csv", features);
    let predict = "predict --head head.safetensors --features";
    let (expected, silent) = scratch.both(&format!("{predict} features.csv"));
    assert!(!silent.contains("note"), "{silent}");
    for (name, order) in
        [("first.csv", [0, 1, 2, 3, 4]), ("last.csv", [1, 2, 3, 4, 0]), ("middle.csv", [1, 2, 0, 3, 4])]
    {
        scratch.write(name, arranged(&rows, &order));
        let (found, said) = scratch.both(&format!("{predict} {name}"));
        assert_eq!(found, expected, "{name}");
        assert!(said.contains(&format!("note: {name}: the column \"{LABEL}\" holds labels and is left out")), "{said}");
        // Who says so is not told.
        let (found, said) = scratch.both(&format!("{predict} {name} --label {LABEL}"));
        assert!(found == expected && !said.contains("note"), "{said}");
        assert_eq!(scratch.succeeds(&format!("{predict} {name} --drop {LABEL}")), expected);
        assert_eq!(scratch.json(&format!("evaluate --head head.safetensors --test {name} --json"))["rows"], 30);
    }
}

#[test]
fn one_column_too_many_without_names_is_never_guessed_at() {
    let scratch = Scratch::with_artefacts_of(&training());
    let rows = table(30, 4, 3, 2);
    let last: String =
        rows.lines().map(|line| line.split_once(',').map(|(label, x)| format!("{x},{label}\n")).unwrap()).collect();
    scratch.write("last.csv", last);
    // Whole numbers in the first column, as a label would be.
    scratch.write("whole.csv", "1,2,3,4,0\n5,6,7,8,1\n");
    let predict = "predict --head head.safetensors --features";
    for name in ["last.csv", "whole.csv"] {
        scratch.fails(2, &format!("{predict} {name}"), &[name, "5 columns", "--label", "--drop"]);
        assert_eq!(
            scratch.succeeds(&format!("{predict} {name} --label 5")),
            scratch.succeeds(&format!("{predict} {name} --drop 5"))
        );
    }
    // Words can be nothing but labels.
    let words = |text: &str| text.lines().map(|line| format!("bird{line}\n")).collect::<String>();
    scratch.write("words.csv", words(&rows));
    let (_, said) = scratch.both(&format!("{predict} words.csv"));
    assert!(said.contains("the first column holds labels"), "{said}");
}
