//! A head as an ONNX model.
//!
//! The graph takes `features` (float32, N x features) and gives `logits` and `probabilities` (float32, N x classes;
//! sigmoids divided by their sum) and `label` (N): whole numbers as int64, other names as strings. Opset 13, IR version 7,
//! operators Gemm, ArgMax, Gather and those of [`probability_nodes`].
//!
//! The messages are the few of ONNX's schema (onnx.proto3, Apache-2.0) that a linear model needs, declared by hand with
//! the schema's field numbers: generating them would need a protobuf compiler on every machine that builds.

use super::Head;
use crate::linalg::to_rows;
use crate::{HeadError, Result};
use messages::{Attribute, Entry, Graph, Model, Node, Opset, Tensor, ValueInfo, data_type};
use prost::Message;

const IR_VERSION: i64 = 7;
const OPSET: i64 = 13;

impl Head {
    /// The head as the bytes of an `.onnx` file. Weights are rounded to single precision.
    ///
    /// # Errors
    ///
    /// [`HeadError::InvalidArtefact`] for a weight or bias that is too large for single precision.
    pub fn to_onnx(&self) -> Result<Vec<u8>> {
        let (classes, features) = (self.classes.len() as i64, self.features() as i64);
        let (class_names, label_type) = self.class_names_tensor();
        let graph = Graph {
            name: "ciphertune_head".to_owned(),
            node: [
                vec![node("Gemm", &["features", "weight", "bias"], "logits", vec![integer("transB", 1)])],
                probability_nodes(),
                vec![
                    node("ArgMax", &["logits"], "index", vec![integer("axis", 1), integer("keepdims", 0)]),
                    node("Gather", &["class_names", "index"], "label", vec![integer("axis", 0)]),
                ],
            ]
            .concat(),
            initializer: vec![
                floats("weight", &[classes, features], &to_rows(&self.weight))?,
                floats("bias", &[classes], self.bias.as_slice())?,
                class_names,
                floats("one", &[1], &[1.0])?,
            ],
            input: vec![ValueInfo::new("features", data_type::FLOAT, Some(features))],
            output: vec![
                ValueInfo::new("logits", data_type::FLOAT, Some(classes)),
                ValueInfo::new("probabilities", data_type::FLOAT, Some(classes)),
                ValueInfo::new("label", label_type, None),
            ],
        };
        let names = serde_json::to_string(self.classes.names()).expect("a list of strings is JSON");
        let model = Model {
            ir_version: IR_VERSION,
            producer_name: "ciphertune".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(graph),
            opset_import: vec![Opset { domain: String::new(), version: OPSET }],
            metadata_props: vec![Entry { key: "classes".to_owned(), value: names }],
        };
        Ok(model.encode_to_vec())
    }

    /// The class names and their type: int64 if all of them are such numbers.
    fn class_names_tensor(&self) -> (Tensor, i32) {
        let names = self.classes.names();
        let mut tensor = Tensor { name: "class_names".to_owned(), dims: vec![names.len() as i64], ..Tensor::default() };
        let numbers: Option<Vec<i64>> = names.iter().map(|name| name.parse().ok()).collect();
        match numbers {
            Some(numbers) => {
                tensor.data_type = data_type::INT64;
                tensor.raw_data = numbers.into_iter().flat_map(i64::to_le_bytes).collect();
            }
            None => {
                tensor.data_type = data_type::STRING;
                tensor.string_data = names.iter().map(|name| name.as_bytes().to_vec()).collect();
            }
        }
        let label_type = tensor.data_type;
        (tensor, label_type)
    }
}

/// From `logits` to `probabilities`, as [`crate::metrics::probabilities`] does it: the softmax of
///
/// ```text
/// ln sigma(z) = -(max(-z, 0) + ln(1 + exp(-|z|)))
/// ```
///
/// In single precision all sigmoids of a row vanish from logits of -104 on, and a sum of them is no divisor; nor would
/// every runtime's Softplus survive an exponential that overflows. Nothing here can.
fn probability_nodes() -> Vec<Node> {
    let step = |operator: &str, inputs: &[&str], output: &str| node(operator, inputs, output, vec![]);
    vec![
        step("Neg", &["logits"], "minus_logits"),
        step("Relu", &["minus_logits"], "excess"),
        step("Abs", &["logits"], "size"),
        step("Neg", &["size"], "minus_size"),
        step("Exp", &["minus_size"], "exponential"),
        step("Add", &["exponential", "one"], "one_more"),
        step("Log", &["one_more"], "rest"),
        step("Add", &["excess", "rest"], "minus_log_sigmoid"),
        step("Neg", &["minus_log_sigmoid"], "log_sigmoid"),
        node("Softmax", &["log_sigmoid"], "probabilities", vec![integer("axis", 1)]),
    ]
}

fn node(operator: &str, inputs: &[&str], output: &str, attribute: Vec<Attribute>) -> Node {
    Node {
        input: inputs.iter().map(|input| input.to_string()).collect(),
        output: vec![output.to_owned()],
        name: output.to_owned(),
        op_type: operator.to_owned(),
        attribute,
    }
}

fn integer(name: &str, value: i64) -> Attribute {
    Attribute { name: name.to_owned(), i: value, r#type: messages::ATTRIBUTE_INT }
}

fn floats(name: &str, shape: &[i64], values: &[f64]) -> Result<Tensor> {
    if let Some(value) = values.iter().find(|value| !(**value as f32).is_finite()) {
        return Err(HeadError::InvalidArtefact(format!(
            "the {name} {value:e} is too large for the single precision of ONNX: export JSON, or scale the features"
        )));
    }
    Ok(Tensor {
        name: name.to_owned(),
        dims: shape.to_vec(),
        data_type: data_type::FLOAT,
        raw_data: values.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect(),
        ..Tensor::default()
    })
}

/// The part of ONNX's schema in use; numbers are the schema's.
pub(super) mod messages {
    use prost::{Message, Oneof};

    /// AttributeProto.AttributeType.INT.
    pub const ATTRIBUTE_INT: i32 = 2;

    /// TensorProto.DataType.
    pub mod data_type {
        pub const FLOAT: i32 = 1;
        pub const INT64: i32 = 7;
        pub const STRING: i32 = 8;
    }

    /// ModelProto.
    #[derive(Clone, PartialEq, Message)]
    pub struct Model {
        #[prost(int64, tag = "1")]
        pub ir_version: i64,
        #[prost(string, tag = "2")]
        pub producer_name: String,
        #[prost(string, tag = "3")]
        pub producer_version: String,
        #[prost(message, optional, tag = "7")]
        pub graph: Option<Graph>,
        #[prost(message, repeated, tag = "8")]
        pub opset_import: Vec<Opset>,
        #[prost(message, repeated, tag = "14")]
        pub metadata_props: Vec<Entry>,
    }

    /// OperatorSetIdProto.
    #[derive(Clone, PartialEq, Message)]
    pub struct Opset {
        #[prost(string, tag = "1")]
        pub domain: String,
        #[prost(int64, tag = "2")]
        pub version: i64,
    }

    /// StringStringEntryProto.
    #[derive(Clone, PartialEq, Message)]
    pub struct Entry {
        #[prost(string, tag = "1")]
        pub key: String,
        #[prost(string, tag = "2")]
        pub value: String,
    }

    /// GraphProto.
    #[derive(Clone, PartialEq, Message)]
    pub struct Graph {
        #[prost(message, repeated, tag = "1")]
        pub node: Vec<Node>,
        #[prost(string, tag = "2")]
        pub name: String,
        #[prost(message, repeated, tag = "5")]
        pub initializer: Vec<Tensor>,
        #[prost(message, repeated, tag = "11")]
        pub input: Vec<ValueInfo>,
        #[prost(message, repeated, tag = "12")]
        pub output: Vec<ValueInfo>,
    }

    /// NodeProto.
    #[derive(Clone, PartialEq, Message)]
    pub struct Node {
        #[prost(string, repeated, tag = "1")]
        pub input: Vec<String>,
        #[prost(string, repeated, tag = "2")]
        pub output: Vec<String>,
        #[prost(string, tag = "3")]
        pub name: String,
        #[prost(string, tag = "4")]
        pub op_type: String,
        #[prost(message, repeated, tag = "5")]
        pub attribute: Vec<Attribute>,
    }

    /// AttributeProto, for whole numbers.
    #[derive(Clone, PartialEq, Message)]
    pub struct Attribute {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(int64, tag = "3")]
        pub i: i64,
        #[prost(int32, tag = "20")]
        pub r#type: i32,
    }

    /// TensorProto.
    #[derive(Clone, PartialEq, Message)]
    pub struct Tensor {
        #[prost(int64, repeated, tag = "1")]
        pub dims: Vec<i64>,
        #[prost(int32, tag = "2")]
        pub data_type: i32,
        #[prost(bytes = "vec", repeated, tag = "6")]
        pub string_data: Vec<Vec<u8>>,
        #[prost(string, tag = "8")]
        pub name: String,
        #[prost(bytes = "vec", tag = "9")]
        pub raw_data: Vec<u8>,
    }

    /// ValueInfoProto.
    #[derive(Clone, PartialEq, Message)]
    pub struct ValueInfo {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(message, optional, tag = "2")]
        pub r#type: Option<Type>,
    }

    impl ValueInfo {
        /// A tensor of N rows, and so many columns where there are columns.
        pub fn new(name: &str, element: i32, columns: Option<i64>) -> Self {
            let rows = Dimension { value: Some(dimension::Value::Parameter("N".to_owned())) };
            let columns = columns.map(|columns| Dimension { value: Some(dimension::Value::Length(columns)) });
            let shape = Shape { dim: std::iter::once(rows).chain(columns).collect() };
            ValueInfo {
                name: name.to_owned(),
                r#type: Some(Type { tensor_type: Some(TensorType { elem_type: element, shape: Some(shape) }) }),
            }
        }
    }

    /// TypeProto.
    #[derive(Clone, PartialEq, Message)]
    pub struct Type {
        #[prost(message, optional, tag = "1")]
        pub tensor_type: Option<TensorType>,
    }

    /// TypeProto.Tensor.
    #[derive(Clone, PartialEq, Message)]
    pub struct TensorType {
        #[prost(int32, tag = "1")]
        pub elem_type: i32,
        #[prost(message, optional, tag = "2")]
        pub shape: Option<Shape>,
    }

    /// TensorShapeProto.
    #[derive(Clone, PartialEq, Message)]
    pub struct Shape {
        #[prost(message, repeated, tag = "1")]
        pub dim: Vec<Dimension>,
    }

    /// TensorShapeProto.Dimension.
    #[derive(Clone, PartialEq, Message)]
    pub struct Dimension {
        #[prost(oneof = "dimension::Value", tags = "1, 2")]
        pub value: Option<dimension::Value>,
    }

    /// The choice within a dimension.
    pub mod dimension {
        use super::Oneof;

        #[derive(Clone, PartialEq, Oneof)]
        pub enum Value {
            #[prost(int64, tag = "1")]
            Length(i64),
            #[prost(string, tag = "2")]
            Parameter(String),
        }
    }
}
