//! A head as JSON.

use super::Head;
use crate::column_names::ColumnNames;
use serde_json::json;

impl Head {
    /// The head as a JSON object: `classes`, `features`, `weight` (a list of numbers a class), `bias`, `recipe`,
    /// `published`, `feature_names`, `label_name`, `provenance`. Logits z are x W^T + b; the probability of class j is
    /// sigma(z_j) / sum_l sigma(z_l), see [`crate::metrics::probabilities`].
    pub fn to_json(&self) -> String {
        let weight: Vec<Vec<f64>> = self.weight.row_iter().map(|row| row.iter().copied().collect()).collect();
        let object = json!({
            "kind": "ciphertune head",
            "classes": self.classes.names(),
            "features": self.features(),
            "weight": weight,
            "bias": self.bias.as_slice(),
            "recipe": self.recipe,
            "published": self.published,
            "feature_names": self.names().map(ColumnNames::features),
            "label_name": self.names().and_then(ColumnNames::label),
            "provenance": self.provenance,
        });
        object.to_string()
    }
}
