//! Examples: a feature table, or pictures and the backbone that turned them into one.

mod backbone;
mod extraction;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use ciphertune_backbone::{BackboneError, Picture, Source};
use ciphertune_formats::npz;
use ciphertune_formats::splits::{self, Split};
use ciphertune_head::layout::Shape;
use ciphertune_head::table::{Columns, Part};
use ciphertune_head::{Classes, ColumnNames, FeatureTable, LabelColumn, Provenance};

use crate::error::{Error, InFile, Result};
use crate::files;
use crate::observer::Observer;
pub use backbone::{BackboneChoice, Colour, Opened};
pub use extraction::Extraction;
use extraction::Images;

/// Where examples are.
#[derive(Clone, Copy, Default)]
pub struct Place<'a> {
    /// A feature table.
    pub table: Option<&'a Path>,
    /// Images, instead of a table.
    pub images: Option<&'a Path>,
    /// The file of labels that belongs to idx images.
    pub labels: Option<&'a Path>,
    /// Only the first so many rows.
    pub rows: Option<usize>,
    /// The part of an archive that holds several; without it, the part to train on.
    pub split: Option<Split>,
    /// The label's column of a CSV, by name or number; without it, the one that is `known`, or the first.
    pub label: Option<&'a str>,
    /// Columns of a CSV that are left out.
    pub drop: &'a [String],
    /// The names of the columns that were trained on, if known: a label left in a CSV is found by its name.
    pub known: Option<&'a ColumnNames>,
}

/// Whether a file is an archive that holds such a part.
pub fn has_part(path: &Path, split: Split) -> bool {
    let is_npz = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz"));
    let names = || npz::names(files::open(path).ok()?).ok();
    is_npz && names().is_some_and(|names| splits::names(&names, split).is_some())
}

impl Place<'_> {
    /// What of the table's file is read.
    fn part(&self) -> Part {
        let (label, drop) = (self.label.map(str::to_owned), self.drop.to_vec());
        let columns = Columns { label, drop, known: self.known.cloned() };
        Part { split: self.split, columns }
    }

    /// The flags that give examples like these to train on to another command.
    pub fn training_flags(&self) -> &'static str {
        if self.images.is_some() { "--images DIR --backbone NAME" } else { "--train FILE" }
    }
}

/// Reads examples; the backbone is opened once, and only if there are images.
pub struct Reader<'a> {
    choice: BackboneChoice,
    expected: Option<&'a Provenance>,
    opened: OnceCell<Opened>,
    observer: &'a dyn Observer,
}

impl<'a> Reader<'a> {
    /// A reader for these places, with the features that a head expects, if one is used again.
    pub fn new(
        choice: BackboneChoice,
        expected: Option<&'a Provenance>,
        places: &[Place],
        observer: &'a dyn Observer,
    ) -> Result<Self> {
        if places.iter().all(|place| place.images.is_none()) {
            choice.refuse()?;
        }
        if places.iter().any(|place| place.images.is_some() && (place.label.is_some() || !place.drop.is_empty())) {
            return Err(Error::input(
                "--label and --drop are about the columns of a table, and images were given: leave them out",
            ));
        }
        if places.iter().any(|place| place.labels.is_some() && place.images.is_none()) {
            let message = "a file of labels belongs to images, and a feature table has its own: leave it out";
            return Err(Error::input(message));
        }
        Ok(Self { choice, expected, opened: OnceCell::new(), observer })
    }

    /// The rows of a place.
    pub fn read(&self, place: &Place, labels: LabelColumn) -> Result<Examples> {
        if let Some(images) = self.images(place, labels)? {
            return images.extract(self.opened()?, self.observer);
        }
        let path = place.table.ok_or_else(missing)?;
        let examples = Examples::of_table(path, files::read_table(path, labels, &place.part())?);
        let all = examples.table.rows();
        match place.rows {
            None => Ok(examples),
            Some(rows) if (1..=all).contains(&rows) => Ok(examples.select(&(0..rows).collect::<Vec<_>>())),
            Some(rows) => {
                let message = format!("the table has {all} rows, not {rows}: choose a smaller --rows");
                Err(Error::input(message).in_file(path))
            }
        }
    }

    /// The shape of the training table that a place gives. Of images no features are made.
    pub fn shape(&self, place: &Place) -> Result<Shape> {
        match self.images(place, LabelColumn::Present)? {
            Some(images) => images.shape(self.opened()?, self.observer),
            None => shape_of(&self.read(place, LabelColumn::Present)?),
        }
    }

    /// The backbone.
    pub fn opened(&self) -> Result<&Opened> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = self.choice.open(self.expected)?;
        Ok(self.opened.get_or_init(|| opened))
    }

    fn images<'p>(&self, place: &Place<'p>, labels: LabelColumn) -> Result<Option<Images<'p>>> {
        let Some(path) = place.images else { return Ok(None) };
        if place.rows == Some(0) {
            return Err(Error::input("--rows 0 leaves no image: choose a larger number"));
        }
        let (labelled, skip_bad) = (labels == LabelColumn::Present, self.choice.skip_bad);
        Ok(Some(Images { path, labels: place.labels, rows: place.rows, split: place.split, labelled, skip_bad }))
    }
}

fn missing() -> Error {
    Error::input("the examples are missing: give a feature table, or images with a backbone")
}

/// The public shape of training examples.
pub fn shape_of(train: &Examples) -> Result<Shape> {
    train.table.refuse_row_numbers().in_file(&train.path)?;
    let classes = train.table.require_labels().and_then(Classes::from_labels).in_file(&train.path)?;
    Ok(Shape { rows: train.table.rows(), features: train.table.columns(), classes: classes.len() })
}

/// Rows of features, most often with labels, and where they came from.
pub struct Examples {
    /// What messages call them: the file or folder that was named.
    pub path: PathBuf,
    /// The rows.
    pub table: FeatureTable,
    /// What each row is called, where rows are images.
    pub names: Option<Vec<String>>,
    /// What turning images into these rows took; of images only.
    pub extraction: Option<Extraction>,
    pictures: Pictures,
}

/// The pictures behind the rows.
enum Pictures {
    /// The rows came as features.
    None,
    /// In memory, one a row.
    Held(Vec<Picture>),
    /// In a set of images: for every row, its place there, counted from 0.
    Stored { set: ImageSet, places: Vec<usize> },
}

/// A set of images that can be opened again and gives the same images in the same order.
#[derive(Clone)]
struct ImageSet {
    images: PathBuf,
    labels: Option<PathBuf>,
    /// Whether the classes of a folder take turns, so that the first rows hold as many of each as can be.
    in_turn: bool,
    /// The part of an archive that holds several.
    split: Option<Split>,
}

impl ImageSet {
    fn open(&self) -> std::result::Result<Source, BackboneError> {
        let source = Source::open_part(&self.images, self.labels.as_deref(), self.split)?;
        Ok(if self.in_turn { source.classes_in_turn() } else { source })
    }
}

impl Examples {
    /// Rows of a table that came as features.
    pub fn of_table(path: impl Into<PathBuf>, table: FeatureTable) -> Self {
        Self { path: path.into(), table, names: None, extraction: None, pictures: Pictures::None }
    }

    /// Rows of a table, and the picture of each.
    pub fn of_pictures(path: impl Into<PathBuf>, table: FeatureTable, pictures: Vec<Picture>) -> Self {
        Self { pictures: Pictures::Held(pictures), ..Self::of_table(path, table) }
    }

    /// The features that a backbone makes of the pictures that these examples hold in memory, with the same labels.
    pub fn through(&self, opened: &Opened, observer: &dyn Observer) -> Result<Self> {
        let Pictures::Held(pictures) = &self.pictures else { return Err(missing()) };
        let (table, summary) =
            extraction::of_pictures(&self.path, pictures.clone(), self.table.labels(), opened, observer)?;
        let (pictures, extraction) = (Pictures::Held(pictures.clone()), Some(Extraction { summary }));
        Ok(Self { extraction, pictures, ..Self::of_table(&self.path, table) })
    }

    /// The pictures behind some rows, counted from 0, in the order of `rows`; none if the rows came as features.
    ///
    /// Pictures in files are read again, so nothing of them is kept in memory; an error names the file that changed.
    pub fn pictures(&self, rows: &[usize]) -> Result<Vec<Picture>> {
        match &self.pictures {
            Pictures::None => Ok(Vec::new()),
            Pictures::Held(pictures) => Ok(rows.iter().map(|&row| pictures[row].clone()).collect()),
            Pictures::Stored { set, places } => {
                let wanted: Vec<usize> = rows.iter().map(|&row| places[row]).collect();
                read_again(set.open()?, &wanted)
            }
        }
    }

    /// Some rows, counted from 0, in this order.
    pub fn select(&self, rows: &[usize]) -> Self {
        let pictures = match &self.pictures {
            Pictures::None => Pictures::None,
            Pictures::Held(pictures) => Pictures::Held(rows.iter().map(|&row| pictures[row].clone()).collect()),
            Pictures::Stored { set, places } => {
                Pictures::Stored { set: set.clone(), places: rows.iter().map(|&row| places[row]).collect() }
            }
        };
        let names = self.names.as_ref().map(|names| rows.iter().map(|&row| names[row].clone()).collect());
        let (table, extraction) = (self.table.select(rows), self.extraction.clone());
        Self { path: self.path.clone(), table, names, extraction, pictures }
    }

    /// Holds out a share of every class's rows for testing: (rows to train on, rows to test on).
    pub fn split_holdout(&self, share: f64, seed: u64) -> Result<(Self, Self)> {
        self.table.refuse_row_numbers().in_file(&self.path)?;
        let (train, test) = self.table.holdout_rows(share, seed).in_file(&self.path)?;
        Ok((self.select(&train), self.select(&test)))
    }
}

/// Wall-clock seconds that turning images into features took; rows held out of a set were extracted with the others.
pub fn extraction_seconds(train: &Examples, test: &Examples) -> f64 {
    let took = |examples: &Examples| {
        examples.extraction.as_ref().map_or(0.0, |extraction| extraction.summary.elapsed.as_secs_f64())
    };
    if train.path == test.path { took(train) } else { took(train) + took(test) }
}

/// The pictures at these places of a set, in the order of `places`.
fn read_again(mut source: Source, places: &[usize]) -> Result<Vec<Picture>> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|&index| places[index]);
    let mut found = vec![None; places.len()];
    // The place that the source gives next, and the picture that it gave last.
    let (mut next, mut last): (usize, Option<Picture>) = (0, None);
    for index in order {
        if places[index] >= next {
            last = source.nth(places[index] - next).transpose()?.map(|sample| sample.decode()).transpose()?;
            next = places[index] + 1;
        }
        found[index] = last.clone();
    }
    // A set that became shorter has no picture where one is wanted.
    Ok(found.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciphertune_backbone::Sample;

    #[test]
    fn pictures_come_in_the_order_asked_for() {
        let picture = |grey: u8| Picture::new(1, 1, 1, vec![grey]).expect("a pixel");
        let sample = move |grey| Ok(Sample::pixels("p".into(), None, picture(grey)));
        let source = Source::from_samples(None, (0..9).map(sample));
        let found = read_again(source, &[7, 2, 2, 8]).unwrap();
        assert_eq!(found.iter().map(|picture| picture.pixels()[0]).collect::<Vec<_>>(), [7, 2, 2, 8]);
    }
}
