//! `train`: the server's command. Nothing here reads or needs what an owner keeps.

mod report;
mod state;

use std::path::PathBuf;

use ciphertune_head::job::part::Part;
use ciphertune_head::plan::Refresh;
use ciphertune_head::train::Returned;
use clap::Args;

use crate::errors::{CliError, Result};
use crate::progress::Terminal;
use crate::sizes;
use ciphertune_session::InFile;
use ciphertune_session::files::{NewFile, Privacy, Source};
use ciphertune_session::job_folder::job_file;
use ciphertune_session::memory;
use ciphertune_session::server;
use ciphertune_session::state_folder::{StateFolder, Training};
pub use report::say_model;
pub use state::Resume;
use state::{Waiting, advance};

/// Server: train on a job, without any secret
///
/// Everything that the training needs is in the job and in the evaluation keys. The model that it writes can be read by
/// the owner alone.
///
/// With --state the training goes on where it stood when it is killed: ciphertune resume. A job whose plan refreshes the
/// weights (--refresh 1) needs a state: the server writes a request into it, for the owner to answer with ciphertune
/// refresh, and goes on with the answer.
#[derive(Args)]
pub struct Train {
    /// Job: the folder that encrypt wrote, or the file in it
    #[arg(long, value_name = "JOB/")]
    job: PathBuf,

    /// The owner's evaluation keys
    #[arg(long, value_name = "FILE")]
    eval_keys: PathBuf,

    /// File to write the encrypted model to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Return every iterate, not only the last, so that the owner can follow the training
    #[arg(long, conflicts_with = "state")]
    trace: bool,

    /// Train only a part of the classes, such as 2/5, the second of five: the parts are trained on as many machines, at
    /// the same time or not, and put together with ciphertune merge
    #[arg(long, value_name = "I/K", conflicts_with_all = ["trace", "state"])]
    part: Option<Part>,

    /// New folder for the state of the training, from which it can be resumed
    #[arg(long, value_name = "STATE/")]
    state: Option<PathBuf>,

    /// Most memory that training may take, such as 8G; data for which it does not suffice are read again and again
    /// [default: what this machine has available]
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

impl Train {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let out = NewFile::plan(&self.out, Privacy::Public, self.force)?;
        let job_path = job_file(&self.job)?;
        let job = server::Job::open(Source::open(&job_path)?)?;
        let plan = job.plan().clone();
        let allotment = job.allot(memory::limit(self.memory))?;
        if let Some(part) = self.part {
            part.check(&plan).in_file(&job_path)?;
            let keys = Source::open(&self.eval_keys)?;
            let trained = server::train_part(job, keys, part, allotment.room, &Terminal::new())?;
            out.write(&trained.model)?;
            return report::report(&plan, Some(part), &trained, &self.out, self.json);
        }
        if let Some(state) = &self.state {
            // Named before a state is begun that is of no use.
            drop(Source::open(&self.eval_keys)?);
            let training = Training::new(job.id().to_string(), &job_path, &self.eval_keys, &self.out)?;
            let mut state = StateFolder::begin(state, training)?;
            let answers = self.waiting.answers(&state)?;
            return advance(&mut state, job, allotment.room, answers, &out, self.json);
        }
        if plan.refresh() != Refresh::Never {
            let message = "the job's owner makes the steps of its training: name a new folder for its state with --state, to which the owner's answers come";
            return Err(CliError::input(message).in_file(&job_path));
        }
        let returned = if self.trace { Returned::Every } else { Returned::Last };
        let keys = Source::open(&self.eval_keys)?;
        let trained = server::train(job, keys, returned, allotment.room, &Terminal::new())?;
        out.write(&trained.model)?;
        report::report(&plan, None, &trained, &self.out, self.json)
    }
}
