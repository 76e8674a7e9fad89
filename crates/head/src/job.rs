//! Jobs: the documents that owner and server exchange, as bytes, and what each side does with them.
//!
//! ```text
//! owner                                                server
//!   plan ─ generate_keys ─► secret key (stays)
//!                           evaluation keys ─────────► JobReader, Trainer
//!   table ─ encrypt ──────► record (stays)               │
//!                           job ─────────────────────►   │ train
//!   head ◄─ decrypt ◄────── model ◄────────────────────  ┘
//! ```
//!
//! Several owners may give to one job, each under a key of its own, for a key holder who has no data
//! ([`crate::plan::contributions`]):
//!
//! ```text
//! key holder   keys, masks of entry keys ─► each owner its own
//! owner        rows ─ contribute ─► contribution ─┐
//! server                                          ├─ enter ─► job ─ train ─► model
//! key holder   model ─ open_weights ─► ReleasedWeights ─► owners, who have the scaler
//! ```
//!
//! Several servers may train some of the classes each, see [`part`].
//!
//! A plan with refreshes ([`crate::plan::Refresh`]) has a round between every two iterations, see [`refresh`].
//!
//! [`owner`] and [`server`] share the plan and the kinds of the documents, and nothing else: no type that holds a
//! secret, a feature or a label appears in `server`. Everything read is checked, and everything carries the plan, the
//! key's and the job's identifier, so that what does not belong together is refused.

pub mod owner;
pub mod part;
pub mod refresh;
pub mod server;
mod upload;

use std::ops::RangeInclusive;

use ciphertune_ckks::container::{ContainerWriter, Header};
use ciphertune_ckks::files::Group;
use ciphertune_ckks::{KeyId, Parameters, files};

use crate::layout::Input;
use crate::{HeadError, Plan, Result};

/// Kind of a job: the encrypted features and labels.
pub const JOB: &str = "job";
/// Kind of an encrypted model.
pub const MODEL: &str = "encrypted-model";
/// Kind of the owner's record of a job.
pub const RECORD: &str = "job-record";
/// The format versions of jobs that are read. The last one is written: since 3 every ciphertext has a digest of its own
/// ([`ciphertune_ckks::container`]).
pub const JOB_FORMATS: RangeInclusive<u32> = 2..=3;
/// Kind of an owner's contribution to a job of several.
pub const CONTRIBUTION: &str = "contribution";
/// The format version of contributions.
pub const CONTRIBUTION_FORMAT: u32 = 1;
/// Kind of weights that a key holder opened.
pub const RELEASED_WEIGHTS: &str = "released-weights";
/// The format version of released weights.
pub const RELEASED_WEIGHTS_FORMAT: u32 = 1;
/// The format version of encrypted models.
pub const MODEL_FORMAT: u32 = 2;
/// The format version of records.
const RECORD_FORMAT: u32 = 2;
/// Records that hold neither a covariance nor rows to check a release with; still read.
const FIRST_RECORD_FORMAT: u32 = 1;

/// Metadata: the plan, as JSON.
const PLAN: &str = "plan";
/// Metadata: the job's identifier.
const JOB_ID: &str = "job-id";
/// Metadata: the iterations that a model holds, as a JSON list.
const ITERATIONS: &str = "iterations";

/// Metadata: which contribution of its plan it is, from 0.
const CONTRIBUTION_INDEX: &str = "contribution";

/// Metadata: which part of a model it is, where it is not the whole.
const PART: &str = "part";

/// Names a job: random, and says nothing about it.
pub type JobId = KeyId;

/// Tensor name of the ciphertexts of a role.
fn group_name(role: crate::layout::Role) -> &'static str {
    match role {
        crate::layout::Role::Data => "data",
        crate::layout::Role::Labels => "labels",
        crate::layout::Role::Offset => "offset",
        crate::layout::Role::Weights => "weights",
    }
}

/// Some ciphertexts of an upload, by their places in it, as a document groups them: in runs of one role.
fn in_groups<'a>(inputs: &[Input], wanted: &'a [usize]) -> Vec<(&'a [usize], Group)> {
    let runs = wanted.chunk_by(|a, b| inputs[*a].role == inputs[*b].role);
    let group = |run: &'a [usize]| {
        let (Input { role, level, .. }, scales) = (inputs[run[0]], run.iter().map(|index| inputs[*index].scale));
        (run, Group { name: group_name(role).into(), level, scales: scales.collect() })
    };
    runs.map(group).collect()
}

/// The plan in a document.
///
/// # Errors
///
/// For a document without a plan, or with one that contradicts itself.
pub fn plan_of(header: &Header) -> Result<Plan> {
    Plan::from_json(header.metadata(PLAN)?)
}

/// The job identifier in a document.
///
/// # Errors
///
/// For a document without one.
pub fn job_id_of(header: &Header) -> Result<JobId> {
    KeyId::parse(header.metadata(JOB_ID)?)
        .ok_or_else(|| HeadError::InvalidArtefact("the job identifier is not 32 hexadecimal digits".into()))
}

/// A document of a job, with what it belongs to.
fn document<'a>(kind: &str, format: u32, plan: &Plan, job: JobId, key: KeyId) -> ContainerWriter<'a> {
    ContainerWriter::new(kind, format)
        .metadata(PLAN, plan.to_json())
        .metadata(JOB_ID, job.to_string())
        .metadata(files::KEY_ID, key.to_string())
        .metadata(files::PARAMETERS_DIGEST, plan.literal().digest())
}

/// The plan, parameters and key identifier of a document, all checked.
fn origin(header: &Header) -> Result<(Plan, Parameters, KeyId)> {
    let plan = plan_of(header)?;
    let parameters = plan.parameters()?;
    let id = files::check_origin(header, &parameters)?;
    Ok((plan, parameters, id))
}
