//! What can go wrong between an image file and its features.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, BackboneError>;

/// An error of this crate. Messages name the file they are about; records in a file count from 1.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackboneError {
    /// A file or folder cannot be opened, read or written.
    #[error("{}: {source}: check the path and its permissions", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// One image of a set that cannot be used; the others can.
    #[error("{name}: {reason}; replace or remove the image, or ask for unreadable images to be skipped")]
    BadImage {
        /// The image's file, or its container and record.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A set of images (folder, list, container) that cannot be read on.
    #[error("{}: {reason}", path.display())]
    BadSource {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A set of images without a single one.
    #[error("{}: no images found: give a folder of PNG, JPEG, BMP, WebP, GIF, TIFF or DICOM files (one sub-folder a class), a CSV of path and label, idx, CIFAR-10 or .npz files", path.display())]
    NoImages {
        /// The folder or file.
        path: PathBuf,
    },
    /// A model or weights file that cannot be used.
    #[error("{}: {reason}", path.display())]
    BadModel {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// Preprocessing settings that make no sense.
    #[error("preprocessing: {0}")]
    BadPreprocess(String),
    /// A batch that does not have the shape which the backbone takes.
    #[error("the batch holds {found} numbers where {expected} are expected: preprocess to the backbone's input size")]
    BatchShape {
        /// The numbers that the shape asks for.
        expected: usize,
        /// The numbers there.
        found: usize,
    },
    /// The network failed, or produced something that is no feature vector.
    #[error("the backbone failed: {0}")]
    Inference(String),
    /// The cache is in use by another process or its folder is unusable.
    #[error("{}: {reason}: use another cache folder, or none", path.display())]
    Cache {
        /// The cache file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The caller's sink for features asked to stop.
    #[error("extraction was stopped: {0}")]
    Stopped(String),
    /// Whoever watches the extraction asked for it to end.
    #[error("stopped")]
    Cancelled,
}

impl BackboneError {
    /// Whether the error is about one image only, so that the rest of the set can still be extracted.
    pub fn is_one_image(&self) -> bool {
        matches!(self, Self::BadImage { .. })
    }

    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::File { path: path.to_owned(), source }
    }

    pub(crate) fn source(path: &Path, reason: impl Into<String>) -> Self {
        Self::BadSource { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn model(path: &Path, reason: impl Into<String>) -> Self {
        Self::BadModel { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn image(name: &str, reason: impl Into<String>) -> Self {
        Self::BadImage { name: name.to_owned(), reason: reason.into() }
    }
}
