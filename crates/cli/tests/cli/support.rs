//! A scratch folder, tables to put in it, and the binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder that commands run in, removed at the end.
pub struct Scratch {
    folder: TempDir,
    cache: TempDir,
}

impl Scratch {
    pub fn new() -> Self {
        let new = || TempDir::new().expect("a temporary folder");
        Self { folder: new(), cache: new() }
    }

    /// With keys, a job, a model and a head of `table.csv`, for one iteration.
    pub fn with_artefacts() -> Self {
        let scratch = Self::with_artefacts_of(&table(60, 6, 3, 1));
        scratch.write("test.csv", table(40, 6, 3, 2));
        scratch
    }

    /// With keys, a job, a model and a head of this table, `table.csv`, for one iteration.
    pub fn with_artefacts_of(table: &str) -> Self {
        let scratch = Self::new();
        scratch.write("table.csv", table);
        scratch.succeeds("keygen --train table.csv --iterations 1 --out KEYS/");
        scratch.succeeds("encrypt --train table.csv --keys KEYS/ --out JOB/");
        scratch.succeeds("train --job JOB/ --eval-keys KEYS/evaluation.keys --out model.enc");
        scratch.succeeds("decrypt --model model.enc --keys KEYS/ --out head.safetensors");
        scratch
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("a file in the scratch folder");
    }

    /// Makes a folder, with those above it.
    pub fn make(&self, name: &str) {
        fs::create_dir_all(self.path(name)).expect("a folder in the scratch folder");
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Every path below the folder, sorted.
    pub fn listing(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.folder.path().to_owned()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).expect("a folder that was just found") {
                let path = entry.expect("an entry").path();
                found.push(relative(&path, self.folder.path()));
                if path.is_dir() {
                    open.push(path);
                }
            }
        }
        found.sort();
        found
    }

    /// Runs the binary with arguments split at spaces.
    pub fn ciphertune(&self, arguments: &str) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// The binary in the folder, still to be started.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ciphertune"));
        command
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .env("CIPHERTUNE_CACHE", self.cache.path());
        command
    }

    /// Standard output of a command that must succeed.
    pub fn succeeds(&self, arguments: &str) -> String {
        let output = self.ciphertune(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "ciphertune {arguments}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Checks that a command fails with this exit code and one sentence that holds all of `parts`, and writes nothing.
    pub fn fails(&self, code: i32, arguments: &str, parts: &[&str]) {
        let before = self.listing();
        let output = self.ciphertune(arguments);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "ciphertune {arguments}: {message}");
        assert!(message.starts_with("error: "), "ciphertune {arguments}: {message}");
        assert_eq!(message.trim_end().lines().count(), 1, "one sentence: {message}");
        assert!(!message.contains("bug"), "{message}");
        for part in parts {
            assert!(message.contains(part), "ciphertune {arguments}: {part:?} is missing in: {message}");
        }
        assert_eq!(self.listing(), before, "ciphertune {arguments} wrote or removed something");
    }

    /// Standard output and standard error of a command that must succeed.
    pub fn both(&self, arguments: &str) -> (String, String) {
        let output = self.ciphertune(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "ciphertune {arguments}: {}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    }

    /// Output of a command that must succeed, as JSON.
    pub fn json(&self, arguments: &str) -> serde_json::Value {
        let text = self.succeeds(arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("ciphertune {arguments}: {error}: {text}"))
    }
}

fn relative(path: &Path, base: &Path) -> String {
    path.strip_prefix(base).expect("a path below the base").to_string_lossy().into_owned()
}

/// Clouds around one centre a class, as CSV with the label first.
pub fn table(rows: usize, features: usize, classes: usize, seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    let mut text = String::new();
    for row in 0..rows {
        let class = row % classes;
        let centre = |k: usize| ((class * 7 + k * 3) % 5) as f64;
        let fields: Vec<String> = (0..features).map(|k| format!("{:.4}", centre(k) + 3.0 * uniform())).collect();
        text += &format!("{class},{}\n", fields.join(","));
    }
    text
}
