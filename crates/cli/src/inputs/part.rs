//! The flag that names a part of an archive.

use std::path::Path;

use ciphertune_head::table::Split;
use ciphertune_session::examples::has_part;
use clap::ValueEnum;

/// The parts by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PartName {
    /// Rows to train on
    Train,
    /// Rows to choose settings with
    Val,
    /// Rows to test on
    Test,
}

impl PartName {
    /// The library's name for it.
    pub fn part(self) -> Split {
        match self {
            PartName::Train => Split::Train,
            PartName::Val => Split::Validation,
            PartName::Test => Split::Test,
        }
    }
}

/// The part that was asked for; else, of an archive with a part to test on, that one.
pub fn part_or_test(asked: Option<PartName>, path: Option<&Path>) -> Option<Split> {
    let test = || path.is_some_and(|path| has_part(path, Split::Test)).then_some(Split::Test);
    asked.map(PartName::part).or_else(test)
}
