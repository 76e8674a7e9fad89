//! Encryption of a table: the job goes to the server, the record stays.

use std::io::{Seek, Write};

use ciphertune_ckks::container::ContainerWriter;
use ciphertune_ckks::files::Group;
use ciphertune_ckks::{Encoder, KeyId, encrypt as encrypt_slots, files};
use nalgebra::DMatrix;
use rayon::prelude::*;

use super::super::{JOB, JOB_FORMATS, document, in_groups};
use super::cleanup::{Covariance, power_iteration};
use super::{Keys, Record, kept};
use crate::layout::{Layout, Plain, Source};
use crate::{Classes, FeatureTable, HeadError, Plan, Preconditioned, Result, Scaler};

/// A job as the owner made it.
pub struct EncryptedJob {
    /// Stays with the owner.
    pub record: Record,
    /// Bytes that were written, for the server.
    pub bytes: u64,
    /// Number of ciphertexts in them.
    pub ciphertexts: usize,
}

/// Fits the scaler (or takes the given one), preconditions the features, encrypts a table and writes the job to `out`
/// on the way, a few ciphertexts at a time. Calls `progress` with ciphertexts done and in all, from several threads; its
/// first error ends the work.
///
/// # Errors
///
/// If the table does not have the plan's shape or has one class only, if features are too large after scaling, if
/// randomness or `out` fails.
pub fn encrypt(
    keys: &Keys,
    table: &FeatureTable,
    scaler: Option<Scaler>,
    out: &mut (impl Write + Seek),
    progress: &(dyn Fn(usize, usize) -> Result<()> + Sync),
) -> Result<EncryptedJob> {
    let plan = &keys.plan;
    let words = table.require_labels()?;
    let classes = Classes::from_labels(words)?;
    check_shape(plan, table, &classes)?;
    let recipe = plan.recipe();
    let scaler = match scaler {
        Some(scaler) => scaler,
        None => Scaler::fit(recipe.scaler(), recipe.lambda(), table.features())?,
    };
    let x = scaler.apply_with_ones(table.features())?;
    let problem = Preconditioned::new(recipe, &x)?;
    drop(x);
    let labels = classes.indices(words)?;
    let schedule = plan.schedule();
    let batches = recipe.batches(table.rows());
    let order = batches.order();
    let source = Source {
        x_hat: &problem.x_hat,
        labels: &labels,
        order: order.as_deref(),
        start: 0,
        offset: problem.offset.as_deref(),
        first_rate: schedule.first_rate(),
    };
    let job = KeyId::random()?;
    let writer = document(JOB, *JOB_FORMATS.end(), plan, job, keys.id());
    let everything: Vec<usize> = (0..plan.inputs().len()).collect();
    let (bytes, ciphertexts) = write_upload(keys, &source, &everything, writer, out, progress)?;
    let provenance = table.provenance().cloned();
    let names = table.names().cloned();
    let covariance = Covariance::of(&problem.x_hat);
    let magnitude = magnitude(&problem.x_hat, covariance.as_ref(), rate_of(plan));
    let (unscale, w0) = (problem.unscale, problem.w0);
    let kept = Some(kept::of(table, &labels, classes.len())?);
    let course = None;
    let record = Record { job, scaler, unscale, w0, classes, magnitude, provenance, names, covariance, kept, course };
    Ok(EncryptedJob { record, bytes, ciphertexts })
}

fn check_shape(plan: &Plan, table: &FeatureTable, classes: &Classes) -> Result<()> {
    let (shape, found) = (plan.shape(), (table.rows(), table.columns(), classes.len()));
    if found == (shape.rows, shape.features, shape.classes) {
        return Ok(());
    }
    Err(HeadError::Mismatch(format!(
        "the keys were planned for {} rows x {} features in {} classes, the table has {} x {} in {}: make keys for this table with keygen",
        shape.rows, shape.features, shape.classes, found.0, found.1, found.2
    )))
}

/// Encrypts some ciphertexts of the upload, in order, and writes them. Returns bytes and ciphertexts.
pub(super) fn write_upload(
    keys: &Keys,
    source: &Source,
    wanted: &[usize],
    writer: ContainerWriter<'_>,
    out: &mut (impl Write + Seek),
    progress: &(dyn Fn(usize, usize) -> Result<()> + Sync),
) -> Result<(u64, usize)> {
    let (plan, inputs) = (&keys.plan, keys.plan.inputs());
    let (runs, groups): (Vec<&[usize]>, Vec<Group>) = in_groups(&inputs, wanted).into_iter().unzip();
    let encoder = Encoder::new(plan.literal().log_n);
    let done = std::sync::atomic::AtomicUsize::new(0);
    let encrypt = |index: usize| {
        let input = &inputs[index];
        let coefficients = match plan.layout().pack(source, index) {
            Plain::Slots(values) => encoder.encode(&values, input.scale)?,
            Plain::Subring(parts) => encoder.encode_subring(&parts, input.scale)?,
        };
        let ciphertext = encrypt_slots(&keys.parameters, &keys.secret, &coefficients, input.level, input.scale)?;
        progress(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, wanted.len())?;
        Ok(ciphertext)
    };
    let bytes = files::write_seeded_streamed(writer, &keys.parameters, &groups, out, |place, range| {
        runs[place][range].par_iter().map(|index| encrypt(*index)).collect::<Result<Vec<_>>>()
    })?;
    Ok((bytes, wanted.len()))
}

/// The first rate, in units of 4/n, beside that which the plan reckons with.
fn rate_of(plan: &Plan) -> f64 {
    let schedule = plan.schedule();
    schedule.first_rate() / schedule.stride() * plan.batch_rows() / 4.0
}

/// See [`Record::magnitude`], of a plan's problem.
pub(super) fn magnitude_of(plan: &Plan, x_hat: &DMatrix<f64>) -> f64 {
    magnitude(x_hat, Covariance::of(x_hat).as_ref(), rate_of(plan))
}

/// See [`Record::magnitude`]; the rate, in units of 4/n, is that beside which the plan reckons with.
fn magnitude(x_hat: &DMatrix<f64>, covariance: Option<&Covariance>, rate: f64) -> f64 {
    let (n, d) = x_hat.shape();
    let rms = (x_hat.norm_squared() / (n * d) as f64).sqrt();
    let eigenvalue = match covariance {
        Some(covariance) => covariance.largest_moment(&x_hat.row_mean().transpose()),
        None => power_iteration(d, |direction| x_hat.tr_mul(&(x_hat * direction)) / n as f64),
    };
    rms.max(eigenvalue.sqrt() * rate.max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_as_large_by_its_covariance_as_by_its_rows() {
        for (offset, spread) in [(0.0, 1.0), (0.3, 0.7), (3.0, 0.1)] {
            let row = |i: usize, k: usize| offset + spread * ((i * 31 + k * 17) % 23) as f64 / 11.0 - spread;
            let x = DMatrix::from_fn(50, 6, |i, k| if k == 0 { 1.0 } else { row(i, k) });
            let by_rows = magnitude(&x, None, 1.1);
            let by_covariance = magnitude(&x, Covariance::of(&x).as_ref(), 1.1);
            assert!((by_rows / by_covariance - 1.0).abs() < 1e-9, "{by_rows} {by_covariance}");
        }
    }
}
