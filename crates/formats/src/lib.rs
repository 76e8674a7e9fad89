//! Containers that other programs write, for everything here that reads tables or images.
//!
//! Each is read in one place, checked to its end where the format has a checksum, and reserves no more memory than there
//! are bytes. What the numbers mean is the caller's business: this crate knows no features, labels, pictures or
//! networks, and no names of files.

mod element;
pub mod npz;
pub mod onnx;
pub mod protobuf;
pub mod splits;

pub use element::Element;
