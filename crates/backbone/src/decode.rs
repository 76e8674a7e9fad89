//! Encoded image files to pictures: the forms that are read, and the limits that hold before anything is decoded.
//!
//! What a file is, is told by its content ([`ImageFormat`]). Decoders of other crates are kept from two of their
//! habits here: half a JPEG is no picture, and floating-point samples, whose range nobody knows, are none.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use crate::error::{BackboneError, Result};
use crate::picture::Picture;

mod dicom;
mod format;
mod frames;
mod jpeg;

pub(crate) use format::{HEAD_BYTES, ImageFormat};
pub(crate) use frames::holds_more_than_one;

/// The largest width and height that is decoded.
pub const MAX_SIDE: u32 = 16_384;

/// The most memory that decoding one image may take, in bytes.
pub const MAX_DECODE_BYTES: u64 = 512 << 20;

/// The largest encoded image file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

impl Picture {
    /// Decodes PNG, JPEG, BMP, WebP, GIF or TIFF, of 8 or 16 bits, grey or colour, or a grey DICOM of one frame.
    ///
    /// As torchvision's loader does, transparency is dropped, not blended, and an orientation in the metadata is not
    /// applied. 16-bit samples are scaled to 8 bits. Of an animation or of several pages the first is taken. A DICOM
    /// picture is shown as its window says (PS3.3, C.11.2.1.2). `name` is for messages.
    ///
    /// # Errors
    /// [`BackboneError::BadImage`] when the bytes are no such image, a damaged one, one that is cut short, or one
    /// beyond [`MAX_SIDE`] or [`MAX_DECODE_BYTES`].
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Self> {
        decode(bytes).map_err(|reason| BackboneError::image(name, reason))
    }
}

fn decode(bytes: &[u8]) -> std::result::Result<Picture, String> {
    if bytes.is_empty() {
        return Err("the file is empty".into());
    }
    let format = ImageFormat::of(bytes)
        .ok_or("not a PNG, JPEG, BMP, WebP, GIF, TIFF or DICOM image; convert it to one of these")?;
    match format {
        ImageFormat::Dicom => dicom::decode(bytes),
        ImageFormat::Png => raster(bytes, image::ImageFormat::Png),
        ImageFormat::Jpeg => jpeg(bytes),
        ImageFormat::Bmp => raster(bytes, image::ImageFormat::Bmp),
        ImageFormat::WebP => raster(bytes, image::ImageFormat::WebP),
        ImageFormat::Gif => raster(bytes, image::ImageFormat::Gif),
        ImageFormat::Tiff => raster(bytes, image::ImageFormat::Tiff),
        ImageFormat::Unread(kind) => Err(format!("{kind} images are not read; convert it to PNG or JPEG")),
    }
}

/// A JPEG, which has to have its end: its decoder would paint what is missing grey.
fn jpeg(bytes: &[u8]) -> std::result::Result<Picture, String> {
    if !jpeg::is_complete(bytes) {
        return Err("the JPEG is cut short: its end is missing; copy it again".into());
    }
    raster(bytes, image::ImageFormat::Jpeg)
}

fn raster(bytes: &[u8], format: image::ImageFormat) -> std::result::Result<Picture, String> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODE_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.clone());
    let decoded = reader.into_decoder().and_then(|mut decoder| {
        // What the picture itself will take is kept back from what the decoder may use.
        limits.reserve(decoder.total_bytes())?;
        decoder.set_limits(limits)?;
        let float = matches!(decoder.color_type(), image::ColorType::Rgb32F | image::ColorType::Rgba32F);
        if float { Ok(None) } else { DynamicImage::from_decoder(decoder).map(Some) }
    });
    let decoded = decoded
        .map_err(|error| explain(&error, format))?
        .ok_or("floating-point samples are not read; scale them to whole numbers of 8 or 16 bits")?;
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let (channels, pixels) = match decoded {
        DynamicImage::ImageLuma8(grey) => (1, grey.into_raw()),
        DynamicImage::ImageLumaA8(_) | DynamicImage::ImageLuma16(_) | DynamicImage::ImageLumaA16(_) => {
            (1, decoded.into_luma8().into_raw())
        }
        colour => (3, colour.into_rgb8().into_raw()),
    };
    Picture::new(width, height, channels, pixels).ok_or_else(|| "the image has no pixels".into())
}

fn too_large() -> String {
    let memory = MAX_DECODE_BYTES >> 20;
    format!("too large to decode (at most {MAX_SIDE} pixels a side and {memory} MiB in memory); scale it down")
}

fn explain(error: &image::ImageError, format: image::ImageFormat) -> String {
    match error {
        image::ImageError::Limits(_) => too_large(),
        image::ImageError::Unsupported(_) if format == image::ImageFormat::Tiff => format!(
            "a TIFF of a kind that is not read ({error}); convert it to grey or RGB in whole numbers of 8 or 16 bits"
        ),
        image::ImageError::Unsupported(_) => format!("unsupported image ({error}); convert it to PNG or JPEG"),
        _ => format!("damaged or cut short ({error})"),
    }
}

#[cfg(test)]
mod tests;
