//! `Recipe`: the hyperparameters of a training.

use ciphertune_head::recipe::{Bound as HessianBound, Gradient, Preset, RecipeOverrides, Sigmoid};
use pyo3::prelude::*;

use crate::errors;

/// The hyperparameters of a training, checked.
///
/// Parameters are those of `EncryptedLogisticRegression`; None keeps what `preset` has. Raises InputError for a value
/// out of its range.
#[pyclass(frozen, eq, from_py_object, module = "ciphertune")]
#[derive(Clone, PartialEq)]
pub struct Recipe {
    pub(crate) recipe: ciphertune_head::Recipe,
}

#[pymethods]
impl Recipe {
    #[new]
    #[pyo3(signature = (iterations = 2, *, preset = "default", scaler = None, whiten_lambda = None, gradient = None, bound = None, sigmoid = None, momentum = None, initial_weight = None, learning_rate = None, decay = None, ridge = None, batch_size = None))]
    #[allow(clippy::too_many_arguments)] // They have names in Python.
    fn new(
        iterations: i64,
        preset: &str,
        scaler: Option<&str>,
        whiten_lambda: Option<f64>,
        gradient: Option<&str>,
        bound: Option<&str>,
        sigmoid: Option<&str>,
        momentum: Option<f64>,
        initial_weight: Option<f64>,
        learning_rate: Option<f64>,
        decay: Option<f64>,
        ridge: Option<f64>,
        batch_size: Option<usize>,
    ) -> PyResult<Self> {
        let gradient = match gradient {
            None => None,
            Some("quadratic") => Some(Gradient::Quadratic),
            Some("plain") => Some(Gradient::Plain),
            Some(other) => return Err(errors::input(format!("{other:?} is no gradient: choose quadratic or plain"))),
        };
        let bound = match bound {
            None => None,
            Some("row-sums") => Some(HessianBound::RowSums),
            Some("quarter") => Some(HessianBound::Quarter),
            Some(other) => return Err(errors::input(format!("{other:?} is no bound: choose row-sums or quarter"))),
        };
        let overrides = RecipeOverrides {
            gradient,
            bound,
            scaler: scaler.map(str::parse).transpose().map_err(errors::python)?,
            lambda: whiten_lambda,
            sigmoid: sigmoid.map(str::parse::<Sigmoid>).transpose().map_err(errors::python)?,
            momentum,
            initial_weight,
            learning_rate,
            decay,
            ridge,
            batch: batch_size,
        };
        let preset: Preset = preset.parse().map_err(errors::python)?;
        // A negative number is refused with the same words as zero.
        let recipe = preset.recipe(usize::try_from(iterations).unwrap_or(0), &overrides).map_err(errors::python)?;
        Ok(Self { recipe })
    }

    /// How many iterations.
    #[getter]
    fn iterations(&self) -> usize {
        self.recipe.iterations()
    }

    /// The recipe on one line of JSON.
    fn to_json(&self) -> String {
        self.recipe.to_json()
    }

    /// Reads what `to_json` gives. Raises InputError for anything else.
    #[staticmethod]
    fn from_json(text: &str) -> PyResult<Self> {
        Ok(Self { recipe: ciphertune_head::Recipe::from_json(text).map_err(errors::python)? })
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((py.get_type::<Self>().getattr("from_json")?, (self.to_json(),)))
    }

    fn __repr__(&self) -> String {
        format!("Recipe.from_json({:?})", self.to_json())
    }
}
