//! What `run` reports: one object, printed as JSON or as text.

use ciphertune_head::Recipe;
use ciphertune_head::layout::LayoutKind;
use serde::Serialize;

use crate::rehearsal::Seconds;
use crate::text::{Table, bytes, count, percent, seconds, thousands};

/// Everything about a run; the fields are those of `--json`.
#[derive(Serialize)]
pub struct Report {
    /// Share of test rows right with the decrypted head, in [0, 1].
    pub accuracy: f64,
    /// The same of the twin, trained in the clear.
    pub accuracy_plaintext: f64,
    /// Test rows right.
    pub right: usize,
    /// Test rows right with the twin's head.
    pub right_plaintext: usize,
    /// The paper's score on the test rows.
    pub sle: f64,
    /// The twin's.
    pub sle_plaintext: f64,
    /// Accuracy after every iteration; with `--trace` only.
    pub accuracy_per_iteration: Option<Vec<f64>>,
    /// The twin's.
    pub accuracy_per_iteration_plaintext: Option<Vec<f64>>,
    /// Largest error of a weight or bias (for raw features) against the twin, relative to the twin's largest.
    pub max_weight_error: f64,
    /// Bits of the trained weights.
    pub precision_bits: Precision,
    /// The largest |z| that the twin's cubic was given.
    pub largest_logit: f64,
    /// The |z| that the cubic is meant for.
    pub cubic_range: f64,
    /// Whether the first is within the second.
    pub logits_within_range: bool,
    /// Seconds a step.
    pub seconds: Seconds,
    /// The process's high-water mark; null where the system does not count it.
    pub peak_memory_bytes: Option<usize>,
    /// The job: data, labels and, if there is one, offset, as serialised.
    pub upload_bytes: usize,
    /// The evaluation keys, as serialised.
    pub key_bytes: usize,
    /// The encrypted model, as serialised.
    pub model_bytes: usize,
    /// Ciphertexts in the job.
    pub upload_ciphertexts: usize,
    /// log2 of the ring dimension.
    pub log_n: u32,
    /// log2 of the whole modulus.
    pub log_qp: f64,
    /// Security against known attacks, at least.
    pub security_bits: u32,
    /// Levels of a fresh ciphertext.
    pub levels: usize,
    /// Levels left after training.
    pub levels_left: usize,
    /// Rotations, conjugations and relinearisations of the training.
    pub key_switches: u64,
    /// Products of ciphertexts.
    pub products: u64,
    /// Training rows.
    pub rows: usize,
    /// Features a row.
    pub features: usize,
    /// Classes.
    pub classes: usize,
    /// Test rows.
    pub test_rows: usize,
    /// Iterations.
    pub iterations: usize,
    /// The recipe.
    pub recipe: Recipe,
    /// The layout.
    pub layout: LayoutKind,
    /// Threads in use.
    pub threads: usize,
    /// This program's version.
    pub version: &'static str,
}

/// Bits after the binary point, or relative to the largest weight.
#[derive(Serialize)]
pub struct Precision {
    /// -log2 of the standard deviation that the plan predicts of a weight's error, in the coordinates that are trained in.
    pub predicted: f64,
    /// The same, measured against the twin.
    pub measured: f64,
    /// log2 of the largest weight over the plan's bound on any error.
    pub guaranteed: f64,
}

impl Report {
    /// The report for people.
    pub fn text(&self) -> String {
        let mut table = Table::default();
        let scored = |accuracy, right| {
            format!(
                "{:>8}  ({} of {} right)",
                percent(accuracy),
                thousands(right as u64),
                thousands(self.test_rows as u64)
            )
        };
        table.row("accuracy, encrypted", scored(self.accuracy, self.right));
        table.row("accuracy, in the clear", scored(self.accuracy_plaintext, self.right_plaintext));
        if let (Some(encrypted), Some(clear)) = (&self.accuracy_per_iteration, &self.accuracy_per_iteration_plaintext) {
            let lines = encrypted.iter().zip(clear).enumerate();
            let lines: Vec<String> = lines
                .map(|(t, (e, c))| {
                    format!("{:>3}: {:>8} encrypted, {:>8} in the clear", t + 1, percent(*e), percent(*c))
                })
                .collect();
            table.row("after iteration", lines.join("\n"));
        }
        table.row("SLE", format!("{:.2} encrypted, {:.2} in the clear", self.sle, self.sle_plaintext));
        table.row("largest weight error", format!("{:.1e} of the largest weight", self.max_weight_error));
        let Precision { predicted, measured, .. } = self.precision_bits;
        table.row("precision", format!("{measured:.1} bits measured, {predicted:.1} predicted"));
        table.row("largest logit", format!("{:.2} (the cubic is meant for {})", self.largest_logit, self.cubic_range));
        let s = self.seconds;
        table.row("owner: keys", format!("{:>8}   {} of evaluation keys", seconds(s.keygen), bytes(self.key_bytes)));
        let upload = format!("{} in {}", bytes(self.upload_bytes), count(self.upload_ciphertexts, "ciphertext"));
        table.row("owner: encrypt", format!("{:>8}   {upload}", seconds(s.encrypt)));
        let work = format!(
            "{}, {}",
            count(self.key_switches as usize, "key switch"),
            count(self.products as usize, "product")
        );
        table.row("server: load", format!("{:>8}", seconds(s.load)));
        table.row("server: train", format!("{:>8}   {work}", seconds(s.train)));
        table.row("owner: decrypt", format!("{:>8}   {} of model", seconds(s.decrypt), bytes(self.model_bytes)));
        let security =
            format!("N = 2^{}, log QP = {:.0}, at least {} bits", self.log_n, self.log_qp, self.security_bits);
        table.row("security", security);
        table.row("levels", format!("{}, {} left", self.levels, self.levels_left));
        if let Some(peak) = self.peak_memory_bytes {
            table.row("peak memory", bytes(peak));
        }
        format!(
            "Trained on {} x {}, {}, encrypted:\n{}, recipe {}, layout {}\n\n{}",
            count(self.rows, "row"),
            count(self.features, "feature"),
            count(self.classes, "class"),
            count(self.iterations, "iteration"),
            self.recipe.name(),
            self.layout,
            table.render()
        )
    }
}
