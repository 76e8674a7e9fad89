//! `Plan`: ring, layout and keys of a training, chosen for the public shape of a table.

use ciphertune_head::layout::{LayoutKind, Shape};
use ciphertune_head::plan::search::UPLOAD_BYTES_PER_SECOND;
use ciphertune_head::plan::{self, Constraints, Refresh};
use ciphertune_session::observer::{Running, Step};
use ciphertune_session::{memory, owner};
use pyo3::prelude::*;

use crate::recipe::Recipe;
use crate::{errors, work};

/// Ring, layout and keys of a training, chosen for the shape of a table: a public document.
///
/// Parameters other than the shape are those of `EncryptedLogisticRegression`. Raises InputError if no ring has room
/// for the training at 128 bits, or memory does not suffice.
#[pyclass(frozen, eq, module = "ciphertune")]
#[derive(PartialEq)]
pub struct Plan {
    pub(crate) plan: ciphertune_head::Plan,
}

#[pymethods]
impl Plan {
    #[new]
    #[pyo3(signature = (rows, features, classes, recipe = None, *, layout = "class-diagonal", memory = None, log_n = None, publish_bits = None, upload_rate = None, refresh = None, progress = None))]
    #[allow(clippy::too_many_arguments)] // They have names in Python.
    fn new(
        py: Python<'_>,
        rows: i64,
        features: i64,
        classes: i64,
        recipe: Option<Recipe>,
        layout: &str,
        memory: Option<i64>,
        log_n: Option<i64>,
        publish_bits: Option<f64>,
        upload_rate: Option<f64>,
        refresh: Option<&Bound<'_, PyAny>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let most_classes = ciphertune_head::classes::MAX_CLASSES as i64;
        let shape = Shape {
            rows: within("rows", rows, 1, 1 << 30)?,
            features: within("features", features, 1, 1 << 20)?,
            classes: within("classes", classes, 2, most_classes)?,
        };
        let layout = match layout {
            "class-diagonal" => LayoutKind::ClassDiagonal,
            "volley-revolver" => LayoutKind::VolleyRevolver,
            other => {
                let message = format!("{other:?} is no layout: choose class-diagonal or volley-revolver");
                return Err(errors::input(message));
            }
        };
        if let Some(bits) = publish_bits.filter(|bits| !(-100.0..=40.0).contains(bits)) {
            return Err(errors::input(format!("publish_bits={bits} is not possible: give -100 to 40")));
        }
        if let Some(rate) = upload_rate.filter(|rate| rate.is_nan() || *rate <= 0.0) {
            return Err(errors::input(format!("upload_rate={rate} is not possible: give bytes a second, more than 0")));
        }
        let refresh = refresh.map_or(Ok(Wish::Never), Wish::from_python)?;
        let constraints = Constraints {
            layout,
            memory: memory::limit(memory_bytes(memory)?),
            log_n: log_n.map(|log_n| within("log_n", log_n, 13, 16)).transpose()?.map(|log_n| log_n as u32),
            release_bits: publish_bits,
            upload_rate: upload_rate.unwrap_or(UPLOAD_BYTES_PER_SECOND),
            refresh: if refresh == Wish::Every { Refresh::EveryIteration } else { Refresh::Never },
            ..Constraints::default()
        };
        let recipe = match recipe {
            Some(Recipe { recipe }) => recipe,
            None => ciphertune_head::Recipe::default_for(2).map_err(errors::python)?,
        };
        let plan = work::run(py, progress, |observer| {
            let _running = Running::new(observer, Step::Planning, None);
            if let Some(warning) = owner::divergence(&recipe) {
                observer.warn(&warning);
            }
            let choose = if refresh == Wish::Auto { plan::choose_refresh } else { plan::choose };
            let plan = choose(shape, &recipe, &constraints)?;
            plan.estimate()?;
            Ok(plan)
        })?;
        Ok(Self { plan })
    }

    /// Rows of the table.
    #[getter]
    fn rows(&self) -> usize {
        self.plan.shape().rows
    }

    /// Features a row.
    #[getter]
    fn features(&self) -> usize {
        self.plan.shape().features
    }

    /// Classes of the table.
    #[getter]
    fn classes(&self) -> usize {
        self.plan.shape().classes
    }

    /// The hyperparameters.
    #[getter]
    fn recipe(&self) -> Recipe {
        Recipe { recipe: self.plan.recipe().clone() }
    }

    /// Whether the owner makes the steps of the training.
    #[getter]
    fn refreshed(&self) -> bool {
        self.plan.refresh() != Refresh::Never
    }

    /// log2 of the ring dimension.
    #[getter]
    fn log_n(&self) -> u32 {
        self.plan.literal().log_n
    }

    /// log2 of the whole modulus, special primes included.
    #[getter]
    fn log_qp(&self) -> f64 {
        self.plan.literal().log_qp()
    }

    /// Security in bits, a lower bound: 128.
    #[getter]
    fn security_bits(&self) -> u32 {
        self.plan.security_bits()
    }

    /// Bytes of a job's ciphertexts.
    #[getter]
    fn job_bytes(&self) -> usize {
        self.plan.upload_bytes()
    }

    /// Bytes of the evaluation keys.
    #[getter]
    fn key_bytes(&self) -> PyResult<usize> {
        Ok(self.plan.estimate().map_err(errors::python)?.key_bytes)
    }

    /// Predicted bytes of memory of a training that keeps all its data.
    #[getter]
    fn memory_bytes(&self) -> PyResult<usize> {
        Ok(self.plan.estimate().map_err(errors::python)?.server_bytes)
    }

    /// The plan on one line of JSON, as `plan.json` of a folder of keys has it.
    fn to_json(&self) -> String {
        self.plan.to_json()
    }

    /// Reads what `to_json` gives. Raises InputError for text that is no plan, or one that contradicts itself.
    #[staticmethod]
    fn from_json(text: &str) -> PyResult<Self> {
        Ok(Self { plan: ciphertune_head::Plan::from_json(text).map_err(errors::python)? })
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((py.get_type::<Self>().getattr("from_json")?, (self.to_json(),)))
    }

    fn __repr__(&self) -> String {
        let Shape { rows, features, classes } = self.plan.shape();
        let (iterations, log_n) = (self.plan.recipe().iterations(), self.log_n());
        format!(
            "<Plan of {rows} rows x {features} features, {classes} classes, {iterations} iterations: N = 2^{log_n}, \
             log QP = {:.0}>",
            self.log_qp()
        )
    }
}

/// Who is to make the steps.
#[derive(Clone, Copy, PartialEq)]
enum Wish {
    Never,
    Every,
    Auto,
}

impl Wish {
    fn from_python(refresh: &Bound<'_, PyAny>) -> PyResult<Self> {
        let word = refresh.extract::<String>().ok();
        match (word.as_deref(), refresh.extract::<i64>().ok()) {
            (Some("never"), _) => Ok(Self::Never),
            (Some("auto"), _) => Ok(Self::Auto),
            (_, Some(1)) => Ok(Self::Every),
            _ => {
                Err(errors::input(format!("refresh={} is not possible: choose 'never', 1 or 'auto'", refresh.repr()?)))
            }
        }
    }
}

/// Most memory that a training may take, if the user said so.
pub fn memory_bytes(memory: Option<i64>) -> PyResult<Option<usize>> {
    memory.map(|bytes| within("memory", bytes, 1, i64::MAX)).transpose()
}

/// A number, if it is in its range.
pub fn within(name: &str, number: i64, least: i64, most: i64) -> PyResult<usize> {
    if (least..=most).contains(&number) {
        return Ok(number as usize);
    }
    Err(errors::input(format!("{name}={number} is not possible: give {least} to {most}")))
}
