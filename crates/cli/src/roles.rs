//! The two roles, as functions from documents to documents: what the commands put into files, and `run` and `demo` pass
//! in memory.
//!
//! [`owner`] handles tables and secret keys, [`server`] handles jobs and evaluation keys. Neither module uses the
//! other.

pub mod owner;
pub mod server;
