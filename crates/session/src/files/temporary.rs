//! What is being written, under a name that says so, and what becomes of it when the program is killed.
//!
//! A file or folder NAME is written as `.NAME.RANDOM.ciphertune` beside its place, RANDOM being twelve letters and
//! digits, and renamed when it is whole. As long as the program lives it holds an advisory lock on that entry; the lock
//! goes with the process, however it ends. Whoever plans to write into a folder first sweeps it: of entries of that
//! form, those that nobody holds are removed ([`sweep`]). Nothing else is touched, nor anything where the file system
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

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use tempfile::{Builder, NamedTempFile, TempDir};

use super::{Privacy, companion, permit};

/// The end of every temporary name.
const SUFFIX: &str = ".ciphertune";
/// Random characters in a temporary name.
const RANDOM: usize = 12;
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

/// Removes what is left in a folder of writes that were killed, and puts back old folders that had made way. Best
/// effort: what cannot be removed now stays for the next time.
pub fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        sweep_path(&entry.path());
    }
}

/// The name for which a temporary name stands; none for a name of another form.
fn target(name: &str) -> Option<&str> {
    let (target, random) = name.strip_prefix('.')?.strip_suffix(SUFFIX)?.rsplit_once('.')?;
    let ours = random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (ours && !target.is_empty()).then_some(target)
}

/// Sweeps one entry by its path, if it has the form of a temporary one.
pub fn sweep_path(path: &Path) {
    if let Some(target) = path.file_name().and_then(|name| name.to_str()).and_then(target) {
        sweep_one(path, &path.with_file_name(target));
    }
}

/// Sweeps one entry, unless somebody holds it.
fn sweep_one(path: &Path, target: &Path) {
    let Ok(metadata) = path.symlink_metadata() else { return };
    // A lock for writing needs a file that is open for writing, on some file systems.
    let handle = match (metadata.is_file(), metadata.is_dir()) {
        (true, _) => OpenOptions::new().read(true).write(true).open(path),
        (_, true) => File::open(path),
        _ => return,
    };
    // Kept to the end, so that two sweeps do not meet.
    let Ok(handle) = handle else { return };
    if handle.try_lock().is_err() {
        return;
    }
    if metadata.is_file() {
        let _ = fs::remove_file(path);
        return;
    }
    let (content, old) = (path.join(CONTENT), path.join(OLD));
    if old.is_dir() && target.symlink_metadata().is_err() && fs::rename(&old, target).is_err() {
        // Better a leftover than a loss.
        return;
    }
    if let Ok(waiting) = fs::read_to_string(path.join(COMPANION)) {
        companion::settle(Path::new(&waiting), path, !content.is_dir());
    }
    let _ = fs::remove_dir_all(path);
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn only_names_of_our_form_are_taken_for_temporary_ones() {
        assert_eq!(target(".model.enc.a1B2c3D4e5F6.ciphertune"), Some("model.enc"));
        assert_eq!(target(".K.000000000000.ciphertune"), Some("K"));
        for name in [
            "model.enc.a1B2c3D4e5F6.ciphertune",
            ".model.enc.a1B2c3D4e5F.ciphertune",
            ".model.enc.a1B2c3D4e5F67.ciphertune",
            ".model.enc.a1B2c3D4e5-6.ciphertune",
            ".model.enc.a1B2c3D4e5F6",
            ".model.enc.backup",
            "..a1B2c3D4e5F6.ciphertune",
            ".a1B2c3D4e5F6.ciphertune",
            ".ciphertune",
            "",
        ] {
            assert_eq!(target(name), None, "{name}");
        }
    }

    #[test]
    fn a_sweep_removes_what_nobody_holds_and_nothing_else() {
        let scratch = TempDir::new().unwrap();
        let place = scratch.path();
        let held = file(place, "held.enc", Privacy::Public).unwrap();
        let (held_folder, _lock) = folder(place, "HELD", Privacy::Private).unwrap();
        let left = place.join(".left.enc.abcdefABCDEF.ciphertune");
        let left_folder = place.join(".LEFT.abcdefABCDEF.ciphertune");
        fs::write(&left, "half").unwrap();
        fs::create_dir_all(left_folder.join(CONTENT)).unwrap();
        fs::write(left_folder.join(CONTENT).join("job.safetensors"), "half").unwrap();
        let foreign = [".left.enc.backup", ".left.enc.abcdef.ciphertune", "left.enc", ".x.abcdefABCDEF.ciphertune.gz"];
        for name in foreign {
            fs::write(place.join(name), "not ours").unwrap();
        }
        sweep(place);
        assert!(held.path().is_file() && held_folder.path().is_dir(), "they are in use");
        assert!(!left.exists() && !left_folder.exists());
        assert!(foreign.iter().all(|name| place.join(name).is_file()));
        // Released, they go as well.
        let (held, held_folder) = (held.into_temp_path().keep().unwrap(), held_folder.keep());
        drop(_lock);
        sweep(place);
        assert!(!held.exists() && !held_folder.exists());
    }

    #[test]
    fn an_old_folder_that_had_made_way_is_put_back_unless_the_new_one_is_there() {
        let scratch = TempDir::new().unwrap();
        let (place, left) = (scratch.path().join("KEYS"), scratch.path().join(".KEYS.abcdefABCDEF.ciphertune"));
        let make = |folder: PathBuf, text: &str| {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("secret.key"), text).unwrap();
        };
        make(left.join(OLD), "old");
        make(left.join(CONTENT), "new");
        sweep(scratch.path());
        assert_eq!(fs::read_to_string(place.join("secret.key")).unwrap(), "old");
        assert!(!left.exists());

        make(left.join(OLD), "older");
        sweep(scratch.path());
        assert_eq!(fs::read_to_string(place.join("secret.key")).unwrap(), "old");
        assert!(!left.exists());
    }
}
