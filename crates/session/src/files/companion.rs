//! Companions: folders that are to exist if and only if another folder has got its place, whenever the program is
//! killed. A job's record is one: without it no model of the job can be opened, and without the job it is of no use.
//!
//! ```text
//! A/.JOB.RANDOM.ciphertune/    the temporary folder of A/JOB ([`super::temporary`])
//!   content/                   the job
//!   companion                  the path of the companion below
//! B/ID.pending/                the companion, under the name that it has while it waits
//!   place                      the path of the temporary folder above
//! ```
//!
//! Both names are written, in this order, before the new folder is moved to its place; then the companion is renamed to
//! B/ID, and the temporary folder goes last. So a companion that waits belongs to a temporary folder, which is there
//! and tells whether its content has moved; whoever sweeps that folder settles the companion first ([`settle`]). If it
//! is not there, nobody but the user can have removed it: in doubt the companion is kept, it is small.
//!
//! Each names the other, so that no file that somebody else put down can have a folder removed.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Filling, NewFolder, Privacy, cannot_write, sync_folder};
use crate::error::Result;

/// The end of a companion's name while it waits.
pub(super) const PENDING: &str = ".pending";
/// Names the temporary folder for which it waits.
pub(super) const PLACE: &str = "place";

/// A companion that waits for a folder to get its place.
#[must_use]
pub struct Companion {
    waiting: PathBuf,
    path: PathBuf,
}

impl Companion {
    /// Writes a companion of a folder that is whole: it will be called `path`, and `fill` puts its content in.
    pub fn write(
        path: &Path,
        privacy: Privacy,
        of: &mut Filling<'_>,
        fill: impl FnOnce(&Filling<'_>) -> Result<()>,
    ) -> Result<Self> {
        let waiting = waiting(path);
        let folder = NewFolder::plan(&waiting, privacy, false, &[], "a record")?;
        let error = |error: std::io::Error| cannot_write(path, &error);
        // Neither is there yet, but the folders in which they will be are.
        let parent = waiting.parent().unwrap_or(Path::new(".")).canonicalize().map_err(error)?;
        let name = waiting.file_name().unwrap_or_default();
        let place = of.announce(&parent.join(name))?;
        let filling = folder.fill()?;
        fill(&filling)?;
        filling.write(PLACE, Privacy::Private, place.as_os_str().as_encoded_bytes())?;
        filling.finish()?;
        Ok(Self { waiting, path: path.to_owned() })
    }

    /// The folder has got its place.
    pub fn keep(self) -> Result<()> {
        complete(&self.waiting).map_err(|error| cannot_write(&self.path, &error))
    }

    /// The folder has not got its place.
    pub fn forget(self) {
        // What stays behind is unused and harmless.
        let _ = fs::remove_dir_all(&self.waiting);
    }
}

/// The name of a companion while it waits.
fn waiting(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(PENDING);
    path.with_file_name(name)
}

/// Gives a companion its name. It may have it already.
pub(super) fn complete(waiting: &Path) -> std::io::Result<()> {
    let path = waiting.with_extension("");
    if !path.is_dir() {
        fs::rename(waiting, &path)?;
        sync_folder(&path);
    }
    // Means nothing any more.
    let _ = fs::remove_file(path.join(PLACE));
    Ok(())
}

/// Settles the companion that waits for a temporary folder: `placed` says whether its content has got its place.
pub(super) fn settle(companion: &Path, temporary: &Path, placed: bool) {
    let named = companion.extension().is_some_and(|extension| extension == &PENDING[1..]);
    let place = fs::read_to_string(companion.join(PLACE));
    let known = temporary.canonicalize().is_ok_and(|temporary| place.is_ok_and(|place| Path::new(&place) == temporary));
    if !named || !known {
        return;
    }
    let _ = if placed { complete(companion) } else { fs::remove_dir_all(companion) };
}

/// Settles the companion `path`, if it waits, when there is proof that its other folder exists.
pub fn claim(path: &Path) {
    let waiting = waiting(path);
    if waiting.is_dir() {
        // If it cannot be renamed, whoever looks for it says that it is missing.
        let _ = complete(&waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sweep::{settle_all, sweep};
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    /// A job's place, the folder of records, and a temporary folder of the job's, whole, with its companion waiting.
    struct State {
        scratch: tempfile::TempDir,
        temporary: PathBuf,
        waiting: PathBuf,
        kept: PathBuf,
        job: PathBuf,
    }

    impl State {
        fn new() -> Self {
            let scratch = tempfile::TempDir::new().unwrap();
            let root = scratch.path().canonicalize().unwrap();
            let (temporary, jobs) = (root.join(".JOB.abcdefABCDEF.ciphertune"), root.join("jobs"));
            let waiting = jobs.join(format!("{ID}.pending"));
            fs::create_dir_all(temporary.join("content")).unwrap();
            fs::create_dir_all(&waiting).unwrap();
            fs::write(temporary.join("content/job.safetensors"), "job").unwrap();
            fs::write(temporary.join("companion"), waiting.to_str().unwrap()).unwrap();
            fs::write(waiting.join("record.safetensors"), "record").unwrap();
            fs::write(waiting.join("place"), temporary.to_str().unwrap()).unwrap();
            Self { temporary, waiting, kept: jobs.join(ID), job: root.join("JOB"), scratch }
        }

        fn place(&self) {
            fs::rename(self.temporary.join("content"), &self.job).unwrap();
        }

        /// Sweeps from the job's side or from the records', and checks what is left.
        fn settles(&self, from_records: bool, exists: bool) {
            match from_records {
                true => settle_all(self.kept.parent().unwrap()),
                false => sweep(self.scratch.path()),
            }
            assert!(!self.temporary.exists() && !self.waiting.exists());
            assert_eq!(self.kept.join("record.safetensors").is_file(), exists);
            assert!(!self.kept.join("place").exists());
            assert_eq!(self.job.join("job.safetensors").is_file(), exists);
        }
    }

    #[test]
    fn a_record_whose_job_never_got_its_place_is_removed_from_either_side() {
        for from_records in [false, true] {
            State::new().settles(from_records, false);
        }
    }

    #[test]
    fn a_record_whose_job_got_its_place_is_completed_from_either_side() {
        for from_records in [false, true] {
            let state = State::new();
            state.place();
            state.settles(from_records, true);
        }
    }

    #[test]
    fn a_record_that_was_completed_before_the_kill_stays() {
        let state = State::new();
        state.place();
        fs::rename(&state.waiting, &state.kept).unwrap();
        sweep(state.scratch.path());
        assert!(state.kept.join("record.safetensors").is_file() && !state.temporary.exists());
    }

    #[test]
    fn a_record_that_was_never_written_leaves_only_the_temporary_folder_to_remove() {
        let state = State::new();
        fs::remove_dir_all(&state.waiting).unwrap();
        sweep(state.scratch.path());
        assert!(!state.temporary.exists() && !state.kept.exists());
    }

    #[test]
    fn in_doubt_a_record_is_kept() {
        let state = State::new();
        fs::remove_dir_all(&state.temporary).unwrap();
        settle_all(state.kept.parent().unwrap());
        assert!(state.kept.join("record.safetensors").is_file());
        let state = State::new();
        claim(&state.kept);
        assert!(state.kept.join("record.safetensors").is_file(), "a model of its job has come back");
    }

    #[test]
    fn what_a_living_process_writes_is_left_alone_with_its_record() {
        let state = State::new();
        let lock = fs::File::open(&state.temporary).unwrap();
        lock.try_lock().unwrap();
        settle_all(state.kept.parent().unwrap());
        sweep(state.scratch.path());
        assert!(state.temporary.is_dir() && state.waiting.is_dir());
        drop(lock);
        state.settles(true, false);
    }

    #[test]
    fn a_folder_that_does_not_name_the_temporary_folder_is_never_removed() {
        let state = State::new();
        for place in [None, Some("/somewhere/else"), Some("")] {
            let treasure = state.scratch.path().join("treasure.pending");
            fs::create_dir_all(&treasure).unwrap();
            if let Some(place) = place {
                fs::write(treasure.join("place"), place).unwrap();
            }
            fs::create_dir_all(&state.temporary).unwrap();
            fs::write(state.temporary.join("companion"), treasure.to_str().unwrap()).unwrap();
            sweep(state.scratch.path());
            assert!(treasure.is_dir() && !state.temporary.exists());
        }
    }
}
