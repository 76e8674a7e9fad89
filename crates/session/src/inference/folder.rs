//! KEYS/ of inference, and the files in QUERY/ and HEAD/.

use std::path::{Path, PathBuf};

use ciphertune_head::inference::client::{HeadRecord, Keys};
use ciphertune_head::inference::{HeadId, InferencePlan};

use crate::error::{Error, InFile, Result};
use crate::files::{self, Companion, Filling, Privacy};
use crate::keys_folder::{INFERENCE, RECORD, SECRET};

/// The folder of records.
pub const HEADS: &str = "heads";
/// The one file in QUERY/.
pub const QUERY_FILE: &str = "query.safetensors";
/// The one file in HEAD/.
pub const HEAD_FILE: &str = "encrypted-head.safetensors";

/// A folder of keys for inference that exists.
pub struct InferenceFolder<'a> {
    path: &'a Path,
}

impl<'a> InferenceFolder<'a> {
    /// Finds the folder.
    ///
    /// # Errors
    ///
    /// If there is none, or if it holds keys for training.
    pub fn open(path: &'a Path) -> Result<Self> {
        if !path.is_dir() {
            // They may have made way for new ones when that was killed.
            files::put_back(path);
        }
        if !path.is_dir() {
            let message = "there is no such folder of keys: make one with ciphertune keygen --for-inference";
            return Err(Error::input(message).in_file(path));
        }
        if !path.join(INFERENCE).is_file() {
            let message = format!(
                "the folder holds no {INFERENCE}, so these are no keys for inference: make some with ciphertune keygen --for-inference"
            );
            return Err(Error::input(message).in_file(path));
        }
        Ok(Self { path })
    }

    /// Reads plan and secret key.
    ///
    /// # Errors
    ///
    /// For files that are damaged or do not belong together.
    pub fn keys(&self) -> Result<Keys> {
        let path = self.path.join(INFERENCE);
        let text = String::from_utf8(files::read(&path)?)
            .map_err(|_| Error::input("the file is no plan: restore it, or make new keys").in_file(&path))?;
        let plan = InferencePlan::from_json(&text).in_file(&path)?;
        let path = self.path.join(SECRET);
        Keys::from_bytes(&plan, &files::read_secret(&path)?).in_file(&path)
    }

    /// Writes the record of an encrypted head that is whole but not in its place yet.
    ///
    /// # Errors
    ///
    /// If the folder takes no files.
    pub fn write_record(&self, record: &HeadRecord, head: &mut Filling<'_>) -> Result<Companion> {
        let heads = self.path.join(HEADS);
        if !heads.is_dir() {
            std::fs::create_dir(&heads).map_err(|error| files::cannot_write(&heads, &error))?;
        }
        let bytes = record.to_bytes()?;
        Companion::write(&heads.join(record.id().to_string()), Privacy::Private, head, |filling| {
            filling.write(RECORD, Privacy::Private, &bytes)
        })
    }

    /// Completes or removes records of heads whose encryption was killed.
    pub fn settle_records(&self) {
        files::settle_all(&self.path.join(HEADS));
    }

    /// The record of a head, of which there is an answer.
    ///
    /// # Errors
    ///
    /// If there is none, or it is damaged.
    pub fn record(&self, head: HeadId, answer: &Path) -> Result<HeadRecord> {
        let folder = self.path.join(HEADS).join(head.to_string());
        files::claim(&folder);
        let path = folder.join(RECORD);
        if !path.exists() {
            let message = format!(
                "the answer is that of head {head}, of which {} has no record: use the keys that the head was encrypted with",
                self.path.join(HEADS).display()
            );
            return Err(Error::input(message).in_file(answer));
        }
        HeadRecord::from_bytes(&files::read(&path)?).in_file(&path)
    }
}

/// A query's file, from it or its folder.
///
/// # Errors
///
/// For a folder that holds none.
pub fn query_file(path: &Path) -> Result<PathBuf> {
    file_in(path, QUERY_FILE, "pass the folder that ciphertune encrypt --for-inference wrote")
}

/// A head's file, from it or its folder.
///
/// # Errors
///
/// For a folder that holds none.
pub fn head_file(path: &Path) -> Result<PathBuf> {
    file_in(path, HEAD_FILE, "pass the folder that ciphertune encrypt --for-inference --head wrote, or a head's file")
}

fn file_in(path: &Path, name: &str, remedy: &str) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let file = path.join(name);
    if file.is_file() {
        Ok(file)
    } else {
        Err(Error::input(format!("the folder holds no {name}: {remedy}")).in_file(path))
    }
}
