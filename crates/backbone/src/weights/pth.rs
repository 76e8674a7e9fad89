//! PyTorch's `.pth`: a zip archive of a pickle (`data.pkl`) and one file of raw values a storage (`data/KEY`).

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;

use zip::ZipArchive;

use super::pickle::{self, Value};
use super::{Tensor, floats};
use crate::error::{BackboneError, Result};

/// How to get a file that can be read.
pub(super) const CONVERT: &str =
    "convert it in Python with safetensors.torch.save_file(model.state_dict(), \"weights.safetensors\")";

/// The largest pickle that is read; a state dict's is some hundred kilobytes.
const MAX_PICKLE: u64 = 16 << 20;

/// The tensors of 32-bit floats in the archive `bytes`; `path` is for messages.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    let bad = |reason: String| BackboneError::model(path, format!("{reason}; {CONVERT}"));
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| bad(format!("not a .pth file ({error})")))?;
    let pickle_name = archive
        .file_names()
        .filter_map(|name| name.ok().map(|name| name.into_owned()))
        .find(|name| name == "data.pkl" || name.ends_with("/data.pkl"))
        .ok_or_else(|| bad("not a .pth file (it holds no data.pkl)".into()))?;
    let folder = pickle_name.trim_end_matches("data.pkl").to_owned();
    let pickled = unpack(&mut archive, &pickle_name, MAX_PICKLE).map_err(bad)?;
    let Value::Dict(entries) = pickle::read(&pickled).map_err(|reason| bad(format!("its pickle has {reason}")))? else {
        return Err(bad("it holds no state dict".into()));
    };

    let mut tensors = BTreeMap::new();
    for (name, value) in entries {
        let Value::Text(name) = name else { return Err(bad("it holds no state dict".into())) };
        let tensor = Layout::of(&value).map_err(|reason| bad(format!("{name}: {reason}")))?;
        if tensor.kind != "torch.FloatStorage" {
            continue;
        }
        // A storage's file cannot be larger than the archive unless it is compressed, which PyTorch never does.
        let stored = unpack(&mut archive, &format!("{folder}data/{}", tensor.key), bytes.len() as u64).map_err(bad)?;
        let values = tensor.values(&stored).map_err(|reason| bad(format!("{name}: {reason}")))?;
        tensors.insert(name, Tensor { shape: tensor.shape, values });
    }
    if tensors.is_empty() {
        return Err(bad("it holds no 32-bit floating-point tensors".into()));
    }
    Ok(tensors)
}

fn unpack(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str, most: u64) -> std::result::Result<Vec<u8>, String> {
    let entry = archive.by_name(name).map_err(|error| format!("{name} is missing ({error})"))?;
    let mut bytes = Vec::new();
    entry.take(most + 1).read_to_end(&mut bytes).map_err(|error| format!("{name} is damaged ({error})"))?;
    if bytes.len() as u64 > most { Err(format!("{name} is too large")) } else { Ok(bytes) }
}

/// Where a tensor's values lie.
struct Layout {
    kind: String,
    key: String,
    offset: usize,
    shape: Vec<usize>,
}

impl Layout {
    fn of(value: &Value) -> std::result::Result<Self, String> {
        let Value::Call(function, arguments) = value else { return Err("not a tensor".into()) };
        let arguments = match &**arguments {
            Value::Sequence(arguments) => arguments,
            _ => return Err("not a tensor".into()),
        };
        // A parameter wraps its tensor.
        if function == "torch._utils._rebuild_parameter" {
            return arguments.first().ok_or_else(|| "not a tensor".to_owned()).and_then(Self::of);
        }
        if function != "torch._utils._rebuild_tensor_v2" {
            return Err(format!("built by {function}, not a plain tensor"));
        }
        let [Value::Persistent(storage), Value::Int(offset), shape, strides, ..] = &arguments[..] else {
            return Err("not a tensor".into());
        };
        let Value::Sequence(storage) = &**storage else { return Err("no storage".into()) };
        let [Value::Text(tag), Value::Global(kind), Value::Text(key), ..] = &storage[..] else {
            return Err("no storage".into());
        };
        let digits = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
        if tag != "storage" || !digits {
            return Err("no storage".into());
        }
        let (shape, strides) = (sizes(shape).ok_or("no shape")?, sizes(strides).ok_or("no strides")?);
        let mut dense = 1usize;
        let mut row_major = shape.len() == strides.len();
        for (&size, &stride) in shape.iter().zip(&strides).rev() {
            row_major &= size == 1 || stride == dense;
            dense = dense.checked_mul(size).ok_or("an impossible shape")?;
        }
        if !row_major {
            return Err("not stored in row-major order".into());
        }
        let offset = usize::try_from(*offset).map_err(|_| "an impossible offset")?;
        Ok(Self { kind: kind.clone(), key: key.clone(), offset, shape })
    }

    fn values(&self, stored: &[u8]) -> std::result::Result<Vec<f32>, String> {
        let count: usize = self.shape.iter().product();
        let start = self.offset.checked_mul(4);
        let range = start.and_then(|start| Some(start..start.checked_add(count.checked_mul(4)?)?));
        range.and_then(|range| stored.get(range)).map(floats).ok_or_else(|| "its storage is too short".into())
    }
}

fn sizes(value: &Value) -> Option<Vec<usize>> {
    let Value::Sequence(items) = value else { return None };
    items.iter().map(|item| if let Value::Int(size) = item { usize::try_from(*size).ok() } else { None }).collect()
}
