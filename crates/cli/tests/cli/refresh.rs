//! Trainings with a state: the owner's refreshes, and going on after a kill.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Scratch, table};

/// A scratch folder with keys and a job of a training with so many iterations.
fn begun(iterations: usize, refresh: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.write("table.csv", table(60, 6, 3, 1));
    scratch.write("test.csv", table(40, 6, 3, 2));
    scratch.succeeds(&format!("keygen --train table.csv --iterations {iterations} --refresh {refresh} --out KEYS"));
    scratch.succeeds("encrypt --train table.csv --keys KEYS --out JOB");
    scratch
}

const TRAIN: &str = "train --job JOB --eval-keys KEYS/evaluation.keys --out model.enc";

/// Standard output of a command that ends because it waits for the owner.
fn waits(scratch: &Scratch, arguments: &str) -> String {
    let output = scratch.ciphertune(arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), error.as_str()), (Some(10), ""), "ciphertune {arguments}: {text}");
    text
}

/// The command line behind `next`, as the server or owner is told it.
fn next(text: &str, command: &str) -> String {
    let line = text.lines().find(|line| line.trim().starts_with(&format!("ciphertune {command}")));
    line.unwrap_or_else(|| panic!("no {command} in: {text}")).trim().trim_start_matches("ciphertune ").to_owned()
}

#[test]
fn an_owner_and_a_server_train_as_they_are_told_to_go_on() {
    let scratch = begun(4, "1");
    let mut server = waits(&scratch, &format!("{TRAIN} --state STATE"));
    assert!(server.contains("the owner makes the steps of this training, 3 times"), "{server}");
    for t in 1..4 {
        let owner = scratch.succeeds(&next(&server, "refresh").replace("KEYS/", "KEYS"));
        assert!(owner.contains(&format!("answered iteration {t} of 4")), "{owner}");
        let resume = next(&server, "resume");
        assert_eq!(resume, next(&owner, "resume").replace("STATE/", "STATE"));
        server = if t < 3 { waits(&scratch, &resume) } else { scratch.succeeds(&resume) };
    }
    assert!(server.contains("trained 4 iterations"), "{server}");
    scratch.succeeds(&next(&server, "decrypt").replace("KEYS/", "KEYS"));
    let right = scratch.json("evaluate --head head.safetensors --test test.csv --json");
    assert!(right["accuracy"].as_f64().unwrap() > 0.9, "{right}");
    // As the rehearsal of the same training in one process.
    let run = scratch.json("run --train table.csv --test test.csv --iterations 4 --refresh 1 --json");
    assert_eq!(run["right"], right["right"]);
    assert_eq!(run["accuracy_per_iteration"], run["accuracy_per_iteration_plaintext"]);
    assert_eq!((run["refreshes"].as_u64(), run["log_n"].as_u64()), (Some(3), Some(14)));
    let sizes = ["request", "answer"].map(|kind| {
        scratch
            .read(&match kind {
                "request" => "STATE/request-0003.enc".to_owned(),
                kind => format!("{kind}-0003.enc"),
            })
            .len() as u64
    });
    assert!(sizes[0].abs_diff(run["request_bytes"].as_u64().unwrap()) < 64);
    assert!(sizes[1].abs_diff(run["answer_bytes"].as_u64().unwrap()) < 64);
    // Done is done, and at most two of each file are left.
    assert!(scratch.succeeds("resume --state STATE").contains("the training is done: its model is"));
    let left: Vec<String> = scratch.listing().into_iter().filter(|name| name.starts_with("STATE/")).collect();
    assert_eq!(
        left,
        ["answer-0002.enc", "answer-0003.enc", "lock", "request-0002.enc", "request-0003.enc", "training.json"]
            .map(|name| format!("STATE/{name}"))
    );
}

#[test]
fn a_training_ends_early_when_held_out_rows_are_judged_no_better() {
    let scratch = begun(20, "1");
    scratch.write("held.csv", table(50, 6, 3, 3));
    scratch.write("other.csv", table(50, 5, 3, 3));
    waits(&scratch, &format!("{TRAIN} --state STATE"));
    let refresh = "refresh --request STATE/request-0001.enc --keys KEYS --out answer";
    scratch.fails(2, &format!("{refresh} --validation held.csv --patience 0"), &["--patience 3"]);
    scratch.fails(2, &format!("{refresh} --validation other.csv"), &["5 features"]);
    assert_eq!(scratch.ciphertune(&format!("{refresh} --patience 2")).status.code(), Some(2), "patience with what");
    scratch.fails(2, &format!("{refresh} --label 1"), &["--validation"]);
    let run = "run --train table.csv --test test.csv --validation held.csv --patience 2 --json";
    scratch.fails(2, &format!("{run} --iterations 2"), &["--refresh 1"]);

    let server = scratch.command("resume --state STATE --wait --timeout 60").stdout(Stdio::piped()).spawn().unwrap();
    let owner = scratch.succeeds("refresh --watch STATE --keys KEYS --validation held.csv --patience 2 --timeout 60");
    let server = String::from_utf8(server.wait_with_output().unwrap().stdout).unwrap();
    assert!(server.contains("the owner ended the training on 60 encrypted rows early"), "{server}");
    assert!(owner.contains("the training ends here: iteration"), "{owner}");
    let answered = owner.lines().filter(|line| line.starts_with("answered")).count();
    assert!(answered < 19 && !scratch.path(&format!("STATE/request-{:04}.enc", answered + 1)).exists());
    let decrypted = scratch.succeeds("decrypt --model model.enc --keys KEYS --out head.safetensors");
    let best: usize = owner.split("ends here: iteration ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(decrypted.contains(&format!("after {best} iteration")), "{decrypted}");
    assert!(scratch.succeeds("resume --state STATE").contains("the training is done"));

    let found = scratch.json(&format!("{run} --iterations 20 --refresh 1"));
    assert_eq!(found["stopped"]["after"].as_u64(), Some(answered as u64), "{found}");
    assert_eq!(found["stopped"]["best"].as_u64(), Some(best as u64));
    assert_eq!(found["right"], found["right_plaintext"]);
    assert!(found["max_weight_error"].as_f64().unwrap() < 1e-6, "{found}");
    let shown = scratch.json("evaluate --head head.safetensors --test test.csv --json");
    assert_eq!(shown["right"], found["right"]);
}

#[test]
fn every_way_to_go_on_wrongly_is_refused_with_the_way_that_is_right() {
    let scratch = begun(4, "1");
    scratch.fails(2, TRAIN, &["--state"]);
    waits(&scratch, &format!("{TRAIN} --state STATE"));
    waits(&scratch, "resume --state STATE");
    scratch.fails(2, &format!("{TRAIN} --state STATE"), &["ciphertune resume --state"]);
    scratch.fails(2, "resume --state NOWHERE", &["no such file"]);
    scratch.fails(2, "resume --state JOB", &["training.json"]);
    scratch.succeeds("refresh --request STATE/request-0001.enc --keys KEYS --out answer-1");
    let first = scratch.read("answer-1");
    scratch.fails(2, "refresh --request STATE/request-0001.enc --keys KEYS --out answer-1", &["--force"]);
    let again = scratch.succeeds("refresh --request STATE/request-0001.enc --keys KEYS --out answer-1 --force");
    assert!(again.contains("as before") && scratch.read("answer-1") == first, "one answer a request: {again}");

    // Damaged, and another document in its place.
    let mut damaged = first.clone();
    damaged[first.len() / 2] ^= 1;
    scratch.write("damaged", damaged);
    scratch.write("cut", &first[..first.len() - 7]);
    for file in ["damaged", "cut", "STATE/request-0001.enc", "JOB/job.safetensors", "nowhere"] {
        scratch.fails(2, &format!("resume --state STATE --answer {file}"), &[file]);
    }
    waits(&scratch, "resume --state STATE --answer answer-1");
    scratch.fails(2, "resume --state STATE --answer answer-1", &["answer-1", "continue with resume"]);
    // The same job trained a second time asks for the same first gradient, and no other: with the answer to it a second
    // server comes to the same second request.
    waits(&scratch, &format!("{TRAIN} --state AGAIN"));
    assert_eq!(scratch.read("AGAIN/request-0001.enc"), scratch.read("STATE/request-0001.enc"));
    waits(&scratch, "resume --state AGAIN --answer answer-1");
    assert_eq!(scratch.read("AGAIN/request-0002.enc"), scratch.read("STATE/request-0002.enc"));
    // Keys of another job.
    scratch.succeeds("keygen --train table.csv --iterations 4 --refresh 1 --out KEYS2");
    scratch.fails(
        2,
        "refresh --request STATE/request-0002.enc --keys KEYS2 --out answer-2",
        &["use the keys that the job was encrypted with"],
    );
    // Another job of the same keys in the place of this one.
    scratch.succeeds("encrypt --train table.csv --keys KEYS --out JOB2");
    scratch.fails(2, "resume --state STATE --job JOB2", &["the state is of job"]);
    waits(&scratch, &format!("{} --state STATE2", TRAIN.replace("JOB", "JOB2")));
    scratch.succeeds("refresh --request STATE2/request-0001.enc --keys KEYS --out other-1");
    scratch.fails(2, "resume --state STATE --answer other-1", &["other-1", "belongs to job"]);
    // A model is not decrypted before it is trained to the end.
    scratch.fails(2, "refresh --watch NOWHERE --keys KEYS", &["no such folder"]);
    scratch.succeeds("keygen --train table.csv --iterations 2 --out CHAIN");
    scratch.fails(2, "refresh --watch STATE --keys CHAIN", &["needs no answers"]);
    scratch.fails(2, "keygen --train table.csv --recipe paper --refresh 1 --out K3", &["--refresh never"]);
}

/// Starts a command that is left alone.
fn start(scratch: &Scratch, arguments: &str) -> Child {
    scratch.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs")
}

#[test]
fn a_server_that_waits_and_an_owner_that_watches_train_through_a_folder() {
    let scratch = begun(3, "1");
    scratch.make("SHARED");
    let mut owner = start(&scratch, "refresh --watch SHARED --keys KEYS --timeout 60");
    let trained = scratch.succeeds(&format!("{TRAIN} --state STATE --wait=SHARED --timeout 60"));
    assert!(trained.contains("trained 3 iterations"), "{trained}");
    assert!(owner.wait().unwrap().success());
    scratch.succeeds("decrypt --model model.enc --keys KEYS --out head.safetensors");
    // Nobody answers: the state stays, and the training goes on when somebody does.
    scratch.succeeds("encrypt --train table.csv --keys KEYS --out JOB2");
    let again = TRAIN.replace("JOB", "JOB2").replace("model", "model2");
    waits(&scratch, &format!("{again} --state STATE2 --wait --timeout 1"));
    let mut owner = start(&scratch, "refresh --watch STATE2 --keys KEYS --timeout 60");
    scratch.succeeds("resume --state STATE2 --wait --timeout 60");
    assert!(owner.wait().unwrap().success());
    scratch.succeeds("decrypt --model model2.enc --keys KEYS --out head2.safetensors");
}

#[test]
fn a_training_in_one_chain_goes_on_from_its_checkpoint_to_the_same_model() {
    let scratch = begun(3, "never");
    scratch.succeeds(TRAIN);
    let unbroken = scratch.read("model.enc");
    let again = TRAIN.replace("model.enc", "again.enc");
    scratch.succeeds(&format!("{again} --state STATE"));
    assert_eq!(scratch.read("again.enc"), unbroken);
    assert!(scratch.succeeds("resume --state STATE").contains("is done"));
    // From every checkpoint that there was.
    for t in [1, 2] {
        scratch.make("PART");
        for name in ["lock", "training.json", &format!("checkpoint-000{t}.enc")] {
            let content = String::from_utf8_lossy(&scratch.read(&format!("STATE/{name}")))
                .replace("\"done\": true", "\"done\": false");
            let bytes =
                if name == "training.json" { content.into_bytes() } else { scratch.read(&format!("STATE/{name}")) };
            scratch.write(&format!("PART/{name}"), bytes);
        }
        let text = scratch.json(&format!("resume --state PART --out part{t}.enc --json"));
        assert_eq!(scratch.read(&format!("part{t}.enc")), unbroken, "from checkpoint {t}");
        assert!(text["key_switches"].as_u64().unwrap() > 0);
        fs::remove_dir_all(scratch.path("PART")).unwrap();
    }
    // A checkpoint of another training.
    scratch.succeeds("encrypt --train table.csv --keys KEYS --out JOB2");
    scratch.succeeds(&format!("{} --state STATE2", TRAIN.replace("JOB", "JOB2").replace("model", "model2")));
    scratch.write(
        "STATE/training.json",
        String::from_utf8(scratch.read("STATE/training.json")).unwrap().replace("\"done\": true", "\"done\": false"),
    );
    fs::copy(scratch.path("STATE2/checkpoint-0002.enc"), scratch.path("STATE/checkpoint-0002.enc")).unwrap();
    scratch.fails(2, "resume --state STATE --out part3.enc", &["checkpoint-0002.enc", "another job"]);
}

/// Kills the server at `kills` moments of a training with refreshes, and the owner at as many; then trains to the end. The
/// model must be that of an unbroken training with the same answers.
fn killed(kills: usize, iterations: usize) {
    let scratch = begun(iterations, "1");
    let mut random = 7u64;
    let mut moment = |most: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis((random >> 33) % most)
    };
    scratch.make("SHARED");
    let (mut began, mut answers) = (false, Vec::<Vec<u8>>::new());
    let mut collect = |scratch: &Scratch| {
        // What the server took over.
        while let Ok(bytes) = fs::read(scratch.path(&format!("STATE/answer-{:04}.enc", answers.len() + 1))) {
            answers.push(bytes);
        }
        answers.clone()
    };
    for _ in 0..kills {
        let server = match began {
            false => format!("{TRAIN} --state STATE --wait=SHARED"),
            true => "resume --state STATE --wait=SHARED".to_owned(),
        };
        let (mut server, mut owner) = (start(&scratch, &server), start(&scratch, "refresh --watch SHARED --keys KEYS"));
        let (end, first) = (Instant::now() + moment(1_500), moment(2) == Duration::ZERO);
        while Instant::now() < end {
            collect(&scratch);
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut both = [&mut server, &mut owner];
        both.rotate_left(usize::from(first));
        for child in both {
            let _ = child.kill();
            child.wait().unwrap();
        }
        collect(&scratch);
        began = scratch.path("STATE/training.json").is_file();
    }
    let mut owner = start(&scratch, "refresh --watch SHARED --keys KEYS --timeout 60");
    let command = if began {
        "resume --state STATE --wait=SHARED --timeout 60"
    } else {
        &format!("{TRAIN} --state STATE --wait=SHARED")
    };
    let mut server = start(&scratch, command);
    while server.try_wait().unwrap().is_none() {
        collect(&scratch);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(server.wait().unwrap().success());
    let _ = owner.wait().unwrap();
    let answers = collect(&scratch);
    assert_eq!(answers.len(), iterations - 1, "every answer was taken once");
    assert!(scratch.listing().iter().all(|name| !name.ends_with(".ciphertune")), "{:?}", scratch.listing());
    scratch.succeeds("decrypt --model model.enc --keys KEYS --out head.safetensors");

    waits(&scratch, &format!("{} --state UNBROKEN", TRAIN.replace("model", "unbroken")));
    for (index, answer) in answers.iter().enumerate() {
        scratch.write("answer", answer);
        let last = index + 2 == iterations;
        let command = "resume --state UNBROKEN --answer answer";
        if last { drop(scratch.succeeds(command)) } else { drop(waits(&scratch, command)) }
    }
    assert_eq!(scratch.read("model.enc"), scratch.read("unbroken.enc"), "byte for byte");
}

#[test]
fn a_training_that_is_killed_on_either_side_gives_the_model_of_an_unbroken_one() {
    killed(6, 6);
}

#[test]
#[ignore = "minutes: a hundred kills"]
fn a_hundred_kills_change_nothing() {
    killed(100, 20);
}
