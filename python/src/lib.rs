//! The native module of the Python package `ciphertune`, over the steps of crate `session`.
//!
//! What a Python user meets is in `ciphertune/*.py` and `ciphertune/_native.pyi`; here is what it stands on. Every call
//! that takes longer than a glance goes through `work.rs`, which lets other Python threads run, hears Ctrl-C and tells
//! how far it is.

mod arrays;
mod digits;
mod documents;
mod errors;
mod head;
mod owner;
mod plan;
mod recipe;
mod rehearsal;
mod server;
mod work;

use pyo3::prelude::*;

/// The module.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::digits::load_digits;
    #[pymodule_export]
    use super::head::Head;
    #[pymodule_export]
    use super::owner::{Keys, Opened, Record};
    #[pymodule_export]
    use super::plan::Plan;
    #[pymodule_export]
    use super::recipe::Recipe;
    #[pymodule_export]
    use super::rehearsal::{Rehearsed, rehearse};
    #[pymodule_export]
    use super::server::{Job, merge};

    use super::{Bound, PyModule, PyResult, errors};
    use pyo3::types::PyModuleMethods;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        // Now and not in the middle of the first training, and in this process and not in one that forks from it.
        ciphertune_ring::kernels::check_choice().map_err(errors::python)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
