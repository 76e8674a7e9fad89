//! The owner's steps: make keys, encrypt a table, decrypt a model; from documents to documents.

use std::io::{Seek, Write};
use std::path::Path;

use ciphertune_ckks::container::ContainerError;
use ciphertune_ckks::{self as ckks, KeyId};
use ciphertune_head::job::owner::{self, Decrypted, EncryptedJob, Keys, Record};
use ciphertune_head::{Classes, ColumnNames, DMatrix, HeadError, Plan, Provenance, Recipe, Scaler, SilentFeatures};
use zeroize::Zeroizing;

use crate::error::{Error, InFile, Result};
use crate::examples::Examples;
use crate::files::{Document, cannot_write};
use crate::observer::{Observer, Running, Step};
use crate::text::count;

/// Makes keys for a plan: returns the secret key's document and identifier, and writes the evaluation keys' document to
/// `evaluation`.
///
/// # Errors
///
/// If the random generator or `evaluation` fails.
pub fn make_keys(
    plan: &Plan,
    evaluation: &mut impl Write,
    observer: &dyn Observer,
) -> Result<(Zeroizing<Vec<u8>>, KeyId)> {
    let keys = Keys::generate(plan)?;
    write_evaluation_keys(&keys, evaluation, observer)?;
    Ok((secret_document(&keys)?, keys.id()))
}

/// Writes evaluation keys for a secret key: others each time, and any of them will do.
///
/// # Errors
///
/// If the random generator or `evaluation` fails.
pub fn write_evaluation_keys(keys: &Keys, evaluation: &mut impl Write, observer: &dyn Observer) -> Result<()> {
    let _running = Running::new(observer, Step::Keys, None);
    Ok(keys.write_evaluation_keys(evaluation)?)
}

/// The secret key's document.
pub fn secret_document(keys: &Keys) -> Result<Zeroizing<Vec<u8>>> {
    Ok(Zeroizing::new(keys.secret_key_to_bytes()?.to_vec()))
}

/// Reads the secret key that was made for a plan.
pub fn open_keys(plan: &Plan, secret: &[u8], path: &Path) -> Result<Keys> {
    Keys::from_bytes(plan, secret).in_file(path)
}

/// Encrypts examples: the record stays, the job, which is written to `out`, goes to the server.
pub fn encrypt(
    keys: &Keys,
    train: &Examples,
    scaler: Option<Scaler>,
    out: &mut (impl Write + Seek),
    job: &Path,
    observer: &dyn Observer,
) -> Result<EncryptedJob> {
    if let Some(scaler) = &scaler {
        check_scaler(keys.plan(), scaler)?;
    }
    if let Some(warning) = silent_features(&SilentFeatures::of(train.table.features(), scaler.as_ref())) {
        observer.warn(&format!("{}: {warning}", train.path.display()));
    }
    let running = Running::new(observer, Step::Encrypting, Some(keys.plan().inputs().len() as u64));
    let progress = |done, _| {
        running.advance(done as u64);
        if observer.is_stopped() { Err(ckks::Error::Stopped.into()) } else { Ok(()) }
    };
    match owner::encrypt(keys, &train.table, scaler, out, &progress) {
        Err(HeadError::Container(ContainerError::Io(error))) => Err(cannot_write(job, &error)),
        made => made.in_file(&train.path),
    }
}

/// What to say of a recipe whose training may diverge, if it may.
pub fn divergence(recipe: &Recipe) -> Option<String> {
    recipe.may_diverge().then(|| {
        format!(
            "nothing holds the logits of {} iterations within the sigmoid's range, so training may diverge: leave \
             --ridge and --decay at their defaults, or try --ridge 0.1",
            recipe.iterations()
        )
    })
}

/// What to say of features that tell nothing about a row, if there are any.
pub fn silent_features(silent: &SilentFeatures) -> Option<String> {
    let named = |places: &[usize]| {
        let shown: Vec<String> = places.iter().take(5).map(|place| (place + 1).to_string()).collect();
        let more = if places.len() > 5 { ", ..." } else { "" };
        format!("{} ({}{more})", count(places.len(), "feature"), shown.join(", "))
    };
    if silent.is_empty() {
        return None;
    }
    if silent.is_everything() {
        return Some(
            "no feature differs from row to row, so a head cannot tell rows apart: check the table".to_owned(),
        );
    }
    let mut parts = Vec::new();
    if !silent.constant.is_empty() {
        parts.push(format!("{} the same in every row, which training ignores", named(&silent.constant)));
    }
    if !silent.ignored.is_empty() {
        parts.push(format!(
            "{} that the scaler ignores, since they were constant where it was fitted",
            named(&silent.ignored)
        ));
    }
    Some(format!("the table has {}", parts.join(", and ")))
}

/// A scaler from a file must be of the kind that the recipe reckons with: steps are made for it.
pub fn check_scaler(plan: &Plan, scaler: &Scaler) -> Result<()> {
    let (expected, found) = (plan.recipe().scaler(), scaler.kind());
    if expected == found {
        return Ok(());
    }
    Err(Error::input(format!(
        "the scaler is of kind {found}, the keys' recipe was made for {expected}: make keys with --scaler {found}, or fit another scaler"
    )))
}

/// A decrypted model, and what is known about its precision. For its owner's eyes only.
pub struct Opened {
    /// The heads.
    pub decrypted: Decrypted,
    /// log2 of the largest trained weight over the plan's bound on the error of any one weight.
    pub precision_bits: f64,
    /// The iterates in the coordinates that were trained in, for comparison with a twin.
    pub weights: Vec<(usize, DMatrix<f64>)>,
}

/// Decrypts a model.
pub fn decrypt(keys: &Keys, record: &Record, model: &Document) -> Result<Opened> {
    let decrypted = owner::decrypt(keys, record, &model.bytes).in_file(&model.path)?;
    let weights = owner::decrypt_weights(keys, record, &model.bytes).in_file(&model.path)?;
    let largest = weights.last().map_or(0.0, |(_, u)| u.amax());
    let precision_bits = (largest / keys.plan().estimate()?.weight_bound()).log2();
    Ok(Opened { decrypted, precision_bits, weights })
}

/// Refuses, before any work, test labels that training never sees.
pub fn check_test_table(train: &Examples, test: &Examples) -> Result<()> {
    let classes = train.table.require_labels().and_then(Classes::from_labels).in_file(&train.path)?;
    test.table.require_labels().and_then(|labels| classes.indices(labels)).in_file(&test.path)?;
    Provenance::check(test.table.provenance(), train.table.provenance(), "training table").in_file(&test.path)?;
    ColumnNames::check(test.table.names(), train.table.names(), "training table").in_file(&test.path)?;
    let (found, expected) = (test.table.columns(), train.table.columns());
    if found != expected {
        let error = HeadError::FeatureCount { found, expected, what: "training table" };
        return Err(error).in_file(&test.path);
    }
    Ok(())
}
