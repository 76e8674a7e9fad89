//! Writing `.npz` archives that NumPy reads: stored, little-endian, rows first.

use std::io::{Seek, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{NpzError, Result};

/// The values of an array, in C order.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// Single-precision numbers.
    F32(&'a [f32]),
    /// Double-precision numbers.
    F64(&'a [f64]),
    /// Signed numbers of 64 bits.
    I64(&'a [i64]),
    /// Words.
    Text(&'a [String]),
}

/// Writes arrays one after the other.
pub struct Writer<W: Write + Seek>(ZipWriter<W>);

impl<W: Write + Seek> Writer<W> {
    /// An archive without an array yet.
    pub fn new(out: W) -> Self {
        Self(ZipWriter::new(out))
    }

    /// Adds an array; `shape` has as many elements as `values`, and none stands for a single value.
    ///
    /// # Errors
    ///
    /// If the archive cannot be written, or has an array of that name.
    pub fn array(&mut self, name: &str, shape: &[usize], values: Values<'_>) -> Result<()> {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
        self.0.start_file(format!("{name}.npy"), options).map_err(|error| NpzError::Unwritable(error.into()))?;
        let written = match values {
            Values::F32(numbers) => {
                self.head("<f4", shape).and_then(|()| self.all(numbers.iter().map(|number| number.to_le_bytes())))
            }
            Values::F64(numbers) => {
                self.head("<f8", shape).and_then(|()| self.all(numbers.iter().map(|number| number.to_le_bytes())))
            }
            Values::I64(numbers) => {
                self.head("<i8", shape).and_then(|()| self.all(numbers.iter().map(|number| number.to_le_bytes())))
            }
            Values::Text(words) => self.text(shape, words),
        };
        written.map_err(NpzError::Unwritable)
    }

    /// Ends the archive and gives back where it was written.
    ///
    /// # Errors
    ///
    /// If the archive cannot be written.
    pub fn finish(self) -> Result<W> {
        self.0.finish().map_err(|error| NpzError::Unwritable(error.into()))
    }

    /// Magic, version 1, and the dictionary, filled up so that the values begin at a multiple of 64 bytes.
    fn head(&mut self, descriptor: &str, shape: &[usize]) -> std::io::Result<()> {
        const BEFORE: usize = 10;
        let lengths: String = shape.iter().map(|length| format!("{length}, ")).collect();
        let lengths = if shape.len() > 1 { lengths.trim_end_matches(", ") } else { lengths.trim_end() };
        let mut text = format!("{{'descr': '{descriptor}', 'fortran_order': False, 'shape': ({lengths}), }}");
        while !(BEFORE + text.len() + 1).is_multiple_of(64) {
            text.push(' ');
        }
        text.push('\n');
        self.0.write_all(b"\x93NUMPY\x01\x00")?;
        let length = u16::try_from(text.len()).map_err(|_| std::io::Error::other("an array with too many axes"))?;
        self.0.write_all(&length.to_le_bytes())?;
        self.0.write_all(text.as_bytes())
    }

    fn all<const SIZE: usize>(&mut self, values: impl Iterator<Item = [u8; SIZE]>) -> std::io::Result<()> {
        let mut buffer = Vec::with_capacity(1 << 16);
        for value in values {
            buffer.extend_from_slice(&value);
            if buffer.len() + SIZE > 1 << 16 {
                self.0.write_all(&buffer)?;
                buffer.clear();
            }
        }
        self.0.write_all(&buffer)
    }

    fn text(&mut self, shape: &[usize], words: &[String]) -> std::io::Result<()> {
        // NumPy has no words of no characters.
        let longest = words.iter().map(|word| word.chars().count()).max().unwrap_or(0).max(1);
        self.head(&format!("<U{longest}"), shape)?;
        let filled = |word: &String| {
            let characters = word.chars().map(u32::from).chain(std::iter::repeat(0));
            characters.take(longest).map(u32::to_le_bytes).collect::<Vec<_>>()
        };
        self.all(words.iter().flat_map(filled))
    }
}
