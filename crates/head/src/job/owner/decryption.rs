//! Decryption of a model, for the owner's eyes.

use ciphertune_ckks::container::Container;
use ciphertune_ckks::{Ciphertext, Complex64, Encoder, decrypt as decrypt_slots, files};
use nalgebra::DMatrix;
use rayon::prelude::*;

use super::super::server::{carry_name, gradient_name};
use super::super::{ITERATIONS, JobId, MODEL, MODEL_FORMAT, PART, job_id_of, origin};
use super::{Course, Keys, Record};
use crate::layout::Layout;
use crate::plan::estimate::ReturnedForm;
use crate::plan::{Estimate, Refresh};
use crate::{Head, HeadError, Plan, Result, precondition};

/// A decrypted model, for its owner alone.
#[derive(Clone, Debug)]
pub struct Decrypted {
    /// The head after every iteration that the server returned, the last one last.
    pub heads: Vec<(usize, Head)>,
}

impl Decrypted {
    /// The head after the last iteration.
    pub fn last(&self) -> &Head {
        &self.heads.last().expect("a model holds at least one iterate").1
    }
}

/// Decrypts a model. The heads must not be shown to anyone: [`super::flood`] makes one that may be.
///
/// # Errors
///
/// For a model that is damaged, of another key, plan or job, or that decrypts to nonsense.
pub fn decrypt(keys: &Keys, record: &Record, model: &[u8]) -> Result<Decrypted> {
    let head = |(t, u)| Ok((t, head_for_raw_features(keys, record, &u)?));
    Ok(Decrypted { heads: decrypt_of_job(keys, record, model)?.into_iter().map(head).collect::<Result<_>>()? })
}

/// The iterates of a model in the coordinates u that were trained in, classes x (features + 1) with the bias first: for
/// comparison with a twin. For the owner's eyes only, as every decryption.
///
/// # Errors
///
/// As [`decrypt`].
pub fn decrypt_weights(keys: &Keys, record: &Record, model: &[u8]) -> Result<Vec<(usize, DMatrix<f64>)>> {
    decrypt_of_job(keys, record, model)
}

/// Reads a model and checks that it belongs to the keys.
fn open_model<'a>(keys: &Keys, model: &'a [u8]) -> Result<Container<'a>> {
    let container = Container::parse(model, MODEL, MODEL_FORMAT)?;
    let (plan, _, key) = origin(container.header())?;
    if key != keys.id() {
        return Err(HeadError::Mismatch(format!(
            "the model is encrypted under key {key}, this is key {}: use the keys that the job was encrypted with",
            keys.id()
        )));
    }
    if plan != keys.plan {
        return Err(HeadError::Mismatch(
            "the model was trained by another plan than the keys': use the keys of its plan".into(),
        ));
    }
    if let Some(part) = container.all_metadata().get(PART) {
        return Err(HeadError::Mismatch(format!(
            "this is part {part} of a model: put all parts together with ciphertune merge"
        )));
    }
    Ok(container)
}

fn decrypt_iterates(keys: &Keys, container: &Container) -> Result<Vec<(usize, DMatrix<f64>)>> {
    let iterations: Vec<usize> = serde_json::from_str(container.metadata(ITERATIONS)?)
        .map_err(|e| HeadError::InvalidArtefact(format!("the list of iterations: {e}")))?;
    let known = 1..=keys.plan.recipe().iterations();
    let increasing = iterations.is_sorted_by(|a, b| a < b) && iterations.iter().all(|t| known.contains(t));
    if iterations.last() != Some(known.end()) || !increasing {
        return Err(HeadError::InvalidArtefact("the model does not list its iterations up to the last".into()));
    }
    let forms = Estimate::returned(&keys.plan)?;
    iterations.into_iter().map(|t| Ok((t, decrypt_iterate(keys, container, t, forms[t - 1])?))).collect()
}

/// As [`decrypt_weights`], of a job that the holder of these keys has no record of, since others gave to it.
///
/// # Errors
///
/// As [`decrypt`].
pub fn decrypt_weights_of(keys: &Keys, job: JobId, model: &[u8]) -> Result<Vec<(usize, DMatrix<f64>)>> {
    let container = open_model(keys, model)?;
    let found = job_id_of(container.header())?;
    if found != job {
        return Err(HeadError::Mismatch(format!("the model belongs to job {found}, and job {job} is to be opened")));
    }
    decrypt_iterates(keys, &container)
}

/// The iterates of a model, which must be of the record's job.
pub(super) fn decrypt_of_job(keys: &Keys, record: &Record, model: &[u8]) -> Result<Vec<(usize, DMatrix<f64>)>> {
    let container = open_model(keys, model)?;
    let job = job_id_of(container.header())?;
    if job != record.job() {
        return Err(HeadError::Mismatch(format!(
            "the model belongs to job {job}, the record to job {}: use the record of that job",
            record.job()
        )));
    }
    if keys.plan.refresh() == Refresh::Never {
        return decrypt_iterates(keys, &container);
    }
    let last = keys.plan.recipe().iterations();
    let first = Course::new(keys, job);
    let course = match &record.course {
        Some(course) => course,
        None if last == 1 => &first,
        None => {
            return Err(HeadError::Mismatch(
                "the model is of a training that its owner refreshes, and the owner's steps are missing: answer the server's requests with these keys".into(),
            ));
        }
    };
    let finished = course.finish(keys, &container, &gradient_name(last))?;
    let of = finished.ended().map_or(last, |best| best.iteration);
    match finished.diverged().filter(|iteration| *iteration <= of) {
        None => Ok(vec![(of, finished.weights().clone())]),
        Some(iteration) => Err(HeadError::DivergedAt { iteration }),
    }
}

/// The head for raw features of the weights u.
pub(super) fn head_for_raw_features(keys: &Keys, record: &Record, u: &DMatrix<f64>) -> Result<Head> {
    let scaled = precondition::weights(u, &record.unscale, record.w0)?;
    let head = Head::from_scaled(&record.scaler, &scaled, record.classes.clone(), keys.plan.recipe())?;
    head.with_provenance(record.provenance.clone()).with_names(record.names.clone())
}

/// W_t = carry + (1 - eta_t) G_t in the coordinates u.
fn decrypt_iterate(keys: &Keys, container: &Container, t: usize, form: ReturnedForm) -> Result<DMatrix<f64>> {
    let (plan, encoder) = (&keys.plan, Encoder::new(keys.plan.literal().log_n));
    let slots = |name: &str| -> Result<Vec<Vec<Complex64>>> {
        let ciphertexts = files::read_full(&keys.parameters, container, name)?;
        if ciphertexts.len() != plan.layout().weight_ciphertexts() {
            return Err(HeadError::InvalidArtefact(format!(
                "the model holds {} ciphertexts {name}",
                ciphertexts.len()
            )));
        }
        let fits = |c: &Ciphertext| c.level() == form.level.min(1) && (c.scale() / form.scale - 1.0).abs() < 1e-9;
        if !ciphertexts.iter().all(fits) {
            return Err(HeadError::InvalidArtefact(format!(
                "the ciphertexts {name} are not of the plan's level and scale"
            )));
        }
        let open = |c: &Ciphertext| {
            let slots = decrypt_slots(&keys.parameters, &keys.secret, &encoder, c);
            check_range(plan, c, &slots).map(|()| slots)
        };
        ciphertexts.par_iter().map(open).collect()
    };
    let gradient = plan.layout().unpack_open(&slots(&gradient_name(t))?);
    let mut weights = gradient * (1.0 - plan.schedule().eta(t));
    if form.carry {
        weights += plan.layout().unpack_weights(&slots(&carry_name(t))?);
    }
    Ok(weights)
}

/// Refuses values so close to the modulus that they may have wrapped around it: weights that grow out of their range
/// come back as noise, and nothing else would tell.
fn check_range(plan: &Plan, ciphertext: &Ciphertext, slots: &[Complex64]) -> Result<()> {
    let (found, limit) = (largest(slots), most_trusted(plan, ciphertext));
    if found <= limit { Ok(()) } else { Err(HeadError::Diverged { found, limit }) }
}

/// The largest magnitude that is told from a wrap around the modulus.
pub(super) fn most_trusted(plan: &Plan, ciphertext: &Ciphertext) -> f64 {
    let modulus: f64 = plan.literal().q.iter().take(ciphertext.level().min(1) + 1).map(|&q| q as f64).product();
    0.75 * modulus / 2.0 / ciphertext.scale()
}

/// The largest real or imaginary part.
pub(super) fn largest(slots: &[Complex64]) -> f64 {
    slots.iter().map(|slot| slot.re.abs().max(slot.im.abs())).fold(0.0, f64::max)
}
