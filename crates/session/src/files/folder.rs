//! Folders that appear whole: filled under a temporary name beside their place, then renamed.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::interrupt::RemovedOnSignal;
use super::{Privacy, cannot_write, make_folder, place, sweep, sync_folder, temporary, write_new};
use crate::error::{Error, Result};

/// A folder that is to be written, checked before the work begins.
pub struct NewFolder {
    path: PathBuf,
    privacy: Privacy,
}

impl NewFolder {
    /// Checks that the folder can be written, and removes what killed commands left beside it. An empty folder in its
    /// place is used; one that holds nothing but `ours` is replaced if `force`, and anything else is left alone. `loss`
    /// says what a replacement would lose.
    pub fn plan(path: &Path, privacy: Privacy, force: bool, ours: &[&str], loss: &str) -> Result<Self> {
        let (parent, _) = place(path)?;
        sweep::sweep(&parent);
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
        let (temporary, lock) = self.temporary()?;
        let removed = Some(RemovedOnSignal::new(temporary.path()));
        let content = temporary.path().join(temporary::CONTENT);
        make_folder(&content, self.privacy).map_err(|error| cannot_write(&self.path, &error))?;
        Ok(Filling { target: self, content, temporary, removed, lock })
    }

    fn temporary(&self) -> Result<(TempDir, Option<File>)> {
        let (parent, name) = place(&self.path)?;
        temporary::folder(&parent, &name, Privacy::Private).map_err(|error| cannot_write(&self.path, &error))
    }
}

/// A folder under its temporary name; it vanishes if it is dropped before [`Filling::place`].
pub struct Filling<'a> {
    target: &'a NewFolder,
    content: PathBuf,
    // Removed before its lock is given up.
    temporary: TempDir,
    /// Until what happens next is for the next command to put right.
    removed: Option<RemovedOnSignal>,
    lock: Option<File>,
}

/// A folder that is in its place. What is temporary beside it goes when this is dropped.
#[must_use]
pub struct Placed {
    _temporary: TempDir,
    _lock: Option<File>,
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
        write_new(&self.content.join(name), &self.target.path.join(name), privacy, write)
    }

    /// Makes a folder in it.
    pub fn folder(&self, name: &str) -> Result<()> {
        fs::create_dir(self.content.join(name)).map_err(|error| cannot_write(&self.target.path.join(name), &error))
    }

    /// Says where the companion will be ([`super::companion`]), and returns where the temporary folder is. From now on
    /// a signal removes nothing: the next command does what is to be done.
    pub(super) fn announce(&mut self, companion: &Path) -> Result<PathBuf> {
        use std::io::Write as _;
        self.removed = None;
        let shown = &self.target.path;
        let error = |error: std::io::Error| cannot_write(shown, &error);
        write_new(&self.temporary.path().join(temporary::COMPANION), shown, Privacy::Private, |out| {
            out.write_all(companion.as_os_str().as_encoded_bytes()).map_err(error)
        })?;
        self.temporary.path().canonicalize().map_err(error)
    }

    /// Puts the folder in its place.
    pub fn finish(self) -> Result<()> {
        self.place().map(drop)
    }

    /// Puts the folder in its place, and keeps what is temporary for the moment.
    pub fn place(self) -> Result<Placed> {
        let path = &self.target.path;
        let error = |error: std::io::Error| cannot_write(path, &error);
        // It is whole now, and an old one may be out of its place for a moment.
        drop(self.removed);
        // An old folder steps aside first and goes last, so that one of the two is always there.
        let (old, replaced) = (self.temporary.path().join(temporary::OLD), path.is_dir());
        if replaced {
            fs::rename(path, &old).map_err(error)?;
        }
        if let Err(failed) = fs::rename(&self.content, path) {
            if replaced && let Err(lost) = fs::rename(&old, path) {
                // Left for the next command, which puts it back.
                let _ = self.temporary.keep();
                return Err(error(lost));
            }
            return Err(error(failed));
        }
        sync_folder(path);
        Ok(Placed { _temporary: self.temporary, _lock: self.lock })
    }
}
