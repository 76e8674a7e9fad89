//! Numbers and words in raw bytes, as `.npz` and `.safetensors` hold them.

use super::{FeatureTable, LabelColumn};
use crate::column_names::{ColumnNames, FEATURE_NAMES};
use crate::error::{HeadError, Result};
use ciphertune_formats::Element;
use ciphertune_formats::splits::{self, Names, Split};
use half::{bf16, f16};
use nalgebra::DMatrix;

/// What arrays of features and of labels are called, in the order in which they are looked for: our own names, those of
/// most programs, and those that `numpy.savez` gives to arrays without a name.
const NAMES: [(&str, &str); 4] = [("features", "labels"), ("X", "y"), ("x", "y"), ("arr_0", "arr_1")];

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

/// What is known of an array before its values are read.
pub(super) struct Outline {
    pub element: Option<Element>,
    pub shape: Vec<usize>,
}

/// Puts a table together from its arrays, or from those of one part; `find` looks one up by its name.
pub(super) fn table_of_arrays<'a>(
    labels: LabelColumn,
    part: Option<Names>,
    mut find: impl FnMut(&str) -> Result<Option<Array<'a>>>,
    names: &[String],
    outline: impl Fn(&str) -> Option<Outline>,
) -> Result<FeatureTable> {
    let missing = |name: &str| {
        let name = name.to_owned();
        let found = if names.is_empty() { "none at all".to_owned() } else { names.join(", ") };
        HeadError::MissingArray { name, found }
    };
    // Without a part's name, the part to train on comes last.
    let train = splits::names(names, Split::Train);
    let named = |part: Option<Names>| part.map(|part| (part.rows, part.labels));
    let known = |(features, _): &(&str, &str)| names.iter().any(|name| name == features);
    let candidates = match part {
        Some(part) => vec![(part.rows, part.labels)],
        None => NAMES.into_iter().chain(named(train)).filter(known).take(1).collect(),
    };
    let pair = if candidates.is_empty() { lone_pair(labels, names, outline) } else { None };
    let candidates = candidates.into_iter().chain(pair);
    for (features_name, labels_name) in candidates {
        let Some(features) = find(features_name)? else { continue };
        let features = features.features(features_name)?;
        let labels = match labels {
            LabelColumn::Absent => None,
            LabelColumn::Present => Some(find(labels_name)?.ok_or_else(|| missing(labels_name))?.labels(labels_name)?),
            LabelColumn::Detect { .. } => find(labels_name)?.map(|array| array.labels(labels_name)).transpose()?,
        };
        let table = FeatureTable::new(features, labels)?;
        return match find(FEATURE_NAMES)? {
            Some(array) => table.with_names(ColumnNames::new(array.names(FEATURE_NAMES)?, None)?),
            None => Ok(table),
        };
    }
    Err(missing("features"))
}

/// The names of features and labels in a file that has no other names for them: its only matrix of floats, and its only
/// list of as many labels. Where labels are not needed there may be none or several.
fn lone_pair(labels: LabelColumn, names: &[String], outline: impl Fn(&str) -> Option<Outline>) -> Option<(&str, &str)> {
    let arrays: Vec<(&str, Outline)> = names.iter().filter_map(|name| Some((name.as_str(), outline(name)?))).collect();
    let is_float = |element| matches!(element, Element::F16 | Element::Bf16 | Element::F32 | Element::F64);
    let is_matrix = |array: &Outline| array.shape.len() == 2 && array.element.is_some_and(is_float);
    let (features, rows) =
        only(arrays.iter().filter(|(_, array)| is_matrix(array))).map(|(name, array)| (*name, array.shape[0]))?;
    let is_list = |array: &Outline| array.shape == [rows] && array.element.is_some();
    match only(arrays.iter().filter(|(_, array)| is_list(array))) {
        Some((labels, _)) => Some((features, labels)),
        None if labels == LabelColumn::Present => None,
        None => Some((features, "labels")),
    }
}

/// What an iterator gives, if that is one thing.
fn only<T>(mut things: impl Iterator<Item = T>) -> Option<T> {
    things.next().filter(|_| things.next().is_none())
}

impl Array<'_> {
    fn features(&self, name: &str) -> Result<DMatrix<f64>> {
        let &[rows, columns] = self.shape.as_slice() else {
            return Err(self.wrong(name, "it needs two axes, rows x features"));
        };
        let values = self.numbers().ok_or_else(|| self.wrong(name, "save features as float16, float32 or float64"))?;
        Ok(self.matrix(rows, columns, values))
    }

    /// The elements as numbers, in the order of the file; `None` for what are none.
    fn numbers(&self) -> Option<Vec<f64>> {
        Some(match self.element? {
            Element::F16 => self.decode(|bytes| f16::from_le_bytes(bytes).to_f64()),
            Element::Bf16 => self.decode(|bytes| bf16::from_le_bytes(bytes).to_f64()),
            Element::F32 => self.decode(|bytes| f64::from(f32::from_le_bytes(bytes))),
            Element::F64 => self.decode(f64::from_le_bytes),
            Element::Bool | Element::U8 => self.decode(|[byte]| f64::from(byte)),
            Element::I8 => self.decode(|bytes| f64::from(i8::from_le_bytes(bytes))),
            Element::I16 => self.decode(|bytes| f64::from(i16::from_le_bytes(bytes))),
            Element::U16 => self.decode(|bytes| f64::from(u16::from_le_bytes(bytes))),
            Element::I32 => self.decode(|bytes| f64::from(i32::from_le_bytes(bytes))),
            Element::U32 => self.decode(|bytes| f64::from(u32::from_le_bytes(bytes))),
            // Beyond 2^53 rounded, as any other program would.
            Element::I64 => self.decode(|bytes| i64::from_le_bytes(bytes) as f64),
            Element::U64 => self.decode(|bytes| u64::from_le_bytes(bytes) as f64),
            Element::Text(_) | Element::Bytes(_) => return None,
        })
    }

    fn matrix(&self, rows: usize, columns: usize, values: Vec<f64>) -> DMatrix<f64> {
        match self.column_major {
            true => DMatrix::from_vec(rows, columns, values),
            false => crate::linalg::from_rows(rows, columns, &values),
        }
    }

    /// Labels as whole numbers (floats that are whole ones too), words, or rows with a single one, whose place is the
    /// label.
    fn labels(&self, name: &str) -> Result<Vec<String>> {
        match *self.shape.as_slice() {
            [_] | [_, 1] => {}
            [rows, classes] if classes > 1 => return self.one_hot(name, rows, classes),
            _ => return Err(self.wrong(name, "it needs one axis, a label a row, or one-hot rows")),
        }
        Ok(match self.element {
            Some(Element::F16 | Element::Bf16 | Element::F32 | Element::F64) => {
                let numbers = self.numbers().unwrap_or_default();
                if numbers.iter().any(|number| number.fract() != 0.0 || number.abs() >= 2f64.powi(53)) {
                    return Err(self.wrong(
                        name,
                        "these are no whole numbers, so no classes: save class numbers or words, one a row",
                    ));
                }
                numbers.into_iter().map(|number| (number as i64).to_string()).collect()
            }
            Some(Element::Text(_) | Element::Bytes(_)) => {
                let words = self.words().filter(|words| words.iter().all(|word| !word.is_empty()));
                words.ok_or_else(|| self.wrong(name, "a label is empty or no text: give every row one"))?
            }
            Some(Element::I8) => self.decode(|bytes| i8::from_le_bytes(bytes).to_string()),
            Some(Element::I16) => self.decode(|bytes| i16::from_le_bytes(bytes).to_string()),
            Some(Element::I32) => self.decode(|bytes| i32::from_le_bytes(bytes).to_string()),
            Some(Element::I64) => self.decode(|bytes| i64::from_le_bytes(bytes).to_string()),
            Some(Element::Bool | Element::U8) => self.decode(|bytes| u8::from_le_bytes(bytes).to_string()),
            Some(Element::U16) => self.decode(|bytes| u16::from_le_bytes(bytes).to_string()),
            Some(Element::U32) => self.decode(|bytes| u32::from_le_bytes(bytes).to_string()),
            Some(Element::U64) => self.decode(|bytes| u64::from_le_bytes(bytes).to_string()),
            None => return Err(self.wrong(name, "save labels as whole numbers or as words")),
        })
    }

    /// Words, without the zeros that fill them up; `None` if the elements are none.
    fn words(&self) -> Option<Vec<String>> {
        let (size, wide) = match self.element? {
            Element::Text(characters) => (characters.saturating_mul(4), true),
            Element::Bytes(bytes) => (bytes, false),
            _ => return None,
        };
        let narrow = |word: &[u8]| std::str::from_utf8(word).ok().map(str::to_owned);
        let read = |word: &[u8]| if wide { self.text(word) } else { narrow(word) };
        let word = |bytes: &[u8]| read(bytes).map(|word| word.trim_end_matches('\0').trim().to_owned());
        // Words of no bytes are all empty.
        self.bytes.chunks_exact(size.max(1)).map(word).collect()
    }

    /// Names of columns: words on one axis.
    fn names(&self, name: &str) -> Result<Vec<String>> {
        let words = if let [_] = *self.shape { self.words() } else { None };
        words.ok_or_else(|| self.wrong(name, "save the names as words, one a feature: np.array(names, dtype=str)"))
    }

    /// Four bytes a character.
    fn text(&self, word: &[u8]) -> Option<String> {
        let (characters, _) = word.as_chunks::<4>();
        let order = if self.big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        characters.iter().map(|&bytes| char::from_u32(order(bytes))).collect()
    }

    /// The place of the single one in every row.
    fn one_hot(&self, name: &str, rows: usize, classes: usize) -> Result<Vec<String>> {
        let wrong = || {
            self.wrong(name, "it has several columns, but not a single 1 among zeros in every row: save a label a row")
        };
        let matrix = self.matrix(rows, classes, self.numbers().ok_or_else(wrong)?);
        let label = |row: usize| {
            let mut ones = (0..classes).filter(|&class| matrix[(row, class)] == 1.0);
            let zeros = (0..classes).filter(|&class| matrix[(row, class)] == 0.0).count();
            ones.next().filter(|_| zeros == classes - 1).map(|class| class.to_string())
        };
        (0..rows).map(label).collect::<Option<_>>().ok_or_else(wrong)
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

    fn wrong(&self, name: &str, expected: &'static str) -> HeadError {
        let shape: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        HeadError::WrongArray {
            name: name.to_owned(),
            found: format!("{} of shape ({})", self.element_name, shape.join(", ")),
            expected,
        }
    }
}
