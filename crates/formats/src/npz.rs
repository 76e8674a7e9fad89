//! NumPy's `.npz`: a ZIP archive with an `.npy` file an array, stored or deflated.
//!
//! An [`Array`] reads its header when it is opened and its values as they are asked for, so that arrays larger than
//! memory can be read, and several side by side, each through a source of its own. [`Array::finish`] must come after the
//! last value: only then is it known that the archive's checksum agrees.
//!
//! The header of an `.npy` file is a Python dictionary with three fixed keys (NumPy's format versions 1 to 3); they are
//! looked up here, without a parser for Python.

mod directory;
mod header;
mod write;

use std::fmt;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Take};

use flate2::Crc;
use flate2::read::DeflateDecoder;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use crate::Element;
use header::Header;
pub use write::{Values, Writer};

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpzError {
    /// It is no ZIP archive.
    #[error("it is no .npz archive ({0}): save it with numpy.savez")]
    NoArchive(String),
    /// One of its arrays cannot be read.
    #[error("its array {name:?} {reason}: save the archive again with numpy.savez")]
    Array {
        /// The array.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The archive cannot be written.
    #[error("the archive cannot be written: {0}")]
    Unwritable(io::Error),
}

/// The result of reading an archive.
pub type Result<T> = std::result::Result<T, NpzError>;

/// The names of an archive's arrays, sorted.
///
/// # Errors
///
/// [`NpzError::NoArchive`].
pub fn names(source: impl Read + Seek) -> Result<Vec<String>> {
    let archive = open(source)?;
    let name = |file: &str| file.strip_suffix(".npy").map(str::to_owned);
    let mut names: Vec<String> = archive.file_names().flatten().filter_map(|file| name(&file)).collect();
    names.sort_unstable();
    Ok(names)
}

/// An array whose values are to come, in the order of the file.
pub struct Array<R> {
    name: String,
    header: Header,
    body: Body<R>,
    left: u64,
    checksum: Crc,
    expected_checksum: u32,
}

enum Body<R> {
    Stored(Take<BufReader<R>>),
    Deflated(Box<DeflateDecoder<BufReader<Take<R>>>>),
}

impl<R: Read> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Body::Stored(body) => body.read(buffer),
            Body::Deflated(body) => body.read(buffer),
        }
    }
}

impl<R> fmt::Debug for Array<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Array").field("name", &self.name).field("header", &self.header).finish_non_exhaustive()
    }
}

impl<R: Read + Seek> Array<R> {
    /// Opens an array of the archive in `source`, which is the array's own from then on; `None` if there is none of that
    /// name.
    ///
    /// # Errors
    ///
    /// For what is no archive, and for an array whose header cannot be read.
    pub fn open(source: R, name: &str) -> Result<Option<Self>> {
        let bad = |reason: String| NpzError::Array { name: name.to_owned(), reason };
        let mut archive = open(source)?;
        let entry = match archive.by_name(&format!("{name}.npy")) {
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(bad(format!("cannot be read ({error})"))),
            Ok(entry) => entry,
        };
        let (method, packed, expected_checksum) = (entry.compression(), entry.compressed_size(), entry.crc32());
        let start = entry.data_start().ok_or_else(|| bad("cannot be found in the archive".into()))?;
        drop(entry);
        let mut source = archive.into_inner();
        source.seek(SeekFrom::Start(start)).map_err(|error| bad(format!("cannot be read ({error})")))?;
        let body = match method {
            CompressionMethod::Stored => Body::Stored(BufReader::new(source).take(packed)),
            CompressionMethod::Deflated => {
                Body::Deflated(Box::new(DeflateDecoder::new(BufReader::new(source.take(packed)))))
            }
            other => return Err(bad(format!("is compressed by {other}, which is not read"))),
        };
        let header = Header {
            descriptor: String::new(),
            element: None,
            shape: Vec::new(),
            column_major: false,
            big_endian: false,
        };
        let mut array = Self { name: name.to_owned(), header, body, left: 0, checksum: Crc::new(), expected_checksum };
        array.header = Header::read(&mut array)?;
        let size = array.header.element.map_or(0, Element::size) as u64;
        let values = array.header.shape.iter().try_fold(size, |bytes, &length| bytes.checked_mul(length as u64));
        array.left = values.ok_or_else(|| array.bad("is larger than any file"))?;
        Ok(Some(array))
    }
}

impl<R: Read> Array<R> {
    /// The type of its elements; `None` for one that is not read here.
    pub fn element(&self) -> Option<Element> {
        self.header.element
    }

    /// How the file names that type, such as `<f4`.
    pub fn descriptor(&self) -> &str {
        &self.header.descriptor
    }

    /// Its axes' lengths; empty for a single value.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// Whether the first axis varies fastest (Fortran order).
    pub fn column_major(&self) -> bool {
        self.header.column_major
    }

    /// Whether the bytes of an element come the largest first.
    pub fn big_endian(&self) -> bool {
        self.header.big_endian
    }

    /// The next so many bytes of values. The vector grows with what is there: a wrong shape reserves nothing.
    ///
    /// # Errors
    ///
    /// If the array ends before, or is damaged.
    pub fn take(&mut self, bytes: u64) -> Result<Vec<u8>> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| self.bad("ends before its shape does"))?;
        self.raw(bytes)
    }

    /// All values that are left, and the check at the end.
    ///
    /// # Errors
    ///
    /// As [`Array::take`] and [`Array::finish`].
    pub fn rest(mut self) -> Result<Vec<u8>> {
        let values = self.take(self.left)?;
        self.finish()?;
        Ok(values)
    }

    /// Checks, after the last value, that nothing follows it and that the archive's checksum agrees.
    ///
    /// # Errors
    ///
    /// If one of the two does not hold, or values were not taken.
    pub fn finish(&mut self) -> Result<()> {
        if self.left > 0 {
            return Err(self.bad("was not read to its end"));
        }
        match self.body.read(&mut [0]) {
            Ok(0) if self.checksum.sum() == self.expected_checksum => Ok(()),
            Ok(0) => Err(self.bad("is damaged: the archive's checksum does not match")),
            Ok(_) => Err(self.bad("is longer than its shape says")),
            Err(error) => Err(self.bad(format_args!("is damaged ({error})"))),
        }
    }

    fn raw(&mut self, bytes: u64) -> Result<Vec<u8>> {
        let mut values = Vec::new();
        match self.body.by_ref().take(bytes).read_to_end(&mut values) {
            Ok(found) if found as u64 == bytes => {
                self.checksum.update(&values);
                Ok(values)
            }
            Ok(_) => Err(self.bad("is shorter than its shape says")),
            Err(error) => Err(self.bad(format_args!("is damaged ({error})"))),
        }
    }

    fn bad(&self, reason: impl fmt::Display) -> NpzError {
        NpzError::Array { name: self.name.clone(), reason: reason.to_string() }
    }
}

fn open<R: Read + Seek>(source: R) -> Result<ZipArchive<R>> {
    directory::checked(source).map_err(|error| NpzError::NoArchive(error.to_string()))
}

#[cfg(test)]
mod tests;
