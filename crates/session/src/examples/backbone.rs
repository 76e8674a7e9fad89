//! Which backbone and preprocessing turn images into features, and what opening them gives.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use ciphertune_backbone::{
    Backbone, Builtin, Channels, Filter, InputSize, OnnxNetwork, OnnxOptions, Preprocess, RegNetX, Weights,
};
use ciphertune_head::Provenance;

use crate::cache;
use crate::error::{Error, InFile, Result};

/// A number for red, green and blue.
pub type Colour = [f32; 3];

/// What is asked for; everything that is left open is the backbone's own. Messages name what is wrong by the command
/// line's flags, which are called as the fields are.
#[derive(Clone, Debug, Default)]
pub struct BackboneChoice {
    /// `builtin`, the name of a RegNetX, or an ONNX file.
    pub backbone: Option<String>,
    /// Weights of a RegNetX.
    pub weights: Option<PathBuf>,
    /// Value in an ONNX model's graph that is taken as features.
    pub output: Option<String>,
    /// Input size of an ONNX model that leaves it free.
    pub input_size: Option<InputSize>,
    /// A preset's name or a TOML file.
    pub preprocess: Option<String>,
    /// Scale the shorter side to so many pixels and cut the centre out.
    pub shorter_side: Option<usize>,
    /// Filter that resizes images.
    pub filter: Option<Filter>,
    /// Order of the colours.
    pub channels: Option<Channels>,
    /// Subtracted from pixels in [0, 1].
    pub mean: Option<Colour>,
    /// Divides what is left.
    pub std: Option<Colour>,
    /// Leave out images that cannot be read.
    pub skip_bad: bool,
    /// Folder that keeps features.
    pub cache: Option<PathBuf>,
    /// Neither use features that were kept nor keep any.
    pub no_cache: bool,
}

/// A backbone with its preprocessing.
pub struct Opened {
    /// The network.
    pub backbone: Box<dyn Backbone>,
    /// What happens to images before it.
    pub preprocess: Preprocess,
    /// Both, as tables and heads remember them.
    pub provenance: Provenance,
    /// What is known of a file of weights: its SHA-256, and what torchvision calls it.
    pub weights: Option<String>,
    /// The folder that keeps features.
    pub cache: Option<PathBuf>,
    /// What the user should know of the features, once there are some.
    pub remarks: RefCell<Vec<String>>,
    /// What the user should know and may have to act upon.
    pub warnings: RefCell<Vec<String>>,
}

impl BackboneChoice {
    /// The backbone that comes with the program, and no cache.
    pub fn builtin() -> Self {
        Self { backbone: Some(Builtin::NAME.to_owned()), no_cache: true, ..Self::default() }
    }

    /// Refuses flags that nothing in the request has a use for.
    pub fn refuse(&self) -> Result<()> {
        let given = [
            ("--backbone", self.backbone.is_some()),
            ("--weights", self.weights.is_some()),
            ("--output", self.output.is_some()),
            ("--input-size", self.input_size.is_some()),
            ("--preprocess", self.preprocess.is_some()),
            ("--shorter-side", self.shorter_side.is_some()),
            ("--filter", self.filter.is_some()),
            ("--channels", self.channels.is_some()),
            ("--mean", self.mean.is_some()),
            ("--std", self.std.is_some()),
            ("--skip-bad", self.skip_bad),
            ("--cache", self.cache.is_some()),
            ("--no-cache", self.no_cache),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((flag, _)) => {
                Err(Error::input(format!("{flag} is about images, and a feature table was given: leave it out")))
            }
            None => Ok(()),
        }
    }

    /// Opens the backbone. What the flags leave open is taken from `expected`, the features of a head that is used
    /// again, where it fits; a backbone that does not is refused.
    pub fn open(&self, expected: Option<&Provenance>) -> Result<Opened> {
        let Parts { backbone, own, weights, name, mut remarks, warnings } = match self.name(expected)? {
            Builtin::NAME => self.open_builtin()?,
            name if is_onnx(name) => self.open_onnx(Path::new(name))?,
            name if RegNetX::names().any(|known| known == name) => self.open_regnet(name)?,
            name => {
                let known: Vec<&str> = RegNetX::names().collect();
                return Err(Error::input(format!(
                    "no backbone is called {name:?}: give builtin, the name of an .onnx file, or {}",
                    known.join(", ")
                )));
            }
        };
        let digest: String = backbone.digest().iter().map(|byte| format!("{byte:02x}")).collect();
        let remembered = expected
            .filter(|expected| expected.digest == digest && !self.says_preprocess())
            .and_then(|expected| serde_json::from_str(&expected.preprocess).ok());
        let preprocess = match (remembered, own) {
            (Some(remembered), _) => remembered,
            (None, Some(own)) => self.preprocess(own)?,
            (None, None) if self.says_preprocess() => self.preprocess(Preprocess::onnx_default())?,
            (None, None) => {
                let default = Preprocess::onnx_default();
                remarks.push(format!("{name} comes without preprocessing, so images are {default}: see --preprocess"));
                default
            }
        };
        let text = serde_json::to_string(&preprocess).map_err(|error| Error::failure(error.to_string()))?;
        let provenance = Provenance { backbone: name, digest, preprocess: text };
        Provenance::check(Some(&provenance), expected, "head")?;
        let cache = match (&self.cache, self.no_cache) {
            (_, true) => None,
            (Some(folder), _) => Some(folder.clone()),
            (None, _) => cache::folder(),
        };
        Ok(Opened {
            backbone,
            preprocess,
            provenance,
            weights,
            cache,
            remarks: remarks.into(),
            warnings: warnings.into(),
        })
    }

    /// The backbone's name; without one, that of a head which needs no file for it.
    fn name(&self, expected: Option<&Provenance>) -> Result<&str> {
        match (self.backbone.as_deref(), expected) {
            (Some(name), _) => Ok(name),
            (None, Some(expected)) if expected.backbone == Builtin::NAME => Ok(Builtin::NAME),
            (None, Some(expected)) => Err(Error::input(format!(
                "images need a backbone: give --backbone with {}, which the head was trained with",
                expected.backbone
            ))),
            (None, None) => Err(Error::input(
                "images need a backbone: give --backbone builtin (for small drawings such as digits), --backbone regnet_x_400mf with --weights FILE, or --backbone MODEL.onnx",
            )),
        }
    }

    fn open_builtin(&self) -> Result<Parts> {
        if self.weights.is_some() || self.output.is_some() || self.input_size.is_some() {
            return Err(Error::input(
                "the backbone builtin has its weights: leave --weights, --output and --input-size out",
            ));
        }
        let network = Builtin::load()?;
        let own = Some(network.preprocess().clone());
        let (name, backbone) = (Builtin::NAME.to_owned(), Box::new(network));
        Ok(Parts { backbone, own, weights: None, name, remarks: Vec::new(), warnings: Vec::new() })
    }

    fn open_onnx(&self, path: &Path) -> Result<Parts> {
        if self.weights.is_some() {
            return Err(Error::input("an ONNX model holds its weights: leave --weights out"));
        }
        let options = OnnxOptions { output: self.output.clone(), size: self.input_size };
        let network = OnnxNetwork::load(path, &options)?;
        let beside = path.with_extension("toml");
        let own = if beside.is_file() && self.preprocess.is_none() { Some(Preprocess::load(&beside)?) } else { None };
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let warnings = network.warning().map(|warning| format!("{name}: {warning}")).into_iter().collect();
        Ok(Parts { backbone: Box::new(network), own, weights: None, name, remarks: Vec::new(), warnings })
    }

    fn open_regnet(&self, name: &str) -> Result<Parts> {
        if self.output.is_some() || self.input_size.is_some() {
            return Err(Error::input(format!("--output and --input-size belong to ONNX models, not to {name}")));
        }
        let files = RegNetX::published_files(name);
        let path = self.weights.as_deref().ok_or_else(|| {
            let file = files.last().map_or("", String::as_str);
            Error::input(format!(
                "{name} needs its weights: download https://download.pytorch.org/models/{file} and give --weights {file}"
            ))
        })?;
        let weights = Weights::load(path)?;
        let sha256: String = weights.digest().iter().map(|byte| format!("{byte:02x}")).collect();
        let known = RegNetX::published_as(name, weights.digest());
        let mut remarks = Vec::new();
        if known.is_none() {
            remarks.push(format!(
                "{} is none of torchvision's files for {name} ({}, named after the SHA-256): its SHA-256 is {sha256}",
                path.display(),
                files.join(" and ")
            ));
        }
        let network = RegNetX::from_weights(name, &weights).map_err(Error::input).in_file(path)?;
        let own = Some(network.preprocess().clone());
        let known = known.map_or_else(|| "not torchvision's".to_owned(), |known| format!("torchvision's {known}"));
        let weights = Some(format!("{known}, SHA-256\n{sha256}"));
        Ok(Parts { backbone: Box::new(network), own, weights, name: name.to_owned(), remarks, warnings: Vec::new() })
    }

    /// Whether a flag says anything of the preprocessing.
    fn says_preprocess(&self) -> bool {
        let settings = self.shorter_side.is_some() || self.filter.is_some() || self.channels.is_some();
        self.preprocess.is_some() || settings || self.mean.is_some() || self.std.is_some()
    }

    /// The settings that the flags describe, over the backbone's own.
    fn preprocess(&self, own: Preprocess) -> Result<Preprocess> {
        let mut settings = match self.preprocess.as_deref() {
            None => own,
            Some(name) => match Preprocess::preset(name) {
                Some(preset) => preset,
                None if name.ends_with(".toml") => Preprocess::load(Path::new(name))?,
                None => {
                    return Err(Error::input(format!(
                        "--preprocess {name:?} is unknown: give torchvision, torchvision_v2, paper or a .toml file"
                    )));
                }
            },
        };
        settings.shorter_side = self.shorter_side.or(settings.shorter_side);
        settings.filter = self.filter.unwrap_or(settings.filter);
        settings.channels = self.channels.unwrap_or(settings.channels);
        settings.mean = self.mean.unwrap_or(settings.mean);
        settings.std = self.std.unwrap_or(settings.std);
        settings.check()?;
        Ok(settings)
    }
}

/// A network as it was opened, before the flags about preprocessing.
struct Parts {
    backbone: Box<dyn Backbone>,
    own: Option<Preprocess>,
    weights: Option<String>,
    name: String,
    remarks: Vec<String>,
    warnings: Vec<String>,
}

fn is_onnx(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_change_single_settings_of_a_preset() {
        let choice = BackboneChoice {
            preprocess: Some("torchvision_v2".into()),
            std: Some([1.0; 3]),
            channels: Some(Channels::Bgr),
            ..BackboneChoice::default()
        };
        let settings = choice.preprocess(Preprocess::paper()).expect("a preset");
        assert_eq!((settings.shorter_side, settings.std, settings.channels), (Some(232), [1.0; 3], Channels::Bgr));
        assert_eq!(settings.mean, Preprocess::torchvision().mean);
        let none = BackboneChoice { std: Some([0.0; 3]), ..BackboneChoice::default() };
        assert!(none.preprocess(Preprocess::paper()).is_err());
    }
}
