//! Protocol buffers as far as ONNX models need them: writing messages, and replacing a model's outputs.
//!
//! A message is a run of fields; a field is a tag `number << 3 | kind` and a value: kind 0 a varint, kind 2 a length
//! and bytes, kinds 1 and 5 eight and four bytes (the wire format of Protocol Buffers).

/// A message being written.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn number(mut self, field: u32, value: u64) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(value);
        self
    }

    pub(super) fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub(super) fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    pub(super) fn message(self, field: u32, value: Message) -> Self {
        self.bytes(field, &value.0)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// A field of a message: its number, its content if it is of kind 2, and the whole of it, tag included.
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) content: Option<&'a [u8]>,
    pub(super) whole: &'a [u8],
}

/// The fields of a message, or `None` if the bytes are none.
pub(super) fn fields(bytes: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let tag = read_varint(bytes, &mut at)?;
        let mut content = None;
        let length = match tag & 7 {
            0 => {
                read_varint(bytes, &mut at)?;
                0
            }
            1 => 8,
            2 => usize::try_from(read_varint(bytes, &mut at)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let end = at.checked_add(length).filter(|&end| end <= bytes.len())?;
        if tag & 7 == 2 {
            content = Some(&bytes[at..end]);
        }
        at = end;
        fields.push(Field { number: u32::try_from(tag >> 3).ok()?, content, whole: &bytes[start..end] });
    }
    Some(fields)
}

/// The ONNX model `model` with its outputs replaced by the one value called `output`; `None` if it is no ONNX model.
/// (`ModelProto.graph` is field 7, `GraphProto.output` field 12, `ValueInfoProto.name` field 1.)
pub(super) fn with_output(model: &[u8], output: &str) -> Option<Vec<u8>> {
    let mut rewritten = Message::default();
    for field in fields(model)? {
        if field.number != 7 {
            rewritten.0.extend_from_slice(field.whole);
            continue;
        }
        let mut graph = Message::default();
        for field in fields(field.content?)?.into_iter().filter(|field| field.number != 12) {
            graph.0.extend_from_slice(field.whole);
        }
        rewritten = rewritten.message(7, graph.message(12, Message::default().text(1, output)));
    }
    Some(rewritten.into_bytes())
}

/// The names of the values that the nodes of an ONNX model write, in order; `None` if it is no ONNX model.
/// (`GraphProto.node` is field 1, `NodeProto.output` field 2.)
pub(super) fn value_names(model: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for graph in fields(model)?.iter().filter(|field| field.number == 7) {
        for node in fields(graph.content?)?.iter().filter(|field| field.number == 1) {
            for output in fields(node.content?)?.iter().filter(|field| field.number == 2) {
                names.push(String::from_utf8_lossy(output.content?).into_owned());
            }
        }
    }
    Some(names)
}

fn read_varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let inner = Message::default().text(1, "x");
        let bytes = Message::default().number(1, 300).message(7, inner).into_bytes();
        assert_eq!(bytes, [8, 0xac, 2, 0x3a, 3, 0x0a, 1, b'x']);
        let fields = fields(&bytes).expect("a message");
        assert_eq!((fields[0].number, fields[0].content), (1, None));
        assert_eq!((fields[1].number, fields[1].content), (7, Some(&[0x0a, 1, b'x'][..])));
    }

    #[test]
    fn cut_messages_are_refused() {
        let bytes = Message::default().number(1, 300).text(7, "hello").into_bytes();
        for end in [1, 2, 4, 5, bytes.len() - 1] {
            assert!(fields(&bytes[..end]).is_none(), "{end}");
        }
    }
}
