//! `export`: a head for other programs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::errors::Result;
use crate::text::{bytes, say, warn_if_private};
use ciphertune_session::InFile;
use ciphertune_session::files::{self, NewFile};

/// Write a head as ONNX or JSON
///
/// ONNX: input features (float32), outputs label, logits and probabilities. JSON: classes, weight, bias, recipe. For
/// PyTorch and scikit-learn, load head.safetensors itself: see docs/load-head.md.
#[derive(Args)]
pub struct Export {
    /// Head that decrypt wrote
    #[arg(long, value_name = "FILE")]
    head: PathBuf,

    /// Format to write
    #[arg(long, value_enum)]
    format: Format,

    /// File to write [default: the head's name, ending in .onnx or .json]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// An ONNX model, opset 13, single precision
    Onnx,
    /// A JSON object, double precision
    Json,
}

impl Export {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let extension = if self.format == Format::Onnx { "onnx" } else { "json" };
        let path = self.out.clone().unwrap_or_else(|| self.head.with_extension(extension));
        let (head, privacy) = files::read_head(&self.head)?;
        let out = NewFile::plan(&path, privacy, self.force)?;
        let content = match self.format {
            Format::Onnx => head.to_onnx().in_file(&self.head)?,
            Format::Json => head.to_json().into_bytes(),
        };
        out.write(&content)?;
        warn_if_private(privacy, "exports");
        say!("  {}  {}", path.display(), bytes(content.len()))?;
        Ok(())
    }
}
