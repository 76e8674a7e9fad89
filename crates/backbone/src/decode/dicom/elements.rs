//! The data elements of a DICOM stream, one after the other (PS3.5, section 7): tag, type, length,
//! value. Little endian.
//!
//! Values are slices of the file: nothing is copied, and no length that the file states is ever reserved.

use super::Result;

/// Group and element number.
pub(super) type Tag = (u16, u16);

pub(super) const PIXEL_DATA: Tag = (0x7fe0, 0x0010);
const ITEM: Tag = (0xfffe, 0xe000);
const ITEM_END: Tag = (0xfffe, 0xe00d);
const SEQUENCE_END: Tag = (0xfffe, 0xe0dd);
const UNDEFINED: u32 = u32::MAX;

/// Sequences within sequences that are followed: more is no real file.
const MAX_DEPTH: usize = 32;

/// A data element.
pub(super) enum Element<'a> {
    /// A value.
    Value(Tag, &'a [u8]),
    /// A sequence of unknown length, passed over.
    Sequence(Tag),
    /// The picture.
    Pixels(PixelData<'a>),
}

/// The bytes of a picture.
#[derive(Clone, Debug)]
pub(super) enum PixelData<'a> {
    /// As they are.
    Plain(&'a [u8]),
    /// A compressed stream in pieces, the table of offsets left out.
    Fragments(Vec<&'a [u8]>),
}

/// A place in a stream of elements.
#[derive(Clone, Copy)]
pub(super) struct Stream<'a> {
    rest: &'a [u8],
    /// Whether elements state their type.
    explicit: bool,
}

impl<'a> Stream<'a> {
    pub(super) fn new(bytes: &'a [u8], explicit: bool) -> Self {
        Self { rest: bytes, explicit }
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next element's group; `None` at the end.
    pub(super) fn next_group(&self) -> Option<u16> {
        self.rest.get(..2).map(|two| u16::from_le_bytes([two[0], two[1]]))
    }

    /// The next element; `None` at the end.
    pub(super) fn next_element(&mut self) -> Result<Option<Element<'a>>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (tag, length, implicit) = self.header()?;
        if length != UNDEFINED {
            let value = self.take(length as usize)?;
            return Ok(Some(if tag == PIXEL_DATA {
                Element::Pixels(PixelData::Plain(value))
            } else {
                Element::Value(tag, value)
            }));
        }
        if tag == PIXEL_DATA {
            return Ok(Some(Element::Pixels(PixelData::Fragments(self.fragments()?))));
        }
        self.skip_sequence(implicit, 0)?;
        Ok(Some(Element::Sequence(tag)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or("cut short within a data element; copy it again")?;
        self.rest = rest;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16> {
        self.take(2).map(|two| u16::from_le_bytes([two[0], two[1]]))
    }

    fn u32(&mut self) -> Result<u32> {
        self.take(4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
    }

    /// Tag, length, and whether the elements within a sequence state no types.
    fn header(&mut self) -> Result<(Tag, u32, bool)> {
        let tag = (self.u16()?, self.u16()?);
        // Items and their ends never state a type.
        if !self.explicit || tag.0 == ITEM.0 {
            return Ok((tag, self.u32()?, !self.explicit));
        }
        let kind = self.take(2)?;
        let long = matches!(
            kind,
            b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT" | b"UV"
        );
        if !kind.iter().all(u8::is_ascii_uppercase) {
            return Err(format!("damaged (the element ({:04x},{:04x}) has no type)", tag.0, tag.1));
        }
        let length = if long {
            self.take(2)?;
            self.u32()?
        } else {
            self.u16()?.into()
        };
        // A sequence whose type was not known when it was written is implicit inside (PS3.5, 6.2.2).
        Ok((tag, length, kind == b"UN"))
    }

    /// The items of a compressed picture, without the first, which is the table of offsets.
    fn fragments(&mut self) -> Result<Vec<&'a [u8]>> {
        let mut parts = Vec::new();
        loop {
            let (tag, length, _) = self.header()?;
            match tag {
                ITEM => parts.push(self.take(length as usize)?),
                SEQUENCE_END => break,
                _ => return Err("damaged (the picture's fragments have no end)".into()),
            }
        }
        if parts.len() < 2 {
            return Err("damaged (a compressed picture without a fragment)".into());
        }
        parts.remove(0);
        Ok(parts)
    }

    /// Passes over the items of a sequence of unknown length.
    fn skip_sequence(&mut self, implicit: bool, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err("damaged (sequences within sequences without end)".into());
        }
        let mut inside = Self { rest: self.rest, explicit: self.explicit && !implicit };
        loop {
            match inside.header()? {
                (ITEM, UNDEFINED, _) => inside.skip_item(depth)?,
                (ITEM, length, _) => drop(inside.take(length as usize)?),
                (SEQUENCE_END, ..) => break,
                _ => return Err("damaged (a sequence has no end)".into()),
            }
        }
        self.rest = inside.rest;
        Ok(())
    }

    /// Passes over the elements of an item of unknown length.
    fn skip_item(&mut self, depth: usize) -> Result<()> {
        loop {
            match self.header()? {
                (ITEM_END, ..) => return Ok(()),
                (_, UNDEFINED, implicit) => self.skip_sequence(implicit, depth + 1)?,
                (_, length, _) => drop(self.take(length as usize)?),
            }
        }
    }
}
