//! The owner's steps to a head that may be shown: noise, what is left under it, and the check on rows that are known.

use std::path::Path;

use ciphertune_head::HeadError;
use ciphertune_head::job::owner::{self, Flooded, Keys, Record, Release, Released};

use crate::error::{Error, InFile, Result};
use crate::examples::Examples;
use crate::files::Document;
use crate::keys_folder::KeysFolder;

/// The fewest bits of a logit that a head is published with, unless the owner asks for it.
pub const LEAST_LOGIT_BITS: f64 = 0.5;

/// How a head is to be published.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// How many models in all will be published of the keys: more need more noise each.
    pub releases: u32,
    /// Publishes a head even if its logits are mostly noise.
    pub anyway: bool,
    /// What it is checked on first.
    pub check: CheckedOn<'a>,
}

/// What a head is checked on before it is shown.
#[derive(Clone, Copy)]
pub enum CheckedOn<'a> {
    /// The rows that the record of its job holds.
    KeptRows,
    /// A table of the owner's.
    Table(&'a Examples),
    /// Nothing: a server that deviates may have made of it what shows the owner's data.
    Nothing,
}

/// A head that may be shown.
pub struct Published {
    /// The head, its noise and its check.
    pub released: Released,
    /// Which of the models of these keys it is, counted from 1.
    pub which: usize,
}

/// Publishes a model of a job: adds noise, checks, and counts the head in the folder of its keys, before anybody can see
/// it. One that is refused is not counted.
///
/// # Errors
///
/// As [`Releases::check`](crate::keys_folder::Releases::check), and for a head that has too little left above its noise or
/// does not pass its check.
pub fn publish(
    folder: &KeysFolder,
    keys: &Keys,
    record: &Record,
    model: &Document,
    terms: &Terms,
) -> Result<Published> {
    let mut made = folder.releases()?;
    made.check(terms.releases)?;
    let flooded = flood(keys, record, model, terms.releases, terms.anyway)?;
    let released = match terms.check {
        CheckedOn::KeptRows => check(flooded, record, None, &model.path)?,
        CheckedOn::Table(table) => check(flooded, record, Some(table), &model.path)?,
        CheckedOn::Nothing => flooded.unchecked(),
    };
    let which = made.next();
    made.add(record.job(), terms.releases)?;
    Ok(Published { released, which })
}

/// Decrypts a model into a head with the noise that makes so many decrypted models safe to show. It cannot be read before
/// it is checked, or its owner does without. A head whose logits are mostly noise is refused, unless `anyway`.
fn flood(keys: &Keys, record: &Record, model: &Document, releases: u32, anyway: bool) -> Result<Flooded> {
    let flooded = owner::flood(keys, record, &model.bytes, releases).in_file(&model.path)?;
    require_bits_in_logits(flooded.release(), anyway)?;
    Ok(flooded)
}

fn require_bits_in_logits(release: &Release, anyway: bool) -> Result<()> {
    let bits = release.logit_bits();
    if anyway || bits >= LEAST_LOGIT_BITS {
        return Ok(());
    }
    Err(Error::input(format!(
        "only {bits:.1} bits of a logit would be left above the noise that makes the head safe to show, at least \
         {LEAST_LOGIT_BITS} are needed: make keys with a larger --publish-bits and train again, or publish this head \
         with --anyway"
    )))
}

/// Checks a head that is to be shown on rows of a table, or else on those that the job's record holds.
fn check(flooded: Flooded, record: &Record, table: Option<&Examples>, model: &Path) -> Result<Released> {
    match (table, record.kept_rows()) {
        (Some(examples), _) => {
            flooded.check(&examples.table).map_err(|error| {
                // What is wrong with the head is not the table's fault.
                let path = if matches!(error, HeadError::NotBetter { .. }) { model } else { &examples.path };
                Error::from(error).in_file(path)
            })
        }
        (None, Some(rows)) => flooded.check(rows).in_file(model),
        (None, None) => Err(Error::input(
            "the record of its job was written by an earlier version and holds no rows to check the head on:              name a table of your own with --check TABLE, or pass --unchecked",
        )
        .in_file(model)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(precision_bits: f64, features: usize) -> Release {
        Release { deviation: 1.0, precision_bits, features, cleaned: true }
    }

    #[test]
    fn a_head_with_less_than_half_a_bit_a_logit_is_refused_unless_asked_for() {
        // log2 sqrt(1024) = 5.
        let error = require_bits_in_logits(&release(5.4, 1023), false).unwrap_err().to_string();
        assert!(error.contains("0.4 bits of a logit") && error.contains("--anyway"), "{error}");
        require_bits_in_logits(&release(5.4, 1023), true).unwrap();
        require_bits_in_logits(&release(5.6, 1023), false).unwrap();
        // The same weights are enough for a head of few features.
        require_bits_in_logits(&release(5.4, 255), false).unwrap();
    }
}
