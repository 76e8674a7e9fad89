//! The owner's side: `Keys`, `Record`, `Opened`.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ciphertune_ckks::container::Container;
use ciphertune_head::job;
use ciphertune_session::examples::Examples;
use ciphertune_session::files::Privacy;
use ciphertune_session::keys_folder::{KeysFolder, NewKeysFolder};
use ciphertune_session::publication::{self, CheckedOn, Terms};
use ciphertune_session::{InFile, Result, owner};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::documents::{Given, Wanted};
use crate::head::{Head, table};
use crate::plan::{Plan, within};
use crate::rehearsal::FEATURES;
use crate::{errors, work};

/// What messages call documents that were given as bytes.
const SECRET: &str = "the secret key";
const MODEL: &str = "the model";
const RECORD: &str = "the record";

/// An owner's secret key for a plan, drawn with the system's generator of random numbers.
///
/// It is neither pickled nor copied.
#[pyclass(frozen, module = "ciphertune")]
pub struct Keys {
    keys: job::owner::Keys,
    folder: Mutex<Option<PathBuf>>,
}

#[pymethods]
impl Keys {
    #[new]
    fn new(plan: &Plan) -> PyResult<Self> {
        let keys = job::owner::Keys::generate(&plan.plan).map_err(errors::python)?;
        Ok(Self { keys, folder: Mutex::default() })
    }

    /// From a folder that `save` or `ciphertune keygen` wrote. Records of jobs are kept in it.
    #[staticmethod]
    fn load(folder: PathBuf) -> PyResult<Self> {
        let open = || {
            let found = KeysFolder::open(&folder)?;
            found.settle_records();
            found.keys()
        };
        let keys = open().map_err(errors::python)?;
        Ok(Self { keys, folder: Mutex::new(Some(folder)) })
    }

    /// From the document that `secret_key` gives. Raises InputError for one of another plan.
    #[staticmethod]
    fn from_secret_key(plan: &Plan, secret_key: &Bound<'_, PyAny>) -> PyResult<Self> {
        let document = Given::from_python(secret_key)?.document(SECRET).map_err(errors::python)?;
        let keys = owner::open_keys(&plan.plan, &document.bytes, &document.path).map_err(errors::python)?;
        Ok(Self { keys, folder: Mutex::default() })
    }

    /// Writes secret key, plan and evaluation keys into a new folder that nobody else can enter.
    ///
    /// It is what `ciphertune keygen` writes. From then on records of jobs are kept in it. `force` replaces a folder of
    /// keys: models that are encrypted under the old ones are lost.
    #[pyo3(signature = (folder, *, force = false, progress = None))]
    fn save(&self, py: Python<'_>, folder: PathBuf, force: bool, progress: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let new = NewKeysFolder::plan(&folder, force).map_err(errors::python)?;
        work::run(py, progress, |observer| new.write(&self.keys, observer))?;
        *self.folder.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder);
        Ok(())
    }

    /// The secret key's document: whoever has it can read data and models.
    fn secret_key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &owner::secret_document(&self.keys).map_err(errors::python)?))
    }

    /// Evaluation keys for the server, once for any number of jobs: others each time, and any of them will do.
    #[pyo3(signature = (to = None, *, force = false, progress = None))]
    fn evaluation_keys<'py>(
        &self,
        py: Python<'py>,
        to: Option<&Bound<'py, PyAny>>,
        force: bool,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let to = Wanted::from_python(to, force, Privacy::Public)?;
        let (content, ()) = to.write(py, progress, |mut out, observer| {
            owner::write_evaluation_keys(&self.keys, &mut out, observer).in_file(to.name("the evaluation keys"))
        })?;
        Ok(content)
    }

    /// What `Owner.encrypt` does, on an array of doubles and a word a row.
    #[pyo3(signature = (features, labels, to = None, *, names = None, force = false, progress = None))]
    #[allow(clippy::too_many_arguments)] // They have names in Python.
    fn encrypt<'py>(
        &self,
        features: &Bound<'py, PyAny>,
        labels: Vec<String>,
        to: Option<&Bound<'py, PyAny>>,
        names: Option<Vec<String>>,
        force: bool,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Option<Bound<'py, PyBytes>>, Record)> {
        let to = Wanted::from_python(to, force, Privacy::Public)?;
        let train = Examples::of_table(FEATURES, table(features, Some(labels), names)?);
        let (folder, job) = (self.folder(), to.name("the job"));
        let (content, record) = to.write(features.py(), progress, |mut out, observer| {
            let record = owner::encrypt(&self.keys, &train, None, &mut out, job, observer)?.record;
            // Before anybody has the job, which could never be opened without it.
            if let Some(folder) = folder.filter(|_| !observer.is_stopped()) {
                KeysFolder::open(&folder)?.keep_record(&record)?;
            }
            Ok(record)
        })?;
        Ok((content, Record { record }))
    }

    /// What `Owner.decrypt` and `Owner.decrypt_iterates` do.
    #[pyo3(signature = (model, record = None))]
    fn decrypt(&self, py: Python<'_>, model: &Bound<'_, PyAny>, record: Option<&Record>) -> PyResult<Opened> {
        let (model, folder) = (Given::from_python(model)?, self.folder());
        let opened = work::run(py, None, |_| {
            let model = model.document(MODEL)?;
            let kept = match (record, &folder) {
                (Some(_), _) => None,
                (None, Some(folder)) => Some(record_of(&self.keys, folder, &model.path, &model.bytes)?),
                (None, None) => {
                    let message = "the record of the model's job is missing: pass the one that encrypt gave";
                    return Err(ciphertune_session::Error::input(message).in_file(&model.path));
                }
            };
            let record = kept.as_ref().or(record.map(|record| &record.record)).expect("one of the two is there");
            owner::decrypt(&self.keys, record, &model)
        })?;
        let head = |(iteration, head)| Ok((iteration, Py::new(py, Head { head })?));
        let heads = opened.decrypted.heads.into_iter().map(head).collect::<PyResult<_>>()?;
        Ok(Opened { heads, precision_bits: opened.precision_bits })
    }

    /// What `Owner.publish` does, with the rows of `check` as an array of doubles and a word a row.
    #[pyo3(signature = (model, record = None, *, releases = 1, check = None, names = None, unchecked = false, anyway = false))]
    #[allow(clippy::too_many_arguments)] // They have names in Python.
    fn publish(
        &self,
        py: Python<'_>,
        model: &Bound<'_, PyAny>,
        record: Option<&Record>,
        releases: i64,
        check: Option<(Bound<'_, PyAny>, Vec<String>)>,
        names: Option<Vec<String>>,
        unchecked: bool,
        anyway: bool,
    ) -> PyResult<Head> {
        let releases = within("releases", releases, 1, 1 << 20)? as u32;
        let Some(folder) = self.folder() else {
            let message = "keys that are to publish a model have a folder, which counts what was published: save them";
            return Err(errors::input(message));
        };
        let rows = match check {
            Some((features, labels)) => {
                Some(Examples::of_table("the rows of check", table(&features, Some(labels), names)?))
            }
            None => None,
        };
        let check = match &rows {
            Some(_) if unchecked => return Err(errors::input("check and unchecked exclude each other: leave one out")),
            Some(rows) => CheckedOn::Table(rows),
            None if unchecked => CheckedOn::Nothing,
            None => CheckedOn::KeptRows,
        };
        let terms = Terms { releases, anyway, check };
        let model = Given::from_python(model)?;
        let published = work::run(py, None, |_| {
            let model = model.document(MODEL)?;
            let publish = |record: &job::owner::Record| {
                publication::publish(&KeysFolder::open(&folder)?, &self.keys, record, &model, &terms)
            };
            match record {
                Some(Record { record }) => publish(record),
                None => publish(&record_of(&self.keys, &folder, &model.path, &model.bytes)?),
            }
        })?;
        Ok(Head { head: published.released.head })
    }

    /// The plan that they are for.
    #[getter]
    fn plan(&self) -> Plan {
        Plan { plan: self.keys.plan().clone() }
    }

    /// Names the keys: random, and says nothing about them.
    #[getter]
    fn id(&self) -> String {
        self.keys.id().to_string()
    }

    /// The folder that they are kept in, if they are.
    #[getter(folder)]
    fn folder_in_python(&self) -> Option<PathBuf> {
        self.folder()
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(
            "secret keys are not pickled or copied: save them with Keys.save, and load them again",
        ))
    }

    fn __repr__(&self) -> String {
        format!("<Keys {}>", self.keys.id())
    }
}

impl Keys {
    fn folder(&self) -> Option<PathBuf> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The record that a folder of keys keeps of a model's job.
fn record_of(keys: &job::owner::Keys, folder: &Path, path: &Path, model: &[u8]) -> Result<job::owner::Record> {
    let container = Container::parse(model, job::MODEL, job::MODEL_FORMAT).in_file(path)?;
    let job = job::job_id_of(container.header()).in_file(path)?;
    KeysFolder::open(folder)?.record(keys, job, path)
}

/// What an owner keeps of a job: scaler, class names, some rows to check a release with.
///
/// It is neither pickled nor copied.
#[pyclass(frozen, module = "ciphertune")]
pub struct Record {
    record: job::owner::Record,
}

#[pymethods]
impl Record {
    /// Reads what `to_bytes` gives. Raises InputError for anything else.
    #[staticmethod]
    fn from_bytes(content: &Bound<'_, PyAny>) -> PyResult<Self> {
        let document = Given::from_python(content)?.document(RECORD).map_err(errors::python)?;
        let record = job::owner::Record::from_bytes(&document.bytes).in_file(&document.path);
        Ok(Self { record: record.map_err(errors::python)? })
    }

    /// The record's document, as a folder of keys has it.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.record.to_bytes().map_err(errors::python)?))
    }

    /// The job's identifier.
    #[getter]
    fn job(&self) -> String {
        self.record.job().to_string()
    }

    /// The names of the classes.
    #[getter]
    fn classes(&self) -> Vec<String> {
        self.record.classes().names().to_vec()
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("records hold rows of the table and are not pickled: keep Record.to_bytes yourself"))
    }

    fn __repr__(&self) -> String {
        format!("<Record of job {}>", self.record.job())
    }
}

/// A decrypted model, for its owner's eyes only.
#[pyclass(frozen, get_all, module = "ciphertune")]
pub struct Opened {
    /// The head after every iteration that the server returned, the last one last.
    heads: Vec<(usize, Py<Head>)>,
    /// log2 of the largest trained weight over the plan's bound on the error of any one weight.
    precision_bits: f64,
}
