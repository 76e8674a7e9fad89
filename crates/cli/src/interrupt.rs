//! Nothing half-written stays behind when the user presses Ctrl-C: what is under a temporary name is removed first.

/// Waits for a signal on a thread of its own. Without it nothing is lost but tidiness.
#[cfg(unix)]
pub fn watch() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]) else { return };
    let wait = move || {
        if let Some(signal) = signals.forever().next() {
            // Kept: nothing new begins, and what is written until the end is removed with its folder.
            let _removed = ciphertune_session::files::interrupt::remove_all();
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    };
    let _ = std::thread::Builder::new().name("signals".into()).spawn(wait);
}

/// Elsewhere a temporary file may stay behind.
#[cfg(not(unix))]
pub fn watch() {}
