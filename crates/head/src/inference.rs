//! Encrypted inference: a client asks with encrypted rows, a server that has a head answers with encrypted logits.
//!
//! ```text
//! client                                             server
//!   plan ─ Keys::generate ─► secret key (stays)
//!                            evaluation keys ────────► QueryReader
//!   rows ─ encrypt_rows ───► query ──────────────────►   │  and its head: in the clear,
//!   logits ◄─ open ◄──────── answer ◄────────────────  ──┘  or as the client encrypted it
//! ```
//!
//! Rows are raw features, as [`crate::Head`] takes them: the scaler is folded into the head, so nobody needs it. What is
//! computed is the forward pass of layout `class-diagonal`, one product that is not rescaled, so two limbs and one
//! special prime are enough: log QP = 148 in a ring of 2^13 ([`geometry`] has the arrangement).
//!
//! [`client`] and [`server`] share the plan and the kinds of the documents: no type that holds a secret or a row appears
//! in `server`.

mod circuit;
pub mod client;
pub mod geometry;
mod heads;
mod plan;
pub mod server;
#[cfg(test)]
mod tests;

pub use geometry::Geometry;
pub use plan::{HeadForm, InferencePlan};

use ciphertune_ckks::container::Header;
use ciphertune_ckks::{KeyId, Parameters, files};

use crate::{HeadError, Result};

/// Kind of a query: the encrypted rows.
pub const QUERY: &str = "query";
/// Kind of an answer: the encrypted logits.
pub const ANSWER: &str = "answer";
/// Kind of an encrypted head.
pub const ENCRYPTED_HEAD: &str = "encrypted-head";
/// Kind of the client's record of an encrypted head.
pub const HEAD_RECORD: &str = "head-record";
/// The format version of all four.
pub const INFERENCE_FORMAT: u32 = 1;

/// Metadata: the plan, as JSON.
const PLAN: &str = "inference-plan";
/// Metadata: the query's identifier.
const QUERY_ID: &str = "query-id";
/// Metadata: the encrypted head's identifier.
const HEAD_ID: &str = "head-id";
/// Metadata: number of rows.
const ROWS: &str = "rows";
/// Metadata: rows in each part of a block.
const BLOCK: &str = "block";
/// Metadata: the class names, as a JSON list.
const CLASSES: &str = "classes";

/// The most rows of a query.
const MOST_ROWS: usize = 1 << 24;

/// Names a query: random, and says nothing about it.
pub type QueryId = KeyId;
/// Names an encrypted head: random, and says nothing about it.
pub type HeadId = KeyId;

/// The plan in a document.
///
/// # Errors
///
/// For a document without a plan for inference, or with one that contradicts itself.
pub fn plan_of(header: &Header) -> Result<InferencePlan> {
    match header.all_metadata().get(PLAN) {
        Some(text) => InferencePlan::from_json(text),
        None => Err(HeadError::Mismatch(
            "it was made for training, not for inference: pass one that was made with --for-inference".into(),
        )),
    }
}

/// Plan, parameters and key of a document, all checked.
fn origin(header: &Header) -> Result<(InferencePlan, Parameters, KeyId)> {
    let plan = plan_of(header)?;
    let parameters = plan.parameters()?;
    let key = files::check_origin(header, &parameters)?;
    Ok((plan, parameters, key))
}

fn id_of(header: &Header, key: &str) -> Result<KeyId> {
    KeyId::parse(header.metadata(key)?)
        .ok_or_else(|| HeadError::InvalidArtefact(format!("the {key} is not 32 hexadecimal digits")))
}

/// How the rows of a document lie in ciphertexts, checked against the plan: rows and geometry.
fn arrangement(header: &Header, plan: &InferencePlan) -> Result<(usize, Geometry)> {
    let (rows, block): (usize, usize) = (header.parse_metadata(ROWS)?, header.parse_metadata(BLOCK)?);
    let bad =
        || HeadError::InvalidArtefact("an impossible number of rows, or an arrangement that its plan has not".into());
    let geometry = plan.geometry(block).filter(|_| (1..=MOST_ROWS).contains(&rows)).ok_or_else(bad)?;
    Ok((rows, geometry))
}
