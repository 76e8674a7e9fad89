//! Trainings with a state: `train --state` begins one, `resume` goes on with it.

use std::path::PathBuf;
use std::time::Duration;

use ciphertune_head::layout::upload::Room;
use clap::Args;
use serde_json::json;

use super::report;
use crate::errors::{CliError, Result};
use crate::progress::Terminal;
use crate::sizes;
use crate::text::{say, seconds};
use ciphertune_session::files::{Document, NewFile, Privacy, Source};
use ciphertune_session::job_folder::job_file;
use ciphertune_session::memory;
use ciphertune_session::server::Job;
use ciphertune_session::state_folder::{StateFolder, Training};
use ciphertune_session::training::{self, Answers, Progress};

/// Waiting for the owner.
#[derive(Args)]
#[command(next_help_heading = "Refreshes")]
pub struct Waiting {
    /// Stay and wait for the owner's answers, in the state's folder or in another, into which requests are written as well:
    /// job and keys are read once, not after every answer
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, requires = "state")]
    wait: Option<Option<PathBuf>>,

    /// Seconds to wait for one answer [default: for ever]
    #[arg(long, value_name = "SECONDS", requires = "wait", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
}

impl Waiting {
    /// Where answers come from.
    pub fn answers(&self, state: &StateFolder) -> Result<Answers> {
        let Some(folder) = &self.wait else { return Ok(Answers::Later) };
        let path = folder.clone().unwrap_or_else(|| state.path().to_owned());
        if !path.is_dir() {
            let message = "there is no such folder: create it, and let the owner reach it";
            return Err(CliError::input(message).in_file(&path));
        }
        Ok(Answers::Folder { path, timeout: self.timeout.map(Duration::from_secs) })
    }
}

/// Server: go on with a training that was killed, or that waits for the owner's answer
///
/// Of a training in one chain at most one iteration is computed again. The model is the same, byte for byte, as if nothing
/// had happened. Ends with exit code 10 if an answer of the owner's is missing.
#[derive(Args)]
pub struct Resume {
    /// The folder that train --state wrote
    #[arg(long, value_name = "STATE/")]
    state: PathBuf,

    /// The owner's answer to the last request, from ciphertune refresh
    #[arg(long, value_name = "FILE", conflicts_with = "wait")]
    answer: Option<PathBuf>,

    /// Job, if it was moved
    #[arg(long, value_name = "JOB/")]
    job: Option<PathBuf>,

    /// Evaluation keys, if they were moved
    #[arg(long, value_name = "FILE")]
    eval_keys: Option<PathBuf>,

    /// File to write the model to, if not that of before
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Most memory that training may take, such as 8G [default: what this machine has available]
    #[arg(long, value_name = "BYTES", value_parser = sizes::parse_size)]
    memory: Option<usize>,

    /// Replace a model that is there
    #[arg(long)]
    force: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    // Behind the flags without a heading, which would come under its own.
    #[command(flatten)]
    waiting: Waiting,
}

impl Resume {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let mut state = StateFolder::open(&self.state)?;
        let before = state.training().clone();
        let or = |flag: &Option<PathBuf>, path: &PathBuf| flag.clone().unwrap_or_else(|| path.clone());
        let job_path = job_file(&or(&self.job, &before.job))?;
        let (eval_keys, out) = (or(&self.eval_keys, &before.eval_keys), or(&self.out, &before.out));
        let written = training::is_written(&out, &before.job_id) && !self.force;
        if before.done && self.out.is_none() || written {
            let model = out.display();
            say!("the training is done: its model is {model}")?;
            let mut noted = before;
            noted.done = true;
            return Ok(state.note(noted)?);
        }
        let file = NewFile::plan(&out, Privacy::Public, self.force)?;
        let job = Job::open(Source::open(&job_path)?)?;
        if job.id().to_string() != before.job_id {
            let message = format!(
                "this is job {}, the state is of job {}: name that with --job, or begin another training",
                job.id(),
                before.job_id
            );
            return Err(CliError::input(message).in_file(&job_path));
        }
        let room = job.allot(memory::limit(self.memory))?.room;
        state.note(Training::new(before.job_id, &job_path, &eval_keys, &out)?)?;
        let answers = match &self.answer {
            Some(path) => Answers::Given(Document::read(path)?),
            None => self.waiting.answers(&state)?,
        };
        advance(&mut state, job, room, answers, &file, self.json)
    }
}

/// Trains until the model is written, or an answer is missing.
pub fn advance(
    state: &mut StateFolder,
    job: Job,
    room: Room,
    answers: Answers,
    out: &NewFile,
    json: bool,
) -> Result<()> {
    let plan = job.plan().clone();
    let folder = state.path().to_owned();
    match training::train(state, job, room, answers, out, &Terminal::new())? {
        Progress::Done(trained) => report::report(&plan, None, &trained, &state.training().out, json),
        Progress::Waits { iteration, request } => {
            let (request, folder, of) = (request.display(), folder.display(), plan.recipe().iterations());
            if json {
                say!("{:#}", json!({ "waits_for_answer": iteration, "request": request.to_string() }))?;
                return Err(CliError::Waits);
            }
            if let Some(exchange) = plan.exchange().filter(|_| iteration == 1) {
                let slow = exchange.bytes() as f64 / 25e6;
                say!(
                    "the owner makes the steps of this training, {} times ({} of travel at 25 MB/s)",
                    exchange.count,
                    seconds(slow)
                )?;
            }
            say!("iteration {iteration} of {of} waits for the owner:\n  {request}")?;
            let answer = format!("answer-{iteration:04}.enc");
            say!("next, on the owner's side:\n  ciphertune refresh --request {request} --keys KEYS/ --out {answer}")?;
            say!("and here:\n  ciphertune resume --state {folder} --answer {answer}")?;
            Err(CliError::Waits)
        }
    }
}
