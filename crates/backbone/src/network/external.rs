//! Weights in files beside an ONNX model, as exporters write them by default: read from the model's own folder only.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use ciphertune_formats::onnx::External;

use crate::weights::MAX_WEIGHTS_BYTES;

/// The files of a model that were opened so far.
pub(super) struct Beside {
    folder: PathBuf,
    files: HashMap<String, (File, u64)>,
    /// Bytes that were read.
    read: u64,
}

impl Beside {
    /// Of the model at `path`.
    pub(super) fn new(path: &Path) -> Self {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        Self { folder, files: HashMap::new(), read: 0 }
    }

    /// The bytes that a tensor names.
    pub(super) fn read(&mut self, external: &External) -> Result<Vec<u8>, String> {
        let External { location, offset, length } = external;
        let (file, size) = match self.files.entry(location.clone()) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => entry.insert(open(&self.folder, location)?),
        };
        let wanted = length.unwrap_or_else(|| size.saturating_sub(*offset));
        if offset.checked_add(wanted).is_none_or(|end| end > *size) {
            return Err(format!(
                "its weights lie in {location:?}, which has {size} bytes and should have {wanted} from byte {offset} on: fetch that file again"
            ));
        }
        self.read = self.read.saturating_add(wanted);
        if self.read > MAX_WEIGHTS_BYTES {
            return Err(format!("its weights take more than {} GiB", MAX_WEIGHTS_BYTES >> 30));
        }
        let unreadable = |error: std::io::Error| format!("its weights in {location:?} cannot be read ({error})");
        file.seek(SeekFrom::Start(*offset)).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(wanted).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 != wanted {
            return Err(format!(
                "its weights in {location:?} became shorter while they were read: load the model again"
            ));
        }
        Ok(bytes)
    }
}

/// Opens a file of the folder, and says its length.
fn open(folder: &Path, location: &str) -> Result<(File, u64), String> {
    let outside = || {
        format!(
            "its weights lie in {location:?}, outside of the model's folder: put that file beside the model and export it so"
        )
    };
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    // A backslash is a folder's on some systems, and a letter of a name on others.
    if location.contains('\\') || !Path::new(location).components().all(inside) {
        return Err(outside());
    }
    let missing = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("its weights lie in {location:?}, which is not beside it: fetch that file too")
        }
        _ => format!("its weights in {location:?} cannot be read ({error})"),
    };
    // Links are followed before it is asked where they lead.
    let path = folder.join(location).canonicalize().map_err(missing)?;
    if !path.starts_with(folder.canonicalize().map_err(missing)?) {
        return Err(outside());
    }
    let file = File::open(&path).map_err(missing)?;
    let metadata = file.metadata().map_err(missing)?;
    if !metadata.is_file() {
        return Err(format!("its weights lie in {location:?}, which is no file"));
    }
    Ok((file, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn external(location: &str, offset: u64, length: Option<u64>) -> External {
        External { location: location.into(), offset, length }
    }

    #[test]
    fn bytes_are_read_from_the_models_folder_and_from_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("model");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join("w.bin"), [1, 2, 3, 4]).unwrap();
        std::fs::write(folder.path().join("secret"), [9; 4]).unwrap();
        let mut beside = Beside::new(&inner.join("m.onnx"));
        assert_eq!(beside.read(&external("w.bin", 1, Some(2))).unwrap(), [2, 3]);
        assert_eq!(beside.read(&external("w.bin", 1, None)).unwrap(), [2, 3, 4]);
        assert_eq!(beside.read(&external("./w.bin", 4, None)).unwrap(), [0; 0]);

        let absolute = folder.path().join("secret").display().to_string();
        for name in ["../secret", "a/../../secret", &absolute, "..\\secret"] {
            let message = beside.read(&external(name, 0, None)).unwrap_err();
            assert!(message.contains("outside of the model's folder"), "{name}: {message}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(folder.path().join("secret"), inner.join("link")).unwrap();
            let message = beside.read(&external("link", 0, None)).unwrap_err();
            assert!(message.contains("outside of the model's folder"), "{message}");
        }
        assert!(beside.read(&external("absent", 0, None)).unwrap_err().contains("\"absent\""));
        for (offset, length) in [(0, Some(5)), (5, Some(0)), (u64::MAX, Some(2)), (2, Some(u64::MAX))] {
            let message = beside.read(&external("w.bin", offset, length)).unwrap_err();
            assert!(message.contains("has 4 bytes"), "{message}");
        }
    }
}
