//! `merge`: parts of a model become the model.

use std::path::PathBuf;

use clap::Args;

use crate::commands::train::say_model;
use crate::errors::Result;
use crate::text::{count, say};
use ciphertune_session::files::{Document, NewFile, Privacy};

/// Server: put the parts of a model together
///
/// Several machines train some of the classes each, with train --part; this makes the model of all classes, byte for byte
/// what one machine makes of the job. Nothing is computed on ciphertexts, and no key is needed.
#[derive(Args)]
pub struct Merge {
    /// The parts, in any order
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    part: Vec<PathBuf>,

    /// File to write the encrypted model to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Replace a model that is there
    #[arg(long)]
    force: bool,
}

impl Merge {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let out = NewFile::plan(&self.out, Privacy::Public, self.force)?;
        let parts = self.part.iter().map(|path| Document::read(path)).collect::<std::result::Result<Vec<_>, _>>()?;
        let model = ciphertune_session::server::merge(&parts)?;
        out.write(&model)?;
        say!("merged {} into the model of all classes", count(parts.len(), "part"))?;
        say_model(&self.out, model.len())
    }
}
