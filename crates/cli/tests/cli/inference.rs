//! Encrypted inference: a client asks, a server answers, each with files of its own only.

use std::process::Stdio;
use std::time::Instant;

use crate::support::{Scratch, table};

/// Client with a head, rows and keys of either form, queries and answers: of a head in the clear in KEYS, QUERY and
/// answer.enc, of an encrypted one in EKEYS, EQUERY, HEAD and eanswer.enc.
fn asked() -> Scratch {
    let scratch = Scratch::with_artefacts();
    scratch.write("rows.csv", rows());
    for (prefix, form) in [("", ""), ("E", "--encrypted-head")] {
        scratch.succeeds(&format!("keygen --for-inference --head head.safetensors {form} --out {prefix}KEYS2"));
        scratch
            .succeeds(&format!("encrypt --for-inference --features rows.csv --keys {prefix}KEYS2 --out {prefix}QUERY"));
    }
    scratch.succeeds("encrypt --for-inference --head head.safetensors --keys EKEYS2 --out HEAD");
    scratch.succeeds("infer --query QUERY --head head.safetensors --eval-keys KEYS2/evaluation.keys --out answer.enc");
    scratch.succeeds("infer --query EQUERY --head HEAD --eval-keys EKEYS2/evaluation.keys --out eanswer.enc");
    scratch
}

/// 300 rows of six features without labels.
fn rows() -> String {
    table(300, 6, 3, 8).lines().map(|line| format!("{}\n", line.split_once(',').expect("a label").1)).collect()
}

/// The column of labels of a CSV.
fn labels(csv: &str) -> Vec<String> {
    csv.lines().skip(1).map(|line| line.split(',').nth(1).expect("a label").to_owned()).collect()
}

#[test]
fn a_client_gets_the_labels_of_the_head_and_the_server_needs_no_client() {
    let trained = Scratch::with_artefacts();
    let (client, server) = (Scratch::new(), Scratch::new());
    client.write("rows.csv", rows());
    client.write("head.safetensors", trained.read("head.safetensors"));
    let expected = client.succeeds("predict --head head.safetensors --features rows.csv");
    let send = |name: &str, as_name: &str| server.write(as_name, client.read(name));

    // The server's head, in the clear: the client knows its shape.
    let text = client.succeeds("keygen --for-inference --features 6 --classes 3 --out KEYS/");
    assert!(text.contains("N = 2^13, log QP = 148") && text.contains("encrypt --for-inference"), "{text}");
    let text = client.succeeds("encrypt --for-inference --features rows.csv --keys KEYS/ --out QUERY/");
    assert!(text.contains("300 rows") && text.contains("infer --query QUERY/"), "{text}");
    server.write("head.safetensors", trained.read("head.safetensors"));
    send("KEYS/evaluation.keys", "evaluation.keys");
    send("QUERY/query.safetensors", "query.safetensors");
    let infer = "infer --query query.safetensors --head head.safetensors --eval-keys evaluation.keys --out answer.enc";
    let (text, warning) = server.both(infer);
    assert!(text.contains("300 encrypted rows") && text.contains("decrypt --logits"), "{text}");
    assert!(warning.contains("without --publish"), "{warning}");
    client.write("answer.enc", server.read("answer.enc"));
    client.succeeds("decrypt --logits answer.enc --keys KEYS/ --out labels.csv");
    let found = String::from_utf8(client.read("labels.csv")).unwrap();
    assert_eq!(found.lines().next(), Some("row,label"));
    assert_eq!(labels(&found), labels(&expected));

    // The client's head, which the server does not see.
    client.succeeds("keygen --for-inference --head head.safetensors --encrypted-head --out EKEYS/");
    client.succeeds("encrypt --for-inference --head head.safetensors --keys EKEYS/ --out HEAD/");
    client.succeeds("encrypt --for-inference --features rows.csv --keys EKEYS/ --out EQUERY/");
    send("EKEYS/evaluation.keys", "ekeys");
    send("HEAD/encrypted-head.safetensors", "head.enc");
    send("EQUERY/query.safetensors", "equery");
    let report = server.json("infer --query equery --head head.enc --eval-keys ekeys --out eanswer.enc --json");
    assert_eq!(report["rows"], 300);
    assert_eq!(report["answer_bytes"].as_u64().unwrap() as usize, server.read("eanswer.enc").len());
    client.write("eanswer.enc", server.read("eanswer.enc"));
    client.succeeds("decrypt --logits eanswer.enc --keys EKEYS/ --scores --out scores.csv");
    let found = String::from_utf8(client.read("scores.csv")).unwrap();
    assert_eq!(found.lines().next(), Some("row,label,logit(0),logit(1),logit(2)"));
    assert_eq!(labels(&found), labels(&expected));
}

#[test]
fn nothing_that_is_sent_contains_the_secret_key() {
    let scratch = asked();
    let sent = [
        ("KEYS2", ["KEYS2/evaluation.keys", "QUERY/query.safetensors", "answer.enc", "KEYS2/inference.json"]),
        (
            "EKEYS2",
            ["EKEYS2/evaluation.keys", "EQUERY/query.safetensors", "eanswer.enc", "HEAD/encrypted-head.safetensors"],
        ),
    ];
    for (keys, files) in sent {
        let secret = scratch.read(&format!("{keys}/secret.key"));
        // The tensor lies at the end: one byte a coefficient.
        let coefficients = &secret[secret.len() - 8192..];
        assert!(coefficients.iter().all(|&byte| [0, 1, 255].contains(&byte)), "the layout of the file has changed");
        let words: Vec<u8> = coefficients[..32].iter().flat_map(|&byte| i64::from(byte as i8).to_le_bytes()).collect();
        for file in files {
            let content = scratch.read(file);
            for needle in [&coefficients[..32], &words] {
                assert!(!content.windows(needle.len()).any(|window| window == needle), "{file}");
            }
            let text = String::from_utf8_lossy(&content);
            let named = text.contains("classes\":\"[");
            assert_eq!(named, file == "answer.enc", "class names in {file}: only a server's own head has some to tell");
        }
    }
}

#[test]
#[cfg(unix)]
fn keys_records_and_labels_are_for_the_client_alone() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = asked();
    scratch.succeeds("decrypt --logits eanswer.enc --keys EKEYS2 --out labels.csv");
    let mode = |name: &str| std::fs::metadata(scratch.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("EKEYS2"), mode("EKEYS2/secret.key"), mode("labels.csv")), (0o700, 0o600, 0o600));
    let record =
        scratch.listing().into_iter().find(|name| name.starts_with("EKEYS2/heads/") && name.ends_with(".safetensors"));
    assert_eq!(mode(&record.expect("a record")), 0o600);
}

#[test]
fn what_does_not_belong_together_is_refused_with_the_name_of_the_file() {
    let scratch = asked();
    let infer = |query: &str, head: &str, keys: &str| {
        format!("infer --query {query} --head {head} --eval-keys {keys} --out OUT")
    };
    let [keys, ekeys] = ["KEYS2/evaluation.keys", "EKEYS2/evaluation.keys"];
    scratch.fails(2, &infer("QUERY", "HEAD", keys), &["encrypted-head.safetensors", "keys made with --encrypted-head"]);
    scratch.fails(2, &infer("EQUERY", "head.safetensors", ekeys), &["head.safetensors", "keys made without"]);
    scratch.fails(2, &infer("QUERY", "head.safetensors", ekeys), &[ekeys, "another plan"]);
    scratch.fails(
        2,
        &infer("QUERY", "head.safetensors", "KEYS/evaluation.keys"),
        &["KEYS/evaluation.keys", "--for-inference"],
    );
    scratch.fails(2, &infer("JOB/job.safetensors", "head.safetensors", keys), &["job.safetensors", "query"]);
    scratch.fails(2, &infer("JOB", "head.safetensors", keys), &["JOB", "query.safetensors"]);
    scratch.fails(2, &infer("QUERY", "model.enc", keys), &["model.enc", "head"]);
    scratch.fails(2, &infer("QUERY", "QUERY", keys), &["QUERY", "encrypted-head.safetensors"]);
    scratch.fails(
        2,
        &format!("{} --memory 1M", infer("QUERY", "head.safetensors", keys)),
        &["query.safetensors", "fewer rows"],
    );
    scratch.fails(
        2,
        "decrypt --logits answer.enc --keys EKEYS2 --out OUT",
        &["answer.enc", "under key", "use the keys"],
    );
    scratch.fails(2, "decrypt --logits model.enc --keys KEYS2 --out OUT", &["model.enc", "answer"]);
    scratch.fails(2, "decrypt --model answer.enc --keys KEYS --out OUT", &["answer.enc", "encrypted-model"]);
    scratch.fails(
        2,
        "decrypt --logits answer.enc --keys KEYS --out OUT",
        &["KEYS", "inference.json", "keygen --for-inference"],
    );
    scratch.fails(2, "encrypt --train table.csv --keys KEYS2 --out OUT", &["KEYS2", "for inference, not for training"]);
    scratch.fails(
        2,
        "encrypt --for-inference --features rows.csv --keys KEYS --out OUT",
        &["KEYS", "keygen --for-inference"],
    );
    scratch.fails(
        2,
        "encrypt --for-inference --head head.safetensors --keys KEYS2 --out OUT",
        &["head.safetensors", "--encrypted-head"],
    );
    scratch.write("narrow.csv", table(9, 4, 3, 9));
    scratch.write("labelled.csv", table(9, 6, 3, 2));
    let labelled = "encrypt --for-inference --features labelled.csv --keys KEYS2 --out OUT";
    scratch.fails(2, labelled, &["labelled.csv", "7 columns", "--label"]);
    scratch.fails(2, "encrypt --for-inference --features narrow.csv --keys KEYS2 --out OUT", &["narrow.csv", "6"]);
    scratch.write("large.csv", "1,2,3,4,5,3000000\n");
    scratch.fails(
        2,
        "encrypt --for-inference --features large.csv --keys KEYS2 --out OUT",
        &["large.csv", "row 1", "3.000e6"],
    );
    scratch.fails(2, "keygen --for-inference --features 6 --out OUT", &["--head", "--features and --classes"]);
    scratch.fails(2, "keygen --for-inference --features 99999 --classes 3 --out OUT", &["99999 features", "32767"]);
    scratch.fails(2, "keygen --for-inference --head head.safetensors --out KEYS", &["KEYS", "holds"]);
    // A head of other keys.
    scratch.succeeds("keygen --for-inference --head head.safetensors --encrypted-head --out THIRD");
    scratch.succeeds("encrypt --for-inference --head head.safetensors --keys THIRD --out OTHER");
    scratch.fails(2, &infer("EQUERY", "OTHER", ekeys), &["OTHER", "under key", "query's keys"]);
    // Records that are gone.
    std::fs::remove_dir_all(scratch.path("EKEYS2/heads")).unwrap();
    scratch.fails(2, "decrypt --logits eanswer.enc --keys EKEYS2 --out OUT", &["eanswer.enc", "no record"]);
    for usage in [
        "encrypt --features rows.csv --keys KEYS2 --out OUT",
        "encrypt --for-inference --keys KEYS2 --out OUT",
        "keygen --for-inference --head head.safetensors --iterations 3 --out OUT",
        "keygen --train table.csv --encrypted-head --out OUT",
        "decrypt --keys KEYS2 --out OUT",
        "decrypt --logits answer.enc --publish --keys KEYS2 --out OUT",
        "decrypt --model model.enc --scores --keys KEYS --out OUT",
    ] {
        let output = scratch.ciphertune(usage);
        assert_eq!(output.status.code(), Some(2), "{usage}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "), "{usage}");
    }
}

#[test]
fn damaged_files_of_every_kind_are_refused_and_nothing_is_written() {
    let scratch = asked();
    let record =
        scratch.listing().into_iter().find(|name| name.starts_with("EKEYS2/heads/") && name.ends_with(".safetensors"));
    let record = record.expect("a record");
    let clear = "infer --query QUERY --head head.safetensors --eval-keys KEYS2/evaluation.keys --out OUT";
    let encrypted = "infer --query EQUERY --head HEAD --eval-keys EKEYS2/evaluation.keys --out OUT";
    let cases = [
        ("KEYS2/secret.key", "encrypt --for-inference --features rows.csv --keys KEYS2 --out OUT"),
        ("KEYS2/inference.json", "encrypt --for-inference --features rows.csv --keys KEYS2 --out OUT"),
        ("KEYS2/evaluation.keys", clear),
        ("QUERY/query.safetensors", clear),
        ("head.safetensors", clear),
        ("HEAD/encrypted-head.safetensors", encrypted),
        ("answer.enc", "decrypt --logits answer.enc --keys KEYS2 --out OUT"),
        (record.as_str(), "decrypt --logits eanswer.enc --keys EKEYS2 --out OUT"),
    ];
    for (file, command) in cases {
        let whole = scratch.read(file);
        let mut flipped = whole.clone();
        // In the plan, a digit of a prime; in a record, a letter of a class; in other containers, a bit of a tensor.
        let position = match file {
            _ if file.ends_with(".json") => find(&whole, b"\"q\":[") + 8,
            _ if file == record => find(&whole, b"classes") + 13,
            _ => whole.len() - 9,
        };
        flipped[position] ^= 1;
        for damaged in [&flipped[..], &whole[..whole.len() / 2], &whole[..5], b""] {
            scratch.write(file, damaged);
            scratch.fails(2, command, &[file]);
        }
        std::fs::remove_file(scratch.path(file)).unwrap();
        scratch.fails(2, command, &[]);
        scratch.write(file, whole);
    }
}

fn find(text: &[u8], part: &[u8]) -> usize {
    text.windows(part.len()).position(|window| window == part).expect("the part is there")
}

#[test]
fn what_cannot_be_written_is_refused_and_nothing_is_replaced_without_force() {
    let scratch = asked();
    let infer = "infer --query QUERY --head head.safetensors --eval-keys KEYS2/evaluation.keys --out";
    scratch.fails(2, &format!("{infer} answer.enc"), &["answer.enc", "exists", "--force"]);
    scratch.fails(2, &format!("{infer} nowhere/answer.enc"), &["does not exist", "create it"]);
    scratch.fails(
        2,
        "encrypt --for-inference --features rows.csv --keys KEYS2 --out QUERY",
        &["QUERY", "the old query"],
    );
    scratch.fails(2, "encrypt --for-inference --head head.safetensors --keys EKEYS2 --out HEAD", &["HEAD", "--force"]);
    scratch.fails(
        2,
        "keygen --for-inference --head head.safetensors --out KEYS2",
        &["KEYS2", "destroys the old secret key"],
    );
    if cfg!(target_os = "linux") {
        // The superuser may write anywhere but here.
        scratch.fails(1, &format!("{infer} /proc/answer.enc"), &["/proc/answer.enc"]);
        scratch.fails(1, "decrypt --logits answer.enc --keys KEYS2 --out /proc/labels.csv", &["/proc/labels.csv"]);
    }
    scratch.succeeds(&format!("{infer} answer.enc --force"));
    scratch.succeeds("encrypt --for-inference --head head.safetensors --keys EKEYS2 --out HEAD --force");
    scratch.succeeds("keygen --for-inference --head head.safetensors --out KEYS2 --force");
}

#[test]
fn every_file_of_an_inference_can_be_inspected() {
    let scratch = asked();
    let kinds = |folder: &str| -> Vec<String> {
        let files = scratch.json(&format!("inspect {folder} --json"));
        files.as_array().unwrap().iter().map(|file| file["kind"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds("EKEYS2"), ["inference-plan", "secret-key", "evaluation-keys", "head-record"]);
    assert_eq!((kinds("QUERY"), kinds("HEAD")), (vec!["query".to_owned()], vec!["encrypted-head".to_owned()]));
    let answer = scratch.json("inspect answer.enc --json");
    assert_eq!((&answer["kind"], &answer["security_bits"]), (&"answer".into(), &128.into()));
    assert_eq!(answer["inference_plan"]["features"], 6);
    assert!(scratch.succeeds("inspect QUERY").contains("3 classes x 6 features, clear"));
}

#[test]
fn a_killed_command_leaves_nothing_half_written_and_the_next_removes_what_it_left() {
    let scratch = asked();
    scratch.succeeds("decrypt --logits answer.enc --keys KEYS2 --out labels.csv");
    let commands = [
        ("KEYS3", "keygen --for-inference --head head.safetensors --encrypted-head --out KEYS3"),
        ("QUERY3", "encrypt --for-inference --features rows.csv --keys KEYS2 --out QUERY3"),
        ("HEAD3", "encrypt --for-inference --head head.safetensors --keys EKEYS2 --out HEAD3"),
        ("answer3.enc", "infer --query EQUERY --head HEAD --eval-keys EKEYS2/evaluation.keys --out answer3.enc"),
        ("labels3.csv", "decrypt --logits answer.enc --keys KEYS2 --out labels3.csv"),
    ];
    let mut in_time = 0;
    for (target, command) in commands {
        let start = Instant::now();
        scratch.succeeds(command);
        let takes = start.elapsed();
        for part in [0.3, 0.7, 0.9] {
            let mut child = scratch
                .command(&format!("{command} --force"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the binary runs");
            std::thread::sleep(takes.mul_f64(part));
            in_time += usize::from(child.try_wait().expect("a child of ours").is_none());
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
            // What was there before is whole, or what is there now.
            match target {
                "labels3.csv" => assert_eq!(scratch.read(target), scratch.read("labels.csv")),
                _ if scratch.path(target).exists() => drop(scratch.succeeds(&format!("inspect {target}"))),
                _ => assert!(!target.contains('.'), "only folders step aside for a moment"),
            }
            scratch.succeeds(&format!("{command} --force"));
            let left = scratch.listing().into_iter().filter(|path| {
                path.rsplit('/').next().is_some_and(|name| name.starts_with('.') || name.ends_with(".pending"))
            });
            assert_eq!(left.collect::<Vec<_>>(), [""; 0], "{command} killed after {part}");
        }
    }
    assert!(in_time >= 5, "{in_time} of 15 were killed before they had ended");
    let head =
        scratch.json("inspect HEAD3 --json")[0]["metadata"]["head-id"].as_str().expect("an identifier").to_owned();
    assert!(scratch.path(&format!("EKEYS2/heads/{head}/record.safetensors")).is_file());
}
