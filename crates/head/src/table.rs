//! Feature tables: rows of features, most often with a label each, from CSV, `.npz` or `.safetensors` bytes.
//!
//! * CSV: a line a row, the label first unless [`Columns`] say otherwise; commas between, or tabs, or spaces, or
//!   semicolons (with decimal points or commas); a first line of names is recognised, and [`ColumnNames`] kept. Labels are whole numbers (`3.0` is `3`) or
//!   words.
//! * `.npz`: an array `features` of floats, integers or booleans, rows x features in C or Fortran order, and an array
//!   `labels` of whole numbers, words or one-hot rows. `X` and `y`, `x` and `y`, `arr_0` and `arr_1` do as well, and
//!   so does a single pair of any names. An array
//!   `feature_names` of words names the columns.
//! * `.safetensors`: tensors `features` and `labels` alike. Those that [`FeatureTable::to_safetensors`] writes have
//!   words as labels and the features' [`Provenance`] in their metadata, too.

mod arrays;
mod csv;
mod holdout;
mod npz;
mod safetensors;
#[cfg(test)]
mod tests;

pub use self::csv::Columns;
use crate::column_names::ColumnNames;
use crate::error::{HeadError, Result};
use crate::provenance::Provenance;
pub use ciphertune_formats::splits::Split;
use nalgebra::DMatrix;

/// Finite features, rows x features, and as many labels as rows or none.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureTable {
    features: DMatrix<f64>,
    labels: Option<Vec<String>>,
    names: Option<ColumnNames>,
    provenance: Option<Provenance>,
}

/// The formats a table is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Comma-separated values; `.tsv` and `.txt` are read alike, by the separators found.
    Csv,
    /// NumPy's archive of arrays.
    Npz,
    /// Hugging Face's tensor file.
    Safetensors,
}

impl TableFormat {
    /// The format that a file name's extension stands for, without its dot, in any case.
    ///
    /// # Errors
    ///
    /// [`HeadError::UnknownTableFormat`].
    pub fn from_extension(extension: &str) -> Result<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "csv" | "tsv" | "txt" => Ok(TableFormat::Csv),
            "npz" => Ok(TableFormat::Npz),
            "safetensors" => Ok(TableFormat::Safetensors),
            _ => Err(HeadError::UnknownTableFormat(extension.to_owned())),
        }
    }
}

/// What of a file is read as a table: all of it, by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The part of an archive that holds several; without it, the part to train on.
    pub split: Option<Split>,
    /// Columns of a CSV.
    pub columns: Columns,
}

/// Whether the table has labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelColumn {
    /// It must: for training and evaluation.
    Present,
    /// A CSV has features only; labels in the other formats are passed over.
    Absent,
    /// It may. In a CSV the label is found by its name ([`Columns`]), or is a first column of words before the features;
    /// one column too many is an error.
    Detect {
        /// The features that a row should have; checked in all formats.
        features: usize,
    },
}

impl FeatureTable {
    /// Reads a table.
    ///
    /// # Errors
    ///
    /// One of [`HeadError`]'s variants about tables, naming the line or row; never a panic.
    pub fn parse(bytes: &[u8], format: TableFormat, labels: LabelColumn) -> Result<Self> {
        Self::parse_part(bytes, format, labels, &Part::default())
    }

    /// As [`FeatureTable::parse`], of a part of what the file holds.
    ///
    /// # Errors
    ///
    /// As [`FeatureTable::parse`], [`HeadError::NoPart`] and [`HeadError::Columns`]; [`HeadError::OtherNames`] for
    /// [`LabelColumn::Detect`].
    pub fn parse_part(bytes: &[u8], format: TableFormat, labels: LabelColumn, part: &Part) -> Result<Self> {
        let split = part.split;
        if let (Some(split), TableFormat::Csv | TableFormat::Safetensors) = (split, format) {
            return Err(HeadError::NoPart { split, found: "one table".into() });
        }
        if !part.columns.is_empty() && format != TableFormat::Csv {
            let reason = "--label and --drop are about the columns of a .csv: leave them out";
            return Err(HeadError::Columns(reason.into()));
        }
        let table = match format {
            TableFormat::Csv => csv::parse(bytes, labels, &part.columns)?,
            TableFormat::Npz => npz::parse(bytes, labels, split)?,
            TableFormat::Safetensors => safetensors::parse(bytes, labels)?,
        };
        if matches!(labels, LabelColumn::Detect { .. }) {
            ColumnNames::check(table.names(), part.columns.known.as_ref(), "head")?;
        }
        match labels {
            LabelColumn::Detect { features } if features != table.features.ncols() => {
                Err(HeadError::FeatureCount { found: table.features.ncols(), expected: features, what: "head" })
            }
            _ => Ok(table),
        }
    }

    /// A table from a matrix, rows x features.
    ///
    /// # Errors
    ///
    /// [`HeadError::EmptyTable`], [`HeadError::LabelCount`], [`HeadError::NotFinite`].
    pub fn new(features: DMatrix<f64>, labels: Option<Vec<String>>) -> Result<Self> {
        let (rows, columns) = features.shape();
        if rows == 0 || columns == 0 {
            return Err(HeadError::EmptyTable(if rows == 0 { "rows" } else { "features" }));
        }
        if let Some(labels) = labels.as_ref().filter(|labels| labels.len() != rows) {
            return Err(HeadError::LabelCount { rows, labels: labels.len() });
        }
        if let Some(position) = features.iter().position(|value| !value.is_finite()) {
            let (row, column) = (position % rows, position / rows);
            return Err(HeadError::NotFinite {
                place: format!("row {}, feature {}", row + 1, column + 1),
                value: features[(row, column)].to_string(),
            });
        }
        Ok(FeatureTable { features, labels, names: None, provenance: None })
    }

    /// The table, its features known to be those of a backbone.
    pub fn with_provenance(self, provenance: Provenance) -> Self {
        FeatureTable { provenance: Some(provenance), ..self }
    }

    /// The table, its columns named.
    ///
    /// # Errors
    ///
    /// [`HeadError::Columns`] if there are not as many names as features.
    pub fn with_names(self, names: ColumnNames) -> Result<Self> {
        let (found, expected) = (names.features().len(), self.columns());
        if found != expected {
            let reason = format!("there are {expected} features and {found} names: give one name a feature, or none");
            return Err(HeadError::Columns(reason));
        }
        Ok(FeatureTable { names: Some(names), ..self })
    }

    /// What the columns are called, if they have names.
    pub fn names(&self) -> Option<&ColumnNames> {
        self.names.as_ref()
    }

    /// The backbone and preprocessing that made the features, if known.
    pub fn provenance(&self) -> Option<&Provenance> {
        self.provenance.as_ref()
    }

    /// The features, rows x features.
    pub fn features(&self) -> &DMatrix<f64> {
        &self.features
    }

    /// The labels, one a row, if there are any.
    pub fn labels(&self) -> Option<&[String]> {
        self.labels.as_deref()
    }

    /// The labels, where they are needed.
    ///
    /// # Errors
    ///
    /// [`HeadError::NoLabels`].
    pub fn require_labels(&self) -> Result<&[String]> {
        self.labels().ok_or(HeadError::NoLabels)
    }

    /// Refuses, for training, labels that count the rows (0, 1, 2, ... or 1, 2, 3, ...), as data frames number them: they
    /// are not what anybody wants predicted. Of a few rows nothing can be said.
    ///
    /// # Errors
    ///
    /// [`HeadError::Columns`].
    pub fn refuse_row_numbers(&self) -> Result<()> {
        const FEW: usize = 8;
        let labels = self.labels().unwrap_or_default();
        let from = |start: usize| labels.iter().enumerate().all(|(row, label)| *label == (start + row).to_string());
        if labels.len() < FEW || !(from(0) || from(1)) {
            return Ok(());
        }
        let reason = "the labels count the rows, so they look like row numbers: name the label's column with --label, and leave the numbers out with --drop 1";
        Err(HeadError::Columns(reason.into()))
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.features.nrows()
    }

    /// The number of features a row.
    pub fn columns(&self) -> usize {
        self.features.ncols()
    }

    /// The first rows, at least one and at most all.
    pub fn first_rows(&self, rows: usize) -> Self {
        let rows: Vec<usize> = (0..rows.clamp(1, self.rows())).collect();
        self.select(&rows)
    }

    /// The rows of these indices, counted from 0, in this order.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn select(&self, rows: &[usize]) -> Self {
        FeatureTable {
            features: self.features.select_rows(rows),
            labels: self.labels.as_ref().map(|labels| rows.iter().map(|&row| labels[row].clone()).collect()),
            names: self.names.clone(),
            provenance: self.provenance.clone(),
        }
    }
}

/// Whether single precision holds these numbers.
fn is_single(values: &[f64]) -> bool {
    values.iter().all(|&value| f64::from(value as f32) == value)
}

/// The labels as whole numbers, if all are, each in its only spelling.
fn whole_numbers(labels: &[String]) -> Option<Vec<i64>> {
    labels.iter().map(|label| label.parse().ok().filter(|number: &i64| number.to_string() == *label)).collect()
}
