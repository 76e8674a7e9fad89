//! The digits that come with the program: the 1,797 images of the test part of E. Alpaydin, C. Kaynak, "Optical
//! Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998, doi 10.24432/C50P49, under CC BY 4.0.
//! `digits.md` beside the file says how they lie in it.

use ciphertune_backbone::Picture;
use ciphertune_head::{DMatrix, FeatureTable, Head};

use crate::errors::Result;
use ciphertune_session::examples::Examples;

/// Every image: [`PIXELS`] bytes of pixels, row by row, then its label.
const DIGITS: &[u8] = include_bytes!("digits.bin");

/// Pixels of an image.
const PIXELS: usize = SIDE * SIDE;

/// Pixels on each side.
const SIDE: usize = 8;

/// The largest value of a pixel; the least is 0.
const BRIGHTEST: f32 = 16.0;

/// Classes that an image is drawn of.
const DRAWN: [&str; 4] = ["0", "3", "5", "6"];

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

/// Draws the first image of some classes side by side, with what the head takes them for.
pub fn draw(examples: &Examples, head: &Head) -> Result<String> {
    let labels = examples.table.require_labels()?;
    let first = |class: &&str| labels.iter().position(|label| label == *class);
    let rows: Vec<usize> = DRAWN.iter().filter_map(first).collect();
    let pictures = examples.pictures(&rows)?;
    let predictions = head.predict(&examples.table.features().select_rows(&rows))?;
    let mut text = String::new();
    for y in 0..SIDE {
        let line: Vec<String> = pictures
            .iter()
            .map(|picture| (0..SIDE).map(|x| shade(picture.pixels()[y * SIDE + x])).collect::<String>())
            .collect();
        text += &format!("  {}\n", line.join("   ").trim_end());
    }
    let captions: Vec<String> = predictions
        .iter()
        .zip(&rows)
        .map(|(prediction, &row)| match &labels[row] {
            label if *label == prediction.label => format!("read as {label}"),
            label => format!("read as {}, is {label}", prediction.label),
        })
        .map(|caption| format!("{caption:^width$}", width = 2 * SIDE))
        .collect();
    text += &format!("  {}\n", captions.join("   ").trim_end());
    Ok(text)
}

/// Two characters for a pixel's brightness, since they are twice as high as wide.
fn shade(brightness: u8) -> &'static str {
    const SHADES: [&str; 5] = ["  ", "░░", "▒▒", "▓▓", "██"];
    SHADES[usize::from(brightness) * SHADES.len() / 256]
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
