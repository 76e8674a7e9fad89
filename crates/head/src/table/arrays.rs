//! Numbers in raw bytes, as `.npz` and `.safetensors` hold them.

use super::{FeatureTable, LabelColumn};
use crate::error::{HeadError, Result};
use half::{bf16, f16};
use nalgebra::DMatrix;

/// The type of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Bool,
    F16,
    Bf16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

/// An array whose bytes are as many as its shape and element say.
pub(super) struct Array<'a> {
    /// `None` for an element that no table holds.
    pub element: Option<Element>,
    /// How the file names the element.
    pub element_name: String,
    pub shape: Vec<usize>,
    pub column_major: bool,
    pub big_endian: bool,
    pub bytes: std::borrow::Cow<'a, [u8]>,
}

/// Puts a table together from its arrays; `find` looks one up by its name.
pub(super) fn table_of_arrays<'a>(
    labels: LabelColumn,
    mut find: impl FnMut(&'static str) -> Result<Option<Array<'a>>>,
    names: impl Fn() -> Vec<String>,
) -> Result<FeatureTable> {
    let missing = |name| {
        let names = names();
        let found = if names.is_empty() { "none at all".to_owned() } else { names.join(", ") };
        HeadError::MissingArray { name, found }
    };
    let features = find("features")?.ok_or_else(|| missing("features"))?.features()?;
    let labels = match labels {
        LabelColumn::Absent => None,
        LabelColumn::Present => Some(find("labels")?.ok_or_else(|| missing("labels"))?.labels()?),
        LabelColumn::Detect { .. } => find("labels")?.map(|array| array.labels()).transpose()?,
    };
    FeatureTable::new(features, labels)
}

impl Array<'_> {
    fn features(&self) -> Result<DMatrix<f64>> {
        let &[rows, columns] = self.shape.as_slice() else {
            return Err(self.wrong("features", "it needs two axes, rows x features"));
        };
        let values = match self.element {
            Some(Element::F16) => self.decode(|bytes| f16::from_le_bytes(bytes).to_f64()),
            Some(Element::Bf16) => self.decode(|bytes| bf16::from_le_bytes(bytes).to_f64()),
            Some(Element::F32) => self.decode(|bytes| f64::from(f32::from_le_bytes(bytes))),
            Some(Element::F64) => self.decode(f64::from_le_bytes),
            Some(Element::Bool | Element::U8) => self.decode(|[byte]| f64::from(byte)),
            Some(Element::I8) => self.decode(|bytes| f64::from(i8::from_le_bytes(bytes))),
            Some(Element::I16) => self.decode(|bytes| f64::from(i16::from_le_bytes(bytes))),
            Some(Element::U16) => self.decode(|bytes| f64::from(u16::from_le_bytes(bytes))),
            Some(Element::I32) => self.decode(|bytes| f64::from(i32::from_le_bytes(bytes))),
            Some(Element::U32) => self.decode(|bytes| f64::from(u32::from_le_bytes(bytes))),
            // Beyond 2^53 rounded, as any other program would.
            Some(Element::I64) => self.decode(|bytes| i64::from_le_bytes(bytes) as f64),
            Some(Element::U64) => self.decode(|bytes| u64::from_le_bytes(bytes) as f64),
            None => return Err(self.wrong("features", "save features as float16, float32 or float64")),
        };
        Ok(match self.column_major {
            true => DMatrix::from_vec(rows, columns, values),
            false => crate::linalg::from_rows(rows, columns, &values),
        })
    }

    fn labels(&self) -> Result<Vec<String>> {
        match self.shape.as_slice() {
            [_] | [_, 1] => {}
            _ => return Err(self.wrong("labels", "it needs one axis, a label a row")),
        }
        Ok(match self.element {
            Some(Element::I8) => self.decode(|bytes| i8::from_le_bytes(bytes).to_string()),
            Some(Element::I16) => self.decode(|bytes| i16::from_le_bytes(bytes).to_string()),
            Some(Element::I32) => self.decode(|bytes| i32::from_le_bytes(bytes).to_string()),
            Some(Element::I64) => self.decode(|bytes| i64::from_le_bytes(bytes).to_string()),
            Some(Element::Bool | Element::U8) => self.decode(|bytes| u8::from_le_bytes(bytes).to_string()),
            Some(Element::U16) => self.decode(|bytes| u16::from_le_bytes(bytes).to_string()),
            Some(Element::U32) => self.decode(|bytes| u32::from_le_bytes(bytes).to_string()),
            Some(Element::U64) => self.decode(|bytes| u64::from_le_bytes(bytes).to_string()),
            _ => return Err(self.wrong("labels", "save labels as integers, or use CSV for words")),
        })
    }

    fn decode<T, const SIZE: usize>(&self, decode: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
        let (elements, _) = self.bytes.as_chunks::<SIZE>();
        let ordered = |&bytes: &[u8; SIZE]| {
            let mut bytes = bytes;
            if self.big_endian {
                bytes.reverse();
            }
            decode(bytes)
        };
        elements.iter().map(ordered).collect()
    }

    fn wrong(&self, name: &'static str, expected: &'static str) -> HeadError {
        let shape: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        HeadError::WrongArray {
            name,
            found: format!("{} of shape ({})", self.element_name, shape.join(", ")),
            expected,
        }
    }
}
