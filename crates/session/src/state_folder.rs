//! STATE/: where a server's training stands, so that it goes on after a kill, or after an answer of the owner's.
//!
//! ```text
//! STATE/                    mode 0700
//!   training.json           what is trained, and where job, keys and model are
//!   lock                    held by the process that trains
//!   request-0003.enc        what the owner is asked for,
//!   answer-0003.enc         and its answer, of a plan with refreshes: the answer is the checkpoint
//!   checkpoint-0003.enc     where a training in one chain stands
//! ```
//!
//! Every file appears whole. The last two of each are kept.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::{self, Document, NewFile, NewFolder, Privacy};

/// What is trained.
const TRAINING: &str = "training.json";
/// The lock's file.
const LOCK: &str = "lock";
/// The version of its format.
const FORMAT: u32 = 1;
/// Files of each kind that are kept.
const KEPT: usize = 2;

/// What is trained, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    format: u32,
    /// The job's identifier.
    pub job_id: String,
    /// The job's file.
    pub job: PathBuf,
    /// The evaluation keys' file.
    pub eval_keys: PathBuf,
    /// The model's file.
    pub out: PathBuf,
    /// Whether the model was written.
    #[serde(default)]
    pub done: bool,
}

impl Training {
    /// Of a job that is to be trained.
    pub fn new(job_id: String, job: &Path, eval_keys: &Path, out: &Path) -> Result<Self> {
        let absolute =
            |path: &Path| std::path::absolute(path).map_err(|error| Error::failure(error.to_string()).in_file(path));
        let (job, eval_keys, out) = (absolute(job)?, absolute(eval_keys)?, absolute(out)?);
        Ok(Self { format: FORMAT, job_id, job, eval_keys, out, done: false })
    }
}

/// A kind of file in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What the owner is asked for.
    Request,
    /// What it answered.
    Answer,
    /// Where a training in one chain stands.
    Checkpoint,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Request => "request-",
            Self::Answer => "answer-",
            Self::Checkpoint => "checkpoint-",
        }
    }

    /// The name of the file of iteration `t`.
    pub fn file_name(self, t: usize) -> String {
        format!("{}{t:04}.enc", self.prefix())
    }
}

/// A state that this process alone goes on with.
pub struct StateFolder {
    path: PathBuf,
    training: Training,
    _lock: File,
}

impl StateFolder {
    /// Begins a state in a folder that does not exist, or is empty.
    pub fn begin(path: &Path, training: Training) -> Result<Self> {
        if path.join(TRAINING).is_file() {
            let message = "the folder holds a training already: go on with it with ciphertune resume --state, or name another folder";
            return Err(Error::input(message).in_file(path));
        }
        let folder = NewFolder::plan(path, Privacy::Private, false, &[], "it")?;
        let filling = folder.fill()?;
        filling.write(TRAINING, Privacy::Private, text(&training).as_bytes())?;
        filling.write(LOCK, Privacy::Private, b"")?;
        filling.finish()?;
        Self::open(path)
    }

    /// Opens a state.
    pub fn open(path: &Path) -> Result<Self> {
        let file = path.join(TRAINING);
        if path.is_dir() && !file.is_file() {
            let message = format!("the folder holds no {TRAINING}: name the folder that train --state wrote");
            return Err(Error::input(message).in_file(path));
        }
        let bytes = files::read(&file)?;
        let damaged = |reason: String| Error::input(format!("{reason}: begin the training again")).in_file(&file);
        let training: Training =
            serde_json::from_slice(&bytes).map_err(|error| damaged(format!("the state is damaged ({error})")))?;
        if training.format != FORMAT {
            return Err(damaged(format!("the state has format {}, this program knows {FORMAT}", training.format)));
        }
        let lock = files::open(&path.join(LOCK))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let message = "another process is training from this state: wait for it, or stop it";
                return Err(Error::input(message).in_file(path));
            }
            // Where there are no locks it is for the user to run it once.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        // What a killed process left half-written.
        files::put_back(&file);
        Ok(Self { path: path.to_owned(), training, _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is trained.
    pub fn training(&self) -> &Training {
        &self.training
    }

    /// Notes what is trained anew: files that were moved, or that the model is written.
    pub fn note(&mut self, training: Training) -> Result<()> {
        if training != self.training {
            NewFile::plan(&self.path.join(TRAINING), Privacy::Private, true)?.write(text(&training).as_bytes())?;
            self.training = training;
        }
        Ok(())
    }

    /// The last iteration of which there is such a file.
    pub fn last(&self, kind: Kind) -> Result<Option<usize>> {
        Ok(files::numbered(&self.path, kind.prefix(), ".enc")?.pop())
    }

    /// Where the file of an iteration is.
    pub fn place(&self, kind: Kind, t: usize) -> PathBuf {
        self.path.join(kind.file_name(t))
    }

    /// Reads the file of an iteration.
    pub fn read(&self, kind: Kind, t: usize) -> Result<Document> {
        Document::read(&self.place(kind, t))
    }

    /// Writes the file of an iteration, and removes those that are no longer needed.
    pub fn write(&self, kind: Kind, t: usize, bytes: &[u8]) -> Result<()> {
        NewFile::plan(&self.place(kind, t), Privacy::Private, true)?.write(bytes)?;
        for old in files::numbered(&self.path, kind.prefix(), ".enc")?.into_iter().filter(|old| old + KEPT <= t) {
            let _ = fs::remove_file(self.place(kind, old));
        }
        Ok(())
    }
}

fn text(training: &Training) -> String {
    serde_json::to_string_pretty(training).expect("paths and words") + "\n"
}
