//! `decrypt`: a model becomes a head.

use std::path::PathBuf;

use ciphertune_ckks::container::Container;
use ciphertune_ckks::files::KEY_ID;
use ciphertune_head::job::{self, owner::Release};
use clap::Args;

use crate::commands::publication::LEAST_LOGIT_BITS;
use crate::errors::{CliError, Result};
use crate::text::{count, say, seconds};
use ciphertune_session::InFile;
use ciphertune_session::files::{Document, NewFile, Privacy};
use ciphertune_session::keys_folder::{KeysFolder, Releases};
use ciphertune_session::owner;
use ciphertune_session::rehearsal::timed;

/// Owner: decrypt a model into a head for raw features
///
/// The head holds weights [classes, features] and biases for the features as the backbone gives them: the scaler is
/// folded in. If the model holds every iterate, the last becomes the head.
///
/// A model that is decrypted as it is carries noise that depends on the secret key. Show it to nobody, the server
/// included: the file is written for your eyes only (mode 0600). With --publish, noise is added that makes the head
/// safe to show (see SECURITY.md).
#[derive(Args)]
pub struct Decrypt {
    /// Model that the server sent back
    #[arg(long, value_name = "FILE")]
    model: PathBuf,

    /// Keys that the job was encrypted with
    #[arg(long, value_name = "KEYS/")]
    keys: PathBuf,

    /// File to write the head to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Add noise that makes the head safe to show to others
    #[arg(long)]
    publish: bool,

    /// How many models in all will be published of these keys: more need more noise each. KEYS/releases.json counts
    /// those that were
    #[arg(long, value_name = "Q", default_value_t = 1, requires = "publish", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    releases: u32,

    /// Publish a head even if less than half a bit of its logits is left above the noise
    #[arg(long, requires = "publish")]
    anyway: bool,

    /// Replace a head that is there
    #[arg(long)]
    force: bool,
}

impl Decrypt {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let privacy = if self.publish { Privacy::Public } else { Privacy::Private };
        let out = NewFile::plan(&self.out, privacy, self.force)?;
        let keys_folder = KeysFolder::open(&self.keys)?;
        let model = Document::read(&self.model)?;
        let container = Container::parse(&model.bytes, job::MODEL, job::MODEL_FORMAT).in_file(&self.model)?;
        let job = job::job_id_of(container.header()).in_file(&self.model)?;
        let keys = keys_folder.keys()?;
        let (found, expected) = (container.metadata(KEY_ID).in_file(&self.model)?, keys.id().to_string());
        if found != expected {
            let message = format!(
                "the model is encrypted under key {found}, {} holds key {expected}: use the keys that the job was encrypted with",
                self.keys.display()
            );
            return Err(CliError::input(message).in_file(&self.model));
        }
        drop(container);
        let record = keys_folder.record(job, &self.model)?;
        let releases = self.publish.then_some(self.releases);
        let mut published = if self.publish { Some(keys_folder.releases()?) } else { None };
        if let Some(published) = &published {
            published.check(self.releases)?;
        }
        let (opened, took) = timed(|| owner::decrypt(&keys, &record, &model, releases))?;
        // Before the release is counted: a head that was refused was shown to nobody.
        if let Some(release) = &opened.decrypted.release {
            require_bits_in_logits(release, self.anyway)?;
        }
        let head = opened.decrypted.last();
        let content = head.to_bytes()?;
        let which = published.as_ref().map_or(0, Releases::next);
        if let Some(published) = &mut published {
            published.add(job, self.releases)?;
        }
        out.write(&content)?;

        let iterates = opened.decrypted.heads.len();
        say!("decrypted the model of job {job} in {}", seconds(took))?;
        let shape = format!("{} x {}", count(head.classes().len(), "class"), count(head.features(), "feature"));
        say!("  {}  {shape}, after {}", self.out.display(), count(keys.plan().recipe().iterations(), "iteration"))?;
        if iterates > 1 {
            say!("  the model holds {iterates} iterates: the last was written")?;
        }
        match opened.decrypted.release {
            Some(release) => {
                let shown = match self.releases {
                    1 => "safe to show, as the only model of these keys".to_owned(),
                    releases => format!("safe to show, as release {which} of {releases} that its noise covers"),
                };
                say!("  {shown}")?;
                say!("  precision: {:.1} bits of the largest weight are left above the noise", release.precision_bits)?;
                say!("  precision: {:.1} bits of a logit are left above the noise", release.logit_bits())?;
                if !release.cleaned {
                    say!("  the noise was not cleaned up: the job's record does not hold what that takes")?;
                }
            }
            None => {
                if record.is_within_plan() {
                    say!("  precision: weights are right to {:.1} bits of the largest one", opened.precision_bits)?;
                } else {
                    say!("  precision: not known, because the features are larger than the plan takes for granted")?;
                }
                say!("  for your eyes only: before you show it to anyone, decrypt it with --publish")?;
            }
        }
        say!("next:\n  ciphertune evaluate --head {} --test FILE", self.out.display())?;
        Ok(())
    }
}

/// Refuses a head whose logits are mostly noise.
fn require_bits_in_logits(release: &Release, anyway: bool) -> Result<()> {
    let bits = release.logit_bits();
    if anyway || bits >= LEAST_LOGIT_BITS {
        return Ok(());
    }
    Err(CliError::input(format!(
        "only {bits:.1} bits of a logit would be left above the noise that makes the head safe to show, at least \
         {LEAST_LOGIT_BITS} are needed: make keys with a larger --publish-bits and train again, or publish this head \
         with --anyway"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(precision_bits: f64, features: usize) -> Release {
        Release { deviation: 1.0, precision_bits, features, cleaned: true }
    }

    #[test]
    fn a_head_with_less_than_half_a_bit_a_logit_is_refused_unless_asked_for() {
        // log2 sqrt(1024) = 5.
        let error = require_bits_in_logits(&release(5.4, 1023), false).unwrap_err();
        let error = error.message().expect("a refusal says why");
        assert!(error.contains("0.4 bits of a logit") && error.contains("--anyway"), "{error}");
        require_bits_in_logits(&release(5.4, 1023), true).unwrap();
        require_bits_in_logits(&release(5.6, 1023), false).unwrap();
        // The same weights are enough for a head of few features.
        require_bits_in_logits(&release(5.4, 255), false).unwrap();
    }
}
