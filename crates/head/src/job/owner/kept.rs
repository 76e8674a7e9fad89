//! The training rows that an owner's record keeps, to check a release with ([`super::check`]).
//!
//! They are kept as the table had them, so that what is checked is the head for raw features, with the scaler folded
//! in. The record is as private as the table.

use ciphertune_ckks::container::{Container, ContainerWriter};
use nalgebra::DMatrix;

use crate::shuffle::SplitMix;
use crate::{Classes, FeatureTable, HeadError, Result};

/// The most rows that are kept: 1.5 MB at 768 features. 43 right of 256 rows of ten equal classes are more than the
/// most frequent class explains.
const MOST_ROWS: usize = 256;
/// The kept features' tensor, rows x features.
const FEATURES: &str = "kept-features";
/// The kept rows' classes: their places among the record's names.
const CLASSES: &str = "kept-classes";

/// The rows of a table that are kept, with the classes of its labels.
pub fn of(table: &FeatureTable, labels: &[usize], classes: usize) -> Result<FeatureTable> {
    let rows = choose(labels, classes);
    let names = table.require_labels()?;
    let names = rows.iter().map(|&row| names[row].clone()).collect();
    FeatureTable::new(table.features().select_rows(&rows), Some(names))
}

/// Chooses the rows to keep, in ascending order: of every class as many as it has, but no more than a limit m. Among
/// the m with at most [`MOST_ROWS`] rows in all, that for which a perfect head is told best from one that always says
/// one class: with the least (share of the largest class)^rows. Few rows of a rare class thus still count, where a
/// random draw would have next to none.
///
/// Always the same rows for the same labels, so that encrypting a table twice keeps no more of it than once.
fn choose(labels: &[usize], classes: usize) -> Vec<usize> {
    let mut by_class = vec![Vec::new(); classes];
    for (row, &class) in labels.iter().enumerate() {
        by_class[class].push(row);
    }
    let largest = by_class.iter().map(Vec::len).max().unwrap_or(0);
    let rows = |limit: usize| by_class.iter().map(|rows| rows.len().min(limit)).sum::<usize>();
    let evidence = |limit: usize| rows(limit) as f64 * (rows(limit) as f64 / limit.min(largest) as f64).ln();
    let limits = (1..=largest).take_while(|&limit| rows(limit) <= MOST_ROWS);
    let limit = limits.max_by(|&a, &b| evidence(a).total_cmp(&evidence(b))).unwrap_or(1);
    let mut numbers = SplitMix::new(0);
    let mut chosen: Vec<usize> = by_class.into_iter().flat_map(|rows| numbers.choose(rows, limit)).collect();
    chosen.sort_unstable();
    chosen
}

/// Adds kept rows to a record.
pub fn write<'a>(rows: &FeatureTable, classes: &Classes, writer: ContainerWriter<'a>) -> Result<ContainerWriter<'a>> {
    let x = rows.features();
    let places = classes.indices(rows.require_labels()?)?;
    let places: Vec<f64> = places.into_iter().map(|place| place as f64).collect();
    let by_rows: Vec<f64> = x.transpose().iter().copied().collect();
    Ok(writer.f64(FEATURES, &[x.nrows(), x.ncols()], by_rows).f64(CLASSES, &[places.len()], places))
}

/// Reads kept rows of so many features; `None` if a record holds none.
pub fn read(container: &Container, classes: &Classes, features: usize) -> Result<Option<FeatureTable>> {
    if !container.header().shapes().any(|(name, ..)| name == FEATURES) {
        return Ok(None);
    }
    let places = container.tensor(CLASSES)?;
    let rows = places.len();
    let name = |place: f64| {
        let fits = place >= 0.0 && place.fract() == 0.0 && place < classes.len() as f64;
        let error = || HeadError::InvalidArtefact(format!("a kept row is of class {place}"));
        if fits { Ok(classes.names()[place as usize].clone()) } else { Err(error()) }
    };
    let labels = places.of_shape(&[rows])?.f64s()?.map(name).collect::<Result<Vec<String>>>()?;
    let x = container.tensor(FEATURES)?.of_shape(&[rows, features])?;
    let x = DMatrix::from_row_iterator(rows, features, x.f64s()?);
    FeatureTable::new(x, Some(labels)).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(sizes: &[usize]) -> Vec<usize> {
        // Sorted by class, as folders are.
        let labels: Vec<usize> = sizes.iter().enumerate().flat_map(|(class, &n)| vec![class; n]).collect();
        let rows = choose(&labels, sizes.len());
        assert!(rows.is_sorted_by(|a, b| a < b) && rows.len() <= MOST_ROWS, "{rows:?}");
        assert_eq!(rows, choose(&labels, sizes.len()));
        (0..sizes.len()).map(|class| rows.iter().filter(|&&row| labels[row] == class).count()).collect()
    }

    #[test]
    fn classes_give_equally_many_rows_and_rare_ones_all_they_have() {
        assert_eq!(counts(&[2000, 2100]), [128, 128]);
        assert_eq!(counts(&[410; 10]), [25; 10]);
        // 5 of 10 say more than 5 of 256.
        assert_eq!(counts(&[5, 4000]), [5, 5]);
        // A class of one row does not hold the other nine back.
        let found = counts(&[1, 400, 400, 400, 400, 400, 400, 400, 400, 400]);
        assert_eq!(found, [1, 28, 28, 28, 28, 28, 28, 28, 28, 28]);
        assert_eq!(counts(&[3, 2]), [2, 2]);
        assert_eq!(counts(&[90; 64]), [4; 64]);
    }

    #[test]
    fn rows_of_a_class_are_not_its_first_ones() {
        let rows = choose(&[0; 1000].into_iter().chain([1; 1000]).collect::<Vec<_>>(), 2);
        assert!(rows[127] > 900 && rows[255] > 1900, "{rows:?}");
    }
}
