//! `rehearse`: every role in this process, as `ciphertune run` plays them, without the twin in the clear.

use ciphertune_head::plan::Refresh;
use ciphertune_session::examples::Examples;
use ciphertune_session::rehearsal::{self, Rounds, timed};
use ciphertune_session::{InFile, memory};
use pyo3::prelude::*;

use crate::head::{Head, table};
use crate::plan::{Plan, memory_bytes};
use crate::work;

/// What messages call features that were given as an array.
pub const FEATURES: &str = "X";

/// A head that was trained encrypted, and what that took.
#[pyclass(frozen, get_all, module = "ciphertune")]
pub struct Rehearsed {
    /// The head.
    head: Py<Head>,
    /// log2 of the largest trained weight over the plan's bound on the error of any one weight.
    precision_bits: f64,
    /// Of making keys, encrypting, reading, training, refreshing and decrypting.
    seconds: [f64; 6],
    /// Bytes of the evaluation keys.
    evaluation_key_bytes: usize,
    /// Bytes of the job.
    job_bytes: usize,
    /// Bytes of the encrypted model.
    model_bytes: usize,
}

/// Makes keys, encrypts, trains on the ciphertexts and decrypts, all in this process. The keys vanish with the call.
#[pyfunction]
#[pyo3(signature = (features, labels, plan, *, names = None, memory = None, progress = None))]
pub fn rehearse(
    features: &Bound<'_, PyAny>,
    labels: Vec<String>,
    plan: &Plan,
    names: Option<Vec<String>>,
    memory: Option<i64>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Rehearsed> {
    let py = features.py();
    let memory = memory::limit(memory_bytes(memory)?);
    let train = Examples::of_table(FEATURES, table(features, Some(labels), names)?);
    let plan = &plan.plan;
    let (outcome, precision_bits, seconds, [evaluation_key_bytes, job_bytes, model_bytes]) =
        work::run(py, progress, |observer| {
            let allotment = plan.allot(memory).in_file(FEATURES.as_ref())?;
            let (keys, keygen) = timed(|| rehearsal::keygen(plan, observer))?;
            let encrypt = || rehearsal::encrypt(plan, &keys.secret, &train, None, &allotment, observer);
            let (job, encrypt) = timed(encrypt)?;
            drop(train);
            let [key_bytes, job_bytes] = [keys.evaluation_bytes, job.bytes];
            let (trained, rounds) = if plan.refresh() == Refresh::Never {
                let trained = rehearsal::train(job.job, keys.evaluation, false, &allotment, observer)?;
                (trained, Rounds::default())
            } else {
                let documents = [job.job, keys.evaluation];
                rehearsal::train_refreshed(plan, &keys.secret, &job.record, documents, None, &allotment, observer)?
            };
            let (load, training) = (trained.load_seconds, trained.train_seconds);
            let model = trained.into_document();
            let open = || rehearsal::decrypt(plan, &keys.secret, &job.record, &rounds.courses, &model);
            let (outcome, decrypt) = timed(open)?;
            let precision_bits = outcome.opened.precision_bits;
            let sizes = [key_bytes, job_bytes, model.bytes.len()];
            let seconds = [keygen, encrypt, load, training, rounds.seconds, decrypt];
            Ok((outcome.opened.decrypted, precision_bits, seconds, sizes))
        })?;
    let head = Py::new(py, Head { head: outcome.last().clone() })?;
    Ok(Rehearsed { head, precision_bits, seconds, evaluation_key_bytes, job_bytes, model_bytes })
}
