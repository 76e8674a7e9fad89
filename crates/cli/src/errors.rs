//! Errors of the command line: one sentence on standard error, and a deliberate exit code.
//!
//! * 2: the request or a file that was given cannot be used; the message names the file and the remedy;
//! * 1: something failed that was none of the user's doing, such as a full disk.

use std::fmt;
use std::io;
use std::path::Path;

use ciphertune_backbone::BackboneError;
use ciphertune_ckks as ckks;
use ciphertune_ckks::container::ContainerError;
use ciphertune_head::HeadError;

/// The result of a command.
pub type Result<T> = std::result::Result<T, CliError>;

/// An error as the user sees it.
#[derive(Debug)]
pub struct CliError {
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Input,
    Failure,
    /// There is no room in a file system.
    FullDisk,
    /// Nobody reads the output any more: no error of the user's, and nothing to say.
    BrokenPipe,
}

impl CliError {
    /// The request or an input file cannot be used: exit code 2.
    pub fn input(message: impl Into<String>) -> Self {
        Self { kind: Kind::Input, message: message.into() }
    }

    /// The work failed: exit code 1.
    pub fn failure(message: impl Into<String>) -> Self {
        Self { kind: Kind::Failure, message: message.into() }
    }

    /// A file system has no room: exit code 1.
    pub fn full_disk() -> Self {
        let message = "the disk is full: free some space, or name another place".to_owned();
        Self { kind: Kind::FullDisk, message }
    }

    /// Whether a file system has no room.
    pub fn is_full_disk(&self) -> bool {
        self.kind == Kind::FullDisk
    }

    /// Puts a file's name in front.
    pub fn in_file(self, path: &Path) -> Self {
        Self { message: format!("{}: {}", path.display(), self.message), ..self }
    }

    /// The exit code; 0 for output that nobody reads.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Input => 2,
            Kind::Failure | Kind::FullDisk => 1,
            Kind::BrokenPipe => 0,
        }
    }

    /// What to print, if anything.
    pub fn message(&self) -> Option<&str> {
        (self.kind != Kind::BrokenPipe).then_some(&self.message)
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<HeadError> for CliError {
    fn from(error: HeadError) -> Self {
        let kind = match &error {
            HeadError::Ckks(error) => ckks_kind(error),
            HeadError::Container(error) => container_kind(error),
            _ => Kind::Input,
        };
        match kind {
            Kind::FullDisk => Self::full_disk(),
            _ => Self { kind, message: error.to_string() },
        }
    }
}

impl From<BackboneError> for CliError {
    fn from(error: BackboneError) -> Self {
        let kind = match &error {
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

impl From<ciphertune_ring::Error> for CliError {
    fn from(error: ciphertune_ring::Error) -> Self {
        HeadError::from(ckks::Error::from(error)).into()
    }
}

impl From<ContainerError> for CliError {
    fn from(error: ContainerError) -> Self {
        HeadError::from(error).into()
    }
}

/// Of standard output: files have their own errors, which name them.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self { kind: Kind::BrokenPipe, message: String::new() },
            _ => Self::failure(format!("standard output: {error}")),
        }
    }
}

/// Puts the name of the file that was read in front of whatever is wrong with it.
pub trait InFile<T> {
    /// As [`CliError::in_file`].
    fn in_file(self, path: &Path) -> Result<T>;
}

impl<T, E: Into<CliError>> InFile<T> for std::result::Result<T, E> {
    fn in_file(self, path: &Path) -> Result<T> {
        self.map_err(|error| error.into().in_file(path))
    }
}
