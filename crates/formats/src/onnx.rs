//! ONNX models from outside, made safe to hand to a runtime: every length is checked against what encloses it, weights
//! that lie in files beside the model are taken in, and the outputs can be replaced.
//!
//! Runtimes reserve memory for the lengths that a file claims; [`prepare`] refuses a model in which any of them reaches
//! past the message that it stands in, and one whose messages are nested deeper than any real model's. It checks the
//! sizes in the attributes of convolutions and poolings as well. What it does not bound is the memory that a valid model
//! asks for when it runs: a graph may compute a shape.

use crate::protobuf::{Message, fields};

/// Messages within messages: a graph in a branch of a graph is some five of them.
const DEEPEST: usize = 64;

/// The largest kernel, stride, dilation or padding.
const LARGEST_EXTENT: u64 = 1 << 13;

/// Attributes that are extents.
const EXTENTS: [&[u8]; 6] = [b"kernel_shape", b"strides", b"dilations", b"pads", b"output_padding", b"output_shape"];

/// Where a tensor's values lie when they are not in the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct External {
    /// The file, as the model names it.
    pub location: String,
    /// The first byte.
    pub offset: u64,
    /// How many bytes; `None`: to the end.
    pub length: Option<u64>,
}

/// The messages of a model that lead to lengths, tensors or graphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    SequenceType,
    Shape,
    /// A message of numbers and text only.
    Leaf,
}

impl Kind {
    /// The message in a field of it (numbers as in onnx.proto3).
    fn of(self, field: u32) -> Option<Kind> {
        Some(match (self, field) {
            (Kind::Model, 7) => Kind::Graph,
            (Kind::Model, 8 | 14) => Kind::Leaf,
            (Kind::Graph, 1) => Kind::Node,
            (Kind::Graph, 5) => Kind::Tensor,
            (Kind::Graph, 11..=13) => Kind::ValueInfo,
            (Kind::Node, 5) => Kind::Attribute,
            (Kind::Attribute, 5 | 10) => Kind::Tensor,
            (Kind::Attribute, 6 | 11) => Kind::Graph,
            (Kind::Tensor, 13) => Kind::Leaf,
            (Kind::ValueInfo, 2) => Kind::Type,
            (Kind::Type, 1) => Kind::TensorType,
            (Kind::Type, 4) => Kind::SequenceType,
            (Kind::TensorType, 2) => Kind::Shape,
            (Kind::SequenceType, 1) => Kind::Type,
            (Kind::Shape, 1) => Kind::Leaf,
            _ => return None,
        })
    }
}

/// The model with every length checked, with external values taken in through `external`, and, with `output`, with that
/// value as its only output.
///
/// # Errors
///
/// A sentence: for what is no ONNX model, and what `external` says.
pub fn prepare(
    model: &[u8],
    output: Option<&str>,
    external: &mut dyn FnMut(&External) -> Result<Vec<u8>, String>,
) -> Result<Vec<u8>, String> {
    let found = fields(model).ok_or_else(damaged)?;
    if !found.iter().any(|field| field.number == 7 && field.content.is_some()) {
        return Err("not an ONNX model: it holds no graph".into());
    }
    Ok(Walk { output, external }.message(Kind::Model, model, 0)?.into_bytes())
}

/// The names of the values that a model's nodes write, in order, with the operator that writes each; `None` if it is no
/// ONNX model. (`GraphProto.node` is field 1; `NodeProto.output` field 2, `op_type` field 4.)
pub fn values(model: &[u8]) -> Option<Vec<(String, String)>> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut values = Vec::new();
    for graph in fields(model)?.iter().filter(|field| field.number == 7) {
        for node in fields(graph.content?)?.iter().filter(|field| field.number == 1) {
            let node = fields(node.content?)?;
            let operator = node.iter().find(|field| field.number == 4).and_then(|field| field.content).map(text);
            for output in node.iter().filter(|field| field.number == 2) {
                values.push((text(output.content?), operator.clone().unwrap_or_default()));
            }
        }
    }
    Some(values)
}

/// The names of a model's outputs. (`GraphProto.output` is field 12, `ValueInfoProto.name` field 1.)
pub fn outputs(model: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for graph in fields(model)?.iter().filter(|field| field.number == 7) {
        for output in fields(graph.content?)?.iter().filter(|field| field.number == 12) {
            let name = fields(output.content?)?.into_iter().find(|field| field.number == 1)?;
            names.push(String::from_utf8_lossy(name.content?).into_owned());
        }
    }
    Some(names)
}

fn damaged() -> String {
    "not an ONNX model, or damaged: a length in it reaches past its end".into()
}

/// A walk through a model that writes it again.
struct Walk<'a> {
    output: Option<&'a str>,
    external: &'a mut dyn FnMut(&External) -> Result<Vec<u8>, String>,
}

impl Walk<'_> {
    fn message(&mut self, kind: Kind, bytes: &[u8], depth: usize) -> Result<Message, String> {
        if depth > DEEPEST {
            return Err("not an ONNX model, or damaged: its messages are nested too deeply".into());
        }
        let found = fields(bytes).ok_or_else(damaged)?;
        if kind == Kind::Attribute {
            check_extents(&found)?;
        }
        let location = if kind == Kind::Tensor { External::of(&found)? } else { None };
        let mut written = Message::default();
        for field in &found {
            let replaced = match kind {
                // data_location and external_data; raw_data that is there all the same would win over them.
                Kind::Tensor => location.is_some() && matches!(field.number, 9 | 13 | 14),
                Kind::Graph => depth == 1 && self.output.is_some() && field.number == 12,
                _ => false,
            };
            let inner = kind.of(field.number);
            match (inner, field.content) {
                (Some(inner), Some(content)) => {
                    let message = self.message(inner, content, depth + 1)?;
                    if !replaced {
                        written = written.message(field.number, message);
                    }
                }
                (Some(_), None) => return Err(damaged()),
                _ if replaced => {}
                _ => written = written.field(field),
            }
        }
        if let Some(location) = location {
            written = written.bytes(9, &(self.external)(&location)?);
        }
        if let (Kind::Graph, 1, Some(output)) = (kind, depth, self.output) {
            written = written.message(12, Message::default().text(1, output));
        }
        Ok(written)
    }
}

impl External {
    /// Of a tensor's fields; `None` for one whose values are in the model. (`external_data` is field 13, pairs of key 1
    /// and value 2; `data_location` field 14, 1 for external.)
    fn of(tensor: &[crate::protobuf::Field<'_>]) -> Result<Option<Self>, String> {
        if !tensor.iter().any(|field| field.number == 14 && field.varint == Some(1)) {
            return Ok(None);
        }
        let mut found = Self::default();
        for pair in tensor.iter().filter(|field| field.number == 13) {
            let pair = fields(pair.content.ok_or_else(damaged)?).ok_or_else(damaged)?;
            let text = |number: u32| {
                let content = pair.iter().find(|field| field.number == number).and_then(|field| field.content);
                String::from_utf8_lossy(content.unwrap_or_default()).into_owned()
            };
            let number =
                |value: String| value.trim().parse().map_err(|_| format!("{value:?} is no place in a file of weights"));
            match text(1).as_str() {
                "location" => found.location = text(2),
                "offset" => found.offset = number(text(2))?,
                "length" => found.length = Some(number(text(2))?),
                _ => {}
            }
        }
        if found.location.is_empty() {
            return Err("a tensor's values lie in another file, which is not named: export the model again".into());
        }
        Ok(Some(found))
    }
}

/// Refuses attributes that would make a runtime pad or slide over more than any picture. (`AttributeProto.name` is field
/// 1, `ints` field 8, packed or not.)
fn check_extents(attribute: &[crate::protobuf::Field<'_>]) -> Result<(), String> {
    let name = attribute.iter().find(|field| field.number == 1).and_then(|field| field.content).unwrap_or_default();
    if !EXTENTS.contains(&name) {
        return Ok(());
    }
    let numbers = attribute.iter().filter(|field| field.number == 8);
    let too_large = |value: u64| value > LARGEST_EXTENT && value.wrapping_neg() > LARGEST_EXTENT;
    for field in numbers {
        let packed = field.content.map(|content| crate::protobuf::varints(content).ok_or_else(damaged)).transpose()?;
        if field.varint.into_iter().chain(packed.into_iter().flatten()).any(too_large) {
            let name = String::from_utf8_lossy(name);
            return Err(format!("an attribute {name:?} is larger than any picture: the model is damaged"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(external: bool) -> Message {
        let pair = |key: &str, value: &str| Message::default().text(1, key).text(2, value);
        let tensor = Message::default().number(1, 2).number(2, 1).text(8, "w");
        match external {
            false => tensor.bytes(9, &[1, 2, 3, 4, 5, 6, 7, 8]),
            true => {
                let place = [pair("location", "w.bin"), pair("offset", "4"), pair("length", "8")];
                place.into_iter().fold(tensor, |tensor, pair| tensor.message(13, pair)).number(14, 1)
            }
        }
    }

    fn model(external: bool) -> Vec<u8> {
        let node = Message::default().text(1, "x").text(2, "y").text(4, "Relu");
        let graph = Message::default()
            .message(1, node)
            .message(5, tensor(external))
            .message(12, Message::default().text(1, "y"));
        Message::default().number(1, 8).message(7, graph).into_bytes()
    }

    fn none(_: &External) -> Result<Vec<u8>, String> {
        panic!("nothing lies elsewhere")
    }

    #[test]
    fn a_whole_model_is_what_it_was() {
        assert_eq!(prepare(&model(false), None, &mut none).unwrap(), model(false));
    }

    #[test]
    fn values_that_lie_elsewhere_are_taken_in() {
        let mut asked = Vec::new();
        let mut read = |external: &External| {
            asked.push(external.clone());
            Ok(vec![1, 2, 3, 4, 5, 6, 7, 8])
        };
        assert_eq!(prepare(&model(true), None, &mut read).unwrap(), model(false));
        assert_eq!(asked, [External { location: "w.bin".into(), offset: 4, length: Some(8) }]);
    }

    #[test]
    fn outputs_are_replaced() {
        let bytes = prepare(&model(false), Some("other"), &mut none).unwrap();
        assert_eq!(outputs(&bytes).unwrap(), ["other"]);
        assert_eq!(values(&bytes).unwrap(), [("y".to_owned(), "Relu".to_owned())]);
    }

    #[test]
    fn lengths_that_reach_too_far_are_refused_at_any_depth() {
        let good = model(false);
        for place in 0..good.len() {
            let mut bad = good.clone();
            // A length of 2^56 and more in place of a byte: what follows is no message then.
            bad.splice(place..=place, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
            if let Ok(prepared) = prepare(&bad, None, &mut none) {
                assert!(prepared.len() <= bad.len());
            }
        }
        let graph = Message::default().message(1, Message::default());
        let mut bytes = Message::default().message(7, graph).into_bytes();
        let last = bytes.len() - 1;
        bytes[last] = 0x7f;
        assert!(prepare(&bytes, None, &mut none).is_err());
    }

    #[test]
    fn endless_nesting_and_absurd_paddings_are_refused() {
        let mut kind = Message::default();
        for _ in 0..1000 {
            kind = Message::default().message(4, Message::default().message(1, kind));
        }
        let graph = Message::default().message(11, Message::default().message(2, kind));
        let bytes = Message::default().message(7, graph).into_bytes();
        assert!(prepare(&bytes, None, &mut none).unwrap_err().contains("nested"));

        let padded = |pad: u64| {
            let attribute = Message::default().text(1, "pads").number(8, pad);
            let graph = Message::default().message(1, Message::default().message(5, attribute));
            prepare(&Message::default().message(7, graph).into_bytes(), None, &mut none)
        };
        assert!(padded(3).is_ok() && padded(u64::MAX).is_ok());
        assert!(padded(1 << 40).unwrap_err().contains("pads"));
    }
}
