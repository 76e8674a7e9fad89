//! A scaler as a file.

use super::{Map, Scaler, ScalerKind};
use crate::error::{HeadError, Result};
use crate::linalg::{from_rows, to_rows};
use ciphertune_ckks::container::{Container, ContainerWriter, Tensor};
use nalgebra::DVector;

/// The kind that a scaler's container names.
pub const KIND: &str = "scaler";
const VERSION: u32 = 1;

impl Scaler {
    /// The scaler as a container of kind `scaler`: `mean` and, where there is one, `factors` or `root` (row by row).
    ///
    /// # Errors
    ///
    /// [`HeadError::Container`] for what no container holds.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let features = self.features();
        let mut writer = ContainerWriter::new(KIND, VERSION)
            .metadata("scaler", self.kind().to_string())
            .metadata("features", features.to_string())
            .f64("mean", &[features], self.mean.as_slice());
        match &self.map {
            Map::None | Map::Center => {}
            Map::Standardize(factors) => writer = writer.f64("factors", &[features], factors.as_slice()),
            Map::Whiten { root, lambda } => {
                writer = writer.metadata("lambda", lambda.to_string()).f64("root", &[features, features], to_rows(root))
            }
        }
        Ok(writer.to_bytes()?)
    }

    /// Reads [`Scaler::to_bytes`].
    ///
    /// # Errors
    ///
    /// [`HeadError::Container`] for bytes that are no scaler, [`HeadError::InvalidArtefact`] for numbers that no
    /// scaler holds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let container = Container::parse(bytes, KIND, VERSION)?;
        let kind: ScalerKind = container.parse_metadata("scaler")?;
        let mean = container.tensor("mean")?;
        let features = mean.len();
        if features == 0 {
            return Err(HeadError::InvalidArtefact("a scaler of no features".to_owned()));
        }
        let mean = DVector::from_vec(finite(mean.of_shape(&[features])?)?);
        let map = match kind {
            ScalerKind::None => Map::None,
            ScalerKind::Center => Map::Center,
            ScalerKind::Standardize => {
                Map::Standardize(DVector::from_vec(finite(container.tensor("factors")?.of_shape(&[features])?)?))
            }
            ScalerKind::Whiten => {
                let root = container.tensor("root")?.of_shape(&[features, features])?;
                Map::Whiten {
                    root: from_rows(features, features, &finite(root)?),
                    lambda: container.parse_metadata("lambda")?,
                }
            }
        };
        Ok(Scaler { mean, map })
    }
}

fn finite(tensor: Tensor<'_>) -> Result<Vec<f64>> {
    let numbers: Vec<f64> = tensor.f64s()?.collect();
    if numbers.iter().all(|x| x.is_finite()) {
        Ok(numbers)
    } else {
        Err(HeadError::InvalidArtefact("a scaler with a number that is not finite".to_owned()))
    }
}
