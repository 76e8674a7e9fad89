//! The server's side: training on a job with evaluation keys. Nothing here takes or makes anything that an owner keeps secret.

use std::sync::Arc;

use ciphertune_ckks::container::{Container, ContainerWriter};
use ciphertune_ckks::{Arithmetic, Ciphertext, Counts, Evaluator, KeyId, Parameters, files};

use super::{FORMAT, ITERATIONS, JOB, JOB_ID, JobId, MODEL, PLAN, group_name, origin};
use crate::layout::Role;
use crate::train::{Iterate, Returned, train};
use crate::{HeadError, Plan, Result};

/// A job with its evaluation keys, read and checked, ready to be trained.
pub struct Trainer {
    plan: Plan,
    job: JobId,
    key: KeyId,
    evaluator: Arc<Evaluator>,
    upload: Vec<Ciphertext>,
}

impl Trainer {
    /// Reads a job and the evaluation keys that belong to it.
    ///
    /// # Errors
    ///
    /// For documents that are damaged, of another kind, made under other parameters, for another plan or with another key.
    pub fn new(job: &[u8], evaluation_keys: &[u8]) -> Result<Self> {
        let job = Container::parse(job, JOB, FORMAT)?;
        let keys = Container::parse(evaluation_keys, files::EVALUATION_KEYS, files::EVALUATION_KEYS_FORMAT)?;
        let (plan, parameters, key) = origin(&job)?;
        let (keys_plan, _, keys_id) = origin(&keys)?;
        if keys_plan != plan {
            return Err(HeadError::Mismatch(
                "the evaluation keys were made for another plan than the job: send the keys of the plan that the job was encrypted with".into(),
            ));
        }
        if keys_id != key {
            return Err(HeadError::Mismatch(
                "the evaluation keys belong to another secret key than the job: send the keys that the job was encrypted with".into(),
            ));
        }
        let upload = read_upload(&plan, &job, &parameters)?;
        let evaluator = Arc::new(Evaluator::new(files::read_evaluation_keys(&parameters, &keys)?));
        Ok(Self { job: super::job_id_of(&job)?, plan, key, evaluator, upload })
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

fn read_upload(plan: &Plan, job: &Container, parameters: &Parameters) -> Result<Vec<Ciphertext>> {
    let inputs = plan.inputs();
    let mut upload = Vec::with_capacity(inputs.len());
    for role in [Role::Data, Role::Labels, Role::Offset] {
        let expected: Vec<_> = inputs.iter().filter(|input| input.role == role).collect();
        if expected.is_empty() {
            continue;
        }
        let group = files::read_seeded(parameters, job, group_name(role))?;
        let fits =
            |(c, input): (&Ciphertext, &&crate::layout::Input)| c.level() == input.level && c.scale() == input.scale;
        if group.len() != expected.len() || !group.iter().zip(&expected).all(fits) {
            return Err(HeadError::InvalidArtefact(
                "the job's ciphertexts are not those that its plan asks for".into(),
            ));
        }
        upload.extend(group);
    }
    Ok(upload)
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
