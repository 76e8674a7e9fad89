//! What an array consists of, in any container of arrays.

/// The type of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// One byte, 0 or 1.
    Bool,
    /// A half-precision number.
    F16,
    /// The upper half of a single-precision number (bfloat16); NumPy has none.
    Bf16,
    /// A single-precision number.
    F32,
    /// A double-precision number.
    F64,
    /// A signed number of 8 bits.
    I8,
    /// A signed number of 16 bits.
    I16,
    /// A signed number of 32 bits.
    I32,
    /// A signed number of 64 bits.
    I64,
    /// An unsigned number of 8 bits.
    U8,
    /// An unsigned number of 16 bits.
    U16,
    /// An unsigned number of 32 bits.
    U32,
    /// An unsigned number of 64 bits.
    U64,
    /// A word of at most so many characters of four bytes each, filled up with zeros.
    Text(usize),
    /// A word of at most so many bytes, filled up with zeros.
    Bytes(usize),
}

impl Element {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Element::Bool | Element::I8 | Element::U8 => 1,
            Element::F16 | Element::Bf16 | Element::I16 | Element::U16 => 2,
            Element::F32 | Element::I32 | Element::U32 => 4,
            Element::F64 | Element::I64 | Element::U64 => 8,
            Element::Text(characters) => characters.saturating_mul(4),
            Element::Bytes(bytes) => bytes,
        }
    }
}
