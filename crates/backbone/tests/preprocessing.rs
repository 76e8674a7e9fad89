//! Resizing and the presets against Pillow and torchvision (tools/backbone_golden.py).

mod common;

use ciphertune_backbone::{Picture, Preprocess, resize};
use common::{golden, golden_path, number, picture, whole};
use sha2::{Digest, Sha256};

#[test]
fn resizing_equals_torchvision_on_pil_images_bit_by_bit() {
    let golden = golden("resize.json");
    let cases = golden["cases"].as_array().expect("a list");
    assert_eq!(cases.len(), 18);
    for case in cases {
        let original = picture(whole(&case["width"]), whole(&case["height"]), whole(&case["channels"]));
        let resized = resize::antialiased(&original, whole(&case["to_width"]), whole(&case["to_height"]));
        let first: Vec<usize> = case["first"].as_array().expect("a list").iter().map(whole).collect();
        let found: Vec<usize> = resized.pixels().iter().take(first.len()).map(|&value| value.into()).collect();
        assert_eq!(found, first, "{case}");
        assert_eq!(resized.pixels().iter().map(|&value| usize::from(value)).sum::<usize>(), whole(&case["sum"]));
        let digest: String = Sha256::digest(resized.pixels()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, case["sha256"].as_str().expect("text"), "{case}");
    }
}

#[test]
fn the_torchvision_presets_equal_the_transforms_of_the_regnet_weights() {
    let golden = golden("resize.json");
    for case in golden["transforms"].as_array().expect("a list") {
        let preset = Preprocess::preset(case["preset"].as_str().expect("text")).expect("a preset");
        let original = picture(whole(&case["width"]), whole(&case["height"]), whole(&case["channels"]));
        let planes = preset.apply(&original, 224, 224).expect("valid settings");
        let plane = 224 * 224;
        let corners = (0..3).map(|at| planes[at * plane]).chain((0..3).map(|at| planes[(at + 1) * plane - 1]));
        for (found, expected) in corners.zip(case["corner"].as_array().expect("a list")) {
            assert!((f64::from(found) - number(expected)).abs() < 1e-5, "{case}");
        }
        for (at, expected) in case["sums"].as_array().expect("a list").iter().enumerate() {
            let sum: f64 = planes[at * plane..(at + 1) * plane].iter().map(|&value| f64::from(value)).sum();
            assert!((sum - number(expected)).abs() < 0.05, "{sum} {case}");
        }
    }
}

#[test]
fn the_first_frame_of_an_animation_is_taken() {
    for file in ["animated.png", "animated.webp"] {
        let bytes = std::fs::read(golden_path(file)).expect("golden files are in the repository");
        let decoded = Picture::decode(file, &bytes).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(decoded, picture(9, 7, 3), "{file}");
    }
}
