//! Tables from NumPy's `.npz` archives, and into them.

use super::arrays::{Array, Outline, table_of_arrays};
use super::{FeatureTable, LabelColumn, is_single, whole_numbers};
use crate::column_names::FEATURE_NAMES;
use crate::error::{HeadError, Result};
use crate::linalg::to_rows;
use ciphertune_formats::npz::{self, Values, Writer};
use ciphertune_formats::splits::{self, Split};
use std::io::Cursor;

pub(super) fn parse(bytes: &[u8], labels: LabelColumn, split: Option<Split>) -> Result<FeatureTable> {
    let names = npz::names(Cursor::new(bytes)).map_err(unreadable)?;
    let find = |name: &str| {
        let array = npz::Array::open(Cursor::new(bytes), name).map_err(unreadable)?;
        array.map(read_array).transpose()
    };
    let part = match split {
        Some(split) => {
            Some(splits::names(&names, split).ok_or_else(|| HeadError::NoPart { split, found: names.join(", ") })?)
        }
        None => None,
    };
    // An array whose header cannot be read is none to guess at.
    let outline = |name: &str| {
        let array = npz::Array::open(Cursor::new(bytes), name).ok()??;
        Some(Outline { element: array.element(), shape: array.shape().to_vec() })
    };
    table_of_arrays(labels, part, find, &names, outline)
}

fn read_array(array: npz::Array<Cursor<&[u8]>>) -> Result<Array<'static>> {
    let element = array.element();
    let (element_name, shape) = (array.descriptor().to_owned(), array.shape().to_vec());
    let (column_major, big_endian) = (array.column_major(), array.big_endian());
    // What no table holds is refused by its type: its values need not be read.
    let bytes = if element.is_some() { array.rest().map_err(unreadable)? } else { Vec::new() };
    Ok(Array { element, element_name, shape, column_major, big_endian, bytes: bytes.into() })
}

fn unreadable(error: npz::NpzError) -> HeadError {
    HeadError::UnreadableTable { format: "npz", reason: error.to_string() }
}

impl FeatureTable {
    /// The table as an `.npz` archive: `features` in single precision (double where that would change a value), `labels` as
    /// 64-bit integers, or as words where not all are whole numbers, and `feature_names` if there are names. NumPy opens it.
    ///
    /// # Errors
    ///
    /// [`HeadError::InvalidArtefact`] if the archive cannot be written.
    pub fn to_npz(&self) -> Result<Vec<u8>> {
        let invalid = |error: npz::NpzError| HeadError::InvalidArtefact(error.to_string());
        let mut archive = Writer::new(Cursor::new(Vec::new()));
        let (values, shape) = (to_rows(&self.features), [self.rows(), self.columns()]);
        match is_single(&values) {
            true => {
                let single: Vec<f32> = values.iter().map(|&value| value as f32).collect();
                archive.array("features", &shape, Values::F32(&single)).map_err(invalid)?;
            }
            false => archive.array("features", &shape, Values::F64(&values)).map_err(invalid)?,
        }
        if let Some(labels) = &self.labels {
            let numbers = whole_numbers(labels);
            let labels = numbers.as_deref().map_or(Values::Text(labels), Values::I64);
            archive.array("labels", &[self.rows()], labels).map_err(invalid)?;
        }
        if let Some(names) = self.names().map(|names| names.features()) {
            archive.array(FEATURE_NAMES, &[names.len()], Values::Text(names)).map_err(invalid)?;
        }
        Ok(archive.finish().map_err(invalid)?.into_inner())
    }
}
