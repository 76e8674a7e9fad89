//! Errors of a step as Python exceptions, with the words that the command line prints.

use std::fmt::Display;

use ciphertune_session::{Error, Kind};
use pyo3::PyErr;

mod classes {
    pyo3::import_exception!(ciphertune.errors, InputError);
    pyo3::import_exception!(ciphertune.errors, FailedError);
    pyo3::import_exception!(ciphertune.errors, DiskFullError);
}

/// The exception for an error.
pub fn python(error: impl Into<Error>) -> PyErr {
    let error: Error = error.into();
    let message = error.message().to_owned();
    match error.kind() {
        Kind::Input => classes::InputError::new_err(message),
        Kind::FullDisk => classes::DiskFullError::new_err(message),
        _ => classes::FailedError::new_err(message),
    }
}

/// An argument that cannot be used.
pub fn input(message: impl Display) -> PyErr {
    classes::InputError::new_err(message.to_string())
}

/// Something that failed and was none of the user's doing.
pub fn failed(message: impl Display) -> PyErr {
    classes::FailedError::new_err(message.to_string())
}
