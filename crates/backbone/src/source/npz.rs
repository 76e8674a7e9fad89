//! NumPy archives: `images` of uint8, n x h x w, n x h x w x 1 or n x h x w x 3, and `labels`, n whole numbers.
//!
//! An archive may hold several parts instead, named as MedMNIST or Keras do ([`splits`]).
//!
//! The images are read from the archive as they are needed, one after the other, never as a whole.

use std::fs::File;
use std::path::{Path, PathBuf};

use ciphertune_formats::Element;
use ciphertune_formats::npz::{self, NpzError};
use ciphertune_formats::splits::{self, Names, Split};

use super::{Sample, Source, records};
use crate::decode::{MAX_DECODE_BYTES, MAX_SIDE};
use crate::error::{BackboneError, Result};
use crate::picture::Picture;

/// A set without parts, as our own documentation has it.
const WHOLE: Names = Names { rows: "images", labels: "labels" };

/// The names of the arrays to read: those of a part, if one is asked for; else the whole set, or the part to train on.
fn names(path: &Path, split: Option<Split>) -> Result<Names> {
    let file = File::open(path).map_err(BackboneError::file(path))?;
    let arrays = npz::names(file).map_err(|error| bad(path, error))?;
    let has_whole = arrays.iter().any(|array| array == WHOLE.rows);
    match split {
        None if has_whole => Ok(WHOLE),
        None => splits::names(&arrays, Split::Train).ok_or_else(|| {
            let reason = format!(
                "no array `images`, only {}: save with numpy.savez(file, images=..., labels=...)",
                arrays.join(", ")
            );
            BackboneError::source(path, reason)
        }),
        Some(split) => splits::names(&arrays, split).ok_or_else(|| {
            let reason = format!(
                "the archive has no part called {split}, only the arrays {}: leave --split out",
                arrays.join(", ")
            );
            BackboneError::source(path, reason)
        }),
    }
}

pub(super) fn open(path: &Path, split: Option<Split>) -> Result<Source> {
    let Names { rows: images_name, labels: labels_name } = names(path, split)?;
    let missing = || BackboneError::source(path, format!("no array `{images_name}`"));
    let mut images = Array::open(path, images_name)?.ok_or_else(missing)?;
    let (count, height, width, channels) = match *images.array.shape() {
        [count, height, width] => (count, height, width, 1),
        [count, height, width, channels @ (1 | 3)] => (count, height, width, channels),
        _ => {
            let reason = format!(
                "`{images_name}` has shape {:?}: n x h x w, or n x h x w x 3, is expected",
                images.array.shape()
            );
            return Err(BackboneError::source(path, reason));
        }
    };
    if images.array.element() != Some(Element::U8) {
        let reason = format!("`{images_name}` has type {:?}: save it as uint8 in 0 to 255", images.array.descriptor());
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
    let mut labels = Array::open(path, labels_name)?;
    let mut label_bytes = 0;
    if let Some(labels) = &labels {
        label_bytes = labels.integer_bytes(labels_name)?;
        if ![&[count][..], &[count, 1]].contains(&labels.array.shape()) {
            let shape = labels.array.shape();
            let reason = format!("`{labels_name}` has shape {shape:?}, where {count} labels are expected");
            return Err(BackboneError::source(path, reason));
        }
    }
    let bytes = height * width * channels;
    Ok(records(count, move |record| {
        let pixels = images.take(bytes as u64)?;
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

/// An array of the archive, and the archive's name for messages.
struct Array {
    path: PathBuf,
    array: npz::Array<File>,
}

impl Array {
    /// The array `name`; `None` if the archive has none of that name.
    fn open(path: &Path, name: &str) -> Result<Option<Self>> {
        // A file of its own, so that images and labels can be read side by side.
        let file = File::open(path).map_err(BackboneError::file(path))?;
        let array = npz::Array::open(file, name).map_err(|error| bad(path, error))?;
        let Some(array) = array else { return Ok(None) };
        if array.column_major() {
            let reason =
                format!("`{name}` is in Fortran order, where C order is expected: save it again with numpy.savez");
            return Err(BackboneError::source(path, reason));
        }
        Ok(Some(Self { path: path.to_owned(), array }))
    }

    fn take(&mut self, bytes: u64) -> Result<Vec<u8>> {
        self.array.take(bytes).map_err(|error| bad(&self.path, error))
    }

    fn finish(&mut self) -> Result<()> {
        self.array.finish().map_err(|error| bad(&self.path, error))
    }

    fn integer_bytes(&self, name: &str) -> Result<usize> {
        match self.array.element() {
            Some(
                element @ (Element::U8
                | Element::I8
                | Element::U16
                | Element::I16
                | Element::U32
                | Element::I32
                | Element::U64
                | Element::I64),
            ) if !self.array.big_endian() => Ok(element.size()),
            _ => {
                let found = self.array.descriptor();
                let reason = format!("`{name}` has type {found:?}: save whole numbers, such as int64");
                Err(BackboneError::source(&self.path, reason))
            }
        }
    }

    /// The next little-endian whole number, signed or not, in decimal.
    fn read_integer(&mut self, bytes: usize) -> Result<String> {
        let values = self.take(bytes as u64)?;
        let signed = matches!(self.array.element(), Some(Element::I8 | Element::I16 | Element::I32 | Element::I64));
        let fill = if signed && values[bytes - 1] & 0x80 != 0 { 0xff } else { 0 };
        let mut wide = [fill; 8];
        wide[..bytes].copy_from_slice(&values);
        Ok(if signed { i64::from_le_bytes(wide).to_string() } else { u64::from_le_bytes(wide).to_string() })
    }
}

fn bad(path: &Path, error: NpzError) -> BackboneError {
    BackboneError::source(path, error.to_string())
}
