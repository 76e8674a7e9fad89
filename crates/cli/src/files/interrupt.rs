//! Nothing half-written stays behind when the user presses Ctrl-C: what is under a temporary name is removed first.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// What is under a temporary name now.
static OPEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// As long as it lives, a signal that ends the program removes the file or folder first.
pub struct RemovedOnSignal(PathBuf);

impl RemovedOnSignal {
    /// Of a file or folder that has just been made.
    pub fn new(path: &Path) -> Self {
        static WATCHED: Once = Once::new();
        WATCHED.call_once(watch);
        open().push(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for RemovedOnSignal {
    fn drop(&mut self) {
        open().retain(|path| *path != self.0);
    }
}

fn open() -> MutexGuard<'static, Vec<PathBuf>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a signal on a thread of its own. Without it nothing is lost but tidiness.
#[cfg(unix)]
fn watch() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]) else { return };
    let wait = move || {
        if let Some(signal) = signals.forever().next() {
            // Kept: nothing new begins, and what is written until the end is removed with its folder.
            let paths = open();
            for path in paths.iter() {
                let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
            }
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    };
    let _ = std::thread::Builder::new().name("signals".into()).spawn(wait);
}

/// Elsewhere a temporary file may stay behind.
#[cfg(not(unix))]
fn watch() {}
