//! The backbone that comes with the program.

mod common;

use ciphertune_backbone::{Backbone, Builtin, Picture};
use common::{golden, number, uniform};

/// The network's input of a picture.
fn input(network: &Builtin, picture: &Picture) -> Vec<f32> {
    let size = network.input_size();
    network.preprocess().apply(picture, size.width, size.height).expect("its own preprocessing")
}

/// A ring of 8 x 8 pixels.
fn ring(channels: usize) -> Picture {
    let pixel = |at: usize| {
        let (x, y) = ((at % 8) as f32 - 3.5, (at / 8) as f32 - 3.5);
        (255.0 - 160.0 * ((x * x + y * y).sqrt() - 2.5).abs()).max(0.0) as u8
    };
    let pixels = (0..64).flat_map(|at| std::iter::repeat_n(pixel(at), channels)).collect();
    Picture::new(8, 8, channels, pixels).expect("8 x 8 pixels")
}

#[test]
fn features_equal_pytorchs_to_1e_4() {
    let network = Builtin::load().expect("no file is needed");
    let golden = golden("builtin.json");
    let size = network.input_size();
    let list = |value: &serde_json::Value| value.as_array().expect("a list").clone();
    let mut batch = Vec::new();
    for name in list(&golden["inputs"]) {
        let values = uniform(name.as_str().expect("a name"), size.values());
        batch.extend(values.iter().map(|value| (value + 1.0) / 2.0));
    }
    let features = network.extract(&batch).expect("a batch of three");
    assert_eq!((features.rows(), features.columns()), (3, network.features()));
    for (row, expected) in list(&golden["outputs"]).iter().enumerate() {
        let expected: Vec<f64> = list(expected).iter().map(number).collect();
        let largest = expected.iter().copied().fold(0.0, f64::max);
        assert!(largest > 0.1, "the golden row {row} says nothing");
        for (&found, &expected) in features.row(row).iter().zip(&expected) {
            let difference = (f64::from(found) - expected).abs();
            assert!(difference < 1e-4 * expected.max(0.01 * largest), "row {row}: {found} and {expected}");
        }
    }
}

#[test]
fn the_same_picture_gives_the_same_features_and_digest_every_time() {
    let (first, second) = (Builtin::load().expect("loads"), Builtin::load().expect("loads"));
    assert_eq!(first.digest(), second.digest());
    let picture = input(&first, &ring(1));
    let features = first.extract(&picture).expect("a picture");
    assert_eq!(features, second.extract(&picture).expect("a picture"));
    let twice = first.extract(&[picture.clone(), picture].concat()).expect("two pictures");
    assert_eq!(twice.row(0), features.row(0), "a batch changes nothing");
    assert_eq!(twice.row(1), features.row(0), "a batch changes nothing");
}

#[test]
fn a_grey_picture_and_the_same_in_three_equal_channels_have_the_same_features() {
    let network = Builtin::load().expect("loads");
    let grey = network.extract(&input(&network, &ring(1))).expect("a picture");
    let colour = network.extract(&input(&network, &ring(3))).expect("a picture");
    assert_eq!(grey, colour);
}

#[test]
fn the_weights_are_at_most_one_megabyte() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/network/builtin.safetensors");
    let length = std::fs::metadata(path).expect("the weights are in the repository").len();
    assert!((100_000..=1_000_000).contains(&length), "{length} bytes");
}

#[test]
fn a_batch_that_is_no_whole_number_of_pictures_is_refused() {
    let network = Builtin::load().expect("loads");
    let error = network.extract(&[0.0; 3 * 32 * 32 + 1]).expect_err("a number too many");
    assert!(error.to_string().contains("preprocess"), "{error}");
}
