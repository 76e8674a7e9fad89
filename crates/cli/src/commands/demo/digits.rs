//! Drawings of the digits that come with the program ([`ciphertune_session::digits`]).

use ciphertune_head::Head;
use ciphertune_session::digits::SIDE;
use ciphertune_session::examples::Examples;

use crate::errors::Result;

/// Classes that an image is drawn of.
const DRAWN: [&str; 4] = ["0", "3", "5", "6"];

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
