//! `run`: every role in one process on a user's own table, beside the same training in the clear.

mod report;

use std::path::PathBuf;

use ciphertune_head::metrics::Evaluation;
use ciphertune_head::plan::Estimate;
use ciphertune_head::{Head, LabelColumn, Plan, Scaler};
use clap::Args;

use crate::errors::{InFile, Result};
use crate::inputs::Examples;
use crate::options::{PlanFlags, RecipeFlags, read_training_table, shape_of};
use crate::rehearsal::{self, Comparison, Outcome, Seconds, timed};
use crate::roles::owner;
use crate::text::{say, warn};
use crate::{files, memory};
use report::{Precision, Report};

/// Play every role on your own table, and compare with training in the clear
///
/// Makes keys, encrypts the table, trains on the ciphertexts, decrypts the model and scores it on rows that were not trained on.
/// Beside it the same recipe is trained in the clear, so that one sees what encryption costs. Nothing is written.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("testing").required(true).args(["test", "holdout"]))]
pub struct Run {
    /// Training table: .csv (label first), .npz or .safetensors (features, labels)
    #[arg(long, value_name = "FILE")]
    train: PathBuf,

    /// Test table
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,

    /// Share of every class's rows to hold out of the training table for testing, such as 0.2
    #[arg(long, value_name = "SHARE")]
    holdout: Option<f64>,

    /// Number that --holdout draws the rows from: the same seed gives the same rows
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "test")]
    seed: u64,

    /// Only the first N rows of the training table
    #[arg(long, value_name = "N")]
    rows: Option<usize>,

    /// A scaler that was fitted before, by ciphertune scaler fit
    #[arg(long, value_name = "FILE")]
    scaler_file: Option<PathBuf>,

    /// Return and decrypt every iterate, to see the accuracy after each iteration
    #[arg(long)]
    trace: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    recipe: RecipeFlags,

    #[command(flatten)]
    plan: PlanFlags,
}

impl Run {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let report = self.rehearse()?;
        if report.largest_logit > report.cubic_range {
            warn(&format!(
                "logits reach {:.1} in training, beyond the cubic's range of {}: the approximation of the sigmoid no longer holds there; use fewer iterations, --cubic wide, or a smaller --learning-rate",
                report.largest_logit, report.cubic_range
            ));
        }
        if self.json {
            say!("{}", serde_json::to_string_pretty(&report).map_err(std::io::Error::from)?)?;
        } else {
            say!("{}", report.text().trim_end())?;
        }
        Ok(())
    }

    fn rehearse(&self) -> Result<Report> {
        let (train, test) = self.tables()?;
        let scaler = match &self.scaler_file {
            Some(path) => Some(Scaler::from_bytes(&files::read(path)?).in_file(path)?),
            None => None,
        };
        let recipe = self.recipe.recipe()?;
        let shape = shape_of(&train)?;
        let mut seconds = Seconds::default();
        let plan;
        (plan, seconds.plan) = timed(|| self.plan.choose(shape, &recipe).in_file(&train.path))?;

        let (keys, job);
        (keys, seconds.keygen) = timed(|| rehearsal::keygen(&plan))?;
        (job, seconds.encrypt) = timed(|| rehearsal::encrypt(&plan, &keys.secret, &train, scaler))?;
        let sizes = [job.job.bytes.len(), keys.evaluation.bytes.len(), job.ciphertexts];
        let trained = rehearsal::train(job.job, keys.evaluation, self.trace)?;
        (seconds.load, seconds.train) = (trained.load_seconds, trained.train_seconds);
        let counts = trained.counts;
        let model = trained.into_document();
        let (outcome, comparison);
        (outcome, seconds.decrypt) = timed(|| rehearsal::decrypt(&plan, &keys.secret, &job.record, &model))?;
        (comparison, seconds.plaintext) = timed(|| rehearsal::compare(&plan, &outcome, &train.table))?;

        let (evaluation, twin) = evaluate(&outcome, &comparison, &test)?;
        let per_iteration = if self.trace { Some(accuracies(&outcome, &comparison, &test)?) } else { None };
        let (encrypted, plaintext) = per_iteration.unzip();
        let [upload_bytes, key_bytes, upload_ciphertexts] = sizes;
        let precision = precision(&plan, &outcome, &comparison)?;
        let parameters = plan.parameters()?;
        Ok(Report {
            accuracy: evaluation.accuracy,
            accuracy_plaintext: twin.accuracy,
            right: evaluation.right,
            right_plaintext: twin.right,
            sle: evaluation.sle,
            sle_plaintext: twin.sle,
            accuracy_per_iteration: encrypted,
            accuracy_per_iteration_plaintext: plaintext,
            max_weight_error: comparison.max_weight_error,
            precision_bits: precision,
            largest_logit: comparison.largest_logit,
            cubic_range: recipe.cubic().range,
            logits_within_range: comparison.largest_logit <= recipe.cubic().range,
            seconds,
            peak_memory_bytes: memory::peak(),
            upload_bytes,
            key_bytes,
            model_bytes: model.bytes.len(),
            upload_ciphertexts,
            log_n: plan.literal().log_n,
            log_qp: plan.literal().log_qp(),
            security_bits: parameters.security_bits(),
            levels: plan.top_level(),
            levels_left: plan.levels_left(),
            key_switches: counts.key_switches,
            products: counts.products,
            rows: shape.rows,
            features: shape.features,
            classes: shape.classes,
            test_rows: evaluation.rows,
            iterations: recipe.iterations(),
            recipe,
            layout: plan.layout_kind(),
            threads: rayon::current_num_threads(),
            version: env!("CARGO_PKG_VERSION"),
        })
    }

    /// The rows to train and to test on.
    fn tables(&self) -> Result<(Examples, Examples)> {
        let train = read_training_table(&self.train, self.rows)?;
        let (train, test) = match (&self.test, self.holdout) {
            (Some(path), _) => (train, Examples::read_table(path, LabelColumn::Present)?),
            (None, share) => train.split_holdout(share.unwrap_or(0.2), self.seed)?,
        };
        shape_of(&train)?;
        owner::check_test_table(&train, &test)?;
        Ok((train, test))
    }
}

/// Scores of the encrypted training's head, read back from its file, and of the twin's.
fn evaluate(outcome: &Outcome, comparison: &Comparison, test: &Examples) -> Result<(Evaluation, Evaluation)> {
    let head = Head::from_bytes(&outcome.head)?;
    let twin = comparison.heads.last().unwrap_or(&head);
    Ok((head.evaluate(&test.table)?, twin.evaluate(&test.table)?))
}

/// Accuracies after every iteration, encrypted and in the clear.
fn accuracies(outcome: &Outcome, comparison: &Comparison, test: &Examples) -> Result<(Vec<f64>, Vec<f64>)> {
    let mut all = (Vec::new(), Vec::new());
    for ((_, head), twin) in outcome.opened.decrypted.heads.iter().zip(&comparison.heads) {
        all.0.push(head.evaluate(&test.table)?.accuracy);
        all.1.push(twin.evaluate(&test.table)?.accuracy);
    }
    Ok(all)
}

fn precision(plan: &Plan, outcome: &Outcome, comparison: &Comparison) -> Result<Precision> {
    Ok(Precision {
        predicted: -Estimate::new(plan)?.weight_deviation.log2(),
        measured: comparison.measured_bits,
        guaranteed: outcome.opened.precision_bits,
    })
}
