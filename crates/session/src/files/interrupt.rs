//! What is under a temporary name now, so that a program that is told to end can remove it first.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The files and folders.
static OPEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// As long as it lives, [`remove_all`] removes the file or folder.
pub(crate) struct RemovedOnSignal(PathBuf);

impl RemovedOnSignal {
    /// Of a file or folder that has just been made.
    pub(crate) fn new(path: &Path) -> Self {
        open().push(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for RemovedOnSignal {
    fn drop(&mut self) {
        open().retain(|path| *path != self.0);
    }
}

/// Removes all of them, and lets no other thread begin or finish one until what is returned is dropped: for a program
/// that ends now.
pub fn remove_all() -> impl Drop {
    let paths = open();
    for path in paths.iter() {
        let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    }
    paths
}

fn open() -> MutexGuard<'static, Vec<PathBuf>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}
