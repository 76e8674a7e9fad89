//! The header of an `.npy` file: `{'descr': '<f4', 'fortran_order': False, 'shape': (128, 400), }`.

use std::io::Read;

use super::{Array, Result};
use crate::Element;

const MAGIC: &[u8] = b"\x93NUMPY";

/// Longer headers belong to structured arrays, which nothing here reads.
const MAX_HEADER: u64 = 1 << 16;

/// What an array is.
#[derive(Debug)]
pub(super) struct Header {
    pub descriptor: String,
    pub element: Option<Element>,
    pub shape: Vec<usize>,
    pub column_major: bool,
    pub big_endian: bool,
}

impl Header {
    /// Reads it from an array's first bytes.
    pub(super) fn read<R: Read>(array: &mut Array<R>) -> Result<Self> {
        let start = array.raw(8)?;
        if !start.starts_with(MAGIC) {
            return Err(array.bad("is no .npy array"));
        }
        let width = if start[6] == 1 { 2 } else { 4 };
        let length = array.raw(width)?.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        if length > MAX_HEADER {
            return Err(array.bad("has too long a header"));
        }
        let text = array.raw(length)?;
        Self::parse(&String::from_utf8_lossy(&text)).ok_or_else(|| array.bad("has no valid header"))
    }

    /// Looks up the three keys.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let after = |key: &str| Some(text.split_once(key)?.1.trim_start().strip_prefix(':')?.trim_start());
        let column_major = match after("'fortran_order'")? {
            order if order.starts_with("True") => true,
            order if order.starts_with("False") => false,
            _ => return None,
        };
        let shape = after("'shape'")?.strip_prefix('(')?.split_once(')')?.0;
        let lengths = shape.split(',').map(str::trim).filter(|length| !length.is_empty());
        let shape = lengths.map(|length| length.trim_end_matches('L').parse().ok()).collect::<Option<_>>()?;
        // The descriptor of a structured array is a list: shown as it begins, and not read.
        let descriptor = after("'descr'")?;
        let descriptor = match descriptor.strip_prefix('\'') {
            Some(name) => name.split_once('\'')?.0.to_owned(),
            None => "a structured type".to_owned(),
        };
        let (element, big_endian) = element(&descriptor);
        Some(Self { descriptor, element, shape, column_major, big_endian })
    }
}

/// Reads `<f4`, `>i8`, `|u1`, `<U12`, ...; the flag is for big-endian.
fn element(descriptor: &str) -> (Option<Element>, bool) {
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
        _ => match (kind.split_at_checked(1), kind.get(1..).and_then(|length| length.parse().ok())) {
            (Some(("U", _)), Some(length)) => Element::Text(length),
            (Some(("S", _)), Some(length)) => Element::Bytes(length),
            _ => return (None, false),
        },
    };
    match order {
        "<" | "|" | "=" => (Some(element), false),
        ">" => (Some(element), true),
        _ => (None, false),
    }
}
