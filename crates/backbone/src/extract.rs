//! Extraction: images to features on all cores, streamed, cached by content.
//!
//! Images are read in order, a few dozen at a time; those that the cache does not know are decoded, preprocessed and
//! run through the backbone in parallel, one image a core; rows are handed on in the order of the images. Memory does
//! not grow with their number.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::backbone::{Backbone, Matrix};
use crate::cache::Cache;
use crate::error::{BackboneError, Result};
use crate::preprocess::Preprocess;
use crate::source::{Sample, Source};
use crate::version::Version;

/// Images read ahead for each thread.
const AHEAD: usize = 8;

/// Bytes of images that are enough to start with.
const AHEAD_BYTES: usize = 256 << 20;

/// How images are extracted.
#[derive(Clone, Debug, Default)]
pub struct ExtractOptions {
    /// Threads; `None`: as many as there are cores.
    pub threads: Option<usize>,
    /// At most so many rows: what follows the last of them is not read; `None`: all.
    pub rows: Option<usize>,
    /// Whether unreadable images are left out and named in the summary; otherwise the first one is an error.
    pub skip_bad: bool,
    /// The folder of the cache; `None`: no cache.
    pub cache: Option<PathBuf>,
}

/// The features of one image.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Its image's place in the set, counted from 0; unreadable images count.
    pub place: usize,
    /// The image's file, or its container and number.
    pub name: &'a str,
    /// Its label, where the set has labels.
    pub label: Option<&'a str>,
    /// Its features.
    pub features: &'a [f32],
}

/// How far an extraction is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Images done, skipped ones included.
    pub done: usize,
    /// Images in the set, where that is known.
    pub images: Option<usize>,
    /// Images whose features came from the cache.
    pub from_cache: usize,
    /// The time since the start.
    pub elapsed: Duration,
}

impl Progress {
    /// Images a second that went through the backbone, so far.
    pub fn images_per_second(&self) -> f64 {
        (self.done - self.from_cache) as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The time left at the pace so far; `None` before the first image and where the number of images is not known.
    pub fn time_left(&self) -> Option<Duration> {
        let left = self.images?.saturating_sub(self.done);
        (self.done > 0).then(|| self.elapsed.mul_f64(left as f64 / self.done as f64))
    }
}

/// An image that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The image's file, or its container and number.
    pub name: String,
    /// The error's message.
    pub reason: String,
}

/// What an extraction did.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Rows handed on.
    pub rows: usize,
    /// Rows among them whose features came from the cache.
    pub from_cache: usize,
    /// Images left out.
    pub skipped: Vec<Skipped>,
    /// The names of rows whose file holds more than the picture that was taken: frames or pages.
    pub first_of_several: Vec<String>,
    /// The time it took.
    pub elapsed: Duration,
}

/// All rows of an extraction.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// The features, a row an image.
    pub features: Matrix,
    /// The images' names.
    pub names: Vec<String>,
    /// Their places in the set, counted from 0.
    pub places: Vec<usize>,
    /// Their labels: one an image, or none at all.
    pub labels: Option<Vec<String>>,
    /// What was done.
    pub summary: Summary,
}

/// Extracts the features of `source` and hands each row to `sink`, in the order of the images; `progress` hears after
/// every few dozen images. The first error of `sink` or `progress` ends the extraction ([`BackboneError::Cancelled`] for
/// whoever wants it to end).
///
/// # Errors
/// Those of the source, the images (unless [`ExtractOptions::skip_bad`]), the preprocessing, the backbone, the cache,
/// the sink and `progress`; [`BackboneError::Stopped`] where a pool of threads cannot be started.
pub fn extract(
    backbone: &dyn Backbone,
    preprocess: &Preprocess,
    source: Source,
    options: &ExtractOptions,
    sink: &mut dyn FnMut(Row<'_>) -> Result<()>,
    progress: &mut dyn FnMut(Progress) -> Result<()>,
) -> Result<Summary> {
    preprocess.check()?;
    preprocess.check_input(backbone.input_size().width, backbone.input_size().height)?;
    let started = Instant::now();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads.unwrap_or(0))
        .build()
        .map_err(|error| BackboneError::Stopped(error.to_string()))?;
    let mut cache = match &options.cache {
        Some(folder) => {
            Some(Cache::open(folder, cache_owner(backbone, preprocess, Version::CURRENT), backbone.features())?)
        }
        None => None,
    };
    let most = options.rows.unwrap_or(usize::MAX);
    let images = source.images().map(|images| images.min(most));
    let mut summary = Summary::default();
    let mut source = source.enumerate().peekable();
    while summary.rows < most && source.peek().is_some() {
        let ahead = (pool.current_num_threads() * AHEAD).min(most - summary.rows);
        let (places, samples) = read_ahead(&mut source, ahead, options, &mut summary)?;
        let mut keys = Vec::new();
        let mut known = vec![None; samples.len()];
        if let Some(cache) = &mut cache {
            keys = pool.install(|| samples.par_iter().map(Sample::digest).collect());
            known = keys.iter().map(|key| cache.look_up(key)).collect();
        }
        let rows: Vec<Result<(Vec<f32>, bool)>> = pool.install(|| {
            let work = samples.par_iter().zip(known);
            work.map(|(sample, known)| match known {
                Some(features) => Ok((features, true)),
                None => features_of(backbone, preprocess, sample).map(|features| (features, false)),
            })
            .collect()
        });
        if let Some(cache) = &mut cache {
            let fresh = keys.iter().zip(&rows).filter_map(|(key, row)| match row {
                Ok((features, false)) => Some((*key, &features[..])),
                _ => None,
            });
            cache.add(&fresh.collect::<Vec<_>>())?;
        }
        for ((sample, place), row) in samples.iter().zip(places).zip(rows) {
            match row {
                Ok((features, cached)) => {
                    sink(Row { place, name: &sample.name, label: sample.label.as_deref(), features: &features })?;
                    summary.rows += 1;
                    if sample.is_first_of_several() {
                        summary.first_of_several.push(sample.name.clone());
                    }
                    summary.from_cache += usize::from(cached);
                }
                Err(error) => skip_or_fail(error, options, &mut summary)?,
            }
        }
        let done = summary.rows + summary.skipped.len();
        progress(Progress { done, images, from_cache: summary.from_cache, elapsed: started.elapsed() })?;
    }
    summary.elapsed = started.elapsed();
    Ok(summary)
}

/// Extracts the features of `source` into memory.
///
/// # Errors
/// As [`extract`], and [`BackboneError::Stopped`] when only some of the images have labels, or none is left.
pub fn collect(
    backbone: &dyn Backbone,
    preprocess: &Preprocess,
    source: Source,
    options: &ExtractOptions,
    progress: &mut dyn FnMut(Progress) -> Result<()>,
) -> Result<Collected> {
    let (mut values, mut names, mut places, mut labels) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut sink = |row: Row<'_>| {
        values.extend_from_slice(row.features);
        names.push(row.name.to_owned());
        places.push(row.place);
        labels.extend(row.label.map(str::to_owned));
        Ok(())
    };
    let summary = extract(backbone, preprocess, source, options, &mut sink, progress)?;
    if names.is_empty() {
        return Err(BackboneError::Stopped("no readable image is left".into()));
    }
    if !labels.is_empty() && labels.len() != names.len() {
        return Err(BackboneError::Stopped("some images have labels and some have none".into()));
    }
    let features = Matrix::new(names.len(), backbone.features(), values)
        .ok_or_else(|| BackboneError::Inference("the number of features changed between images".into()))?;
    Ok(Collected { features, names, places, labels: (!labels.is_empty()).then_some(labels), summary })
}

/// The next samples and their places: at most `most`, and no more once they hold [`AHEAD_BYTES`].
fn read_ahead(
    source: &mut impl Iterator<Item = (usize, Result<Sample>)>,
    most: usize,
    options: &ExtractOptions,
    summary: &mut Summary,
) -> Result<(Vec<usize>, Vec<Sample>)> {
    let (mut places, mut samples, mut bytes) = (Vec::new(), Vec::new(), 0);
    while samples.len() < most && bytes < AHEAD_BYTES {
        match source.next() {
            None => break,
            Some((place, Ok(sample))) => {
                bytes += sample.bytes();
                places.push(place);
                samples.push(sample);
            }
            Some((_, Err(error))) => skip_or_fail(error, options, summary)?,
        }
    }
    Ok((places, samples))
}

fn features_of(backbone: &dyn Backbone, preprocess: &Preprocess, sample: &Sample) -> Result<Vec<f32>> {
    let size = backbone.input_size();
    let picture = sample.decode()?;
    // The settings were checked: what is refused now is the picture.
    let input = preprocess
        .apply(&picture, size.width, size.height)
        .map_err(|error| BackboneError::image(&sample.name, error.to_string()))?;
    // A thread may take up another image while it waits for the network: it holds one picture at a time.
    drop(picture);
    Ok(backbone.extract(&input)?.into_values())
}

fn skip_or_fail(error: BackboneError, options: &ExtractOptions, summary: &mut Summary) -> Result<()> {
    match error {
        BackboneError::BadImage { name, reason } if options.skip_bad => {
            summary.skipped.push(Skipped { name, reason });
            Ok(())
        }
        error => Err(error),
    }
}

/// What decides the features besides the image: the backbone, the preprocessing, and what decodes and resizes.
fn cache_owner(backbone: &dyn Backbone, preprocess: &Preprocess, version: Version<'_>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(backbone.digest());
    // Every field of the settings is in their JSON text, and floats are written exactly.
    hash.update(serde_json::to_vec(preprocess).expect("settings of numbers and names are JSON"));
    hash.update((backbone.features() as u64).to_le_bytes());
    hash.update(version.own.to_le_bytes());
    hash.update(version.decoders);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Builtin;

    #[test]
    fn features_of_other_decoders_or_another_resizer_are_not_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let (network, preprocess) = (Builtin::load().expect("it is part of the program"), Preprocess::paper());
        let open =
            |version| Cache::open(folder.path(), cache_owner(&network, &preprocess, version), 1).expect("a cache");
        open(Version::CURRENT).add(&[([1; 32], &[5.0])]).expect("written");
        assert_eq!(open(Version::CURRENT).look_up(&[1; 32]), Some(vec![5.0]));
        let raised = Version { own: Version::CURRENT.own + 1, ..Version::CURRENT };
        let upgraded = Version { decoders: "image 9.9.9", ..Version::CURRENT };
        for other in [raised, upgraded] {
            assert_eq!(open(other).look_up(&[1; 32]), None, "{other:?}");
        }
    }
}
