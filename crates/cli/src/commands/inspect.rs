//! `inspect`: what a file holds.

mod description;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::errors::{CliError, Result};
use crate::text::say;
use ciphertune_session::job_folder::JOB_FILE;
use ciphertune_session::keys_folder::{EVALUATION, JOBS, PLAN, RECORD, SECRET};
use description::Description;

/// Say what a file of Ciphertune holds, after checking that it is whole
///
/// Prints kind, format version, job, key, shape, parameters and sizes of any file that Ciphertune wrote, or of every
/// file of a folder KEYS/ or JOB/. The content of keys is not printed.
#[derive(Args)]
pub struct Inspect {
    /// File, or folder KEYS/ or JOB/
    #[arg(value_name = "FILE")]
    path: PathBuf,

    /// List every tensor
    #[arg(long)]
    tensors: bool,

    /// Print JSON: an object, or a list of objects for a folder
    #[arg(long)]
    json: bool,
}

impl Inspect {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        if !self.path.is_dir() {
            let description = Description::read(&self.path)?;
            return match self.json {
                true => Ok(say!("{:#}", description.to_json())?),
                false => Ok(say!("{}", description.text(self.tensors).trim_end())?),
            };
        }
        let descriptions: Vec<_> =
            files_in(&self.path)?.iter().map(|path| Description::read(path)).collect::<Result<_>>()?;
        if self.json {
            return Ok(say!("{:#}", json!(descriptions.iter().map(Description::to_json).collect::<Vec<_>>()))?);
        }
        let texts: Vec<String> = descriptions.iter().map(|description| description.text(self.tensors)).collect();
        Ok(say!("{}", texts.join("\n").trim_end())?)
    }
}

/// The known files of a folder of ours.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = [PLAN, SECRET, EVALUATION, JOB_FILE].iter().map(|name| folder.join(name)).collect();
    if let Ok(jobs) = std::fs::read_dir(folder.join(JOBS)) {
        let mut records: Vec<PathBuf> = jobs.filter_map(|job| Some(job.ok()?.path().join(RECORD))).collect();
        records.sort();
        paths.extend(records);
    }
    paths.retain(|path| path.is_file());
    if paths.is_empty() {
        return Err(CliError::input("the folder holds no file of Ciphertune: name another").in_file(folder));
    }
    Ok(paths)
}
