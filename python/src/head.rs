//! `Head`: a trained head.

use ciphertune_head::metrics::probabilities;
use ciphertune_head::{ColumnNames, DMatrix, FeatureTable};
use ciphertune_session::InFile;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::documents::Given;
use crate::{arrays, errors, work};

/// A trained head: a linear classifier of raw features.
///
/// Without `published_bits` it was decrypted as it is, and must not leave its owner's hands: see SECURITY.md.
#[pyclass(frozen, eq, module = "ciphertune")]
#[derive(PartialEq)]
pub struct Head {
    pub(crate) head: ciphertune_head::Head,
}

#[pymethods]
impl Head {
    /// Reads what `to_bytes` gives or `ciphertune decrypt` writes. Raises InputError for anything else.
    #[staticmethod]
    fn from_bytes(content: &Bound<'_, PyAny>) -> PyResult<Self> {
        let document = Given::from_python(content)?.document("the head").map_err(errors::python)?;
        let head = ciphertune_head::Head::from_bytes(&document.bytes).in_file(&document.path);
        Ok(Self { head: head.map_err(errors::python)? })
    }

    /// The head as `head.safetensors`: docs/load-head.md says what is in it.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.head.to_bytes().map_err(errors::python)?))
    }

    /// The head as an ONNX model, opset 13, single precision.
    fn to_onnx<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.head.to_onnx().map_err(errors::python)?))
    }

    /// The head as a JSON object, double precision.
    fn to_json(&self) -> String {
        self.head.to_json()
    }

    /// Weights, classes x features.
    #[getter]
    fn weight<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        arrays::numpy(py, self.head.weight())
    }

    /// Biases, one a class.
    #[getter]
    fn bias<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        arrays::numpy_vector(py, self.head.bias().as_slice())
    }

    /// The names of the classes, in the order of the weights.
    #[getter]
    fn classes(&self) -> Vec<String> {
        self.head.classes().names().to_vec()
    }

    /// Features a row.
    #[getter]
    fn features(&self) -> usize {
        self.head.features()
    }

    /// What the columns were called that it was trained on, if they had names.
    #[getter]
    fn feature_names(&self) -> Option<Vec<String>> {
        self.head.names().map(|names| names.features().to_vec())
    }

    /// Bits of precision above the noise of a publication; None for a head that must stay private.
    #[getter]
    fn published_bits(&self) -> Option<f64> {
        self.head.published()
    }

    /// x W^T + b: rows x features in, rows x classes out.
    ///
    /// Raises InputError for features of another number, or of other names where both have names.
    #[pyo3(signature = (features, *, names = None))]
    fn logits<'py>(&self, features: &Bound<'py, PyAny>, names: Option<Vec<String>>) -> PyResult<Bound<'py, PyAny>> {
        let logits = self.score(features, names)?;
        arrays::numpy(features.py(), &logits)
    }

    /// The sigmoid of every logit, divided by the sum of its row's: rows x features in, rows x classes out.
    #[pyo3(signature = (features, *, names = None))]
    fn probabilities<'py>(
        &self,
        features: &Bound<'py, PyAny>,
        names: Option<Vec<String>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let logits = self.score(features, names)?;
        let mut shares = DMatrix::zeros(logits.nrows(), logits.ncols());
        for (row, mut share) in logits.row_iter().zip(shares.row_iter_mut()) {
            share.iter_mut().zip(probabilities(row.iter().copied())).for_each(|(out, p)| *out = p);
        }
        arrays::numpy(features.py(), &shares)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        Ok((py.get_type::<Self>().getattr("from_bytes")?, (self.to_bytes(py)?,)))
    }

    fn __repr__(&self) -> String {
        let whose = if self.head.published().is_some() { "published" } else { "for its owner alone" };
        format!("<Head of {} features, {} classes, {whose}>", self.head.features(), self.head.classes().len())
    }
}

impl Head {
    fn score(&self, features: &Bound<'_, PyAny>, names: Option<Vec<String>>) -> PyResult<DMatrix<f64>> {
        let table = table(features, None, names)?;
        work::run(features.py(), None, |_| {
            self.head.check(&table)?;
            Ok(self.head.logits(table.features())?)
        })
    }
}

/// A table from arrays.
pub fn table(
    features: &Bound<'_, PyAny>,
    labels: Option<Vec<String>>,
    names: Option<Vec<String>>,
) -> PyResult<FeatureTable> {
    let table = FeatureTable::new(arrays::matrix(features)?, labels).map_err(errors::python)?;
    match names {
        None => Ok(table),
        Some(names) => ColumnNames::new(names, None).and_then(|names| table.with_names(names)).map_err(errors::python),
    }
}
