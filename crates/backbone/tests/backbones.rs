//! RegNetX against torchvision, weights files, and ONNX models.

mod common;

use ciphertune_backbone::{Backbone, BackboneError, OnnxNetwork, OnnxOptions, RegNetX, Tensor, Weights};
use common::{data_folder, golden, golden_path, number, uniform};

const STAGES: [(usize, usize); 4] = [(32, 1), (64, 2), (160, 7), (400, 12)];

fn insert(tensors: &mut Vec<(String, Tensor)>, name: String, shape: Vec<usize>) {
    let mut values = uniform(&name, shape.iter().product());
    for value in &mut values {
        *value = if shape.len() == 4 {
            let scale = (6.0 / (shape[1] * shape[2] * shape[3]) as f64).sqrt() as f32;
            *value * scale
        } else if name.ends_with("running_var") {
            1.0 + 0.5 * *value
        } else if name.ends_with("weight") {
            0.6 + 0.2 * *value
        } else {
            0.1 * *value
        };
    }
    tensors.push((name, Tensor { shape, values }));
}

fn convolution(tensors: &mut Vec<(String, Tensor)>, stem: &str, shape: [usize; 4]) {
    insert(tensors, format!("{stem}.0.weight"), shape.to_vec());
    for part in ["weight", "bias", "running_mean", "running_var"] {
        insert(tensors, format!("{stem}.1.{part}"), vec![shape[0]]);
    }
}

/// The state dict of torchvision's regnet_x_400mf, filled from the formula.
fn regnet_x_400mf() -> Vec<(String, Tensor)> {
    let mut tensors = Vec::new();
    convolution(&mut tensors, "stem", [32, 3, 3, 3]);
    let mut inputs = 32;
    for (stage, (width, depth)) in STAGES.into_iter().enumerate() {
        for block in 0..depth {
            let name = format!("trunk_output.block{0}.block{0}-{block}", stage + 1);
            if block == 0 {
                convolution(&mut tensors, &format!("{name}.proj"), [width, inputs, 1, 1]);
            }
            convolution(&mut tensors, &format!("{name}.f.a"), [width, inputs, 1, 1]);
            convolution(&mut tensors, &format!("{name}.f.b"), [width, 16, 3, 3]);
            convolution(&mut tensors, &format!("{name}.f.c"), [width, width, 1, 1]);
            inputs = width;
        }
    }
    tensors
}

#[test]
fn regnet_x_400mf_equals_torchvision_to_1e_4() {
    let golden = golden("regnet_x_400mf.json");
    let network =
        RegNetX::from_weights("regnet_x_400mf", &Weights::from_tensors(regnet_x_400mf())).expect("its weights");
    assert_eq!(network.features(), 400);
    let size = network.input_size();
    let (mut batch, mut expected) = (Vec::new(), Vec::new());
    for (index, row) in golden["outputs"].as_array().expect("a list").iter().enumerate() {
        batch.extend(uniform(&format!("input {index}"), size.values()).iter().map(|value| value * (index + 1) as f32));
        expected.push(row.as_array().expect("a list").iter().map(number).collect::<Vec<f64>>());
    }
    let features = network.extract(&batch).expect("a batch of three");
    let mut worst = 0f64;
    for (row, expected) in expected.iter().enumerate() {
        let largest = expected.iter().fold(0f64, |largest, value| largest.max(value.abs()));
        for (&found, &expected) in features.row(row).iter().zip(expected) {
            // Relative to the value, and to a thousandth of the largest where the value is next to nothing.
            let relative = (f64::from(found) - expected).abs() / expected.abs().max(1e-3 * largest);
            worst = worst.max(relative);
        }
        let alone = network.extract(&batch[row * size.values()..(row + 1) * size.values()]).expect("one picture");
        assert_eq!(alone.values(), features.row(row), "a batch changes nothing");
    }
    assert!(worst < 1e-4, "largest relative difference {worst}");
}

#[test]
fn weights_that_do_not_fit_are_refused_with_the_tensor_named() {
    let refused = |name: &str, tensors: Vec<(String, Tensor)>| {
        RegNetX::from_weights(name, &Weights::from_tensors(tensors)).map(drop).expect_err("does not fit")
    };
    assert!(refused("regnet_x_800mf", regnet_x_400mf()).contains("672"));
    assert!(refused("resnet", regnet_x_400mf()).contains("regnet_x_32gf"));
    let mut tensors = regnet_x_400mf();
    tensors.retain(|(name, _)| name != "stem.1.running_var");
    assert!(refused("regnet_x_400mf", tensors).contains("stem.1.running_var is missing"));
    let mut tensors = regnet_x_400mf();
    tensors[0].1.shape = vec![32, 3, 9];
    assert!(refused("regnet_x_400mf", tensors).contains("stem.0.weight"));
    assert!(refused("regnet_x_400mf", Vec::new()).contains("missing"));
}

#[test]
fn a_state_dict_of_torch_save_is_read() {
    let weights = Weights::load(&golden_path("state_dict.pth")).expect("a state dict");
    assert_eq!(weights.names().collect::<Vec<_>>(), ["a.weight", "b"]);
    let matrix = weights.tensor("a.weight").expect("there");
    assert_eq!(matrix.shape, [3, 4]);
    assert_eq!(matrix.values, (4..16).map(|value| value as f32).collect::<Vec<_>>());
    assert_eq!(weights.tensor("b").expect("there").values, [1.5, -2.0]);
}

#[test]
fn damaged_weights_and_models_are_refused_with_the_file_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = std::fs::read(golden_path("state_dict.pth")).expect("golden files are in the repository");
    for (name, bytes) in [
        ("cut.pth", &whole[..whole.len() / 2]),
        ("empty.pth", b"".as_slice()),
        ("text.safetensors", b"hello world, hello"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        for error in [
            RegNetX::load("regnet_x_400mf", &path).map(drop).expect_err("damaged"),
            OnnxNetwork::load(&path, &OnnxOptions::default()).map(drop).expect_err("damaged"),
        ] {
            assert!(matches!(error, BackboneError::BadModel { .. }), "{error}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

#[test]
fn an_onnx_model_can_be_cut_at_a_value_in_its_graph() {
    let Some(data) = data_folder() else { return };
    let path = data.join("backbones/mobilenet_v1_0.25_224_features.onnx");
    let whole = OnnxNetwork::load(&path, &OnnxOptions::default()).expect("a model");
    assert_eq!(whole.features(), 256);
    let options = |output: &str| OnnxOptions { output: Some(output.into()), size: None };
    let again = OnnxNetwork::load(&path, &options("features")).expect("a model");
    assert_eq!(again.features(), 256);
    assert_ne!(whole.digest(), again.digest());
    let error = OnnxNetwork::load(&path, &options("nothing")).map(drop).expect_err("no such value").to_string();
    assert!(error.contains("features"), "{error}");
    let wrong = OnnxNetwork::load(&path, &OnnxOptions::default()).expect("a model").extract(&[0.0; 5]);
    assert!(matches!(wrong, Err(BackboneError::BatchShape { .. })));
}
