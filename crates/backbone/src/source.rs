//! Sets of images, one after the other: an iterator of [`Sample`]s whatever the form on disc.
//!
//! | form | recognised by | labels |
//! |---|---|---|
//! | folder with a sub-folder a class | a folder that holds folders | the sub-folder's name |
//! | folder of images | a folder that holds image files | none |
//! | list | `.csv`: path, label; paths relative to the list | the second column, if any |
//! | idx (MNIST), also gzipped | its magic number | a second idx file |
//! | CIFAR-10 binary | `.bin`, or a folder with `data_batch_1.bin` | in the file |
//! | NumPy | `.npz` with `images` (uint8, n x h x w or n x h x w x 3) | its array `labels`, if any; parts as MedMNIST or Keras name them |
//! | one image | its content: PNG, JPEG, BMP, WebP, GIF, TIFF, DICOM | none |
//!
//! Image files are told by their content, whatever they are called. Nothing is held but the list of paths: images are
//! read when their turn comes.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use ciphertune_formats::splits::Split;
use sha2::{Digest, Sha256};

use crate::decode::{HEAD_BYTES, ImageFormat, MAX_FILE_BYTES, holds_more_than_one};
use crate::error::{BackboneError, Result};
use crate::picture::Picture;

mod cifar;
mod files;
mod idx;
mod npz;

/// One image of a set, not yet decoded.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The image's file, or its container and its number in it, counted from 1.
    pub name: String,
    /// Its class, where the set has labels.
    pub label: Option<String>,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Encoded(Vec<u8>),
    Pixels(Picture),
}

impl Sample {
    /// A sample from the bytes of an image file.
    pub fn encoded(name: String, label: Option<String>, bytes: Vec<u8>) -> Self {
        Self { name, label, content: Content::Encoded(bytes) }
    }

    /// A sample from pixels.
    pub fn pixels(name: String, label: Option<String>, picture: Picture) -> Self {
        Self { name, label, content: Content::Pixels(picture) }
    }

    /// The picture.
    ///
    /// # Errors
    /// [`BackboneError::BadImage`] as [`Picture::decode`].
    pub fn decode(&self) -> Result<Picture> {
        match &self.content {
            Content::Encoded(bytes) => Picture::decode(&self.name, bytes),
            Content::Pixels(picture) => Ok(picture.clone()),
        }
    }

    /// Whether its file holds more pictures than the one that is decoded: frames of an animation, or pages.
    pub fn is_first_of_several(&self) -> bool {
        match &self.content {
            Content::Encoded(bytes) => holds_more_than_one(bytes),
            Content::Pixels(_) => false,
        }
    }

    /// The bytes that the sample holds.
    pub(crate) fn bytes(&self) -> usize {
        match &self.content {
            Content::Encoded(bytes) => bytes.len(),
            Content::Pixels(picture) => picture.pixels().len(),
        }
    }

    /// SHA-256 of the content: of the file's bytes, or of the shape and the pixels. Name and label do not enter.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        match &self.content {
            Content::Encoded(bytes) => {
                hash.update(b"encoded");
                hash.update(bytes);
            }
            Content::Pixels(picture) => {
                hash.update(b"pixels");
                for size in [picture.width(), picture.height(), picture.channels()] {
                    hash.update((size as u64).to_le_bytes());
                }
                hash.update(picture.pixels());
            }
        }
        hash.finalize().into()
    }
}

/// A set of images, read one by one.
///
/// An item is an error when an image's file cannot be read ([`BackboneError::is_one_image`]: the next item is the next
/// image) or when the set itself is damaged (the iterator ends after it).
pub struct Source {
    images: Option<usize>,
    samples: Samples,
}

enum Samples {
    /// In files of their own.
    Files(files::Files),
    /// Read one after the other from something else.
    Stream(Box<dyn Iterator<Item = Result<Sample>> + Send>),
}

impl Source {
    /// Opens a set of images in any of the module's forms. `labels` is the labels' file of an idx set, and only of one.
    ///
    /// # Errors
    /// [`BackboneError::File`], [`BackboneError::NoImages`], and [`BackboneError::BadSource`] for what is not of these
    /// forms, or whose header is wrong, or when `labels` is given for a form that has its own.
    pub fn open(path: &Path, labels: Option<&Path>) -> Result<Self> {
        Self::open_part(path, labels, None)
    }

    /// As [`Source::open`], of an archive that holds several parts one of them; without a name, the part to train on.
    ///
    /// # Errors
    /// As [`Source::open`], and [`BackboneError::BadSource`] for what has no such part.
    pub fn open_part(path: &Path, labels: Option<&Path>, split: Option<Split>) -> Result<Self> {
        let source = match recognise(path)? {
            form if split.is_some() && !matches!(form, Form::Npz) => {
                return Err(BackboneError::source(path, "only an .npz of several parts has a --split: leave it out"));
            }
            Form::Idx => return idx::open(path, labels),
            _ if labels.is_some() => {
                return Err(BackboneError::source(path, "a file of labels belongs to idx images only: leave it out"));
            }
            Form::Folder => files::open_folder(path),
            Form::List => files::open_list(path),
            Form::Image => Ok(files::open_one(path)),
            Form::Cifar(batches) => cifar::open(path, batches),
            // With a file of labels it was refused above.
            Form::Npz => npz::open(path, split),
        }?;
        if source.images == Some(0) {
            return Err(BackboneError::NoImages { path: path.to_owned() });
        }
        Ok(source)
    }

    /// A set from samples that are already at hand; `images` is how many, where it is known.
    pub fn from_samples(images: Option<usize>, samples: impl Iterator<Item = Result<Sample>> + Send + 'static) -> Self {
        Self { images, samples: Samples::Stream(Box::new(samples)) }
    }

    /// The same images with every class in turn, so that the first n hold as many of each class as can be: the first of
    /// each class in the order of the classes, then the second of each, and so on.
    ///
    /// Only folders with a sub-folder a class are put in another order: any other set has one that somebody gave it.
    pub fn classes_in_turn(self) -> Self {
        match self.samples {
            Samples::Files(files) => Self { samples: Samples::Files(files.classes_in_turn()), ..self },
            samples => Self { samples, ..self },
        }
    }

    /// The number of images in the set, where it is known before reading.
    pub fn images(&self) -> Option<usize> {
        self.images
    }
}

impl Iterator for Source {
    type Item = Result<Sample>;

    fn next(&mut self) -> Option<Self::Item> {
        self.nth(0)
    }

    // Files of their own are passed over without being read.
    fn nth(&mut self, n: usize) -> Option<Self::Item> {
        match &mut self.samples {
            Samples::Files(files) => files.nth(n),
            Samples::Stream(samples) => samples.nth(n),
        }
    }
}

enum Form {
    Folder,
    List,
    Image,
    Idx,
    Cifar(Vec<std::path::PathBuf>),
    Npz,
}

fn recognise(path: &Path) -> Result<Form> {
    let metadata = std::fs::metadata(path).map_err(BackboneError::file(path))?;
    if metadata.is_dir() {
        let batches = cifar::batches_of(path);
        return Ok(if batches.is_empty() { Form::Folder } else { Form::Cifar(batches) });
    }
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut head));
    if read.map_err(BackboneError::file(path))? == 0 {
        return Err(BackboneError::source(path, "the file is empty"));
    }
    if ImageFormat::of(&head).is_some() {
        return Ok(Form::Image);
    }
    match extension(path).as_str() {
        "csv" => Ok(Form::List),
        "npz" => Ok(Form::Npz),
        "bin" => Ok(Form::Cifar(vec![path.to_owned()])),
        // It is refused as the damaged image that it is, with its name.
        known if files::is_image_extension(known) => Ok(Form::Image),
        _ if head.starts_with(&[0x1f, 0x8b]) || head.starts_with(&[0, 0, 8]) => Ok(Form::Idx),
        _ => Err(BackboneError::source(
            path,
            "not a known form of images: give a folder, a .csv list, an idx file, CIFAR-10's .bin, an .npz or an image",
        )),
    }
}

fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

/// The bytes of an image's file, at most [`MAX_FILE_BYTES`] of them.
fn read_image_file(path: &Path) -> Result<Vec<u8>> {
    let name = path.display().to_string();
    let bad = |error: std::io::Error| BackboneError::image(&name, error.to_string());
    let file = File::open(path).map_err(bad)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(bad)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(BackboneError::image(&name, format!("the file is larger than {} MiB", MAX_FILE_BYTES >> 20)));
    }
    Ok(bytes)
}

/// The file's length, its position left at the start.
fn length(file: &mut File) -> std::io::Result<u64> {
    let length = file.seek(std::io::SeekFrom::End(0))?;
    file.rewind()?;
    Ok(length)
}

/// A container's records: `read(i)` for `i` from 0, ending after the first error.
fn records(images: usize, mut read: impl FnMut(usize) -> Result<Sample> + Send + 'static) -> Source {
    let mut failed = false;
    let samples = (0..images).map_while(move |record| {
        if failed {
            return None;
        }
        let sample = read(record);
        failed = sample.is_err();
        Some(sample)
    });
    Source::from_samples(Some(images), samples)
}
