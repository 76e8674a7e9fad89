//! Reading a container, or only its header.

use super::packing::WIDTHS;
use super::{ContainerDigest, ContainerError, DIGEST, ElementType, KIND, MAX_HEADER, OWN, PACKED, VERSION};
use safetensors::SafeTensors;
use safetensors::tensor::Metadata;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::str::FromStr;

/// A container that was read, checked against its digest, and found to be of the expected kind.
pub struct Container<'a> {
    bytes: Cow<'a, [u8]>,
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, Stored>,
    packed: BTreeMap<String, Vec<u32>>,
    kind: String,
    version: u32,
}

/// Where a tensor lies; the range is one within the container's bytes.
struct Stored {
    element: ElementType,
    shape: Vec<usize>,
    range: Range<usize>,
}

/// A tensor of a container, still in the file's bytes.
#[derive(Clone, Copy)]
pub struct Tensor<'c> {
    name: &'c str,
    element: ElementType,
    shape: &'c [usize],
    bytes: &'c [u8],
}

/// A packed tensor of a container: rows of bit-packed residues ([`super::packing`]).
#[derive(Clone, Copy, Debug)]
pub struct Packed<'c> {
    tensor: Tensor<'c>,
    widths: &'c [u32],
}

impl<'a> Container<'a> {
    /// Reads a container of the kind `kind`, in the format version `version`.
    ///
    /// The bytes may be owned or borrowed (a memory map); tensors are not copied.
    ///
    /// # Errors
    ///
    /// [`ContainerError::Unreadable`], [`ContainerError::Foreign`] or [`ContainerError::Damaged`] for bytes that are not
    /// a whole container, [`ContainerError::WrongKind`], [`ContainerError::NewerVersion`] and
    /// [`ContainerError::OlderVersion`] for a container that is not the one asked for.
    pub fn parse(bytes: impl Into<Cow<'a, [u8]>>, kind: &str, version: u32) -> Result<Self, ContainerError> {
        let container = Self::parse_any(bytes)?;
        if container.kind != kind {
            return Err(ContainerError::WrongKind { found: container.kind, expected: kind.to_owned() });
        }
        let (kind, found, supported) = (container.kind.clone(), container.version, version);
        match found.cmp(&supported) {
            Ordering::Less => Err(ContainerError::OlderVersion { kind, found, supported }),
            Ordering::Equal => Ok(container),
            Ordering::Greater => Err(ContainerError::NewerVersion { kind, found, supported }),
        }
    }

    /// Reads a container of any kind and version.
    ///
    /// # Errors
    ///
    /// As [`Container::parse`], but for the last three.
    pub fn parse_any(bytes: impl Into<Cow<'a, [u8]>>) -> Result<Self, ContainerError> {
        let bytes = bytes.into();
        let header = Header::read(&mut &*bytes)?;
        let (header_length, layout) = SafeTensors::read_metadata(&bytes).map_err(unreadable)?;
        let data_start = 8 + header_length;
        let mut tensors = BTreeMap::new();
        for (name, info) in layout.tensors() {
            let element = ElementType::from_dtype(info.dtype)
                .ok_or_else(|| ContainerError::Unreadable(format!("tensor `{name}` holds {} elements", info.dtype)))?;
            let (start, end) = info.data_offsets;
            let stored = Stored { element, shape: info.shape.clone(), range: data_start + start..data_start + end };
            tensors.insert(name, stored);
        }
        let packed = packed_widths(&header.metadata, &tensors)?;
        let container =
            Container { kind: header.kind, version: header.version, metadata: header.metadata, bytes, tensors, packed };
        if container.digest() != header.digest {
            return Err(ContainerError::Damaged);
        }
        Ok(container)
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

    /// The tensors' names, sorted.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor by its name.
    ///
    /// # Errors
    ///
    /// [`ContainerError::MissingTensor`].
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>, ContainerError> {
        let (name, stored) =
            self.tensors.get_key_value(name).ok_or_else(|| ContainerError::MissingTensor(name.to_owned()))?;
        Ok(Tensor { name, element: stored.element, shape: &stored.shape, bytes: &self.bytes[stored.range.clone()] })
    }

    /// A packed tensor by its name.
    ///
    /// # Errors
    ///
    /// [`ContainerError::MissingTensor`], also for a tensor that is not packed.
    pub fn packed(&self, name: &str) -> Result<Packed<'_>, ContainerError> {
        let widths = self.packed.get(name).ok_or_else(|| ContainerError::MissingTensor(name.to_owned()))?;
        Ok(Packed { tensor: self.tensor(name)?, widths })
    }

    fn digest(&self) -> String {
        let mut digest = ContainerDigest::start(&self.metadata);
        for (name, stored) in &self.tensors {
            digest.tensor(name, stored.element, &stored.shape);
            digest.bytes(&self.bytes[stored.range.clone()]);
        }
        digest.finish()
    }
}

impl<'c> Tensor<'c> {
    /// The type of the elements.
    pub fn element_type(&self) -> ElementType {
        self.element
    }

    /// The length of every axis.
    pub fn shape(&self) -> &'c [usize] {
        self.shape
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.element.size()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The elements' bytes, little-endian, at any alignment.
    pub fn bytes(&self) -> &'c [u8] {
        self.bytes
    }

    /// This tensor, if it has that shape.
    ///
    /// # Errors
    ///
    /// [`ContainerError::WrongShape`].
    pub fn of_shape(self, shape: &[usize]) -> Result<Self, ContainerError> {
        if self.shape == shape {
            return Ok(self);
        }
        Err(ContainerError::WrongShape {
            name: self.name.to_owned(),
            found: self.shape.to_vec(),
            expected: shape.to_vec(),
        })
    }

    /// The elements of a `U8` tensor.
    ///
    /// # Errors
    ///
    /// [`ContainerError::WrongElementType`], here and in the four functions below.
    pub fn u8s(&self) -> Result<&'c [u8], ContainerError> {
        self.expect(ElementType::U8)?;
        Ok(self.bytes)
    }

    /// The elements of an `I8` tensor.
    pub fn i8s(&self) -> Result<impl ExactSizeIterator<Item = i8> + 'c, ContainerError> {
        self.expect(ElementType::I8)?;
        Ok(self.bytes.iter().map(|&byte| byte as i8))
    }

    /// The elements of an `I64` tensor.
    pub fn i64s(&self) -> Result<impl ExactSizeIterator<Item = i64> + 'c, ContainerError> {
        self.expect(ElementType::I64)?;
        Ok(self.words().map(i64::from_le_bytes))
    }

    /// The elements of a `U64` tensor.
    pub fn u64s(&self) -> Result<impl ExactSizeIterator<Item = u64> + 'c, ContainerError> {
        self.expect(ElementType::U64)?;
        Ok(self.words().map(u64::from_le_bytes))
    }

    /// The elements of an `F64` tensor.
    pub fn f64s(&self) -> Result<impl ExactSizeIterator<Item = f64> + 'c, ContainerError> {
        self.expect(ElementType::F64)?;
        Ok(self.words().map(f64::from_le_bytes))
    }

    fn words(&self) -> impl ExactSizeIterator<Item = [u8; 8]> + 'c {
        let (words, _) = self.bytes.as_chunks::<8>();
        words.iter().copied()
    }

    fn expect(&self, expected: ElementType) -> Result<(), ContainerError> {
        if self.element == expected {
            return Ok(());
        }
        Err(ContainerError::WrongElementType { name: self.name.to_owned(), found: self.element, expected })
    }
}

impl<'c> Packed<'c> {
    /// The width of the residues of every limb, in bits.
    pub fn widths(&self) -> &'c [u32] {
        self.widths
    }

    /// Number of polynomials, and bytes of each.
    pub fn shape(&self) -> [usize; 2] {
        [self.tensor.shape[0], self.tensor.shape[1]]
    }

    /// The polynomials' bytes.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &'c [u8]> + use<'c> {
        let ([count, length], bytes) = (self.shape(), self.tensor.bytes);
        (0..count).map(move |i| &bytes[i * length..(i + 1) * length])
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
        let tensor = tensors.get(name);
        tensor.is_some_and(|tensor| tensor.element == ElementType::U8 && tensor.shape.len() == 2)
            && widths.iter().all(|width| WIDTHS.contains(width))
    };
    if packed.iter().all(fits) { Ok(packed) } else { Err(invalid()) }
}

/// What a container says about itself, before its digest is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What the file is.
    pub kind: String,
    /// The version of the kind's format.
    pub version: u32,
    /// The caller's metadata: all but the container's own.
    pub metadata: BTreeMap<String, String>,
    /// The tensors, in the order of the file.
    pub tensors: Vec<TensorDescription>,
}

/// A tensor as a header describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorDescription {
    /// Its name.
    pub name: String,
    /// The type of its elements, as safetensors names it.
    pub element_type: String,
    /// The length of every axis.
    pub shape: Vec<usize>,
    /// Bytes that it takes.
    pub bytes: usize,
}

/// Reads the header of a container and nothing more: fast, but the digest is not checked and the tensors may be missing.
///
/// # Errors
///
/// [`ContainerError::Unreadable`] and [`ContainerError::Foreign`] for what is no container.
pub fn describe(file: &mut impl Read) -> Result<Description, ContainerError> {
    let Header { kind, version, mut metadata, layout, .. } = Header::read(file)?;
    metadata.retain(|key, _| !OWN.contains(&key.as_str()));
    let describe_tensor = |name: String| {
        let info = layout.info(&name)?;
        Some(TensorDescription {
            element_type: info.dtype.to_string(),
            shape: info.shape.clone(),
            bytes: info.data_offsets.1 - info.data_offsets.0,
            name,
        })
    };
    let tensors = layout.offset_keys().into_iter().filter_map(describe_tensor).collect();
    Ok(Description { kind, version, metadata, tensors })
}

struct Header {
    kind: String,
    version: u32,
    digest: String,
    metadata: BTreeMap<String, String>,
    layout: Metadata,
}

impl Header {
    fn read(file: &mut impl Read) -> Result<Self, ContainerError> {
        let mut start = Vec::with_capacity(8);
        file.by_ref().take(8).read_to_end(&mut start)?;
        let length = <[u8; 8]>::try_from(start.as_slice()).map_err(|_| too_short())?;
        let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > MAX_HEADER {
            return Err(ContainerError::Unreadable("no header at its start".to_owned()));
        }
        // The vector grows with what is really there: a wrong length reserves nothing.
        let mut header = Vec::new();
        file.by_ref().take(length as u64).read_to_end(&mut header)?;
        if header.len() < length {
            return Err(too_short());
        }
        let layout: Metadata = serde_json::from_slice(&header).map_err(unreadable)?;
        let metadata: BTreeMap<String, String> = layout.metadata().clone().unwrap_or_default().into_iter().collect();
        let entry = |key: &'static str| metadata.get(key).cloned().ok_or(ContainerError::Foreign(key));
        let (kind, digest, version) = (entry(KIND)?, entry(DIGEST)?, entry(VERSION)?);
        let version =
            version.parse().map_err(|_| ContainerError::InvalidMetadata { key: VERSION.to_owned(), value: version })?;
        Ok(Header { kind, version, digest, metadata, layout })
    }
}

fn too_short() -> ContainerError {
    ContainerError::Unreadable("it is cut short".to_owned())
}

fn unreadable(error: impl fmt::Display) -> ContainerError {
    ContainerError::Unreadable(error.to_string())
}

// Tensors may hold secrets: only their names are printed.
impl fmt::Debug for Container<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container")
            .field("kind", &self.kind)
            .field("version", &self.version)
            .field("tensors", &self.tensors.keys())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Tensor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {:?}", self.name, self.element, self.shape)
    }
}
