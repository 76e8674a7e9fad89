//! Documents in and out: bytes, paths, and file-like objects.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use ciphertune_session::files::{Document, NewFile, Privacy, Source, WriteSeek};
use ciphertune_session::{Error, Observer, Result};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes};

use crate::{errors, work};

/// A document that is given.
pub enum Given {
    /// In a file, which is read when it is wanted.
    File(PathBuf),
    /// In memory.
    Bytes(PyBackedBytes),
}

impl Given {
    /// From bytes, a path (`str` or `os.PathLike`), or an object that has `read`, which is read to its end.
    pub fn from_python(document: &Bound<'_, PyAny>) -> PyResult<Self> {
        if is_bytes(document) {
            return Ok(Self::Bytes(document.extract()?));
        }
        if document.hasattr("read")? {
            let content = document.call_method0("read")?;
            if is_bytes(&content) {
                return Ok(Self::Bytes(content.extract()?));
            }
            return Err(PyTypeError::new_err("the file gives text: open it in binary mode, with open(path, \"rb\")"));
        }
        let kind = document.get_type().name()?.to_string();
        let wrong =
            |_| PyTypeError::new_err(format!("expected bytes, a path or a file opened for reading, found {kind}"));
        Ok(Self::File(document.extract().map_err(wrong)?))
    }

    /// To be read a little at a time; `name` is for messages about bytes.
    pub fn source(&self, name: &str) -> Result<Source> {
        match self {
            Self::File(path) => Source::open(path),
            Self::Bytes(bytes) => {
                let again = Python::attach(|py| bytes.clone_ref(py));
                Ok(Source { path: name.into(), content: Box::new(Cursor::new(again)) })
            }
        }
    }

    /// Read whole.
    pub fn document(&self, name: &str) -> Result<Document> {
        match self {
            Self::File(path) => Document::read(path),
            Self::Bytes(bytes) => Ok(Document { path: name.into(), bytes: bytes.to_vec() }),
        }
    }
}

fn is_bytes(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyBytes>() || object.is_instance_of::<PyByteArray>()
}

/// Where a document is to go, checked before the work begins.
pub enum Wanted {
    /// Into a file, whole or not at all.
    File(PathBuf, NewFile),
    /// To whoever called.
    Bytes,
    /// To an object that has `write`.
    Object(Py<PyAny>),
}

impl Wanted {
    /// From None for bytes, a path, or an object that has `write`. A file that exists is replaced if `force`.
    pub fn from_python(to: Option<&Bound<'_, PyAny>>, force: bool, privacy: Privacy) -> PyResult<Self> {
        let Some(to) = to else { return Ok(Self::Bytes) };
        if to.hasattr("write")? {
            return Ok(Self::Object(to.clone().unbind()));
        }
        let kind = to.get_type().name()?.to_string();
        let wrong =
            |_| PyTypeError::new_err(format!("expected a path, a file opened for writing or None, found {kind}"));
        let path: PathBuf = to.extract().map_err(wrong)?;
        let file = NewFile::plan(&path, privacy, force).map_err(errors::python)?;
        Ok(Self::File(path, file))
    }

    /// What messages call the document.
    pub fn name<'a>(&'a self, name: &'a str) -> &'a Path {
        match self {
            Self::File(path, _) => path,
            _ => name.as_ref(),
        }
    }

    /// Does the work that writes the document. Returns its bytes if nobody said where they are to go, and what else the work
    /// made.
    pub fn write<'py, T: Send>(
        &self,
        py: Python<'py>,
        progress: Option<&Bound<'_, PyAny>>,
        work: impl FnOnce(&mut dyn WriteSeek, &dyn Observer) -> Result<T> + Send,
    ) -> PyResult<(Option<Bound<'py, PyBytes>>, T)> {
        if let Self::File(_, file) = self {
            let made = work::run(py, progress, |observer| {
                file.write_with(|out| {
                    let made = work(out, observer)?;
                    // Whoever interrupts finds no file, even if the work was done by then.
                    if observer.is_stopped() { Err(Error::stopped()) } else { Ok(made) }
                })
            })?;
            return Ok((None, made));
        }
        let (content, made) = work::run(py, progress, |observer| {
            let mut out = Cursor::new(Vec::new());
            let made = work(&mut out, observer)?;
            Ok((out.into_inner(), made))
        })?;
        let content = PyBytes::new(py, &content);
        match self {
            Self::Object(object) => {
                object.bind(py).call_method1("write", (content,))?;
                Ok((None, made))
            }
            _ => Ok((Some(content), made)),
        }
    }
}
