//! Tables from NumPy's `.npz` archives: a ZIP file with an `.npy` file an array, stored or deflated.
//!
//! The header of an `.npy` file is a Python dictionary with three fixed keys (NumPy's format versions 1 to 3); we look
//! these up ourselves, and read no more bytes than the shape asks for.

use super::arrays::{Array, Element, table_of_arrays};
use super::{FeatureTable, LabelColumn};
use crate::error::{HeadError, Result};
use std::cell::RefCell;
use std::io::{Cursor, Read};
use zip::ZipArchive;
use zip::result::ZipError;

const MAGIC: &[u8] = b"\x93NUMPY";

/// Longer headers belong to structured arrays, which no table is.
const MAX_HEADER: usize = 1 << 16;

pub(super) fn parse(bytes: &[u8], labels: LabelColumn) -> Result<FeatureTable> {
    let archive = RefCell::new(ZipArchive::new(Cursor::new(bytes)).map_err(unreadable)?);
    let find = |name: &'static str| match archive.borrow_mut().by_name(&format!("{name}.npy")) {
        Err(ZipError::FileNotFound) => Ok(None),
        Err(error) => Err(unreadable(error)),
        Ok(mut file) => read_array(&mut file).map(Some),
    };
    let names = || {
        let archive = archive.borrow();
        let mut names: Vec<String> =
            archive.file_names().flatten().map(|name| name.strip_suffix(".npy").unwrap_or(&name).to_owned()).collect();
        names.sort_unstable();
        names
    };
    table_of_arrays(labels, find, names)
}

fn read_array(file: &mut impl Read) -> Result<Array<'static>> {
    let header = read_header(file)?;
    let invalid = || unreadable("an array with no valid header");
    let descriptor = value_of(&header, "descr").ok_or_else(invalid)?;
    let column_major = match value_of(&header, "fortran_order") {
        Some(text) if text.starts_with("True") => true,
        Some(text) if text.starts_with("False") => false,
        _ => return Err(invalid()),
    };
    let shape = value_of(&header, "shape").and_then(parse_shape).ok_or_else(invalid)?;
    let name = descriptor.trim_start_matches('\'').split('\'').next().unwrap_or_default().to_owned();
    let (element, big_endian) = parse_element(&name);
    let mut array = Array { element, element_name: name, shape, column_major, big_endian, bytes: Vec::new().into() };
    let Some(element) = element else { return Ok(array) };
    let size = array
        .shape
        .iter()
        .try_fold(element.size() as u64, |size, &length| size.checked_mul(length as u64))
        .ok_or_else(|| unreadable("an array larger than any file"))?;
    // The vector grows with what is really there: a wrong shape reserves nothing.
    let mut bytes = Vec::new();
    file.take(size).read_to_end(&mut bytes).map_err(unreadable)?;
    if (bytes.len() as u64) < size {
        return Err(unreadable("an array that is shorter than its shape"));
    }
    array.bytes = bytes.into();
    Ok(array)
}

fn read_header(file: &mut impl Read) -> Result<String> {
    let mut start = [0; 8];
    file.read_exact(&mut start).map_err(unreadable)?;
    if !start.starts_with(MAGIC) {
        return Err(unreadable("an entry that is no .npy array"));
    }
    let mut length = [0; 4];
    let width = if start[6] == 1 { 2 } else { 4 };
    file.read_exact(&mut length[..width]).map_err(unreadable)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_HEADER {
        return Err(unreadable("an array with too long a header"));
    }
    let mut header = vec![0; length];
    file.read_exact(&mut header).map_err(unreadable)?;
    String::from_utf8(header).map_err(unreadable)
}

/// What follows a key in the dictionary.
fn value_of<'h>(header: &'h str, key: &str) -> Option<&'h str> {
    let (_, after) = header.split_once(&format!("'{key}':"))?;
    Some(after.trim_start())
}

/// Reads `(4, 5)`, `(4,)` or `()`.
fn parse_shape(text: &str) -> Option<Vec<usize>> {
    let (inner, _) = text.strip_prefix('(')?.split_once(')')?;
    inner.split(',').map(str::trim).filter(|length| !length.is_empty()).map(|length| length.parse().ok()).collect()
}

/// Reads `<f4`, `>i8`, `|u1`, ...; the flag is for big-endian.
fn parse_element(descriptor: &str) -> (Option<Element>, bool) {
    let Some((order, kind)) = descriptor.split_at_checked(1) else { return (None, false) };
    let element = match kind {
        "b1" => Element::Bool,
        "f2" => Element::F16,
        "f4" => Element::F32,
        "f8" => Element::F64,
        "i1" => Element::I8,
        "i2" => Element::I16,
        "i4" => Element::I32,
        "i8" => Element::I64,
        "u1" => Element::U8,
        "u2" => Element::U16,
        "u4" => Element::U32,
        "u8" => Element::U64,
        _ => return (None, false),
    };
    match order {
        "<" | "|" | "=" => (Some(element), false),
        ">" => (Some(element), true),
        _ => (None, false),
    }
}

fn unreadable(reason: impl std::fmt::Display) -> HeadError {
    HeadError::UnreadableTable { format: "npz", reason: reason.to_string() }
}
