//! NumPy arrays in and out, through the buffer protocol.

use ciphertune_head::DMatrix;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyMemoryError, PyTypeError};
use pyo3::prelude::*;

/// Copies an array of doubles, rows x columns, whatever its strides.
pub fn matrix(array: &Bound<'_, PyAny>) -> PyResult<DMatrix<f64>> {
    let wrong = |_| PyTypeError::new_err("expected a float64 array: convert it with numpy.asarray(X, dtype=float)");
    let buffer = PyBuffer::<f64>::get(array).map_err(wrong)?;
    let &[rows, columns] = buffer.shape() else {
        let found = buffer.dimensions();
        return Err(PyTypeError::new_err(format!("expected an array of 2 dimensions, rows x columns, found {found}")));
    };
    // Columns stand together in a matrix. An array may have a thousand times as many elements as memory has room for.
    let mut elements = Vec::new();
    let room = rows.checked_mul(columns).is_some_and(|count| elements.try_reserve_exact(count).is_ok());
    if !room {
        return Err(PyMemoryError::new_err(format!("there is no room for a copy of {rows} x {columns} features")));
    }
    elements.resize(rows * columns, 0.0);
    buffer.copy_to_fortran_slice(array.py(), &mut elements)?;
    Ok(DMatrix::from_vec(rows, columns, elements))
}

/// A new array of doubles, rows x columns in C order.
pub fn numpy<'py>(py: Python<'py>, matrix: &DMatrix<f64>) -> PyResult<Bound<'py, PyAny>> {
    let elements: Vec<f64> = matrix.transpose().as_slice().to_vec();
    filled(py, matrix.shape(), &elements)
}

/// A new array of doubles of one dimension.
pub fn numpy_vector<'py>(py: Python<'py>, elements: &[f64]) -> PyResult<Bound<'py, PyAny>> {
    filled(py, elements.len(), elements)
}

fn filled<'py>(py: Python<'py>, shape: impl IntoPyObject<'py>, elements: &[f64]) -> PyResult<Bound<'py, PyAny>> {
    let array = py.import("numpy")?.call_method1("empty", (shape,))?;
    if !elements.is_empty() {
        PyBuffer::<f64>::get(&array)?.copy_from_slice(py, elements)?;
    }
    Ok(array)
}
