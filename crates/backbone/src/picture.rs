//! A decoded picture, and the decoder with its limits. No resizing, no normalisation.

use std::io::Cursor;

use image::{DynamicImage, ImageEncoder, ImageReader, Limits};

use crate::error::{BackboneError, Result};
use crate::resize::antialiased;

/// The largest width and height that is decoded.
pub const MAX_SIDE: u32 = 16_384;

/// The most memory that decoding one image may take, in bytes.
pub const MAX_DECODE_BYTES: u64 = 512 << 20;

/// The largest encoded image file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// An 8-bit picture of one (grey) or three (red, green, blue) channels, interleaved, row by row from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    channels: usize,
    pixels: Vec<u8>,
}

impl Picture {
    /// A picture from its pixels: `height * width * channels` bytes, `channels` 1 or 3; `None` for any other shape.
    pub fn new(width: usize, height: usize, channels: usize, pixels: Vec<u8>) -> Option<Self> {
        let length = width.checked_mul(height)?.checked_mul(channels)?;
        let valid = matches!(channels, 1 | 3) && length > 0 && length == pixels.len();
        valid.then_some(Self { width, height, channels, pixels })
    }

    /// Decodes PNG, JPEG, BMP or WebP, of 8 or 16 bits, grey or colour.
    ///
    /// As torchvision's loader does, transparency is dropped, not blended, and an orientation in the metadata is not
    /// applied. 16-bit samples are scaled to 8 bits. Of an animation the first frame is taken. `name` is for messages.
    ///
    /// # Errors
    /// [`BackboneError::BadImage`] when the bytes are no such image, or one beyond [`MAX_SIDE`] or
    /// [`MAX_DECODE_BYTES`].
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Err(BackboneError::image(name, "the file is empty"));
        }
        let mut reader = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|error| BackboneError::image(name, error.to_string()))?;
        if reader.format().is_none() {
            return Err(BackboneError::image(name, "not a PNG, JPEG, BMP or WebP image; convert it to one of these"));
        }
        let mut limits = Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        limits.max_alloc = Some(MAX_DECODE_BYTES);
        reader.limits(limits);
        let decoded = reader.decode().map_err(|error| BackboneError::image(name, explain(&error)))?;
        let (width, height) = (decoded.width() as usize, decoded.height() as usize);
        let (channels, pixels) = match decoded {
            DynamicImage::ImageLuma8(grey) => (1, grey.into_raw()),
            DynamicImage::ImageLumaA8(_) | DynamicImage::ImageLuma16(_) | DynamicImage::ImageLumaA16(_) => {
                (1, decoded.into_luma8().into_raw())
            }
            colour => (3, colour.into_rgb8().into_raw()),
        };
        Self::new(width, height, channels, pixels).ok_or_else(|| BackboneError::image(name, "the image has no pixels"))
    }

    /// The picture with its longer side at `side` pixels, the proportions kept; unchanged if it is not longer.
    pub fn thumbnail(&self, side: usize) -> Self {
        let longer = self.width.max(self.height);
        if longer <= side || side == 0 {
            return self.clone();
        }
        let scaled = |length: usize| (length * side / longer).max(1);
        antialiased(self, scaled(self.width), scaled(self.height))
    }

    /// The picture as a PNG file.
    pub fn to_png(&self) -> Vec<u8> {
        let colour = if self.channels == 1 { image::ExtendedColorType::L8 } else { image::ExtendedColorType::Rgb8 };
        let mut bytes = Vec::new();
        let (width, height) = (self.width as u32, self.height as u32);
        image::codecs::png::PngEncoder::new(&mut bytes)
            .write_image(&self.pixels, width, height, colour)
            .expect("memory takes any picture, and its shape was checked");
        bytes
    }

    /// The width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// 1 for grey, 3 for red, green, blue.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The pixels, interleaved, row by row from the top: `height * width * channels` bytes.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

fn explain(error: &image::ImageError) -> String {
    match error {
        image::ImageError::Limits(_) => format!(
            "too large to decode (at most {MAX_SIDE} pixels a side and {} MiB in memory); scale it down",
            MAX_DECODE_BYTES >> 20
        ),
        image::ImageError::Unsupported(_) => format!("unsupported image ({error}); convert it to PNG or JPEG"),
        _ => format!("damaged or cut short ({error})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(image: DynamicImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, image::ImageFormat::Png).expect("memory takes any image");
        bytes.into_inner()
    }

    fn message(bytes: &[u8]) -> String {
        let error = Picture::decode("cat.png", bytes).expect_err("not an image");
        assert!(error.is_one_image());
        error.to_string()
    }

    #[test]
    fn grey_and_colour_of_8_and_16_bits_decode() {
        let grey = image::ImageBuffer::from_raw(2, 1, vec![0u16, 65535]).expect("two pixels");
        let picture = Picture::decode("g", &png(DynamicImage::ImageLuma16(grey))).expect("a PNG");
        assert_eq!((picture.channels(), picture.pixels()), (1, &[0u8, 255][..]));
        let colour = image::ImageBuffer::from_raw(1, 1, vec![65535u16, 0, 32896]).expect("a pixel");
        let picture = Picture::decode("c", &png(DynamicImage::ImageRgb16(colour))).expect("a PNG");
        assert_eq!((picture.channels(), picture.pixels()), (3, &[255u8, 0, 128][..]));
    }

    #[test]
    fn thumbnails_keep_the_proportions_and_pngs_the_pixels() {
        let picture = Picture::new(40, 10, 3, vec![77; 1200]).expect("40 x 10 pixels");
        let small = picture.thumbnail(20);
        assert_eq!((small.width(), small.height(), small.pixels()[0]), (20, 5, 77));
        assert_eq!(picture.thumbnail(40), picture);
        assert_eq!(Picture::new(900, 1, 1, vec![5; 900]).expect("a line").thumbnail(9).height(), 1);
        assert_eq!(Picture::decode("p", &picture.to_png()).expect("a PNG"), picture);
    }

    #[test]
    fn transparency_is_dropped_as_torchvision_drops_it() {
        let image = image::ImageBuffer::from_raw(1, 1, vec![10u8, 20, 30, 0]).expect("a pixel");
        let picture = Picture::decode("a", &png(DynamicImage::ImageRgba8(image))).expect("a PNG");
        assert_eq!(picture.pixels(), &[10, 20, 30]);
    }

    #[test]
    fn empty_foreign_and_cut_files_are_refused_with_their_name() {
        assert!(message(b"").contains("cat.png: the file is empty"));
        assert!(message(b"GIF89a\x01\x00\x01\x00").contains("cat.png"));
        assert!(message(b"hello, world").contains("not a PNG"));
        let whole = png(DynamicImage::new_rgb8(40, 40));
        assert!(message(&whole[..whole.len() / 2]).contains("damaged or cut short"));
    }

    #[test]
    fn a_png_header_of_30000_by_30000_is_refused_before_any_allocation() {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut header = b"IHDR".to_vec();
        header.extend(30_000u32.to_be_bytes());
        header.extend(30_000u32.to_be_bytes());
        header.extend([8, 2, 0, 0, 0]);
        bytes.extend(13u32.to_be_bytes());
        bytes.extend(&header);
        let mut checksum = flate2::Crc::new();
        checksum.update(&header);
        bytes.extend(checksum.sum().to_be_bytes());
        bytes.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
        assert!(message(&bytes).contains("too large"), "{}", message(&bytes));
    }
}
