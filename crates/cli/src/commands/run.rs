//! `run`: every role in one process on a user's own table, beside the same training in the clear.

mod text;

use std::path::PathBuf;

use ciphertune_head::Scaler;
use ciphertune_head::plan::Refresh;
use clap::Args;

use crate::errors::{CliError, Result};
use crate::inputs::{BackboneFlags, PairFlags};
use crate::options::{PlanFlags, RecipeFlags, StoppingFlags};
use crate::progress::Terminal;
use crate::report::ReportFlags;
use crate::text::{say, warn};
use ciphertune_session::InFile;
use ciphertune_session::examples::{Examples, extraction_seconds, shape_of};
use ciphertune_session::files::{self, Privacy};
use ciphertune_session::owner;
use ciphertune_session::rehearsal::{self, Findings, Played, Rounds, Seconds, Sizes, Stopped, timed};

/// Play every role on your own table or images, and compare with training in the clear
///
/// Makes keys, encrypts the table, trains on the ciphertexts, decrypts the model and scores it on rows that were not
/// trained on. Beside it the same recipe is trained in the clear, so that one sees what encryption costs. Nothing is
/// written but the report that --report asks for, which implies --trace.
#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    pair: PairFlags,

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
    backbone: BackboneFlags,

    #[command(flatten)]
    recipe: RecipeFlags,

    #[command(flatten)]
    plan: PlanFlags,

    #[command(flatten)]
    stopping: StoppingFlags,

    #[command(flatten)]
    report: ReportFlags,
}

impl Run {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let folder = self.report.plan(Privacy::Private)?;
        let (findings, test) = self.rehearse(self.trace || folder.is_some())?;
        if findings.largest_logit > findings.sigmoid_range {
            warn(&format!(
                "logits reach {:.1} in training, out of the range of {} that the polynomial in place of the sigmoid is meant for: use --ridge 0.1, --sigmoid wide or 7, fewer iterations, or a smaller --learning-rate",
                findings.largest_logit, findings.sigmoid_range
            ));
        }
        let json = findings.json()?;
        let written = match folder {
            Some(folder) => {
                Some(folder.write(&ciphertune_report::training::page(&findings, &test, &json)?, &json, &[])?)
            }
            None => None,
        };
        if self.json {
            say!("{json}")?;
            return Ok(());
        }
        say!("{}", text::text(&findings).trim_end())?;
        if let Some(path) = written {
            say!("\nreport: {}", path.display())?;
        }
        Ok(())
    }

    /// Plays the roles; with `traced`, every iterate comes back. Returns the rows that were tested on as well.
    fn rehearse(&self, traced: bool) -> Result<(Findings, Examples)> {
        let terminal = Terminal::new();
        let (train, test) = self.pair.read(&self.backbone, &terminal)?;
        let scaler = match &self.scaler_file {
            Some(path) => Some(Scaler::from_bytes(&files::read(path)?).in_file(path)?),
            None => None,
        };
        let held_out = self.stopping.read(self.pair.columns(), train.table.names())?;
        if let Some(held_out) = &held_out {
            owner::check_test_table(&train, &held_out.examples)?;
        }
        let rows = held_out.as_ref().map(|held_out| (&held_out.examples.table, held_out.stopping));
        let recipe = self.recipe.recipe()?;
        let shape = shape_of(&train)?;
        let mut seconds = Seconds { extract: extraction_seconds(&train, &test), ..Seconds::default() };
        let plan;
        (plan, seconds.plan) = timed(|| self.plan.choose(shape, &recipe, &terminal).in_file(&train.path))?;

        if let Some(path) = self.stopping.validation().filter(|_| plan.refresh() == Refresh::Never) {
            let message = "a training that the server makes alone is not judged on the way: let the owner make its steps with --refresh 1, or leave --validation out";
            return Err(CliError::input(message).in_file(path));
        }
        let allotment = plan.allot(self.plan.memory()).in_file(&train.path)?;
        let (keys, job);
        (keys, seconds.keygen) = timed(|| rehearsal::keygen(&plan, &terminal))?;
        (job, seconds.encrypt) =
            timed(|| rehearsal::encrypt(&plan, &keys.secret, &train, scaler, &allotment, &terminal))?;
        let sizes = [job.bytes, keys.evaluation_bytes, job.ciphertexts];
        let refreshed = plan.refresh() != Refresh::Never;
        let (trained, rounds) = if refreshed {
            let documents = [job.job, keys.evaluation];
            rehearsal::train_refreshed(&plan, &keys.secret, &job.record, documents, rows, &allotment, &terminal)?
        } else {
            (rehearsal::train(job.job, keys.evaluation, traced, &allotment, &terminal)?, Rounds::default())
        };
        (seconds.load, seconds.train, seconds.refresh) = (trained.load_seconds, trained.train_seconds, rounds.seconds);
        // The owner has every iterate then.
        let traced = traced || refreshed;
        let (counts, residence) = (trained.counts, trained.residence);
        let model = trained.into_document();
        let (outcome, comparison);
        (outcome, seconds.decrypt) =
            timed(|| rehearsal::decrypt(&plan, &keys.secret, &job.record, &rounds.courses, &model))?;
        (comparison, seconds.plaintext) = timed(|| rehearsal::compare(&plan, &outcome, &train.table, rows))?;

        let stopped = rounds.courses.last().zip(rows).and_then(|(course, (rows, _))| {
            let best = course.ended()?;
            Some(Stopped { after: course.iteration(), best: best.iteration, right: best.right, rows: rows.rows() })
        });
        let [upload_bytes, key_bytes, upload_ciphertexts] = sizes;
        let model_bytes = model.bytes.len();
        let round_bytes = refreshed.then_some([rounds.request_bytes, rounds.answer_bytes]);
        let sizes = Sizes { upload_bytes, upload_ciphertexts, key_bytes, model_bytes, round_bytes };
        let findings =
            Played { plan, seconds, sizes, counts, residence, traced, outcome, comparison, stopped }.findings(&test)?;
        Ok((findings, test))
    }
}
