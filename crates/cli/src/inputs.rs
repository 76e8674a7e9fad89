//! What commands read examples from: a feature table, or pictures and the backbone that turned them into one.

use std::path::{Path, PathBuf};

use ciphertune_backbone::{Picture, Source};
use ciphertune_head::{FeatureTable, LabelColumn};

use crate::errors::{InFile, Result};
use crate::files;

/// Rows of features, most often with labels, and where they came from.
pub struct Examples {
    /// What messages call them: the file or folder that was named.
    pub path: PathBuf,
    /// The rows.
    pub table: FeatureTable,
    pictures: Pictures,
}

/// The pictures behind the rows.
#[allow(dead_code)]
enum Pictures {
    /// The rows came as features.
    None,
    /// In memory, one a row.
    Held(Vec<Picture>),
    /// In a set of images: for every row, its place there, counted from 0.
    Stored { images: PathBuf, labels: Option<PathBuf>, places: Vec<usize> },
}

#[allow(dead_code)]
impl Examples {
    /// Reads a feature table in the format of its extension.
    pub fn read_table(path: &Path, labels: LabelColumn) -> Result<Self> {
        Ok(Self::of_table(path, files::read_table(path, labels)?))
    }

    /// Rows of a table that came as features.
    pub fn of_table(path: impl Into<PathBuf>, table: FeatureTable) -> Self {
        Self { path: path.into(), table, pictures: Pictures::None }
    }

    /// Rows of a table, and the picture of each.
    pub fn of_pictures(path: impl Into<PathBuf>, table: FeatureTable, pictures: Vec<Picture>) -> Self {
        Self { path: path.into(), table, pictures: Pictures::Held(pictures) }
    }

    /// Whether the rows have pictures.
    pub fn has_pictures(&self) -> bool {
        !matches!(self.pictures, Pictures::None)
    }

    /// The pictures behind some rows, counted from 0, in the order of `rows`; none if the rows came as features.
    ///
    /// Pictures in files are read again, so nothing of them is kept in memory; an error names the file that changed.
    pub fn pictures(&self, rows: &[usize]) -> Result<Vec<Picture>> {
        match &self.pictures {
            Pictures::None => Ok(Vec::new()),
            Pictures::Held(pictures) => Ok(rows.iter().map(|&row| pictures[row].clone()).collect()),
            Pictures::Stored { images, labels, places } => {
                let wanted: Vec<usize> = rows.iter().map(|&row| places[row]).collect();
                read_again(Source::open(images, labels.as_deref())?, &wanted)
            }
        }
    }

    /// Some rows, counted from 0, in this order.
    pub fn select(&self, rows: &[usize]) -> Self {
        let pictures = match &self.pictures {
            Pictures::None => Pictures::None,
            Pictures::Held(pictures) => Pictures::Held(rows.iter().map(|&row| pictures[row].clone()).collect()),
            Pictures::Stored { images, labels, places } => Pictures::Stored {
                images: images.clone(),
                labels: labels.clone(),
                places: rows.iter().map(|&row| places[row]).collect(),
            },
        };
        Self { path: self.path.clone(), table: self.table.select(rows), pictures }
    }

    /// Holds out a share of every class's rows for testing: (rows to train on, rows to test on).
    pub fn split_holdout(&self, share: f64, seed: u64) -> Result<(Self, Self)> {
        let (train, test) = self.table.holdout_rows(share, seed).in_file(&self.path)?;
        Ok((self.select(&train), self.select(&test)))
    }
}

/// The pictures at these places of a set, in the order of `places`.
#[allow(dead_code)]
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
