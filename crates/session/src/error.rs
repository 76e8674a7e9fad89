//! The error of a step: one sentence that names the file and the remedy, and whose doing it is.

use std::fmt;
use std::io;
use std::path::Path;

use ciphertune_backbone::BackboneError;
use ciphertune_ckks as ckks;
use ciphertune_ckks::container::ContainerError;
use ciphertune_head::HeadError;

/// The result of a step.
pub type Result<T> = std::result::Result<T, Error>;

/// An error as the user sees it.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
}

/// Whose doing an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The request or a file that was given cannot be used: the message names the file and the remedy.
    Input,
    /// Something failed that was none of the user's doing.
    Failure,
    /// There is no room in a file system.
    FullDisk,
    /// The observer asked for the work to stop.
    Stopped,
}

impl Error {
    /// The request or an input file cannot be used.
    pub fn input(message: impl Into<String>) -> Self {
        Self { kind: Kind::Input, message: message.into() }
    }

    /// The work failed.
    pub fn failure(message: impl Into<String>) -> Self {
        Self { kind: Kind::Failure, message: message.into() }
    }

    /// A file system has no room.
    pub fn full_disk() -> Self {
        let message = "the disk is full: free some space, or name another place".to_owned();
        Self { kind: Kind::FullDisk, message }
    }

    /// The observer asked for the work to stop.
    pub fn stopped() -> Self {
        Self { kind: Kind::Stopped, message: "stopped".to_owned() }
    }

    /// Whose doing it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the observer asked for the work to stop.
    pub fn is_stopped(&self) -> bool {
        self.kind == Kind::Stopped
    }

    /// Whether a file system has no room.
    pub fn is_full_disk(&self) -> bool {
        self.kind == Kind::FullDisk
    }

    /// Puts a file's name in front.
    pub fn in_file(self, path: &Path) -> Self {
        Self { message: format!("{}: {}", path.display(), self.message), ..self }
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<HeadError> for Error {
    fn from(error: HeadError) -> Self {
        let kind = match &error {
            HeadError::Ckks(error) => ckks_kind(error),
            HeadError::Container(error) => container_kind(error),
            _ => Kind::Input,
        };
        match kind {
            Kind::FullDisk => Self::full_disk(),
            Kind::Stopped => Self::stopped(),
            _ => Self { kind, message: error.to_string() },
        }
    }
}

impl From<BackboneError> for Error {
    fn from(error: BackboneError) -> Self {
        let kind = match &error {
            BackboneError::Cancelled => return Self::stopped(),
            // What was read is found by its name; what fails otherwise was to be written.
            BackboneError::File { source, .. } if source.kind() == io::ErrorKind::StorageFull => Kind::Failure,
            _ => Kind::Input,
        };
        Self { kind, message: error.to_string() }
    }
}

fn ckks_kind(error: &ckks::Error) -> Kind {
    match error {
        ckks::Error::Container(error) => container_kind(error),
        ckks::Error::Stopped => Kind::Stopped,
        // No modulus that is not one comes from this program: a file was changed.
        ckks::Error::Ring(ciphertune_ring::Error::Randomness(_)) => Kind::Failure,
        _ => Kind::Input,
    }
}

fn container_kind(error: &ContainerError) -> Kind {
    match error {
        ContainerError::Io(error) if error.kind() == io::ErrorKind::StorageFull => Kind::FullDisk,
        ContainerError::Io(_) | ContainerError::Unwritable(_) => Kind::Failure,
        _ => Kind::Input,
    }
}

impl From<ciphertune_ring::Error> for Error {
    fn from(error: ciphertune_ring::Error) -> Self {
        HeadError::from(ckks::Error::from(error)).into()
    }
}

impl From<ContainerError> for Error {
    fn from(error: ContainerError) -> Self {
        HeadError::from(error).into()
    }
}

/// Puts the name of the file that was read in front of whatever is wrong with it.
pub trait InFile<T> {
    /// As [`Error::in_file`].
    fn in_file(self, path: &Path) -> Result<T>;
}

impl<T, E: Into<Error>> InFile<T> for std::result::Result<T, E> {
    fn in_file(self, path: &Path) -> Result<T> {
        self.map_err(|error| error.into().in_file(path))
    }
}
