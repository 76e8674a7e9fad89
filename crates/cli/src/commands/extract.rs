//! `extract`: images become a feature table.

use std::path::{Path, PathBuf};

use ciphertune_head::{FeatureTable, LabelColumn};
use clap::Args;

use crate::errors::{CliError, Result};
use crate::inputs::{BackboneFlags, PartName};
use crate::progress::Terminal;
use crate::text::{Table, bytes, count, printable, say, seconds};
use ciphertune_session::examples::{Opened, Place, Reader};
use ciphertune_session::files::{NewFile, Privacy};
use ciphertune_session::{Error, InFile};

/// Turn images into a feature table with a pretrained network
///
/// Every other command that reads a table takes --images as well and does the same. Features are as confidential as the
/// images: the file can be read by its owner alone. They are kept in a cache too, by content, so that the same images
/// are never run through the same network twice: see ciphertune cache.
#[derive(Args)]
pub struct Extract {
    /// Images: a folder with a sub-folder a class, or of images without labels; a .csv of path and label; idx files
    /// (.gz); CIFAR-10's binary batches; an .npz of images and labels; one image. PNG, JPEG, BMP,
    /// WebP, GIF, TIFF and grey DICOM are read
    #[arg(long, value_name = "DIR|FILE")]
    images: PathBuf,

    /// Labels that belong to idx images
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    /// Part of an .npz that holds several, as MedMNIST's and Keras' do: train, val or test [default: train]
    #[arg(long, value_enum, value_name = "PART")]
    split: Option<PartName>,

    /// Only N images: of a folder with a sub-folder a class, every class in turn, else the first
    #[arg(long, value_name = "N")]
    rows: Option<usize>,

    /// Table to write: .safetensors, which remembers the backbone, .npz (arrays features and labels) or .csv
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Replace a table that is there
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    backbone: BackboneFlags,
}

impl Extract {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let terminal = Terminal::new();
        let encode = encoder(&self.out)?;
        let out = NewFile::plan(&self.out, Privacy::Private, self.force)?;
        let (images, labels) = (Some(self.images.as_path()), self.labels.as_deref());
        let split = self.split.map(PartName::part);
        let place = Place { images, labels, rows: self.rows, split, ..Place::default() };
        let reader = Reader::new(self.backbone.choice(), None, &[place], &terminal)?;
        let examples = reader.read(&place, LabelColumn::Detect { features: 0 })?;
        let content = encode(&examples.table).in_file(&self.out)?;
        out.write(&content)?;

        let table = &examples.table;
        let summary = examples.extraction.map(|extraction| extraction.summary).unwrap_or_default();
        let (took, fresh) = (summary.elapsed.as_secs_f64(), summary.rows - summary.from_cache);
        let pace = match fresh {
            0 => String::new(),
            _ => format!(" ({:.0} a second)", fresh as f64 / took.max(1e-9)),
        };
        say!("extracted {} in {}{pace}", count(table.rows(), "image"), seconds(took))?;
        say!(
            "{}",
            description(table, reader.opened()?, summary.from_cache, summary.skipped.len()).render().trim_end()
        )?;
        say!("  {}  {}, as confidential as the images", self.out.display(), bytes(content.len()))?;
        if table.labels().is_some() {
            say!("next:\n  ciphertune run --train {} --holdout 0.2", self.out.display())?;
        }
        Ok(())
    }
}

fn description(table: &FeatureTable, opened: &Opened, cached: usize, skipped: usize) -> Table {
    let mut lines = Table::default();
    let backbone = printable(&opened.provenance.backbone);
    lines.row("backbone", format!("{backbone}, {}", count(table.columns(), "feature")));
    if let Some(weights) = &opened.weights {
        lines.row("weights", weights);
    }
    let size = opened.backbone.input_size();
    lines.row("input", format!("{} x {} pixels, {}", size.width, size.height, opened.preprocess));
    let labels = table.labels().map(|labels| {
        let mut distinct: Vec<&String> = labels.iter().collect();
        distinct.sort_unstable();
        distinct.dedup();
        count(distinct.len(), "class")
    });
    lines.row("labels", labels.unwrap_or_else(|| "none".to_owned()));
    if cached > 0 {
        lines.row("from the cache", count(cached, "image"));
    }
    if skipped > 0 {
        lines.row("left out", count(skipped, "image"));
    }
    lines
}

type Encode = fn(&FeatureTable) -> ciphertune_session::Result<Vec<u8>>;

/// What writes a table in the format of the file's extension.
fn encoder(path: &Path) -> Result<Encode> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("safetensors") => Ok(|table| Ok(table.to_safetensors()?)),
        Some("npz") => Ok(|table| Ok(table.to_npz()?)),
        Some("csv") => Ok(csv_text),
        _ => Err(CliError::input("a feature table is written as .safetensors, .npz or .csv: name it so").in_file(path)),
    }
}

/// The label first, if there is one; features in the fewest digits that give back the same number.
fn csv_text(table: &FeatureTable) -> ciphertune_session::Result<Vec<u8>> {
    let wrong = |error: csv::Error| Error::failure(format!("the table cannot be written: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (row, features) in table.features().row_iter().enumerate() {
        let label = table.labels().map(|labels| labels[row].clone());
        let features = features.iter().map(|value| (*value as f32).to_string());
        writer.write_record(label.into_iter().chain(features.collect::<Vec<_>>())).map_err(wrong)?;
    }
    writer.into_inner().map_err(|error| Error::failure(error.to_string()))
}
