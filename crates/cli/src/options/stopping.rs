//! The flags that end a training early.

use std::path::{Path, PathBuf};

use ciphertune_head::recipe::Stopping;
use ciphertune_head::table::Split;
use ciphertune_head::{ColumnNames, LabelColumn};
use ciphertune_session::examples::{Examples, Place, Reader, has_part};
use clap::Args;

use crate::errors::Result;
use crate::inputs::{BackboneFlags, ColumnFlags, is_csv};
use crate::progress::Terminal;

/// Rows that are held out of the training, and how long to go on without getting better on them.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Early stopping")]
pub struct StoppingFlags {
    /// Rows that were held out of the training table, with labels, to judge every iterate by: .csv (label first), .npz or
    /// .safetensors; of an .npz with parts, the one called val. They are not encrypted; when the training ends is all that the server learns of them
    #[arg(long, value_name = "TABLE")]
    validation: Option<PathBuf>,

    /// End the training after so many iterations without more of these rows right; the best iterate is the model
    #[arg(long, value_name = "N", requires = "validation", default_value_t = 3)]
    patience: usize,
}

/// Rows to judge iterates by, read, and when to stop.
pub struct HeldOut {
    /// The rows.
    pub examples: Examples,
    /// When to stop.
    pub stopping: Stopping,
}

impl StoppingFlags {
    /// The table of the rows.
    pub fn validation(&self) -> Option<&Path> {
        self.validation.as_deref()
    }

    /// Reads the rows; `None` if none are named. `columns` and `known` are about the columns of a .csv.
    pub fn read(&self, columns: &ColumnFlags, known: Option<&ColumnNames>) -> Result<Option<HeldOut>> {
        let Some(path) = &self.validation else { return Ok(None) };
        let stopping = Stopping::new(self.patience)?;
        let (label, drop) =
            if is_csv(path) { (columns.label.as_deref(), &columns.drop[..]) } else { Default::default() };
        let split = has_part(path, Split::Validation).then_some(Split::Validation);
        let place = Place { table: Some(path), label, drop, known, split, ..Place::default() };
        let terminal = Terminal::new();
        let reader = Reader::new(BackboneFlags::default().choice(), None, &[place], &terminal)?;
        Ok(Some(HeldOut { examples: reader.read(&place, LabelColumn::Present)?, stopping }))
    }
}
