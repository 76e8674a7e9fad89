//! The flags that say what the columns of a CSV are.

use std::path::Path;

use ciphertune_head::TableFormat;
use ciphertune_session::examples::{Examples, Place};
use ciphertune_session::{Observer, files};
use clap::Args;

use crate::errors::{CliError, Result};

/// Which column is the label, and which are left out.
#[derive(Args, Clone, Debug, Default)]
pub struct ColumnFlags {
    /// The label's column in a .csv, by its name in the first line or its number from 1 [default: the
    /// column that is called as that of the head's training table, else the first]
    #[arg(long, value_name = "NAME|NUMBER")]
    pub label: Option<String>,

    /// Columns of a .csv to leave out, by name or number; may be given several times, or with commas
    #[arg(long, value_name = "NAME|NUMBER", value_delimiter = ',')]
    pub drop: Vec<String>,
}

impl ColumnFlags {
    /// Refuses them where the table that they are about, of the flag `table`, is not given.
    pub fn refuse_without(&self, table: &str, given: bool) -> Result<()> {
        if given || (self.label.is_none() && self.drop.is_empty()) {
            return Ok(());
        }
        let message = format!("--label and --drop are about the columns of the table of {table}: leave them out");
        Err(CliError::input(message))
    }
}

/// Whether a table is text with columns to choose from.
pub fn is_csv(path: &Path) -> bool {
    files::table_format(path).is_ok_and(|format| format == TableFormat::Csv)
}

/// Says that labels were left out of rows to predict on, if they were found in a .csv and nobody said that there are any.
pub fn note_left_out(place: &Place, rows: &Examples, observer: &dyn Observer) {
    let unsaid = place.label.is_none() && place.table.is_some_and(is_csv);
    if !unsaid || rows.table.labels().is_none() {
        return;
    }
    let name = rows.table.names().and_then(|names| names.label());
    let column = name.map_or("the first column".to_owned(), |name| format!("the column {name:?}"));
    observer.note(&format!("{}: {column} holds labels and is left out", rows.path.display()));
}
