//! A head as a file.

use super::Head;
use crate::classes::Classes;
use crate::column_names::ColumnNames;
use crate::error::{HeadError, Result};
use crate::linalg::{from_rows, to_rows};
use crate::provenance::{self, Provenance};
use crate::recipe::Recipe;
use ciphertune_ckks::container::{Container, ContainerWriter};
use nalgebra::DVector;

/// The kind that a head's container names.
pub const KIND: &str = "head";
const VERSION: u32 = 1;

impl Head {
    /// The head as a container: tensors `weight` (classes x features) and `bias` (classes), double precision; metadata
    /// `classes` (a JSON list of names), `features`, and where known `recipe` (JSON), `published` (bits),
    /// `feature_names` (a JSON list), `label_name` and `provenance` (JSON).
    ///
    /// # Errors
    ///
    /// [`HeadError::Container`] for class names too long for a header.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let (classes, features) = self.weight.shape();
        let names = serde_json::to_string(self.classes.names()).expect("a list of strings is JSON");
        let mut writer = ContainerWriter::new(KIND, VERSION)
            .metadata("classes", names)
            .metadata("features", features.to_string())
            .f64("weight", &[classes, features], to_rows(&self.weight))
            .f64("bias", &[classes], self.bias.as_slice());
        if let Some(recipe) = &self.recipe {
            writer = writer.metadata("recipe", recipe.to_json());
        }
        if let Some(bits) = self.published {
            writer = writer.metadata("published", bits.to_string());
        }
        for (key, text) in self.names.iter().flat_map(ColumnNames::entries) {
            writer = writer.metadata(key, text);
        }
        if let Some(provenance) = &self.provenance {
            writer = writer.metadata(provenance::KEY, provenance.to_json());
        }
        Ok(writer.to_bytes()?)
    }

    /// Reads [`Head::to_bytes`].
    ///
    /// # Errors
    ///
    /// [`HeadError::Container`] for bytes that are no head, and as [`Head::new`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let container = Container::parse(bytes, KIND, VERSION)?;
        let names: Vec<String> = serde_json::from_str(container.metadata("classes")?)
            .map_err(|_| HeadError::InvalidArtefact("its class names are no JSON list".to_owned()))?;
        let classes = Classes::from_names(names)?;
        let features: usize = container.parse_metadata("features")?;
        let weight = container.tensor("weight")?.of_shape(&[classes.len(), features])?;
        let bias = container.tensor("bias")?.of_shape(&[classes.len()])?;
        let weight: Vec<f64> = weight.f64s()?.collect();
        let weight = from_rows(classes.len(), features, &weight);
        let head = Head::new(weight, DVector::from_iterator(classes.len(), bias.f64s()?), classes)?;
        let metadata = container.all_metadata();
        let recipe = metadata.get("recipe").map(|text| Recipe::from_json(text)).transpose()?;
        let published = match metadata.contains_key("published") {
            true => Some(container.parse_metadata("published")?),
            false => None,
        };
        let provenance = metadata.get(provenance::KEY).map(|text| Provenance::from_json(text)).transpose()?;
        let names = ColumnNames::from_entries(|key| metadata.get(key).map(String::as_str), features)?;
        Ok(Head { recipe, published, names, provenance, ..head })
    }
}
