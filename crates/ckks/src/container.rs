//! The file container: every artefact that Ciphertune writes or sends is one.
//!
//! A container is a [safetensors](https://github.com/huggingface/safetensors) file, so that other programs can open it:
//! an eight-byte header length, a JSON header, then the tensors' bytes, little-endian. The header's metadata hold four
//! entries of ours beside those of the caller (five where rows have digests of their own):
//!
//! * `kind`: what the file is, for example `head` or `evaluation keys`;
//! * `version`: the version of that kind's format, a whole number;
//! * `packed`: where residues are stored, how many bits each takes ([`packing`]);
//! * `row-digests`: present where the rows of packed tensors have digests of their own (below);
//! * `digest`: SHA-256 over everything else, in hexadecimal.
//!
//! A packed tensor is a `U8` tensor `[count, bytes]`, a polynomial a row. The metadata entry `packed` lists the widths
//! of its limbs: a JSON object from the tensor's name to a list of one width a limb. In numpy, the residues of a limb
//! of width b are `numpy.packbits(numpy.unpackbits(limb, bitorder="little").reshape(-1, b), axis=1,
//! bitorder="little")`, a row of ceil(b / 8) little-endian bytes each.
//!
//! The digest covers the other metadata, sorted by key, and every tensor's name, element type, shape and bytes, sorted
//! by name; strings and counts enter with their length, as 64-bit little-endian numbers. It is checked when a file is
//! read, so a file that was cut short or changed on its way is refused. It is no signature: whoever changes a file on
//! purpose can also renew the digest, and readers validate what they take from a container.
//!
//! # Digests of rows
//!
//! A container whose packed rows are to be received, checked and read one by one
//! ([`ContainerWriter::with_row_digests`]) has the metadata entry `row-digests` with the value `sha256`, and beside
//! every packed tensor NAME `[count, bytes]` a tensor `NAME.digests` U8 `[count, 32]`, whose row i is
//!
//! ```text
//! SHA-256( "ciphertune row 1" as 16 bytes of ASCII | row i of NAME )
//! ```
//!
//! The bytes of packed tensors then do not enter `digest` themselves; everything else does as above, the tensors
//! `NAME.digests` among it. So `digest` is the root of a tree of two levels: it is checked before any row is read, and
//! every row by itself, in any order, on any thread. All packed tensors follow all others in the file: the part in
//! front of the first of them is all that it takes to check the rest in pieces.
//!
//! This module knows no files' places, and no kind in particular. [`ContainerWriter`] writes, [`Container`] reads
//! what lies in memory, [`ContainerStream`] what is too large for that.

mod error;
mod header;
mod read;
mod rows;
mod stream;
#[cfg(test)]
mod tests;
mod write;

pub use error::ContainerError;
pub use header::{Header, PackedShape};
pub use read::{Container, Packed, Tensor};
pub use stream::ContainerStream;
pub use write::{ContainerWriter, Sink};

pub use ciphertune_ring::packing;
use safetensors::Dtype;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// The largest JSON header that is read or written, in bytes.
const MAX_HEADER: usize = 16 << 20;

/// Metadata keys that belong to the container itself.
const KIND: &str = "kind";
const VERSION: &str = "version";
const DIGEST: &str = "digest";
const PACKED: &str = "packed";
const ROW_DIGESTS: &str = "row-digests";

/// The metadata entries that callers cannot set.
const OWN: [&str; 5] = [KIND, VERSION, DIGEST, PACKED, ROW_DIGESTS];

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// Unsigned 8-bit integers, or plain bytes.
    U8,
    /// Signed 8-bit integers.
    I8,
    /// Signed 64-bit integers.
    I64,
    /// Unsigned 64-bit integers.
    U64,
    /// IEEE 754 double precision.
    F64,
}

impl ElementType {
    /// Bytes that one element takes.
    pub fn size(self) -> usize {
        match self {
            ElementType::U8 | ElementType::I8 => 1,
            ElementType::I64 | ElementType::U64 | ElementType::F64 => 8,
        }
    }

    fn from_dtype(dtype: Dtype) -> Option<Self> {
        Some(match dtype {
            Dtype::U8 => ElementType::U8,
            Dtype::I8 => ElementType::I8,
            Dtype::I64 => ElementType::I64,
            Dtype::U64 => ElementType::U64,
            Dtype::F64 => ElementType::F64,
            _ => return None,
        })
    }

    /// The name that safetensors uses.
    fn name(self) -> &'static str {
        match self {
            ElementType::U8 => "U8",
            ElementType::I8 => "I8",
            ElementType::I64 => "I64",
            ElementType::U64 => "U64",
            ElementType::F64 => "F64",
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The running digest of a container; the order of the calls is part of the format.
struct ContainerDigest(Sha256);

impl ContainerDigest {
    /// Characters of a finished digest.
    const LENGTH: usize = 64;

    /// Starts with the metadata; the entry `digest` itself does not count.
    fn start(metadata: &BTreeMap<String, String>) -> Self {
        let mut digest = ContainerDigest(Sha256::new());
        let entries = || metadata.iter().filter(|(key, _)| *key != DIGEST);
        digest.number(entries().count());
        for (key, value) in entries() {
            digest.text(key);
            digest.text(value);
        }
        digest
    }

    /// Announces a tensor; its bytes follow through [`ContainerDigest::bytes`]. Tensors come sorted by name.
    fn tensor(&mut self, name: &str, element: ElementType, shape: &[usize]) {
        self.text(name);
        self.text(element.name());
        self.number(shape.len());
        for &length in shape {
            self.number(length);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.update(text.as_bytes());
    }

    fn number(&mut self, number: usize) {
        self.0.update((number as u64).to_le_bytes());
    }

    fn finish(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
