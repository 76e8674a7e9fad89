//! `curves`: how the paper's methods and our scalers learn, in the clear.

use ciphertune_head::curves::{self, Method};
use ciphertune_head::recipe::MAX_ITERATIONS;
use clap::Args;

use crate::errors::{CliError, Result};
use crate::inputs::{BackboneFlags, PairFlags};
use crate::options::ScalerName;
use crate::progress::Terminal;
use crate::report::ReportFlags;
use crate::text::say;
use ciphertune_report::curves::{Outcome, page};
use ciphertune_session::InFile;
use ciphertune_session::examples::shape_of;
use ciphertune_session::files::Privacy;
use ciphertune_session::observer::{Running, Step};
use ciphertune_session::rehearsal::timed;

/// Trace the paper's methods and our scalers over many iterations, in the clear
///
/// The experiment of arXiv 2304.03807: softmax NAG, sigmoid NAG and sigmoid NAG with Quadratic Gradient on the features
/// as they are, and recipe default with further scalers. Nothing is encrypted: this shows which training is worth
/// encrypting, and for how many iterations. Scores accuracy, log-likelihood and SLE on both tables after every
/// iteration.
#[derive(Args)]
pub struct Curves {
    #[command(flatten)]
    pair: PairFlags,

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
    backbone: BackboneFlags,

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
        let terminal = Terminal::new();
        let (train, test) = self.pair.read(&self.backbone, &terminal)?;
        let methods = self.methods();
        let shape = shape_of(&train)?;
        let running = Running::new(&terminal, Step::Tracing, Some((methods.len() * self.iterations) as u64));
        let (curves, seconds) = timed(|| {
            curves::trace(&methods, &train.table, &test.table, self.iterations, &|done| running.advance(done))
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
}
