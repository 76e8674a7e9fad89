//! The trained head: weights for raw features, class names, and how to give it away.
//!
//! A head is what an owner holds after decryption; it needs neither scaler nor keys. Its file is a container of kind
//! `head` with the tensors `weight` (classes x features) and `bias` (classes), so that other programs load it as they
//! load any linear layer. Heads that leave the owner's hands are to be released with noise first, see SECURITY.md.

mod artefact;
mod json;
mod onnx;
#[cfg(test)]
mod tests;

use crate::classes::Classes;
use crate::column_names::ColumnNames;
use crate::error::{HeadError, Result};
use crate::linalg::multiply;
use crate::metrics::{Evaluation, predicted_classes, probabilities};
use crate::provenance::Provenance;
use crate::recipe::Recipe;
use crate::scaler::Scaler;
use crate::table::FeatureTable;
use nalgebra::{DMatrix, DVector};
use serde::Serialize;

pub use artefact::KIND;

/// A linear classifier of raw features: logits = x W^T + b.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    weight: DMatrix<f64>,
    bias: DVector<f64>,
    classes: Classes,
    recipe: Option<Recipe>,
    published: Option<f64>,
    names: Option<ColumnNames>,
    provenance: Option<Provenance>,
}

/// What a head says about rows of features.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// The predicted class's name.
    pub label: String,
    /// The probability of every class, in the order of the classes; they add up to one. See
    /// [`crate::metrics::probabilities`].
    pub probabilities: Vec<f64>,
}

impl Head {
    /// A head from weights (classes x features) and biases for raw features.
    ///
    /// # Errors
    ///
    /// [`HeadError::InvalidArtefact`] if the shapes do not fit each other, or a number is not finite.
    pub fn new(weight: DMatrix<f64>, bias: DVector<f64>, classes: Classes) -> Result<Self> {
        let invalid = |text: &str| Err(HeadError::InvalidArtefact(text.to_owned()));
        if weight.nrows() != classes.len() || bias.len() != classes.len() {
            return invalid("weights and biases of another number of classes than there are names");
        }
        if weight.ncols() == 0 {
            return invalid("a head of no features");
        }
        if !weight.iter().chain(&bias).all(|value| value.is_finite()) {
            return invalid("a weight that is not a finite number");
        }
        Ok(Head { weight, bias, classes, recipe: None, published: None, names: None, provenance: None })
    }

    /// A head from weights for scaled features, classes x (features + 1) with the bias first: folds the scaler in.
    ///
    /// # Errors
    ///
    /// [`HeadError::FeatureCount`], and as [`Head::new`].
    pub fn from_scaled(scaler: &Scaler, weights: &DMatrix<f64>, classes: Classes, recipe: &Recipe) -> Result<Self> {
        let (weight, bias) = scaler.fold(weights)?;
        let head = Head::new(weight, bias, classes)?;
        Ok(Head { recipe: Some(recipe.clone()), ..head })
    }

    /// Notes that noise was added for publication, and how many bits of the weights are left above it.
    pub fn mark_published(self, precision_bits: f64) -> Self {
        Head { published: Some(precision_bits), ..self }
    }

    /// Notes the backbone and preprocessing of the features that it was trained on.
    pub fn with_provenance(self, provenance: Option<Provenance>) -> Self {
        Head { provenance, ..self }
    }

    /// Notes what the columns were called that it was trained on.
    ///
    /// # Errors
    ///
    /// [`HeadError::InvalidArtefact`] if there are not as many names as features.
    pub fn with_names(self, names: Option<ColumnNames>) -> Result<Self> {
        if let Some(names) = names.as_ref().filter(|names| names.features().len() != self.features()) {
            let reason = format!("a head of {} features with {} names", self.features(), names.features().len());
            return Err(HeadError::InvalidArtefact(reason));
        }
        Ok(Head { names, ..self })
    }

    /// The weights, classes x features.
    pub fn weight(&self) -> &DMatrix<f64> {
        &self.weight
    }

    /// The biases, one a class.
    pub fn bias(&self) -> &DVector<f64> {
        &self.bias
    }

    /// The classes, in the order of the rows.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// How many features a row has.
    pub fn features(&self) -> usize {
        self.weight.ncols()
    }

    /// The recipe that trained it, if known.
    pub fn recipe(&self) -> Option<&Recipe> {
        self.recipe.as_ref()
    }

    /// Bits of precision left by the noise that was added for publication; `None` for a head that must stay private.
    pub fn published(&self) -> Option<f64> {
        self.published
    }

    /// The backbone and preprocessing of the features that it was trained on, if known.
    pub fn provenance(&self) -> Option<&Provenance> {
        self.provenance.as_ref()
    }

    /// What the columns were called that it was trained on, if they had names.
    pub fn names(&self) -> Option<&ColumnNames> {
        self.names.as_ref()
    }

    /// Refuses a table whose features this head cannot read. A table without names, or a head without, passes.
    ///
    /// # Errors
    ///
    /// [`HeadError::OtherBackbone`], [`HeadError::OtherPreprocess`], [`HeadError::OtherNames`],
    /// [`HeadError::FeatureCount`].
    pub fn check(&self, table: &FeatureTable) -> Result<()> {
        Provenance::check(table.provenance(), self.provenance(), "head")?;
        ColumnNames::check(table.names(), self.names(), "head")?;
        if table.columns() != self.features() {
            return Err(HeadError::FeatureCount { found: table.columns(), expected: self.features(), what: "head" });
        }
        Ok(())
    }

    /// Logits of raw features: rows x features in, rows x classes out.
    ///
    /// # Errors
    ///
    /// [`HeadError::FeatureCount`].
    pub fn logits(&self, features: &DMatrix<f64>) -> Result<DMatrix<f64>> {
        if features.ncols() != self.features() {
            return Err(HeadError::FeatureCount { found: features.ncols(), expected: self.features(), what: "head" });
        }
        let mut logits = multiply(features, &self.weight.transpose());
        for (mut column, &bias) in logits.column_iter_mut().zip(&self.bias) {
            column.add_scalar_mut(bias);
        }
        Ok(logits)
    }

    /// Labels and probabilities of raw features.
    ///
    /// # Errors
    ///
    /// [`HeadError::FeatureCount`].
    pub fn predict(&self, features: &DMatrix<f64>) -> Result<Vec<Prediction>> {
        let logits = self.logits(features)?;
        let predict = |(row, class): (usize, usize)| {
            let label = self.classes.names()[class].clone();
            Prediction { label, probabilities: probabilities(logits.row(row).iter().copied()) }
        };
        Ok(predicted_classes(&logits).into_iter().enumerate().map(predict).collect())
    }

    /// Scores the head on a table with labels.
    ///
    /// # Errors
    ///
    /// As [`Head::check`], and [`HeadError::NoLabels`], [`HeadError::UnknownLabel`].
    pub fn evaluate(&self, table: &FeatureTable) -> Result<Evaluation> {
        self.check(table)?;
        let truth = self.classes.indices(table.require_labels()?)?;
        Ok(Evaluation::new(&self.logits(table.features())?, &truth))
    }
}
