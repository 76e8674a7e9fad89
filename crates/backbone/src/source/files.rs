//! Images in files of their own: folders and lists.

use std::path::{Path, PathBuf};

use super::{Sample, Source, extension, read_image_file};
use crate::error::{BackboneError, Result};

const READABLE_EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "jfif", "bmp", "webp"];

/// Images too, though not of a form that is read: they are refused by name rather than passed over in silence.
const OTHER_EXTENSIONS: [&str; 7] = ["gif", "tif", "tiff", "heic", "heif", "avif", "jxl"];

pub(super) fn is_image_extension(extension: &str) -> bool {
    READABLE_EXTENSIONS.contains(&extension) || OTHER_EXTENSIONS.contains(&extension)
}

struct Entry {
    path: PathBuf,
    label: Option<String>,
}

/// A folder with a sub-folder a class, or of unlabelled images. Names are sorted, so that the order is the same
/// everywhere; hidden names and files that are no images are passed over.
pub(super) fn open_folder(path: &Path) -> Result<Source> {
    let (folders, images) = list(path)?;
    if folders.is_empty() {
        return Ok(source(images.into_iter().map(|path| Entry { path, label: None }).collect()));
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
            let reason = "a class folder without a PNG, JPEG, BMP or WebP image: fill it or remove it";
            return Err(BackboneError::source(&folder, reason));
        }
        entries.extend(images.into_iter().map(|path| Entry { path, label: Some(label.clone()) }));
    }
    Ok(source(entries))
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
    Ok(source(entries))
}

/// One image without a label.
pub(super) fn open_one(path: &Path) -> Source {
    source(vec![Entry { path: path.to_owned(), label: None }])
}

fn source(entries: Vec<Entry>) -> Source {
    Source { images: Some(entries.len()), samples: Box::new(Files(entries.into_iter())) }
}

/// Reads each file when its turn comes, and none that is passed over.
struct Files(std::vec::IntoIter<Entry>);

impl Iterator for Files {
    type Item = Result<Sample>;

    fn next(&mut self) -> Option<Self::Item> {
        let Entry { path, label } = self.0.next()?;
        Some(read_image_file(&path).map(|bytes| Sample::encoded(path.display().to_string(), label, bytes)))
    }

    fn nth(&mut self, n: usize) -> Option<Self::Item> {
        let skipped = n.min(self.0.len());
        self.0.by_ref().take(skipped).for_each(drop);
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
        } else if is_image_extension(&extension(&path)) {
            images.push(path);
        }
    }
    folders.sort();
    images.sort();
    Ok((folders, images))
}
