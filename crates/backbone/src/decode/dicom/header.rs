//! What a DICOM file says of its picture, checked.

use super::elements::{Element, PixelData, Stream, Tag};
use super::syntax::{Coding, coding};
use super::{REMEDY, Result};

const META_GROUP: u16 = 0x0002;
const TRANSFER_SYNTAX: Tag = (0x0002, 0x0010);
const SAMPLES: Tag = (0x0028, 0x0002);
const PHOTOMETRIC: Tag = (0x0028, 0x0004);
const FRAMES: Tag = (0x0028, 0x0008);
const ROWS: Tag = (0x0028, 0x0010);
const COLUMNS: Tag = (0x0028, 0x0011);
const BITS_ALLOCATED: Tag = (0x0028, 0x0100);
const BITS_STORED: Tag = (0x0028, 0x0101);
const HIGH_BIT: Tag = (0x0028, 0x0102);
const REPRESENTATION: Tag = (0x0028, 0x0103);
const PADDING: Tag = (0x0028, 0x0120);
const CENTRE: Tag = (0x0028, 0x1050);
const WIDTH: Tag = (0x0028, 0x1051);
const INTERCEPT: Tag = (0x0028, 0x1052);
const SLOPE: Tag = (0x0028, 0x1053);
const VOI_FUNCTION: Tag = (0x0028, 0x1056);
const MODALITY_TABLE: Tag = (0x0028, 0x3000);
const VOI_TABLE: Tag = (0x0028, 0x3010);
const SHARED_GROUPS: Tag = (0x5200, 0x9229);
const FRAME_GROUPS: Tag = (0x5200, 0x9230);
const FLOAT_PIXELS: Tag = (0x7fe0, 0x0008);
const DOUBLE_PIXELS: Tag = (0x7fe0, 0x0009);

/// A picture of one grey frame and how it is to be shown.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub rows: u16,
    pub columns: u16,
    pub bits: Bits,
    /// Whether the smallest value is white (MONOCHROME1).
    pub inverted: bool,
    pub slope: f64,
    pub intercept: f64,
    pub window: Option<Window>,
    /// The stored value of what lies outside the picture.
    pub padding: Option<i32>,
    pub pixels: PixelData<'a>,
}

/// Where in its bytes a stored value lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits {
    /// 8 or 16.
    pub allocated: u16,
    /// At least 1, at most those allocated.
    stored: u16,
    /// Below those allocated, and no lower than the stored ones reach.
    high: u16,
    signed: bool,
}

/// The values that are shown, after rescaling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub centre: f64,
    /// At least 1.
    pub width: f64,
}

impl Bits {
    /// The value within `raw`; what other programs put beside the stored bits is left out.
    pub(super) fn value(self, raw: u16) -> i32 {
        let mask = ((1u32 << self.stored) - 1) as i32;
        let value = i32::from(raw >> (self.high + 1 - self.stored)) & mask;
        let sign = 1 << (self.stored - 1);
        if self.signed && value & sign != 0 { value - mask - 1 } else { value }
    }
}

impl<'a> Header<'a> {
    /// Reads a file from its preamble to its picture.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(Coding, Self)> {
        // The format was told by the mark that ends here.
        let mut meta = Stream::new(bytes.get(132..).unwrap_or_default(), true);
        let mut syntax = None;
        while meta.next_group() == Some(META_GROUP) {
            if let Some(Element::Value(TRANSFER_SYNTAX, value)) = meta.next_element()? {
                syntax = Some(text(value));
            }
        }
        let coding = coding(&syntax.ok_or("damaged (no transfer syntax is named)")?)?;
        let mut stream = Stream::new(meta.rest(), coding != Coding::ImplicitLittle);
        let mut fields = Fields::default();
        while let Some(element) = stream.next_element()? {
            match element {
                Element::Value(tag @ (SHARED_GROUPS | FRAME_GROUPS | MODALITY_TABLE | VOI_TABLE), _)
                | Element::Sequence(tag) => fields.sequences.push(tag),
                Element::Value(tag @ (FLOAT_PIXELS | DOUBLE_PIXELS), _) => {
                    return Err(format!("floating-point pixels ({:04x},{:04x}) are not read; {REMEDY}", tag.0, tag.1));
                }
                Element::Value(tag, value) if tag.0 == ROWS.0 => fields.values.push((tag, value)),
                Element::Value(..) => {}
                // What follows the picture is signatures and padding.
                Element::Pixels(pixels) => return Ok((coding, fields.check(coding, pixels)?)),
            }
        }
        Err("the DICOM file holds no picture, or is cut short before it; leave it out".into())
    }

    /// Whether the values are greys already.
    pub(super) fn is_plain_8_bit(&self) -> bool {
        (self.bits.stored, self.bits.signed, self.slope, self.intercept) == (8, false, 1.0, 0.0)
    }
}

/// The elements that say something of the picture.
#[derive(Default)]
struct Fields<'a> {
    values: Vec<(Tag, &'a [u8])>,
    sequences: Vec<Tag>,
}

impl<'a> Fields<'a> {
    fn check(&self, coding: Coding, pixels: PixelData<'a>) -> Result<Header<'a>> {
        let refused = |what: &str| Err(format!("{what} not read from DICOM; {REMEDY}"));
        if self.sequences.iter().any(|tag| matches!(*tag, SHARED_GROUPS | FRAME_GROUPS)) {
            return refused("enhanced objects (functional groups) are");
        }
        if self.sequences.contains(&MODALITY_TABLE) {
            return refused("modality tables are");
        }
        let frames = self.number(FRAMES)?.unwrap_or(1.0);
        if frames != 1.0 {
            return refused(&format!("{frames} frames in one file are"));
        }
        let photometric = self.text(PHOTOMETRIC).ok_or("damaged (no photometric interpretation)")?;
        let inverted = match photometric.as_str() {
            "MONOCHROME1" => true,
            "MONOCHROME2" => false,
            colour => return refused(&format!("colours ({colour}) are")),
        };
        if self.whole(SAMPLES)?.unwrap_or(1) != 1 {
            return refused("several samples a pixel are");
        }
        let bits = self.bits()?;
        if coding == Coding::Jpeg && (bits.allocated, bits.stored, bits.signed) != (8, 8, false) {
            return Err("damaged (baseline JPEG has 8 unsigned bits a pixel, the header says otherwise)".into());
        }
        let (slope, intercept) = (self.number(SLOPE)?.unwrap_or(1.0), self.number(INTERCEPT)?.unwrap_or(0.0));
        let padding = self.whole(PADDING)?.map(|padding| bits.value(padding));
        let (rows, columns) = (self.required(ROWS, "rows")?, self.required(COLUMNS, "columns")?);
        Ok(Header { rows, columns, bits, inverted, slope, intercept, window: self.window()?, padding, pixels })
    }

    fn bits(&self) -> Result<Bits> {
        let allocated = self.required(BITS_ALLOCATED, "bits allocated")?;
        let stored = self.whole(BITS_STORED)?.unwrap_or(allocated);
        let high = self.whole(HIGH_BIT)?.unwrap_or(stored.saturating_sub(1));
        let signed = match self.whole(REPRESENTATION)?.unwrap_or(0) {
            0 => false,
            1 => true,
            other => return Err(format!("damaged (pixel representation {other}, where 0 and 1 are known)")),
        };
        if !matches!(allocated, 8 | 16) {
            return Err(format!("{allocated} bits a pixel are not read from DICOM; {REMEDY}"));
        }
        if !((1..=allocated).contains(&stored) && (stored - 1..allocated).contains(&high)) {
            return Err(format!("damaged ({stored} bits below bit {high} of {allocated})"));
        }
        Ok(Bits { allocated, stored, high, signed })
    }

    /// The first window, if there is one.
    fn window(&self) -> Result<Option<Window>> {
        let window = match (self.number(CENTRE)?, self.number(WIDTH)?) {
            (Some(centre), Some(width)) => Window { centre, width },
            _ if self.sequences.contains(&VOI_TABLE) => {
                return Err(format!("tables instead of a window are not read from DICOM; {REMEDY}"));
            }
            _ => return Ok(None),
        };
        match self.text(VOI_FUNCTION).as_deref() {
            None | Some("" | "LINEAR") if window.width >= 1.0 => Ok(Some(window)),
            None | Some("" | "LINEAR") => Err(format!("damaged (a window of width {}, less than 1)", window.width)),
            Some(other) => Err(format!("the window function {other} is not read from DICOM; {REMEDY}")),
        }
    }

    fn value(&self, tag: Tag) -> Option<&'a [u8]> {
        self.values.iter().find(|(found, _)| *found == tag).map(|(_, value)| *value)
    }

    /// Text without the padding; `None` where there is none.
    fn text(&self, tag: Tag) -> Option<String> {
        self.value(tag).map(text)
    }

    /// The first of the decimal numbers that an element lists; an empty one counts as absent.
    fn number(&self, tag: Tag) -> Result<Option<f64>> {
        let Some(text) = self.text(tag).filter(|text| !text.is_empty()) else { return Ok(None) };
        let first = text.split('\\').next().unwrap_or_default().trim();
        let number = first.parse().ok().filter(|number: &f64| number.is_finite());
        number.map(Some).ok_or_else(|| format!("damaged (({:04x},{:04x}) is {first:?}, no number)", tag.0, tag.1))
    }

    /// A 16-bit number.
    fn whole(&self, tag: Tag) -> Result<Option<u16>> {
        match self.value(tag) {
            None | Some([]) => Ok(None),
            Some(&[low, high]) => Ok(Some(u16::from_le_bytes([low, high]))),
            Some(_) => Err(format!("damaged (({:04x},{:04x}) is no 16-bit number)", tag.0, tag.1)),
        }
    }

    fn required(&self, tag: Tag, what: &str) -> Result<u16> {
        self.whole(tag)?.ok_or_else(|| format!("damaged (the number of {what} is missing)"))
    }
}

/// Text without the spaces or zeros that make its length even.
fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim_matches([' ', '\0']).to_owned()
}
