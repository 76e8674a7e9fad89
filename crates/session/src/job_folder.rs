//! JOB/: what an owner encrypts and a server trains on.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The one file in JOB/.
pub const JOB_FILE: &str = "job.safetensors";

/// The job's file, from it or its folder.
pub fn job_file(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let file = path.join(JOB_FILE);
    if file.is_file() {
        return Ok(file);
    }
    let message = format!("the folder holds no {JOB_FILE}: pass the folder that ciphertune encrypt wrote");
    Err(Error::input(message).in_file(path))
}
