//! Networks, their weights, and what happens to pictures before them.

use std::path::Path;

use ciphertune_backbone::{Backbone, OnnxNetwork, OnnxOptions, Preprocess, Weights};
use ciphertune_formats::protobuf::Message;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use zip::CompressionMethod;

use super::tables::archive;
use super::{Format, hash};

const SIDE: usize = 8;
const PREPROCESS: &str = "shorter-side = 32\nfilter = \"antialiased\"\nchannels = \"rgb\"\nmean = [0.5, 0.25, 0.125]\nstd = [1.0, 0.5, 0.25]\n";

fn onnx(path: &Path) -> Result<u64, String> {
    let network = OnnxNetwork::load(path, &OnnxOptions::default()).map_err(|error| error.to_string())?;
    let size = network.input_size();
    if size.values() > 3 * 64 * 64 {
        return Err("larger than this test looks at".into());
    }
    let features = network.extract(&vec![0.5; size.values()]).map_err(|error| error.to_string())?;
    Ok(hash(features.values().iter().map(|x| x.to_bits()).collect::<Vec<_>>()))
}

fn weights(path: &Path) -> Result<u64, String> {
    let weights = Weights::load(path).map_err(|error| error.to_string())?;
    let bits = |name: &str| {
        weights
            .tensor(name)
            .map(|tensor| (tensor.shape.clone(), tensor.values.iter().map(|x| x.to_bits()).collect::<Vec<_>>()))
    };
    Ok(hash(weights.names().map(|name| (name.to_owned(), bits(name))).collect::<Vec<_>>()))
}

fn preprocess(path: &Path) -> Result<u64, String> {
    Preprocess::load(path).map(|preprocess| hash(format!("{preprocess:?}"))).map_err(|error| error.to_string())
}

fn numbers(name: &str, values: &[u64]) -> Message {
    let list = values.iter().fold(Message::default().text(1, name), |list, &value| list.number(8, value));
    list.number(20, 7)
}

/// An initializer: its values here or at a place of a file beside the model.
fn tensor(name: &str, shape: &[u64], values: &[f32], outside: Option<&mut Vec<u8>>) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let tensor =
        shape.iter().fold(Message::default(), |tensor, &size| tensor.number(1, size)).number(2, 1).text(8, name);
    let Some(file) = outside else { return tensor.bytes(9, &raw) };
    let entry = |key: &str, value: String| Message::default().text(1, key).text(2, &value);
    let offset = file.len();
    file.extend(&raw);
    tensor
        .message(13, entry("location", "model.onnx.data".into()))
        .message(13, entry("offset", offset.to_string()))
        .message(13, entry("length", raw.len().to_string()))
        .number(14, 1)
}

/// A convolution, a rectifier, a mean.
fn model(mut outside: Option<&mut Vec<u8>>) -> Vec<u8> {
    let values: Vec<f32> = (0..4 * 3 * 9).map(|k| (k % 7) as f32 * 0.25 - 0.5).collect();
    let node = |operator: &str, inputs: &[&str], output: &str| {
        let node = inputs.iter().fold(Message::default(), |node, input| node.text(1, input));
        node.text(2, output).text(3, output).text(4, operator)
    };
    let dimension = |size: u64| Message::default().number(1, size);
    let shape = Message::default()
        .message(1, Message::default().text(2, "n"))
        .message(1, dimension(3))
        .message(1, dimension(SIDE as u64))
        .message(1, dimension(SIDE as u64));
    let kind = Message::default().message(1, Message::default().number(1, 1).message(2, shape));
    let graph = Message::default()
        .message(
            1,
            node("Conv", &["x", "w", "b"], "c")
                .message(5, numbers("kernel_shape", &[3, 3]))
                .message(5, numbers("strides", &[2, 2]))
                .message(5, numbers("pads", &[1, 1, 1, 1]))
                .message(5, numbers("dilations", &[1, 1])),
        )
        .message(1, node("Relu", &["c"], "r"))
        .message(1, node("GlobalAveragePool", &["r"], "p"))
        .message(1, node("Flatten", &["p"], "f"))
        .text(2, "g")
        .message(5, tensor("w", &[4, 3, 3, 3], &values, outside.as_deref_mut()))
        .message(5, tensor("b", &[4], &[0.5, 0.25, 0.0, 1.0], outside))
        .message(11, Message::default().text(1, "x").message(2, kind))
        .message(12, Message::default().text(1, "f"));
    let opset = Message::default().text(1, "").number(2, 13);
    Message::default().number(1, 8).message(7, graph).message(8, opset).into_bytes()
}

/// A state dict as PyTorch pickles it: two tensors in one storage each.
fn pickle() -> Vec<u8> {
    let mut out = vec![0x80, 2, b'c'];
    out.extend(b"collections\nOrderedDict\n)R(");
    for (name, key, shape) in [("a.weight", "0", [2u8, 3]), ("b.bias", "1", [1, 4])] {
        let text = |out: &mut Vec<u8>, text: &str| {
            out.push(b'X');
            out.extend((text.len() as u32).to_le_bytes());
            out.extend(text.as_bytes());
        };
        text(&mut out, name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(b"ctorch\nFloatStorage\n");
        text(&mut out, key);
        text(&mut out, "cpu");
        out.extend([b'K', shape[0] * shape[1], b't', b'Q', b'K', 0]);
        out.extend([b'K', shape[0], b'K', shape[1], 0x86, b'K', shape[1], b'K', 1, 0x86]);
        out.push(0x89);
        out.extend(b"ccollections\nOrderedDict\n)RtR");
    }
    out.extend(b"u.");
    out
}

pub fn formats() -> Vec<Format> {
    let mut data = Vec::new();
    let external = model(Some(&mut data));
    let storage = |count: usize| (0..count).flat_map(|k| (k as f32 * 0.5).to_le_bytes()).collect::<Vec<u8>>();
    let (a, b) = (storage(6), storage(4));
    let pth = move |pickle: &[u8]| {
        let files = [("m/data.pkl", pickle), ("m/data/0", &a[..]), ("m/data/1", &b[..]), ("m/version", &b"3\n"[..])];
        archive(&files, CompressionMethod::Stored)
    };
    let whole = pth(&pickle());
    let values = storage(6);
    let tensor = TensorView::new(Dtype::F32, vec![2, 3], &values).expect("as many values");
    let tensors = safetensors::serialize([("a.weight", tensor)], None).expect("memory");
    vec![
        Format::new("onnx", "model.onnx", model(None), onnx),
        Format::new("onnx-external", "model.onnx", external.clone(), onnx).beside("model.onnx.data", data.clone()),
        Format::new("onnx-data", "model.onnx.data", data, |path| onnx(&path.with_file_name("model.onnx")))
            .beside("model.onnx", external),
        Format::new("pth", "weights.pth", whole, weights).checked().layer(pickle(), move |pickle| pth(&pickle)),
        Format::new("weights-safetensors", "weights.safetensors", tensors, weights),
        Format::new("preprocess", "model.toml", PREPROCESS.as_bytes().to_vec(), preprocess),
    ]
}
