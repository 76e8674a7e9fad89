//! Where features are kept between commands.

use std::env;
use std::path::PathBuf;

/// Names the folder, whatever the system's habit.
pub const VARIABLE: &str = "CIPHERTUNE_CACHE";

/// The folder: what the variable names, else the system's place for caches; `None` where there is no such place.
pub fn folder() -> Option<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = variable(VARIABLE) {
        return Some(folder);
    }
    let home = || env::home_dir().filter(|home| !home.as_os_str().is_empty());
    let base = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library/Caches"))
    } else {
        // A relative path is to be ignored (XDG Base Directory Specification).
        variable("XDG_CACHE_HOME").filter(|path| path.is_absolute()).or_else(|| home().map(|home| home.join(".cache")))
    };
    Some(base?.join("ciphertune").join("features"))
}
