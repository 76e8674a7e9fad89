//! Where a training in one chain stands, as a document of the server's: kind `checkpoint`, tensors `v.last` and
//! `v.before`, ciphertexts with both halves.
//!
//! Ciphertexts only, so whoever holds it learns what the server knows. Going on from it gives the model that an unbroken
//! training gives, byte for byte.

use std::io::{Read, Seek};

use ciphertune_ckks::container::Container;
use ciphertune_ckks::{Ciphertext, KeyId, Parameters, files};

use super::super::{JobId, document, job_id_of, origin};
use super::{EncryptedModel, Trainer};
use crate::layout::Layout;
use crate::train::{Listener, Returned, Standing, train_from};
use crate::{HeadError, Plan, Result};

/// Kind of a checkpoint.
pub const CHECKPOINT: &str = "checkpoint";
/// The format version of checkpoints.
pub const CHECKPOINT_FORMAT: u32 = 1;

/// Metadata: t.
const ITERATION: &str = "iteration";
/// Tensor names of V_t and V_{t-1}.
const LAST: &str = "v.last";
const BEFORE: &str = "v.before";

/// Takes checkpoints.
pub trait Checkpoints: Send {
    /// Iteration `t` is done; before the last one there is a checkpoint. `false` ends the training.
    fn save(&mut self, t: usize, checkpoint: Option<Vec<u8>>) -> bool;
}

impl<F: FnMut(usize, Option<Vec<u8>>) -> bool + Send> Checkpoints for F {
    fn save(&mut self, t: usize, checkpoint: Option<Vec<u8>>) -> bool {
        self(t, checkpoint)
    }
}

impl<R: Read + Seek + Send> Trainer<R> {
    /// As [`Trainer::train`], of which the last iterate alone comes back, with a checkpoint after every iteration but the
    /// last; from a checkpoint on, if there is one.
    ///
    /// # Errors
    ///
    /// As [`Trainer::train`]; for a checkpoint that is damaged or of another training.
    pub fn train_saving(self, from: Option<&[u8]>, checkpoints: &mut dyn Checkpoints) -> Result<EncryptedModel> {
        self.check_chain()?;
        let (parameters, schedule) = (self.evaluator.parameters().clone(), self.plan.schedule());
        let standing = from.map(|bytes| self.standing(&parameters, bytes)).transpose()?;
        let (plan, job, key) = (self.plan, self.job, self.key);
        let mut saver = Saver { plan: &plan, job, key, parameters: &parameters, checkpoints };
        let (evaluator, layout, upload) = (&*self.evaluator, plan.layout(), self.upload.into_upload());
        let iterates =
            rayon::scope(|_| train_from(evaluator, layout, &schedule, upload, Returned::Last, standing, &mut saver))?;
        EncryptedModel::of_chain((plan, job, key), &self.evaluator, iterates, None)
    }

    /// Reads a checkpoint and checks that this training could have come there.
    fn standing(&self, parameters: &Parameters, bytes: &[u8]) -> Result<Standing<Ciphertext>> {
        let container = Container::parse(bytes, CHECKPOINT, CHECKPOINT_FORMAT)?;
        let (plan, _, key) = origin(container.header())?;
        if plan != self.plan || key != self.key || job_id_of(container.header())? != self.job {
            let message = "the checkpoint is of another job, plan or key: name the folder of this job's training";
            return Err(HeadError::Mismatch(message.into()));
        }
        let inconsistent =
            || HeadError::InvalidArtefact("the checkpoint's ciphertexts are not those of its plan".into());
        let iteration: usize = container.parse_metadata(ITERATION)?;
        if !(1..plan.recipe().iterations()).contains(&iteration) {
            return Err(inconsistent());
        }
        let read = |name: &str, t: usize| -> Result<Vec<Ciphertext>> {
            let read = files::read_full(parameters, &container, name)?;
            let level = plan.top_level() - plan.layout().levels(t, plan.has_offset());
            let sound = read.len() == plan.layout().weight_ciphertexts() && read.iter().all(|c| c.level() == level);
            if sound { Ok(read) } else { Err(inconsistent()) }
        };
        let before = (iteration > 1).then(|| read(BEFORE, iteration - 1)).transpose()?;
        Ok(Standing { iteration, last: read(LAST, iteration)?, before })
    }
}

/// Writes where the training stands.
struct Saver<'a> {
    plan: &'a Plan,
    job: JobId,
    key: KeyId,
    parameters: &'a Parameters,
    checkpoints: &'a mut dyn Checkpoints,
}

impl Saver<'_> {
    fn document(&self, standing: &Standing<Ciphertext>) -> Result<Vec<u8>> {
        let writer = document(CHECKPOINT, CHECKPOINT_FORMAT, self.plan, self.job, self.key)
            .metadata(ITERATION, standing.iteration.to_string());
        let mut writer = files::write_full(writer, self.parameters, LAST, &standing.last);
        if let Some(before) = &standing.before {
            writer = files::write_full(writer, self.parameters, BEFORE, before);
        }
        Ok(writer.to_bytes()?)
    }
}

impl Listener<Ciphertext> for Saver<'_> {
    fn iterated(&mut self, t: usize, standing: Option<&Standing<Ciphertext>>) -> ciphertune_ckks::Result<()> {
        let document = standing.map(|standing| self.document(standing)).transpose();
        let document = document.map_err(|error| ciphertune_ckks::Error::File(error.to_string()))?;
        if self.checkpoints.save(t, document) { Ok(()) } else { Err(ciphertune_ckks::Error::Stopped) }
    }
}
