//! The client's steps: make keys, encrypt rows or a head, decrypt an answer; from documents to documents.

use std::io::{Seek, Write};
use std::path::Path;

use ciphertune_ckks::container::ContainerError;
use ciphertune_ckks::{self as ckks, KeyId};
use ciphertune_head::inference::InferencePlan;
use ciphertune_head::inference::client::{self, Answerer, HeadRecord, Keys, Logits, Query};
use ciphertune_head::{Classes, Head, HeadError};
use zeroize::Zeroizing;

use super::folder::InferenceFolder;
use crate::error::{InFile, Result};
use crate::examples::Examples;
use crate::files::{Document, cannot_write};
use crate::observer::{Observer, Running, Step};

/// Makes keys for a plan: returns the secret key's document and identifier, and writes the evaluation keys' document to
/// `evaluation`.
///
/// # Errors
///
/// If the random generator or `evaluation` fails.
pub fn make_keys(
    plan: &InferencePlan,
    evaluation: &mut impl Write,
    observer: &dyn Observer,
) -> Result<(Zeroizing<Vec<u8>>, KeyId)> {
    let _running = Running::new(observer, Step::Keys, None);
    let keys = Keys::generate(plan)?;
    keys.write_evaluation_keys(evaluation)?;
    Ok((Zeroizing::new(keys.secret_key_to_bytes()?.to_vec()), keys.id()))
}

/// Encrypts rows: the query, which is written to `out`, goes to the server. `path` is what it will be called.
///
/// # Errors
///
/// For rows that do not fit the keys, and [`Error::is_stopped`](crate::Error::is_stopped) soon after the observer asks
/// for it.
pub fn encrypt_rows(
    keys: &Keys,
    rows: &Examples,
    out: &mut (impl Write + Seek),
    path: &Path,
    observer: &dyn Observer,
) -> Result<Query> {
    let ciphertexts = client::query_ciphertexts(keys.plan(), rows.table.rows()).in_file(&rows.path)?;
    let running = Running::new(observer, Step::Encrypting, Some(ciphertexts as u64));
    let progress = |done, _| {
        running.advance(done as u64);
        if observer.is_stopped() { Err(ckks::Error::Stopped.into()) } else { Ok(()) }
    };
    match client::encrypt_rows(keys, &rows.table, out, &progress) {
        Err(HeadError::Container(ContainerError::Io(error))) => Err(cannot_write(path, &error)),
        made => made.in_file(&rows.path),
    }
}

/// Encrypts a head that was read from `from`: the record stays, the encrypted head, which is written to `out` and will
/// be called `path`, goes to the server. Returns the bytes written as well.
///
/// # Errors
///
/// For a head that does not fit the keys.
pub fn encrypt_head(
    keys: &Keys,
    head: &Head,
    from: &Path,
    out: &mut (impl Write + Seek),
    path: &Path,
) -> Result<(HeadRecord, u64)> {
    match client::encrypt_head(keys, head, out) {
        Err(HeadError::Container(ContainerError::Io(error))) => Err(cannot_write(path, &error)),
        made => made.in_file(from),
    }
}

/// Decrypts an answer: logits, and the names of their classes.
///
/// # Errors
///
/// For an answer that is damaged or belongs to other keys, or whose head these keys have no record of.
pub fn decrypt(folder: &InferenceFolder<'_>, answer: &Document) -> Result<(Logits, Classes)> {
    let logits = client::open(&folder.keys()?, &answer.bytes).in_file(&answer.path)?;
    let classes = match &logits.answerer {
        Answerer::Clear(classes) => classes.clone(),
        Answerer::Encrypted(head) => folder.record(*head, &answer.path)?.classes().clone(),
    };
    Ok((logits, classes))
}
