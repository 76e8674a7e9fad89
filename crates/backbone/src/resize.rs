//! Resizing. Two filters, both bilinear with half-pixel centres:
//!
//! * [`antialiased`]: what Pillow's `Image.resize(..., BILINEAR)` does, and so torchvision's transforms on PIL images.
//!   Output pixel `o` of a line of `n` pixels, with `s = n / m` and support `r = max(s, 1)`, is the weighted mean of
//!   the input pixels around `c = (o + 1/2) s` with the triangle weights `max(0, 1 - |i + 1/2 - c| / r)`. The weights
//!   are rounded to 22 bits after the point; the horizontal pass rounds to 8 bits before the vertical one. Pillow up to
//!   12 is matched bit by bit; 13 passes over tall pictures in the other order, which changes some pixels by one level.
//! * [`interpolated`]: the two nearest pixels in each direction, in floating point and without rounding, whatever the
//!   ratio; what networks converted from TensorFlow and ONNX's `Resize` (linear, half_pixel) expect.

use std::borrow::Cow;

use crate::picture::Picture;

/// Bits after the point of a weight, so that 255 times the sum of the weights stays within 32 bits.
const WEIGHT_BITS: u32 = 22;

impl Picture {
    /// The picture with its longer side at `side` pixels, the proportions kept; unchanged if it is not longer.
    pub fn thumbnail(&self, side: usize) -> Self {
        let longer = self.width().max(self.height());
        if longer <= side || side == 0 {
            return self.clone();
        }
        let scaled = |length: usize| (length * side / longer).max(1);
        antialiased(self, scaled(self.width()), scaled(self.height()))
    }
}

/// `picture` at `width` x `height`, antialiased, as Pillow's bilinear filter does it.
///
/// # Panics
/// Never: sizes of 0 are taken as 1.
pub fn antialiased(picture: &Picture, width: usize, height: usize) -> Picture {
    let (width, height) = (width.max(1), height.max(1));
    let channels = picture.channels();
    // Borrowed until a pass writes anew: a large picture is never copied.
    let mut pixels = Cow::Borrowed(picture.pixels());
    if width != picture.width() {
        pixels = horizontal(&pixels, picture.width(), channels, &windows(picture.width(), width)).into();
    }
    if height != picture.height() {
        pixels = vertical(&pixels, width * channels, &windows(picture.height(), height)).into();
    }
    Picture::new(width, height, channels, pixels.into_owned())
        .expect("the passes write height * width * channels bytes")
}

/// `picture` at `width` x `height` by interpolation between the nearest pixels: `height * width * channels` values in
/// [0, 255], interleaved as the picture's.
pub fn interpolated(picture: &Picture, width: usize, height: usize) -> Vec<f32> {
    let (columns, rows) = (neighbours(picture.width(), width), neighbours(picture.height(), height));
    let (channels, pixels) = (picture.channels(), picture.pixels());
    let line = picture.width() * channels;
    let mut out = Vec::with_capacity(width * height * channels);
    for &(top, bottom, down) in &rows {
        for &(left, right, across) in &columns {
            for channel in 0..channels {
                let at = |row: usize, column: usize| f32::from(pixels[row * line + column * channels + channel]);
                let upper = at(top, left) + (at(top, right) - at(top, left)) * across;
                let lower = at(bottom, left) + (at(bottom, right) - at(bottom, left)) * across;
                out.push(upper + (lower - upper) * down);
            }
        }
    }
    out
}

/// The input pixels that one output pixel is made of: the first, and the weight of each.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

impl Window {
    fn weigh(&self, values: impl Iterator<Item = u8>) -> u8 {
        let half = 1i32 << (WEIGHT_BITS - 1);
        let sum = values.zip(&self.weights).fold(half, |sum, (value, weight)| sum + i32::from(value) * weight);
        (sum >> WEIGHT_BITS).clamp(0, 255) as u8
    }
}

fn windows(from: usize, to: usize) -> Vec<Window> {
    let scale = from as f64 / to as f64;
    let radius = scale.max(1.0);
    let window = |out: usize| {
        let centre = (out as f64 + 0.5) * scale;
        // Truncation, as Pillow does: a start below zero becomes zero.
        let first = (centre - radius + 0.5).max(0.0) as usize;
        let end = ((centre + radius + 0.5) as usize).min(from);
        let triangle = |at: usize| (1.0 - ((at as f64 - centre + 0.5) * (1.0 / radius)).abs()).max(0.0);
        let weights: Vec<f64> = (first..end).map(triangle).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: &f64| (weight / sum * f64::from(1 << WEIGHT_BITS) + 0.5) as i32;
        Window { first, weights: weights.iter().map(fixed).collect() }
    };
    (0..to).map(window).collect()
}

fn horizontal(pixels: &[u8], width: usize, channels: usize, windows: &[Window]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len() / width * windows.len());
    for line in pixels.chunks_exact(width * channels) {
        for window in windows {
            for channel in 0..channels {
                out.push(window.weigh(line[window.first * channels + channel..].iter().step_by(channels).copied()));
            }
        }
    }
    out
}

fn vertical(pixels: &[u8], line: usize, windows: &[Window]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line * windows.len());
    for window in windows {
        let start = window.first * line;
        for column in 0..line {
            out.push(window.weigh(pixels[start + column..].iter().step_by(line).copied()));
        }
    }
    out
}

/// For each output pixel the two input pixels around its centre and the distance from the first.
fn neighbours(from: usize, to: usize) -> Vec<(usize, usize, f32)> {
    let scale = from as f64 / to as f64;
    let pair = |out: usize| {
        let at = ((out as f64 + 0.5) * scale - 0.5).clamp(0.0, (from - 1) as f64);
        let first = at as usize;
        (first, (first + 1).min(from - 1), (at - first as f64) as f32)
    };
    (0..to).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_picture_stays_constant() {
        for (width, height) in [(1, 1), (7, 3), (40, 41)] {
            let picture = Picture::new(13, 11, 1, vec![201; 143]).expect("143 pixels");
            assert!(antialiased(&picture, width, height).pixels().iter().all(|&value| value == 201));
            assert!(interpolated(&picture, width, height).iter().all(|&value| value == 201.0));
        }
    }

    #[test]
    fn the_two_filters_differ_by_rounding_only_where_a_picture_is_enlarged() {
        let pixels = (0..28 * 28 * 3).map(|at| (at * at % 251) as u8).collect();
        let picture = Picture::new(28, 28, 3, pixels).expect("28 x 28 x 3 bytes");
        for (width, height) in [(28, 28), (29, 224), (224, 224), (300, 31)] {
            let rounded = antialiased(&picture, width, height);
            let exact = interpolated(&picture, width, height);
            let pairs = rounded.pixels().iter().zip(&exact);
            assert!(
                pairs.into_iter().all(|(&rounded, exact)| (f32::from(rounded) - exact).abs() <= 1.01),
                "{width} x {height}"
            );
        }
    }

    #[test]
    fn thumbnails_keep_the_proportions_and_never_enlarge() {
        let picture = Picture::new(40, 10, 3, vec![77; 1200]).expect("40 x 10 pixels");
        let small = picture.thumbnail(20);
        assert_eq!((small.width(), small.height(), small.pixels()[0]), (20, 5, 77));
        assert_eq!(picture.thumbnail(40), picture);
        assert_eq!(Picture::new(900, 1, 1, vec![5; 900]).expect("a line").thumbnail(9).height(), 1);
    }

    #[test]
    fn interpolation_has_half_pixel_centres() {
        let picture = Picture::new(2, 1, 1, vec![0, 100]).expect("two pixels");
        assert_eq!(interpolated(&picture, 4, 1), [0.0, 25.0, 75.0, 100.0]);
    }
}
