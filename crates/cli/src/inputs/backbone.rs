//! The flags that choose a backbone and its preprocessing.

use std::path::PathBuf;

use ciphertune_backbone::{Channels, Filter, InputSize};
use ciphertune_session::examples::{BackboneChoice, Colour};
use clap::{Args, ValueEnum};

/// How images become features.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Images")]
pub struct BackboneFlags {
    /// Pretrained network that turns images into features: builtin (for small drawings such as digits; comes with the
    /// program), regnet_x_400mf or a larger one with --weights, or an ONNX file
    #[arg(long, value_name = "NAME|FILE.onnx")]
    backbone: Option<String>,

    /// Weights of a RegNetX as torchvision publishes them (.pth), or the same as .safetensors; docs/backbones.md says
    /// where to find them
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,

    /// Value in an ONNX model's graph to take as features [default: its only output]
    #[arg(long, value_name = "NODE")]
    output: Option<String>,

    /// Input size of an ONNX model that leaves it free, such as 224x224
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = parse_size)]
    input_size: Option<InputSize>,

    /// What happens to images before the network: torchvision, torchvision_v2, paper, or a TOML file [default: the
    /// backbone's own; for MODEL.onnx the file MODEL.toml if there is one]
    #[arg(long, value_name = "NAME|FILE.toml")]
    preprocess: Option<String>,

    /// Scale the shorter side to N pixels and cut the centre out, instead of stretching the image
    #[arg(long, value_name = "N")]
    shorter_side: Option<usize>,

    /// Filter that resizes images
    #[arg(long, value_enum)]
    filter: Option<FilterName>,

    /// Order of the colours
    #[arg(long, value_enum)]
    channels: Option<ChannelsName>,

    /// Subtracted from pixels in [0, 1]: one number, or three for red, green, blue
    #[arg(long, value_name = "R,G,B", allow_negative_numbers = true, value_parser = parse_colour)]
    mean: Option<Colour>,

    /// Divides what is left: one number, or three for red, green, blue
    #[arg(long, value_name = "R,G,B", value_parser = parse_colour)]
    std: Option<Colour>,

    /// Leave out images that cannot be read, and name them; without it the first one ends the command
    #[arg(long)]
    pub skip_bad: bool,

    /// Folder that keeps features, so that the same images are not run through the network again [default: see
    /// ciphertune cache]
    #[arg(long, value_name = "DIR", conflicts_with = "no_cache")]
    cache: Option<PathBuf>,

    /// Neither use features that were kept nor keep any
    #[arg(long)]
    no_cache: bool,
}

/// The filters by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FilterName {
    /// Bilinear, over all pixels that are merged: Pillow's and torchvision's
    Antialiased,
    /// Bilinear between the nearest pixels
    Interpolated,
}

/// The orders of the colours by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ChannelsName {
    /// Red, green, blue
    Rgb,
    /// Blue, green, red
    Bgr,
}

fn parse_size(text: &str) -> std::result::Result<InputSize, String> {
    let sides = text.split_once(['x', 'X']).and_then(|(w, h)| Some((w.trim().parse().ok()?, h.trim().parse().ok()?)));
    match sides {
        Some((width @ 1..=4096, height @ 1..=4096)) => Ok(InputSize { width, height }),
        _ => Err("give two sides of 1 to 4096 pixels, such as 224x224".to_owned()),
    }
}

fn parse_colour(text: &str) -> std::result::Result<Colour, String> {
    let numbers: Option<Vec<f32>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[all]) => Ok([all; 3]),
        Some(&[red, green, blue]) => Ok([red, green, blue]),
        _ => Err("give one number, or three with commas between them".to_owned()),
    }
}

impl BackboneFlags {
    /// What the flags ask for.
    pub fn choice(&self) -> BackboneChoice {
        BackboneChoice {
            backbone: self.backbone.clone(),
            weights: self.weights.clone(),
            output: self.output.clone(),
            input_size: self.input_size,
            preprocess: self.preprocess.clone(),
            shorter_side: self.shorter_side,
            filter: self.filter.map(|name| match name {
                FilterName::Antialiased => Filter::Antialiased,
                FilterName::Interpolated => Filter::Interpolated,
            }),
            channels: self.channels.map(|name| match name {
                ChannelsName::Rgb => Channels::Rgb,
                ChannelsName::Bgr => Channels::Bgr,
            }),
            mean: self.mean,
            std: self.std,
            skip_bad: self.skip_bad,
            cache: self.cache.clone(),
            no_cache: self.no_cache,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_colours_are_read_as_people_write_them() {
        assert_eq!(parse_size("224x192"), Ok(InputSize { width: 224, height: 192 }));
        assert!(parse_size("224").is_err() && parse_size("0x3").is_err() && parse_size("5000x5000").is_err());
        assert_eq!(parse_colour("0.5"), Ok([0.5; 3]));
        assert_eq!(parse_colour("0.485, 0.456,0.406"), Ok([0.485, 0.456, 0.406]));
        assert!(parse_colour("1,2").is_err() && parse_colour("").is_err());
    }
}
