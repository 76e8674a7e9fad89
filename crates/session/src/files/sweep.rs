//! Sweeping: what becomes of temporary files and folders whose writer was killed, and of the companions that wait for them.

use std::fs::{self, File, OpenOptions};
use std::path::Path;

use super::companion;
use super::temporary::{COMPANION, CONTENT, OLD, RANDOM, SUFFIX};

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

/// Settles every companion in a folder whose other folder nobody is writing any more.
pub fn settle_all(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for waiting in entries.flatten().map(|entry| entry.path()) {
        if waiting.extension().is_none_or(|extension| extension != &companion::PENDING[1..]) {
            continue;
        }
        let Ok(place) = fs::read_to_string(waiting.join(companion::PLACE)) else { continue };
        match Path::new(&place).symlink_metadata() {
            Ok(_) => sweep_path(Path::new(&place)),
            Err(_) => drop(companion::complete(&waiting)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::super::Privacy;
    use super::super::temporary::{file, folder};
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
