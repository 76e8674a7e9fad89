//! `decrypt --logits`: an answer becomes labels.

use std::path::Path;

use ciphertune_head::metrics::predicted_classes;
use ciphertune_head::{Classes, DMatrix};

use crate::errors::{CliError, Result};
use crate::text::{count, say, seconds};
use ciphertune_session::files::{Document, NewFile, Privacy};
use ciphertune_session::inference::client;
use ciphertune_session::inference::folder::InferenceFolder;
use ciphertune_session::rehearsal::timed;

/// Decrypts the answer into a table of labels, with `scores` of logits as well.
pub fn decrypt(answer: &Path, scores: bool, keys: &Path, out: &Path, force: bool) -> Result<()> {
    // Labels as well: they come from a decryption.
    let file = NewFile::plan(out, Privacy::Private, force)?;
    let folder = InferenceFolder::open(keys)?;
    let document = Document::read(answer)?;
    let ((logits, classes), took) = timed(|| client::decrypt(&folder, &document))?;
    file.write(table(&logits.values, &classes, scores)?.as_bytes())?;
    say!("decrypted the answer to query {} in {}", logits.query, seconds(took))?;
    let rows = count(logits.values.nrows(), "row");
    say!("  {}  {} of {rows}", out.display(), if scores { "labels and logits" } else { "labels" })?;
    if scores {
        say!("  for your eyes only: logits are raw decryptions, which say something about your secret key")?;
    }
    Ok(())
}

/// A row and its label a line, with `scores` one column of logits a class.
fn table(logits: &DMatrix<f64>, classes: &Classes, scores: bool) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let wrong = |error: csv::Error| CliError::failure(format!("the table of labels cannot be written: {error}"));
    let columns = classes.names().iter().filter(|_| scores).map(|name| format!("logit({name})"));
    writer.write_record(["row".to_owned(), "label".to_owned()].into_iter().chain(columns)).map_err(wrong)?;
    for (row, class) in predicted_classes(logits).into_iter().enumerate() {
        let numbers = logits.row(row).into_iter().filter(|_| scores).map(|logit| format!("{logit:.6}"));
        let named = [(row + 1).to_string(), classes.names()[class].clone()];
        writer.write_record(named.into_iter().chain(numbers)).map_err(wrong)?;
    }
    let bytes = writer.into_inner().map_err(|error| CliError::failure(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| CliError::failure(error.to_string()))
}
