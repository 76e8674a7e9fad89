//! RegNetX from torchvision's weights, up to the global average pooling.
//!
//! I. Radosavovic et al., "Designing Network Design Spaces" (CVPR 2020), as torchvision names its tensors: a stem (3 x
//! 3, stride 2), then four stages of residual blocks
//!
//! ```text
//! y = relu(shortcut(x) + c(relu(b(relu(a(x))))))
//! ```
//!
//! with a and c 1 x 1 convolutions, b a grouped 3 x 3 one, and the shortcut a 1 x 1 convolution where the shape changes
//! (the first block of a stage, stride 2). Every convolution is followed by a batch norm, folded here into its weights:
//! w' = w g / sqrt(v + 1e-5), b' = beta - m g / sqrt(v + 1e-5). Depths, widths and groups are read off the tensors'
//! shapes, so that every size of the family is built by the same lines.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::graph::{Convolution, Edge, Graph};
use super::onnx::{OnnxNetwork, OnnxOptions};
use crate::backbone::{Backbone, InputSize, Matrix};
use crate::error::{BackboneError, Result};
use crate::preprocess::Preprocess;
use crate::weights::{Tensor, Weights};

/// What torchvision's batch norms add to the variance.
const EPSILON: f32 = 1e-5;

/// The side of the input that the pretrained networks are used with.
const SIDE: usize = 224;

/// The stride of each stage's first block.
const STRIDES: [usize; 4] = [2; 4];

/// Torchvision's names and the features of each size.
const FAMILY: [(&str, usize); 7] = [
    ("regnet_x_400mf", 400),
    ("regnet_x_800mf", 672),
    ("regnet_x_1_6gf", 912),
    ("regnet_x_3_2gf", 1008),
    ("regnet_x_8gf", 1920),
    ("regnet_x_16gf", 2048),
    ("regnet_x_32gf", 2520),
];

/// The first four bytes of the SHA-256 of torchvision's files, as their names end: `IMAGENET1K_V1` and `IMAGENET1K_V2`
/// of each size, in the order of [`FAMILY`] (torchvision 0.29, models/regnet.py).
const PUBLISHED: [[u32; 2]; 7] = [
    [0xadf1edd5, 0x62229a5f],
    [0xad17e45c, 0x94a99ebd],
    [0xe3633e7f, 0xa12f2b72],
    [0xf342aeae, 0x7071aa85],
    [0x03ceed89, 0x2b70d774],
    [0x2007eb11, 0xba3796d7],
    [0x9d47f8d0, 0x6eb8fdc6],
];

/// A network of the RegNetX family for 224 x 224 pictures.
pub struct RegNetX {
    network: OnnxNetwork,
    digest: [u8; 32],
    preprocess: Preprocess,
}

impl RegNetX {
    /// The names that [`RegNetX::load`] knows, smallest first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FAMILY.iter().map(|(name, _)| *name)
    }

    /// What torchvision calls the weights of `name` whose file has this SHA-256: `IMAGENET1K_V1` or `IMAGENET1K_V2`;
    /// `None` for a file that it does not publish for `name`. Its names hold the first four bytes, which are compared.
    pub fn published_as(name: &str, sha256: [u8; 32]) -> Option<&'static str> {
        let position = FAMILY.iter().position(|(known, _)| *known == name)?;
        let start = u32::from_be_bytes([sha256[0], sha256[1], sha256[2], sha256[3]]);
        let which = PUBLISHED[position].iter().position(|published| *published == start)?;
        Some(["IMAGENET1K_V1", "IMAGENET1K_V2"][which])
    }

    /// The names of torchvision's files for `name`; none for a name that is not known.
    pub fn published_files(name: &str) -> Vec<String> {
        let position = FAMILY.iter().position(|(known, _)| *known == name);
        let files = position.map(|position| PUBLISHED[position].map(|start| format!("{name}-{start:08x}.pth")));
        files.into_iter().flatten().collect()
    }

    /// Loads `name` (`regnet_x_400mf`, ...) from a state dict of torchvision's, `.safetensors` or `.pth`.
    ///
    /// # Errors
    /// [`BackboneError::File`], and [`BackboneError::BadModel`] when the weights are not this network's.
    pub fn load(name: &str, path: &Path) -> Result<Self> {
        let weights = Weights::load(path)?;
        Self::from_weights(name, &weights).map_err(|reason| BackboneError::model(path, reason))
    }

    /// As [`RegNetX::load`], from weights already read.
    ///
    /// # Errors
    /// A sentence about what does not fit.
    pub fn from_weights(name: &str, weights: &Weights) -> std::result::Result<Self, String> {
        let &(_, features) = FAMILY.iter().find(|(known, _)| *known == name).ok_or_else(|| {
            format!("no RegNetX is called {name:?}: the names are {}", Self::names().collect::<Vec<_>>().join(", "))
        })?;
        let network = build(weights, STRIDES, SIDE)?;
        if network.features() != features {
            let width = network.features();
            return Err(format!("the weights give {width} features, {name} has {features}: choose the name that fits"));
        }
        let mut hash = Sha256::new();
        hash.update(b"regnet_x 1");
        hash.update(weights.digest());
        let preprocess = preprocess_of(weights.digest());
        Ok(Self { network, digest: hash.finalize().into(), preprocess })
    }

    /// The transform that the weights were published with: [`Preprocess::torchvision_v2`] for a file whose SHA-256 is
    /// one of torchvision's `IMAGENET1K_V2`, [`Preprocess::torchvision`] for every other.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }
}

impl Backbone for RegNetX {
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

fn preprocess_of(digest: [u8; 32]) -> Preprocess {
    let start = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    if PUBLISHED.iter().any(|[_, second]| *second == start) {
        Preprocess::torchvision_v2()
    } else {
        Preprocess::torchvision()
    }
}

/// The network of these weights for pictures of `side` x `side`, with those strides of the stages, up to the mean of
/// each channel.
pub(super) fn build(weights: &Weights, strides: [usize; 4], side: usize) -> std::result::Result<OnnxNetwork, String> {
    let mut builder = Builder { weights, graph: Graph::default() };
    let last = builder.network(strides)?;
    let output = builder.graph.average(&last);
    let model = builder.graph.into_model(&output, side, side);
    OnnxNetwork::from_bytes(&model, &OnnxOptions::default())
}

struct Builder<'a> {
    weights: &'a Weights,
    graph: Graph,
}

impl Builder<'_> {
    /// The last stage's output.
    fn network(&mut self, strides: [usize; 4]) -> std::result::Result<Edge, String> {
        if self.weights.names().any(|name| name.contains(".f.se.")) {
            return Err(
                "these are weights of a RegNetY, whose squeeze-and-excitation is not supported: take a RegNetX".into(),
            );
        }
        let input = self.graph.input();
        let (stem, mut width) = self.convolve(&input, "stem.0", "stem.1", 3, 2)?;
        let mut last = self.graph.relu(&stem);
        for (stage, stride) in (1..).zip(strides) {
            for number in 0.. {
                let block = format!("trunk_output.block{stage}.block{stage}-{number}");
                if self.weights.tensor(&format!("{block}.f.a.0.weight")).is_none() {
                    if number == 0 {
                        return Err(format!(
                            "{block}.f.a.0.weight is missing: these are not a torchvision RegNetX's weights"
                        ));
                    }
                    break;
                }
                (last, width) = self.block(&block, &last, width, if number == 0 { stride } else { 1 })?;
            }
        }
        Ok(last)
    }

    fn block(
        &mut self,
        name: &str,
        from: &Edge,
        width: usize,
        stride: usize,
    ) -> std::result::Result<(Edge, usize), String> {
        let (reduced, inner) = self.convolve(from, &format!("{name}.f.a.0"), &format!("{name}.f.a.1"), width, 1)?;
        let reduced = self.graph.relu(&reduced);
        let (grouped, inner) =
            self.convolve(&reduced, &format!("{name}.f.b.0"), &format!("{name}.f.b.1"), inner, stride)?;
        let grouped = self.graph.relu(&grouped);
        let (last, outputs) = self.convolve(&grouped, &format!("{name}.f.c.0"), &format!("{name}.f.c.1"), inner, 1)?;
        let shortcut = if stride != 1 || width != outputs {
            let (projected, projections) =
                self.convolve(from, &format!("{name}.proj.0"), &format!("{name}.proj.1"), width, stride)?;
            if projections != outputs {
                return Err(format!("{name}: the shortcut has {projections} channels, the block {outputs}"));
            }
            projected
        } else {
            from.clone()
        };
        let sum = self.graph.add(&shortcut, &last);
        Ok((self.graph.relu(&sum), outputs))
    }

    /// The convolution `convolution` of a value with `inputs` channels and its batch norm `norm`; the number of groups
    /// follows from the weights' shape.
    fn convolve(
        &mut self,
        from: &Edge,
        convolution: &str,
        norm: &str,
        inputs: usize,
        stride: usize,
    ) -> std::result::Result<(Edge, usize), String> {
        let name = format!("{convolution}.weight");
        let tensor = self.weights.tensor(&name).ok_or_else(|| format!("{name} is missing"))?;
        let &[outputs, of_group, kernel @ (1 | 3), other] = &tensor.shape[..] else {
            return Err(format!("{name} has shape {:?}, not a convolution's", tensor.shape));
        };
        let fits = kernel == other
            && of_group != 0
            && outputs != 0
            && inputs.is_multiple_of(of_group)
            && outputs.is_multiple_of(inputs / of_group);
        if !fits {
            return Err(format!("{name} has shape {:?}, which does not fit {inputs} channels", tensor.shape));
        }
        let norm = Norm::read(self.weights, norm, outputs)?;
        let geometry = Convolution { inputs, outputs, kernel, stride, groups: inputs / of_group };
        let (weights, bias) = norm.fold(tensor);
        Ok((self.graph.convolve(from, geometry, &weights, &bias), outputs))
    }
}

/// A batch norm: g (x - m) / sqrt(v + epsilon) + beta, one value of each a channel.
struct Norm<'a> {
    gain: &'a [f32],
    offset: &'a [f32],
    mean: &'a [f32],
    variance: &'a [f32],
}

impl<'a> Norm<'a> {
    fn read(weights: &'a Weights, name: &str, channels: usize) -> std::result::Result<Self, String> {
        let part = |part: &str| {
            let name = format!("{name}.{part}");
            let tensor = weights.tensor(&name).ok_or_else(|| format!("{name} is missing"))?;
            if tensor.shape != [channels] || tensor.values.len() != channels {
                return Err(format!("{name} has shape {:?}, where {channels} values are expected", tensor.shape));
            }
            Ok(&tensor.values[..])
        };
        Ok(Self {
            gain: part("weight")?,
            offset: part("bias")?,
            mean: part("running_mean")?,
            variance: part("running_var")?,
        })
    }

    /// The convolution `weights` with this batch norm after it, as weights and bias of one convolution.
    fn fold(&self, weights: &Tensor) -> (Vec<f32>, Vec<f32>) {
        let channels = self.gain.len();
        let scales: Vec<f32> =
            self.gain.iter().zip(self.variance).map(|(gain, variance)| gain / (variance + EPSILON).sqrt()).collect();
        let filter = weights.values.len() / channels;
        let folded = weights.values.iter().enumerate().map(|(at, weight)| weight * scales[at / filter]).collect();
        let bias = (0..channels).map(|channel| self.offset[channel] - self.mean[channel] * scales[channel]).collect();
        (folded, bias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torchvisions_second_weights_are_known_by_their_digest() {
        let mut digest = [0; 32];
        assert_eq!(preprocess_of(digest), Preprocess::torchvision());
        digest[..4].copy_from_slice(&[0x62, 0x22, 0x9a, 0x5f]);
        assert_eq!(preprocess_of(digest), Preprocess::torchvision_v2());
        assert_eq!(RegNetX::published_as("regnet_x_400mf", digest), Some("IMAGENET1K_V2"));
        assert_eq!(RegNetX::published_as("regnet_x_800mf", digest), None);
        assert_eq!(RegNetX::published_files("regnet_x_400mf")[1], "regnet_x_400mf-62229a5f.pth");
    }
}
