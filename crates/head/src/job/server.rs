//! The server's side: training on a job with evaluation keys. Nothing here takes or makes anything that an owner keeps secret.

use std::io::{Cursor, Read, Seek};
use std::sync::Arc;

use ciphertune_ckks::container::{ContainerStream, ContainerWriter};
use ciphertune_ckks::{Arithmetic, Ciphertext, Counts, EvaluationKeys, Evaluator, KeyId, Parameters, files};

use super::{FORMAT, ITERATIONS, JOB, JOB_ID, JobId, MODEL, PLAN, group_name, origin};
use crate::layout::{Input, Role};
use crate::train::{Iterate, Returned, train};
use crate::{HeadError, Plan, Result};

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
        let stream = ContainerStream::open(source, JOB, FORMAT)?;
        let (plan, parameters, key) = origin(stream.header())?;
        Ok(Self { job: super::job_id_of(stream.header())?, stream, plan, parameters, key })
    }

    /// The plan of the job.
    pub fn plan(&self) -> &Plan {
        &self.plan
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

    /// Reads and checks the upload, a few ciphertexts at a time.
    ///
    /// # Errors
    ///
    /// For a job that is damaged or does not hold what its plan says; for keys that were read for another job.
    pub fn read(self, keys: JobKeys) -> Result<Trainer> {
        if keys.job != self.job {
            return Err(HeadError::Mismatch("the evaluation keys were read for another job".into()));
        }
        let upload = read_upload(&self.plan, self.stream, &self.parameters)?;
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
pub struct Trainer {
    plan: Plan,
    job: JobId,
    key: KeyId,
    evaluator: Arc<Evaluator>,
    upload: Vec<Ciphertext>,
}

impl Trainer {
    /// Reads a job and the evaluation keys that belong to it from memory. [`JobReader`] reads them from anywhere, and tells which of them is at
    /// fault.
    ///
    /// # Errors
    ///
    /// For documents that are damaged, of another kind, made under other parameters, for another plan or with another key.
    pub fn new(job: &[u8], evaluation_keys: &[u8]) -> Result<Self> {
        let job = JobReader::open(Cursor::new(job))?;
        let keys = job.open_keys(Cursor::new(evaluation_keys))?.read()?;
        job.read(keys)
    }

    /// The plan of the job.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The machine that will train, for a look at its counts while it does.
    pub fn evaluator(&self) -> Arc<Evaluator> {
        self.evaluator.clone()
    }

    /// Trains. Returns the encrypted model; the number of operations can be read from the evaluator.
    ///
    /// # Errors
    ///
    /// [`HeadError::Ckks`] if the keys lack one that the plan needs.
    pub fn train(self, returned: Returned) -> Result<EncryptedModel> {
        let schedule = self.plan.schedule();
        // Inside the thread pool, so that the thousands of parallel steps do not each wait for a hand-over to it.
        let (evaluator, layout, upload) = (&*self.evaluator, self.plan.layout(), self.upload);
        let iterates = rayon::scope(|_| train(evaluator, layout, &schedule, upload, returned))?;
        // Limbs above the lowest carry nothing that the owner needs, beyond room for the message.
        let iterates = iterates.into_iter().map(|iterate| lower(&self.evaluator, iterate)).collect::<Result<_>>()?;
        let (parameters, counts) = (self.evaluator.keys().parameters().clone(), self.evaluator.counts());
        drop(self.evaluator);
        ciphertune_ckks::release_memory();
        Ok(EncryptedModel { plan: self.plan, job: self.job, key: self.key, parameters, iterates, counts })
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

fn read_upload<R: Read + Seek + Send>(
    plan: &Plan,
    job: ContainerStream<R>,
    parameters: &Parameters,
) -> Result<Vec<Ciphertext>> {
    let inputs = plan.inputs();
    let of = |role| inputs.iter().filter(move |input| input.role == role);
    let roles = [Role::Data, Role::Labels, Role::Offset].into_iter().filter(|role| of(*role).next().is_some());
    let roles: Vec<Role> = roles.collect();
    let wrong = || HeadError::InvalidArtefact("the job's ciphertexts are not those that its plan asks for".into());
    let names: Vec<&str> = roles.iter().map(|role| group_name(*role)).collect();
    // Before anything is computed from a shape that the file does not bear out.
    for (role, name) in roles.iter().zip(&names) {
        if job.header().packed(&format!("{name}.c0"))?.count != of(*role).count() {
            return Err(wrong());
        }
    }
    let groups = files::read_seeded(parameters, job, &names)?;
    let expected = roles.iter().flat_map(|role| of(*role));
    let fits = |(c, input): (&Ciphertext, &Input)| c.level() == input.level && c.scale() == input.scale;
    let upload: Vec<Ciphertext> = groups.into_iter().flatten().collect();
    if upload.len() == inputs.len() && upload.iter().zip(expected).all(fits) { Ok(upload) } else { Err(wrong()) }
}

/// A trained model, encrypted.
pub struct EncryptedModel {
    plan: Plan,
    job: JobId,
    key: KeyId,
    parameters: Parameters,
    iterates: Vec<Iterate<Ciphertext>>,
    counts: Counts,
}

impl EncryptedModel {
    /// Operations that the training took.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The model as a document for the owner.
    ///
    /// # Errors
    ///
    /// Only if the container cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let iterations: Vec<usize> = self.iterates.iter().map(|iterate| iterate.iteration).collect();
        let mut writer = ContainerWriter::new(MODEL, FORMAT)
            .metadata(PLAN, self.plan.to_json())
            .metadata(JOB_ID, self.job.to_string())
            .metadata(files::KEY_ID, self.key.to_string())
            .metadata(files::PARAMETERS_DIGEST, self.plan.literal().digest())
            .metadata(ITERATIONS, serde_json::to_string(&iterations).expect("a list of numbers"));
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
