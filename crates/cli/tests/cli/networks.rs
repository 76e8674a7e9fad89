//! Backbones from files: ONNX models and RegNetX weights.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, TensorView};

use crate::pictures::{class_folder, external_onnx, means_onnx, softmax_onnx};
use crate::support::Scratch;

/// The features of a table without labels, a row an image.
fn rows(scratch: &Scratch, file: &str) -> Vec<Vec<f64>> {
    let text = String::from_utf8(scratch.read(file)).unwrap();
    text.lines().map(|line| line.split(',').map(|field| field.parse().unwrap()).collect()).collect()
}

#[test]
fn an_onnx_model_gets_its_preprocessing_from_flags_a_file_beside_it_or_a_stated_default() {
    let scratch = Scratch::new();
    scratch.write("means.onnx", means_onnx());
    one_picture(&scratch);
    let extract = |more: &str| {
        let command = format!("extract --images one.png --backbone means.onnx --out t.csv --force {more}");
        let (_, notes) = scratch.both(&command);
        let found: Vec<f64> = rows(&scratch, "t.csv")[0].iter().map(|value| (value * 1e4).round() / 1e4).collect();
        (found, notes)
    };
    let (default, notes) = extract("");
    assert_eq!(default, [1.0, -1.0, -0.6]);
    assert!(notes.starts_with("note: means.onnx") && notes.contains("x / 127.5 - 1"), "{notes}");
    assert_eq!(extract("--preprocess paper"), (vec![1.0, 0.0, 0.2], String::new()));
    assert_eq!(extract("--mean 0 --std 1,2,0.5 --channels bgr").0, [0.4, 0.0, 1.0]);
    assert_eq!(extract("--output pooled").0, [1.0, -1.0, -0.6]);
    scratch.write("settings.toml", "mean = [0, 0, 0]\nstd = [1, 1, 1]\nchannels = \"bgr\"\n");
    assert_eq!(extract("--preprocess settings.toml").0, [0.2, 0.0, 1.0]);
    scratch.write("means.toml", "mean = [0, 0, 0]\nstd = [0.1, 0.1, 0.1]\n");
    assert_eq!(extract(""), (vec![10.0, 0.0, 2.0], String::new()));
    assert_eq!(extract("--std 1").0, [1.0, 0.0, 0.2]);

    let bad = |more: &str, parts: &[&str]| {
        scratch.fails(2, &format!("extract --images one.png --backbone means.onnx --out u.csv {more}"), parts);
    };
    bad("--output nothing", &["means.onnx", "nothing", "features"]);
    bad("--preprocess imagenet", &["imagenet", "torchvision"]);
    bad("--preprocess absent.toml", &["absent.toml"]);
    bad("--weights w.pth", &["--weights"]);
    bad("--std 0", &["std"]);
    bad("--input-size 7x7", &["means.onnx", "6 x 6"]);
    scratch.write("means.toml", "size = 3");
    bad("", &["means.toml", "size"]);
    let broken = means_onnx();
    scratch.write("broken.onnx", &broken[..broken.len() / 2]);
    scratch.fails(2, "extract --images one.png --backbone broken.onnx --out u.csv", &["broken.onnx"]);
    scratch.fails(2, "extract --images one.png --backbone absent.onnx --out u.csv", &["absent.onnx"]);
}

/// A picture of one colour: red 255, green 0, blue 51, which is 1, -1 and -0.6 to a network.
fn one_picture(scratch: &Scratch) {
    let picture = ciphertune_backbone::Picture::new(6, 6, 3, [255u8, 0, 51].repeat(36)).unwrap();
    scratch.write("one.png", picture.to_png());
}

#[test]
fn weights_beside_an_onnx_model_are_read_from_its_folder_alone() {
    let scratch = Scratch::new();
    one_picture(&scratch);
    let extract = "extract --images one.png --out t.csv --force --backbone";
    scratch.make("model");
    scratch.write("model/m.onnx", external_onnx("m.onnx.data"));
    scratch.fails(2, &format!("{extract} model/m.onnx"), &["model/m.onnx", "\"m.onnx.data\"", "fetch that file too"]);
    let factors: Vec<u8> = [2f32, 3.0, 5.0].iter().flat_map(|factor| factor.to_le_bytes()).collect();
    let data = [&[0xff; 8][..], &factors].concat();
    scratch.write("model/m.onnx.data", &data[..19]);
    scratch.fails(2, &format!("{extract} model/m.onnx"), &["m.onnx.data", "has 19 bytes", "12 from byte 8"]);
    scratch.write("model/m.onnx.data", &data);
    scratch.succeeds(&format!("{extract} model/m.onnx"));
    let found: Vec<f64> = rows(&scratch, "t.csv")[0].iter().map(|value| (value * 1e4).round() / 1e4).collect();
    assert_eq!(found, [2.0, -3.0, -3.0]);

    // Above the model's folder, and by an absolute path.
    scratch.write("m.onnx.data", &data);
    let absolute = scratch.path("m.onnx.data").display().to_string();
    for place in ["../m.onnx.data", &absolute] {
        scratch.write("model/m.onnx", external_onnx(place));
        scratch.fails(2, &format!("{extract} model/m.onnx"), &["model/m.onnx", "outside of the model's folder"]);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(scratch.path("m.onnx.data"), scratch.path("model/link")).unwrap();
        scratch.write("model/m.onnx", external_onnx("link"));
        scratch.fails(2, &format!("{extract} model/m.onnx"), &["\"link\"", "outside of the model's folder"]);
    }
}

#[test]
fn a_model_that_ends_in_a_softmax_is_warned_of_until_a_layer_before_it_is_taken() {
    let scratch = Scratch::new();
    one_picture(&scratch);
    scratch.write("soft.onnx", softmax_onnx());
    let extract = "extract --images one.png --backbone soft.onnx --out t.csv --force";
    let (_, notes) = scratch.both(extract);
    for part in ["warning: soft.onnx", "\"classes\" is a Softmax", "poor features", "--output", "features, pooled"] {
        assert!(notes.contains(part), "{part:?} is missing in: {notes}");
    }
    let sum: f64 = rows(&scratch, "t.csv")[0].iter().sum();
    assert!((sum - 1.0).abs() < 1e-5, "taken all the same: {sum}");
    let (_, notes) = scratch.both(&format!("{extract} --output features"));
    assert!(!notes.contains("Softmax"), "{notes}");
}

/// Weights of the form of torchvision's regnet_x_400mf, a block a stage and narrow but for the last.
fn small_regnet() -> Vec<u8> {
    let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    let mut insert = |name: String, shape: Vec<usize>, value: fn(usize) -> f32| {
        let bytes = (0..shape.iter().product()).flat_map(|at| value(at).to_le_bytes()).collect();
        tensors.insert(name, (shape, bytes));
    };
    let mut convolution = |stem: &str, shape: [usize; 4]| {
        insert(format!("{stem}.0.weight"), shape.to_vec(), |at| ((at * 31 % 17) as f32 - 8.0) / 40.0);
        for part in ["weight", "running_var"] {
            insert(format!("{stem}.1.{part}"), vec![shape[0]], |_| 1.0);
        }
        for part in ["bias", "running_mean"] {
            insert(format!("{stem}.1.{part}"), vec![shape[0]], |at| at as f32 / 1000.0);
        }
    };
    convolution("stem", [8, 3, 3, 3]);
    let mut inputs = 8;
    for (stage, width) in [16, 16, 16, 400].into_iter().enumerate() {
        let block = format!("trunk_output.block{0}.block{0}-0", stage + 1);
        convolution(&format!("{block}.proj"), [width, inputs, 1, 1]);
        convolution(&format!("{block}.f.a"), [width, inputs, 1, 1]);
        convolution(&format!("{block}.f.b"), [width, 16, 3, 3]);
        convolution(&format!("{block}.f.c"), [width, width, 1, 1]);
        inputs = width;
    }
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("as many bytes as the shape says"))
    });
    safetensors::serialize(views, None).expect("a state dict")
}

#[test]
fn regnet_needs_its_weights_and_says_when_they_are_not_torchvisions() {
    let scratch = Scratch::new();
    class_folder(&scratch, "set", 2, 0);
    let extract = "extract --images set --out t.safetensors --backbone";
    scratch.fails(2, &format!("{extract} regnet_x_400mf"), &["--weights", "regnet_x_400mf-62229a5f.pth", "https://"]);
    scratch.fails(2, &format!("{extract} resnet50"), &["resnet50", "regnet_x_400mf", "builtin"]);
    scratch.write("w.pth", b"PK\x03\x04 nothing");
    scratch.fails(2, &format!("{extract} regnet_x_400mf --weights w.pth"), &["w.pth"]);
    scratch.fails(2, &format!("{extract} builtin --weights w.pth"), &["builtin", "--weights"]);
    scratch.fails(2, "extract --images set --out t.csv", &["--backbone", "builtin"]);

    scratch.write("w.safetensors", small_regnet());
    scratch.fails(2, &format!("{extract} regnet_x_800mf --weights w.safetensors"), &["w.safetensors", "672"]);
    let (out, notes) = scratch.both(&format!("{extract} regnet_x_400mf --weights w.safetensors"));
    assert!(out.contains("400 features") && out.contains("224 x 224") && out.contains("shorter side to 256"), "{out}");
    assert!(out.contains("not torchvision's, SHA-256"), "{out}");
    assert!(notes.contains("w.safetensors is none of torchvision's") && notes.contains("adf1edd5"), "{notes}");
}

#[test]
fn flags_about_images_are_refused_where_there_are_none() {
    let scratch = Scratch::new();
    scratch.write("t.csv", crate::support::table(60, 6, 3, 1));
    scratch.fails(2, "run --train t.csv --holdout 0.2 --backbone builtin", &["--backbone", "feature table"]);
    scratch.fails(2, "keygen --train t.csv --out KEYS --skip-bad", &["--skip-bad", "feature table"]);
    for usage in ["run --train t.csv --images t --holdout 0.2", "run --train t.csv --labels l --holdout 0.2", "extract"]
    {
        let output = scratch.ciphertune(usage);
        assert_eq!(output.status.code(), Some(2), "{usage}");
    }
    scratch.fails(2, "extract --images t.csv --backbone builtin --out t.ods", &["t.ods", ".safetensors, .npz or .csv"]);
}
