//! KEYS/jobs/JOB-ID/refresh/: the owner's steps in a training that it refreshes.
//!
//! ```text
//! refresh/                        mode 0700
//!   course-0003.safetensors       V_3 and W_3 in the clear, mode 0600: never leaves the owner
//!   answer-0003.enc               what was sent for request 3
//! ```
//!
//! The last two of each are kept. One answer a request: the same request gets the same answer, byte for byte, and another
//! one of the same iteration is refused, whatever it says, so that a server that deviates learns nothing by asking again.
//! An answer is written before its course, and the course before the answer is given away: after a kill the request is
//! answered afresh unless its answer may have been seen.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ciphertune_head::job::JobId;
use ciphertune_head::job::owner::{Course, HeldOut, Keys, Stepped};
use ciphertune_head::job::refresh::{Digest, Place};
use ciphertune_head::recipe::Best;

use crate::error::{Error, InFile, Result};
use crate::files::{self, Document, NewFile, Privacy};

/// Steps and answers that are kept.
const KEPT: usize = 2;

/// The folder; it need not exist.
pub struct StepsFolder {
    job: PathBuf,
    path: PathBuf,
}

/// A request that was answered.
pub struct Answered {
    /// The job.
    pub job: JobId,
    /// t.
    pub iteration: usize,
    /// For the server.
    pub answer: Vec<u8>,
    /// Whether the same request was answered before.
    pub again: bool,
    /// The best iterate, if the answer ends the training.
    pub stopped: Option<Best>,
}

impl StepsFolder {
    /// Within the folder of a job's record.
    pub(crate) fn new(job: &Path) -> Self {
        Self { job: job.to_owned(), path: job.join("refresh") }
    }

    /// The last step, if one was made.
    pub fn course(&self, keys: &Keys) -> Result<Option<Course>> {
        match self.iterations()?.last() {
            Some(&t) => self.course_at(keys, t).map(Some),
            None => Ok(None),
        }
    }

    fn course_at(&self, keys: &Keys, t: usize) -> Result<Course> {
        let path = self.course_path(t);
        Course::from_bytes(keys, &files::read(&path)?).in_file(&path)
    }

    /// Answers a request of this job, with the keys locked.
    pub(crate) fn answer(
        &self,
        keys: &Keys,
        request: &Document,
        place: Place,
        held_out: Option<&HeldOut>,
    ) -> Result<Answered> {
        let steps = self.iterations()?;
        let (done, t) = (steps.last().copied().unwrap_or(0), place.iteration);
        let answered = |course: &Course, answer, again| Answered {
            job: place.job,
            iteration: t,
            answer,
            again,
            stopped: course.ended(),
        };
        if t <= done {
            let refused = |message: String| Err(Error::input(message).in_file(&request.path));
            if !steps.contains(&t) {
                return refused(format!(
                    "request {t} was answered long ago, the last was request {done}: let the server continue from its last answer with ciphertune resume"
                ));
            }
            let course = self.course_at(keys, t)?;
            if course.request() != Some(Digest::of(&request.bytes)) {
                return refused(format!(
                    "another request of iteration {t} was answered: only one is, for a server that asks twice could learn from the answers; let it continue from the answer that it has, or encrypt the table again"
                ));
            }
            return Ok(answered(&course, files::read(&self.answer_path(t))?, true));
        }
        let course = match steps.last() {
            Some(&last) => self.course_at(keys, last)?,
            None => Course::new(keys, place.job),
        };
        let Stepped { course, answer } =
            course.answer_or_stop(keys, &request.bytes, held_out).in_file(&request.path)?;
        self.make()?;
        NewFile::plan(&self.answer_path(t), Privacy::Private, true)?.write(&answer)?;
        NewFile::plan(&self.course_path(t), Privacy::Private, true)?.write(&course.to_bytes()?)?;
        for old in steps.iter().filter(|old| **old + KEPT <= t) {
            // What cannot be removed now goes the next time.
            let _ = fs::remove_file(self.answer_path(*old));
            let _ = fs::remove_file(self.course_path(*old));
        }
        Ok(answered(&course, answer, false))
    }

    fn make(&self) -> Result<()> {
        match files::make_folder(&self.path, Privacy::Private) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(files::cannot_write(&self.job, &error)),
            _ => Ok(()),
        }
    }

    /// The iterations of which there is a step, in their order.
    fn iterations(&self) -> Result<Vec<usize>> {
        files::numbered(&self.path, "course-", ".safetensors")
    }

    fn course_path(&self, t: usize) -> PathBuf {
        self.path.join(format!("course-{t:04}.safetensors"))
    }

    fn answer_path(&self, t: usize) -> PathBuf {
        self.path.join(format!("answer-{t:04}.enc"))
    }
}
