//! The documents of a refresh: a *request* goes from the server to the owner, an *answer* back.
//!
//! ```text
//! server                                            owner
//!   G_1 from the job      ─► request 1 ─►             V_1, W_1 in the clear
//!   G_2 at V_1            ◄─ answer 1 ◄─              Enc(V_1), fresh
//!   ...
//!   G_T at V_{T-1}        ─► the model ─►             W_T
//! ```
//!
//! Each names the plan, the job, the key, its iteration t, and by digest the document that it was made from: request t
//! the answer t - 1, answer t the request t. So what does not follow one from the other is refused on either side.
//!
//! | kind | tensors |
//! |---|---|
//! | `refresh-request` | `gradient`: G_t, open, both halves of one ciphertext a weight ciphertext, at most two limbs |
//! | `refresh-answer` | `weights`: V_t, seeded, at the plan's top level |

use std::fmt;
use std::str::FromStr;

use ciphertune_ckks::container::{Container, ContainerWriter};
use ciphertune_ckks::{KeyId, Parameters};
use sha2::{Digest as _, Sha256};

use super::{JobId, document, job_id_of, origin};
use crate::plan::Refresh;
use crate::{HeadError, Plan, Result};

/// Kind of a request.
pub const REQUEST: &str = "refresh-request";
/// Kind of an answer.
pub const ANSWER: &str = "refresh-answer";
/// The format version of both.
pub const FORMAT: u32 = 1;

/// Metadata: t.
const ITERATION: &str = "iteration";
/// Metadata of a request and of a model: the digest of the answer that its gradient was taken at.
pub(super) const ANSWER_DIGEST: &str = "answer";
/// Metadata of an answer: the digest of the request that it answers.
pub(super) const REQUEST_DIGEST: &str = "request";

/// Tensor name of the gradient in a request.
pub(super) const GRADIENT: &str = "gradient";
/// Tensor name of the weights in an answer.
pub(super) const WEIGHTS: &str = "weights";
/// Says of an answer that it holds no weights: the owner ends the training.
pub(super) const STOPPED: &str = "stopped";

/// SHA-256 of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of a document's bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Digest {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self> {
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        let digest = bytes.filter(|_| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()));
        let digest = digest.and_then(|bytes| bytes.try_into().ok());
        let bad = || HeadError::InvalidArtefact("a digest in it is not 64 hexadecimal digits".into());
        digest.map(Self).ok_or_else(bad)
    }
}

/// What a document of a refresh says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The job.
    pub job: JobId,
    /// The secret key.
    pub key: KeyId,
    /// t, from 1.
    pub iteration: usize,
    /// Digest of the document that it was made from; a first request has none.
    pub from: Option<Digest>,
}

impl Place {
    /// Reads what a request says of itself, and checks what can be checked without anything else.
    ///
    /// # Errors
    ///
    /// For bytes that are no request, are damaged, or contradict themselves.
    pub fn of_request(bytes: &[u8]) -> Result<Self> {
        Ok(read(bytes, REQUEST)?.1)
    }

    /// The same of an answer.
    ///
    /// # Errors
    ///
    /// As [`Self::of_request`].
    pub fn of_answer(bytes: &[u8]) -> Result<Self> {
        Ok(read(bytes, ANSWER)?.1)
    }
}

/// A document of a refresh, with the plan and parameters in it.
pub(super) struct Read<'a> {
    pub container: Container<'a>,
    pub plan: Plan,
    pub parameters: Parameters,
}

/// Reads a document of a refresh.
pub(super) fn read<'a>(bytes: &'a [u8], kind: &str) -> Result<(Read<'a>, Place)> {
    let container = Container::parse(bytes, kind, FORMAT)?;
    let (plan, parameters, key) = origin(container.header())?;
    let inconsistent = |reason: &str| HeadError::InvalidArtefact(reason.into());
    if plan.refresh() == Refresh::Never {
        return Err(inconsistent("its plan has no refreshes"));
    }
    let iteration: usize = container.parse_metadata(ITERATION)?;
    if !(1..plan.recipe().iterations()).contains(&iteration) {
        return Err(inconsistent("its iteration is none that is followed by another"));
    }
    let (name, first) = if kind == REQUEST { (ANSWER_DIGEST, iteration == 1) } else { (REQUEST_DIGEST, false) };
    let from = container.all_metadata().get(name).map(|text| text.parse()).transpose()?;
    if from.is_none() != first {
        return Err(inconsistent("it does not say what it was made from"));
    }
    let job = job_id_of(container.header())?;
    Ok((Read { container, plan, parameters }, Place { job, key, iteration, from }))
}

/// Begins a document of a refresh.
pub(super) fn write<'a>(kind: &str, plan: &Plan, place: &Place) -> ContainerWriter<'a> {
    let writer = document(kind, FORMAT, plan, place.job, place.key).metadata(ITERATION, place.iteration.to_string());
    let name = if kind == REQUEST { ANSWER_DIGEST } else { REQUEST_DIGEST };
    match place.from {
        Some(digest) => writer.metadata(name, digest.to_string()),
        None => writer,
    }
}
