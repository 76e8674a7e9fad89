//! Commands that are killed at any moment: nothing half-written is read as whole, no job is without its record and no
//! record without its job, and the next command that writes there leaves nothing behind.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::pictures::class_folder;
use crate::support::{Scratch, table};

/// What is killed: what it writes, and the command that writes it there with `--force`.
const COMMANDS: [(&str, &str); 7] = [
    ("KEYS2", "keygen --train table.csv --iterations 1 --out KEYS2"),
    ("JOB2", "encrypt --train table.csv --keys KEYS --out JOB2"),
    ("model2.enc", "train --job JOB --eval-keys KEYS/evaluation.keys --out model2.enc"),
    ("head2.safetensors", "decrypt --model model.enc --keys KEYS --out head2.safetensors"),
    ("table2.safetensors", "extract --images pictures --backbone builtin --no-cache --out table2.safetensors"),
    ("head2.onnx", "export --head head.safetensors --format onnx --out head2.onnx"),
    ("scaler2.safetensors", "scaler fit --features table.csv --out scaler2.safetensors"),
];

/// The same moments on every run, as far as a machine repeats itself.
struct Moments(u64);

impl Moments {
    /// Uniform in [0, 1).
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// When a command is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after its start.
    After(Duration),
    /// As soon as what it writes has got its place, or has changed there.
    Placed,
}

struct Killed {
    scratch: Scratch,
    /// What each command takes when it is left alone.
    durations: [Duration; COMMANDS.len()],
}

impl Killed {
    fn new() -> Self {
        let scratch = Scratch::with_artefacts();
        class_folder(&scratch, "pictures", 4, 0);
        let durations = COMMANDS.map(|(_, command)| {
            let start = Instant::now();
            scratch.succeeds(command);
            start.elapsed()
        });
        Self { scratch, durations }
    }

    /// Kills one command, and checks what is left before and after the next. Returns whether it was killed in time.
    fn kill(&self, which: usize, moment: Moment) -> bool {
        let (scratch, (target, command)) = (&self.scratch, COMMANDS[which]);
        let records = self.records();
        let before = self.modified(target);
        let mut child = scratch
            .command(&format!("{command} --force"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let start = Instant::now();
        loop {
            let due = match moment {
                Moment::After(duration) => start.elapsed() >= duration,
                Moment::Placed => self.modified(target) != before,
            };
            if due || child.try_wait().expect("a child of ours").is_some() {
                break;
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        let late = child.try_wait().expect("a child of ours").is_some();
        child.kill().expect("a child of ours");
        child.wait().expect("a child of ours");

        // Whole or not there, even before anything was put right.
        if target.ends_with("2") && scratch.path(target).is_dir() || scratch.path(target).is_file() {
            self.is_whole(target, moment);
        }
        // The next command, which writes something else into the same folder, puts everything right.
        let job = self.job_id("JOB2");
        scratch.succeeds("encrypt --train table.csv --keys KEYS --out JOB3");
        let left: Vec<String> =
            scratch.listing().into_iter().filter(|path| path.rsplit('/').next().unwrap().starts_with('.')).collect();
        assert!(left.is_empty(), "{command} killed at {moment:?} leaves {left:?}");
        // There was an old one, so there is an old or a new one.
        self.is_whole(target, moment);
        let mut expected = records;
        expected.extend([job, self.job_id("JOB2"), self.job_id("JOB3")].into_iter().flatten());
        assert_eq!(self.records(), expected, "{command} killed at {moment:?}");
        fs::remove_dir_all(scratch.path("JOB3")).expect("the job that was just written");
        !late
    }

    /// Every file of ours reads as whole; what is no container of ours is compared with what it was made of.
    fn is_whole(&self, target: &str, moment: Moment) {
        match target {
            "head2.onnx" => {
                self.scratch.succeeds("export --head head.safetensors --format onnx --out expected.onnx --force");
                assert!(self.scratch.read(target) == self.scratch.read("expected.onnx"), "{target} at {moment:?}");
            }
            _ => drop(self.scratch.succeeds(&format!("inspect {target}"))),
        }
    }

    /// When a target was last put in its place; none if it is not there.
    fn modified(&self, target: &str) -> Option<std::time::SystemTime> {
        self.scratch.path(target).metadata().and_then(|metadata| metadata.modified()).ok()
    }

    fn job_id(&self, job: &str) -> Option<String> {
        let there = self.scratch.path(job).is_dir();
        let json = there.then(|| self.scratch.json(&format!("inspect {job} --json")))?;
        Some(json[0]["metadata"]["job-id"].as_str().expect("an identifier").to_owned())
    }

    /// What is in the folder of records.
    fn records(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.scratch.path("KEYS/jobs")).expect("the folder of records");
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("an identifier")).collect()
    }

    /// Kills commands `count` times, each in turn. Returns how many were killed before they had ended.
    fn kill_all(&self, count: usize) -> usize {
        let mut moments = Moments(count as u64);
        (0..count)
            .filter(|i| {
                let which = i % COMMANDS.len();
                // Every other round at the moment that matters most.
                let moment = match (i / COMMANDS.len()) % 2 {
                    1 => Moment::Placed,
                    _ => Moment::After(self.durations[which].mul_f64(moments.next())),
                };
                self.kill(which, moment)
            })
            .count()
    }
}

#[test]
fn a_killed_command_leaves_nothing_half_written_and_the_next_removes_what_it_left() {
    let killed = Killed::new();
    assert!(killed.kill_all(10) >= 3);
}

#[test]
#[ignore = "minutes: run it with every change of how files are written"]
fn a_hundred_killed_commands_leave_nothing_half_written_and_nothing_behind() {
    let killed = Killed::new();
    let in_time = killed.kill_all(140);
    println!("{in_time} of 140 were killed before they had ended");
    assert!(in_time >= 100, "{in_time}");
}

#[test]
fn records_of_jobs_that_never_were_are_removed_and_those_of_jobs_that_are_completed() {
    let scratch = Scratch::with_artefacts();
    let id = scratch.json("inspect JOB --json")[0]["metadata"]["job-id"].as_str().unwrap().to_owned();
    let temporary = scratch.path(".JOB.abcdefABCDEF.ciphertune");
    let (kept, waiting) = (format!("KEYS/jobs/{id}"), format!("KEYS/jobs/{id}.pending"));
    // As it was before the job got its place, or its record its name.
    let rewind = |content: bool| {
        fs::create_dir(&temporary).unwrap();
        if content {
            fs::rename(scratch.path("JOB"), temporary.join("content")).unwrap();
        }
        fs::rename(scratch.path(&kept), scratch.path(&waiting)).unwrap();
        let absolute = |path: &std::path::Path| path.canonicalize().unwrap().to_str().unwrap().to_owned();
        fs::write(temporary.join("companion"), absolute(&scratch.path(&waiting))).unwrap();
        scratch.write(&format!("{waiting}/place"), absolute(&temporary));
    };
    rewind(false);
    // The owner need not write there again.
    scratch.succeeds("decrypt --model model.enc --keys KEYS --out again.safetensors");
    assert_eq!(scratch.read("again.safetensors"), scratch.read("head.safetensors"));
    assert!(!temporary.exists() && scratch.path(&kept).is_dir() && !scratch.path(&waiting).exists());

    // Beside the job or with the keys, whatever is written first.
    rewind(false);
    scratch.succeeds("train --job JOB --eval-keys KEYS/evaluation.keys --out other.enc");
    assert!(!temporary.exists() && scratch.path(&kept).is_dir() && !scratch.path(&waiting).exists());
    rewind(false);
    scratch.make("elsewhere");
    scratch.succeeds("encrypt --train table.csv --keys KEYS --out elsewhere/JOB");
    assert!(!temporary.exists() && scratch.path(&kept).is_dir() && !scratch.path(&waiting).exists());

    rewind(true);
    scratch.succeeds("encrypt --train table.csv --keys KEYS --out elsewhere/JOB2");
    assert!(!temporary.exists() && !scratch.path(&kept).exists() && !scratch.path(&waiting).exists());
    assert!(!scratch.path("JOB").exists());
}

#[test]
fn keys_that_had_made_way_for_new_ones_are_put_back_by_whoever_looks_for_them() {
    let scratch = Scratch::with_artefacts();
    let temporary = scratch.path(".KEYS.abcdefABCDEF.ciphertune");
    fs::create_dir(&temporary).unwrap();
    fs::rename(scratch.path("KEYS"), temporary.join("old")).unwrap();
    fs::create_dir(temporary.join("content")).unwrap();
    scratch.succeeds("decrypt --model model.enc --keys KEYS --out again.safetensors");
    assert!(!temporary.exists() && scratch.path("KEYS/secret.key").is_file());
    scratch.make(".KEYS.backup");
    scratch.write(".model.enc.abcdef", "somebody else's");
    scratch.succeeds("train --job JOB --eval-keys KEYS/evaluation.keys --out other.enc");
    assert!(scratch.path(".KEYS.backup").is_dir() && scratch.path(".model.enc.abcdef").is_file());
}

#[test]
fn what_a_running_command_is_writing_is_left_alone_by_another() {
    let scratch = Scratch::new();
    scratch.write("table.csv", table(60, 6, 3, 1));
    let arguments = "keygen --rows 128 --features 400 --classes 10 --recipe paper --out KEYS";
    let mut child = scratch.command(arguments).stdout(Stdio::null()).spawn().expect("the binary runs");
    let start = Instant::now();
    let begun = || {
        let entries = fs::read_dir(scratch.path(".")).expect("the folder").flatten();
        entries.map(|entry| entry.path()).any(|path| path.join("content/evaluation.keys").exists())
    };
    while !begun() {
        assert!(start.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(2));
    }
    scratch.succeeds("scaler fit --features table.csv --out scaler.safetensors");
    assert!(child.wait().expect("a child of ours").success());
    assert!(scratch.path("KEYS/secret.key").is_file());
    assert!(!scratch.listing().iter().any(|path| path.starts_with('.')));
}
