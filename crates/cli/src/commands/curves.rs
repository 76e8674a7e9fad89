//! `curves`: how the paper's methods and our scalers learn, in the clear.

mod outcome;
mod page;

use std::path::PathBuf;

use ciphertune_head::LabelColumn;
use ciphertune_head::curves::{self, Method};
use ciphertune_head::recipe::MAX_ITERATIONS;
use clap::Args;

use crate::errors::{CliError, InFile, Result};
use crate::files::Privacy;
use crate::inputs::Examples;
use crate::options::{ScalerName, read_training_table, shape_of};
use crate::progress::Progress;
use crate::rehearsal::timed;
use crate::report::ReportFlags;
use crate::roles::owner;
use crate::text::say;
use outcome::Outcome;

/// Trace the paper's methods and our scalers over many iterations, in the clear
///
/// The experiment of arXiv 2304.03807: softmax NAG, sigmoid NAG and sigmoid NAG with Quadratic Gradient on the features as they are, and
/// recipe default with further scalers. Nothing is encrypted: this shows which training is worth encrypting, and for how many iterations.
/// Scores accuracy, log-likelihood and SLE on both tables after every iteration.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("testing").required(true).args(["test", "holdout"]))]
pub struct Curves {
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

    /// Iterations of gradient descent
    #[arg(long, value_name = "N", default_value_t = 500)]
    iterations: usize,

    /// Scalers to trace recipe default with, beside the paper's three methods
    #[arg(long, value_name = "KINDS", value_enum, value_delimiter = ',', default_values = ["standardize", "whiten"])]
    scalers: Vec<ScalerName>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    report: ReportFlags,
}

impl Curves {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        if !(1..=MAX_ITERATIONS).contains(&self.iterations) {
            let message = format!("--iterations {} is not possible: give 1 to {MAX_ITERATIONS}", self.iterations);
            return Err(CliError::input(message));
        }
        // Trained in the clear, without a secret key: no more private than the tables.
        let report = self.report.plan(Privacy::Public)?;
        let outcome = self.trace()?;
        let json = serde_json::to_string(&outcome).map_err(std::io::Error::from)?;
        let written = match report {
            Some(folder) => {
                let (csv, svg) = (outcome.csv(), page::drawing(&outcome));
                Some(folder.write(
                    &page::page(&outcome, &json),
                    &json,
                    &[("curves.csv", &csv), ("curves.svg", &svg)],
                )?)
            }
            None => None,
        };
        if self.json {
            say!("{json}")?;
            return Ok(());
        }
        say!("{}", outcome.text().trim_end())?;
        if let Some(path) = written {
            say!("\nreport: {}, with curves.csv and curves.svg beside it", path.display())?;
        }
        Ok(())
    }

    fn trace(&self) -> Result<Outcome> {
        let (train, test) = self.tables()?;
        let methods = self.methods();
        let shape = shape_of(&train)?;
        let progress = Progress::new("training", (methods.len() * self.iterations) as u64);
        let (curves, seconds) = timed(|| {
            curves::trace(&methods, &train.table, &test.table, self.iterations, &|done| progress.set(done))
                .in_file(&train.path)
        })?;
        Ok(Outcome {
            rows: shape.rows,
            features: shape.features,
            classes: shape.classes,
            test_rows: test.table.rows(),
            iterations: self.iterations,
            curves,
            seconds,
            threads: rayon::current_num_threads(),
            version: env!("CARGO_PKG_VERSION"),
        })
    }

    fn methods(&self) -> Vec<Method> {
        let mut methods = Method::PAPER.to_vec();
        for method in self.scalers.iter().map(|name| Method::Scaled(name.kind())) {
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
        methods
    }

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
