//! The server's side: `Job` and its training. Nothing here takes what an owner keeps.

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
    #[pyo3(signature = (evaluation_keys, to = None, *, iterates = false, memory = None, force = false, progress = None))]
    #[allow(clippy::too_many_arguments)] // They have names in Python.
    fn train<'py>(
        &self,
        py: Python<'py>,
        evaluation_keys: &Bound<'py, PyAny>,
        to: Option<&Bound<'py, PyAny>>,
        iterates: bool,
        memory: Option<i64>,
        force: bool,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let to = Wanted::from_python(to, force, Privacy::Public)?;
        let (keys, memory) = (Given::from_python(evaluation_keys)?, memory::limit(memory_bytes(memory)?));
        let returned = if iterates { Returned::Every } else { Returned::Last };
        let (content, ()) = to.write(py, progress, |out, observer| {
            let job = server::Job::open(self.document.source(JOB)?)?;
            let room = job.allot(memory)?.room;
            let trained = server::train(job, keys.source(KEYS)?, returned, room, observer)?;
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
