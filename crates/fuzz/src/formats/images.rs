//! Pictures and sets of pictures.

use std::io::{Cursor, Write};
use std::path::Path;

use ciphertune_backbone::{Picture, Source};
use flate2::Compression;
use flate2::write::GzEncoder;
use image::{DynamicImage, ImageFormat, RgbImage};
use zip::CompressionMethod;

use super::tables::{archive, npy};
use super::{Format, bytes, hash};

const SIDE: u32 = 12;

fn encoded(format: ImageFormat) -> Vec<u8> {
    let pixel = |x, y| image::Rgb([(x * 20) as u8, (y * 20) as u8, ((x + y) * 9) as u8]);
    let picture = DynamicImage::ImageRgb8(RgbImage::from_fn(SIDE, SIDE, pixel));
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, format).expect("a picture that every format holds");
    out.into_inner()
}

fn picture(path: &Path) -> Result<u64, String> {
    let name = path.file_name().expect("a file").to_string_lossy();
    let picture = Picture::decode(&name, &bytes(path)?).map_err(|error| error.to_string())?;
    Ok(hash((picture.width(), picture.height(), picture.channels(), picture.pixels())))
}

/// All pictures of a set, with labels.
fn set(path: &Path, labels: Option<&Path>) -> Result<u64, String> {
    let mut read = Vec::new();
    for sample in Source::open(path, labels).map_err(|error| error.to_string())? {
        let sample = sample.map_err(|error| error.to_string())?;
        let picture = sample.decode().map_err(|error| error.to_string())?;
        read.push((sample.label.clone(), picture.width(), picture.pixels().to_vec()));
    }
    if read.is_empty() { Err("no picture".into()) } else { Ok(hash(read)) }
}

/// A grey DICOM picture, explicit little-endian.
fn dicom() -> Vec<u8> {
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    let mut element = |group: u16, number: u16, kind: &str, value: &[u8]| {
        file.extend([group.to_le_bytes(), number.to_le_bytes()].concat());
        file.extend(kind.as_bytes());
        if kind == "OW" {
            file.extend([&[0, 0], &(value.len() as u32).to_le_bytes()[..]].concat());
        } else {
            file.extend((value.len() as u16).to_le_bytes());
        }
        file.extend(value);
    };
    element(0x0002, 0x0010, "UI", b"1.2.840.10008.1.2.1\0");
    element(0x0008, 0x0060, "CS", b"CT");
    let whole = [(0x0002, 1), (0x0010, 6), (0x0011, 5), (0x0100, 16), (0x0101, 12), (0x0102, 11), (0x0103, 0u16)];
    element(0x0028, 0x0004, "CS", b"MONOCHROME2 ");
    for (number, value) in whole {
        element(0x0028, number, "US", &value.to_le_bytes());
    }
    for (number, value) in [(0x1050, "1024"), (0x1051, "2048"), (0x1052, "-8"), (0x1053, "2 ")] {
        element(0x0028, number, "DS", value.as_bytes());
    }
    let pixels: Vec<u8> = (0..30u16).flat_map(|value| (value * 100).to_le_bytes()).collect();
    element(0x7fe0, 0x0010, "OW", &pixels);
    file
}

fn idx(sizes: &[u32], values: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sizes.len() as u8];
    file.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    file.extend(values);
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::default());
    writer.write_all(bytes).expect("memory");
    writer.finish().expect("memory")
}

pub fn formats() -> Vec<Format> {
    let images = idx(&[6, 7, 5], (0..210).map(|k| (k * 37 % 251) as u8));
    let labels = idx(&[6], (0..6).map(|k| k % 2));
    let cifar: Vec<u8> =
        (0..2).flat_map(|record| (0..3073usize).map(move |k| if k == 0 { record } else { (k % 251) as u8 })).collect();
    let pixels: Vec<u8> = (0..4 * 6 * 6).map(|k| (k * 7 % 256) as u8).collect();
    let (x, y) = (npy("|u1", "(4, 6, 6)", &pixels), npy("|u1", "(4, 1)", &[0, 1, 0, 1]));
    let npz = archive(&[("train_images.npy", &x), ("train_labels.npy", &y)], CompressionMethod::Deflated);
    let beside = labels.clone();
    let with_labels = |path: &Path| set(path, Some(&path.with_file_name("labels-idx1-ubyte")));
    let as_labels = |path: &Path| set(&path.with_file_name("images-idx3-ubyte"), Some(path));
    vec![
        Format::new("png", "picture.png", encoded(ImageFormat::Png), picture).checked(),
        Format::new("jpeg", "picture.jpg", encoded(ImageFormat::Jpeg), picture),
        Format::new("bmp", "picture.bmp", encoded(ImageFormat::Bmp), picture),
        Format::new("gif", "picture.gif", encoded(ImageFormat::Gif), picture),
        Format::new("tiff", "picture.tif", encoded(ImageFormat::Tiff), picture),
        Format::new("webp", "picture.webp", encoded(ImageFormat::WebP), picture),
        Format::new("dicom", "picture.dcm", dicom(), picture),
        Format::new("idx", "images-idx3-ubyte", images.clone(), with_labels)
            .beside("labels-idx1-ubyte", beside.clone()),
        Format::new("idx-labels", "labels-idx1-ubyte", labels, as_labels).beside("images-idx3-ubyte", images.clone()),
        Format::new("idx-gzip", "images-idx3-ubyte.gz", gzip(&images), with_labels)
            .checked()
            .layer(images, |images| gzip(&images))
            .beside("labels-idx1-ubyte", beside),
        Format::new("cifar", "data_batch_1.bin", cifar, |path| set(path, None)),
        Format::new("images-npz", "images.npz", npz, |path| set(path, None)).checked().layer(x, move |x| {
            archive(&[("train_images.npy", &x), ("train_labels.npy", &y)], CompressionMethod::Stored)
        }),
    ]
}
