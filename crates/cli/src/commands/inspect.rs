//! `inspect`: what a file holds.

mod description;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::errors::{CliError, Result};
use crate::text::say;
use ciphertune_session::inference::folder::{HEAD_FILE, HEADS, QUERY_FILE};
use ciphertune_session::job_folder::JOB_FILE;
use ciphertune_session::keys_folder::{EVALUATION, INFERENCE, JOBS, PLAN, RECORD, SECRET};
use description::Description;

/// Say what a file of Ciphertune holds, after checking that it is whole
///
/// Prints kind, format version, job, key, shape, parameters and sizes of any file that Ciphertune wrote, or of every
/// file of a folder KEYS/, JOB/, QUERY/ or HEAD/. The content of keys is not printed.
#[derive(Args)]
pub struct Inspect {
    /// File, or folder KEYS/, JOB/, QUERY/ or HEAD/
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
    let names = [PLAN, INFERENCE, SECRET, EVALUATION, JOB_FILE, QUERY_FILE, HEAD_FILE];
    let mut paths: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    for kind in [JOBS, HEADS] {
        let Ok(entries) = std::fs::read_dir(folder.join(kind)) else { continue };
        let mut records: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path().join(RECORD))).collect();
        records.sort();
        paths.extend(records);
    }
    paths.retain(|path| path.is_file());
    if paths.is_empty() {
        return Err(CliError::input("the folder holds no file of Ciphertune: name another").in_file(folder));
    }
    Ok(paths)
}
