//! `load_digits`: the digits that come with the package.

use ciphertune_session::digits;
use ciphertune_session::examples::BackboneChoice;
use pyo3::prelude::*;

use crate::{arrays, errors, work};

/// What `ciphertune.load_digits` does, with a word a row.
#[pyfunction]
#[pyo3(signature = (*, pixels = false))]
pub fn load_digits(py: Python<'_>, pixels: bool) -> PyResult<(Bound<'_, PyAny>, Vec<String>)> {
    let table = work::run(py, None, |observer| {
        let digits = digits::load()?;
        if pixels {
            return Ok(digits.table);
        }
        Ok(digits.through(&BackboneChoice::builtin().open(None)?, observer)?.table)
    })?;
    let labels = table.require_labels().map_err(errors::python)?;
    Ok((arrays::numpy(py, table.features())?, labels.to_vec()))
}
