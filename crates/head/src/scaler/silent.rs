//! Features that training cannot hear: what an owner should know before a table is encrypted.

use super::moments::Moments;
use super::{Map, Scaler};
use nalgebra::DMatrix;

/// The features of a table that tell nothing about its rows, by their places from 0. Labels are not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilentFeatures {
    /// The same in every row, but for rounding.
    pub constant: Vec<usize>,
    /// Not constant here, but multiplied by zero by a scaler that was fitted to other rows, where they were.
    pub ignored: Vec<usize>,
    /// How many features the table has.
    pub features: usize,
}

impl SilentFeatures {
    /// Those of rows x features; with a scaler that is given rather than fitted to them, those that it ignores as well.
    ///
    /// Costs one pass over the table. A scaler for another number of features is no error here.
    pub fn of(features: &DMatrix<f64>, given: Option<&Scaler>) -> Self {
        let is_constant: Vec<bool> =
            features.column_iter().map(|column| column.is_empty() || Moments::of(&column).is_silent()).collect();
        let is_ignored = |&k: &usize| !is_constant[k] && given.is_some_and(|scaler| scaler.ignores(k));
        SilentFeatures {
            constant: (0..is_constant.len()).filter(|&k| is_constant[k]).collect(),
            ignored: (0..is_constant.len()).filter(is_ignored).collect(),
            features: features.ncols(),
        }
    }

    /// Whether every feature tells something.
    pub fn is_empty(&self) -> bool {
        self.constant.is_empty() && self.ignored.is_empty()
    }

    /// Whether no feature tells anything: a head trained on them says the same of every row.
    pub fn is_everything(&self) -> bool {
        self.constant.len() + self.ignored.len() == self.features
    }
}

impl Scaler {
    /// Whether a feature, by its place from 0, is multiplied by zero.
    fn ignores(&self, feature: usize) -> bool {
        match &self.map {
            Map::None | Map::Center => false,
            Map::Standardize(factors) => factors.get(feature) == Some(&0.0),
            Map::Whiten { root, .. } => feature < root.ncols() && root.column(feature).amax() == 0.0,
        }
    }
}
