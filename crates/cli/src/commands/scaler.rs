//! `scaler fit`: a scaler from other data.

use std::path::PathBuf;

use ciphertune_head::{LabelColumn, Scaler, ScalerKind, SilentFeatures};
use ciphertune_session::{Observer, owner};
use clap::{ArgGroup, Args, Subcommand};

use crate::errors::{CliError, Result};
use crate::inputs::{BackboneFlags, is_csv};
use crate::options::ScalerName;
use crate::progress::Terminal;
use crate::text::{count, say};
use ciphertune_session::InFile;
use ciphertune_session::examples::{Examples, Place, Reader};
use ciphertune_session::files::{NewFile, Privacy};

/// Owner: fit a scaler on other data, to be shared by several owners
#[derive(Args)]
pub struct ScalerCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Fit(Fit),
}

/// Fit a scaler to a table of features, or to those of images
///
/// A scaler is an affine map of the features. Without this command, encrypt fits one to the owner's own table. Labels
/// are not used.
#[derive(Args)]
#[command(group = ArgGroup::new("examples").required(true).args(["features", "images"]))]
struct Fit {
    /// Feature table: .csv, .npz or .safetensors
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,

    /// Images, instead of a table: a folder, or any set that can be trained on
    #[arg(long, value_name = "DIR|FILE")]
    images: Option<PathBuf>,

    /// The .csv has no label in front
    #[arg(long, conflicts_with = "images")]
    no_labels: bool,

    /// Kind of scaler
    #[arg(long, value_enum, value_name = "KIND", default_value = "whiten")]
    scaler: ScalerName,

    /// Regularisation of whitening, in units of the mean eigenvalue [default: d/2n, between 0.05 and 1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    lambda: Option<f64>,

    /// File to write the scaler to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Replace a scaler that is there
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    backbone: BackboneFlags,
}

impl ScalerCommand {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let Action::Fit(fit) = &self.action;
        fit.execute()
    }
}

impl Fit {
    fn execute(&self) -> Result<()> {
        let terminal = Terminal::new();
        let out = NewFile::plan(&self.out, Privacy::Public, self.force)?;
        let place = Place { table: self.features.as_deref(), images: self.images.as_deref(), ..Place::default() };
        let labels =
            if self.no_labels || !place.table.is_some_and(is_csv) { LabelColumn::Absent } else { LabelColumn::Present };
        let Examples { path, table, .. } =
            Reader::new(self.backbone.choice(), None, &[place], &terminal)?.read(&place, labels)?;
        let kind = self.scaler.kind();
        if self.lambda.is_some() && kind != ScalerKind::Whiten {
            return Err(CliError::input("--lambda belongs to whitening: choose --scaler whiten with it"));
        }
        if self.lambda.is_some_and(|lambda| !(1e-6..=1e6).contains(&lambda)) {
            return Err(CliError::input("--lambda lies between 1e-6 and 1e6, usually between 0.05 and 1"));
        }
        if let Some(warning) = owner::silent_features(&SilentFeatures::of(table.features(), None)) {
            terminal.warn(&format!("{}: {warning}", path.display()));
        }
        let scaler = Scaler::fit(kind, self.lambda, table.features()).in_file(&path)?;
        out.write(&scaler.to_bytes()?)?;
        let size = format!("{} x {}", count(table.rows(), "row"), count(table.columns(), "feature"));
        say!("fitted a scaler of kind {kind} to {size}")?;
        if let Some(lambda) = scaler.lambda() {
            say!("  lambda {lambda:.4}")?;
        }
        say!("  {}", self.out.display())?;
        let examples = place.training_flags();
        say!("next:\n  ciphertune encrypt {examples} --keys KEYS/ --scaler-file {} --out JOB/", self.out.display())?;
        Ok(())
    }
}
