//! The server's side: `Job` and its training. Nothing here takes what an owner keeps.

use ciphertune_head::job::part::Part;
use ciphertune_head::train::Returned;
use ciphertune_session::files::{Privacy, cannot_write};
use ciphertune_session::job_folder::job_file;
use ciphertune_session::{Observer, Result, memory, server};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::documents::{Given, Wanted};
use crate::plan::{Plan, memory_bytes};
use crate::{errors, work};

const JOB: &str = "the job";
const KEYS: &str = "the evaluation keys";

/// What an owner encrypted and a server trains on.
///
/// Its header is read at once. A file, or the folder that `ciphertune encrypt` wrote, stays where it is and is read
/// while training.
#[pyclass(frozen, module = "ciphertune")]
pub struct Job {
    document: Given,
    plan: ciphertune_head::Plan,
}

#[pymethods]
impl Job {
    #[new]
    fn new(py: Python<'_>, document: &Bound<'_, PyAny>) -> PyResult<Self> {
        let document = match Given::from_python(document)? {
            Given::File(path) => Given::File(job_file(&path).map_err(errors::python)?),
            bytes => bytes,
        };
        let open = |_: &dyn Observer| Ok(server::Job::open(document.source(JOB)?)?.plan().clone());
        let plan = work::run(py, None, open)?;
        Ok(Self { document, plan })
    }

    /// The plan in it.
    #[getter]
    fn plan(&self) -> Plan {
        Plan { plan: self.plan.clone() }
    }

    /// What `Server.train` does.
    #[pyo3(signature = (evaluation_keys, to = None, *, iterates = false, part = None, memory = None, force = false, progress = None))]
    #[allow(clippy::too_many_arguments)] // They have names in Python.
    fn train<'py>(
        &self,
        py: Python<'py>,
        evaluation_keys: &Bound<'py, PyAny>,
        to: Option<&Bound<'py, PyAny>>,
        iterates: bool,
        part: Option<(i64, i64)>,
        memory: Option<i64>,
        force: bool,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let to = Wanted::from_python(to, force, Privacy::Public)?;
        let (keys, memory) = (Given::from_python(evaluation_keys)?, memory::limit(memory_bytes(memory)?));
        let returned = if iterates { Returned::Every } else { Returned::Last };
        let part = part.map(|part| part_of(part, iterates)).transpose()?;
        if let Some(part) = part {
            part.check(&self.plan).map_err(errors::python)?;
        }
        let (content, ()) = to.write(py, progress, |out, observer| {
            let job = server::Job::open(self.document.source(JOB)?)?;
            let room = job.allot(memory)?.room;
            let keys = keys.source(KEYS)?;
            let trained = match part {
                Some(part) => server::train_part(job, keys, part, room, observer)?,
                None => server::train(job, keys, returned, room, observer)?,
            };
            let written: Result<()> =
                out.write_all(&trained.model).map_err(|error| cannot_write(to.name("the model"), &error));
            written
        })?;
        Ok(content)
    }

    fn __repr__(&self) -> String {
        let shape = self.plan.shape();
        format!("<Job of {} rows x {} features, {} classes>", shape.rows, shape.features, shape.classes)
    }
}

/// The second of five parts is (2, 5).
fn part_of((index, of): (i64, i64), iterates: bool) -> PyResult<Part> {
    if iterates {
        return Err(errors::input("parts have their last iterate only: leave iterates out, or part".to_owned()));
    }
    let number = |number| usize::try_from(number).unwrap_or(0);
    Part::new(number(index), number(of)).map_err(errors::python)
}

/// Puts the parts of a model together, in any order: the model that one server makes, byte for byte.
///
/// `parts` are documents that `Server.train` gave with `part`; the model goes to `to`, or is returned as bytes. Raises
/// InputError for parts of different models, and for parts that are missing or given twice, with their numbers.
#[pyfunction]
#[pyo3(signature = (parts, to = None, *, force = false))]
pub fn merge<'py>(
    py: Python<'py>,
    parts: Vec<Bound<'py, PyAny>>,
    to: Option<&Bound<'py, PyAny>>,
    force: bool,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let to = Wanted::from_python(to, force, Privacy::Public)?;
    let parts = parts.iter().map(Given::from_python).collect::<PyResult<Vec<_>>>()?;
    let (content, ()) = to.write(py, None, |out, _| {
        let named = |(place, part): (usize, &Given)| part.document(&format!("part {} of the list", place + 1));
        let documents = parts.iter().enumerate().map(named).collect::<Result<Vec<_>>>()?;
        let model = server::merge(&documents)?;
        out.write_all(&model).map_err(|error| cannot_write(to.name("the model"), &error))
    })?;
    Ok(content)
}
