//! The digits that come with the program: UCI's "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak,
//! 1998), the 1,797 images of its test part, as smartcore bundles them.

use ciphertune_backbone::Picture;
use ciphertune_head::{DMatrix, FeatureTable, Head};

use crate::errors::Result;
use ciphertune_session::examples::Examples;

/// Pixels on each side.
const SIDE: usize = 8;

/// The largest value of a pixel; the least is 0.
const BRIGHTEST: f32 = 16.0;

/// Classes that an image is drawn of.
const DRAWN: [&str; 4] = ["0", "3", "5", "6"];

/// All digits: their pictures, and 64 pixels a row with labels 0 to 9.
pub fn load() -> Result<Examples> {
    let digits = smartcore::dataset::digits::load_dataset();
    let pixels =
        DMatrix::from_row_iterator(digits.num_samples, digits.num_features, digits.data.iter().map(|&x| x.into()));
    let labels = digits.target.iter().map(|label| format!("{label:.0}")).collect();
    let picture = |row: usize| {
        let values = &digits.data[row * SIDE * SIDE..(row + 1) * SIDE * SIDE];
        Picture::new(SIDE, SIDE, 1, values.iter().map(|&x| (x / BRIGHTEST * 255.0).round() as u8).collect())
            .expect("an image has SIDE x SIDE pixels")
    };
    let pictures = (0..digits.num_samples).map(picture).collect();
    Ok(Examples::of_pictures("digits", FeatureTable::new(pixels, Some(labels))?, pictures))
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
