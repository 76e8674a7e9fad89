//! Whether a file holds more pictures than the one that is decoded: animations (GIF, PNG, WebP) and pages (TIFF).
//! Only headers are read; a damaged file is the decoder's matter, and counts as one picture here.

use super::ImageFormat;

/// Whether the file holds a second frame or page.
pub(crate) fn holds_more_than_one(bytes: &[u8]) -> bool {
    let more = match ImageFormat::of(bytes) {
        Some(ImageFormat::Gif) => gif(bytes),
        Some(ImageFormat::Png) => png(bytes),
        Some(ImageFormat::WebP) => webp(bytes),
        Some(ImageFormat::Tiff) => tiff(bytes),
        _ => None,
    };
    more.unwrap_or(false)
}

/// Blocks until the second image (GIF89a specification, sections 17 to 27).
fn gif(bytes: &[u8]) -> Option<bool> {
    let colours = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3usize << ((flags & 7) + 1) };
    let mut at = 13 + colours(*bytes.get(10)?);
    let mut images = 0;
    loop {
        match bytes.get(at)? {
            0x2c => {
                images += 1;
                if images == 2 {
                    return Some(true);
                }
                at += 11 + colours(*bytes.get(at + 9)?);
            }
            0x21 => at += 2,
            _ => return Some(false),
        }
        // Sub-blocks, each with its length in front, up to an empty one.
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
    }
}

/// The chunk `acTL` before the first picture counts the frames.
fn png(bytes: &[u8]) -> Option<bool> {
    let mut at = 8;
    loop {
        let kind = bytes.get(at + 4..at + 8)?;
        match kind {
            b"acTL" => return Some(u32_of(bytes, at + 8, false)? > 1),
            b"IDAT" => return Some(false),
            _ => at = at.checked_add(12)?.checked_add(u32_of(bytes, at, false)? as usize)?,
        }
    }
}

/// The chunks `ANMF` are the frames.
fn webp(bytes: &[u8]) -> Option<bool> {
    let (mut at, mut frames) = (12, 0);
    while frames < 2 {
        frames += usize::from(bytes.get(at..at + 4)? == b"ANMF");
        let length = u32_of(bytes, at + 4, true)? as usize;
        at = at.checked_add(8 + length % 2)?.checked_add(length)?;
    }
    Some(true)
}

/// A directory ends with the place of the next one (TIFF 6.0, section 2; BigTIFF with 8 bytes for 4).
fn tiff(bytes: &[u8]) -> Option<bool> {
    let little = bytes.starts_with(b"I");
    let big = matches!(bytes.get(..4)?, b"II+\0" | b"MM\0+");
    let next = if big {
        let directory = usize::try_from(u64_of(bytes, 8, little)?).ok()?;
        let entries = usize::try_from(u64_of(bytes, directory, little)?).ok()?;
        u64_of(bytes, directory.checked_add(8)?.checked_add(entries.checked_mul(20)?)?, little)?
    } else {
        let directory = u32_of(bytes, 4, little)? as usize;
        let count = bytes.get(directory..directory.checked_add(2)?)?;
        let count = if little { [count[0], count[1]] } else { [count[1], count[0]] };
        u32_of(bytes, directory + 2 + 12 * usize::from(u16::from_le_bytes(count)), little)?.into()
    };
    Some(next != 0)
}

fn u32_of(bytes: &[u8], at: usize, little: bool) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) })
}

fn u64_of(bytes: &[u8], at: usize, little: bool) -> Option<u64> {
    let eight = bytes.get(at..at.checked_add(8)?)?.try_into().ok()?;
    Some(if little { u64::from_le_bytes(eight) } else { u64::from_be_bytes(eight) })
}
