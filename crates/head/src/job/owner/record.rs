//! What the owner keeps of a job.

use ciphertune_ckks::container::{Container, ContainerError, ContainerWriter};

use super::super::{FIRST_RECORD_FORMAT, JOB_ID, JobId, RECORD, RECORD_FORMAT, job_id_of};
use super::cleanup::Covariance;
use super::course::Course;
use super::kept;
use crate::column_names::ColumnNames;
use crate::provenance::{self, Provenance};
use crate::{Classes, FeatureTable, HeadError, Result, Scaler};

/// What the owner keeps of a job, to turn the decrypted weights into a head for raw features.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub(super) job: JobId,
    pub(super) scaler: Scaler,
    pub(super) unscale: Vec<f64>,
    pub(super) w0: f64,
    pub(super) classes: Classes,
    pub(super) magnitude: f64,
    pub(super) provenance: Option<Provenance>,
    pub(super) names: Option<ColumnNames>,
    /// For the clean-up of a release.
    pub(super) covariance: Option<Covariance>,
    /// For the check of a release.
    pub(super) kept: Option<FeatureTable>,
    /// Of a training that is refreshed; a document of its own.
    pub(super) course: Option<Course>,
}

impl Record {
    /// The job's identifier.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// The scaler that was fitted or given.
    pub fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// The classes, in the order of the labels.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// The backbone and preprocessing of the features, if known.
    pub fn provenance(&self) -> Option<&Provenance> {
        self.provenance.as_ref()
    }

    /// What the columns of the table were called, if they had names.
    pub fn names(&self) -> Option<&ColumnNames> {
        self.names.as_ref()
    }

    /// How large the encrypted numbers are in units of what plans take for granted: the larger of the root mean square
    /// of x^ and of the square root of the largest eigenvalue of x^T x^ / n, times the first rate over 4/n and over the
    /// recipe's [stride](crate::Recipe::stride) where that
    /// is above one. Whitened features and the paper's preconditioning keep it at one or below.
    pub fn magnitude(&self) -> f64 {
        self.magnitude
    }

    /// Whether the plan's prediction of errors holds for this job, and with it the noise that makes a model safe to
    /// show.
    pub fn is_within_plan(&self) -> bool {
        self.magnitude <= MOST_MAGNITUDE
    }

    /// Some of the rows that were encrypted, with their labels: every release of the job's model is checked on them.
    /// `None` in a record that was written by an earlier version.
    pub fn kept_rows(&self) -> Option<&FeatureTable> {
        self.kept.as_ref()
    }

    /// The record with the owner's steps so far of the job's training, which a model of a refreshed training is decrypted
    /// with. They are no part of the record's file: they change with every refresh, and have their own.
    pub fn with_course(self, course: Course) -> Self {
        Self { course: Some(course), ..self }
    }

    /// The owner's steps, if they were put in.
    pub fn course(&self) -> Option<&Course> {
        self.course.as_ref()
    }

    /// The record as a file.
    ///
    /// # Errors
    ///
    /// Only if the container cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let scaler = self.scaler.to_bytes()?;
        let names = serde_json::to_string(self.classes.names()).expect("a list of strings");
        let mut writer = ContainerWriter::new(RECORD, RECORD_FORMAT)
            .metadata(JOB_ID, self.job.to_string())
            .metadata("classes", names);
        if let Some(provenance) = &self.provenance {
            writer = writer.metadata(provenance::KEY, provenance.to_json());
        }
        for (key, text) in self.names.iter().flat_map(ColumnNames::entries) {
            writer = writer.metadata(key, text);
        }
        if let Some(covariance) = &self.covariance {
            writer = covariance.write(writer);
        }
        if let Some(rows) = &self.kept {
            writer = kept::write(rows, &self.classes, writer)?;
        }
        Ok(writer
            .f64("unscale", &[self.unscale.len()], &self.unscale[..])
            .f64("initial-weight", &[1], vec![self.w0])
            .f64("magnitude", &[1], vec![self.magnitude])
            .u8("scaler", &[scaler.len()], scaler)
            .to_bytes()?)
    }

    /// Reads a record, also of the first format, which lacks what releases are cleaned and checked with.
    ///
    /// # Errors
    ///
    /// For a file that is damaged or no record.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let container = match Container::parse(bytes, RECORD, RECORD_FORMAT) {
            Err(ContainerError::OlderVersion { found: FIRST_RECORD_FORMAT, .. }) => {
                Container::parse(bytes, RECORD, FIRST_RECORD_FORMAT)?
            }
            outcome => outcome?,
        };
        let names: Vec<String> = serde_json::from_str(container.metadata("classes")?)
            .map_err(|e| HeadError::InvalidArtefact(format!("the classes are no list of names: {e}")))?;
        let scaler = Scaler::from_bytes(container.tensor("scaler")?.u8s()?)?;
        let unscale: Vec<f64> = container.tensor("unscale")?.f64s()?.collect();
        let single = |name: &str| -> Result<f64> {
            Ok(container.tensor(name)?.of_shape(&[1])?.f64s()?.next().expect("a tensor of shape [1] has one element"))
        };
        let (w0, magnitude) = (single("initial-weight")?, single("magnitude")?);
        if unscale.len() != scaler.features() + 1 || !unscale.iter().chain([&w0, &magnitude]).all(|x| x.is_finite()) {
            return Err(HeadError::InvalidArtefact("the record's numbers do not fit its scaler".into()));
        }
        let classes = Classes::from_names(names)?;
        let provenance = container.all_metadata().get(provenance::KEY);
        let provenance = provenance.map(|text| Provenance::from_json(text)).transpose()?;
        let entry = |key: &str| container.all_metadata().get(key).map(String::as_str);
        let names = ColumnNames::from_entries(entry, scaler.features())?;
        let covariance = Covariance::read(&container, scaler.features())?;
        let kept = kept::read(&container, &classes, scaler.features())?;
        let job = job_id_of(container.header())?;
        let course = None;
        Ok(Self { job, scaler, unscale, w0, classes, magnitude, provenance, names, covariance, kept, course })
    }
}

/// The largest [`Record::magnitude`] that the margin in the plan's prediction of errors covers.
pub(super) const MOST_MAGNITUDE: f64 = 1.25;
