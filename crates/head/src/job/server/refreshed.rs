//! The server's side of a training that its owner refreshes: gradients at weights that come encrypted.

use std::io::{Cursor, Read, Seek};
use std::sync::Arc;

use ciphertune_ckks::container::ContainerStream;
use ciphertune_ckks::{Ciphertext, Evaluator, KeyId, Parameters, files};

use super::super::JobId;
use super::super::refresh::{self, ANSWER, Digest, FORMAT, GRADIENT, Place, REQUEST, STOPPED, WEIGHTS};
use super::super::upload::JobStore;
use super::{EncryptedModel, Trainer, lower};
use crate::layout::upload::Kept;
use crate::layout::{AnyData, Layout};
use crate::plan::Refresh;
use crate::train::Iterate;
use crate::{HeadError, Plan, Result};

/// A job that is ready for any number of gradients.
pub struct Refreshed<R: Read + Seek + Send> {
    plan: Plan,
    job: JobId,
    key: KeyId,
    evaluator: Arc<Evaluator>,
    data: AnyData<Ciphertext, Kept<JobStore<R>>>,
}

/// What a server returns after an iteration.
pub enum Reply {
    /// A gradient, for an answer.
    Request(Vec<u8>),
    /// The last gradient; or, where the owner ended the training, nothing but that it is over.
    Model(Box<EncryptedModel>),
}

impl<R: Read + Seek + Send> Trainer<R> {
    /// Makes the upload of a plan with refreshes ready.
    ///
    /// # Errors
    ///
    /// [`HeadError::Mismatch`] for a plan without refreshes; else as [`Trainer::train`].
    pub fn into_refreshed(self) -> Result<Refreshed<R>> {
        if self.plan.refresh() == Refresh::Never {
            let message = "the plan of the job has no refreshes: the server makes all steps itself";
            return Err(HeadError::Mismatch(message.into()));
        }
        let (evaluator, layout, upload) = (&*self.evaluator, self.plan.layout(), self.upload.into_upload());
        let data = rayon::scope(|_| layout.prepare(evaluator, upload))?;
        Ok(Refreshed { plan: self.plan, job: self.job, key: self.key, evaluator: self.evaluator, data })
    }
}

impl<R: Read + Seek + Send> Refreshed<R> {
    /// The plan of the job.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The machine that computes, for a look at its counts while it does.
    pub fn evaluator(&self) -> Arc<Evaluator> {
        self.evaluator.clone()
    }

    /// The first gradient, at weights of zero.
    ///
    /// # Errors
    ///
    /// As [`Trainer::train`].
    pub fn first(&self) -> Result<Reply> {
        self.reply(1, None, None)
    }

    /// The gradient at the weights in an answer to a request that this server wrote. The same answer gives the same
    /// reply, byte for byte.
    ///
    /// # Errors
    ///
    /// For an answer that is damaged, of another job, plan or key, or to another request; else as [`Trainer::train`].
    pub fn after(&self, request: &[u8], answer: &[u8]) -> Result<Reply> {
        let (weights, iteration) = self.open(request, answer)?;
        match weights {
            Some(weights) => self.reply(iteration + 1, Some(&weights), Some(Digest::of(answer))),
            None => Ok(Reply::Model(Box::new(self.model(Vec::new(), Some(Digest::of(answer)))))),
        }
    }

    /// Checks that an answer is one to a request of this server.
    ///
    /// # Errors
    ///
    /// As [`Self::after`].
    pub fn check(&self, request: &[u8], answer: &[u8]) -> Result<()> {
        self.open(request, answer).map(drop)
    }

    /// The weights in an answer, none where the owner ends the training, and its iteration.
    fn open(&self, request: &[u8], answer: &[u8]) -> Result<(Option<Vec<Ciphertext>>, usize)> {
        let (_, requested) = refresh::read(request, REQUEST)?;
        let (document, place) = refresh::read(answer, ANSWER)?;
        let mismatch = |message: String| Err(HeadError::Mismatch(message));
        if (place.job, place.key) != (self.job, self.key) || document.plan != self.plan {
            return mismatch(format!(
                "the answer belongs to job {}, the state to job {}: fetch the answer to this job's request",
                place.job, self.job
            ));
        }
        if place.iteration < requested.iteration {
            return mismatch(format!(
                "the answer is of iteration {}, which is done: continue with resume, or with the answer to request {}",
                place.iteration, requested.iteration
            ));
        }
        if place.iteration != requested.iteration || place.from != Some(Digest::of(request)) {
            return mismatch(format!(
                "the answer was not made from request {}: let the owner answer that",
                requested.iteration
            ));
        }
        if document.container.all_metadata().contains_key(STOPPED) {
            return Ok((None, place.iteration));
        }
        let parameters: &Parameters = &document.parameters;
        let expected = self.plan.fresh_weights();
        let inconsistent =
            || HeadError::InvalidArtefact("the answer's weights are not of the plan's number, level and scale".into());
        // Before anything is drawn for a shape that is none of the plan's.
        if document.container.packed(&format!("{WEIGHTS}.c0"))?.shape().count != self.plan.layout().weight_ciphertexts()
        {
            return Err(inconsistent());
        }
        let stream = ContainerStream::open(Cursor::new(answer), ANSWER, FORMAT)?;
        let weights = files::read_seeded(parameters, stream, &[WEIGHTS])?.pop().unwrap_or_default();
        if !weights.iter().all(|w| w.level() == expected.level && w.scale() == expected.scale) {
            return Err(inconsistent());
        }
        Ok((Some(weights), place.iteration))
    }

    fn reply(&self, iteration: usize, weights: Option<&[Ciphertext]>, from: Option<Digest>) -> Result<Reply> {
        let (m, step) = (&*self.evaluator, self.plan.schedule().refreshed_gradient(iteration));
        let layout = self.plan.layout();
        let gradient = rayon::scope(|_| layout.gradient::<_, Kept<JobStore<R>>>(m, &self.data, weights, &step))?;
        let iterate = lower(m, Iterate { iteration, carry: None, gradient })?;
        let parameters = m.keys().parameters().clone();
        if iteration < self.plan.recipe().iterations() {
            let place = Place { job: self.job, key: self.key, iteration, from };
            let writer = refresh::write(REQUEST, &self.plan, &place);
            return Ok(Reply::Request(files::write_full(writer, &parameters, GRADIENT, &iterate.gradient).to_bytes()?));
        }
        Ok(Reply::Model(Box::new(self.model(vec![iterate], from))))
    }

    fn model(&self, iterates: Vec<Iterate<Ciphertext>>, answer: Option<Digest>) -> EncryptedModel {
        let (plan, job, key, counts) = (self.plan.clone(), self.job, self.key, self.evaluator.counts());
        let parameters = self.evaluator.keys().parameters().clone();
        EncryptedModel { plan, job, key, parameters, iterates, counts, answer, part: None }
    }
}
