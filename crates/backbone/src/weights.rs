//! Pretrained weights: named tensors from a state dict saved as `.safetensors` or as PyTorch's `.pth`.

use std::collections::BTreeMap;
use std::path::Path;

use half::f16;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::error::{BackboneError, Result};

mod pickle;
mod pth;

/// The largest file of weights that is read, in bytes.
pub const MAX_WEIGHTS_BYTES: u64 = 4 << 30;

/// One tensor: its values in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its sizes.
    pub shape: Vec<usize>,
    /// Its values, as many as the product of the sizes.
    pub values: Vec<f32>,
}

/// The tensors of a state dict by name. Tensors that are not of floats (counters) are left out.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
    digest: [u8; 32],
}

impl Weights {
    /// Reads a `.safetensors` file, or a `.pth` or `.pt` file as `torch.save(model.state_dict(), file)` writes it.
    ///
    /// No code in a `.pth` file is run: only dictionaries of tensors are understood, and all else is refused.
    ///
    /// # Errors
    /// [`BackboneError::File`] and [`BackboneError::BadModel`].
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = read_model_file(path)?;
        let digest = Sha256::digest(&bytes).into();
        let tensors = if bytes.starts_with(b"PK\x03\x04") {
            pth::read(path, &bytes)?
        } else {
            read_safetensors(&bytes).map_err(|reason| BackboneError::model(path, reason))?
        };
        Ok(Self { tensors, digest })
    }

    /// As [`Weights::load`], from the bytes of a `.safetensors` file; the error is a sentence without the file's name.
    pub(crate) fn from_safetensors(bytes: &[u8]) -> std::result::Result<Self, String> {
        Ok(Self { tensors: read_safetensors(bytes)?, digest: Sha256::digest(bytes).into() })
    }

    /// Weights from tensors that are already at hand; each shape must match its number of values.
    pub fn from_tensors(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        let tensors: BTreeMap<String, Tensor> = tensors.into_iter().collect();
        let mut hash = Sha256::new();
        for (name, tensor) in &tensors {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name.as_bytes());
            hash.update((tensor.shape.len() as u64).to_le_bytes());
            tensor.shape.iter().for_each(|&size| hash.update((size as u64).to_le_bytes()));
            tensor.values.iter().for_each(|value| hash.update(value.to_le_bytes()));
        }
        Self { tensors, digest: hash.finalize().into() }
    }

    /// The tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// SHA-256 of the file, or of the tensors where there was no file.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

/// The bytes of a file of weights or of a model.
pub(crate) fn read_model_file(path: &Path) -> Result<Vec<u8>> {
    let length = std::fs::metadata(path).map_err(BackboneError::file(path))?.len();
    if length > MAX_WEIGHTS_BYTES {
        return Err(BackboneError::model(path, format!("larger than {} GiB", MAX_WEIGHTS_BYTES >> 30)));
    }
    std::fs::read(path).map_err(BackboneError::file(path))
}

/// Tensors of 32-bit floats, and of 16-bit ones (IEEE's half precision), which become 32-bit ones exactly.
fn read_safetensors(bytes: &[u8]) -> std::result::Result<BTreeMap<String, Tensor>, String> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| format!("neither a .safetensors nor a .pth file ({error}); {}", pth::CONVERT))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        let values = match view.dtype() {
            Dtype::F32 => floats(view.data()),
            Dtype::F16 => {
                view.data().chunks_exact(2).map(|two| f16::from_le_bytes([two[0], two[1]]).to_f32()).collect()
            }
            _ => continue,
        };
        tensors.insert(name, Tensor { shape: view.shape().to_vec(), values });
    }
    if tensors.is_empty() {
        return Err("no tensors of 32-bit or 16-bit floats: save the weights as float32".into());
    }
    Ok(tensors)
}

/// Little-endian 32-bit floats.
fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
}
