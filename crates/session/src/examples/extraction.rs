//! Images to features: runs the backbone over a set of images, with progress, cache and what was left out.

use std::path::Path;

use ciphertune_backbone::{
    Backbone, BackboneError, Collected, ExtractOptions, InputSize, Matrix, Picture, Sample, Source, Summary, collect,
};
use ciphertune_formats::splits::Split;
use ciphertune_head::layout::Shape;
use ciphertune_head::{Classes, DMatrix, FeatureTable, HeadError};

use super::backbone::Opened;
use super::{Examples, ImageSet, Pictures};
use crate::error::{Error, InFile, Result};
use crate::observer::{Observer, Running, Step};
use crate::text::{count, printable};

/// Skipped images that are named one by one.
const NAMED: usize = 10;

/// A set of images.
#[derive(Clone, Copy)]
pub struct Images<'a> {
    /// The folder, list or container.
    pub path: &'a Path,
    /// The labels' file of an idx set.
    pub labels: Option<&'a Path>,
    /// Only so many readable images from the start.
    pub rows: Option<usize>,
    /// The part of an archive that holds several.
    pub split: Option<Split>,
    /// Whether every image needs a label.
    pub labelled: bool,
    /// Whether unreadable images are left out.
    pub skip_bad: bool,
}

/// What an extraction took.
#[derive(Clone, Debug)]
pub struct Extraction {
    /// Rows, those from the cache, skipped images, time.
    pub summary: Summary,
}

impl Images<'_> {
    /// The features of the images.
    pub fn extract(&self, with: &Opened, observer: &dyn Observer) -> Result<Examples> {
        let collected = match self.collect(&*with.backbone, with, with.cache.as_deref(), observer) {
            // What was kept is a convenience: the work goes on without it.
            Err(BackboneError::Cache { path, reason }) => {
                observer.warn(&format!(
                    "{}: {reason}: features are neither taken from this cache nor kept in it",
                    path.display()
                ));
                self.collect(&*with.backbone, with, None, observer)
            }
            other => other,
        };
        let Collected { features, names, places, labels, summary } = collected.map_err(|error| self.named(error))?;
        self.check_rows(names.len())?;
        tell(with, &summary, observer);
        let table = table_of(features, labels, with).in_file(self.path)?;
        let stored = Pictures::Stored { set: self.set(), places };
        Ok(Examples {
            path: self.path.to_owned(),
            table,
            pictures: stored,
            names: Some(names),
            extraction: Some(Extraction { summary }),
        })
    }

    /// The shape of the table that [`Images::extract`] would give: images are read and decoded, but no network runs.
    pub fn shape(&self, with: &Opened, observer: &dyn Observer) -> Result<Shape> {
        let collected = self.collect(&Blind(with.backbone.input_size()), with, None, observer);
        let Collected { names, labels, summary, .. } = collected.map_err(|error| self.named(error))?;
        self.check_rows(names.len())?;
        tell(with, &summary, observer);
        let classes = Classes::from_labels(labels.as_deref().unwrap_or_default()).in_file(self.path)?;
        Ok(Shape { rows: names.len(), features: with.backbone.features(), classes: classes.len() })
    }

    fn collect(
        &self,
        backbone: &dyn Backbone,
        with: &Opened,
        cache: Option<&Path>,
        observer: &dyn Observer,
    ) -> std::result::Result<Collected, BackboneError> {
        let (rows, skip_bad, cache) = (self.rows, self.skip_bad, cache.map(Path::to_owned));
        let options = ExtractOptions { rows, skip_bad, cache, ..ExtractOptions::default() };
        let source = self.open()?;
        let images = source.images().map(|images| images.min(rows.unwrap_or(images)) as u64);
        watched(backbone, with, source, &options, images, observer)
    }

    /// The set; if only some of it is asked for, with its classes in turn.
    fn set(&self) -> ImageSet {
        let labels = self.labels.map(Path::to_owned);
        ImageSet { images: self.path.to_owned(), labels, in_turn: self.rows.is_some(), split: self.split }
    }

    /// Opens the set and, where labels are needed, looks for that of the first image: before any work.
    fn open(&self) -> std::result::Result<Source, BackboneError> {
        let source = self.set().open()?;
        if !self.labelled {
            return Ok(source);
        }
        let first = self.set().open()?.find_map(|sample| sample.ok());
        match first {
            Some(sample) if sample.label.is_none() => Err(BackboneError::BadSource {
                path: self.path.to_owned(),
                reason: "the images have no labels: give a folder with a sub-folder a class, a .csv of path and label, or the labels' file of idx images with --labels".to_owned(),
            }),
            _ => Ok(source),
        }
    }

    fn check_rows(&self, found: usize) -> Result<()> {
        match self.rows {
            Some(rows) if found < rows => Err(Error::input(format!(
                "the set has {}, not {rows}: choose a smaller --rows",
                count(found, "readable image")
            ))
            .in_file(self.path)),
            _ => Ok(()),
        }
    }

    /// The error with the set's name, if it names no file itself.
    fn named(&self, error: BackboneError) -> Error {
        match error {
            BackboneError::BadImage { name, reason } => Error::input(format!(
                "{name}: {reason}; replace or remove the image, or leave unreadable ones out with --skip-bad"
            )),
            BackboneError::Inference(_) | BackboneError::BadPreprocess(_) | BackboneError::Stopped(_) => {
                Error::from(error).in_file(self.path)
            }
            other => other.into(),
        }
    }
}

/// The features of pictures in memory, which are not kept.
pub fn of_pictures(
    name: &Path,
    pictures: Vec<Picture>,
    labels: Option<&[String]>,
    with: &Opened,
    observer: &dyn Observer,
) -> Result<(FeatureTable, Summary)> {
    let shown = name.display().to_string();
    let sample = move |(row, picture)| Ok(Sample::pixels(format!("{shown}, image {}", row + 1), None, picture));
    let count = pictures.len();
    let source = Source::from_samples(Some(count), pictures.into_iter().enumerate().map(sample));
    let options = ExtractOptions::default();
    let collected = watched(&*with.backbone, with, source, &options, Some(count as u64), observer)?;
    let table = table_of(collected.features, labels.map(<[String]>::to_vec), with).in_file(name)?;
    Ok((table, collected.summary))
}

/// Collects the features of images; the observer sees how many are done, and can end it.
fn watched(
    backbone: &dyn Backbone,
    with: &Opened,
    source: Source,
    options: &ExtractOptions,
    images: Option<u64>,
    observer: &dyn Observer,
) -> std::result::Result<Collected, BackboneError> {
    let running = Running::new(observer, Step::Features, images);
    collect(backbone, &with.preprocess, source, options, &mut |now| {
        running.advance(now.done as u64);
        if observer.is_stopped() { Err(BackboneError::Cancelled) } else { Ok(()) }
    })
}

/// A table of a backbone's features.
fn table_of(
    features: Matrix,
    labels: Option<Vec<String>>,
    with: &Opened,
) -> std::result::Result<FeatureTable, HeadError> {
    let (rows, columns) = (features.rows(), features.columns());
    let values = features.into_values().into_iter().map(f64::from);
    let table = FeatureTable::new(DMatrix::from_row_iterator(rows, columns, values), labels)?;
    Ok(table.with_provenance(with.provenance.clone()))
}

fn tell(with: &Opened, summary: &Summary, observer: &dyn Observer) {
    with.warnings.take().iter().for_each(|warning| observer.warn(warning));
    with.remarks.take().iter().for_each(|remark| observer.note(remark));
    for skipped in summary.skipped.iter().take(NAMED) {
        observer.warn(&format!("left out {}: {}", printable(&skipped.name), printable(&skipped.reason)));
    }
    if summary.skipped.len() > NAMED {
        observer.warn(&format!("left out {} more", count(summary.skipped.len() - NAMED, "image")));
    }
    for name in summary.first_of_several.iter().take(NAMED) {
        observer.warn(&format!("{}: holds several frames or pages, of which the first is used", printable(name)));
    }
    if summary.first_of_several.len() > NAMED {
        let more = count(summary.first_of_several.len() - NAMED, "image");
        observer.warn(&format!("the first of several frames or pages is used of {more} more"));
    }
}

/// A backbone of that input size that sees nothing: for what depends on the images alone.
struct Blind(InputSize);

impl Backbone for Blind {
    fn features(&self) -> usize {
        1
    }

    fn input_size(&self) -> InputSize {
        self.0
    }

    fn digest(&self) -> [u8; 32] {
        [0; 32]
    }

    fn extract(&self, batch: &[f32]) -> std::result::Result<Matrix, BackboneError> {
        let rows = batch.len() / self.0.values();
        Ok(Matrix::new(rows, 1, vec![0.0; rows]).expect("a value a row"))
    }
}
