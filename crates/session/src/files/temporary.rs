//! What is being written, under a name that says so, and what becomes of it when the program is killed.
//!
//! A file or folder NAME is written as `.NAME.RANDOM.ciphertune` beside its place, RANDOM being twelve letters and
//! digits, and renamed when it is whole. As long as the program lives it holds an advisory lock on that entry; the lock
//! goes with the process, however it ends. Whoever plans to write into a folder first sweeps it: of entries of that
//! form, those that nobody holds are removed ([`super::sweep`]). Nothing else is touched, nor anything where the file system
//! has no locks or the entry is another user's.
//!
//! A folder is written inside a temporary folder, which outlives it for a moment:
//!
//! ```text
//! .NAME.RANDOM.ciphertune/
//!   content/    the new folder, until it is renamed to NAME
//!   old/        the old folder NAME, from when it made way until the new one is in its place
//!   companion   where a folder is that waits for what becomes of this one ([`super::companion`])
//! ```
//!
//! So what is found after a kill tells what has happened. `old` and no NAME: the new folder never got its place, and
//! the old one is put back. `content`: the new folder was not finished; without it, it is in its place.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use tempfile::{Builder, NamedTempFile, TempDir};

use super::{Privacy, permit};

/// The end of every temporary name.
pub const SUFFIX: &str = ".ciphertune";
/// Random characters in a temporary name.
pub const RANDOM: usize = 12;
/// Bytes that a name may have, so that its temporary name is none too long for any file system.
pub const LONGEST_NAME: usize = 255 - 2 - RANDOM - SUFFIX.len();

/// The new folder in its temporary folder.
pub const CONTENT: &str = "content";
/// The old folder in the temporary folder.
pub const OLD: &str = "old";
/// Names the companion that waits.
pub const COMPANION: &str = "companion";

/// Times that an entry is made again because another process took it for one that was left behind.
const TRIES: usize = 16;

/// A temporary file and the lock that shows that it is in use.
pub fn file(parent: &Path, name: &str, privacy: Privacy) -> io::Result<NamedTempFile> {
    owned(|builder| {
        permit(builder, privacy, false);
        let file = builder.tempfile_in(parent)?;
        // The handle that is written through keeps it.
        Ok(lock(file.as_file(), file.path())?.then_some(file))
    })(name)
}

/// A temporary folder, and what holds the lock that shows that it is in use.
pub fn folder(parent: &Path, name: &str, privacy: Privacy) -> io::Result<(TempDir, Option<File>)> {
    owned(|builder| {
        permit(builder, privacy, true);
        let folder = builder.tempdir_in(parent)?;
        // Where folders cannot be opened there is no lock, and no sweep either.
        let handle = match File::open(folder.path()) {
            Ok(handle) => handle,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(_) => return Ok(Some((folder, None))),
        };
        Ok(lock(&handle, folder.path())?.then_some((folder, Some(handle))))
    })(name)
}

/// Makes an entry until there is one that is ours.
fn owned<T>(make: impl Fn(&mut Builder<'_, '_>) -> io::Result<Option<T>>) -> impl Fn(&str) -> io::Result<T> {
    move |name| {
        let prefix = format!(".{name}.");
        for _ in 0..TRIES {
            let mut builder = Builder::new();
            builder.prefix(&prefix).suffix(SUFFIX).rand_bytes(RANDOM);
            if let Some(made) = make(&mut builder)? {
                return Ok(made);
            }
        }
        Err(io::Error::other("another process keeps removing what is begun"))
    }
}

/// Locks a new entry. False if a sweep was faster, which then removes it.
fn lock(handle: &File, path: &Path) -> io::Result<bool> {
    match handle.try_lock() {
        Ok(()) => Ok(path.symlink_metadata().is_ok()),
        Err(TryLockError::WouldBlock) => Ok(false),
        // Without locks nothing is swept.
        Err(TryLockError::Error(_)) => Ok(true),
    }
}
