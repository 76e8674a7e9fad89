//! The formats: a small file of each, and the reader that users meet.

mod images;
mod joint;
mod networks;
mod refresh;
mod tables;
mod training;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// Turns a damaged inside into a file again.
type Wrap = Box<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;
/// Reads a file: a hash of all that was read, or why it was refused.
type Reader = Box<dyn Fn(&Path) -> Result<u64, String> + Send + Sync>;

/// A part of a file that is damaged, and how it becomes a file.
pub struct Layer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) wrap: Wrap,
}

/// A format that is read.
pub struct Format {
    /// Its name.
    pub name: &'static str,
    /// The file's name: extensions matter.
    pub file: &'static str,
    /// What is damaged; the first is the file itself.
    pub(crate) layers: Vec<Layer>,
    /// Whether the format has checksums over all that is read, so that damage to the file must not change what is read.
    pub(crate) checked: bool,
    /// Files beside it.
    pub(crate) beside: Vec<(&'static str, Vec<u8>)>,
    pub(crate) read: Reader,
}

impl Format {
    fn new(
        name: &'static str,
        file: &'static str,
        bytes: Vec<u8>,
        read: impl Fn(&Path) -> Result<u64, String> + Send + Sync + 'static,
    ) -> Self {
        let layer = Layer { bytes, wrap: Box::new(|bytes| bytes) };
        Self { name, file, layers: vec![layer], checked: false, beside: Vec::new(), read: Box::new(read) }
    }

    /// A format of one file with a checksum, for tests of what watches readers.
    pub fn for_tests(bytes: Vec<u8>, read: fn(&Path) -> Result<u64, String>) -> Self {
        Self::new("test", "file", bytes, read).checked()
    }

    /// With checksums over all that is read.
    fn checked(mut self) -> Self {
        self.checked = true;
        self
    }

    /// With an inside that is damaged behind the checksums.
    fn layer(mut self, bytes: Vec<u8>, wrap: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Self {
        self.layers.push(Layer { bytes, wrap: Box::new(wrap) });
        self
    }

    /// With a file beside it.
    fn beside(mut self, name: &'static str, bytes: Vec<u8>) -> Self {
        self.beside.push((name, bytes));
        self
    }

    /// A container of ours: checked, and damaged behind its digest as well.
    fn sealed(self) -> Self {
        let bytes = self.layers[0].bytes.clone();
        self.checked().layer(bytes, |bytes| crate::seal::reseal(&bytes).unwrap_or(bytes))
    }

    /// The undamaged file.
    pub fn undamaged(&self) -> &[u8] {
        &self.layers[0].bytes
    }

    /// Writes the files that lie beside it.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written.
    pub fn prepare(&self, folder: &Path) -> std::io::Result<()> {
        for (name, bytes) in &self.beside {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().expect("a path in a folder"))?;
            std::fs::write(path, bytes)?;
        }
        std::fs::create_dir_all(folder.join(self.file).parent().expect("a path in a folder"))
    }
}

/// All formats.
pub fn all() -> Vec<Format> {
    let mut all = tables::formats();
    all.extend(training::formats());
    all.extend(refresh::formats());
    all.extend(joint::formats());
    all.extend(images::formats());
    all.extend(networks::formats());
    all
}

/// A hash of what was read.
fn hash(content: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

/// The bytes of a file that was just written.
fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| error.to_string())
}
