//! Images to features: the owner's first step, before anything is encrypted. This crate knows nothing of cryptography.
//!
//! A [`Source`] gives the images of a folder, list or container one by one; a [`Preprocess`] makes each one a network's
//! input; a [`Backbone`], frozen and pretrained, makes that a feature vector; [`extract`] does all three on all cores,
//! with a cache.

mod backbone;
mod cache;
mod decode;
mod error;
mod extract;
mod network;
mod picture;
mod preprocess;
pub mod resize;
mod source;
mod version;
mod weights;

pub use backbone::{Backbone, InputSize, Matrix};
pub use cache::{cache_size, clear_cache};
pub use decode::{MAX_DECODE_BYTES, MAX_FILE_BYTES, MAX_SIDE};
pub use error::{BackboneError, Result};
pub use extract::{Collected, ExtractOptions, Progress, Row, Skipped, Summary, collect, extract};
pub use network::{Builtin, OnnxNetwork, OnnxOptions, RegNetX};
pub use picture::Picture;
pub use preprocess::{Channels, Filter, Preprocess};
pub use source::{Sample, Source};
pub use weights::{MAX_WEIGHTS_BYTES, Tensor, Weights};

/// The README's example is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
