//! Reading a container that lies in memory.

use super::header::{Header, PackedShape, Stored};
use super::{ContainerError, ElementType, rows};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A container that was read, checked against its digest, and found to be of the expected kind.
pub struct Container<'a> {
    bytes: Cow<'a, [u8]>,
    header: Header,
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
    shape: PackedShape<'c>,
    bytes: &'c [u8],
}

impl<'a> Container<'a> {
    /// Reads a container of the kind `kind`, in the format version `version`.
    ///
    /// The bytes may be owned or borrowed; tensors are not copied.
    ///
    /// # Errors
    ///
    /// [`ContainerError::Unreadable`], [`ContainerError::Foreign`], [`ContainerError::Damaged`] or
    /// [`ContainerError::DamagedRow`] for bytes that are not a whole container, [`ContainerError::WrongKind`], [`ContainerError::NewerVersion`] and
    /// [`ContainerError::OlderVersion`] for a container that is not the one asked for.
    pub fn parse(bytes: impl Into<Cow<'a, [u8]>>, kind: &str, version: u32) -> Result<Self, ContainerError> {
        let container = Self::parse_any(bytes)?;
        container.header.expect(kind, version..=version)?;
        Ok(container)
    }

    /// Reads a container of any kind and version.
    ///
    /// # Errors
    ///
    /// As [`Container::parse`], but for the last three.
    pub fn parse_any(bytes: impl Into<Cow<'a, [u8]>>) -> Result<Self, ContainerError> {
        let bytes = bytes.into();
        let header = Header::read(&mut &*bytes, bytes.len() as u64)?;
        let container = Container { bytes, header };
        if container.digest() != container.header.digest {
            return Err(ContainerError::Damaged);
        }
        container.check_rows()?;
        Ok(container)
    }

    /// Everything but the tensors' elements.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// See [`Header::all_metadata`].
    pub fn all_metadata(&self) -> &BTreeMap<String, String> {
        self.header.all_metadata()
    }

    /// See [`Header::metadata`].
    ///
    /// # Errors
    ///
    /// [`ContainerError::MissingMetadata`].
    pub fn metadata(&self, key: &str) -> Result<&str, ContainerError> {
        self.header.metadata(key)
    }

    /// See [`Header::parse_metadata`].
    ///
    /// # Errors
    ///
    /// [`ContainerError::MissingMetadata`], [`ContainerError::InvalidMetadata`].
    pub fn parse_metadata<T: FromStr>(&self, key: &str) -> Result<T, ContainerError> {
        self.header.parse_metadata(key)
    }

    /// A tensor by its name.
    ///
    /// # Errors
    ///
    /// [`ContainerError::MissingTensor`].
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>, ContainerError> {
        let (name, stored) = self.header.stored(name)?;
        Ok(Tensor::new(name, stored, self.bytes_of(stored)))
    }

    /// A packed tensor by its name.
    ///
    /// # Errors
    ///
    /// [`ContainerError::MissingTensor`], also for a tensor that is not packed.
    pub fn packed(&self, name: &str) -> Result<Packed<'_>, ContainerError> {
        Ok(Packed { shape: self.header.packed(name)?, bytes: self.tensor(name)?.bytes })
    }

    fn digest(&self) -> String {
        self.header.digest_with(|_, stored| self.bytes_of(stored))
    }

    /// The digests of rows, where they have some.
    fn check_rows(&self) -> Result<(), ContainerError> {
        if !self.header.has_row_digests() {
            return Ok(());
        }
        let packed = self.header.tensors().filter(|(name, _)| self.header.is_packed(name));
        for (tensor, _) in packed {
            let (content, digests) = (self.packed(tensor)?, self.tensor(&rows::tensor_name(tensor))?);
            let expected = digests.bytes.par_chunks_exact(rows::LENGTH);
            let rows = content.bytes.par_chunks_exact(content.shape.row_bytes).zip(expected);
            if let Some(row) = rows.position_first(|(row, expected)| rows::digest(row) != expected) {
                return Err(ContainerError::DamagedRow { tensor: tensor.to_owned(), row, count: content.shape.count });
            }
        }
        Ok(())
    }

    /// The header was checked against the length.
    fn bytes_of(&self, stored: &Stored) -> &[u8] {
        &self.bytes[stored.start as usize..stored.start as usize + stored.length]
    }
}

impl<'c> Tensor<'c> {
    /// A tensor of its header's entry and its bytes.
    pub(super) fn new(name: &'c str, stored: &'c Stored, bytes: &'c [u8]) -> Self {
        Tensor { name, element: stored.element, shape: &stored.shape, bytes }
    }

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
    /// Widths, count and length of the rows.
    pub fn shape(&self) -> PackedShape<'c> {
        self.shape
    }

    /// The polynomials' bytes.
    pub fn rows(&self) -> std::slice::ChunksExact<'c, u8> {
        self.bytes.chunks_exact(self.shape.row_bytes)
    }
}

// Tensors may hold secrets: only their names are printed.
impl fmt::Debug for Container<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.header.fmt(f)
    }
}

impl fmt::Debug for Tensor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {:?}", self.name, self.element, self.shape)
    }
}
