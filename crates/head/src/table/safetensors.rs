//! Tables from `.safetensors` files.

use super::arrays::{Array, Element, table_of_arrays};
use super::{FeatureTable, LabelColumn};
use crate::error::{HeadError, Result};
use safetensors::{Dtype, SafeTensors};

pub(super) fn parse(bytes: &[u8], labels: LabelColumn) -> Result<FeatureTable> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| HeadError::UnreadableTable { format: "safetensors", reason: error.to_string() })?;
    let find = |name| {
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
    let names = || {
        let mut names: Vec<String> = file.names().into_iter().map(str::to_owned).collect();
        names.sort_unstable();
        names
    };
    table_of_arrays(labels, find, names)
}

fn element(dtype: Dtype) -> Option<Element> {
    Some(match dtype {
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
