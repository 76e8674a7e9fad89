//! Readers under damage: every format that is read, small undamaged files of each, made here, and ways to damage them.
//!
//! A [`Format`] has a file and its reader; [`Mutator`] damages bytes, the same way for the same number; [`Campaign`] reads
//! many damaged files in child processes with bounded memory and time, so that a panic, an abort, a hang or too much
//! memory is told from a refusal. The tests of this crate do a few hundred of each in one process; the program
//! `ciphertune-fuzz` does any number of them and keeps what failed.

mod campaign;
pub mod formats;
mod mutation;
mod seal;
mod worker;

pub use campaign::{Campaign, Totals};
pub use formats::Format;
pub use mutation::Mutator;
pub use worker::{Outcome, read_damaged, work};
