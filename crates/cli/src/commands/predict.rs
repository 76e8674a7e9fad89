//! `predict`: labels and probabilities of rows.

use std::io::{IsTerminal, Write, stdout};
use std::path::PathBuf;

use ciphertune_head::LabelColumn;
use ciphertune_head::model::Prediction;
use clap::{ArgGroup, Args, ValueEnum};
use serde_json::json;

use crate::errors::{CliError, Result};
use crate::inputs::{BackboneFlags, ColumnFlags, PartName, note_left_out, part_or_test};
use crate::progress::Terminal;
use crate::text::{printable_lines, warn_if_private};
use ciphertune_session::InFile;
use ciphertune_session::examples::{Place, Reader};
use ciphertune_session::files::{self, NewFile};

/// Label rows of features, or images, with a head
///
/// Gives every row (counted from 1; an image by its file's name) the class with the largest logit, and the probability
/// of every class: the sigmoid of its logit, divided by the sum of all classes' sigmoids.
#[derive(Args)]
#[command(group = ArgGroup::new("examples").required(true).args(["features", "images"]))]
pub struct Predict {
    /// Head that decrypt wrote
    #[arg(long, value_name = "FILE")]
    head: PathBuf,

    /// Feature table: .csv, .npz or .safetensors (features). Labels that were left in a .csv are found by the name of their
    /// column, or if they are words in the first one; otherwise name the column with --label
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,

    /// Images, instead of a table: a folder, an image, or any set that can be trained on
    #[arg(long, value_name = "DIR|FILE")]
    images: Option<PathBuf>,

    /// Part of an .npz that holds several, as MedMNIST's and Keras' do: train, val or test [default: test]
    #[arg(long, value_enum, value_name = "PART")]
    split: Option<PartName>,

    /// Format of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// File to write to [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Replace a file that is there
    #[arg(long, requires = "out")]
    force: bool,

    #[command(flatten)]
    columns: ColumnFlags,

    #[command(flatten)]
    backbone: BackboneFlags,
}

/// The formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// row (or file), label, then one column of probabilities a class
    #[default]
    Csv,
    /// A list of objects with row (or file), label and probabilities
    Json,
}

impl Predict {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let terminal = Terminal::new();
        let (head, privacy) = files::read_head(&self.head)?;
        let out = match &self.out {
            Some(path) => Some(NewFile::plan(path, privacy, self.force)?),
            None => None,
        };
        let (table, images) = (self.features.as_deref(), self.images.as_deref());
        let (label, drop) = (self.columns.label.as_deref(), &self.columns.drop[..]);
        let split = part_or_test(self.split, table.or(images));
        let known = head.names();
        let place = Place { table, images, split, label, drop, known, ..Place::default() };
        let reader = Reader::new(self.backbone.choice(), head.provenance(), &[place], &terminal)?;
        let rows = reader.read(&place, LabelColumn::Detect { features: head.features() })?;
        head.check(&rows.table).in_file(&rows.path)?;
        note_left_out(&place, &rows, &terminal);
        let predictions = head.predict(rows.table.features()).in_file(&rows.path)?;
        let files = rows.names.as_deref();
        let names = head.classes().names();
        let text = match self.format {
            Format::Csv => csv_text(&predictions, files, names)?,
            Format::Json => json_text(&predictions, files, names),
        };
        warn_if_private(privacy, "predictions");
        match out {
            Some(file) => Ok(file.write(text.as_bytes())?),
            // Class names are a file's: a terminal would obey control characters in them.
            None if stdout().is_terminal() => Ok(stdout().lock().write_all(printable_lines(&text).as_bytes())?),
            None => Ok(stdout().lock().write_all(text.as_bytes())?),
        }
    }
}

fn csv_text(predictions: &[Prediction], files: Option<&[String]>, names: &[String]) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let wrong = |error: csv::Error| CliError::failure(format!("the table of predictions cannot be written: {error}"));
    let first = if files.is_some() { "file" } else { "row" };
    let header =
        [first.to_owned(), "label".to_owned()].into_iter().chain(names.iter().map(|name| format!("p({name})")));
    writer.write_record(header).map_err(wrong)?;
    for (row, prediction) in predictions.iter().enumerate() {
        let probabilities = prediction.probabilities.iter().map(|p| format!("{p:.6}"));
        let name = files.map_or_else(|| (row + 1).to_string(), |files| files[row].clone());
        let record = [name, prediction.label.clone()].into_iter().chain(probabilities);
        writer.write_record(record).map_err(wrong)?;
    }
    let bytes = writer.into_inner().map_err(|error| CliError::failure(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| CliError::failure(error.to_string()))
}

/// Written piece by piece, so that the fields and classes keep their order.
fn json_text(predictions: &[Prediction], files: Option<&[String]>, names: &[String]) -> String {
    let object = |(row, prediction): (usize, &Prediction)| {
        let pair = |(name, p): (&String, &f64)| format!("{}: {p:.6}", json!(name));
        let probabilities: Vec<String> = names.iter().zip(&prediction.probabilities).map(pair).collect();
        let label = json!(prediction.label);
        let name = match files {
            Some(files) => format!(r#""file": {}"#, json!(files[row])),
            None => format!(r#""row": {}"#, row + 1),
        };
        format!(r#"  {{{name}, "label": {label}, "probabilities": {{{}}}}}"#, probabilities.join(", "))
    };
    let objects: Vec<String> = predictions.iter().enumerate().map(object).collect();
    format!("[\n{}\n]\n", objects.join(",\n"))
}
