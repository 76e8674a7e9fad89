//! From a picture to a network's input: resize, crop, normalise.
//!
//! The input is three planes (red, green, blue, or the reverse) of `height * width` values
//! `(pixel / 255 - mean) / std`; a grey picture fills all three alike.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{BackboneError, Result};
use crate::picture::Picture;
use crate::resize::{antialiased, interpolated};

/// The largest side that a picture may be resized to.
const MAX_TARGET: usize = 4096;

/// How a picture gets its new size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Pillow's bilinear filter, as torchvision uses it ([`antialiased`]).
    Antialiased,
    /// Floating-point interpolation of the nearest pixels ([`interpolated`]).
    Interpolated,
}

/// The order of the three planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// What happens to a picture before the network sees it.
///
/// As TOML, every key optional (the default is [`Preprocess::onnx_default`]):
///
/// ```
/// let settings = r#"
///     shorter-side = 256          # keep the proportions, then cut the centre; without it: stretch to the input size
///     filter = "antialiased"      # or "interpolated"
///     channels = "rgb"            # or "bgr"
///     mean = [0.485, 0.456, 0.406]    # of pixels in [0, 1], in the order red, green, blue
///     std = [0.229, 0.224, 0.225]
/// "#;
/// let read = ciphertune_backbone::Preprocess::from_toml(settings)?;
/// assert_eq!(read, ciphertune_backbone::Preprocess::torchvision());
/// # Ok::<(), ciphertune_backbone::BackboneError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Preprocess {
    /// `Some(n)`: the shorter side becomes `n` and the centre is cut to the input size; `None`: the picture is
    /// stretched to the input size.
    pub shorter_side: Option<usize>,
    /// The resizing filter.
    pub filter: Filter,
    /// The order of the planes.
    pub channels: Channels,
    /// Subtracted from pixels in [0, 1]; red, green, blue.
    pub mean: [f32; 3],
    /// Divides what is left; red, green, blue.
    pub std: [f32; 3],
}

impl Default for Preprocess {
    fn default() -> Self {
        Self::onnx_default()
    }
}

impl Preprocess {
    /// Torchvision's transform for the RegNet weights `IMAGENET1K_V1`: shorter side 256, centre 224, ImageNet's mean
    /// and deviation.
    pub fn torchvision() -> Self {
        Self {
            shorter_side: Some(256),
            filter: Filter::Antialiased,
            channels: Channels::Rgb,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        }
    }

    /// Torchvision's transform for the RegNet weights `IMAGENET1K_V2`: as V1 with shorter side 232.
    pub fn torchvision_v2() -> Self {
        Self { shorter_side: Some(232), ..Self::torchvision() }
    }

    /// The paper's: stretched to the input size, pixels in [0, 1], no normalisation.
    pub fn paper() -> Self {
        Self { shorter_side: None, mean: [0.0; 3], std: [1.0; 3], ..Self::torchvision() }
    }

    /// What an ONNX model gets when nothing else is said: red, green, blue, stretched, x / 127.5 - 1.
    pub fn onnx_default() -> Self {
        Self { shorter_side: None, mean: [0.5; 3], std: [0.5; 3], ..Self::torchvision() }
    }

    /// A preset by its name: `torchvision`, `torchvision_v2`, `paper` or `onnx_default`, with `_` or `-`.
    pub fn preset(name: &str) -> Option<Self> {
        match name.replace('-', "_").as_str() {
            "torchvision" => Some(Self::torchvision()),
            "torchvision_v2" => Some(Self::torchvision_v2()),
            "paper" => Some(Self::paper()),
            "onnx_default" => Some(Self::onnx_default()),
            _ => None,
        }
    }

    /// Reads settings from TOML text (see the type's example).
    ///
    /// # Errors
    /// [`BackboneError::BadPreprocess`] for anything that is no such text, or settings that [`Preprocess::check`]
    /// refuses.
    pub fn from_toml(text: &str) -> Result<Self> {
        let settings: Self = toml::from_str(text).map_err(|error| BackboneError::BadPreprocess(error.to_string()))?;
        settings.check()?;
        Ok(settings)
    }

    /// Reads settings from a TOML file.
    ///
    /// # Errors
    /// [`BackboneError::File`], and [`BackboneError::BadModel`] naming the file where [`Preprocess::from_toml`]
    /// refuses.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(BackboneError::file(path))?;
        Self::from_toml(&text).map_err(|error| BackboneError::model(path, error.to_string()))
    }

    /// Refuses sizes of zero or beyond 4,096, deviations that are not positive, and means that are not finite.
    ///
    /// # Errors
    /// [`BackboneError::BadPreprocess`] says which.
    pub fn check(&self) -> Result<()> {
        let refuse = |what: &str| Err(BackboneError::BadPreprocess(what.to_owned()));
        if self.shorter_side.is_some_and(|side| !(1..=MAX_TARGET).contains(&side)) {
            return refuse("`shorter-side` must lie in 1 to 4096");
        }
        if self.std.iter().any(|deviation| !(deviation.is_finite() && *deviation > 0.0)) {
            return refuse("every value of `std` must be a positive number");
        }
        if self.mean.iter().any(|mean| !mean.is_finite()) {
            return refuse("every value of `mean` must be a finite number");
        }
        Ok(())
    }

    /// Refuses a shorter side that is less than the input of `width` x `height`, so that nothing could be cut from it.
    pub(crate) fn check_input(&self, width: usize, height: usize) -> Result<()> {
        match self.shorter_side {
            Some(side) if side < width.max(height) => Err(BackboneError::BadPreprocess(format!(
                "`shorter-side` {side} is less than the network's input of {width} x {height}: raise it"
            ))),
            _ => Ok(()),
        }
    }

    /// The network's input of `picture`: `3 * height * width` values, plane by plane, row by row.
    ///
    /// # Errors
    /// [`BackboneError::BadPreprocess`] as [`Preprocess::check`], when the centre to be cut is larger than the resized
    /// picture, or when the picture is so elongated that its longer side would be unreasonable.
    pub fn apply(&self, picture: &Picture, width: usize, height: usize) -> Result<Vec<f32>> {
        self.check()?;
        self.check_input(width, height)?;
        let (resized_width, resized_height) = match self.shorter_side {
            None => (width, height),
            Some(side) => with_shorter_side(picture, side),
        };
        if resized_width.max(resized_height) > 16 * MAX_TARGET {
            let (from, to) = (picture.width(), picture.height());
            return Err(BackboneError::BadPreprocess(format!("a picture of {from} x {to} is too elongated: crop it")));
        }
        let values = match self.filter {
            Filter::Interpolated => interpolated(picture, resized_width, resized_height),
            Filter::Antialiased => {
                let resized = antialiased(picture, resized_width, resized_height);
                resized.pixels().iter().map(|&value| f32::from(value)).collect()
            }
        };
        let (left, top) = (centre(resized_width, width), centre(resized_height, height));
        let channels = picture.channels();
        let mut planes = Vec::with_capacity(3 * width * height);
        for plane in 0..3 {
            let colour = match self.channels {
                Channels::Rgb => plane,
                Channels::Bgr => 2 - plane,
            };
            let (mean, deviation) = (self.mean[colour], self.std[colour]);
            let channel = if channels == 1 { 0 } else { colour };
            for row in top..top + height {
                let start = (row * resized_width + left) * channels + channel;
                let line = values[start..].iter().step_by(channels).take(width);
                planes.extend(line.map(|value| (value / 255.0 - mean) / deviation));
            }
        }
        Ok(planes)
    }
}

/// In words, such as `stretched to the input's size (bilinear), RGB, x / 255`.
impl fmt::Display for Preprocess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shorter_side {
            Some(side) => write!(f, "shorter side to {side}, centre cut out")?,
            None => write!(f, "stretched to the input's size")?,
        }
        f.write_str(match self.filter {
            Filter::Antialiased => " (bilinear)",
            Filter::Interpolated => " (interpolated)",
        })?;
        f.write_str(match self.channels {
            Channels::Rgb => ", RGB",
            Channels::Bgr => ", BGR",
        })?;
        if (self.mean, self.std) == ([0.5; 3], [0.5; 3]) {
            return f.write_str(", x / 127.5 - 1");
        }
        if (self.mean, self.std) == ([0.0; 3], [1.0; 3]) {
            return f.write_str(", x / 255");
        }
        let ([r, g, b], [s, t, u]) = (self.mean, self.std);
        write!(f, ", (x / 255 - mean) / std with mean {r} {g} {b} and std {s} {t} {u}")
    }
}

/// The size with the shorter side at `side` and the proportions kept, the longer side rounded down as torchvision does.
fn with_shorter_side(picture: &Picture, side: usize) -> (usize, usize) {
    let (width, height) = (picture.width(), picture.height());
    if width <= height { (side, side * height / width) } else { (side * width / height, side) }
}

/// Where a centred cut begins; a half is rounded to the even side, as Python does.
fn centre(from: usize, to: usize) -> usize {
    ((from - to) as f64 / 2.0).round_ties_even() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grey_picture_fills_three_equal_planes_in_0_to_1_for_the_paper() {
        let picture = Picture::new(2, 2, 1, vec![0, 255, 51, 102]).expect("four pixels");
        let planes = Preprocess::paper().apply(&picture, 2, 2).expect("valid settings");
        assert_eq!(planes[..4], [0.0, 1.0, 0.2, 0.4]);
        assert_eq!(planes[..4], planes[4..8]);
        assert_eq!(planes[..4], planes[8..]);
    }

    #[test]
    fn the_onnx_default_maps_bytes_to_minus_1_to_1() {
        let picture = Picture::new(1, 1, 3, vec![0, 255, 51]).expect("a pixel");
        let planes = Preprocess::onnx_default().apply(&picture, 1, 1).expect("valid settings");
        assert!(planes.iter().zip([-1.0, 1.0, -0.6]).all(|(found, expected)| (found - expected).abs() < 1e-6));
    }

    #[test]
    fn presets_are_known_by_either_spelling_and_settings_are_told_in_words() {
        assert_eq!(Preprocess::preset("torchvision-v2"), Preprocess::preset("torchvision_v2"));
        assert_eq!(Preprocess::preset("imagenet"), None);
        let words = Preprocess::onnx_default().to_string();
        assert_eq!(words, "stretched to the input's size (bilinear), RGB, x / 127.5 - 1");
        assert!(Preprocess::torchvision().to_string().contains("shorter side to 256"));
    }

    #[test]
    fn bgr_reverses_the_planes_with_their_means() {
        let picture = Picture::new(1, 1, 3, vec![255, 0, 0]).expect("a pixel");
        let settings = Preprocess { channels: Channels::Bgr, mean: [0.5, 0.0, 0.0], ..Preprocess::paper() };
        assert_eq!(settings.apply(&picture, 1, 1).expect("valid settings"), [0.0, 0.0, 0.5]);
    }

    #[test]
    fn the_centre_is_cut_from_a_picture_with_its_proportions_kept() {
        let pixels: Vec<u8> = (0..8).flat_map(|_| (0..24).map(|column| column as u8)).collect();
        let picture = Picture::new(24, 8, 1, pixels).expect("24 x 8 pixels");
        let settings = Preprocess { shorter_side: Some(8), ..Preprocess::paper() };
        let planes = settings.apply(&picture, 4, 4).expect("valid settings");
        let first: Vec<f32> = planes[..4].iter().map(|value| value * 255.0).collect();
        assert_eq!(first, [10.0, 11.0, 12.0, 13.0]);
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for text in
            ["std = [0, 1, 1]", "std = [1.0]", "shorter-side = 0", "mean = [nan, 0, 0]", "size = 3", "filter = 'x'"]
        {
            assert!(matches!(Preprocess::from_toml(text), Err(BackboneError::BadPreprocess(_))), "{text}");
        }
        let picture = Picture::new(1, 1, 1, vec![0]).expect("a pixel");
        let small = Preprocess { shorter_side: Some(3), ..Preprocess::paper() };
        assert!(small.apply(&picture, 4, 4).is_err());
    }
}
