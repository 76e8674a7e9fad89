//! The digits that come with the program: the 1,797 images of the test part of E. Alpaydin, C. Kaynak, "Optical
//! Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998, doi 10.24432/C50P49, under CC BY 4.0.
//! `digits/digits.md` says how they lie in it.

use ciphertune_backbone::Picture;
use ciphertune_head::{DMatrix, FeatureTable};

use crate::error::Result;
use crate::examples::Examples;

/// Every image: [`PIXELS`] bytes of pixels, row by row, then its label.
const DIGITS: &[u8] = include_bytes!("digits/digits.bin");

/// Pixels of an image.
const PIXELS: usize = SIDE * SIDE;

/// Pixels on each side.
pub const SIDE: usize = 8;

/// The largest value of a pixel; the least is 0.
const BRIGHTEST: f32 = 16.0;

/// All digits: their pictures, and 64 pixels a row with labels 0 to 9.
pub fn load() -> Result<Examples> {
    let images: Vec<(&[u8], u8)> = images().collect();
    let values = images.iter().flat_map(|(pixels, _)| pixels.iter().map(|&value| f64::from(value)));
    let table = DMatrix::from_row_iterator(images.len(), PIXELS, values);
    let labels = images.iter().map(|(_, label)| label.to_string()).collect();
    let picture = |pixels: &[u8]| {
        let brightness = |&value: &u8| (f32::from(value) / BRIGHTEST * 255.0).round() as u8;
        Picture::new(SIDE, SIDE, 1, pixels.iter().map(brightness).collect()).expect("an image has SIDE x SIDE pixels")
    };
    let pictures = images.iter().map(|(pixels, _)| picture(pixels)).collect();
    Ok(Examples::of_pictures("digits", FeatureTable::new(table, Some(labels))?, pictures))
}

/// The values and the label of every image.
fn images() -> impl Iterator<Item = (&'static [u8], u8)> {
    DIGITS.chunks_exact(PIXELS + 1).map(|image| (&image[..PIXELS], image[PIXELS]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_1797_images_about_as_many_of_every_digit() {
        assert_eq!(DIGITS.len(), 1797 * (PIXELS + 1));
        let brightest = images().flat_map(|(pixels, _)| pixels).max();
        assert_eq!(brightest.map(|&value| f32::from(value)), Some(BRIGHTEST));
        for digit in 0..10 {
            let count = images().filter(|(_, label)| *label == digit).count();
            assert!((174..=183).contains(&count), "{count} of {digit}");
        }
        assert!(images().all(|(_, label)| label < 10));
    }
}
