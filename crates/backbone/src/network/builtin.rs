//! The network that comes with the program: small, for 32 x 32 pixels, pretrained on letters and figures of strokes.
//!
//! A RegNetX with a stem of 32 channels and stages of 1, 2, 2 and 1 blocks, the first of which keeps the size. Its
//! weights are part of the program. Made for digits, letters and other bright strokes on a dark ground; what it was
//! trained on and what it is good for stand in `docs/backbones/builtin.md`, the program that trained it in
//! `tools/builtin`.

use sha2::{Digest, Sha256};

use super::onnx::OnnxNetwork;
use super::regnet;
use crate::backbone::{Backbone, InputSize, Matrix};
use crate::error::{BackboneError, Result};
use crate::preprocess::Preprocess;
use crate::weights::Weights;

/// Convolutions in half precision, batch norms in single.
const WEIGHTS: &[u8] = include_bytes!("builtin.safetensors");

/// The stride of each stage's first block.
const STRIDES: [usize; 4] = [1, 2, 2, 2];

/// The side of the input.
const SIDE: usize = 32;

/// The backbone `builtin`: pictures of 32 x 32 to 192 features, no file needed.
///
/// A colour picture becomes grey (0.299 red + 0.587 green + 0.114 blue) in the network's first convolution.
///
/// ```
/// use ciphertune_backbone::{Backbone, Builtin, Picture};
///
/// let network = Builtin::load()?;
/// let picture = Picture::new(8, 8, 1, vec![0; 64]).expect("8 x 8 grey pixels");
/// let input = network.preprocess().apply(&picture, network.input_size().width, network.input_size().height)?;
/// assert_eq!(network.extract(&input)?.columns(), network.features());
/// # Ok::<(), ciphertune_backbone::BackboneError>(())
/// ```
pub struct Builtin {
    network: OnnxNetwork,
    digest: [u8; 32],
    preprocess: Preprocess,
}

impl Builtin {
    /// The name that it is asked for by.
    pub const NAME: &str = "builtin";

    /// Builds the network from the weights in the program.
    ///
    /// # Errors
    /// [`BackboneError::Inference`] where the network cannot be run, for want of memory or threads.
    pub fn load() -> Result<Self> {
        let weights = Weights::from_safetensors(WEIGHTS).map_err(BackboneError::Inference)?;
        let network = regnet::build(&weights, STRIDES, SIDE).map_err(BackboneError::Inference)?;
        let mut hash = Sha256::new();
        hash.update(b"builtin 1");
        hash.update(weights.digest());
        Ok(Self { network, digest: hash.finalize().into(), preprocess: Preprocess::paper() })
    }

    /// The preprocessing that it was trained with: stretched to 32 x 32 (antialiased), pixels in [0, 1].
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }
}

impl Backbone for Builtin {
    fn features(&self) -> usize {
        self.network.features()
    }

    fn input_size(&self) -> InputSize {
        self.network.input_size()
    }

    fn digest(&self) -> [u8; 32] {
        self.digest
    }

    fn extract(&self, batch: &[f32]) -> Result<Matrix> {
        self.network.extract(batch)
    }
}
