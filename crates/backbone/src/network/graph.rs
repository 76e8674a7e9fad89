//! A convolutional network being written down as an ONNX model (opset 13): the operators that RegNetX needs.

use ciphertune_formats::protobuf::Message;

/// A value in the graph, by its name.
#[derive(Clone, Debug)]
pub(super) struct Edge(String);

/// The geometry of a convolution with a square kernel, padded so that stride 1 keeps the size.
#[derive(Clone, Copy)]
pub(super) struct Convolution {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) groups: usize,
}

impl Convolution {
    /// The shape of its weights: outputs, inputs of a group, kernel, kernel.
    pub(super) fn shape(self) -> [usize; 4] {
        [self.outputs, self.inputs / self.groups, self.kernel, self.kernel]
    }
}

/// The graph so far.
#[derive(Default)]
pub(super) struct Graph {
    message: Message,
    values: usize,
}

impl Graph {
    /// The network's input.
    pub(super) fn input(&self) -> Edge {
        Edge("input".into())
    }

    /// The convolution of `from` with `weights` (shape as [`Convolution::shape`]) plus one `bias` a channel.
    pub(super) fn convolve(&mut self, from: &Edge, geometry: Convolution, weights: &[f32], bias: &[f32]) -> Edge {
        let number = self.values;
        let (weights_name, bias_name) = (format!("weights{number}"), format!("bias{number}"));
        self.tensor(&weights_name, &geometry.shape(), weights);
        self.tensor(&bias_name, &[geometry.outputs], bias);
        let pad = geometry.kernel / 2;
        let attributes = vec![
            numbers("kernel_shape", &[geometry.kernel; 2]),
            numbers("strides", &[geometry.stride; 2]),
            numbers("pads", &[pad; 4]),
            Message::default().text(1, "group").number(3, geometry.groups as u64).number(20, 2),
        ];
        self.node("Conv", &[&from.0, &weights_name, &bias_name], attributes)
    }

    /// max(0, from).
    pub(super) fn relu(&mut self, from: &Edge) -> Edge {
        self.node("Relu", &[&from.0], Vec::new())
    }

    /// left + right.
    pub(super) fn add(&mut self, left: &Edge, right: &Edge) -> Edge {
        self.node("Add", &[&left.0, &right.0], Vec::new())
    }

    /// The mean of every channel.
    pub(super) fn average(&mut self, from: &Edge) -> Edge {
        let pooled = self.node("GlobalAveragePool", &[&from.0], Vec::new());
        self.node("Flatten", &[&pooled.0], Vec::new())
    }

    /// The ONNX model with the input n x 3 x height x width and the output `output`.
    pub(super) fn into_model(self, output: &Edge, width: usize, height: usize) -> Vec<u8> {
        let graph = self
            .message
            .text(2, "features")
            .message(11, value("input", &[None, Some(3), Some(height), Some(width)]))
            .message(12, Message::default().text(1, &output.0));
        let opset = Message::default().text(1, "").number(2, 13);
        Message::default().number(1, 8).message(7, graph).message(8, opset).into_bytes()
    }

    fn node(&mut self, operator: &str, inputs: &[&str], attributes: Vec<Message>) -> Edge {
        let output = format!("value{}", self.values);
        self.values += 1;
        let mut node = inputs.iter().fold(Message::default(), |node, input| node.text(1, input));
        node = node.text(2, &output).text(3, &output).text(4, operator);
        node = attributes.into_iter().fold(node, |node, attribute| node.message(5, attribute));
        self.append(1, node);
        Edge(output)
    }

    fn tensor(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let sizes = shape.iter().fold(Message::default(), |tensor, &size| tensor.number(1, size as u64));
        self.append(5, sizes.number(2, 1).text(8, name).bytes(9, &raw));
    }

    fn append(&mut self, field: u32, part: Message) {
        self.message = std::mem::take(&mut self.message).message(field, part);
    }
}

/// An attribute of whole numbers.
fn numbers(name: &str, values: &[usize]) -> Message {
    let list = values.iter().fold(Message::default().text(1, name), |list, &value| list.number(8, value as u64));
    list.number(20, 7)
}

/// A value's name and its type: 32-bit floats of a shape, `None` where a size is free.
fn value(name: &str, shape: &[Option<usize>]) -> Message {
    let shape = shape.iter().fold(Message::default(), |shape, size| {
        let size = match size {
            Some(size) => Message::default().number(1, *size as u64),
            None => Message::default().text(2, "n"),
        };
        shape.message(1, size)
    });
    let tensor = Message::default().number(1, 1).message(2, shape);
    Message::default().text(1, name).message(2, Message::default().message(1, tensor))
}
