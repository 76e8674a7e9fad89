//! A key holder opens a model that it has no data of: flooded weights, in the coordinates that were trained in.
//!
//! ```text
//! key holder   model ─ open_weights ─► ReleasedWeights   (u, with noise)
//! owner        ReleasedWeights ─ head ─► head for raw features, by the scaler that the holder has never seen
//! ```

use ciphertune_ckks::container::{Container, ContainerWriter};
use nalgebra::DMatrix;

use super::super::{JOB_ID, JobId, RELEASED_WEIGHTS, RELEASED_WEIGHTS_FORMAT, job_id_of};
use super::decryption::decrypt_weights_of;
use super::release::add_noise;
use super::{Keys, Release};
use crate::{Classes, Head, HeadError, Plan, Result, Scaler};

/// Metadata of released weights.
const DEVIATION: &str = "deviation";
const PRECISION_BITS: &str = "precision-bits";
/// Their tensor, classes x (features + 1) by rows.
const WEIGHTS: &str = "weights";

/// The weights of a model with the noise of a release: safe to show, and of use to who has the scaler.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleasedWeights {
    job: JobId,
    weights: DMatrix<f64>,
    release: Release,
}

/// Decrypts the last iterate of a job's model and adds the noise with which `releases` models may be shown.
///
/// # Errors
///
/// As [`super::decrypt`]; [`HeadError::NothingLeft`].
///
/// # Panics
///
/// For no release at all, which would add no noise.
pub fn open_weights(keys: &Keys, job: JobId, model: &[u8], releases: u32) -> Result<ReleasedWeights> {
    assert!(releases > 0, "a model that is opened is released");
    let (_, mut weights) = decrypt_weights_of(keys, job, model)?.pop().expect("a model holds at least one iterate");
    let release = add_noise(&keys.plan, releases, &mut weights)?;
    Ok(ReleasedWeights { job, weights, release })
}

impl ReleasedWeights {
    /// The job whose model it was.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// The weights in the coordinates u, classes x (features + 1) with the bias first.
    pub fn weights(&self) -> &DMatrix<f64> {
        &self.weights
    }

    /// The noise in them.
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// The head for raw features.
    ///
    /// # Errors
    ///
    /// As [`Head::from_scaled`].
    pub fn head(&self, plan: &Plan, scaler: &Scaler, classes: Classes) -> Result<Head> {
        let head = Head::from_scaled(scaler, &self.weights, classes, plan.recipe())?;
        Ok(head.mark_published(self.release.precision_bits))
    }

    /// The weights as a file.
    ///
    /// # Errors
    ///
    /// Only if the container cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let by_rows: Vec<f64> = self.weights.transpose().iter().copied().collect();
        let (classes, columns) = self.weights.shape();
        Ok(ContainerWriter::new(RELEASED_WEIGHTS, RELEASED_WEIGHTS_FORMAT)
            .metadata(JOB_ID, self.job.to_string())
            .metadata(DEVIATION, format!("{:e}", self.release.deviation))
            .metadata(PRECISION_BITS, format!("{}", self.release.precision_bits))
            .f64(WEIGHTS, &[classes, columns], by_rows)
            .to_bytes()?)
    }

    /// Reads the released weights of a plan's model.
    ///
    /// # Errors
    ///
    /// For a file that is damaged, or holds no weights of the plan.
    pub fn from_bytes(plan: &Plan, bytes: &[u8]) -> Result<Self> {
        let container = Container::parse(bytes, RELEASED_WEIGHTS, RELEASED_WEIGHTS_FORMAT)?;
        let shape = plan.shape();
        let (classes, columns) = (shape.classes, shape.columns());
        let by_rows: Vec<f64> = container.tensor(WEIGHTS)?.of_shape(&[classes, columns])?.f64s()?.collect();
        let (deviation, bits): (f64, f64) =
            (container.parse_metadata(DEVIATION)?, container.parse_metadata(PRECISION_BITS)?);
        if !by_rows.iter().chain([&deviation, &bits]).all(|x| x.is_finite()) || deviation < 0.0 {
            return Err(HeadError::InvalidArtefact("the released weights are no numbers".into()));
        }
        let release = Release { deviation, precision_bits: bits, features: shape.features, cleaned: false };
        let weights = DMatrix::from_row_slice(classes, columns, &by_rows);
        Ok(Self { job: job_id_of(container.header())?, weights, release })
    }
}
