//! A folder as a store of a session: a file a name, each written once and whole.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ciphertune_joint::JointError;
use ciphertune_joint::artefact::MAX_BYTES;
use ciphertune_joint::store::{Sink, Source, Store};
use ciphertune_session::files::{self, NewFile, Privacy};

/// A folder of artefacts.
pub struct FolderStore {
    path: PathBuf,
    privacy: Privacy,
}

impl FolderStore {
    /// A folder; what is written into it is for these eyes. A private one is made when something is.
    pub fn new(path: &Path, privacy: Privacy) -> Self {
        Self { path: path.to_owned(), privacy }
    }

    /// Makes a private folder, if it is not there.
    fn make_private(&self) -> Result<(), JointError> {
        if self.privacy == Privacy::Private && !self.path.is_dir() {
            let mut builder = fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            let made = builder.recursive(true).create(&self.path);
            made.map_err(|error| failed(files::cannot_write(&self.path, &error)))?;
        }
        Ok(())
    }

    /// Where a name lies.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn failed(error: ciphertune_session::Error) -> JointError {
    JointError::Store(error.message().to_owned())
}

impl Store for FolderStore {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, JointError> {
        let path = self.file(name);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Ok(metadata) if metadata.len() > MAX_BYTES as u64 => {
                return Err(JointError::TooLarge(metadata.len() as usize));
            }
            _ => {}
        }
        files::read(&path).map(Some).map_err(failed)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), JointError> {
        let there = |found: Vec<u8>| match found == bytes {
            true => Ok(()),
            false => Err(JointError::Rewritten(name.to_owned())),
        };
        if let Some(found) = self.get(name)? {
            return there(found);
        }
        self.make_private()?;
        let written = NewFile::plan(&self.file(name), self.privacy, false).and_then(|file| file.write(bytes));
        match (written, self.get(name)?) {
            (Ok(()), _) => Ok(()),
            // Another process was faster.
            (Err(_), Some(found)) => there(found),
            (Err(error), None) => Err(failed(error)),
        }
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Source>>, JointError> {
        let path = self.file(name);
        if !path.exists() {
            return Ok(None);
        }
        files::open(&path).map(|file| Some(Box::new(file) as Box<dyn Source>)).map_err(failed)
    }

    fn create(
        &self,
        name: &str,
        write: &mut dyn FnMut(&mut dyn Sink) -> Result<(), JointError>,
    ) -> Result<(), JointError> {
        if self.file(name).exists() {
            return Err(JointError::Rewritten(name.to_owned()));
        }
        self.make_private()?;
        let file = NewFile::plan(&self.file(name), self.privacy, false).map_err(failed)?;
        let mut refused = None;
        let written = file.write_with(|mut out| {
            write(&mut out).map_err(|error| {
                let message = error.to_string();
                refused = Some(error);
                ciphertune_session::Error::failure(message)
            })
        });
        match (written, refused) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(error)) => Err(error),
            (Err(error), None) => Err(failed(error)),
        }
    }
}
