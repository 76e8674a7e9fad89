//! A picture: its pixels in memory, and how they are written as PNG. Decoding and resizing stand in modules of their
//! own, which know this one.

use image::ImageEncoder;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_have_the_pixels_that_their_shape_asks_for_in_one_or_three_channels() {
        assert!(Picture::new(2, 3, 1, vec![0; 6]).is_some() && Picture::new(2, 3, 3, vec![0; 18]).is_some());
        for (width, height, channels, pixels) in [(2, 3, 1, 5), (2, 3, 2, 12), (0, 3, 1, 0), (usize::MAX, 2, 3, 6)] {
            assert!(Picture::new(width, height, channels, vec![0; pixels]).is_none(), "{width} x {height}");
        }
    }
}
