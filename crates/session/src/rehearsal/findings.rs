//! What playing the roles found: one object, printed as JSON, and the source of text and pages.

use ciphertune_ckks::{Counts, security_bound};
use ciphertune_head::layout::LayoutKind;
use ciphertune_head::metrics::{Evaluation, accuracy_interval, predicted_classes};
use ciphertune_head::{Head, Plan, Provenance, Recipe};
use serde::Serialize;

use super::{Comparison, Outcome, Seconds, relative_error};
use crate::error::{Error, Result};
use crate::examples::Examples;
use crate::memory;
use crate::server::Residence;
use crate::specimens::Specimens;

/// What playing the roles took and gave.
pub struct Played {
    /// The plan.
    pub plan: Plan,
    /// Wall-clock seconds a step.
    pub seconds: Seconds,
    /// Sizes of the documents.
    pub sizes: Sizes,
    /// Operations of the training.
    pub counts: Counts,
    /// What of the job was kept in memory.
    pub residence: Residence,
    /// Whether every iterate came back.
    pub traced: bool,
    /// The decrypted heads.
    pub outcome: Outcome,
    /// The twin.
    pub comparison: Comparison,
    /// How the training ended, if it ended early.
    pub stopped: Option<Stopped>,
}

/// A training that its owner ended, because rows that were held out of it were no longer judged better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stopped {
    /// Iterations that were made.
    pub after: usize,
    /// The iteration whose weights are the model.
    pub best: usize,
    /// Held-out rows that they have right.
    pub right: usize,
    /// Held-out rows.
    pub rows: usize,
}

/// Sizes of the documents that went between the roles.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The job.
    pub upload_bytes: usize,
    /// Ciphertexts in it.
    pub upload_ciphertexts: usize,
    /// The evaluation keys.
    pub key_bytes: usize,
    /// The encrypted model.
    pub model_bytes: usize,
    /// A request and an answer, if the training is refreshed.
    pub round_bytes: Option<[usize; 2]>,
}

/// Everything about a run; the fields are those of `--json`.
#[derive(Serialize)]
pub struct Findings {
    /// Share of test rows right with the decrypted head, in [0, 1].
    pub accuracy: f64,
    /// The same of the twin, trained in the clear.
    pub accuracy_plaintext: f64,
    /// Test rows right.
    pub right: usize,
    /// Test rows right with the twin's head.
    pub right_plaintext: usize,
    /// Where the accuracy on all rows of the same kind lies, with 95 % confidence.
    pub accuracy_interval: (f64, f64),
    /// Test rows that both heads take for the same class.
    pub same_predictions: usize,
    /// The paper's score on the test rows.
    pub sle: f64,
    /// The twin's.
    pub sle_plaintext: f64,
    /// Accuracy after every iteration; with `--trace` only.
    pub accuracy_per_iteration: Option<Vec<f64>>,
    /// The twin's.
    pub accuracy_per_iteration_plaintext: Option<Vec<f64>>,
    /// SLE after every iteration; with `--trace` only.
    pub sle_per_iteration: Option<Vec<f64>>,
    /// The twin's.
    pub sle_per_iteration_plaintext: Option<Vec<f64>>,
    /// As `max_weight_error`, after every iteration; with `--trace` only.
    pub max_weight_error_per_iteration: Option<Vec<f64>>,
    /// Log-likelihood of a softmax over the test rows' logits.
    pub log_likelihood: f64,
    /// The twin's.
    pub log_likelihood_plaintext: f64,
    /// Test rows by true class (first index) and predicted class (second index).
    pub confusion: Vec<Vec<usize>>,
    /// The classes' names, in the order of `confusion`.
    pub class_names: Vec<String>,
    /// Some test rows and what the head takes them for.
    pub specimens: Specimens,
    /// What the same training in the clear makes of raw pixels instead of features; null where it was not asked.
    pub raw_pixels: Option<RawPixels>,
    /// The backbone and preprocessing of the features; null where a table does not say.
    pub provenance: Option<Provenance>,
    /// Largest error of a weight or bias (for raw features) against the twin, relative to the twin's largest.
    pub max_weight_error: f64,
    /// Bits of the trained weights.
    pub precision_bits: Precision,
    /// The largest |z| that the twin's sigmoid was given.
    pub largest_logit: f64,
    /// The |z| that the polynomial in place of the sigmoid is meant for.
    pub sigmoid_range: f64,
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
    /// Rotation, conjugation and relinearisation keys among them.
    pub keys: usize,
    /// The encrypted model, as serialised.
    pub model_bytes: usize,
    /// Rounds between server and owner during training; 0 if the server makes all steps.
    pub refreshes: usize,
    /// A request of the server's, as serialised; 0 if there was none.
    pub request_bytes: usize,
    /// An answer of the owner's, as serialised; 0 if there was none.
    pub answer_bytes: usize,
    /// Ciphertexts in the job.
    pub upload_ciphertexts: usize,
    /// Ciphertexts of the job that the server kept in memory from the beginning.
    pub kept_ciphertexts: usize,
    /// Ciphertexts that it read again, all iterations together.
    pub ciphertexts_read_again: u64,
    /// log2 of the ring dimension.
    pub log_n: u32,
    /// log2 of the whole modulus.
    pub log_qp: f64,
    /// The largest log QP that is accepted for the ring.
    pub log_qp_bound: Option<u32>,
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
    /// Iterations of the recipe.
    pub iterations: usize,
    /// How the training ended, if it ended before.
    pub stopped: Option<Stopped>,
    /// The recipe.
    pub recipe: Recipe,
    /// The layout.
    pub layout: LayoutKind,
    /// Threads in use.
    pub threads: usize,
    /// This program's version.
    pub version: &'static str,
}

/// A head on raw pixels, for comparison.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RawPixels {
    /// Share of test rows right.
    pub accuracy: f64,
    /// Test rows right.
    pub right: usize,
}

/// Bits after the binary point, or relative to the largest weight.
#[derive(Serialize)]
pub struct Precision {
    /// -log2 of the standard deviation that the plan predicts of a weight's error, in the coordinates that are trained
    /// in.
    pub predicted: f64,
    /// The same, measured against the twin.
    pub measured: f64,
    /// log2 of the largest weight over the plan's bound on any error.
    pub guaranteed: f64,
}

impl Played {
    /// Scores the decrypted heads and the twin on the test rows, and puts everything together.
    pub fn findings(self, test: &Examples) -> Result<Findings> {
        let Played { plan, seconds, sizes, counts, residence, traced, outcome, comparison, stopped } = self;
        // Read back from its file, as a user's would be.
        let head = Head::from_bytes(&outcome.head)?;
        let twin = comparison.heads.last().unwrap_or(&head);
        let (encrypted, clear) = (head.evaluate(&test.table)?, twin.evaluate(&test.table)?);
        let (shape, recipe, literal) = (plan.shape(), plan.recipe().clone(), plan.literal());
        let estimate = plan.estimate()?;
        let planned = plan.exchange().map_or(0, |exchange| exchange.count);
        let courses = traced.then(|| Courses::new(&outcome, &comparison, test)).transpose()?.unwrap_or_default();
        Ok(Findings {
            accuracy: encrypted.accuracy,
            accuracy_plaintext: clear.accuracy,
            right: encrypted.right,
            right_plaintext: clear.right,
            accuracy_interval: accuracy_interval(encrypted.right, encrypted.rows),
            same_predictions: same_predictions(&head, twin, test)?,
            sle: encrypted.sle,
            sle_plaintext: clear.sle,
            accuracy_per_iteration: courses.accuracy,
            accuracy_per_iteration_plaintext: courses.accuracy_plaintext,
            sle_per_iteration: courses.sle,
            sle_per_iteration_plaintext: courses.sle_plaintext,
            max_weight_error_per_iteration: courses.max_weight_error,
            log_likelihood: encrypted.log_likelihood,
            log_likelihood_plaintext: clear.log_likelihood,
            class_names: head.classes().names().to_vec(),
            specimens: Specimens::choose(&head, test)?,
            raw_pixels: None,
            provenance: test.table.provenance().cloned(),
            max_weight_error: comparison.max_weight_error,
            precision_bits: Precision {
                predicted: -estimate.weight_deviation.log2(),
                measured: comparison.measured_bits,
                guaranteed: outcome.opened.precision_bits,
            },
            largest_logit: comparison.largest_logit,
            sigmoid_range: recipe.sigmoid().range(),
            logits_within_range: comparison.largest_logit <= recipe.sigmoid().range(),
            seconds,
            peak_memory_bytes: memory::peak(),
            upload_bytes: sizes.upload_bytes,
            key_bytes: sizes.key_bytes,
            keys: estimate.operations.keys.count(),
            model_bytes: sizes.model_bytes,
            refreshes: stopped.map_or(planned, |stopped| stopped.after),
            stopped,
            request_bytes: sizes.round_bytes.map_or(0, |[request, _]| request),
            answer_bytes: sizes.round_bytes.map_or(0, |[_, answer]| answer),
            upload_ciphertexts: sizes.upload_ciphertexts,
            kept_ciphertexts: residence.kept,
            ciphertexts_read_again: residence.read_again,
            log_n: literal.log_n,
            log_qp: literal.log_qp(),
            log_qp_bound: security_bound(literal.log_n),
            security_bits: plan.security_bits(),
            levels: plan.top_level(),
            levels_left: plan.levels_left(),
            key_switches: counts.key_switches,
            products: counts.products,
            rows: shape.rows,
            features: shape.features,
            classes: shape.classes,
            test_rows: encrypted.rows,
            confusion: encrypted.confusion,
            iterations: recipe.iterations(),
            recipe,
            layout: plan.layout_kind(),
            threads: rayon::current_num_threads(),
            version: env!("CARGO_PKG_VERSION"),
        })
    }
}

/// Scores after every iteration; nothing if only the last iterate came back.
#[derive(Default)]
struct Courses {
    accuracy: Option<Vec<f64>>,
    accuracy_plaintext: Option<Vec<f64>>,
    sle: Option<Vec<f64>>,
    sle_plaintext: Option<Vec<f64>>,
    max_weight_error: Option<Vec<f64>>,
}

impl Courses {
    fn new(outcome: &Outcome, comparison: &Comparison, test: &Examples) -> Result<Self> {
        let heads = || outcome.opened.decrypted.heads.iter().map(|(_, head)| head).zip(&comparison.heads);
        let score = |(head, twin): (&Head, &Head)| Ok((head.evaluate(&test.table)?, twin.evaluate(&test.table)?));
        let scores = heads().map(score).collect::<Result<Vec<_>>>()?;
        let encrypted = |of: fn(&Evaluation) -> f64| Some(scores.iter().map(|(encrypted, _)| of(encrypted)).collect());
        let clear = |of: fn(&Evaluation) -> f64| Some(scores.iter().map(|(_, clear)| of(clear)).collect());
        Ok(Courses {
            accuracy: encrypted(|scores| scores.accuracy),
            accuracy_plaintext: clear(|scores| scores.accuracy),
            sle: encrypted(|scores| scores.sle),
            sle_plaintext: clear(|scores| scores.sle),
            max_weight_error: Some(heads().map(|(head, twin)| relative_error(head, twin)).collect()),
        })
    }
}

/// Rows that two heads take for the same class.
fn same_predictions(a: &Head, b: &Head, test: &Examples) -> Result<usize> {
    let [a, b] = [a.logits(test.table.features())?, b.logits(test.table.features())?].map(|z| predicted_classes(&z));
    Ok(a.iter().zip(&b).filter(|(a, b)| a == b).count())
}

impl Findings {
    /// The object of `--json`.
    pub fn json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|error| Error::failure(error.to_string()))
    }
}
