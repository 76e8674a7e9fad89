//! Reading a container a few rows at a time, from a file or from memory.
//!
//! The header and all tensors but the packed ones, which are small, are read at once. The packed ones pass through two
//! buffers: while the rows of one are hashed and worked on, the next is read into the other. So whoever turns rows into
//! something needs memory for that, and for little else.
//!
//! Where rows have digests of their own ([`super`]), the root is checked when the container is opened, and each row on
//! the thread that works on it. Otherwise one digest runs over everything, beside the other work, and is known at the
//! end.

use super::header::{Header, too_short};
use super::read::Tensor;
use super::{ContainerDigest, ContainerError, rows};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::ops::RangeInclusive;
use zeroize::Zeroizing;

/// Bytes that are read at once, unless a single row is longer.
const BATCH: usize = 4 << 20;

/// A container whose packed tensors are still in its source.
///
/// Unless its rows have digests of their own, what is read from it is not checked against its digest before
/// [`ContainerStream::read_rows`] returns.
pub struct ContainerStream<R> {
    source: R,
    header: Header,
    resident: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

/// Rows of one packed tensor that are read at once.
struct Batch<'c> {
    tensor: &'c str,
    row_bytes: usize,
    first: usize,
    /// Rows of the whole tensor.
    count: usize,
    start: u64,
    length: usize,
    /// The digests of these rows, where they have some.
    digests: Option<&'c [u8]>,
}

impl Batch<'_> {
    /// Checks the digest of the batch's row `j`.
    fn check(&self, j: usize, row: &[u8]) -> Result<(), ContainerError> {
        match self.digests.map(|digests| &digests[j * rows::LENGTH..][..rows::LENGTH]) {
            Some(expected) if rows::digest(row) != expected => {
                let (tensor, row) = (self.tensor.to_owned(), self.first + j);
                Err(ContainerError::DamagedRow { tensor, row, count: self.count })
            }
            _ => Ok(()),
        }
    }
}

impl<R: Read + Seek + Send> ContainerStream<R> {
    /// Reads the header and what is not packed of a container of the kind `kind`, in the format version `version`.
    ///
    /// # Errors
    ///
    /// As [`super::Container::parse`], but for damage to what is not read yet.
    pub fn open(source: R, kind: &str, version: u32) -> Result<Self, ContainerError> {
        Self::open_versions(source, kind, version..=version)
    }

    /// The same for any of several format versions.
    ///
    /// # Errors
    ///
    /// As [`ContainerStream::open`].
    pub fn open_versions(source: R, kind: &str, versions: RangeInclusive<u32>) -> Result<Self, ContainerError> {
        let mut stream = Self::begin(source)?;
        stream.header.expect(kind, versions)?;
        stream.load()?;
        Ok(stream)
    }

    /// The same for a container of any kind and version.
    ///
    /// # Errors
    ///
    /// As [`super::Container::parse_any`], but for damage to what is not read yet.
    pub fn open_any(source: R) -> Result<Self, ContainerError> {
        let mut stream = Self::begin(source)?;
        stream.load()?;
        Ok(stream)
    }

    fn begin(mut source: R) -> Result<Self, ContainerError> {
        let length = source.seek(SeekFrom::End(0))?;
        source.rewind()?;
        let header = Header::read(&mut source, length)?;
        Ok(Self { source, header, resident: BTreeMap::new() })
    }

    fn load(&mut self) -> Result<(), ContainerError> {
        for (name, stored) in self.header.tensors().filter(|(name, _)| !self.header.is_packed(name)) {
            let mut bytes = Zeroizing::new(vec![0; stored.length]);
            read_at(&mut self.source, stored.start, &mut bytes)?;
            self.resident.insert(name.to_owned(), bytes);
        }
        // The root needs nothing else.
        let resident = |name: &str| self.resident.get(name).map_or(&[][..], |bytes| bytes);
        if self.header.has_row_digests() && self.header.digest_with(|name, _| resident(name)) != self.header.digest {
            return Err(ContainerError::Damaged);
        }
        Ok(())
    }

    /// Everything but the tensors' elements.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// A tensor that is not packed, by its name.
    ///
    /// # Errors
    ///
    /// [`ContainerError::MissingTensor`].
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>, ContainerError> {
        let bytes = self.resident.get(name).ok_or_else(|| ContainerError::MissingTensor(name.to_owned()))?;
        let (name, stored) = self.header.stored(name)?;
        Ok(Tensor::new(name, stored, bytes))
    }

    /// Hands every row of every packed tensor to `take`, with the tensor's name and the row's index, from several
    /// threads, and checks the digests. Returns what `take` made of them, by tensor and in order.
    ///
    /// # Errors
    ///
    /// [`ContainerError::DamagedRow`] for a row that does not have its digest, which is not handed on, or
    /// [`ContainerError::Damaged`] if the digest of everything does not match, whatever `take` says; else the first that
    /// `take` reports; [`ContainerError::Unreadable`] for a source that has become shorter.
    pub fn read_rows<T: Send, E: From<ContainerError> + Send>(
        &mut self,
        take: impl Fn(&str, usize, &[u8]) -> Result<T, E> + Sync,
    ) -> Result<BTreeMap<String, Vec<T>>, E> {
        let batches = batches(&self.header, &self.resident);
        let mut hashing = (!self.header.has_row_digests()).then(|| Hashing::start(&self.header, &self.resident));
        let mut made: BTreeMap<String, Vec<T>> = BTreeMap::new();
        let mut refused = None;
        in_turn(&mut self.source, &batches, |batch, rows, read_next| {
            let wanted = refused.is_none();
            let work = || -> Result<Vec<T>, E> {
                let rows = rows.par_chunks_exact(batch.row_bytes).enumerate();
                rows.map(|(j, row)| {
                    batch.check(j, row)?;
                    take(batch.tensor, batch.first + j, row)
                })
                .collect()
            };
            let (read, taken) = rayon::join(
                || {
                    if let Some(hashing) = &mut hashing {
                        hashing.batch(batch, rows);
                    }
                    read_next()
                },
                || if wanted { Some(work()) } else { None },
            );
            match taken {
                Some(Ok(rows)) => made.entry(batch.tensor.to_owned()).or_default().extend(rows),
                // What was refused has its digest: there is nothing to wait for.
                Some(Err(error)) if batch.digests.is_some() => return Err(error),
                Some(Err(error)) => refused = Some(error),
                None => {}
            }
            Ok::<_, E>(read?)
        })?;
        // A damaged file is called that, and not by what its damage looks like.
        let whole = hashing.is_none_or(|hashing| hashing.finish() == self.header.digest);
        match (whole, refused) {
            (false, _) => Err(ContainerError::Damaged.into()),
            (true, Some(error)) => Err(error),
            (true, None) => Ok(made),
        }
    }

    /// Hands the first `prefix` bytes of some rows of a packed tensor to `take`, with the row's index, from several
    /// threads. Returns what `take` made of them, in the order of `rows`. No digest is checked: they are of whole rows
    /// or of the whole file.
    ///
    /// # Errors
    ///
    /// The first that `take` reports; [`ContainerError::MissingTensor`] for a tensor that is not packed or has no such
    /// rows; [`ContainerError::Unreadable`] for a source that has become shorter.
    pub fn read_some<T: Send, E: From<ContainerError> + Send>(
        &mut self,
        tensor: &str,
        rows: &[usize],
        prefix: usize,
        take: impl Fn(usize, &[u8]) -> Result<T, E> + Sync,
    ) -> Result<Vec<T>, E> {
        let packed = self.header.packed(tensor)?;
        if prefix > packed.row_bytes || rows.iter().any(|row| *row >= packed.count) {
            return Err(ContainerError::MissingTensor(tensor.to_owned()).into());
        }
        let (row_bytes, (_, stored)) = (packed.row_bytes, self.header.stored(tensor)?);
        let start = stored.start;
        let batches: Vec<&[usize]> = rows.chunks((BATCH / prefix.max(1)).max(1)).collect();
        let batches: Vec<Scattered> =
            batches.into_iter().map(|rows| Scattered { rows, start, row_bytes, prefix }).collect();
        let mut made = Vec::with_capacity(rows.len());
        in_turn(&mut self.source, &batches, |batch, bytes, read_next| {
            let work = || -> Result<Vec<T>, E> {
                let rows = bytes.par_chunks_exact(prefix).zip(batch.rows);
                rows.map(|(bytes, row)| take(*row, bytes)).collect()
            };
            let (read, taken) = rayon::join(read_next, work);
            made.extend(taken?);
            Ok::<_, E>(read?)
        })?;
        Ok(made)
    }
}

/// Some bytes of a source, read at once.
trait Span {
    fn fill<R: Read + Seek>(&self, source: &mut R, buffer: &mut Vec<u8>) -> Result<(), ContainerError>;
}

impl Span for Batch<'_> {
    fn fill<R: Read + Seek>(&self, source: &mut R, buffer: &mut Vec<u8>) -> Result<(), ContainerError> {
        buffer.resize(self.length, 0);
        read_at(source, self.start, buffer)
    }
}

/// The beginnings of some rows of one tensor.
struct Scattered<'c> {
    rows: &'c [usize],
    /// Where the tensor begins.
    start: u64,
    row_bytes: usize,
    prefix: usize,
}

impl Span for Scattered<'_> {
    fn fill<R: Read + Seek>(&self, source: &mut R, buffer: &mut Vec<u8>) -> Result<(), ContainerError> {
        buffer.resize(self.rows.len() * self.prefix, 0);
        for (row, bytes) in self.rows.iter().zip(buffer.chunks_exact_mut(self.prefix)) {
            read_at(source, self.start + (row * self.row_bytes) as u64, bytes)?;
        }
        Ok(())
    }
}

/// Hands each span's bytes to `work`, with a function that reads the next span meanwhile.
fn in_turn<R: Read + Seek + Send, S: Span + Sync, E: From<ContainerError>>(
    source: &mut R,
    spans: &[S],
    mut work: impl FnMut(&S, &[u8], &mut (dyn FnMut() -> Result<(), ContainerError> + Send)) -> Result<(), E>,
) -> Result<(), E> {
    let [mut current, mut next] = [Vec::new(), Vec::new()];
    if let Some(span) = spans.first() {
        span.fill(source, &mut current)?;
    }
    for (i, span) in spans.iter().enumerate() {
        let following = spans.get(i + 1);
        work(span, &current, &mut || following.map_or(Ok(()), |following| following.fill(source, &mut next)))?;
        std::mem::swap(&mut current, &mut next);
    }
    Ok(())
}

/// All packed rows, in the order of the digest.
fn batches<'c>(header: &'c Header, resident: &'c BTreeMap<String, Zeroizing<Vec<u8>>>) -> Vec<Batch<'c>> {
    let mut batches = Vec::new();
    for (tensor, stored) in header.tensors().filter(|(name, _)| header.is_packed(name)) {
        let (count, row_bytes) = (stored.shape[0], stored.shape[1]);
        // The header made sure that they are there, one a row.
        let digests = header.has_row_digests().then(|| resident.get(&rows::tensor_name(tensor))).flatten();
        let at_once = (BATCH / row_bytes).max(1);
        for first in (0..count).step_by(at_once) {
            let rows = (count - first).min(at_once);
            let digests = digests.map(|digests| &digests[first * rows::LENGTH..][..rows * rows::LENGTH]);
            let (start, length) = (stored.start + (first * row_bytes) as u64, rows * row_bytes);
            batches.push(Batch { tensor, row_bytes, first, count, start, length, digests });
        }
    }
    batches
}

fn read_at<R: Read + Seek>(source: &mut R, start: u64, bytes: &mut [u8]) -> Result<(), ContainerError> {
    source.seek(SeekFrom::Start(start))?;
    source.read_exact(bytes).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => too_short(),
        _ => error.into(),
    })
}

/// The digest on its way through the tensors.
struct Hashing<'c> {
    digest: ContainerDigest,
    header: &'c Header,
    resident: &'c BTreeMap<String, Zeroizing<Vec<u8>>>,
    /// The tensors that were not announced yet, last one first.
    left: Vec<&'c str>,
}

impl<'c> Hashing<'c> {
    fn start(header: &'c Header, resident: &'c BTreeMap<String, Zeroizing<Vec<u8>>>) -> Self {
        let mut left: Vec<_> = header.tensors().map(|(name, _)| name).collect();
        left.reverse();
        Self { digest: ContainerDigest::start(header.all_metadata()), header, resident, left }
    }

    fn batch(&mut self, batch: &Batch, rows: &[u8]) {
        while batch.first == 0 && self.left.last().is_some_and(|name| *name <= batch.tensor) {
            self.announce();
        }
        self.digest.bytes(rows);
    }

    /// The next tensor, with its bytes if it is not packed.
    fn announce(&mut self) {
        if let Some((name, stored)) = self.left.pop().and_then(|name| self.header.stored(name).ok()) {
            self.digest.tensor(name, stored.element, &stored.shape);
            if let Some(bytes) = self.resident.get(name) {
                self.digest.bytes(bytes);
            }
        }
    }

    fn finish(mut self) -> String {
        while !self.left.is_empty() {
            self.announce();
        }
        self.digest.finish()
    }
}

// Tensors may hold secrets: only their names are printed.
impl<R> fmt::Debug for ContainerStream<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.header.fmt(f)
    }
}
