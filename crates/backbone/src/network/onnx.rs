//! Any ONNX classifier or feature extractor as a backbone, run by rten.

use std::path::Path;
use std::sync::{Arc, Mutex};

use ciphertune_formats::onnx::{self, External};
use rten::{Dimension, Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value};
use rten_tensor::NdTensorView;
use rten_tensor::prelude::*;
use sha2::{Digest, Sha256};

use super::external::Beside;
use crate::backbone::{Backbone, InputSize, Matrix, pictures};
use crate::error::{BackboneError, Result};
use crate::weights::read_model_file;

/// The input size of a model that leaves it free.
const USUAL_SIDE: usize = 224;

/// The largest side of an input.
const MAX_INPUT_SIDE: usize = 4096;

/// How an ONNX model is used.
#[derive(Clone, Debug, Default)]
pub struct OnnxOptions {
    /// The value taken as the features, by its name in the graph, to cut above a classifier; `None`: the model's only
    /// output.
    pub output: Option<String>,
    /// The input's size, for models that leave it free (224 x 224 where nothing is said).
    pub size: Option<InputSize>,
}

/// An ONNX model with one input, n x 3 x height x width of 32-bit floats.
pub struct OnnxNetwork {
    model: Model,
    input: NodeId,
    output: NodeId,
    /// Whether the model's input is declared for one picture at a time.
    single: bool,
    size: InputSize,
    features: usize,
    digest: [u8; 32],
    /// What the user should know of the output, if anything.
    warning: Option<String>,
    /// Pools of one thread, one for each call under way: the callers are the parallelism.
    pools: Mutex<Vec<Arc<ThreadPool>>>,
}

impl OnnxNetwork {
    /// Loads a model and runs it once, on a black picture, to learn the number of its features.
    ///
    /// # Errors
    /// [`BackboneError::File`], and [`BackboneError::BadModel`] when the file is no ONNX model that can be run, has no
    /// such output, another input than described above, or features that are no vector.
    pub fn load(path: &Path, options: &OnnxOptions) -> Result<Self> {
        let (bytes, mut beside) = (read_model_file(path)?, Beside::new(path));
        Self::with_external(&bytes, options, &mut |external| beside.read(external))
            .map_err(|reason| BackboneError::model(path, reason))
    }

    /// As [`OnnxNetwork::load`], from memory; the error is a sentence without the file's name.
    pub(super) fn from_bytes(bytes: &[u8], options: &OnnxOptions) -> std::result::Result<Self, String> {
        let none =
            |external: &External| Err(format!("its weights lie in {:?}, and there is no folder", external.location));
        Self::with_external(bytes, options, &mut { none })
    }

    /// The same, with what reads the weights that lie elsewhere.
    fn with_external(
        bytes: &[u8],
        options: &OnnxOptions,
        external: &mut dyn FnMut(&External) -> std::result::Result<Vec<u8>, String>,
    ) -> std::result::Result<Self, String> {
        let mut hash = Sha256::new();
        hash.update(b"onnx 1");
        hash.update(bytes);
        let cut = onnx::prepare(bytes, options.output.as_deref(), &mut |place| {
            let values = external(place)?;
            hash.update(&values);
            Ok(values)
        })?;
        if let Some(output) = &options.output {
            check_output(bytes, output)?;
            hash.update(output.as_bytes());
        }
        let warning = probabilities(&cut);
        let mut settings = ModelOptions::with_all_ops();
        settings.prepack_weights(true);
        let model = settings.load(cut).map_err(|error| format!("not an ONNX model that can be run ({error})"))?;
        let &[input] = model.input_ids() else {
            return Err(format!("the model has {} inputs, where one image is expected", model.input_ids().len()));
        };
        let &[output] = model.output_ids() else {
            return Err(format!(
                "the model has {} outputs: name the one to take as features",
                model.output_ids().len()
            ));
        };
        let (size, single) = input_size(model.node_info(input).and_then(|node| node.shape()), options.size)?;
        hash.update((size.width as u64).to_le_bytes());
        hash.update((size.height as u64).to_le_bytes());
        let (digest, pools) = (hash.finalize().into(), Mutex::new(Vec::new()));
        let mut network = Self { model, input, output, single, size, features: 0, digest, warning, pools };
        let probe = network
            .run(&vec![0.0; size.values()], 1)
            .map_err(|error| format!("the model fails on a picture of {} x {} ({error})", size.width, size.height))?;
        network.features = probe.len();
        if network.features == 0 {
            return Err("the model's output is empty".into());
        }
        Ok(network)
    }

    /// What the user should know of the features, if anything: that they look like a classifier's probabilities.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// The output for `count` pictures, flattened; every picture must give a vector.
    fn run(&self, values: &[f32], count: usize) -> std::result::Result<Vec<f32>, String> {
        let view = NdTensorView::from_data([count, 3, self.size.height, self.size.width], values);
        let pool = self.lock().pop().unwrap_or_else(|| Arc::new(ThreadPool::with_num_threads(1)));
        let options = RunOptions::default().with_thread_pool(Some(pool.clone()));
        let result = self.model.run(vec![(self.input, view.into())], &[self.output], Some(options));
        self.lock().push(pool);
        let output = result.map_err(|error| error.to_string())?.pop().ok_or("the network gave no output")?;
        let Value::FloatTensor(output) = output else { return Err("the output is not of 32-bit floats".into()) };
        let shape = output.shape().to_vec();
        let vectors = shape.len() >= 2 && shape[0] == count && shape[2..].iter().all(|&size| size == 1);
        if !vectors {
            return Err(format!(
                "the output has shape {shape:?}, where images x features is expected: cut the model below its global pooling"
            ));
        }
        Ok(output.to_vec())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<ThreadPool>>> {
        self.pools.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Backbone for OnnxNetwork {
    fn features(&self) -> usize {
        self.features
    }

    fn input_size(&self) -> InputSize {
        self.size
    }

    fn digest(&self) -> [u8; 32] {
        self.digest
    }

    fn extract(&self, batch: &[f32]) -> Result<Matrix> {
        let rows = pictures(self.size, batch)?;
        let at_once = if self.single { 1 } else { rows };
        let mut values = Vec::with_capacity(rows * self.features);
        for part in batch.chunks(at_once * self.size.values()) {
            values.extend(self.run(part, at_once).map_err(BackboneError::Inference)?);
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err(BackboneError::Inference("a feature is not a finite number: check the preprocessing".into()));
        }
        Matrix::new(rows, self.features, values)
            .ok_or_else(|| BackboneError::Inference("the number of features changed between images".into()))
    }
}

/// Refuses a name that no node writes, and shows the last ones that there are.
fn check_output(model: &[u8], output: &str) -> std::result::Result<(), String> {
    let values = onnx::values(model).ok_or("not an ONNX model")?;
    if values.iter().any(|(name, _)| name == output) {
        return Ok(());
    }
    let last: Vec<&str> = values.iter().rev().take(8).map(|(name, _)| name.as_str()).collect();
    Err(format!("the graph has no value {output:?}; its last ones, from the end, are {}", last.join(", ")))
}

/// What to say of a model whose output is a softmax or a sigmoid.
fn probabilities(model: &[u8]) -> Option<String> {
    let (outputs, values) = (onnx::outputs(model)?, onnx::values(model)?);
    let output = outputs.first()?;
    let last = values.iter().position(|(name, _)| name == output)?;
    let operator = &values[last].1;
    if !["Softmax", "LogSoftmax", "Sigmoid"].contains(&operator.as_str()) {
        return None;
    }
    let before: Vec<&str> = values[..last].iter().rev().take(4).map(|(name, _)| name.as_str()).collect();
    let choice = match before.as_slice() {
        [] => String::new(),
        names => format!(" with --output; the values before it are, from the end, {}", names.join(", ")),
    };
    Some(format!(
        "the model's output {output:?} is a {operator}: these look like class probabilities, which make poor features; take a layer before the classifier{choice}"
    ))
}

/// The size of the input, and whether it is declared for a single picture.
fn input_size(
    declared: Option<Vec<Dimension>>,
    wanted: Option<InputSize>,
) -> std::result::Result<(InputSize, bool), String> {
    let usual = InputSize { width: USUAL_SIDE, height: USUAL_SIDE };
    let Some(shape) = declared else { return Ok((wanted.unwrap_or(usual), false)) };
    let fixed = |dimension: &Dimension| match dimension {
        Dimension::Fixed(size) => Some(*size),
        Dimension::Symbolic(_) => None,
    };
    let sizes: Vec<Option<usize>> = shape.iter().map(fixed).collect();
    let [batch, channels, height, width] = sizes[..] else {
        return Err(format!("the input has {} dimensions, where n x 3 x height x width is expected", sizes.len()));
    };
    if channels.is_some_and(|channels| channels != 3) {
        let reason = "the input's second dimension is not 3: convert the model to n x 3 x height x width of RGB";
        return Err(reason.into());
    }
    if batch.is_some_and(|batch| batch != 1) {
        return Err(format!(
            "the input is declared for {} images at once: export it for one, or for any",
            batch.unwrap_or(0)
        ));
    }
    let free = wanted.unwrap_or(usual);
    let size = InputSize { width: width.unwrap_or(free.width), height: height.unwrap_or(free.height) };
    if wanted.is_some_and(|wanted| wanted != size) {
        return Err(format!("the model takes {} x {} pixels and no other size", size.width, size.height));
    }
    if size.width.max(size.height) > MAX_INPUT_SIDE || size.width.min(size.height) == 0 {
        return Err(format!("an input of {} x {} pixels is not usable", size.width, size.height));
    }
    Ok((size, batch.is_some()))
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Convolution, Graph};
    use super::*;

    /// A convolution, a rectifier and a mean, for 8 x 8 pixels.
    fn small_model() -> Vec<u8> {
        let mut graph = Graph::default();
        let input = graph.input();
        let geometry = Convolution { inputs: 3, outputs: 4, kernel: 3, stride: 2, groups: 1 };
        let weights: Vec<f32> = (0..108).map(|k| (k % 7) as f32 - 3.0).collect();
        let convolved = graph.convolve(&input, geometry, &weights, &[0.5; 4]);
        let rectified = graph.relu(&convolved);
        let output = graph.average(&rectified);
        graph.into_model(&output, 8, 8)
    }

    #[test]
    fn no_damage_to_a_model_ends_the_process_or_takes_long() {
        let (good, options) = (small_model(), OnnxOptions::default());
        assert_eq!(OnnxNetwork::from_bytes(&good, &options).expect("a model").features(), 4);
        // A linear congruential generator: the same damage in every run.
        let mut state = 1u64;
        let mut draw = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let mut refused = 0;
        for _ in 0..1500 {
            let mut bad = good.clone();
            for _ in 0..=draw(3) {
                let place = draw(bad.len());
                match draw(4) {
                    0 => bad[place] ^= 1 << draw(8),
                    1 => bad[place] = 0xff,
                    2 => drop(bad.splice(place..=place, [0xff; 7])),
                    _ => bad.truncate(place.max(1)),
                }
            }
            refused += usize::from(OnnxNetwork::from_bytes(&bad, &options).is_err());
        }
        assert!(refused > 500, "{refused}");
    }
}
