//! Errors of the command line: one sentence on standard error, and a deliberate exit code.
//!
//! * 2: the request or a file that was given cannot be used; the message names the file and the remedy;
//! * 10: a training waits for the owner's answer;
//! * 1: something failed that was none of the user's doing, such as a full disk.

use std::fmt;
use std::io;
use std::path::Path;

use ciphertune_backbone::BackboneError;
use ciphertune_head::HeadError;
use ciphertune_joint::JointError;
use ciphertune_session::{Error, Kind};

/// The result of a command.
pub type Result<T> = std::result::Result<T, CliError>;

/// Why a command ended.
#[derive(Debug)]
pub enum CliError {
    /// A step failed.
    Step(Error),
    /// A training waits for its owner: no error, and everything is said.
    Waits,
    /// Nobody reads the output any more: no error of the user's, and nothing to say.
    BrokenPipe,
}

impl CliError {
    /// The exit code; 0 for output that nobody reads.
    pub fn exit_code(&self) -> u8 {
        match self {
            CliError::Step(error) if error.kind() == Kind::Input => 2,
            CliError::Step(_) => 1,
            CliError::Waits => 10,
            CliError::BrokenPipe => 0,
        }
    }

    /// What to print, if anything.
    pub fn message(&self) -> Option<&str> {
        match self {
            CliError::Step(error) => Some(error.message()),
            CliError::Waits | CliError::BrokenPipe => None,
        }
    }
}

impl CliError {
    /// The request or an input file cannot be used.
    pub fn input(message: impl Into<String>) -> Self {
        Error::input(message).into()
    }

    /// The work failed.
    pub fn failure(message: impl Into<String>) -> Self {
        Error::failure(message).into()
    }

    /// Puts a file's name in front.
    pub fn in_file(self, path: &Path) -> Self {
        match self {
            CliError::Step(error) => CliError::Step(error.in_file(path)),
            CliError::Waits | CliError::BrokenPipe => self,
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message().unwrap_or("there is nothing to say"))
    }
}

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        CliError::Step(error)
    }
}

impl From<HeadError> for CliError {
    fn from(error: HeadError) -> Self {
        CliError::Step(error.into())
    }
}

impl From<BackboneError> for CliError {
    fn from(error: BackboneError) -> Self {
        CliError::Step(error.into())
    }
}

impl From<JointError> for CliError {
    fn from(error: JointError) -> Self {
        match error {
            JointError::Head(error) => error.into(),
            JointError::Container(error) => CliError::Step(error.into()),
            JointError::Store(_) | JointError::Randomness(_) => Self::failure(error.to_string()),
            _ => Self::input(error.to_string()),
        }
    }
}

impl From<ciphertune_ring::Error> for CliError {
    fn from(error: ciphertune_ring::Error) -> Self {
        CliError::Step(error.into())
    }
}

/// Of standard output: files have their own errors, which name them.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => CliError::BrokenPipe,
            _ => Self::failure(format!("standard output: {error}")),
        }
    }
}
