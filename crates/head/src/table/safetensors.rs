//! Tables from `.safetensors` files, and into them.
//!
//! Safetensors hold no words: where labels are words, the tensor `labels` holds their places in a list. That list,
//! the columns' names and the features' provenance stand in the metadata entry `ciphertune`, a JSON object. Names are also
//! read from the entries `feature_names`, a JSON list, and `label_name`, where other programs may put them.

use super::arrays::{Array, Outline, table_of_arrays};
use super::{FeatureTable, LabelColumn, is_single, whole_numbers};
use crate::column_names::ColumnNames;
use crate::error::{HeadError, Result};
use crate::linalg::to_rows;
use crate::provenance::Provenance;
use ciphertune_formats::Element;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The metadata entry that is ours.
const ENTRY: &str = "ciphertune";

/// What it holds.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Notes {
    /// The words that the labels count through from 0; none if the labels are whole numbers themselves.
    words: Option<Vec<String>>,
    /// What the columns are called.
    feature_names: Option<Vec<String>>,
    label_name: Option<String>,
    provenance: Option<Provenance>,
}

pub(super) fn parse(bytes: &[u8], labels: LabelColumn) -> Result<FeatureTable> {
    let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
    let find = |name: &str| {
        let Ok(view) = file.tensor(name) else { return Ok(None) };
        Ok(Some(Array {
            element: element(view.dtype()),
            element_name: view.dtype().to_string(),
            shape: view.shape().to_vec(),
            column_major: false,
            big_endian: false,
            bytes: view.data().into(),
        }))
    };
    let mut names: Vec<String> = file.names().into_iter().map(str::to_owned).collect();
    names.sort_unstable();
    let outline = |name: &str| {
        let view = file.tensor(name).ok()?;
        Some(Outline { element: element(view.dtype()), shape: view.shape().to_vec() })
    };
    let table = table_of_arrays(labels, None, find, &names, outline)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
    let entry = |key: &str| header.metadata().as_ref()?.get(key).map(String::as_str);
    let table = match entry(ENTRY) {
        Some(text) => annotate(table, serde_json::from_str(text).map_err(unreadable)?)?,
        None => table,
    };
    match ColumnNames::from_entries(entry, table.columns())? {
        Some(names) if table.names().is_none() => table.with_names(names),
        _ => Ok(table),
    }
}

fn annotate(table: FeatureTable, notes: Notes) -> Result<FeatureTable> {
    let FeatureTable { features, mut labels, .. } = table;
    if let (Some(words), Some(labels)) = (notes.words, &mut labels) {
        for label in labels {
            let word = label.parse().ok().and_then(|place: usize| words.get(place));
            *label = word.ok_or_else(|| unreadable(format!("label {label} of {} words", words.len())))?.clone();
        }
    }
    let table = FeatureTable { features, labels, names: None, provenance: notes.provenance };
    match notes.feature_names {
        Some(names) => table.with_names(ColumnNames::new(names, notes.label_name)?),
        None => Ok(table),
    }
}

impl FeatureTable {
    /// The table as a `.safetensors` file: `features` in single precision (double where that would change a value),
    /// `labels` as 64-bit integers. Any program that reads safetensors can open it.
    ///
    /// # Errors
    ///
    /// [`HeadError::InvalidArtefact`] for labels too long for a header.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let values = to_rows(&self.features);
        let (element, bytes): (_, Vec<u8>) = match is_single(&values) {
            true => (Dtype::F32, values.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect()),
            false => (Dtype::F64, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        };
        let (numbers, words) = self.labels.as_deref().map(numbered).unzip();
        let label_bytes: Vec<u8> = numbers.iter().flatten().flat_map(|number: &i64| number.to_le_bytes()).collect();
        let invalid = |error: safetensors::SafeTensorError| HeadError::InvalidArtefact(error.to_string());
        let mut tensors =
            vec![("features", TensorView::new(element, vec![self.rows(), self.columns()], &bytes).map_err(invalid)?)];
        if let Some(numbers) = &numbers {
            let view = TensorView::new(Dtype::I64, vec![numbers.len()], &label_bytes).map_err(invalid)?;
            tensors.push(("labels", view));
        }
        let (feature_names, label_name) =
            self.names().map(|names| (names.features().to_vec(), names.label().map(str::to_owned))).unzip();
        let label_name = label_name.flatten();
        let notes = Notes { words: words.flatten(), feature_names, label_name, provenance: self.provenance.clone() };
        let notes = serde_json::to_string(&notes).expect("strings are JSON");
        // One entry: several would come in another order each time.
        serialize(tensors, Some(HashMap::from([(ENTRY.to_owned(), notes)]))).map_err(invalid)
    }
}

/// Labels as whole numbers, and the words that these stand for, if the labels are not whole numbers themselves.
fn numbered(labels: &[String]) -> (Vec<i64>, Option<Vec<String>>) {
    if let Some(numbers) = whole_numbers(labels) {
        return (numbers, None);
    }
    let mut words = labels.to_vec();
    words.sort_unstable();
    words.dedup();
    let place = |label: &String| words.binary_search(label).expect("every label is among the words") as i64;
    (labels.iter().map(place).collect(), Some(words))
}

fn element(dtype: Dtype) -> Option<Element> {
    Some(match dtype {
        Dtype::BOOL => Element::Bool,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::Bf16,
        Dtype::F32 => Element::F32,
        Dtype::F64 => Element::F64,
        Dtype::I8 => Element::I8,
        Dtype::I16 => Element::I16,
        Dtype::I32 => Element::I32,
        Dtype::I64 => Element::I64,
        Dtype::U8 => Element::U8,
        Dtype::U16 => Element::U16,
        Dtype::U32 => Element::U32,
        Dtype::U64 => Element::U64,
        _ => return None,
    })
}

fn unreadable(reason: impl std::fmt::Display) -> HeadError {
    HeadError::UnreadableTable { format: "safetensors", reason: reason.to_string() }
}
