//! Folders that appear whole: filled under a temporary name beside their place, then renamed.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempDir};

use super::temporaries::Temporary;
use super::{Privacy, cannot_write, permit, place, sync_folder, write_new};
use crate::error::{Error, Result};

/// A folder that is to be written, checked before the work begins.
pub struct NewFolder {
    path: PathBuf,
    privacy: Privacy,
}

impl NewFolder {
    /// Checks that the folder can be written. An empty folder in its place is used; one that holds nothing but `ours`
    /// is replaced if `force`, and anything else is left alone. `loss` says what a replacement would lose.
    pub fn plan(path: &Path, privacy: Privacy, force: bool, ours: &[&str], loss: &str) -> Result<Self> {
        if path.symlink_metadata().is_ok() {
            if !path.is_dir() {
                return Err(Error::input("this is no folder: name another").in_file(path));
            }
            let entries = fs::read_dir(path).map_err(|error| cannot_write(path, &error))?;
            let names: Vec<String> =
                entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
            if let Some(foreign) = names.iter().find(|name| !ours.contains(&name.as_str())) {
                let message = format!("the folder exists and holds {foreign:?}: name another folder");
                return Err(Error::input(message).in_file(path));
            }
            if !names.is_empty() && !force {
                let message =
                    format!("the folder exists: name another, or replace it with --force, which destroys {loss}");
                return Err(Error::input(message).in_file(path));
            }
        }
        let folder = Self { path: path.to_owned(), privacy };
        // Fails now, not after the work.
        folder.temporary()?;
        Ok(folder)
    }

    /// Starts to fill the folder.
    pub fn fill(&self) -> Result<Filling<'_>> {
        let temporary = self.temporary()?;
        let removed = Temporary::new(temporary.path());
        Ok(Filling { target: self, temporary, removed })
    }

    fn temporary(&self) -> Result<TempDir> {
        let (parent, name) = place(&self.path)?;
        let mut builder = Builder::new();
        let prefix = format!(".{name}.");
        builder.prefix(&prefix);
        permit(&mut builder, self.privacy, true);
        builder.tempdir_in(&parent).map_err(|error| cannot_write(&self.path, &error))
    }
}

/// A folder under its temporary name; it vanishes if it is dropped before [`Filling::finish`].
pub struct Filling<'a> {
    target: &'a NewFolder,
    temporary: TempDir,
    removed: Temporary,
}

impl Filling<'_> {
    /// Writes a file into it.
    pub fn write(&self, name: &str, privacy: Privacy, bytes: &[u8]) -> Result<()> {
        use std::io::Write as _;
        let path = self.target.path.join(name);
        self.write_with(name, privacy, |out| out.write_all(bytes).map_err(|error| cannot_write(&path, &error)))
    }

    /// Writes a file into it, piece by piece.
    pub fn write_with<T>(
        &self,
        name: &str,
        privacy: Privacy,
        write: impl FnOnce(&mut BufWriter<File>) -> Result<T>,
    ) -> Result<T> {
        write_new(&self.temporary.path().join(name), &self.target.path.join(name), privacy, write)
    }

    /// Makes a folder in it.
    pub fn folder(&self, name: &str) -> Result<()> {
        fs::create_dir(self.temporary.path().join(name))
            .map_err(|error| cannot_write(&self.target.path.join(name), &error))
    }

    /// Puts the folder in its place.
    pub fn finish(self) -> Result<()> {
        let path = &self.target.path;
        let error = |error: std::io::Error| cannot_write(path, &error);
        // It is whole now, and an old one may be out of its place for a moment.
        drop(self.removed);
        // An old folder steps aside first and goes last, so that one of the two is always there.
        let old = if path.is_dir() { Some(self.target.temporary()?) } else { None };
        if let Some(old) = &old {
            fs::rename(path, old.path().join("old")).map_err(error)?;
        }
        if let Err(failed) = fs::rename(self.temporary.path(), path) {
            if let Some(old) = &old {
                fs::rename(old.path().join("old"), path).map_err(error)?;
            }
            return Err(error(failed));
        }
        // It has its own name now: there is nothing left to remove.
        let _ = self.temporary.keep();
        sync_folder(path);
        Ok(())
    }
}
