//! A head as JSON.

use super::Head;
use serde_json::json;

impl Head {
    /// The head as a JSON object: `classes`, `features`, `weight` (a list of numbers a class), `bias`, `recipe`,
    /// `published`, `provenance`. Logits are x W^T + b; the probability of a class is the sigmoid of its logit.
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
            "provenance": self.provenance,
        });
        object.to_string()
    }
}
