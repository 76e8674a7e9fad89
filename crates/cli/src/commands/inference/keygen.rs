//! `keygen --for-inference`: keys to ask with.

use std::path::{Path, PathBuf};

use ciphertune_head::inference::{HeadForm, InferencePlan};
use clap::Args;

use crate::errors::{CliError, Result};
use crate::progress::Terminal;
use crate::text::{Table, bytes, say, seconds};
use ciphertune_session::InFile;
use ciphertune_session::files::{self, NewFolder, Privacy};
use ciphertune_session::inference::client;
use ciphertune_session::inference::folder::HEADS;
use ciphertune_session::keys_folder::{EVALUATION, INFERENCE, SECRET};
use ciphertune_session::rehearsal::timed;

/// The flags of keys for inference.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Inference")]
pub struct InferenceFlags {
    /// Make keys to ask a head about encrypted rows with, and none for training: with --features and --classes, or with
    /// --head
    #[arg(long, conflicts_with_all = [
        "train", "images", "labels", "rows", "label", "drop",
        "recipe", "iterations", "scaler", "lambda", "gradient", "bound", "sigmoid", "momentum", "initial_weight",
        "learning_rate", "decay", "ridge", "batch",
        "layout", "memory", "log_n", "publish_bits", "refresh", "upload_rate",
        "backbone", "weights", "output", "input_size", "preprocess", "shorter_side", "filter", "channels", "mean", "std",
        "skip_bad", "cache", "no_cache",
    ])]
    pub for_inference: bool,

    /// Head whose features and classes the keys are made for; nothing else of it is used
    #[arg(long, value_name = "FILE", requires = "for_inference", conflicts_with_all = ["features", "classes"])]
    head: Option<PathBuf>,

    /// The server will have the head encrypted under these keys, by ciphertune encrypt --for-inference --head, instead
    /// of in the clear
    #[arg(long, requires = "for_inference")]
    encrypted_head: bool,
}

impl InferenceFlags {
    /// Refuses flags that say something about inference where keys for training are asked for.
    pub fn refuse_for_training(&self) -> Result<()> {
        if self.head.is_none() && !self.encrypted_head {
            return Ok(());
        }
        let message =
            "--head and --encrypted-head are about keys for inference: add --for-inference, or leave them out";
        Err(CliError::input(message))
    }
}

/// Makes the keys in the folder `out`.
pub fn keygen(flags: &InferenceFlags, numbers: (Option<usize>, Option<usize>), out: &Path, force: bool) -> Result<()> {
    let terminal = Terminal::new();
    let loss = "the old secret key and with it every answer and head that is encrypted under it";
    let ours = [SECRET, EVALUATION, INFERENCE, HEADS];
    let folder = NewFolder::plan(out, Privacy::Private, force, &ours, loss)?;
    let form = if flags.encrypted_head { HeadForm::Encrypted } else { HeadForm::Clear };
    let plan = match (&flags.head, numbers) {
        (Some(path), _) => {
            let (head, _) = files::read_head(path)?;
            InferencePlan::choose(head.features(), head.classes().len(), form).in_file(path)?
        }
        (None, (Some(features), Some(classes))) => InferencePlan::choose(features, classes, form)?,
        _ => {
            let message = "the shape of the head is missing: give --head, or --features and --classes";
            return Err(CliError::input(message));
        }
    };
    let filling = folder.fill()?;
    let evaluation = out.join(EVALUATION);
    let ((secret, id), took) = timed(|| {
        filling.write_with(EVALUATION, Privacy::Public, |out| {
            client::make_keys(&plan, out, &terminal).in_file(&evaluation)
        })
    })?;
    filling.write(SECRET, Privacy::Private, &secret)?;
    filling.write(INFERENCE, Privacy::Public, plan.to_json().as_bytes())?;
    filling.folder(HEADS)?;
    filling.finish()?;

    let size = std::fs::metadata(&evaluation).map(|file| file.len() as usize).unwrap_or(0);
    say!("made key {id} for inference in {}", seconds(took))?;
    let mut table = Table::default();
    let secret = out.join(SECRET).display().to_string();
    table.row(&secret, "keep it: whoever has it can read rows, heads and answers");
    table.row(&evaluation.display().to_string(), format!("{}, for the server", bytes(size)));
    let (log_n, log_qp) = (plan.literal().log_n, plan.literal().log_qp());
    table.row("ring", format!("N = 2^{log_n}, log QP = {log_qp:.1}: {} bits of security", plan.security_bits()));
    say!("{}", table.render().trim_end())?;
    let out = out.display();
    say!("next:")?;
    if plan.head() == HeadForm::Encrypted {
        let head = flags.head.as_ref().map_or("head.safetensors".to_owned(), |path| path.display().to_string());
        say!("  ciphertune encrypt --for-inference --head {head} --keys {out} --out HEAD/")?;
    }
    say!("  ciphertune encrypt --for-inference --features FILE --keys {out} --out QUERY/")?;
    Ok(())
}
