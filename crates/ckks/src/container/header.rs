//! The header of a container: everything but the tensors' elements, checked against the length of the file.

use super::packing::WIDTHS;
use super::{
    ContainerDigest, ContainerError, DIGEST, ElementType, KIND, MAX_HEADER, PACKED, ROW_DIGESTS, VERSION, rows,
};
use safetensors::tensor::Metadata;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// What a container says about itself.
///
/// As long as the digest is not checked, which needs the tensors, this is only what the file claims; but the tensors
/// that it tells of fill the file exactly, so that no length in it is larger than the file.
pub struct Header {
    kind: String,
    version: u32,
    pub(super) digest: String,
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, Stored>,
    packed: BTreeMap<String, Vec<u32>>,
    row_digests: bool,
}

/// A tensor in the file.
pub(super) struct Stored {
    pub(super) element: ElementType,
    pub(super) shape: Vec<usize>,
    /// Where its bytes begin, from the start of the file, and how many they are.
    pub(super) start: u64,
    pub(super) length: usize,
}

/// A packed tensor ([`super::packing`]) without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedShape<'c> {
    /// The width of the residues of every limb, in bits.
    pub widths: &'c [u32],
    /// Number of polynomials.
    pub count: usize,
    /// Bytes of a polynomial.
    pub row_bytes: usize,
}

impl Header {
    /// Reads the header of a file of `length` bytes.
    pub(super) fn read(file: &mut impl Read, length: u64) -> Result<Self, ContainerError> {
        let mut start = Vec::with_capacity(8);
        file.by_ref().take(8).read_to_end(&mut start)?;
        let header_length = u64::from_le_bytes(<[u8; 8]>::try_from(start.as_slice()).map_err(|_| too_short())?);
        if header_length > MAX_HEADER as u64 {
            return Err(ContainerError::Unreadable("no header at its start".to_owned()));
        }
        // The vector grows with what is really there: a wrong length reserves nothing.
        let mut header = Vec::new();
        file.by_ref().take(header_length).read_to_end(&mut header)?;
        if (header.len() as u64) < header_length {
            return Err(too_short());
        }
        let layout: Metadata = serde_json::from_slice(&header).map_err(unreadable)?;
        let metadata: BTreeMap<String, String> = layout.metadata().clone().unwrap_or_default().into_iter().collect();
        let entry = |key: &'static str| metadata.get(key).cloned().ok_or(ContainerError::Foreign(key));
        let (kind, digest, version) = (entry(KIND)?, entry(DIGEST)?, entry(VERSION)?);
        let version =
            version.parse().map_err(|_| ContainerError::InvalidMetadata { key: VERSION.to_owned(), value: version })?;
        let tensors = place(&layout, 8 + header_length, length)?;
        let packed = packed_widths(&metadata, &tensors)?;
        let row_digests = row_digests(&metadata, &tensors, &packed)?;
        Ok(Header { kind, version, digest, metadata, tensors, packed, row_digests })
    }

    /// Refuses another kind or version.
    pub(super) fn expect(&self, kind: &str, versions: RangeInclusive<u32>) -> Result<(), ContainerError> {
        if self.kind != kind {
            return Err(ContainerError::WrongKind { found: self.kind.clone(), expected: kind.to_owned() });
        }
        let (kind, found, supported) = (self.kind.clone(), self.version, *versions.end());
        if found > supported {
            return Err(ContainerError::NewerVersion { kind, found, supported });
        }
        if !versions.contains(&found) {
            return Err(ContainerError::OlderVersion { kind, found, supported });
        }
        Ok(())
    }

    /// What the file is.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The version of the kind's format.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// All metadata, sorted by key; the container's own included.
    pub fn all_metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// A metadata entry.
    ///
    /// # Errors
    ///
    /// [`ContainerError::MissingMetadata`].
    pub fn metadata(&self, key: &str) -> Result<&str, ContainerError> {
        self.metadata.get(key).map(String::as_str).ok_or_else(|| ContainerError::MissingMetadata(key.to_owned()))
    }

    /// A metadata entry, parsed.
    ///
    /// # Errors
    ///
    /// [`ContainerError::MissingMetadata`], [`ContainerError::InvalidMetadata`].
    pub fn parse_metadata<T: FromStr>(&self, key: &str) -> Result<T, ContainerError> {
        let value = self.metadata(key)?;
        value.parse().map_err(|_| ContainerError::InvalidMetadata { key: key.to_owned(), value: value.to_owned() })
    }

    /// The tensors' names, sorted, with element type and shape.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, ElementType, &[usize])> {
        self.tensors.iter().map(|(name, stored)| (name.as_str(), stored.element, &stored.shape[..]))
    }

    /// A packed tensor by its name.
    ///
    /// # Errors
    ///
    /// [`ContainerError::MissingTensor`], also for a tensor that is not packed.
    pub fn packed(&self, name: &str) -> Result<PackedShape<'_>, ContainerError> {
        let widths = self.packed.get(name).ok_or_else(|| ContainerError::MissingTensor(name.to_owned()))?;
        let (_, stored) = self.stored(name)?;
        Ok(PackedShape { widths, count: stored.shape[0], row_bytes: stored.shape[1] })
    }

    /// Whether every packed row has a digest of its own.
    pub fn has_row_digests(&self) -> bool {
        self.row_digests
    }

    /// The digest of everything, with `bytes` for the tensors' bytes. Packed ones are asked for unless their rows have
    /// digests of their own.
    pub(super) fn digest_with<'b>(&self, bytes: impl Fn(&str, &Stored) -> &'b [u8]) -> String {
        let mut digest = ContainerDigest::start(&self.metadata);
        for (name, stored) in self.tensors() {
            digest.tensor(name, stored.element, &stored.shape);
            if !(self.row_digests && self.is_packed(name)) {
                digest.bytes(bytes(name, stored));
            }
        }
        digest.finish()
    }

    pub(super) fn is_packed(&self, name: &str) -> bool {
        self.packed.contains_key(name)
    }

    /// The tensors, sorted by name.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (&str, &Stored)> {
        self.tensors.iter().map(|(name, stored)| (name.as_str(), stored))
    }

    pub(super) fn stored(&self, name: &str) -> Result<(&str, &Stored), ContainerError> {
        let found = self.tensors.get_key_value(name).ok_or_else(|| ContainerError::MissingTensor(name.to_owned()))?;
        Ok((found.0.as_str(), found.1))
    }
}

/// The tensors of a header, which must fill the file from `data_start` to its end without gap or overlap.
fn place(layout: &Metadata, data_start: u64, file_length: u64) -> Result<BTreeMap<String, Stored>, ContainerError> {
    let mut entries: Vec<_> = layout.tensors().into_iter().collect();
    entries.sort_by_key(|(_, info)| info.data_offsets);
    let (mut tensors, mut next) = (BTreeMap::new(), 0usize);
    for (name, info) in entries {
        let element = ElementType::from_dtype(info.dtype)
            .ok_or_else(|| ContainerError::Unreadable(format!("tensor `{name}` holds {} elements", info.dtype)))?;
        let length = info.shape.iter().try_fold(element.size(), |bytes, &axis| bytes.checked_mul(axis));
        let ((start, end), shape) = (info.data_offsets, info.shape.clone());
        if start != next || length.and_then(|length| start.checked_add(length)) != Some(end) {
            return Err(ContainerError::Unreadable(format!("tensor `{name}` is not where it should be")));
        }
        tensors.insert(name, Stored { element, shape, start: data_start + start as u64, length: end - start });
        next = end;
    }
    match data_start.checked_add(next as u64) {
        Some(end) if end == file_length => Ok(tensors),
        Some(end) if end < file_length => Err(ContainerError::Unreadable("it is longer than it says".to_owned())),
        _ => Err(too_short()),
    }
}

/// The entry `packed` of the metadata, checked against the tensors.
fn packed_widths(
    metadata: &BTreeMap<String, String>,
    tensors: &BTreeMap<String, Stored>,
) -> Result<BTreeMap<String, Vec<u32>>, ContainerError> {
    let Some(text) = metadata.get(PACKED) else { return Ok(BTreeMap::new()) };
    let invalid = || ContainerError::InvalidMetadata { key: PACKED.to_owned(), value: text.clone() };
    let packed: BTreeMap<String, Vec<u32>> = serde_json::from_str(text).map_err(|_| invalid())?;
    let fits = |(name, widths): (&String, &Vec<u32>)| {
        // Rows without bytes could be any number.
        let rows = tensors
            .get(name)
            .is_some_and(|tensor| tensor.element == ElementType::U8 && tensor.shape.len() == 2 && tensor.shape[1] > 0);
        rows && widths.iter().all(|width| WIDTHS.contains(width))
    };
    if packed.iter().all(fits) { Ok(packed) } else { Err(invalid()) }
}

/// Whether rows have digests of their own: then all of them have.
fn row_digests(
    metadata: &BTreeMap<String, String>,
    tensors: &BTreeMap<String, Stored>,
    packed: &BTreeMap<String, Vec<u32>>,
) -> Result<bool, ContainerError> {
    let Some(algorithm) = metadata.get(ROW_DIGESTS) else { return Ok(false) };
    if algorithm != rows::ALGORITHM {
        return Err(ContainerError::InvalidMetadata { key: ROW_DIGESTS.to_owned(), value: algorithm.clone() });
    }
    for name in packed.keys() {
        let own = rows::tensor_name(name);
        let count = tensors.get(name).map_or(0, |tensor| tensor.shape[0]);
        let Some(Stored { element, shape, .. }) = tensors.get(&own) else {
            return Err(ContainerError::MissingTensor(own));
        };
        if packed.contains_key(&own) {
            return Err(ContainerError::MissingTensor(own));
        }
        if *element != ElementType::U8 {
            return Err(ContainerError::WrongElementType { name: own, found: *element, expected: ElementType::U8 });
        }
        if *shape != [count, rows::LENGTH] {
            let (found, expected) = (shape.clone(), vec![count, rows::LENGTH]);
            return Err(ContainerError::WrongShape { name: own, found, expected });
        }
    }
    Ok(true)
}

pub(super) fn too_short() -> ContainerError {
    ContainerError::Unreadable("it is cut short".to_owned())
}

fn unreadable(error: impl fmt::Display) -> ContainerError {
    ContainerError::Unreadable(error.to_string())
}

// Names only: metadata are long.
impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("kind", &self.kind)
            .field("version", &self.version)
            .field("tensors", &self.tensors.keys())
            .finish_non_exhaustive()
    }
}
