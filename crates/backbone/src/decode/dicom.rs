//! DICOM pictures of one grey frame, uncompressed (little endian, explicit or implicit) or as baseline JPEG.
//!
//! From stored values to grey (PS3.3, C.7.6.3, C.11.1 and C.11.2): the Bits Stored below the High Bit, signed or not;
//! times the rescale slope, plus the intercept; through the window's linear function to 0 to 255; MONOCHROME1 turned
//! around. Without a window, 8-bit values stay as they are, and of others the smallest becomes 0 and the largest 255.
//! Everything else is refused by name.

mod elements;
mod header;
mod syntax;

use super::{MAX_DECODE_BYTES, MAX_SIDE, too_large};
use crate::picture::Picture;
use elements::PixelData;
use header::{Header, Window};
use syntax::Coding;

type Result<T> = std::result::Result<T, String>;

/// What to do with a file that is sound and still not read.
const REMEDY: &str = "export it as PNG, or convert it to one uncompressed grey frame (explicit VR little endian)";

pub(super) fn decode(bytes: &[u8]) -> Result<Picture> {
    let (coding, header) = Header::read(bytes)?;
    let (width, height) = (usize::from(header.columns), usize::from(header.rows));
    let pixels = width * height;
    // Stored values of four bytes are held beside the picture.
    if width.max(height) > MAX_SIDE as usize || 5 * pixels as u64 > MAX_DECODE_BYTES {
        return Err(too_large());
    }
    let stored = match (coding, &header.pixels) {
        (Coding::Jpeg, PixelData::Fragments(parts)) => of_jpeg(parts.concat(), &header)?,
        (Coding::Jpeg, PixelData::Plain(_)) => return Err("damaged (a JPEG without fragments)".into()),
        (_, PixelData::Plain(plain)) => of_plain(plain, &header, pixels)?,
        (_, PixelData::Fragments(_)) => return Err("damaged (fragments of an uncompressed picture)".into()),
    };
    let mut grey = shown(&stored, &header);
    if header.inverted {
        grey.iter_mut().for_each(|value| *value = 255 - *value);
    }
    Picture::new(width, height, 1, grey).ok_or_else(|| "the image has no pixels".into())
}

/// The stored values of an uncompressed picture.
fn of_plain(plain: &[u8], header: &Header, pixels: usize) -> Result<Vec<i32>> {
    let needed = pixels * usize::from(header.bits.allocated / 8);
    // A value has an even length: one byte may be left over.
    if plain.len() < needed || plain.len() > needed + needed % 2 {
        return Err(format!(
            "damaged or cut short ({} bytes of pixels, where the picture has {needed}); copy it again",
            plain.len()
        ));
    }
    let value = |raw: u16| header.bits.value(raw);
    Ok(match header.bits.allocated {
        8 => plain[..needed].iter().map(|&byte| value(byte.into())).collect(),
        _ => plain[..needed].chunks_exact(2).map(|two| value(u16::from_le_bytes([two[0], two[1]]))).collect(),
    })
}

fn of_jpeg(file: Vec<u8>, header: &Header) -> Result<Vec<i32>> {
    let picture = super::jpeg(&file)?;
    let side = |side: u16| usize::from(side);
    if (picture.width(), picture.height()) != (side(header.columns), side(header.rows)) || picture.channels() != 1 {
        return Err("damaged (the JPEG within has another size, or colours)".into());
    }
    Ok(picture.pixels().iter().map(|&value| value.into()).collect())
}

/// Stored values as greys, before MONOCHROME1 turns them around.
fn shown(stored: &[i32], header: &Header) -> Vec<u8> {
    let rescaled = |value: i32| f64::from(value) * header.slope + header.intercept;
    match header.window {
        Some(window) => stored.iter().map(|&value| window.grey(rescaled(value))).collect(),
        None if header.is_plain_8_bit() => stored.iter().map(|&value| value as u8).collect(),
        None => {
            // A padding value marks what lies outside the picture: it does not stretch the range.
            let inside = || stored.iter().filter(|&&value| Some(value) != header.padding).map(|&value| rescaled(value));
            let (low, high) = (inside().fold(f64::INFINITY, f64::min), inside().fold(f64::NEG_INFINITY, f64::max));
            // A cast brings what lies beyond 0 to 255 back, and turns 0 / 0 into 0.
            let grey = |value: i32| ((rescaled(value) - low) / (high - low) * 255.0).round() as u8;
            stored.iter().map(|&value| grey(value)).collect()
        }
    }
}

impl Window {
    /// The linear function of PS3.3, C.11.2.1.2.1, with 0 to 255 for ymin to ymax.
    fn grey(self, value: f64) -> u8 {
        let (centre, width) = (self.centre - 0.5, self.width - 1.0);
        if value <= centre - width / 2.0 {
            0
        } else if value > centre + width / 2.0 {
            255
        } else {
            (((value - centre) / width + 0.5) * 255.0).round() as u8
        }
    }
}

#[cfg(test)]
mod tests;
