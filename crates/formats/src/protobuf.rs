//! Protocol buffers as far as ONNX models need them: messages written and taken apart, without a schema.
//!
//! A message is a run of fields; a field is a tag `number << 3 | kind` and a value: kind 0 a varint, kind 2 a length
//! and bytes, kinds 1 and 5 eight and four bytes (the wire format of Protocol Buffers).

/// A message being written.
#[derive(Default)]
pub struct Message(Vec<u8>);

impl Message {
    /// With a number.
    pub fn number(mut self, field: u32, value: u64) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(value);
        self
    }

    /// With bytes.
    pub fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// With text.
    pub fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    /// With a message in it.
    pub fn message(self, field: u32, value: Message) -> Self {
        self.bytes(field, &value.0)
    }

    /// With a field of another message, as it stood there.
    pub fn field(mut self, field: &Field<'_>) -> Self {
        self.0.extend_from_slice(field.whole);
        self
    }

    /// The message.
    pub fn into_bytes(self) -> Vec<u8> {
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

/// A field of a message.
pub struct Field<'a> {
    /// Its number.
    pub number: u32,
    /// Its content, if it is of kind 2.
    pub content: Option<&'a [u8]>,
    /// Its value, if it is of kind 0.
    pub varint: Option<u64>,
    /// The whole of it, tag included.
    pub whole: &'a [u8],
}

/// The fields of a message, or `None` if the bytes are none.
pub fn fields(bytes: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let tag = read_varint(bytes, &mut at)?;
        let (mut content, mut varint) = (None, None);
        let length = match tag & 7 {
            0 => {
                varint = Some(read_varint(bytes, &mut at)?);
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
        fields.push(Field { number: u32::try_from(tag >> 3).ok()?, content, varint, whole: &bytes[start..end] });
    }
    Some(fields)
}

/// The varints of a packed field, or `None` if the bytes are none.
pub fn varints(bytes: &[u8]) -> Option<Vec<u64>> {
    let (mut values, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        values.push(read_varint(bytes, &mut at)?);
    }
    Some(values)
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
