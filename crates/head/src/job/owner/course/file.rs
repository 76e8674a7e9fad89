//! A course as a file.

use ciphertune_ckks::KeyId;
use ciphertune_ckks::container::{Container, ContainerWriter};
use ciphertune_ckks::files;
use nalgebra::DMatrix;

use super::super::super::refresh::{self, STOPPED};
use super::super::super::{JOB_ID, job_id_of};
use super::super::Keys;
use super::Course;
use crate::recipe::Best;
use crate::{HeadError, Result};

/// Kind of a course.
pub const COURSE: &str = "refresh-course";
const COURSE_FORMAT: u32 = 1;

impl Course {
    /// The course as a file, for its owner alone.
    ///
    /// # Errors
    ///
    /// Only if the container cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let shape = [self.v.nrows(), self.v.ncols()];
        // Row by row, as people read them.
        let rows = |m: &DMatrix<f64>| m.transpose().as_slice().to_vec();
        let mut writer = ContainerWriter::new(COURSE, COURSE_FORMAT)
            .metadata(JOB_ID, self.job.to_string())
            .metadata(files::KEY_ID, self.key.to_string())
            .metadata("iteration", self.iteration.to_string())
            .f64("v", &shape, rows(&self.v))
            .f64("w", &shape, rows(&self.w));
        if let Some((request, answer)) = self.round {
            writer = writer
                .metadata(refresh::REQUEST_DIGEST, request.to_string())
                .metadata(refresh::ANSWER_DIGEST, answer.to_string());
        }
        if let Some(iteration) = self.diverged {
            writer = writer.metadata("diverged", iteration.to_string());
        }
        if let Some((Best { iteration, right }, w)) = &self.best {
            writer = writer
                .metadata("best_iteration", iteration.to_string())
                .metadata("best_right", right.to_string())
                .f64("best", &shape, rows(w));
        }
        if self.stopped {
            writer = writer.metadata(STOPPED, "");
        }
        Ok(writer.to_bytes()?)
    }

    /// Reads a course that belongs to some keys.
    ///
    /// # Errors
    ///
    /// For a file that is damaged, no course, or of other keys.
    pub fn from_bytes(keys: &Keys, bytes: &[u8]) -> Result<Self> {
        let container = Container::parse(bytes, COURSE, COURSE_FORMAT)?;
        let shape = [keys.plan.shape().classes, keys.plan.shape().columns()];
        let matrix = |name: &str| -> Result<DMatrix<f64>> {
            let values: Vec<f64> = container.tensor(name)?.of_shape(&shape)?.f64s()?.collect();
            Ok(DMatrix::from_row_slice(shape[0], shape[1], &values))
        };
        let metadata = container.all_metadata();
        let digest = |name: &str| metadata.get(name).map(|text| text.parse()).transpose();
        let round = digest(refresh::REQUEST_DIGEST)?.zip(digest(refresh::ANSWER_DIGEST)?);
        let iteration: usize = container.parse_metadata("iteration")?;
        let diverged = metadata.get("diverged").map(|_| container.parse_metadata("diverged")).transpose()?;
        let key = KeyId::parse(container.metadata(files::KEY_ID)?);
        if key != Some(keys.id()) || round.is_none() != (iteration == 0) {
            return Err(HeadError::InvalidArtefact("these steps were made with other keys".into()));
        }
        let best = match metadata.contains_key("best_iteration") {
            true => {
                let [iteration, right] =
                    [container.parse_metadata("best_iteration")?, container.parse_metadata("best_right")?];
                Some((Best { iteration, right }, matrix("best")?))
            }
            false => None,
        };
        let (job, stopped) = (job_id_of(container.header())?, metadata.contains_key(STOPPED));
        if stopped && best.is_none() {
            return Err(HeadError::InvalidArtefact(
                "these steps were ended, and their best weights are missing".into(),
            ));
        }
        let (v, w) = (matrix("v")?, matrix("w")?);
        Ok(Self { job, key: keys.id(), iteration, v, w, round, diverged, best, stopped })
    }
}
