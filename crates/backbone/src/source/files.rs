//! Images in files of their own: folders and lists.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Sample, Samples, Source, extension, read_image_file};
use crate::decode::{HEAD_BYTES, ImageFormat};
use crate::error::{BackboneError, Result};

/// What is called like this is an image, or a damaged one, which is to be named: never passed over in silence.
const EXTENSIONS: [&str; 19] = [
    "png", "jpg", "jpeg", "jfif", "bmp", "webp", "gif", "tif", "tiff", "dcm", "dicom", "heic", "heif", "avif", "jxl",
    "jp2", "j2k", "jpx", "apng",
];

pub(super) fn is_image_extension(extension: &str) -> bool {
    EXTENSIONS.contains(&extension)
}

#[derive(Debug)]
struct Entry {
    path: PathBuf,
    label: Option<String>,
}

/// A folder with a sub-folder a class, or of unlabelled images. Names are sorted, so that the order is the same
/// everywhere; hidden names and files that are no images are passed over.
pub(super) fn open_folder(path: &Path) -> Result<Source> {
    let (folders, images) = list(path)?;
    if folders.is_empty() {
        let entries = images.into_iter().map(|path| Entry { path, label: None }).collect();
        return Ok(source(entries, false));
    }
    if let Some(stray) = images.first() {
        let reason = format!(
            "{} lies beside the class folders: move it into one, or give a folder of images only",
            stray.file_name().unwrap_or_default().to_string_lossy()
        );
        return Err(BackboneError::source(path, reason));
    }
    let mut entries = Vec::new();
    for folder in folders {
        let label = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (nested, images) = list(&folder)?;
        if let Some(nested) = nested.first() {
            let reason = "a folder within a class folder: one level of folders, one a class, is expected";
            return Err(BackboneError::source(nested, reason));
        }
        if images.is_empty() {
            let reason = "a class folder without an image: fill it or remove it";
            return Err(BackboneError::source(&folder, reason));
        }
        entries.extend(images.into_iter().map(|path| Entry { path, label: Some(label.clone()) }));
    }
    Ok(source(entries, true))
}

/// A CSV list of path and, optionally, label; a first line `path,label` or `path` is a heading.
pub(super) fn open_list(path: &Path) -> Result<Source> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let bad = |error: csv::Error| BackboneError::source(path, format!("not a readable CSV list ({error})"));
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(bad)?;
    let mut entries: Vec<Entry> = Vec::new();
    for (line, record) in reader.records().enumerate() {
        let record = record.map_err(bad)?;
        if line == 0 && record.get(0).is_some_and(|first| first.eq_ignore_ascii_case("path")) {
            continue;
        }
        let number = record.position().map_or(line as u64 + 1, csv::Position::line);
        let image = record.get(0).unwrap_or_default();
        if record.len() > 2 || image.is_empty() {
            return Err(BackboneError::source(path, format!("line {number}: expected a path and a label")));
        }
        let label = record.get(1).filter(|label| !label.is_empty()).map(str::to_owned);
        if entries.first().is_some_and(|first| first.label.is_some() != label.is_some()) {
            let reason = format!("line {number}: either every image has a label or none has");
            return Err(BackboneError::source(path, reason));
        }
        entries.push(Entry { path: folder.join(image), label });
    }
    Ok(source(entries, false))
}

/// One image without a label.
pub(super) fn open_one(path: &Path) -> Source {
    source(vec![Entry { path: path.to_owned(), label: None }], false)
}

fn source(entries: Vec<Entry>, class_folders: bool) -> Source {
    Source { images: Some(entries.len()), samples: Samples::Files(Files { entries: entries.into(), class_folders }) }
}

/// Reads each file when its turn comes, and none that is passed over.
pub(super) struct Files {
    entries: VecDeque<Entry>,
    class_folders: bool,
}

impl Files {
    /// The first of every class, then the second, and so on; files without class folders stay as they are.
    pub(super) fn classes_in_turn(self) -> Self {
        if !self.class_folders {
            return self;
        }
        let mut turns: Vec<VecDeque<Entry>> = Vec::new();
        for entry in self.entries {
            match turns.last_mut() {
                // A class's files lie one after the other.
                Some(class) if class.front().is_some_and(|first| first.label == entry.label) => class.push_back(entry),
                _ => turns.push(VecDeque::from([entry])),
            }
        }
        let mut entries = VecDeque::new();
        while !turns.is_empty() {
            entries.extend(turns.iter_mut().filter_map(VecDeque::pop_front));
            turns.retain(|class| !class.is_empty());
        }
        Self { entries, ..self }
    }
}

impl Iterator for Files {
    type Item = Result<Sample>;

    fn next(&mut self) -> Option<Self::Item> {
        let Entry { path, label } = self.entries.pop_front()?;
        Some(read_image_file(&path).map(|bytes| Sample::encoded(path.display().to_string(), label, bytes)))
    }

    fn nth(&mut self, n: usize) -> Option<Self::Item> {
        self.entries.drain(..n.min(self.entries.len()));
        self.next()
    }
}

/// The folders and the image files in a folder, each sorted by name.
fn list(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut folders, mut images) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(BackboneError::file(folder))? {
        let path = entry.map_err(BackboneError::file(folder))?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            folders.push(path);
        } else if is_image_extension(&extension(&path)) || holds_an_image(&path) {
            images.push(path);
        }
    }
    folders.sort();
    images.sort();
    Ok((folders, images))
}

/// Whether a file with another name, or none that says what it is, holds an image. What is no file, or cannot be read,
/// is passed over like other things that are no images.
fn holds_an_image(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = |head: &mut Vec<u8>| File::open(path).and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(head));
    // Opening a pipe would wait for somebody who writes to it.
    path.is_file() && read(&mut head).is_ok() && ImageFormat::of(&head).is_some()
}
