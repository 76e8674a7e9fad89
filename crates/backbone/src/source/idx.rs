//! MNIST's form: big-endian header, then bytes; gzipped or not.
//!
//! Images: 0x00000803, count, rows, columns, pixels. Labels: 0x00000801, count, one byte each
//! (Y. LeCun, "The MNIST database").

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::{Sample, Source, length, records};
use crate::decode::MAX_SIDE;
use crate::error::{BackboneError, Result};
use crate::picture::Picture;

pub(super) fn open(path: &Path, labels: Option<&Path>) -> Result<Source> {
    let mut images = Idx::open(path, 3)?;
    let (count, rows, columns) = (images.sizes[0], images.sizes[1], images.sizes[2]);
    if rows == 0 || columns == 0 || rows > MAX_SIDE as usize || columns > MAX_SIDE as usize {
        return Err(BackboneError::source(path, format!("images of {rows} x {columns} pixels are not readable")));
    }
    let mut labels = labels.map(|labels| Idx::open(labels, 1)).transpose()?;
    if let Some(labels) = labels.as_ref().filter(|labels| labels.sizes[0] != count) {
        let reason = format!("{} labels for {count} images: give the file that belongs to them", labels.sizes[0]);
        return Err(BackboneError::source(&labels.path, reason));
    }
    if count == 0 {
        return Err(BackboneError::NoImages { path: path.to_owned() });
    }
    Ok(records(count, move |record| {
        let pixels = images.read(record, rows * columns)?;
        let label = match &mut labels {
            Some(labels) => Some(labels.read(record, 1)?[0].to_string()),
            None => None,
        };
        let picture = Picture::new(columns, rows, 1, pixels).expect("rows * columns bytes were read");
        Ok(Sample::pixels(format!("{}, image {}", images.path.display(), record + 1), label, picture))
    }))
}

struct Idx {
    path: std::path::PathBuf,
    sizes: Vec<usize>,
    body: Box<dyn Read + Send>,
}

impl Idx {
    fn open(path: &Path, dimensions: usize) -> Result<Self> {
        let failed = BackboneError::file;
        let mut file = File::open(path).map_err(failed(path))?;
        let bytes = length(&mut file).map_err(failed(path))?;
        let mut magic = [0u8; 2];
        let gzipped = file.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
        file.rewind().map_err(failed(path))?;
        let file = BufReader::new(file);
        let body: Box<dyn Read + Send> =
            if gzipped { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) };
        let mut idx = Self { path: path.to_owned(), sizes: Vec::new(), body };

        let magic = idx.take(4, "the header")?;
        if magic != [0, 0, 8, dimensions as u8] {
            let what = if dimensions == 3 { "images" } else { "labels" };
            return Err(BackboneError::source(
                path,
                format!("not an idx file of {what}: give MNIST's form, or another"),
            ));
        }
        let sizes = idx.take(4 * dimensions, "the header")?;
        let number = |at: &[u8]| u32::from_be_bytes([at[0], at[1], at[2], at[3]]) as usize;
        idx.sizes = sizes.chunks_exact(4).map(number).collect();
        let expected = idx.sizes.iter().try_fold(1u64, |product, &size| product.checked_mul(size as u64));
        let plain = expected.and_then(|expected| expected.checked_add(4 + sizes.len() as u64));
        if !gzipped && plain != Some(bytes) {
            let reason =
                format!("the header promises {:?} values, the file has {bytes} bytes: copy it again", idx.sizes);
            return Err(BackboneError::source(path, reason));
        }
        Ok(idx)
    }

    fn read(&mut self, record: usize, bytes: usize) -> Result<Vec<u8>> {
        let values = self.take(bytes, &format!("record {}", record + 1))?;
        if record + 1 == self.sizes[0] && !self.take_some(1, "its end")?.is_empty() {
            let reason = format!("goes on after the {} records that the header promises: copy it again", self.sizes[0]);
            return Err(BackboneError::source(&self.path, reason));
        }
        Ok(values)
    }

    /// The next `bytes` bytes.
    fn take(&mut self, bytes: usize, what: &str) -> Result<Vec<u8>> {
        let values = self.take_some(bytes, what)?;
        if values.len() == bytes {
            return Ok(values);
        }
        Err(BackboneError::source(&self.path, format!("ends within {what}: copy the file again")))
    }

    /// At most `bytes` bytes; the buffer grows with what is really there. At the end of a gzip file, its checksum is
    /// compared.
    fn take_some(&mut self, bytes: usize, what: &str) -> Result<Vec<u8>> {
        let mut values = Vec::new();
        let read = self.body.by_ref().take(bytes as u64).read_to_end(&mut values);
        read.map_err(|error| BackboneError::source(&self.path, format!("damaged at {what} ({error}): copy it again")))?;
        Ok(values)
    }
}
