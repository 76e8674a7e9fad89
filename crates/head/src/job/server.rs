//! The server's side: training on a job with evaluation keys. Nothing here takes or makes anything that an owner keeps
//! secret.

use std::io::{Cursor, Read, Seek};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use ciphertune_ckks::container::ContainerStream;
use ciphertune_ckks::{Arithmetic, Ciphertext, Counts, EvaluationKeys, Evaluator, KeyId, Parameters, files};

use super::part::{Part, PartUpload};
use super::refresh::{self, Digest};
use super::upload::StoredUpload;
use super::{ITERATIONS, JOB, JOB_FORMATS, JobId, MODEL, MODEL_FORMAT, PART, document, origin};
use crate::layout::upload::Room;
use crate::plan::Refresh;
use crate::train::{Iterate, Returned, train_watched};
use crate::{HeadError, Plan, Result};

mod checkpoint;
mod entry;
mod merge;
mod refreshed;

pub use checkpoint::{CHECKPOINT, CHECKPOINT_FORMAT, Checkpoints};
pub use entry::{ContributionReader, ContributionUpload, enter};
pub use merge::{ModelPart, merge};
pub use refreshed::{Refreshed, Reply};

/// The first format of jobs in which every ciphertext has a digest of its own.
const DIGESTED: u32 = 3;

/// A job of which only the header was read. The upload stays in its source until it is wanted.
pub struct JobReader<R> {
    stream: ContainerStream<R>,
    plan: Plan,
    parameters: Parameters,
    job: JobId,
    key: KeyId,
}

/// Evaluation keys that belong to a job, of which only the header was read.
pub struct KeyReader<R> {
    stream: ContainerStream<R>,
    parameters: Parameters,
    job: JobId,
}

/// Evaluation keys that were read for a job.
pub struct JobKeys {
    keys: EvaluationKeys,
    job: JobId,
}

impl<R: Read + Seek + Send> JobReader<R> {
    /// Reads the header of a job.
    ///
    /// # Errors
    ///
    /// For a source that is no job, or whose plan and parameters contradict each other.
    pub fn open(source: R) -> Result<Self> {
        let stream = ContainerStream::open_versions(source, JOB, JOB_FORMATS)?;
        let header = stream.header();
        if header.has_row_digests() != (header.version() >= DIGESTED) {
            let message = "the job's ciphertexts have no digests of their own, or its format has none: encrypt the table again with this version";
            return Err(HeadError::InvalidArtefact(message.into()));
        }
        let (plan, parameters, key) = origin(header)?;
        Ok(Self { job: super::job_id_of(stream.header())?, stream, plan, parameters, key })
    }

    /// The plan of the job.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The job's identifier.
    pub fn id(&self) -> JobId {
        self.job
    }

    /// Reads the header of the evaluation keys.
    ///
    /// # Errors
    ///
    /// For a source that holds no evaluation keys, or keys for another plan or of another secret key than the job's.
    pub fn open_keys<K: Read + Seek + Send>(&self, source: K) -> Result<KeyReader<K>> {
        let stream = ContainerStream::open(source, files::EVALUATION_KEYS, files::EVALUATION_KEYS_FORMAT)?;
        let (plan, id) = (super::plan_of(stream.header())?, files::check_origin(stream.header(), &self.parameters));
        if plan != self.plan {
            return Err(HeadError::Mismatch(
                "the evaluation keys were made for another plan than the job: send the keys of the plan that the job was encrypted with".into(),
            ));
        }
        if id? != self.key {
            return Err(HeadError::Mismatch(
                "the evaluation keys belong to another secret key than the job: send the keys that the job was encrypted with".into(),
            ));
        }
        Ok(KeyReader { stream, parameters: self.parameters.clone(), job: self.job })
    }

    /// Reads and checks the upload, a few ciphertexts at a time. As much of it as there is room for is kept in memory;
    /// the source of the rest stays open and is read again during training.
    ///
    /// # Errors
    ///
    /// For a job that is damaged or does not hold what its plan says; for keys that were read for another job.
    pub fn read(self, keys: JobKeys, room: Room) -> Result<Trainer<R>> {
        if keys.job != self.job {
            return Err(HeadError::Mismatch("the evaluation keys were read for another job".into()));
        }
        let upload = StoredUpload::read(&self.plan, self.stream, &self.parameters, room)?;
        let evaluator = Arc::new(Evaluator::new(keys.keys));
        Ok(Trainer { job: self.job, plan: self.plan, key: self.key, evaluator, upload })
    }
}

impl<R: Read + Seek + Send> KeyReader<R> {
    /// Reads and checks the keys, a few digits at a time.
    ///
    /// # Errors
    ///
    /// For keys that are damaged or not of their parameters.
    pub fn read(self) -> Result<JobKeys> {
        Ok(JobKeys { keys: files::read_evaluation_keys(&self.parameters, self.stream)?, job: self.job })
    }
}

/// A job with its evaluation keys, read and checked, ready to be trained.
pub struct Trainer<R> {
    plan: Plan,
    job: JobId,
    key: KeyId,
    evaluator: Arc<Evaluator>,
    upload: StoredUpload<R>,
}

impl<'a> Trainer<Cursor<&'a [u8]>> {
    /// Reads a job and the evaluation keys that belong to it from memory, and keeps the whole upload. [`JobReader`]
    /// reads them from anywhere, and tells which of them is at fault.
    ///
    /// # Errors
    ///
    /// For documents that are damaged, of another kind, made under other parameters, for another plan or with another
    /// key.
    pub fn new(job: &'a [u8], evaluation_keys: &[u8]) -> Result<Self> {
        let job = JobReader::open(Cursor::new(job))?;
        let keys = job.open_keys(Cursor::new(evaluation_keys))?.read()?;
        job.read(keys, Room::PLENTY)
    }
}

impl<R: Read + Seek + Send> Trainer<R> {
    /// The plan of the job.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Ciphertexts of the upload that are in memory, and in all.
    pub fn kept(&self) -> (usize, usize) {
        self.upload.kept()
    }

    /// Counts the ciphertexts that are read again, for a look at it during training.
    pub fn read_again(&self) -> Arc<AtomicU64> {
        self.upload.read_again()
    }

    /// The machine that will train, for a look at its counts while it does.
    pub fn evaluator(&self) -> Arc<Evaluator> {
        self.evaluator.clone()
    }

    /// Trains. Returns the encrypted model; the number of operations can be read from the evaluator.
    ///
    /// # Errors
    ///
    /// [`HeadError::Ckks`] if the keys lack one that the plan needs, if what is read again of the job is not what it was,
    /// or if the evaluator was stopped.
    pub fn train(self, returned: Returned) -> Result<EncryptedModel> {
        self.train_watched(returned, |_| ())
    }

    /// As [`Trainer::train`]; `after` hears of every iteration that is done, counted from 1.
    ///
    /// # Errors
    ///
    /// As [`Trainer::train`].
    pub fn train_watched(self, returned: Returned, mut after: impl FnMut(usize) + Send) -> Result<EncryptedModel> {
        self.check_chain()?;
        let schedule = self.plan.schedule();
        // Inside the thread pool, so that the thousands of parallel steps do not each wait for a hand-over to it.
        let (evaluator, layout, upload) = (&*self.evaluator, self.plan.layout(), self.upload);
        let upload = upload.into_upload();
        let iterates = rayon::scope(|_| train_watched(evaluator, layout, &schedule, upload, returned, &mut after))?;
        EncryptedModel::of_chain((self.plan, self.job, self.key), &self.evaluator, iterates, None)
    }

    /// Trains some of the classes; [`merge`] makes the model of all parts. `after` as in
    /// [`Trainer::train_watched`].
    ///
    /// # Errors
    ///
    /// As [`Trainer::train`]; for a plan that has no such parts.
    pub fn train_part(self, part: Part, mut after: impl FnMut(usize) + Send) -> Result<EncryptedModel> {
        let (layout, weights) = part.layout(&self.plan)?;
        let (schedule, evaluator) = (self.plan.schedule(), &*self.evaluator);
        let upload = PartUpload::new(self.upload.into_upload(), &self.plan, weights);
        let iterates =
            rayon::scope(|_| train_watched(evaluator, &layout, &schedule, upload, Returned::Last, &mut after))?;
        EncryptedModel::of_chain((self.plan, self.job, self.key), &self.evaluator, iterates, Some(part))
    }
}

impl<R> Trainer<R> {
    /// Refuses a training whose steps the owner makes.
    fn check_chain(&self) -> Result<()> {
        match self.plan.refresh() {
            Refresh::Never => Ok(()),
            Refresh::EveryIteration => Err(HeadError::Mismatch(
                "the job's owner makes the steps of its training: train it with a folder for its state (--state DIR)"
                    .into(),
            )),
        }
    }
}

/// At most two limbs are left of what is returned: that is what a decryption looks at.
fn lower(m: &Evaluator, iterate: Iterate<Ciphertext>) -> Result<Iterate<Ciphertext>> {
    let all = |ciphertexts: Vec<Ciphertext>| -> Result<Vec<Ciphertext>> {
        ciphertexts.iter().map(|c| Ok(m.drop_to(c, m.level(c).min(1))?)).collect()
    };
    Ok(Iterate {
        iteration: iterate.iteration,
        carry: iterate.carry.map(&all).transpose()?,
        gradient: all(iterate.gradient)?,
    })
}

/// A trained model, encrypted.
pub struct EncryptedModel {
    plan: Plan,
    job: JobId,
    key: KeyId,
    parameters: Parameters,
    iterates: Vec<Iterate<Ciphertext>>,
    counts: Counts,
    /// Of the answer that the last gradient was taken at, in a training that is refreshed.
    answer: Option<Digest>,
    /// Which part of the model it is, if it is not the whole.
    part: Option<Part>,
}

impl EncryptedModel {
    /// Of a training whose steps the server made. Limbs above the lowest carry nothing that the owner needs, beyond room
    /// for the message.
    fn of_chain(
        (plan, job, key): (Plan, JobId, KeyId),
        evaluator: &Evaluator,
        iterates: Vec<Iterate<Ciphertext>>,
        part: Option<Part>,
    ) -> Result<Self> {
        let iterates = iterates.into_iter().map(|iterate| lower(evaluator, iterate)).collect::<Result<_>>()?;
        let (parameters, counts) = (evaluator.keys().parameters().clone(), evaluator.counts());
        Ok(Self { plan, job, key, parameters, iterates, counts, answer: None, part })
    }

    /// Operations that the training took.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the owner ended the training before its last iteration, so that it has the model itself.
    pub fn is_ended(&self) -> bool {
        self.iterates.is_empty()
    }

    /// The model as a document for the owner.
    ///
    /// # Errors
    ///
    /// Only if the container cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let iterations: Vec<usize> = self.iterates.iter().map(|iterate| iterate.iteration).collect();
        let mut writer = document(MODEL, MODEL_FORMAT, &self.plan, self.job, self.key)
            .metadata(ITERATIONS, serde_json::to_string(&iterations).expect("a list of numbers"));
        if let Some(answer) = &self.answer {
            writer = writer.metadata(refresh::ANSWER_DIGEST, answer.to_string());
        }
        if let Some(part) = &self.part {
            writer = writer.metadata(PART, part.to_string());
        }
        for iterate in &self.iterates {
            if let Some(carry) = &iterate.carry {
                writer = files::write_full(writer, &self.parameters, &carry_name(iterate.iteration), carry);
            }
            writer = files::write_full(writer, &self.parameters, &gradient_name(iterate.iteration), &iterate.gradient);
        }
        Ok(writer.to_bytes()?)
    }
}

/// Tensor name of an iterate's carry.
pub(super) fn carry_name(iteration: usize) -> String {
    format!("iterate.{iteration}.carry")
}

/// Tensor name of an iterate's open gradient.
pub(super) fn gradient_name(iteration: usize) -> String {
    format!("iterate.{iteration}.gradient")
}
