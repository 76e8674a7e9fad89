//! The flags that name examples to train on, and those to test on.

use std::path::PathBuf;

use ciphertune_head::LabelColumn;
use ciphertune_head::table::Split;
use ciphertune_session::Observer;
use ciphertune_session::examples::{Examples, Place, Reader, has_part, shape_of};
use clap::{ArgGroup, Args};

use super::columns::is_csv;
use super::{BackboneFlags, ColumnFlags};
use crate::errors::{CliError, Result};
use ciphertune_session::owner;

/// The training examples: a table, or images.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("training").required(true).args(["train", "images"]))]
pub struct TrainFlags {
    /// Training table: .csv (label first), .npz or .safetensors (features, labels)
    #[arg(long, value_name = "FILE")]
    train: Option<PathBuf>,

    /// Training images, instead of a table: a folder with a sub-folder a class, a .csv of path and label, idx files
    /// (.gz), CIFAR-10's binary batches, an .npz of images and labels
    #[arg(long, value_name = "DIR|FILE")]
    images: Option<PathBuf>,

    /// Labels that belong to idx images
    #[arg(long, value_name = "FILE", requires = "images")]
    labels: Option<PathBuf>,

    /// Only the first N rows of the table, or N images: of a folder with a sub-folder a class, every class in turn, else
    /// the first
    #[arg(long, value_name = "N")]
    rows: Option<usize>,

    #[command(flatten)]
    columns: ColumnFlags,
}

impl TrainFlags {
    /// Where the training examples are.
    pub fn place(&self) -> Place<'_> {
        Place {
            table: self.train.as_deref(),
            images: self.images.as_deref(),
            labels: self.labels.as_deref(),
            rows: self.rows,
            split: None,
            label: self.columns.label.as_deref(),
            drop: &self.columns.drop,
            known: None,
        }
    }
}

/// The examples to train on and to test on.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("testing").args(["test", "test_images", "holdout"]))]
pub struct PairFlags {
    #[command(flatten)]
    train: TrainFlags,

    /// Test table
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,

    /// Test images, instead of a table
    #[arg(long, value_name = "DIR|FILE")]
    test_images: Option<PathBuf>,

    /// Labels that belong to idx test images
    #[arg(long, value_name = "FILE", requires = "test_images")]
    test_labels: Option<PathBuf>,

    /// Share of every class's rows to hold out of the training examples for testing, such as 0.2; an .npz with a test
    /// part of its own (test_images, x_test) needs none
    #[arg(long, value_name = "SHARE")]
    holdout: Option<f64>,

    /// Number that --holdout draws the rows from: the same seed gives the same rows
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with_all = ["test", "test_images"])]
    seed: u64,
}

impl PairFlags {
    /// Where the examples to test on are; an archive to train on may hold some itself.
    fn test_place<'a>(&'a self, train: &Place<'a>) -> Result<Place<'a>> {
        let (table, images) = (self.test.as_deref(), self.test_images.as_deref());
        if self.holdout.is_some() || table.or(images).is_some() {
            // Only a .csv has columns to choose from.
            let (label, drop) = if table.is_some_and(is_csv) { (train.label, train.drop) } else { Default::default() };
            return Ok(Place { table, images, labels: self.test_labels.as_deref(), label, drop, ..Place::default() });
        }
        if train.table.or(train.images).is_some_and(|path| has_part(path, Split::Test)) {
            return Ok(Place {
                table: train.table,
                images: train.images,
                split: Some(Split::Test),
                ..Place::default()
            });
        }
        Err(CliError::input(
            "there is nothing to test on: give --test FILE or --test-images DIR, or hold a share of the rows out with --holdout 0.2",
        ))
    }

    /// What is said of the columns of a .csv.
    pub fn columns(&self) -> &ColumnFlags {
        &self.train.columns
    }

    /// The rows to train and to test on, which fit each other.
    pub fn read(&self, backbone: &BackboneFlags, observer: &dyn Observer) -> Result<(Examples, Examples)> {
        let train_place = self.train.place();
        let test_place = self.test_place(&train_place)?;
        let reader = Reader::new(backbone.choice(), None, &[train_place, test_place], observer)?;
        let train = reader.read(&train_place, LabelColumn::Present)?;
        let (train, test) = match self.holdout {
            None => {
                let test_place = Place { known: train.table.names(), ..test_place };
                let test = reader.read(&test_place, LabelColumn::Present)?;
                (train, test)
            }
            Some(share) => train.split_holdout(share, self.seed)?,
        };
        shape_of(&train)?;
        owner::check_test_table(&train, &test)?;
        Ok((train, test))
    }
}
