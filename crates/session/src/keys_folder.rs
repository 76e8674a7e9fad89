//! KEYS/: what an owner keeps.
//!
//! ```text
//! KEYS/                       mode 0700
//!   secret.key                the secret key, mode 0600: never leaves the owner
//!   evaluation.keys           for the server
//!   plan.json                 ring, layout, recipe, shape: public
//!   jobs/JOB-ID/record.safetensors    scaler, class names, covariance and some rows of a job: the owner's
//!   jobs/JOB-ID/refresh/      the owner's steps in a training that it refreshes ([`crate::steps_folder`])
//!   jobs/JOB-ID.pending/      the same of a job that is being put in its place
//!   releases.json             the models that were published, mode 0600: how much noise the next one needs
//! ```
//!
//! A record is kept if and only if its job is: it is a companion of the job's folder ([`files::Companion`]). It waits as
//! `JOB-ID.pending` while the job is renamed. After a kill before that, the next `encrypt` with these keys, or the next
//! command that writes beside the job, removes it; after a kill behind it, they complete it, and so does `decrypt` of a
//! model of that job.

use std::fs::File;
use std::io::{ErrorKind, Seek};
use std::path::{Path, PathBuf};

use ciphertune_head::job::JobId;
use ciphertune_head::job::owner::{HeldOut, Keys, Record};
use ciphertune_head::job::refresh::Place;
use ciphertune_head::recipe::Stopping;
use ciphertune_head::{FeatureTable, Plan};
use serde::{Deserialize, Serialize};

use crate::error::{Error, InFile, Result};
use crate::files::{self, Companion, Document, Filling, NewFile, NewFolder, Privacy};
use crate::observer::Observer;
use crate::owner;
use crate::steps_folder::{Answered, StepsFolder};

/// The secret key's file.
pub const SECRET: &str = "secret.key";
/// The evaluation keys' file.
pub const EVALUATION: &str = "evaluation.keys";
/// The plan's file.
pub const PLAN: &str = "plan.json";
/// The plan's file in a folder of keys for inference ([`crate::inference`]).
pub const INFERENCE: &str = "inference.json";
/// The folder of records.
pub const JOBS: &str = "jobs";
/// A record's file.
pub const RECORD: &str = "record.safetensors";
/// The list of published models.
pub const RELEASES: &str = "releases.json";

/// A folder of keys that is to be written, checked before the work begins.
pub struct NewKeysFolder {
    path: PathBuf,
    folder: NewFolder,
}

impl NewKeysFolder {
    /// Checks that the folder can be written, as [`NewFolder::plan`]; `force` replaces a folder of keys.
    pub fn plan(path: &Path, force: bool) -> Result<Self> {
        let ours = [SECRET, EVALUATION, PLAN, JOBS, RELEASES];
        let loss = "the old secret key and with it every model that is encrypted under it";
        let folder = NewFolder::plan(path, Privacy::Private, force, &ours, loss)?;
        Ok(Self { path: path.to_owned(), folder })
    }

    /// Writes the keys, with evaluation keys that are made for them. Returns the bytes of these.
    pub fn write(&self, keys: &Keys, observer: &dyn Observer) -> Result<u64> {
        let filling = self.folder.fill()?;
        let path = self.path.join(EVALUATION);
        let bytes = filling.write_with(EVALUATION, Privacy::Public, |out| {
            owner::write_evaluation_keys(keys, out, observer).in_file(&path)?;
            out.stream_position().map_err(|error| files::cannot_write(&path, &error))
        })?;
        filling.write(SECRET, Privacy::Private, &owner::secret_document(keys)?)?;
        filling.write(PLAN, Privacy::Public, keys.plan().to_json().as_bytes())?;
        filling.folder(JOBS)?;
        filling.finish()?;
        Ok(bytes)
    }
}

/// A folder of keys that exists.
pub struct KeysFolder<'a> {
    path: &'a Path,
}

impl<'a> KeysFolder<'a> {
    /// Finds the folder.
    pub fn open(path: &'a Path) -> Result<Self> {
        if !path.is_dir() {
            // They may have made way for new ones when that was killed.
            files::put_back(path);
        }
        if path.is_dir() {
            return Ok(Self { path });
        }
        Err(Error::input("there is no such folder of keys: make one with ciphertune keygen").in_file(path))
    }

    /// Reads plan and secret key.
    pub fn keys(&self) -> Result<Keys> {
        let path = self.path.join(PLAN);
        if !path.exists() && self.path.join(INFERENCE).exists() {
            let message = "these keys are for inference, not for training: use other keys, or make some with ciphertune keygen --train";
            return Err(Error::input(message).in_file(self.path));
        }
        let text = String::from_utf8(files::read(&path)?)
            .map_err(|_| Error::input("the file is no plan: restore it, or make new keys").in_file(&path))?;
        let plan = Plan::from_json(&text).in_file(&path)?;
        plan.parameters().in_file(&path)?;
        let path = self.path.join(SECRET);
        owner::open_keys(&plan, &files::read_secret(&path)?, &path)
    }

    /// Writes the record of a job that is whole but not in its place yet.
    pub fn write_record(&self, record: &Record, job: &mut Filling<'_>) -> Result<Companion> {
        let jobs = self.path.join(JOBS);
        if !jobs.is_dir() {
            std::fs::create_dir(&jobs).map_err(|error| files::cannot_write(&jobs, &error))?;
        }
        let bytes = record.to_bytes()?;
        Companion::write(&jobs.join(record.job().to_string()), Privacy::Private, job, |filling| {
            filling.write(RECORD, Privacy::Private, &bytes)
        })
    }

    /// Keeps the record of a job that is no file yet: a caller that gets the job elsewhere wants it kept first.
    pub fn keep_record(&self, record: &Record) -> Result<()> {
        let jobs = self.path.join(JOBS);
        if !jobs.is_dir() {
            std::fs::create_dir(&jobs).map_err(|error| files::cannot_write(&jobs, &error))?;
        }
        let folder = jobs.join(record.job().to_string());
        let folder = NewFolder::plan(&folder, Privacy::Private, false, &[RECORD], "the old record")?;
        let filling = folder.fill()?;
        filling.write(RECORD, Privacy::Private, &record.to_bytes()?)?;
        filling.finish()
    }

    /// Completes or removes records of jobs whose encryption was killed.
    pub fn settle_records(&self) {
        files::settle_all(&self.path.join(JOBS));
    }

    /// The record of a job, to which a document at `model` belongs; with the owner's steps, if it made any.
    pub fn record(&self, keys: &Keys, job: JobId, model: &Path) -> Result<Record> {
        let path = self.record_path(job);
        // There is a model, so there was a job.
        files::claim(&self.path.join(JOBS).join(job.to_string()));
        if !path.exists() {
            let message = format!(
                "it belongs to job {job}, of which {} has no record: use the keys that the job was encrypted with",
                self.path.join(JOBS).display()
            );
            return Err(Error::input(message).in_file(model));
        }
        let record = Record::from_bytes(&files::read(&path)?).in_file(&path)?;
        Ok(match self.steps(job).course(keys)? {
            Some(course) => record.with_course(course),
            None => record,
        })
    }

    /// The owner's steps in a job's training.
    pub fn steps(&self, job: JobId) -> StepsFolder {
        StepsFolder::new(&self.path.join(JOBS).join(job.to_string()))
    }

    /// Answers a request of a server that trains on a job of these keys, whose record is here.
    ///
    /// # Errors
    ///
    /// On public grounds alone: for a request that is damaged, of another key, plan or job, or that was not made from the
    /// last answer. With rows that are held out of the training, for such that are none of its head.
    pub fn answer(
        &self,
        keys: &Keys,
        request: &Document,
        held_out: Option<(&FeatureTable, Stopping)>,
    ) -> Result<Answered> {
        let _lock = self.lock()?;
        let place = Place::of_request(&request.bytes).in_file(&request.path)?;
        let steps = self.steps(place.job);
        if place.key != keys.id() {
            return steps.answer(keys, request, place, None);
        }
        // There is a request, so there was a job.
        let record = self.record(keys, place.job, &request.path)?;
        let held_out = held_out.map(|(rows, stopping)| HeldOut { record: &record, rows, stopping });
        steps.answer(keys, request, place, held_out.as_ref())
    }

    /// Locks these keys: until it is dropped, no other process does what must be done once.
    fn lock(&self) -> Result<File> {
        let path = self.path.join(SECRET);
        let lock = files::open(&path)?;
        match lock.lock() {
            Ok(()) => {}
            // Without locks, only what happens at the same time could be done twice.
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            Err(error) => return Err(Error::failure(format!("cannot be locked: {error}")).in_file(&path)),
        }
        Ok(lock)
    }

    /// The models that were published so far. Until it is dropped, no other process can publish one of these keys.
    pub fn releases(&self) -> Result<Releases> {
        let lock = self.lock()?;
        let path = self.path.join(RELEASES);
        // A link without a target is no empty list.
        let made = match path.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            _ => {
                let list: Vec<Published> = serde_json::from_slice(&files::read(&path)?).map_err(|error| {
                    let message = format!("the list of published models is damaged: restore it ({error})");
                    Error::input(message).in_file(&path)
                })?;
                if list.iter().any(|published| published.releases == 0) {
                    let message = "the list of published models is damaged: restore it (releases: 0)";
                    return Err(Error::input(message).in_file(&path));
                }
                list
            }
        };
        Ok(Releases { path, made, _lock: lock })
    }

    fn record_path(&self, job: JobId) -> PathBuf {
        self.path.join(JOBS).join(job.to_string()).join(RECORD)
    }
}

/// A model that was published.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Published {
    job: String,
    /// The number of models that its noise was made for.
    releases: u32,
}

/// The models of these keys that were published.
pub struct Releases {
    path: PathBuf,
    made: Vec<Published>,
    _lock: File,
}

impl Releases {
    /// Which one the next would be, counted from 1.
    pub fn next(&self) -> usize {
        self.made.len() + 1
    }

    /// Refuses a publication that takes the models of these keys past what is safe to show: noise for q models takes
    /// 1/q of that.
    pub fn check(&self, releases: u32) -> Result<()> {
        const ROUNDING: f64 = 1e-9;
        let used: f64 = self.made.iter().map(|published| 1.0 / f64::from(published.releases)).sum();
        let (left, made) = (1.0 - used, self.made.len());
        if 1.0 / f64::from(releases) <= left + ROUNDING {
            return Ok(());
        }
        let message = if left > ROUNDING {
            let least = (1.0 / left - ROUNDING).ceil();
            format!(
                "{made} published model(s) leave room for noise of --releases {least} or more: pass that, or make new keys"
            )
        } else {
            format!(
                "the {made} model(s) published with these keys are all that their noise covers: show those, or make new keys; and say with --releases how many there will be, from the first on"
            )
        };
        Err(Error::input(message).in_file(&self.path))
    }

    /// Adds a model, before anybody can see it: a count that is too high does no harm.
    pub fn add(&mut self, job: JobId, releases: u32) -> Result<()> {
        self.made.push(Published { job: job.to_string(), releases });
        let text = serde_json::to_string_pretty(&self.made)
            .map_err(|error| Error::failure(error.to_string()).in_file(&self.path))?;
        NewFile::plan(&self.path, Privacy::Private, true)?.write(format!("{text}\n").as_bytes())
    }
}
