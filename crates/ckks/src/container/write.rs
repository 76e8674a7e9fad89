//! Writing a container.

use super::rows::{self, RowHasher};
use super::{
    ContainerDigest, ContainerError, DIGEST, ElementType, KIND, MAX_HEADER, OWN, PACKED, ROW_DIGESTS, VERSION,
};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom, Write};
use zeroize::Zeroizing;

/// Numbers that are turned into bytes in one go.
const CHUNK: usize = 1 << 13;

/// Collects metadata and tensors, then writes them as one container. Equal content gives equal bytes.
///
/// Tensors may be lent: nothing is copied before it is written.
///
/// ```
/// use ciphertune_ckks::container::{Container, ContainerWriter};
///
/// let bytes = ContainerWriter::new("greeting", 1)
///     .metadata("language", "en")
///     .u64("numbers", &[2, 2], vec![1, 2, 3, 4])
///     .to_bytes()?;
/// let container = Container::parse(bytes, "greeting", 1)?;
/// assert_eq!(container.tensor("numbers")?.u64s()?.sum::<u64>(), 10);
/// # Ok::<(), ciphertune_ckks::container::ContainerError>(())
/// ```
#[derive(Debug)]
pub struct ContainerWriter<'a> {
    pub(super) metadata: BTreeMap<String, String>,
    packed: BTreeMap<String, Vec<u32>>,
    tensors: Vec<Entry<'a>>,
}

/// Takes a tensor's bytes, piece by piece.
pub type Sink<'s> = dyn FnMut(&[u8]) -> Result<(), ContainerError> + 's;

struct Entry<'a> {
    name: String,
    shape: Vec<usize>,
    data: Data<'a>,
}

/// The elements of a tensor; the parts of [`Data::Packed`], of equal length, follow each other.
enum Data<'a> {
    /// So many bytes, which [`ContainerWriter::write_streamed`] asks for.
    Later(usize),
    U8(Cow<'a, [u8]>),
    Packed(Vec<Vec<u8>>),
    I8(Cow<'a, [i8]>),
    I64(Cow<'a, [i64]>),
    U64(Cow<'a, [u64]>),
    F64(Cow<'a, [f64]>),
}

impl<'a> ContainerWriter<'a> {
    /// An empty container of this kind and format version.
    pub fn new(kind: &str, version: u32) -> Self {
        let metadata = BTreeMap::from([(KIND.to_owned(), kind.to_owned()), (VERSION.to_owned(), version.to_string())]);
        ContainerWriter { metadata, packed: BTreeMap::new(), tensors: Vec::new() }
    }

    /// Adds a metadata entry; an entry of the same key is replaced, but for the container's own
    /// (`kind`, `version`, `packed`, `row-digests`, `digest`), which are ignored.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let key = key.into();
        if !OWN.contains(&key.as_str()) {
            self.metadata.insert(key, value.into());
        }
        self
    }

    /// Adds a tensor of bytes.
    pub fn u8(self, name: &str, shape: &[usize], data: impl Into<Cow<'a, [u8]>>) -> Self {
        self.tensor(name, shape, Data::U8(data.into()))
    }

    /// Adds a tensor of signed bytes.
    pub fn i8(self, name: &str, shape: &[usize], data: impl Into<Cow<'a, [i8]>>) -> Self {
        self.tensor(name, shape, Data::I8(data.into()))
    }

    /// Adds a tensor of signed 64-bit integers.
    pub fn i64(self, name: &str, shape: &[usize], data: impl Into<Cow<'a, [i64]>>) -> Self {
        self.tensor(name, shape, Data::I64(data.into()))
    }

    /// Adds a tensor of unsigned 64-bit integers.
    pub fn u64(self, name: &str, shape: &[usize], data: impl Into<Cow<'a, [u64]>>) -> Self {
        self.tensor(name, shape, Data::U64(data.into()))
    }

    /// Adds a packed tensor ([`super::packing`]): polynomials of limbs of these widths, a row of bytes each.
    pub fn packed(mut self, name: &str, widths: &[u32], rows: Vec<Vec<u8>>) -> Self {
        self.announce_packed(name, widths);
        if self.has_row_digests() {
            let digests: Vec<u8> = rows.iter().flat_map(|row| rows::digest(row)).collect();
            self = self.u8(&rows::tensor_name(name), &[rows.len(), rows::LENGTH], digests);
        }
        let shape = [rows.len(), rows.first().map_or(0, Vec::len)];
        self.tensor(name, &shape, Data::Packed(rows))
    }

    /// Adds a tensor of bytes that do not exist yet: see [`Self::write_streamed`].
    pub fn u8_later(self, name: &str, shape: &[usize]) -> Self {
        self.tensor(name, shape, Data::Later(shape.iter().product()))
    }

    /// Adds a packed tensor of `count` rows that do not exist yet: see [`Self::write_streamed`].
    pub fn packed_later(mut self, name: &str, widths: &[u32], count: usize, row_bytes: usize) -> Self {
        self.announce_packed(name, widths);
        if self.has_row_digests() {
            self = self.u8_later(&rows::tensor_name(name), &[count, rows::LENGTH]);
        }
        self.u8_later(name, &[count, row_bytes])
    }

    fn announce_packed(&mut self, name: &str, widths: &[u32]) {
        self.packed.insert(name.to_owned(), widths.to_vec());
        self.metadata.insert(PACKED.to_owned(), json!(self.packed).to_string());
    }

    /// Gives every row of the packed tensors that are added from now on a digest of its own: see [`super`].
    pub fn with_row_digests(mut self) -> Self {
        self.metadata.insert(ROW_DIGESTS.to_owned(), rows::ALGORITHM.to_owned());
        self
    }

    fn has_row_digests(&self) -> bool {
        self.metadata.contains_key(ROW_DIGESTS)
    }

    /// Adds a tensor of double precision numbers.
    pub fn f64(self, name: &str, shape: &[usize], data: impl Into<Cow<'a, [f64]>>) -> Self {
        self.tensor(name, shape, Data::F64(data.into()))
    }

    fn tensor(mut self, name: &str, shape: &[usize], data: Data<'a>) -> Self {
        self.tensors.push(Entry { name: name.to_owned(), shape: shape.to_vec(), data });
        self
    }

    /// The container as bytes.
    ///
    /// # Errors
    ///
    /// [`ContainerError::Unwritable`] if two tensors share a name, or a shape does not fit the number of elements.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ContainerError> {
        self.check_present()?;
        let header = self.header(&self.digest())?;
        let data: usize = self.tensors.iter().map(|entry| entry.data.bytes()).sum();
        let mut bytes = Vec::with_capacity(8 + header.len() + data);
        self.write_parts(&header, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes the container.
    ///
    /// # Errors
    ///
    /// As [`ContainerWriter::to_bytes`], and whatever `out` reports.
    pub fn write_to(&self, out: &mut impl Write) -> Result<(), ContainerError> {
        self.check_present()?;
        self.write_parts(&self.header(&self.digest())?, out)
    }

    /// Writes the container from where `out` stands, and asks for what does not exist yet when it is its turn:
    /// `produce` is given a tensor's name, those of packed tensors first, each in the order of the names, and hands its
    /// bytes on piece by piece. What is packed must have digests of its rows. Header and everything else, which stand
    /// at the beginning, are written last. Returns the number of bytes written.
    ///
    /// # Errors
    ///
    /// As [`ContainerWriter::to_bytes`], also for packed tensors without digests of their rows, and for a tensor that
    /// was given another number of bytes; whatever `out` and `produce` report.
    pub fn write_streamed<E: From<ContainerError>>(
        mut self,
        out: &mut (impl Write + Seek),
        mut produce: impl FnMut(&str, &mut Sink<'_>) -> Result<(), E>,
    ) -> Result<u64, E> {
        self.check()?;
        let io = ContainerError::from;
        let start = out.stream_position().map_err(io)?;
        let blank = "0".repeat(ContainerDigest::LENGTH);
        put(out, &self.header(&blank)?)?;
        let (packed, others): (Vec<&Entry>, Vec<&Entry>) =
            self.in_file_order().into_iter().partition(|entry| self.is_packed(entry));
        if !self.has_row_digests() && !packed.is_empty() {
            return Err(ContainerError::Unwritable("what is streamed needs digests of its rows".to_owned()).into());
        }
        let front: usize = others.iter().map(|entry| entry.data.bytes()).sum();
        std::io::copy(&mut std::io::repeat(0).take(front as u64), out).map_err(io)?;
        let mut late = BTreeMap::new();
        for entry in packed {
            let Data::Later(expected) = entry.data else {
                entry.data.feed(|bytes| out.write_all(bytes)).map_err(io)?;
                continue;
            };
            let (mut found, mut hasher) = (0, RowHasher::new(entry.shape[1]));
            produce(&entry.name, &mut |bytes| {
                found += bytes.len();
                hasher.bytes(bytes);
                Ok(out.write_all(bytes)?)
            })?;
            entry.expect(expected, found)?;
            late.insert(rows::tensor_name(&entry.name), hasher.finish());
        }
        for entry in others {
            if let (Data::Later(expected), false) = (&entry.data, late.contains_key(&entry.name)) {
                let mut content = Vec::new();
                produce(&entry.name, &mut |bytes| {
                    content.extend_from_slice(bytes);
                    Ok(())
                })?;
                entry.expect(*expected, content.len())?;
                late.insert(entry.name.clone(), content);
            }
        }
        for entry in &mut self.tensors {
            if let Some(content) = late.remove(&entry.name) {
                entry.data = Data::U8(content.into());
            }
        }
        let end = out.stream_position().map_err(io)?;
        out.seek(SeekFrom::Start(start)).map_err(io)?;
        put(out, &self.header(&self.digest())?)?;
        let others = self.in_file_order().into_iter().filter(|entry| !self.is_packed(entry));
        others.into_iter().try_for_each(|entry| entry.data.feed(|bytes| out.write_all(bytes))).map_err(io)?;
        out.seek(SeekFrom::Start(end)).map_err(io)?;
        Ok(end - start)
    }

    fn is_packed(&self, entry: &Entry) -> bool {
        self.packed.contains_key(&entry.name)
    }

    fn write_parts(&self, header: &[u8], out: &mut impl Write) -> Result<(), ContainerError> {
        put(out, header)?;
        for entry in self.in_file_order() {
            entry.data.feed(|bytes| out.write_all(bytes))?;
        }
        Ok(())
    }

    /// As [`Self::check`], for what cannot wait.
    fn check_present(&self) -> Result<(), ContainerError> {
        match self.tensors.iter().find(|entry| matches!(entry.data, Data::Later(_))) {
            Some(Entry { name, .. }) => Err(ContainerError::Unwritable(format!("tensor `{name}` is still to come"))),
            None => self.check(),
        }
    }

    fn check(&self) -> Result<(), ContainerError> {
        let unwritable = |text: String| Err(ContainerError::Unwritable(text));
        let mut names: Vec<&str> = self.tensors.iter().map(|t| t.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return unwritable(format!("there are two tensors `{}`", pair[0]));
        }
        if names.contains(&"__metadata__") {
            return unwritable("`__metadata__` is no name for a tensor".to_owned());
        }
        if let Some(name) =
            self.packed.keys().find(|name| self.has_row_digests() && !names.contains(&rows::tensor_name(name).as_str()))
        {
            return unwritable(format!("tensor `{name}` has no digests of its rows"));
        }
        for Entry { name, shape, data } in &self.tensors {
            let elements = shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length));
            if elements != Some(data.len()) {
                return unwritable(format!("tensor `{name}` of shape {shape:?} was given {} elements", data.len()));
            }
        }
        Ok(())
    }

    fn digest(&self) -> String {
        let mut digest = ContainerDigest::start(&self.metadata);
        let mut sorted: Vec<&Entry> = self.tensors.iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        for entry in sorted {
            digest.tensor(&entry.name, entry.data.element(), &entry.shape);
            // The rows' own digests stand for them.
            if !(self.has_row_digests() && self.is_packed(entry)) {
                entry.digest(&mut digest);
            }
        }
        digest.finish()
    }

    /// The JSON header, padded with spaces so that the tensors start at a multiple of eight bytes.
    fn header(&self, digest: &str) -> Result<Vec<u8>, ContainerError> {
        let mut metadata = self.metadata.clone();
        metadata.insert(DIGEST.to_owned(), digest.to_owned());
        let mut header = Map::new();
        header.insert("__metadata__".to_owned(), json!(metadata));
        let mut offset = 0;
        for Entry { name, shape, data } in self.in_file_order() {
            let end = offset + data.bytes();
            let entry = json!({
                "dtype": data.element().name(),
                "shape": shape,
                "data_offsets": [offset, end],
            });
            header.insert(name.clone(), entry);
            offset = end;
        }
        let mut bytes = Value::Object(header).to_string().into_bytes();
        bytes.resize(bytes.len().next_multiple_of(8), b' ');
        if bytes.len() > MAX_HEADER {
            return Err(ContainerError::Unwritable(format!(
                "the header would take {} bytes, more than the {MAX_HEADER} allowed",
                bytes.len()
            )));
        }
        Ok(bytes)
    }

    /// Wide elements first, so that each tensor is aligned; then by name. Where rows have digests of their own, what
    /// is packed comes after everything else.
    fn in_file_order(&self) -> Vec<&Entry<'a>> {
        let mut entries: Vec<&Entry> = self.tensors.iter().collect();
        entries.sort_by_key(|entry| {
            let last = self.has_row_digests() && self.is_packed(entry);
            (last, Reverse(entry.data.element().size()), entry.name.as_str())
        });
        entries
    }
}

/// The header with its length in front.
fn put(out: &mut impl Write, header: &[u8]) -> Result<(), ContainerError> {
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    Ok(out.write_all(header)?)
}

impl Entry<'_> {
    /// Refuses another number of bytes than was announced.
    fn expect(&self, expected: usize, found: usize) -> Result<(), ContainerError> {
        if found == expected {
            return Ok(());
        }
        Err(ContainerError::Unwritable(format!("tensor `{}` of {expected} bytes was given {found}", self.name)))
    }

    fn digest(&self, digest: &mut ContainerDigest) {
        self.data
            .feed(|bytes| {
                digest.bytes(bytes);
                Ok(())
            })
            .expect("hashing does not fail");
    }
}

impl Data<'_> {
    fn element(&self) -> ElementType {
        match self {
            Data::U8(_) | Data::Packed(_) | Data::Later(_) => ElementType::U8,
            Data::I8(_) => ElementType::I8,
            Data::I64(_) => ElementType::I64,
            Data::U64(_) => ElementType::U64,
            Data::F64(_) => ElementType::F64,
        }
    }

    fn len(&self) -> usize {
        match self {
            Data::Later(bytes) => *bytes,
            Data::U8(data) => data.len(),
            Data::I8(data) => data.len(),
            Data::I64(data) => data.len(),
            Data::U64(data) => data.len(),
            Data::Packed(rows) => rows.iter().map(Vec::len).sum(),
            Data::F64(data) => data.len(),
        }
    }

    fn bytes(&self) -> usize {
        self.len() * self.element().size()
    }

    /// Hands the elements' little-endian bytes to `sink`, piece by piece.
    fn feed(&self, mut sink: impl FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<()> {
        match self {
            Data::Later(_) => Ok(()),
            Data::U8(data) => sink(data),
            Data::I8(data) => feed_chunks(data, |x| x.to_le_bytes(), &mut sink),
            Data::I64(data) => feed_chunks(data, |x| x.to_le_bytes(), &mut sink),
            Data::F64(data) => feed_chunks(data, |x| x.to_le_bytes(), &mut sink),
            Data::U64(data) => feed_chunks(data, |x| x.to_le_bytes(), &mut sink),
            Data::Packed(rows) => rows.iter().try_for_each(|row| sink(row)),
        }
    }
}

/// The buffer is wiped afterwards: a secret key may pass through it.
fn feed_chunks<T: Copy, const BYTES: usize>(
    data: &[T],
    to_bytes: impl Fn(T) -> [u8; BYTES],
    sink: &mut impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut buffer = Zeroizing::new(vec![0u8; CHUNK.min(data.len()) * BYTES]);
    for chunk in data.chunks(CHUNK) {
        let bytes = &mut buffer[..chunk.len() * BYTES];
        for (slot, &element) in bytes.chunks_exact_mut(BYTES).zip(chunk) {
            slot.copy_from_slice(&to_bytes(element));
        }
        sink(bytes)?;
    }
    Ok(())
}

// Tensors may hold secrets, and are long: only their names and shapes are printed.
impl std::fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} {:?}", self.name, self.data.element(), self.shape)
    }
}
