//! Sessions of several owners, each with processes and folders of its own.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Stdio};
use std::time::Instant;

use ciphertune_head::{Classes, FeatureTable, Head, LabelColumn, Recipe, Scaler, TableFormat, twin};

use crate::support::{Scratch, table};

const OWNERS: [&str; 3] = ["ada", "bo", "cyd"];

/// Owners with one class each, who have joined one session.
fn joined() -> (Scratch, String) {
    let scratch = Scratch::new();
    let all = table(240, 6, 3, 1);
    scratch.write("all.csv", &all);
    scratch.make("SHARED");
    for (class, owner) in OWNERS.iter().enumerate() {
        let rows: Vec<&str> = all.lines().filter(|line| line.starts_with(&format!("{class},"))).collect();
        scratch.make(owner);
        scratch.write(&format!("{owner}/rows.csv"), rows.join("\n"));
        let out = scratch.succeeds(&format!("joint join --dir SHARED --keys {owner}/KEYS --name {owner}"));
        assert!(out.contains("joint new"), "{out}");
    }
    let out = scratch.succeeds(
        "joint new --dir SHARED --owners ada,bo,cyd --like ada/rows.csv --classes 0,1,2 --iterations 2 --title clinics",
    );
    let line = out.lines().find(|line| line.contains("fingerprint ")).expect("a fingerprint");
    let digits = line.split("fingerprint ").nth(1).expect("digits").replace(' ', "-");
    (scratch, digits)
}

fn next(owner: &str, more: &str) -> String {
    format!("joint next --dir SHARED --keys {owner}/KEYS --train {owner}/rows.csv {more}")
}

fn started(scratch: &Scratch, arguments: &str) -> Child {
    scratch.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
}

/// A result that an owner has, by its file's name.
fn outcome(scratch: &Scratch, owner: &str, name: &str) -> Vec<u8> {
    let sessions = fs::read_dir(scratch.path(&format!("{owner}/KEYS/sessions"))).expect("sessions");
    let folder = sessions.map(|entry| entry.expect("an entry").path()).next().expect("a session");
    fs::read(folder.join(name)).expect("an outcome")
}

fn shared(scratch: &Scratch) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(scratch.path("SHARED")).expect("the shared folder");
    let file = |entry: fs::DirEntry| (entry.file_name().to_string_lossy().into_owned(), entry.path());
    let files = entries.map(|entry| file(entry.expect("an entry")));
    files.filter(|(_, path)| path.is_file()).map(|(name, path)| (name, fs::read(path).expect("a file"))).collect()
}

fn pooled_head(scratch: &Scratch) -> Head {
    let table = FeatureTable::parse(&scratch.read("all.csv"), TableFormat::Csv, LabelColumn::Present).unwrap();
    let recipe = Recipe::default_for(2).unwrap();
    let classes = Classes::from_labels(table.labels().unwrap()).unwrap();
    let scaler = Scaler::fit_for(&recipe, table.features()).unwrap();
    let x = scaler.apply_with_ones(table.features()).unwrap();
    let labels = classes.indices(table.labels().unwrap()).unwrap();
    let weights = twin::train(&recipe, &x, &labels, 3).pop().unwrap().weights;
    Head::from_scaled(&scaler, &weights, classes, &recipe).unwrap()
}

#[test]
fn owners_in_processes_and_folders_of_their_own_have_the_head_of_all_rows() {
    let (scratch, digits) = joined();
    let children: Vec<Child> = OWNERS
        .iter()
        .map(|owner| started(&scratch, &next(owner, &format!("--fingerprint {digits} --wait 120"))))
        .collect();
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("done: 240 rows of 3 owners"));
    }
    let expected = pooled_head(&scratch);
    let head = outcome(&scratch, "ada", "head.safetensors");
    let found = Head::from_bytes(&head).unwrap();
    assert!((found.weight() - expected.weight()).amax() < 1e-8 * expected.weight().amax());
    for owner in OWNERS {
        assert_eq!(outcome(&scratch, owner, "head.safetensors"), head);
        assert_eq!(outcome(&scratch, owner, "scaler.safetensors"), outcome(&scratch, "ada", "scaler.safetensors"));
        let out = scratch.succeeds(&next(owner, ""));
        assert!(out.contains("all owners have the same sums") && !out.contains("sent"), "{out}");
        let status = scratch.succeeds(&format!("joint status --dir SHARED --keys {owner}/KEYS"));
        assert!(
            status.contains("session \"clinics\" of ada, bo, cyd") && status.contains("done: 240 rows"),
            "{status}"
        );
        scratch.succeeds(&format!("joint forget --dir SHARED --keys {owner}/KEYS"));
        scratch.fails(2, &next(owner, ""), &["was forgotten"]);
        assert!(
            scratch.succeeds(&format!("joint forget --dir SHARED --keys {owner}/KEYS")).contains("nothing is kept")
        );
    }
}

#[test]
fn owners_that_are_killed_again_and_again_never_send_other_bytes_and_come_to_the_same_head() {
    let (scratch, digits) = joined();
    let begin = Instant::now();
    scratch.succeeds(&next("ada", &format!("--fingerprint {digits}")));
    // From the start of a turn to its end.
    let step = begin.elapsed() / 12;
    let (mut seen, before) = (shared(&scratch), shared(&scratch).len());
    for kill in 0..48u32 {
        let owner = OWNERS[(kill % 3) as usize];
        let mut child = started(&scratch, &next(owner, &format!("--fingerprint {digits}")));
        std::thread::sleep(step * (kill / 3));
        child.kill().expect("a child of ours");
        child.wait().expect("it ends");
        for (name, bytes) in shared(&scratch).into_iter().filter(|(name, _)| !name.starts_with('.')) {
            let first = seen.entry(name.clone()).or_insert_with(|| bytes.clone());
            assert_eq!(*first, bytes, "{name} was written twice");
        }
    }
    assert!(seen.len() > before, "some turns were far enough to send something");
    for _ in 0..8 {
        OWNERS.iter().for_each(|owner| drop(scratch.succeeds(&next(owner, &format!("--fingerprint {digits}")))));
    }
    let after = shared(&scratch);
    assert!(seen.iter().all(|(name, bytes)| after.get(name) == Some(bytes)));
    let expected = pooled_head(&scratch);
    for owner in OWNERS {
        let found = Head::from_bytes(&outcome(&scratch, owner, "head.safetensors")).unwrap();
        assert!((found.weight() - expected.weight()).amax() < 1e-8 * expected.weight().amax());
    }
}

#[test]
fn who_is_missing_is_named_and_what_must_not_be_is_refused() {
    let (scratch, digits) = joined();
    scratch.fails(2, &next("ada", ""), &["new here", "--fingerprint"]);
    scratch.fails(2, &next("ada", "--fingerprint 0000-0000-0000-0000"), &["do not go on"]);
    let out = scratch.succeeds(&next("ada", &format!("--fingerprint {digits}")));
    assert!(out.contains("sent join.ada") && out.contains("waiting for join of bo, cyd"), "{out}");
    assert!(!scratch.succeeds(&next("ada", "")).contains("sent"), "nothing is sent twice");
    scratch.fails(2, "joint next --dir SHARED --keys ada/KEYS --train all.csv", &["another table"]);
    scratch.fails(2, "joint forget --dir SHARED --keys ada/KEYS", &["is not over", "bo, cyd", "--anyway"]);
    scratch.fails(2, "joint status --dir SHARED --keys nobody/KEYS", &["joint join"]);
    scratch.fails(2, "joint next --dir NOWHERE --keys ada/KEYS --train ada/rows.csv", &["no such folder"]);
    let new = "joint new --dir SHARED --like ada/rows.csv --classes 0,1,2";
    scratch.fails(2, &format!("{new} --owners ada,bo,cyd"), &["the file exists"]);
    scratch.make("OTHER");
    scratch.fails(2, "joint next --dir OTHER --keys ada/KEYS --train ada/rows.csv", &["there is no session yet"]);
    scratch.succeeds("joint join --dir OTHER --keys ada/KEYS");
    scratch.succeeds("joint join --dir OTHER --keys bo/KEYS");
    let new = "joint new --dir OTHER --like ada/rows.csv --classes 0,1,2";
    scratch.fails(2, &format!("{new} --owners ada,bo"), &["each learns the other's", "--accept-disclosure"]);
    scratch.fails(2, &format!("{new} --owners ada,bo,cyd"), &["cyd has not joined"]);
    scratch.fails(2, &format!("{new} --owners ada,bo --accept-disclosure --recipe paper"), &["row-sums"]);
    scratch.succeeds(&format!("{new} --owners ada,bo --accept-disclosure --train no"));
    scratch.fails(2, "joint join --dir OTHER --keys ada/KEYS --name dee", &["the keys of ada"]);
}

/// Starts every member's turns, each in a process of its own, and waits until all have ended well.
fn all_turns(scratch: &Scratch, turns: &[String]) -> Vec<String> {
    let children: Vec<Child> = turns.iter().map(|turn| started(scratch, turn)).collect();
    let ended = children.into_iter().map(|child| child.wait_with_output().expect("it ends"));
    ended
        .map(|output| {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
            text
        })
        .collect()
}

fn fingerprint(out: &str) -> String {
    let line = out.lines().find(|line| line.contains("fingerprint ")).expect("a fingerprint");
    line.split("fingerprint ").nth(1).expect("digits").replace(' ', "-")
}

fn held(names: &[&str], new: &str) -> (Scratch, String) {
    let (scratch, _) = joined();
    scratch.make("HELD");
    for name in names {
        scratch.make(name);
        scratch.succeeds(&format!("joint join --dir HELD --keys {name}/KEYS --name {name}"));
    }
    let out = scratch.succeeds(&format!("joint new --dir HELD --like all.csv --iterations 2 --train server {new}"));
    assert!(out.contains("evaluation keys"), "{out}");
    let digits = fingerprint(&out);
    (scratch, digits)
}

fn right(scratch: &Scratch, owner: &str) -> usize {
    let head = Head::from_bytes(&outcome_of(scratch, owner, "head.safetensors")).unwrap();
    let table = FeatureTable::parse(&scratch.read("all.csv"), TableFormat::Csv, LabelColumn::Present).unwrap();
    head.evaluate(&table).unwrap().right
}

/// Of the one session that ended with it.
fn outcome_of(scratch: &Scratch, owner: &str, name: &str) -> Vec<u8> {
    let sessions = fs::read_dir(scratch.path(&format!("{owner}/KEYS/sessions"))).expect("sessions");
    let files = sessions.map(|entry| entry.expect("an entry").path().join(name));
    fs::read(files.into_iter().find(|path| path.exists()).expect("an outcome")).expect("it is read")
}

#[test]
fn owners_send_ciphertexts_and_get_a_head_from_a_holder_who_has_no_data() {
    let (scratch, digits) = held(
        &["ada", "bo", "cyd", "hal", "sam", "vic"],
        "--owners ada,bo,cyd --rows 80,80,80 --holder hal --server sam --verifiers vic",
    );
    let mut turns: Vec<String> =
        OWNERS.iter().map(|owner| format!("--keys {owner}/KEYS --train {owner}/rows.csv")).collect();
    turns.extend(["hal", "sam", "vic"].map(|name| format!("--keys {name}/KEYS")));
    let turns: Vec<String> =
        turns.iter().map(|turn| format!("joint next --dir HELD --fingerprint {digits} --wait 300 {turn}")).collect();
    let said = all_turns(&scratch, &turns);
    assert!(said[3].contains("sent keys.hal") && said[4].contains("sent model.sam"), "{said:?}");
    let heads: Vec<Vec<u8>> = OWNERS.iter().map(|owner| outcome_of(&scratch, owner, "head.safetensors")).collect();
    assert!(heads[0] == heads[1] && heads[1] == heads[2]);
    let table = FeatureTable::parse(&scratch.read("all.csv"), TableFormat::Csv, LabelColumn::Present).unwrap();
    let pooled = pooled_head(&scratch).evaluate(&table).unwrap().right;
    assert!(right(&scratch, "ada") + 6 > pooled, "{} {pooled}", right(&scratch, "ada"));
    // Secrets go when they are told to, and nobody but the owners has a scaler.
    for name in ["ada", "hal"] {
        scratch.succeeds(&format!("joint forget --dir HELD --keys {name}/KEYS"));
    }
    for name in ["ada", "hal", "sam"] {
        let sessions = fs::read_dir(scratch.path(&format!("{name}/KEYS/sessions"))).unwrap();
        for folder in sessions.map(|entry| entry.unwrap().path()) {
            assert!(!folder.join("secret.key").exists(), "{name}");
            assert_eq!(folder.join("scaler.safetensors").exists(), name == "ada", "{name}");
        }
    }
}

#[test]
fn features_and_labels_in_different_hands_make_a_head_and_other_orders_are_refused() {
    let new = "--features ada --labels bo --rows 240 --holder hal --server sam";
    for swapped in [true, false] {
        let (scratch, digits) = held(&["ada", "bo", "hal", "sam"], new);
        let all = String::from_utf8(scratch.read("all.csv")).unwrap();
        let mut ids: Vec<String> = (0..240).map(|row| format!("patient {row}")).collect();
        let halves: (Vec<&str>, Vec<&str>) = all.lines().map(|line| line.split_once(',').unwrap()).unzip();
        scratch.write("labels.txt", halves.0.join("\n"));
        scratch.write("features.csv", halves.1.join("\n"));
        scratch.write("ids.txt", ids.join("\n"));
        ids.swap(1, 2);
        scratch.write("other.txt", ids.join("\n"));
        let others = if swapped { "other.txt" } else { "ids.txt" };
        let turn = |turn: String| format!("joint next --dir HELD --fingerprint {digits} --wait 200 {turn}");
        let ada = turn("--keys ada/KEYS --train features.csv --ids ids.txt".into());
        let bo = turn(format!("--keys bo/KEYS --only-labels labels.txt --ids {others}"));
        let turns = [ada, bo, turn("--keys hal/KEYS".into()), turn("--keys sam/KEYS".into())];
        if !swapped {
            all_turns(&scratch, &turns);
            assert!(right(&scratch, "ada") > 200, "{}", right(&scratch, "ada"));
            continue;
        }
        let joins = turns.iter().map(|turn| turn.replace("--wait 200", "--wait 0"));
        joins.for_each(|turn| drop(scratch.succeeds(&turn)));
        scratch.succeeds(&turns[0].replace("--wait 200", "--wait 0"));
        // It sends what tells so, and nothing more.
        assert!(!scratch.ciphertune(&turns[1].replace("--wait 200", "--wait 0")).status.success());
        for turn in &turns[..2] {
            let turn = turn.replace("--wait 200", "--wait 0");
            scratch.fails(2, &turn, &["the rows of ada and of bo are not the same"]);
        }
    }
}

#[test]
fn sessions_with_a_key_holder_that_cannot_be_are_refused_with_the_remedy() {
    let scratch = Scratch::new();
    scratch.write("all.csv", table(240, 6, 3, 1));
    scratch.make("NEW");
    let refused = |more: &str, part: &str| {
        scratch.fails(2, &format!("joint new --dir NEW --like all.csv {more}"), &[part]);
    };
    refused("--owners ada,bo,cyd --holder hal", "--train server");
    refused("--owners ada,bo,cyd --train server --rows 1,2,3", "--holder");
    let server = "--owners ada,bo,cyd --train server --holder hal --server sam";
    refused(&format!("{server} --rows 80,80"), "2 numbers of rows for 3 owners");
    refused(&format!("{server} --rows 80,80,80"), "ada has not joined");
}
