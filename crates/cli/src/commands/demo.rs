//! `demo`: every role, one after the other, on handwritten digits that come with the program.

mod digits;

use ciphertune_head::plan::Estimate;
use ciphertune_head::plan::cost::UnitCosts;
use ciphertune_head::{Head, Recipe};
use clap::Args;

use crate::errors::Result;
use crate::inputs::Examples;
use crate::memory;
use crate::options::{PlanFlags, shape_of};
use crate::rehearsal::{self, Comparison, timed};
use crate::text::{bytes, count, percent, say, seconds, thousands};

/// Share of the digits that is held out for testing.
const TEST_SHARE: f64 = 1.0 / 3.0;

/// Train on encrypted handwritten digits that come with the program
///
/// 1,797 real 8 x 8 images come with the program; their pixels are the features. Plays owner and server, compares with
/// training in the clear, and says what happened. Takes a few seconds and writes nothing.
#[derive(Args)]
pub struct Demo {
    /// Number that the test rows are drawn from: the same seed gives the same rows
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Iterations of gradient descent
    #[arg(long, value_name = "N", default_value_t = 2)]
    iterations: usize,
}

impl Demo {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let (train, test) = digits::load()?.split_holdout(TEST_SHARE, self.seed)?;
        let recipe = Recipe::default_for(self.iterations)?;
        say!("Ciphertune trains a classifier on images that the training machine never sees.\n")?;
        say!("  Data    UCI handwritten digits, 8 x 8 pixels, 10 classes")?;
        say!(
            "          {} images to train on, {} to test on",
            thousands(train.table.rows() as u64),
            test.table.rows()
        )?;

        let plan = PlanFlags::default().choose(shape_of(&train)?, &recipe)?;
        let estimate = Estimate::new(&plan)?;
        let literal = plan.literal();
        say!(
            "  Plan    {}, ring N = 2^{}, log QP = {:.0}: {}-bit security",
            count(self.iterations, "iteration"),
            literal.log_n,
            literal.log_qp(),
            plan.security_bits()
        )?;
        let expected = estimate.seconds(&plan, &UnitCosts::measure()?);
        say!("          about {} of training on this machine\n", seconds(expected))?;

        let (keys, took) = timed(|| rehearsal::keygen(&plan))?;
        let (secret, evaluation) = (keys.secret.len(), keys.evaluation.bytes.len());
        step("owner", "makes keys", took, &format!("secret key {}, never leaves", bytes(secret)))?;
        more(&format!("evaluation keys {} for the server", bytes(evaluation)))?;

        let (job, took) = timed(|| rehearsal::encrypt(&plan, &keys.secret, &train, None))?;
        let upload = format!("job {} in {}", bytes(job.job.bytes.len()), count(job.ciphertexts, "ciphertext"));
        step("owner", "whitens and encrypts", took, &upload)?;

        let trained = rehearsal::train(job.job, keys.evaluation, false)?;
        let (counts, took) = (trained.counts, trained.train_seconds);
        step("server", "reads job and keys", trained.load_seconds, "and checks them")?;
        let model = trained.into_document();
        step(
            "server",
            "trains on ciphertext",
            took,
            &format!(
                "{}, {}",
                count(counts.key_switches as usize, "key switch"),
                count(counts.products as usize, "product")
            ),
        )?;
        more("sees no key, image, label or weight")?;

        let (outcome, took) = timed(|| rehearsal::decrypt(&plan, &keys.secret, &job.record, &model))?;
        step("owner", "decrypts the model", took, &format!("model {}", bytes(model.bytes.len())))?;

        let comparison = rehearsal::compare(&plan, &outcome, &train.table)?;
        let head = Head::from_bytes(&outcome.head)?;
        self.scores(&head, &comparison, &test)?;
        say!("{}", digits::draw(&test, &head)?)?;
        if let Some(peak) = memory::peak() {
            say!("Peak memory of all roles together: {}.", bytes(peak))?;
        }
        say!("Next, on a table of your own (label first, then features):\n")?;
        say!("  ciphertune run --train table.csv --holdout 0.2")?;
        Ok(())
    }

    fn scores(&self, head: &Head, comparison: &Comparison, test: &Examples) -> Result<()> {
        let encrypted = head.evaluate(&test.table)?;
        let clear = comparison.heads.last().unwrap_or(head).evaluate(&test.table)?;
        say!("\nAccuracy on the {} test images", test.table.rows())?;
        say!("  trained encrypted      {}  ({} right)", percent(encrypted.accuracy), encrypted.right)?;
        say!("  trained in the clear   {}  ({} right)", percent(clear.accuracy), clear.right)?;
        say!("  largest weight error   {:.1e} of the largest weight\n", comparison.max_weight_error)?;
        Ok(())
    }
}

/// One step: who, what, how long, and what came of it.
fn step(who: &str, what: &str, took: f64, result: &str) -> Result<()> {
    Ok(say!("  {who:<7} {what:<20} {:>7}  {result}", seconds(took))?)
}

/// A further line of a step.
fn more(text: &str) -> Result<()> {
    Ok(say!("{:40}{text}", "")?)
}
