//! NumPy archives: `images` of uint8, n x h x w, n x h x w x 1 or n x h x w x 3, and `labels`, n whole numbers.
//!
//! The images are read from the archive as they are needed, one after the other, never as a whole
//! (NumPy's `.npy` format, versions 1 and 2; stored or deflated).

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::Crc;
use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use super::{Sample, Source, records};
use crate::decode::{MAX_DECODE_BYTES, MAX_SIDE};
use crate::error::{BackboneError, Result};
use crate::picture::Picture;

/// The longest `.npy` header that is read.
const MAX_HEADER: usize = 4096;

pub(super) fn open(path: &Path) -> Result<Source> {
    let mut images = Array::open(path, "images")?.ok_or_else(|| {
        BackboneError::source(path, "no array `images`: save with numpy.savez(file, images=..., labels=...)")
    })?;
    let (count, height, width, channels) = match images.shape[..] {
        [count, height, width] => (count, height, width, 1),
        [count, height, width, channels @ (1 | 3)] => (count, height, width, channels),
        _ => {
            let reason = format!("`images` has shape {:?}: n x h x w, or n x h x w x 3, is expected", images.shape);
            return Err(BackboneError::source(path, reason));
        }
    };
    if images.kind != "|u1" {
        let reason = format!("`images` has type {:?}: save it as uint8 in 0 to 255", images.kind);
        return Err(BackboneError::source(path, reason));
    }
    let valid = |side: usize| (1..=MAX_SIDE as usize).contains(&side);
    if count == 0 {
        return Err(BackboneError::NoImages { path: path.to_owned() });
    }
    if !(valid(height) && valid(width) && (height * width * channels) as u64 <= MAX_DECODE_BYTES) {
        return Err(BackboneError::source(
            path,
            format!("images of {height} x {width} pixels are too large, or empty"),
        ));
    }
    let mut labels = Array::open(path, "labels")?;
    let mut label_bytes = 0;
    if let Some(labels) = &labels {
        label_bytes = labels.integer_bytes()?;
        if labels.shape != [count] {
            let reason = format!("`labels` has shape {:?}, where {count} labels are expected", labels.shape);
            return Err(BackboneError::source(path, reason));
        }
    }
    let bytes = height * width * channels;
    Ok(records(count, move |record| {
        let pixels = images.take(bytes)?;
        let label = match &mut labels {
            Some(labels) => Some(labels.read_integer(label_bytes)?),
            None => None,
        };
        if record + 1 == count {
            images.finish()?;
            labels.as_mut().map_or(Ok(()), Array::finish)?;
        }
        let picture = Picture::new(width, height, channels, pixels).expect("height * width * channels bytes were read");
        Ok(Sample::pixels(format!("{}, image {}", images.path.display(), record + 1), label, picture))
    }))
}

/// An array of the archive, its header read, its values to come.
struct Array {
    path: PathBuf,
    name: &'static str,
    kind: String,
    shape: Vec<usize>,
    body: Box<dyn Read + Send>,
    checksum: Crc,
    expected_checksum: u32,
}

impl Array {
    /// The array `name`; `None` if the archive has none of that name.
    fn open(path: &Path, name: &'static str) -> Result<Option<Self>> {
        let bad = |reason: String| BackboneError::source(path, format!("{reason}: save it again with numpy.savez"));
        let file = File::open(path).map_err(BackboneError::file(path))?;
        let mut archive =
            ZipArchive::new(BufReader::new(file)).map_err(|error| bad(format!("not an .npz ({error})")))?;
        let Ok(entry) = archive.by_name(&format!("{name}.npy")) else { return Ok(None) };
        let (method, packed, expected_checksum) = (entry.compression(), entry.compressed_size(), entry.crc32());
        let start = entry.data_start().ok_or_else(|| bad(format!("`{name}` cannot be found in the archive")))?;
        drop(entry);
        // A reader of its own, so that images and labels can be read side by side.
        let mut file = File::open(path).map_err(BackboneError::file(path))?;
        file.seek(SeekFrom::Start(start)).map_err(BackboneError::file(path))?;
        let packed = BufReader::new(file).take(packed);
        let body: Box<dyn Read + Send> = match method {
            CompressionMethod::Stored => Box::new(packed),
            CompressionMethod::Deflated => Box::new(BufReader::new(DeflateDecoder::new(packed))),
            other => return Err(bad(format!("`{name}` is compressed by {other}"))),
        };
        let (kind, shape, checksum) = (String::new(), Vec::new(), Crc::new());
        let mut array = Self { path: path.to_owned(), name, kind, shape, body, checksum, expected_checksum };
        array.read_header()?;
        Ok(Some(array))
    }

    fn bad(&self, reason: impl std::fmt::Display) -> BackboneError {
        BackboneError::source(&self.path, format!("`{}` {reason}: save it again with numpy.savez", self.name))
    }

    fn read_header(&mut self) -> Result<()> {
        let start = self.take(8)?;
        let length = match (&start[..6], start[6]) {
            (b"\x93NUMPY", 1) => self.take(2)?.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte)),
            (b"\x93NUMPY", 2 | 3) => self.take(4)?.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte)),
            _ => return Err(self.bad("is not a NumPy array")),
        };
        if length > MAX_HEADER {
            return Err(self.bad("has a header that is too long"));
        }
        let header = self.take(length)?;
        let header = String::from_utf8_lossy(&header).into_owned();
        let parsed = parse_header(&header).ok_or_else(|| self.bad("has a header that cannot be read"))?;
        if parsed.2 {
            return Err(self.bad("is in Fortran order, where C order is expected"));
        }
        (self.kind, self.shape) = (parsed.0, parsed.1);
        let total = self.shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        total.map(|_| ()).ok_or_else(|| self.bad("has an impossible shape"))
    }

    fn take(&mut self, bytes: usize) -> Result<Vec<u8>> {
        let mut values = Vec::new();
        let read = self.body.by_ref().take(bytes as u64).read_to_end(&mut values);
        match read {
            Ok(found) if found == bytes => {
                self.checksum.update(&values);
                Ok(values)
            }
            Ok(_) => Err(self.bad("ends too early")),
            Err(error) => Err(self.bad(format_args!("is damaged ({error})"))),
        }
    }

    /// Checks that nothing follows and that the archive's checksum agrees.
    fn finish(&mut self) -> Result<()> {
        let mut rest = [0u8; 1];
        match self.body.read(&mut rest) {
            Ok(0) if self.checksum.sum() == self.expected_checksum => Ok(()),
            Ok(0) => Err(self.bad("is damaged (its checksum differs)")),
            Ok(_) => Err(self.bad("is longer than its header says")),
            Err(error) => Err(self.bad(format_args!("is damaged ({error})"))),
        }
    }

    fn integer_bytes(&self) -> Result<usize> {
        match self.kind.as_str() {
            "|u1" | "|i1" => Ok(1),
            "<u2" | "<i2" => Ok(2),
            "<u4" | "<i4" => Ok(4),
            "<u8" | "<i8" => Ok(8),
            other => Err(BackboneError::source(
                &self.path,
                format!("`labels` has type {other:?}: save whole numbers, such as int64"),
            )),
        }
    }

    /// The next little-endian whole number, signed or not, in decimal.
    fn read_integer(&mut self, bytes: usize) -> Result<String> {
        let values = self.take(bytes)?;
        let signed = self.kind.contains('i');
        let fill = if signed && values[bytes - 1] & 0x80 != 0 { 0xff } else { 0 };
        let mut wide = [fill; 8];
        wide[..bytes].copy_from_slice(&values);
        Ok(if signed { i64::from_le_bytes(wide).to_string() } else { u64::from_le_bytes(wide).to_string() })
    }
}

/// Type, shape and Fortran order of a header such as `{'descr': '|u1', 'fortran_order': False, 'shape': (3, 4), }`.
fn parse_header(header: &str) -> Option<(String, Vec<usize>, bool)> {
    let after = |key: &str| Some(header.split_once(key)?.1.trim_start().strip_prefix(':')?.trim_start());
    let kind = after("'descr'")?.strip_prefix('\'')?.split_once('\'')?.0;
    let fortran = after("'fortran_order'")?.starts_with("True");
    let shape = after("'shape'")?.strip_prefix('(')?.split_once(')')?.0;
    let sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
    Some((kind.to_owned(), sizes.map(str::parse).collect::<std::result::Result<_, _>>().ok()?, fortran))
}

#[cfg(test)]
mod tests {
    use super::parse_header;

    #[test]
    fn headers_as_numpy_writes_them_are_read() {
        let header = "{'descr': '<i8', 'fortran_order': False, 'shape': (8192,), }   \n";
        assert_eq!(parse_header(header), Some(("<i8".into(), vec![8192], false)));
        let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (3, 28, 28), }";
        assert_eq!(parse_header(header), Some(("|u1".into(), vec![3, 28, 28], true)));
        assert_eq!(parse_header("{'descr': [('a', '<i8')], 'shape': (3,)}"), None);
    }
}
