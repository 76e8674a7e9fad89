//! Tables from NumPy's `.npz` archives.

use super::arrays::{Array, table_of_arrays};
use super::{FeatureTable, LabelColumn};
use crate::error::{HeadError, Result};
use ciphertune_formats::npz;
use ciphertune_formats::splits::{self, Split};
use std::io::Cursor;

pub(super) fn parse(bytes: &[u8], labels: LabelColumn, split: Option<Split>) -> Result<FeatureTable> {
    let names = npz::names(Cursor::new(bytes)).map_err(unreadable)?;
    let find = |name: &'static str| {
        let array = npz::Array::open(Cursor::new(bytes), name).map_err(unreadable)?;
        array.map(read_array).transpose()
    };
    let part = match split {
        Some(split) => {
            Some(splits::names(&names, split).ok_or_else(|| HeadError::NoPart { split, found: names.join(", ") })?)
        }
        None => None,
    };
    table_of_arrays(labels, part, find, || names.clone())
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
