//! What tools/backbone_golden.py fills pictures and weights with, again.

#![allow(dead_code)]

use ciphertune_backbone::Picture;

/// `count` values in [-1, 1): a hash of the name and the index.
pub fn uniform(name: &str, count: usize) -> Vec<f32> {
    let start = name.bytes().fold(2166136261u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16777619));
    let value = |index: usize| {
        let mut hash = (index as u32).wrapping_mul(2654435761).wrapping_add(start);
        hash = (hash ^ (hash >> 16)).wrapping_mul(0x7FEB352D);
        hash = (hash ^ (hash >> 15)).wrapping_mul(0x846CA68B);
        hash ^= hash >> 16;
        (hash >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(value).collect()
}

/// A smooth ramp with noise.
pub fn picture(width: usize, height: usize, channels: usize) -> Picture {
    let noise = uniform(&format!("picture {width}x{height}x{channels}"), width * height * channels);
    let pixel = |(at, noise): (usize, f32)| {
        let (row, column) = (at / channels / width, at / channels % width);
        ((noise + 1.0) * 64.0) as u8 + ((row * 7 + column * 3) % 128) as u8
    };
    Picture::new(width, height, channels, noise.into_iter().enumerate().map(pixel).collect())
        .expect("a picture's shape")
}

/// A folder with the files the tests need but the repository does not hold, if the environment names one.
pub fn data_folder() -> Option<std::path::PathBuf> {
    let folder = std::env::var_os("CIPHERTUNE_DATA");
    if folder.is_none() {
        eprintln!("skipped: CIPHERTUNE_DATA names no folder with mnist, backbones and mnist_mobilenet_v1_0.75");
    }
    folder.map(Into::into)
}

/// A golden file of this crate.
pub fn golden(file: &str) -> serde_json::Value {
    let path = golden_path(file);
    let text = std::fs::read_to_string(path).expect("golden files are in the repository");
    serde_json::from_str(&text).expect("golden files are JSON")
}

/// Where a golden file is.
pub fn golden_path(file: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
}

/// A number of a golden file.
pub fn number(value: &serde_json::Value) -> f64 {
    value.as_f64().expect("a number")
}

/// A whole number of a golden file.
pub fn whole(value: &serde_json::Value) -> usize {
    value.as_u64().expect("a whole number") as usize
}
