//! The networks behind [`crate::Backbone`]: any ONNX model, torchvision's RegNetX family built as one, and the small
//! network of that form whose weights come with the program.

mod builtin;
mod external;
mod graph;
mod onnx;
mod regnet;

pub use builtin::Builtin;
pub use onnx::{OnnxNetwork, OnnxOptions};
pub use regnet::RegNetX;
