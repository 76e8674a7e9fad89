//! The networks behind [`crate::Backbone`]: any ONNX model, and torchvision's RegNetX family built as one.

mod graph;
mod onnx;
mod protobuf;
mod regnet;

pub use onnx::{OnnxNetwork, OnnxOptions};
pub use regnet::RegNetX;
