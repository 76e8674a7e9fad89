//! The owner's steps of a training that it refreshes, in double precision:
//!
//! ```text
//! V_t = c_t W_{t-1} + (rate_t / rate) G_t,   W_t = (1 - eta_t) V_t + eta_t V_{t-1},   V_0 = W_0 = 0
//! ```
//!
//! What the server sees of them is a fresh encryption of V_t, and that there is one. So an answer is given or refused on
//! public grounds alone: nothing that was decrypted decides it. Values out of range are cut to it, noted, and reported to
//! the owner when the model is decrypted.

mod file;

use ciphertune_ckks::container::Container;
use ciphertune_ckks::files::Group;
use ciphertune_ckks::{
    Ciphertext, Complex64, Encoder, KeyId, decrypt as decrypt_slots, encrypt as encrypt_slots, files,
};
use nalgebra::DMatrix;
use rayon::prelude::*;

use super::super::JobId;
use super::super::refresh::{self, ANSWER, Digest, GRADIENT, Place, REQUEST, STOPPED, WEIGHTS};
use super::decryption::{head_for_raw_features, largest, most_trusted};
use super::{Keys, Record};
use crate::layout::Layout;
use crate::plan::Estimate;
use crate::recipe::{Best, Stopping, Verdict};
use crate::{FeatureTable, Head, HeadError, Result};

pub use file::COURSE;

/// The largest weight that an answer holds: as much as the plan's scales leave room for.
const LARGEST_WEIGHT: f64 = 16.0;

/// How far an owner is with the steps of a job's training, and its weights: for its eyes only.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    job: JobId,
    key: KeyId,
    /// t; 0 before the first step.
    iteration: usize,
    /// V_t and W_t, classes x (features + 1).
    v: DMatrix<f64>,
    w: DMatrix<f64>,
    /// Digests of the request of step t and of its answer.
    round: Option<(Digest, Digest)>,
    /// The first iteration with values out of range.
    diverged: Option<usize>,
    /// The iterate that held-out rows were judged best by, and W of it, if there are such rows.
    best: Option<(Best, DMatrix<f64>)>,
    /// Whether the owner ended the training, with the best iterate.
    stopped: bool,
}

/// Rows that are held out of a training, to end it by.
#[derive(Clone, Copy)]
pub struct HeldOut<'a> {
    /// The record of the job.
    pub record: &'a Record,
    /// The rows, with labels.
    pub rows: &'a FeatureTable,
    /// When to end.
    pub stopping: Stopping,
}

/// A step that was made.
pub struct Stepped {
    /// For the owner to keep.
    pub course: Course,
    /// For the server.
    pub answer: Vec<u8>,
}

impl Course {
    /// Of a training that has not begun.
    pub fn new(keys: &Keys, job: JobId) -> Self {
        let shape = keys.plan.shape();
        let zero = DMatrix::zeros(shape.classes, shape.columns());
        let (v, w) = (zero.clone(), zero);
        Self { job, key: keys.id(), iteration: 0, v, w, round: None, diverged: None, best: None, stopped: false }
    }

    /// The job.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// How many steps were made.
    pub fn iteration(&self) -> usize {
        self.iteration
    }

    /// The model so far, in the coordinates that are trained in: W_t, or the best W of a training that was ended.
    pub fn weights(&self) -> &DMatrix<f64> {
        match &self.best {
            Some((_, best)) if self.stopped => best,
            _ => &self.w,
        }
    }

    /// The iterate that held-out rows were judged best by, if there were such rows.
    pub fn best(&self) -> Option<Best> {
        self.best.as_ref().map(|(best, _)| *best)
    }

    /// The iterate that is the model, if the owner ended the training.
    pub fn ended(&self) -> Option<Best> {
        self.best().filter(|_| self.stopped)
    }

    /// The head of [`Self::weights`], for raw features. It must not be shown to anyone.
    ///
    /// # Errors
    ///
    /// For a record that does not belong to these keys.
    pub fn head(&self, keys: &Keys, record: &Record) -> Result<Head> {
        head_for_raw_features(keys, record, self.weights())
    }

    /// The digest of the request of the last step.
    pub fn request(&self) -> Option<Digest> {
        self.round.map(|(request, _)| request)
    }

    /// The first iteration whose values were out of range, so that they were cut; everything after it is of no use.
    pub fn diverged(&self) -> Option<usize> {
        self.diverged
    }

    /// Makes the step of a request and encrypts V_t.
    ///
    /// # Errors
    ///
    /// On public grounds alone: for a request that is damaged, of another key, plan or job, not the next one, or not made
    /// from this course's last answer.
    pub fn answer(&self, keys: &Keys, request: &[u8]) -> Result<Stepped> {
        self.answer_or_stop(keys, request, None)
    }

    /// As [`Self::answer`]; with rows that are held out of the training the answer may be that it is over. When it is, is
    /// the one thing that a server learns of these rows.
    ///
    /// # Errors
    ///
    /// As [`Self::answer`]; for rows that are none of this job's head.
    pub fn answer_or_stop(&self, keys: &Keys, request: &[u8], held_out: Option<&HeldOut>) -> Result<Stepped> {
        let (document, place) = refresh::read(request, REQUEST)?;
        if place.key != keys.id() {
            return Err(HeadError::Mismatch(format!(
                "the request is encrypted under key {}, this is key {}: use the keys that the job was encrypted with",
                place.key,
                keys.id()
            )));
        }
        if document.plan != keys.plan || place.job != self.job || self.key != place.key {
            let message = "the request belongs to another job or plan than these steps: use the keys of its plan";
            return Err(HeadError::Mismatch(message.into()));
        }
        if self.stopped {
            let message = format!("these steps were ended after iteration {}: decrypt their model", self.iteration);
            return Err(HeadError::Mismatch(message));
        }
        if place.iteration != self.iteration + 1 {
            return Err(HeadError::Mismatch(format!(
                "the request is of iteration {}, the next step is that of iteration {}: answer the requests in their order",
                place.iteration,
                self.iteration + 1
            )));
        }
        if place.from != self.round.map(|(_, answer)| answer) {
            return Err(HeadError::Mismatch(format!(
                "the request was not made from the answer to request {}: another training answered it; let the server \
                 continue from that answer",
                self.iteration
            )));
        }
        let mut stepped = self.step(keys, &document.container, GRADIENT)?;
        if let Some(held_out) = held_out {
            stepped.judge(keys, held_out)?;
        }
        let round = Place { from: Some(Digest::of(request)), ..place };
        let answer = match stepped.stopped {
            true => refresh::write(ANSWER, &keys.plan, &round).metadata(STOPPED, "").to_bytes()?,
            false => stepped.encrypt(keys, &round)?,
        };
        let course = Self { round: Some((Digest::of(request), Digest::of(&answer))), ..stepped };
        Ok(Stepped { course, answer })
    }

    /// Scores W_t on rows that are held out, keeps it if it is the best, and ends the training if it is time.
    fn judge(&mut self, keys: &Keys, held_out: &HeldOut) -> Result<()> {
        let right = self.head(keys, held_out.record)?.evaluate(held_out.rows)?.right;
        let mut stopping = held_out.stopping.with_best(self.best());
        match stopping.observe(self.iteration, right) {
            Verdict::Better => self.best = stopping.best().map(|best| (best, self.w.clone())),
            Verdict::Worse => {}
            Verdict::Stop => self.stopped = true,
        }
        Ok(())
    }

    /// The last step, with the gradient in a model; none where the owner ended the training.
    pub(super) fn finish(&self, keys: &Keys, model: &Container, gradient: &str) -> Result<Self> {
        let last = keys.plan.recipe().iterations();
        let from = model.all_metadata().get(refresh::ANSWER_DIGEST).map(|text| text.parse()).transpose()?;
        let ours = from == self.round.map(|(_, answer)| answer);
        if self.stopped && ours {
            return Ok(self.clone());
        }
        if self.iteration + 1 != last || !ours {
            return Err(HeadError::Mismatch(format!(
                "the model was not made from the owner's answer to request {}: answer the server's requests with these \
                 keys, and let it train to the end",
                last - 1
            )));
        }
        self.step(keys, model, gradient)
    }

    /// The step with an encrypted gradient.
    fn step(&self, keys: &Keys, container: &Container, name: &str) -> Result<Self> {
        let (plan, encoder) = (&keys.plan, Encoder::new(keys.plan.literal().log_n));
        let ciphertexts = files::read_full(&keys.parameters, container, name)?;
        let forms = Estimate::returned(plan)?;
        let form = forms.last().expect("a training has an iteration");
        let fits = |c: &Ciphertext| c.level() == form.level.min(1) && (c.scale() / form.scale - 1.0).abs() < 1e-9;
        if ciphertexts.len() != plan.layout().weight_ciphertexts() || !ciphertexts.iter().all(fits) {
            let message = "the gradient's ciphertexts are not of the plan's number, level and scale";
            return Err(HeadError::InvalidArtefact(message.into()));
        }
        let open = |c: &Ciphertext| decrypt_slots(&keys.parameters, &keys.secret, &encoder, c);
        let slots: Vec<Vec<Complex64>> = ciphertexts.par_iter().map(open).collect();
        let sound = ciphertexts.iter().zip(&slots).all(|(c, slots)| largest(slots) <= most_trusted(plan, c));

        let iteration = self.iteration + 1;
        let step = plan.schedule().owner_step(iteration);
        let gradient = plan.layout().unpack_open(&slots);
        let mut v = &self.w * step.shrink + gradient * step.scale;
        let within = v.iter().all(|x| x.abs() <= LARGEST_WEIGHT);
        v.apply(|x| *x = if x.is_nan() { 0.0 } else { x.clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT) });
        let w = &v * (1.0 - step.eta) + &self.v * step.eta;
        let diverged = self.diverged.or((!sound || !within).then_some(iteration));
        Ok(Self { iteration, v, w, diverged, ..self.clone() })
    }

    /// Enc(V_t), fresh.
    fn encrypt(&self, keys: &Keys, place: &Place) -> Result<Vec<u8>> {
        let (plan, encoder) = (&keys.plan, Encoder::new(keys.plan.literal().log_n));
        let form = plan.fresh_weights();
        let packed = plan.layout().pack_weights(&self.v);
        let group = Group { name: WEIGHTS.into(), level: form.level, scales: vec![form.scale; packed.len()] };
        let encrypt = |slots: &Vec<Complex64>| -> Result<_> {
            let coefficients = encoder.encode(slots, form.scale)?;
            Ok(encrypt_slots(&keys.parameters, &keys.secret, &coefficients, form.level, form.scale)?)
        };
        let mut out = std::io::Cursor::new(Vec::new());
        let writer = refresh::write(ANSWER, plan, place);
        files::write_seeded_streamed(writer, &keys.parameters, &[group], &mut out, |_, range| {
            packed[range].par_iter().map(encrypt).collect::<Result<Vec<_>>>()
        })?;
        Ok(out.into_inner())
    }
}
