//! What can go wrong with a container.

use super::ElementType;
use thiserror::Error;

/// An error of the file container. The messages do not know the file's name: the caller puts it in front.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// The bytes are not a safetensors file, or no longer one.
    #[error("the file is not a Ciphertune file, or it is damaged ({0}): fetch or write it again")]
    Unreadable(String),
    /// A safetensors file that some other program wrote.
    #[error("the file is a safetensors file, but none of Ciphertune's: its metadata name no `{0}`")]
    Foreign(&'static str),
    /// The digest does not match.
    #[error("the file is damaged (its digest does not match its content): fetch or write it again")]
    Damaged,
    /// The digest of one row of a packed tensor does not match; everything else in the file may be whole.
    #[error("row {} of {count} of the file's tensor `{tensor}` is damaged (its digest does not match its content): fetch or write the file again", .row + 1)]
    DamagedRow {
        /// The tensor's name.
        tensor: String,
        /// The row's index.
        row: usize,
        /// The number of rows.
        count: usize,
    },
    /// A file of another kind than the one asked for.
    #[error("the file holds {found}, but {expected} is expected here: pass the {expected} file")]
    WrongKind {
        /// The kind that the file names.
        found: String,
        /// The kind that was asked for.
        expected: String,
    },
    /// A file of a later program.
    #[error(
        "the file holds {kind} in format version {found}, this program reads version {supported}: update Ciphertune"
    )]
    NewerVersion {
        /// The kind that the file names.
        kind: String,
        /// Its format version.
        found: u32,
        /// The version that is read.
        supported: u32,
    },
    /// A file of an earlier program, whose format is no longer read.
    #[error(
        "the file holds {kind} in format version {found}, this program reads version {supported}: make it again with this program, or use the one that made it"
    )]
    OlderVersion {
        /// The kind that the file names.
        kind: String,
        /// Its format version.
        found: u32,
        /// The version that is read.
        supported: u32,
    },
    /// A metadata entry is missing.
    #[error("the file has no metadata entry `{0}`: it was written by another version, write it again")]
    MissingMetadata(String),
    /// A metadata entry does not mean what it should.
    #[error("the file's metadata entry `{key}` is {value:?}, which is no valid value: write the file again")]
    InvalidMetadata {
        /// The entry's key.
        key: String,
        /// The value that is refused.
        value: String,
    },
    /// A tensor is missing.
    #[error("the file has no tensor `{0}`: it was written by another version, write it again")]
    MissingTensor(String),
    /// A tensor has another element type.
    #[error("the file's tensor `{name}` holds {found} elements, {expected} are expected: write the file again")]
    WrongElementType {
        /// The tensor's name.
        name: String,
        /// Its element type.
        found: ElementType,
        /// The element type that was asked for.
        expected: ElementType,
    },
    /// A tensor has another shape.
    #[error("the file's tensor `{name}` has shape {found:?}, {expected:?} is expected: write the file again")]
    WrongShape {
        /// The tensor's name.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that was asked for.
        expected: Vec<usize>,
    },
    /// The writer was given tensors or metadata that no container can hold; a mistake of the program.
    #[error("this content cannot be written: {0}")]
    Unwritable(String),
    /// Reading or writing failed underneath.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}
