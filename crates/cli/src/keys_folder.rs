//! KEYS/: what an owner keeps.
//!
//! ```text
//! KEYS/                       mode 0700
//!   secret.key                the secret key, mode 0600: never leaves the owner
//!   evaluation.keys           for the server
//!   plan.json                 ring, layout, recipe, shape: public
//!   jobs/JOB-ID/record.safetensors    scaler and class names of an encrypted job: the owner's
//! ```

use std::path::{Path, PathBuf};

use ciphertune_head::Plan;
use ciphertune_head::job::JobId;
use ciphertune_head::job::owner::{Keys, Record};

use crate::errors::{CliError, InFile, Result};
use crate::files::{self, NewFolder, Privacy};
use crate::roles::owner;

/// The secret key's file.
pub const SECRET: &str = "secret.key";
/// The evaluation keys' file.
pub const EVALUATION: &str = "evaluation.keys";
/// The plan's file.
pub const PLAN: &str = "plan.json";
/// The folder of records.
pub const JOBS: &str = "jobs";
/// A record's file.
pub const RECORD: &str = "record.safetensors";

/// A folder of keys that exists.
pub struct KeysFolder<'a> {
    path: &'a Path,
}

impl<'a> KeysFolder<'a> {
    /// Finds the folder.
    pub fn open(path: &'a Path) -> Result<Self> {
        if path.is_dir() {
            return Ok(Self { path });
        }
        Err(CliError::input("there is no such folder of keys: make one with ciphertune keygen").in_file(path))
    }

    /// Reads plan and secret key.
    pub fn keys(&self) -> Result<Keys> {
        let path = self.path.join(PLAN);
        let text = String::from_utf8(files::read(&path)?)
            .map_err(|_| CliError::input("the file is no plan: restore it, or make new keys").in_file(&path))?;
        let plan = Plan::from_json(&text).in_file(&path)?;
        plan.parameters().in_file(&path)?;
        let path = self.path.join(SECRET);
        owner::open_keys(&plan, &files::read_secret(&path)?, &path)
    }

    /// Keeps the record of a job.
    pub fn keep(&self, record: &Record) -> Result<()> {
        let jobs = self.path.join(JOBS);
        if !jobs.is_dir() {
            std::fs::create_dir(&jobs)
                .map_err(|error| CliError::failure(format!("cannot be made: {error}")).in_file(&jobs))?;
        }
        let folder = NewFolder::plan(&jobs.join(record.job().to_string()), Privacy::Private, false, &[], "a record")?;
        let filling = folder.fill()?;
        filling.write(RECORD, Privacy::Private, &record.to_bytes()?)?;
        filling.finish()
    }

    /// Forgets the record of a job that was never written.
    pub fn forget(&self, job: JobId) {
        // What stays behind is unused and harmless.
        let _ = std::fs::remove_dir_all(self.path.join(JOBS).join(job.to_string()));
    }

    /// The record of a job.
    pub fn record(&self, job: JobId, model: &Path) -> Result<Record> {
        let path = self.record_path(job);
        if !path.exists() {
            let message = format!(
                "the model belongs to job {job}, of which {} has no record: use the keys that the job was encrypted with",
                self.path.join(JOBS).display()
            );
            return Err(CliError::input(message).in_file(model));
        }
        Record::from_bytes(&files::read(&path)?).in_file(&path)
    }

    fn record_path(&self, job: JobId) -> PathBuf {
        self.path.join(JOBS).join(job.to_string()).join(RECORD)
    }
}
