//! `refresh`: the owner's answers during a training.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ciphertune_head::FeatureTable;
use ciphertune_head::job::owner::Keys;
use ciphertune_head::job::refresh::Place;
use ciphertune_head::recipe::Stopping;
use clap::Args;

use crate::errors::{CliError, Result};
use crate::inputs::ColumnFlags;
use crate::options::StoppingFlags;
use crate::progress::Terminal;
use crate::text::{bytes, say, seconds, thousands};
use ciphertune_session::files::{Document, NewFile, Privacy};
use ciphertune_session::keys_folder::KeysFolder;
use ciphertune_session::rehearsal::timed;
use ciphertune_session::state_folder::Kind;
use ciphertune_session::steps_folder::Answered;
use ciphertune_session::training::{put, wait_for};

/// Owner: answer a server's request, with the weights encrypted afresh
///
/// In a training with --refresh 1 the server returns the gradient of every iteration; this decrypts it, makes the step
/// and encrypts the weights again. The steps stay in KEYS/jobs. One answer is given to every request: the same request gets
/// the same answer.
///
/// With --validation the training ends when it gets no better on rows that were held out of it.
///
/// With --watch a folder that the server waits at (train --state --wait) is watched until the training needs no more
/// answers.
#[derive(Args)]
pub struct Refresh {
    /// Request that the server wrote
    #[arg(long, value_name = "FILE", required_unless_present = "watch", requires = "out")]
    request: Option<PathBuf>,

    /// Keys that the job was encrypted with
    #[arg(long, value_name = "KEYS/")]
    keys: PathBuf,

    /// File to write the answer to
    #[arg(long, value_name = "FILE", conflicts_with = "watch")]
    out: Option<PathBuf>,

    /// Answer every request that comes into this folder, in this folder
    #[arg(long, value_name = "DIR", conflicts_with = "request")]
    watch: Option<PathBuf>,

    /// Seconds to wait for one request [default: for ever]
    #[arg(long, value_name = "SECONDS", requires = "watch", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,

    /// Replace an answer that is there
    #[arg(long)]
    force: bool,

    // Behind the flags without a heading, which would come under theirs.
    #[command(flatten)]
    stopping: StoppingFlags,

    #[command(flatten)]
    columns: ColumnFlags,
}

impl Refresh {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let folder = KeysFolder::open(&self.keys)?;
        let held_out = self.stopping.read(&self.columns, None)?;
        let rows = held_out.as_ref().map(|held_out| (&held_out.examples.table, held_out.stopping));
        self.columns.refuse_without("--validation", rows.is_some())?;
        if let Some(watched) = &self.watch {
            return self.watch(&folder, &folder.keys()?, watched, rows);
        }
        let (Some(request), Some(out)) = (&self.request, &self.out) else {
            return Err(CliError::input("name a request with --request, or a folder with --watch"));
        };
        let file = NewFile::plan(out, Privacy::Public, self.force)?;
        let (request, keys) = (Document::read(request)?, folder.keys()?);
        let (answered, took) = timed(|| folder.answer(&keys, &request, rows))?;
        file.write(&answered.answer)?;
        say_answered(&keys, &answered, out, took)?;
        say!("next, on the server:\n  ciphertune resume --state STATE/ --answer {}", out.display())?;
        Ok(())
    }

    fn watch(
        &self,
        folder: &KeysFolder<'_>,
        keys: &Keys,
        watched: &Path,
        held_out: Option<(&FeatureTable, Stopping)>,
    ) -> Result<()> {
        if !watched.is_dir() {
            let message = "there is no such folder: name the one that the server waits at";
            return Err(CliError::input(message).in_file(watched));
        }
        let (of, timeout) = (keys.plan().recipe().iterations(), self.timeout.map(Duration::from_secs));
        if keys.plan().exchange().is_none_or(|exchange| exchange.count == 0) {
            let message = "the training of these keys needs no answers: its server makes all steps";
            return Err(CliError::input(message).in_file(&self.keys));
        }
        // Of a training that is under way: what was asked before is answered.
        let there = |t: &usize| watched.join(Kind::Request.file_name(*t)).is_file();
        for t in (1..of).rev().find(there).unwrap_or(1)..of {
            let (request, answer) = (watched.join(Kind::Request.file_name(t)), watched.join(Kind::Answer.file_name(t)));
            let check = |bytes: &[u8]| Place::of_request(bytes).map(drop);
            let Some(request) = wait_for(&request, timeout, &Terminal::new(), check)? else {
                let message =
                    format!("no request {t} came in time: look whether the server is training, and begin again");
                return Err(CliError::failure(message).in_file(watched));
            };
            let (answered, took) = timed(|| folder.answer(keys, &request, held_out))?;
            put(watched, Kind::Answer, t, &answered.answer)?;
            say_answered(keys, &answered, &answer, took)?;
            if answered.stopped.is_some() {
                break;
            }
        }
        say!("nothing is left to answer; when the server has written the model:")?;
        say!("  ciphertune decrypt --model model.enc --keys {} --out head.safetensors", self.keys.display())?;
        Ok(())
    }
}

fn say_answered(keys: &Keys, answered: &Answered, out: &Path, took: f64) -> Result<()> {
    let (t, of, size) = (answered.iteration, keys.plan().recipe().iterations(), bytes(answered.answer.len()));
    let again = if answered.again { ", as before" } else { "" };
    say!("answered iteration {t} of {of} in {}{again}:  {}  {size}", seconds(took), out.display())?;
    if let Some(best) = answered.stopped {
        say!(
            "  the training ends here: iteration {} had the most held-out rows right, {}",
            best.iteration,
            thousands(best.right as u64)
        )?;
    }
    Ok(())
}
