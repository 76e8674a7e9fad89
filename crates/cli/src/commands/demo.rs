//! `demo`: every role, one after the other, on handwritten digits that come with the program.

mod digits;

use ciphertune_head::plan::cost::UnitCosts;
use ciphertune_head::{Head, Recipe};
use clap::Args;

use crate::errors::Result;
use crate::options::PlanFlags;
use crate::progress::Terminal;
use crate::report::ReportFlags;
use crate::text::{bytes, count, percent, say, seconds as duration, thousands};
use ciphertune_session::examples::{BackboneChoice, extraction_seconds, shape_of};
use ciphertune_session::files::Privacy;
use ciphertune_session::memory;
use ciphertune_session::rehearsal::{self, Findings, Played, RawPixels, Seconds, Sizes, timed};

/// Share of the digits that is held out for testing: all but 500.
const TEST_SHARE: f64 = 1.0 - 500.0 / 1797.0;

/// Train on encrypted handwritten digits that come with the program
///
/// 1,797 real 8 x 8 images come with the program, and a small pretrained network that turns them into features: it was
/// trained on letters and drawings, never on digits. Plays owner and server, compares with training in the clear, and
/// says what happened. Takes a few seconds and writes nothing but the report that --report asks for.
///
/// The images: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998,
/// doi 10.24432/C50P49, CC BY 4.0.
#[derive(Args)]
pub struct Demo {
    /// Number that the test rows are drawn from: the same seed gives the same rows
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Iterations of gradient descent
    #[arg(long, value_name = "N", default_value_t = 2)]
    iterations: usize,

    #[command(flatten)]
    report: ReportFlags,
}

impl Demo {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let terminal = Terminal::new();
        // The digits are public, and the keys vanish with the process.
        let folder = self.report.plan(Privacy::Public)?;
        let recipe = Recipe::default_for(self.iterations)?;
        let digits = ciphertune_session::digits::load()?;
        let (train_rows, test_rows) = digits.table.holdout_rows(TEST_SHARE, self.seed)?;
        say!("Ciphertune trains a classifier on images that the training machine never sees.\n")?;
        say!("  Data    UCI handwritten digits, 8 x 8 pixels, 10 classes")?;
        say!(
            "          {} images to train on, {} to test on",
            thousands(train_rows.len() as u64),
            thousands(test_rows.len() as u64)
        )?;

        let backbone = BackboneChoice::builtin().open(None)?;
        let featured = digits.through(&backbone, &terminal)?;
        let (train, test) = (featured.select(&train_rows), featured.select(&test_rows));

        let mut seconds = Seconds { extract: extraction_seconds(&train, &test), ..Seconds::default() };
        let plan;
        (plan, seconds.plan) = timed(|| PlanFlags::default().choose(shape_of(&train)?, &recipe, &terminal))?;
        let estimate = plan.estimate()?;
        let allotment = plan.allot(memory::limit(None))?;
        let literal = plan.literal();
        say!(
            "  Plan    {}, ring N = 2^{}, log QP = {:.0}: {}-bit security",
            count(self.iterations, "iteration"),
            literal.log_n,
            literal.log_qp(),
            plan.security_bits()
        )?;
        let expected = estimate.seconds(&plan, &UnitCosts::measure()?);
        say!("          about {} of training on this machine\n", duration(expected))?;

        let features = format!("builtin: {} numbers an image", train.table.columns());
        step("owner", "makes features", seconds.extract, &features)?;

        let keys;
        (keys, seconds.keygen) = timed(|| rehearsal::keygen(&plan, &terminal))?;
        let (secret, evaluation) = (keys.secret.len(), keys.evaluation_bytes);
        step("owner", "makes keys", seconds.keygen, &format!("secret key {}, never leaves", bytes(secret)))?;
        more(&format!("evaluation keys {} for the server", bytes(evaluation)))?;

        let job;
        (job, seconds.encrypt) =
            timed(|| rehearsal::encrypt(&plan, &keys.secret, &train, None, &allotment, &terminal))?;
        let (upload_bytes, upload_ciphertexts) = (job.bytes, job.ciphertexts);
        let upload = format!("job {} in {}", bytes(upload_bytes), count(upload_ciphertexts, "ciphertext"));
        step("owner", "whitens and encrypts", seconds.encrypt, &upload)?;

        // The page draws every iteration.
        let traced = folder.is_some();
        let trained = rehearsal::train(job.job, keys.evaluation, traced, &allotment, &terminal)?;
        let (counts, residence) = (trained.counts, trained.residence);
        (seconds.load, seconds.train) = (trained.load_seconds, trained.train_seconds);
        step("server", "reads job and keys", seconds.load, "and checks them")?;
        let model = trained.into_document();
        step(
            "server",
            "trains on ciphertext",
            seconds.train,
            &format!(
                "{}, {}",
                count(counts.key_switches as usize, "key switch"),
                count(counts.products as usize, "product")
            ),
        )?;
        more("sees no key, image, label or weight")?;

        let (outcome, comparison);
        (outcome, seconds.decrypt) = timed(|| rehearsal::decrypt(&plan, &keys.secret, &job.record, &[], &model))?;
        let model_bytes = model.bytes.len();
        step("owner", "decrypts the model", seconds.decrypt, &format!("model {}", bytes(model_bytes)))?;

        (comparison, seconds.plaintext) = timed(|| rehearsal::compare(&plan, &outcome, &train.table, None))?;
        let head = Head::from_bytes(&outcome.head)?;
        let sizes = Sizes { upload_bytes, upload_ciphertexts, key_bytes: evaluation, model_bytes, round_bytes: None };
        let pixels = rehearsal::train_in_the_clear(&recipe, &digits.table.select(&train_rows))?;
        let pixels = pixels.evaluate(&digits.table.select(&test_rows))?;
        let raw_pixels = Some(RawPixels { accuracy: pixels.accuracy, right: pixels.right });
        let findings = Played { plan, seconds, sizes, counts, residence, traced, outcome, comparison, stopped: None }
            .findings(&test)?;
        let findings = Findings { raw_pixels, ..findings };
        scores(&findings)?;
        say!("{}", digits::draw(&test, &head)?)?;
        if let Some(peak) = memory::peak() {
            say!("Peak memory of all roles together: {}.", bytes(peak))?;
        }
        if let Some(folder) = folder {
            let json = findings.json()?;
            let path = folder.write(&ciphertune_report::training::page(&findings, &test, &json)?, &json, &[])?;
            say!("Report: {}\n", path.display())?;
        }
        say!("Next, on images of your own (a folder with a sub-folder a class), with a")?;
        say!("network that suits them, or on a table of features:\n")?;
        say!("  ciphertune run --images FOLDER --backbone MODEL.onnx --holdout 0.2")?;
        say!("  ciphertune run --train table.csv --holdout 0.2")?;
        Ok(())
    }
}

/// Accuracies, encrypted and in the clear.
fn scores(findings: &Findings) -> Result<()> {
    say!("\nAccuracy on the {} test images", thousands(findings.test_rows as u64))?;
    say!("  trained encrypted      {}  ({} right)", percent(findings.accuracy), findings.right)?;
    say!("  trained in the clear   {}  ({} right)", percent(findings.accuracy_plaintext), findings.right_plaintext)?;
    if let Some(pixels) = findings.raw_pixels {
        say!("  on raw pixels, clear   {}  ({} right)", percent(pixels.accuracy), pixels.right)?;
    }
    Ok(say!("  largest weight error   {:.1e} of the largest weight\n", findings.max_weight_error)?)
}

/// One step: who, what, how long, and what came of it.
fn step(who: &str, what: &str, took: f64, result: &str) -> Result<()> {
    Ok(say!("  {who:<7} {what:<20} {:>7}  {result}", duration(took))?)
}

/// A further line of a step.
fn more(text: &str) -> Result<()> {
    Ok(say!("{:40}{text}", "")?)
}
